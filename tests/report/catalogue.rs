//! The catalogue of causes, and the texts and commands of the records.

use std::collections::BTreeSet;

use acr_verifier::address::NameserverAddress;
use acr_verifier::cause::{Cause, CauseInfo, Names};
use acr_verifier::image::ImageReference;
use acr_verifier::observation::Endpoint;
use acr_verifier::report::Style;
use acr_verifier::report::catalogue::{self, Entry, changes};

/// The programs that a command may start with: those that AKS operators have.
const PROGRAMS: [&str; 8] = ["acr-verifier", "az", "curl", "dig", "docker", "kubectl", "openssl", "printf"];

fn names() -> Vec<Names> {
    let image = |text: &str| -> ImageReference { text.parse().expect("an image") };
    let server: NameserverAddress = "10.60.0.10:53".parse().expect("an address");
    let mut all = vec![Names::placeholders()];
    for reference in [
        "contoso.azurecr.io/apps/canary:1",
        "contoso-e7ggejfuhzhgedc8.azurecr.us/apps/canary",
        "registry.example:5000/apps/canary:1",
    ] {
        let reference = image(reference);
        all.push(Names::new(&reference, Endpoint::Login, None, Some(&server)));
        all.push(Names::new(
            &reference,
            Endpoint::Data,
            Some("contoso.westeurope.data.azurecr.io"),
            Some(&server),
        ));
        all.push(Names::new(&reference, Endpoint::Data, Some("evil.example;reboot"), None));
    }
    all
}

#[test]
fn every_cause_is_listed_once_with_commands() {
    let entries = catalogue::entries();
    let codes: BTreeSet<_> = entries.iter().map(|entry| entry.cause.as_str()).collect();
    assert_eq!(codes.len(), Cause::ALL.len());
    for entry in &entries {
        assert!(!entry.commands.is_empty(), "{} has no command", entry.cause);
        assert!(!entry.stages.is_empty(), "{} has no stage", entry.cause);
    }
}

#[test]
fn meaning_and_remedy_are_one_sentence_each() {
    for cause in Cause::ALL {
        let CauseInfo { meaning, remedy, detection, at_data, .. } = cause.info();
        let remedy_at_data = at_data.as_ref().map(|fix| fix.remedy);
        for sentence in [*meaning, *remedy].into_iter().chain(remedy_at_data) {
            assert!(sentence.starts_with(|first: char| first.is_ascii_uppercase()), "{cause}: {sentence}");
            assert!(sentence.ends_with('.'), "{cause}: {sentence}");
            assert!(!sentence.contains(". "), "{cause} has a second sentence: {sentence}");
            assert!(!sentence.contains("  "), "{cause} has a gap: {sentence}");
        }
        let good = !detection.is_empty() && !detection.ends_with('.') && !detection.contains("  ");
        assert!(good, "{cause}: {detection}");
    }
}

#[test]
fn commands_are_single_lines_of_known_programs_without_secrets() {
    for names in names() {
        for cause in Cause::ALL {
            for command in cause.commands(&names) {
                let program = command.split(' ').next().expect("a word");
                assert!(PROGRAMS.contains(&program), "{cause}: {command}");
                assert!(command.is_ascii() && !command.contains(['\n', ';']), "{cause}: {command}");
                assert!(!command.contains("  "), "{cause} has a gap: {command}");
                assert!(!command.contains("--docker-password"), "{cause}: {command}");
                assert!(!command.contains("evil"), "{cause}: {command}");
            }
        }
    }
}

/// What the runbook separates: a new verb belongs in one of the two lists.
#[test]
fn a_command_of_az_looks_or_changes_something_by_its_verb() {
    const LOOKS: [&str; 9] = [
        "check-health",
        "get-upgrades",
        "list",
        "list-effective-nsg",
        "show",
        "show-effective-route-table",
        "show-endpoints",
        "show-metadata",
        "show-tags",
    ];
    let commands = Cause::ALL.into_iter().flat_map(|cause| cause.commands(&Names::placeholders()));
    for command in commands.filter(|command| command.starts_with("az ")) {
        let verb = command.split(" --").next().and_then(|call| call.split(' ').next_back()).expect("a verb");
        assert_eq!(changes(&command), !LOOKS.contains(&verb), "{command}");
    }
}

#[test]
fn quotes_and_parentheses_of_commands_are_balanced() {
    for names in names() {
        for cause in Cause::ALL {
            for command in cause.commands(&names) {
                for quote in ['"', '\''] {
                    assert_eq!(command.matches(quote).count() % 2, 0, "{cause}: {command}");
                }
                for (open, close) in [('(', ')'), ('{', '}'), ('[', ']')] {
                    assert_eq!(
                        command.matches(open).count(),
                        command.matches(close).count(),
                        "{cause}: {command}"
                    );
                }
            }
        }
    }
}

#[test]
fn commands_are_filled_in_for_cloud_endpoint_and_nameserver() {
    let image: ImageReference = "contoso-e7gg.azurecr.us/apps/canary:1".parse().expect("an image");
    let server: NameserverAddress = "10.60.0.11:53".parse().expect("an address");
    let host = Some("contoso-e7gg.usgovvirginia.data.azurecr.us");
    let names = Names::new(&image, Endpoint::Data, host, Some(&server));
    let record = Cause::PrivateRecordMissing.commands(&names).join("\n");
    assert!(
        record.contains("--zone-name privatelink.azurecr.us --name contoso-e7gg.usgovvirginia.data\n"),
        "{record}"
    );
    let link = Cause::PrivateZoneNotLinked.commands(&names).join("\n");
    assert!(link.contains("dig @10.60.0.11 contoso-e7gg.usgovvirginia.data.azurecr.us A"), "{link}");
    assert!(
        link.contains("--resource-group ZONE_RESOURCE_GROUP --zone-name privatelink.azurecr.us --name LINK"),
        "{link}"
    );
    let scope = Cause::ScopeMissing.commands(&names).join("\n");
    assert!(
        scope.contains("--registry contoso --name SCOPE_MAP --add-repository apps/canary content/read"),
        "{scope}"
    );
}

#[test]
fn the_catalogue_matches_its_golden() {
    let mut text = Vec::new();
    let style = Style { color: false, unicode: false, width: 100 };
    catalogue::write_text(&mut text, &style).expect("memory takes everything");
    let text = String::from_utf8(text).expect("UTF-8");
    expectorate::assert_contents("tests/golden/report/causes.txt", &text);
    let mut json = Vec::new();
    catalogue::write_json(&mut json).expect("memory takes everything");
    let entries: Vec<Entry> = serde_json::from_slice(&json).expect("an array of entries");
    assert_eq!(entries, catalogue::entries());
}
