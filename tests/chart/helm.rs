//! Runs Helm on the chart and parses the rendered objects.
//!
//! Locates the programs, or skips the tests. `tests/cluster/servers` and `tests/chart/tools` install and build them.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// Requires Helm and the validators.
const REQUIRE: &str = "ACR_VERIFIER_REQUIRE_CHART";

/// Tested variants of the chart, with the values files of each, relative to the chart.
pub(crate) const VARIANTS: [(&str, &[&str]); 9] = [
    ("minimal", &["ci/minimal-values.yaml"]),
    ("everything", &["ci/everything-values.yaml"]),
    ("aks-automatic", &["values-aks-automatic.yaml", "ci/aks-automatic-values.yaml"]),
    ("managed-identity", &["values-aks-managed-identity.yaml", "ci/aks-managed-identity-values.yaml"]),
    ("workload-identity", &["values-aks-automatic.yaml", "ci/aks-workload-identity-values.yaml"]),
    ("quiet", &["ci/quiet-values.yaml"]),
    ("gitops", &["ci/gitops-values.yaml"]),
    ("cronjob", &["ci/cronjob-values.yaml"]),
    ("manifests", &["../manifests/values.yaml"]),
];

/// Whether the agents of a variant run on the host network.
pub(crate) fn is_on_host(variant: &str) -> bool {
    !["aks-automatic", "workload-identity", "cronjob"].contains(&variant)
}

/// Returns a path in the checkout.
pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(ROOT).join(name)
}

/// Returns the folder of the chart.
pub(crate) fn chart() -> PathBuf {
    path("deploy/chart")
}

/// Helm and kubectl.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    folder: PathBuf,
}

/// Returns the programs, or `None` after a skip was reported.
///
/// # Panics
/// If `ACR_VERIFIER_REQUIRE_CHART` is `1` and a program is missing.
pub(crate) fn programs() -> Option<Programs> {
    static FOUND: LazyLock<Option<PathBuf>> =
        LazyLock::new(|| find("tests/cluster/servers", &["helm", "kubectl"]));
    FOUND.clone().map(|folder| Programs { folder })
}

/// Returns the folder of the validators, like [`programs`].
pub(crate) fn validators() -> Option<PathBuf> {
    static FOUND: LazyLock<Option<PathBuf>> = LazyLock::new(|| find("tests/chart/tools", &[]));
    FOUND.clone()
}

fn find(script: &str, arguments: &[&str]) -> Option<PathBuf> {
    let mut command = Command::new(path(script));
    // A plain `cargo test` must not build or install anything.
    if !support::is_required(REQUIRE) {
        command.arg("--find");
    }
    let output = command.args(arguments).stdin(Stdio::null()).output().expect("a script of ours starts");
    if output.status.success() {
        let text = String::from_utf8(output.stdout).expect("a path in UTF-8");
        return Some(PathBuf::from(text.lines().last().expect("the script prints a folder")));
    }
    let reason = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
    support::skip(REQUIRE, "chart", &reason);
    None
}

impl Programs {
    pub(crate) fn helm_path(&self) -> PathBuf {
        self.folder.join("helm")
    }

    pub(crate) fn kubectl_path(&self) -> PathBuf {
        self.folder.join("kubectl")
    }

    /// Runs Helm and returns its standard output, or its standard error if it fails.
    pub(crate) fn helm(&self, arguments: &[&str]) -> Result<String, String> {
        // A separate home folder: the user's own Helm configuration must not matter.
        let home = tempfile::tempdir().expect("a folder");
        let output = Command::new(self.helm_path())
            .args(arguments)
            .env_clear()
            .env("HOME", home.path())
            .stdin(Stdio::null())
            .output()
            .expect("helm starts");
        if output.status.success() {
            return Ok(String::from_utf8(output.stdout).expect("YAML in UTF-8"));
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Renders a chart with the release name and namespace of the README.
    pub(crate) fn template(&self, chart: &Path, arguments: &[&str]) -> Result<String, String> {
        let chart = chart.to_str().expect("a path in UTF-8");
        let all = ["template", "acr-verifier", chart, "--namespace", "acr-verifier"];
        self.helm(&[&all, arguments].concat())
    }

    /// Returns the objects of a variant, rendered with additional arguments.
    pub(crate) fn objects(&self, variant: &str, arguments: &[&str]) -> Vec<Value> {
        let files = values_of(variant);
        let mut all: Vec<&str> = files.iter().flat_map(|file| ["--values", file.as_str()]).collect();
        all.extend(arguments);
        parse(&self.template(&chart(), &all).unwrap_or_else(|error| panic!("{variant}: {error}")))
    }

    /// Runs kubectl without a cluster.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        let output = Command::new(self.kubectl_path()).args(arguments).output().expect("kubectl starts");
        if output.status.success() {
            return Ok(String::from_utf8(output.stdout).expect("YAML in UTF-8"));
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// Returns the values files of a variant.
pub(crate) fn values_of(variant: &str) -> Vec<String> {
    let (_, files) = VARIANTS.iter().find(|(name, _)| *name == variant).expect("a variant");
    files.iter().map(|file| chart().join(file).to_str().expect("a path in UTF-8").to_owned()).collect()
}

/// Returns the non-empty documents of a YAML text.
pub(crate) fn parse(text: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).expect("YAML");
    documents.into_iter().filter(|document| !document.is_null()).collect()
}

/// Returns the only object of a kind.
pub(crate) fn the<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let found: Vec<&Value> = objects.iter().filter(|object| object["kind"] == kind).collect();
    assert_eq!(found.len(), 1, "one {kind}");
    found[0]
}

/// Returns the Pod specification of the agent's DaemonSet.
pub(crate) fn agent(objects: &[Value]) -> &Value {
    &the(objects, "DaemonSet")["spec"]["template"]["spec"]
}

/// Returns the specification of the smoke check's Job, whose kind depends on the mode.
pub(crate) fn smoke_job(objects: &[Value]) -> &Value {
    let specification = |object: &'_ Value| match object["kind"].as_str() {
        Some("Job") => Some("/spec"),
        Some("CronJob") => Some("/spec/jobTemplate/spec"),
        _ => None,
    };
    let jobs: Vec<&Value> =
        objects.iter().filter_map(|object| object.pointer(specification(object)?)).collect();
    assert_eq!(jobs.len(), 1, "one smoke check");
    jobs[0]
}

/// Returns the text of the agent's configuration file.
pub(crate) fn configuration(objects: &[Value]) -> &str {
    the(objects, "ConfigMap")["data"]["config.yaml"].as_str().expect("a text")
}

/// Returns a copy of the chart that a test may change.
pub(crate) fn copy() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    copy_folder(&chart(), folder.path());
    folder
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir(&target).expect("a folder");
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).expect("a file");
        }
    }
}

#[test]
fn every_values_file_is_a_variant() {
    let listed: BTreeSet<String> = VARIANTS.iter().flat_map(|(name, _)| values_of(name)).collect();
    let folders = [chart().join("ci"), chart()];
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).expect("a folder"));
    let files = files.map(|entry| entry.expect("an entry").path().to_str().expect("UTF-8").to_owned());
    let values: Vec<String> =
        files.filter(|file| file.contains("values-") || file.contains("-values")).collect();
    assert_eq!(values.len(), 10, "{values:?}");
    for file in values {
        assert!(listed.contains(&file), "{file} is not tested");
    }
}
