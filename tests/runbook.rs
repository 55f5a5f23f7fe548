//! The shipped runbook: complete, with links that resolve and commands that parse.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};

use acr_verifier::cause::{Cause, CauseInfo};
use acr_verifier::report::{RUNBOOK, runbook};

use generate::alerts::alerts;
use generate::runbook::GUIDES;

const SHIPPED: &str = include_str!("../dashboards/runbook.md");

/// Replaces an ID that a command takes from another command.
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
        let CauseInfo { confirm, verify, cautions, .. } = cause.info();
        assert!(!confirm.commands.is_empty(), "{cause}");
        for sentence in [confirm.shows, *verify].into_iter().chain(cautions.iter().copied()) {
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

/// Returns the `az` calls of a line: in front, in `"$(…)"` and in `=$(…)`. What an inner call returns is an ID.
fn az_calls(line: &str) -> Vec<String> {
    let (mut calls, mut line) = (Vec::new(), line.to_owned());
    for (opening, closing, value) in [("\"$(az ", ")\"", ID), ("=$(az ", ")", "=")] {
        while let Some((before, rest)) = line.split_once(opening) {
            let (inner, after) = rest.split_once(closing).expect("it ends");
            calls.push(format!("az {inner}"));
            line = format!("{before}{value}{after}");
        }
    }
    let first = line.split(" && ").filter_map(|part| part.split(" | ").next());
    calls.extend(first.filter(|first| first.starts_with("az ")).map(str::to_owned));
    calls
}

/// Returns the commands of a program between backticks in the text, with an option that has a value.
fn inline(program: &str) -> impl Iterator<Item = String> {
    let plain = SHIPPED.split("```").step_by(2).flat_map(|text| text.split('`').skip(1).step_by(2));
    plain
        .filter(move |span| span.starts_with(program) && span.contains(" --"))
        .map(|span| span.replace('\n', " "))
}

/// Replaces the placeholders of IDs, which the Azure CLI takes apart.
fn with_ids(call: &str) -> String {
    let types = [
        ("VNET_ID", "Microsoft.Network/virtualNetworks/v"),
        ("RESOLVER_VNET_ID", "Microsoft.Network/virtualNetworks/v"),
        ("ENDPOINT_SUBNET_ID", "Microsoft.Network/virtualNetworks/v/subnets/s"),
        ("SUBNET_ID", "Microsoft.Network/virtualNetworks/v/subnets/s"),
        ("NSG_ID", "Microsoft.Network/networkSecurityGroups/n"),
        ("ROUTE_TABLE_ID", "Microsoft.Network/routeTables/r"),
        ("NIC_ID", "Microsoft.Network/networkInterfaces/n"),
        ("PRIVATE_ENDPOINT_ID", "Microsoft.Network/privateEndpoints/p"),
        ("VMSS_ID", "Microsoft.Compute/virtualMachineScaleSets/s"),
    ];
    let prefix = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/g/providers";
    let words = call.split(' ').map(|word| {
        let id = types.iter().find(|(name, _)| *name == word);
        id.map_or_else(|| word.to_owned(), |(_, kind)| format!("{prefix}/{kind}"))
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn az_commands_parse() {
    let lines = commands().into_iter().map(str::to_owned).chain(inline("az "));
    let calls: BTreeSet<String> =
        lines.flat_map(|line| az_calls(&line)).map(|call| with_ids(&call)).collect();
    assert!(calls.len() > 60, "{}", calls.len());
    match crate::azure::parsed(&calls.into_iter().collect::<Vec<_>>()) {
        Ok(rejected) => assert!(rejected.is_empty(), "{rejected}"),
        Err(reason) => crate::azure::skip(&reason),
    }
}

/// Resources of a hub and of a cluster are in different subscriptions: each command names its own.
#[test]
fn az_commands_name_the_subscription_of_what_they_read() {
    let by_name = ["az acr ", "az ad ", "az account ", "az role ", "az cloud "];
    let lines = commands().into_iter().map(str::to_owned).chain(inline("az "));
    for call in lines.flat_map(|line| az_calls(&line)) {
        let names_it =
            ["--subscription ", "--ids ", "--resource "].iter().any(|option| call.contains(option));
        let lists = call.starts_with("az ") && !call.contains("--resource-group ");
        let is_of_registry = by_name.iter().any(|prefix| call.starts_with(prefix));
        assert!(names_it || lists || is_of_registry, "{call}");
        assert!(!call.contains(" RESOURCE_GROUP"), "{call}");
    }
}

/// Each word in capitals of a command is in the table at the top, once.
#[test]
fn placeholders_are_explained_once() {
    let (_, table) = SHIPPED.split_once("| Placeholder |").expect("a table");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let names = rows.filter_map(|line| line.trim_start_matches('|').split('|').next());
    let mut explained: Vec<&str> = names.flat_map(|cell| cell.split(',').map(str::trim)).collect();
    let once: BTreeSet<&str> = explained.iter().copied().collect();
    explained.sort_unstable();
    assert_eq!(explained, once.iter().copied().collect::<Vec<_>>(), "a placeholder is explained twice");
    // A record type.
    let known = BTreeSet::from(["AAAA"]);
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || "_-$".contains(letter);
    let is_placeholder = |word: &&str| {
        word.len() > 1 && word.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_')
    };
    let mut used = BTreeSet::new();
    for command in commands() {
        used.extend(command.split(|letter| !is_part(letter)).filter(is_placeholder));
    }
    let unexplained: Vec<&&str> =
        used.iter().filter(|word| !once.contains(*word) && !known.contains(*word)).collect();
    assert!(unexplained.is_empty(), "{unexplained:?}");
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
