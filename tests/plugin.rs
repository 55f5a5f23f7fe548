//! The program as a plugin of kubectl: the real kubectl runs it, and the real krew installs it from a release's archive.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest as _, Sha256};

use crate::PROGRAM;
use crate::chart::helm;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const REQUIRE: &str = "ACR_VERIFIER_REQUIRE_KREW";
const MANIFEST: &str = include_str!("../deploy/krew/acr-verifier.yaml");
const WORKFLOW: &str = include_str!("../.github/workflows/release.yml");

/// Runs a program and returns its standard output; `folders` are searched for programs before the system's.
fn run(program: &Path, arguments: &[&str], folders: &[&Path], environment: &[(&str, &Path)]) -> String {
    let system = ["/usr/bin", "/bin"].map(PathBuf::from);
    let path = std::env::join_paths(folders.iter().map(|folder| folder.to_path_buf()).chain(system));
    let output = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", path.expect("paths"))
        .env("KREW_NO_UPGRADE_CHECK", "1")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("the program starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{arguments:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// A folder with the plugin and its completion, as links.
fn linked() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["kubectl-acr_verifier", "kubectl_complete-acr_verifier"] {
        symlink(PROGRAM, folder.path().join(name)).expect("a link");
    }
    folder
}

#[test]
fn kubectl_lists_runs_and_completes_the_plugin() {
    let Some(programs) = helm::programs() else { return };
    let (kubectl, folder) = (programs.kubectl_path(), linked());
    let home = tempfile::tempdir().expect("a folder");
    let kubectl = |arguments: &[&str]| run(&kubectl, arguments, &[folder.path()], &[("HOME", home.path())]);
    let listed = kubectl(&["plugin", "list", "--name-only"]);
    assert!(listed.ends_with("\nkubectl-acr_verifier\n"), "{listed}");
    let help = kubectl(&["acr-verifier", "smoke", "--help"]);
    assert!(help.contains("Usage: kubectl acr-verifier smoke [OPTIONS]"), "{help}");
    assert!(help.contains("\n    kubectl acr-verifier smoke\n"), "{help}");
    let causes = kubectl(&["acr-verifier", "causes", "--output", "json"]);
    assert!(causes.contains("private_zone_not_linked"), "{causes}");
    for (words, expected) in [
        (["acr-verifier", "smo"], "smoke\tTrigger a check on every node"),
        (["acr-verifier", ""], "discover\tList the images that a cluster uses"),
    ] {
        let values = kubectl(&[&["__complete"], &words[..]].concat());
        assert!(values.contains(expected) && values.contains(":4\n"), "{words:?}: {values}");
    }
    let flags = kubectl(&["__complete", "acr-verifier", "smoke", "--kube"]);
    assert!(flags.starts_with("--kubeconfig\t"), "{flags}");
}

/// Returns krew's program, or `None` after a skip was reported.
fn krew() -> Option<PathBuf> {
    let mut command = Command::new(Path::new(ROOT).join("tests/plugin/krew"));
    if !support::is_required(REQUIRE) {
        command.arg("--find");
    }
    let output = command.stdin(Stdio::null()).output().expect("a script of ours starts");
    if output.status.success() {
        return Some(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim_end()));
    }
    support::skip(REQUIRE, "plugin", String::from_utf8_lossy(&output.stderr).trim_end());
    None
}

/// Packs the program as the release workflow does, with its own commands.
fn pack(folder: &Path) -> PathBuf {
    let commands =
        WORKFLOW.split("      - name: Binaries\n").nth(1).and_then(|rest| rest.split("\n      - ").next());
    let commands = commands.and_then(|step| step.split("run: |\n").nth(1)).expect("the step's script");
    let build = "\"$(deploy/build --arch \"$arch\")\"";
    assert!(commands.contains(build), "{commands}");
    for file in ["LICENSE", "README.md", "CHANGELOG.md"] {
        fs::copy(Path::new(ROOT).join(file), folder.join(file)).expect("a file");
    }
    let script = commands.replace(build, "\"$PROGRAM\"").replace("amd64 arm64", "amd64");
    let status = Command::new("bash")
        .args(["-euc", &script])
        .current_dir(folder)
        .envs([("VERSION", "1.2.3"), ("PROGRAM", PROGRAM)])
        .status();
    assert!(status.is_ok_and(|status| status.success()));
    folder.join("target/files/acr-verifier-1.2.3-linux-amd64.tar.gz")
}

/// Fills in the manifest with the release workflow's own command.
fn manifest(folder: &Path) -> PathBuf {
    let is_ours = |line: &&str| {
        line.starts_with("sum() ")
            || line.contains("64=$(sum ")
            || line.ends_with("> target/files/acr-verifier.yaml")
    };
    let commands: Vec<_> = WORKFLOW.lines().map(str::trim).filter(is_ours).collect();
    assert_eq!(commands.len(), 4, "{commands:?}");
    fs::create_dir_all(folder.join("deploy/krew")).expect("a folder");
    fs::write(folder.join("deploy/krew/acr-verifier.yaml"), MANIFEST).expect("a file");
    let other = folder.join("target/files/acr-verifier-1.2.3-linux-arm64.tar.gz");
    fs::write(other, "").expect("a file");
    let status = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &commands.join("\n")])
        .current_dir(folder)
        .env("VERSION", "1.2.3")
        .status();
    assert!(status.is_ok_and(|status| status.success()));
    folder.join("target/files/acr-verifier.yaml")
}

#[test]
fn krew_installs_the_archive_of_a_release_and_kubectl_runs_it() {
    let (Some(krew), Some(programs)) = (krew(), helm::programs()) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let archive = pack(folder.path());
    let manifest = manifest(folder.path());
    let text = fs::read_to_string(&manifest).expect("the manifest");
    let bytes = Sha256::digest(fs::read(&archive).expect("the archive"));
    let sum: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(text.contains(&sum) && !text.contains("VERSION") && !text.contains("SHA256_"), "{text}");
    let home = folder.path().join("krew");
    let installed = |program: &Path, arguments: &[&str]| {
        run(program, arguments, &[&home.join("bin")], &[("KREW_ROOT", &home), ("HOME", folder.path())])
    };
    let option = |name: &str, path: &Path| format!("--{name}={}", path.display());
    installed(&krew, &["install", &option("manifest", &manifest), &option("archive", &archive)]);
    let version = installed(&programs.kubectl_path(), &["acr-verifier", "--version"]);
    assert_eq!(version, concat!("acr-verifier ", env!("CARGO_PKG_VERSION"), "\n"));
    // The caveats of the manifest, run as they are.
    let caveats = text.split("run once:\n").nth(1).and_then(|rest| rest.split("  platforms:").next());
    installed(Path::new("/bin/bash"), &["-euc", caveats.expect("the commands")]);
    let values = installed(&programs.kubectl_path(), &["__complete", "acr-verifier", "disc"]);
    assert!(values.starts_with("discover\t"), "{values}");
}
