//! The states: what is wrong, how it is checked, and the expected report.

mod answers;
mod certificates;
mod data;
mod expected;
mod files;
mod flaky;
mod healthy;
mod local_dns;
mod names;
mod network;
mod oddities;
mod registry;
mod replicas;
mod requests;
mod resolvers;
mod words;

use std::net::Ipv4Addr;
use std::path::Path;

pub(crate) use self::expected::Expected;
use super::node::{Node, Trusted};
use super::pull::{Client, Difference, Expectation, Place};
use lab::Lab;
use lab::settings::Settings;
use support::namespaces::local_dns::LocalDns;
use support::namespaces::names::Names;
use support::namespaces::network::{FORWARDER, Faults, Namespace};

/// One state, with the check of it.
pub(crate) struct State {
    pub(crate) name: &'static str,
    pub(crate) names: Names,
    pub(crate) faults: Faults,
    /// A change of the TLS endpoints or of the token service.
    pub(crate) endpoints: fn(&mut Settings),
    /// The same for another registry with a private endpoint in the same subnet.
    pub(crate) foreign: fn(&mut Settings),
    /// The digest that the registry's storage has lost.
    pub(crate) lost: Option<fn(&Lab) -> String>,
    /// docker-registry accepts connections but never responds.
    pub(crate) frozen: bool,
    /// The cache on the node, if it has one.
    pub(crate) cache: Option<Cached>,
    /// Nameservers in the node's resolv.conf.
    pub(crate) nameservers: Vec<Ipv4Addr>,
    /// An additional line of it.
    pub(crate) options: &'static str,
    pub(crate) image: fn(&Lab) -> String,
    pub(crate) credentials: Credentials,
    /// Where the lab's root is trusted.
    pub(crate) trusted: Trusted,
    /// The node's own files.
    pub(crate) node: Node,
    /// Whether DNS is fixed while the check runs.
    pub(crate) mended: bool,
    /// The filter on packets from the node that starts in the middle of a check and of a pull.
    pub(crate) halfway: Option<&'static str>,
    /// The per-stage timeout, short if it is expected to elapse.
    pub(crate) patience: &'static str,
    pub(crate) arguments: Vec<&'static str>,
    pub(crate) expected: Expected,
    /// The declared differences between real clients and the verdict.
    pub(crate) differences: Vec<Difference>,
    pub(crate) said: Said,
}

/// The answers in the cache on the node, AKS LocalDNS.
pub(crate) struct Cached {
    /// The DNS setup that they are from.
    pub(crate) before: Names,
    /// The names in the cache.
    pub(crate) hosts: &'static [&'static str],
    /// Whether they have expired.
    pub(crate) expired: bool,
    /// Whether the node's files name the server that the cache forwards to.
    pub(crate) known: bool,
    /// That server.
    pub(crate) upstream: Ipv4Addr,
}

impl Cached {
    /// Starts the cache, and fills it with the current answers.
    pub(crate) fn fill(&self, program: &Path, node: &Namespace, folder: &Path) -> LocalDns {
        let cache = LocalDns::start(program, node, folder, self.upstream, self.expired);
        cache.fill(node, self.hosts);
        if self.expired {
            cache.expire();
        }
        cache
    }
}

/// The messages of clients for a failed pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// The usual messages for the cause.
    OfCause,
    /// A specific message for each client.
    Own([&'static str; 3]),
    /// None: no response arrives at some point, and they wait for minutes.
    Nothing,
}

/// The credentials of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credentials {
    Right,
    /// They expire within two weeks, according to the Secret.
    Expiring,
    Wrong,
    /// The file has an entry for another registry.
    Missing,
    /// The file has an entry that nodes cannot use.
    Broken,
    /// Two entries match, and the more specific one has an old password.
    Stale,
    /// The kubelet rejects the file.
    Unreadable,
}

/// A healthy state, from which all others are derived.
fn state(name: &'static str) -> State {
    State {
        name,
        names: Names::default(),
        faults: Faults::default(),
        endpoints: |_| {},
        foreign: |_| {},
        lost: None,
        frozen: false,
        cache: None,
        nameservers: vec![FORWARDER],
        options: "",
        image: Lab::image,
        credentials: Credentials::Right,
        trusted: Trusted::Everywhere,
        node: Node::default(),
        mended: false,
        halfway: None,
        patience: "5s",
        arguments: Vec::new(),
        expected: Expected::default(),
        differences: Vec::new(),
        said: Said::OfCause,
    }
}

impl State {
    /// The expected cause.
    pub(crate) fn cause(&self) -> &str {
        self.expected.reported.first().and_then(|line| line.rsplit(' ').next()).unwrap_or("pass")
    }

    fn names(mut self, change: impl FnOnce(&mut Names)) -> Self {
        change(&mut self.names);
        self
    }

    /// Drops or rejects packets from the node.
    fn arriving(mut self, rule: &'static str) -> Self {
        self.faults.arriving.push(rule);
        self
    }

    /// Drops packets to the node.
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

    /// Uses short timeouts for a response that never arrives.
    fn impatient(self) -> Self {
        Self { patience: "1s", ..self }
    }

    /// Uses timeouts longer than repeated retransmissions.
    fn patient(self) -> Self {
        Self { patience: "20s", ..self }
    }

