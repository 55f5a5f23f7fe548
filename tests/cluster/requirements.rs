//! Checks whether this machine can run the cluster, and decides between skip and failure if it cannot.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::find;

use super::image::PROGRAM;

const SERVERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster/servers");
/// Where tests/run writes the image.
const IMAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/image");
const PROGRAMS: [&str; 7] = ["containerd", "ctr", "docker-registry", "nft", "nsd", "runc", "unbound"];

/// The result of the check.
pub(crate) enum Requirements {
    Met { programs: PathBuf, image: PathBuf },
    Skip(String),
    Fail(String),
}

/// Checks the user, the programs, the image and whether the cluster is required.
pub(crate) fn met() -> Requirements {
    let demanded = support::is_required("ACR_VERIFIER_REQUIRE_CLUSTER");
    match look() {
        Ok((programs, image)) => Requirements::Met { programs, image },
        Err(reason) if demanded => Requirements::Fail(reason),
        Err(reason) => Requirements::Skip(reason),
    }
}

fn look() -> Result<(PathBuf, PathBuf), String> {
    if !rustix::process::geteuid().is_root() {
        return Err("needs root to create nodes".to_owned());
    }
    let missing: Vec<&str> = PROGRAMS.into_iter().filter(|program| find(program).is_none()).collect();
    if !missing.is_empty() {
        return Err(format!("needs {}: tests/install tests/cluster/packages.txt", missing.join(", ")));
    }
    if !is_static(Path::new(PROGRAM)) {
        return Err(format!("needs {PROGRAM} without libraries: apt-get install busybox-static"));
    }
    if !Path::new("/sys/fs/cgroup/memory").exists() {
        return Err("needs cgroup v1, which the nodes are configured for".to_owned());
    }
    let output = Command::new(SERVERS).arg("--find").stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{SERVERS} does not run: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim_end().to_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let programs = text.lines().last().map(PathBuf::from).ok_or("tests/cluster/servers printed no folder")?;
    Ok((programs, image()?))
}

fn image() -> Result<PathBuf, String> {
    if let Some(path) = env::var_os("ACR_VERIFIER_IMAGE") {
        return Ok(path.into());
    }
    let entries = std::fs::read_dir(IMAGES).into_iter().flatten().flatten().map(|entry| entry.path());
    let version = format!("acr-verifier-{}-", env!("CARGO_PKG_VERSION"));
    let is_ours =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&version));
    entries
        .filter(|path| path.extension().is_some_and(|extension| extension == "tar"))
        .find(is_ours)
        .ok_or_else(|| {
            "needs the image: deploy/image --output target/image, or ACR_VERIFIER_IMAGE".to_owned()
        })
}

/// Returns whether a program needs no interpreter (`PT_INTERP` of ELF contains its path).
fn is_static(program: &Path) -> bool {
    std::fs::read(program).is_ok_and(|bytes| {
        !bytes.is_empty() && !bytes[..bytes.len().min(4_096)].windows(7).any(|part| part == b"ld-linu")
    })
}
