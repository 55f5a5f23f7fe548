//! The credential provider of AKS nodes, `acr-credential-provider`: where it is, and whether it is required.
//!
//! The script `plugin` builds it; `identity/kubelet.rs` runs it as the kubelet does.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Requires the program, which is built rather than installed.
const REQUIRE: &str = "ACR_VERIFIER_REQUIRE_PLUGIN";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/namespaces/plugin");

/// Returns the path of the program, or why it is missing.
pub(crate) fn find() -> Result<PathBuf, String> {
    let output = Command::new(SCRIPT).arg("--find").stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{SCRIPT} does not run: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim_end().to_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().last().map(PathBuf::from).ok_or_else(|| format!("{SCRIPT} printed no path"))
}

/// Returns whether the program is required.
pub(crate) fn is_required() -> bool {
    std::env::var(REQUIRE).is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}
