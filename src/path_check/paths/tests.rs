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
        is_kept: false,
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
    paths.adopt(&run(Extent::Whole, 0, [None, REJECTED]).into());
    let open = paths.compare(&run(Extent::Path, 1, [None, None]));
    assert!(open.results.is_none() && !open.needs_whole_check, "an open path is no result: {open:?}");
    let broken = paths.compare(&run(Extent::Path, 2, [TIMEOUT, None])).results.expect("a result");
    assert_eq!(
        results(&broken),
        [(Verdict::Fail, at(2), Extent::Path), (Verdict::Fail, at(0), Extent::Whole)]
    );
    assert_eq!(broken.images.iter().map(|checked| checked.is_kept).collect::<Vec<_>>(), [false, true]);
    let again = paths.compare(&run(Extent::Path, 3, [TIMEOUT, None])).results.expect("it persists");
    assert_eq!(results(&again)[0].1, at(3), "each path check confirms it");
}

#[test]
fn the_result_of_the_last_whole_check_holds_again_once_the_path_is_as_it_was() {
    let mut paths = paths();
    paths.adopt(&run(Extent::Whole, 0, [None, None]).into());
    paths.compare(&run(Extent::Path, 1, [TIMEOUT, None]));
    let Compared { results: restored, needs_whole_check, statuses } =
        paths.compare(&run(Extent::Path, 2, [None, None]));
    let restored = restored.expect("a result");
    assert_eq!(results(&restored)[0], (Verdict::Pass, at(0), Extent::Whole), "as old as it is");
    assert!(restored.images[0].is_kept && !needs_whole_check && !statuses[0].is_outdated);
    assert!(paths.compare(&run(Extent::Path, 3, [None, None])).results.is_none());
}

#[test]
fn one_whole_check_follows_a_path_that_a_whole_check_found_broken() {
    let mut paths = paths();
    paths.adopt(&run(Extent::Whole, 0, [TIMEOUT, None]).into());
    let mut look = |minute, causes| paths.compare(&run(Extent::Path, minute, causes));
    let first = look(1, [None, None]);
    assert!(first.needs_whole_check && first.results.is_none(), "an open path is no pass");
    let later = look(2, [None, None]);
    assert!(!later.needs_whole_check && later.statuses[0].is_outdated, "it is planned once");
    assert!(!look(3, [TIMEOUT, None]).needs_whole_check);
    assert!(look(4, [None, None]).needs_whole_check);
    paths.adopt(&run(Extent::Whole, 5, [None, None]).into());
    assert!(!paths.compare(&run(Extent::Path, 6, [None, None])).statuses[0].is_outdated);
}

/// A redirect decides which data endpoint a pull uses, and only a whole check gets one.
#[test]
fn a_data_endpoint_that_cannot_be_reached_needs_a_whole_check() {
    let mut paths = paths();
    paths.adopt(&data(run(Extent::Whole, 0, [None, None])).into());
    let mut found = data(run(Extent::Path, 1, [TIMEOUT, None]));
    for diagnosis in &mut found.images[0].diagnoses {
        diagnosis.endpoint = Endpoint::Data;
    }
    let Compared { results, needs_whole_check, statuses } = paths.compare(&found);
    assert!(results.is_none() && needs_whole_check);
    assert!(statuses[0].is_outdated && statuses[0].causes == [Cause::ConnectTimeout]);
}

/// The same run, which reached the data endpoint.
fn data(mut run: CheckRun) -> CheckRun {
    for checked in &mut run.images {
        let mark = Mark { endpoint: Endpoint::Data, stage: Stage::Connect, duration: Duration::ZERO };
        checked.observation.marks.push(mark);
    }
    run
}

#[test]
fn images_without_a_result_are_left_out() {
    let mut paths = paths();
    let broken = paths.compare(&run(Extent::Path, 1, [TIMEOUT, None])).results.expect("a result");
    assert_eq!(broken.images.len(), 1, "before the first whole check");
}
