//! Chooses the images that agents should check: one for each registry and repository in use.
//!
//! Owns the choice, its credentials and the number of images that a configuration can have. `report::discover::values` writes it.

use std::collections::BTreeMap;

use super::Inventory;
use super::usage::{ImageUse, PullSecret};

/// Maximum images of a configuration; the chart has the same limit.
const MAX_IMAGES: usize = 100;

/// The chosen images.
#[derive(Debug, Clone, Default)]
pub struct Selection<'used> {
    /// The images, sorted by reference.
    pub images: Vec<Chosen<'used>>,
    /// Repositories beyond the limit; those with the most Pods were chosen.
    pub left_out: usize,
}

/// An image to check, and how the Pods pull it.
#[derive(Debug, Clone)]
pub struct Chosen<'used> {
    /// The image and its use.
    pub image: &'used ImageUse,
    /// The credentials to check it with.
    pub credentials: Credentials<'used>,
}

/// The credentials to check an image with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credentials<'used> {
    /// The pull secret that the Pods name.
    Secret(&'used PullSecret),
    /// The identity of the kubelet: the Pods name no pull secret.
    KubeletIdentity,
    /// None: the Pods name no pull secret, and no identity pulls from this registry.
    Anonymous,
}

impl<'used> Selection<'used> {
    /// Chooses the images of an inventory.
    #[must_use]
    pub fn of(inventory: &'used Inventory) -> Self {
        let mut best: BTreeMap<(String, &str), &ImageUse> = BTreeMap::new();
        for image in inventory.images.values() {
            let key = (image.reference.registry(), image.reference.repository());
            let chosen = best.entry(key).or_insert(image);
            if rank(image) > rank(chosen) {
                *chosen = image;
            }
        }
        let mut images: Vec<&ImageUse> = best.into_values().collect();
        images.sort_by_key(|image| std::cmp::Reverse(users(image)));
        let left_out = images.len().saturating_sub(MAX_IMAGES);
        images.truncate(MAX_IMAGES);
        images.sort_by_key(|image| image.reference.to_string());
        Self { images: images.into_iter().map(Chosen::of).collect(), left_out }
    }
}

impl<'used> Chosen<'used> {
    fn of(image: &'used ImageUse) -> Self {
        let credentials = match image.usual_pull_secret() {
            Some(secret) => Credentials::Secret(secret),
            None if image.reference.is_acr() => Credentials::KubeletIdentity,
            None => Credentials::Anonymous,
        };
        Self { image, credentials }
    }
}

/// An image that runs is known to exist; then the one with the most users is the best.
fn rank(image: &ImageUse) -> (bool, (usize, usize)) {
    (image.pods > image.waiting_pods, users(image))
}

const fn users(image: &ImageUse) -> (usize, usize) {
    (image.pods, image.workloads)
}
