//! What to do about each alert, in the words of the runbook. What it says when it fires is the rule file's.

/// What the runbook says about one alert beside its rule.
pub(super) struct Guide {
    /// Its name.
    pub(super) alert: &'static str,
    /// What it means for those who pull.
    pub(super) means: &'static str,
    /// What to do before anything else.
    pub(super) first: &'static str,
    /// What shows it, outside of the monitoring.
    pub(super) confirm: &'static [&'static str],
    /// What mends it, with links to causes.
    pub(super) mend: &'static str,
    /// Commands for it; none where they stand with the causes.
    pub(super) commands: &'static [&'static str],
    /// What shows that it is over, beside the rule itself.
    pub(super) mended: &'static str,
}

const EVENTS: &str =
    "kubectl get events --namespace default --field-selector reportingController=acr-verifier";
const CHECK_NOW: &str =
    "acr-verifier smoke --namespace acr-verifier --selector app.kubernetes.io/name=acr-verifier --timeout 2m";
const PODS: &str =
    "kubectl get pods --namespace acr-verifier --selector app.kubernetes.io/name=acr-verifier --output wide";
const LOG: &str = "kubectl logs --namespace acr-verifier POD --tail 50";
const NODE: &str = "kubectl describe node NODE";
const LOGIN: &str = "dig REGISTRY.azurecr.io A";
const CHALLENGE: &str = "curl --connect-timeout 5 -so /dev/null -w '%{remote_ip} %{http_code}\\n' https://REGISTRY.azurecr.io/v2/";
const CERTIFICATE: &str = "openssl s_client -connect REGISTRY.azurecr.io:443 -servername REGISTRY.azurecr.io </dev/null | \
                           openssl x509 -noout -issuer -dates";
const SMOKE_PASSES: &str =
    "`acr-verifier smoke` ends with 0, and the Event `RegistryVerified` is on the nodes.";
const BY_CAUSE: &str = "Look the cause up in the table above: its section has the commands. The Events and \
                        `count by (cause) (acr_verifier_cause)` name it.";
const BURN: &str = "Find the nodes and causes that failed in the window, \
                    `topk(10, sum by (node, cause) (increase(acr_verifier_failures_total[WINDOW])))`, and mend the \
                    cause by its section. One node that fails for ever counts as much here as many that fail at times: \
                    drain it when it cannot be mended.";
const DRAIN: &[&str] = &["kubectl drain NODE --ignore-daemonsets --delete-emptydir-data"];

