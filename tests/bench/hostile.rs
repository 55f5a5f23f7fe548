//! `hostile BINARY`: memory and time that hostile peers cost the program, measured with real processes.
//!
//! Runs a check against each attack by a registry or nameserver, then an agent that checks every second while crowds of
//! connections load its port. `tests/bench/hostile` builds and starts it. Fails if a goal is missed.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Parser;
use lab::Lab;
use lab::answers::Step;
use lab::settings::Settings;
use support::hostile::attacks::{self, Attack};
use support::hostile::crowd::{self, Crowd, Toll};
use support::hostile::process;

/// Maximum memory of a check under any attack, in MiB.
const GOAL_CHECK: f64 = 24.0;
/// Maximum memory of the agent under a crowd, in MiB: half of its limit in the chart.
const GOAL_AGENT: f64 = 32.0;
/// Maximum descriptors of the agent: 256 connections, up to 128 more that it accepts before the connections to close are
/// notified (the budget of a tokio task), and its own.
const GOAL_DESCRIPTORS: usize = 400;
/// Maximum response time of `/livez` under a crowd: the chart's `timeoutSeconds`, after which the kubelet counts a failure.
const GOAL_PROBE: Duration = Duration::from_secs(5);
/// Maximum time after a crowd until the agent responds as before.
const GOAL_RECOVERY: Duration = Duration::from_secs(1);
const STAGE: Duration = Duration::from_secs(1);
const WHOLE: Duration = Duration::from_secs(3);
/// Time that a crowd stays after its last connection.
const STAY: Duration = Duration::from_secs(5);

/// Measure what hostile peers cost the program
#[derive(Parser)]
#[command(name = "hostile")]
struct Arguments {
    /// Release build of the program
    binary: PathBuf,
    /// Connections of each crowd
    #[arg(long, default_value_t = 10_000)]
    connections: usize,
    /// Skip the attacks on a check
    #[arg(long)]
    no_check: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let mut missed = Vec::new();
    if !arguments.no_check {
        missed.extend(attack_checks(&arguments.binary)?);
    }
    if arguments.connections > 0 {
        missed.extend(press_agent(&arguments.binary, arguments.connections)?);
    }
    if missed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(io::stdout(), "\nMissed: {}", missed.join("; "))?;
    Ok(ExitCode::FAILURE)
}

/// Runs a check against each attack and returns the missed goals.
fn attack_checks(binary: &Path) -> anyhow::Result<Vec<String>> {
    let mut out = io::stdout();
    let mut missed = Vec::new();
    writeln!(
        out,
        "A check, with {} s a stage and {} s in all; the goal is less than {GOAL_CHECK} MiB.\n\n\
         | attack | peak memory, MiB | took | reported |\n| --- | --- | --- | --- |",
        STAGE.as_secs(),
        WHOLE.as_secs()
    )?;
    for attack in std::iter::once(Attack::none()).chain(attacks::all()) {
        let mut settings = Settings::default();
        (attack.arrange)(&mut settings);
        let lab = Lab::try_start(settings)?;
        let ended = process::check(binary, &lab, attack.images, STAGE, WHOLE);
        let peak = ended.peak as f64 / 1024.0;
        writeln!(
            out,
            "| {} | {peak:.1} | {:.1} s | {} |",
            attack.name,
            ended.took.as_secs_f64(),
            Attack::causes(&ended.report).join(", ")
        )?;
        if peak >= GOAL_CHECK {
            missed.push(format!("{}: {peak:.1} MiB", attack.name));
        }
        if ended.took > WHOLE + STAGE {
            missed.push(format!("{}: {:?}", attack.name, ended.took));
        }
        missed.extend(attack.surprise(&ended));
        let shown =
            lab.secrets().into_iter().find(|secret| secret.len() >= 8 && ended.shown.contains(secret));
        missed.extend(shown.map(|_| format!("{}: a secret is shown", attack.name)));
    }
    Ok(missed)
}

