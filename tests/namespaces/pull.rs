//! A real client on the same node: whether a pull of skopeo's fares as the report says.
//!
//! Owns the call of skopeo, with the node's resolv.conf in a mount namespace of its own.

use std::path::Path;

use super::network::Namespace;
use super::process::command;
use super::requirements::find;

/// The client.
pub(crate) const PROGRAM: &str = "skopeo";
/// A pull that gets no answer would wait for minutes.
const LONGEST_PULL: &str = "2s";

/// What becomes of a pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pull {
    Works,
    /// It fails, and the client says this.
    Fails(&'static str),
}

/// Whether the client is there.
pub(crate) fn is_possible() -> bool {
    find(PROGRAM).is_some()
}

/// Pulls an image, and tells what was not as expected.
pub(crate) fn problem(
    expected: Pull,
    node: &Namespace,
    folder: &Path,
    image: &str,
    credentials: &Path,
    trusted: bool,
) -> Option<String> {
    let target = folder.join("pulled");
    let certificates = folder.join(if trusted { "trusted" } else { "untrusted" });
    let client = find(PROGRAM)?;
    // The mount is seen by the client alone.
    let script = r#"mount --bind "$1" /etc/resolv.conf && shift && exec "$@""#;
    let mut program = command("unshare");
    program.env("HOME", folder).args(["--mount", "sh", "-c", script, "sh"]).arg(folder.join("resolv.conf"));
    program.arg(client).args(["--insecure-policy", "--command-timeout", LONGEST_PULL, "copy"]);
    program.arg("--src-authfile").arg(credentials).arg("--src-cert-dir").arg(certificates);
    program.arg(format!("docker://{image}")).arg(format!("dir:{}", target.display()));
    let output = node.run(|| program.output().expect("unshare is there"));
    // Nothing is there where nothing was pulled.
    let _ = std::fs::remove_dir_all(target);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    match (expected, output.status.success()) {
        (Pull::Works, true) => None,
        (Pull::Fails(text), false) if said.contains(text) => None,
        (expected, _) => Some(format!("a real pull: expected {expected:?}, and it says: {said}")),
    }
}
