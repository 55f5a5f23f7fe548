//! The values for the chart: which images are chosen, how they are pulled, and that chart and agent accept them unchanged.

use std::path::Path;

use acr_verifier::config::file;
use acr_verifier::inventory::discovery::Discovery;
use acr_verifier::inventory::registries::Suffixes;
use acr_verifier::inventory::{Inventory, Pod};
use acr_verifier::report::discover::Format;
use serde_json::{Value, json};

use super::forms::render;
use super::samples::{DIGEST, discovery, inventory, mixed, pod, view, waiting, with_secret};
use crate::chart::helm;

const ID: &str = "3fa85f64-5717-4562-b3fc-2c963f66afa6";

fn values(discovery: &Discovery) -> Value {
    let text = render(discovery, Format::Values);
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn each_repository_has_one_image_with_the_credentials_of_its_pods() {
    let api = |tag: usize| format!("contoso.azurecr.io/shop/api:{tag}");
    let mut pods: Vec<Pod> = vec![
        // More Pods wait for 3 than run 1 and 2.
        pod("shop", "a", "n", &[&api(1)]),
        pod("shop", "b", "n", &[&api(2)]),
        pod("shop", "c", "n", &[&api(2)]),
        with_secret(pod("shop", "d", "n", &["fabrikam.azurecr.io/by-secret:1"]), "acr-pull"),
        with_secret(pod("team", "e", "n", &["fabrikam.azurecr.io/by-secret:1"]), "acr-team"),
        with_secret(pod("team", "f", "n", &["fabrikam.azurecr.io/by-secret:1"]), "acr-team"),
        pod("team", "g", "n", &[&format!("contoso.azurecr.us/pinned:1@{DIGEST}")]),
        pod("team", "h", "n", &["registry.contoso.internal/other:1"]),
    ];
    pods.extend(
        (0..5)
            .map(|index| waiting(pod("shop", &format!("w{index}"), "n", &[&api(3)]), "ImagePullBackOff", "")),
    );
    let mut all = Inventory::new(Suffixes::new(vec!["contoso.internal".to_owned()]));
    for pod in &pods {
        all.add(pod);
    }
    let mut found = discovery(all, view);
    let expected = |identity: Value| {
        json!({"config": {"images": [
            {"image": "contoso.azurecr.io/shop/api:2", "credentials": {"managedIdentity": identity}},
            {"image": format!("contoso.azurecr.us/pinned:1@{DIGEST}"), "credentials": {"managedIdentity": identity}},
            {"image": "fabrikam.azurecr.io/by-secret:1", "credentials": {"secretName": "acr-team"}},
            {"image": "registry.contoso.internal/other:1"},
        ]}})
    };
    assert_eq!(values(&found), expected(json!({})));
    let text = render(&found, Format::Values);
    for words in [
        "kubectl get secret acr-team --namespace team --output",
        "kubectl create secret generic acr-team --namespace acr-verifier",
        "identityProfile.kubeletidentity.clientId",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    found.client_id = Some(ID.to_owned());
    assert_eq!(values(&found), expected(json!({"clientId": ID})));
}

#[test]
fn a_large_cluster_gets_the_most_used_images_and_its_fleet_size() {
    let pods: Vec<Pod> = (0..130_usize)
        .flat_map(|index| {
            let image = format!("contoso{}.azurecr.io/app{index}:1", index % 65);
            (0..=index % 2).map(move |copy| pod("a", &format!("p{index}-{copy}"), "n", &[&image]))
        })
        .collect();
    let mut found = discovery(inventory(&pods), view);
    found.nodes = Some(1_000);
    let text = render(&found, Format::Values);
    assert!(text.contains("# Left out: 30 repositories with fewer Pods"), "{text}");
    let values = values(&found);
    let images = values["config"]["images"].as_array().expect("a list");
    assert_eq!(images.len(), 100);
    let with_two = images.iter().filter(|image| {
        let name = image["image"].as_str().expect("a text");
        let number =
            name.split_once("/app").and_then(|(_, rest)| rest.strip_suffix(":1")).expect("our own name");
        number.parse::<usize>().expect("a number") % 2 == 1
    });
    assert_eq!(with_two.count(), 65, "all with two Pods");
    assert_eq!(values["config"]["schedule"], json!({"fleetSize": 1_000}));
    found.nodes = Some(10);
    assert_eq!(self::values(&found)["config"].get("schedule"), None, "no budget is exceeded");
}

#[test]
fn chart_and_agent_accept_the_values_unchanged() {
    let Some(programs) = helm::programs() else { return };
    let mut large = mixed();
    large.nodes = Some(5_000);
    for found in [mixed(), large] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("values.yaml");
        std::fs::write(&path, render(&found, Format::Values)).expect("a file");
        let rendered = programs.template(&helm::chart(), &["--values", path.to_str().expect("UTF-8")]);
        let objects = helm::parse(&rendered.unwrap_or_else(|error| panic!("{error}")));
        let config = file::parse(Path::new("config.yaml"), helm::configuration(&objects))
            .expect("the agent accepts it");
        let images: Vec<String> = config.images.iter().map(|image| image.image.to_string()).collect();
        let values = values(&found);
        let chosen: Vec<&str> = values["config"]["images"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|image| image["image"].as_str().expect("a text"))
            .collect();
        assert_eq!(images, chosen);
        assert_eq!(config.schedule.fleet_size.is_some(), found.nodes == Some(5_000));
    }
}
