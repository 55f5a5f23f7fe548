//! Manifests, indexes and configurations as containerd accepts or rejects them, each by a tag of the lab's odd images.

use super::{Bench, Case, case};
use lab::answers::ManifestFault;
use lab::content::{OCI_INDEX, OCI_MANIFEST};
use lab::oddities::ODD;

const INVALID: &[&str] = &["fail login manifest manifest_invalid"];
/// The configuration is the blob read by the check.
const INVALID_CONFIG: &[&str] = &["fail data blob manifest_invalid"];
const MISMATCH: &[&str] = &["warn login manifest platform_mismatch"];

pub(super) fn odd(bench: &mut Bench, tag: &str) {
    bench.task.image = bench.lab.image_of(ODD, &format!(":{tag}")).parse().expect("a reference");
}

fn tag(tag: &'static str, expected: &[&str]) -> Case {
    case(format!("odd image {tag}"), |_| {}, expected).adjust(move |bench| odd(bench, tag))
}

fn typed(media_type: &'static str, expected: &[&str]) -> Case {
    let fault = ManifestFault::Typed(media_type);
    case(format!("{fault:?}"), move |settings| settings.manifest.answer = fault.into(), expected)
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        tag("usual", &[]),
        tag("docker-config", &[]),
        tag("null-layers", &[]),
        tag("no-layers", &[]),
        tag("null-annotation", &[]),
        tag("null-everything", &[]),
        tag("capitals", &[]),
        tag("large-config", &[]),
        tag("huge-config", &[]),
        tag("half-a-platform", &[]),
        tag("no-named-platform", &[]),
        tag("no-operating-system", &[]),
        tag("helm", INVALID),
        tag("artifact", INVALID),
        tag("octet-stream-config", &[]),
        tag("manifests-too", INVALID),
        tag("index-by-its-body", INVALID),
        tag("schema-1-too", INVALID),
        tag("number-as-annotation", INVALID),
        tag("empty-layer", INVALID),
        tag("config-too", INVALID),
        tag("wrong-size", INVALID),
        tag("entry-of-json", INVALID),
        tag("features", &["fail login manifest platform_missing"]),
        tag("config-not-json", INVALID_CONFIG),
        tag("config-of-wrong-types", INVALID_CONFIG),
        tag("fewer-diff-ids", INVALID_CONFIG),
        tag("more-diff-ids", INVALID_CONFIG),
        tag("large-config-without-layers", INVALID_CONFIG),
        tag("signature", INVALID_CONFIG),
        tag("foreign", MISMATCH),
        tag("no-platform", MISMATCH),
        tag("mislabelled", MISMATCH),
        // containerd rejects the pull once it has the configuration.
        tag("no-named-platform-and-foreign", &["fail data blob platform_missing"]),
        typed("application/json", INVALID),
        typed("text/plain", INVALID),
        typed("", INVALID),
        typed("application/octet-stream", INVALID),
        typed(OCI_MANIFEST, INVALID),
        typed("Application/vnd.oci.image.index.v1+json", INVALID),
        typed("application/vnd.oci.image.index.v1+json; charset=utf-8", &[]),
        typed(OCI_INDEX, &[]),
        typed("text/html", &["fail login manifest not_a_registry"]),
    ]
}

/// Messages locate the fault in a document and show the platform.
#[test]
fn messages_locate_the_fault_in_a_document() {
    for (tag, words) in [
        ("helm", "config.mediaType is application/vnd.cncf.helm.config.v1+json, which is not"),
        ("number-as-annotation", "annotations has an entry that is a number, expected a string"),
        ("manifests-too", "manifests is only valid in an index"),
        ("wrong-size", "1 bytes, but it has "),
        ("entry-of-json", "its media type is application/json, expected"),
        ("config-not-json", "The configuration of contoso.azurecr.io"),
        ("config-not-json", "it is not JSON (line 1, column 2)"),
        ("config-of-wrong-types", "config.Cmd is a string, expected a list"),
        ("signature", "rootfs.diff_ids has 1 entries, the manifest 0 layers"),
        ("no-platform", "its configuration names no platform, and containerd does not compare it"),
        ("foreign", "its configuration names linux/s390x, and containerd does not compare it"),
    ] {
        let mut bench = Bench::healthy();
        odd(&mut bench, tag);
        let outcome = bench.check();
        let message = &outcome.diagnoses[0].message;
        assert!(message.contains(words), "{tag}: {message}");
    }
}

#[test]
fn the_report_has_the_platform_of_an_image_that_cannot_run() {
    let mut bench = Bench::healthy();
    odd(&mut bench, "foreign");
    let outcome = bench.check();
    let manifest = outcome.observation.manifest.as_ref().expect("a manifest");
    assert_eq!(manifest.platform.as_deref(), Some("linux/s390x"));
    assert!(outcome.observation.blob.is_some(), "the pull was tested to its end");
}
