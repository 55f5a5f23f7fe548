//! The post-deployment gate: every node that should run the agent must report a fresh pass before the deadline.
//!
//! Owns the scheduling of requests, the deadline and the result. `pace` owns how many nodes are checked whole and how fast,
//! `tracker` what counts for a node. `cluster` talks to the cluster, `fleet` evaluates the nodes, and `report::fleet` renders the
//! report.

mod lists;
mod pace;
mod publish;
mod sampling;
mod tracker;

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep_until, timeout};

use self::lists::Lists;
use self::pace::{Lane, Pacer, Scope};
use self::sampling::Stage;
use self::tracker::{NodeTracker, Request};
use crate::check_key::CheckKey;
use crate::cluster::ask::{self, Answer};
use crate::cluster::{Cluster, ClusterError, DaemonSet, KubeAccess, Route};
use crate::exit::ExitStatus;
use crate::fleet::evaluation::evaluate;
use crate::fleet::{Fleet, Node};
use crate::report::fleet::{Format, progress};
use crate::terminal::{self, Live};
use crate::text::words::seconds;

pub use self::pace::{SampleSize, automatic_sample, sample_spacing, spacing};

/// Maximum concurrent requests to agents. A check that times out takes many seconds, and a fleet of a thousand broken nodes
/// must be covered within a minute. Fewer go through the API server, which holds them all in memory.
const AT_A_TIME_DIRECT: usize = 256;
const AT_A_TIME_PROXIED: usize = 64;
/// Pause before a node that did not pass is queried again: doubled from the first to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Pause between two requests for the report of the last check, if an agent starts no check on demand.
const REGULAR_PAUSE: Duration = Duration::from_secs(5);
/// Pause between two reads of the node and Pod lists while nodes are pending.
const BETWEEN_LISTS: Duration = Duration::from_secs(3);
/// Timeout of one request to an agent: 90 s until a check starts, and a check of eight images which all time out after 60 s,
/// four at a time.
const ASK_LIMIT: Duration = Duration::from_secs(240);
/// Timeout of one request for a report, which exists already.
const REPORT_LIMIT: Duration = Duration::from_secs(20);
/// Time for the other agents to respond once one rejects the expected configuration, after which the check cannot pass.
const LAST_ANSWERS: Duration = Duration::from_secs(10);
/// Time for the first report, which shows the requests of a check, before the size of the sample is decided without one.
const FIRST_REPORT: Duration = Duration::from_secs(5);
/// Refresh interval of the progress table.
const FRAME: Duration = Duration::from_millis(250);

/// Options of a smoke check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How to connect to the cluster.
    pub access: KubeAccess,
    /// Namespace of the agents; `None` for the default.
    pub namespace: Option<String>,
    /// Label selector of the DaemonSet and its Pods.
    pub selector: String,
    /// Time within which every node must pass.
    pub timeout: Duration,
    /// How many nodes are checked whole.
    pub sample: SampleSize,
    /// Digest of the configuration that every agent must use; `None` accepts any.
    pub expected_configuration: Option<String>,
    /// The key for checks on demand, if the agents require one.
    pub key: Option<CheckKey>,
    /// Whether a warning fails the check.
    pub strict: bool,
    /// Output format of the report.
    pub format: Format,
    /// File for the report, in addition to standard output.
    pub report_file: Option<PathBuf>,
    /// File that the Markdown summary is appended to.
    pub summary_file: Option<PathBuf>,
}

/// The output of a task.
enum TaskOutput {
    Lists(Result<Lists, ClusterError>),
    Answer(Box<Asked>, Result<Answer, ClusterError>),
}

/// The queried agent.
struct Asked {
    node: String,
    pod: String,
    request: Request,
    /// When the request was sent.
    at: Instant,
}

