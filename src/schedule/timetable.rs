//! What an agent has planned: the regular check, and one that a change of files brings forward.
//!
//! Owns the order of the reasons for a check, purely: times are those since the agent's start, and whether a check runs
//! is the loop's to know. A check that comes in between, on demand or after a change, leaves the regular ones where they
//! are. Else a smoke check would gather a fleet that is spread over minutes into the seconds in which it asks, and the
//! fleet would come back as a crowd, interval after interval.

use std::time::Duration;

use super::demand::{Demand, Postponed};
use super::{Pace, first_delay, next_delay, share};

/// What a check means for the next one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Whether something could not be judged, because the registry throttles.
    pub is_throttled: bool,
    /// How long the registry asked to wait.
    pub retry_after: Option<Duration>,
}

/// When an agent checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timetable {
    /// When the regular check is due.
    regular: Duration,
    /// When the check after the start or after a change of files is due, where that is sooner.
    extra: Option<Duration>,
    /// Checks in a row that were throttled.
    throttled: u32,
    /// Whether files have changed that nothing is planned for yet.
    is_changed: bool,
    /// The checks on demand.
    demand: Demand,
    /// Whether the check that runs is one of them.
    is_demanded: bool,
}

impl Timetable {
    /// The plan of an agent that starts.
    #[must_use]
    pub fn start(node: &str, pace: &Pace) -> Self {
        Self {
            regular: first_delay(node, pace.interval, pace.jitter),
            // The regular ones stay as spread as the fleet is.
            extra: pace.after_start.map(|window| window.mul_f64(share(node))),
            throttled: 0,
            is_changed: false,
            demand: Demand::default(),
            is_demanded: false,
        }
    }

    /// When the next check is due.
    #[must_use]
    pub fn due(&self) -> Duration {
        self.extra.map_or(self.regular, |extra| extra.min(self.regular))
    }

    /// A check begins, for whatever reason: it reads the files as they are now. One that was not due is on demand.
    pub fn begin(&mut self, now: Duration) {
        self.is_demanded = now < self.due();
        if self.is_demanded {
            self.demand.spend(now);
        }
        (self.extra, self.is_changed) = (None, false);
    }

    /// A check is over.
    pub fn finish(&mut self, pace: &Pace, outcome: Outcome, chance: f64, now: Duration) {
        if std::mem::take(&mut self.is_demanded) {
            self.demand.rest(now);
        }
        self.demand.heed(outcome.retry_after, now);
        self.throttled = if outcome.is_throttled { self.throttled.saturating_add(1) } else { 0 };
        // One that was not due stays where it is, unless the registry wants to be left alone.
        if self.regular <= now || outcome.is_throttled {
            let delay = next_delay(pace.interval, pace.jitter, chance, self.throttled, outcome.retry_after);
            self.regular = self.regular.max(now + delay);
        }
    }

    /// Files have changed. The check that runs may have read what was there before, so that [`Self::plan`] has to follow
    /// once none runs.
    pub fn change(&mut self) {
        self.is_changed = true;
    }

    /// Brings a check forward if files have changed; only while none runs.
    pub fn plan(&mut self, pace: &Pace, chance: f64, now: Duration) {
        if !std::mem::take(&mut self.is_changed) {
            return;
        }
        // Who throttles is not asked sooner.
        let Some(window) = pace.after_change.filter(|_| self.throttled == 0) else { return };
        let extra = now + window.mul_f64(chance.clamp(0.0, 1.0));
        self.extra = Some(self.extra.map_or(extra, |planned| planned.min(extra)));
    }

    /// Another interval is in force. What is left of the old one shrinks or grows with it, so that a fleet stays as spread as
    /// it was: nodes whose checks are spread over a minute would else be a crowd in an interval of ten.
    pub fn change_interval(&mut self, before: Duration, after: Duration, now: Duration) {
        if before != after && self.throttled == 0 {
            let left = self.regular.saturating_sub(now);
            self.regular = now + left.mul_f64(after.as_secs_f64() / before.as_secs_f64());
        }
    }

    /// When a check begins that answers who asks now; only while none runs.
    ///
    /// # Errors
    /// None begins soon: why, and when to come back.
    pub fn on_demand(&self, now: Duration) -> Result<Duration, Postponed> {
        self.demand.begins_at(self.due(), now)
    }
}

