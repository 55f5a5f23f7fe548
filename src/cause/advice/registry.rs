//! Advice for what is said over the connection: challenge, token, manifest and blob.

use super::Advice;
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
    meaning: "The registry itself failed, or refuses in its own words what every pull asks for; the node can do nothing about it.",
    recognised_by: "5xx, or another refusal with a registry's error code that no other cause explains; carries the correlation id",
    remedy: "Read the registry's own words, wait for the next check, and give the correlation id to Azure's support if it lasts.",
    commands: |names| {
        let mut commands = vec![names.curl_on_node()];
        commands.extend(names.acr([health(names)]));
        commands
    },
};

pub(super) const THROTTLED: Advice = Advice {
    meaning: "The registry takes no more requests for now, so the pull could not be judged.",
    recognised_by: "429; verdict `unknown`; carries Retry-After",
    remedy: "Spread the load with a longer interval or fleetSize and budgetPerMinute, or move the registry to a \
             tier with higher limits.",
    commands: |names| {
        let registry = names.registry();
        names.acr([
            format!("az acr show --name {registry} --query sku.name --output tsv"),
            format!(
                "az monitor metrics list --resource \"$(az acr show --name {registry} --query id --output tsv)\" \
                 --metrics TotalPullCount --interval PT1M --output table"
            ),
        ])
    },
};

