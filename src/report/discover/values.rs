//! Values for the chart: one image for each registry and repository in use, with comments about what the operator has to do.
//!
//! Written by hand, because a YAML library writes no comments. Every name in it was parsed or is a Kubernetes object name, so none
//! needs escaping.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use crate::inventory::discovery::Discovery;
use crate::inventory::selection::{Chosen, Credentials, Selection};
use crate::inventory::usage::PullSecret;
use crate::schedule::{REQUESTS_PER_IMAGE, REQUESTS_WITH_IDENTITY};
use crate::text::words::{list, plural};

/// Requests per minute that a fleet's checks may send to a registry: the default of `budgetPerMinute`.
const BUDGET: usize = 4_000;

/// Writes the values.
///
/// # Errors
/// Returns the writer's error.
pub fn write(out: &mut impl Write, discovery: &Discovery) -> io::Result<()> {
    let selection = Selection::of(&discovery.inventory);
    write_head(out, discovery, &selection)?;
    if selection.images.is_empty() {
        return writeln!(out, "config:\n  images: []");
    }
    write_secrets(out, discovery, &selection)?;
    write_identity(out, discovery, &selection)?;
    write_anonymous(out, &selection)?;
    writeln!(out, "config:\n  images:")?;
    for chosen in &selection.images {
        write_image(out, discovery, chosen)?;
    }
    match discovery.nodes.filter(|nodes| exceeds_budget(*nodes, &selection)) {
        Some(nodes) => {
            writeln!(out, "  schedule:")?;
            writeln!(
                out,
                "    # The current number of nodes; raise it to the sum of the autoscaler's limits."
            )?;
            writeln!(out, "    fleetSize: {nodes}")
        }
        None => Ok(()),
    }
}

fn write_head(out: &mut impl Write, discovery: &Discovery, selection: &Selection<'_>) -> io::Result<()> {
    let inventory = &discovery.inventory;
    let scope = match &discovery.scope.namespace {
        Some(namespace) => format!(" in namespace {namespace}"),
        None => String::new(),
    };
    writeln!(out, "# Values for the chart acr-verifier, from `acr-verifier discover --output values`.")?;
    writeln!(
        out,
        "# In use{scope}: {} of {} by {}.",
        plural(inventory.images.len(), "image"),
        registries(inventory.registries.len()),
        plural(inventory.pods_with_images, "Pod"),
    )?;
    if selection.images.is_empty() {
        writeln!(out, "#")?;
        return writeln!(
            out,
            "# No Pod uses an image of an Azure Container Registry: add the images to check."
        );
    }
    writeln!(out, "# For each repository, the agents check one image.")?;
    if selection.left_out > 0 {
        let left_out = repositories(selection.left_out);
        writeln!(
            out,
            "# Left out: {left_out} with fewer Pods, because a configuration has at most 100 images."
        )?;
    }
    let left_out = inventory.left_out.images + inventory.left_out.registries;
    if left_out > 0 {
        writeln!(out, "# Not counted: {} of further images.", plural(left_out, "use"))?;
    }
    Ok(())
}

/// Explains how each pull secret gets into the namespace of the release: the agents mount it from there.
fn write_secrets(out: &mut impl Write, discovery: &Discovery, selection: &Selection<'_>) -> io::Result<()> {
    let secrets: BTreeSet<&PullSecret> = selection
        .images
        .iter()
        .filter_map(|chosen| match chosen.credentials {
            Credentials::Secret(secret) => Some(secret),
            Credentials::KubeletIdentity | Credentials::Anonymous => None,
        })
        .collect();
    let agents = &discovery.agents_namespace;
    let missing: Vec<&&PullSecret> = secrets.iter().filter(|secret| secret.namespace != *agents).collect();
    if !missing.is_empty() {
        writeln!(
            out,
            "#\n# Copy each pull secret into the namespace of the release (type kubernetes.io/dockerconfigjson):"
        )?;
    }
    for PullSecret { namespace, name } in missing {
        writeln!(
            out,
            "#   kubectl get secret {name} --namespace {namespace} --output \
             'go-template={{{{index .data \".dockerconfigjson\" | base64decode}}}}' | \
             kubectl create secret generic {name} --namespace {agents} --type kubernetes.io/dockerconfigjson \
             --from-file=.dockerconfigjson=/dev/stdin"
        )?;
    }
    let mut namespaces: BTreeMap<&str, usize> = BTreeMap::new();
    for secret in &secrets {
        *namespaces.entry(&secret.name).or_default() += 1;
    }
    for (name, count) in namespaces.into_iter().filter(|(_, count)| *count > 1) {
        writeln!(
            out,
            "# {count} namespaces have a pull secret named {name}. If they differ, create one with the entries of all."
        )?;
    }
    Ok(())
}

