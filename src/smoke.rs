//! The post-deployment gate: every node that should run the agent must report a fresh pass before the deadline.
//!
//! Owns the scheduling of requests, the deadline and the result. `cluster` talks to the cluster, `fleet` evaluates the nodes,
//! and `report::fleet` renders the report.

mod tracker;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep_until, timeout};

use self::tracker::{NodeTracker, Request};
use crate::check_key::CheckKey;
use crate::cluster::ask::{self, Answer};
use crate::cluster::{Agent, Cluster, ClusterError, ClusterNode, DaemonSet, KubeAccess, Route};
use crate::exit::ExitStatus;
use crate::fleet::evaluation::evaluate;
use crate::fleet::{Fleet, Node};
use crate::output;
use crate::report::Style;
use crate::report::fleet::{self as report, Format, progress};
use crate::terminal::{self, Live};
use crate::text::words::seconds;

/// Maximum concurrent requests to agents. A check that times out takes many seconds, and a fleet of a thousand broken nodes
/// must be covered within a minute. Fewer go through the API server, which holds them all in memory.
const AT_A_TIME_DIRECT: usize = 256;
const AT_A_TIME_PROXIED: usize = 64;
/// Interval between the first requests: 100 checks per second, so a thousand agents are queried within ten seconds.
const FIRST_SPACING: Duration = Duration::from_millis(10);
/// Number of requests at that interval. A Premium registry documents 10,000 reads per minute and identity, and a check of an
/// image makes five: 5,000 for a thousand checks, which leaves enough for the agents' own.
const FIRST_REQUESTS: usize = 1_000;
/// Interval between the remaining requests of the first minute, which are retries.
const LULL_SPACING: Duration = Duration::from_millis(250);
/// Number of requests at that interval.
const LULL_REQUESTS: usize = 200;
/// The same for a fleet whose first requests take longer than a minute: its own checks leave no room for more.
const LARGE_LULL_SPACING: Duration = Duration::from_secs(2);
const LARGE_LULL_REQUESTS: usize = 25;
/// Interval between later requests: a thousand per minute.
const SPACING: Duration = Duration::from_millis(60);
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
/// Attempts at the first lists, so that a single connection reset does not fail a pipeline.
const FIRST_ATTEMPTS: u32 = 3;
const BETWEEN_ATTEMPTS: Duration = Duration::from_secs(2);
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
    Lists(Result<(DaemonSet, Vec<ClusterNode>, Vec<Agent>), ClusterError>),
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

/// Returns the interval to the next request after this number of requests to a fleet of this many nodes.
#[must_use]
pub const fn spacing(requests: usize, nodes: usize) -> Duration {
    let (lull, lull_requests) = if nodes > FIRST_REQUESTS {
        (LARGE_LULL_SPACING, LARGE_LULL_REQUESTS)
    } else {
        (LULL_SPACING, LULL_REQUESTS)
    };
    if requests < FIRST_REQUESTS {
        FIRST_SPACING
    } else if requests < FIRST_REQUESTS + lull_requests {
        lull
    } else {
        SPACING
    }
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
    publish(&fleet, &options)?;
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
    /// Number of requests sent, and the earliest time of the next.
    requests: usize,
    next_request: Instant,
    tasks: JoinSet<TaskOutput>,
    live: Live,
}

