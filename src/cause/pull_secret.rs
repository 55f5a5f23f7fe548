//! Commands about the pull secret: what it holds, and how a new password gets into it.
//!
//! A password that is generated invalidates the previous one, so two commands do it: the first one checks the rights and keeps the
//! new password in a variable of the shell, the second one stores it and can be repeated. It keeps the Secret's other entries and
//! sets `expiresAt`, which the warning about expiring credentials reads. No password is on the screen, on disk, in the shell's
//! history or in the list of processes.

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
    names.acr([generate(names, password, CAN_UPDATE), merge_generated(names, password)])
}

/// Generates a token password, and stores it in the pull secret or, if there is none, in a new one.
pub(super) fn add_password(names: &Names, password: &str) -> Vec<String> {
    names.acr([
        generate(names, password, CAN_CREATE),
        merge_generated(names, password),
        manifest(names, password, "create"),
    ])
}

/// Deletes the pull secret, if any, and creates it with a new token password.
pub(super) fn recreate_secret(names: &Names, password: &str) -> Vec<String> {
    names.acr([generate(names, password, CAN_RECREATE), manifest(names, password, "replace --force")])
}

/// Creates a client secret, next to the existing ones, and puts it into the entry of the registry.
pub(super) fn merge_client_secret(names: &Names) -> [String; 2] {
    [
        format!(
            "{CAN_UPDATE} && new=$(az ad app credential reset --id CLIENT_ID --append --years 1 --output json)"
        ),
        merge(names, "$new[0].appId", "$new[0].password | strings", 365),
    ]
}

const CAN_UPDATE: &str = "kubectl auth can-i update secrets/SECRET --namespace acr-verifier";
const CAN_CREATE: &str = "kubectl auth can-i create secrets --namespace acr-verifier";
const CAN_RECREATE: &str = "kubectl auth can-i delete secrets/SECRET --namespace acr-verifier && kubectl auth can-i create secrets \
                            --namespace acr-verifier";

/// Generates a password if the caller can store it.
fn generate(names: &Names, password: &str, check: &str) -> String {
    format!(
        "{check} && new=$(az acr token credential generate --registry {} --name TOKEN --{password} --expiration-in-days 90 \
         --output json)",
        names.registry()
    )
}

fn merge_generated(names: &Names, password: &str) -> String {
    merge(
        names,
        "$new[0].username",
        &format!("$new[0].passwords[] | select(.name == \"{password}\") | .value"),
        90,
    )
}

/// Replaces the password in the pull secret: the registry's entry in a `.dockerconfigjson`, or the keys `username` and
/// `password`. Without a password, or with a malformed Secret, `jq` prints an error and nothing is replaced.
fn merge(names: &Names, user: &str, password: &str, days: u32) -> String {
    format!(
        "kubectl get secret SECRET --namespace acr-verifier --output json | jq --slurpfile new <(printf %s \"$new\") '({password}) as \
         $password | .data |= if has(\"password\") then .username = ({user} | @base64) | .password = ($password | @base64) else \
         .[\".dockerconfigjson\"] |= (@base64d | fromjson | .auths[\"{key}\"] = {{username: {user}, password: $password}} | tojson | \
         @base64) end | .data.expiresAt = {expiry}' | kubectl replace --filename=-",
        key = names.key(),
        expiry = expiry(days),
    )
}

fn manifest(names: &Names, password: &str, store: &str) -> String {
    format!(
        "printf %s \"$new\" | jq '(.passwords[] | select(.name == \"{password}\") | .value) as $password | {{apiVersion: \"v1\", \
         kind: \"Secret\", type: \"kubernetes.io/dockerconfigjson\", metadata: {{name: \"SECRET\", namespace: \"acr-verifier\"}}, \
         data: {{\".dockerconfigjson\": ({{auths: {{\"{}\": {{username, password: $password}}}}}} | tojson | @base64), \
         expiresAt: {}}}}}' | kubectl {store} --filename=-",
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
The command that stores it sets `expiresAt` one day before the password expires. `credentials.expiresAt` in the values overrides it: change it \
there as well. External Secrets, Flux and Argo CD revert a manual change: if one of them owns the Secret, change its source. \
`kubectl get secret SECRET --namespace acr-verifier --output jsonpath='{.metadata.ownerReferences} {.metadata.labels}'` shows the \
owner. This Secret belongs to the agents. Pods that pull with the same token have their own Secrets: `kubectl get secrets \
--all-namespaces --field-selector type=kubernetes.io/dockerconfigjson` lists them.";
/// What changes for other clients if a password is generated.
pub(super) const ALTERNATE: &str = "\
Generating a password immediately invalidates the previous one of that name, for every client. Generate the one that no client \
uses, `password1` or `password2`, usually the older one: replace its name in every command. Alternate between the two passwords, so \
that the current one stays valid until every client has the new one. Until you close the shell, its variable `new` has the new \
password: if it could not be stored, correct the Secret, and repeat only the command that stores it.";
/// When a disabled token should stay disabled.
pub(super) const ENABLE: &str = "\
Enable the token only if it was not disabled on purpose, such as after a leak.";
