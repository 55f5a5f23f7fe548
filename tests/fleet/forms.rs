//! The report formats of a smoke check: goldens for the wording, and properties for any cluster.

use acr_verifier::fleet::report::ConfigurationState;
use acr_verifier::fleet::{Fleet, Node, State};
use acr_verifier::report::Style;
use acr_verifier::report::fleet::{self, Format, progress};
use serde_json::Value;

use super::samples::{self, healthy, mixed, one_subnet, thousand};

const PLAIN: Style = Style { color: false, unicode: false, width: 100 };
const FORMATS: [Format; 4] = [Format::Text, Format::Json, Format::Junit, Format::Markdown];

fn render(fleet: &Fleet, format: Format, style: &Style) -> String {
    let mut out = Vec::new();
    fleet::write(&mut out, fleet, format, style).expect("memory takes everything");
    String::from_utf8(out).expect("UTF-8")
}

fn all() -> Vec<(&'static str, Fleet)> {
    vec![
        ("healthy", healthy(4)),
        ("one-subnet", one_subnet()),
        ("mixed", mixed()),
        ("thousand", thousand()),
        ("hostile", samples::hostile()),
        ("empty", samples::fleet(Vec::new())),
        ("sampled", samples::sampled()),
        ("sampled-broken", samples::sampled_broken()),
    ]
}

fn golden(name: &str, extension: &str, actual: &str) {
    expectorate::assert_contents(format!("tests/golden/fleet/{name}.{extension}"), actual);
}

#[test]
fn text_and_markdown_match_their_goldens() {
    for (name, fleet) in all() {
        golden(name, "txt", &render(&fleet, Format::Text, &PLAIN));
        golden(name, "md", &render(&fleet, Format::Markdown, &PLAIN));
    }
    golden("mixed", "narrow.txt", &render(&mixed(), Format::Text, &Style { width: 80, ..PLAIN }));
    golden("mixed", "terminal.txt", &render(&mixed(), Format::Text, &Style { unicode: true, ..PLAIN }));
}

#[test]
fn short_json_and_junit_match_their_goldens() {
    for (name, fleet) in [("healthy", healthy(1)), ("mixed", mixed()), ("sampled", samples::sampled())] {
        let value: Value = serde_json::from_str(&render(&fleet, Format::Json, &PLAIN)).expect("JSON");
        golden(name, "json", &format!("{value:#}\n"));
        golden(name, "xml", &render(&fleet, Format::Junit, &PLAIN));
    }
}

#[test]
fn json_matches_its_schema_and_contains_every_node() {
    let schema = serde_json::from_str(fleet::json::JSON_SCHEMA).expect("JSON");
    let schema = jsonschema::draft202012::options()
        .should_validate_formats(true)
        .build(&schema)
        .expect("a schema of draft 2020-12");
    // The codes of a hostile agent match no schema.
    for (name, fleet) in all().into_iter().filter(|(name, _)| *name != "hostile") {
        let actual = render(&fleet, Format::Json, &PLAIN);
        let value: Value = serde_json::from_str(&actual).expect("JSON");
        let errors: Vec<_> =
            schema.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path)).collect();
        assert!(errors.is_empty(), "{name}: {errors:#?}");
        assert!(!actual.contains(": null"), "{name}: optional objects are absent");
        let nodes = value["nodes"].as_array().expect("nodes");
        assert_eq!(nodes.len(), fleet.nodes.len(), "{name}");
        for node in nodes {
            assert_eq!(node.get("report").is_some(), node["state"] == "reported", "{name}: {}", node["node"]);
        }
    }
}

#[test]
fn the_schema_rejects_unknown_values() {
    let schema = serde_json::from_str(fleet::json::JSON_SCHEMA).expect("JSON");
    let schema = jsonschema::draft202012::new(&schema).expect("a schema");
    let valid: Value = serde_json::from_str(&render(&mixed(), Format::Json, &PLAIN)).expect("JSON");
    assert!(schema.is_valid(&valid));
    for (pointer, value) in [
        ("/schema", "acr-verifier/smoke/v2"),
        ("/verdict", "green"),
        ("/nodes/0/state", "lost"),
        ("/nodes/0/verdict", "red"),
        ("/groups/0/stage", "dig"),
        ("/counts/noReport", "many"),
    ] {
        let mut changed = valid.clone();
        *changed.pointer_mut(pointer).expect("a field") = value.into();
        assert!(!schema.is_valid(&changed), "{pointer} accepts {value}");
    }
}

