//! Causes of what answers, or does not answer, a request: any stage from the handshake to the blob.

use super::CauseInfo;
use super::commands::{cluster, connections, health, show_endpoints};
use super::confirm::{BLOB, CHALLENGE, Confirm, GOOD_MANIFEST, MANIFEST, TOKEN};
use super::names::on_node;
use crate::observation::Stage;
use crate::verdict::Severity;

const ANSWERS: &[Stage] = &[Stage::Challenge, Stage::Token, Stage::Manifest, Stage::Blob];

pub(super) const RESPONSE_TIMEOUT: CauseInfo = CauseInfo {
    code: "response_timeout",
    severity: Severity::Fail,
    stages: &[Stage::Tls, Stage::Challenge, Stage::Token, Stage::Manifest, Stage::Blob],
    meaning: "The connection is established, but no complete answer arrives in time.",
    detection: "connected, no (complete) answer in time",
    remedy: "Check for packets that are too large or dropped between node and endpoint (MTU, inspection, overload), and \
             contact Azure support if a machine in the endpoint's subnet also times out.",
    commands: |names| {
        let mut commands = vec![names.curl_on_node(), on_node("chroot /host ip link show")];
        commands.extend(names.acr([health(names)]));
        commands
    },
    at_data: None,
    cautions: &[],
    confirm: Confirm {
        commands: &[
            CHALLENGE,
            "curl -so /dev/null --max-time 30 -w '%{time_connect} %{time_appconnect} %{time_total}\\n' https://REGISTRY.azurecr.io/v2/",
        ],
        shows: "There is no answer within ten seconds although the connection is established: the first number is small and \
                the last one large.",
    },
    verify: "The registry returns HTTP status 401 in well under a second.",
};

pub(super) const REGISTRY_ERROR: CauseInfo = CauseInfo {
    code: "registry_error",
    severity: Severity::Fail,
    stages: ANSWERS,
    meaning: "The registry itself failed, or rejects the pull for a reason that no other cause covers.",
    detection: "5xx, or another error of the registry's own that no other cause explains, such as a 401 or 403 without a \
                known reason; carries the correlation id",
    remedy: "See the registry's error message, wait for the next check, and give the correlation id to Azure support if the \
             error persists.",
    commands: |names| {
        let mut commands = vec![names.curl_on_node()];
        commands.extend(names.acr([health(names)]));
        commands
    },
    at_data: None,
    cautions: &[],
    confirm: Confirm {
        commands: &[CHALLENGE],
        shows: "The registry returns HTTP status 500 or above, or another error with a code of its own such as \
                `REGISTRY_DISALLOWED_OPERATION`. Azure support needs the `X-Ms-Correlation-Request-Id` of the answer.",
    },
    verify: "The registry returns HTTP status 401 with a `Www-Authenticate` header.",
};

pub(super) const THROTTLED: CauseInfo = CauseInfo {
    code: "throttled",
    severity: Severity::Unknown,
    stages: ANSWERS,
    meaning: "The registry, or the source of an artifact cache rule, throttles requests, so the result of a pull is unknown.",
    detection: "429; verdict `unknown`; carries Retry-After; says whether the registry or the source of a cache rule throttles",
    remedy: "Reduce the load with a longer interval or with fleetSize and budgetPerMinute, or move the registry to a tier with \
             higher limits; if the source of a cache rule throttles, add a credential set to the rule.",
    commands: |names| {
        let registry = names.registry();
        names.acr([
            format!("az acr show --name {registry} --query sku.name --output tsv"),
            format!(
                "az monitor metrics list --resource \"$(az acr show --name {registry} --query id --output tsv)\" \
                 --metrics TotalPullCount --interval PT1M --output table"
            ),
            format!(
                "az monitor diagnostic-settings list --resource \"$(az acr show --name {registry} --query id --output tsv)\" \
                 --query \"[].{{workspace:workspaceId, logs:logs[?enabled].category}}\""
            ),
            format!("az acr cache list --registry {registry} --output table"),
        ])
    },
    at_data: None,
    cautions: &[
        "A registry has no metric of its request rate, and `TotalPullCount` counts pulls only. Its diagnostic logs show who sends how \
         many requests, if they go to a workspace: see [Requests to a registry](logs.md#requests-to-a-registry).",
    ],
    confirm: Confirm {
        commands: &[CHALLENGE],
        shows: "The registry returns HTTP status 429 with `Retry-After`. A message about a source registry comes from an \
                artifact cache rule. Repeating the request adds to the load.",
    },
    verify: "The registry returns HTTP status 401, and the verdict of the checks is no longer `unknown`.",
};

