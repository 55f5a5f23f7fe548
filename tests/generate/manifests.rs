//! The manifests for those who do not use Helm: the chart, rendered with the values next to them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::{File, ROOT};

const HEAD: &str = "\
# Rendered from deploy/chart with the values in this folder; do not edit. To render it again:
#   cargo run --package generate
# The image is not published yet: see kustomization.yaml.
";

/// Returns the path of Helm, or why it is missing.
pub fn helm() -> Result<PathBuf, String> {
    let script = Path::new(ROOT).join("tests/cluster/servers");
    let output = Command::new(&script).args(["--find", "helm"]).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{} does not run: {error}", script.display()))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim_end().to_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let folder = text.lines().last().ok_or("tests/cluster/servers printed no folder")?;
    Ok(Path::new(folder).join("helm"))
}

/// Renders the manifests.
///
/// # Panics
/// If Helm rejects the chart.
pub fn file(helm: &Path) -> File {
    // A separate home folder: the user's own Helm configuration must not matter.
    let home = tempfile::tempdir().expect("a folder");
    let output = Command::new(helm)
        .args(["template", "acr-verifier", "deploy/chart", "--namespace", "acr-verifier"])
        .args(["--values", "deploy/manifests/values.yaml"])
        .current_dir(ROOT)
        .env_clear()
        .env("HOME", home.path())
        .stdin(Stdio::null())
        .output()
        .expect("helm starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rendered = String::from_utf8(output.stdout).expect("YAML in UTF-8");
    let text = format!("{HEAD}{}", rendered.trim_start_matches('\n'));
    // By value: versions of Helm differ in blank lines and in the order of objects.
    let is_equal = |committed: &str, generated: &str| {
        committed.starts_with(HEAD) && objects(committed) == objects(generated)
    };
    File { path: "deploy/manifests/acr-verifier.yaml".to_owned(), text, is_equal }
}

/// Returns the objects, sorted, because Helm's order of them is arbitrary.
fn objects(text: &str) -> Vec<Value> {
    let mut objects: Vec<Value> = serde_saphyr::from_multiple(text).unwrap_or_default();
    objects.retain(|object| !object.is_null());
    objects.sort_by_key(|object| {
        ["kind", "namespace", "name"].map(|key| {
            let value = if key == "kind" { &object[key] } else { &object["metadata"][key] };
            value.as_str().unwrap_or_default().to_owned()
        })
    });
    objects
}