#[test]
fn junit_fails_every_failed_node_and_passes_nothing_unchecked() {
    let mut unchecked = mixed();
    unchecked.nodes[4].state = samples::reported("n", Vec::new());
    for (fleet, tests, failures, errors, skipped) in [
        (healthy(4), 4, 0, 0, 0),
        (one_subnet(), 40, 37, 0, 0),
        // Two failures and seven nodes without a report; skipped are four excluded or departed nodes and one late joiner.
        (mixed(), 18, 9, 1, 5),
        (unchecked, 18, 9, 2, 5),
        (thousand(), 1_000, 334, 0, 0),
        (samples::sampled(), 6, 0, 0, 0),
        (samples::sampled_broken(), 6, 3, 0, 0),
    ] {
        let xml = render(&fleet, Format::Junit, &PLAIN);
        let report = quick_junit::Report::deserialize_from_str(&xml).expect("JUnit");
        assert_eq!((report.tests, report.failures, report.errors), (tests, failures, errors));
        assert_eq!(report.test_suites.iter().map(|suite| suite.disabled).sum::<usize>(), skipped);
    }
}

#[test]
fn small_fleets_list_every_node_and_large_ones_count_good_nodes() {
    for fleet in [healthy(4), one_subnet(), mixed(), samples::sampled()] {
        let text = render(&fleet, Format::Text, &PLAIN);
        for node in &fleet.nodes {
            assert!(text.lines().any(|line| line.contains(&node.name)), "{} is not in {text}", node.name);
        }
        assert!(!text.contains("\n\n\n"), "{text}");
    }
    let text = render(&thousand(), Format::Text, &PLAIN);
    let counted = text.lines().filter(|line| line.contains(" nodes") && line.ends_with("pass")).count();
    assert_eq!(counted, 2, "{text}");
}

#[test]
fn a_small_failure_stays_visible_next_to_a_large_one() {
    let text = render(&thousand(), Format::Text, &PLAIN);
    assert!(text.lines().count() < 80, "{} lines", text.lines().count());
    assert!(text.contains("aks-system-12345678-vmss000900"), "{text}");
}

#[test]
fn text_is_ascii_and_of_bounded_length() {
    for (name, fleet) in all().into_iter().chain([("flood", samples::flood())]) {
        let text = render(&fleet, Format::Text, &PLAIN);
        assert!(text.is_ascii(), "{name}");
        assert!(text.lines().count() < 2_000, "{name}: {} lines", text.lines().count());
        let coloured = render(&fleet, Format::Text, &Style { color: true, ..PLAIN });
        assert_eq!(text, anstream::adapter::strip_str(&coloured).to_string(), "{name}");
    }
}

#[test]
fn markdown_stays_far_below_the_limit_of_a_job_summary() {
    for (name, fleet) in all().into_iter().chain([("flood", samples::flood())]) {
        let size = render(&fleet, Format::Markdown, &PLAIN).len();
        assert!(size < 512 * 1_024, "{name}: {size} bytes");
    }
}

#[test]
fn hostile_text_is_sanitised_and_never_becomes_markup() {
    let hostile = samples::hostile();
    for format in FORMATS {
        let shown = render(&hostile, format, &Style { unicode: true, ..PLAIN });
        let forbidden = shown.chars().find(|character| character.is_control() && *character != '\n');
        assert_eq!(forbidden, None, "{format:?}");
        assert!(!shown.contains('\u{202e}'), "{format:?}");
        assert!(!shown.lines().any(|line| line.starts_with("ok  forged")), "{format:?}");
    }
    let markdown = render(&hostile, Format::Markdown, &PLAIN);
    let mut fenced = false;
    for line in markdown.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        }
        for markup in ["<script", "@everyone", "www.evil", "http://evil"] {
            assert!(fenced || !line.contains(markup), "{markup} in {line}");
        }
    }
    assert!(!fenced);
    quick_junit::Report::deserialize_from_str(&render(&hostile, Format::Junit, &PLAIN)).expect("JUnit");
}

#[test]
fn json_preserves_every_text() {
    let value: Value =
        serde_json::from_str(&render(&samples::hostile(), Format::Json, &PLAIN)).expect("JSON");
    assert_eq!(value["nodes"][0]["agentPool"], samples::poison());
}

