//! The README against the code: tables, commands, configuration and samples must be current.

pub(crate) mod samples;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;

use crate::PROGRAM;
use acr_verifier::address::{PRIVATE_RANGES, RESERVED_RANGES};
use acr_verifier::cause::Cause;
use acr_verifier::cli::{self, Environment, UsageError};
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

const README: &str = include_str!("../README.md");
/// The metric reference; `tests/metrics/declared.rs` compares it with the declarations.
const METRICS: &str = include_str!("golden/metrics/reference.md");
/// Permissions of the agent's account in the tests of Events on a real API server.
const RIGHTS: &str = include_str!("events/setup.yaml");
/// The source that reads the environment.
const MAIN: &str = include_str!("../src/main.rs");

/// Options whose value is a file that does not exist on this machine.
const PATH_FLAGS: [&str; 5] = [
    "--credentials <PATH>",
    "--ca-file <PATH>",
    "--resolv-conf <PATH>",
    "--report-file <PATH>",
    "--expect-file <FILE>",
];

/// Returns the text below a heading, up to the next heading of any level.
fn section(heading: &str) -> &'static str {
    let start = README.find(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("there is no `{heading}`"));
    let text = &README[start + heading.len() + 2..];
    let end = text.lines().find(|line| line.starts_with('#')).map(|line| position_of(text, line));
    &text[..end.unwrap_or(text.len())]
}

fn position_of(text: &str, line: &str) -> usize {
    line.as_ptr() as usize - text.as_ptr() as usize
}

/// Returns the rows of a section's table, without its header.
fn rows(heading: &str) -> Vec<Vec<&'static str>> {
    let lines = section(heading).lines().filter(|line| line.starts_with('|')).skip(2);
    lines
        .map(|line| {
            let cells = line.trim_matches('|').split(" | ");
            cells.map(str::trim).collect()
        })
        .collect()
}

/// Returns the parts in backticks.
fn quoted(text: &'static str) -> Vec<&'static str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// Returns the fenced blocks of a language.
fn blocks(language: &str) -> Vec<&'static str> {
    let opening = format!("```{language}\n");
    let end = |text: &'static str| text.find("\n```").expect("a block ends") + 1;
    README.split(opening.as_str()).skip(1).map(|text| &text[..end(text)]).collect()
}

/// Returns every command line of the program, with continued lines joined and shell redirections removed.
fn commands() -> Vec<Vec<String>> {
    let scripts = blocks("sh").into_iter().map(|block| block.replace("\\\n", " "));
    let steps = blocks("yaml").into_iter().filter_map(|block| block.split("script: >\n").nth(1));
    let steps = steps.map(|step| step.split("env:").next().unwrap_or_default().replace('\n', " "));
    let text: Vec<String> = scripts.chain(steps).collect();
    let subcommands: Vec<String> =
        cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect();
    let command_of = |line: &str| {
        let (before, after) = line.split_once(&format!("{} ", cli::NAME))?;
        let is_over = |word: &&str| ["|", ">", "<", "&&"].contains(word);
        let words: Vec<String> =
            after.split_whitespace().take_while(|word| !is_over(word)).map(str::to_owned).collect();
        // In the middle of a line it may be a file name in another command.
        (before.trim().is_empty() || subcommands.contains(words.first()?)).then_some(words)
    };
    text.iter().flat_map(|text| text.lines()).filter_map(command_of).collect()
}

#[test]
fn commands_are_valid() {
    let commands = commands();
    assert!(commands.len() >= 6, "{commands:?}");
    for command in &commands {
        let words = std::iter::once(cli::NAME).chain(command.iter().map(String::as_str)).map(OsString::from);
        let arguments = cli::parse(words).unwrap_or_else(|error| panic!("{command:?}: {error}"));
        match cli::resolve(arguments, &Environment::default()) {
            Ok(_) | Err(UsageError::Configuration(_)) => {}
            Err(UsageError::Value { argument, .. }) if PATH_FLAGS.contains(&argument) => {}
            Err(wrong) => panic!("{command:?}: {wrong}"),
        }
    }
}

