//! What follows from path checks: results of broken paths, and whole checks after a recovery.

use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

use super::{Compared, Paths};
use crate::address::{AddressPolicy, ExpectedAddresses};
use crate::cause::Cause;
use crate::config::ImageConfig;
use crate::diagnosis::Diagnosis;
use crate::findings::Comparisons;
use crate::observation::{Endpoint, Mark, Observation, Stage};
use crate::run::{CheckRun, Extent, ImageResult, NetworkView};
use crate::verdict::Verdict;

const IMAGES: [&str; 2] = ["contoso.azurecr.io/apps/canary:1", "fabrikam.azurecr.io/apps/canary:1"];

fn at(minute: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute)
}

fn paths() -> Paths {
    let image = |image: &str| ImageConfig {
        image: image.parse().expect("a reference"),
        name: None,
        credentials: None,
        expected: Vec::new(),
        expected_addresses: ExpectedAddresses::default(),
        data_endpoints: Vec::new(),
    };
    Paths::of(&IMAGES.map(image))
}

/// A run of both images, with the cause of each failure.
fn run(extent: Extent, minute: i64, causes: [Option<Cause>; 2]) -> CheckRun {
    let checked = |(image, cause): (&str, Option<Cause>)| ImageResult {
        started_at: at(minute),
        extent,
        image: image.parse().expect("a reference"),
        name: None,
        blob_requested: true,
        policy: AddressPolicy::default(),
        observation: Observation {
            marks: vec![Mark { endpoint: Endpoint::Login, stage: Stage::Connect, duration: Duration::ZERO }],
            ..Observation::default()
        },
        comparisons: Comparisons::default(),
        diagnoses: cause.into_iter().map(diagnosis).collect(),
    };
    CheckRun {
        node: "node".to_owned(),
        network_view: NetworkView::Node,
        node_files: None,
        started_at: at(minute),
        duration: Duration::ZERO,
        configuration: Some("sha256:1".to_owned()),
        images: IMAGES.into_iter().zip(causes).map(checked).collect(),
    }
}

fn diagnosis(cause: Cause) -> Diagnosis {
    let stage = if cause == Cause::CredentialsRejected { Stage::Token } else { Stage::Connect };
    Diagnosis {
        cause,
        severity: cause.severity(),
        stage,
        endpoint: Endpoint::Login,
        message: "Something is wrong.".to_owned(),
        remedy: "Fix it.".to_owned(),
        commands: Vec::new(),
        correlation_id: None,
    }
}

const TIMEOUT: Option<Cause> = Some(Cause::ConnectTimeout);
const REJECTED: Option<Cause> = Some(Cause::CredentialsRejected);

/// Verdict, minute of the check and extent of each image.
fn results(run: &CheckRun) -> Vec<(Verdict, Timestamp, Extent)> {
    run.images.iter().map(|checked| (checked.verdict(), checked.started_at, checked.extent)).collect()
}

#[test]
fn a_broken_path_is_the_result_of_its_image_and_of_no_other() {
    let mut paths = paths();
    let whole = run(Extent::Whole, 0, [None, REJECTED]);
    paths.adopt(&whole);
    let open = paths.compare(&run(Extent::Path, 1, [None, None]), Some(&whole));
    assert!(open.broken.is_none() && !open.has_recovered, "an open path is no result: {open:?}");
    let broken = paths.compare(&run(Extent::Path, 2, [TIMEOUT, None]), Some(&whole));
    let broken = broken.broken.expect("a result");
    assert_eq!(
        results(&broken),
        [(Verdict::Fail, at(2), Extent::Path), (Verdict::Fail, at(0), Extent::Whole)]
    );
    assert!(broken.has_checked(&broken.images[0]) && !broken.has_checked(&broken.images[1]));
    let again = paths.compare(&run(Extent::Path, 3, [TIMEOUT, None]), Some(&broken));
    assert_eq!(results(&again.broken.expect("it persists"))[0].1, at(3), "each path check confirms it");
}

#[test]
fn one_whole_check_follows_a_recovery() {
    let mut paths = paths();
    let whole = run(Extent::Whole, 0, [None, None]);
    paths.adopt(&whole);
    let broken = paths.compare(&run(Extent::Path, 1, [TIMEOUT, None]), Some(&whole)).broken;
    let mut look = |minute, causes| paths.compare(&run(Extent::Path, minute, causes), broken.as_ref());
    let Compared { broken, has_recovered, statuses } = look(2, [None, None]);
    assert!(has_recovered && broken.is_none() && statuses[0].has_recovered() && !statuses[1].has_recovered());
    let later = look(3, [None, None]);
    assert!(!later.has_recovered, "it is planned once");
    assert!(later.statuses[0].has_recovered(), "and not yet confirmed");
    assert!(!look(4, [TIMEOUT, None]).has_recovered);
    assert!(look(5, [None, None]).has_recovered);
    paths.adopt(&run(Extent::Whole, 6, [None, None]));
    let confirmed = paths.compare(&run(Extent::Path, 7, [None, None]), None);
    assert!(!confirmed.has_recovered && !confirmed.statuses[0].has_recovered());
}

#[test]
fn images_without_a_result_of_the_same_configuration_are_left_out() {
    let found = run(Extent::Path, 1, [TIMEOUT, None]);
    let of =
        |latest: Option<&CheckRun>| paths().compare(&found, latest).broken.expect("a result").images.len();
    assert_eq!(of(None), 1, "before the first whole check");
    let mut other = run(Extent::Whole, 0, [None, None]);
    assert_eq!(of(Some(&other)), 2);
    other.configuration = Some("sha256:2".to_owned());
    assert_eq!(of(Some(&other)), 1);
}
