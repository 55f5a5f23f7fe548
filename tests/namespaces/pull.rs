//! Real clients on the same node: whether their pulls match the verdict.
//!
//! Owns the three clients, their declared differences in a state, and the comparison. Each uses the node's network, and its
//! resolv.conf in a separate mount namespace.

mod containerd;
mod skopeo;

use std::path::Path;
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

pub(crate) use self::containerd::{Containerd, Newer};
use super::node::Node;
use support::find;
use support::namespaces::network::Namespace;
use support::namespaces::process::command;

/// The programs required for Debian's clients, and to manage containerd.
pub(crate) const PROGRAMS: [&str; 3] = ["containerd", "ctr", "skopeo"];

/// Every pull ends within this time: Go's resolver waits 5 s for a dead nameserver, for each name again, and containerd tries a
/// blob three times.
const LONGEST_PULL: Duration = Duration::from_secs(60);
/// If no response ever arrives, it is pointless to wait for minutes until the client gives up.
const LONGEST_SILENCE: Duration = Duration::from_secs(8);
/// If the outcome is random, it is only recorded.
const LONGEST_CHANCE: Duration = Duration::from_secs(15);

/// A client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    /// containerd 1.6: pulls like the kubelet, but without the CRI.
    Containerd1,
    /// containerd 2, called through the CRI.
    Containerd2,
    /// The other implementation on nodes, used by CRI-O and Podman.
    Skopeo,
}

impl Client {
    /// In the order of all lists with one entry per client.
    pub(crate) const ALL: [Self; 3] = [Self::Containerd1, Self::Containerd2, Self::Skopeo];
}

/// An intended difference between clients and the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Clients that differ from the verdict.
    pub(crate) clients: &'static [Client],
    /// Whether it always differs, or at random.
    pub(crate) always: bool,
    /// The reason, for readers of the table.
    pub(crate) reason: &'static str,
}

/// The outcome of a pull.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It succeeds.
    Pulled,
    /// The client gives up with this message.
    Failed(String),
    /// The client was still trying when its time elapsed, and was stopped.
    NoEnd,
}

/// Where a pull fails, by the client's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Anywhere.
    Anywhere,
    /// The message contains this.
    With(&'static str),
    /// The message does not contain this.
    Without(&'static str),
}

/// The expected outcome of the pulls.
#[derive(Clone, Debug)]
pub(crate) struct Expectation<'state> {
    /// Whether the verdict claims that they succeed; `None` if it makes no claim.
    pub(crate) works: Option<bool>,
    /// Whether they wait without any response at some point.
    pub(crate) silent: bool,
    /// The message of each client when it gives up.
    pub(crate) words: [&'static str; 3],
    pub(crate) place: Place,
    /// Differences declared by the state.
    pub(crate) differences: &'state [Difference],
}

/// An image for clients to pull.
pub(crate) struct Order<'order> {
    pub(crate) image: String,
    /// A docker config.
    pub(crate) credentials: &'order Path,
    /// Its users and passwords, in the kubelet's order; without any the pull is anonymous.
    pub(crate) users: Vec<(String, String)>,
    /// Whether the node trusts the registry.
    pub(crate) trusted: bool,
    pub(crate) node: &'order Node,
    /// Time limit of the pull.
    pub(crate) limit: Duration,
}

/// The outcomes of the pulls, in the order of `Client::ALL`; `None` for a missing client.
#[derive(Clone, Debug)]
pub(crate) struct Pulled {
    pub(crate) fates: [Option<Fate>; 3],
}

/// Whether Debian's clients are installed.
pub(crate) fn are_possible() -> bool {
    PROGRAMS.iter().all(|program| find(program).is_some())
}

/// Lets all clients pull concurrently, and removes what they pulled.
pub(crate) fn pull(
    containerd: &Containerd,
    newer: Option<&Newer>,
    node: &Namespace,
    folder: &Path,
    order: &Order<'_>,
) -> Pulled {
    thread::scope(|scope| {
        let pulls = [
            Some(scope.spawn(|| in_turn(order, |user| containerd.pull(node, folder, order, user)))),
            newer.map(|newer| scope.spawn(|| newer.pull(node, folder, order))),
            Some(scope.spawn(|| skopeo::pull(node, folder, order))),
        ];
        let joined =
            |result: thread::Result<Fate>| result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Pulled { fates: pulls.map(|pull| pull.map(|pull| joined(pull.join()))) }
    })
}

/// Lets only containerd 2 pull.
pub(crate) fn with_containerd_2(newer: &Newer, node: &Namespace, folder: &Path, order: &Order<'_>) -> Fate {
    newer.pull(node, folder, order)
}

