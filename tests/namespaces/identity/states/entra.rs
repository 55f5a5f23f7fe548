//! Workload identities, next to the credential provider with the token of a service account.

use super::{Caller, Cloud, Plugin, State, workload};
use lab::settings::{AuthorityNames, Certificate, EntraFault, Rights, Validity};

const FAILED: &str = "ClientAssertionCredential authentication failed";
const REJECTED: &str = "fail login token identity_rejected";
const UNREACHABLE: &str = "fail login token entra_unreachable";
const OWN: &str =
    "the kubelet then pulls anonymously; the check reports that the identity of the Pod does not work";
const LATER: &str = "no claim: clients of Entra ID should retry later";

pub(super) fn states() -> Vec<State> {
    let mut states = identities();
    states.extend(services());
    states
}

fn identities() -> Vec<State> {
    vec![
        workload("workload identity").pulls_as("workload_identity"),
        workload("workload identity in Azure Government")
            .cloud(Cloud::UsGovernment)
            .pulls_as("workload_identity"),
        workload("workload identity in Azure operated by 21Vianet")
            .cloud(Cloud::China)
            .pulls_as("workload_identity"),
        State {
            caller: Caller::WorkloadIdentity { complete: false },
            ..workload("workload identity without a client ID")
                .plugin_fails("client id annotation kubernetes.azure.com/acr-client-id is not found")
                .expects(&["fail login token identity_unavailable"])
        },
        workload("no federated credential for the service account (700213)")
            .asserting(|assertion| "system:serviceaccount:apps:default".clone_into(&mut assertion.subject))
            .plugin_fails("AADSTS700213")
            .expects(&[REJECTED]),
        workload("no federated credential for the issuer (700211)")
            .asserting(|assertion| "https://oidc.fabrikam.example/".clone_into(&mut assertion.issuer))
            .plugin_fails("AADSTS700211")
            .expects(&[REJECTED]),
        workload("client ID is unknown in the tenant (700016)")
            .settings(|settings| settings.identity.entra.answer = Some(EntraFault::Refused(700_016)))
            .plugin_fails("AADSTS700016")
            .expects(&[REJECTED]),
        workload("no federated credential, and the registry permits anonymous pulls")
            .settings(|settings| settings.credentials.anonymous = true)
            .asserting(|assertion| "system:serviceaccount:apps:default".clone_into(&mut assertion.subject))
            .plugin_fails("AADSTS700213")
            .expects(&[REJECTED])
            .differs(OWN),
        workload("token of the service account has another audience (700212)")
            .asserting(|assertion| "api://AKSIdentityBinding".clone_into(&mut assertion.audience))
            .plugin_fails("AADSTS700212")
            .expects(&[REJECTED]),
        workload("token of the service account has expired (700024)")
            .asserting(|assertion| assertion.validity = Validity::Expired)
            .plugin_fails("AADSTS700024")
            .expects(&[REJECTED]),
        workload("workload identity without a role on the registry")
            .settings(|settings| settings.identity.rights = Rights::None)
            .plugin_fails("/oauth2/exchange responded with status code 401")
            .expects(&["fail login token pull_role_missing"]),
    ]
}

fn services() -> Vec<State> {
    vec![
        workload("Entra ID's name does not exist")
            .settings(|settings| settings.identity.authority_names = AuthorityNames::NotFound)
            .plugin_tries(Plugin::FailsLate)
            .expects(&[UNREACHABLE]),
        workload("Entra ID refuses connections")
            .arriving("ip daddr 20.190.128.1 tcp dport 443 reject with tcp reset")
            .plugin_tries(Plugin::FailsLate)
            .expects(&[UNREACHABLE]),
        workload("packets to Entra ID are dropped")
            .arriving("ip daddr 20.190.128.1 tcp dport 443 drop")
            .plugin_tries(Plugin::Killed)
            .expects(&[UNREACHABLE]),
        workload("Entra ID behind TLS inspection")
            .settings(|settings| settings.identity.entra.endpoint.certificate = Certificate::Untrusted)
            .plugin_tries(Plugin::FailsLate)
            .expects(&[UNREACHABLE]),
        workload("a proxy answers for Entra ID")
            .settings(|settings| settings.identity.entra.answer = Some(EntraFault::Html(403)))
            .plugin_fails(FAILED)
            .expects(&[UNREACHABLE]),
        workload("Entra ID fails (503)")
            .settings(|settings| settings.identity.entra.answer = Some(EntraFault::Status(503)))
            .plugin_tries(Plugin::FailsLate)
            .expects(&["unknown login token entra_unreachable"])
            .differs(LATER),
    ]
}
