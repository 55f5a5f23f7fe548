//! The process of the DaemonSet: verifies for ever, serves HTTP, publishes Events.
//!
//! Owns the loop: that a check starts when it is due, that there is only one at a time, what happens after it, and how
//! the process ends. The check itself is `check`'s, when it is due `schedule`'s, what is announced `transition`'s; each
//! sink is handed what it needs and is never waited for.

mod callers;
mod files;
mod settings;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use self::callers::Callers;
use self::files::Fingerprint;
use self::settings::Settings;
use crate::cause::Cause;
use crate::check::{Surroundings, pass};
use crate::cli::AgentOptions;
use crate::events::{self, Publisher, event};
use crate::metrics::Metrics;
use crate::run::{Checked, NodeFilesReport, Run};
use crate::schedule::{Outcome, Timetable};
use crate::server::{self, CheckRequest, Limits, Shared};
use crate::status::{Configuration, Status};
use crate::transition::Track;

/// How often the files of configuration and credentials are looked at: a change is seen within three of these.
pub const LOOK: Duration = Duration::from_secs(5);
/// Checks on demand that may wait in line; they all get the same answer.
const REQUESTS: usize = 64;
/// What is left to do at the end gets this long.
const GRACE: Duration = Duration::from_secs(1);

/// What the agent takes from its surroundings beside what a pass takes.
pub struct Place {
    /// The node, the view of its network, the clock.
    pub surroundings: Surroundings,
    /// The agent's own Pod, where the downward API tells.
    pub pod: Option<event::Pod>,
    /// Whether this is a pod of a cluster.
    pub in_cluster: bool,
    /// A number from 0 to 1, another at each call.
    pub chance: fn() -> f64,
}

/// Verifies until `stop` is ready.
///
/// # Errors
/// The agent cannot start: the configuration, the roots of trust or the address to listen at are not usable.
pub async fn run(options: AgentOptions, place: Place, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    let now = (place.surroundings.now)();
    let settings = Settings::read(options)?;
    let address = settings.config.server_address;
    let listener = server::listen(address).with_context(|| format!("cannot listen at {address}"))?;
    // Port 0 asks the system for a free one.
    let address = listener.local_addr().unwrap_or(address);
    let metrics = Arc::new(Metrics::new(&place.surroundings.node, env!("CARGO_PKG_VERSION"), revision()));
    metrics.record_reload(true, now);
    let publisher = publisher(&settings, &place, &metrics);
    let (requests, waiting) = mpsc::channel(REQUESTS);
    let (heartbeat, beats) = watch::channel(Instant::now());
    let (status, statuses) = watch::channel(first_status(&settings, &place, now));
    let exposed = Arc::clone(&metrics);
    let shared = Shared {
        status: statuses,
        metrics: Box::new(move || exposed.encode()),
        checks: requests,
        heartbeat: beats,
        now: place.surroundings.now,
        limits: Limits::default(),
    };
    let (end, ended) = oneshot::channel::<()>();
    let serving = tokio::spawn(server::serve(listener, Arc::new(shared), async {
        // Dropped or sent, it is the end.
        let _ = ended.await;
    }));
    tracing::info!(
        node = place.surroundings.node,
        %address,
        images = settings.config.images.len(),
        configuration = settings.config.digest,
        "started"
    );
    let agent = Agent {
        started: Instant::now(),
        timetable: Timetable::start(&place.surroundings.node, &settings.pace()),
        fingerprint: Fingerprint::of(&settings.config, &settings.usual_credentials),
        publishes: settings.config.events,
        settings,
        place,
        metrics,
        publisher,
        status,
        heartbeat,
        tracks: BTreeMap::new(),
        callers: Callers::default(),
    };
    tokio::select! {
        () = agent.work(waiting) => {}
        () = stop => tracing::info!("stopping"),
    }
    drop(end);
    // A client that does not read must not hold the node's rolling update.
    let _ = tokio::time::timeout(GRACE, serving).await;
    Ok(())
}

/// Ready when the process is asked to end: SIGTERM, which the kubelet sends, or Ctrl-C. As process 1 of a container it
/// would be deaf to both without this.
///
/// # Errors
/// The system refuses the handlers.
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

