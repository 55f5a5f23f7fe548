//! On-demand checks: how many an agent runs, and when the next one may start.
//!
//! Owns their budget, separate from that of the regular checks: a client that can reach the port must not be able to use
//! up the registry's limits for the whole cluster. Pure: times are relative to the agent's start.

use std::time::Duration;

/// Time in which the budget gains one check: ten an hour.
const REFILL: Duration = Duration::from_secs(360);
/// Checks in a full budget: a pipeline that retries after a fix needs a few within minutes.
const BURST: u32 = 5;
/// Pause between two on-demand checks, so callers that arrive together share one.
const PAUSE: Duration = Duration::from_secs(5);
/// Longest time that a caller waits for a check to start. With the default interval and jitter, a regular check always
/// starts sooner.
pub const LONGEST_WAIT: Duration = Duration::from_secs(90);
/// Longest time for which one Retry-After blocks on-demand checks.
const LONGEST_SILENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// The reason why an on-demand check does not start soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The registry throttles and its Retry-After has not elapsed.
    Throttled,
    /// The budget of on-demand checks is spent and no regular check is due soon.
    BudgetSpent,
}

/// The answer to a caller that would wait too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Postponed {
    /// The reason for postponing.
    pub reason: Reason,
    /// Time until a check may start.
    pub begins_in: Duration,
    /// Time until the caller should retry. With a spent budget this is before the check starts, so the caller waits for it
    /// with all others: a client that posts without a pause cannot always be first.
    pub retry_after: Duration,
}

/// The budget of on-demand checks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Demand {
    /// When the budget is full again.
    full_at: Duration,
    /// When the last on-demand check ended.
    last_end: Option<Duration>,
    /// The end of the registry's Retry-After.
    silent_until: Option<Duration>,
}

impl Demand {
    /// When a caller's check may start: now, within [`LONGEST_WAIT`], or not soon. `due` is the start of the next planned
    /// check, which answers every waiting caller.
    pub(super) fn begins_at(&self, due: Duration, now: Duration) -> Result<Duration, Postponed> {
        if let Some(until) = self.silent_until.filter(|until| *until > now) {
            let left = until.saturating_sub(now);
            return Err(Postponed { reason: Reason::Throttled, begins_in: left, retry_after: left });
        }
        let rested = self.last_end.map_or(now, |end| end + PAUSE);
        let granted = self.full_at.saturating_sub(REFILL * (BURST - 1));
        let at = granted.max(rested).min(due).max(now);
        let begins_in = at.saturating_sub(now);
        if begins_in <= LONGEST_WAIT {
            return Ok(at);
        }
        let retry_after = begins_in.saturating_sub(LONGEST_WAIT);
        Err(Postponed { reason: Reason::BudgetSpent, begins_in, retry_after })
    }

    /// An on-demand check starts.
    pub(super) fn spend(&mut self, now: Duration) {
        self.full_at = self.full_at.max(now) + REFILL;
    }

    /// An on-demand check has ended.
    pub(super) fn rest(&mut self, now: Duration) {
        self.last_end = Some(now);
    }

    /// Records the Retry-After of the last check of any kind.
    pub(super) fn heed(&mut self, retry_after: Option<Duration>, now: Duration) {
        self.silent_until = retry_after.map(|asked| now + asked.min(LONGEST_SILENCE));
    }
}

#[cfg(test)]
mod tests {
    use super::{BURST, Demand, LONGEST_WAIT, PAUSE, Postponed, REFILL, Reason};
    use proptest::prelude::*;
    use std::time::Duration;

    const NEVER: Duration = Duration::from_secs(1_000_000);

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn spent(now: Duration) -> Demand {
        let mut demand = Demand::default();
        for _ in 0..BURST {
            demand.spend(now);
        }
        demand
    }

    #[test]
    fn a_full_budget_grants_a_burst_and_then_one_every_six_minutes() {
        let mut demand = Demand::default();
        for _ in 0..BURST {
            assert_eq!(demand.begins_at(NEVER, seconds(10)), Ok(seconds(10)));
            demand.spend(seconds(10));
        }
        let postponed = demand.begins_at(NEVER, seconds(10)).expect_err("it is spent");
        assert_eq!(postponed.reason, Reason::BudgetSpent);
        assert_eq!(postponed.begins_in, REFILL);
        assert_eq!(demand.begins_at(NEVER, seconds(10) + REFILL), Ok(seconds(10) + REFILL));
    }

    #[test]
    fn a_caller_that_retries_on_time_shares_the_next_check() {
        let demand = spent(seconds(10));
        let Postponed { retry_after, begins_in, .. } =
            demand.begins_at(NEVER, seconds(10)).expect_err("spent");
        assert!(retry_after < begins_in, "a later retry would miss the shared check");
        let back = seconds(10) + retry_after;
        assert_eq!(demand.begins_at(NEVER, back), Ok(seconds(10) + begins_in));
    }

    #[test]
    fn a_regular_check_due_soon_answers_callers_without_budget() {
        let demand = spent(seconds(10));
        assert_eq!(demand.begins_at(seconds(70), seconds(11)), Ok(seconds(70)));
        assert!(demand.begins_at(seconds(12) + LONGEST_WAIT, seconds(11)).is_err());
    }

    #[test]
    fn callers_share_a_check() {
        let mut demand = Demand::default();
        demand.spend(seconds(10));
        demand.rest(seconds(11));
        assert_eq!(demand.begins_at(NEVER, seconds(11)), Ok(seconds(11) + PAUSE));
    }

    #[test]
    fn no_on_demand_check_starts_before_retry_after_elapses() {
        let mut demand = Demand::default();
        demand.heed(Some(seconds(600)), seconds(100));
        let left = Postponed { reason: Reason::Throttled, begins_in: seconds(1), retry_after: seconds(1) };
        assert_eq!(demand.begins_at(seconds(650), seconds(699)), Err(left));
        assert_eq!(demand.begins_at(NEVER, seconds(700)), Ok(seconds(700)));
        demand.heed(None, seconds(200));
        assert_eq!(demand.begins_at(NEVER, seconds(200)), Ok(seconds(200)), "a later check was answered");
    }

    proptest! {
        /// No rate of requests exceeds the budget.
        #[test]
        fn callers_never_exceed_ten_an_hour_and_a_burst(steps in proptest::collection::vec(0_u64..400, 1..400)) {
            let mut demand = Demand::default();
            let (mut now, mut begun) = (Duration::ZERO, 0_u64);
            for step in steps {
                now += seconds(step);
                if let Ok(at) = demand.begins_at(NEVER, now) {
                    now = at;
                    demand.spend(now);
                    demand.rest(now);
                    begun += 1;
                }
            }
            prop_assert!(begun <= u64::from(BURST) + now.as_secs() / REFILL.as_secs());
        }
    }
}
