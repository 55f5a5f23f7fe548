//! Path checks of the simulated fleet. As in the agent's loop, `Paths` decides what follows from them.

use std::time::Duration;

use acr_verifier::path_check::Compared;
use acr_verifier::run::{Extent, ImageResult};
use acr_verifier::verdict::Verdict;

use crate::day::{self, Visitor};
use crate::fleet::Fleet;
use crate::queue::Happening;

impl Fleet<'_> {
    /// Queues a node's next path check; an older entry is ignored because it is not due.
    pub(crate) fn expect_path(&mut self, number: usize) {
        let node = &self.nodes[number];
        if let Some(due) = node.timetable.path_due() {
            self.queue.push(node.started + due, Happening::PathDue(number, node.life));
        }
    }

    pub(crate) fn begin_path(&mut self, number: usize, now: Duration) {
        let node = &mut self.nodes[number];
        let is_due = node.timetable.path_due().is_some_and(|due| node.started + due <= now);
        if !is_due || node.running.is_some() {
            return;
        }
        node.timetable.begin_path(&self.day.pace, now.saturating_sub(node.started));
        let visitor = Visitor { node: number, dns_share: node.dns_share, renewed_at: node.renewed_at };
        let faults = self.day.faults.iter().map(|(fault, _)| fault);
        let (conditions, _) = day::conditions(faults, &visitor, now.as_secs_f64());
        let took = conditions.into_iter().enumerate();
        let took = took.map(|(registry, condition)| self.outcomes.of(condition, registry).path_took).max();
        node.path = Some((conditions, now));
        let life = node.life;
        self.queue.push(now + took.unwrap_or_default(), Happening::PathEnd(number, life));
    }

    /// Completes a path check, unless a whole check has replaced it.
    pub(crate) fn end_path(&mut self, number: usize, now: Duration) {
        let Some((conditions, begun)) = self.nodes[number].path.take() else { return };
        let found = self.outcomes.run(conditions, Extent::Path);
        let chance = self.chance.f64();
        let node = &mut self.nodes[number];
        let Compared { statuses, results, needs_whole_check } = node.paths.compare(&found);
        if let Some(metrics) = &node.metrics {
            metrics.record_paths(&statuses);
            if let Some(run) = &results {
                metrics.record(run);
            }
        }
        if needs_whole_check {
            let since = now.saturating_sub(node.started);
            node.timetable.change();
            node.timetable.plan(&self.day.pace, chance, since);
        }
        let has_passed = node.verdicts.iter().all(|verdict| *verdict == Verdict::Pass);
        if let Some(run) = results {
            let results: Vec<&ImageResult> = run.images.iter().collect();
            self.publish(number, &results, (begun, now));
        } else if has_passed && !needs_whole_check {
            self.note_open_path(number, (begun, now));
        }
        self.expect(number);
        self.expect_path(number);
    }
}
