//! The fleet: nodes with the program's own decisions, and an event queue.
//!
//! Simulates time. As in the agent's loop, `Timetable` and `Pace` decide when an agent checks, `Debouncer` what it announces, and
//! `Metrics` what it exposes; results of checks were measured before. `paths` has the path checks, `results` the
//! sinks, `gate` the smoke check. Kubelets, the DaemonSet controller and Prometheus are
//! simulated as far as they affect timing. Randomness is seeded, so that every run of a day is the same.

use std::collections::VecDeque;
use std::time::Duration;

use acr_verifier::agent::LOOK;
use acr_verifier::cause::Cause;
use acr_verifier::config::{ImageConfig, Schedule};
use acr_verifier::metrics::{Metrics, NodeLabels};
use acr_verifier::path_check::Paths;
use acr_verifier::run::{Extent, NetworkView};
use acr_verifier::schedule::{CheckFeedback, Pace, Timetable, requests_of_a_round};
use acr_verifier::transition::{Debouncer, Outbox};
use acr_verifier::verdict::Verdict;
use jiff::Timestamp;

use crate::alerts::{BETWEEN_GROUPS, Exposed, SCRAPE};
use crate::day::{self, Visitor};
use crate::gate::Awaited;
use crate::outcomes::{Condition, Outcomes, REGISTRIES, images};
use crate::queue::{Happening, Queue};
use crate::record::Day;

/// Time between the end of a pod and the start of its replacement.
const REPLACEMENT: (f64, f64) = (5.0, 10.0);
/// The chart's `minReadySeconds` and `maxUnavailable`.
const MIN_READY: Duration = Duration::from_secs(10);
const MAX_UNAVAILABLE: usize = 10;
/// One in this many nodes has real metrics: those of all nodes would need gigabytes.
const SAMPLED: usize = 250;
const MIDNIGHT: &str = "2026-11-24T00:00:00Z";

pub(crate) struct Node {
    pub(crate) name: String,
    /// Number of the node's current agent; 0 before the first start.
    pub(crate) life: u32,
    pub(crate) is_up: bool,
    pub(crate) started: Duration,
    pub(crate) timetable: Timetable,
    pub(crate) paths: Paths,
    pub(crate) tracks: [Debouncer; REGISTRIES],
    pub(crate) outbox: Outbox,
    /// Conditions for the running whole check, and for the running path check.
    pub(crate) running: Option<([Condition; REGISTRIES], Option<Duration>, Duration)>,
    pub(crate) path: Option<([Condition; REGISTRIES], Duration)>,
    /// Verdict of the latest result of each registry.
    pub(crate) verdicts: [Verdict; REGISTRIES],
    /// Whether the controller waits for it.
    is_replaced: bool,
    /// What the smoke check waits for.
    pub(crate) awaited: Awaited,
    pub(crate) dns_share: f64,
    pub(crate) renewed_at: f64,
    has_renewed: bool,
    pub(crate) scraped_at: Duration,
    pub(crate) exposed: [Option<Exposed>; REGISTRIES],
    pub(crate) metrics: Option<Metrics>,
}

/// A running simulation.
pub(crate) struct Fleet<'outcomes> {
    pub(crate) outcomes: &'outcomes Outcomes,
    pub(crate) schedule: Schedule,
    pub(crate) chance: fastrand::Rng,
    pub(crate) nodes: Vec<Node>,
    pub(crate) queue: Queue,
    pub(crate) configured: Vec<ImageConfig>,
    /// Nodes waiting for the controller, and the number it waits for.
    waiting: VecDeque<usize>,
    unavailable: usize,
    pub(crate) passed: usize,
    pub(crate) midnight: Timestamp,
    pub(crate) day: Day,
}

/// Simulates a day of a fleet with this schedule, or the start of it.
pub(crate) fn live(outcomes: &Outcomes, schedule: Schedule, until: f64) -> anyhow::Result<Day> {
    let configured = images()?;
    let pace = Pace::of(&schedule, requests_of_a_round(&configured));
    let nodes = day::NODES + day::JOINING;
    let until = Duration::from_secs_f64(until);
    let day = Day::of(pace, until, nodes)?;
    let mut fleet = Fleet {
        outcomes,
        schedule,
        chance: fastrand::Rng::with_seed(5000),
        nodes: Vec::new(),
        queue: Queue::default(),
        configured,
        waiting: VecDeque::new(),
        unavailable: 0,
        passed: 0,
        midnight: MIDNIGHT.parse()?,
        day,
    };
    fleet.settle(nodes);
    fleet.go(until);
    Ok(fleet.day)
}

