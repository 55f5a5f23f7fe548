//! Calculates when the next check is due.
//!
//! Owns the spread of a fleet, the stretching of the interval, jitter and back-off; [`timetable`] decides which of several
//! reasons for a check comes first. Pure: the node name, a random number, the time and Retry-After are arguments.

pub mod demand;
pub mod timetable;

use std::collections::BTreeMap;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::config::{CredentialsConfig, ImageConfig, Schedule};

pub use demand::{Postponed, Reason};
pub use timetable::{CheckFeedback, Timetable};

/// Requests to the registry per image check with credentials from a file, as containerd makes them: the tag without
/// credentials, two for the token, the tag with it, index, manifest, redirect of the blob, blob. A nested index adds one.
///
/// A Premium registry allows 20,000 reads and 20,000 token requests a minute (Azure's documented limits). The default
/// budget of 4,000 a minute is a fifth of either and counts all eight together, so the actual share is smaller.
pub const REQUESTS_PER_IMAGE: u32 = 8;
/// The same with an identity, whose token is exchanged first.
pub const REQUESTS_WITH_IDENTITY: u32 = REQUESTS_PER_IMAGE + 1;
/// The longest back-off from a throttled registry, in intervals,
const MAX_BACK_OFF: u32 = 8;
/// and as a time: as many whole intervals as fit, at least one. A stretched interval already spares the registry. Whole
/// intervals keep a fleet evenly spread: once the throttling ends, no two rounds of checks overlap.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(15 * 60);
/// Events about failures that a whole fleet writes a minute, at most. A single kubelet may write 50 a second (`eventRecordQPS`).
const EVENTS_PER_MINUTE: u32 = 2500;
/// A change of files triggers a check within this time, if no fleet has to be spread.
const AFTER_CHANGE: Duration = Duration::from_secs(5);
/// The first check starts within this time, if no fleet has to be spread.
const AFTER_START: Duration = Duration::from_secs(10);

/// The pace of an agent, derived from the schedule and the images.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Between two checks: as configured, or longer if the fleet's budget requires it.
    pub interval: Duration,
    /// Share of the interval by which it varies, 0 to 1.
    pub jitter: f64,
    /// The window after a change of files in which a check starts, spread at random. Absent if the regular checks use the
    /// whole budget: the next regular check then covers the change.
    pub after_change: Option<Duration>,
    /// The window after the start in which the first check starts, spread by node name. Absent if a fleet size is set: such
    /// a fleet starts at once after an update, so the first check is the regular one.
    pub after_start: Option<Duration>,
    /// Between two path checks; absent if whole checks are at least as frequent.
    pub path: Option<Duration>,
}

impl Pace {
    /// Returns the pace for this many requests to one registry, see [`requests_of_a_round`].
    #[must_use]
    pub fn of(schedule: &Schedule, requests: u32) -> Self {
        let interval = interval(schedule, requests);
        let after_start = schedule.fleet_size.is_none().then_some(AFTER_START);
        let after_change = match round(schedule, requests) {
            None => Some(AFTER_CHANGE),
            // Regular checks continue in addition to those after a change. Rates add up: regular checks leave
            // 1/round - 1/interval of the budget.
            Some(round) => {
                let left = 1.0 / round.as_secs_f64() - 1.0 / interval.as_secs_f64();
                let window = Duration::try_from_secs_f64(1.0 / left).ok().filter(|_| left > 0.0);
                window.map(|window| window.max(AFTER_CHANGE))
            }
        };
        let path = (schedule.path_interval < interval).then_some(schedule.path_interval);
        Self { interval, jitter: schedule.jitter, after_change, after_start, path }
    }
}

/// Returns the requests with which a node checks all images of the registry that gets the most: limits apply per registry,
/// not to all together.
#[must_use]
pub fn requests_of_a_round(images: &[ImageConfig]) -> u32 {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for image in images {
        *counts.entry(image.image.registry()).or_default() += match &image.credentials {
            None | Some(CredentialsConfig::Path { .. }) => REQUESTS_PER_IMAGE,
            Some(CredentialsConfig::ManagedIdentity { .. } | CredentialsConfig::WorkloadIdentity) => {
                REQUESTS_WITH_IDENTITY
            }
        };
    }
    counts.into_values().max().unwrap_or_default()
}

/// Returns the interval: as configured, or longer if the fleet's budget requires it. `requests` counts those of one node to
/// one registry.
#[must_use]
pub fn interval(schedule: &Schedule, requests: u32) -> Duration {
    round(schedule, requests).map_or(schedule.interval, |round| schedule.interval.max(round))
}