/// The commit that the program was built from, where the build was told.
const fn revision() -> &'static str {
    match option_env!("ACR_VERIFIER_REVISION") {
        Some(revision) => revision,
        None => "unknown",
    }
}

fn first_status(settings: &Settings, place: &Place, now: Timestamp) -> Status {
    Status {
        node: place.surroundings.node.clone(),
        network_view: place.surroundings.network_view,
        started_at: now,
        latest: None,
        verdict_since: None,
        history: std::collections::VecDeque::new(),
        due_at: None,
        interval: settings.pace().interval,
        configuration: Configuration { read_at: now, digest: settings.config.digest.clone(), rejected: None },
    }
}

/// The task that publishes Events; none where they are off or there is no cluster, which is said once.
fn publisher(settings: &Settings, place: &Place, metrics: &Arc<Metrics>) -> Option<Publisher> {
    if !settings.config.events {
        tracing::info!("Events are off by configuration");
        return None;
    }
    let config = match events::in_cluster(place.in_cluster) {
        Ok(Some(config)) => config,
        Ok(None) => {
            tracing::info!("this is no pod of a cluster: no Events are published");
            return None;
        }
        Err(reason) => {
            tracing::warn!("no Events are published, the API server cannot be used: {reason}");
            return None;
        }
    };
    let reporter = event::Reporter {
        node: place.surroundings.node.clone(),
        pod: place.pod.clone(),
        network_view: place.surroundings.network_view,
    };
    let counted = Arc::clone(metrics);
    match events::prepare(config, reporter, move |result| counted.record_event(result)) {
        Ok((publisher, work)) => {
            tokio::spawn(work);
            Some(publisher)
        }
        Err(reason) => {
            tracing::warn!("no Events are published, the API server cannot be used: {reason}");
            None
        }
    }
}

type Pass = Pin<Box<dyn Future<Output = Run>>>;

/// The loop and what it remembers.
struct Agent {
    settings: Settings,
    fingerprint: Fingerprint,
    place: Place,
    metrics: Arc<Metrics>,
    publisher: Option<Publisher>,
    /// Whether Events are wanted, as `publisher` was made for.
    publishes: bool,
    status: watch::Sender<Status>,
    heartbeat: watch::Sender<Instant>,
    /// One an image and name: the same image may be configured under several.
    tracks: BTreeMap<(String, Option<String>), Track>,
    /// What the times of the timetable count from.
    started: Instant,
    timetable: Timetable,
    callers: Callers,
}

impl Agent {
    async fn work(mut self, mut requests: mpsc::Receiver<CheckRequest>) {
        self.tell_due();
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut running: Option<Pass> = None;
        loop {
            self.heartbeat.send_replace(Instant::now());
            let next = self.next_begin(running.is_some());
            tokio::select! {
                run = finished(&mut running) => {
                    running = None;
                    self.conclude(run);
                }
                Some(request) = requests.recv() => self.admit(request, running.is_some()),
                () = sleep_until(next), if running.is_none() => running = Some(self.start()),
                _ = look.tick() => {
                    self.look_at_files();
                    if running.is_none() {
                        let (pace, chance) = (self.settings.pace(), (self.place.chance)());
                        self.timetable.plan(&pace, chance, self.started.elapsed());
                        self.tell_due();
                    }
                }
            }
        }
    }

    /// When the next check begins: the planned one, or sooner for callers who wait. It says nothing while one runs.
    fn next_begin(&mut self, is_running: bool) -> Instant {
        let due = self.timetable.due();
        let wanted =
            if is_running { None } else { self.callers.wanted_at(&self.timetable, self.started.elapsed()) };
        self.started + wanted.map_or(due, |at| at.min(due))
    }

    fn admit(&mut self, request: CheckRequest, is_running: bool) {
        let soon = (!is_running).then(|| self.timetable.on_demand(self.started.elapsed()));
        self.callers.admit(request, &self.status.borrow().configuration, soon);
    }

    fn start(&mut self) -> Pass {
        self.timetable.begin(self.started.elapsed());
        self.callers.begin(&self.status.borrow().configuration);
        self.status.send_modify(|status| status.due_at = None);
        let settings = self.settings.clone();
        let surroundings = self.place.surroundings.clone();
        Box::pin(async move {
            let (trust, node) = (&settings.trust, settings.node.as_deref());
            let mut run =
                pass(&settings.config, &settings.usual_credentials, &surroundings, trust, node).await;
            // An agent says of itself what it does not know of its node.
            run.node_files.get_or_insert_with(|| NodeFilesReport::unread(trust.roots()));
            run
        })
    }

