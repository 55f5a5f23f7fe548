//! Third-party validators: Helm's lint, the Kubernetes schemas, a policy scan.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::helm::{self, Programs, VARIANTS};

/// Kubernetes versions whose schemas the objects are validated against, starting with the chart's `kubeVersion`.
pub(crate) const KUBERNETES: [&str; 8] = ["1.30", "1.31", "1.32", "1.33", "1.34", "1.35", "1.36", "1.37"];

/// Excluded checks of the policy scan, each with its reason.
const LEFT_OUT: [(&str, &str); 4] = [
    ("CKV_K8S_21", "Events about Nodes live in `default`, and so does the Role for them"),
    ("CKV_K8S_43", "a digest can be set: the default is the tag of the chart's version"),
    ("CKV_K8S_15", "an image pulled at every start prevents a start during a registry outage"),
    (
        "CKV2_K8S_6",
        "no effect on the host network, and the smoke check only connects to agents and API server",
    ),
];
/// Also excluded, except for the variants on the pod network.
const HOST_NETWORK: (&str, &str) = ("CKV_K8S_19", "the agent checks the host network");

fn render_into(programs: &Programs, folder: &Path) -> Vec<(&'static str, PathBuf)> {
    VARIANTS
        .iter()
        .map(|(variant, _)| {
            let files = helm::values_of(variant);
            let arguments: Vec<&str> = files.iter().flat_map(|file| ["--values", file.as_str()]).collect();
            let text = programs.template(&helm::chart(), &arguments).expect("it renders");
            let file = folder.join(format!("{variant}.yaml"));
            fs::write(&file, text).expect("a file");
            (*variant, file)
        })
        .collect()
}

fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().expect("the validator starts");
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(text) } else { Err(text) }
}

#[test]
fn helm_lint_passes() {
    let Some(programs) = helm::programs() else { return };
    let chart = helm::chart();
    for (variant, _) in VARIANTS {
        let files = helm::values_of(variant);
        let mut arguments = vec!["lint", "--strict", "--quiet", chart.to_str().expect("UTF-8")];
        arguments.extend(files.iter().flat_map(|file| ["--values", file.as_str()]));
        let text = programs.helm(&arguments).unwrap_or_else(|error| panic!("{variant}: {error}"));
        assert!(!text.contains("[WARNING]") && !text.contains("[ERROR]"), "{variant}: {text}");
    }
}

#[test]
fn the_packaged_chart_excludes_test_files() {
    let Some(programs) = helm::programs() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let chart = helm::chart();
    let arguments =
        ["package", chart.to_str().expect("UTF-8"), "--destination", folder.path().to_str().expect("UTF-8")];
    programs.helm(&arguments).expect("it packs");
    let version = env!("CARGO_PKG_VERSION");
    let archive = folder.path().join(format!("acr-verifier-{version}.tgz"));
    let listing =
        run(Command::new("tar").arg("-tzf").arg(&archive)).expect("an archive of the program's own version");
    for name in [
        "Chart.yaml",
        "values.yaml",
        "values.schema.json",
        "values-aks-automatic.yaml",
        "values-aks-managed-identity.yaml",
        "README.md",
        "templates/NOTES.txt",
    ] {
        assert!(listing.contains(&format!("acr-verifier/{name}\n")), "{name}: {listing}");
    }
    assert!(!listing.contains("/ci/"), "{listing}");
}

#[test]
fn the_chart_rejects_older_kubernetes_versions() {
    let Some(programs) = helm::programs() else { return };
    let files = helm::values_of("minimal");
    for (version, is_taken) in [("1.29.9", false), ("1.30.0", true), ("1.33.5-aks.1", true)] {
        let arguments = ["--values", files[0].as_str(), "--kube-version", version];
        assert_eq!(programs.template(&helm::chart(), &arguments).is_ok(), is_taken, "{version}");
    }
}

#[test]
fn the_objects_match_the_schemas_of_every_supported_kubernetes() {
    let (Some(programs), Some(validators)) = (helm::programs(), helm::validators()) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let files = render_into(&programs, folder.path());
    let validator = validators.join("kubernetes-validate");
    for version in KUBERNETES {
        let mut command = Command::new(&validator);
        command.args(["--strict", "-k", version]).args(files.iter().map(|(_, file)| file));
        let text = run(&mut command).unwrap_or_else(|error| panic!("{version}: {error}"));
        assert!(text.contains("daemonset/acr-verifier against version"), "{version}: {text}");
        // CRDs of operators have no Kubernetes schema; `monitoring` checks their content.
        let unknown = text.lines().filter(|line| line.starts_with("WARN"));
        assert!(unknown.clone().all(|line| line.contains("kind PodMonitor")), "{version}: {text}");
    }
    // A violation is reported.
    let broken = folder.path().join("broken.yaml");
    let text =
        fs::read_to_string(&files[0].1).expect("a file").replace("minReadySeconds:", "minReadySecond:");
    fs::write(&broken, text).expect("a file");
    run(Command::new(&validator).args(["--strict", "-k", KUBERNETES[0]]).arg(&broken))
        .expect_err("an unknown key");
}

#[test]
fn the_policy_scan_passes() {
    let (Some(programs), Some(validators)) = (helm::programs(), helm::validators()) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let files = render_into(&programs, folder.path());
    for on_host in [true, false] {
        let mut checks: Vec<&str> = LEFT_OUT.iter().map(|(check, _)| *check).collect();
        if on_host {
            checks.push(HOST_NETWORK.0);
        }
        let mut command = Command::new(validators.join("checkov"));
        command.args([
            "--quiet",
            "--compact",
            "--skip-download",
            "--framework",
            "kubernetes",
            "--skip-check",
        ]);
        command.arg(checks.join(","));
        for (_, file) in files.iter().filter(|(variant, _)| helm::is_on_host(variant) == on_host) {
            command.arg("--file").arg(file);
        }
        // A separate folder, because it reads settings from where it is started.
        let text = run(command.current_dir(folder.path())).unwrap_or_else(|error| panic!("{error}"));
        assert!(!text.contains("FAILED"), "{text}");
    }
    // A violation is reported: here the host network is not excluded.
    let mut command = Command::new(validators.join("checkov"));
    command.args([
        "--quiet",
        "--compact",
        "--skip-download",
        "--framework",
        "kubernetes",
        "--check",
        HOST_NETWORK.0,
    ]);
    let text =
        run(command.current_dir(folder.path()).arg("--file").arg(&files[0].1)).expect_err("the host network");
    assert!(text.contains(HOST_NETWORK.0), "{text}");
}
