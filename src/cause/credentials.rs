//! Causes of credentials and of the token that they buy: missing, unreadable, rejected, without rights, about to expire.
//!
//! A rejected credential has a remedy for each kind of credential: the registry returns 401 to all of them, for different
//! reasons.

use super::CauseInfo;
use super::commands::health;
use super::confirm::{Confirm, GOOD_MANIFEST, GRANTED, MANIFEST, SECRET, SECRET_HOSTS, TOKEN};
use super::names::{Names, on_node};
use super::pull_secret::{
    ALTERNATE, ELSEWHERE, ENABLE, add_password, merge_client_secret, merge_password, recreate_secret,
    token_passwords,
};
use crate::observation::{CredentialEvidence, CredentialKind, Stage};
use crate::verdict::Severity;

pub(super) const CREDENTIALS_MISSING: CauseInfo = CauseInfo {
    code: "credentials_missing",
    severity: Severity::Fail,
    // A token for anonymous clients may not include the right to pull.
    stages: &[Stage::Token, Stage::Manifest],
    meaning: "No credentials match this image, and the registry rejects an anonymous pull.",
    detection: "no matching entry, and an anonymous pull is rejected",
    remedy: "Add an entry to the pull secret whose key is the registry exactly as in the image reference.",
    commands: |names| {
        let mut commands = vec![SECRET.to_owned(), SECRET_HOSTS.to_owned()];
        commands.extend(token_passwords(names));
        commands.extend(add_password(names, "password1"));
        commands
    },
    at_data: None,
    cautions: &[
        "The last two commands store the password: run the first of them if the Secret exists, otherwise the second.",
        ALTERNATE,
        ELSEWHERE,
    ],
    confirm: Confirm {
        commands: &[SECRET],
        shows: "The Secret does not exist, or its keys are neither `.dockerconfigjson` nor `username` and `password`.",
    },
    verify: "The Secret exists and has an entry for the login server.",
};

pub(super) const CREDENTIALS_INVALID: CauseInfo = CauseInfo {
    code: "credentials_invalid",
    severity: Severity::Fail,
    stages: &[Stage::Token],
    meaning: "Credentials exist, but the kubelet cannot read them, so it does not pull at all.",
    detection: "unreadable or unparsable: what the kubelet rejects as a whole",
    remedy: "Recreate the pull secret with the type kubernetes.io/dockerconfigjson.",
    commands: |names| {
        let mut commands = vec![SECRET.to_owned(), SECRET_HOSTS.to_owned()];
        commands.extend(token_passwords(names));
        commands.extend(recreate_secret(names, "password1"));
        commands
    },
    at_data: None,
    cautions: &[
        "The last command deletes the Secret and creates it with one entry. Entries of other registries, labels and annotations are \
         lost: note them first, and add them again.",
        ALTERNATE,
        ELSEWHERE,
    ],
    confirm: Confirm {
        commands: &[SECRET, SECRET_HOSTS],
        shows: "`jq` rejects the document, or the document has no `auths`.",
    },
    verify: "The login server is one of the keys.",
};

pub(super) const CREDENTIALS_REJECTED: CauseInfo = CauseInfo {
    code: "credentials_rejected",
    severity: Severity::Fail,
    stages: &[Stage::Token],
    meaning: "The registry rejects every credential that matches the image.",
    detection: "401 for every matching entry; the reasons depend on the kind of credential",
    remedy: "Enable the token or store a new token password in the pull secret; a service principal also needs the AcrPull \
             role on the registry.",
    commands: |names| or_hosts(token_commands(names)),
    at_data: None,
    cautions: &[
        "The commands are for a repository token. The report has those for the admin user or a service principal, and says if the file \
         has a defect, such as a trailing newline.",
        ENABLE,
        ALTERNATE,
        ELSEWHERE,
    ],
    confirm: Confirm {
        commands: &[GRANTED],
        shows: "The registry returns HTTP status 401 with the password of the Secret.",
    },
    verify: "The registry returns HTTP status 200.",
};

pub(super) const CREDENTIALS_STALE_ENTRY: CauseInfo = CauseInfo {
    code: "credentials_stale_entry",
    severity: Severity::Warn,
    stages: &[Stage::Token],
    meaning: "The pull works, but only after the registry has rejected a more specific entry of the pull secret.",
    detection: "a more specific entry was rejected, a later one worked",
    remedy: "Remove the rejected entry from the pull secret, or store a valid password in it.",
    commands: |names| {
        let mut commands = vec![SECRET_HOSTS.to_owned()];
        commands.extend(token_commands(names));
        commands
    },
    at_data: None,
    cautions: &[ENABLE, ALTERNATE, ELSEWHERE],
    confirm: Confirm {
        commands: &[SECRET_HOSTS, GRANTED],
        shows: "More than one key matches the image, and the registry returns HTTP status 401 with the user and password of \
                the more specific one.",
    },
    verify: "The registry returns HTTP status 200 with every matching entry.",
};

