//! Announcements for sequences of checks.

use crate::address::AddressPolicy;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::{Change, Debouncer, RENEW_AFTER};
use crate::cause::Cause;
use crate::diagnosis::Diagnosis;
use crate::findings::Comparisons;
use crate::observation::{Endpoint, Mark, Observation, Stage};
use crate::run::{Extent, ImageResult};
use crate::verdict::Severity;

/// A check with this result: `.` pass, `w` warn, `?` unknown, `a` and `b` failures of two causes.
fn checked(letter: char) -> ImageResult {
    let diagnosis = |cause: Cause| Diagnosis {
        cause,
        severity: cause.severity(),
        stage: Stage::Dns,
        endpoint: Endpoint::Login,
        message: "Something is wrong.".to_owned(),
        remedy: "Fix it.".to_owned(),
        commands: Vec::new(),
        correlation_id: None,
    };
    let diagnoses = match letter {
        'w' => vec![diagnosis(Cause::NameserverFailing)],
        '?' => vec![diagnosis(Cause::Throttled)],
        'a' => vec![diagnosis(Cause::DnsTimeout)],
        'b' => vec![diagnosis(Cause::NameNotFound)],
        _ => Vec::new(),
    };
    let mark = Mark { endpoint: Endpoint::Login, stage: Stage::Dns, duration: Duration::ZERO };
    ImageResult {
        started_at: Timestamp::UNIX_EPOCH,
        is_kept: false,
        extent: Extent::Whole,
        image: "contoso.azurecr.io/apps/canary:1".parse().expect("a reference"),
        name: None,
        blob_requested: true,
        policy: AddressPolicy::default(),
        observation: Observation { marks: vec![mark], ..Observation::default() },
        comparisons: Comparisons::default(),
        diagnoses,
    }
}

/// The announcement after each of the checks, a minute apart: `A` or `B` failing, `R` renewed, `V` verified, `.` nothing.
fn announced(checks: &str, confirm_after: u32) -> String {
    let mut debouncer = Debouncer::default();
    let mut now = Timestamp::UNIX_EPOCH;
    let mut sequence = String::new();
    for letter in checks.chars() {
        now += SignedDuration::from_mins(1);
        sequence.push(
            match debouncer.step(&checked(letter), confirm_after, now).map(|announcement| announcement.change)
            {
                None => '.',
                Some(Change::Verified) => 'V',
                Some(Change::StillFailing(_)) => 'R',
                Some(Change::Failing(diagnosis)) if diagnosis.cause == Cause::DnsTimeout => 'A',
                Some(Change::Failing(_)) => 'B',
            },
        );
    }
    sequence
}

#[test]
fn failures_are_confirmed_recovery_is_immediate_and_flapping_is_silent() {
    for (checks, confirm_after, expected) in [
        ("....", 2, "V..."),
        ("w.w.", 2, "V..."),
        ("????", 2, "...."),
        ("aaaa", 2, ".A.."),
        ("aaaa", 1, "A..."),
        ("aaaa", 3, "..A."),
        (".aa.", 2, "V.AV"),
        (".aaw", 2, "V.AV"),
        (".a.a.a.", 2, "V......"),
        ("ab", 2, ".B"),
        (".a?a", 2, "V..A"),
        ("aa?a", 2, ".A.."),
        ("aabb", 2, ".A.B"),
        ("aabababab", 2, ".A......."),
        ("aaba", 2, ".A.."),
        ("aaba.", 2, ".A..V"),
        ("aa..aa", 2, ".AV..A"),
    ] {
        assert_eq!(announced(checks, confirm_after), expected, "{checks} confirmed after {confirm_after}");
    }
}

#[test]
fn a_persistent_failure_is_renewed_once_an_hour() {
    let sequence = announced(&"a".repeat(182), 2);
    let renewed: Vec<usize> = sequence.match_indices('R').map(|(minute, _)| minute).collect();
    assert_eq!(renewed, [61, 121, 181]);
    assert_eq!(RENEW_AFTER, Duration::from_secs(3600));
}

proptest! {
    /// For any sequence of checks, each announced failure has exactly one recovery, and nothing is announced twice.
    #[test]
    fn announcements_alternate(checks in "[.w?ab]{0,120}", confirm_after in 1u32..4) {
        let sequence = announced(&checks, confirm_after);
        let mut last = '.';
        for change in sequence.chars().filter(|change| !matches!(change, '.' | 'R')) {
            prop_assert_ne!(change, last, "{} of {}", sequence, checks);
            last = change;
        }
        let severity = checked('a').diagnoses[0].severity;
        prop_assert_eq!(severity, Severity::Fail);
        for (index, change) in sequence.char_indices() {
            match change {
                'V' => prop_assert!(matches!(checks.as_bytes()[index], b'.' | b'w')),
                'A' => prop_assert_eq!(checks.as_bytes()[index], b'a'),
                'B' => prop_assert_eq!(checks.as_bytes()[index], b'b'),
                _ => {}
            }
        }
    }
}
