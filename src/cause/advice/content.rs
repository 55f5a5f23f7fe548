//! Advice for what is pulled: repository, manifest, platform and blob.

use super::Advice;
use super::names::{Names, on_node};
use super::network::show_endpoints;

pub(super) const REPOSITORY_NOT_FOUND: Advice = Advice {
    meaning: "The registry has no repository of this name.",
    recognised_by: "404 `NAME_UNKNOWN`",
    remedy: "Correct the repository in the image's name, or import the image.",
    commands: |names| {
        let mut commands =
            names.acr([format!("az acr repository list --name {} --output table", names.registry())]);
        commands.extend(import(names));
        commands
    },
};

pub(super) const MANIFEST_NOT_FOUND: Advice = Advice {
    meaning: "The repository is there, but not this tag or digest of it.",
    recognised_by: "404 `MANIFEST_UNKNOWN`",
    remedy: "Correct the tag or digest in the image's name, or import the image, and lock it against deletion.",
    commands: |names| {
        let mut commands = names.acr([format!(
            "az acr repository show-tags --name {} --repository {} --orderby time_desc --top 20 --output table",
            names.registry(),
            names.repository()
        )]);
        commands.extend(import(names));
        commands
    },
};

pub(super) const MANIFEST_QUARANTINED: Advice = Advice {
    meaning: "The registry holds the image in quarantine until a scan or a person releases it.",
    recognised_by: "refused with `IMAGE_QUARANTINED`, or in these words",
    remedy: "Release the image from quarantine once its scan has passed, or turn off the registry's quarantine policy.",
    commands: |names| {
        names.acr([
            format!(
                "az acr show --name {} --query policies.quarantinePolicy.status --output tsv",
                names.registry()
            ),
            format!(
                "az acr manifest show-metadata --registry {} --name {}",
                names.registry(),
                names.target()
            ),
        ])
    },
};

pub(super) const CACHE_RULE_FAILED: Advice = Advice {
    meaning: "An artifact cache rule covers the repository, and the registry cannot fetch the image from the rule's source.",
    recognised_by: "424, or a refusal whose words name the cache rule or its source registry: denied, credentials, throttled (a \
                    429 is `throttled`)",
    remedy: "Fix the credential set of the cache rule and the rights of its identity on the key vault, and check that the source \
             still has the image.",
    commands: |names| {
        let registry = names.registry();
        names.acr([
            format!("az acr cache list --registry {registry} --output table"),
            format!("az acr cache show --registry {registry} --name CACHE_RULE"),
            format!("az acr credential-set list --registry {registry} --output table"),
        ])
    },
};

pub(super) const MANIFEST_INVALID: Advice = Advice {
    meaning: "There is a manifest, but not one of an image that containerd can use.",
    recognised_by: "what containerd rejects: an unsupported media type in the header or of the configuration, JSON of wrong types, \
                    parts of an image and of an index together, sizes or layers that do not add up",
    remedy: "Name a container image instead of a chart or another artifact, or build and push the image again, as an OCI image or \
             with Docker's manifest schema 2.",
    commands: |names| {
        let mut commands = vec![inspect(names)];
        commands.extend(import(names));
        commands
    },
};

pub(super) const DIGEST_MISMATCH: Advice = Advice {
    meaning: "The bytes are not the ones that were asked for, so no container runtime will take them.",
    recognised_by: "content is not what was asked for, or has wrong or more bytes",
    remedy: "Take the proxy or cache that changes the content out of the path, and push the image again if the \
             registry's own copy is damaged.",
    commands: |names| {
        let mut commands = vec![names.curl_on_node(), inspect(names)];
        commands.extend(names.acr([format!(
            "az acr manifest show-metadata --registry {} --name {}",
            names.registry(),
            names.target()
        )]));
        commands
    },
};

pub(super) const PLATFORM_MISSING: Advice = Advice {
    meaning: "The image is not built for the operating system and architecture of this node.",
    recognised_by: "index without this node's platform, or with an unnamed one that turns out to be another",
    remedy: "Build and push the image for this node's platform as well, or keep its Pods on nodes of another pool.",
    commands: |names| {
        vec![
            "kubectl get nodes --label-columns kubernetes.io/os,kubernetes.io/arch".to_owned(),
            inspect(names),
        ]
    },
};

pub(super) const PLATFORM_MISMATCH: Advice = Advice {
    meaning: "The image is pulled and cannot run here: it is built for another operating system or architecture.",
    recognised_by: "an image without an index, or mislabelled in one, whose configuration names another platform",
    remedy: "Build and push the image for this node's platform, or keep its Pods on nodes of another pool.",
    commands: |names| {
        vec![
            "kubectl get nodes --label-columns kubernetes.io/os,kubernetes.io/arch".to_owned(),
            inspect(names),
        ]
    },
};

pub(super) const DATA_ENDPOINT_DISABLED: Advice = Advice {
    meaning: "The registry serves layers from Azure's shared blob storage, which lies outside the private path.",
    recognised_by: "redirect to Azure's blob storage (`*.blob.core.windows.net` and its sovereign names): layers leave \
                    the private path",
    remedy: "Enable the registry's dedicated data endpoints, and let the DNS zone group add their records.",
    commands: |names| {
        names.acr([
            format!("az acr update --name {} --data-endpoint-enabled true", names.registry()),
            show_endpoints(names),
        ])
    },
};

pub(super) const BLOB_NOT_FOUND: Advice = Advice {
    meaning: "The manifest names a blob that the registry no longer has.",
    recognised_by: "404 of the data endpoint or the storage behind it",
    remedy: "Push or import the image again, so that its missing blob is stored again.",
    commands: |names| {
        let mut commands =
            names.acr([format!("az acr replication list --registry {} --output table", names.registry())]);
        commands.extend(import(names));
        if commands.is_empty() {
            commands.push(inspect(names));
        }
        commands
    },
};

pub(super) const BLOB_DENIED: Advice = Advice {
    meaning: "The data endpoint, or the storage behind it, refuses the blob although the registry sent the node there.",
    recognised_by: "403 of the data endpoint or the storage behind it, and not of a proxy in front of it",
    remedy: "Remove the service endpoint policy for storage from the node's subnet, or allow the registry's storage \
             in it.",
    commands: |names| {
        let mut commands = vec![
            "az network vnet subnet show --resource-group RESOURCE_GROUP --vnet-name VNET --name SUBNET --query \
             \"{serviceEndpoints:serviceEndpoints, policies:serviceEndpointPolicies}\""
                .to_owned(),
        ];
        commands.extend(names.acr([show_endpoints(names)]));
        commands.push(on_node("chroot /host timedatectl"));
        commands
    },
};

fn import(names: &Names) -> Vec<String> {
    let image = match names.target().split_once('@') {
        Some((repository, _)) => format!("{repository}:TAG"),
        None => names.target().to_owned(),
    };
    names.acr([format!(
        "az acr import --name {} --source SOURCE_REGISTRY/SOURCE_REPOSITORY:TAG --image {image}",
        names.registry()
    )])
}

/// What the registry has, for every platform.
fn inspect(names: &Names) -> String {
    format!("docker buildx imagetools inspect {}", names.image())
}