/// The shortest time in which the whole fleet may check once; `None` if its size is not set.
fn round(schedule: &Schedule, requests: u32) -> Option<Duration> {
    let fleet = schedule.fleet_size?;
    let budget = schedule.budget_per_minute.unwrap_or(Schedule::DEFAULT_BUDGET_PER_MINUTE).max(1);
    let requests = f64::from(fleet) * f64::from(requests);
    Some(Duration::from_secs_f64(requests / f64::from(budget) * 60.0))
}

/// Returns the time to the first check of a node: a share of the interval derived from its name. This staggers a fleet that
/// starts at once, and a restarted node waits as long as before.
#[must_use]
pub fn first_delay(node: &str, interval: Duration, jitter: f64) -> Duration {
    interval.mul_f64(rest(share(node), jitter))
}

/// Returns how long the Events of a node wait that announce `failing` failures at once. Path checks confirm a fault of all nodes
/// within minutes, and without a spread the API server would get all Events in one of them. Zero if the size of the fleet is not set.
#[must_use]
pub fn event_delay(fleet_size: Option<u32>, node: &str, failing: usize) -> Duration {
    let events =
        f64::from(fleet_size.unwrap_or_default()) * f64::from(u32::try_from(failing).unwrap_or(u32::MAX));
    let window = Duration::from_secs_f64(events / f64::from(EVENTS_PER_MINUTE) * 60.0);
    // Independent of the node's position in the interval.
    window.mul_f64(share(&format!("{node} Events")))
}

/// The position of a node in its fleet, from 0 to 1, from a hash of its name.
fn share(node: &str) -> f64 {
    let hash = Sha256::digest(node.as_bytes());
    let number = hash.iter().take(4).fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    f64::from(number) / (f64::from(u32::MAX) + 1.0)
}

/// The rest of an interval at a random moment, as a share of an interval without jitter.
///
/// With such first delays, a fleet is spread evenly from its first minute. If they were uniform over one interval, the last
/// of them would coincide with the early ones of the next round: 50 % more checks for a minute. The rest of an interval
/// from 1 - jitter to 1 + jitter has a density of 1 up to 1 - jitter, falling to 0 at 1 + jitter; this is the inverse of
/// its distribution function.
fn rest(chance: f64, jitter: f64) -> f64 {
    let (chance, jitter) = (chance.clamp(0.0, 1.0), jitter.clamp(0.0, 1.0));
    if chance <= 1.0 - jitter { chance } else { 1.0 + jitter - (4.0 * jitter * (1.0 - chance)).sqrt() }
}

