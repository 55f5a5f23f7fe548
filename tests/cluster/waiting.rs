//! What `acr-verifier discover` reports about Pods that wait for their images: the kubelet's message next to the agent's verdict.
//!
//! Owns the five faults. Three are played by steps of other modules, which call these functions while a Pod waits.

use std::time::Duration;

use serde_json::{Value, json};

use super::story::agents;
use super::whole::{Cluster, INCOMPLETE, wait};
use super::{discover, identity};

const NAMESPACE: &str = "acr-verifier";
/// Time within which a kubelet tries to pull and an agent checks.
const SOON: Duration = Duration::from_secs(60);

/// A Pod that waits, and its explanation.
struct Waiting {
    namespace: &'static str,
    pod: &'static str,
    /// Index of its node.
    node: usize,
    /// The cause that the kubelet's message shows.
    kubelet: Option<&'static str>,
    /// The agent's cause; `None` if its check passes.
    agent: Option<&'static str>,
    /// The stage of the agent's cause.
    stage: Option<&'static str>,
    conclusion: &'static str,
    /// The cause that the first fix resolves, and a command of it.
    fix: (&'static str, &'static str),
    /// Sentences of the text.
    sentences: &'static [&'static str],
}

/// Called while the private zone is not linked on the last node.
pub(super) fn explains_unlinked_zone(cluster: &Cluster) {
    explained(
        cluster,
        &Waiting {
            namespace: NAMESPACE,
            pod: "refused",
            node: 2,
            // The registry's public side rejects a HEAD, whose answer has no text.
            kubelet: None,
            agent: Some("private_zone_not_linked"),
            stage: Some("login.address"),
            conclusion: "explained",
            fix: ("private_zone_not_linked", "az network private-dns link vnet create"),
            sentences: &[
                "403 Forbidden",
                "result: The agent on this node cannot pull from contoso.azurecr.io either (private_zone_not_linked), so the \
                 problem is not in the Pod.",
            ],
        },
    );
}

/// Called after the password of the token was changed, while the Secret has the old one.
pub(super) fn explains_rejected_token(cluster: &Cluster) {
    cluster.start_pod(NAMESPACE, "outdated", 0, "apps/tool:1", Some("acr-pull"));
    explained(
        cluster,
        &Waiting {
            namespace: NAMESPACE,
            pod: "outdated",
            node: 0,
            kubelet: Some("credentials_rejected"),
            agent: Some("credentials_rejected"),
            stage: Some("login.token"),
            conclusion: "explained",
            fix: ("credentials_rejected", "az acr token"),
            sentences: &[
                "401 Unauthorized",
                "result: The kubelet and the agent on this node report the same problem (credentials_rejected), the agent for \
                 contoso.azurecr.io/apps/canary:1.",
            ],
        },
    );
    cluster.kubectl(&["delete", "pod", "outdated", "--namespace", NAMESPACE]);
}

/// Called after the kubelet's identity lost its role.
pub(super) fn explains_missing_role(cluster: &Cluster) {
    discover::grant(cluster, "identity");
    explained(
        cluster,
        &Waiting {
            namespace: "identity",
            pod: "refused",
            node: identity::NODE,
            // Without credentials of the provider, the kubelet pulls anonymously.
            kubelet: Some("credentials_missing"),
            agent: Some("pull_role_missing"),
            stage: Some("login.token"),
            conclusion: "explained",
            fix: ("pull_role_missing", "az role assignment create"),
            sentences: &[
                "no pull secret",
                "result: The Pod names no pull secret, so the kubelet pulls with the node's identity as the agent does, and the \
                 agent cannot pull contoso.azurecr.io/apps/canary:1 either (pull_role_missing).",
            ],
        },
    );
}

