//! How an operator confirms a cause with plain tools in a shell on the node, and the commands that several causes share.
//!
//! They belong to the runbook only, so they have capitals where a report has names.

/// What shows that a cause is present.
#[derive(Debug, Clone, Copy)]
pub struct Confirm {
    /// Commands for a shell on the node, or for `kubectl`.
    pub commands: &'static [&'static str],
    /// What their output shows while the cause is present: full sentences.
    pub shows: &'static str,
}

pub(super) const NAMESERVERS: &str = "cat /etc/resolv.conf";
pub(super) const ADDRESSES: &str = "dig REGISTRY.azurecr.io A";
pub(super) const DATA_ADDRESSES: &str = "dig REGISTRY.REGION.data.azurecr.io A";
pub(super) const ONE_NAMESERVER: &str = "dig +time=2 +tries=1 @NAMESERVER REGISTRY.azurecr.io A";
pub(super) const SHORT_FROM_NAMESERVER: &str = "dig +short @NAMESERVER REGISTRY.azurecr.io A";
pub(super) const ROUTE: &str = "ip route get \"$(dig +short REGISTRY.azurecr.io A | tail -1)\"";
pub(super) const CONNECT: &str = "curl --connect-timeout 5 -sv https://REGISTRY.azurecr.io/v2/ -o /dev/null";
pub(super) const HANDSHAKE: &str =
    "openssl s_client -connect REGISTRY.azurecr.io:443 -servername REGISTRY.azurecr.io </dev/null";
pub(super) const CERTIFICATE: &str = "openssl s_client -connect REGISTRY.azurecr.io:443 -servername REGISTRY.azurecr.io </dev/null | \
                                      openssl x509 -noout -subject -issuer -dates -ext subjectAltName";
pub(super) const CHALLENGE: &str = "curl -si --max-time 10 https://REGISTRY.azurecr.io/v2/";
/// Prompts for the password, so that it is in no list of processes.
pub(super) const TOKEN: &str = "access_token=$(curl -s --user USERNAME 'https://REGISTRY.azurecr.io/oauth2/token?service=REGISTRY.azurecr.io&scope=repository:REPOSITORY:pull' | \
                                sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')";
pub(super) const GRANTED: &str = "curl -si --user USERNAME 'https://REGISTRY.azurecr.io/oauth2/token?service=REGISTRY.azurecr.io&scope=repository:REPOSITORY:pull' | head -1";
pub(super) const MANIFEST: &str = "printf 'header = \"Authorization: Bearer %s\"' \"$access_token\" | curl -sK - -i -H 'Accept: application/vnd.oci.image.index.v1+json, \
                                   application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, \
                                   application/vnd.docker.distribution.manifest.v2+json' https://REGISTRY.azurecr.io/v2/REPOSITORY/manifests/TAG";
pub(super) const BLOB: &str = "printf 'header = \"Authorization: Bearer %s\"' \"$access_token\" | \
                               curl -sK - -o /dev/null -D - https://REGISTRY.azurecr.io/v2/REPOSITORY/blobs/DIGEST";
pub(super) const FETCHED: &str = "printf 'header = \"Authorization: Bearer %s\"' \"$access_token\" | \
                                  curl -sLK - https://REGISTRY.azurecr.io/v2/REPOSITORY/blobs/DIGEST | sha256sum";
pub(super) const KUBELET_IDENTITY: &str = "az aks show --subscription CLUSTER_SUBSCRIPTION --resource-group CLUSTER_RESOURCE_GROUP --name CLUSTER --query \
                                           identityProfile.kubeletidentity.clientId --output tsv";
/// The keys of the pull secret and their sizes, never a value.
pub(super) const SECRET: &str = "kubectl describe secret SECRET --namespace acr-verifier";
/// The login servers in the pull secret, never a value.
pub(super) const SECRET_HOSTS: &str = "kubectl get secret SECRET --namespace acr-verifier --output \
                                       go-template='{{index .data \".dockerconfigjson\" | base64decode}}' | jq '.auths | keys'";

/// Verifies causes of a name that should lead to a private endpoint.
pub(super) const ENDS_PRIVATE: &str =
    "The answer has a CNAME to `REGISTRY.privatelink.azurecr.io` and a private address.";
/// Verifies causes of a connection.
pub(super) const CONNECTED: &str =
    "`curl` prints `Connected to REGISTRY.azurecr.io` and an HTTP status of 401.";
/// Verifies causes of a manifest.
pub(super) const GOOD_MANIFEST: &str =
    "The HTTP status is 200, and `Docker-Content-Digest` of the manifest is the expected digest.";
