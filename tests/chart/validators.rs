//! Other people's judgement of what is rendered: Helm's lint, the schemas of Kubernetes, a policy scan.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::helm::{self, Programs, VARIANTS};

/// The versions of Kubernetes whose schemas the objects are held against: from `kubeVersion` of the chart on.
const KUBERNETES: [&str; 8] = ["1.30", "1.31", "1.32", "1.33", "1.34", "1.35", "1.36", "1.37"];

/// Checks of the policy scan that are left out, each for its reason.
const LEFT_OUT: [(&str, &str); 4] = [
    ("CKV_K8S_21", "Events about Nodes live in `default`, and so does the Role for them"),
    ("CKV_K8S_43", "a digest is a value: the default names the version of the chart"),
    ("CKV_K8S_15", "an image that is pulled at every start cannot start when a registry is away"),
    (
        "CKV2_K8S_6",
        "a NetworkPolicy has no effect on the host network, and the smoke check talks to agents and API server alone",
    ),
];
/// Left out as well, but where the chart is used as on AKS Automatic.
const HOST_NETWORK: (&str, &str) = ("CKV_K8S_19", "the host's network is what is checked");

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
fn helm_has_nothing_to_complain_about() {
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
fn the_chart_can_be_packaged_without_what_only_its_tests_need() {
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
        "README.md",
        "templates/NOTES.txt",
    ] {
        assert!(listing.contains(&format!("acr-verifier/{name}\n")), "{name}: {listing}");
    }
    assert!(!listing.contains("/ci/"), "{listing}");
}

#[test]
fn the_chart_refuses_older_versions_of_kubernetes_than_it_is_validated_for() {
    let Some(programs) = helm::programs() else { return };
    let files = helm::values_of("minimal");
    for (version, is_taken) in [("1.29.9", false), ("1.30.0", true), ("1.33.5-aks.1", true)] {
        let arguments = ["--values", files[0].as_str(), "--kube-version", version];
        assert_eq!(programs.template(&helm::chart(), &arguments).is_ok(), is_taken, "{version}");
    }
}

#[test]
fn the_objects_fit_the_schemas_of_every_supported_kubernetes() {
    let (Some(programs), Some(validators)) = (helm::programs(), helm::validators()) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let files = render_into(&programs, folder.path());
    let validator = validators.join("kubernetes-validate");
    for version in KUBERNETES {
        let mut command = Command::new(&validator);
        command.args(["--strict", "-k", version]).args(files.iter().map(|(_, file)| file));
        let text = run(&mut command).unwrap_or_else(|error| panic!("{version}: {error}"));
        assert!(text.contains("daemonset/acr-verifier against version"), "{version}: {text}");
        // The kinds of operators are not Kubernetes' own; `monitoring` asserts what they hold.
        let unknown = text.lines().filter(|line| line.starts_with("WARN"));
        assert!(unknown.clone().all(|line| line.contains("kind PodMonitor")), "{version}: {text}");
    }
    // And it would say so.
    let broken = folder.path().join("broken.yaml");
    let text =
        fs::read_to_string(&files[0].1).expect("a file").replace("minReadySeconds:", "minReadySecond:");
    fs::write(&broken, text).expect("a file");
    run(Command::new(&validator).args(["--strict", "-k", KUBERNETES[0]]).arg(&broken))
        .expect_err("a key that is wrong");
}

#[test]
fn the_policy_scan_finds_nothing_that_is_not_meant() {
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
        for (_, file) in files.iter().filter(|(variant, _)| (*variant != "aks-automatic") == on_host) {
            command.arg("--file").arg(file);
        }
        // A folder of its own: it looks for settings where it is started.
        let text = run(command.current_dir(folder.path())).unwrap_or_else(|error| panic!("{error}"));
        assert!(!text.contains("FAILED"), "{text}");
    }
    // And it would say so: the host network is not left out here.
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
