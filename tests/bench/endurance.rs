//! `endurance BINARY`: an agent's process through thousands of checks of which half fail, in every way that the lab
//! knows; its memory, threads and descriptors must not grow. `tests/bench/agent` builds and starts it.
//!
//! Owns the faults, the order of healthy and broken rounds, and the judgement. A fault stays until some checks have
//! begun under it, then comes the next, so that a round of the agent meets several. Samples are taken between rounds,
//! when nothing is in flight. The warm-up is over after one turn of all faults: until then memory may grow, as buffers
//! find their size.

#[path = "../lab/mod.rs"]
mod lab;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use clap::Parser;
use lab::Lab;
use lab::answers::{
    BlobFault, Canned, ChallengeFault, Delivery, FirewallWording, ManifestFault, RedirectFault, RetryAfter,
    Step, Target, TokenFault,
};
use lab::settings::{
    Behaviour, Certificate, Endpoint, Grant, Nameserver, Rcode, Settings, TcpDeath, Transport, View,
};

/// Images of the agent; each is a whole check, and a round has them all.
const IMAGES: usize = 80;
/// Checks that begin under a fault before the next one comes.
const CHECKS_PER_FAULT: usize = 8;
/// How often the lab and the agent are looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How often the agent's metrics are read.
const SCRAPE: Duration = Duration::from_millis(100);
/// An agent that does nothing for this long hangs.
const PATIENCE: Duration = Duration::from_secs(60);
/// Growth of resident memory after the warm-up that is none yet, in KiB.
const MAX_GROWTH: f64 = 1024.0;

/// Check an agent's memory, threads and descriptors through thousands of checks
#[derive(Parser)]
#[command(name = "endurance")]
struct Arguments {
    /// The program, built for release
    binary: PathBuf,
    /// Checks until the end
    #[arg(long, default_value_t = 10_000)]
    checks: u64,
}

/// One way to break the registry.
struct Fault(Box<dyn Fn(&mut Settings)>);

fn fault(apply: impl Fn(&mut Settings) + 'static) -> Fault {
    Fault(Box::new(apply))
}

/// Every kind of fault of the lab that makes a check fail.
fn faults() -> Vec<Fault> {
    let mut faults = names();
    faults.extend(connections());
    faults.extend(travels());
    faults.extend(answers());
    faults
}

fn names() -> Vec<Fault> {
    let views = [
        View::Addresses(vec![[203, 0, 113, 7].into()]),
        View::NotLinked,
        View::NoPrivateEndpoint,
        View::RecordMissing,
        View::RecordEmpty,
        View::NoSuchName,
        View::Chain(Vec::new(), Rcode::ServFail),
        View::CnameLoop,
    ];
    let behaviours = [
        Behaviour::Silent,
        Behaviour::Closed,
        Behaviour::Rcode(Rcode::Refused, None),
        Behaviour::Rcode(Rcode::FormErr, None),
        Behaviour::Rcode(Rcode::NotImp, None),
        Behaviour::Garbage,
        Behaviour::WrongId,
        Behaviour::ForeignSource,
        Behaviour::WrongQuestion,
        Behaviour::TruncatedTcpDead(TcpDeath::Refuses),
        Behaviour::TruncatedTcpDead(TcpDeath::Closes),
        Behaviour::TruncatedTcpDead(TcpDeath::Silent),
        Behaviour::DropFirst(5),
        Behaviour::Delay(Duration::from_millis(400)),
        Behaviour::HugeAnswer(300),
    ];
    let mut faults = Vec::new();
    for view in views {
        let data = view.clone();
        faults.push(fault(move |settings| settings.nameservers[0].login = view.clone()));
        faults.push(fault(move |settings| settings.nameservers[0].data = data.clone()));
    }
    faults.extend(behaviours.map(|behaviour| {
        fault(move |settings| settings.nameservers[0] = Nameserver::behaving(behaviour.clone()))
    }));
    faults
}

fn connections() -> Vec<Fault> {
    let transports = [
        Transport::Closed,
        Transport::AcceptQueueFull,
        Transport::ResetOnAccept,
        Transport::CloseOnAccept,
        Transport::SilentAfterAccept,
        Transport::ResetInHandshake,
        Transport::PlainHttp,
    ];
    let certificates = [
        Certificate::Untrusted,
        Certificate::SelfSigned,
        Certificate::MissingIntermediate,
        Certificate::WrongName,
        Certificate::Expired,
        Certificate::NotYetValid,
    ];
    let broken = transports.map(|transport| Endpoint { transport, ..Endpoint::default() });
    let untrusted = certificates.map(|certificate| Endpoint { certificate, ..Endpoint::default() });
    let mut faults = Vec::new();
    for endpoint in broken.into_iter().chain(untrusted) {
        let data = endpoint.clone();
        faults.push(fault(move |settings| settings.login = endpoint.clone()));
        faults.push(fault(move |settings| settings.data = data.clone()));
    }
    faults
}

