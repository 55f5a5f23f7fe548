//! AKS LocalDNS, the cache on the node: a real CoreDNS with the plugins and settings of AKS.
//!
//! `tests/namespaces/local-dns` builds it. Only the lifetimes differ from those of AKS, which are capped at an hour.

use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use super::names::answers;
use super::network::{LOCAL_DNS, Namespace};
use super::process::Server;

/// Requires the program, which is built rather than installed.
const REQUIRE: &str = "ACR_VERIFIER_REQUIRE_LOCAL_DNS";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../namespaces/local-dns");
/// The lifetime of answers that expire in a test, in seconds.
const SHORT: u64 = 2;
/// The lifetime of the others: longer than any test.
const LONG: u64 = 600;
const PATIENCE: Duration = Duration::from_secs(5);

/// Returns the path of the program, or why it is missing.
pub fn find() -> Result<PathBuf, String> {
    let output = Command::new(SCRIPT).arg("--find").stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{SCRIPT} does not run: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim_end().to_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let folder = text.lines().last().ok_or_else(|| format!("{SCRIPT} printed no path"))?;
    Ok(Path::new(folder).join("coredns"))
}

/// Reports tests that cannot run without the program, or fails if it is required.
#[track_caller]
pub fn skip(tests: &str, reason: &str) {
    crate::skip(REQUIRE, tests, reason);
}

/// The cache of a node, stopped on drop.
pub struct LocalDns {
    _server: Server,
    lifetime: Duration,
}

impl LocalDns {
    /// Starts the cache with an empty memory. Its answers expire after a moment, or live longer than any test.
    pub fn start(program: &Path, node: &Namespace, folder: &Path, upstream: Ipv4Addr, expires: bool) -> Self {
        let seconds = if expires { SHORT } else { LONG };
        let own = folder.join("local-dns");
        fs::create_dir_all(&own).expect("a folder");
        let file = own.join("Corefile");
        let corefile = format!(
            ".:53 {{\n  bind {LOCAL_DNS}\n  errors\n  forward . {upstream} {{\n    policy sequential\n    \
             max_concurrent 1000\n  }}\n  cache 3600 {{\n    success 9984 {seconds} {seconds}\n    \
             denial 9984 {seconds} {seconds}\n    serve_stale 3600s immediate\n    servfail 0\n  }}\n}}\n"
        );
        fs::write(&file, corefile).expect("a file");
        let server = node.run(|| {
            let mut server = Server::start(Command::new(program).arg("-conf").arg(&file), &own.join("log"));
            server.wait_until(|| answers(LOCAL_DNS));
            server
        });
        Self { _server: server, lifetime: Duration::from_secs(seconds) }
    }

    /// Fills the cache with the current answers about these names.
    pub fn fill(&self, node: &Namespace, hosts: &[&str]) {
        node.run(|| {
            for question in hosts.iter().flat_map(|host| [question(host, 1), question(host, 28)]) {
                let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a socket");
                socket.set_read_timeout(Some(PATIENCE)).expect("a limit");
                socket.connect((LOCAL_DNS, 53)).expect("an address");
                socket.send(&question).expect("a query");
                socket.recv(&mut [0; 1_024]).expect("the cache answers");
            }
        });
    }

    /// Waits until the answers have expired.
    pub fn expire(&self) {
        sleep(self.lifetime + Duration::from_millis(300));
    }
}

/// A query with recursion for a name and type (RFC 1035, section 4).
fn question(host: &str, kind: u8) -> Vec<u8> {
    let mut query = b"\x04\xd2\x01\0\0\x01\0\0\0\0\0\0".to_vec();
    for label in host.split('.') {
        query.push(u8::try_from(label.len()).expect("a label"));
        query.extend(label.as_bytes());
    }
    query.extend([0, 0, kind, 0, 1]);
    query
}
