//! Stage durations: complete, without the time of other stages, and counted once.

use std::time::Duration;

use super::Bench;
use acr_verifier::observation::{Endpoint, Stage};
use lab::answers::{Canned, Delivery, RedirectFault, Step};

const DELAY: Duration = Duration::from_millis(400);

fn blob_took(bench: &Bench) -> Duration {
    let marks = bench.check().observation.marks;
    let is_blob = |mark: &&acr_verifier::observation::Mark| {
        mark.endpoint == Endpoint::Data && mark.stage == Stage::Blob
    };
    marks.iter().find(is_blob).expect("the stage was reached").duration
}

#[test]
fn a_blob_served_by_the_login_server_is_timed_once() {
    let bench = Bench::with(|settings| {
        settings.blob_redirect.answer = RedirectFault::ServedDirectly.into();
        settings.deliver(Step::BlobRedirect, Delivery::Delayed(DELAY));
    });
    let took = blob_took(&bench);
    assert!(took >= DELAY && took < DELAY * 2, "{took:?}");
}

#[test]
fn the_duration_of_a_rejected_blob_includes_the_redirect() {
    let bench = Bench::with(|settings| {
        settings.deliver(Step::BlobRedirect, Delivery::Delayed(DELAY));
        settings.answer(Step::Blob, Canned::StorageNotFound);
    });
    let took = blob_took(&bench);
    assert!(took >= DELAY && took < DELAY * 2, "{took:?}");
}

#[test]
fn the_duration_of_a_blob_has_both_requests_without_connecting() {
    let bench = Bench::with(|settings| {
        settings.deliver(Step::BlobRedirect, Delivery::Delayed(DELAY));
        settings.deliver(Step::Blob, Delivery::Delayed(DELAY));
    });
    let took = blob_took(&bench);
    assert!(took >= DELAY * 2 && took < DELAY * 3, "{took:?}");
}
