//! Whether this machine supports the namespaces, and what to do otherwise.
//!
//! Owns the list of programs, each with its Debian package from `packages.txt`.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use support::find;
use support::namespaces::leftovers;
use support::namespaces::process::try_run;

use super::pull;

/// Requires the suite, as in a pipeline.
const REQUIRE: [&str; 2] = ["CI", "ACR_VERIFIER_REQUIRE_NAMESPACES"];
/// Requires containerd 2, which is built rather than installed.
const REQUIRE_CONTAINERD_2: &str = "ACR_VERIFIER_REQUIRE_CONTAINERD";
const SERVERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/namespaces/servers");
/// The required programs and their packages.
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

/// The decision.
pub(crate) enum Requirements {
    Met,
    Skip(String),
    Fail(String),
}

/// Checks the user, the programs and the requirements.
pub(crate) fn met() -> Requirements {
    let mut problems = Vec::new();
    if !rustix::process::geteuid().is_root() {
        problems.push("needs root to create network namespaces".to_owned());
    }
    let demanded = REQUIRE.iter().find(|name| std::env::var(name).is_ok_and(|value| is_yes(&value)));
    // Unless required, the suite runs without the clients.
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
        Some(name) => Requirements::Fail(format!("{reason} (required by {name})")),
        None => Requirements::Skip(reason),
    }
}

/// The directory with the programs of containerd 2, or why it is missing.
pub(crate) fn containerd_2() -> Result<PathBuf, String> {
    let output = Command::new(SERVERS).arg("--find").stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{SERVERS} does not run: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim_end().to_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().last().map(PathBuf::from).ok_or_else(|| format!("{SERVERS} printed no directory"))
}

/// Whether containerd 2 is required.
pub(crate) fn containerd_2_is_demanded() -> bool {
    std::env::var(REQUIRE_CONTAINERD_2).is_ok_and(|value| is_yes(&value))
}

/// What this root user may not do: in a container, root may lack privileges.
fn refused_by_the_kernel() -> Option<String> {
    let name = leftovers::namespace("node");
    let tried = try_run("ip", &["netns", "add", &name], "")
        .and_then(|_| try_run("ip", &["netns", "exec", &name, "nft", "list", "tables"], ""));
    leftovers::remove_namespace(&name);
    tried.err().map(|refusal| format!("needs network namespaces and nf_tables of the kernel ({refusal})"))
}

fn is_yes(value: &str) -> bool {
    !matches!(value, "" | "0" | "false")
}

#[test]
fn packages_txt_lists_the_package_of_every_program() {
    let listed: Vec<&str> = include_str!("packages.txt").lines().collect();
    let mut known: Vec<&str> = PROGRAMS.iter().map(|(_, package)| *package).collect();
    known.dedup();
    assert_eq!(listed, known);
}
