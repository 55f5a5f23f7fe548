//! The gate over all nodes: every node that should run the agent must report a fresh pass before the deadline.
//!
//! Owns who is asked when, what is still waited for, and how it ends. The cluster is asked by `cluster`, what the nodes
//! amount to is `fleet`'s, what it looks like is `report::fleet`'s.

mod roll;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep_until, timeout};

use self::roll::Roll;
use crate::check::{Outcome, write_whole_with};
use crate::cluster::ask::{self, Answer};
use crate::cluster::{Access, Agent, Cluster, ClusterError, DaemonSet, Member, Way};
use crate::fleet::judgement::judge;
use crate::fleet::{Fleet, Node};
use crate::report::Style;
use crate::report::fleet::{self as report, Format, live};
use crate::terminal::{self, Live};

/// Agents that are asked at the same time: a check that runs into its limits takes many seconds, and a fleet of a thousand
/// broken nodes has to be seen within a minute. Through the API server it is fewer, since its memory holds them all.
const AT_A_TIME_DIRECT: usize = 256;
const AT_A_TIME_PROXIED: usize = 64;
/// Between the first requests: 100 checks a second, so that a thousand agents are asked within ten.
const FIRST_SPACING: Duration = Duration::from_millis(10);
/// Number of requests at that interval. A Premium registry documents 10,000 reads per minute and identity, and a check of an
/// image makes five: 5,000 for a thousand checks, which leaves enough for the agents' own.
const FIRST_REQUESTS: usize = 1_000;
/// Interval between the remaining requests of the first minute, which are retries.
const LULL_SPACING: Duration = Duration::from_secs(2);
/// Number of requests at that interval.
const LULL_REQUESTS: usize = 25;
/// Between later requests: a thousand a minute.
const SPACING: Duration = Duration::from_millis(60);
/// Until a node that did not pass is asked again: doubled from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Between two looks at the lists of nodes and Pods, while something is waited for.
const BETWEEN_LISTS: Duration = Duration::from_secs(3);
/// Longest that one agent may take for its answer: 90 s until a check begins, and one of eight images which all run into their
/// limit of 60 s, four at a time.
const ASK_LIMIT: Duration = Duration::from_secs(240);
/// Once an agent rejects the expected configuration nothing can become good; so long the others have to say the same.
const LAST_ANSWERS: Duration = Duration::from_secs(10);
/// Attempts at the first lists; a connection that is reset once is no reason to stop a pipeline.
const FIRST_ATTEMPTS: u32 = 3;
const BETWEEN_ATTEMPTS: Duration = Duration::from_secs(2);
/// Between two pictures of the live table.
const FRAME: Duration = Duration::from_millis(250);

/// What is asked of a smoke check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How to get at the cluster.
    pub access: Access,
    /// The namespace of the agents; absent: the usual one.
    pub namespace: Option<String>,
    /// The labels of the DaemonSet and of its Pods.
    pub selector: String,
    /// Until when every node must have passed.
    pub timeout: Duration,
    /// The digest of the configuration that every agent must go by; none: any.
    pub expected_configuration: Option<String>,
    /// Whether a warning fails.
    pub strict: bool,
    /// How the report is written.
    pub format: Format,
    /// Where the report is written beside standard output.
    pub report_file: Option<PathBuf>,
    /// Where the Markdown summary is appended.
    pub summary_file: Option<PathBuf>,
}

/// What a task has brought.
enum Brought {
    Lists(Result<(DaemonSet, Vec<Member>, Vec<Agent>), ClusterError>),
    Answer(Box<Asked>, Result<Answer, ClusterError>),
}

/// Who was asked.
struct Asked {
    node: String,
    pod: String,
}

/// The time between a request and the next, by the requests that went before.
#[must_use]
pub const fn spacing(requests: usize) -> Duration {
    if requests < FIRST_REQUESTS {
        FIRST_SPACING
    } else if requests < FIRST_REQUESTS + LULL_REQUESTS {
        LULL_SPACING
    } else {
        SPACING
    }
}

