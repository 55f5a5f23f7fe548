//! Faults in the registry's responses.

use super::{Fault, fault};
use lab::answers::{
    BlobFault, Canned, ChallengeFault, FirewallWording, ManifestFault, RedirectFault, RetryAfter, Step,
    Target, TokenFault,
};
use lab::settings::Grant;

type Causes = &'static [&'static str];

const FOREIGN: Causes = &["not_a_registry"];
/// A long manifest may still be in transfer when the per-stage timeout elapses.
const LONG: Causes = &["manifest_invalid", "response_timeout"];

/// Returns all of them.
pub(super) fn all() -> Vec<Fault> {
    let mut faults = anywhere();
    faults.extend(of_the_token());
    faults.extend(of_the_content());
    faults
}

/// Returns the responses that fit any step, each at two steps.
fn anywhere() -> Vec<Fault> {
    let canned = [
        Canned::Unauthorized,
        Canned::InvalidClient,
        Canned::Firewall(FirewallWording::Refer),
        Canned::PermissionsFailed,
        Canned::StorageForbidden,
        Canned::NameUnknown,
        Canned::ManifestUnknown,
        Canned::BlobUnknown,
        Canned::StorageNotFound,
        Canned::Throttled(RetryAfter::Seconds(1)),
        Canned::ServerError(503),
        Canned::BadGateway,
        Canned::CaptivePortal,
        Canned::ProxyForbidden,
    ];
    let mut faults = Vec::new();
    for (number, canned) in canned.into_iter().enumerate() {
        for step in [Step::ALL[number % 5], Step::ALL[(number + 2) % 5]] {
            let (causes, canned) = (of_canned(&canned, step), canned.clone());
            let fault = fault(format!("{canned:?} at {step:?}"), causes, move |settings| {
                settings.answer(step, canned.clone());
            });
            // The HEAD was refused, and the GET for the words of its error no longer is.
            faults.push(Fault { in_passing: FOREIGN, ..fault });
        }
    }
    faults
}

fn of_canned(canned: &Canned, step: Step) -> Causes {
    match (canned, step) {
        (Canned::Unauthorized | Canned::InvalidClient, Step::Challenge) => FOREIGN,
        (Canned::Unauthorized | Canned::InvalidClient, Step::Exchange) => &["pull_role_missing"],
        (Canned::Unauthorized | Canned::InvalidClient, Step::Token) => &["credentials_rejected"],
        (Canned::Unauthorized | Canned::InvalidClient, Step::Manifest | Step::BlobRedirect) => {
            &["registry_error"]
        }
        (
            Canned::Unauthorized
            | Canned::InvalidClient
            | Canned::Firewall(_)
            | Canned::PermissionsFailed
            | Canned::StorageForbidden,
            Step::Blob,
        ) => &["blob_denied"],
        (Canned::Firewall(_), _) => &["access_denied"],
        (Canned::PermissionsFailed, _) => &["registry_error"],
        // A registry does not return storage's error text.
        (Canned::StorageForbidden, _) => FOREIGN,
        (
            Canned::StorageNotFound,
            Step::Challenge | Step::Exchange | Step::Token | Step::Manifest | Step::BlobRedirect,
        ) => FOREIGN,
        (Canned::NameUnknown, Step::Manifest) => &["repository_not_found"],
        (Canned::ManifestUnknown, Step::Manifest) => &["manifest_not_found"],
        (
            Canned::NameUnknown | Canned::ManifestUnknown | Canned::BlobUnknown | Canned::StorageNotFound,
            Step::BlobRedirect | Step::Blob,
        ) => &["blob_not_found"],
        // An error code of another step.
        (Canned::NameUnknown | Canned::ManifestUnknown | Canned::BlobUnknown, _) => &["registry_error"],
        (Canned::Throttled(_), _) => &["throttled"],
        (Canned::ServerError(_), _) => &["registry_error"],
        (Canned::BadGateway | Canned::CaptivePortal | Canned::ProxyForbidden, _) => FOREIGN,
        (Canned::Empty(_) | Canned::Redirect { .. } | Canned::Raw { .. }, _) => &[],
    }
}