/// Pulls with one user after the other until it succeeds, as the kubelet does; joins all messages.
fn in_turn(order: &Order<'_>, mut pull: impl FnMut(Option<&(String, String)>) -> Fate) -> Fate {
    let mut said = String::new();
    let anonymous = order.users.is_empty().then_some(None);
    for user in order.users.iter().map(Some).chain(anonymous) {
        match pull(user) {
            Fate::Failed(words) => said.push_str(&words),
            fate @ (Fate::Pulled | Fate::NoEnd) => return fate,
        }
    }
    Fate::Failed(said)
}

impl Pulled {
    /// The outcomes that were neither expected nor declared.
    pub(crate) fn problems(&self, expectation: &Expectation<'_>) -> Vec<String> {
        let clients = Client::ALL.into_iter().zip(&self.fates).zip(expectation.words);
        clients
            .filter_map(|((client, fate), words)| expectation.problem(client, fate.as_ref()?, words))
            .collect()
    }
}

impl Expectation<'_> {
    /// The time limit of a pull.
    pub(crate) fn limit(&self) -> Duration {
        if self.differences.iter().any(|difference| !difference.always) {
            LONGEST_CHANCE
        } else if self.silent {
            LONGEST_SILENCE
        } else {
            LONGEST_PULL
        }
    }

    /// The declared difference of a client.
    pub(crate) fn declared(&self, client: Client) -> Option<Difference> {
        self.differences.iter().find(|it| it.clients.contains(&client)).copied()
    }

    fn problem(&self, client: Client, fate: &Fate, words: &str) -> Option<String> {
        let declared = self.declared(client);
        if declared.is_some_and(|difference| !difference.always) {
            return None;
        }
        match (self.works.map(|works| works != declared.is_some()), fate) {
            (Some(true) | None, Fate::Pulled) => None,
            (Some(false) | None, Fate::NoEnd) if self.silent => None,
            (_, Fate::NoEnd) => {
                Some(format!("{client:?} did not finish within {} s", self.limit().as_secs()))
            }
            (Some(false), Fate::Pulled) => Some(format!("{client:?} differs from the verdict: it succeeds")),
            (Some(true), Fate::Failed(said)) => Some(format!("{client:?} differs from the verdict: {said}")),
            (Some(false), Fate::Failed(said)) if self.silent => {
                Some(format!("{client:?} gives up instead of waiting: {said}"))
            }
            (Some(false) | None, Fate::Failed(said)) => {
                // Linux reports a reset once: if the sending of a request meets it, Go reads the end of the connection.
                let end = words == "connection reset by peer" && said.contains(": EOF");
                let cause = !words.is_empty() && (said.contains(words) || end);
                let place = match self.place {
                    Place::Anywhere => true,
                    Place::With(text) => said.contains(text),
                    Place::Without(text) => !said.contains(text),
                };
                let reported = || format!("{client:?} does not report {words:?}, {:?}: {said}", self.place);
                (!cause || !place).then(reported)
            }
        }
    }
}

/// A program in a mount namespace with the state's resolv.conf; only the program sees the mount.
pub(crate) fn seen_from_the_node(folder: &Path, program: &Path) -> Command {
    let script = r#"mount --bind "$1" /etc/resolv.conf && shift && exec "$@""#;
    let mut wrapped = command("unshare");
    wrapped.args(["--mount", "sh", "-c", script, "sh"]).arg(folder.join("resolv.conf"));
    wrapped.arg(program).env("HOME", folder);
    wrapped
}

/// A client on the node, stopped after `limit`.
fn on_the_node(folder: &Path, program: &str, limit: Duration) -> Command {
    let mut wrapped = seen_from_the_node(folder, &find("timeout").expect("timeout is part of coreutils"));
    wrapped.arg("--kill-after=1").arg(limit.as_secs().to_string());
    wrapped.arg(find(program).expect("the program was found before"));
    wrapped
}

/// The outcome of a client. URL queries are removed from its message: a signature may contain any word.
fn outcome(output: &Output) -> Fate {
    match output.status.code() {
        Some(0) => Fate::Pulled,
        Some(124 | 137) => Fate::NoEnd,
        Some(_) | None => Fate::Failed(without_queries(&String::from_utf8_lossy(&output.stderr))),
    }
}

fn without_queries(text: &str) -> String {
    let mut pieces = text.split('?');
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |kept, piece| {
        let end = piece.find(|sign: char| sign.is_whitespace() || "\"\\".contains(sign));
        kept + "?…" + end.map_or("", |end| &piece[end..])
    })
}

#[test]
fn url_queries_are_removed_from_client_messages() {
    let said = "Get \\\"https://data.example/?s=403&t=x509\\\": EOF, and Get \"https://a.example/?d\": 401 ?";
    let kept = "Get \\\"https://data.example/?…\\\": EOF, and Get \"https://a.example/?…\": 401 ?…";
    assert_eq!(without_queries(said), kept);
}