/// Runs an agent under each crowd and returns the missed goals.
fn press_agent(binary: &Path, connections: usize) -> anyhow::Result<Vec<String>> {
    let asked = connections;
    let connections = raise_descriptors(asked)?;
    let lab = Lab::try_start(Settings::default())?;
    let agent = Agent::start(binary, &lab)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut out = io::stdout();
    writeln!(
        out,
        "\nAn agent that checks every second, and {connections} connections at its port{}.\n\n\
         | crowd | connections made | peak memory so far, MiB | descriptors | threads | checks in | slowest /livez \
         | without answer | recovered in |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        if connections < asked {
            format!(", because there are no descriptors for {asked}")
        } else {
            String::new()
        }
    )?;
    let mut missed = Vec::new();
    for crowd in Crowd::ALL {
        let before = lab.requests_of(Step::Challenge).len();
        let toll: Toll =
            runtime.block_on(crowd::press(crowd, agent.address, agent.child.id(), connections, STAY));
        let checks = lab.requests_of(Step::Challenge).len() - before;
        let peak = toll.peak as f64 / 1024.0;
        writeln!(
            out,
            "| {crowd:?} | {} | {peak:.1} | {} | {} | {checks} in {:.0} s | {:.0} ms | {} of {} | {:.0} ms |",
            toll.connections,
            toll.descriptors,
            toll.threads,
            toll.lasted.as_secs_f64(),
            toll.slowest.as_secs_f64() * 1000.0,
            toll.unanswered,
            toll.probes,
            toll.recovered.as_secs_f64() * 1000.0
        )?;
        let mut miss = |what: &str, is_missed: bool| {
            if is_missed {
                missed.push(format!("{crowd:?}: {what}"));
            }
        };
        miss("memory", peak >= GOAL_AGENT);
        miss("descriptors", toll.descriptors >= GOAL_DESCRIPTORS);
        miss("connections", toll.connections < connections);
        miss("a probe without an answer", toll.unanswered > 0);
        miss("a slow probe", toll.slowest >= GOAL_PROBE);
        miss("recovery", toll.recovered >= GOAL_RECOVERY);
        miss("checks", (checks as f64) < toll.lasted.as_secs_f64() / 2.0);
    }
    Ok(missed)
}

/// Raises the descriptor limit for the crowd and returns the possible number of connections.
fn raise_descriptors(connections: usize) -> anyhow::Result<usize> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    const OWN: u64 = 500;
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    setrlimit(Resource::Nofile, Rlimit { current: Some(most.min(1 << 20)), maximum: limit.maximum })?;
    let room = usize::try_from(most.saturating_sub(OWN)).unwrap_or(usize::MAX);
    ensure!(room > 0, "no descriptors are left");
    Ok(connections.min(room))
}

/// The agent's process; killed on drop.
struct Agent {
    child: Child,
    address: SocketAddr,
}

impl Agent {
    fn start(binary: &Path, lab: &Lab) -> anyhow::Result<Self> {
        // Bound and released: the agent reports its port only in its log, which is not read here.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let yaml = format!(
            "images:\n  - image: {}\n    credentials: {{path: {}}}\ntls: {{caFile: {}}}\nschedule: {{interval: 1s, jitter: \
             0}}\nserver: {{address: \"{address}\"}}\nevents: {{enabled: false}}\n",
            lab.image(),
            lab.secret_folder().display(),
            lab.ca_file().display()
        );
        let config = lab.folder().join("hostile.yaml");
        fs::write(&config, yaml)?;
        let mut command = Command::new(binary);
        command.args([
            "agent",
            "--allow-loopback",
            "--nameserver",
            &lab.nameservers()[0].to_string(),
            "--config",
        ]);
        command.arg(config).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(File::create(lab.folder().join("hostile.log"))?);
        let child = command.spawn().with_context(|| format!("cannot start {}", binary.display()))?;
        let agent = Self { child, address };
        let started = Instant::now();
        while TcpStream::connect(agent.address).is_err() {
            ensure!(started.elapsed() < Duration::from_secs(20), "the agent does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(agent)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
