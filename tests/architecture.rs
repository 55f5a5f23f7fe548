//! Enforces the architecture: which module may depend on which, and which files may use a library.
//!
//! Reads the imports of every source file. A new module must be assigned to a layer here. `packages` does the same for the
//! packages of the tests.

mod packages;
mod picture;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::Visit;

/// The layers, lowest first. A module may depend only on modules of lower layers, so no circle is possible.
const LAYERS: [&[&str]; 20] = [
    // Text, files and closed lists.
    &["file", "secret", "verdict"],
    &["text"],
    // Plain values.
    &["address", "image", "proxy"],
    &["acr"],
    // The facts that a check records.
    &["observation"],
    // What its DNS answers show, and which addresses may be connected to.
    &["findings"],
    // Their meaning.
    &["cause"],
    &["diagnosis"],
    &["rules", "run"],
    // Settings and what is read from files; what public endpoints answer.
    &["config", "public_endpoint"],
    &["check_key", "credentials", "node", "path_check", "schedule"],
    // The requests of a check.
    &["probe"],
    // The types of reports, for their writers and readers.
    &["wire"],
    // The state of the loop and of all nodes.
    &["fleet", "status", "transition"],
    // The images of a cluster, and why Pods wait for theirs.
    &["inventory"],
    // Output, and the cluster.
    &["cluster", "events", "metrics", "output", "report"],
    &["page", "terminal"],
    &["exit", "logging", "pass", "server"],
    // The commands, side by side.
    &["agent", "check", "discover", "exposure", "smoke"],
    &["cli"],
];
/// Modules that talk to the outside or put others together; all others use no network, clock or environment.
const IO: [&str; 18] = [
    "agent",
    "check",
    "cli",
    "cluster",
    "credentials",
    "discover",
    "events",
    "exit",
    "exposure",
    "logging",
    "metrics",
    "node",
    "output",
    "pass",
    "probe",
    "server",
    "smoke",
    "terminal",
];

/// Network libraries and the files that may use them.
const CONFINED: [(&str, &[&str]); 17] = [
    ("kube", &["events.rs", "cluster.rs", "cluster/ask.rs", "cluster/kubeconfig.rs", "cluster/list.rs"]),
    ("k8s_openapi", &["events.rs", "events/event.rs"]),
    ("hickory_proto", &["probe/dns.rs", "probe/dns/answer.rs", "probe/dns/exchange.rs"]),
    ("rustix", &["probe/system.rs"]),
    (
        "reqwest",
        &[
            "probe/authorization.rs",
            "probe/connection.rs",
            "probe/connection/error.rs",
            "probe/identity.rs",
            "probe/identity/imds.rs",
            "probe/public.rs",
            "probe/session.rs",
            "probe/registry.rs",
            "probe/registry/challenge.rs",
            "probe/registry/manifest.rs",
            "probe/registry/blob.rs",
        ],
    ),
    ("hyper", &["probe/connection/error.rs", "server.rs", "cluster/ask.rs", "cluster/list.rs"]),
    ("hyper_util", &["server.rs", "cluster/ask.rs"]),
    (
        "axum",
        &[
            "server.rs",
            "server/admission.rs",
            "server/routes.rs",
            "server/middleware.rs",
            "server/problem.rs",
        ],
    ),
    ("maud", &["page.rs", "page/history.rs", "page/image.rs", "page/dns.rs", "page/verdict.rs"]),
    (
        "rustls",
        &[
            "probe/tls.rs",
            "probe/trust_store.rs",
            "probe/signatures.rs",
            "probe/connection/error.rs",
            "events.rs",
            "cluster.rs",
        ],
    ),
    ("x509_parser", &["probe/tls.rs"]),
    (
        "oci_client",
        &[
            "probe/manifest.rs",
            "probe/manifest/platform.rs",
            "probe/manifest/parse.rs",
            "probe/registry.rs",
            "probe/registry/manifest.rs",
            "probe/registry/blob.rs",
            "probe/blob.rs",
        ],
    ),
    ("prometheus", &["metrics.rs", "metrics/current.rs", "metrics/families.rs", "metrics/series.rs"]),
    ("toml", &["node/hosts.rs"]),
    ("granit_parser", &["text/yaml.rs"]),
    ("quick_junit", &["report/junit.rs", "report/exposure/junit.rs", "report/fleet/junit.rs"]),
    // Outside `cli` only the derive of the values of a flag, next to what they mean.
    (
        "clap",
        &[
            "cli.rs",
            "cli/arguments.rs",
            "cli/help.rs",
            "cli/pages.rs",
            "cli/plugin.rs",
            "cli/resolve.rs",
            "cli/values.rs",
            "logging.rs",
            "report.rs",
            "report/catalogue.rs",
            "report/discover.rs",
            "report/exposure.rs",
            "report/fleet.rs",
        ],
    ),
];
/// Built only for the fuzzers: it generates input of these libraries.
const DOORS: &str = "probe/fuzz.rs";
/// Paths that no pure module may use.
const OUTSIDE: [&str; 5] =
    ["tokio", "std::env", "std::process", "std::time::Instant", "std::time::SystemTime"];
