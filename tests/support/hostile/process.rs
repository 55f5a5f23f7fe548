//! The program as a process: one complete check, with its peak memory.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lab::Lab;

/// The polling interval. The kernel records the peak, so only the last moments are missed.
const LOOK: Duration = Duration::from_millis(1);

/// Tags of the lab, one for each image checked at a time.
const TAGS: [&str; 4] = [":1", ":latest", ":single", ":nested"];

/// The result of a process.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub report: serde_json::Value,
    /// Standard output and standard error.
    pub shown: String,
    pub took: Duration,
    /// Its peak resident memory in KiB.
    pub peak: u64,
}

/// Runs a check of several images of a lab with these timeouts.
pub fn check(program: &Path, lab: &Lab, images: usize, stage: Duration, whole: Duration) -> Ended {
    let out = tempfile::tempdir().expect("a folder");
    let file = |name: &str| fs::File::create(out.path().join(name)).expect("a file");
    let mut command = Command::new(program);
    command.args(["check", "--allow-loopback", "--output", "json", "-vvv"]);
    command.args(["--stage-timeout", &format!("{}ms", stage.as_millis())]);
    command.args(["--timeout", &format!("{}ms", whole.as_millis())]);
    command.arg("--nameserver").arg(lab.nameservers()[0].to_string());
    command.arg("--ca-file").arg(lab.ca_file()).arg("--credentials").arg(lab.credentials_folder());
    command.args(TAGS[..images].iter().map(|tag| lab.image_of("apps/canary", tag)));
    command.stdin(Stdio::null()).stdout(file("out")).stderr(file("log"));
    let started = Instant::now();
    let mut child = command.spawn().expect("the program starts");
    let (code, peak) = wait(&mut child);
    let took = started.elapsed();
    let read = |name: &str| fs::read_to_string(out.path().join(name)).expect("UTF-8");
    let (report, log) = (read("out"), read("log"));
    Ended {
        code,
        report: serde_json::from_str(&report).unwrap_or_default(),
        shown: report + &log,
        took,
        peak,
    }
}

fn wait(child: &mut Child) -> (Option<i32>, u64) {
    let mut peak = 0;
    loop {
        peak = peak_of(child.id()).unwrap_or(0).max(peak);
        if let Some(status) = child.try_wait().expect("waiting for the program") {
            return (status.code(), peak);
        }
        std::thread::sleep(LOOK);
    }
}

/// `VmHWM` of a process in KiB; `None` once it has exited.
pub fn peak_of(id: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}
