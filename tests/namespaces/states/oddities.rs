//! Odd images: what clients accept, and what they reject.

use super::{Client, State, state};
use lab::Lab;
use lab::oddities::ODD;

const TAKEN: &[&str] = &[];
const INVALID: &[&str] = &["fail login manifest manifest_invalid"];
/// The configuration is read as the blob.
const INVALID_CONFIG: &[&str] = &["fail data blob manifest_invalid"];
/// The image is pulled, but cannot run.
const MISMATCH: &[&str] = &["warn login manifest platform_mismatch"];

const COPIES: &str = "skopeo copies without unpacking";
const NOT_UNPACKED: &str = "containerd 2 pulls what is not an image for this platform, unpacked or not; 1.6 and 1.7 reject it, and no container runs";

/// The state of an odd image, by its tag. Clients reject with many messages, so only the rejection is checked.
macro_rules! odd {
    ($tag:literal, $reported:expr) => {
        State {
            image: |lab: &Lab| lab.image_of(ODD, concat!(":", $tag)),
            ..state(concat!("odd image: ", $tag)).expects($reported).each_says([
                "ctr: ",
                "rpc error: ",
                "level=fatal",
            ])
        }
    };
}

pub(crate) fn states() -> Vec<State> {
    vec![
        odd!("usual", TAKEN),
        odd!("docker-config", TAKEN),
        odd!("null-layers", TAKEN),
        odd!("no-layers", TAKEN),
        odd!("null-annotation", TAKEN),
        odd!("null-everything", TAKEN),
        odd!("capitals", TAKEN),
        odd!("large-config", TAKEN),
        odd!("huge-config", TAKEN)
            .differs_from(&[Client::Skopeo], "skopeo does not read a configuration over 4 MiB"),
        odd!("half-a-platform", TAKEN),
        odd!("no-named-platform", TAKEN),
        odd!("no-operating-system", TAKEN),
        odd!("helm", INVALID)
            .differs_from(&[Client::Containerd2], NOT_UNPACKED)
            .differs_from(&[Client::Skopeo], COPIES),
        odd!("artifact", INVALID)
            .differs_from(&[Client::Containerd2], NOT_UNPACKED)
            .differs_from(&[Client::Skopeo], COPIES),
        odd!("octet-stream-config", TAKEN),
        odd!("manifests-too", INVALID),
        odd!("index-by-its-body", INVALID).differs_from(&[Client::Skopeo], COPIES),
        odd!("schema-1-too", INVALID),
        odd!("number-as-annotation", INVALID),
        odd!("empty-layer", INVALID),
        odd!("config-too", INVALID).differs_from(&[Client::Skopeo], COPIES),
        odd!("wrong-size", INVALID).differs_from(&[Client::Skopeo], COPIES),
        odd!("entry-of-json", INVALID).differs_from(&[Client::Skopeo], COPIES),
        odd!("features", &["fail login manifest platform_missing"]).differs_from(
            &[Client::Containerd1, Client::Skopeo],
            "only containerd 2 reads the features that a platform requires",
        ),
        odd!("config-not-json", INVALID_CONFIG).differs_from(&[Client::Skopeo], COPIES),
        odd!("config-of-wrong-types", INVALID_CONFIG).differs_from(&[Client::Skopeo], COPIES),
        odd!("fewer-diff-ids", INVALID_CONFIG).differs_from(&[Client::Skopeo], COPIES),
        odd!("more-diff-ids", INVALID_CONFIG).differs_from(&[Client::Skopeo], COPIES),
        odd!("large-config-without-layers", INVALID_CONFIG).differs_from(&[Client::Skopeo], COPIES),
        odd!("signature", INVALID_CONFIG)
            .differs_from(&[Client::Containerd2], NOT_UNPACKED)
            .differs_from(&[Client::Skopeo], COPIES),
        odd!("foreign", MISMATCH),
        odd!("no-platform", MISMATCH),
        odd!("mislabelled", MISMATCH),
        odd!("no-named-platform-and-foreign", &["fail data blob platform_missing"])
            .differs_from(&[Client::Skopeo], COPIES),
    ]
}
