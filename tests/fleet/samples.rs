//! Sample fleets. Their reports come from the same code that the agents run.

use std::time::Duration;

use acr_verifier::fleet::report::{NodeReport, PathEvidence};
use acr_verifier::fleet::sample::SampleSummary;
use acr_verifier::fleet::{Exclusion, Fleet, Node, Staleness, State, Topology};
use acr_verifier::run::ImageResult;
use acr_verifier::wire::report::Report;

use crate::report::samples as checks;

/// Digest of another configuration.
const OTHER: &str = "sha256:6e22dff0ef8a7da837586256d94bdb8dfdbbb624f8f9bf5a01415dea3e8785ac";

pub(crate) fn fleet(nodes: Vec<Node>) -> Fleet {
    Fleet {
        namespace: "acr-verifier".to_owned(),
        daemon_set: "acr-verifier".to_owned(),
        started_at: "2026-11-23T02:05:55Z".parse().expect("a moment"),
        duration: Duration::from_millis(6_250),
        expected_configuration: None,
        sample: None,
        nodes,
    }
}

/// A good node of a pool in a subnet.
pub(crate) fn node(index: usize, pool: &str, subnet: &str) -> Node {
    let name = format!("aks-{pool}-12345678-vmss{index:06}");
    Node {
        state: reported(&name, vec![checks::healthy()]),
        pod: Some(format!("acr-verifier-{index:05}")),
        topology: Topology {
            agent_pool: Some(pool.to_owned()),
            zone: Some(format!("westeurope-{}", index % 3 + 1)),
            subnet: Some(subnet.to_owned()),
            is_subnet_derived: false,
            node_image: Some("AKSUbuntu-2204gen2containerd-202611.03.0".to_owned()),
        },
        cordoned: false,
        joined_late: false,
        name,
    }
}

pub(crate) fn reported(node: &str, images: Vec<ImageResult>) -> State {
    let mut run = checks::run(images);
    node.clone_into(&mut run.node);
    let body = serde_json::to_vec(&Report::from(&run)).expect("JSON");
    State::Reported(Box::new(NodeReport::read(node, &body).expect("a report")))
}

pub(crate) fn healthy(count: usize) -> Fleet {
    fleet((0..count).map(|index| node(index, "np1", "snet-a")).collect())
}

/// The state of a node outside the sample: its path is open, and this was its last check.
pub(crate) fn path_open(node: &str, images: Vec<ImageResult>) -> State {
    let State::Reported(mut report) = reported(node, images) else { panic!("it reported") };
    let checked_at = "2026-11-23T02:06:30Z".parse().expect("a moment");
    for image in &mut report.images {
        image.path = Some(PathEvidence { checked_at, causes: Vec::new() });
    }
    State::PathOpen(report)
}

/// A sample of 3 of 6 nodes, of which all are good; the last check of one warned.
pub(crate) fn sampled() -> Fleet {
    let mut fleet = healthy(6);
    fleet.sample = Some(SampleSummary { nodes: 3, placements: 3, missing: 0, of_each: 1 });
    for node in fleet.nodes.iter_mut().skip(3) {
        node.state = path_open(&node.name, vec![checks::healthy()]);
    }
    fleet.nodes[5].state = path_open(&fleet.nodes[5].name, vec![checks::certificate_expiring()]);
    fleet
}

/// The same, with a broken path, one that was not checked, and a check that failed.
pub(crate) fn sampled_broken() -> Fleet {
    let mut fleet = sampled();
    fleet.sample = Some(SampleSummary { nodes: 2, placements: 3, missing: 1, of_each: 1 });
    let causes = "connect_timeout".to_owned();
    fleet.nodes[2].state = State::Stale(Staleness::PathBroken { causes });
    fleet.nodes[3].state = State::Stale(Staleness::PathUnchecked);
    fleet.nodes[5].state = reported(&fleet.nodes[5].name, vec![checks::zone_not_linked()]);
    fleet
}

/// 37 of 40 nodes do not see the private zone: those of the second subnet.
pub(crate) fn one_subnet() -> Fleet {
    let nodes = (0..40).map(|index| {
        let mut node = node(index, "np1", if index < 3 { "snet-a" } else { "snet-b" });
        if index >= 3 {
            node.state = reported(&node.name, vec![checks::zone_not_linked()]);
        }
        node
    });
    fleet(nodes.collect())
}

