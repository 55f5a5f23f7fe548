//! Causes of identities: the token of the node's managed identity or of the Pod's workload identity, and their right to pull.

use super::commands::{cluster, routes, security_rules, update_cluster};
use super::confirm::{Confirm, KUBELET_IDENTITY};
use super::names::{Names, on_node};
use super::{CauseInfo, Fix};
use crate::observation::Stage;
use crate::verdict::Severity;

pub(super) const IDENTITY_UNAVAILABLE: CauseInfo = CauseInfo {
    code: "identity_unavailable",
    severity: Severity::Fail,
    stages: &[Stage::Token],
    meaning: "The node's managed identity, or the Pod's workload identity, cannot be used: there is no token for the registry.",
    detection: "IMDS does not answer, is blocked, or fails; or the Pod has no workload identity",
    remedy: "Run the agent on the host network, where IMDS restriction does not apply, and exempt 169.254.169.254 from proxies and \
             network policies.",
    commands: |_| {
        vec![
            on_node(
                "chroot /host curl --verbose --max-time 10 --noproxy '*' --header Metadata:true --output /dev/null \
                 'http://169.254.169.254/metadata/instance?api-version=2021-02-01'",
            ),
            kubelet_identity(),
            "kubectl get daemonset --namespace acr-verifier --selector app.kubernetes.io/name=acr-verifier --output \
             jsonpath='{.items[*].spec.template.spec.hostNetwork}'"
                .to_owned(),
        ]
    },
    at_data: None,
    cautions: &[WORKLOAD_IDENTITY],
    confirm: Confirm {
        // Without a client id, IMDS rejects the request of a node with several identities.
        commands: &[
            KUBELET_IDENTITY,
            "curl --max-time 10 --noproxy '*' --header Metadata:true --write-out '%{http_code}' --output /dev/null \
             'http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://containerregistry.azure.net&client_id=CLIENT_ID'",
        ],
        shows: "`curl` runs into its timeout, is refused, or prints another HTTP status than 200.",
    },
    verify: "The HTTP status is 200.",
};

pub(super) const IDENTITY_NOT_FOUND: CauseInfo = CauseInfo {
    code: "identity_not_found",
    severity: Severity::Fail,
    stages: &[Stage::Token],
    meaning: "IMDS has no token for the managed identity: it is not assigned to this node, or the node has several and none is \
              named.",
    detection: "IMDS does not know the identity, or several exist and none is named",
    remedy: "Set credentials.managedIdentity.clientId to the client id of the kubelet's identity, which AKS assigns to every node.",
    commands: |_| {
        vec![
            kubelet_identity(),
            "kubectl get node NODE --output jsonpath='{.spec.providerID}'".to_owned(),
            "az vmss identity show --ids VMSS_ID".to_owned(),
        ]
    },
    at_data: None,
    cautions: &[
        "Usually the configuration has the client id of another identity, or of another cluster's. If the node's scale set lacks the \
         kubelet's identity, it was removed by hand: `az aks update --subscription CLUSTER_SUBSCRIPTION --resource-group \
         CLUSTER_RESOURCE_GROUP --name CLUSTER` without other options reconciles the cluster. Do not assign it to the scale set by \
         hand: AKS does not support changes there, and may undo them.",
    ],
    confirm: Confirm {
        commands: &[
            KUBELET_IDENTITY,
            "curl --max-time 10 --noproxy '*' --header Metadata:true --write-out '%{http_code}' --output /dev/null \
             'http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://containerregistry.azure.net&client_id=CLIENT_ID'",
        ],
        shows: "The HTTP status is 400 with the client id of the configuration.",
    },
    verify: "The HTTP status is 200.",
};

pub(super) const ENTRA_UNREACHABLE: CauseInfo = CauseInfo {
    code: "entra_unreachable",
    severity: Severity::Fail,
    stages: &[Stage::Token],
    meaning: "The Pod cannot reach Microsoft Entra ID, which workload identity needs; the private path to the registry is not at \
              fault.",
    detection: "Entra ID cannot be reached (workload identity needs egress)",
    remedy: "Allow HTTPS from the agent to Entra ID of your cloud, such as login.microsoftonline.com, or use the node's managed \
             identity, which needs no egress.",
    commands: |_| {
        vec![
            on_node(
                "chroot /host curl --verbose --max-time 10 --output /dev/null https://login.microsoftonline.com/",
            ),
            security_rules(),
            routes(),
        ]
    },
    at_data: None,
    cautions: &[],
    confirm: Confirm {
        commands: &["curl --max-time 10 --verbose --output /dev/null https://login.microsoftonline.com/"],
        shows: "`curl` cannot resolve the name, cannot connect, or does not trust the certificate.",
    },
    verify: "`curl` prints a response of Entra ID.",
};