/// Files that may read files.
const READERS: [&str; 1] = ["file.rs"];

/// The paths named in a source file, in `use` or elsewhere, outside its tests.
#[derive(Default)]
struct Paths(BTreeSet<String>);

impl Paths {
    fn add_tree(&mut self, prefix: &str, tree: &syn::UseTree) {
        let join = |name: &syn::Ident| {
            if prefix.is_empty() { name.to_string() } else { format!("{prefix}::{name}") }
        };
        match tree {
            syn::UseTree::Path(path) => self.add_tree(&join(&path.ident), &path.tree),
            syn::UseTree::Name(name) => drop(self.0.insert(join(&name.ident))),
            syn::UseTree::Rename(name) => drop(self.0.insert(join(&name.ident))),
            syn::UseTree::Glob(_) => drop(self.0.insert(prefix.to_owned())),
            syn::UseTree::Group(group) => group.items.iter().for_each(|item| self.add_tree(prefix, item)),
        }
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.add_tree("", &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let words: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.0.insert(words.join("::"));
        syn::visit::visit_path(self, path);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let is_test = item.attrs.iter().any(|attribute| attribute.path().is_ident("cfg"));
        if !is_test {
            syn::visit::visit_item_mod(self, item);
        }
    }
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a source folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
}

/// Returns each source file by its name below `src`, with the paths named in it.
fn all() -> BTreeMap<String, BTreeSet<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    files
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("a source file");
            let mut paths = Paths::default();
            paths.visit_file(&syn::parse_file(&text).expect("Rust"));
            let name = path.strip_prefix(&root).expect("below src").to_string_lossy().into_owned();
            (name, paths.0)
        })
        .collect()
}

/// Returns the module of a file: `probe` for `probe/dns.rs`.
fn module_of(file: &str) -> &str {
    file.split(['/', '.']).next().unwrap_or(file)
}

/// Returns the layer of a top-level module.
fn layer_of(module: &str) -> usize {
    let layer = LAYERS.iter().position(|layer| layer.contains(&module));
    layer.unwrap_or_else(|| panic!("{module} has no layer yet: assign it to one in this test"))
}