/// Returns the time to the next check.
///
/// `chance` is a random number from 0 to 1. Each of the `throttled` consecutive throttled checks doubles the interval, and
/// Retry-After is respected up to the longest back-off.
#[must_use]
pub fn next_delay(
    interval: Duration,
    jitter: f64,
    chance: f64,
    throttled: u32,
    retry_after: Option<Duration>,
) -> Duration {
    let chance = chance.clamp(0.0, 1.0);
    let factor = 1.0 + jitter.clamp(0.0, 1.0) * (2.0 * chance - 1.0);
    let longest = LONGEST_BACK_OFF.max(interval);
    let most =
        (LONGEST_BACK_OFF.as_millis() / interval.as_millis().max(1)).clamp(1, u128::from(MAX_BACK_OFF));
    let intervals = 2_u32.saturating_pow(throttled).min(u32::try_from(most).unwrap_or(MAX_BACK_OFF));
    let delay = (interval * intervals).mul_f64(factor);
    // A fleet that received the same Retry-After must not return at the same moment, but spread as usual. The Retry-After of
    // one registry is bounded, since it delays the checks of the others as well.
    let asked = retry_after.map(|asked| asked.min(longest) + interval.mul_f64(rest(chance, jitter)));
    delay.max(asked.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::{
        AFTER_CHANGE, LONGEST_BACK_OFF, Pace, REQUESTS_PER_IMAGE, event_delay, first_delay, interval,
        next_delay, requests_of_a_round,
    };
    use crate::address::ExpectedAddresses;
    use crate::config::{CredentialsConfig, ImageConfig, Schedule};
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;
    use std::time::Duration;

    const MINUTE: Duration = Duration::from_secs(60);

    fn fleet(size: u32, budget: Option<u32>) -> Schedule {
        Schedule { fleet_size: Some(size), budget_per_minute: budget, ..Schedule::default() }
    }

    #[test]
    fn a_fleet_of_5000_stays_under_a_fifth_of_a_premium_registry() {
        const DOCUMENTED: f64 = 20_000.0;
        for images in 1..=4 {
            let interval = interval(&fleet(5000, None), images * REQUESTS_PER_IMAGE);
            let checks = 5000.0 / interval.as_secs_f64() * 60.0;
            let requests = checks * f64::from(REQUESTS_PER_IMAGE * images);
            assert!(requests <= DOCUMENTED / 5.0 + 1.0, "{images} images: {requests} requests a minute");
        }
        assert_eq!(interval(&fleet(5000, None), 8), Duration::from_secs(600));
        assert_eq!(interval(&fleet(5000, Some(8000)), 16), Duration::from_secs(600));
        assert_eq!(interval(&fleet(100, None), 8), MINUTE, "a small fleet needs no stretching");
        assert_eq!(interval(&Schedule::default(), 400), MINUTE, "not stretched without a fleet size");
    }

    #[test]
    fn a_fleet_that_starts_at_once_is_spread_over_the_interval() {
        let mut seconds = [0_u32; 60];
        for node in 0..5000 {
            let delay = first_delay(&format!("aks-np1-12345678-vmss{node:06}"), MINUTE, 0.0);
            seconds[usize::try_from(delay.as_secs()).expect("below a minute")] += 1;
        }
        // 83 a second on average; a start at once would be 5,000 in one.
        assert!(seconds.iter().all(|&count| (40..=130).contains(&count)), "{seconds:?}");
        assert_eq!(first_delay("aks-np1-0", MINUTE, 0.2), first_delay("aks-np1-0", MINUTE, 0.2));
    }

    #[test]
    fn the_second_round_does_not_overlap_the_first() {
        const NODES: u32 = 50_000;
        let mut tenths = [0_u32; 40];
        for node in 0..NODES {
            let mut at = first_delay(&node.to_string(), MINUTE, 0.2);
            for round in 1..=6_u32 {
                let tenth = usize::try_from(at.as_millis() / 6000).expect("minutes");
                if let Some(count) = tenths.get_mut(tenth) {
                    *count += 1;
                }
                let chance =
                    f64::from(node.wrapping_mul(2_654_435_761).rotate_left(round * 7)) / f64::from(u32::MAX);
                at += next_delay(MINUTE, 0.2, chance, 0, None);
            }
        }
        // A tenth of the fleet in each tenth of an interval, from the start.
        assert!(tenths.iter().all(|count| (4700..=5300).contains(count)), "{tenths:?}");
    }

    #[test]
    fn the_events_of_a_fleet_are_spread_by_the_number_of_failures() {
        for (nodes, failing) in [(5000, 1), (5000, 3), (6000, 3), (50_000, 1)] {
            let delays = (0..nodes).map(|node| event_delay(Some(nodes), &format!("node-{node}"), failing));
            let mut minutes = std::collections::BTreeMap::<u64, usize>::new();
            for delay in delays {
                *minutes.entry(delay.as_secs() / 60).or_default() += failing;
            }
            let most = minutes.values().max().copied().unwrap_or_default();
            assert!((2000..=2750).contains(&most), "{nodes} nodes, {failing} failures: {most} a minute");
        }
        assert_eq!(event_delay(None, "node-1", 3), Duration::ZERO);
        assert!(event_delay(Some(100), "node-1", 1) < Duration::from_secs(3), "a small fleet does not wait");
    }

    #[test]
    fn throttling_backs_off_and_retry_after_is_respected() {
        let delay = |throttled, asked| next_delay(MINUTE, 0.0, 0.0, throttled, asked);
        assert_eq!(delay(0, None), MINUTE);
        assert_eq!(delay(1, None), 2 * MINUTE);
        assert_eq!(delay(2, None), 4 * MINUTE);
        assert_eq!(delay(40, None), 8 * MINUTE);
        assert_eq!(delay(1, Some(Duration::from_secs(600))), Duration::from_secs(600));
    }

    #[test]
    fn back_off_is_a_whole_number_of_intervals_within_fifteen_minutes() {
        let delay = |interval, throttled| {
            next_delay(Duration::from_secs(interval), 0.0, 0.5, throttled, None).as_secs()
        };
        assert_eq!([delay(60, 1), delay(60, 2), delay(60, 9)], [120, 240, 480]);
        assert_eq!([delay(120, 2), delay(120, 9)], [480, 840]);
        assert_eq!([delay(450, 1), delay(450, 9)], [900; 2]);
        assert_eq!(delay(720, 3), 720, "a longer interval is not stretched further");
        assert_eq!(delay(1350, 3), 1350);
    }

    #[test]
    fn a_fleet_with_the_same_retry_after_returns_over_a_whole_interval() {
        let asked = Some(Duration::from_secs(900));
        let delay = |chance| next_delay(Duration::from_secs(450), 0.2, chance, 1, asked);
        assert_eq!(delay(0.0), Duration::from_secs(900));
        assert_eq!(delay(0.8), Duration::from_secs(900 + 360));
        assert_eq!(delay(1.0), Duration::from_secs(900 + 540));
    }

    #[test]
    fn retry_after_of_one_registry_is_bounded() {
        let delay = |interval, asked| next_delay(interval, 0.0, 0.0, 1, Some(Duration::from_secs(asked)));
        assert_eq!(delay(MINUTE, 86_400), Duration::from_secs(900));
        assert_eq!(delay(30 * MINUTE, 86_400), 30 * MINUTE);
    }

    #[test]
    fn a_change_triggers_a_check_as_soon_as_the_budget_allows() {
        let after = |schedule: &Schedule| Pace::of(schedule, REQUESTS_PER_IMAGE).after_change;
        assert_eq!(after(&Schedule::default()), Some(AFTER_CHANGE), "no fleet, no budget");
        assert_eq!(after(&fleet(5, None)), Some(AFTER_CHANGE), "a small fleet is spread enough");
        assert_eq!(after(&fleet(5000, None)), None, "the regular checks take the whole budget");
        let some = fleet(400, None);
        let window = after(&some).expect("48 s of each minute are taken");
        let rate = |every: Duration| 400.0 * f64::from(REQUESTS_PER_IMAGE) * 60.0 / every.as_secs_f64();
        let requests = rate(window) + rate(Pace::of(&some, REQUESTS_PER_IMAGE).interval);
        assert!((requests - 4000.0).abs() < 1.0, "{requests} requests a minute");
    }

    #[test]
    fn the_budget_applies_per_registry() {
        let identity = CredentialsConfig::ManagedIdentity { client_id: None };
        let images: Vec<ImageConfig> = [
            ("a.azurecr.io/x:1", None),
            ("b.azurecr.io/x:1", Some(CredentialsConfig::WorkloadIdentity)),
            ("A.azurecr.io/y:1", Some(identity)),
        ]
        .map(|(image, credentials)| ImageConfig {
            image: image.parse().expect("an image"),
            name: None,
            credentials,
            expected: Vec::new(),
            expected_addresses: ExpectedAddresses::default(),
            data_endpoints: Vec::new(),
        })
        .into();
        assert_eq!(requests_of_a_round(&images), 8 + 9, "an identity costs the exchange");
        assert_eq!(requests_of_a_round(&images[1..2]), 9);
        assert_eq!(requests_of_a_round(&[]), 0);
    }

    proptest! {
        #[test]
        fn delays_stay_within_jitter_and_never_below_retry_after(
            jitter in 0.0..=1.0, chance in 0.0..=1.0, throttled in 0_u32..50, asked in 0_u64..100_000,
        ) {
            let asked = Duration::from_secs(asked);
            let delay = next_delay(MINUTE, jitter, chance, throttled, Some(asked));
            prop_assert!(delay >= asked.min(LONGEST_BACK_OFF));
            let plain = next_delay(MINUTE, jitter, chance, 0, None).as_secs_f64();
            prop_assert!(plain >= 60.0 * (1.0 - jitter) - 0.001 && plain <= 60.0 * (1.0 + jitter) + 0.001);
        }

        #[test]
        fn the_first_check_is_within_an_interval(
            node in ".{0,40}", seconds in 1_u64..90_000, jitter in 0.0..=1.0,
        ) {
            let interval = Duration::from_secs(seconds);
            prop_assert!(first_delay(&node, interval, 0.0) < interval);
            prop_assert!(first_delay(&node, interval, jitter) <= interval.mul_f64(1.0 + jitter));
        }
    }

    proptest! {
        // The margin is statistical: the same cases in each run.
        #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(20), ..ProptestConfig::default() })]

        // What makes a fault of all nodes known within minutes in a fleet of any size, without exceeding the budget.
        #[test]
        fn each_minute_another_part_of_a_stretched_fleet_checks_within_the_budget(
            nodes in 1000_u32..4000, images in 1_u32..=4, budget in 2000_u32..8000, seed in any::<u64>(),
        ) {
            let (requests, schedule) = (images * REQUESTS_PER_IMAGE, fleet(nodes, Some(budget)));
            let interval = interval(&schedule, requests);
            prop_assume!(interval > MINUTE);
            let mut chance = fastrand::Rng::with_seed(seed);
            let mut minutes = std::collections::BTreeMap::<u64, std::collections::BTreeSet<u32>>::new();
            let until = interval * 3;
            for node in 0..nodes {
                let mut at = first_delay(&format!("{seed}-{node}"), interval, schedule.jitter);
                while at < until {
                    let is_first = minutes.entry(at.as_secs() / 60).or_default().insert(node);
                    prop_assert!(is_first || interval < 2 * MINUTE, "no node checks twice in a minute");
                    at += next_delay(interval, schedule.jitter, chance.f64(), 0, None);
                }
            }
            let expected = f64::from(budget) / f64::from(requests);
            // Five standard deviations of a random spread.
            let margin = 5.0 * expected.sqrt() + 1.0;
            for minute in 0..until.as_secs() / 60 {
                let checks = minutes.get(&minute).map_or(0.0, |nodes| nodes.len() as f64);
                prop_assert!((checks - expected).abs() <= margin, "{checks} in minute {minute}, {expected} expected");
            }
        }
    }
}
