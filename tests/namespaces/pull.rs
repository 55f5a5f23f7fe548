//! Real clients on the same node: whether their pulls fare as the verdict says.
//!
//! Owns the three clients, what is declared of them in a state, and the comparison. Each has the node's network, and its
//! resolv.conf in a mount namespace of its own.

mod containerd;
mod skopeo;

use std::path::Path;
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

pub(crate) use self::containerd::{Containerd, Newer};
use super::network::Namespace;
use super::node::Node;
use super::process::command;
use super::requirements::find;

/// What is looked for to have Debian's clients, and to look after containerd.
pub(crate) const PROGRAMS: [&str; 3] = ["containerd", "ctr", "skopeo"];

/// A pull comes to its end, whatever that is, within this: Go's resolver waits for 5 s at a nameserver that is gone, at each
/// name again, and containerd tries a blob three times.
const LONGEST_PULL: Duration = Duration::from_secs(60);
/// Where no answer is ever to come nothing is won by waiting for minutes until the client gives up.
const LONGEST_SILENCE: Duration = Duration::from_secs(8);
/// Where chance decides, its decision is told and nothing more.
const LONGEST_CHANCE: Duration = Duration::from_secs(15);

/// Which client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    /// containerd 1.6: as the kubelet pulls, without its interface in between.
    Containerd1,
    /// containerd 2, asked by the kubelet's interface.
    Containerd2,
    /// The other implementation that nodes have, by way of CRI-O and Podman.
    Skopeo,
}

impl Client {
    /// In the order of everything that there is one of for each.
    pub(crate) const ALL: [Self; 3] = [Self::Containerd1, Self::Containerd2, Self::Skopeo];
}

/// How clients fare otherwise than the verdict says, on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Which of them.
    pub(crate) clients: &'static [Client],
    /// Whether it comes out otherwise every time, or as chance has it.
    pub(crate) always: bool,
    /// The reason, as a reader of the table wants it.
    pub(crate) reason: &'static str,
}

/// What becomes of a pull.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It works.
    Pulled,
    /// The client gives up, and says this.
    Failed(String),
    /// The client was still at it when its time was over: it was ended.
    NoEnd,
}

/// Where a pull fails, by what a client says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It may be anywhere.
    Anywhere,
    /// This is in it.
    With(&'static str),
    /// This is not in it.
    Without(&'static str),
}

/// What is to become of the pulls.
#[derive(Clone, Debug)]
pub(crate) struct Expectation<'state> {
    /// Whether the verdict claims that they work; nothing where it claims nothing.
    pub(crate) works: Option<bool>,
    /// Whether they get no answer at all at some point, and wait.
    pub(crate) silent: bool,
    /// What each client says when it gives up.
    pub(crate) words: [&'static str; 3],
    pub(crate) place: Place,
    /// What is declared of them.
    pub(crate) differences: &'state [Difference],
}

/// One image that clients pull.
pub(crate) struct Order<'order> {
    pub(crate) image: String,
    /// A docker configuration.
    pub(crate) credentials: &'order Path,
    /// Users and passwords of it, in the order in which the kubelet tries them; without any the pull is anonymous.
    pub(crate) users: Vec<(String, String)>,
    /// Whether the node trusts the registry.
    pub(crate) trusted: bool,
    pub(crate) node: &'order Node,
    /// How long it may take.
    pub(crate) limit: Duration,
}

/// What became of the pulls, in the order of `Client::ALL`; nothing of a client that is not there.
#[derive(Clone, Debug)]
pub(crate) struct Pulled {
    pub(crate) fates: [Option<Fate>; 3],
}

/// Whether Debian's clients are there.
pub(crate) fn are_possible() -> bool {
    PROGRAMS.iter().all(|program| find(program).is_some())
}

/// Lets all pull at once; nothing is left of it.
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

/// Pulls with one user after the other until it works, as the kubelet does; what is said is said by all of them.
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
    /// What was neither as expected nor declared.
    pub(crate) fn problems(&self, expectation: &Expectation<'_>) -> Vec<String> {
        let clients = Client::ALL.into_iter().zip(&self.fates).zip(expectation.words);
        clients
            .filter_map(|((client, fate), words)| expectation.problem(client, fate.as_ref()?, words))
            .collect()
    }
}

impl Expectation<'_> {
    /// How long a pull may take.
    pub(crate) fn limit(&self) -> Duration {
        if self.differences.iter().any(|difference| !difference.always) {
            LONGEST_CHANCE
        } else if self.silent {
            LONGEST_SILENCE
        } else {
            LONGEST_PULL
        }
    }

    /// What is declared of a client.
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
            (_, Fate::NoEnd) => Some(format!("{client:?} came to no end in {} s", self.limit().as_secs())),
            (Some(false), Fate::Pulled) => Some(format!("{client:?} comes out otherwise: it works")),
            (Some(true), Fate::Failed(said)) => Some(format!("{client:?} comes out otherwise: {said}")),
            (Some(false), Fate::Failed(said)) if self.silent => {
                Some(format!("{client:?} gives up where it is to wait in vain: {said}"))
            }
            (Some(false) | None, Fate::Failed(said)) => {
                let cause = !words.is_empty() && said.contains(words);
                let place = match self.place {
                    Place::Anywhere => true,
                    Place::With(text) => said.contains(text),
                    Place::Without(text) => !said.contains(text),
                };
                let told = || format!("{client:?} does not say {words:?}, {:?}: {said}", self.place);
                (!cause || !place).then(told)
            }
        }
    }
}

/// A program in a mount namespace where resolv.conf is the state's; the mount is seen by the program alone.
fn seen_from_the_node(folder: &Path, program: &Path) -> Command {
    let script = r#"mount --bind "$1" /etc/resolv.conf && shift && exec "$@""#;
    let mut wrapped = command("unshare");
    wrapped.args(["--mount", "sh", "-c", script, "sh"]).arg(folder.join("resolv.conf"));
    wrapped.arg(program).env("HOME", folder);
    wrapped
}

/// A client there, which is ended after so long.
fn on_the_node(folder: &Path, program: &str, limit: Duration) -> Command {
    let mut wrapped = seen_from_the_node(folder, &find("timeout").expect("it is in every system"));
    wrapped.arg("--kill-after=1").arg(limit.as_secs().to_string());
    wrapped.arg(find(program).expect("it was looked for"));
    wrapped
}

/// What became of a client. The queries of links are left out of what it says: any word may be in a signature.
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
fn what_a_client_says_keeps_no_query() {
    let said = "Get \\\"https://data.example/?s=403&t=x509\\\": EOF, and Get \"https://a.example/?d\": 401 ?";
    let kept = "Get \\\"https://data.example/?…\\\": EOF, and Get \"https://a.example/?…\": 401 ?…";
    assert_eq!(without_queries(said), kept);
}