impl SmokeRun {
    /// Reads the lists for the first time.
    async fn start(cluster: Cluster, options: &Options, started_at: Timestamp) -> Result<Self, ClusterError> {
        let started = Instant::now();
        let mut attempt = 1;
        let (set, members, agents) = loop {
            match lists(&cluster).await {
                Err(ClusterError::Unavailable(reason)) if attempt < FIRST_ATTEMPTS => {
                    tracing::warn!("attempt {attempt} to list nodes and Pods failed: {reason}");
                    attempt += 1;
                    tokio::time::sleep(BETWEEN_ATTEMPTS).await;
                }
                read => break read?,
            }
        };
        let mut tracker = NodeTracker::new(options.expected_configuration.clone());
        tracker.update(&set, members, agents, Instant::now());
        Ok(Self {
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
            requests: 0,
            next_request: started,
            tasks: JoinSet::new(),
            live: Live::default(),
        })
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
            let next_ask = self.ask_who_is_due();
            tokio::select! {
                biased;
                _ = &mut interrupted => break Ended::Interrupted,
                () = sleep_until(deadline) => break Ended::TimeIsOver,
                Some(brought) = self.tasks.join_next(), if !self.tasks.is_empty() => match brought {
                    Ok(TaskOutput::Answer(asked, answer)) => self.take(&asked, answer?),
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
                    self.tasks.spawn(async move { TaskOutput::Lists(lists(&cluster).await) });
                }
                () = sleep_until(next_ask.unwrap_or(deadline)), if next_ask.is_some() => {}
                _ = frames.tick() => self.draw(),
            }
        };
        self.tasks.abort_all();
        self.live.clear();
        Ok(ended)
    }

    /// Sends the requests that are due, within the limits. Returns when to call again, if that is known.
    fn ask_who_is_due(&mut self) -> Option<Instant> {
        let at_a_time = match self.cluster.route() {
            Route::Direct => AT_A_TIME_DIRECT,
            Route::Proxied => AT_A_TIME_PROXIED,
        };
        loop {
            let now = Instant::now();
            if self.tasks.len() >= at_a_time {
                return None;
            }
            let due = self.tracker.next_due()?.max(self.next_request);
            if due > now {
                return Some(due);
            }
            let (agent, request) = self.tracker.begin(now)?;
            self.next_request = now + spacing(self.requests, self.tracker.len());
            self.requests += 1;
            let (cluster, expected, key) = (self.cluster.clone(), self.expected.clone(), self.key.clone());
            let limit = ASK_LIMIT.min((self.started + self.timeout).saturating_duration_since(now));
            self.tasks.spawn(async move {
                let (node, pod) = (agent.node.clone(), agent.name.clone());
                let asked = Asked { node, pod, request, at: Instant::now() };
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

    fn take(&mut self, asked: &Asked, answer: Answer) {
        let now = Instant::now();
        if let (Answer::NotOnDemand(reason), false) = (&answer, self.is_regular) {
            self.is_regular = true;
            tracing::warn!("the agent on node {}: {reason}; waiting for regular checks instead", asked.node);
        }
        let is_free =
            matches!(answer, Answer::Later { .. } | Answer::OtherConfiguration(_) | Answer::NotOnDemand(_));
        if is_free || asked.request == Request::LastReport {
            // The agent sent no requests to the registry.
            self.requests = self.requests.saturating_sub(1);
        }
        // Compares durations and not clocks: a check that took longer than this smoke check has run started before it.
        let until = match asked.request {
            Request::Check => now,
            Request::LastReport => asked.at,
        };
        self.tracker.answered(&asked.node, &asked.pod, answer, until.duration_since(self.started), now);
    }

    fn take_lists(&mut self, read: Result<(DaemonSet, Vec<ClusterNode>, Vec<Agent>), ClusterError>) {
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
            nodes: self.tracker.nodes().cloned().collect(),
        }
    }
}

async fn lists(cluster: &Cluster) -> Result<(DaemonSet, Vec<ClusterNode>, Vec<Agent>), ClusterError> {
    let set = cluster.daemon_set().await?;
    // Nodes first: if a node joins between the two requests, its Pod is ignored. Otherwise the node would lack its Pod.
    let members = cluster.nodes().await?;
    let agents = cluster.agents(&set).await?;
    Ok((set, members, agents))
}

/// Writes the report to standard output and to the given files. Standard output gets it even if a file cannot be written.
fn publish(fleet: &Fleet, options: &Options) -> anyhow::Result<()> {
    let style = terminal::style();
    let printed = terminal::print_with(|out| report::write(out, fleet, options.format, &style));
    let printed = printed.context("cannot write the report to standard output");
    let plain = Style { color: false, unicode: false, width: terminal::UNKNOWN_WIDTH };
    if let Some(path) = &options.report_file {
        let written = output::replace_with(path, |out| report::write(out, fleet, options.format, &plain));
        written.with_context(|| format!("cannot write the report to {}", path.display()))?;
    }
    if let Some(path) = &options.summary_file {
        let mut text = Vec::new();
        report::write(&mut text, fleet, Format::Markdown, &plain)?;
        append(path, &text).with_context(|| format!("cannot append the summary to {}", path.display()))?;
    }
    printed
}

/// Appends, since other steps of a pipeline write their summaries to the same file.
fn append(path: &Path, text: &[u8]) -> std::io::Result<()> {
    OpenOptions::new().create(true).append(true).open(path)?.write_all(text)
}
