//! The images of Azure Container Registries that a cluster uses, counted from its Pods and workloads.
//!
//! Owns the counts and their limits: Pods are added one by one and never kept, so a cluster of any size needs little memory. What
//! exceeds a limit is counted. [`kubelet`] reads the kubelet's messages, [`waiting`] compares them with the reports of the agents,
//! and [`selection`] chooses the images to check. Pure: `cluster` reads the objects, `report::discover` renders the result.

pub mod coverage;
pub mod discovery;
pub mod kubelet;
pub mod registries;
pub mod selection;
pub mod usage;
pub mod waiting;

use std::collections::{BTreeMap, BTreeSet};

use self::kubelet::PullReason;
use self::registries::Suffixes;
use self::usage::{ImageUse, NodeNames, RegistryUse};
use self::waiting::WaitingImage;
use crate::fleet::object_name;
use crate::image::ImageReference;
use crate::text::quote::quote;

/// Maximum images that are kept: several times what a large cluster uses.
const MAX_IMAGES: usize = 5_000;
/// Maximum registries that are kept.
const MAX_REGISTRIES: usize = 1_000;
/// Maximum waiting images that are kept, with a message of up to a kilobyte each.
const MAX_WAITING: usize = 1_000;
/// Maximum invalid references that are kept as examples.
const MAX_INVALID: usize = 5;
/// Maximum other waiting reasons that are counted separately.
const MAX_REASONS: usize = 20;
/// Maximum containers of a Pod that are read; real Pods have a few.
const MAX_CONTAINERS: usize = 1_000;
/// Maximum pull secrets of a Pod that are kept.
const MAX_PULL_SECRETS: usize = 8;
/// Maximum length of a waiting reason such as `CrashLoopBackOff`.
const MAX_REASON: usize = 64;
/// Shown for a name that no Kubernetes object can have.
const INVALID_NAME: &str = "(invalid name)";

/// A Pod, as far as its images are concerned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pod {
    /// Namespace of the Pod.
    pub namespace: String,
    /// Name of the Pod.
    pub name: String,
    /// Name of its node; `None` before it is scheduled.
    pub node: Option<String>,
    /// Whether all its containers have stopped for good.
    pub is_finished: bool,
    /// Its containers: also the init and ephemeral ones.
    pub containers: Vec<Container>,
    /// Names of its pull secrets. Admission adds those of its service account if it names none.
    pub pull_secrets: Vec<String>,
    /// Its waiting containers.
    pub waiting: Vec<Waiting>,
}

/// A container and its image as written in the Pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Name of the container, unique in its Pod.
    pub name: String,
    /// Image of the container.
    pub image: String,
}

/// A waiting container, in the kubelet's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Name of the container.
    pub container: String,
    /// Reason, such as `ErrImagePull`.
    pub reason: String,
    /// Message of the kubelet, which may contain secrets.
    pub message: String,
}

/// A workload that creates Pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// Kind, such as `CronJob`.
    pub kind: &'static str,
    /// Namespace of the workload.
    pub namespace: String,
    /// Name of the workload.
    pub name: String,
    /// Containers of its Pods.
    pub containers: Vec<Container>,
    /// Names of the pull secrets in its Pod template.
    pub pull_secrets: Vec<String>,
}

/// The images in use.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    /// The registries that are counted in addition to Azure's.
    suffixes: Suffixes,
    /// Pods that are not finished.
    pub pods: usize,
    /// Those of them with an image of a registry that counts.
    pub pods_with_images: usize,
    /// Workloads with an image of a registry that counts.
    pub workloads: usize,
    /// The registries by login server.
    pub registries: BTreeMap<String, RegistryUse>,
    /// The images by reference, as written in the Pods.
    pub images: BTreeMap<String, ImageUse>,
    /// The images that Pods wait for, in the order of the Pods.
    pub waiting: Vec<WaitingImage>,
    /// Number of Pods that wait for an image.
    pub waiting_pods: usize,
    /// Other waiting reasons of Pods with an image of a registry that counts, with the number of containers.
    pub other_reasons: BTreeMap<String, usize>,
    /// Examples of image references of the registries that are invalid, so that no kubelet pulls them; quoted.
    pub invalid: BTreeSet<String>,
    /// The nodes of the Pods.
    pub nodes: NodeNames,
    /// What exceeds the limits.
    pub left_out: LeftOut,
}

/// What exceeds the limits of an inventory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Uses of images beyond the first that are kept.
    pub images: usize,
    /// Uses of registries beyond the first that are kept.
    pub registries: usize,
    /// Waiting images beyond the first that are kept.
    pub waiting: usize,
}

impl Inventory {
    /// Creates an empty inventory of Azure's registries and of those with these suffixes.
    #[must_use]
    pub fn new(suffixes: Suffixes) -> Self {
        Self { suffixes, ..Self::default() }
    }

    /// Discards everything that was counted.
    pub fn restart(&mut self) {
        *self = Self::new(std::mem::take(&mut self.suffixes));
    }