/// Runs a smoke check, writes its report and returns the outcome.
///
/// # Errors
/// The settings are invalid, or the report cannot be written.
pub async fn run(options: Options, now: fn() -> Timestamp) -> anyhow::Result<ExitStatus> {
    let gate = async {
        let cluster =
            Cluster::connect(&options.access, options.namespace.as_deref(), &options.selector).await?;
        let starting = SmokeRun::start(cluster, &options, now());
        let mut watch = timeout(options.timeout, starting).await.unwrap_or_else(|_elapsed| {
            Err(ClusterError::Unavailable(format!("no response within {}", seconds(options.timeout))))
        })?;
        let ended = watch.until_good().await?;
        Ok((watch, ended))
    };
    let (watch, ended) = match gate.await {
        Ok(watched) => watched,
        Err(error @ (ClusterError::Settings(_) | ClusterError::DaemonSet(_))) => return Err(error.into()),
        Err(error @ (ClusterError::Unavailable(_) | ClusterError::Forbidden { .. })) => {
            terminal::complain(&error.to_string());
            return Ok(ExitStatus::Inconclusive);
        }
    };
    let fleet = watch.fleet();
    if ended == Ended::Interrupted {
        terminal::note("interrupted: the report shows the results so far");
    }
    publish::write(&fleet, &options)?;
    Ok(match ended {
        Ended::Interrupted => ExitStatus::Interrupted,
        Ended::Good | Ended::TimeIsOver => ExitStatus::of(evaluate(&fleet).verdict, options.strict),
    })
}

/// Why a watch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Good,
    TimeIsOver,
    Interrupted,
}

/// A running smoke check.
struct SmokeRun {
    cluster: Cluster,
    set: DaemonSet,
    tracker: NodeTracker,
    started_at: Timestamp,
    started: Instant,
    timeout: Duration,
    expected: Option<String>,
    key: Option<CheckKey>,
    /// Whether a check on demand was rejected, which is logged once.
    is_regular: bool,
    strict: bool,
    size: SampleSize,
    stage: Stage,
    pacer: Pacer,
    /// Checks and requests for reports in flight.
    checks: usize,
    reports: usize,
    tasks: JoinSet<TaskOutput>,
    live: Live,
}

impl SmokeRun {
    /// Reads the lists for the first time.
    async fn start(cluster: Cluster, options: &Options, started_at: Timestamp) -> Result<Self, ClusterError> {
        let started = Instant::now();
        let (set, members, agents) = lists::first(&cluster).await?;
        let mut tracker = NodeTracker::new(options.expected_configuration.clone());
        tracker.update(&set, members, agents, Instant::now());
        let mut run = Self {
            cluster,
            set,
            tracker,
            started_at,
            started,
            timeout: options.timeout,
            expected: options.expected_configuration.clone(),
            key: options.key.clone(),
            is_regular: false,
            strict: options.strict,
            size: options.sample,
            stage: Stage::Undecided,
            pacer: Pacer::new(Scope::All, Instant::now()),
            checks: 0,
            reports: 0,
            tasks: JoinSet::new(),
            live: Live::default(),
        };
        run.plan();
        Ok(run)
    }

    /// Queries agents until all nodes pass, the timeout elapses, or Ctrl-C is pressed.
    async fn until_good(&mut self) -> Result<Ended, ClusterError> {
        let mut deadline = self.started + self.timeout;
        let mut frames = interval(FRAME);
        let mut next_lists = Instant::now() + BETWEEN_LISTS;
        let mut is_listing = false;
        let interrupted = tokio::signal::ctrl_c();
        tokio::pin!(interrupted);
        let ended = loop {
            if ExitStatus::of(self.tracker.verdict(), self.strict) == ExitStatus::Good {
                break Ended::Good;
            }
            if self.tracker.is_rejected() {
                if !self.tracker.awaits_answers() {
                    break Ended::TimeIsOver;
                }
                deadline = deadline.min(Instant::now() + LAST_ANSWERS);
            }
            if self.stage == Stage::Undecided && self.started.elapsed() >= FIRST_REPORT {
                self.decide();
            }
            let next_ask = self.ask_who_is_due();
            tokio::select! {
                biased;
                _ = &mut interrupted => break Ended::Interrupted,
                () = sleep_until(deadline) => break Ended::TimeIsOver,
                Some(brought) = self.tasks.join_next(), if !self.tasks.is_empty() => match brought {
                    Ok(TaskOutput::Answer(asked, answer)) => {
                        let answer = answer?;
                        self.take(&asked, answer);
                        if self.stage == Stage::Undecided && self.pacer.is_known() {
                            self.decide();
                        }
                    }
                    Ok(TaskOutput::Lists(read)) => {
                        is_listing = false;
                        next_lists = Instant::now() + BETWEEN_LISTS;
                        self.take_lists(read);
                    }
                    // Tasks are only cancelled at the end, and a panic prints its own message.
                    Err(_) => {}
                },
                () = sleep_until(next_lists), if !is_listing => {
                    is_listing = true;
                    let cluster = self.cluster.clone();
                    self.tasks.spawn(async move { TaskOutput::Lists(lists::read(&cluster).await) });
                }
                () = sleep_until(next_ask.unwrap_or(deadline)), if next_ask.is_some() => {}
                _ = frames.tick() => {
                    self.hurry();
                    self.draw();
                }
            }
        };
        self.tasks.abort_all();
        self.live.clear();
        Ok(ended)
    }