pub(super) const ACCESS_DENIED: Advice = Advice {
    meaning: "The registry's firewall turned the node away, which means that the call did not come through an approved \
              private endpoint of this registry.",
    recognised_by: "403 `DENIED`: the registry's firewall; says which public address the registry saw",
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
    recognised_by: "the answer is not a registry's (HTML, missing headers, no bearer challenge, a challenge that \
                    redirects, an over-long or unparsable token)",
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

pub(super) const CREDENTIALS_MISSING: Advice = Advice {
    meaning: "There are no credentials for this login server where they are looked for.",
    recognised_by: "no entry for this login server",
    remedy: "Put credentials for exactly this login server into the pull secret, and name its path.",
    commands: |names| {
        let mut commands = vec![secret_keys(), secret_hosts()];
        commands.extend(new_secret(names, "password1"));
        commands
    },
};

pub(super) const CREDENTIALS_INVALID: Advice = Advice {
    meaning: "There are credentials, but nobody can read them.",
    recognised_by: "unreadable or unparsable",
    remedy: "Make the pull secret again, of type kubernetes.io/dockerconfigjson.",
    commands: |names| {
        let mut commands = vec![secret_keys(), secret_hosts()];
        commands.extend(new_secret(names, "password1"));
        commands
    },
};

pub(super) const CREDENTIALS_REJECTED: Advice = Advice {
    meaning: "The registry does not take the credentials: they are wrong or expired, or the token is disabled.",
    recognised_by: "401 at the token endpoint: wrong, expired or disabled",
    remedy: "Enable the token if it is disabled, else make a new password for it and put that into the pull secret.",
    commands: |names| {
        let registry = names.registry();
        let mut commands = names.acr([
            format!(
                "az acr token show --registry {registry} --name TOKEN --query \"{{status:status, \
                 passwords:credentials.passwords}}\""
            ),
            format!("az acr token update --registry {registry} --name TOKEN --status enabled"),
        ]);
        commands.extend(new_secret(names, "password1"));
        if commands.is_empty() {
            commands.push(secret_hosts());
        }
        commands
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
    meaning: "The registry does not take the token that it has just issued.",
    recognised_by: "the registry refuses the token that it has just issued (`invalid_token`)",
    remedy: "Look for something between node and registry that changes requests, and give the correlation id to \
             Azure's support if there is nothing.",
    commands: |names| {
        let mut commands = vec![names.curl_on_node(), on_node("chroot /host timedatectl")];
        commands.extend(names.acr([health(names)]));
        commands
    },
};

pub(super) const REPOSITORY_NOT_FOUND: Advice = Advice {
    meaning: "The registry has no repository of this name.",
    recognised_by: "404 `NAME_UNKNOWN`",
    remedy: "Correct the repository in the image's name, or import the image.",
    commands: |names| {
        let mut commands =
            names.acr([format!("az acr repository list --name {} --output table", names.registry())]);
        commands.extend(import(names));
        commands
    },
};

pub(super) const MANIFEST_NOT_FOUND: Advice = Advice {
    meaning: "The repository is there, but not this tag or digest of it.",
    recognised_by: "404 `MANIFEST_UNKNOWN`",
    remedy: "Correct the tag or digest in the image's name, or import the image, and lock it against deletion.",
    commands: |names| {
        let mut commands = names.acr([format!(
            "az acr repository show-tags --name {} --repository {} --orderby time_desc --top 20 --output table",
            names.registry(),
            names.repository()
        )]);
        commands.extend(import(names));
        commands
    },
};

pub(super) const MANIFEST_INVALID: Advice = Advice {
    meaning: "There is a manifest, but not one that a container runtime can use.",
    recognised_by: "unparsable, over-long or unsupported",
    remedy: "Build and push the image again, as an OCI image or with Docker's manifest schema 2.",
    commands: |names| {
        let mut commands = vec![inspect(names)];
        commands.extend(import(names));
        commands
    },
};

pub(super) const DIGEST_MISMATCH: Advice = Advice {
    meaning: "The bytes are not the ones that were asked for, so no container runtime will take them.",
    recognised_by: "content is not what was asked for, or has wrong or more bytes",
    remedy: "Take the proxy or cache that changes the content out of the path, and push the image again if the \
             registry's own copy is damaged.",
    commands: |names| {
        let mut commands = vec![names.curl_on_node(), inspect(names)];
        commands.extend(names.acr([format!(
            "az acr manifest show-metadata --registry {} --name {}",
            names.registry(),
            names.target()
        )]));
        commands
    },
};

pub(super) const PLATFORM_MISSING: Advice = Advice {
    meaning: "The image is not built for the operating system and architecture of this node.",
    recognised_by: "index without this node's platform",
    remedy: "Build and push the image for this node's platform as well, or keep its Pods on nodes of another pool.",
    commands: |names| {
        vec![
            "kubectl get nodes --label-columns kubernetes.io/os,kubernetes.io/arch".to_owned(),
            inspect(names),
        ]
    },
};

pub(super) const DATA_ENDPOINT_DISABLED: Advice = Advice {
    meaning: "The registry serves layers from Azure's shared blob storage, which lies outside the private path.",
    recognised_by: "redirect to Azure's blob storage (`*.blob.core.windows.net` and its sovereign names): layers leave \
                    the private path",
    remedy: "Enable the registry's dedicated data endpoints, and let the DNS zone group add their records.",
    commands: |names| {
        names.acr([
            format!("az acr update --name {} --data-endpoint-enabled true", names.registry()),
            show_endpoints(names),
        ])
    },
};

pub(super) const BLOB_NOT_FOUND: Advice = Advice {
    meaning: "The manifest names a blob that the registry no longer has.",
    recognised_by: "404 at the data endpoint or the storage behind it",
    remedy: "Push or import the image again, so that its missing blob is stored again.",
    commands: |names| {
        let mut commands =
            names.acr([format!("az acr replication list --registry {} --output table", names.registry())]);
        commands.extend(import(names));
        if commands.is_empty() {
            commands.push(inspect(names));
        }
        commands
    },
};

pub(super) const BLOB_DENIED: Advice = Advice {
    meaning: "The data endpoint, or the storage behind it, refuses the blob although the registry sent the node there.",
    recognised_by: "403 at the data endpoint or the storage behind it",
    remedy: "Remove the service endpoint policy for storage from the node's subnet, or allow the registry's storage \
             in it.",
    commands: |names| {
        let mut commands = vec![
            "az network vnet subnet show --resource-group RESOURCE_GROUP --vnet-name VNET --name SUBNET --query \
             \"{serviceEndpoints:serviceEndpoints, policies:serviceEndpointPolicies}\""
                .to_owned(),
        ];
        commands.extend(names.acr([show_endpoints(names)]));
        commands.push(on_node("chroot /host timedatectl"));
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

/// The keys of the secret and their sizes, never a value.
fn secret_keys() -> String {
    "kubectl describe secret SECRET --namespace NAMESPACE".to_owned()
}

/// The login servers that the secret is for, never a value.
fn secret_hosts() -> String {
    "kubectl get secret SECRET --namespace NAMESPACE --output \
     go-template='{{index .data \".dockerconfigjson\" | base64decode}}' | jq '.auths | keys'"
        .to_owned()
}

/// Makes a password and puts it into the pull secret, past the screen, the disk, the history and the process list.
fn new_secret(names: &Names, password: &str) -> Vec<String> {
    names.acr([format!(
        "az acr token credential generate --registry {registry} --name TOKEN --{password} --expiration-in-days 90 \
         --output json | jq '{{auths: {{\"{login}\": {{username, password: (.passwords[] | select(.name == \
         \"{password}\") | .value)}}}}}}' | kubectl create secret docker-registry SECRET --namespace NAMESPACE \
         --from-file=.dockerconfigjson=/dev/stdin --dry-run=client --output=yaml | kubectl apply --filename=-",
        registry = names.registry(),
        login = names.login_server(),
    )])
}

fn import(names: &Names) -> Vec<String> {
    let image = match names.target().split_once('@') {
        Some((repository, _)) => format!("{repository}:TAG"),
        None => names.target().to_owned(),
    };
    names.acr([format!(
        "az acr import --name {} --source SOURCE_REGISTRY/SOURCE_REPOSITORY:TAG --image {image}",
        names.registry()
    )])
}

/// What the registry has, for every platform.
fn inspect(names: &Names) -> String {
    format!("docker buildx imagetools inspect {}", names.image())
}
