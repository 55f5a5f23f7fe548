//! Causes of the image itself: repository, manifest, digest and platform.

use super::CauseInfo;
use super::commands::{OVERWRITES, import, import_again, inspect};
use super::confirm::{Confirm, FETCHED, GOOD_MANIFEST, MANIFEST, TOKEN};
use crate::observation::Stage;
use crate::verdict::Severity;

pub(super) const REPOSITORY_NOT_FOUND: CauseInfo = CauseInfo {
    code: "repository_not_found",
    severity: Severity::Fail,
    stages: &[Stage::Manifest],
    meaning: "The registry has no repository with this name.",
    detection: "404 `NAME_UNKNOWN`",
    remedy: "Correct the repository in the image reference, or import the image.",
    commands: |names| {
        let mut commands =
            names.acr([format!("az acr repository list --name {} --output table", names.registry())]);
        commands.extend(import(names));
        commands
    },
    at_data: None,
    cautions: &[],
    confirm: Confirm {
        commands: &[TOKEN, MANIFEST],
        shows: "The registry returns HTTP status 404 and `NAME_UNKNOWN`.",
    },
    verify: GOOD_MANIFEST,
};

pub(super) const MANIFEST_NOT_FOUND: CauseInfo = CauseInfo {
    code: "manifest_not_found",
    severity: Severity::Fail,
    stages: &[Stage::Manifest],
    meaning: "The repository exists, but does not have this tag or digest.",
    detection: "404 `MANIFEST_UNKNOWN`",
    remedy: "Correct the tag or digest in the image reference, or import the image, and lock it against deletion.",
    commands: |names| {
        let mut commands = names.acr([format!(
            "az acr repository show-tags --name {} --repository {} --orderby time_desc --top 20 --output table",
            names.registry(),
            names.repository()
        )]);
        commands.extend(import(names));
        commands
    },
    at_data: None,
    cautions: &[
        "To lock the tag against deletion, use `az acr repository update --name REGISTRY --image REPOSITORY:TAG --delete-enabled \
         false`.",
    ],
    confirm: Confirm {
        commands: &[TOKEN, MANIFEST],
        shows: "The registry returns HTTP status 404 and `MANIFEST_UNKNOWN`.",
    },
    verify: GOOD_MANIFEST,
};

pub(super) const MANIFEST_QUARANTINED: CauseInfo = CauseInfo {
    code: "manifest_quarantined",
    severity: Severity::Fail,
    // A quarantine can hold back a blob as well.
    stages: &[Stage::Manifest, Stage::Blob],
    meaning: "The registry keeps the image in quarantine until a scan or a person releases it.",
    detection: "rejected with `IMAGE_QUARANTINED`, or with a message that names the quarantine",
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
    at_data: None,
    cautions: &[
        "The scanner releases an image, or a client with the role AcrQuarantineWriter. With the policy turned off, every image can be \
         pulled before its scan.",
    ],
    confirm: Confirm {
        commands: &[TOKEN, MANIFEST],
        shows: "The registry rejects the request with `IMAGE_QUARANTINED`, or with a message that names the quarantine.",
    },
    verify: GOOD_MANIFEST,
};

pub(super) const CACHE_RULE_FAILED: CauseInfo = CauseInfo {
    code: "cache_rule_failed",
    severity: Severity::Fail,
    // What the rule has to fetch can be a blob.
    stages: &[Stage::Manifest, Stage::Blob],
    meaning: "An artifact cache rule covers the repository, and the registry cannot fetch the image from the rule's source.",
    detection: "424, or an error whose message names the cache rule or its source registry: denied, credentials, throttled (a \
                429 is `throttled`)",
    remedy: "Fix the credential set of the cache rule and its identity's access to the key vault, and check that the source \
             still has the image.",
    commands: |names| {
        let registry = names.registry();
        names.acr([
            format!("az acr cache list --registry {registry} --output table"),
            format!("az acr cache show --registry {registry} --name CACHE_RULE"),
            format!("az acr credential-set list --registry {registry} --output table"),
        ])
    },
    at_data: None,
    cautions: &[],
    confirm: Confirm {
        commands: &[TOKEN, MANIFEST],
        shows: "The registry rejects the request with a message that names the cache rule or its source registry, while other \
                repositories of the registry can be pulled with the same token.",
    },
    verify: GOOD_MANIFEST,
};