/// Runs a smoke check, writes its report and tells how it ended.
///
/// # Errors
/// The settings are not usable, or the report cannot be written.
pub async fn run(options: Options, now: fn() -> Timestamp) -> anyhow::Result<Outcome> {
    let gate = async {
        let cluster =
            Cluster::connect(&options.access, options.namespace.as_deref(), &options.selector).await?;
        let starting = Watch::start(cluster, &options, now());
        let mut watch = timeout(options.timeout, starting).await.unwrap_or_else(|_elapsed| {
            let seconds = options.timeout.as_secs();
            Err(ClusterError::Unavailable(format!("the API server gave no answer within {seconds} s")))
        })?;
        let ended = watch.until_good().await?;
        Ok((watch, ended))
    };
    let (watch, ended) = match gate.await {
        Ok(watched) => watched,
        Err(error @ (ClusterError::Settings(_) | ClusterError::DaemonSet(_))) => return Err(error.into()),
        Err(error @ (ClusterError::Unavailable(_) | ClusterError::Forbidden { .. })) => {
            terminal::complain(&error.to_string());
            return Ok(Outcome::Inconclusive);
        }
    };
    let fleet = watch.fleet();
    if ended == Ended::Interrupted {
        terminal::note("interrupted: this is what was known by then");
    }
    publish(&fleet, &options)?;
    Ok(match ended {
        Ended::Interrupted => Outcome::Interrupted,
        Ended::Good | Ended::TimeIsOver => Outcome::of(judge(&fleet).verdict, options.strict),
    })
}

/// Why a watch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Good,
    TimeIsOver,
    Interrupted,
}

/// A smoke check that runs.
struct Watch {
    cluster: Cluster,
    set: DaemonSet,
    roll: Roll,
    started_at: Timestamp,
    started: Instant,
    timeout: Duration,
    expected: Option<String>,
    strict: bool,
    /// Requests that were sent, and when the next may be.
    requests: usize,
    next_request: Instant,
    tasks: JoinSet<Brought>,
    live: Live,
}

impl Watch {
    /// Reads the lists for the first time.
    async fn start(cluster: Cluster, options: &Options, started_at: Timestamp) -> Result<Self, ClusterError> {
        let started = Instant::now();
        let mut attempt = 1;
        let (set, members, agents) = loop {
            match lists(&cluster).await {
                Err(ClusterError::Unavailable(reason)) if attempt < FIRST_ATTEMPTS => {
                    tracing::warn!("attempt {attempt} at the first lists: {reason}");
                    attempt += 1;
                    tokio::time::sleep(BETWEEN_ATTEMPTS).await;
                }
                read => break read?,
            }
        };
        let mut roll = Roll::new(options.expected_configuration.clone());
        roll.update(&set, members, agents, Instant::now());
        Ok(Self {
            cluster,
            set,
            roll,
            started_at,
            started,
            timeout: options.timeout,
            expected: options.expected_configuration.clone(),
            strict: options.strict,
            requests: 0,
            next_request: started,
            tasks: JoinSet::new(),
            live: Live::default(),
        })
    }

    /// Asks until all is good, the time is over, or somebody presses Ctrl-C.
    async fn until_good(&mut self) -> Result<Ended, ClusterError> {
        let mut deadline = self.started + self.timeout;
        let mut frames = interval(FRAME);
        let mut next_lists = Instant::now() + BETWEEN_LISTS;
        let mut is_listing = false;
        let interrupted = tokio::signal::ctrl_c();
        tokio::pin!(interrupted);
        let ended = loop {
            if Outcome::of(self.roll.verdict(), self.strict) == Outcome::Good {
                break Ended::Good;
            }
            if self.roll.is_rejected() {
                if !self.roll.awaits_answers() {
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
                    Ok(Brought::Answer(asked, answer)) => self.take(&asked, answer?),
                    Ok(Brought::Lists(read)) => {
                        is_listing = false;
                        next_lists = Instant::now() + BETWEEN_LISTS;
                        self.take_lists(read);
                    }
                    // A task is never cancelled before the end, and a panic has its own message.
                    Err(_) => {}
                },
                () = sleep_until(next_lists), if !is_listing => {
                    is_listing = true;
                    let cluster = self.cluster.clone();
                    self.tasks.spawn(async move { Brought::Lists(lists(&cluster).await) });
                }
                () = sleep_until(next_ask.unwrap_or(deadline)), if next_ask.is_some() => {}
                _ = frames.tick() => self.draw(),
            }
        };
        self.tasks.abort_all();
        self.live.clear();
        Ok(ended)
    }

