//! Which packages of the workspace each package below `tests` may use.

use std::collections::BTreeSet;
use std::path::Path;

use super::texts;

/// The packages below `tests`, lowest first, and the packages of the workspace that each may use.
const PACKAGES: [(&str, &[&str]); 4] = [
    // Knows nothing of the program, not even its types.
    ("lab", &[]),
    ("support", &["lab"]),
    ("generate", &["acr-verifier", "support"]),
    ("bench", &["acr-verifier", "lab", "support"]),
];
#[test]
fn packages_of_the_tests_use_only_the_listed_ones() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &Path| -> serde_json::Value {
        let text = std::fs::read_to_string(path).expect("a manifest");
        toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let members = &read(&root.join("Cargo.toml"))["workspace"]["members"];
    let mut known: Vec<String> = PACKAGES.iter().map(|(name, _)| format!("tests/{name}")).collect();
    known.sort();
    assert_eq!(members, &serde_json::json!(known));
    for (name, allowed) in PACKAGES {
        let manifest = read(&root.join("tests").join(name).join("Cargo.toml"));
        let tables = ["dependencies", "dev-dependencies"].map(|table| manifest[table].as_object());
        let used = tables.into_iter().flatten().flat_map(|table| table.keys().map(String::as_str));
        let is_ours = |used: &&str| *used == "acr-verifier" || PACKAGES.iter().any(|(name, _)| name == used);
        let used: BTreeSet<&str> = used.filter(is_ours).collect();
        assert_eq!(used, allowed.iter().copied().collect(), "{name}");
    }
}

/// A module that is included by path is compiled once for each binary that includes it; what is shared belongs to `support`.
#[test]
fn no_module_is_included_by_path() {
    for (file, text) in texts() {
        assert!(!text.lines().any(|line| line.trim_start().starts_with("#[path")), "{file}");
    }
}