pub(super) const IDENTITY_REJECTED: CauseInfo = CauseInfo {
    code: "identity_rejected",
    severity: Severity::Fail,
    stages: &[Stage::Token],
    meaning: "Microsoft Entra ID rejects the Pod's workload identity: the federated credential, the tenant or the client id does \
              not match, or the token of the service account has expired.",
    detection: "Entra ID rejects the workload identity (federated credential, tenant, client id, expired assertion)",
    remedy: "Compare issuer, subject and audience of the federated credential with the cluster and the service account.",
    commands: federated_credential,
    at_data: None,
    cautions: &[
        "A federated credential with the same name is replaced, so give each cluster a name of its own. An identity has at most 20 \
         of them.",
        "The report has another fix if Entra ID does not know the client id or the tenant, or if the assertion has expired: follow it \
         instead.",
    ],
    confirm: Confirm {
        commands: &[
            "az identity federated-credential list --subscription IDENTITY_SUBSCRIPTION --resource-group IDENTITY_RESOURCE_GROUP --identity-name IDENTITY --query \
             \"[].{issuer:issuer, subject:subject, audiences:audiences}\" --output json",
            "az aks show --subscription CLUSTER_SUBSCRIPTION --resource-group CLUSTER_RESOURCE_GROUP --name CLUSTER --query oidcIssuerProfile.issuerUrl --output tsv",
        ],
        shows: "No entry has the cluster's issuer, the subject `system:serviceaccount:acr-verifier:acr-verifier` and the audience \
                `api://AzureADTokenExchange`, exactly: the comparison is case-sensitive.",
    },
    verify: "One entry has all three.",
};

pub(super) const PULL_ROLE_MISSING: CauseInfo = CauseInfo {
    code: "pull_role_missing",
    severity: Severity::Fail,
    stages: &[Stage::Token],
    meaning: "The registry knows the identity, but does not let it pull: a role assignment is missing.",
    detection: "the registry rejects the exchange, or its refresh token has no pull right",
    remedy: "Assign AcrPull on the registry to the identity, or Container Registry Repository Reader if the registry assigns roles \
             by repository (ABAC).",
    commands: role_commands,
    at_data: None,
    cautions: &[
        "Create only one of the two assignments: AcrPull if `roleAssignmentMode` is `LegacyRegistryPermissions`, Container Registry \
         Repository Reader if it is `AbacRepositoryPermissions`.",
    ],
    confirm: Confirm {
        commands: &[
            KUBELET_IDENTITY,
            "az role assignment list --assignee CLIENT_ID --scope \"$(az acr show --name REGISTRY --query id --output tsv)\" \
             --include-inherited --output table",
        ],
        shows: "The list has neither `AcrPull` nor, if the registry assigns roles by repository, `Container Registry Repository \
                Reader`.",
    },
    verify: "The list has the role; a new assignment takes up to ten minutes.",
};

/// What fixes an identity that the registry lets in, but not to this repository: only registries that assign roles by
/// repository do this.
pub const REPOSITORY_ROLE: Fix = Fix {
    remedy: "Assign Container Registry Repository Reader to the identity, with a condition that includes the repository or \
             without one.",
    commands: role_commands,
};

/// What the runbook adds about workload identities: the record's remedy is for managed ones.
const WORKLOAD_IDENTITY: &str = "\
With a workload identity, the Pod lacks it: label the agent's Pods with `azure.workload.identity/use: \"true\"`, annotate their \
service account with `azure.workload.identity/client-id`, and enable workload identity on the cluster. The report has the commands.";

/// What fixes a Pod without a workload identity.
pub const NOT_INJECTED: Fix = Fix {
    remedy: "Label the agent's Pods with azure.workload.identity/use: \"true\", annotate their service account with \
             azure.workload.identity/client-id, and enable workload identity on the cluster.",
    commands: |_| {
        vec![
            service_account(),
            "kubectl get pods --namespace acr-verifier --selector app.kubernetes.io/name=acr-verifier --show-labels"
                .to_owned(),
            cluster("securityProfile.workloadIdentity"),
            update_cluster("--enable-oidc-issuer --enable-workload-identity"),
        ]
    },
};

