//! The credential provider of AKS nodes, `acr-credential-provider`: where it is, and whether it is required.
//!
//! `tests/namespaces/plugin` builds it. The namespaces suite runs it as the kubelet does, the cluster suite gives it to one.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Requires the program, which is built rather than installed.
const REQUIRE: &str = "ACR_VERIFIER_REQUIRE_PLUGIN";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../namespaces/plugin");

/// Returns the path of the program, or why it is missing.
pub fn find() -> Result<PathBuf, String> {
    let output = Command::new(SCRIPT).arg("--find").stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{SCRIPT} does not run: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim_end().to_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().last().map(PathBuf::from).ok_or_else(|| format!("{SCRIPT} printed no path"))
}

/// Reports tests that cannot run without the program, or fails if it is required.
#[track_caller]
pub fn skip(tests: &str, reason: &str) {
    crate::skip(REQUIRE, tests, reason);
}
