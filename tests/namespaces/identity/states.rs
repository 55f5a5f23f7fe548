//! The states of an identity: what is wrong, and the expected outcome of the credential provider, the pull and the check.

mod entra;
mod exchange;
mod imds;
mod rights;

use serde_json::Value;

use super::kubelet::Provided;
use crate::pull::Fate;
use crate::states::Expected;
use lab::settings::{Assertion, Settings};
use support::namespaces::network::Faults;

/// The message of containerd 2 if the registry rejects the anonymous pull that follows a failed credential provider.
const ANONYMOUS: &str = "failed to fetch anonymous token: unexpected status from GET";
/// The same if the registry rejects the credentials.
const REJECTED: &str = "failed to fetch oauth token: unexpected status from GET";

/// One state.
pub(crate) struct State {
    pub(crate) name: &'static str,
    pub(crate) cloud: Cloud,
    pub(crate) caller: Caller,
    /// Whether the node's configuration and the check name the identity.
    pub(crate) named: bool,
    /// A change of the node's `azure.json`.
    pub(crate) azure_json: fn(&mut Value),
    /// A change of the service account's token.
    pub(crate) assertion: fn(&mut Assertion),
    /// A change of the identities, their services or the registry.
    pub(crate) settings: fn(&mut Settings),
    pub(crate) faults: Faults,
    pub(crate) expected: Expected,
    pub(crate) plugin: Plugin,
    /// Part of the message of containerd 2, if the pull fails.
    pub(crate) pull: &'static str,
    /// Why the verdict differs from the outcome of the pull, or makes no claim.
    pub(crate) difference: Option<&'static str>,
    /// Whether the credential provider needs up to a minute.
    pub(crate) slow: bool,
}

/// Whose identity pulls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// The node's.
    ManagedIdentity,
    /// The one of a service account; `complete` unless the client ID is missing.
    WorkloadIdentity { complete: bool },
}

/// The expected outcome of the credential provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plugin {
    Provides,
    /// It fails at once, with this part of a message.
    Fails(&'static str),
    /// Its last attempt ends at about the time at which the kubelet kills it.
    FailsLate,
    Killed,
}

/// A cloud of Azure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cloud {
    Public,
    UsGovernment,
    China,
}

impl Cloud {
    /// Its name in `azure.json`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Public => "AzurePublicCloud",
            Self::UsGovernment => "AzureUSGovernmentCloud",
            Self::China => "AzureChinaCloud",
        }
    }

    /// The suffix of its registries.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::Public => "azurecr.io",
            Self::UsGovernment => "azurecr.us",
            Self::China => "azurecr.cn",
        }
    }

    /// The host of its Entra ID.
    pub(crate) fn authority(self) -> &'static str {
        match self {
            Self::Public => "login.microsoftonline.com",
            Self::UsGovernment => "login.microsoftonline.us",
            Self::China => "login.chinacloudapi.cn",
        }
    }

    /// The data endpoint of its registry.
    fn data_endpoint(self) -> &'static str {
        match self {
            Self::Public => "contoso.westeurope.data.azurecr.io",
            Self::UsGovernment => "contoso.westeurope.data.azurecr.us",
            Self::China => "contoso.westeurope.data.azurecr.cn",
        }
    }
}

/// A healthy state of a managed identity, from which all others are derived.
fn managed(name: &'static str) -> State {
    State {
        name,
        cloud: Cloud::Public,
        caller: Caller::ManagedIdentity,
        named: true,
        azure_json: |_| {},
        assertion: |_| {},
        settings: |_| {},
        faults: Faults::default(),
        expected: Expected::default(),
        plugin: Plugin::Provides,
        pull: "",
        difference: None,
        slow: false,
    }
}

/// A healthy state of a workload identity.
fn workload(name: &'static str) -> State {
    State { caller: Caller::WorkloadIdentity { complete: true }, ..managed(name) }
}

impl State {
    fn settings(self, settings: fn(&mut Settings)) -> Self {
        Self { settings, ..self }
    }

    fn asserting(self, assertion: fn(&mut Assertion)) -> Self {
        Self { assertion, ..self }
    }

    fn cloud(self, cloud: Cloud) -> Self {
        Self { cloud, ..self.blob_from(cloud.data_endpoint()) }
    }

    /// Layers come from this data endpoint.
    fn blob_from(mut self, host: &'static str) -> Self {
        self.expected.blob_host = Some(host);
        self
    }

    /// Drops or rejects packets from the node.
    fn arriving(mut self, rule: &'static str) -> Self {
        self.faults.arriving.push(rule);
        self
    }

