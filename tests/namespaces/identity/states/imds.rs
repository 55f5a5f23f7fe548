//! The metadata service, and which identity it knows.

use super::{Cloud, Plugin, State, managed};
use lab::answers::{Delivery, RetryAfter};
use lab::settings::{Identity, ImdsFault, TokenDefect};
use serde_json::json;

const FAILED: &str = "ManagedIdentityCredential authentication failed";
const UNAVAILABLE: &str = "fail login token identity_unavailable";
const UNKNOWN: &str = "unknown login token identity_unavailable";
const NOT_FOUND: &str = "fail login token identity_not_found";
const GONE: &str = "the credential provider does not try again after 410, and the kubelet's next attempt finds IMDS ready; \
                    the check waits for it within the timeout of its stage";
const LATER: &str = "no claim: clients of IMDS should retry later";

pub(super) fn states() -> Vec<State> {
    let mut states = healthy();
    states.extend(not_found());
    states.extend(unreachable());
    states.extend(answers());
    states
}

fn healthy() -> Vec<State> {
    vec![
        managed("user-assigned identity").pulls_as("managed_identity"),
        State {
            named: false,
            ..managed("only one user-assigned identity, not named").pulls_as("managed_identity")
        },
        State {
            named: false,
            ..managed("system-assigned identity").pulls_as("managed_identity").settings(|settings| {
                let identity = settings.identity.assigned.pop();
                settings.identity.system_assigned = identity.or(settings.identity.system_assigned.take());
            })
        },
        managed("one of several identities, named").settings(|settings| settings.identity.assign_another()),
        State {
            azure_json: |file| {
                let kubelet = Identity::default().assigned.remove(0);
                file["userAssignedIdentityID"] = json!(kubelet.resource);
            },
            ..managed("user-assigned identity, by resource ID on the node")
        },
        managed("Azure Government").cloud(Cloud::UsGovernment).pulls_as("managed_identity"),
        managed("Azure operated by 21Vianet").cloud(Cloud::China).pulls_as("managed_identity"),
        managed("regional login server").settings(|settings| settings.place.regional = true),
        managed("registry with a domain name label")
            .settings(|settings| "contoso-e7ggejfuhzhgedc8".clone_into(&mut settings.place.registry))
            .blob_from("contoso-e7ggejfuhzhgedc8.westeurope.data.azurecr.io"),
    ]
}

fn not_found() -> Vec<State> {
    vec![
        State {
            named: false,
            ..managed("several identities, none named")
                .settings(|settings| settings.identity.assign_another())
                .plugin_fails("Multiple user assigned identities exist")
                .expects(&[NOT_FOUND])
        },
        managed("identity is not assigned to the node")
            .settings(|settings| settings.identity.imds.answer = Some(ImdsFault::IdentityNotFound))
            .plugin_fails("the requested identity isn't assigned to this resource")
            .expects(&[NOT_FOUND]),
        managed("identity is not assigned, and the registry permits anonymous pulls")
            .settings(|settings| {
                settings.identity.imds.answer = Some(ImdsFault::IdentityNotFound);
                settings.credentials.anonymous = true;
            })
            .plugin_fails("the requested identity isn't assigned to this resource")
            .pulls_as("anonymous")
            .expects(&["warn login token identity_not_found"]),
        managed("the tenant does not know the audience")
            .settings(|settings| settings.identity.imds.answer = Some(ImdsFault::InvalidResource))
            .plugin_fails(FAILED)
            .expects(&[UNAVAILABLE]),
    ]
}

