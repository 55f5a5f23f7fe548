//! Locates the Kubernetes programs, or skips the tests.
//!
//! `tests/cluster/servers` does the search and the build.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

/// Missing programs are then a failure. They are built as well, unlike in a plain `cargo test`.
const REQUIRE: &str = "ACR_VERIFIER_REQUIRE_CLUSTER";
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
            support::skip(REQUIRE, "events", reason);
            None
        }
    }
}

fn find() -> Result<PathBuf, String> {
    let mut command = Command::new(SCRIPT);
    if !support::is_required(REQUIRE) {
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
