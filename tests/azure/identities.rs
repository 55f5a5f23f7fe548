//! The rows about identities in the table of omitted steps: the lab of each.

use acr_verifier::config::LabEndpoints;
use acr_verifier::credentials::{CredentialsSource, ManagedIdentity, WorkloadIdentity};
use acr_verifier::probe::Trust;

use crate::check::Bench;
use lab::Lab;
use lab::settings::{AbacRefusal, Assertion, Identity, Rights, Settings, Transport};

/// The keys of labs without an omission, which are no rows.
const HEALTHY: [&str; 2] = ["managed", "workload"];
/// A client ID that neither a node nor the tenant has.
const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";

/// Returns the lab in the state that a node would see, or `None` for a row that is not about an identity.
pub(super) fn left_out(key: &str, settings: &Settings) -> Option<Bench> {
    let change: fn(&mut Identity) = match key {
        _ if HEALTHY.contains(&key) => |_| {},
        "client-id"
        | "identity-unassigned"
        | "webhook-label"
        | "webhook-annotation"
        | "agent-client-id"
        | "federated-issuer"
        | "federated-subject"
        | "federated-audience" => |_| {},
        "role" => |identity| identity.rights = Rights::None,
        "role-abac" => |identity| {
            identity.rights = Rights::Abac { readable: Vec::new(), refusal: AbacRefusal::AtToken };
        },
        "identity-unnamed" => Identity::assign_another,
        "imds-blocked" => |identity| identity.imds.endpoint.transport = Transport::AcceptQueueFull,
        "entra-egress" => |identity| identity.entra.endpoint.transport = Transport::AcceptQueueFull,
        _ => return None,
    };
    let mut settings = settings.clone();
    settings.identity = Identity::on_loopback();
    change(&mut settings.identity);
    let client_id = settings.identity.kubelet_client_id().to_owned();
    let mut bench = Bench::new(settings);
    bench.task.lab = LabEndpoints {
        imds: Some(bench.lab.imds()),
        entra: Some(bench.lab.entra()),
        ..LabEndpoints::default()
    };
    let public_roots = [bench.lab.public_root_pem().as_bytes().to_vec()];
    bench.task.trust =
        Trust::with_node(Some(&public_roots), Some(&bench.lab.ca_file())).expect("the lab's roots");
    bench.task.credentials = credentials(key, &bench.lab, client_id);
    Some(bench)
}

/// Returns the configured identity, and projects the token of the service account.
fn credentials(key: &str, lab: &Lab, client_id: String) -> CredentialsSource {
    let managed = |client_id| CredentialsSource::ManagedIdentity(ManagedIdentity { client_id });
    let accepted = lab.accepted_assertion();
    let projected = match key {
        "managed" | "role" | "role-abac" | "imds-blocked" => return managed(Some(client_id)),
        "client-id" | "identity-unassigned" => return managed(Some(UNKNOWN.to_owned())),
        "identity-unnamed" => return managed(None),
        "federated-issuer" => {
            Assertion { issuer: accepted.issuer.replace("westeurope", "eastus"), ..accepted }
        }
        "federated-subject" => {
            Assertion { subject: "system:serviceaccount:default:acr-verifier".to_owned(), ..accepted }
        }
        "federated-audience" => Assertion { audience: "api://AKSIdentityBinding".to_owned(), ..accepted },
        _ => accepted,
    };
    lab.project(&projected);
    let variable = |wanted: &str| {
        let skipped = match key {
            "webhook-label" => true,
            "webhook-annotation" => wanted == "AZURE_CLIENT_ID",
            _ => false,
        };
        if key == "agent-client-id" && wanted == "AZURE_CLIENT_ID" {
            return Some(UNKNOWN.into());
        }
        let variables = lab.workload_variables();
        let value = variables.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.into());
        value.filter(|_| !skipped)
    };
    CredentialsSource::WorkloadIdentity(WorkloadIdentity {
        client_id: variable("AZURE_CLIENT_ID"),
        tenant_id: variable("AZURE_TENANT_ID"),
        authority_host: variable("AZURE_AUTHORITY_HOST"),
        token_file: variable("AZURE_FEDERATED_TOKEN_FILE"),
    })
}

/// So each row fails for its omission only.
#[test]
fn both_identities_pull_if_nothing_is_omitted() {
    for key in HEALTHY {
        let bench = left_out(key, &Settings::default()).expect("a lab");
        bench.check().expect(&[]);
    }
}