fn unreachable() -> Vec<State> {
    let rejected =
        |name| managed(name).arriving("ip daddr 169.254.169.254 tcp dport 80 reject with tcp reset");
    vec![
        rejected("IMDS refuses connections").plugin_tries(Plugin::FailsLate).expects(&[UNAVAILABLE]),
        rejected("IMDS refuses connections, and the registry permits anonymous pulls")
            .settings(|settings| settings.credentials.anonymous = true)
            .plugin_tries(Plugin::FailsLate)
            .pulls_as("anonymous")
            .expects(&["warn login token identity_unavailable"]),
        managed("packets to IMDS are dropped")
            .arriving("ip daddr 169.254.169.254 tcp dport 80 drop")
            .plugin_tries(Plugin::Killed)
            .expects(&[UNAVAILABLE]),
        managed("IMDS accepts connections and does not answer")
            .settings(|settings| settings.identity.imds.delivery = Delivery::SilentAfterRequest)
            .plugin_tries(Plugin::Killed)
            .expects(&[UNAVAILABLE]),
    ]
}

fn answers() -> Vec<State> {
    let answering = |name, settings| managed(name).settings(settings);
    vec![
        answering("IMDS answers 403", |settings| settings.identity.imds.answer = Some(ImdsFault::Status(403)))
            .plugin_fails(FAILED)
            .expects(&[UNAVAILABLE]),
        answering("IMDS answers 404", |settings| settings.identity.imds.answer = Some(ImdsFault::Status(404)))
            .plugin_fails(FAILED)
            .expects(&[UNKNOWN])
            .differs(LATER),
        answering("IMDS answers 404, and the registry permits anonymous pulls", |settings| {
            settings.identity.imds.answer = Some(ImdsFault::Status(404));
            settings.credentials.anonymous = true;
        })
        .plugin_fails(FAILED)
        .pulls_as("anonymous")
        .expects(&["warn login token identity_unavailable"]),
        answering("IMDS answers 410", |settings| settings.identity.imds.answer = Some(ImdsFault::Status(410)))
            .plugin_fails(FAILED)
            .expects(&[UNKNOWN])
            .differs(LATER),
        answering("IMDS answers 410 once", |settings| settings.identity.imds.first = vec![ImdsFault::Status(410)])
            .plugin_fails(FAILED)
            .differs(GONE),
        answering("IMDS throttles twice", |settings| {
            settings.identity.imds.first = vec![ImdsFault::Throttled(RetryAfter::Seconds(2)); 2];
        })
        .pulls_as("managed_identity"),
        answering("IMDS throttles", |settings| {
            settings.identity.imds.answer = Some(ImdsFault::Throttled(RetryAfter::Seconds(2)));
        })
        .plugin_fails("ManagedIdentityCredential: throttled due to too many requests")
        .expects(&[UNKNOWN])
        .differs(LATER),
        answering("IMDS answers 500", |settings| settings.identity.imds.answer = Some(ImdsFault::Status(500)))
            .plugin_tries(Plugin::FailsLate)
            .expects(&[UNKNOWN])
            .differs(LATER),
        answering("a proxy answers for IMDS (502)", |settings| {
            settings.identity.imds.answer = Some(ImdsFault::Html(502));
        })
        .plugin_tries(Plugin::FailsLate)
        .expects(&[UNAVAILABLE]),
        answering("a proxy answers for IMDS (200)", |settings| {
            settings.identity.imds.answer = Some(ImdsFault::Html(200));
        })
        .plugin_fails("ManagedIdentityCredential: error parsing the json error")
        .expects(&[UNAVAILABLE]),
        answering("IMDS issues a token without a tenant", |settings| {
            settings.identity.imds.answer = Some(ImdsFault::Token(TokenDefect::WithoutTenant));
        })
        .expects(&[UNAVAILABLE])
        .differs("the credential provider takes the tenant from `azure.json`, which an agent cannot read; tokens of Entra ID \
                  name their tenant"),
        answering("IMDS issues an expired token", |settings| {
            settings.identity.imds.answer = Some(ImdsFault::Token(TokenDefect::Expired));
        })
        .plugin_fails("/oauth2/exchange responded with status code 401")
        .expects(&["fail login token pull_role_missing"]),
    ]
}
