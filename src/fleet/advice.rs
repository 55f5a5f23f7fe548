//! What is known of a failure, and what is to be done about it.
//!
//! Owns the origin of everything that a reader may follow: remedies and commands are always this program's own, made from the
//! code of a cause and from names that were parsed. Of an agent's words only the message is shown, as text.

use super::report::{ImageDiagnosis, ImageReport};
use super::{Fleet, Node, Staleness, State};
use crate::cause::Names;
use crate::image::ImageReference;
use crate::report::runbook;

/// Longest name of an object of Kubernetes.
const MAX_NAME: usize = 253;

/// What is known and what is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// One sentence with the evidence.
    pub message: String,
    /// One imperative sentence.
    pub remedy: String,
    /// What to paste into a shell.
    pub commands: Vec<String>,
    /// The runbook's section, where there is one.
    pub runbook: Option<String>,
}

/// What an agent found out about an image, with this program's advice on its cause. Of a cause that is newer than this program
/// only the message is known.
#[must_use]
pub fn advice_on(image: &ImageReport, diagnosis: &ImageDiagnosis) -> Advice {
    let message = diagnosis.message.to_string();
    let known = diagnosis.known_cause().zip(image.image.parse::<ImageReference>().ok());
    let Some((cause, reference)) = known else {
        let remedy = "Use a version of acr-verifier as new as the agents', which knows this cause, or see the node's status page.";
        return Advice { message, remedy: remedy.to_owned(), commands: Vec::new(), runbook: None };
    };
    // Which nameserver is at fault only the agent knows; without one, commands ask those of the machine that they run on.
    let names = Names::new(&reference, diagnosis.endpoint, diagnosis.data_host.as_deref(), None);
    Advice {
        message,
        remedy: cause.remedy_at(diagnosis.endpoint).to_owned(),
        commands: cause.commands(&names),
        runbook: Some(runbook(cause)),
    }
}

/// What is known of a node without a fresh report, and what is to be done.
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
            format!("The node is not ready ({reason}), so nothing on it can be asked."),
            "Bring the node back, or remove it from the cluster.",
            vec![describe_node],
        ),
        State::Unready { .. } => (
            format!("The agent's Pod on this node is not ready: {reason}."),
            "See what holds the Pod up.",
            vec![describe_pod, logs],
        ),
        State::ConfigurationRejected { .. } => (
            format!("The agent rejects its configuration and goes on with an older one: {reason}"),
            "Correct the configuration and apply it again.",
            vec![logs],
        ),
        State::Unreachable { .. } => (
            format!("The agent's Pod on this node is running, and gave no report: {reason}."),
            "See that network policies and firewalls let the smoke check reach the agent's port.",
            vec![logs, describe_pod],
        ),
        State::Stale(Staleness::OtherConfiguration { .. }) => (
            format!("The agent on this node gave no report about the expected configuration: {reason}."),
            "Run the smoke check again once the kubelet has updated the ConfigMap's volume, which takes up to two minutes.",
            vec![logs],
        ),
        State::Stale(_) => (
            format!("The agent on this node gave no report that is newer than this smoke check: {reason}."),
            "Run the smoke check again with a longer --timeout.",
            vec![logs],
        ),
        State::Missing | State::Reported(_) | State::Excluded(_) | State::Left => (
            format!("The node should run an agent, and DaemonSet {} has no Pod on it.", fleet.daemon_set),
            "See why the DaemonSet places no Pod on the node.",
            vec![describe_set, describe_node],
        ),
    };
    Advice { message, remedy: remedy.to_owned(), commands, runbook: None }
}

/// The name of an object of Kubernetes (a DNS subdomain of RFC 1123), or a word in capitals where it is none.
pub(super) fn object_name<'name>(name: &'name str, placeholder: &'name str) -> &'name str {
    let is_outer = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let (first, last) = (name.bytes().next(), name.bytes().next_back());
    let is_valid = name.len() <= MAX_NAME
        && name.bytes().all(|byte| is_outer(byte) || matches!(byte, b'-' | b'.'))
        && first.is_some_and(is_outer)
        && last.is_some_and(is_outer);
    if is_valid { name } else { placeholder }
}
