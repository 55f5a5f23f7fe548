//! The release: pinned actions, signatures that the documented commands can verify, and documents that do not promise one
//! that does not exist.
//!
//! cosign is not run: its commands are compared with the options that its reference lists.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use regex::Regex;
use serde_json::Value;

const WORKFLOW: &str = include_str!("../.github/workflows/release.yml");
const CI: &str = include_str!("../.github/workflows/ci.yml");
const PIPELINE: &str = include_str!("../deploy/pipelines/github-actions.yml");
const ROTATION: &str = include_str!("../deploy/examples/rotation/github-actions.yml");
const RELEASES: &str = include_str!("../deploy/releases.md");
const CHANGELOG: &str = include_str!("../CHANGELOG.md");
/// Options of cosign 3 by command: the reference in its repository (`doc/cosign_*.md` of v3.0.6), without those for keys, other
/// registries and private infrastructure.
const OPTIONS: [(&str, &[&str]); 6] = [
    ("sign", &["yes", "recursive"]),
    ("sign-blob", &["yes", "bundle"]),
    ("attest", &["yes", "type", "predicate"]),
    ("verify", &["certificate-identity", "certificate-oidc-issuer"]),
    ("verify-attestation", &["certificate-identity", "certificate-oidc-issuer", "type"]),
    ("verify-blob", &["certificate-identity", "certificate-oidc-issuer", "bundle"]),
];
/// Options without a value.
const FLAGS: [&str; 2] = ["yes", "recursive"];
/// The predicates that `--type` names.
const TYPES: [&str; 2] = ["cyclonedx", "slsaprovenance1"];

fn workflow() -> Value {
    serde_saphyr::from_str(WORKFLOW).expect("YAML")
}

/// Returns a step of the workflow by its name.
fn step(job: &str, name: &str) -> Value {
    let workflow = workflow();
    let steps = workflow["jobs"][job]["steps"].as_array().expect("steps").clone();
    steps.into_iter().find(|step| step["name"] == name).unwrap_or_else(|| panic!("{job}: no step {name}"))
}

#[test]
fn every_action_is_pinned_by_commit_with_its_version() {
    let pinned = Regex::new(r"^[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$").expect("a pattern");
    let mut pins: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for text in [WORKFLOW, CI, PIPELINE, ROTATION] {
        let lines =
            text.lines().filter_map(|line| line.trim_start_matches([' ', '-']).strip_prefix("uses: "));
        for line in lines {
            assert!(pinned.is_match(line), "{line}");
            let (action, pin) = line.split_once('@').expect("a pin");
            pins.entry(action).or_default().insert(pin);
        }
    }
    assert!(pins.len() > 7, "{pins:?}");
    assert!(pins.values().all(|pins| pins.len() == 1), "an action has two versions: {pins:?}");
}

/// Returns the words after `cosign` of every call, with continued lines joined.
fn calls(text: &str) -> Vec<Vec<String>> {
    let text = text.replace("\\\n", " ");
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix("cosign "));
    lines
        .map(|line| line.split_whitespace().map(|word| word.trim_matches('"').to_owned()).collect())
        .collect()
}

/// Returns the options of a call with their values, and what is left.
fn options(words: &[String]) -> (BTreeMap<&str, &str>, Vec<&str>) {
    let (mut options, mut operands) = (BTreeMap::new(), Vec::new());
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word.strip_prefix("--") {
            Some(flag) if FLAGS.contains(&flag) => drop(options.insert(flag, "")),
            Some(option) => drop(options.insert(option, words.next().expect("a value"))),
            None => operands.push(word),
        }
    }
    (options, operands)
}

#[test]
fn every_call_of_cosign_has_known_and_all_required_options() {
    let mut seen = BTreeSet::new();
    for (name, text) in [("release.yml", WORKFLOW), ("releases.md", RELEASES)] {
        for call in calls(text).iter().filter(|call| call[0] != "login") {
            let known = OPTIONS.iter().find(|(command, _)| *command == call[0]);
            let (command, known) = known.unwrap_or_else(|| panic!("{name}: unknown {call:?}"));
            let (given, operands) = options(&call[1..]);
            let unknown: Vec<_> = given.keys().filter(|option| !known.contains(option)).collect();
            assert!(unknown.is_empty(), "{name}: {call:?}: {unknown:?}");
            let required = known.iter().filter(|option| **option != "recursive");
            let missing: Vec<_> = required.filter(|option| !given.contains_key(*option)).collect();
            assert!(missing.is_empty(), "{name}: {call:?}: {missing:?}");
            assert_eq!(operands.len(), 1, "{name}: {call:?}");
            assert!(given.get("type").is_none_or(|kind| TYPES.contains(kind)), "{name}: {call:?}");
            seen.insert(*command);
        }
    }
    assert_eq!(seen.len(), OPTIONS.len(), "{seen:?}");
}