    /// Sends requests to who is due, as far as the limits go; tells when to look again, where that is known.
    fn ask_who_is_due(&mut self) -> Option<Instant> {
        let at_a_time = match self.cluster.way() {
            Way::Direct => AT_A_TIME_DIRECT,
            Way::Proxied => AT_A_TIME_PROXIED,
        };
        loop {
            let now = Instant::now();
            if self.tasks.len() >= at_a_time {
                return None;
            }
            let due = self.roll.next_due()?.max(self.next_request);
            if due > now {
                return Some(due);
            }
            let agent = self.roll.begin(now)?;
            self.next_request = now + spacing(self.requests);
            self.requests += 1;
            let (cluster, expected) = (self.cluster.clone(), self.expected.clone());
            let limit = ASK_LIMIT.min((self.started + self.timeout).saturating_duration_since(now));
            self.tasks.spawn(async move {
                let asked = Asked { node: agent.node.clone(), pod: agent.name.clone() };
                Brought::Answer(
                    Box::new(asked),
                    ask::check(&cluster, &agent, expected.as_deref(), limit).await,
                )
            });
        }
    }

    fn take(&mut self, asked: &Asked, answer: Answer) {
        let now = Instant::now();
        if matches!(answer, Answer::Later { .. } | Answer::OtherConfiguration(_)) {
            // It asked the registry for nothing.
            self.requests = self.requests.saturating_sub(1);
        }
        // No two clocks are compared: a check that took longer than this smoke check has lasted began before it.
        self.roll.answered(&asked.node, &asked.pod, answer, now.duration_since(self.started), now);
    }

    fn take_lists(&mut self, read: Result<(DaemonSet, Vec<Member>, Vec<Agent>), ClusterError>) {
        match read {
            Ok((set, members, agents)) => {
                self.roll.update(&set, members, agents, Instant::now());
                self.set = set;
            }
            // What is known stays; the next look may tell more.
            Err(error) => tracing::warn!("{error}"),
        }
    }

    fn draw(&mut self) {
        let elapsed = self.started.elapsed().as_secs();
        let line = format!("smoke check: {elapsed} s of {} s", self.timeout.as_secs());
        let nodes: Vec<&Node> = self.roll.nodes().collect();
        self.live.draw(|width| live::lines(&nodes, &line, width));
    }

    fn fleet(&self) -> Fleet {
        Fleet {
            namespace: self.cluster.namespace().to_owned(),
            daemon_set: self.set.name.clone(),
            started_at: self.started_at,
            duration: self.started.elapsed(),
            expected_configuration: self.expected.clone(),
            nodes: self.roll.nodes().cloned().collect(),
        }
    }
}

async fn lists(cluster: &Cluster) -> Result<(DaemonSet, Vec<Member>, Vec<Agent>), ClusterError> {
    let set = cluster.daemon_set().await?;
    // Nodes first: the Pod of a node that joins between the two is of no node, rather than a node without its Pod.
    let members = cluster.nodes().await?;
    let agents = cluster.agents(&set).await?;
    Ok((set, members, agents))
}

/// Writes the report to standard output, and to the files that are named; where one of them cannot be written, standard output
/// has it all the same.
fn publish(fleet: &Fleet, options: &Options) -> anyhow::Result<()> {
    let style = terminal::style();
    let printed = terminal::print_with(|out| report::write(out, fleet, options.format, &style));
    let printed = printed.context("cannot write the report to standard output");
    let plain = Style { color: false, unicode: false, width: terminal::UNKNOWN_WIDTH };
    if let Some(path) = &options.report_file {
        let written = write_whole_with(path, |out| report::write(out, fleet, options.format, &plain));
        written.with_context(|| format!("cannot write the report to {}", path.display()))?;
    }
    if let Some(path) = &options.summary_file {
        let mut text = Vec::new();
        report::write(&mut text, fleet, Format::Markdown, &plain)?;
        append(path, &text).with_context(|| format!("cannot add the summary to {}", path.display()))?;
    }
    printed
}

/// Other steps of a pipeline have their summaries in the same file.
fn append(path: &Path, text: &[u8]) -> std::io::Result<()> {
    OpenOptions::new().create(true).append(true).open(path)?.write_all(text)
}
