//! The program as a process: a check from its start to its end, with the most memory that it ever had.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::lab::Lab;

/// How often the kernel is asked; it keeps the peak itself, so that only what comes right before the end is missed.
const LOOK: Duration = Duration::from_millis(1);

/// Tags of the lab, for as many images as are checked at a time.
const TAGS: [&str; 4] = [":1", ":latest", ":single", ":nested"];

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) report: serde_json::Value,
    /// Everything that it wrote.
    pub(crate) shown: String,
    pub(crate) took: Duration,
    /// The most resident memory it ever had, in KiB.
    pub(crate) peak: u64,
}

/// Runs a check of so many images of a lab, as patient as told.
pub(crate) fn check(program: &Path, lab: &Lab, images: usize, stage: Duration, whole: Duration) -> Ended {
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
        if let Some(status) = child.try_wait().expect("the program can be waited for") {
            return (status.code(), peak);
        }
        std::thread::sleep(LOOK);
    }
}

/// `VmHWM` of a process, in KiB; nothing once it is over.
pub(crate) fn peak_of(id: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}
