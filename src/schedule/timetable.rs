//! The plan of an agent: the regular check, and an extra one after a change of files.
//!
//! Owns the priority of the reasons for a check. Pure: times are relative to the agent's start, and the main loop knows
//! whether a check runs. An extra check, on demand or after a change, does not move the regular ones. Otherwise a smoke
//! check would compress a fleet spread over minutes into a few seconds, and the fleet would stay compressed in every
//! following interval.

use std::time::Duration;

use super::demand::{Demand, Postponed};
use super::{Pace, first_delay, next_delay, share};

/// The outcome of a check, as far as it affects the next one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CheckFeedback {
    /// Whether the check was inconclusive because the registry throttles.
    pub is_throttled: bool,
    /// The registry's Retry-After.
    pub retry_after: Option<Duration>,
}

/// The planned checks of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timetable {
    /// When the regular check is due.
    regular: Duration,
    /// When the extra check after the start or a change of files is due, if sooner.
    extra: Option<Duration>,
    /// Consecutive throttled checks.
    throttled: u32,
    /// Whether something has changed without a check planned for it.
    is_changed: bool,
    /// When the next path check is due, if there are any.
    path: Option<Duration>,
    /// The budget of on-demand checks.
    demand: Demand,
    /// Whether the running check is on demand.
    is_demanded: bool,
}

impl Timetable {
    /// Returns the plan of an agent at its start.
    #[must_use]
    pub fn start(node: &str, pace: &Pace) -> Self {
        Self {
            regular: first_delay(node, pace.interval, pace.jitter),
            // The extra check keeps the spread of the regular ones.
            extra: pace.after_start.map(|window| window.mul_f64(share(node))),
            throttled: 0,
            is_changed: false,
            // By name, so a fleet queries its nameservers evenly.
            path: pace.path.map(|every| every.mul_f64(share(node))),
            demand: Demand::default(),
            is_demanded: false,
        }
    }

    /// Returns when the next check is due.
    #[must_use]
    pub fn due(&self) -> Duration {
        self.extra.map_or(self.regular, |extra| extra.min(self.regular))
    }

    /// A check starts, for any reason, and reads the current files. If it was not due, it is on demand.
    pub fn begin(&mut self, now: Duration) {
        self.is_demanded = now < self.due();
        if self.is_demanded {
            self.demand.spend(now);
        }
        (self.extra, self.is_changed) = (None, false);
    }

    /// A check has completed.
    pub fn finish(&mut self, pace: &Pace, outcome: CheckFeedback, chance: f64, now: Duration) {
        if std::mem::take(&mut self.is_demanded) {
            self.demand.rest(now);
        }
        self.demand.heed(outcome.retry_after, now);
        self.throttled = if outcome.is_throttled { self.throttled.saturating_add(1) } else { 0 };
        self.path = pace.path.map(|every| now + every);
        // A regular check that was not due stays where it is, unless the registry throttles.
        if self.regular <= now || outcome.is_throttled {
            let delay = next_delay(pace.interval, pace.jitter, chance, self.throttled, outcome.retry_after);
            self.regular = self.regular.max(now + delay);
        }
    }

    /// Returns when the next path check is due, if there are any.
    #[must_use]
    pub fn path_due(&self) -> Option<Duration> {
        self.path
    }

    /// A path check starts. The next one is due after the same time, so a fleet keeps its spread.
    pub fn begin_path(&mut self, pace: &Pace, now: Duration) {
        self.path = pace.path.map(|every| now + every);
    }

    /// Files have changed, or a path has recovered. A running check may have read the previous contents, so call [`Self::plan`]
    /// once none runs.
    pub fn change(&mut self) {
        self.is_changed = true;
    }

    /// Plans an earlier check if something has changed; only while none runs. A check that is already planned covers it: if each
    /// change chose a time again, the earliest would win, and a fleet would exceed its budget.
    pub fn plan(&mut self, pace: &Pace, chance: f64, now: Duration) {
        if !std::mem::take(&mut self.is_changed) || self.extra.is_some() {
            return;
        }
        // A registry that throttles is not checked sooner.
        let Some(window) = pace.after_change.filter(|_| self.throttled == 0) else { return };
        self.extra = Some(now + window.mul_f64(chance.clamp(0.0, 1.0)));
    }