fn of_the_token() -> Vec<Fault> {
    let mut faults = vec![
        fault("the password is another", &["credentials_rejected"], |settings| {
            settings.credentials.password = "the-next-password".into();
        }),
        fault("no pull", &["scope_missing"], |settings| {
            settings.credentials.grant = Grant::Repositories(vec!["apps/other".into()]);
        }),
    ];
    let realm: Causes = &["untrusted_realm"];
    let challenges: [(ChallengeFault, Causes); 9] = [
        (ChallengeFault::HeaderMissing, FOREIGN),
        (ChallengeFault::BasicOnly, FOREIGN),
        (ChallengeFault::Unparsable, FOREIGN),
        (ChallengeFault::OverLong, FOREIGN),
        (ChallengeFault::RealmMissing, FOREIGN),
        (ChallengeFault::RealmUnparsable, realm),
        (ChallengeFault::RealmOtherHost, realm),
        (ChallengeFault::RealmPlainHttp, realm),
        // The token service issues no token for another registry's service name.
        (ChallengeFault::ServiceOther, &["credentials_rejected", "token_refused", "not_a_registry"]),
    ];
    faults.extend(challenges.map(|(found, causes)| {
        fault(format!("{found:?}"), causes, move |settings| settings.challenge.answer = found.clone().into())
    }));
    let tokens: [(TokenFault, Causes); 8] = [
        (TokenFault::NotJson, FOREIGN),
        (TokenFault::NoToken, FOREIGN),
        (TokenFault::Empty, FOREIGN),
        (TokenFault::OverLong, FOREIGN),
        (TokenFault::LineBreak, FOREIGN),
        (TokenFault::WithoutPull, &["scope_missing"]),
        (TokenFault::Expired, &["token_refused"]),
        (TokenFault::BadSignature, &["token_refused"]),
    ];
    faults.extend(tokens.map(|(found, causes)| {
        fault(format!("token {found:?}"), causes, move |settings| settings.token.answer = found.into())
    }));
    faults
}

fn of_the_content() -> Vec<Fault> {
    let mut faults = Vec::new();
    // Changed content fails its digest before it is parsed; its media type is known before it is fetched.
    let changed: Causes = &["digest_mismatch"];
    let other_type: Causes = &["manifest_invalid"];
    let manifests: [(ManifestFault, Causes); 11] = [
        (ManifestFault::WrongBytes, changed),
        (ManifestFault::OtherContent, changed),
        (ManifestFault::Schema1, other_type),
        (ManifestFault::NotJson, changed),
        (ManifestFault::OverLong, LONG),
        (ManifestFault::DeeplyNested, changed),
        (ManifestFault::HugeIndex, changed),
        (ManifestFault::EmptyIndex, changed),
        (ManifestFault::NoLayers, changed),
        (ManifestFault::UnknownMediaType, other_type),
        (ManifestFault::Html, changed),
    ];
    faults.extend(manifests.map(|(found, causes)| {
        let fault = fault(format!("manifest {found:?}"), causes, move |settings| {
            settings.manifest.answer = found.into();
        });
        // The tag was resolved before, and announced another size or type.
        Fault { in_passing: &["manifest_invalid", "digest_mismatch"], ..fault }
    }));
    let untrusted: Causes = &["untrusted_redirect"];
    let redirects: [(RedirectFault, Causes); 7] = [
        (RedirectFault::Target(Target::PlainHttp), untrusted),
        (RedirectFault::Target(Target::ForeignHost), untrusted),
        (RedirectFault::Target(Target::Metadata), untrusted),
        (RedirectFault::Target(Target::Itself), untrusted),
        (RedirectFault::NoLocation, FOREIGN),
        (RedirectFault::Unparsable, FOREIGN),
        // The data endpoint rejects a request of that size.
        (RedirectFault::OverLong, &["connection_reset"]),
    ];
    faults.extend(redirects.map(|(found, causes)| {
        fault(format!("redirect {found:?}"), causes, move |settings| {
            settings.blob_redirect.answer = found.clone().into();
        })
    }));
    let blobs: [(BlobFault, Causes); 5] = [
        (BlobFault::WrongBytes, changed),
        (BlobFault::MoreBytes, changed),
        (BlobFault::FewerBytes, changed),
        (BlobFault::Empty, changed),
        (BlobFault::SignatureRefused, &["blob_denied"]),
    ];
    faults.extend(blobs.map(|(found, causes)| {
        fault(format!("blob {found:?}"), causes, move |settings| settings.blob.answer = found.into())
    }));
    faults
}
