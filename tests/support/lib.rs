//! What several test suites and benchmarks share: processes of the program, servers, networks, attacks.
//!
//! The program is always an argument: only the suites of its own package know its path. What only one suite needs stays there.

#![allow(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "only tests use it, and names say what settings and results are"
)]
#![allow(clippy::disallowed_methods, reason = "tests may use the clock and the environment")]

pub mod agent;
pub mod api_server;
pub mod certificates;
pub mod hostile;
pub mod markdown;
#[cfg(target_os = "linux")]
pub mod namespaces;
pub mod prometheus;
#[cfg(target_os = "linux")]
pub mod terminal;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The directories of system programs, even if missing in the user's PATH.
const SYSTEM_FOLDERS: [&str; 5] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin"];

/// Prints a line immediately: the test harness hides the captured output of passing tests, and a hidden skip looks like a pass.
pub fn tell(line: &str) {
    // Standard error may be closed.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Whether a variable such as `ACR_VERIFIER_REQUIRE_CHART` is set: tests that cannot run then fail.
pub fn is_required(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| value == "1")
}

/// Reports a test that cannot run, for the summary of `tests/run`, or fails if the variable requires it.
#[track_caller]
pub fn skip(variable: &str, what: &str, reason: &str) {
    assert!(!is_required(variable), "{what}: {reason} (required by {variable})");
    tell(&format!("\nSKIPPED {what}: {reason}"));
}

/// Finds a program in PATH or a directory of system programs.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(SYSTEM_FOLDERS.map(|folder| Path::new(folder).to_owned()))
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

/// Whether this user may create a mount namespace.
pub fn can_mount() -> bool {
    let mut probe = Command::new("unshare");
    probe.args(["--mount", "mount", "-t", "tmpfs", "none", "/run"]).stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success())
}