impl Fleet<'_> {
    fn between(&mut self, (least, most): (f64, f64)) -> f64 {
        least + (most - least) * self.chance.f64()
    }

    /// Queues the nodes and the scheduled events.
    fn settle(&mut self, nodes: usize) {
        for number in 0..nodes {
            let name = format!("aks-np1-12345678-vmss{number:06}");
            let joins = number >= day::NODES;
            let starts = if joins { self.between(day::JOIN) } else { 0.0 };
            let node = Node {
                timetable: Timetable::start(&name, &self.day.pace),
                name,
                life: 0,
                is_up: false,
                started: Duration::ZERO,
                paths: Paths::of(&self.configured),
                tracks: Default::default(),
                outbox: Outbox::default(),
                running: None,
                path: None,
                verdicts: [Verdict::Unknown; REGISTRIES],
                is_replaced: false,
                awaited: Awaited::Nothing,
                dns_share: self.chance.f64(),
                renewed_at: day::ROTATION + self.between(day::PROPAGATION),
                // Nodes that join later never had the old password.
                has_renewed: joins,
                scraped_at: Duration::from_secs_f64(self.chance.f64() * SCRAPE.as_secs_f64()),
                exposed: [None; REGISTRIES],
                metrics: None,
            };
            self.nodes.push(node);
            self.queue.push(Duration::from_secs_f64(starts), Happening::Start(number));
        }
        self.queue.push(Duration::from_secs_f64(day::ROLLOUT), Happening::Rollout);
        self.plan_smoke_check();
        self.queue.push(SCRAPE, Happening::Record);
        self.queue.push(SCRAPE + BETWEEN_GROUPS, Happening::Evaluate);
    }

    fn go(&mut self, until: Duration) {
        let mut ends = day::PHASES.iter().skip(1).map(|phase| phase.from).chain([day::DAY]).peekable();
        while let Some((now, happening)) = self.queue.pop() {
            if ends.peek().is_some_and(|end| now.as_secs_f64() >= *end - 1.0) {
                ends.next();
                self.measure();
            }
            if now >= until {
                break;
            }
            self.happen(happening, now);
        }
    }

    fn happen(&mut self, happening: Happening, now: Duration) {
        match happening {
            Happening::Start(node) => self.start(node, now),
            Happening::Due(node, life) => {
                let known = &self.nodes[node];
                let is_due = known.started + known.timetable.due() <= now;
                if self.lives(node, life) && known.running.is_none() && is_due {
                    self.begin(node, now);
                }
            }
            Happening::End(node, life) if self.lives(node, life) => self.end(node, now),
            Happening::Look(node, life, is_new) if self.lives(node, life) => self.look(node, is_new, now),
            Happening::PathDue(node, life) if self.lives(node, life) => self.begin_path(node, now),
            Happening::PathEnd(node, life) if self.lives(node, life) => self.end_path(node, now),
            Happening::Announce(node, life) if self.lives(node, life) => self.release(node, now),
            Happening::End(..) | Happening::Look(..) => {}
            Happening::PathDue(..) | Happening::PathEnd(..) | Happening::Announce(..) => {}
            Happening::Demand(node) => self.demand(node, now),
            Happening::Available(node) => {
                self.nodes[node].is_replaced = false;
                self.unavailable -= 1;
                self.replace(now);
            }
            Happening::Scrape(node) => self.day.watcher.scrape(node, self.nodes[node].exposed),
            Happening::Rollout => {
                self.waiting = (0..self.nodes.len()).collect();
                // The controller has no meaningful order.
                self.chance.shuffle(self.waiting.make_contiguous());
                self.replace(now);
            }
            Happening::Record => {
                let failing = |registry: usize| {
                    let reported = self.nodes.iter().filter_map(|node| node.exposed[registry]);
                    u32::try_from(reported.filter(Exposed::is_failing).count()).expect("a fleet")
                };
                let failing = [failing(0), failing(1), failing(2)];
                self.day.tally.at(now.saturating_sub(Duration::from_secs(1))).failing = failing;
                self.day.watcher.record(now);
                self.queue.push(now + SCRAPE, Happening::Record);
            }
            Happening::Evaluate => {
                let until = now.as_secs_f64() - BETWEEN_GROUPS.as_secs_f64();
                let quarter = self.day.tally.between((until - 900.0).max(0.0), until);
                self.day.watcher.evaluate(now, quarter);
                self.queue.push(now + SCRAPE, Happening::Evaluate);
            }
        }
    }

    fn lives(&self, node: usize, life: u32) -> bool {
        self.nodes[node].is_up && self.nodes[node].life == life
    }

    /// Starts an agent.
    fn start(&mut self, number: usize, now: Duration) {
        let pace = self.day.pace;
        let node = &mut self.nodes[number];
        node.life += 1;
        self.day.lives += 1;
        node.is_up = true;
        node.started = now;
        node.timetable = Timetable::start(&node.name, &pace);
        node.paths = Paths::of(&self.configured);
        (node.tracks, node.outbox) = Default::default();
        node.verdicts = [Verdict::Unknown; REGISTRIES];
        node.metrics = number.is_multiple_of(SAMPLED).then(|| {
            let labels = NodeLabels::new(&node.name, NetworkView::Node, None, None);
            Metrics::new(&labels, "0.0.0", "unknown")
        });
        if !node.has_renewed {
            // The first look after the kubelet's update.
            let looks = (node.renewed_at - now.as_secs_f64()) / LOOK.as_secs_f64();
            let at = now + LOOK.mul_f64(looks.ceil());
            let life = node.life;
            self.queue.push(at, Happening::Look(number, life, true));
        }
        self.expect(number);
        self.expect_path(number);
    }

    /// Queues a node's next check; an older entry is ignored because it is not due.
    pub(crate) fn expect(&mut self, number: usize) {
        let node = &self.nodes[number];
        let (at, life) = (node.started + node.timetable.due(), node.life);
        self.queue.push(at, Happening::Due(number, life));
    }

    pub(crate) fn begin(&mut self, number: usize, now: Duration) {
        let node = &mut self.nodes[number];
        // A whole check replaces a path check.
        node.path = None;
        node.timetable.begin(now.saturating_sub(node.started));
        let visitor = Visitor { node: number, dns_share: node.dns_share, renewed_at: node.renewed_at };
        let faults = self.day.faults.iter().map(|(fault, _)| fault);
        let (conditions, retry_after) = day::conditions(faults, &visitor, now.as_secs_f64());
        node.running = Some((conditions, retry_after, now));
        let minute = self.day.tally.at(now);
        // Images are checked concurrently: the slowest decides when the next check starts.
        let mut took = Duration::ZERO;
        for (registry, condition) in conditions.into_iter().enumerate() {
            let outcome = self.outcomes.of(condition, registry);
            minute.requests[registry].add(outcome.requests);
            took = took.max(outcome.took);
        }
        let life = node.life;
        self.queue.push(now + took, Happening::End(number, life));
    }

    /// Completes a check: announces, exposes and plans the next one like the agent's loop.
    fn end(&mut self, number: usize, now: Duration) {
        let node = &mut self.nodes[number];
        let Some((conditions, retry_after, begun)) = node.running.take() else { return };
        let outcomes = self.outcomes;
        let mut feedback = CheckFeedback { is_throttled: false, retry_after };
        let mut images = Vec::new();
        for (registry, condition) in conditions.into_iter().enumerate() {
            let checked = &outcomes.of(condition, registry).checked;
            feedback.is_throttled |=
                checked.diagnoses.iter().any(|diagnosis| diagnosis.cause == Cause::Throttled);
            let minute = self.day.tally.at(now);
            minute.checks[registry] += 1;
            minute.unknown[registry] += u32::from(checked.verdict() == Verdict::Unknown);
            images.push(checked);
        }
        let run = outcomes.run(conditions, Extent::Whole);
        node.paths.adopt(&run);
        if let Some(metrics) = &node.metrics {
            metrics.record(&run);
        }
        let since = now.checked_sub(node.started).expect("it has started");
        node.timetable.finish(&self.day.pace, feedback, self.chance.f64(), since);
        let has_passed = images.iter().all(|checked| checked.verdict() == Verdict::Pass);
        self.note_whole(number, has_passed, (begun, now));
        if self.nodes[number].is_replaced {
            self.queue.push(now + MIN_READY, Happening::Available(number));
        }
        self.note_password(number, begun.as_secs_f64(), now.as_secs_f64());
        self.publish(number, &images, (begun, now));
        self.expect(number);
        self.expect_path(number);
    }

    /// Records if a check is the first with the new password, or used the expired one.
    fn note_password(&mut self, number: usize, begun: f64, ended: f64) {
        let node = &mut self.nodes[number];
        if begun < day::ROTATION || node.has_renewed {
            return;
        }
        if begun >= node.renewed_at {
            node.has_renewed = true;
            self.day.renewed.push(ended - node.renewed_at);
        } else {
            self.day.rejected += 1;
        }
    }

    fn look(&mut self, number: usize, is_new: bool, now: Duration) {
        let chance = self.chance.f64();
        let node = &mut self.nodes[number];
        if is_new {
            node.timetable.change();
        }
        if node.running.is_some() {
            let life = node.life;
            self.queue.push(now + LOOK, Happening::Look(number, life, false));
            return;
        }
        let since = now.checked_sub(node.started).expect("it has started");
        node.timetable.plan(&self.day.pace, chance, since);
        self.expect(number);
    }

    /// The DaemonSet controller replaces as many pods as allowed.
    fn replace(&mut self, now: Duration) {
        let most = self.nodes.len() * MAX_UNAVAILABLE / 100;
        while self.unavailable < most
            && let Some(number) = self.waiting.pop_front()
        {
            self.unavailable += 1;
            let pause = self.between(REPLACEMENT);
            let node = &mut self.nodes[number];
            (node.is_up, node.is_replaced, node.running, node.path) = (false, true, None, None);
            node.exposed = [None; REGISTRIES];
            self.queue.push(now, Happening::Scrape(number));
            self.queue.push(now + Duration::from_secs_f64(pause), Happening::Start(number));
        }
        if self.unavailable == 0 && self.waiting.is_empty() {
            self.day.rollout.get_or_insert(now.as_secs_f64() - day::ROLLOUT);
        }
    }
}
