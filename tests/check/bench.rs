//! A lab with a matching task, as used by every test of a check.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use acr_verifier::address::AddressPolicy;
use acr_verifier::config::{LabEndpoints, Resolvers, SystemResolver};
use acr_verifier::credentials::{CredentialFiles, CredentialsSource};
use acr_verifier::diagnosis::Diagnosis;
use acr_verifier::events::event;
use acr_verifier::findings::Comparisons;
use acr_verifier::observation::Observation;
use acr_verifier::page::{self, Reload};
use acr_verifier::probe::{Platform, Task, Trust, observe};
use acr_verifier::report::{self, Details, Format, Style};
use acr_verifier::rules::Expectation;
use acr_verifier::run::{CheckRun, Extent, ImageResult, NetworkView};
use acr_verifier::transition::{Announcement, Change};
use acr_verifier::verdict::Verdict;
use jiff::Timestamp;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

use crate::server::states;
use lab::Lab;
use lab::settings::Settings;

/// A lab with the task that checks it.
pub(crate) struct Bench {
    pub(crate) lab: Lab,
    pub(crate) task: Task,
}

/// The result of a check.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) observation: Observation,
    pub(crate) comparisons: Comparisons,
    pub(crate) diagnoses: Vec<Diagnosis>,
    /// The complete log of the check.
    pub(crate) log: String,
}

impl Bench {
    /// A healthy lab.
    pub(crate) fn healthy() -> Self {
        Self::new(Settings::default())
    }

    /// A healthy lab with one thing changed.
    pub(crate) fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::default();
        change(&mut settings);
        Self::new(settings)
    }

    pub(crate) fn new(settings: Settings) -> Self {
        let lab = Lab::start(settings);
        let task = Task {
            image: lab.image().parse().expect("the lab's image is a reference"),
            policy: AddressPolicy { allow_loopback: true, ..AddressPolicy::default() },
            data_endpoints: Vec::new(),
            credentials: CredentialsSource::named(lab.credentials_folder(), None),
            lab: LabEndpoints::default(),
            resolvers: Resolvers { system: system_resolver(&lab), ..Resolvers::default() },
            trust: Trust::load(Some(&lab.ca_file())).expect("the lab's root is a certificate"),
            proxy: None,
            mirrors: Vec::new(),
            timeout: Duration::from_secs(20),
            stage_timeout: Duration::from_secs(5),
            blob: true,
            platform: Platform::linux(std::env::consts::ARCH),
            now: Timestamp::now(),
        };
        Self { lab, task }
    }

    /// Selects another image of the same lab.
    pub(crate) fn image(&mut self, reference: &str) {
        self.task.image = self.lab.image_of("apps/canary", reference).parse().expect("a reference");
    }

    /// Runs the check as the program does: on one thread, with its log at the highest level.
    pub(crate) fn check(&self) -> Outcome {
        let log = Log::default();
        let lines = tracing_subscriber::fmt::layer().with_writer(log.clone()).with_ansi(false);
        let ours = Targets::new().with_target("acr_verifier", LevelFilter::TRACE);
        let subscriber = tracing_subscriber::registry().with(lines.with_filter(ours));
        let outcome = tracing::subscriber::with_default(subscriber, || self.check_quietly());
        Outcome { log: log.text(), ..outcome }
    }

    fn check_quietly(&self) -> Outcome {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let observed = runtime.block_on(observe(&self.task));
        let (observation, comparisons, diagnoses) = observed.diagnose(&self.expectation());
        Outcome { observation, comparisons, diagnoses, log: String::new() }
    }

    /// Returns the expectation of the task.
    pub(crate) fn expectation(&self) -> Expectation {
        let (image, policy) = (self.task.image.clone(), self.task.policy.clone());
        Expectation { image, policy, now: self.task.now }
    }
}

/// Uses the lab's nameservers as the node's own.
fn system_resolver(lab: &Lab) -> SystemResolver {
    SystemResolver::Servers(lab.nameservers().into_iter().map(Into::into).collect())
}

/// Returns the note of the Event for a failure.
fn note(bench: &Bench, diagnosis: &Diagnosis) -> String {
    let change = Change::Failing(Box::new(diagnosis.clone()));
    let announcement =
        Announcement { image: bench.task.image.clone(), name: None, change, at: bench.task.now };
    event::note(NetworkView::Node, &announcement)
}

/// Captures the log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("no panic while logging")).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic while logging").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'log> MakeWriter<'log> for Log {
    type Writer = Self;

    fn make_writer(&'log self) -> Self {
        self.clone()
    }
}

impl Outcome {
    pub(crate) fn verdict(&self) -> Verdict {
        acr_verifier::diagnosis::verdict_of(&self.diagnoses)
    }

    /// Returns the diagnoses in order, as `severity endpoint stage cause`.
    pub(crate) fn findings(&self) -> Vec<String> {
        let line = |diagnosis: &Diagnosis| {
            let Diagnosis { severity, endpoint, stage, cause, .. } = diagnosis;
            format!("{severity} {endpoint} {stage} {cause}")
        };
        self.diagnoses.iter().map(line).collect()
    }

    /// Returns all output of the check: every report format, the page, the Events, the log, and the debug output.
    pub(crate) fn shown(&self, bench: &Bench) -> String {
        let run = self.run(bench);
        let mut shown = Vec::new();
        let style = Style { color: false, unicode: true, width: 200 };
        for format in [Format::Text, Format::Json, Format::Junit] {
            report::write(&mut shown, &run, format, Details::All, &style)
                .expect("writing to memory succeeds");
        }
        let ascii = Style { unicode: false, ..style };
        report::write(&mut shown, &run, Format::Text, Details::All, &ascii)
            .expect("writing to memory succeeds");
        let status = states::with(run.images.clone());
        page::write(&mut shown, &status, bench.task.now, Reload::Off).expect("writing to memory succeeds");
        let notes: Vec<String> = self.diagnoses.iter().map(|diagnosis| note(bench, diagnosis)).collect();
        format!("{}\n{}\n{run:?}\n{:?}\n{notes:?}", String::from_utf8_lossy(&shown), self.log, bench.task)
    }

    /// Returns a run with this check only.
    pub(crate) fn run(&self, bench: &Bench) -> CheckRun {
        let checked = ImageResult {
            started_at: bench.task.now,
            is_kept: false,
            extent: Extent::Whole,
            image: bench.task.image.clone(),
            name: None,
            blob_requested: bench.task.blob,
            policy: bench.task.policy.clone(),
            observation: self.observation.clone(),
            comparisons: self.comparisons,
            diagnoses: self.diagnoses.clone(),
        };
        CheckRun {
            node: "node".to_owned(),
            network_view: NetworkView::Node,
            node_files: None,
            started_at: bench.task.now,
            duration: self.observation.duration,
            configuration: None,
            images: vec![checked],
        }
    }

    /// Asserts the whole list of diagnoses.
    #[track_caller]
    pub(crate) fn expect(&self, expected: &[&str]) -> &Self {
        assert_eq!(self.findings(), expected, "{self:#?}");
        self
    }
}

/// Returns the files of a task's credentials, to change them.
pub(crate) fn files_of(source: &mut CredentialsSource) -> &mut CredentialFiles {
    match source {
        CredentialsSource::Files(files) => files,
        CredentialsSource::ManagedIdentity(_) | CredentialsSource::WorkloadIdentity(_) => {
            panic!("the lab's own credentials are files")
        }
    }
}
