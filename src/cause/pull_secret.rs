//! Commands about the pull secret: what it holds, and how a new password gets into it.
//!
//! A command keeps the Secret's other entries and sets `expiresAt`, which the warning about expiring credentials reads. No
//! password is on the screen, on disk, in the shell's history or in the list of processes: it passes through pipes only.

use super::names::Names;

/// The state of a token and the age of its two passwords: the one that no client uses can be generated again.
pub(super) fn token_passwords(names: &Names) -> Vec<String> {
    names.acr([format!(
        "az acr token show --registry {} --name TOKEN --query \"{{status:status, \
         passwords:credentials.passwords[].{{name:name, created:creationTime, expiry:expiry}}}}\"",
        names.registry()
    )])
}

/// Generates a token password and puts it into the entry of the registry.
pub(super) fn merge_password(names: &Names, password: &str) -> Vec<String> {
    names.acr([merge(
        names,
        &generate(names, password),
        "$new[0].username",
        &format!("$new[0].passwords[] | select(.name == \"{password}\") | .value"),
        90,
    )])
}

/// Creates the pull secret with a new token password. The dry run fails if there is one, or if the caller may not create it:
/// then no password is generated.
pub(super) fn create_secret(names: &Names) -> Vec<String> {
    names.acr([format!(
        "kubectl create secret generic SECRET --namespace acr-verifier --dry-run=server && {}",
        manifest(names, "create")
    )])
}

/// Deletes the pull secret, if any, and creates it with a new token password, if the caller may do both.
pub(super) fn recreate_secret(names: &Names) -> Vec<String> {
    names.acr([format!(
        "kubectl auth can-i delete secrets/SECRET --namespace acr-verifier && kubectl auth can-i create secrets --namespace \
         acr-verifier && {}",
        manifest(names, "replace --force")
    )])
}

/// Creates a client secret, next to the existing ones, and puts it into the entry of the registry.
pub(super) fn merge_client_secret(names: &Names) -> String {
    merge(
        names,
        "az ad app credential reset --id CLIENT_ID --append --years 1 --output json",
        "$new[0].appId",
        "$new[0].password | strings",
        365,
    )
}

fn generate(names: &Names, password: &str) -> String {
    format!(
        "az acr token credential generate --registry {} --name TOKEN --{password} --expiration-in-days 90 --output json",
        names.registry()
    )
}

/// Replaces the password in the pull secret: the registry's entry in a `.dockerconfigjson`, or the keys `username` and
/// `password`. A password that is generated invalidates the previous one, so two checks come first: that the Secret exists, is
/// mutable and well-formed, and that the API server accepts an update. `kubectl replace` ignores an empty input.
fn merge(names: &Names, source: &str, user: &str, password: &str, days: u32) -> String {
    format!(
        "{SECRET_JSON} | jq --slurp '.[0] | ((.immutable | not) and (.data | has(\"password\") or (.[\".dockerconfigjson\"] | \
         @base64d | fromjson | .auths | type == \"object\")))? // false | if . then \"The Secret can be updated.\" else error(\"The \
         Secret is missing, immutable or malformed.\") end' && {SECRET_JSON} | kubectl replace --dry-run=server --filename=- && \
         {SECRET_JSON} | jq --slurpfile new <({source}) '({password}) as $password | .data |= if has(\"password\") then .username = \
         ({user} | @base64) | .password = ($password | @base64) else .[\".dockerconfigjson\"] |= (@base64d | fromjson | \
         .auths[\"{key}\"] = {{username: {user}, password: $password}} | tojson | @base64) end | .data.expiresAt = {expiry}' | \
         kubectl replace --filename=-",
        key = names.key(),
        expiry = expiry(days),
    )
}

const SECRET_JSON: &str = "kubectl get secret SECRET --namespace acr-verifier --output json";

fn manifest(names: &Names, store: &str) -> String {
    format!(
        "{} | jq '(.passwords[] | select(.name == \"password1\") | .value) as $password | {{apiVersion: \"v1\", kind: \
         \"Secret\", type: \"kubernetes.io/dockerconfigjson\", metadata: {{name: \"SECRET\", namespace: \"acr-verifier\"}}, \
         data: {{\".dockerconfigjson\": ({{auths: {{\"{}\": {{username, password: $password}}}}}} | tojson | @base64), \
         expiresAt: {}}}}}' | kubectl {store} --filename=-",
        generate(names, "password1"),
        names.key(),
        expiry(90),
    )
}

/// The time in this many days, a day early, as a value of a Secret.
fn expiry(days: u32) -> String {
    format!("(now + {} * 86400 | todate | @base64)", days - 1)
}

/// What else a change of the pull secret needs.
pub(super) const ELSEWHERE: &str = "\
The command sets `expiresAt` one day before the password expires. `credentials.expiresAt` in the values overrides it: change it \
there as well. External Secrets, Flux and Argo CD revert a manual change: if one of them owns the Secret, change its source. \
`kubectl get secret SECRET --namespace acr-verifier --output jsonpath='{.metadata.ownerReferences} {.metadata.labels}'` shows the \
owner. This Secret belongs to the agents. Pods that pull with the same token have their own Secrets: `kubectl get secrets \
--all-namespaces --field-selector type=kubernetes.io/dockerconfigjson` lists them.";
/// What changes for other clients if a password is generated.
pub(super) const ALTERNATE: &str = "\
Generating a password immediately invalidates the previous one of that name, for every client. Generate the one that no client \
uses, `password1` or `password2`, usually the older one: replace its name in both places in the command. Alternate between the two \
passwords, so that the current one stays valid until every client has the new one. The command first checks that a \
new password can be stored; if not, none is generated.";
/// When a disabled token should stay disabled.
pub(super) const ENABLE: &str = "\
Enable the token only if it was not disabled on purpose, such as after a leak.";