    /// Hands a run to everybody, and plans the next.
    fn conclude(&mut self, run: Run) {
        let now = (self.place.surroundings.now)();
        let run = Arc::new(run);
        self.metrics.record(&run);
        self.status.send_modify(|status| status.record(Arc::clone(&run)));
        self.callers.finish(&run);
        self.announce(&run, now);
        let outcome = Outcome {
            is_throttled: run.images.iter().any(is_throttled),
            retry_after: run.images.iter().filter_map(|checked| checked.observation.retry_after()).max(),
        };
        let (pace, chance) = (self.settings.pace(), (self.place.chance)());
        self.timetable.finish(&pace, outcome, chance, self.started.elapsed());
        self.tell_due();
    }

    /// Tells when the next check is due; only while none runs.
    fn tell_due(&self) {
        let left = self.timetable.due().saturating_sub(self.started.elapsed());
        let due_at = (self.place.surroundings.now)() + left;
        self.status.send_modify(|status| status.due_at = Some(due_at));
    }

    fn announce(&mut self, run: &Run, now: Timestamp) {
        let confirm_after = self.settings.config.schedule.confirm_after;
        let key = |checked: &Checked| (checked.image.to_string(), checked.name.clone());
        self.tracks.retain(|known, _| run.images.iter().any(|checked| key(checked) == *known));
        for checked in &run.images {
            let Some(announcement) =
                self.tracks.entry(key(checked)).or_default().step(checked, confirm_after, now)
            else {
                continue;
            };
            let Some(publisher) = &self.publisher else { continue };
            if let Err(result) = publisher.publish(announcement) {
                self.metrics.record_event(result);
            }
        }
    }

    /// Publishes Events from now on, or no longer, as the configuration says.
    fn switch_events(&mut self) {
        if self.settings.config.events == self.publishes {
            return;
        }
        self.publishes = self.settings.config.events;
        self.publisher = publisher(&self.settings, &self.place, &self.metrics);
        // Nobody was told of what was announced meanwhile.
        self.tracks.clear();
    }

    /// Takes over what has changed in configuration and credentials.
    fn look_at_files(&mut self) {
        let now = (self.place.surroundings.now)();
        let before = self.settings.pace().interval;
        if let Some(outcome) = self.settings.read_again() {
            self.metrics.record_reload(outcome.is_ok(), now);
            let rejected = outcome.err();
            let in_force = self.settings.config.digest.clone();
            match &rejected {
                None => tracing::info!(
                    images = self.settings.config.images.len(),
                    configuration = in_force,
                    "the configuration was read again"
                ),
                Some(rejected) => tracing::error!(
                    configuration = in_force,
                    rejected = rejected.digest,
                    "the new configuration is rejected, the old one stays in force: {}",
                    rejected.phrase()
                ),
            }
            if rejected.is_none() {
                self.timetable.change();
                self.switch_events();
            }
            let interval = self.settings.pace().interval;
            self.timetable.change_interval(before, interval, self.started.elapsed());
            self.status.send_modify(|status| {
                status.configuration = Configuration { read_at: now, digest: in_force, rejected };
                status.interval = interval;
            });
        }
        let fingerprint = Fingerprint::of(&self.settings.config, &self.settings.usual_credentials);
        if fingerprint != self.fingerprint {
            self.fingerprint = fingerprint;
            tracing::info!("files of credentials have changed");
            self.timetable.change();
        }
        if self.settings.read_node_again() {
            tracing::info!("files of the node have changed");
            self.timetable.change();
        }
    }
}

/// Whether the registry throttled a check; other inconclusive checks are no reason to leave it alone.
fn is_throttled(checked: &Checked) -> bool {
    checked.diagnoses.iter().any(|diagnosis| diagnosis.cause == Cause::Throttled)
}

/// The end of the pass that is running; never, where none is.
async fn finished(running: &mut Option<Pass>) -> Run {
    match running {
        Some(pass) => pass.await,
        None => std::future::pending().await,
    }
}
