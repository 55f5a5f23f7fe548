//! The states: what is wrong, how it is asked, and what the report has to say.

mod expected;
mod healthy;
mod names;
mod network;
mod registry;

use std::net::Ipv4Addr;

pub(crate) use self::expected::Expected;
use super::lab::Lab;
use super::lab::settings::Settings;
use super::names::Names;
use super::network::{FORWARDER, Faults};
use super::pull::Pull;

/// One state, with the check of it.
pub(crate) struct State {
    pub(crate) name: &'static str,
    pub(crate) names: Names,
    pub(crate) faults: Faults,
    /// A change of the TLS endpoints or of the token service.
    pub(crate) endpoints: fn(&mut Settings),
    /// What the registry's storage has lost, by digest.
    pub(crate) lost: Option<fn(&Lab) -> String>,
    /// Whether docker-registry hangs.
    pub(crate) frozen: bool,
    /// The node's resolv.conf.
    pub(crate) nameservers: Vec<Ipv4Addr>,
    pub(crate) image: fn(&Lab) -> String,
    pub(crate) credentials: Credentials,
    /// Whether the lab's root is given to the program.
    pub(crate) trusted: bool,
    /// Whether the names become right while the check is going on.
    pub(crate) mended: bool,
    /// The limit of a stage: short where it is going to be reached.
    pub(crate) patience: &'static str,
    pub(crate) arguments: Vec<&'static str>,
    pub(crate) expected: Expected,
    /// What becomes of a real client's pull, where it is tried.
    pub(crate) pull: Option<Pull>,
}

/// What the node signs in with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credentials {
    Right,
    Wrong,
}

/// A state in which all is well: the beginning of each.
fn state(name: &'static str) -> State {
    State {
        name,
        names: Names::default(),
        faults: Faults::default(),
        endpoints: |_| {},
        lost: None,
        frozen: false,
        nameservers: vec![FORWARDER],
        image: Lab::image,
        credentials: Credentials::Right,
        trusted: true,
        mended: false,
        patience: "5s",
        arguments: Vec::new(),
        expected: Expected::default(),
        pull: None,
    }
}

impl State {
    /// What explains the state, in one word.
    pub(crate) fn cause(&self) -> &str {
        self.expected.told.first().and_then(|line| line.rsplit(' ').next()).unwrap_or("pass")
    }

    fn names(mut self, change: impl FnOnce(&mut Names)) -> Self {
        change(&mut self.names);
        self
    }

    /// Drops or rejects what comes from the node.
    fn arriving(mut self, rule: &'static str) -> Self {
        self.faults.arriving.push(rule);
        self
    }

    /// Drops what goes to the node.
    fn leaving(mut self, rule: &'static str) -> Self {
        self.faults.leaving.push(rule);
        self
    }

    fn route(mut self, route: &'static str) -> Self {
        self.faults.routes.push(route);
        self
    }

    fn arguments(mut self, arguments: &[&'static str]) -> Self {
        self.arguments.extend(arguments);
        self
    }

    /// Does not wait long for what never comes.
    fn impatient(self) -> Self {
        Self { patience: "1s", ..self }
    }

    /// The whole list of diagnoses, each as `severity endpoint stage cause`.
    fn tells(mut self, told: &[&'static str]) -> Self {
        self.expected.told = told.to_vec();
        self
    }

    /// What the first sentence has to name.
    fn naming(mut self, evidence: &[&'static str]) -> Self {
        self.expected.evidence = evidence.to_vec();
        self
    }

    /// A real client can pull.
    fn pulls(self) -> Self {
        Self { pull: Some(Pull::Works), ..self }
    }

    /// A real client cannot pull, and says this.
    fn pull_fails(self, saying: &'static str) -> Self {
        Self { pull: Some(Pull::Fails(saying)), ..self }
    }

    /// A value of the image's part of the report.
    fn reports(mut self, pointer: &'static str, value: &'static str) -> Self {
        self.expected.values.push((pointer, value));
        self
    }
}

/// All states, in the order in which they are tried: those with the same names stand together.
pub(crate) fn all() -> Vec<State> {
    [healthy::states(), network::states(), registry::states(), names::states()]
        .into_iter()
        .flatten()
        .collect()
}
