//! What contributors meet first: forms, owners, the workflow of pull requests, and the paths that the documents name.

use std::collections::BTreeSet;
use std::path::Path;

use regex::Regex;
use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const WORKFLOW: &str = include_str!("../.github/workflows/ci.yml");
const OWNERS: &str = include_str!("../.github/CODEOWNERS");
const SUITE: &str = include_str!("suite.rs");
const DOCUMENTS: [(&str, &str); 5] = [
    ("CONTRIBUTING.md", include_str!("../CONTRIBUTING.md")),
    ("RELEASE.md", include_str!("../RELEASE.md")),
    ("SECURITY.md", include_str!("../SECURITY.md")),
    ("pull_request_template.md", include_str!("../.github/pull_request_template.md")),
    ("deny.toml", include_str!("../deny.toml")),
];
/// Keys of an issue form and of its elements, by GitHub's syntax for issue forms.
const FORM: [&str; 4] = ["name", "description", "labels", "body"];
const ELEMENT: [&str; 4] = ["type", "id", "attributes", "validations"];
const ATTRIBUTES: [&str; 4] = ["label", "description", "render", "value"];

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().expect("a mapping").keys().map(String::as_str).collect()
}

fn assert_known(value: &Value, known: &[&str], place: &str) {
    let unknown: Vec<_> = keys(value).into_iter().filter(|key| !known.contains(key)).collect();
    assert!(unknown.is_empty(), "{place}: {unknown:?}");
}

/// A form with an unknown key or a repeated id is shown as an empty page.
#[test]
fn issue_forms_have_the_syntax_of_forms() {
    let folder = Path::new(ROOT).join(".github/ISSUE_TEMPLATE");
    let mut forms = 0;
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("a file").path();
        let place = path.display().to_string();
        let form: Value =
            serde_saphyr::from_str(&std::fs::read_to_string(&path).expect("text")).expect("YAML");
        if place.ends_with("config.yml") {
            assert_known(&form, &["blank_issues_enabled", "contact_links"], &place);
            continue;
        }
        assert_known(&form, &FORM, &place);
        let mut ids = BTreeSet::new();
        for element in form["body"].as_array().expect("elements") {
            assert_known(element, &ELEMENT, &place);
            assert_known(&element["attributes"], &ATTRIBUTES, &place);
            match element["type"].as_str() {
                Some("markdown") => assert!(element["attributes"]["value"].is_string(), "{place}"),
                Some("textarea" | "input") => {
                    assert!(element["attributes"]["label"].is_string(), "{place}");
                    assert!(
                        ids.insert(element["id"].as_str().expect("an id").to_owned()),
                        "{place}: {ids:?}"
                    );
                }
                other => panic!("{place}: {other:?}"),
            }
        }
        forms += 1;
    }
    assert_eq!(forms, 3);
}

#[test]
fn owners_have_files() {
    let rules: Vec<_> = OWNERS.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(rules[0].starts_with("* "), "the default is the first rule");
    for rule in &rules[1..] {
        let (pattern, owners) = rule.split_once(' ').expect("a pattern and owners");
        let path = Path::new(ROOT).join(pattern.trim_start_matches('/').trim_end_matches(['*', '/']));
        let exists = path.exists() || path.with_extension("rs").exists();
        assert!(exists && owners.split_whitespace().all(|owner| owner.starts_with('@')), "{rule}");
    }
}

#[test]
fn pull_requests_run_the_gate_without_secrets() {
    let workflow: Value = serde_saphyr::from_str(WORKFLOW).expect("YAML");
    assert_eq!(workflow["permissions"], serde_json::json!({}));
    assert!(!WORKFLOW.contains("secrets.") && !WORKFLOW.contains("pull_request_target"));
    let commands = |job: &str| -> Vec<String> {
        assert_eq!(workflow["jobs"][job]["permissions"], serde_json::json!({"contents": "read"}));
        let steps = workflow["jobs"][job]["steps"].as_array().expect("steps");
        steps.iter().filter_map(|step| step["run"].as_str()).map(str::to_owned).collect()
    };
    assert!(commands("full").iter().any(|command| command.ends_with(" .ci/run")));
    assert_eq!(commands("advisories"), ["tests/deny --advisories"]);
    // The first job runs modules that exist.
    let fast = commands("fast");
    let modules =
        fast.iter().find_map(|command| command.split_once("--test suite -- ")).expect("the suite").1;
    for module in modules.split_whitespace() {
        assert!(SUITE.contains(&format!("\nmod {};\n", module.trim_end_matches("::"))), "{module}");
    }
}

/// A lock file, or a list of requirements, that nothing updates stays at old versions.
#[test]
fn dependencies_are_updated_or_the_reason_is_given() {
    let text = include_str!("../.github/dependabot.yml");
    let settings: Value = serde_saphyr::from_str(text).expect("YAML");
    let updates = settings["updates"].as_array().expect("updates");
    for (ecosystem, folder, file) in [
        ("cargo", "", "Cargo.lock"),
        ("cargo", "tests/fuzz", "Cargo.lock"),
        ("pip", "tests/chart", "requirements.txt"),
        ("npm", "tests/browser", "package.json"),
    ] {
        assert!(Path::new(ROOT).join(folder).join(file).exists(), "{folder}/{file}");
        let folder = Value::from(format!("/{folder}"));
        let is_listed =
            updates.iter().filter(|update| update["package-ecosystem"] == ecosystem).any(|update| {
                update["directory"] == folder
                    || update["directories"].as_array().is_some_and(|folders| folders.contains(&folder))
            });
        assert!(is_listed, "{ecosystem}: {folder}");
    }
    assert!(text.contains("By hand too: the Go modules in tests/**/go.mod."));
}

#[test]
fn paths_in_documents_exist() {
    let path =
        Regex::new(r"`((?:src|tests|deploy|docs|dashboards|\.ci|\.github)/[\w./-]+)").expect("a pattern");
    let mut seen = 0;
    for (name, text) in DOCUMENTS {
        for found in path.captures_iter(text) {
            assert!(Path::new(ROOT).join(&found[1]).exists(), "{name}: {}", &found[1]);
            seen += 1;
        }
    }
    assert!(seen > 30, "{seen}");
}
