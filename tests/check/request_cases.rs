//! Request methods, retries, connection reuse and response framing. The expected diagnoses match the behavior of containerd 2.

use std::time::Duration;

use super::{Case, case};
use lab::answers::{BlobFault, Canned, Delivery, RedirectFault, RetryAfter, Step};
use lab::settings::{Post, Reuse, Settings};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = methods();
    cases.extend(repetitions());
    cases.extend(reuse());
    cases.extend(framing());
    cases.extend(redirects());
    cases
}

fn head(canned: Canned, expected: &[&str]) -> Case {
    let name = format!("HEAD is answered {canned:?}");
    case(name, move |settings| settings.methods.head = Some(canned.clone()), expected)
}

fn post(post: Post, expected: &[&str]) -> Case {
    let name = format!("POST is {post:?}");
    case(name, move |settings| settings.methods.post = post.clone(), expected)
}

/// Methods that a proxy may forbid, and those that containerd does not need.
fn methods() -> Vec<Case> {
    let refused = |canned: Canned| Post::Refused(canned);
    vec![
        head(Canned::ProxyForbidden, &["fail login challenge not_a_registry"]),
        head(Canned::Empty(403), &["fail login challenge not_a_registry"]),
        head(Canned::Empty(404), &["fail login challenge not_a_registry"]),
        head(Canned::Empty(501), &["fail login challenge registry_error"]),
        head(Canned::ServerError(503), &["fail login challenge registry_error"]),
        head(Canned::Throttled(RetryAfter::Seconds(5)), &["unknown login challenge throttled"]),
        // GET replaces HEAD only for a registry that does not support HEAD.
        head(Canned::Empty(405), &[]),
        post(Post::Granted, &[]),
        post(Post::Unsupported, &[]),
        post(refused(Canned::Empty(401)), &[]),
        post(refused(Canned::Empty(404)), &[]),
        post(refused(Canned::Empty(405)), &[]),
        post(refused(Canned::ProxyForbidden), &["fail login token not_a_registry"]),
        post(refused(Canned::Throttled(RetryAfter::Seconds(5))), &["unknown login token throttled"]),
        post(refused(Canned::ServerError(503)), &["fail login token registry_error"]),
    ]
}

fn first(step: Step, answers: &[Canned], expected: &[&str]) -> Case {
    let name = format!("first {answers:?} at {step:?}");
    let answers = answers.to_vec();
    case(name, move |settings| settings.answer_first(step, &answers), expected)
}

fn repetitions() -> Vec<Case> {
    let again = Canned::Empty(408);
    let failing = |status: u16| Canned::ServerError(status);
    let mut cases = vec![
        // A token request is not retried.
        first(Step::Token, std::slice::from_ref(&again), &["fail login token registry_error"]),
        first(Step::Manifest, &[failing(500), failing(503)], &[]),
        first(Step::Manifest, &[failing(503), failing(503)], &["fail login manifest registry_error"]),
        first(Step::Manifest, &[failing(502)], &["fail login manifest registry_error"]),
        first(Step::Manifest, &[Canned::Throttled(RetryAfter::None)], &["unknown login manifest throttled"]),
    ];
    for step in [Step::Challenge, Step::Manifest, Step::BlobRedirect, Step::Blob] {
        cases.push(first(step, &[again.clone(), again.clone()], &[]));
        cases.push(first(step, &[failing(503)], &[]));
    }
    cases
}

/// Connections that are closed after a response, as a middlebox closes idle ones.
fn reuse() -> Vec<Case> {
    let ways = [
        Reuse::ClosedAfter(Duration::ZERO),
        Reuse::ClosedAfter(Duration::from_millis(1)),
        Reuse::ClosedAfter(Duration::from_millis(5)),
        Reuse::ClosedAtNext,
        Reuse::ResetAtNext,
    ];
    let with = |way: Reuse| {
        case(format!("reuse: {way:?}"), move |settings: &mut Settings| settings.login.reuse = way, &[])
    };
    ways.into_iter().map(with).collect()
}

fn framing() -> Vec<Case> {
    let mut cases = Vec::new();
    for (step, place) in
        [(Step::Token, "login token"), (Step::Manifest, "login manifest"), (Step::Blob, "data blob")]
    {
        for delivery in [
            Delivery::TwoLengths,
            Delivery::LengthNoNumber,
            Delivery::StatusNoNumber,
            Delivery::HeaderWithoutColon,
            Delivery::ChunkNoNumber,
        ] {
            // The response to a HEAD has no chunks; the following GET has.
            cases.push(case(
                format!("{delivery:?} at {step:?}"),
                move |settings| settings.deliver(step, delivery),
                &[&format!("fail {place} not_a_registry")],
            ));
        }
    }
    cases
}

fn redirects() -> Vec<Case> {
    let via_login = |count: usize, expected: &[&str]| {
        case(
            format!("{count} redirects to the login server itself"),
            move |settings| settings.blob_redirect.answer = RedirectFault::ViaLogin(count).into(),
            expected,
        )
    };
    vec![
        via_login(1, &[]),
        via_login(3, &[]),
        via_login(40, &["fail data blob untrusted_redirect"]),
        case("206 with the whole blob", |settings| settings.blob.answer = BlobFault::WholeAsPart.into(), &[]),
        case(
            "206 with half of the blob",
            |settings| settings.blob.answer = BlobFault::HalfAsPart.into(),
            &["fail data blob digest_mismatch"],
        ),
    ]
}
