//! How an image and a registry are used: by how many Pods, on which nodes, with which pull secrets.
//!
//! Owns the compact forms: a set of nodes takes a kilobyte, however many Pods there are.

use std::collections::BTreeMap;

use crate::fleet::object_name;
use crate::image::ImageReference;

/// Maximum nodes that are distinguished: the largest AKS cluster has 5,000.
const MAX_NODES: usize = 8_192;
/// Maximum different pull secrets that are kept for an image.
const MAX_SECRETS: usize = 8;

/// The use of a registry.
#[derive(Debug, Clone, Default)]
pub struct RegistryUse {
    /// Number of its images that are kept.
    pub images: usize,
    /// Pods that use it.
    pub pods: usize,
    /// Pods that wait for an image of it.
    pub waiting_pods: usize,
    /// Nodes with such Pods.
    pub nodes: NodeSet,
}

/// The use of an image.
#[derive(Debug, Clone)]
pub struct ImageUse {
    /// The reference as written in the Pods.
    pub reference: ImageReference,
    /// Pods that use it.
    pub pods: usize,
    /// Pods that wait for it.
    pub waiting_pods: usize,
    /// Workloads that will use it; counted only if they were requested.
    pub workloads: usize,
    /// Nodes with such Pods.
    pub nodes: NodeSet,
    /// The first Pod or workload that uses it, `NAMESPACE/NAME`.
    pub example: String,
    /// Pods and workloads by their first pull secret.
    pub pull_secrets: BTreeMap<PullSecret, usize>,
    /// Pods and workloads whose pull secret exceeds the limit.
    pub more_pull_secrets: usize,
    /// Pods and workloads without a pull secret.
    pub without_pull_secret: usize,
}

/// The name of a pull secret. Its content is never read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PullSecret {
    /// Namespace of the Secret.
    pub namespace: String,
    /// Name of the Secret.
    pub name: String,
}

impl ImageUse {
    pub(super) fn of(reference: ImageReference) -> Self {
        Self {
            reference,
            pods: 0,
            waiting_pods: 0,
            workloads: 0,
            nodes: NodeSet::default(),
            example: String::new(),
            pull_secrets: BTreeMap::new(),
            more_pull_secrets: 0,
            without_pull_secret: 0,
        }
    }

    /// Counts a Pod or workload by its pull secrets.
    pub(super) fn add_user(&mut self, namespace: &str, secrets: &[&str], owner: impl FnOnce() -> String) {
        if self.example.is_empty() {
            self.example = owner();
        }
        if secrets.is_empty() {
            self.without_pull_secret += 1;
            return;
        }
        for name in secrets {
            let secret = PullSecret {
                namespace: object_name(namespace, "NAMESPACE").to_owned(),
                name: (*name).to_owned(),
            };
            if self.pull_secrets.contains_key(&secret) || self.pull_secrets.len() < MAX_SECRETS {
                *self.pull_secrets.entry(secret).or_default() += 1;
            } else {
                self.more_pull_secrets += 1;
            }
        }
    }

    /// Returns the pull secret that most of the Pods name, if more name one than none.
    #[must_use]
    pub fn usual_pull_secret(&self) -> Option<&PullSecret> {
        let usual = self.pull_secrets.iter().rev().max_by_key(|(_, count)| **count);
        usual.filter(|(_, count)| **count > self.without_pull_secret).map(|(secret, _)| secret)
    }
}

/// The names of nodes, with a number for each.
#[derive(Debug, Clone, Default)]
pub struct NodeNames(BTreeMap<String, usize>);

impl NodeNames {
    /// Returns the number of a node; `None` beyond the limit.
    pub(super) fn id_of(&mut self, name: &str) -> Option<usize> {
        if let Some(&id) = self.0.get(name) {
            return Some(id);
        }
        let id = self.0.len();
        (id < MAX_NODES).then(|| {
            self.0.insert(name.to_owned(), id);
            id
        })
    }

    /// Returns the number of nodes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no node.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A set of nodes, with one bit for each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeSet(Vec<u64>);

impl NodeSet {
    pub(super) fn insert(&mut self, id: usize) {
        let bits = usize::try_from(u64::BITS).unwrap_or(64);
        let (place, bit) = (id / bits, id % bits);
        if self.0.len() <= place {
            self.0.resize(place + 1, 0);
        }
        self.0[place] |= 1 << bit;
    }

    /// Returns the number of nodes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().map(|bits| bits.count_ones() as usize).sum()
    }

    /// Whether there is no node.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
