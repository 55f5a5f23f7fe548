//! Tests the messages about rejected credentials by kind and by evidence in the file.

use super::super::{Expectation, diagnose};
use crate::address::AddressPolicy;
use crate::cause::Cause;
use crate::diagnosis::Diagnosis;
use crate::findings::Findings;
use crate::observation::{
    Answer, CredentialEvidence, CredentialKind, Endpoint, Failure, Fault, Manifest, Observation,
    RejectedEntry, Sender, Stage,
};
use crate::verdict::Severity;

fn expectation(image: &str) -> Expectation {
    Expectation {
        image: image.parse().expect("an image"),
        policy: AddressPolicy::default(),
        now: "2026-11-28T06:00:00Z".parse().expect("a moment"),
    }
}

fn entry(key: &str, kind: CredentialKind, evidence: &[CredentialEvidence]) -> RejectedEntry {
    RejectedEntry { entry: format!("`{key}` of `/secret`"), kind, evidence: evidence.to_vec() }
}

/// Returns the diagnosis of a pull whose entries were all rejected.
fn rejected(image: &str, entries: Vec<RejectedEntry>) -> Diagnosis {
    let answer = Answer { status: 401, sender: Sender::Registry, ..Answer::default() };
    let observation = Observation {
        rejected_entries: entries,
        failure: Some(Failure {
            endpoint: Endpoint::Login,
            stage: Stage::Token,
            fault: Fault::Answer(answer),
        }),
        ..Observation::default()
    };
    let mut found = diagnose(&expectation(image), &observation, &Findings::default());
    assert_eq!(found.len(), 1, "{found:#?}");
    let diagnosis = found.remove(0);
    assert_eq!(diagnosis.cause, Cause::CredentialsRejected);
    diagnosis
}

const IMAGE: &str = "contoso.azurecr.io/apps/canary:1";

#[test]
fn each_kind_has_its_own_reasons_remedy_and_commands() {
    use CredentialKind::{AdminUser, Empty, RefreshToken, RepositoryToken, ServicePrincipal};
    for (kind, reason, remedy, command) in [
        (
            RepositoryToken,
            "an expired password, or a disabled token",
            "Enable the token",
            "az acr token show",
        ),
        (AdminUser, "a disabled admin user", "Enable the admin user", "adminUserEnabled"),
        (ServicePrincipal, "without the AcrPull role", "Assign the AcrPull role", "--role AcrPull"),
        (RefreshToken, "about three hours", "Replace the refresh token", "az acr token credential generate"),
        (Empty, "makes the pull anonymous", "Store a user name", "az acr token credential generate"),
    ] {
        let diagnosis = rejected(IMAGE, vec![entry("contoso.azurecr.io", kind, &[])]);
        let beginning = "contoso.azurecr.io rejects the credentials from `contoso.azurecr.io` of `/secret`; ";
        assert!(diagnosis.message.starts_with(beginning), "{}", diagnosis.message);
        assert!(diagnosis.message.contains(reason), "{}", diagnosis.message);
        assert!(diagnosis.remedy.starts_with(remedy), "{}", diagnosis.remedy);
        assert!(diagnosis.commands.iter().any(|shown| shown.contains(command)), "{:#?}", diagnosis.commands);
    }
}

#[test]
fn evidence_in_the_file_is_in_the_message_and_selects_the_remedy() {
    use CredentialEvidence::{AuthDiffers, Blank, LineEnd, NotUtf8};
    for (evidence, shown, remedy) in [
        (vec![LineEnd], "the password ends in a newline", "Store the password again without a trailing"),
        (vec![Blank], "begins or ends with whitespace", "Store the user name and password again"),
        (vec![AuthDiffers], "and only `auth` is used", "Remove `auth` from the entry"),
        (vec![NotUtf8], "is not UTF-8", "Store the user name and password again as UTF-8"),
        (
            vec![AuthDiffers, LineEnd],
            "only `auth` is used and the password ends in a newline",
            "Store the password again without a trailing",
        ),
    ] {
        let entries = vec![
            entry("contoso.azurecr.io/apps", CredentialKind::RepositoryToken, &[]),
            entry("contoso.azurecr.io", CredentialKind::RepositoryToken, &evidence),
        ];
        let diagnosis = rejected(IMAGE, entries);
        let place = "in `contoso.azurecr.io` of `/secret`, ";
        assert!(diagnosis.message.contains(place), "{}", diagnosis.message);
        assert!(diagnosis.message.contains(shown), "{}", diagnosis.message);
        assert!(diagnosis.remedy.starts_with(remedy), "{}", diagnosis.remedy);
    }
}

