//! The agent process of the DaemonSet: verifies continuously, serves HTTP, publishes Events.
//!
//! Owns the main loop: starting checks when they are due, one at a time, handling their results, and shutdown. `check`
//! runs a check, `schedule` decides when, `transition` decides what to announce. The loop hands results to each sink and
//! never waits for it.

mod announcer;
mod callers;
mod reach;
mod running;
mod settings;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use self::announcer::Announcer;
use self::callers::Callers;
use self::reach::Access;
use self::running::{Completed, Running, finished};
use self::settings::Settings;
use crate::address::NameserverAddress;
use crate::cause::Cause;
use crate::config::LabEndpoints;
use crate::config::server::ChecksOnDemand;
use crate::credentials::{AmbientCredentials, Fingerprint};
use crate::events::event;
use crate::metrics::{Metrics, NodeLabels};
use crate::pass::{self, NodeContext};
use crate::path_check::{Compared, Paths};
use crate::run::{CheckRun, ImageResult, NodeFilesReport};
use crate::schedule::{CheckFeedback, Timetable};
use crate::server::{self, CheckRequest, Limits, Shared};
use crate::status::{AgentState, Configuration};

/// Poll interval for configuration and credential files: a change is detected within three polls.
pub const LOOK: Duration = Duration::from_secs(5);
/// Check requests that may be queued; they all receive the same report.
const REQUESTS: usize = 64;
/// Time for open responses during shutdown.
const GRACE: Duration = Duration::from_secs(1);

/// The arguments of an agent; everything else is in its configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The configuration file.
    pub config: PathBuf,
    /// Nameservers that replace those of the configuration, if any.
    pub nameservers: Vec<NameserverAddress>,
    /// Whether loopback counts as private.
    pub allow_loopback: bool,
    /// Where a laboratory serves Azure's identity endpoints.
    pub lab: LabEndpoints,
    /// The credentials in the environment.
    pub ambient: AmbientCredentials,
}

/// The node context of the agent, in addition to that of a single pass.
pub struct AgentContext {
    /// The node, its network view and the clock.
    pub pass: NodeContext,
    /// The agent's own Pod, if the downward API provides it.
    pub pod: Option<event::Pod>,
    /// The addresses of the node, as the downward API provides them: separated by commas.
    pub node_ips: Option<String>,
    /// The labels of the node in metrics.
    pub labels: NodeLabels,
    /// Whether the agent runs in a pod of a cluster.
    pub in_cluster: bool,
    /// Returns a random number from 0 to 1.
    pub chance: fn() -> f64,
}

/// Verifies until `stop` completes.
///
/// # Errors
/// The agent cannot start: the configuration, the trusted certificates or the listen address is not usable.
pub async fn run(
    options: Options,
    context: AgentContext,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let now = (context.pass.now)();
    let settings = Settings::read(options)?;
    let (listeners, addresses) = reach::listen(&settings, context.node_ips.as_deref())?;
    let metrics = Arc::new(Metrics::new(&context.labels, env!("CARGO_PKG_VERSION"), revision()));
    metrics.set_stage_histograms(&settings.config.stage_histograms);
    metrics.record_reload(true, now);
    let announcer = Announcer::new(&settings.config, &context, &metrics);
    let (requests, waiting) = mpsc::channel(REQUESTS);
    let (heartbeat, beats) = watch::channel(Instant::now());
    let (status, statuses) = watch::channel(first_status(&settings, &context, now));
    let (access, admitted) = Access::start(&settings);
    let (completed, completions) = watch::channel(Instant::now());
    let exposed = Arc::clone(&metrics);
    let shared = Shared {
        status: statuses,
        metrics: Box::new(move || exposed.encode()),
        checks: requests,
        heartbeat: beats,
        now: context.pass.now,
        access: admitted,
        completed: completions,
        limits: Limits::default(),
    };
    let (end, ended) = oneshot::channel::<()>();
    let serving = tokio::spawn(server::serve(listeners, Arc::new(shared), async {
        // Dropped or sent, it means shutdown.
        let _ = ended.await;
    }));
    tracing::info!(
        node = context.pass.node,
        address = addresses,
        images = settings.config.images.len(),
        configuration = settings.config.digest,
        "started"
    );
    let agent = Agent {
        started: Instant::now(),
        timetable: Timetable::start(&context.pass.node, &settings.pace()),
        fingerprints: settings.fingerprints(),
        paths: Paths::of(&settings.config.images),
        settings,
        context,
        metrics,
        announcer,
        status,
        heartbeat,
        access,
        completed,
        callers: Callers::default(),
    };
    tokio::select! {
        () = agent.work(waiting) => {}
        () = stop => tracing::info!("stopping"),
    }
    drop(end);
    // A client that does not read must not delay the node's rolling update.
    let _ = tokio::time::timeout(GRACE, serving).await;
    Ok(())
}

