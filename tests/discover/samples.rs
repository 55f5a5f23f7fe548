//! Sample discoveries. The agents' reports come from the same code that the agents run.

use std::time::Duration;

use acr_verifier::fleet::report::NodeReport;
use acr_verifier::inventory::coverage::{CheckedRegistries, Coverage};
use acr_verifier::inventory::discovery::{Discovery, Scope};
use acr_verifier::inventory::registries::Suffixes;
use acr_verifier::inventory::waiting::{AgentView, Explanation, Silence, WaitingImage};
use acr_verifier::inventory::{Container, Inventory, Pod, Waiting, Workload};
use acr_verifier::run::ImageResult;
use acr_verifier::wire::Moment;
use acr_verifier::wire::report::Report;
use jiff::Timestamp;

use crate::report::samples as checks;

pub(super) const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
/// Containerd's message about a tag that does not exist.
pub(super) const NOT_FOUND: &str = "failed to pull and unpack image \"contoso.azurecr.io/shop/api:3\": failed to resolve \
    reference \"contoso.azurecr.io/shop/api:3\": contoso.azurecr.io/shop/api:3: not found";
/// Containerd's message about a public address behind a firewall.
pub(super) const TIMEOUT: &str = "failed to pull and unpack image \"contoso.azurecr.io/data/etl:1\": failed to do request: Head \
    \"https://contoso.azurecr.io/v2/data/etl/manifests/1\": dial tcp 20.45.122.144:443: i/o timeout";

pub(super) fn pod(namespace: &str, name: &str, node: &str, images: &[&str]) -> Pod {
    let containers = images.iter().enumerate();
    Pod {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        node: Some(node.to_owned()),
        containers: containers
            .map(|(index, image)| Container { name: format!("c{index}"), image: (*image).to_owned() })
            .collect(),
        ..Pod::default()
    }
}

pub(super) fn with_secret(mut pod: Pod, name: &str) -> Pod {
    pod.pull_secrets.push(name.to_owned());
    pod
}

pub(super) fn waiting(mut pod: Pod, reason: &str, message: &str) -> Pod {
    pod.waiting.push(Waiting {
        container: "c0".to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
    });
    pod
}

pub(super) fn inventory(pods: &[Pod]) -> Inventory {
    let mut inventory = Inventory::new(Suffixes::default());
    for pod in pods {
        inventory.add(pod);
    }
    inventory
}

/// The report of an agent whose images have had their verdicts for twelve minutes.
pub(super) fn report(node: &str, images: Vec<ImageResult>) -> NodeReport {
    let mut run = checks::run(images);
    node.clone_into(&mut run.node);
    let mut report = Report::from(&run);
    for image in &mut report.images {
        image.since = Some(Moment("2026-11-23T01:54:00Z".parse().expect("a moment")));
    }
    NodeReport::read(node, &serde_json::to_vec(&report).expect("JSON")).expect("a report")
}

pub(super) fn now() -> Timestamp {
    "2026-11-23T02:06:30Z".parse().expect("a moment")
}

/// A discovery of these Pods, with the view that `view` returns for each waiting image.
pub(super) fn discovery(mut inventory: Inventory, view: fn(&WaitingImage) -> AgentView) -> Discovery {
    let images = std::mem::take(&mut inventory.waiting).into_iter();
    let explanations = images.map(|image| {
        let view = view(&image);
        Explanation::of(image, view, now())
    });
    Discovery {
        started_at: now() - Duration::from_millis(500),
        duration: Duration::from_millis(500),
        scope: Scope { namespace: None, pod: None, owners: false },
        explanations: explanations.collect(),
        inventory,
        agents_namespace: "acr-verifier".to_owned(),
        coverage: Coverage::Reported(CheckedRegistries::of(
            &report("aks-np1-0", vec![checks::healthy()]),
            "acr-verifier-x7k2p",
            "aks-np1-0",
        )),
        nodes: Some(6),
        client_id: None,
    }
}

