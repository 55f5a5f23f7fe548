//! What an agent has planned: the regular check, and one that a change of files brings forward.
//!
//! Owns the order of the reasons for a check, purely: times are those since the agent's start, and whether a check runs
//! is the loop's to know. A check that comes in between, on demand or after a change, leaves the regular ones where they
//! are. Else a smoke check would gather a fleet that is spread over minutes into the seconds in which it asks, and the
//! fleet would come back as a crowd, interval after interval.

use std::time::Duration;

use super::{Pace, first_delay, next_delay};

/// A check on demand waits for this long after the last one.
const ON_DEMAND_PAUSE: Duration = Duration::from_secs(5);

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
    /// When the check after a change of files is due, where that is sooner.
    extra: Option<Duration>,
    /// Checks in a row that were throttled.
    throttled: u32,
    /// Whether files have changed that nothing is planned for yet.
    is_changed: bool,
    /// When the last check was over.
    last_end: Option<Duration>,
}

impl Timetable {
    /// The plan of an agent that starts.
    #[must_use]
    pub fn start(node: &str, pace: &Pace) -> Self {
        Self {
            regular: first_delay(node, pace.interval, pace.jitter),
            extra: None,
            throttled: 0,
            is_changed: false,
            last_end: None,
        }
    }

    /// When the next check is due.
    #[must_use]
    pub fn due(&self) -> Duration {
        self.extra.map_or(self.regular, |extra| extra.min(self.regular))
    }

    /// A check begins, for whatever reason: it reads the files as they are now.
    pub fn begin(&mut self) {
        (self.extra, self.is_changed) = (None, false);
    }

    /// A check is over.
    pub fn finish(&mut self, pace: &Pace, outcome: Outcome, chance: f64, now: Duration) {
        self.last_end = Some(now);
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

    /// Whether a check on demand may start now.
    ///
    /// # Errors
    /// It is too soon after the last one: how long to wait.
    pub fn admit(&self, now: Duration) -> Result<(), Duration> {
        let rested = self.last_end.map_or(ON_DEMAND_PAUSE, |end| now.saturating_sub(end));
        match ON_DEMAND_PAUSE.saturating_sub(rested) {
            Duration::ZERO => Ok(()),
            wait => Err(wait),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Outcome, Timetable};
    use crate::schedule::Pace;
    use std::time::Duration;

    const NODE: &str = "aks-np1-0";
    const PACE: Pace =
        Pace { interval: Duration::from_secs(60), jitter: 0.0, after_change: Some(Duration::from_secs(5)) };
    const GOOD: Outcome = Outcome { is_throttled: false, retry_after: None };
    const THROTTLED: Outcome = Outcome { is_throttled: true, retry_after: None };

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// A plan whose regular check is due at 160 s.
    fn rested() -> Timetable {
        let mut timetable = Timetable::start(NODE, &PACE);
        timetable.begin();
        timetable.finish(&PACE, GOOD, 0.5, seconds(100));
        assert_eq!(timetable.due(), seconds(160));
        timetable
    }

    #[test]
    fn a_check_in_between_leaves_the_regular_one_where_it_is() {
        let mut timetable = rested();
        timetable.begin();
        timetable.finish(&PACE, GOOD, 0.5, seconds(130));
        assert_eq!(timetable.due(), seconds(160));
        timetable.begin();
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
        timetable.begin();
        timetable.finish(&PACE, GOOD, 0.5, seconds(113));
        assert_eq!(timetable.due(), seconds(160));
        timetable.change();
        timetable.plan(&PACE, 1.0, seconds(158));
        assert_eq!(timetable.due(), seconds(160), "the regular one is sooner");
    }

    #[test]
    fn a_change_during_a_check_is_planned_for_after_it() {
        let mut timetable = rested();
        timetable.begin();
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
        timetable.begin();
        timetable.finish(&PACE, THROTTLED, 0.5, seconds(110));
        assert_eq!(timetable.due(), seconds(110 + 120));
        timetable.change();
        timetable.plan(&PACE, 0.0, seconds(111));
        assert_eq!(timetable.due(), seconds(230), "a change brings nothing forward");
        timetable.begin();
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
    fn a_check_on_demand_waits_five_seconds() {
        let timetable = Timetable::start(NODE, &PACE);
        assert_eq!(timetable.admit(Duration::ZERO), Ok(()));
        let timetable = rested();
        assert_eq!(timetable.admit(seconds(102)), Err(seconds(3)));
        assert_eq!(timetable.admit(seconds(105)), Ok(()));
    }
}