    /// Adds a Pod. One that is finished does not use its images any more.
    pub fn add(&mut self, pod: &Pod) {
        if pod.is_finished {
            return;
        }
        self.pods += 1;
        let references = self.references(&pod.containers);
        if references.is_empty() {
            return;
        }
        self.pods_with_images += 1;
        let node = pod.node.as_deref().map(|name| object_name(name, INVALID_NAME));
        let node_id = node.and_then(|name| self.nodes.id_of(name));
        let waiting = self.add_waiting(pod, &references, node);
        let secrets = valid_names(&pod.pull_secrets);
        let owner = owner(&pod.namespace, &pod.name);
        let registries: BTreeSet<String> = references.values().map(ImageReference::registry).collect();
        for registry in registries {
            let Some(used) = self.registry(&registry) else { continue };
            used.pods += 1;
            used.waiting_pods +=
                usize::from(waiting.iter().any(|image| references[image].registry() == registry));
            node_id.inspect(|&id| used.nodes.insert(id));
        }
        for (text, reference) in &references {
            let is_waiting = waiting.contains(text);
            let Some(used) = self.image(reference) else { continue };
            used.pods += 1;
            used.waiting_pods += usize::from(is_waiting);
            node_id.inspect(|&id| used.nodes.insert(id));
            used.add_user(&pod.namespace, &secrets, || owner.clone());
        }
    }

    /// Adds a workload, whose images are needed when it creates Pods.
    pub fn add_workload(&mut self, workload: &Workload) {
        let references = self.references(&workload.containers);
        if references.is_empty() {
            return;
        }
        self.workloads += 1;
        let secrets = valid_names(&workload.pull_secrets);
        let owner = format!("{} {}", workload.kind, owner(&workload.namespace, &workload.name));
        for reference in references.values() {
            let Some(used) = self.image(reference) else { continue };
            used.workloads += 1;
            // A running Pod knows more: admission has added the pull secrets of its service account.
            if used.pods == 0 {
                used.add_user(&workload.namespace, &secrets, || owner.clone());
            }
        }
    }

    /// Returns the images of the registries that count, without duplicates.
    fn references<'pod>(&mut self, containers: &'pod [Container]) -> BTreeMap<&'pod str, ImageReference> {
        let mut references = BTreeMap::new();
        for container in containers.iter().take(MAX_CONTAINERS) {
            let text = container.image.as_str();
            match text.parse::<ImageReference>() {
                Ok(reference) if self.suffixes.contain(reference.host()) => {
                    references.insert(text, reference);
                }
                Ok(_) => {}
                Err(_) if self.suffixes.contain(registries::host_of(text)) => {
                    if self.invalid.len() < MAX_INVALID {
                        self.invalid.insert(quote(text));
                    }
                }
                Err(_) => {}
            }
        }
        references
    }

    fn registry(&mut self, registry: &str) -> Option<&mut RegistryUse> {
        if !self.registries.contains_key(registry) {
            if self.registries.len() >= MAX_REGISTRIES {
                self.left_out.registries += 1;
                return None;
            }
            self.registries.insert(registry.to_owned(), RegistryUse::default());
        }
        self.registries.get_mut(registry)
    }

    fn image(&mut self, reference: &ImageReference) -> Option<&mut ImageUse> {
        let key = reference.to_string();
        if !self.images.contains_key(&key) {
            let is_full = self.images.len() >= MAX_IMAGES;
            let Some(registry) = self.registry(&reference.registry()) else {
                self.left_out.images += 1;
                return None;
            };
            if is_full {
                self.left_out.images += 1;
                return None;
            }
            registry.images += 1;
            self.images.insert(key.clone(), ImageUse::of(reference.clone()));
        }
        self.images.get_mut(&key)
    }

    /// Records the images that a Pod waits for, and returns them.
    fn add_waiting<'pod>(
        &mut self,
        pod: &Pod,
        references: &BTreeMap<&'pod str, ImageReference>,
        node: Option<&str>,
    ) -> BTreeSet<&'pod str> {
        let mut images = BTreeSet::new();
        for state in &pod.waiting {
            let Some(reason) = PullReason::of(&state.reason) else {
                self.add_reason(&state.reason);
                continue;
            };
            let container = pod.containers.iter().find(|container| container.name == state.container);
            let found = container.and_then(|container| references.get_key_value(container.image.as_str()));
            let Some((&text, reference)) = found else { continue };
            if !images.insert(text) {
                continue;
            }
            if self.waiting.len() >= MAX_WAITING {
                self.left_out.waiting += 1;
                continue;
            }
            let message = kubelet::message(&state.message);
            self.waiting.push(WaitingImage {
                namespace: object_name(&pod.namespace, INVALID_NAME).to_owned(),
                pod: object_name(&pod.name, INVALID_NAME).to_owned(),
                node: node.map(ToOwned::to_owned),
                container: object_name(&state.container, INVALID_NAME).to_owned(),
                image: reference.clone(),
                pull_secrets: valid_names(&pod.pull_secrets).into_iter().map(ToOwned::to_owned).collect(),
                reason,
                claim: kubelet::claim_of(&state.message),
                message,
            });
        }
        self.waiting_pods += usize::from(!images.is_empty());
        images
    }

    /// Counts a reason that is not about pulling an image.
    fn add_reason(&mut self, reason: &str) {
        let is_word = (1..=MAX_REASON).contains(&reason.len())
            && reason.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if is_word && (self.other_reasons.len() < MAX_REASONS || self.other_reasons.contains_key(reason)) {
            *self.other_reasons.entry(reason.to_owned()).or_default() += 1;
        }
    }
}

fn owner(namespace: &str, name: &str) -> String {
    format!("{}/{}", object_name(namespace, INVALID_NAME), object_name(name, INVALID_NAME))
}

/// Returns the names that a Secret can have.
fn valid_names(names: &[String]) -> Vec<&str> {
    let valid = names.iter().map(|name| object_name(name, "")).filter(|name| !name.is_empty());
    valid.take(MAX_PULL_SECRETS).collect()
}
