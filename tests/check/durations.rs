//! What the report says of the time that a stage took: the stage's own, all of it, once.

use std::time::Duration;

use super::Bench;
use crate::lab::answers::{Canned, Delivery, RedirectFault, Step};
use acr_verifier::observation::{Endpoint, Stage};

const DELAY: Duration = Duration::from_millis(400);

fn blob_took(bench: &Bench) -> Duration {
    let marks = bench.check().observation.marks;
    let is_blob = |mark: &&acr_verifier::observation::Mark| {
        mark.endpoint == Endpoint::Data && mark.stage == Stage::Blob
    };
    marks.iter().find(is_blob).expect("the stage was reached").duration
}

#[test]
fn a_blob_that_the_login_server_serves_itself_is_waited_for_once() {
    let bench = Bench::with(|settings| {
        settings.blob_redirect.answer = RedirectFault::ServedDirectly.into();
        settings.deliver(Step::BlobRedirect, Delivery::Delayed(DELAY));
    });
    let took = blob_took(&bench);
    assert!(took >= DELAY && took < DELAY * 2, "{took:?}");
}

#[test]
fn a_blob_that_is_refused_took_the_redirect_as_well() {
    let bench = Bench::with(|settings| {
        settings.deliver(Step::BlobRedirect, Delivery::Delayed(DELAY));
        settings.answer(Step::Blob, Canned::StorageNotFound);
    });
    let took = blob_took(&bench);
    assert!(took >= DELAY && took < DELAY * 2, "{took:?}");
}

#[test]
fn both_requests_of_a_blob_are_counted_and_connecting_is_not() {
    let bench = Bench::with(|settings| {
        settings.deliver(Step::BlobRedirect, Delivery::Delayed(DELAY));
        settings.deliver(Step::Blob, Delivery::Delayed(DELAY));
    });
    let took = blob_took(&bench);
    assert!(took >= DELAY * 2 && took < DELAY * 3, "{took:?}");
}
