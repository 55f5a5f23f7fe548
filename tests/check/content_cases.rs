//! Manifests, redirects and blobs.

use std::time::Duration;

use super::{Bench, Case, case};
use lab::answers::{BlobFault, Canned, ManifestFault, RedirectFault, Step, Target};

fn manifest(fault: ManifestFault, expected: &[&str]) -> Case {
    case(format!("{fault:?}"), move |settings| settings.manifest.answer = fault.into(), expected)
}

/// The same, requested by digest.
fn manifest_by_digest(fault: ManifestFault, expected: &[&str]) -> Case {
    case(format!("{fault:?} by digest"), move |settings| settings.manifest.answer = fault.into(), expected)
        .adjust(by_digest)
}

fn by_digest(bench: &mut Bench) {
    let digest = bench.lab.digest("1");
    bench.image(&format!("@{digest}"));
}

/// Allows more time: megabytes are slow in a build without optimisation.
pub(super) fn patient(bench: &mut Bench) {
    bench.task.stage_timeout = Duration::from_secs(20);
    bench.task.timeout = Duration::from_secs(60);
}

fn redirect(fault: RedirectFault, expected: &[&str]) -> Case {
    case(format!("{fault:?}"), move |settings| settings.blob_redirect.answer = fault.clone().into(), expected)
}

fn target(target: Target, expected: &[&str]) -> Case {
    redirect(RedirectFault::Target(target), expected)
}

fn blob(fault: BlobFault, expected: &[&str]) -> Case {
    case(format!("{fault:?}"), move |settings| settings.blob.answer = fault.into(), expected)
}

fn image(reference: &'static str, expected: &[&str]) -> Case {
    case(format!("image {reference}"), |_| {}, expected).adjust(move |bench| bench.image(reference))
}

fn answer(step: Step, canned: Canned, expected: &[&str]) -> Case {
    case(format!("{canned:?} at {step:?}"), move |settings| settings.answer(step, canned.clone()), expected)
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(images());
    cases.extend(manifests());
    cases.extend(redirects());
    cases.extend(blobs());
    cases
}

fn images() -> Vec<Case> {
    let absent = "@sha256:0000000000000000000000000000000000000000000000000000000000000000";
    let missing = &["fail login manifest manifest_not_found"];
    vec![
        image(":single", &[]),
        image(":nested", &[]),
        image(":foreign", &["fail login manifest platform_missing"]),
        image(":absent", missing),
        image("", &[]),
        image(absent, missing),
        case("by digest", |_| {}, &[]).adjust(by_digest),
        case("by digest, whatever the tag", |_| {}, &[]).adjust(|bench| {
            let digest = bench.lab.digest("1");
            bench.image(&format!(":absent@{digest}"));
        }),
        case("absent repository", |_| {}, &["fail login manifest repository_not_found"]).adjust(|bench| {
            bench.task.image = bench.lab.image_of("apps/absent", ":1").parse().expect("a reference");
        }),
        on_amd64(":newer", &["fail login manifest platform_missing"]),
        on_amd64(":older", &[]),
        case("another node's platform", |_| {}, &["fail login manifest platform_missing"]).adjust(|bench| {
            bench.task.platform = acr_verifier::probe::Platform::linux("riscv64");
        }),
        case("another node's platform, no index", |_| {}, &["warn login manifest platform_mismatch"]).adjust(
            |bench| {
                bench.image(":single");
                bench.task.platform = acr_verifier::probe::Platform::linux("riscv64");
            },
        ),
    ]
}

fn on_amd64(reference: &'static str, expected: &[&str]) -> Case {
    image(reference, expected).adjust(move |bench| {
        bench.image(reference);
        bench.task.platform = acr_verifier::probe::Platform::linux("x86_64");
    })
}

