//! Programs that run to completion, and servers that stop with their owner.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::find;

/// The shutdown timeout of a server.
const GRACE: Duration = Duration::from_secs(3);
/// The polling interval.
pub const PAUSE: Duration = Duration::from_millis(10);
/// Servers are ready within a second; on a busy machine it may take longer.
const LONGEST_START: Duration = Duration::from_secs(20);

/// A command for a program that was found before.
pub fn command(program: &str) -> Command {
    let mut command = Command::new(find(program).unwrap_or_else(|| PathBuf::from(program)));
    // Fixed locale: the suite parses numbers and messages.
    command.env("LC_ALL", "C");
    command
}

/// Runs a program that must succeed, and returns its output.
pub fn run(program: &str, arguments: &[&str], input: &str) -> String {
    try_run(program, arguments, input).unwrap_or_else(|problem| panic!("{problem}\n{input}"))
}

/// Runs a program.
pub fn try_run(program: &str, arguments: &[&str], input: &str) -> Result<String, String> {
    let failed = |what: &str| format!("{program} {}: {what}", arguments.join(" "));
    let mut child = command(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(&error.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).map_err(|error| failed(&error.to_string()))?;
    }
    let output = child.wait_with_output().map_err(|error| failed(&error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A server, stopped on drop.
pub struct Server {
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts a server and writes its output to a file.
    pub fn start(command: &mut Command, log: &Path) -> Self {
        let output = File::create(log).expect("a file for the log");
        let errors = output.try_clone().expect("a second handle");
        let child = command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn();
        let child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { child, log: log.to_owned() }
    }

    /// Waits until the server is ready.
    pub fn wait_until(&mut self, mut answers: impl FnMut() -> bool) {
        let started = Instant::now();
        while !answers() {
            let ended = self.child.try_wait().expect("a child can be waited for");
            let reported = || std::fs::read_to_string(&self.log).unwrap_or_default();
            assert!(ended.is_none(), "a server exited at startup:\n{}", reported());
            assert!(started.elapsed() < LONGEST_START, "a server is not ready:\n{}", reported());
            std::thread::sleep(PAUSE);
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        // A process that has exited needs no signal.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A stopped process handles SIGTERM only after it continues.
        self.signal(Signal::TERM);
        self.signal(Signal::CONT);
        let started = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if started.elapsed() > GRACE {
                self.signal(Signal::KILL);
            }
            std::thread::sleep(PAUSE);
        }
    }
}