    /// Path checks are wanted at another pace from now on. A fleet keeps its spread.
    pub fn change_path(&mut self, node: &str, pace: &Pace, now: Duration) {
        let next = |every: Duration| now + every.mul_f64(share(node));
        self.path = pace.path.map(|every| self.path.map_or(next(every), |due| due.min(next(every))));
    }

    /// The interval has changed. The rest of the current one is scaled with it, so a fleet keeps its spread: otherwise nodes
    /// spread over one minute would be a crowd in an interval of ten.
    pub fn change_interval(&mut self, before: Duration, after: Duration, now: Duration) {
        if before != after && self.throttled == 0 {
            let left = self.regular.saturating_sub(now);
            self.regular = now + left.mul_f64(after.as_secs_f64() / before.as_secs_f64());
        }
    }

    /// Returns when the check starts that answers a caller arriving now; only while none runs.
    ///
    /// # Errors
    /// No check starts soon; contains the reason and when to retry.
    pub fn on_demand(&self, now: Duration) -> Result<Duration, Postponed> {
        self.demand.begins_at(self.due(), now)
    }
}

#[cfg(test)]
mod tests {
    use super::{CheckFeedback, Timetable};
    use crate::config::Schedule;
    use crate::schedule::{Pace, REQUESTS_PER_IMAGE, Reason, first_delay};
    use std::time::Duration;

    const NODE: &str = "aks-np1-0";
    const PACE: Pace = Pace {
        interval: Duration::from_secs(60),
        jitter: 0.0,
        after_change: Some(Duration::from_secs(5)),
        after_start: None,
        path: None,
    };
    const GOOD: CheckFeedback = CheckFeedback { is_throttled: false, retry_after: None };
    const THROTTLED: CheckFeedback = CheckFeedback { is_throttled: true, retry_after: None };

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// A plan whose regular check is due at 160 s.
    fn rested() -> Timetable {
        let mut timetable = Timetable::start(NODE, &PACE);
        timetable.begin(seconds(100));
        timetable.finish(&PACE, GOOD, 0.5, seconds(100));
        assert_eq!(timetable.due(), seconds(160));
        timetable
    }

    #[test]
    fn an_extra_check_does_not_move_the_regular_one() {
        let mut timetable = rested();
        timetable.begin(seconds(130));
        timetable.finish(&PACE, GOOD, 0.5, seconds(130));
        assert_eq!(timetable.due(), seconds(160));
        timetable.begin(seconds(161));
        timetable.finish(&PACE, GOOD, 0.5, seconds(161));
        assert_eq!(timetable.due(), seconds(221), "one that runs while it falls due is the regular one");
    }

    #[test]
    fn a_change_only_moves_a_check_earlier() {
        let mut timetable = rested();
        timetable.plan(&PACE, 0.4, seconds(110));
        assert_eq!(timetable.due(), seconds(160), "nothing has changed");
        timetable.change();
        timetable.plan(&PACE, 0.4, seconds(110));
        assert_eq!(timetable.due(), seconds(112));
        timetable.change();
        timetable.plan(&PACE, 1.0, seconds(111));
        assert_eq!(timetable.due(), seconds(112), "one planned check covers both changes");
        timetable.begin(seconds(113));
        timetable.finish(&PACE, GOOD, 0.5, seconds(113));
        assert_eq!(timetable.due(), seconds(160));
        timetable.change();
        timetable.plan(&PACE, 1.0, seconds(158));
        assert_eq!(timetable.due(), seconds(160), "the regular one is sooner");
    }

    #[test]
    fn a_change_during_a_check_is_planned_for_after_it() {
        let mut timetable = rested();
        timetable.begin(seconds(120));
        timetable.change();
        timetable.finish(&PACE, GOOD, 0.5, seconds(120));
        timetable.plan(&PACE, 1.0, seconds(121));
        assert_eq!(timetable.due(), seconds(126));
    }

    #[test]
    fn a_change_waits_for_the_regular_check_if_the_budget_is_used_up() {
        let stretched = Pace { after_change: None, ..PACE };
        let mut timetable = rested();
        timetable.change();
        timetable.plan(&stretched, 0.0, seconds(110));
        assert_eq!(timetable.due(), seconds(160));
    }