fn travels() -> Vec<Fault> {
    let deliveries = [
        Delivery::Delayed(Duration::from_millis(400)),
        Delivery::ResetAfterRequest,
        Delivery::CloseAfterRequest,
        Delivery::SilentAfterRequest,
        Delivery::ResetMidBody,
        Delivery::CloseMidBody,
        Delivery::SilentMidBody,
        Delivery::OneBytePerSecond,
        Delivery::BodyOneBytePerSecond,
        Delivery::EndlessHeaders,
        Delivery::EndlessBody,
        Delivery::HugeHeader,
        Delivery::NotHttp,
    ];
    // Each delivery at a step of its own, then at the next: all pairs would be too many of the slow ones.
    let pairs = deliveries.into_iter().zip(Step::ALL.into_iter().cycle());
    let shifted = deliveries.into_iter().zip(Step::ALL.into_iter().cycle().skip(2));
    pairs
        .chain(shifted)
        .map(|(delivery, step)| fault(move |settings| settings.deliver(step, delivery)))
        .collect()
}

fn answers() -> Vec<Fault> {
    let mut faults = vec![
        fault(|settings| settings.credentials.password = "the-next-password".into()),
        fault(|settings| settings.credentials.grant = Grant::Repositories(vec!["apps/other".into()])),
    ];
    let canned = [
        Canned::Unauthorized,
        Canned::InvalidClient,
        Canned::Firewall(FirewallWording::Refer),
        Canned::PermissionsFailed,
        Canned::StorageForbidden,
        Canned::NameUnknown,
        Canned::ManifestUnknown,
        Canned::BlobUnknown,
        Canned::StorageNotFound,
        Canned::Throttled(RetryAfter::Seconds(1)),
        Canned::ServerError(503),
        Canned::BadGateway,
        Canned::CaptivePortal,
        Canned::ProxyForbidden,
    ];
    for (number, canned) in canned.into_iter().enumerate() {
        for step in [Step::ALL[number % 5], Step::ALL[(number + 2) % 5]] {
            let canned = canned.clone();
            faults.push(fault(move |settings| settings.answer(step, canned.clone())));
        }
    }
    let challenges = [
        ChallengeFault::HeaderMissing,
        ChallengeFault::BasicOnly,
        ChallengeFault::Unparsable,
        ChallengeFault::OverLong,
        ChallengeFault::RealmMissing,
        ChallengeFault::RealmUnparsable,
        ChallengeFault::RealmOtherHost,
        ChallengeFault::RealmPlainHttp,
        ChallengeFault::ServiceOther,
    ];
    faults.extend(
        challenges.map(|found| fault(move |settings| settings.challenge.answer = found.clone().into())),
    );
    let tokens = [
        TokenFault::NotJson,
        TokenFault::NoToken,
        TokenFault::Empty,
        TokenFault::OverLong,
        TokenFault::LineBreak,
        TokenFault::WithoutPull,
        TokenFault::Expired,
        TokenFault::BadSignature,
    ];
    faults.extend(tokens.map(|found| fault(move |settings| settings.token.answer = found.into())));
    let manifests = [
        ManifestFault::WrongBytes,
        ManifestFault::OtherContent,
        ManifestFault::Schema1,
        ManifestFault::NotJson,
        ManifestFault::OverLong,
        ManifestFault::DeeplyNested,
        ManifestFault::HugeIndex,
        ManifestFault::EmptyIndex,
        ManifestFault::NoLayers,
        ManifestFault::UnknownMediaType,
        ManifestFault::Html,
    ];
    faults.extend(manifests.map(|found| fault(move |settings| settings.manifest.answer = found.into())));
    let redirects = [
        RedirectFault::Target(Target::PlainHttp),
        RedirectFault::Target(Target::ForeignHost),
        RedirectFault::Target(Target::Metadata),
        RedirectFault::Target(Target::Itself),
        RedirectFault::NoLocation,
        RedirectFault::Unparsable,
        RedirectFault::OverLong,
    ];
    faults.extend(
        redirects.map(|found| fault(move |settings| settings.blob_redirect.answer = found.clone().into())),
    );
    let blobs = [
        BlobFault::WrongBytes,
        BlobFault::MoreBytes,
        BlobFault::FewerBytes,
        BlobFault::Empty,
        BlobFault::SignatureRefused,
    ];
    faults.extend(blobs.map(|found| fault(move |settings| settings.blob.answer = found.into())));
    faults
}

