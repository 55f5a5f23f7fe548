//! The shipped runbook: complete, with links that resolve and commands that parse.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use acr_verifier::cause::{Cause, CauseInfo};
use acr_verifier::report::{RUNBOOK, runbook};

use generate::alerts::alerts;
use generate::runbook::GUIDES;

const SHIPPED: &str = include_str!("../dashboards/runbook.md");

/// Replaces an id that a command takes from another command.
const ID: &str = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/RESOURCE_GROUP/providers/Microsoft.Network/networkInterfaces/NIC";

/// Returns the anchors that GitHub generates from the headings.
fn anchors() -> BTreeSet<String> {
    let headings = SHIPPED.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-")).collect()
}

/// Returns the commands of all blocks.
fn commands() -> Vec<&'static str> {
    let blocks = SHIPPED.split("```sh\n").skip(1).filter_map(|text| text.split("\n```").next());
    blocks.flat_map(str::lines).collect()
}

#[test]
fn the_shipped_runbook_is_up_to_date() {
    assert_eq!(generate::runbook::text(), SHIPPED, "run `{}`", generate::COMMAND);
}

#[test]
fn every_alert_has_a_guide_and_every_text_is_made_of_sentences() {
    let known: Vec<String> = alerts().into_iter().map(|(name, _)| name).collect();
    let guides: Vec<&str> = GUIDES.iter().map(|guide| guide.alert).collect();
    assert_eq!(guides, known);
    for guide in &GUIDES {
        assert!(!guide.confirm.is_empty(), "{}", guide.alert);
        for sentence in [guide.meaning, guide.first, guide.fix, guide.verify] {
            assert!(sentence.ends_with('.') && !sentence.contains("  "), "{}: {sentence}", guide.alert);
        }
    }
    for cause in Cause::ALL {
        let CauseInfo { confirm, verify, .. } = cause.info();
        assert!(!confirm.commands.is_empty(), "{cause}");
        for sentence in [confirm.shows, *verify] {
            assert!(sentence.ends_with('.') && !sentence.contains("  "), "{cause}: {sentence}");
        }
    }
}

#[test]
fn every_link_to_it_and_in_it_resolves() {
    let anchors = anchors();
    let headings = SHIPPED.lines().filter(|line| line.starts_with('#')).count();
    assert_eq!(anchors.len(), headings, "two headings have one anchor");
    assert!(RUNBOOK.ends_with("/dashboards/runbook.md"));
    // Reports and Events take theirs from `runbook`.
    for cause in Cause::ALL {
        let anchor = runbook(cause).split_once('#').expect("an anchor").1.to_owned();
        assert!(anchors.contains(&anchor), "{anchor}");
    }
    for (name, rule) in alerts() {
        let url = rule.annotations.expect("annotations").runbook_url;
        let (page, anchor) = url.split_once('#').expect("an anchor");
        assert_eq!(page, RUNBOOK);
        assert!(anchors.contains(anchor) && anchor == name.to_lowercase(), "{url}");
    }
    let mut links = 0;
    for link in SHIPPED.split("](#").skip(1).filter_map(|text| text.split(')').next()) {
        assert!(anchors.contains(link), "{link}");
        links += 1;
    }
    assert!(links > Cause::ALL.len(), "{links}");
}

#[test]
fn blocks_parse_as_bash() {
    let script = commands().join("\n");
    let mut bash = Command::new("bash")
        .arg("-n")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("bash runs");
    bash.stdin.take().expect("a pipe").write_all(script.as_bytes()).expect("bash reads");
    let output = bash.wait_with_output().expect("bash ends");
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn az_commands_parse() {
    let mut calls = BTreeSet::new();
    for command in commands().into_iter().filter(|command| command.starts_with("az ")) {
        // What follows a pipe belongs to another program; what is in `$(…)` is a call of its own and returns an id.
        let command = command.split(" | jq ").next().expect("a first part");
        let inner = command.split_once("\"$(").and_then(|(_, rest)| rest.split_once(")\""));
        if let Some((inner, _)) = inner {
            calls.insert(inner.to_owned());
            calls.insert(command.replace(&format!("\"$({inner})\""), ID));
        } else {
            calls.insert(command.to_owned());
        }
    }
    assert!(calls.len() > 30, "{}", calls.len());
    let root = crate::azure::root();
    let found = Command::new(root.join("tests/azure/tools")).arg("--find").output().expect("bash runs");
    if !found.status.success() {
        return crate::azure::skip(String::from_utf8_lossy(&found.stderr).trim());
    }
    let python = Path::new(String::from_utf8_lossy(&found.stdout).trim()).join("bin/python");
    let mut parser = Command::new(python)
        .arg(root.join("tests/azure/arguments.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Python runs");
    let lines: Vec<String> = calls.into_iter().collect();
    let mut input = parser.stdin.take().expect("a pipe");
    input.write_all(lines.join("\n").as_bytes()).expect("the parser reads");
    drop(input);
    let output = parser.wait_with_output().expect("the parser ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn acr_verifier_commands_parse() {
    let own = commands().into_iter().filter(|command| command.starts_with("acr-verifier "));
    let mut parsed = 0;
    for command in own {
        // Names are lower case and a resolver has an address; their placeholders do not.
        let reference = command
            .replace("REPOSITORY:TAG", "repository:tag")
            .replace("exposure REGISTRY", "exposure registry")
            .replace("10m REGISTRY", "10m registry")
            .replace("RESOLVER REGISTRY", "1.1.1.1 registry");
        let words = reference.split(' ').map(std::ffi::OsString::from);
        assert!(acr_verifier::cli::parse(words).is_ok(), "{command}");
        parsed += 1;
    }
    assert!(parsed > 0);
}