    /// The rate of the link to the node, as `tc` has it.
    fn link(mut self, rate: &'static str) -> Self {
        self.faults.link = Some(rate);
        self
    }

    /// The operator has configured when the password expires.
    fn expiring(self) -> Self {
        Self { credentials: Credentials::Expiring, ..self }
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

    /// The messages of both containerds and of skopeo when their pulls fail.
    fn pulls_say(self, containerd: &'static str, skopeo: &'static str) -> Self {
        self.each_says([containerd, containerd, skopeo])
    }

    /// The messages of containerd 1.6, containerd 2 and skopeo.
    fn each_says(self, words: [&'static str; 3]) -> Self {
        Self { said: Said::Own(words), ..self }
    }

    /// The same message for all clients.
    fn pulls_fail(self, words: &'static str) -> Self {
        self.pulls_say(words, words)
    }

    /// No response ever arrives, and the test does not wait for the clients.
    fn silent(self) -> Self {
        Self { said: Said::Nothing, ..self }
    }

    /// All clients intentionally differ from the verdict.
    fn differs(self, reason: &'static str) -> Self {
        self.differing(&Client::ALL, true, reason)
    }

    /// Some clients intentionally differ from the verdict.
    fn differs_from(self, clients: &'static [Client], reason: &'static str) -> Self {
        self.differing(clients, true, reason)
    }

    /// The outcome of the clients is random.
    fn by_chance(self, reason: &'static str) -> Self {
        self.differing(&Client::ALL, false, reason)
    }

    fn differing(mut self, clients: &'static [Client], always: bool, reason: &'static str) -> Self {
        self.differences.push(Difference { clients, always, reason });
        self
    }

    /// A change of the endpoints or of a response.
    fn endpoints(self, change: fn(&mut Settings)) -> Self {
        Self { endpoints: change, ..self }
    }

    /// A change of the other registry or of its responses.
    fn foreign(self, change: fn(&mut Settings)) -> Self {
        Self { foreign: change, ..self }
    }

    /// Layers come from this data endpoint.
    fn blob_from(mut self, host: &'static str) -> Self {
        self.expected.blob_host = Some(host);
        self
    }

    /// The expected outcome of the clients' pulls.
    pub(crate) fn pulls(&self) -> Expectation<'_> {
        let first = self.expected.reported.first().copied().unwrap_or_default();
        let mut parts = first.split(' ').skip(1);
        let (endpoint, stage) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let (words, place) = match self.said {
            Said::OfCause => (words::of_cause(self.cause()), words::of_place(endpoint, stage)),
            Said::Own(words) => (words, Place::Anywhere),
            Said::Nothing => ([""; 3], Place::Anywhere),
        };
        let silent = self.said == Said::Nothing;
        Expectation { works: self.claim(), silent, words, place, differences: &self.differences }
    }

    /// Whether the verdict claims that the image can be pulled; `None` without a claim.
    pub(crate) fn claim(&self) -> Option<bool> {
        match self.verdict() {
            "pass" | "warn" => Some(true),
            "fail" => Some(false),
            _ => None,
        }
    }

    /// The expected verdict.
    pub(crate) fn verdict(&self) -> &str {
        self.expected.reported.first().and_then(|line| line.split(' ').next()).unwrap_or("pass")
    }

    /// An expected value in the image's part of the report.
    fn reports(mut self, pointer: &'static str, value: &'static str) -> Self {
        self.expected.values.push((pointer, value));
        self
    }
}

/// All states in their order; those with the same DNS setup are adjacent.
pub(crate) fn all() -> Vec<State> {
    [
        healthy::states(),
        flaky::states(),
        network::states(),
        certificates::states(),
        registry::states(),
        answers::states(),
        names::states(),
        data::states(),
        replicas::states(),
        files::states(),
        oddities::states(),
        requests::states(),
        resolvers::states(),
        local_dns::states(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[test]
fn every_cause_has_a_state() {
    let states = all().into_iter().map(|state| state.expected);
    let expected = states.chain(crate::identity::expected());
    let reported: Vec<&str> = expected.flat_map(|expected| expected.reported).collect();
    let absent: Vec<&str> = acr_verifier::cause::Cause::ALL
        .into_iter()
        .map(acr_verifier::cause::Cause::code)
        .filter(|code| !reported.iter().any(|line| line.ends_with(&format!(" {code}"))))
        .collect();
    assert!(absent.is_empty(), "no state causes {}", absent.join(", "));
}

#[test]
fn every_failure_has_an_expected_message() {
    let states = all();
    let mut wordless = Vec::new();
    for state in states.iter().filter(|state| state.said != Said::Nothing) {
        let pulls = state.pulls();
        for (client, words) in Client::ALL.into_iter().zip(pulls.words) {
            let declared = pulls.declared(client);
            let chance = declared.is_some_and(|difference| !difference.always);
            let may_fail = pulls.works.is_none_or(|works| works == declared.is_some());
            if !chance && may_fail && words.is_empty() {
                wordless.push(format!("{client:?} in {}", state.name));
            }
        }
    }
    assert!(wordless.is_empty(), "no message is expected of {}", wordless.join(", "));
}