#[test]
fn all_options_of_check_are_listed() {
    let program = cli::command();
    let check = program.find_subcommand("check").expect("there is a command `check`");
    let shown = program.get_arguments().chain(check.get_arguments()).filter(|flag| !flag.is_hide_set());
    let flags = shown.filter_map(clap::Arg::get_long);
    let known: BTreeSet<String> = flags.map(|flag| format!("--{flag}")).collect();
    let reported: BTreeSet<String> = rows("## Usage")
        .iter()
        .flat_map(|row| quoted(row[0]))
        .map(|option| option.split(' ').next().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(reported, known, "left: README, right: the program");
}

#[test]
fn all_options_of_exposure_are_listed() {
    let program = cli::command();
    let exposure = program.find_subcommand("exposure").expect("there is a command `exposure`");
    for flag in exposure.get_arguments().filter(|flag| !flag.is_hide_set()).filter_map(clap::Arg::get_long) {
        assert!(section("## Exposure check").contains(&format!("--{flag}")), "--{flag}");
    }
}

#[test]
fn exit_codes_are_current() {
    let outcomes = [ExitStatus::Good, ExitStatus::Problem, ExitStatus::Inconclusive, ExitStatus::Interrupted];
    let mut codes: Vec<String> = outcomes.iter().map(|outcome| outcome.code().to_string()).collect();
    // Invalid usage; `tests/cli.rs` tests it.
    codes.push("2".into());
    let mut reported: Vec<&str> = rows("### Exit codes").iter().flat_map(|row| quoted(row[0])).collect();
    codes.sort();
    reported.sort_unstable();
    assert_eq!(reported, codes);
}

#[test]
fn stages_are_current() {
    let reported: Vec<(&str, Vec<&str>)> =
        rows("## What is tested, and what is not").iter().map(|row| (row[0], quoted(row[1]))).collect();
    let stages: Vec<(&str, Vec<&str>)> = Endpoint::ALL
        .into_iter()
        .flat_map(|endpoint| {
            Stage::of(endpoint).iter().map(move |stage| (endpoint.as_str(), vec![stage.as_str()]))
        })
        .collect();
    assert_eq!(reported, stages);
}

#[test]
fn address_ranges_are_current() {
    let rows = rows("### Addresses");
    assert_eq!(quoted(rows[0][1]), PRIVATE_RANGES);
    assert_eq!(quoted(rows[1][1]), RESERVED_RANGES);
}

#[test]
fn configuration_is_valid() {
    let configurations: Vec<&str> =
        blocks("yaml").into_iter().filter(|block| block.starts_with("images:")).collect();
    assert!(!configurations.is_empty());
    for text in configurations {
        let config = file::parse(Path::new("README.md"), text).unwrap_or_else(|errors| panic!("{errors}"));
        assert!(!config.images.is_empty());
    }
}

#[test]
fn metrics_are_the_generated_reference() {
    let reported = section("## Metrics");
    assert!(reported.contains(METRICS.trim_end()), "run `{}`", generate::COMMAND);
}

#[test]
fn all_options_of_the_agent_are_listed() {
    let program = cli::command();
    let agent = program.find_subcommand("agent").expect("there is a command `agent`");
    let shown = program.get_arguments().chain(agent.get_arguments()).filter(|flag| !flag.is_hide_set());
    for flag in shown.filter_map(clap::Arg::get_long) {
        assert!(section("## Agent").contains(&format!("--{flag}")), "--{flag}");
    }
}

#[test]
fn http_paths_and_statuses_are_current() {
    let lab = Lab::start(Settings::default());
    let agent = Agent::start(PROGRAM, &lab, &config(&lab, "1h"));
    let answer = agent.get("/nowhere").json();
    let (_, known) =
        answer["error"].as_str().and_then(|error| error.split_once(": ")).expect("a list of paths");
    let reported: Vec<&str> = rows("### HTTP").iter().map(|row| quoted(row[0])[0]).collect();
    assert_eq!(reported, known.split(", ").collect::<Vec<_>>());
    for request in reported {
        let path = request.strip_prefix("GET ");
        let Some(reply) = path.map(|path| agent.get(path)) else { continue };
        let row = rows("### HTTP").into_iter().find(|row| quoted(row[0])[0] == request).expect("its row");
        assert!(quoted(row[1]).contains(&reply.status.to_string().as_str()), "{request}: {}", reply.status);
    }
}

/// The documented Role is the one used by the tests of Events on a real API server.
#[test]
fn the_role_is_the_tested_one() {
    let role = RIGHTS.split("---\n").find(|part| part.contains("\nkind: Role\n")).expect("a Role");
    assert!(blocks("yaml").contains(&role), "put this into the README:\n{role}");
}

#[test]
fn all_options_of_discover_are_listed() {
    let program = cli::command();
    let discover = program.find_subcommand("discover").expect("there is a command `discover`");
    let known: BTreeSet<String> =
        discover.get_arguments().filter_map(clap::Arg::get_long).map(|flag| format!("--{flag}")).collect();
    let cells = rows("## Discover").into_iter().flat_map(|row| quoted(row[0]));
    let reported: BTreeSet<String> = cells
        .filter_map(|option| {
            option.split(' ').next().filter(|word| word.starts_with("--")).map(str::to_owned)
        })
        .collect();
    assert_eq!(reported, known, "left: README, right: the program");
}

/// Each kind that `discover --owners` lists has a rule.
#[test]
fn the_rules_of_discover_are_complete() {
    let rules = blocks("yaml").into_iter().find(|block| block.contains("cronjobs")).expect("the rules");
    let rules: Vec<Value> = serde_saphyr::from_str(rules).expect("YAML");
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
    let rows = rows("### Events");
    let reasons: Vec<String> = Cause::ALL.iter().map(|cause| cause.reason()).collect();
    assert!(quoted(rows[0][1]).iter().all(|reason| reasons.iter().any(|known| known == reason)));
    assert_eq!(quoted(rows[1][1]), [VERIFIED]);
}

#[test]
fn intervals_are_those_of_the_schedule() {
    let rows = rows("### Schedule");
    assert!(rows.len() > 1);
    for row in rows {
        let number = |cell: &str| cell.parse::<u32>().expect("a number");
        let schedule = Schedule {
            fleet_size: Some(number(row[0])),
            budget_per_minute: Some(number(row[2])),
            ..Schedule::default()
        };
        let interval = schedule::interval(&schedule, number(row[1]) * schedule::REQUESTS_PER_IMAGE);
        assert_eq!(format!("{} s", interval.as_secs_f64()), row[3], "{row:?}");
    }
}

#[test]
fn all_environment_variables_are_listed() {
    let reported: BTreeSet<&str> = rows("## Environment").iter().flat_map(|row| quoted(row[0])).collect();
    let is_variable = |word: &&str| {
        word.len() > 3 && word.bytes().all(|letter| letter.is_ascii_uppercase() || letter == b'_')
    };
    let read: Vec<&str> = MAIN.split('"').skip(1).step_by(2).filter(is_variable).collect();
    assert!(read.len() >= 7, "{read:?}");
    for variable in read {
        assert!(reported.contains(variable), "{variable}");
    }
}

#[test]
fn links_are_valid() {
    links_of(Path::new("README.md"));
    links_of(Path::new("tests/bench/README.md"));
    links_of(Path::new("CONTRIBUTING.md"));
}

/// Checks every link of a page against the files and their headings.
fn links_of(page: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_else(|_| panic!("{}", path.display()));
    let (text, folder) = (read(&root.join(page)), root.join(page.parent().unwrap_or(page)));
    let targets = text.split("](").skip(1).filter_map(|text| text.split(')').next());
    for target in targets.filter(|target| !target.starts_with("https://")) {
        let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
        let path = if file.is_empty() { root.join(page) } else { folder.join(file) };
        assert!(path.exists(), "{}: {target}", page.display());
        let heading = anchor.replace('-', " ");
        let is_heading = |line: &str| line.trim_start_matches('#').trim().eq_ignore_ascii_case(&heading);
        let has_anchor = || read(&path).lines().any(|line| line.starts_with('#') && is_heading(line));
        // The runbook has its own anchors for causes.
        assert!(
            anchor.is_empty() || file.ends_with("runbook.md") || has_anchor(),
            "{}: {target}",
            page.display()
        );
    }
}
