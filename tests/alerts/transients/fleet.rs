//! What the nodes of a fleet expose to a Prometheus that scrapes each of them once a minute, before, during and after a fault.
//!
//! Nodes differ in when they check and when they are scraped, evenly and in no common order. Everything is fixed: no random numbers.

use std::fmt::Write as _;

/// Seconds between two scrapes of a node, and between two path checks.
const MINUTE: usize = 60;
/// Nodes that check each minute in a fleet of any size: the budget, divided by the requests of a check.
const CHECKED_EACH_MINUTE: usize = 500;
/// Seconds until a failed path check, or a check whose path is broken, completes: the timeout of a stage.
const TIMEOUT: usize = 10;
/// Seconds that a replaced agent is gone, and agents replaced at a time.
const GONE: usize = 20;
const AT_A_TIME: usize = 2;
/// Seconds between the samples of a series.
const STEP: usize = 10;

/// What a fault affects.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// DNS to TLS: found by path checks, too.
    Path,
    /// The same, with public addresses as answers.
    Public,
    /// A request: found by whole checks only.
    Request,
}

impl Kind {
    fn cause(self) -> &'static str {
        match self {
            Self::Path => "dns_timeout",
            Self::Public => "private_zone_not_linked",
            Self::Request => "registry_error",
        }
    }
}

/// A fault of some checks, in seconds since the start.
pub(super) struct Fault {
    pub(super) kind: Kind,
    pub(super) from: usize,
    pub(super) until: usize,
    /// By number of nodes, node and number of the check.
    pub(super) affects: fn(usize, usize, usize) -> bool,
}

/// Nodes that check in turns.
pub(super) struct Fleet {
    nodes: usize,
    interval: usize,
    /// When the first agent is replaced.
    replaced_from: Option<usize>,
    /// How many of the nodes join, when, and how many of their first checks fail.
    joining: (usize, usize, usize),
}

/// The result of a whole check.
#[derive(Clone, Copy)]
struct Checked {
    completed: usize,
    fails: bool,
}

impl Fleet {
    /// Returns a fleet with the interval that its size needs.
    pub(super) fn of(nodes: usize) -> Self {
        let interval = MINUTE.max(nodes * MINUTE / CHECKED_EACH_MINUTE);
        Self { nodes, interval, replaced_from: None, joining: (0, 0, 0) }
    }

    pub(super) fn replaced_from(self, moment: usize) -> Self {
        Self { replaced_from: Some(moment), ..self }
    }

    pub(super) fn joining(self, nodes: usize, at: usize, failing: usize) -> Self {
        Self { joining: (nodes, at, failing), ..self }
    }

    /// Returns the results of a node's checks.
    fn checks(&self, node: usize, fault: &Fault, end: usize) -> Vec<Checked> {
        let mut checks: Vec<Checked> = Vec::new();
        let (joining, joins_at, failing) = self.joining;
        let start = if node < joining { joins_at + node % 10 } else { node * self.interval / self.nodes };
        let mut regular = start;
        let mut path = if self.interval > MINUTE { start % MINUTE } else { usize::MAX };
        loop {
            let now = regular.min(path);
            if now > end {
                return checks;
            }
            let number = checks.len();
            let during = (fault.from..fault.until).contains(&now);
            let is_hit = during && (fault.affects)(self.nodes, node, number);
            let fails = is_hit || node < joining && number < failing;
            let was_failing = checks.last().is_some_and(|last| last.fails);
            if now == regular {
                let is_slow = fails && fault.kind == Kind::Path;
                checks.push(Checked { completed: now + if is_slow { TIMEOUT } else { 1 }, fails });
                // A fifth up or down, which differs from check to check.
                let fifth = self.interval / 5;
                regular = now + self.interval - fifth + (node * 7 + number * 13) % (2 * fifth + 1);
            } else {
                path = now + MINUTE;
                // A whole check follows a newly broken path at once; a recovered one waits for the regular check.
                if fault.kind != Kind::Request && fails && !was_failing {
                    let timeouts = if fault.kind == Kind::Path { 2 * TIMEOUT } else { 2 };
                    checks.push(Checked { completed: now + timeouts, fails });
                }
            }
        }
    }

    /// Returns when the agent of a node is replaced.
    fn replaced(&self, node: usize) -> Option<usize> {
        self.replaced_from.map(|from| from + node / AT_A_TIME * (GONE + STEP))
    }

    /// Writes the series of all nodes.
    pub(super) fn write(&self, text: &mut String, fault: &Fault, end: usize) {
        for node in 0..self.nodes {
            let checks = self.checks(node, fault, end);
            let scraped_at = node * 29 % MINUTE;
            let replaced = self.replaced(node);
            // The last check that a scrape saw at each step; an agent does not know the checks of its predecessor.
            let seen = |tick: usize, life: usize| {
                let scrape = tick.checked_sub((tick + MINUTE - scraped_at) % MINUTE)?;
                let lives = match replaced {
                    None => 0..usize::MAX,
                    Some(moment) if life == 0 => 0..moment,
                    Some(moment) => moment + GONE..usize::MAX,
                };
                let is_known =
                    |check: &&Checked| check.completed <= scrape && lives.contains(&check.completed);
                if tick >= lives.end { None } else { checks.iter().rev().find(is_known).copied() }
            };
            for life in 0..=usize::from(replaced.is_some()) {
                let labels = format!("node=\"n{node}\",instance=\"{life}\",registry=\"contoso.azurecr.io\"");
                let cause = format!("{labels},cause=\"{}\",severity=\"fail\"", fault.kind.cause());
                let values = |value: fn(Checked) -> Option<usize>| -> Vec<Option<usize>> {
                    (0..=end).step_by(STEP).map(|tick| seen(tick, life).and_then(value)).collect()
                };
                series(text, "check_success", &labels, &values(|check| Some(usize::from(!check.fails))));
                series(text, "last_check_timestamp_seconds", &labels, &values(|check| Some(check.completed)));
                let causes = values(|check| check.fails.then_some(1));
                if causes.iter().any(Option::is_some) {
                    series(text, "cause", &cause, &causes);
                }
            }
        }
    }
}

/// Writes a series; equal neighbors are one item. A value that disappears is stale.
fn series(text: &mut String, name: &str, labels: &str, values: &[Option<usize>]) {
    write!(text, "      - series: 'acr_verifier_{name}{{{labels}}}'\n        values: '").expect("memory");
    let mut before = None;
    for run in values.chunk_by(|one, next| one == next) {
        let more = run.len() - 1;
        match run[0] {
            Some(value) => write!(text, "{value}+0x{more} "),
            None if before.is_some() && more > 0 => write!(text, "stale _x{more} "),
            None if before.is_some() => write!(text, "stale "),
            None => write!(text, "_x{} ", run.len()),
        }
        .expect("memory takes everything");
        before = run[0];
    }
    text.push_str("'\n");
}
