//! The architecture, held: which module may know which, and where the libraries stop.
//!
//! Reads the imports of every source file. A new module has to be given a side here before it compiles into anything.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::Visit;

/// Modules without IO, clock or environment, but for the reading of files; they may know each other.
const PURE: [&str; 19] = [
    "address",
    "cause",
    "config",
    "diagnosis",
    "file",
    "fleet",
    "image",
    "legible",
    "observation",
    "page",
    "proxy",
    "quote",
    "report",
    "rules",
    "run",
    "schedule",
    "secret",
    "status",
    "transition",
];
/// Modules that talk to the outside; they may know the pure ones.
const IO: [&str; 8] = ["cluster", "credentials", "events", "metrics", "node", "probe", "server", "terminal"];
/// Modules that put the others together.
const WIRE: [&str; 5] = ["agent", "check", "cli", "logging", "smoke"];

/// Libraries of the network, and the one folder or file that may call them.
const CONFINED: [(&str, &[&str]); 16] = [
    ("kube", &["events.rs", "cluster.rs", "cluster/ask.rs"]),
    ("k8s_openapi", &["events.rs", "events/event.rs"]),
    ("hickory_proto", &["probe/dns.rs", "probe/dns/answer.rs", "probe/dns/exchange.rs"]),
    ("rustix", &["probe/system.rs"]),
    (
        "reqwest",
        &[
            "probe/authorization.rs",
            "probe/dial.rs",
            "probe/dial/trouble.rs",
            "probe/session.rs",
            "probe/registry.rs",
            "probe/registry/challenge.rs",
            "probe/registry/manifest.rs",
            "probe/registry/blob.rs",
        ],
    ),
    ("hyper", &["probe/dial/trouble.rs", "server.rs", "cluster.rs", "cluster/ask.rs"]),
    ("hyper_util", &["server.rs", "cluster/ask.rs"]),
    ("axum", &["server.rs", "server/routes.rs", "server/guard.rs"]),
    ("maud", &["page.rs", "page/history.rs", "page/image.rs", "page/names.rs", "page/verdict.rs"]),
    ("rustls", &["probe/tls.rs", "probe/roots.rs", "probe/dial/trouble.rs", "events.rs", "cluster.rs"]),
    ("x509_parser", &["probe/tls.rs"]),
    (
        "oci_client",
        &[
            "probe/manifest.rs",
            "probe/manifest/platform.rs",
            "probe/manifest/shape.rs",
            "probe/registry.rs",
            "probe/registry/manifest.rs",
            "probe/registry/blob.rs",
            "probe/blob.rs",
        ],
    ),
    ("prometheus", &["metrics.rs", "metrics/families.rs", "metrics/series.rs"]),
    ("toml", &["node/hosts.rs"]),
    ("quick_junit", &["report/junit.rs", "report/fleet/junit.rs"]),
    ("clap", &["cli.rs", "cli/arguments.rs", "cli/help.rs", "cli/pages.rs", "cli/resolve.rs"]),
];
/// Built for the fuzzers alone: it makes up what these libraries bring.
const DOORS: &str = "probe/fuzz.rs";
/// What no pure module may touch.
const OUTSIDE: [&str; 5] =
    ["tokio", "std::env", "std::process", "std::time::Instant", "std::time::SystemTime"];
/// Files are read here.
const READERS: [&str; 1] = ["file.rs"];

/// The paths that one source file names, `use` or not, outside its tests.
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

/// Each source file by its name below `src`, with the paths that it names.
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

/// The module of a file: `probe` of `probe/dns.rs`.
fn module_of(file: &str) -> &str {
    file.split(['/', '.']).next().unwrap_or(file)
}

#[test]
fn dependencies_point_from_wire_to_io_to_pure() {
    let mut wrong = Vec::new();
    for (file, paths) in all() {
        let module = module_of(&file).to_owned();
        let allowed: Vec<&str> = match module.as_str() {
            "lib" | "main" => continue,
            name if PURE.contains(&name) => PURE.to_vec(),
            name if IO.contains(&name) => [&PURE[..], &[name]].concat(),
            name if WIRE.contains(&name) => [&PURE[..], &IO[..], &WIRE[..]].concat(),
            other => panic!("{other} has no side yet: say in this test whether it is pure, IO or wire"),
        };
        for path in &paths {
            if let Some(rest) = path.strip_prefix("crate::") {
                let target = rest.split("::").next().unwrap_or_default();
                // The probe looks credentials up in the middle of a check, at the moment at which a pull would.
                let credentials = module == "probe" && target == "credentials";
                if !allowed.contains(&target) && !credentials {
                    wrong.push(format!("{file} knows {path}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn pure_modules_touch_neither_network_nor_clock_nor_environment() {
    let mut wrong = Vec::new();
    for (file, paths) in all() {
        if !PURE.contains(&module_of(&file)) {
            continue;
        }
        for path in &paths {
            let outside = OUTSIDE.iter().any(|name| path == name || path.starts_with(&format!("{name}::")));
            let reads = path.starts_with("std::fs") && !READERS.contains(&file.as_str());
            if outside || reads {
                wrong.push(format!("{file} touches {path}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn libraries_stop_at_the_file_that_calls_them() {
    let mut wrong = Vec::new();
    for (file, paths) in all() {
        for (library, homes) in CONFINED {
            let named = paths.iter().any(|path| path.split("::").next() == Some(library));
            if named && file != DOORS && !homes.contains(&file.as_str()) {
                wrong.push(format!("{file} knows {library}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_file_says_what_it_owns_and_fits_a_head() {
    let mut files = Vec::new();
    for folder in ["src", "tests"] {
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut files);
    }
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a source file");
        let says = text.starts_with("//!") || text.starts_with("#![");
        assert!(says, "{} does not say what it owns", file.display());
        let lines = text.lines().count();
        assert!(lines <= 400, "{} has {lines} lines: it is more than one room", file.display());
    }
}
