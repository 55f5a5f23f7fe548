//! Where the programs of Kubernetes are, or that the tests go without.
//!
//! Owns the question and its answer. Leaves alone the search and the build: `tests/cluster/servers` does them.

use std::env;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster/servers");

/// The folder that holds kube-apiserver, kubectl and etcd; `None` where they cannot be had, which has been said then.
///
/// # Panics
/// Where `ACR_VERIFIER_REQUIRE_CLUSTER` is `1` and they cannot be had.
pub(crate) fn folder() -> Option<PathBuf> {
    static FOUND: LazyLock<Result<PathBuf, String>> = LazyLock::new(find);
    match &*FOUND {
        Ok(folder) => Some(folder.clone()),
        Err(reason) => {
            assert!(!required(), "the tests of Events have no servers: {reason}");
            // Past the capture of the test harness: a skip that nobody sees looks like a pass.
            writeln!(io::stderr(), "\nSKIPPED events: {reason}").ok();
            None
        }
    }
}

/// Whether going without is a failure. Then they are built too, which nobody expects of a plain `cargo test`.
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