/// What fixes a workload identity that Entra ID rejects, by the number of its error. Microsoft changes the numbers, so an
/// unknown one gets the general advice.
#[must_use]
pub fn fix_of_rejected_identity(numbers: &[u32]) -> Fix {
    let general = Fix { remedy: IDENTITY_REJECTED.remedy, commands: IDENTITY_REJECTED.commands };
    let remedy = match numbers.first() {
        Some(70_021 | 700_213 | 7_002_138) => {
            "Set the subject of the federated credential to the agent's service account, \
             system:serviceaccount:acr-verifier:acr-verifier, exactly in this case."
        }
        Some(700_211) => "Set the issuer of the federated credential to the cluster's OIDC issuer.",
        Some(700_212) => "Set the audience of the federated credential to api://AzureADTokenExchange.",
        Some(700_016) => {
            return Fix {
                remedy: "Annotate the service account with the client id of an identity that exists in this tenant.",
                commands: client_commands,
            };
        }
        Some(700_024) => {
            return Fix {
                remedy: "Set the node's clock, and restart the agent's Pod if its service account token is not renewed.",
                commands: |_| vec![on_node("chroot /host timedatectl"), service_account()],
            };
        }
        Some(90_002 | 900_023) => {
            return Fix {
                remedy: "Annotate the service account with the id of the tenant that has the identity.",
                commands: client_commands,
            };
        }
        Some(500_011 | 50_001) => {
            return Fix {
                remedy: "Use the Entra ID of the registry's cloud: its tenant does not know the audience of Azure Container \
                         Registry.",
                commands: |_| {
                    vec![
                        "az cloud show --query endpoints.activeDirectory --output tsv".to_owned(),
                        service_account(),
                    ]
                },
            };
        }
        Some(_) | None => return general,
    };
    Fix { remedy, ..general }
}

/// The client id of the identity that the kubelets of the cluster pull with.
fn kubelet_identity() -> String {
    cluster("identityProfile.kubeletidentity.clientId --output tsv")
}

fn service_account() -> String {
    "kubectl get serviceaccount acr-verifier --namespace acr-verifier --output jsonpath='{.metadata.annotations}'".to_owned()
}

fn federated_credential(_: &Names) -> Vec<String> {
    vec![
        "az identity federated-credential list --subscription IDENTITY_SUBSCRIPTION --resource-group IDENTITY_RESOURCE_GROUP --identity-name IDENTITY --query \
         \"[].{issuer:issuer, subject:subject, audiences:audiences}\" --output json"
            .to_owned(),
        "az aks show --subscription CLUSTER_SUBSCRIPTION --resource-group CLUSTER_RESOURCE_GROUP --name CLUSTER --query oidcIssuerProfile.issuerUrl --output tsv".to_owned(),
        service_account(),
        "az identity federated-credential create --subscription IDENTITY_SUBSCRIPTION --resource-group IDENTITY_RESOURCE_GROUP --identity-name IDENTITY --name acr-verifier-CLUSTER \
         --issuer \"$(az aks show --subscription CLUSTER_SUBSCRIPTION --resource-group CLUSTER_RESOURCE_GROUP --name CLUSTER --query oidcIssuerProfile.issuerUrl --output \
         tsv)\" --subject system:serviceaccount:acr-verifier:acr-verifier --audiences api://AzureADTokenExchange"
            .to_owned(),
    ]
}

fn client_commands(names: &Names) -> Vec<String> {
    vec![
        format!(
            "az identity list --query \"[?clientId=='{}'].{{name:name, resourceGroup:resourceGroup, tenant:tenantId}}\" \
             --output table",
            names.client_id()
        ),
        service_account(),
    ]
}

/// Shows which roles the identity has, and how the registry assigns them; then assigns one.
fn role_commands(names: &Names) -> Vec<String> {
    let (registry, client) = (names.registry(), names.client_id());
    let scope = format!("\"$(az acr show --name {registry} --query id --output tsv)\"");
    let assign =
        |role| format!("az role assignment create --assignee {client} --role {role} --scope {scope}");
    let mut commands = Vec::new();
    if !names.has_client_id() {
        commands.push(kubelet_identity());
    }
    commands.extend(names.acr([
        format!(
            "az role assignment list --assignee {client} --scope {scope} --include-inherited --output table"
        ),
        format!("az acr show --name {registry} --query roleAssignmentMode --output tsv"),
        assign("AcrPull"),
        assign("\"Container Registry Repository Reader\""),
    ]));
    commands
}
