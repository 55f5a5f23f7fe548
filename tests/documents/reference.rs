//! Tables and configurations of the documents: they list what the program has, no more and no less.

use std::collections::BTreeSet;
use std::path::Path;

use crate::PROGRAM;
use acr_verifier::address::{PRIVATE_RANGES, RESERVED_RANGES};
use acr_verifier::cause::Cause;
use acr_verifier::cli;
use acr_verifier::cluster::OWNERS;
use acr_verifier::config::{Schedule, file};
use acr_verifier::exit::ExitStatus;
use acr_verifier::observation::{Endpoint, Stage};
use acr_verifier::schedule;
use acr_verifier::transition::VERIFIED;

use serde_json::Value;

use lab::Lab;
use lab::settings::Settings;
use support::agent::{Agent, config};
use support::markdown::{Cell, Page, pages};

/// Permissions of the agent's account in the tests of Events on a real API server.
const RIGHTS: &str = include_str!("../events/setup.yaml");
/// The source that reads the environment.
const MAIN: &str = include_str!("../../src/main.rs");

fn rows(page: &str, heading: &str) -> Vec<Vec<Cell>> {
    Page::read(page).section(heading).rows()
}

/// Returns the options of a command without those that every command has.
fn own_options(command: &str) -> BTreeSet<String> {
    let program = cli::command();
    let command =
        program.find_subcommand(command).unwrap_or_else(|| panic!("there is no command `{command}`"));
    let shown = command.get_arguments().filter(|flag| !flag.is_hide_set());
    shown.filter_map(clap::Arg::get_long).map(|flag| format!("--{flag}")).collect()
}

fn common_options() -> BTreeSet<String> {
    let program = cli::command();
    let shown = program.get_arguments().filter(|flag| !flag.is_hide_set());
    shown.filter_map(clap::Arg::get_long).map(|flag| format!("--{flag}")).collect()
}

/// Returns the options in the first column of a table.
fn listed(page: &str, heading: &str) -> BTreeSet<String> {
    let code =
        rows(page, heading).into_iter().filter_map(|row| row.into_iter().next()).flat_map(|cell| cell.code);
    let first = |option: String| option.split(' ').next().unwrap_or_default().to_owned();
    code.map(first).filter(|option| option.starts_with("--")).collect()
}

#[test]
fn options_are_listed() {
    let check = own_options("check").into_iter().chain(common_options()).collect();
    let expected = [
        ("docs/check.md", check),
        ("docs/smoke.md", own_options("smoke")),
        ("docs/exposure.md", own_options("exposure")),
        ("docs/discover.md", own_options("discover")),
    ];
    for (page, options) in expected {
        assert_eq!(listed(page, "Options"), options, "{page}: left: the table, right: the program");
    }
    let agent = Page::read("docs/agent.md").spans();
    for option in own_options("agent").into_iter().chain(common_options()) {
        let is_listed = agent.iter().any(|span| span.contains(&option)) || option == "--config";
        assert!(is_listed, "docs/agent.md: {option}");
    }
}

#[test]
fn exit_codes_are_current() {
    let outcomes = [ExitStatus::Good, ExitStatus::Problem, ExitStatus::Inconclusive, ExitStatus::Interrupted];
    let mut codes: Vec<String> = outcomes.iter().map(|outcome| outcome.code().to_string()).collect();
    // Invalid usage; `tests/cli.rs` tests it.
    codes.push("2".into());
    codes.sort();
    for page in ["docs/check.md", "docs/discover.md"] {
        let mut reported: Vec<String> =
            rows(page, "Exit codes").iter().map(|row| row[0].text.clone()).collect();
        reported.sort_unstable();
        assert_eq!(reported, codes, "{page}");
    }
}

#[test]
fn stages_are_current() {
    let rows = rows("docs/check.md", "What is checked");
    let reported: Vec<(&str, &str)> =
        rows.iter().map(|row| (row[0].text.as_str(), row[1].text.as_str())).collect();
    let stages: Vec<(&str, &str)> = Endpoint::ALL
        .into_iter()
        .flat_map(|endpoint| Stage::of(endpoint).iter().map(move |stage| (endpoint.as_str(), stage.as_str())))
        .collect();
    assert_eq!(reported, stages);
}

#[test]
fn address_ranges_are_current() {
    let rows = rows("docs/check.md", "Addresses");
    assert_eq!(rows[0][1].code, PRIVATE_RANGES);
    assert_eq!(rows[1][1].code, RESERVED_RANGES);
}

#[test]
fn configurations_are_valid() {
    let mut read = 0;
    for page in pages() {
        for text in page.blocks("yaml").iter().filter(|block| block.starts_with("images:")) {
            let config = file::parse(Path::new(&page.path), text).unwrap_or_else(|errors| panic!("{errors}"));
            assert!(!config.images.is_empty());
            read += 1;
        }
    }
    assert!(read >= 3, "{read}");
}

