//! What to do about each alert: the part of its section in the runbook that is not in its rule.

use acr_verifier::report::catalogue::CHECK;

/// The text about one alert.
pub struct Guide {
    /// The name of the alert.
    pub alert: &'static str,
    /// What it means for those who pull, after the summary of the rule.
    pub meaning: &'static str,
    /// The first thing to look at.
    pub first: &'static str,
    /// Commands that confirm it without the monitoring.
    pub confirm: &'static [&'static str],
    /// What fixes it, with links to causes.
    pub fix: &'static str,
    /// Commands for the fix; none if the sections of the causes have them.
    pub commands: &'static [&'static str],
    /// What shows that it is fixed, in addition to the rule.
    pub verify: &'static str,
}

const EVENTS: &str = "kubectl get events --namespace default --field-selector reportingComponent=acr-verifier \
                      --sort-by=.metadata.creationTimestamp";
const CHECK_NOW: &str =
    "acr-verifier smoke --namespace acr-verifier --selector app.kubernetes.io/name=acr-verifier --timeout 2m";
const PODS: &str =
    "kubectl get pods --namespace acr-verifier --selector app.kubernetes.io/component=agent --output wide";
const POD_OF_NODE: &str = "kubectl get pods --namespace acr-verifier --selector app.kubernetes.io/component=agent \
                           --field-selector spec.nodeName=NODE";
const REPORT: &str = "kubectl get --raw /api/v1/namespaces/acr-verifier/pods/POD:9469/proxy/report";
const SCRAPE: &str = "kubectl get --raw /api/v1/namespaces/acr-verifier/pods/POD:9469/proxy/metrics | head";
const LOG: &str = "kubectl logs POD --namespace acr-verifier --tail 50";
const NODE: &str = "kubectl describe node NODE";
const DAEMON_SET: &str = "kubectl describe daemonset acr-verifier --namespace acr-verifier";
const LOGIN: &str = "dig REGISTRY.azurecr.io A";
const CHALLENGE: &str = "curl --connect-timeout 5 -so /dev/null -w '%{remote_ip} %{http_code}\\n' https://REGISTRY.azurecr.io/v2/";
const CERTIFICATE: &str = "openssl s_client -connect REGISTRY.azurecr.io:443 -servername REGISTRY.azurecr.io </dev/null | \
                           openssl x509 -noout -issuer -dates";
const SMOKE_PASSES: &str =
    "`acr-verifier smoke` exits with 0, and the nodes have the Event `RegistryVerified`.";
const BY_CAUSE: &str = "Look up the cause in the [table of causes](#causes): its section has the commands. The Events and \
                        `count by (cluster, cause) (acr_verifier_cause{severity=\"fail\"})` name the cause. Events older than an hour are in \
                        Container Insights, if the cluster has it: see [Events of the agent](logs.md#events-of-the-agent).";
const BURN: &str = "Fix the cause as its section describes. If a node cannot be fixed, replace it, but only while other nodes can pull: \
                    an evicted Pod has to pull its image again, and a new node has no image in its cache. Draining is \
                    not enough, because the agent also checks from a cordoned node until the node is deleted. `kubectl drain` evicts the node's Pods: \
                    check their disruption budgets first. Remove the machine with the last command, and scale the pool unless the cluster \
                    autoscaler does. `kubectl delete node NODE` replaces a node of node auto-provisioning.";
const REPLACE: &[&str] = &[
    "kubectl cordon NODE",
    "kubectl drain NODE --ignore-daemonsets --delete-emptydir-data",
    "az aks nodepool delete-machines --subscription CLUSTER_SUBSCRIPTION --resource-group CLUSTER_RESOURCE_GROUP --cluster-name \
     CLUSTER --nodepool-name NODEPOOL --machine-names MACHINE",
];

