//! Which registries the agents check, from the report of one of them: all agents share one configuration.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Inventory;
use crate::fleet::report::NodeReport;
use crate::image::ImageReference;
use crate::verdict::Verdict;

/// What is known about the registries that the agents check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Coverage {
    /// An agent returned its report.
    Reported(CheckedRegistries),
    /// There is no agent.
    NoAgents,
    /// There are agents, but none returned a report; the reason is a phrase.
    Unknown(String),
    /// The agents were not queried, because the result does not depend on them.
    NotRequested,
}

/// The registries that an agent checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedRegistries {
    /// The agent's Pod.
    pub pod: String,
    /// Node of the agent.
    pub node: String,
    /// Start of its latest check.
    pub checked_at: Timestamp,
    /// The worst verdict on an image of each registry.
    pub verdicts: BTreeMap<String, Verdict>,
}

impl CheckedRegistries {
    /// Returns the registries of a report.
    #[must_use]
    pub fn of(report: &NodeReport, pod: &str, node: &str) -> Self {
        let mut verdicts: BTreeMap<String, Verdict> = BTreeMap::new();
        for image in &report.images {
            let Ok(reference) = image.image.parse::<ImageReference>() else { continue };
            let verdict = verdicts.entry(reference.registry()).or_insert(image.verdict);
            *verdict = image.verdict.max(*verdict);
        }
        Self { pod: pod.to_owned(), node: node.to_owned(), checked_at: report.started_at, verdicts }
    }
}

impl Coverage {
    /// Returns whether an agent checks a registry, with its verdict if so; `None` if that is unknown.
    #[must_use]
    pub fn of(&self, registry: &str) -> Option<Option<Verdict>> {
        match self {
            Self::Reported(checked) => Some(checked.verdicts.get(registry).copied()),
            Self::NoAgents => Some(None),
            Self::Unknown(_) | Self::NotRequested => None,
        }
    }

    /// Returns the registries in use that no agent checks; `None` if that is unknown.
    #[must_use]
    pub fn unchecked<'used>(&self, inventory: &'used Inventory) -> Option<Vec<&'used str>> {
        let unchecked = inventory.registries.keys().map(String::as_str);
        match self {
            Self::Reported(checked) => {
                Some(unchecked.filter(|registry| !checked.verdicts.contains_key(*registry)).collect())
            }
            Self::NoAgents => Some(unchecked.collect()),
            Self::Unknown(_) | Self::NotRequested => None,
        }
    }
}