#[test]
fn modules_depend_only_on_lower_layers() {
    let mut wrong = Vec::new();
    for (file, paths) in all() {
        let module = module_of(&file);
        if matches!(module, "lib" | "main") {
            continue;
        }
        for path in &paths {
            let Some(target) = path.strip_prefix("crate::").and_then(|rest| rest.split("::").next()) else {
                continue;
            };
            if target != module && layer_of(target) >= layer_of(module) {
                wrong.push(format!("{file} depends on {path}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Returns the names from the crate's root to a file's module: `probe`, `dns` for `probe/dns.rs`.
fn names_of(file: &str) -> Vec<&str> {
    file.trim_end_matches(".rs").split('/').collect()
}

/// Returns the module that a path names, if it is one of the files.
fn target_of(from: &[&str], path: &str, files: &BTreeSet<Vec<String>>) -> Option<Vec<String>> {
    let mut names: Vec<&str> = from.to_vec();
    for word in path.split("::") {
        match word {
            "crate" => names.clear(),
            "self" => {}
            "super" => drop(names.pop()),
            name => names.push(name),
        }
    }
    let is_relative = ["crate::", "self::", "super::"].iter().any(|start| path.starts_with(start));
    let mut names: Vec<String> = names.into_iter().map(str::to_owned).collect();
    while is_relative && !names.is_empty() {
        if files.contains(&names) {
            return Some(names);
        }
        names.pop();
    }
    None
}

/// Siblings with everything below them: a module may use its parent's items and its parent may use it, but no two modules
/// of one folder depend on each other.
#[test]
fn sibling_modules_form_no_circle() {
    let sources = all();
    let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect::<Vec<_>>();
    let files: BTreeSet<Vec<String>> = sources.keys().map(|file| owned(names_of(file))).collect();
    let mut edges: BTreeMap<Vec<String>, BTreeSet<Vec<String>>> = BTreeMap::new();
    for (file, paths) in sources.iter().filter(|(file, _)| file.as_str() != DOORS) {
        let from = names_of(file);
        for target in paths.iter().filter_map(|path| target_of(&from, path, &files)) {
            let common = from.iter().zip(&target).take_while(|(one, other)| one == other).count();
            if common < from.len() && common < target.len() {
                let sibling = owned(from[..=common].to_vec());
                edges.entry(sibling).or_default().insert(target[..=common].to_vec());
            }
        }
    }
    // What depends on nothing that is left, or is needed by nothing that is left, is not part of a circle.
    loop {
        let before = edges.len();
        let needed: BTreeSet<Vec<String>> = edges.values().flatten().cloned().collect();
        edges.retain(|name, _| needed.contains(name));
        let left: BTreeSet<Vec<String>> = edges.keys().cloned().collect();
        for targets in edges.values_mut() {
            targets.retain(|target| left.contains(target));
        }
        edges.retain(|_, targets| !targets.is_empty());
        if edges.len() == before {
            break;
        }
    }
    assert!(edges.is_empty(), "these modules depend on each other: {edges:?}");
}

#[test]
fn pure_modules_use_no_network_clock_or_environment() {
    let mut wrong = Vec::new();
    for (file, paths) in all() {
        if matches!(module_of(&file), "lib" | "main") || IO.contains(&module_of(&file)) {
            continue;
        }
        for path in &paths {
            let outside = OUTSIDE.iter().any(|name| path == name || path.starts_with(&format!("{name}::")));
            let reads = path.starts_with("std::fs") && !READERS.contains(&file.as_str());
            if outside || reads {
                wrong.push(format!("{file} uses {path}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn network_libraries_are_confined_to_the_listed_files() {
    let mut wrong = Vec::new();
    for (file, paths) in all() {
        for (library, homes) in CONFINED {
            let named = paths.iter().any(|path| path.split("::").next() == Some(library));
            if named && file != DOORS && !homes.contains(&file.as_str()) {
                wrong.push(format!("{file} uses {library}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_file_has_a_module_comment_and_at_most_400_lines() {
    for (file, text) in texts() {
        let is_documented = text.starts_with("//!") || text.starts_with("#![");
        assert!(is_documented, "{file} has no module comment");
        let lines = text.lines().count();
        assert!(lines <= 400, "{file} has {lines} lines: it is more than one module");
    }
}

/// Returns every Rust file of the program and the tests with its text.
fn texts() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for folder in ["src", "tests"] {
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut files);
    }
    let read = |file: PathBuf| {
        let text = std::fs::read_to_string(&file).expect("a source file");
        (file.display().to_string(), text)
    };
    files.into_iter().map(read).collect()
}
