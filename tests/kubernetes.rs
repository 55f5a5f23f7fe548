//! The versions of Kubernetes: one table in `tests/cluster/versions`, from which modules and documentation must not differ.

use std::path::Path;

use crate::chart::validators::KUBERNETES;

const TABLE: &str = include_str!("cluster/versions");
const PAGE: &str = include_str!("../docs/kubernetes.md");

/// A minor that AKS supports.
struct Row {
    minor: &'static str,
    /// The version that the cluster suite runs on.
    patch: Option<&'static str>,
    months: [&'static str; 3],
}

fn rows() -> Vec<Row> {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
    let row = |line: &'static str| match line.split_whitespace().collect::<Vec<_>>()[..] {
        [minor, patch, since, end, support] => {
            Row { minor, patch: (patch != "-").then_some(patch), months: [since, end, support] }
        }
        _ => panic!("not a row of five columns: {line}"),
    };
    lines.map(row).collect()
}

#[test]
fn the_modules_pin_the_versions_of_the_table() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster/kubernetes");
    let mut pinned: Vec<(String, String)> = Vec::new();
    for entry in std::fs::read_dir(&folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(path.join("go.mod")).expect("a go.mod");
        let version = text.split_once("k8s.io/kubernetes v").expect("Kubernetes").1;
        let version = version.split_whitespace().next().expect("a version").to_owned();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        pinned.push((name, version));
    }
    pinned.sort();
    let mut built: Vec<(String, String)> =
        rows().iter().filter_map(|row| Some((row.minor.to_owned(), row.patch?.to_owned()))).collect();
    built.sort();
    assert_eq!(pinned, built);
    assert!(built.iter().all(|(minor, version)| version.starts_with(&format!("{minor}."))));
}

#[test]
fn the_newest_minor_and_the_oldest_with_each_kind_of_support_are_built() {
    let rows = rows();
    // AKS supports the newest three minors, and the fourth until its month of end of life is over.
    let [_, end_of_community_support, _] = rows[3].months;
    let supported_longer = |row: &&Row| row.months[2] > end_of_community_support;
    let oldest_with_long_term_support = rows.iter().rev().find(supported_longer).expect("a row");
    let expected = [rows[0].minor, rows[3].minor, oldest_with_long_term_support.minor];
    let built: Vec<&str> = rows.iter().filter(|row| row.patch.is_some()).map(|row| row.minor).collect();
    assert_eq!(built, expected, "the first version is the default");
}

#[test]
fn the_page_has_the_table_of_the_versions() {
    let expected: Vec<String> = rows()
        .iter()
        .map(|Row { minor, patch, months: [since, end, support] }| {
            let tested = patch.map_or("schemas".to_owned(), |patch| format!("{patch} on a cluster, schemas"));
            format!("| {minor} | {since} | {end} | {support} | {tested} |")
        })
        .collect();
    let lines: Vec<&str> = PAGE.lines().collect();
    let start = lines.iter().position(|line| line.starts_with("| Kubernetes |")).expect("a table") + 2;
    let found: Vec<&str> = lines[start..].iter().take_while(|line| line.starts_with('|')).copied().collect();
    assert_eq!(found, expected);
}

#[test]
fn schemas_of_every_minor_are_validated() {
    for Row { minor, .. } in rows() {
        assert!(KUBERNETES.contains(&minor), "no schemas of {minor} in tests/chart/validators.rs");
    }
    assert!(PAGE.contains(&format!("the chart installs on {} and newer", KUBERNETES[0])));
    let chart = include_str!("../deploy/chart/Chart.yaml");
    assert!(chart.contains(&format!("kubeVersion: \">={}.0-0\"", KUBERNETES[0])));
}