/// Completes on SIGTERM, which the kubelet sends, or Ctrl-C. Without a handler, process 1 of a container ignores both.
///
/// # Errors
/// The signal handlers cannot be installed.
pub fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for Ctrl-C")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// The commit that the program was built from, if set by the build.
const fn revision() -> &'static str {
    match option_env!("ACR_VERIFIER_REVISION") {
        Some(revision) => revision,
        None => "unknown",
    }
}

fn first_status(settings: &Settings, context: &AgentContext, now: Timestamp) -> AgentState {
    AgentState {
        node: context.pass.node.clone(),
        network_view: context.pass.network_view,
        started_at: now,
        latest: None,
        verdict_since: None,
        paths: Vec::new(),
        since: Vec::new(),
        history: std::collections::VecDeque::new(),
        due_at: None,
        interval: settings.pace().interval,
        configuration: Configuration { read_at: now, digest: settings.config.digest.clone(), rejected: None },
        has_open_checks: settings.config.server.checks_on_demand == ChecksOnDemand::Open,
    }
}

/// The main loop and its state.
struct Agent {
    settings: Settings,
    fingerprints: Vec<Fingerprint>,
    context: AgentContext,
    metrics: Arc<Metrics>,
    announcer: Announcer,
    status: watch::Sender<AgentState>,
    heartbeat: watch::Sender<Instant>,
    access: Access,
    /// When the latest whole check completed.
    completed: watch::Sender<Instant>,
    /// The start of the timetable's clock.
    started: Instant,
    timetable: Timetable,
    paths: Paths,
    callers: Callers,
}

impl Agent {
    async fn work(mut self, mut requests: mpsc::Receiver<CheckRequest>) {
        self.tell_due();
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut running: Option<Running> = None;
        loop {
            self.heartbeat.send_replace(Instant::now());
            let is_whole = matches!(running, Some(Running::Whole(_)));
            let (next, is_path) = self.next_begin(running.as_ref());
            tokio::select! {
                completed = finished(&mut running) => {
                    running = None;
                    match completed {
                        Completed::Whole(run) => self.conclude(run),
                        Completed::Path(found) => self.conclude_path(&found),
                    }
                }
                Some(request) = requests.recv() => self.admit(request, is_whole),
                // A whole check that is due replaces a path check, which is a part of it.
                () = sleep_until(next), if !is_whole => {
                    running = Some(if is_path { self.start_path() } else { self.start() });
                }
                _ = look.tick() => {
                    self.announcer.release(self.started.elapsed());
                    if self.look_at_files() {
                        // Its images may be others.
                        running.take_if(|check| matches!(check, Running::Path(_)));
                    }
                    if !is_whole {
                        let (pace, chance) = (self.settings.pace(), (self.context.chance)());
                        self.timetable.plan(&pace, chance, self.started.elapsed());
                        self.tell_due();
                    }
                }
            }
        }
    }

    /// When the next check starts, and whether it is a path check: a whole check that is planned or that callers wait for goes
    /// first. Meaningless while a whole check runs.
    fn next_begin(&mut self, running: Option<&Running>) -> (Instant, bool) {
        let due = self.timetable.due();
        let is_whole = matches!(running, Some(Running::Whole(_)));
        let wanted =
            if is_whole { None } else { self.callers.wanted_at(&self.timetable, self.started.elapsed()) };
        let whole = wanted.map_or(due, |at| at.min(due));
        match self.timetable.path_due() {
            Some(path) if path < whole && running.is_none() => (self.started + path, true),
            Some(_) | None => (self.started + whole, false),
        }
    }

    fn admit(&mut self, request: CheckRequest, is_whole: bool) {
        let soon = (!is_whole).then(|| self.timetable.on_demand(self.started.elapsed()));
        self.callers.admit(request, &self.status.borrow().configuration, soon);
    }

    fn start(&mut self) -> Running {
        self.timetable.begin(self.started.elapsed());
        self.callers.begin(&self.status.borrow().configuration);
        self.status.send_modify(|status| status.due_at = None);
        let settings = self.settings.clone();
        let node_context = self.context.pass.clone();
        Running::Whole(Box::pin(async move {
            let (trust, node) = (&settings.trust, settings.node.as_deref());
            let mut run = pass::run(&settings.config, &settings.ambient, &node_context, trust, node).await;
            // Without node files, the agent reports that they were not read.
            run.node_files.get_or_insert_with(|| NodeFilesReport::unread(trust.roots()));
            run
        }))
    }

