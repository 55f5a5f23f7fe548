//! The phases of a connection, marked by the hooks of the libraries.
//!
//! The failing stage is derived from these marks, never from the text of an error.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

/// The phase of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Idle,
    Dialling,
    Handshaking,
    Ready,
}

/// A phase and its start time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    pub(super) phase: Phase,
    pub(super) since: Instant,
}

/// Records the phases; shared by the three hooks.
#[derive(Debug, Clone)]
pub(super) struct Marks(Arc<watch::Sender<Mark>>);

impl Marks {
    /// Returns the marks of a new connection, and their receiver.
    pub(super) fn new() -> (Self, watch::Receiver<Mark>) {
        let (sender, phase) = watch::channel(Mark { phase: Phase::Idle, since: Instant::now() });
        (Self(Arc::new(sender)), phase)
    }

    /// Starts a phase now.
    pub(super) fn set(&self, phase: Phase) {
        self.0.send_replace(Mark { phase, since: Instant::now() });
    }

    /// TCP is connected: rustls is about to send its first message.
    pub(super) fn start_handshake(&self) {
        self.set(Phase::Handshaking);
    }
}