#[cfg(test)]
mod tests {
    use super::{Outcome, Timetable};
    use crate::config::Schedule;
    use crate::schedule::{Pace, Reason, first_delay};
    use std::time::Duration;

    const NODE: &str = "aks-np1-0";
    const PACE: Pace = Pace {
        interval: Duration::from_secs(60),
        jitter: 0.0,
        after_change: Some(Duration::from_secs(5)),
        after_start: None,
    };
    const GOOD: Outcome = Outcome { is_throttled: false, retry_after: None };
    const THROTTLED: Outcome = Outcome { is_throttled: true, retry_after: None };

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
    fn a_check_in_between_leaves_the_regular_one_where_it_is() {
        let mut timetable = rested();
        timetable.begin(seconds(130));
        timetable.finish(&PACE, GOOD, 0.5, seconds(130));
        assert_eq!(timetable.due(), seconds(160));
        timetable.begin(seconds(161));
        timetable.finish(&PACE, GOOD, 0.5, seconds(161));
        assert_eq!(timetable.due(), seconds(221), "one that runs while it falls due is the regular one");
    }

    #[test]
    fn a_change_brings_a_check_forward_and_never_back() {
        let mut timetable = rested();
        timetable.plan(&PACE, 0.4, seconds(110));
        assert_eq!(timetable.due(), seconds(160), "nothing has changed");
        timetable.change();
        timetable.plan(&PACE, 0.4, seconds(110));
        assert_eq!(timetable.due(), seconds(112));
        timetable.change();
        timetable.plan(&PACE, 1.0, seconds(111));
        assert_eq!(timetable.due(), seconds(112), "the one that is planned will do for both");
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
    fn a_change_waits_for_the_regular_check_where_the_budget_is_used_up() {
        let stretched = Pace { after_change: None, ..PACE };
        let mut timetable = rested();
        timetable.change();
        timetable.plan(&stretched, 0.0, seconds(110));
        assert_eq!(timetable.due(), seconds(160));
    }

    #[test]
    fn a_registry_that_throttles_is_left_alone_whatever_the_reason_of_the_check() {
        let mut timetable = rested();
        timetable.begin(seconds(110));
        timetable.finish(&PACE, THROTTLED, 0.5, seconds(110));
        assert_eq!(timetable.due(), seconds(110 + 120));
        timetable.change();
        timetable.plan(&PACE, 0.0, seconds(111));
        assert_eq!(timetable.due(), seconds(230), "a change brings nothing forward");
        timetable.begin(seconds(231));
        timetable.finish(&PACE, GOOD, 0.5, seconds(231));
        assert_eq!(timetable.due(), seconds(291), "it has read the change");
    }

    #[test]
    fn another_interval_keeps_a_fleet_as_spread_as_it_was() {
        let mut timetable = rested();
        timetable.change_interval(seconds(60), seconds(600), seconds(130));
        assert_eq!(timetable.due(), seconds(130 + 300));
        timetable.change_interval(seconds(600), seconds(60), seconds(130));
        assert_eq!(timetable.due(), seconds(160));
    }

    #[test]
    fn the_first_check_comes_within_ten_seconds_where_no_fleet_is_spread_and_moves_no_regular_one() {
        let unsized_fleet = Pace::of(&Schedule::default(), 1);
        let sized = Pace::of(&Schedule { fleet_size: Some(5000), ..Schedule::default() }, 1);
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
    fn a_check_on_demand_obeys_the_registry_until_another_check_was_answered() {
        let mut timetable = rested();
        timetable.begin(seconds(110));
        let asked = Outcome { is_throttled: true, retry_after: Some(seconds(300)) };
        timetable.finish(&PACE, asked, 0.0, seconds(110));
        let postponed = timetable.on_demand(seconds(111)).expect_err("it throttles");
        assert_eq!((postponed.reason, postponed.retry_after), (Reason::Throttled, seconds(299)));
        timetable.begin(seconds(411));
        timetable.finish(&PACE, GOOD, 0.0, seconds(411));
        assert!(timetable.on_demand(seconds(420)).is_ok());
    }
}