/// The agent's process; it is ended when this is dropped.
struct Agent {
    child: Child,
    address: SocketAddr,
}

impl Agent {
    fn start(binary: &Path, lab: &Lab) -> anyhow::Result<Self> {
        // Taken and given back: the agent tells its port in its log alone, which is not read here.
        let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut yaml = format!(
            "tls: {{caFile: {}}}\nschedule: {{interval: 1s, jitter: 0, timeout: 1s, stageTimeout: 250ms}}\nserver: \
             {{address: \"{address}\"}}\nevents: {{enabled: false}}\nimages:\n",
            lab.ca_file().display()
        );
        let digest = lab.digest("1");
        for number in 0..IMAGES {
            // The digest decides; the tag only makes it another image.
            let image = lab.image_of(lab::content::REPOSITORY, &format!(":n{number}@{digest}"));
            let folder = lab.secret_folder();
            yaml.push_str(&format!("  - image: {image}\n    credentials: {{path: {}}}\n", folder.display()));
        }
        let config = lab.folder().join("endurance.yaml");
        fs::write(&config, yaml)?;
        let log = File::create(lab.folder().join("endurance.log"))?;
        let mut command = Command::new(binary);
        command.args(["agent", "--allow-loopback", "--nameserver", &lab.nameservers()[0].to_string()]);
        command.arg("--config").arg(config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().with_context(|| format!("cannot start {}", binary.display()))?;
        let mut agent = Self { child, address };
        let started = Instant::now();
        while let Err(error) = agent.scrape() {
            if let Some(status) = agent.child.try_wait()? {
                bail!(
                    "the agent ended: {status}\n{}",
                    fs::read_to_string(lab.folder().join("endurance.log"))?
                );
            }
            ensure!(started.elapsed() < PATIENCE, "the agent does not answer: {error}");
            std::thread::sleep(LOOK);
        }
        Ok(agent)
    }

    fn scrape(&self) -> io::Result<String> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    fn sample(&self) -> anyhow::Result<Sample> {
        let folder = PathBuf::from(format!("/proc/{}", self.child.id()));
        let status = fs::read_to_string(folder.join("status"))?;
        let of = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let number = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
            number.with_context(|| format!("no {name} in /proc"))
        };
        let mut sample = Sample {
            resident: of("VmRSS")?,
            peak: of("VmHWM")?,
            threads: of("Threads")?,
            descriptors: 0.0,
            sockets: 0.0,
        };
        for entry in fs::read_dir(folder.join("fd"))? {
            sample.descriptors += 1.0;
            // It may be gone by now.
            let target = fs::read_link(entry?.path()).unwrap_or_default();
            sample.sockets += f64::from(u8::from(target.to_string_lossy().starts_with("socket:")));
        }
        Ok(sample)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the system tells of the process between two rounds; memory in KiB.
#[derive(Clone, Copy)]
struct Sample {
    resident: f64,
    peak: f64,
    threads: f64,
    descriptors: f64,
    sockets: f64,
}

/// One number of a sample.
type Number = fn(&Sample) -> f64;

/// What the metrics tell.
#[derive(Default, PartialEq)]
struct Counted {
    good: u64,
    bad: u64,
}

impl Counted {
    /// Also notes which causes were told, and at which stage.
    fn read(text: &str, causes: &mut BTreeSet<String>) -> Self {
        let mut counted = Self::default();
        for line in text.lines() {
            if let Some(labels) = line.strip_prefix("acr_verifier_checks_total{") {
                let value =
                    labels.rsplit(' ').next().and_then(|value| value.parse::<u64>().ok()).unwrap_or(0);
                let is_good =
                    ["pass", "warn"].iter().any(|verdict| labels.contains(&format!("verdict=\"{verdict}\"")));
                *(if is_good { &mut counted.good } else { &mut counted.bad }) += value;
            } else if let Some(labels) = line.strip_prefix("acr_verifier_failures_total{") {
                let cause = labels.split("cause=\"").nth(1).and_then(|rest| rest.split('"').next());
                causes.extend(cause.map(str::to_owned));
            }
        }
        counted
    }

    const fn all(&self) -> u64 {
        self.good + self.bad
    }
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let started = Instant::now();
    let lab = Lab::try_start(Settings::default())?;
    let agent = Agent::start(&arguments.binary, &lab)?;
    let healthy = lab_settings(&lab);
    let faults = faults();
    let mut causes = BTreeSet::new();
    let mut samples = Vec::new();
    let mut warm_up = None;
    let (mut known, mut used, mut rounds) = (Counted::default(), 0_usize, 0_u32);
    let (mut broken, mut scraped, mut progress) = (false, Instant::now(), Instant::now());
    while known.all() < arguments.checks {
        std::thread::sleep(LOOK);
        let begun =
            lab.queries().iter().filter(|query| query.kind == "A" && !query.name.contains(".data.")).count();
        if broken && begun >= CHECKS_PER_FAULT {
            used += 1;
            break_with(&lab, &healthy, &faults[used % faults.len()]);
        }
        if scraped.elapsed() < SCRAPE {
            continue;
        }
        scraped = Instant::now();
        let counted = Counted::read(&agent.scrape()?, &mut causes);
        if counted == known {
            ensure!(progress.elapsed() < PATIENCE, "no check ended for {PATIENCE:?}");
            continue;
        }
        // A round is over, and the next one begins in a second.
        (known, progress, rounds) = (counted, Instant::now(), rounds + 1);
        // The connection of the scrape closes.
        std::thread::sleep(LOOK);
        samples.push(agent.sample()?);
        if warm_up.is_none() && used >= faults.len() {
            warm_up = Some((samples.len(), known.all()));
        }
        broken = known.bad * 2 < known.all();
        if broken {
            used += 1;
            break_with(&lab, &healthy, &faults[used % faults.len()]);
        } else {
            mend(&lab, &healthy);
        }
    }
    let (from, checks) = warm_up.context("too few checks: the faults did not all have their turn")?;
    let steady = &samples[from..];
    let tenth = (steady.len() / 10).max(1);
    ensure!(steady.len() >= 2 * tenth, "too few checks after the warm-up");
    let (first, last) = (&steady[..tenth], &steady[steady.len() - tenth..]);
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{} checks in {rounds} rounds of {IMAGES} images, {:.0} s: {} failed or unknown, by {} faults in turns, with \
         {} different causes told; the first {checks} are the warm-up\n",
        known.all(),
        started.elapsed().as_secs_f64(),
        known.bad,
        faults.len(),
        causes.len()
    )?;
    writeln!(
        out,
        "| after the warm-up | first tenth | last tenth | least | most |\n| --- | --- | --- | --- | --- |"
    )?;
    let rows: [(&str, Number, f64); 4] = [
        ("resident memory, MiB", |sample| sample.resident / 1024.0, MAX_GROWTH / 1024.0),
        ("threads", |sample| sample.threads, 0.0),
        ("file descriptors", |sample| sample.descriptors, 0.0),
        ("of them sockets", |sample| sample.sockets, 0.0),
    ];
    let mut grown = Vec::new();
    for (name, of, allowed) in rows {
        let (before, after) = (average(first, of), average(last, of));
        let least = steady.iter().map(of).fold(f64::INFINITY, f64::min);
        let most = steady.iter().map(of).fold(0.0, f64::max);
        writeln!(out, "| {name} | {before:.2} | {after:.2} | {least:.2} | {most:.2} |")?;
        // What is counted is an average over rounds: half a descriptor is one that is there half of the time.
        if after - before > allowed + 0.01 {
            grown.push(name);
        }
    }
    let peak = steady.last().map_or(0.0, |sample| sample.peak / 1024.0);
    writeln!(
        out,
        "\nThe peak of resident memory, with {IMAGES} images and 4 checks at a time: {peak:.2} MiB."
    )?;
    if grown.is_empty() {
        writeln!(out, "Nothing has grown.")?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out, "This has grown: {}.", grown.join(", "))?;
    Ok(ExitCode::FAILURE)
}

fn average(samples: &[Sample], of: Number) -> f64 {
    samples.iter().map(of).sum::<f64>() / samples.len() as f64
}

/// The settings as they are, with the password that was made for this lab.
fn lab_settings(lab: &Lab) -> Settings {
    let mut healthy = Settings::default();
    lab.change(|settings| healthy = settings.clone());
    healthy
}

fn break_with(lab: &Lab, healthy: &Settings, fault: &Fault) {
    lab.forget();
    lab.change(|settings| {
        *settings = healthy.clone();
        (fault.0)(settings);
    });
}

fn mend(lab: &Lab, healthy: &Settings) {
    lab.change(|settings| *settings = healthy.clone());
    lab.forget();
}