/// The view of each node: 0 passes, 1 does not see the private zone, 2 has no agent, 3 an agent that is not ready, and 4 one
/// that does not respond.
pub(super) fn view(image: &WaitingImage) -> AgentView {
    let pod = "acr-verifier-x7k2p".to_owned();
    match image.node.as_deref() {
        Some("aks-np1-0") => AgentView::of(&report("aks-np1-0", vec![checks::healthy()]), &pod, image),
        Some("aks-np1-1") => {
            AgentView::of(&report("aks-np1-1", vec![checks::zone_not_linked()]), &pod, image)
        }
        Some("aks-np1-3") => {
            AgentView::Silent(Silence::NotReady { pod, reason: "ImagePullBackOff".to_owned() })
        }
        Some("aks-np1-4") => {
            AgentView::Silent(Silence::NoReport { pod, reason: "no response within 10 s".to_owned() })
        }
        _ => AgentView::Silent(Silence::NoAgent),
    }
}

/// Pods that run and wait in every way.
pub(super) fn mixed() -> Discovery {
    let api = "contoso.azurecr.io/shop/api:2";
    let mut pods: Vec<Pod> = (0..3)
        .map(|index| {
            with_secret(pod("shop", &format!("api-{index}"), &format!("aks-np1-{index}"), &[api]), "acr-pull")
        })
        .collect();
    pods.extend([
        with_secret(
            waiting(
                pod("shop", "api-new", "aks-np1-0", &["contoso.azurecr.io/shop/api:3"]),
                "ErrImagePull",
                NOT_FOUND,
            ),
            "acr-pull",
        ),
        waiting(
            pod("data", "etl-0", "aks-np1-1", &["contoso.azurecr.io/data/etl:1"]),
            "ImagePullBackOff",
            TIMEOUT,
        ),
        waiting(
            pod("data", "etl-1", "aks-np1-1", &["contoso.azurecr.io/data/etl:1"]),
            "ImagePullBackOff",
            TIMEOUT,
        ),
        waiting(
            pod("data", "old", "aks-np1-0", &["contoso.azurecr.io/data/old:1"]),
            "ImagePullBackOff",
            "Back-off pulling image \"contoso.azurecr.io/data/old:1\"",
        ),
        waiting(
            pod("team", "web-0", "aks-np1-0", &["fabrikam.azurecr.us/web:1"]),
            "ErrImagePull",
            "unexpected EOF",
        ),
        waiting(
            pod("team", "web-2", "aks-np1-2", &["contoso.azurecr.io/web:1"]),
            "ErrImagePull",
            "unexpected EOF",
        ),
        waiting(
            pod("team", "web-3", "aks-np1-3", &["contoso.azurecr.io/web:1"]),
            "ErrImagePull",
            "unexpected EOF",
        ),
        waiting(
            pod("team", "web-4", "aks-np1-4", &["contoso.azurecr.io/web:1"]),
            "ErrImagePull",
            "unexpected EOF",
        ),
        // Neither is about pulling.
        waiting(
            pod("team", "crash", "aks-np1-5", &["contoso.azurecr.io/web:1"]),
            "CrashLoopBackOff",
            "back-off 5m0s",
        ),
        waiting(
            pod("team", "never", "aks-np1-5", &["contoso.azurecr.io/web:1"]),
            "ErrImageNeverPull",
            "absent",
        ),
        // By digest, by both, and invalid.
        pod(
            "team",
            "pinned",
            "aks-np1-5",
            &[
                &format!("contoso.azurecr.io/web@{DIGEST}"),
                &format!("contoso.azurecr.io/web:1@{DIGEST}"),
                "contoso.azurecr.io/Web:1",
                "mcr.microsoft.com/pause:3",
            ],
        ),
        pod("kube-system", "coredns", "aks-np1-5", &["mcr.microsoft.com/coredns:1"]),
        Pod { is_finished: true, ..pod("data", "done", "aks-np1-5", &["contoso.azurecr.io/data/done:1"]) },
    ]);
    let mut inventory = inventory(&pods);
    inventory.add_workload(&Workload {
        kind: "CronJob",
        namespace: "data".to_owned(),
        name: "nightly".to_owned(),
        containers: vec![Container {
            name: "c0".to_owned(),
            image: "contoso.azurecr.io/data/nightly:1".to_owned(),
        }],
        pull_secrets: vec!["acr-data".to_owned()],
    });
    discovery(inventory, view)
}