#[test]
fn http_paths_and_statuses_are_current() {
    let lab = Lab::start(Settings::default());
    let agent = Agent::start(PROGRAM, &lab, &config(&lab, "1h"));
    let answer = agent.get("/nowhere").json();
    let (_, known) =
        answer["error"].as_str().and_then(|error| error.split_once(": ")).expect("a list of paths");
    let rows = rows("docs/agent.md", "HTTP");
    let reported: Vec<&str> = rows.iter().map(|row| row[0].code[0].as_str()).collect();
    assert_eq!(reported, known.split(", ").collect::<Vec<_>>());
    for row in &rows {
        let path = row[0].code[0].strip_prefix("GET ");
        let Some(reply) = path.map(|path| agent.get(path)) else { continue };
        assert!(row[1].code.contains(&reply.status.to_string()), "{row:?}: {}", reply.status);
    }
}

/// The documented Role is the one used by the tests of Events on a real API server.
#[test]
fn the_role_is_the_tested_one() {
    let role = RIGHTS.split("---\n").find(|part| part.contains("\nkind: Role\n")).expect("a Role");
    let blocks = Page::read("docs/agent.md").blocks("yaml");
    assert!(blocks.iter().any(|block| block == role), "put this into docs/agent.md:\n{role}");
}

/// Each kind that `discover --owners` lists has a rule.
#[test]
fn the_rules_of_discover_are_complete() {
    let blocks = Page::read("docs/discover.md").blocks("yaml");
    let rules: Vec<Value> = serde_saphyr::from_str(&blocks[0]).expect("YAML");
    let is_granted = |group: &str, resource: &str, verb: &str| {
        let has = |rule: &Value, key: &str, word: &str| {
            rule[key].as_array().is_some_and(|list| list.iter().any(|one| one == word))
        };
        rules.iter().any(|rule| {
            has(rule, "apiGroups", group) && has(rule, "resources", resource) && has(rule, "verbs", verb)
        })
    };
    let owners = OWNERS.map(|(_, resource, group)| (group, resource, "list"));
    let needed =
        owners.into_iter().chain([("", "pods", "list"), ("", "pods/proxy", "get"), ("", "nodes", "list")]);
    for (group, resource, verb) in needed {
        assert!(is_granted(group, resource, verb), "{verb} {resource} of {group:?}");
    }
    assert_eq!(rules.len(), 5);
}

#[test]
fn event_reasons_exist() {
    let rows = rows("docs/agent.md", "Events");
    let reasons: Vec<String> = Cause::ALL.iter().map(|cause| cause.reason()).collect();
    assert!(!rows[0][1].code.is_empty());
    assert!(rows[0][1].code.iter().all(|reason| reasons.contains(reason)));
    assert_eq!(rows[1][1].code, [VERIFIED]);
}

/// The table of symptoms names causes and fields that exist.
#[test]
fn causes_of_the_troubleshooting_exist() {
    let rows = rows("docs/troubleshooting.md", "The check fails, but pulls work");
    let codes: Vec<&str> = rows.iter().flat_map(|row| &row[0].code).map(String::as_str).collect();
    assert!(codes.len() >= 8, "{codes:?}");
    for code in codes.into_iter().filter(|code| !code.contains(':')) {
        assert!(Cause::ALL.iter().any(|cause| cause.to_string() == code), "{code}");
    }
}

#[test]
fn intervals_are_those_of_the_schedule() {
    let rows = rows("docs/scaling.md", "Requests to the registry");
    assert!(rows.len() > 1);
    for row in rows {
        let number = |cell: &Cell| cell.text.parse::<u32>().expect("a number");
        let schedule = Schedule {
            fleet_size: Some(number(&row[0])),
            budget_per_minute: Some(number(&row[2])),
            ..Schedule::default()
        };
        let interval = schedule::interval(&schedule, number(&row[1]) * schedule::REQUESTS_PER_IMAGE);
        assert_eq!(format!("{} s", interval.as_secs_f64()), row[3].text, "{row:?}");
    }
}

#[test]
fn all_environment_variables_are_listed() {
    let rows = rows("docs/configuration.md", "Environment");
    let reported: BTreeSet<&str> = rows.iter().flat_map(|row| &row[0].code).map(String::as_str).collect();
    let is_variable = |word: &&str| {
        word.len() > 3 && word.bytes().all(|letter| letter.is_ascii_uppercase() || letter == b'_')
    };
    let read: Vec<&str> = MAIN.split('"').skip(1).step_by(2).filter(is_variable).collect();
    assert!(read.len() >= 7, "{read:?}");
    for variable in read {
        assert!(reported.contains(variable), "{variable}");
    }
}
