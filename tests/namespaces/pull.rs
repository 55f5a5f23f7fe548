//! Real clients on the same node: whether their pulls fare as the verdict says.
//!
//! Owns the two clients, what is declared of them in a state, and the comparison. Both have the node's network, and its
//! resolv.conf in a mount namespace of their own.

mod containerd;
mod skopeo;

use std::path::Path;
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

pub(crate) use self::containerd::Containerd;
use super::network::Namespace;
use super::process::command;
use super::requirements::find;

/// What is looked for to have both clients, and to look after containerd.
pub(crate) const PROGRAMS: [&str; 3] = ["containerd", "ctr", "skopeo"];

/// A pull that works may take its time: Go's resolver waits for 5 s at a nameserver that is gone, at each name again.
const LONGEST_PULL: Duration = Duration::from_secs(60);
/// Where none is to work nothing is won by waiting for minutes until the client gives up what was dropped.
const LONGEST_FAILURE: Duration = Duration::from_secs(8);

/// Where chance decides, its decision is told and nothing more.
const LONGEST_CHANCE: Duration = Duration::from_secs(15);

/// Which client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    /// As the kubelet pulls, without its interface in between.
    Containerd,
    /// The other implementation that nodes have, by way of CRI-O and Podman.
    Skopeo,
}

/// How clients fare otherwise than the verdict says, on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Which of them; both where none is named.
    pub(crate) client: Option<Client>,
    /// Whether it comes out otherwise every time, or as chance has it.
    pub(crate) always: bool,
    /// The reason, as a reader of the table wants it.
    pub(crate) reason: &'static str,
}

/// One image that clients pull.
pub(crate) struct Order<'order> {
    pub(crate) image: String,
    /// A docker configuration.
    pub(crate) credentials: &'order Path,
    /// User and password of it; without, containerd asks as nobody.
    pub(crate) user: Option<(String, String)>,
    pub(crate) trusted: bool,
    /// How long it may take.
    pub(crate) limit: Duration,
}

/// What became of the pulls.
#[derive(Clone, Debug)]
pub(crate) struct Pulled {
    pub(crate) containerd: Result<(), String>,
    pub(crate) skopeo: Result<(), String>,
}

/// How long a pull may take where the verdict claims something, with what is declared of the clients.
pub(crate) fn limit(claim: Option<bool>, differences: &[Difference]) -> Duration {
    match (claim, differences) {
        (_, [difference, ..]) if !difference.always => LONGEST_CHANCE,
        (Some(true), _) | (_, [_, ..]) => LONGEST_PULL,
        (Some(false) | None, []) => LONGEST_FAILURE,
    }
}

/// Whether the clients are there.
pub(crate) fn are_possible() -> bool {
    PROGRAMS.iter().all(|program| find(program).is_some())
}

/// Lets both pull at once; nothing is left of it.
pub(crate) fn pull(containerd: &Containerd, node: &Namespace, folder: &Path, order: &Order<'_>) -> Pulled {
    thread::scope(|scope| {
        let one = scope.spawn(|| containerd.pull(node, folder, order));
        let other = scope.spawn(|| skopeo::pull(node, folder, order));
        let joined = |result: thread::Result<Result<(), String>>| {
            result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        Pulled { containerd: joined(one.join()), skopeo: joined(other.join()) }
    })
}

impl Pulled {
    /// What was not as the verdict says (`works`), and not declared either.
    pub(crate) fn problems(
        &self,
        works: bool,
        differences: &[Difference],
        says: Option<&'static str>,
    ) -> Vec<String> {
        let mut problems = Vec::new();
        for (client, result) in [(Client::Containerd, &self.containerd), (Client::Skopeo, &self.skopeo)] {
            let declared = differences.iter().find(|it| it.client.is_none_or(|named| named == client));
            let agrees = result.is_ok() == works;
            let said = result.as_ref().err().map_or("it works", String::as_str);
            match declared {
                Some(difference) if difference.always && agrees => {
                    problems.push(format!("{client:?} agrees, which is declared to be impossible: {said}"));
                }
                None if !agrees => problems.push(format!("{client:?} comes out otherwise: {said}")),
                Some(_) | None => {}
            }
        }
        if let (Some(says), Err(said)) = (says, &self.skopeo)
            && !said.contains(says)
        {
            problems.push(format!("skopeo does not say {says}: {said}"));
        }
        problems
    }
}

/// A client in a mount namespace where resolv.conf is the state's; the mount is seen by the client alone.
fn on_the_node(folder: &Path, program: &str, limit: Duration) -> Command {
    let script = r#"mount --bind "$1" /etc/resolv.conf && shift && exec "$@""#;
    let mut wrapped = command("unshare");
    wrapped.args(["--mount", "sh", "-c", script, "sh"]).arg(folder.join("resolv.conf"));
    wrapped.args(["timeout", "--kill-after=1"]).arg(limit.as_secs().to_string());
    wrapped.arg(find(program).expect("it was looked for")).env("HOME", folder);
    wrapped
}

/// What a client says, or that its time was over.
fn outcome(output: &Output) -> Result<(), String> {
    match output.status.code() {
        Some(0) => Ok(()),
        Some(124 | 137) => Err("no end in time".to_owned()),
        Some(_) | None => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}