fn write_identity(out: &mut impl Write, discovery: &Discovery, selection: &Selection<'_>) -> io::Result<()> {
    if !selection.images.iter().any(|chosen| chosen.credentials == Credentials::KubeletIdentity) {
        return Ok(());
    }
    writeln!(
        out,
        "#\n# The Pods of the images with `managedIdentity` name no pull secret: kubelets pull with their own identity."
    )?;
    if discovery.client_id.is_none() {
        writeln!(
            out,
            "# A node with several identities needs the client id, from --identity-client-id or here:"
        )?;
        writeln!(
            out,
            "#   az aks show --resource-group RESOURCE_GROUP --name CLUSTER --query \
             identityProfile.kubeletidentity.clientId --output tsv"
        )?;
    }
    Ok(())
}

fn write_anonymous(out: &mut impl Write, selection: &Selection<'_>) -> io::Result<()> {
    if !selection.images.iter().any(|chosen| chosen.credentials == Credentials::Anonymous) {
        return Ok(());
    }
    writeln!(
        out,
        "#\n# Images without `credentials` are pulled anonymously: no identity pulls from their registry. If a credential provider \
         does, add credentials."
    )
}

fn write_image(out: &mut impl Write, discovery: &Discovery, chosen: &Chosen<'_>) -> io::Result<()> {
    let used = chosen.image;
    let counts = [(used.pods, "Pod"), (used.workloads, "workload")];
    let counts = counts.into_iter().filter(|(count, _)| *count > 0);
    let users: Vec<String> = counts.map(|(count, noun)| plural(count, noun)).collect();
    let waiting = if used.pods > 0 && used.pods == used.waiting_pods { ", all waiting for it" } else { "" };
    writeln!(out, "    # {}{waiting}, such as {}", list(&users), used.example)?;
    writeln!(out, "    - image: \"{}\"", used.reference)?;
    match (chosen.credentials, &discovery.client_id) {
        (Credentials::Secret(secret), _) => {
            writeln!(out, "      credentials: {{secretName: \"{}\"}}", secret.name)
        }
        (Credentials::KubeletIdentity, Some(id)) => {
            writeln!(out, "      credentials: {{managedIdentity: {{clientId: \"{id}\"}}}}")
        }
        (Credentials::KubeletIdentity, None) => writeln!(out, "      credentials: {{managedIdentity: {{}}}}"),
        (Credentials::Anonymous, _) => Ok(()),
    }
}

/// Whether checks once a minute on this many nodes exceed the budget of a registry.
fn exceeds_budget(nodes: usize, selection: &Selection<'_>) -> bool {
    let mut requests: BTreeMap<String, usize> = BTreeMap::new();
    for chosen in &selection.images {
        let of_image = match chosen.credentials {
            Credentials::Secret(_) | Credentials::Anonymous => REQUESTS_PER_IMAGE,
            Credentials::KubeletIdentity => REQUESTS_WITH_IDENTITY,
        };
        *requests.entry(chosen.image.reference.registry()).or_default() += of_image as usize;
    }
    requests.into_values().max().is_some_and(|requests| requests.saturating_mul(nodes) > BUDGET)
}

fn registries(count: usize) -> String {
    if count == 1 { "1 registry".to_owned() } else { format!("{count} registries") }
}

fn repositories(count: usize) -> String {
    if count == 1 { "1 repository".to_owned() } else { format!("{count} repositories") }
}