/// Every state and exclusion, a cordoned node, and one that joined during the check.
pub(crate) fn mixed() -> Fleet {
    let states = [
        State::Missing,
        State::NodeNotReady { reason: "NodeStatusUnknown".to_owned() },
        State::Unready { reason: "ImagePullBackOff".to_owned() },
        State::Unreachable { reason: "cannot connect to 10.60.1.7:9469 (connection refused)".to_owned() },
        State::Stale(Staleness::Running(Duration::from_secs(31))),
        State::ConfigurationRejected {
            reason: "line 4: invalid value \"6O s\" for schedule.interval: expected a duration".to_owned(),
        },
        State::Stale(Staleness::OtherConfiguration { digest: Some(OTHER.to_owned()) }),
        State::Excluded(Exclusion::Virtual),
        State::Excluded(Exclusion::Unselected { requirement: "kubernetes.io/os=linux".to_owned() }),
        State::Excluded(Exclusion::Tainted { taint: "gpu=yes:NoSchedule".to_owned() }),
        State::Left,
    ];
    let mut nodes: Vec<Node> = (0..18).map(|index| node(index, "np1", "snet-a")).collect();
    for (node, state) in nodes.iter_mut().skip(5).zip(states) {
        node.state = state;
    }
    for (index, checked) in [
        (0, checks::zone_not_linked()),
        (1, checks::zone_not_linked()),
        (2, checks::throttled()),
        (3, checks::certificate_expiring()),
    ] {
        nodes[index].state = reported(&nodes[index].name, vec![checked]);
    }
    nodes[1].cordoned = true;
    nodes[16].topology = Topology::default();
    nodes[17].joined_late = true;
    nodes[17].state = State::Missing;
    fleet(nodes)
}

/// 1,000 nodes in three pools: a large failure, a small one that must stay visible, and many good nodes.
pub(crate) fn thousand() -> Fleet {
    let nodes = (0..1_000).map(|index| {
        let pool = ["system", "np1", "np2"][index % 3];
        let mut node = node(index, pool, if pool == "np2" { "snet-b" } else { "snet-a" });
        if pool == "np2" {
            node.state = reported(&node.name, vec![checks::zone_not_linked()]);
        }
        if index == 900 {
            node.state = reported(&node.name, vec![checks::credentials_rejected()]);
        }
        node
    });
    fleet(nodes.collect())
}

/// An overlong text with control and markup characters for terminals, Markdown, HTML and XML.
pub(crate) fn poison() -> String {
    format!(
        "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}|<script>alert(1)</script>`x`\r\nok  forged @everyone \
         www.evil.example http://evil.example ]]> {}",
        "y".repeat(5_000)
    )
}

/// All text from the cluster and the agents is hostile.
pub(crate) fn hostile() -> Fleet {
    let mut fleet = healthy(4);
    for (index, node) in fleet.nodes.iter_mut().enumerate() {
        node.name = format!("{index}{}", poison());
        let topology = &mut node.topology;
        for value in
            [&mut topology.agent_pool, &mut topology.zone, &mut topology.subnet, &mut topology.node_image]
        {
            *value = Some(poison());
        }
    }
    fleet.nodes[0].state = reported("n", vec![checks::zone_not_linked()]);
    let State::Reported(report) = &mut fleet.nodes[0].state else { panic!("it reported") };
    report.images[0].image = poison().into();
    let first = &mut report.images[0].diagnoses[0];
    for text in [&mut first.cause, &mut first.message] {
        *text = poison().into();
    }
    fleet.nodes[1].state = State::Unready { reason: poison() };
    fleet.nodes[2].state = State::Excluded(Exclusion::Tainted { taint: poison() });
    fleet
}

/// A thousand unknown causes with very long messages.
pub(crate) fn flood() -> Fleet {
    let mut fleet = thousand();
    for (index, node) in fleet.nodes.iter_mut().enumerate() {
        node.state = reported(&node.name, vec![checks::zone_not_linked()]);
        let State::Reported(report) = &mut node.state else { panic!("it reported") };
        let first = &mut report.images[0].diagnoses[0];
        first.cause = format!("cause_{index}").into();
        first.message = "|".repeat(2_000).into();
    }
    fleet
}