#[test]
fn the_verdict_names_the_tested_configuration() {
    let text = |fleet: &Fleet| render(fleet, Format::Text, &PLAIN).replace("\n  ", " ");
    let mut fleet = healthy(3);
    assert!(!text(&fleet).contains("onfiguration"), "agents that are too old do not report one");
    let digests = ["1a", "2b"].map(|pair| format!("sha256:{}", pair.repeat(32)));
    let set = |node: &mut Node, digest: &str| {
        let State::Reported(report) = &mut node.state else { panic!("it reported") };
        let digest = digest.into();
        report.configuration = Some(ConfigurationState { digest, rejected: None, rejected_digest: None });
    };
    fleet.nodes.iter_mut().for_each(|node| set(node, &digests[0]));
    fleet.expected_configuration = Some(digests[0].clone());
    assert!(text(&fleet).contains(&format!("Configuration: {}.", digests[0])), "{}", text(&fleet));
    let value: Value = serde_json::from_str(&render(&fleet, Format::Json, &PLAIN)).expect("JSON");
    assert_eq!(value["expectedConfiguration"], digests[0].as_str());
    assert_eq!(value["nodes"][0]["report"]["configuration"]["digest"], digests[0].as_str());
    assert!(render(&fleet, Format::Junit, &PLAIN).contains(&digests[0]));
    set(&mut fleet.nodes[2], &digests[1]);
    assert!(text(&fleet).contains("The agents use 2 different configurations."), "{}", text(&fleet));
}

/// Outside the sample, an open path and an older check are never shown as a pull.
#[test]
fn a_sampled_pass_claims_no_more_than_was_proven() {
    let sampled = samples::sampled();
    let text = render(&sampled, Format::Text, &PLAIN).replace("\n  ", " ");
    assert!(text.contains("of 6 nodes that should run the agent, 3 can pull, "), "{text}");
    assert!(
        text.contains(
            "An open path covers DNS, address, TCP and TLS since the smoke check started, nothing else."
        ),
        "{text}"
    );
    let value: Value = serde_json::from_str(&render(&sampled, Format::Json, &PLAIN)).expect("JSON");
    let counts = ["pass", "warn", "pathOpen", "pathOpenWarn"].map(|key| value["counts"][key].clone());
    assert_eq!(counts, [3, 0, 2, 1]);
    let proofs: Vec<_> = (0..6).map(|node| value["nodes"][node]["proof"].as_str()).collect();
    assert_eq!(proofs, [None, None, None, Some("path"), Some("path"), Some("path")]);
    let xml = render(&sampled, Format::Junit, &PLAIN);
    assert_eq!(xml.matches("(path open, not in the sample)").count(), 3, "{xml}");
    let all: Value = serde_json::from_str(&render(&healthy(6), Format::Json, &PLAIN)).expect("JSON");
    assert!(all.get("sample").is_none() && all["counts"].get("pathOpen").is_none(), "{all}");
}

#[test]
fn a_pass_names_what_was_tested_and_what_was_not() {
    let said = |fleet: &Fleet| render(fleet, Format::Text, &PLAIN).replace("\n  ", " ");
    let text = said(&healthy(4));
    assert!(text.contains("Checked: contoso.azurecr.io/apps/canary:1 (node network)."), "{text}");
    assert!(!text.contains("Not tested"), "{text}");

    let mut fleet = healthy(4);
    let mut checked = crate::report::samples::without_blob();
    checked.policy.allow_loopback = true;
    checked.image = "contoso.azurecr.io/apps/other:1".parse().expect("an image");
    fleet.nodes[0].state = samples::reported("n", vec![checked]);
    let text = said(&fleet);
    assert!(text.contains("contoso.azurecr.io/apps/canary:1 (on 3 of 4 nodes)"), "{text}");
    assert!(text.contains("contoso.azurecr.io/apps/other:1 (on 1 of 4 nodes)"), "{text}");
    assert!(text.contains("Not tested: the data endpoint and the blob download."), "{text}");
    assert!(text.contains("Loopback addresses were treated as private."), "{text}");
}

#[test]
fn the_progress_table_fits_its_width() {
    for (name, fleet) in all() {
        let nodes: Vec<&Node> = fleet.nodes.iter().collect();
        for width in [0, 10, 40, 80] {
            for line in progress::lines(&nodes, "31 of 40 nodes, 12 s left", width) {
                assert!(line.is_ascii() && line.len() <= width, "{name} at {width}: {line}");
            }
        }
    }
    let fleet = one_subnet();
    let nodes: Vec<&Node> = fleet.nodes.iter().collect();
    let lines = progress::lines(&nodes, "first", 80);
    assert_eq!(lines[0], "first");
    assert!(lines[2].split_whitespace().eq(["np1", "3", "37", "0", "0"]), "{lines:?}");
}
