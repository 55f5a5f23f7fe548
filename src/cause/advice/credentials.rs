//! Advice for credentials: what is missing, unreadable, rejected, out of date or about to expire.
//!
//! A rejected credential has advice of its own for each kind: the registry answers 401 to all of them, for other reasons.

use super::Advice;
use super::names::Names;
use crate::observation::{CredentialEvidence, CredentialKind};

pub(super) const CREDENTIALS_MISSING: Advice = Advice {
    meaning: "No credentials match this image, and the registry refuses an anonymous pull.",
    recognised_by: "no matching entry, and an anonymous pull is refused",
    remedy: "Add an entry to the pull secret whose key is the registry exactly as the image's name has it.",
    commands: |names| {
        let mut commands = vec![secret_keys(), secret_hosts()];
        commands.extend(new_secret(names, "password1"));
        commands
    },
};

pub(super) const CREDENTIALS_INVALID: Advice = Advice {
    meaning: "There are credentials, but the kubelet cannot read them, so it does not pull at all.",
    recognised_by: "unreadable or unparsable: what the kubelet rejects as a whole",
    remedy: "Create the pull secret again, of type kubernetes.io/dockerconfigjson.",
    commands: |names| {
        let mut commands = vec![secret_keys(), secret_hosts()];
        commands.extend(new_secret(names, "password1"));
        commands
    },
};

pub(super) const CREDENTIALS_REJECTED: Advice = Advice {
    meaning: "The registry rejects every credential that matches the image.",
    recognised_by: "401 for every matching entry; the reasons depend on the kind of credential",
    remedy: "Enable the token or store a new password in the pull secret; a service principal also needs the AcrPull role on \
             the registry.",
    commands: |names| or_hosts(token_commands(names)),
};

pub(super) const CREDENTIALS_STALE_ENTRY: Advice = Advice {
    meaning: "The pull works, but only after the registry has rejected a more specific entry of the pull secret.",
    recognised_by: "a more specific entry was rejected, a later one worked",
    remedy: "Remove the rejected entry from the pull secret, or store a valid password in it.",
    commands: |names| {
        let mut commands = vec![secret_hosts()];
        commands.extend(token_commands(names));
        commands
    },
};

pub(super) const CREDENTIALS_EXPIRING: Advice = Advice {
    meaning: "The credentials end soon, and pulls fail from then on.",
    recognised_by: "under 14 days by default",
    remedy: "Make the token's other password, put it into the pull secret, and let the old one run out.",
    commands: |names| {
        let mut commands = names.acr([format!(
            "az acr token show --registry {} --name TOKEN --query credentials.passwords --output table",
            names.registry()
        )]);
        commands.extend(new_secret(names, "password2"));
        if commands.is_empty() {
            commands.push(secret_keys());
        }
        commands
    },
};

const TOKEN_REMEDY: &str =
    "Enable the token if it is disabled; otherwise generate a new password and store it in the pull secret.";

/// The remedy for a rejected credential: what the file shows comes first, then what its kind needs.
#[must_use]
pub fn remedy_of_rejected(kind: CredentialKind, evidence: &[CredentialEvidence]) -> &'static str {
    match evidence.iter().min() {
        Some(CredentialEvidence::LineEnd) => {
            return "Store the password again without a line end, for example with `printf %s` instead of `echo`.";
        }
        Some(CredentialEvidence::Blank) => {
            return "Store user name and password again without blanks around them.";
        }
        Some(CredentialEvidence::AuthDiffers) => {
            return "Remove `auth` from the entry, or encode the current user name and password in it.";
        }
        Some(CredentialEvidence::NotUtf8) => return "Store user name and password again as UTF-8.",
        None => {}
    }
    match kind {
        CredentialKind::RepositoryToken => TOKEN_REMEDY,
        CredentialKind::AdminUser => {
            "Enable the admin user or store its current password, or better replace it with a repository token."
        }
        CredentialKind::ServicePrincipal => {
            "Assign the AcrPull role on the registry to the service principal, or store a client secret that has not \
             expired."
        }
        CredentialKind::RefreshToken => {
            "Replace the refresh token with a repository token, because refresh tokens expire after about three hours."
        }
        CredentialKind::Empty => "Store a user name and a password in the entry.",
    }
}

/// The commands for a rejected credential of a kind.
#[must_use]
pub fn commands_of_rejected(kind: CredentialKind, names: &Names) -> Vec<String> {
    let registry = names.registry();
    or_hosts(match kind {
        CredentialKind::RepositoryToken => token_commands(names),
        CredentialKind::AdminUser => {
            let mut commands = names.acr([
                format!("az acr show --name {registry} --query adminUserEnabled --output tsv"),
                format!("az acr update --name {registry} --admin-enabled true"),
            ]);
            commands.extend(token_commands(names));
            commands
        }
        CredentialKind::ServicePrincipal => {
            let scope = format!("\"$(az acr show --name {registry} --query id --output tsv)\"");
            names.acr([
                format!("az role assignment list --assignee CLIENT_ID --scope {scope} --include-inherited --output table"),
                format!("az role assignment create --assignee CLIENT_ID --role AcrPull --scope {scope}"),
                "az ad app credential list --id CLIENT_ID --query \"[].endDateTime\" --output tsv".to_owned(),
                "az ad sp show --id CLIENT_ID --query accountEnabled --output tsv".to_owned(),
                format!(
                    "az ad app credential reset --id CLIENT_ID --append --output json | jq '{{auths: {{\"{key}\": \
                     {{username: .appId, password}}}}}}' | {STORE}",
                    key = names.key()
                ),
            ])
        }
        CredentialKind::RefreshToken | CredentialKind::Empty => new_secret(names, "password1"),
    })
}

/// The state of a repository token, and a new password for it.
fn token_commands(names: &Names) -> Vec<String> {
    let registry = names.registry();
    let mut commands = names.acr([
        format!(
            "az acr token show --registry {registry} --name TOKEN --query \"{{status:status, \
             passwords:credentials.passwords}}\""
        ),
        format!("az acr token update --registry {registry} --name TOKEN --status enabled"),
    ]);
    commands.extend(new_secret(names, "password1"));
    commands
}

/// The keys of the secret where no other command fits.
fn or_hosts(commands: Vec<String>) -> Vec<String> {
    if commands.is_empty() { vec![secret_hosts()] } else { commands }
}

/// The keys of the secret and their sizes, never a value.
fn secret_keys() -> String {
    "kubectl describe secret SECRET --namespace NAMESPACE".to_owned()
}

/// The login servers that the secret is for, never a value.
pub(super) fn secret_hosts() -> String {
    "kubectl get secret SECRET --namespace NAMESPACE --output \
     go-template='{{index .data \".dockerconfigjson\" | base64decode}}' | jq '.auths | keys'"
        .to_owned()
}

/// Takes a docker configuration from its input into the pull secret.
const STORE: &str = "kubectl create secret docker-registry SECRET --namespace NAMESPACE \
                     --from-file=.dockerconfigjson=/dev/stdin --dry-run=client --output=yaml | kubectl apply --filename=-";

/// Makes a password and puts it into the pull secret, past the screen, the disk, the history and the process list.
fn new_secret(names: &Names, password: &str) -> Vec<String> {
    names.acr([format!(
        "az acr token credential generate --registry {registry} --name TOKEN --{password} --expiration-in-days 90 \
         --output json | jq '{{auths: {{\"{key}\": {{username, password: (.passwords[] | select(.name == \
         \"{password}\") | .value)}}}}}}' | {STORE}",
        registry = names.registry(),
        key = names.key(),
    )])
}
