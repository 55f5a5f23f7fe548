//! Locates the Kubernetes programs, or skips the tests.
//!
//! `tests/cluster/servers` does the search and the build.

use std::env;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster/servers");

/// Returns the folder with kube-apiserver, kubectl and etcd. Prints the reason and returns `None` if they are missing.
///
/// # Panics
/// If they are missing and `ACR_VERIFIER_REQUIRE_CLUSTER` is `1`.
pub(crate) fn folder() -> Option<PathBuf> {
    static FOUND: LazyLock<Result<PathBuf, String>> = LazyLock::new(find);
    match &*FOUND {
        Ok(folder) => Some(folder.clone()),
        Err(reason) => {
            assert!(!required(), "the tests of Events have no servers: {reason}");
            // Bypasses the output capture of the test harness, since a hidden skip looks like a pass.
            writeln!(io::stderr(), "\nSKIPPED events: {reason}").ok();
            None
        }
    }
}

/// Returns whether missing programs are a failure. They are built then as well, unlike in a plain `cargo test`.
fn required() -> bool {
    env::var_os("ACR_VERIFIER_REQUIRE_CLUSTER").is_some_and(|value| value == "1")
}

fn find() -> Result<PathBuf, String> {
    let mut command = Command::new(SCRIPT);
    if !required() {
        command.arg("--find");
    }
    let output = command
        .args(["kube-apiserver", "kubectl", "etcd"])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{SCRIPT} does not run: {error}"))?;
    if output.status.success() {
        let text = String::from_utf8_lossy(&output.stdout);
        return text.lines().last().map(PathBuf::from).ok_or_else(|| format!("{SCRIPT} named no folder"));
    }
    Err(String::from_utf8_lossy(&output.stderr).trim_end().to_owned())
}
