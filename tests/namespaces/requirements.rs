//! Whether this machine can have the namespaces, and what it means where it cannot.
//!
//! Owns the list of programs, each with the Debian package that `packages.txt` names.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::process::try_run;
use super::{leftovers, pull};

/// Demands the suite, as a pipeline does.
const REQUIRE: [&str; 2] = ["CI", "ACR_VERIFIER_REQUIRE_NAMESPACES"];
/// Demands containerd 2, which is built rather than installed.
const REQUIRE_CONTAINERD_2: &str = "ACR_VERIFIER_REQUIRE_CONTAINERD";
const SERVERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/namespaces/servers");
/// The programs that are called, and whose package each is.
const PROGRAMS: [(&str, &str); 8] = [
    ("containerd", "containerd"),
    ("ctr", "containerd"),
    ("docker-registry", "docker-registry"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("nsd", "nsd"),
    ("skopeo", "skopeo"),
    ("unbound", "unbound"),
];
/// Where system programs are, also for users whose path has none of it.
const SYSTEM_FOLDERS: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/local/sbin"];

/// What to do.
pub(crate) enum Requirements {
    Met,
    Skip(String),
    Fail(String),
}

/// Looks at the user, the programs and what is demanded.
pub(crate) fn met() -> Requirements {
    let mut problems = Vec::new();
    if !rustix::process::geteuid().is_root() {
        problems.push("needs root, to make network namespaces".to_owned());
    }
    let demanded = REQUIRE.iter().find(|name| std::env::var(name).is_ok_and(|value| is_yes(&value)));
    // Where nothing is demanded, the suite runs without the clients.
    let mut missing: Vec<&str> = PROGRAMS
        .iter()
        .filter(|(program, _)| demanded.is_some() || !pull::PROGRAMS.contains(program))
        .filter(|(program, _)| find(program).is_none())
        .map(|(_, package)| *package)
        .collect();
    missing.dedup();
    if !missing.is_empty() {
        problems.push(format!("needs the Debian packages {}", missing.join(" ")));
    }
    if problems.is_empty() {
        problems.extend(refused_by_the_kernel());
    }
    if problems.is_empty() {
        return Requirements::Met;
    }
    let reason = problems.join("; ");
    match demanded {
        Some(name) => Requirements::Fail(format!("{reason} (demanded by {name})")),
        None => Requirements::Skip(reason),
    }
}

/// The folder with the programs of containerd 2, or why there is none.
pub(crate) fn containerd_2() -> Result<PathBuf, String> {
    let output = Command::new(SERVERS).arg("--find").stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{SERVERS} does not run: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim_end().to_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().last().map(PathBuf::from).ok_or_else(|| format!("{SERVERS} named no folder"))
}

/// Whether containerd 2 is demanded.
pub(crate) fn containerd_2_is_demanded() -> bool {
    std::env::var(REQUIRE_CONTAINERD_2).is_ok_and(|value| is_yes(&value))
}

/// What this root may not do: in a container it is root by name, perhaps.
fn refused_by_the_kernel() -> Option<String> {
    let name = leftovers::namespace("node");
    let tried = try_run("ip", &["netns", "add", &name], "")
        .and_then(|_| try_run("ip", &["netns", "exec", &name, "nft", "list", "tables"], ""));
    leftovers::remove_namespace(&name);
    tried.err().map(|refusal| format!("needs network namespaces and nf_tables of the kernel ({refusal})"))
}

/// The path of a program.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(SYSTEM_FOLDERS.map(|folder| Path::new(folder).to_owned()))
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

fn is_yes(value: &str) -> bool {
    !matches!(value, "" | "0" | "false")
}

#[test]
fn the_package_of_every_program_is_in_the_list() {
    let listed: Vec<&str> = include_str!("packages.txt").lines().collect();
    let mut known: Vec<&str> = PROGRAMS.iter().map(|(_, package)| *package).collect();
    known.dedup();
    assert_eq!(listed, known);
}
