//! Every command in every document is one that exists: the program's are parsed by clap, files are there, scripts parse.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::process::Command;

use acr_verifier::cli::{self, Environment, UsageError};
use support::markdown::{Page, pages, root};

/// Options whose value is a file that does not exist on this machine.
const PATH_FLAGS: [&str; 5] = [
    "--credentials <PATH>",
    "--ca-file <PATH>",
    "--resolv-conf <PATH>",
    "--report-file <PATH>",
    "--expect-file <FILE>",
];
/// The first words of command lines, and what checks them. Scripts of the repository are checked by
/// `files_and_packages_of_commands_exist`.
const PROGRAMS: [(&str, &str); 14] = [
    ("acr-verifier", "`the_commands_of_the_program_parse`"),
    ("cargo", "`files_and_packages_of_commands_exist`"),
    ("kubectl", "`events::documents`, with the real kubectl"),
    ("helm", "`chart::reference` renders them; `installations_are_those_of_the_chart`"),
    ("az", "`azure::commands`, with the parser of the Azure CLI"),
    ("skopeo", "`azure::commands`, with a stub"),
    ("cosign", "`release`, with the options of its reference"),
    ("gh", "`release`"),
    ("check-jsonschema", "its file is a link of the same page"),
    ("sha256sum", "coreutils"),
    ("ln", "coreutils"),
    ("command", "a builtin"),
    ("git", "the release, by a person"),
    ("export", "a builtin"),
];
/// Where the scripts of the repository are.
const SCRIPTS: [&str; 3] = [".ci/", "deploy/", "tests/"];
/// Documents with tests of their own: `runbook` and `azure::commands`.
const OWN_TESTS: [&str; 3] = ["dashboards/runbook.md", "deploy/azure/README.md", "deploy/chart/README.md"];

fn others() -> Vec<Page> {
    pages().into_iter().filter(|page| !OWN_TESTS.contains(&page.path.as_str())).collect()
}

/// Returns the command lines of the program in a document, with redirections removed.
fn of_program(page: &Page) -> Vec<Vec<String>> {
    let steps = page.blocks("yaml").into_iter().filter_map(|block| {
        let step = block.split("script: >\n").nth(1)?.split("env:").next()?.replace('\n', " ");
        Some(step)
    });
    let subcommands: Vec<String> =
        cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect();
    let command_of = |line: String| {
        let (before, after) = line.split_once(&format!("{} ", cli::NAME))?;
        let is_over = |word: &&str| ["|", ">", ">>", "<", "&&", "||"].contains(word);
        let words: Vec<String> =
            after.split_whitespace().take_while(|word| !is_over(word)).map(str::to_owned).collect();
        // In the middle of a line it may be a file name in another command.
        (before.trim().is_empty() || subcommands.contains(words.first()?)).then_some(words)
    };
    page.commands().into_iter().chain(steps).filter_map(command_of).collect()
}

#[test]
fn the_commands_of_the_program_parse() {
    let mut parsed = 0;
    for page in others() {
        for command in of_program(&page) {
            // Variables of a pipeline have no value here.
            let command: Vec<String> =
                command.into_iter().map(|word| word.replace("\"$IMAGE\"", IMAGE)).collect();
            let words =
                std::iter::once(cli::NAME).chain(command.iter().map(String::as_str)).map(OsString::from);
            if command.iter().any(|word| ["--version", "--help"].contains(&word.as_str())) {
                continue;
            }
            let arguments =
                cli::parse(words).unwrap_or_else(|error| panic!("{}: {command:?}: {error}", page.path));
            match cli::resolve(arguments, &Environment::default()) {
                Ok(_) | Err(UsageError::Configuration(_)) => {}
                Err(UsageError::Value { argument, .. }) if PATH_FLAGS.contains(&argument) => {}
                Err(wrong) => panic!("{}: {command:?}: {wrong}", page.path),
            }
            parsed += 1;
        }
    }
    assert!(parsed >= 15, "{parsed}");
}

const IMAGE: &str = "contoso.azurecr.io/apps/canary:1";

/// A new program in a document needs a test of its command lines.
#[test]
fn every_program_of_a_script_has_a_test() {
    let known: BTreeSet<&str> = PROGRAMS.iter().map(|(program, _)| *program).collect();
    let mut unknown = BTreeSet::new();
    for page in others() {
        for line in page.commands() {
            // Assignments are followed by a command or nothing.
            let mut words = line.split_whitespace();
            let first = words.find(|word| !word.contains('=') || word.contains("=$("));
            let first = first.map(|word| word.rsplit_once("=$(").map_or(word, |(_, program)| program));
            let is_script = |word: &str| SCRIPTS.iter().any(|folder| word.starts_with(folder));
            if first.is_some_and(|word| !known.contains(word) && !is_script(word)) {
                unknown.insert(format!("{}: {line}", page.path));
            }
        }
    }
    assert!(unknown.is_empty(), "{unknown:#?}");
}

#[test]
fn files_and_packages_of_commands_exist() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("the manifest");
    let mut checked = 0;
    for page in pages() {
        let spans = page.spans().into_iter().filter(|span| span.contains(' '));
        for line in page.commands().into_iter().chain(spans) {
            let words: Vec<&str> = line.split_whitespace().skip_while(|word| word.contains('=')).collect();
            let Some(program) = words.first() else { continue };
            let is_script = SCRIPTS.iter().any(|folder| program.starts_with(folder));
            if is_script {
                assert!(root().join(program).is_file(), "{}: {line}", page.path);
                checked += 1;
            }
            if *program != "cargo" {
                continue;
            }
            for pair in
                words.windows(2).filter(|pair| ["--example", "--test", "--package"].contains(&pair[0]))
            {
                let name = pair[1];
                let is_member = root().join("tests").join(name).join("Cargo.toml").is_file();
                let is_known = is_member || manifest.contains(&format!("name = \"{name}\"\n"));
                assert!(is_known, "{}: {line}", page.path);
                checked += 1;
            }
        }
    }
    assert!(checked >= 15, "{checked}");
}

#[test]
fn scripts_parse_as_bash() {
    for page in pages() {
        for script in [page.blocks("sh"), page.blocks("console")].concat() {
            let output = Command::new("bash").args(["-n", "-c", &script]).output().expect("bash runs");
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success() && error.is_empty(), "{}: {script}\n{error}", page.path);
        }
    }
}

/// The chart's README has every way to install, and `chart` renders each.
#[test]
fn installations_are_those_of_the_chart() {
    let normal = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let chart = Page::read("deploy/chart/README.md");
    let known: BTreeSet<String> = chart.commands().iter().map(|line| normal(line)).collect();
    let mut compared = 0;
    for page in pages().iter().filter(|page| page.path == "README.md" || page.path.starts_with("docs/")) {
        for line in page.commands().iter().filter(|line| line.starts_with("helm ")) {
            assert!(known.contains(&normal(line)), "{}: {line}", page.path);
            compared += 1;
        }
    }
    assert!(compared >= 4, "{compared}");
}