/// Keyless signatures are worth as much as the identity that they are compared with.
#[test]
fn what_is_signed_is_verified_with_the_identity_of_the_workflow() {
    let identity = "IDENTITY=https://github.com/acr-verifier/acr-verifier/.github/workflows/release.yml@refs/tags/vVERSION\n";
    assert!(RELEASES.contains(identity));
    assert!(RELEASES.contains("ISSUER=https://token.actions.githubusercontent.com\n"));
    let image = workflow()["env"]["IMAGE"].as_str().expect("an image").to_owned();
    let charts = workflow()["env"]["CHARTS"].as_str().expect("a folder").to_owned();
    assert!(RELEASES.contains(&format!("\nIMAGE={image}:VERSION\nCHART={charts}/acr-verifier:VERSION\n")));
    let verified = calls(RELEASES);
    for call in verified.iter().filter(|call| call[0].starts_with("verify")) {
        let (given, operands) = options(&call[1..]);
        assert_eq!(
            (given["certificate-identity"], given["certificate-oidc-issuer"]),
            ("$IDENTITY", "$ISSUER")
        );
        assert!(["$IMAGE", "$CHART", "SHA256SUMS"].contains(&operands[0]), "{call:?}");
    }
    // Image and chart: signature, SBOM and provenance; the files: the signed sums.
    for artifact in ["$IMAGE", "$CHART"] {
        for kind in ["verify ", "--type cyclonedx ", "--type slsaprovenance1 "] {
            let found = verified.iter().map(|call| call.join(" ") + " ");
            assert!(
                found.into_iter().any(|call| call.contains(kind) && call.ends_with(&format!("{artifact} "))),
                "{kind}{artifact}"
            );
        }
    }
    for name in ["Provenance of the binaries", "Provenance of the image", "Provenance of the chart"] {
        assert!(step("build", name)["uses"].as_str().is_some_and(|uses| uses.starts_with("actions/attest@")));
    }
    for name in ["Provenance of the image", "Provenance of the chart"] {
        assert_eq!(step("build", name)["with"]["push-to-registry"], true);
    }
    // Before cosign 3, a bundle is in another format.
    assert!(WORKFLOW.contains("sigstore/cosign-installer@") && RELEASES.contains("With cosign 3 "));
}

#[test]
fn the_notes_of_a_release_are_its_changes_and_its_verification() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = step("publish", "Release")["run"].as_str().expect("a script").to_owned();
    let script = script.split("gh release create").next().expect("the lines before");
    let changelog = "# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2027-01-02\n\nThe changes.\n\n### Added\n\n- One, with VERSION.\n\n## [1.2.30] - 2026-01-02\n\n- Older.\n";
    std::fs::create_dir(folder.path().join("deploy")).expect("a folder");
    std::fs::write(folder.path().join("deploy/releases.md"), RELEASES).expect("a file");
    std::fs::write(folder.path().join("CHANGELOG.md"), changelog).expect("a file");
    run(script, folder.path(), &[("VERSION", "1.2.3")]);
    let notes = std::fs::read_to_string(folder.path().join("notes.md")).expect("the notes");
    let (changes, verification) = notes.split_once("## Verify a release\n").expect("both parts");
    assert_eq!(changes.trim(), "The changes.\n\n### Added\n\n- One, with VERSION.");
    assert!(verification.contains("release.yml@refs/tags/v1.2.3\n"), "{notes}");
    assert!(!verification.contains("VERSION") && !notes.contains("no release yet"), "{notes}");
    // Without a section of the version nothing is released.
    let failed = bash(script, folder.path(), &[("VERSION", "1.2.4")]);
    assert!(!failed.status.success());
}

/// The section must be dated before the tag: a release with the notes of an unreleased version is not complete.
#[test]
fn the_version_of_the_package_has_a_section_in_the_changelog() {
    assert!(CHANGELOG.contains(concat!("\n## [", env!("CARGO_PKG_VERSION"), "] - ")));
}

