//! What an earlier run left that was killed: namespaces, the processes in them, folders.
//!
//! Owns the names of everything that outlives a process. They carry the pid of the run, so that runs side by side
//! leave each other alone.

use std::ffi::OsStr;
use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Signal, kill_process};

use super::process::try_run;

const PREFIX: &str = "acrv";
const ROLES: [&str; 6] = ["node", "vnet", "internet", "worker1", "worker2", "worker3"];
/// How the names of the programs of these tests begin.
const PROCESSES: [&str; 2] = ["namespaces-", "cluster-"];

/// The name of a new namespace of this run: those of one role are numbered.
pub(crate) fn namespace(role: &str) -> String {
    static MADE: AtomicU32 = AtomicU32::new(0);
    assert!(ROLES.contains(&role), "{role} would not be found again");
    format!("{}{role}.{}", folder_prefix(), MADE.fetch_add(1, Ordering::Relaxed))
}

/// How the name of a folder of this run begins.
pub(crate) fn folder_prefix() -> String {
    format!("{PREFIX}-{}-", std::process::id())
}

/// Removes what runs left that are over.
pub(crate) fn remove() {
    let list = try_run("ip", &["netns", "list"], "").unwrap_or_default();
    // A line may have the number of the namespace behind its name.
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

/// Ends what runs in a namespace of the suite, and removes it. Nothing else ever entered it.
pub(crate) fn remove_namespace(name: &str) {
    let inside = try_run("ip", &["netns", "pids", name], "").unwrap_or_default();
    for pid in inside.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)) {
        // It may have ended by itself.
        let _ = kill_process(pid, Signal::KILL);
    }
    let _ = try_run("ip", &["netns", "delete", name], "");
}

/// `acrv-PID-REST`.
pub(crate) fn parts(name: &str) -> Option<(u32, &str)> {
    let (pid, rest) = name.strip_prefix(PREFIX)?.strip_prefix('-')?.split_once('-')?;
    Some((pid.parse().ok()?, rest))
}

/// Whether this pid is a run of this suite; a number may have been given out again since. A process that was killed and
/// that nobody has waited for has a name still, but no program.
pub(crate) fn is_running(pid: u32) -> bool {
    fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|program| {
        program
            .file_name()
            .and_then(OsStr::to_str)
            .is_some_and(|name| PROCESSES.iter().any(|process| name.starts_with(process)))
    })
}
