//! An agent's process, run as in a pod, and its resource use.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use jiff::Timestamp;
use serde_json::Value;

use super::faults::PASS;
use super::hosted;
use super::model::{CONFIRM_AFTER, Found};
use lab::{self, Lab};
use support::api_server::ApiServer;

/// Images per agent, all checked in each round: the maximum of a configuration.
pub(crate) const IMAGES: usize = 100;
/// An agent without progress for this long hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// Timeouts in the agents' configuration.
pub(crate) const STAGE_TIMEOUT: Duration = Duration::from_millis(250);
pub(crate) const TIMEOUT: Duration = Duration::from_secs(1);

/// The agent's process; killed on drop.
pub(crate) struct Agent {
    /// Name of its node.
    pub(crate) node: String,
    child: Child,
    address: SocketAddr,
    /// Pipes to query the number of tasks of an agent hosted by this program.
    hosted: Option<(ChildStdin, BufReader<ChildStdout>)>,
}

impl Agent {
    /// Starts an agent and waits until it responds.
    pub(crate) fn start(binary: &Path, lab: &Lab, server: &ApiServer, node: &str) -> anyhow::Result<Self> {
        Self::run(&Command::new(binary), lab, server, node)
    }

    /// Starts an agent hosted by this program, whose tasks can be counted.
    pub(crate) fn host(lab: &Lab, server: &ApiServer, node: &str) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(hosted::WORD);
        Self::run(&command, lab, server, node)
    }

    fn run(program: &Command, lab: &Lab, server: &ApiServer, node: &str) -> anyhow::Result<Self> {
        // Bound and released: the agent reports its port only in its log, which is not read here.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let (timeout, stage_timeout) = (TIMEOUT.as_millis(), STAGE_TIMEOUT.as_millis());
        let mut yaml = format!(
            "tls: {{caFile: {}}}\nschedule: {{interval: 1s, jitter: 0.2, timeout: {timeout}ms, stageTimeout: \
             {stage_timeout}ms, confirmAfter: {CONFIRM_AFTER}}}\nserver: {{address: \"{address}\"}}\nimages:\n",
            lab.ca_file().display()
        );
        for number in 0..IMAGES {
            let folder = lab.secret_folder();
            yaml.push_str(&format!(
                "  - image: {}\n    credentials: {{path: {}}}\n",
                image(lab, number),
                folder.display()
            ));
        }
        let config = lab.folder().join(format!("{node}.yaml"));
        fs::write(&config, yaml)?;
        let log = lab.folder().join(format!("{node}.log"));
        let mut command = Command::new(program.get_program());
        command.args(program.get_args());
        command.args(["agent", "--allow-loopback", "--nameserver", &lab.nameservers()[0].to_string()]);
        command.arg("--config").arg(config);
        let mut command = server.in_a_pod(node, &command);
        let is_hosted = program.get_args().next().is_some();
        if is_hosted {
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
        }
        let mut child = command
            .stderr(File::create(&log)?)
            .spawn()
            .with_context(|| format!("cannot start {}", program.get_program().display()))?;
        let hosted = child.stdin.take().zip(child.stdout.take().map(BufReader::new));
        let mut agent = Self { node: node.to_owned(), child, address, hosted };
        let started = Instant::now();
        while let Err(error) = agent.get("/metrics") {
            if let Some(status) = agent.child.try_wait()? {
                bail!("the agent ended: {status}\n{}", fs::read_to_string(&log)?);
            }
            ensure!(started.elapsed() < PATIENCE, "the agent does not answer: {error}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(agent)
    }

    /// Returns the body of a response.
    pub(crate) fn get(&self, path: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
        body.ok_or_else(|| io::Error::other("no answer"))
    }

    /// Returns the last round.
    pub(crate) fn round(&self) -> anyhow::Result<Round> {
        let report: Value = serde_json::from_str(&self.get("/report")?)?;
        let seconds = |value: &Value| {
            let seconds = value["durationSeconds"].as_f64().context("it has taken some time")?;
            anyhow::Ok(Duration::from_secs_f64(seconds))
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let checked = |image: &Value| {
            let cause = image["diagnoses"][0]["cause"].as_str().unwrap_or(PASS).to_owned();
            let verdict = text(&image["verdict"]);
            let found = match verdict.as_str() {
                "pass" | "warn" => Found::Good,
                "fail" => Found::Bad(cause.clone()),
                _ => Found::Nothing,
            };
            anyhow::Ok(ImageResult {
                image: text(&image["image"]),
                verdict,
                word: cause,
                found,
                lasted: seconds(image)?,
            })
        };
        let images = report["images"].as_array().context("a report has images")?;
        Ok(Round {
            started: text(&report["startedAt"]).parse()?,
            lasted: seconds(&report)?,
            images: images.iter().map(checked).collect::<anyhow::Result<_>>()?,
        })
    }

    /// Returns the resource use of the process, or the number of tasks if it is hosted.
    pub(crate) fn sample(&mut self) -> anyhow::Result<Sample> {
        if let Some((orders, answers)) = &mut self.hosted {
            writeln!(orders)?;
            let mut line = String::new();
            answers.read_line(&mut line)?;
            return Ok(Sample { tasks: Some(line.trim().parse()?), ..Sample::default() });
        }
        let folder = PathBuf::from(format!("/proc/{}", self.child.id()));
        let status = fs::read_to_string(folder.join("status"))?;
        let of = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let number = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
            number.with_context(|| format!("no {name} in /proc"))
        };
        let (mut descriptors, mut sockets) = (0.0, 0.0);
        for entry in fs::read_dir(folder.join("fd"))? {
            descriptors += 1.0;
            // The descriptor may be closed since.
            let target = fs::read_link(entry?.path()).unwrap_or_default();
            sockets += f64::from(u8::from(target.to_string_lossy().starts_with("socket:")));
        }
        Ok(Sample {
            resident: Some(of("VmRSS")? / 1024.0),
            peak: Some(of("VmHWM")? / 1024.0),
            threads: Some(of("Threads")?),
            tasks: None,
            descriptors: Some(descriptors),
            sockets: Some(sockets),
        })
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns an image of an agent: the same digest with different tags.
fn image(lab: &Lab, number: usize) -> String {
    lab.image_of(lab::content::REPOSITORY, &format!(":n{number}@{}", lab.digest("1")))
}

/// Returns the sum of the series with this prefix.
pub(crate) fn counted(metrics: &str, beginning: &str) -> usize {
    let lines = metrics.lines().filter(|line| line.starts_with(beginning));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok()).sum()
}

/// A round of checks, from the report.
pub(crate) struct Round {
    /// Start time.
    pub(crate) started: Timestamp,
    /// Duration.
    pub(crate) lasted: Duration,
    /// Checks in the order of the configuration.
    pub(crate) images: Vec<ImageResult>,
}

/// A check of an image.
pub(crate) struct ImageResult {
    pub(crate) image: String,
    pub(crate) verdict: String,
    /// The cause of the verdict, or [`PASS`].
    pub(crate) word: String,
    pub(crate) found: Found,
    pub(crate) lasted: Duration,
}

impl ImageResult {
    /// Whether the image can be pulled.
    pub(crate) fn is_good(&self) -> bool {
        self.found == Found::Good
    }
}

/// Resource use of a process between two rounds, as far as available; memory in MiB.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sample {
    /// Resident memory in MiB.
    pub(crate) resident: Option<f64>,
    /// Peak of resident memory in MiB.
    pub(crate) peak: Option<f64>,
    /// Number of threads.
    pub(crate) threads: Option<f64>,
    /// Live tasks of the runtime.
    pub(crate) tasks: Option<f64>,
    /// Open descriptors.
    pub(crate) descriptors: Option<f64>,
    /// Open sockets.
    pub(crate) sockets: Option<f64>,
}
