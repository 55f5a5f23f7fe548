//! When the next check is due: arithmetic alone.
//!
//! Owns the spread of a fleet, the stretching of the interval, jitter and back-off. Pure: the node's name, chance and
//! what the registry asked for are arguments.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::config::Schedule;

/// Requests of the check of one image at the registry: challenge, token, index, manifest, redirect of the blob, blob.
///
/// A Premium registry takes 20,000 reads and 20,000 token requests a minute (Azure's documented limits). The budget of
/// 4,000 a minute by default is a fifth of either, and counts all six together: the truth is better than that.
pub const REQUESTS_PER_IMAGE: u32 = 6;
/// A throttled registry is asked again after at most this many intervals.
const MAX_BACK_OFF: u32 = 8;

/// The time between two checks: as configured, or as long as the fleet's budget demands.
#[must_use]
pub fn interval(schedule: &Schedule, images: usize) -> Duration {
    let Some(fleet) = schedule.fleet_size else {
        return schedule.interval;
    };
    let budget = schedule.budget_per_minute.unwrap_or(Schedule::DEFAULT_BUDGET_PER_MINUTE).max(1);
    let images = u32::try_from(images).unwrap_or(u32::MAX);
    let requests = f64::from(fleet) * f64::from(REQUESTS_PER_IMAGE) * f64::from(images);
    schedule.interval.max(Duration::from_secs_f64(requests / f64::from(budget) * 60.0))
}

/// The time to the first check of a node: a share of the interval that its name decides, so that a fleet that starts at
/// once does not arrive at once, and a node that restarts arrives where it did.
#[must_use]
pub fn first_delay(node: &str, interval: Duration) -> Duration {
    let hash = Sha256::digest(node.as_bytes());
    let number = hash.iter().take(4).fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    interval.mul_f64(f64::from(number) / (f64::from(u32::MAX) + 1.0))
}

/// The time to the next check.
///
/// `chance` is a number from 0 to 1. While the registry throttles (`throttled` checks in a row) the interval doubles
/// with each, and what it asked for is waited for in any case.
#[must_use]
pub fn next_delay(
    interval: Duration,
    jitter: f64,
    chance: f64,
    throttled: u32,
    retry_after: Option<Duration>,
) -> Duration {
    let factor = 1.0 + jitter.clamp(0.0, 1.0) * (2.0 * chance.clamp(0.0, 1.0) - 1.0);
    let backed_off = interval * 2_u32.saturating_pow(throttled).min(MAX_BACK_OFF);
    let delay = backed_off.mul_f64(factor);
    // A fleet that was told the same number must not come back at the same moment.
    let asked =
        retry_after.map(|asked| asked + interval.mul_f64(jitter.clamp(0.0, 1.0) * chance.clamp(0.0, 1.0)));
    delay.max(asked.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::{REQUESTS_PER_IMAGE, first_delay, interval, next_delay};
    use crate::config::Schedule;
    use proptest::prelude::*;
    use std::time::Duration;

    const MINUTE: Duration = Duration::from_secs(60);

    fn fleet(size: u32, budget: Option<u32>) -> Schedule {
        Schedule { fleet_size: Some(size), budget_per_minute: budget, ..Schedule::default() }
    }

    #[test]
    fn a_fleet_of_5000_stays_under_a_fifth_of_a_premium_registry() {
        const DOCUMENTED: f64 = 20_000.0;
        for images in 1..=4 {
            let interval = interval(&fleet(5000, None), images);
            let checks = 5000.0 / interval.as_secs_f64() * 60.0;
            let requests = checks * f64::from(REQUESTS_PER_IMAGE) * images as f64;
            assert!(requests <= DOCUMENTED / 5.0 + 1.0, "{images} images: {requests} requests a minute");
        }
        assert_eq!(interval(&fleet(5000, None), 1), Duration::from_secs(450));
        assert_eq!(interval(&fleet(5000, Some(8000)), 2), Duration::from_secs(450));
        assert_eq!(interval(&fleet(100, None), 1), MINUTE, "a small fleet needs no stretching");
        assert_eq!(interval(&Schedule::default(), 50), MINUTE, "without a size there is none");
    }

    #[test]
    fn a_fleet_that_starts_at_once_arrives_spread_over_the_interval() {
        let mut seconds = [0_u32; 60];
        for node in 0..5000 {
            let delay = first_delay(&format!("aks-np1-12345678-vmss{node:06}"), MINUTE);
            seconds[usize::try_from(delay.as_secs()).expect("below a minute")] += 1;
        }
        // 83 a second on average; a start at once would be 5,000 in one.
        assert!(seconds.iter().all(|&count| (40..=130).contains(&count)), "{seconds:?}");
        assert_eq!(first_delay("aks-np1-0", MINUTE), first_delay("aks-np1-0", MINUTE));
    }

    #[test]
    fn retry_after_is_obeyed_and_backed_off_from() {
        let delay = |throttled, asked| next_delay(MINUTE, 0.0, 0.5, throttled, asked);
        assert_eq!(delay(0, None), MINUTE);
        assert_eq!(delay(1, None), 2 * MINUTE);
        assert_eq!(delay(2, None), 4 * MINUTE);
        assert_eq!(delay(40, None), 8 * MINUTE);
        assert_eq!(delay(1, Some(Duration::from_secs(600))), Duration::from_secs(600));
    }

    proptest! {
        #[test]
        fn delays_stay_within_jitter_and_never_under_what_was_asked_for(
            jitter in 0.0..=1.0, chance in 0.0..=1.0, throttled in 0_u32..50, asked in 0_u64..100_000,
        ) {
            let asked = Duration::from_secs(asked);
            let delay = next_delay(MINUTE, jitter, chance, throttled, Some(asked));
            prop_assert!(delay >= asked);
            let plain = next_delay(MINUTE, jitter, chance, 0, None).as_secs_f64();
            prop_assert!(plain >= 60.0 * (1.0 - jitter) - 0.001 && plain <= 60.0 * (1.0 + jitter) + 0.001);
        }

        #[test]
        fn the_first_check_is_within_an_interval(node in ".{0,40}", seconds in 1_u64..90_000) {
            prop_assert!(first_delay(&node, Duration::from_secs(seconds)) < Duration::from_secs(seconds));
        }
    }
}
