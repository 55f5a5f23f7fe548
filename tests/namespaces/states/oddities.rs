//! Odd images: what clients take all the same, and what they refuse.

use super::{Client, State, state};
use crate::lab::Lab;
use crate::lab::oddities::ODD;

const TAKEN: &[&str] = &[];
const INVALID: &[&str] = &["fail login manifest manifest_invalid"];
/// The configuration is the blob that is read.
const INVALID_CONFIG: &[&str] = &["fail data blob manifest_invalid"];
/// It is pulled, and cannot run.
const MISMATCH: &[&str] = &["warn login manifest platform_mismatch"];

const COPIES: &str = "skopeo copies, and unpacks nothing";
const NOT_UNPACKED: &str = "containerd 2 pulls what is no image for this platform, unpacked or not; 1.6 and 1.7 refuse it, and no container runs";

/// The state of an odd image, by its tag. Clients have many words for what they refuse: that they do is what counts.
macro_rules! odd {
    ($tag:literal, $told:expr) => {
        State {
            image: |lab: &Lab| lab.image_of(ODD, concat!(":", $tag)),
            ..state(concat!("odd image: ", $tag)).tells($told).each_says([
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
            .differs_from(&[Client::Skopeo], "skopeo reads no configuration over 4 MiB"),
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
            "containerd 2 alone reads the features that a platform needs",
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
