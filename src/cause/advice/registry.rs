//! Advice for what a registry answers.

use super::Advice;
use super::credentials::secret_hosts;
use super::names::{Names, on_node};
use super::network::{connections, show_endpoints};

pub(super) const RESPONSE_TIMEOUT: Advice = Advice {
    meaning: "The connection stands, but no complete answer comes in time.",
    recognised_by: "connected, no (complete) answer in time",
    remedy: "Look for packets that are too large or dropped between node and endpoint (MTU, inspection, overload), and \
             ask Azure's support if a machine beside the endpoint waits as well.",
    commands: |names| {
        let mut commands = vec![names.curl_on_node(), on_node("chroot /host ip link show")];
        commands.extend(names.acr([health(names)]));
        commands
    },
};

pub(super) const REGISTRY_ERROR: Advice = Advice {
    meaning: "The registry itself failed, or refuses the pull for a reason that no other cause names.",
    recognised_by: "5xx, or another refusal of the registry's own that no other cause explains, such as a 401 or 403 without a \
                    known reason; carries the correlation id",
    remedy: "Read the registry's own words, wait for the next check, and give the correlation id to Azure's support if it lasts.",
    commands: |names| {
        let mut commands = vec![names.curl_on_node()];
        commands.extend(names.acr([health(names)]));
        commands
    },
};

pub(super) const THROTTLED: Advice = Advice {
    meaning: "The registry, or the source of an artifact cache rule, rejects requests for now, so the result of a pull is unknown.",
    recognised_by: "429; verdict `unknown`; carries Retry-After; says whether the registry or the source of a cache rule throttles",
    remedy: "Spread the load with a longer interval or fleetSize and budgetPerMinute, or move the registry to a tier with higher \
             limits; if the source of a cache rule throttles, give the rule a credential set.",
    commands: |names| {
        let registry = names.registry();
        names.acr([
            format!("az acr show --name {registry} --query sku.name --output tsv"),
            format!(
                "az monitor metrics list --resource \"$(az acr show --name {registry} --query id --output tsv)\" \
                 --metrics TotalPullCount --interval PT1M --output table"
            ),
            format!("az acr cache list --registry {registry} --output table"),
        ])
    },
};

pub(super) const ACCESS_DENIED: Advice = Advice {
    meaning: "The registry's firewall turned the node away, which means that the call did not come through an approved \
              private endpoint of this registry.",
    recognised_by: "403 `DENIED` with the firewall's text; names the public address that the registry saw",
    remedy: "Approve the private endpoint's connection and make the name resolve to that endpoint, or allow the \
             address that the registry saw.",
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
};

pub(super) const NOT_A_REGISTRY: Advice = Advice {
    meaning: "Something else answers in the registry's place, such as a proxy or a filter with a page of its own.",
    recognised_by: "the answer is not a registry's, whatever its status (HTML, neither the error body nor the headers of a \
                    registry, no bearer challenge, a challenge that redirects, an over-long or unparsable token)",
    remedy: "Take the proxy out of the way to the registry, for instance by adding the registry's names to the \
             cluster's noProxy list.",
    commands: |names| {
        vec![
            names.curl_on_node(),
            on_node("chroot /host systemctl show containerd kubelet --property=Environment"),
            "az aks show --resource-group RESOURCE_GROUP --name CLUSTER --query httpProxyConfig.noProxy"
                .to_owned(),
        ]
    },
};

pub(super) const UNTRUSTED_REDIRECT: Advice = Advice {
    meaning: "The answer sends the pull to a place where a registry does not keep its content, so it was not followed.",
    recognised_by: "a redirect that nobody should follow: from the token endpoint or a manifest, to plain HTTP, \
                    another port, an IP literal, a host outside the registry's own names, a second or circular one",
    remedy: "Find out who answers in the registry's place, and take that proxy or cache out of the path.",
    commands: |names| {
        let mut commands = vec![names.curl_on_node(), names.openssl()];
        commands.extend(names.acr([show_endpoints(names)]));
        commands
    },
};

pub(super) const UNTRUSTED_REALM: Advice = Advice {
    meaning: "The challenge asks for the credentials to be sent to another host, port or scheme, so they were not sent.",
    recognised_by: "the challenge would send the credentials to another host, port or scheme: refused",
    remedy: "Find out who answers in the registry's place, and check the image only once the realm is the login \
             server's own again.",
    commands: |names| {
        vec![
            format!(
                "curl --silent --show-error --output /dev/null --dump-header - https://{}/v2/",
                names.login_server()
            ),
            names.openssl(),
        ]
    },
};

pub(super) const SCOPE_MISSING: Advice = Advice {
    meaning: "The credentials are good, but they do not allow to pull from this repository.",
    recognised_by: "token granted, pull refused (`insufficient_scope`, or an access claim without pull on the \
                    repository)",
    remedy: "Add content/read on the repository to the token's scope map.",
    commands: |names| {
        let registry = names.registry();
        let mut commands = names.acr([
            format!("az acr token show --registry {registry} --name TOKEN --query scopeMapId --output tsv"),
            format!(
                "az acr scope-map update --registry {registry} --name SCOPE_MAP --add-repository {} content/read",
                names.repository()
            ),
        ]);
        if commands.is_empty() {
            commands.push(secret_hosts());
        }
        commands
    },
};

pub(super) const TOKEN_REFUSED: Advice = Advice {
    meaning: "The registry rejects the token that it has just issued.",
    recognised_by: "401 with `invalid_token`: the registry rejects the token that it has just issued",
    remedy: "Look for something between node and registry that changes requests, and give the correlation id to \
             Azure's support if there is nothing.",
    commands: |names| {
        let mut commands = vec![names.curl_on_node(), on_node("chroot /host timedatectl")];
        commands.extend(names.acr([health(names)]));
        commands
    },
};

pub(super) const DEADLINE_EXCEEDED: Advice = Advice {
    meaning: "The check as a whole took too long, although each stage kept to its own limit.",
    recognised_by: "the whole check's time is over, and no stage's own limit explains it",
    remedy: "Look for the slowest stages in the report, and raise the timeout only if that time is normal here.",
    commands: |names| {
        vec![
            format!("acr-verifier check {} --timeout 120s", names.image()),
            names.dig("A +tries=1"),
            names.curl_on_node(),
        ]
    },
};

fn health(names: &Names) -> String {
    format!("az acr check-health --name {} --ignore-errors --yes", names.registry())
}