pub(super) const ACCESS_DENIED: CauseInfo = CauseInfo {
    code: "access_denied",
    severity: Severity::Fail,
    stages: ANSWERS,
    meaning: "The registry's firewall rejected the node, so the request did not arrive through an approved private endpoint \
              of this registry.",
    detection: "403 `DENIED` with the firewall's text; names the public address that the registry saw",
    remedy: "Approve the private endpoint connection and make the name resolve to that endpoint, or allow the address that \
             the registry saw.",
    commands: |names| {
        let registry = names.registry();
        let mut commands = vec![names.dig("A")];
        commands.extend(names.acr([
            connections(names),
            format!(
                "az acr private-endpoint-connection approve --registry-name {registry} --name CONNECTION"
            ),
            format!(
                "az acr show --name {registry} --query \"{{publicNetworkAccess:publicNetworkAccess, \
                 defaultAction:networkRuleSet.defaultAction}}\""
            ),
            format!("az acr network-rule list --name {registry}"),
        ]));
        commands
    },
    at_data: None,
    cautions: &[
        "Approve a connection only if the ID of its endpoint is yours: the owner of the endpoint can then reach the registry. To allow \
         the public address instead, use `az acr network-rule add --name REGISTRY --ip-address CIDR`. It leaves the private path, and \
         has no effect while public network access is disabled.",
    ],
    confirm: Confirm {
        commands: &[CHALLENGE, TOKEN, MANIFEST],
        shows: "The registry returns HTTP status 403 with `DENIED`, and `client with IP` in the message names the public \
                address that the request came from.",
    },
    verify: GOOD_MANIFEST,
};

pub(super) const NOT_A_REGISTRY: CauseInfo = CauseInfo {
    code: "not_a_registry",
    severity: Severity::Fail,
    stages: ANSWERS,
    meaning: "Something other than the registry answers, such as a proxy or a filter with a page of its own.",
    detection: "the answer is not a registry's, whatever its status (HTML, neither the error body nor the headers of a \
                registry, no bearer challenge, a challenge that redirects, an overlong or unparsable token)",
    remedy: "Remove the proxy from the path to the registry, for example by adding the registry's names to the cluster's \
             noProxy list.",
    commands: |names| {
        vec![
            names.curl_on_node(),
            on_node("chroot /host systemctl show containerd kubelet --property=Environment"),
            cluster("httpProxyConfig.noProxy"),
        ]
    },
    at_data: None,
    cautions: &[],
    confirm: Confirm {
        commands: &[CHALLENGE],
        shows: "The answer has no `Www-Authenticate: Bearer` or is an HTML page: it comes from a proxy or another server.",
    },
    verify: "The registry returns HTTP status 401 with `Www-Authenticate: Bearer \
             realm=\"https://REGISTRY.azurecr.io/oauth2/token\"`.",
};

pub(super) const UNTRUSTED_REDIRECT: CauseInfo = CauseInfo {
    code: "untrusted_redirect",
    severity: Severity::Fail,
    stages: &[Stage::Token, Stage::Manifest, Stage::Blob],
    meaning: "The answer redirects the pull to a place where a registry does not store content, so the redirect was not \
              followed.",
    detection: "a redirect that no client should follow: from the token endpoint or a manifest; to plain HTTP, another \
                port, an IP literal or a host outside the registry's own names; a second or circular one",
    remedy: "Find out which server answers for the registry, and remove that proxy or cache from the path.",
    commands: |names| {
        let mut commands = vec![names.curl_on_node(), names.openssl()];
        commands.extend(names.acr([show_endpoints(names)]));
        commands
    },
    at_data: None,
    cautions: &[],
    confirm: Confirm {
        commands: &[TOKEN, BLOB],
        shows: "`Location` is not HTTPS on port 443 at a name of the registry or of Azure's storage.",
    },
    verify: "`Location` points to `REGISTRY.REGION.data.azurecr.io`.",
};

pub(super) const UNTRUSTED_REALM: CauseInfo = CauseInfo {
    code: "untrusted_realm",
    severity: Severity::Fail,
    stages: &[Stage::Challenge],
    meaning: "The challenge would send the credentials to another host, port or scheme, so they were not sent.",
    detection: "the challenge would send the credentials to another host, port or scheme: rejected",
    remedy: "Find out which server answers for the registry, and do not check the image again until the realm is the login \
             server's own.",
    commands: |names| {
        vec![
            format!(
                "curl --silent --show-error --output /dev/null --dump-header - https://{}/v2/",
                names.login_server()
            ),
            names.openssl(),
        ]
    },
    at_data: None,
    cautions: &[],
    confirm: Confirm {
        commands: &[CHALLENGE],
        shows: "`realm` in `Www-Authenticate` has another host, port or scheme than the registry. Do not send a password to it.",
    },
    verify: "`realm` is `https://REGISTRY.azurecr.io/oauth2/token`.",
};

pub(super) const DEADLINE_EXCEEDED: CauseInfo = CauseInfo {
    code: "deadline_exceeded",
    severity: Severity::Unknown,
    stages: &[
        Stage::Dns,
        Stage::Address,
        Stage::Connect,
        Stage::Tls,
        Stage::Challenge,
        Stage::Token,
        Stage::Manifest,
        Stage::Blob,
    ],
    meaning: "The check as a whole took too long, although every stage stayed within its own timeout.",
    detection: "the overall timeout elapsed, and no per-stage timeout explains it",
    remedy: "Find the slowest stages in the report, and raise the timeout only if their durations are normal here.",
    commands: |names| {
        vec![
            format!("acr-verifier check {} --timeout 120s", names.image()),
            names.dig("A +tries=1"),
            names.curl_on_node(),
        ]
    },
    at_data: None,
    cautions: &[],
    confirm: Confirm {
        commands: &[
            "dig REGISTRY.azurecr.io A | grep 'Query time'",
            "curl -so /dev/null --max-time 30 -w '%{time_namelookup} %{time_connect} %{time_appconnect} %{time_total}\\n' https://REGISTRY.azurecr.io/v2/",
        ],
        shows: "The times show which step is slow: the name, the connection, the handshake or the answer.",
    },
    verify: "The total is well under a second.",
};