/// The data endpoint's record is missing for one node, and the tag of another node's Pod does not exist.
pub(super) fn explains_record_and_tag(cluster: &Cluster) {
    cluster.break_names(0, INCOMPLETE);
    cluster.start_pod(NAMESPACE, "unresolved", 0, "apps/job:1", Some("acr-pull"));
    cluster.start_pod(NAMESPACE, "absent", 1, "apps/tool:absent", Some("acr-pull"));
    explained(
        cluster,
        &Waiting {
            namespace: NAMESPACE,
            pod: "absent",
            node: 1,
            kubelet: Some("manifest_not_found"),
            agent: None,
            stage: None,
            conclusion: "disagree",
            fix: ("manifest_not_found", "az acr repository show-tags --name contoso --repository apps/tool"),
            sentences: &[
                "result: The kubelet and the agent disagree: the agent on this node pulled contoso.azurecr.io/apps/canary:1 with \
                 its own pull secret",
                "ago, over the private path. The kubelet's message shows manifest_not_found for this Pod's image: the registry \
                 has no such repository, tag or digest.",
            ],
        },
    );
    explained(
        cluster,
        &Waiting {
            namespace: NAMESPACE,
            pod: "unresolved",
            node: 0,
            kubelet: Some("name_not_found"),
            agent: Some("private_record_missing"),
            stage: Some("data.dns"),
            conclusion: "explained",
            fix: ("private_record_missing", "az network private-endpoint"),
            sentences: &[
                "lookup contoso.westeurope.data.azurecr.io",
                "result: The agent on this node cannot pull from contoso.azurecr.io either (private_record_missing), so the \
                 problem is not in the Pod.",
            ],
        },
    );
    cluster.restore_names(0);
    cluster.kubectl(&["delete", "pod", "unresolved", "absent", "--namespace", NAMESPACE]);
}

/// Waits until the kubelet has tried and the agent has checked, then compares both reports, of all Pods and of this one.
fn explained(cluster: &Cluster, expected: &Waiting) {
    let node = &cluster.workers[expected.node].name;
    let (mut entry, is_pod) =
        (Value::Null, |one: &&Value| one["namespace"] == expected.namespace && one["pod"] == expected.pod);
    wait(&format!("the explanation of {}", expected.pod), SOON, || {
        let report = discover::report(cluster, &["--agents-namespace", expected.namespace]);
        let waiting = report["waiting"].as_array().expect("a list");
        entry = waiting.iter().find(is_pod).cloned().unwrap_or_default();
        entry["conclusion"] == expected.conclusion
    });
    let word = |value: Option<&str>| value.map_or(Value::Null, Value::from);
    assert_eq!(entry["node"], *node, "{entry:#}");
    assert_eq!(entry["kubelet"]["cause"], word(expected.kubelet), "{entry:#}");
    assert_eq!(entry["fixes"][0]["cause"], expected.fix.0, "{entry:#}");
    let agent = &entry["agent"];
    assert_eq!(agent["cause"], word(expected.agent), "{entry:#}");
    let verdict = if expected.agent.is_some() { "fail" } else { "pass" };
    assert_eq!((&agent["state"], &agent["verdict"]), (&json!("reported"), &json!(verdict)), "{entry:#}");
    let stage = expected.stage.and_then(|stage| stage.split_once('.')).unzip();
    assert_eq!((&agent["endpoint"], &agent["stage"]), (&word(stage.0), &word(stage.1)), "{entry:#}");
    let time = |key: &str| agent[key].as_str().expect("a time").to_owned();
    assert!(time("since") <= time("checkedAt"), "{entry:#}");
    if expected.namespace == NAMESPACE {
        let own = agents(cluster).into_iter().find(|(of, ..)| of == node).expect("its agent").1;
        assert_eq!(agent["pod"], own, "{entry:#}");
    }

    let pod = format!("{}/{}", expected.namespace, expected.pod);
    let (code, text, errors) =
        discover::run(cluster, &["--agents-namespace", expected.namespace, "--pod", &pod]);
    assert_eq!(code, Some(1), "{text}{errors}");
    let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let head = format!("1 Pod waits for an image {pod} on node {node} image: contoso.azurecr.io/apps/");
    assert!(joined.starts_with(&head), "{text}");
    let agent = format!("agent: {verdict} since ");
    let reasons = ["kubelet: ErrImagePull: ", "kubelet: ImagePullBackOff: "];
    assert!(reasons.iter().any(|reason| joined.contains(reason)), "{text}");
    for sentence in [&[agent.as_str(), "fix: ", expected.fix.1], expected.sentences].concat() {
        assert!(joined.contains(sentence), "{sentence}: {text}");
    }
    let secrets = [cluster.inside.password(), "sig=".to_owned()];
    assert!(secrets.iter().all(|secret| !text.contains(secret.as_str())), "{text}");
}
