//! The queries and the alert on Azure's logs: they find the agent's real Events, and the template parses.

use std::path::Path;

use acr_verifier::cause::Cause;
use acr_verifier::diagnosis::Diagnosis;
use acr_verifier::events::event::note;
use acr_verifier::observation::{Endpoint, Stage};
use acr_verifier::run::NetworkView;
use acr_verifier::transition::{Announcement, Change};
use acr_verifier::verdict::Severity;
use regex::Regex;

use super::files::bicep_resources;
use super::{Document, parsed, skip};

const LOGS: Document =
    Document { path: "dashboards/logs.md", text: include_str!("../../dashboards/logs.md") };
const RULE: &str = include_str!("../../dashboards/alerts/events.bicep");
const IMAGE: &str = "contoso.azurecr.io/apps/canary:1";

fn notes() -> Vec<(bool, String)> {
    let diagnosis = Diagnosis {
        cause: Cause::PrivateZoneNotLinked,
        severity: Severity::Fail,
        stage: Stage::Address,
        endpoint: Endpoint::Login,
        // Long enough that the note is truncated.
        message: "It is public. ".repeat(200),
        remedy: "Link the zone.".to_owned(),
        commands: Vec::new(),
        correlation_id: Some("0a1b".to_owned()),
    };
    let mut notes = Vec::new();
    for view in [NetworkView::Node, NetworkView::Pod] {
        for name in [None, Some("canary".to_owned())] {
            for change in [Change::Failing(Box::new(diagnosis.clone())), Change::Verified] {
                let is_failure = matches!(change, Change::Failing(_));
                let announcement = Announcement {
                    image: IMAGE.parse().expect("a reference"),
                    name: name.clone(),
                    change,
                    at: "2026-11-23T02:06:00Z".parse().expect("a time"),
                };
                notes.push((is_failure, note(view, &announcement)));
            }
        }
    }
    notes
}

#[test]
fn the_queries_find_the_events_of_the_agent_and_their_image() {
    let (failure, recovery) = ("Checked from the", "over the private path");
    let filter = format!(
        "| where ObjectKind == \"Node\" and (Message has \"{failure}\" or Message has \"{recovery}\")"
    );
    let image = r#"| extend Image = extract(@"^(\S+?):? ", 1, Message)"#;
    let queries = LOGS.blocks("kusto");
    assert!(queries[0].contains(&filter) && queries[0].contains(image), "{}", queries[0]);
    assert!(RULE.contains(&filter) && RULE.contains(image));
    let only_failures = format!("KubeEventType == \"Warning\" and Message has \"{failure}\"\n");
    assert!(RULE.contains(&only_failures));
    let pattern = Regex::new(r"^(\S+?):? ").expect("the pattern of the query");
    for (is_failure, note) in notes() {
        assert_eq!((note.contains(failure), note.contains(recovery)), (is_failure, !is_failure), "{note}");
        assert_eq!(
            pattern.captures(&note).map(|found| found[1].to_owned()).as_deref(),
            Some(IMAGE),
            "{note}"
        );
    }
}

#[test]
fn the_log_alert_parses_and_has_the_documented_parameters() {
    let script = LOGS.blocks("sh").concat();
    let given: Vec<&str> = script
        .lines()
        .filter_map(|line| line.trim().strip_prefix("--parameters "))
        .flat_map(|line| line.split(' '))
        .filter_map(|word| word.split_once('=').map(|(name, _)| name))
        .collect();
    assert!(given.len() >= 4, "{given:?}");
    for name in given {
        assert!(RULE.contains(&format!("\nparam {name} ")), "{name}");
    }
    match bicep_resources(Path::new("dashboards/alerts/events.bicep")) {
        Ok(resources) => assert_eq!(resources, 1),
        Err(reason) => skip(&reason),
    }
}

#[test]
fn the_azure_cli_parses_the_commands_about_logs() {
    let id = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/g/providers/Microsoft.A/b/c";
    let script = LOGS
        .blocks("sh")
        .concat()
        .replace("\\\n", " ")
        .replace("REGISTRY_ID", id)
        .replace("WORKSPACE_ID", id);
    let calls: Vec<String> =
        script.lines().filter(|line| line.starts_with("az ")).map(str::to_owned).collect();
    assert!(calls.len() >= 2, "{calls:?}");
    match parsed(&calls) {
        Ok(output) => assert!(output.is_empty(), "{output}"),
        Err(reason) => skip(&reason),
    }
}