    /// Sends the requests that are due, within the limits. Returns when to call again, if that is known.
    fn ask_who_is_due(&mut self) -> Option<Instant> {
        let checks = self.ask_in(Lane::Checks);
        let reports = self.ask_in(Lane::Reports);
        checks.into_iter().chain(reports).min()
    }

    fn ask_in(&mut self, lane: Lane) -> Option<Instant> {
        let at_a_time = match self.cluster.route() {
            Route::Direct => AT_A_TIME_DIRECT,
            Route::Proxied => AT_A_TIME_PROXIED,
        };
        loop {
            let now = Instant::now();
            if *self.in_flight(lane) >= at_a_time {
                return None;
            }
            let due = self.tracker.next_due(lane)?.max(self.pacer.next(lane));
            if due > now {
                return Some(due);
            }
            let (agent, request) = self.tracker.begin(lane, now)?;
            self.pacer.sent(lane, self.tracker.len(), now);
            *self.in_flight(lane) += 1;
            let (cluster, expected, key) = (self.cluster.clone(), self.expected.clone(), self.key.clone());
            let limit = ASK_LIMIT.min((self.started + self.timeout).saturating_duration_since(now));
            self.tasks.spawn(async move {
                let (node, pod) = (agent.node.clone(), agent.name.clone());
                let asked = Asked { node, pod, request, at: now };
                let answer = match request {
                    Request::Check => {
                        ask::check(&cluster, &agent, expected.as_deref(), key.as_ref(), limit).await
                    }
                    Request::LastReport => ask::report(&cluster, &agent, limit.min(REPORT_LIMIT)).await,
                };
                TaskOutput::Answer(Box::new(asked), answer)
            });
        }
    }

    const fn in_flight(&mut self, lane: Lane) -> &mut usize {
        match lane {
            Lane::Checks => &mut self.checks,
            Lane::Reports => &mut self.reports,
        }
    }

    fn take(&mut self, asked: &Asked, answer: Answer) {
        let now = Instant::now();
        if let (Answer::NotOnDemand(reason), false) = (&answer, self.is_regular) {
            self.is_regular = true;
            tracing::warn!("the agent on node {}: {reason}; waiting for regular checks instead", asked.node);
        }
        let lane = match asked.request {
            Request::Check => Lane::Checks,
            Request::LastReport => Lane::Reports,
        };
        *self.in_flight(lane) -= 1;
        if let Answer::Report { report, .. } = &answer {
            self.pacer.learn(report.requests());
        }
        let is_free =
            matches!(answer, Answer::Later { .. } | Answer::OtherConfiguration(_) | Answer::NotOnDemand(_));
        // Compares durations and not clocks: a check that took longer than this smoke check has run started before it.
        let until = match asked.request {
            Request::Check => {
                if is_free {
                    self.pacer.was_free(asked.at, now);
                }
                now
            }
            Request::LastReport => asked.at,
        };
        let elapsed = until.duration_since(self.started);
        self.tracker.answered((&asked.node, &asked.pod), asked.request, answer, elapsed, now);
    }

    fn take_lists(&mut self, read: Result<Lists, ClusterError>) {
        match read {
            Ok((set, members, agents)) => {
                self.tracker.update(&set, members, agents, Instant::now());
                self.set = set;
            }
            // Keep what is known; the next read may succeed.
            Err(error) => tracing::warn!("{error}"),
        }
    }

    fn draw(&mut self) {
        let (elapsed, of) = (seconds(self.started.elapsed()), seconds(self.timeout));
        let line = format!("smoke check: {elapsed} of {of}");
        let nodes: Vec<&Node> = self.tracker.nodes().collect();
        self.live.draw(|width| progress::lines(&nodes, &line, width));
    }

    fn fleet(&self) -> Fleet {
        Fleet {
            namespace: self.cluster.namespace().to_owned(),
            daemon_set: self.set.name.clone(),
            started_at: self.started_at,
            duration: self.started.elapsed(),
            expected_configuration: self.expected.clone(),
            sample: self.tracker.sample(),
            nodes: self.tracker.nodes().cloned().collect(),
        }
    }
}
