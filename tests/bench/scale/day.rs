//! The day: what happens to the registries and the fleet, and when.
//!
//! Defines the sequence of events and the affected nodes. Times are seconds since midnight.

use std::time::Duration;

use crate::outcomes::{Condition, REGISTRIES};

/// Nodes at midnight, and nodes added by the autoscaler.
pub(crate) const NODES: usize = 5000;
pub(crate) const JOINING: usize = 1000;

/// Faults of single nodes: one every ten minutes for forty minutes, so at most four at a time.
pub(crate) const SINGLES: usize = 24;
const SINGLE_EVERY: f64 = 600.0;
const SINGLE_LASTS: f64 = 2400.0;

const HOUR: f64 = 3600.0;
pub(crate) const DAY: f64 = 24.0 * HOUR;
pub(crate) const OUTAGE: (f64, f64) = (2.0 * HOUR, 4.0 * HOUR);
pub(crate) const ZONE: (f64, f64) = (6.0 * HOUR, 7.0 * HOUR);
pub(crate) const HANGING: (f64, f64) = (7.5 * HOUR, 8.5 * HOUR);
pub(crate) const ROTATION: f64 = 9.0 * HOUR;
/// Delay until ACR accepts a new password; the old one expires at once.
const NEW_PASSWORD_AFTER: f64 = 51.0;
/// Delay until the kubelet updates a changed Secret, drawn for each node.
pub(crate) const PROPAGATION: (f64, f64) = (60.0, 90.0);
pub(crate) const JOIN: (f64, f64) = (11.0 * HOUR, 11.0 * HOUR + 600.0);
pub(crate) const THROTTLING: (f64, f64) = (13.0 * HOUR, 13.5 * HOUR);
pub(crate) const ROLLOUT: f64 = 15.0 * HOUR;
pub(crate) const SMOKE: f64 = 17.5 * HOUR;
const SINGLE_FROM: f64 = 18.5 * HOUR;
/// Time that a node's resolver caches an answer: the TTL of private records is 10 s.
pub(crate) const DNS_LIFE: f64 = 10.0;

/// A part of the day.
pub(crate) struct Phase {
    pub(crate) name: &'static str,
    /// Start of the phase, which lasts until the next one.
    pub(crate) from: f64,
}

pub(crate) const PHASES: [Phase; 10] = [
    Phase { name: "start of 5,000 nodes at once", from: 0.0 },
    Phase { name: "registry 1 answers 503 for 2 h", from: OUTAGE.0 },
    Phase { name: "private zone not linked for 1 h", from: ZONE.0 },
    Phase { name: "registry 2 drops every packet for 1 h", from: HANGING.0 },
    Phase { name: "password of registry 1 rotated", from: ROTATION },
    Phase { name: "1,000 nodes join in 10 min", from: JOIN.0 },
    Phase { name: "registry 3 throttles for 30 min", from: THROTTLING.0 },
    Phase { name: "rolling update, 10 % at once", from: ROLLOUT },
    Phase { name: "smoke check of 6,000 nodes", from: SMOKE },
    Phase { name: "24 single nodes are cut off", from: SINGLE_FROM },
];

/// A fault during the day.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    pub(crate) condition: Condition,
    pub(crate) from: f64,
    pub(crate) until: f64,
    /// Affected registries.
    pub(crate) registries: &'static [usize],
    /// The affected node, or `None` for all.
    pub(crate) node: Option<usize>,
}

/// Returns the faults of the day: those that affect every node, then those of single nodes.
pub(crate) fn faults(nodes: usize) -> Vec<Fault> {
    let fault = |name, condition, (from, until), registries| Fault {
        name,
        condition,
        from,
        until,
        registries,
        node: None,
    };
    let mut faults = vec![
        fault("registry answers 503", Condition::Away, OUTAGE, &[0]),
        fault("zone not linked", Condition::NotLinked, ZONE, &[0, 1, 2]),
        fault("every packet is dropped", Condition::Hanging, HANGING, &[1]),
        fault("throttling", Condition::Throttled, THROTTLING, &[2]),
    ];
    faults.extend((0..SINGLES).map(|number| {
        let from = SINGLE_FROM + SINGLE_EVERY * number as f64;
        Fault {
            name: "one node is cut off",
            condition: Condition::Cut,
            from,
            until: from + SINGLE_LASTS,
            registries: &[0, 1, 2],
            node: Some((number * 211 + 97) % nodes),
        }
    }));
    faults
}

/// Properties of a node that affect a check.
pub(crate) struct Visitor {
    pub(crate) node: usize,
    /// Time that its resolver returns the old answer after a DNS change, as a share of the TTL.
    pub(crate) dns_share: f64,
    /// Time at which its kubelet updated the password.
    pub(crate) renewed_at: f64,
}

/// Returns the condition of each registry for a node, and the `Retry-After` of a throttling one.
pub(crate) fn conditions<'fault>(
    faults: impl Iterator<Item = &'fault Fault>,
    visitor: &Visitor,
    now: f64,
) -> ([Condition; REGISTRIES], Option<Duration>) {
    let mut conditions = [Condition::Healthy; REGISTRIES];
    if now >= ROTATION && (now < visitor.renewed_at || now < ROTATION + NEW_PASSWORD_AFTER) {
        conditions[0] = Condition::Rejected;
    }
    let mut retry_after = None;
    for fault in faults {
        let late = if fault.condition == Condition::NotLinked { DNS_LIFE * visitor.dns_share } else { 0.0 };
        let meets = fault.node.is_none_or(|node| node == visitor.node);
        if !meets || now < fault.from + late || now >= fault.until + late {
            continue;
        }
        for &registry in fault.registries {
            conditions[registry] = fault.condition;
        }
        if fault.condition == Condition::Throttled {
            // Counts down to the same moment for every node: the worst case for a fleet.
            retry_after = Some(Duration::from_secs((fault.until - now).ceil() as u64));
        }
    }
    (conditions, retry_after)
}