pub(super) const MANIFEST_INVALID: CauseInfo = CauseInfo {
    code: "manifest_invalid",
    severity: Severity::Fail,
    // The image's configuration, which containerd checks as well, is a blob.
    stages: &[Stage::Manifest, Stage::Blob],
    meaning: "The manifest exists, but does not describe an image that containerd can use.",
    detection: "what containerd rejects: an unsupported media type in the header or of the configuration, JSON of wrong types, \
                parts of an image and of an index together, sizes or layers that do not add up",
    remedy: "Use a container image instead of a chart or another artifact, or build and push the image again, as an OCI image \
             or with Docker's manifest schema 2.",
    commands: |names| {
        let mut commands = vec![inspect(names)];
        commands.extend(import_again(names));
        commands
    },
    at_data: None,
    cautions: &[OVERWRITES],
    confirm: Confirm {
        commands: &[TOKEN, MANIFEST],
        shows: "The HTTP status is 200, but the answer has a `Content-Type` other than the four accepted ones, a body of more \
                than 4 MiB, a `config.mediaType` that is not an image's, or JSON as the message of the check describes it.",
    },
    verify: GOOD_MANIFEST,
};

pub(super) const DIGEST_MISMATCH: CauseInfo = CauseInfo {
    code: "digest_mismatch",
    severity: Severity::Fail,
    stages: &[Stage::Manifest, Stage::Blob],
    meaning: "The content is not what was requested, so every container runtime rejects it.",
    detection: "the content is not what was requested, or has wrong or extra bytes",
    remedy: "Remove the proxy or cache that changes the content from the path, and push the image again if the registry's own \
             copy is damaged.",
    commands: |names| {
        let mut commands = vec![names.curl_on_node(), inspect(names)];
        commands.extend(names.acr([format!(
            "az acr manifest show-metadata --registry {} --name {}",
            names.registry(),
            names.target()
        )]));
        commands
    },
    at_data: None,
    cautions: &[],
    confirm: Confirm {
        commands: &[TOKEN, FETCHED],
        shows: "The checksum is not DIGEST: a device on the path, or the storage, changes the content.",
    },
    verify: "The checksum is DIGEST.",
};

pub(super) const PLATFORM_MISSING: CauseInfo = CauseInfo {
    code: "platform_missing",
    severity: Severity::Fail,
    // The image's configuration, which can name another platform than the index, is a blob.
    stages: &[Stage::Manifest, Stage::Blob],
    meaning: "The image is not built for this node's operating system and architecture.",
    detection: "index without this node's platform, or with an unnamed one that turns out to be another",
    remedy: "Build and push the image for this node's platform as well, or schedule its Pods on another node pool.",
    commands: |names| {
        vec![
            "kubectl get nodes --label-columns kubernetes.io/os,kubernetes.io/arch".to_owned(),
            inspect(names),
        ]
    },
    at_data: None,
    cautions: &[],
    confirm: Confirm {
        commands: &["uname -sm", TOKEN, MANIFEST],
        shows: "The index has no entry for the node's `os` and `architecture`.",
    },
    verify: "The index has an entry for the node's `os` and `architecture`.",
};

pub(super) const PLATFORM_MISMATCH: CauseInfo = CauseInfo {
    code: "platform_mismatch",
    severity: Severity::Warn,
    stages: &[Stage::Manifest],
    meaning: "The image can be pulled but cannot run here: it is built for another operating system or architecture.",
    detection: "an image without an index, or mislabelled in one, whose configuration names another platform",
    remedy: "Build and push the image for this node's platform, or schedule its Pods on another node pool.",
    commands: |names| {
        vec![
            "kubectl get nodes --label-columns kubernetes.io/os,kubernetes.io/arch".to_owned(),
            inspect(names),
        ]
    },
    at_data: None,
    cautions: &[],
    confirm: Confirm {
        commands: &["uname -sm", TOKEN, FETCHED],
        shows: "Without `| sha256sum`, the last command prints the image configuration (DIGEST is that of `config`), whose `os` \
                and `architecture` are not the node's. Pods of the image fail with `exec format error`.",
    },
    verify: "`os` and `architecture` are the node's.",
};