    fn start_path(&mut self) -> Running {
        self.timetable.begin_path(&self.settings.pace(), self.started.elapsed());
        let (settings, node_context) = (self.settings.clone(), self.context.pass.clone());
        let data = self.paths.data_endpoints();
        Running::Path(Box::pin(async move {
            let (config, ambient) = (&settings.config, &settings.ambient);
            let node = (&settings.trust, settings.node.as_deref());
            let mut found = pass::run_paths(config, ambient, &node_context, node, &data).await;
            found.node_files.get_or_insert_with(|| NodeFilesReport::unread(settings.trust.roots()));
            found
        }))
    }

    /// Publishes the results of broken paths, and plans a whole check if a path needs one.
    fn conclude_path(&mut self, found: &CheckRun) {
        let Compared { statuses, results, needs_whole_check } = self.paths.compare(found);
        self.metrics.record_paths(&statuses);
        if let Some(run) = results {
            pass::log_changes(&run, self.status.borrow().latest.as_deref());
            self.publish(&Arc::new(run));
        }
        self.status.send_modify(|status| status.paths = statuses);
        if needs_whole_check {
            self.timetable.change();
            self.timetable.plan(&self.settings.pace(), (self.context.chance)(), self.started.elapsed());
        }
        self.tell_due();
    }

    /// Publishes a completed whole check and plans the next one.
    fn conclude(&mut self, run: CheckRun) {
        let run = Arc::new(run);
        self.publish(&run);
        self.completed.send_replace(Instant::now());
        self.callers.finish(&run);
        self.paths.adopt(&run);
        let feedback = CheckFeedback {
            is_throttled: run.images.iter().any(is_throttled),
            retry_after: run.images.iter().filter_map(|checked| checked.observation.retry_after()).max(),
        };
        let (pace, chance) = (self.settings.pace(), (self.context.chance)());
        self.timetable.finish(&pace, feedback, chance, self.started.elapsed());
        self.tell_due();
    }

    /// Passes results to all sinks.
    fn publish(&mut self, run: &Arc<CheckRun>) {
        self.metrics.record(run);
        self.status.send_modify(|status| status.record(Arc::clone(run)));
        let (at, schedule) = ((self.context.pass.now)(), &self.settings.config.schedule);
        self.announcer.announce(run, schedule, (at, self.started.elapsed()));
    }

    /// Publishes when the next check is due; only while none runs.
    fn tell_due(&self) {
        let left = self.timetable.due().saturating_sub(self.started.elapsed());
        let due_at = (self.context.pass.now)() + left;
        self.status.send_modify(|status| status.due_at = Some(due_at));
    }

    /// Applies changes of configuration, credential and node files. Returns whether another configuration is in force.
    fn look_at_files(&mut self) -> bool {
        let mut is_reconfigured = false;
        let now = (self.context.pass.now)();
        let before = self.settings.pace().interval;
        if let Some(outcome) = self.settings.read_again() {
            self.metrics.record_reload(outcome.is_ok(), now);
            self.metrics.set_stage_histograms(&self.settings.config.stage_histograms);
            let rejected = outcome.err();
            let in_force = self.settings.config.digest.clone();
            match &rejected {
                None => tracing::info!(
                    images = self.settings.config.images.len(),
                    configuration = in_force,
                    "configuration reloaded"
                ),
                Some(rejected) => tracing::error!(
                    configuration = in_force,
                    rejected = rejected.digest,
                    "new configuration rejected, the previous one stays in force: {}",
                    rejected.phrase()
                ),
            }
            if rejected.is_none() {
                is_reconfigured = true;
                self.timetable.change();
                self.announcer.switch(&self.settings.config, &self.context);
                self.paths.reconfigure(&self.settings.config);
                self.status.send_modify(|status| status.paths = Vec::new());
            }
            let interval = self.settings.pace().interval;
            self.timetable.change_interval(before, interval, self.started.elapsed());
            let (node, pace) = (&self.context.pass.node, self.settings.pace());
            self.timetable.change_path(node, &pace, self.started.elapsed());
            self.status.send_modify(|status| {
                status.configuration = Configuration { read_at: now, digest: in_force, rejected };
                status.interval = interval;
            });
        }
        let fingerprints = self.settings.fingerprints();
        if fingerprints != self.fingerprints {
            self.fingerprints = fingerprints;
            tracing::info!("credential files changed");
            self.timetable.change();
        }
        self.access.update(&self.settings, &self.status);
        if self.settings.read_node_again() {
            tracing::info!("node files changed");
            self.timetable.change();
        }
        is_reconfigured
    }
}

/// Whether the registry throttled a check; other inconclusive checks are no reason to back off.
fn is_throttled(checked: &ImageResult) -> bool {
    checked.diagnoses.iter().any(|diagnosis| diagnosis.cause == Cause::Throttled)
}
