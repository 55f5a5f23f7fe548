//! The image: its contents and size, that it runs, and that its build is reproducible.
//!
//! Tests the image that `tests/run` has built. Without it these tests are skipped, unless it is required.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// Maximum size of the unpacked image in bytes.
const LARGEST: u64 = 8_000_000;

/// The unpacked image.
struct Unpacked {
    layout: TempDir,
    root: TempDir,
    config: Value,
    digest: String,
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn archive() -> Option<PathBuf> {
    let entries = std::fs::read_dir(Path::new(ROOT).join("target/image")).into_iter().flatten().flatten();
    let archive = entries
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "tar"));
    if archive.is_none() {
        let reason = "not built; run deploy/image --output target/image";
        support::skip("ACR_VERIFIER_REQUIRE_CLUSTER", "image", reason);
    }
    archive
}

fn blob(layout: &Path, digest: &str) -> PathBuf {
    layout.join("blobs").join(digest.replace(':', "/"))
}

fn unpack(archive: &Path) -> Unpacked {
    let (layout, root) = (TempDir::new().expect("a folder"), TempDir::new().expect("a folder"));
    // Readable by the image's unprivileged user.
    std::fs::set_permissions(root.path(), std::fs::Permissions::from_mode(0o755)).expect("our own folder");
    run(Command::new("tar")
        .arg("--extract")
        .arg("--file")
        .arg(archive)
        .arg("--directory")
        .arg(layout.path()));
    let read = |digest: &str| -> Value {
        let text = std::fs::read(blob(layout.path(), digest)).expect("a blob of the layout");
        serde_json::from_slice(&text).expect("JSON")
    };
    let digest_of = |value: &Value| value["digest"].as_str().expect("a digest").to_owned();
    let index: Value =
        serde_json::from_slice(&std::fs::read(layout.path().join("index.json")).expect("an index"))
            .expect("JSON");
    let digest = digest_of(&index["manifests"][0]);
    let manifest = read(&digest_of(&read(&digest)["manifests"][0]));
    let config = read(&digest_of(&manifest["config"]));
    for layer in manifest["layers"].as_array().expect("layers") {
        let layer = blob(layout.path(), &digest_of(layer));
        run(Command::new("tar")
            .arg("--extract")
            .arg("--file")
            .arg(layer)
            .arg("--directory")
            .arg(root.path()));
    }
    Unpacked { layout, root, config, digest }
}

fn files(folder: &Path, below: &Path, found: &mut BTreeSet<String>) -> u64 {
    let mut size = 0;
    for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")) {
        let path = entry.path();
        let metadata = path.symlink_metadata().expect("an entry");
        if metadata.is_dir() {
            size += files(&path, below, found);
        } else {
            found.insert(path.strip_prefix(below).expect("below").to_string_lossy().into_owned());
            size += metadata.len();
        }
    }
    size
}

#[test]
fn the_image_contains_only_the_program_certificates_and_license() {
    let Some(archive) = archive() else { return };
    let image = unpack(&archive);
    let mut found = BTreeSet::new();
    let size = files(image.root.path(), image.root.path(), &mut found);
    let expected = ["LICENSE", "acr-verifier", "etc/ssl/certs/ca-certificates.crt"];
    assert_eq!(found, expected.map(str::to_owned).into());
    assert!(size < LARGEST, "{size} bytes");
    let config = &image.config["config"];
    assert_eq!(config["User"], "65532:65532");
    assert_eq!(config["Entrypoint"], serde_json::json!(["/acr-verifier"]));
    assert_eq!(config["ExposedPorts"], serde_json::json!({"9469/tcp": {}}));
    for variable in ["SSL_CERT_FILE", "ACR_VERIFIER_BUNDLED_ROOTS"] {
        let set = format!("{variable}=/etc/ssl/certs/ca-certificates.crt");
        assert!(config["Env"].as_array().expect("variables").contains(&set.into()), "{variable}");
    }
    let labels = &config["Labels"];
    assert_eq!(labels["org.opencontainers.image.version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(labels["org.opencontainers.image.licenses"], "Apache-2.0");
    // A fixed time keeps the build reproducible.
    assert_eq!(image.config["created"], "1970-01-01T00:00:00Z");
}

#[test]
fn the_program_runs_unprivileged_in_the_empty_root() {
    let Some(archive) = archive() else { return };
    let image = unpack(&archive);
    let mut in_it = Command::new("/usr/sbin/chroot");
    in_it
        .arg("--userspec=65532:65532")
        .arg(image.root.path())
        .args(["/acr-verifier", "--version"])
        .env_clear();
    assert_eq!(run(&mut in_it), concat!("acr-verifier ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn the_same_content_produces_the_same_image() {
    let Some(archive) = archive() else { return };
    let first = unpack(&archive);
    let folder = TempDir::new().expect("a folder");
    let mut again = Command::new(Path::new(ROOT).join("deploy/image"));
    again.arg("--output").arg(folder.path()).arg("--binary").arg(first.root.path().join("acr-verifier"));
    let path = run(&mut again);
    let second = unpack(Path::new(path.trim_end()));
    let revision =
        |image: &Unpacked| image.config["config"]["Labels"]["org.opencontainers.image.revision"].clone();
    // A commit between the two builds changes the label.
    if revision(&first) == revision(&second) {
        assert_eq!(first.digest, second.digest);
    }
    let layers = |image: &Unpacked| image.config["rootfs"]["diff_ids"].clone();
    assert_eq!(layers(&first), layers(&second));
    drop(first.layout);
}

#[test]
fn invalid_usage_of_the_script_exits_2_with_a_message() {
    for (arguments, expected) in [
        (&[][..], "--output is required"),
        (&["--output"], "--output requires a value"),
        (&["--output", "x", "--arch", "riscv64"], "expected amd64, arm64 or all"),
        (&["--output", "x", "--binary", "/nowhere"], "not an executable file"),
        (&["--output", "x", "--arch", "all", "--binary", "/bin/true"], "cannot be used with --arch all"),
        (&["--push"], "unknown option '--push'"),
    ] {
        let output =
            Command::new(Path::new(ROOT).join("deploy/image")).args(arguments).output().expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains(expected), "{arguments:?}: {text}");
    }
}

#[test]
fn every_release_step_is_a_valid_script_with_minimal_permissions() {
    let text =
        std::fs::read_to_string(Path::new(ROOT).join(".github/workflows/release.yml")).expect("the workflow");
    let workflow: Value = serde_saphyr::from_str(&text).expect("YAML");
    let jobs = workflow["jobs"].as_object().expect("jobs");
    let mut scripts = 0;
    for (name, job) in jobs {
        // Each job declares its own permissions and gets no others.
        assert!(job["permissions"].is_object(), "{name} declares no permissions");
        for step in job["steps"].as_array().expect("steps") {
            let Some(script) = step["run"].as_str() else { continue };
            assert!(!script.contains("${{"), "{name}: an expression in a script allows code injection");
            run(Command::new("bash").args(["-n", "-c", script]));
            scripts += 1;
        }
    }
    assert!(scripts > 8, "{scripts} scripts");
    let needs = |job: &str| jobs[job]["needs"].to_string();
    assert!(needs("build").contains("test") && needs("publish").contains("build"));
}
