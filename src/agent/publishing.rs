//! Whether and how the agent publishes Events; `events` sends them.

use std::sync::Arc;

use super::AgentContext;
use super::settings::Settings;
use crate::events::{self, Publisher, event};
use crate::metrics::Metrics;

/// Starts the task that publishes Events; `None` if Events are disabled or there is no cluster, which is logged once.
pub(super) fn start(
    settings: &Settings,
    context: &AgentContext,
    metrics: &Arc<Metrics>,
) -> Option<Publisher> {
    if !settings.config.events {
        tracing::info!("Events are disabled by configuration");
        return None;
    }
    let config = match events::in_cluster(context.in_cluster) {
        Ok(Some(config)) => config,
        Ok(None) => {
            tracing::info!("Events are disabled: not running in a Kubernetes pod");
            return None;
        }
        Err(reason) => {
            tracing::warn!("Events are disabled: cannot use the API server: {reason}");
            return None;
        }
    };
    let reporter = event::Reporter {
        node: context.pass.node.clone(),
        pod: context.pod.clone(),
        network_view: context.pass.network_view,
    };
    let counted = Arc::clone(metrics);
    match events::prepare(config, reporter, move |result| counted.record_event(result)) {
        Ok((publisher, work)) => {
            tokio::spawn(work);
            Some(publisher)
        }
        Err(reason) => {
            tracing::warn!("Events are disabled: cannot use the API server: {reason}");
            None
        }
    }
}