/// All of them, in the order of the rule file.
pub const GUIDES: [Guide; 21] = [
    Guide {
        alert: "AcrVerifierRegistryUnreachable",
        meaning: "The pull path is broken on at least ten nodes, or on two or more that make up a fifth of the cluster. The fault is \
                between DNS and the data endpoint, or in the kubelet's identity: it has no role, or IMDS does not answer on the host \
                network. New Pods do not start there; running Pods are not affected. Rejected credentials of the check, an identity that \
                IMDS does not know and missing images do not count, and a fault of a few seconds does not page. Nodes whose checks are \
                inconclusive count as nodes, but not as broken ones.",
        first: "Check which cause the nodes report, and whether DNS, the private endpoint, a firewall or the registry's \
                settings changed in the last hour.",
        confirm: &[EVENTS, POD_OF_NODE, CHECK, LOGIN, CHALLENGE],
        fix: BY_CAUSE,
        commands: &[],
        verify: SMOKE_PASSES,
    },
    Guide {
        alert: "AcrVerifierPublicPathInUse",
        meaning: "Names resolve to public addresses, or layers come from public storage: pulls leave the private network \
                if a firewall allows it, and fail otherwise.",
        first: "Check the reported cause: it shows whether the login server or the data endpoint is public.",
        confirm: &[EVENTS, POD_OF_NODE, CHECK, LOGIN, "dig REGISTRY.REGION.data.azurecr.io A"],
        fix: "The causes are [`private_zone_not_linked`](#private_zone_not_linked), \
               [`no_private_endpoint`](#no_private_endpoint), [`mixed_addresses`](#mixed_addresses) and \
               [`data_endpoint_disabled`](#data_endpoint_disabled).",
        commands: &[
            "az network private-dns link vnet list --subscription ZONE_SUBSCRIPTION --resource-group ZONE_RESOURCE_GROUP --zone-name privatelink.azurecr.io --output table",
            "az acr show --name REGISTRY --query '[dataEndpointEnabled, publicNetworkAccess]'",
        ],
        verify: "Every nameserver of the node returns only private addresses for both names.",
    },
    Guide {
        alert: "AcrVerifierRegistryUnreachableFromNode",
        meaning: "Pods on this node that need an image from the registry do not start.",
        first: "Check the Events of the node, and cordon it if Pods are waiting.",
        confirm: &[POD_OF_NODE, CHECK, NODE, LOGIN, CHALLENGE],
        fix: BY_CAUSE,
        commands: &["kubectl cordon NODE"],
        verify: "The node has the Event `RegistryVerified`; then run `kubectl uncordon NODE`.",
    },
    Guide {
        alert: "AcrVerifierPublicPathInUseFromNode",
        meaning: "This node uses different nameservers, or gets different answers from them. Its pulls leave the private network \
                if a firewall allows it, and fail otherwise.",
        first: "Compare the nameservers of the node with those of a node that passes.",
        confirm: &[NODE, POD_OF_NODE, CHECK, LOGIN, "dig REGISTRY.REGION.data.azurecr.io A"],
        fix: "The causes are [`private_zone_not_linked`](#private_zone_not_linked), \
               [`no_private_endpoint`](#no_private_endpoint), [`mixed_addresses`](#mixed_addresses) and \
               [`data_endpoint_disabled`](#data_endpoint_disabled).",
        commands: &["kubectl cordon NODE"],
        verify: "Every nameserver of the node returns only private addresses for both names; then run `kubectl uncordon NODE`.",
    },
    Guide {
        alert: "AcrVerifierDataPathBroken",
        meaning: "The login server answers, but layers cannot be fetched: pulls start and never complete.",
        first: "Check the reported cause: it shows whether the data endpoint's name, its address or the blob is at fault.",
        confirm: &[
            EVENTS,
            POD_OF_NODE,
            CHECK,
            "dig REGISTRY.REGION.data.azurecr.io A",
            "curl --connect-timeout 5 -sv https://REGISTRY.REGION.data.azurecr.io -o /dev/null",
        ],
        fix: "Often the A record of the data endpoint is missing ([`private_record_missing`](#private_record_missing)), or \
               a firewall allows only the login server ([`connect_timeout`](#connect_timeout)). Other causes are \
               [`data_endpoint_disabled`](#data_endpoint_disabled) and [`blob_denied`](#blob_denied). A single image with \
               [`blob_not_found`](#blob_not_found) is a fault of that image.",
        commands: &[
            "az acr show-endpoints --name REGISTRY",
            "az network private-dns record-set a list --subscription ZONE_SUBSCRIPTION --resource-group ZONE_RESOURCE_GROUP --zone-name privatelink.azurecr.io --output table",
        ],
        verify: SMOKE_PASSES,
    },
    Guide {
        alert: "AcrVerifierImageNotPullable",
        meaning: "One image is missing, quarantined, damaged, without one of its blobs, not built for this platform, or not fetched by its \
                cache rule; or a cause of the path affects this image and no other. Images without a name share their series, so one of \
                them may fail while the others pass. Other images of the registry can be pulled, unless this is the only one that is \
                checked.",
        first: "The alert names the cause. Check whether the tag was deleted or moved.",
        confirm: &[EVENTS, POD_OF_NODE, CHECK],
        fix: "Usual causes are [`repository_not_found`](#repository_not_found), \
               [`manifest_not_found`](#manifest_not_found), [`manifest_quarantined`](#manifest_quarantined), \
               [`cache_rule_failed`](#cache_rule_failed), [`manifest_invalid`](#manifest_invalid), \
               [`digest_mismatch`](#digest_mismatch), [`platform_missing`](#platform_missing), [`blob_not_found`](#blob_not_found) and \
               [`registry_error`](#registry_error).",
        commands: &[
            "az acr manifest list-metadata --registry REGISTRY --name REPOSITORY --output table",
            "az acr repository show-tags --name REGISTRY --repository REPOSITORY --output table",
        ],
        verify: SMOKE_PASSES,
    },
    Guide {
        alert: "AcrVerifierCredentialsRejected",
        meaning: "The agent cannot pull with the Secret that it mounts, or with its identity. Pods with the same credentials or identity \
                cannot start. If the kubelet's identity has no role on many nodes, or IMDS does not answer on the host network, \
                AcrVerifierRegistryUnreachable fires too. An identity that IMDS does not know is a setting of the agent: the kubelet may \
                still pull.",
        first: "Check whether a password was renewed, a token disabled or a role assignment removed, and whether Pods use the same token or \
                identity.",
        confirm: &[
            EVENTS,
            POD_OF_NODE,
            CHECK,
            "curl -so /dev/null -w '%{http_code}\\n' --user USERNAME 'https://REGISTRY.azurecr.io/oauth2/token?service=REGISTRY.azurecr.io&scope=repository:REPOSITORY:pull'",
        ],
        fix: "Follow the section of the reported cause: [`credentials_missing`](#credentials_missing), [`credentials_invalid`](#credentials_invalid), \
               [`credentials_rejected`](#credentials_rejected), [`token_refused`](#token_refused), \
               [`scope_missing`](#scope_missing), [`identity_unavailable`](#identity_unavailable), \
               [`identity_not_found`](#identity_not_found), [`entra_unreachable`](#entra_unreachable), \
               [`identity_rejected`](#identity_rejected), [`pull_role_missing`](#pull_role_missing).",
        commands: &[
            "az acr token show --registry REGISTRY --name TOKEN --query '[status, credentials.passwords[].expiry]'",
        ],
        verify: "A check passes. The agents reload the Secret within a minute or two of its change; no restart is needed.",
    },
    Guide {
        alert: "AcrVerifierCredentialsExpiring",
        meaning: "The credentials still work, but expire at the time given in the configuration or the Secret.",
        first: "Check when the credentials expire.",
        confirm: &[
            POD_OF_NODE,
            CHECK,
            "kubectl get secret SECRET --namespace acr-verifier --output jsonpath='{.data.expiresAt}' | base64 -d",
        ],
        fix: "Renew the token password that no client uses, so that the current one stays valid until every client has the new one. \
               Follow [`credentials_expiring`](#credentials_expiring).",
        commands: &[],
        verify: "`acr_verifier_credentials_expiry_timestamp_seconds` has the new time.",
    },
    Guide {
        alert: "AcrVerifierCertificateExpiring",
        meaning: "Azure renews its own certificates much earlier. One that expires soon usually belongs to a device that inspects TLS.",
        first: "Check who issued the certificate.",
        confirm: &[POD_OF_NODE, CHECK, CERTIFICATE],
        fix: "Follow [`certificate_expiring`](#certificate_expiring).",
        commands: &[],
        verify: "`notAfter` is more than 14 days away on every node.",
    },
    Guide {
        alert: "AcrVerifierResolversDisagree",
        meaning: "Whether a pull works, and which path it takes, depends on the nameserver that the node queries.",
        first: "Query each nameserver in /etc/resolv.conf and each one that the configuration compares.",
        confirm: &[
            POD_OF_NODE,
            CHECK,
            "cat /etc/resolv.conf",
            "dig +short @NAMESERVER REGISTRY.azurecr.io A",
        ],
        fix: "Follow [`resolvers_disagree`](#resolvers_disagree).",
        commands: &[],
        verify: "All of them return the same addresses.",
    },
    Guide {
        alert: "AcrVerifierChecksStale",
        meaning: "The agent answers scrapes, but its last check is more than half an hour old, so its results are stale. If \
                `fleetSize` stretches the interval beyond 20 minutes, raise `rules.staleSeconds` of the chart.",
        first: "Check the agent's log and its status page.",
        confirm: &[POD_OF_NODE, REPORT, LOG, CHECK],
        fix: "Restart the agent and keep its log: a check that never completes is a bug in acr-verifier.",
        commands: &["kubectl delete pod POD --namespace acr-verifier"],
        verify: "`acr_verifier_last_check_timestamp_seconds` increases.",
    },
    Guide {
        alert: "AcrVerifierAgentAbsent",
        meaning: "Nothing is known about this node, while agents on other nodes report. Either its agent Pod does not report, or \
                there are fewer agent Pods than the DaemonSets want. In the second case the alert fires for each node without \
                one, including those that no DaemonSet wants.",
        first: "Check whether the node has an agent Pod, and whether the Pod is ready.",
        confirm: &[POD_OF_NODE, REPORT, SCRAPE, DAEMON_SET, NODE],
        fix: "If the DaemonSet does not tolerate a taint of the node, add the taint to the value `tolerations`. If the Pod is `Pending` \
               because the node is full, set `priorityClassName`. If the Pod exists but is not scraped, check the PodMonitor's targets. \
               If the node is being removed, wait. If no agent is supposed to run on its pool, add the pool to `rules.excludedNodes`.",
        commands: &["kubectl get node NODE --output jsonpath='{.spec.taints}'"],
        verify: "The node has a ready Pod and a series of `acr_verifier_last_check_timestamp_seconds`.",
    },
    Guide {
        alert: "AcrVerifierAllAgentsAbsent",
        meaning: "Nothing is known about any node: the DaemonSet has no Pods, or nothing scrapes them. The alert lasts as long as \
                the DaemonSet exists; without one, until a day after the last scrape.",
        first: "Check whether the Pods are running. If they are, the scrape fails.",
        confirm: &[
            PODS,
            DAEMON_SET,
            REPORT,
            SCRAPE,
            "kubectl get podmonitors.azmonitoring.coreos.com --all-namespaces",
            "kubectl get podmonitors.monitoring.coreos.com --all-namespaces",
        ],
        fix: "If the Pods run but are not scraped, create the PodMonitor with the API version that the collector reads, \
               `azmonitoring.coreos.com/v1` for Azure Monitor. An error about an unknown resource type means that this kind is not \
               installed. If there are no Pods, the Events of the DaemonSet name the policy that denies them, or no node matches \
               `nodeSelector` and `affinity`: see [The agent does not run](../docs/troubleshooting.md#the-agent-does-not-run). If the \
               Pods wait, see [AcrVerifierAgentCannotStart](#acrverifieragentcannotstart).",
        commands: &[
            "az aks show --subscription CLUSTER_SUBSCRIPTION --resource-group CLUSTER_RESOURCE_GROUP --name CLUSTER --query azureMonitorProfile.metrics.enabled",
        ],
        verify: "`count(acr_verifier_last_check_timestamp_seconds)` has a result.",
    },
    Guide {
        alert: "AcrVerifierAgentCannotStart",
        meaning: "Kubernetes cannot start the agent: its image cannot be pulled, or the agent exits immediately.",
        first: "Check what the Pod is waiting for.",
        confirm: &[
            PODS,
            "kubectl describe pod POD --namespace acr-verifier",
            "kubectl logs POD --namespace acr-verifier --previous",
        ],
        fix: "`ErrImagePull`: use an agent image from a registry that the nodes can reach, other than those that the agent \
               verifies. `CreateContainerConfigError`: create the Secret that the values name. `CrashLoopBackOff`: correct \
               the configuration key that the last line of the log names, or set `port` if another process of the node uses it \
               (exit code 2 in both cases). If an upgrade caused it, roll back with the tool that manages the release: revert the \
               commit under Argo CD or Flux, otherwise run `helm rollback`. `kubectl rollout undo` bypasses Helm and does not restore \
               the configuration.",
        commands: &[
            "helm history acr-verifier --namespace acr-verifier",
            "helm rollback acr-verifier --namespace acr-verifier",
        ],
        verify: "`kubectl rollout status daemonset/acr-verifier --namespace acr-verifier` exits with 0.",
    },
    Guide {
        alert: "AcrVerifierConfigurationReloadFailed",
        meaning: "The new configuration is invalid. The agents keep the previous one until they restart.",
        first: "Check the log: it names the key, the invalid value and what is expected.",
        confirm: &[
            "kubectl logs --namespace acr-verifier --selector app.kubernetes.io/name=acr-verifier --tail 20 --prefix",
        ],
        fix: "Correct the values and upgrade. Or roll back to the previous release, which may have another image as well; under Argo CD \
               or Flux, revert the commit.",
        commands: &["helm rollback acr-verifier --namespace acr-verifier"],
        verify: "`acr_verifier_config_last_reload_successful` is 1 on every node.",
    },
    Guide {
        alert: "AcrVerifierEventsNotPublished",
        meaning: "Checks and metrics continue, but `kubectl describe node` does not show the results.",
        first: "Check whether the agent is allowed to create Events.",
        confirm: &[
            "kubectl auth can-i create events.events.k8s.io --namespace default --as system:serviceaccount:acr-verifier:acr-verifier",
            LOG,
        ],
        fix: "Install the chart's Role and RoleBinding in namespace `default`, or turn `events.enabled` off. If the API server \
               rejects Events because of load, the alert resolves without a fix.",
        commands: &["kubectl get role,rolebinding --namespace default"],
        verify: "`increase(acr_verifier_events_total{result=\"published\"}[1h])` increases, and that of `failed` does not.",
    },
    Guide {
        alert: "AcrVerifierChecksInconclusive",
        meaning: "The checks neither pass nor fail, so it is unknown whether nodes can pull.",
        first: "The report names the cause: usually [`throttled`](#throttled), [`deadline_exceeded`](#deadline_exceeded), \
                [`identity_unavailable`](#identity_unavailable) or [`connect_refused`](#connect_refused). Read the last report; another \
                check would add to the load.",
        confirm: &[POD_OF_NODE, REPORT],
        fix: "Follow the section of the cause. For `throttled`, the registry's diagnostic logs show which client sends the most \
               requests; pulls may be throttled as well. If the agents themselves cause the load, set `schedule.fleetSize` to the number of \
               nodes.",
        commands: &[
            "az monitor diagnostic-settings list --resource \"$(az acr show --name REGISTRY --query id --output tsv)\" --query \
             \"[].{workspace:workspaceId, logs:logs[?enabled].category}\"",
        ],
        verify: "The verdict of checks is `pass` again: `rate(acr_verifier_checks_total{verdict=\"unknown\"}[15m])` is 0.",
    },
    Guide {
        alert: "AcrVerifierErrorBudgetBurn1h",
        meaning: "In the last hour the path was broken on more than 14.4 % of the nodes on average, and it was within five minutes. Usually \
                outages come and go, and each is too short to page. Only minutes count in which the path is broken on at least ten \
                nodes, or on two or more that make up a fifth. After an outage that paged, the alert waits for 15 minutes.",
        first: "Find out when the outages occur, and which nodes fail most often: \
                `topk(10, sum by (cluster, registry, node, cause) (increase(acr_verifier_failures_total[1h])))`.",
        confirm: &[EVENTS, POD_OF_NODE, CHECK, CHECK_NOW],
        fix: BURN,
        commands: REPLACE,
        verify: "On average, fewer than 14.4 % of the nodes fail in five minutes.",
    },
    Guide {
        alert: "AcrVerifierErrorBudgetBurn6h",
        meaning: "In the last six hours the path was broken on more than 6 % of the nodes on average, and it was within half an hour. Usually \
                outages come and go, and each is too short to page. Only minutes count in which the path is broken on at least ten \
                nodes, or on two or more that make up a fifth. After an outage that paged, the alert waits for an hour.",
        first: "Find out when the outages occur, and which nodes fail most often: \
                `topk(10, sum by (cluster, registry, node, cause) (increase(acr_verifier_failures_total[6h])))`.",
        confirm: &[EVENTS, POD_OF_NODE, CHECK, CHECK_NOW],
        fix: BURN,
        commands: REPLACE,
        verify: "On average, fewer than 6 % of the nodes fail in half an hour.",
    },
    Guide {
        alert: "AcrVerifierErrorBudgetBurn1d",
        meaning: "In the last day the path was broken on more than 3 % of the nodes on average, and it was within two hours. Only minutes of \
                an outage count: ten broken nodes, or two or more that make up a fifth.",
        first: "Find the nodes that fail repeatedly: \
                `topk(10, sum by (cluster, registry, node, cause) (increase(acr_verifier_failures_total[1d])))`. Events last an hour.",
        confirm: &[POD_OF_NODE, CHECK, CHECK_NOW],
        fix: BURN,
        commands: REPLACE,
        verify: "On average, fewer than 3 % of the nodes fail in two hours.",
    },
    Guide {
        alert: "AcrVerifierErrorBudgetBurn3d",
        meaning: "In the last three days the path was broken on more than 1 % of the nodes on average, and it was within six hours: more than \
                the objective of 99 % allows. Only minutes of an outage count: ten broken nodes, or two or more that make up a fifth.",
        first: "Find the nodes that fail repeatedly: \
                `topk(10, sum by (cluster, registry, node, cause) (increase(acr_verifier_failures_total[3d])))`. Events last an hour.",
        confirm: &[POD_OF_NODE, CHECK, CHECK_NOW],
        fix: BURN,
        commands: REPLACE,
        verify: "On average, fewer than 1 % of the nodes fail in six hours.",
    },
];