/// All of them, in the order of the rule file.
pub(super) const GUIDES: [Guide; 20] = [
    Guide {
        alert: "AcrVerifierRegistryUnreachable",
        means: "All nodes, ten of them, or a fifth cannot pull: new pods do not start there. Running ones go on.",
        first: "Read which cause the nodes tell, and whether DNS, the private endpoint, a firewall or the registry's \
                settings were changed in the last hour.",
        confirm: &[EVENTS, LOGIN, CHALLENGE],
        mend: BY_CAUSE,
        commands: &[],
        mended: SMOKE_PASSES,
    },
    Guide {
        alert: "AcrVerifierRegistryUnreachableFromNode",
        means: "Pods that are scheduled to this node and need an image from the registry do not start.",
        first: "Read the Events of the node, and cordon it when pods wait.",
        confirm: &[NODE, LOGIN, CHALLENGE],
        mend: BY_CAUSE,
        commands: &["kubectl cordon NODE"],
        mended: "The Event `RegistryVerified` is on the node; then `kubectl uncordon NODE`.",
    },
    Guide {
        alert: "AcrVerifierImageNotPullable",
        means: "One image is missing, is held in quarantine, is not for this platform, cannot be fetched by its cache rule, or the \
                credentials do not reach it.",
        first: "Look whether somebody deleted, moved or locked its tag.",
        confirm: &[EVENTS],
        mend: "The causes are mostly [`repository_not_found`](#repository_not_found), \
               [`manifest_not_found`](#manifest_not_found), [`manifest_quarantined`](#manifest_quarantined), \
               [`cache_rule_failed`](#cache_rule_failed), [`platform_missing`](#platform_missing) and \
               [`scope_missing`](#scope_missing).",
        commands: &[
            "az acr manifest list-metadata --registry REGISTRY --name REPOSITORY --output table",
            "az acr repository show-tags --name REGISTRY --repository REPOSITORY --output table",
        ],
        mended: SMOKE_PASSES,
    },
    Guide {
        alert: "AcrVerifierPublicPathInUse",
        means: "Names lead to public addresses, or layers come from public storage: pulls leave the private network \
                where they are let, and fail where they are not.",
        first: "Find out whether the name or the data endpoint leaves: the cause tells.",
        confirm: &[EVENTS, LOGIN, "dig REGISTRY.REGION.data.azurecr.io A"],
        mend: "The causes are [`private_zone_not_linked`](#private_zone_not_linked), \
               [`no_private_endpoint`](#no_private_endpoint), [`mixed_addresses`](#mixed_addresses) and \
               [`data_endpoint_disabled`](#data_endpoint_disabled).",
        commands: &[
            "az network private-dns link vnet list --resource-group RESOURCE_GROUP --zone-name privatelink.azurecr.io --output table",
            "az acr show --name REGISTRY --query '[dataEndpointEnabled, publicNetworkAccess]'",
        ],
        mended: "Both names have private addresses alone, at every nameserver of the node.",
    },
    Guide {
        alert: "AcrVerifierDataPathBroken",
        means: "The login server answers, and layers cannot be fetched: pulls begin and do not end.",
        first: "Resolve the data endpoint on such a node.",
        confirm: &[
            "dig REGISTRY.REGION.data.azurecr.io A",
            "curl --connect-timeout 5 -sv https://REGISTRY.REGION.data.azurecr.io -o /dev/null",
        ],
        mend: "The record of the data endpoint is often missing ([`private_record_missing`](#private_record_missing)), or \
               a firewall knows the login server alone ([`connect_timeout`](#connect_timeout)).",
        commands: &[
            "az acr show-endpoints --name REGISTRY",
            "az network private-dns record-set a list --resource-group RESOURCE_GROUP --zone-name privatelink.azurecr.io --output table",
        ],
        mended: SMOKE_PASSES,
    },
    Guide {
        alert: "AcrVerifierCredentialsRejected",
        means: "What the agent mounts does not let it pull. Pods that use the same Secret do not start.",
        first: "Find out whether a password was renewed or a token was disabled, and whether pods use the same one.",
        confirm: &[
            EVENTS,
            "curl -so /dev/null -w '%{http_code}\\n' --user USERNAME 'https://REGISTRY.azurecr.io/oauth2/token?service=REGISTRY.azurecr.io&scope=repository:REPOSITORY:pull'",
        ],
        mend: "By the cause: [`credentials_missing`](#credentials_missing), [`credentials_invalid`](#credentials_invalid), \
               [`credentials_rejected`](#credentials_rejected), [`token_refused`](#token_refused), \
               [`scope_missing`](#scope_missing).",
        commands: &[
            "az acr token show --registry REGISTRY --name TOKEN --query '[status, credentials.passwords[].expiry]'",
        ],
        mended: "The agents read the Secret again within a minute or two of its change; no restart is needed.",
    },
    Guide {
        alert: "AcrVerifierCredentialsExpiring",
        means: "The credentials still work, and will not after the time that the configuration or the Secret tells.",
        first: "Renew the other password of the token, so that the one in use goes on until all have the new one.",
        confirm: &[
            "kubectl get secret --namespace acr-verifier SECRET --output jsonpath='{.data.expiresAt}' | base64 -d",
        ],
        mend: "As for [`credentials_expiring`](#credentials_expiring).",
        commands: &[],
        mended: "`acr_verifier_credentials_expiry_timestamp_seconds` has the new time.",
    },
    Guide {
        alert: "AcrVerifierCertificateExpiring",
        means: "Azure renews its own certificates long before. One that ends soon is mostly of a device that inspects TLS.",
        first: "Read who issued it.",
        confirm: &[CERTIFICATE],
        mend: "As for [`certificate_expiring`](#certificate_expiring).",
        commands: &[],
        mended: "`notAfter` is more than 14 days away on every node.",
    },
    Guide {
        alert: "AcrVerifierResolversDisagree",
        means: "Whether a pull works, and which way it takes, depends on who is asked.",
        first: "Ask each nameserver of /etc/resolv.conf, and each that the configuration compares.",
        confirm: &["cat /etc/resolv.conf", "dig +short @NAMESERVER REGISTRY.azurecr.io A"],
        mend: "As for [`resolvers_disagree`](#resolvers_disagree).",
        commands: &[],
        mended: "All give the same addresses.",
    },
    Guide {
        alert: "AcrVerifierChecksStale",
        means: "The agent answers scrapes, and its last check is older than half an hour: what it tells is old. Where \
                `fleetSize` stretches the interval beyond 20 minutes, raise the 1,800 seconds of the rule.",
        first: "Read the agent's log and its status page.",
        confirm: &[PODS, LOG],
        mend: "Start the agent again, and keep its log: a check that does not end is a fault of the program.",
        commands: &["kubectl delete pod --namespace acr-verifier POD"],
        mended: "`acr_verifier_last_check_timestamp_seconds` moves on.",
    },
    Guide {
        alert: "AcrVerifierAgentAbsent",
        means: "Nothing is known of this node, while agents of other nodes tell.",
        first: "Look whether the node has a pod of the agent, and whether it is ready.",
        confirm: &[PODS, "kubectl describe daemonset --namespace acr-verifier acr-verifier", NODE],
        mend: "A taint that the DaemonSet does not tolerate: add it to the value `tolerations`. A pod that is there and \
               not scraped: look at the PodMonitor's targets. A node that is going: wait.",
        commands: &["kubectl get node NODE --output jsonpath='{.spec.taints}'"],
        mended: "The node has a ready pod and a series of `acr_verifier_last_check_timestamp_seconds`.",
    },
    Guide {
        alert: "AcrVerifierAllAgentsAbsent",
        means: "Nothing is known of any node: the DaemonSet has no pods, or nothing scrapes them. It lasts as long as the \
                DaemonSet is there, and for a day after the last scrape where it is not.",
        first: "Look whether the pods run. Where they do, the scrape is what fails.",
        confirm: &[
            PODS,
            "kubectl get --raw /api/v1/namespaces/acr-verifier/pods/POD:9469/proxy/metrics | head",
            "kubectl get podmonitors --all-namespaces",
        ],
        mend: "Pods that run and are not scraped: the PodMonitor has to be of the kind that the collector reads, \
               `azmonitoring.coreos.com/v1` for Azure Monitor. Pods that are not there: see \
               [AcrVerifierAgentCannotStart](#acrverifieragentcannotstart).",
        commands: &[
            "az aks show --resource-group RESOURCE_GROUP --name CLUSTER --query azureMonitorProfile.metrics.enabled",
        ],
        mended: "`count(acr_verifier_last_check_timestamp_seconds)` has a result.",
    },
    Guide {
        alert: "AcrVerifierAgentCannotStart",
        means: "Kubernetes cannot start the agent: its image cannot be pulled, or it ends at once.",
        first: "Read what the pod waits for.",
        confirm: &[
            "kubectl describe pod --namespace acr-verifier POD",
            "kubectl logs --namespace acr-verifier POD --previous",
        ],
        mend: "`ErrImagePull`: the agent's own image has to come from a registry other than those that it verifies, which \
               the nodes reach. `CreateContainerConfigError`: a Secret of the values is missing. `CrashLoopBackOff`: the \
               log's last line names the key of the configuration that is wrong.",
        commands: &["kubectl rollout undo daemonset/acr-verifier --namespace acr-verifier"],
        mended: "`kubectl rollout status daemonset/acr-verifier --namespace acr-verifier` ends with 0.",
    },
    Guide {
        alert: "AcrVerifierConfigurationReloadFailed",
        means: "A configuration was given that is wrong; the agents go on with the one before, until they start again.",
        first: "Read the log: it names key, value and what is allowed.",
        confirm: &[
            "kubectl logs --namespace acr-verifier --selector app.kubernetes.io/name=acr-verifier --tail 20",
        ],
        mend: "Correct the values and upgrade, or go back to the release before.",
        commands: &["helm rollback acr-verifier --namespace acr-verifier"],
        mended: "`acr_verifier_config_last_reload_successful` is 1 on every node.",
    },
    Guide {
        alert: "AcrVerifierEventsNotPublished",
        means: "Checks and metrics go on; `kubectl describe node` is silent about them.",
        first: "Ask Kubernetes whether the agent may create Events.",
        confirm: &[
            "kubectl auth can-i create events.events.k8s.io --namespace default --as system:serviceaccount:acr-verifier:acr-verifier",
            LOG,
        ],
        mend: "Install the chart's Role and RoleBinding in namespace `default`, or turn `events.enabled` off. Where the API \
               server refuses for load, it ends by itself.",
        commands: &["kubectl get role,rolebinding --namespace default"],
        mended: "`increase(acr_verifier_events_total{result=\"published\"}[1h])` grows, and `failed` does not.",
    },
    Guide {
        alert: "AcrVerifierChecksInconclusive",
        means: "The registry throttles, so that nobody can say whether nodes can pull; pulls may be throttled as well.",
        first: "Look whether a large deployment is pulling.",
        confirm: &["curl -si --max-time 10 https://REGISTRY.azurecr.io/v2/ | head -20"],
        mend: "As for [`throttled`](#throttled); where the agents themselves are too many, set `schedule.fleetSize`.",
        commands: &["az acr show-usage --name REGISTRY --output table"],
        mended: "Checks end with `pass` again: `rate(acr_verifier_checks_total{verdict=\"unknown\"}[15m])` is 0.",
    },
    Guide {
        alert: "AcrVerifierErrorBudgetBurn1h",
        means: "In the last hour more than 14.4 % of the checks failed, and it goes on. There was no outage of many nodes in \
                the last 15 minutes, which has an alert of its own.",
        first: "Find out whether a few nodes fail always or many at times.",
        confirm: &[EVENTS, CHECK_NOW],
        mend: BURN,
        commands: DRAIN,
        mended: "Fewer than 14.4 % of the checks of five minutes fail.",
    },
    Guide {
        alert: "AcrVerifierErrorBudgetBurn6h",
        means: "In the last six hours more than 6 % of the checks failed, and it goes on. There was no outage of many nodes \
                in the last hour.",
        first: "Find out whether a few nodes fail always or many at times.",
        confirm: &[EVENTS, CHECK_NOW],
        mend: BURN,
        commands: DRAIN,
        mended: "Fewer than 6 % of the checks of half an hour fail.",
    },
    Guide {
        alert: "AcrVerifierErrorBudgetBurn1d",
        means: "In the last day more than 3 % of the checks failed, and it goes on.",
        first: "Find the nodes that fail again and again.",
        confirm: &[EVENTS, CHECK_NOW],
        mend: BURN,
        commands: DRAIN,
        mended: "Fewer than 3 % of the checks of two hours fail.",
    },
    Guide {
        alert: "AcrVerifierErrorBudgetBurn3d",
        means: "In the last three days more than 1 % of the checks failed, and it goes on: more than the objective of 99 % \
                allows.",
        first: "Find the nodes that fail again and again.",
        confirm: &[EVENTS, CHECK_NOW],
        mend: BURN,
        commands: DRAIN,
        mended: "Fewer than 1 % of the checks of six hours fail.",
    },
];