pub(super) const CREDENTIALS_EXPIRING: CauseInfo = CauseInfo {
    code: "credentials_expiring",
    severity: Severity::Warn,
    stages: &[Stage::Token],
    meaning: "The credentials expire soon, and pulls fail from then on.",
    detection: "the credentials expire in less than 14 days (default)",
    remedy: "Generate the other token password, store it in the pull secret, and let the old one expire.",
    commands: |names| {
        let mut commands = token_passwords(names);
        commands.extend(merge_password(names, "password2"));
        if commands.is_empty() {
            commands.push(SECRET.to_owned());
        }
        commands
    },
    at_data: None,
    cautions: &[ALTERNATE, ELSEWHERE],
    confirm: Confirm {
        commands: &[
            "kubectl get secret SECRET --namespace acr-verifier --output jsonpath='{.data.expiresAt}' | base64 -d",
        ],
        shows: "The time there, or under `credentials.expiresAt` in the configuration, is less than 14 days away.",
    },
    verify: "The time is later, and a check passes with the new password.",
};

pub(super) const SCOPE_MISSING: CauseInfo = CauseInfo {
    code: "scope_missing",
    severity: Severity::Fail,
    stages: &[Stage::Manifest, Stage::Blob],
    meaning: "The credentials are valid, but do not allow pulls from this repository.",
    detection: "token granted, pull rejected (`insufficient_scope`, or an access claim without pull on the repository)",
    remedy: "Add content/read on the repository to the token's scope map.",
    commands: |names| {
        let registry = names.registry();
        or_hosts(names.acr([
            format!("az acr token show --registry {registry} --name TOKEN --query scopeMapId --output tsv"),
            format!(
                "az acr scope-map update --registry {registry} --name SCOPE_MAP --add-repository {} content/read",
                names.repository()
            ),
        ]))
    },
    at_data: None,
    cautions: &[
        "A scope map can serve several tokens: all of them get the right. For an identity, the registry assigns roles by repository: \
         assign Container Registry Repository Reader, as in [`pull_role_missing`](#pull_role_missing), with a condition that includes \
         the repository or without one.",
    ],
    confirm: Confirm {
        commands: &[TOKEN, MANIFEST],
        shows: "The registry grants the token, and then returns HTTP status 401 and `insufficient_scope`.",
    },
    verify: GOOD_MANIFEST,
};

pub(super) const TOKEN_REFUSED: CauseInfo = CauseInfo {
    code: "token_refused",
    severity: Severity::Fail,
    // A registry that accepts the token for the manifest can still reject it for the blob.
    stages: &[Stage::Manifest, Stage::Blob],
    meaning: "The registry rejects the token that it has just issued.",
    detection: "401 with `invalid_token`: the registry rejects the token that it has just issued",
    remedy: "Check for a device between node and registry that changes requests, and give the correlation id to Azure support \
             if there is none.",
    commands: |names| {
        let mut commands = vec![names.curl_on_node(), on_node("chroot /host timedatectl")];
        commands.extend(names.acr([health(names)]));
        commands
    },
    at_data: None,
    cautions: &[],
    confirm: Confirm {
        commands: &["date -u", TOKEN, MANIFEST],
        shows: "The registry returns HTTP status 401 and `invalid_token`. The first line shows whether the node's clock is wrong.",
    },
    verify: GOOD_MANIFEST,
};

const TOKEN_REMEDY: &str =
    "Enable the token if it is disabled; otherwise generate a new password and store it in the pull secret.";

/// The remedy for a rejected credential: a defect of the file comes first, then what the kind of credential needs.
#[must_use]
pub fn remedy_of_rejected(kind: CredentialKind, evidence: &[CredentialEvidence]) -> &'static str {
    match evidence.iter().min() {
        Some(CredentialEvidence::LineEnd) => {
            return "Store the password again without a trailing newline, for example with `printf %s` instead of `echo`.";
        }
        Some(CredentialEvidence::Blank) => {
            return "Store the user name and password again without leading or trailing spaces.";
        }
        Some(CredentialEvidence::AuthDiffers) => {
            return "Remove `auth` from the entry, or encode the current user name and password in it.";
        }
        Some(CredentialEvidence::NotUtf8) => return "Store the user name and password again as UTF-8.",
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
            let [create, store] = merge_client_secret(names);
            names.acr([
                format!("az role assignment list --assignee CLIENT_ID --scope {scope} --include-inherited --output table"),
                format!("az role assignment create --assignee CLIENT_ID --role AcrPull --scope {scope}"),
                "az ad app credential list --id CLIENT_ID --query \"[].endDateTime\" --output tsv".to_owned(),
                "az ad sp show --id CLIENT_ID --query accountEnabled --output tsv".to_owned(),
                create,
                store,
            ])
        }
        CredentialKind::RefreshToken | CredentialKind::Empty => {
            let mut commands = token_passwords(names);
            commands.extend(merge_password(names, "password1"));
            commands
        }
    })
}

/// The state of a repository token, and a new password for it.
fn token_commands(names: &Names) -> Vec<String> {
    let registry = names.registry();
    let mut commands = token_passwords(names);
    commands.extend(
        names.acr([format!("az acr token update --registry {registry} --name TOKEN --status enabled")]),
    );
    commands.extend(merge_password(names, "password2"));
    commands
}

/// Lists the keys of the secret if no other command applies.
fn or_hosts(commands: Vec<String>) -> Vec<String> {
    if commands.is_empty() { vec![SECRET_HOSTS.to_owned()] } else { commands }
}