    /// The complete list of expected diagnoses, each as `severity endpoint stage cause`.
    fn expects(mut self, reported: &[&'static str]) -> Self {
        self.expected.reported = reported.to_vec();
        self
    }

    /// The evidence expected in the first message.
    fn naming(mut self, evidence: &[&'static str]) -> Self {
        self.expected.evidence = evidence.to_vec();
        self
    }

    /// The credentials in the report.
    fn pulls_as(mut self, credentials: &'static str) -> Self {
        self.expected.values.push(("/credentials", credentials));
        self
    }

    /// The credential provider fails with this message, and the anonymous pull that follows is rejected.
    fn plugin_fails(self, words: &'static str) -> Self {
        Self { plugin: Plugin::Fails(words), pull: ANONYMOUS, ..self }
    }

    /// The credential provider tries for about a minute, and the anonymous pull that follows is rejected.
    fn plugin_tries(self, plugin: Plugin) -> Self {
        Self { plugin, pull: ANONYMOUS, slow: true, ..self }
    }

    /// The credential provider provides credentials, and the pull fails with this message.
    fn pull_fails(self, words: &'static str) -> Self {
        Self { pull: words, ..self }
    }

    fn differs(self, reason: &'static str) -> Self {
        Self { difference: Some(reason), ..self }
    }

    /// The expected cause.
    pub(crate) fn cause(&self) -> &str {
        self.expected.reported.first().and_then(|line| line.rsplit(' ').next()).unwrap_or("pass")
    }

    /// The expected verdict.
    pub(crate) fn verdict(&self) -> &str {
        self.expected.reported.first().and_then(|line| line.split(' ').next()).unwrap_or("pass")
    }

    /// Whether the verdict claims that the image can be pulled; `None` without a claim.
    pub(crate) fn claim(&self) -> Option<bool> {
        match self.verdict() {
            "pass" | "warn" => Some(true),
            "fail" => Some(false),
            _ => None,
        }
    }

    /// The expected message of a credential provider that fails.
    pub(crate) fn plugin_says(&self) -> &'static str {
        match self.plugin {
            Plugin::Fails(words) => words,
            Plugin::Provides | Plugin::FailsLate | Plugin::Killed => "",
        }
    }

    /// What the credential provider and the pull did otherwise than expected, and otherwise than the verdict says.
    pub(crate) fn problems(&self, provided: &Provided, pulled: &Fate) -> Vec<String> {
        let plugin = match (self.plugin, provided) {
            (Plugin::Provides, Provided::Credentials(_))
            | (Plugin::Killed | Plugin::FailsLate, Provided::Killed) => true,
            (Plugin::Fails(words), Provided::Failed(said)) => said.contains(words),
            (Plugin::FailsLate, Provided::Failed(_)) => true,
            (Plugin::Provides, Provided::Failed(_) | Provided::Killed)
            | (Plugin::Fails(_), Provided::Credentials(_) | Provided::Killed)
            | (Plugin::FailsLate, Provided::Credentials(_))
            | (Plugin::Killed, Provided::Credentials(_) | Provided::Failed(_)) => false,
        };
        let should_pull = self.claim().map(|works| works != self.difference.is_some());
        let pull = match (should_pull, pulled) {
            (Some(true) | None, Fate::Pulled) => true,
            (Some(false) | None, Fate::Failed(said)) => !self.pull.is_empty() && said.contains(self.pull),
            (Some(true), Fate::Failed(_)) | (Some(false), Fate::Pulled) | (_, Fate::NoEnd) => false,
        };
        let unexplained = self.claim().is_none() && self.difference.is_none();
        let problems = [
            (!plugin).then(|| {
                format!("the credential provider: expected {:?}, found {}", self.plugin, shown(provided))
            }),
            (!pull).then(|| format!("the pull: expected {should_pull:?} {:?}, found {pulled:?}", self.pull)),
            unexplained.then(|| "a verdict without a claim needs a reason".to_owned()),
        ];
        problems.into_iter().flatten().collect()
    }
}

/// The result of the credential provider without passwords.
fn shown(provided: &Provided) -> String {
    match provided {
        Provided::Credentials(users) => format!("{} credentials", users.len()),
        Provided::Failed(said) => format!("a failure: {said}"),
        Provided::Killed => "that it was killed".to_owned(),
    }
}

/// All states in the order of the table.
pub(crate) fn all() -> Vec<State> {
    [imds::states(), exchange::states(), rights::states(), entra::states()].into_iter().flatten().collect()
}

#[test]
fn at_least_twenty_identity_states_have_distinct_names() {
    let states = all();
    let names: std::collections::BTreeSet<_> = states.iter().map(|state| state.name).collect();
    assert_eq!(names.len(), states.len());
    assert!(names.len() >= 20, "{}", names.len());
}
