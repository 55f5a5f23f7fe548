//! Leftovers of a killed run: namespaces, the processes in them, directories.
//!
//! Owns the names of everything that outlives a process. They contain the PID of the run, so that concurrent runs do not
//! interfere.

use std::ffi::OsStr;
use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Signal, kill_process};

use super::process::try_run;

const PREFIX: &str = "acrv";
const ROLES: [&str; 6] = ["node", "vnet", "internet", "worker1", "worker2", "worker3"];
/// The prefixes of these tests' program names.
const PROCESSES: [&str; 3] = ["namespaces-", "cluster-", "suite-"];

/// Returns the name of a new namespace of this run, numbered per role.
pub fn namespace(role: &str) -> String {
    static MADE: AtomicU32 = AtomicU32::new(0);
    assert!(ROLES.contains(&role), "leftovers of {role} would not be found");
    format!("{}{role}.{}", folder_prefix(), MADE.fetch_add(1, Ordering::Relaxed))
}

/// The prefix of this run's directories.
pub fn folder_prefix() -> String {
    format!("{PREFIX}-{}-", std::process::id())
}

/// Removes the leftovers of runs that have ended.
pub fn remove() {
    let list = try_run("ip", &["netns", "list"], "").unwrap_or_default();
    // The number of the namespace may follow its name.
    for name in list.lines().filter_map(|line| line.split_whitespace().next()) {
        if let Some((pid, role)) = parts(name)
            && role.split('.').next().is_some_and(|role| ROLES.contains(&role))
            && !is_running(pid)
        {
            remove_namespace(name);
        }
    }
    let entries = fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
    for entry in entries {
        if let Some((pid, _)) = entry.file_name().to_str().and_then(parts)
            && !is_running(pid)
        {
            // Another run may be removing it at the same time.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Kills all processes in a namespace of the suite, and removes it. Only the suite uses it.
pub fn remove_namespace(name: &str) {
    let inside = try_run("ip", &["netns", "pids", name], "").unwrap_or_default();
    for pid in inside.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)) {
        // It may already have exited.
        let _ = kill_process(pid, Signal::KILL);
    }
    let _ = try_run("ip", &["netns", "delete", name], "");
}

/// `acrv-PID-REST`.
pub fn parts(name: &str) -> Option<(u32, &str)> {
    let (pid, rest) = name.strip_prefix(PREFIX)?.strip_prefix('-')?.split_once('-')?;
    Some((pid.parse().ok()?, rest))
}

/// Whether this PID is a run of this suite; the number may have been reused since. A zombie process still has a name, but no
/// program.
pub fn is_running(pid: u32) -> bool {
    fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|program| {
        program
            .file_name()
            .and_then(OsStr::to_str)
            .is_some_and(|name| PROCESSES.iter().any(|process| name.starts_with(process)))
    })
}
