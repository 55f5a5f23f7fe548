//! Who reaches the agent: the addresses that it listens on, and the clients that may trigger a check.
//!
//! Owns the current key and its reload. The server compares keys.

use anyhow::{Context as _, Error};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::settings::Settings;
use crate::check_key::KeyError;
use crate::server::{self, CheckAccess};
use crate::status::AgentState;

/// Listens where the settings require it; also returns the addresses as a text.
///
/// # Errors
/// The addresses of the node are not known, or one cannot be listened on.
pub(super) fn listen(
    settings: &Settings,
    node_ips: Option<&str>,
) -> anyhow::Result<(Vec<TcpListener>, String)> {
    let addresses = settings.config.server.address.resolve(node_ips);
    let addresses = addresses.map_err(|refusal| Error::msg(refusal.about("NODE_IPS")))?;
    let listeners = server::listen(&addresses)
        .map_err(|(address, error)| Error::new(error).context(format!("cannot listen on {address}")))?;
    // Port 0 selects a free port.
    let addresses: Result<Vec<_>, _> =
        listeners.iter().map(|listener| listener.local_addr().map(|address| address.to_string())).collect();
    let addresses = addresses.context("cannot read the address of a socket")?;
    Ok((listeners, addresses.join(", ")))
}

/// The clients that may trigger a check.
pub(super) struct Access(watch::Sender<CheckAccess>);

impl Access {
    /// Reads the key for the first time, if one is required.
    pub(super) fn start(settings: &Settings) -> (Self, watch::Receiver<CheckAccess>) {
        let access = settings.access();
        log(&access);
        let (sender, receiver) = watch::channel(access);
        (Self(sender), receiver)
    }

    /// Applies a changed key or setting. A key that is not valid any more is void: no client can use the previous one.
    pub(super) fn update(&self, settings: &Settings, status: &watch::Sender<AgentState>) {
        let access = settings.access();
        if access != *self.0.borrow() {
            log(&access);
            status.send_modify(|status| status.has_open_checks = access == CheckAccess::Open);
            self.0.send_replace(access);
        }
    }
}

fn log(access: &CheckAccess) {
    match access {
        CheckAccess::Open => tracing::debug!("every client may trigger a check"),
        CheckAccess::Key(_) => tracing::info!("checks on demand require the key in server.keyFile"),
        CheckAccess::NoKey(error) => tracing::error!(
            "server.keyFile has no valid key, so no client can trigger a check: {error}; expected {}",
            KeyError::EXPECTED
        ),
        CheckAccess::Disabled => tracing::info!("checks on demand are disabled by configuration"),
    }
}
