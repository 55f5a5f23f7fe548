//! The lists of a smoke check: the DaemonSet, its nodes and its agents.

use std::time::Duration;

use crate::cluster::{Agent, Cluster, ClusterError, ClusterNode, DaemonSet};

/// Attempts at the first lists, so that a single connection reset does not fail a pipeline.
const FIRST_ATTEMPTS: u32 = 3;
const BETWEEN_ATTEMPTS: Duration = Duration::from_secs(2);

/// What the API server lists.
pub(super) type Lists = (DaemonSet, Vec<ClusterNode>, Vec<Agent>);

/// Reads the lists at the start.
pub(super) async fn first(cluster: &Cluster) -> Result<Lists, ClusterError> {
    let mut attempt = 1;
    loop {
        match read(cluster).await {
            Err(ClusterError::Unavailable(reason)) if attempt < FIRST_ATTEMPTS => {
                tracing::warn!("attempt {attempt} to list nodes and Pods failed: {reason}");
                attempt += 1;
                tokio::time::sleep(BETWEEN_ATTEMPTS).await;
            }
            read => return read,
        }
    }
}

/// Reads the lists once.
pub(super) async fn read(cluster: &Cluster) -> Result<Lists, ClusterError> {
    let set = cluster.daemon_set().await?;
    // Nodes first: if a node joins between the two requests, its Pod is ignored. Otherwise the node would lack its Pod.
    let members = cluster.nodes().await?;
    let agents = cluster.agents(&set).await?;
    Ok((set, members, agents))
}
