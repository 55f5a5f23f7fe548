//! The remedies for a waiting Pod: the catalogue's, for the agent's cause or the kubelet's, and this module's own for the rest.
//!
//! Remedies and commands never come from the cluster or from an agent: only checked names are filled in.

use super::super::kubelet::endpoint_of;
use super::{AgentView, Conclusion, Silence, WaitingImage};
use crate::cause::{Cause, Names, runbook};
use crate::fleet::advice::{Advice, advice_on};
use crate::fleet::object_name;

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    /// The cause that it resolves, if it is one of the catalogue.
    pub cause: Option<String>,
    /// One imperative sentence.
    pub remedy: String,
    /// Commands to paste into a shell.
    pub commands: Vec<String>,
    /// URL of the runbook section, if there is one.
    pub runbook: Option<String>,
}

/// Returns the fixes, the most likely first.
pub(super) fn choose(waiting: &WaitingImage, agent: &AgentView, conclusion: Conclusion) -> Vec<Fix> {
    let of_kubelet = waiting.claim.map(|claim| of_cause(waiting, claim.cause));
    let of_agent = match agent {
        AgentView::Checked(checked) => checked.diagnosis.as_ref().map(|diagnosis| {
            let Advice { remedy, commands, runbook, .. } = advice_on(&checked.report, diagnosis);
            Fix { cause: Some(diagnosis.cause.to_string()), remedy, commands, runbook }
        }),
        AgentView::Unchecked { .. } | AgentView::Silent(_) => None,
    };
    let fixes = match conclusion {
        Conclusion::Explained => vec![of_agent],
        Conclusion::MayExplain => vec![of_kubelet, of_agent],
        Conclusion::Disagree => vec![of_kubelet.or_else(|| Some(own(waiting)))],
        Conclusion::Inconclusive => vec![of_kubelet.or(of_agent)],
        Conclusion::RegistryUnchecked => vec![of_kubelet, Some(add_registry())],
        Conclusion::NoAgent => vec![of_kubelet, Some(restore_agent(waiting, agent))],
    };
    let mut chosen: Vec<Fix> = Vec::new();
    for fix in fixes.into_iter().flatten() {
        if !chosen.iter().any(|known| known.remedy == fix.remedy) {
            chosen.push(fix);
        }
    }
    chosen
}

/// The catalogue's fix for the cause that the kubelet's message names.
fn of_cause(waiting: &WaitingImage, cause: Cause) -> Fix {
    let endpoint = endpoint_of(&waiting.message);
    Fix {
        cause: Some(cause.code().to_owned()),
        remedy: cause.remedy_at(endpoint).to_owned(),
        commands: cause.commands(&Names::new(&waiting.image, endpoint, None, None)),
        runbook: Some(runbook(cause)),
    }
}

/// The fix if only the Pod's own image and credentials remain.
fn own(waiting: &WaitingImage) -> Fix {
    let namespace = object_name(&waiting.namespace, "NAMESPACE");
    let pod = object_name(&waiting.pod, "POD");
    let mut commands = Vec::new();
    if waiting.image.is_acr() {
        commands.push(format!(
            "az acr manifest list-metadata --registry {} --name {}",
            waiting.image.registry_name(),
            waiting.image.repository()
        ));
    }
    for name in &waiting.pull_secrets {
        commands.push(format!("kubectl --namespace {namespace} get secret {}", object_name(name, "SECRET")));
    }
    commands.push(format!("kubectl --namespace {namespace} describe pod {pod}"));
    Fix {
        cause: None,
        remedy: "Check that the image exists and that the Pod's credentials may pull it.".to_owned(),
        commands,
        runbook: None,
    }
}

fn add_registry() -> Fix {
    Fix {
        cause: None,
        remedy: "Add an image of the registry to the configuration of the agents.".to_owned(),
        commands: vec!["acr-verifier discover --output values".to_owned()],
        runbook: None,
    }
}

fn restore_agent(waiting: &WaitingImage, agent: &AgentView) -> Fix {
    let node = object_name(waiting.node.as_deref().unwrap_or_default(), "NODE");
    let (remedy, commands) = match agent {
        AgentView::Silent(Silence::NotQueried { .. }) => {
            ("Grant access to the agents, or check --agents-namespace and --selector.", Vec::new())
        }
        AgentView::Silent(Silence::NotReady { .. } | Silence::NoReport { .. }) => (
            "Find out why the agent on the node does not respond.",
            vec![format!("kubectl describe node {node}")],
        ),
        AgentView::Silent(Silence::NoAgent) | AgentView::Checked(_) | AgentView::Unchecked { .. } => (
            "Install the agent, or find out why none runs on the node.",
            vec!["acr-verifier discover --output values".to_owned(), format!("kubectl describe node {node}")],
        ),
    };
    Fix { cause: None, remedy: remedy.to_owned(), commands, runbook: None }
}