    #[test]
    fn a_throttled_check_of_any_kind_backs_off() {
        let mut timetable = rested();
        timetable.begin(seconds(110));
        timetable.finish(&PACE, THROTTLED, 0.5, seconds(110));
        assert_eq!(timetable.due(), seconds(110 + 120));
        timetable.change();
        timetable.plan(&PACE, 0.0, seconds(111));
        assert_eq!(timetable.due(), seconds(230), "a change does not move the check earlier");
        timetable.begin(seconds(231));
        timetable.finish(&PACE, GOOD, 0.5, seconds(231));
        assert_eq!(timetable.due(), seconds(291), "it has read the change");
    }

    #[test]
    fn a_changed_interval_keeps_the_spread_of_a_fleet() {
        let mut timetable = rested();
        timetable.change_interval(seconds(60), seconds(600), seconds(130));
        assert_eq!(timetable.due(), seconds(130 + 300));
        timetable.change_interval(seconds(600), seconds(60), seconds(130));
        assert_eq!(timetable.due(), seconds(160));
    }

    #[test]
    fn without_a_fleet_size_the_first_check_starts_within_ten_seconds_and_moves_no_regular_one() {
        let unsized_fleet = Pace::of(&Schedule::default(), REQUESTS_PER_IMAGE);
        let sized = Pace::of(&Schedule { fleet_size: Some(5000), ..Schedule::default() }, REQUESTS_PER_IMAGE);
        let mut firsts = Vec::new();
        for number in 0..200 {
            let node = format!("aks-np1-12345678-vmss{number:06}");
            let mut timetable = Timetable::start(&node, &unsized_fleet);
            firsts.push(timetable.due());
            assert!(timetable.due() < seconds(10), "{node}");
            timetable.begin(seconds(10));
            timetable.finish(&unsized_fleet, GOOD, 0.5, seconds(10));
            assert!(timetable.due() <= seconds(10 + 72), "{node}");
            let regular = first_delay(&node, unsized_fleet.interval, unsized_fleet.jitter);
            assert!(regular <= seconds(10) || timetable.due() == regular, "{node}");
            let of_a_fleet = first_delay(&node, sized.interval, sized.jitter);
            assert_eq!(Timetable::start(&node, &sized).due(), of_a_fleet);
        }
        firsts.sort_unstable();
        assert!(firsts[50] > seconds(1) && firsts[150] < seconds(9), "spread over the ten seconds");
    }

    #[test]
    fn path_checks_run_between_whole_checks() {
        let pace = Pace { interval: seconds(600), path: Some(seconds(60)), after_change: None, ..PACE };
        let mut timetable = Timetable::start(NODE, &pace);
        assert!(timetable.path_due().is_some_and(|due| due < seconds(60)));
        timetable.begin(seconds(600));
        timetable.finish(&pace, GOOD, 0.5, seconds(600));
        assert_eq!(timetable.path_due(), Some(seconds(660)));
        timetable.begin_path(&pace, seconds(660));
        assert_eq!((timetable.path_due(), timetable.due()), (Some(seconds(720)), seconds(1200)));
    }

    #[test]
    fn there_are_no_path_checks_if_whole_checks_are_as_frequent() {
        assert_eq!(Pace::of(&Schedule::default(), REQUESTS_PER_IMAGE).path, None);
        let sized = Schedule { fleet_size: Some(5000), ..Schedule::default() };
        assert_eq!(Pace::of(&sized, REQUESTS_PER_IMAGE).path, Some(seconds(60)));
        assert_eq!(Timetable::start(NODE, &PACE).path_due(), None);
    }

    #[test]
    fn a_check_that_was_due_costs_no_budget() {
        let mut timetable = rested();
        for round in 0..20 {
            let now = seconds(160 + 60 * round);
            timetable.begin(now);
            timetable.finish(&PACE, GOOD, 0.5, now);
        }
        let now = seconds(160 + 60 * 19 + 1);
        assert_eq!(timetable.on_demand(now), Ok(now));
    }

    #[test]
    fn an_on_demand_check_respects_retry_after_until_a_later_check_succeeds() {
        let mut timetable = rested();
        timetable.begin(seconds(110));
        let asked = CheckFeedback { is_throttled: true, retry_after: Some(seconds(300)) };
        timetable.finish(&PACE, asked, 0.0, seconds(110));
        let postponed = timetable.on_demand(seconds(111)).expect_err("it throttles");
        assert_eq!((postponed.reason, postponed.retry_after), (Reason::Throttled, seconds(299)));
        timetable.begin(seconds(411));
        timetable.finish(&PACE, GOOD, 0.0, seconds(411));
        assert!(timetable.on_demand(seconds(420)).is_ok());
    }
}