#[test]
fn messages_name_three_entries_and_each_kind_once() {
    let keys = ["contoso.azurecr.io/apps", "contoso.azurecr.io", "*.azurecr.io", "*.*.io", "*.azurecr.*"];
    let entries = keys.map(|key| entry(key, CredentialKind::RepositoryToken, &[])).to_vec();
    let message = rejected(IMAGE, entries).message;
    assert!(
        message.contains("`contoso.azurecr.io/apps` of `/secret`, `contoso.azurecr.io` of `/secret`, `*.azurecr.io` of `/secret` and 2 more;"),
        "{message}"
    );
    assert_eq!(message.matches("for a repository token").count(), 1, "{message}");
}

#[test]
fn a_rejected_entry_before_a_working_one_is_a_warning() {
    let stale = |failure: Option<Stage>, entries: Vec<RejectedEntry>| {
        let manifest = Manifest {
            digest: "sha256:0".to_owned(),
            media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
            size: 1,
            platform: None,
        };
        let fault = Fault::ConnectionReset;
        let observation = Observation {
            rejected_entries: entries,
            manifest: Some(manifest),
            failure: failure.map(|stage| Failure { endpoint: Endpoint::Login, stage, fault: fault.clone() }),
            ..Observation::default()
        };
        let mut found = diagnose(&expectation(IMAGE), &observation, &Findings::default());
        found.retain(|diagnosis| diagnosis.cause == Cause::CredentialsStaleEntry);
        found
    };
    let entries = vec![entry(
        "contoso.azurecr.io/apps",
        CredentialKind::RepositoryToken,
        &[CredentialEvidence::LineEnd],
    )];
    let [warning] = &stale(None, entries.clone())[..] else { panic!("no warning") };
    assert_eq!(
        (warning.severity, warning.message.as_str()),
        (
            Severity::Warn,
            "contoso.azurecr.io rejects the credentials from `contoso.azurecr.io/apps` of `/secret`, but pulls work with \
             a later entry; in `contoso.azurecr.io/apps` of `/secret`, the password ends in a newline, as `echo` without \
             `-n` writes it."
        )
    );
    assert!(warning.remedy.starts_with("Remove the rejected entry"), "{}", warning.remedy);
    assert_eq!(
        stale(Some(Stage::Blob), entries.clone()).len(),
        1,
        "a later failure has nothing to do with credentials"
    );
    assert!(stale(Some(Stage::Token), entries.clone()).is_empty());
    assert!(stale(Some(Stage::Manifest), entries).is_empty());
    assert!(stale(None, Vec::new()).is_empty());
}

#[test]
fn another_registry_gets_no_advice_about_azure() {
    let diagnosis =
        rejected("registry.example.net/app", vec![entry("*", CredentialKind::ServicePrincipal, &[])]);
    assert!(diagnosis.message.contains("its response gives no reason"), "{}", diagnosis.message);
    assert!(diagnosis.commands.iter().all(|command| !command.contains("az ")), "{:?}", diagnosis.commands);
    assert!(!diagnosis.commands.is_empty());
}

#[test]
fn the_key_of_a_new_secret_is_the_registry_as_written_in_the_image() {
    let diagnosis = rejected(
        "contoso.azurecr.io:443/app",
        vec![entry("contoso.azurecr.io:443", CredentialKind::RepositoryToken, &[])],
    );
    assert!(diagnosis.commands.iter().any(|command| command.contains("\"contoso.azurecr.io:443\"")));
}
