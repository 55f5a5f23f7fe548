//! The message, remedy and commands for a failure.
//!
//! Remedies and commands are always this program's own, generated from the code of the cause and from parsed names. An
//! agent's report only contributes its message, shown as text.

use super::report::{ImageDiagnosis, ImageReport};
use super::{Fleet, Node, Staleness, State, object_name};
use crate::cause::{Names, runbook};
use crate::image::ImageReference;

/// What failed and how to fix it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// One sentence with the evidence.
    pub message: String,
    /// One imperative sentence.
    pub remedy: String,
    /// Commands to paste into a shell.
    pub commands: Vec<String>,
    /// URL of the runbook section, if there is one.
    pub runbook: Option<String>,
}

/// Returns the agent's message with this program's advice on its cause. For a cause that is newer than this program, only the
/// message is known.
#[must_use]
pub fn advice_on(image: &ImageReport, diagnosis: &ImageDiagnosis) -> Advice {
    let message = diagnosis.message.to_string();
    let known = diagnosis.known_cause().zip(image.image.parse::<ImageReference>().ok());
    let Some((cause, reference)) = known else {
        let remedy = "Upgrade this acr-verifier to the version of the agents, or see the node's status page.";
        return Advice { message, remedy: remedy.to_owned(), commands: Vec::new(), runbook: None };
    };
    // Only the agent knows the nameserver at fault. Without one, commands query those of the machine that they run on.
    let names = Names::new(&reference, diagnosis.endpoint, diagnosis.data_host.as_deref(), None);
    Advice {
        message,
        remedy: cause.remedy_at(diagnosis.endpoint).to_owned(),
        commands: cause.commands(&names),
        runbook: Some(runbook(cause)),
    }
}

/// Returns the advice for a node without a fresh report.
#[must_use]
pub fn advice_without_report(fleet: &Fleet, node: &Node) -> Advice {
    let namespace = object_name(&fleet.namespace, "NAMESPACE");
    let set = object_name(&fleet.daemon_set, "DAEMONSET");
    let describe_node = format!("kubectl describe node {}", object_name(&node.name, "NODE"));
    let describe_set = format!("kubectl --namespace {namespace} describe daemonset {set}");
    let pod = object_name(node.pod.as_deref().unwrap_or_default(), "POD");
    let describe_pod = format!("kubectl --namespace {namespace} describe pod {pod}");
    let logs = format!("kubectl --namespace {namespace} logs {pod}");
    let reason = node.state.reason().unwrap_or_default();
    let (message, remedy, commands) = match &node.state {
        State::NodeNotReady { .. } => (
            format!("The node is not ready ({reason}), so its agent cannot be reached."),
            "Repair the node or remove it from the cluster.",
            vec![describe_node],
        ),
        State::Unready { .. } => (
            format!("The agent's Pod on this node is not ready: {reason}."),
            "Find out why the Pod is not ready.",
            vec![describe_pod, logs],
        ),
        State::ConfigurationRejected { .. } => (
            format!("The agent rejected its configuration and still uses the previous one: {reason}"),
            "Correct the configuration and apply it again.",
            vec![logs],
        ),
        State::Unreachable { .. } if fleet.sample.is_some() => (
            format!("The agent's Pod on this node is running but returned no report: {reason}."),
            "Allow the smoke check to reach the agent's port, or give its first check time with a longer --timeout.",
            vec![logs, describe_pod],
        ),
        State::Unreachable { .. } => (
            format!("The agent's Pod on this node is running but returned no report: {reason}."),
            "Allow the smoke check to reach the agent's port in network policies and firewalls.",
            vec![logs, describe_pod],
        ),
        State::Stale(Staleness::OtherConfiguration { .. }) if fleet.sample.is_some() => (
            format!("The agent on this node has not checked with the expected configuration: {reason}."),
            "Run the smoke check again with a --timeout longer than the interval between two checks, or with --sample all.",
            vec![logs],
        ),
        State::Stale(Staleness::OtherConfiguration { .. }) => (
            format!("The agent on this node returned no report for the expected configuration: {reason}."),
            "Run the smoke check again in two minutes, once the kubelet has updated the ConfigMap volume.",
            vec![logs],
        ),
        State::Stale(Staleness::PathBroken { .. }) => (
            format!("The path from this node to the registry is broken: {reason}."),
            "Run the smoke check again with a longer --timeout, which shows the evidence.",
            vec![logs],
        ),
        State::Stale(Staleness::PathUnchecked) => (
            format!("Nothing shows that the path of this node is open: {reason}."),
            "Run the smoke check again with a --timeout longer than pathInterval, or with --sample all.",
            vec![logs],
        ),
        State::Stale(Staleness::NotOnDemand(_)) => (
            format!("The agent on this node returned no report newer than this smoke check: {reason}."),
            "Run the smoke check again with the key, or with a --timeout longer than the interval between two checks.",
            vec![logs],
        ),
        State::Stale(_) => (
            format!("The agent on this node returned no report newer than this smoke check: {reason}."),
            "Run the smoke check again with a longer --timeout.",
            vec![logs],
        ),
        State::Missing | State::Reported(_) | State::PathOpen(_) | State::Excluded(_) | State::Left => (
            format!("The node should run an agent, but DaemonSet {} has no Pod on it.", fleet.daemon_set),
            "Find out why the DaemonSet has no Pod on the node.",
            vec![describe_set, describe_node],
        ),
    };
    Advice { message, remedy: remedy.to_owned(), commands, runbook: None }
}