fn manifests() -> Vec<Case> {
    let invalid = &["fail login manifest manifest_invalid"];
    let mismatch = &["fail login manifest digest_mismatch"];
    let untrusted = &["fail login manifest untrusted_redirect"];
    vec![
        manifest(ManifestFault::WrongBytes, mismatch),
        manifest_by_digest(ManifestFault::WrongBytes, mismatch),
        manifest_by_digest(ManifestFault::OtherContent, mismatch),
        manifest(ManifestFault::DigestHeaderMissing, &[]),
        manifest(ManifestFault::DigestHeaderMalformed, invalid),
        manifest(ManifestFault::Schema1, invalid),
        manifest(ManifestFault::NotJson, invalid),
        manifest(ManifestFault::OverLong, invalid).adjust(patient),
        manifest(ManifestFault::DeeplyNested, invalid),
        manifest(ManifestFault::NoLayers, invalid),
        manifest(ManifestFault::UnknownMediaType, invalid),
        manifest(ManifestFault::EmptyIndex, &["fail login manifest platform_missing"]),
        manifest(ManifestFault::HugeIndex, &["fail login manifest platform_missing"]).adjust(patient),
        manifest(ManifestFault::Html, invalid),
        answer(Step::Manifest, Canned::Redirect { status: 307, target: Target::DataEndpoint }, untrusted),
        answer(Step::Manifest, Canned::Redirect { status: 302, target: Target::ForeignHost }, untrusted),
        answer(
            Step::Token,
            Canned::Redirect { status: 307, target: Target::ForeignHost },
            &["fail login token untrusted_redirect"],
        ),
        answer(Step::Manifest, Canned::Unauthorized, &["fail login manifest registry_error"]),
        answer(Step::Manifest, Canned::NameUnknown, &["fail login manifest repository_not_found"]),
    ]
}

fn redirects() -> Vec<Case> {
    let untrusted = &["fail data blob untrusted_redirect"];
    vec![
        target(Target::DataEndpointOldForm, &[]),
        target(Target::PlainHttp, untrusted),
        target(Target::OtherPort, untrusted),
        target(Target::Loopback, untrusted),
        target(Target::Metadata, untrusted),
        target(Target::DataAddress, untrusted),
        target(Target::ForeignHost, untrusted),
        target(Target::Lookalike, untrusted),
        target(Target::UserInfo, untrusted),
        target(Target::OtherRegistry, untrusted),
        target(Target::Itself, untrusted),
        target(Target::BlobStorage, &["fail data blob data_endpoint_disabled"]),
        target(Target::Region("northeurope"), &["fail data dns name_not_found"]),
        redirect(RedirectFault::Status(302), &[]),
        redirect(RedirectFault::NoLocation, &["fail data blob not_a_registry"]),
        redirect(RedirectFault::Unparsable, &["fail data blob not_a_registry"]),
        redirect(RedirectFault::ServedDirectly, &[]),
        answer(Step::Blob, Canned::Redirect { status: 307, target: Target::DataEndpoint }, untrusted),
        answer(Step::Blob, Canned::Redirect { status: 307, target: Target::Itself }, untrusted),
        answer(Step::Blob, Canned::Redirect { status: 302, target: Target::BlobStorage }, untrusted),
        case(
            "data path not requested",
            |settings| settings.data.transport = lab::settings::Transport::Closed,
            &[],
        )
        .adjust(|bench| bench.task.blob = false),
    ]
}

fn blobs() -> Vec<Case> {
    let mismatch = &["fail data blob digest_mismatch"];
    let denied = &["fail data blob blob_denied"];
    let absent = &["fail data blob blob_not_found"];
    vec![
        blob(BlobFault::WrongBytes, mismatch),
        blob(BlobFault::MoreBytes, mismatch),
        blob(BlobFault::FewerBytes, mismatch),
        blob(BlobFault::Empty, mismatch),
        blob(BlobFault::SignatureRefused, denied),
        answer(Step::Blob, Canned::StorageForbidden, denied),
        answer(Step::Blob, Canned::Unauthorized, denied),
        answer(Step::Blob, Canned::StorageNotFound, absent),
        answer(Step::Blob, Canned::BlobUnknown, absent),
        answer(Step::BlobRedirect, Canned::BlobUnknown, absent),
        answer(Step::BlobRedirect, Canned::Unauthorized, &["fail data blob registry_error"]),
    ]
}
