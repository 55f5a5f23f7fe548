//! The example that renews a token's password in a vault, run by bash with a stand-in for the Azure CLI that keeps the vault.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use super::commands::without_jq;
use super::{parsed, root, skip};

const AZ: &str = r#"#!/usr/bin/env bash
{ printf az; printf ' %q' "$@"; echo; } >>"$STATE/calls"
case "$*" in
*"$(cat "$STATE/failing")"*) echo "ERROR: Forbidden" >&2; exit 1 ;;
"keyvault secret set"*)
    cat >"$STATE/vault-$7"
    [[ $* != *password=* ]] || echo "${@: -1}" | cut -d= -f2 >"$STATE/tag" ;;
"keyvault secret list"*)
    [[ ! -e $STATE/tag ]] || printf '[{"name": "acr-pull-password", "tags": {"password": "%s"}}]' "$(cat "$STATE/tag")" ;;
"acr token show"*) cat "$STATE/token" ;;
"acr token credential generate"*)
    echo '{"username": "nodes", "passwords": [{"name": "password1", "value": "planted-1"}, {"name": "password2", "value": "planted-2"}]}' ;;
*) exit 99 ;;
esac
"#;

/// Two passwords, the first one older.
const BOTH: &str = r#"{"credentials": {"passwords": [{"name": "password1", "creationTime": "2026-08-01T00:00:00+00:00"},
{"name": "password2", "creationTime": "2026-09-01T00:00:00+00:00"}]}}"#;
const FIRST: &str =
    r#"{"credentials": {"passwords": [{"name": "password1", "creationTime": "2026-08-01T00:00:00+00:00"}]}}"#;
const NONE: &str = r#"{"credentials": {"passwords": null}}"#;

/// The registry and the vault.
struct Azure {
    state: TempDir,
}

impl Azure {
    fn new(token: &str) -> Self {
        let azure = Self { state: tempfile::tempdir().expect("a folder") };
        let program = azure.path().join("az");
        fs::write(&program, AZ).expect("a file");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("our own file");
        fs::write(azure.path().join("token"), token).expect("a file");
        azure.fail("nothing");
        azure
    }

    fn path(&self) -> &Path {
        self.state.path()
    }

    /// Makes the calls that contain a text fail.
    fn fail(&self, text: &str) {
        fs::write(self.path().join("failing"), text).expect("a file");
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap_or_default()
    }

    fn rotate(&self, arguments: &[&str]) -> Output {
        let path = std::env::var("PATH").expect("a path");
        Command::new(root().join("deploy/examples/rotation/rotate-password"))
            .args(arguments)
            .env("PATH", format!("{}:{path}", self.path().display()))
            .env("STATE", self.path())
            .output()
            .expect("bash runs")
    }
}

const ARGUMENTS: [&str; 3] = ["contoso", "nodes", "contoso-vault"];

#[test]
fn the_password_that_no_client_uses_is_renewed() {
    if without_jq() {
        return;
    }
    for (state, token, tag, expected) in [
        ("no password", NONE, None, "planted-1"),
        ("one password", FIRST, None, "planted-2"),
        ("two, the vault's unknown", BOTH, None, "planted-1"),
        ("the older one in the vault", BOTH, Some("password1"), "planted-2"),
        ("the newer one in the vault", BOTH, Some("password2"), "planted-1"),
    ] {
        let azure = Azure::new(token);
        if let Some(tag) = tag {
            fs::write(azure.path().join("tag"), tag).expect("a file");
        }
        let output = azure.rotate(&ARGUMENTS);
        assert!(output.status.success(), "{state}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(azure.read("vault-acr-pull-username"), "nodes", "{state}");
        assert_eq!(azure.read("vault-acr-pull-password"), expected, "{state}");
        assert_eq!(azure.read("tag").trim(), expected.replace("planted-", "password"), "{state}");
        let expires_at: jiff::Timestamp = azure.read("vault-acr-pull-expires-at").parse().expect("RFC 3339");
        let hours = (expires_at - jiff::Timestamp::now()).total(jiff::Unit::Hour).expect("a duration");
        assert!((88.0 * 24.0..=89.0 * 24.0).contains(&hours), "{state}: {expires_at}");
        let shown = format!("{output:?}{}", azure.read("calls"));
        assert!(!shown.contains("planted"), "{state}: {shown}");
    }
}

#[test]
fn a_failure_leaves_the_password_in_the_vault_valid() {
    if without_jq() {
        return;
    }
    let azure = Azure::new(BOTH);
    fs::write(azure.path().join("tag"), "password1").expect("a file");
    azure.fail("acr-pull-username");
    assert!(!azure.rotate(&ARGUMENTS).status.success());
    assert!(!azure.read("calls").contains("generate"), "{}", azure.read("calls"));
    // Nothing is stored if no password is generated.
    azure.fail("credential generate");
    assert!(!azure.rotate(&ARGUMENTS).status.success());
    assert!(!azure.read("calls").contains("acr-pull-password"), "{}", azure.read("calls"));
    assert_eq!(azure.read("vault-acr-pull-password"), "");
    // The next run generates the same password again, not the one that clients use.
    azure.fail("--name acr-pull-password");
    for _ in 0..2 {
        assert!(!azure.rotate(&ARGUMENTS).status.success());
    }
    azure.fail("nothing");
    assert!(azure.rotate(&ARGUMENTS).status.success());
    let calls = azure.read("calls");
    assert_eq!(calls.matches("--password2").count(), 4, "{calls}");
    assert!(!calls.contains("--password1"), "{calls}");
    assert_eq!(azure.rotate(&["contoso"]).status.code(), Some(2));
    assert_eq!(azure.rotate(&["contoso", "nodes", "contoso-vault", "x"]).status.code(), Some(2));
}

#[test]
fn its_az_commands_parse() {
    if without_jq() {
        return;
    }
    let azure = Azure::new(BOTH);
    assert!(azure.rotate(&ARGUMENTS).status.success());
    let calls: Vec<String> = azure.read("calls").lines().map(str::to_owned).collect();
    assert_eq!(calls.len(), 6, "{calls:?}");
    // The parser reads the file.
    let calls: Vec<String> = calls.iter().map(|call| call.replace("/dev/stdin", "/dev/null")).collect();
    match parsed(&calls) {
        Ok(rejected) => assert!(rejected.is_empty(), "{rejected}"),
        Err(reason) => skip(&reason),
    }
}