fn bash(script: &str, folder: &Path, environment: &[(&str, &str)]) -> Output {
    Command::new("bash")
        .args(["-c", &format!("set -euo pipefail\n{script}")])
        .current_dir(folder)
        .envs(environment.iter().copied())
        .output()
        .expect("bash runs")
}

fn run(script: &str, folder: &Path, environment: &[(&str, &str)]) {
    let output = bash(script, folder, environment);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_sbom_of_the_chart_names_the_image_by_digest() {
    if !Command::new("jq").arg("--version").output().is_ok_and(|output| output.status.success()) {
        return support::skip("ACR_VERIFIER_REQUIRE_AZURE_TOOLS", "release", "jq is missing");
    }
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir_all(folder.path().join("target/files")).expect("a folder");
    let digest = format!("sha256:{}", "a1".repeat(32));
    let script = step("build", "SBOM of the chart")["run"].as_str().expect("a script").to_owned();
    let environment = [
        ("VERSION", "1.2.3"),
        ("IMAGE", "ghcr.io/acr-verifier/acr-verifier"),
        ("CHARTS", "ghcr.io/acr-verifier/charts"),
        ("DIGEST", digest.as_str()),
    ];
    run(&script, folder.path(), &environment);
    let path = folder.path().join("target/files/acr-verifier-chart-1.2.3.cdx.json");
    let list: Value = serde_json::from_str(&std::fs::read_to_string(path).expect("the SBOM")).expect("JSON");
    assert_eq!((&list["bomFormat"], &list["specVersion"]), (&Value::from("CycloneDX"), &Value::from("1.5")));
    assert_eq!(list["metadata"]["component"]["name"], "ghcr.io/acr-verifier/charts/acr-verifier");
    let expected = format!(
        "pkg:oci/acr-verifier@sha256%3A{}?repository_url=ghcr.io%2Facr-verifier%2Facr-verifier&tag=1.2.3",
        "a1".repeat(32)
    );
    assert_eq!(list["components"][0]["purl"], expected.as_str());
    assert_eq!(list["dependencies"][0]["dependsOn"], serde_json::json!(["image"]));
}

/// Vulnerabilities stop a release before the first push.
#[test]
fn nothing_is_published_before_the_scan() {
    let position = |text: &str| WORKFLOW.find(text).unwrap_or_else(|| panic!("no {text}"));
    let scan = position("anchore/scan-action@");
    assert!(scan < position("skopeo copy") && scan < position("helm push") && scan < position("cosign sign"));
    assert_eq!(step("build", "Known vulnerabilities of the crates")["with"]["fail-build"], true);
}

#[test]
fn documents_install_nothing_that_is_not_published() {
    let is_released = !CHANGELOG.contains("## [0.2.0] - unreleased");
    assert_eq!(RELEASES.contains("**There is no release yet.**"), !is_released);
    let unpublished = Regex::new("published yet|no release yet").expect("a pattern");
    let (mut notices, mut installations) = (0, 0);
    for path in documents() {
        let name = path.display();
        let text = std::fs::read_to_string(&path).expect("text");
        let has_notice = unpublished.is_match(&text);
        notices += usize::from(has_notice);
        if is_released {
            assert!(!has_notice, "{name} says that nothing is published");
            continue;
        }
        let names_image = text.contains("ghcr.io/acr-verifier") || text.contains("registry: ghcr.io");
        assert!(!names_image || has_notice, "{name} does not say that the image is not published");
        for line in text.replace("\\\n", " ").lines().filter(|line| line.contains("helm upgrade --install")) {
            assert!(line.contains("image.registry="), "{name}: {line}");
            installations += 1;
        }
    }
    assert!(is_released || notices > 10 && installations > 10, "{notices}, {installations}");
}

/// Returns the README, and every document, manifest and note of `deploy` and `docs`.
fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut folders, mut found) =
        (vec![root.join("deploy"), root.join("docs")], vec![root.join("README.md")]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let extension = path.extension().and_then(|extension| extension.to_str());
            if path.is_dir() {
                folders.push(path);
            } else if extension.is_some_and(|extension| ["md", "yaml", "yml", "txt"].contains(&extension)) {
                found.push(path);
            }
        }
    }
    found
}
