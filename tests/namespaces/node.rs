//! The node's own files, read by its containerd and by the agent.
//!
//! Owns the files of a state below one directory, and the run of the agent. `states/expected.rs` checks the report.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use support::namespaces::network::Namespace;
use support::namespaces::process::{PAUSE, Server, command};

const PROGRAM: &str = env!("CARGO_BIN_EXE_acr-verifier");
/// The address of a node's agent; each node has its own network.
const AGENT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9_469);
/// Changed files are reloaded within 15 s, and the next check follows.
const LONGEST_RUN: Duration = Duration::from_secs(40);
/// containerd's directory for mirrors on the node.
pub(crate) const HOSTS: &str = "etc/containerd/certs.d";

/// Where the lab's root is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trusted {
    /// On the node and in the check.
    Everywhere,
    Nowhere,
    /// Only on the node.
    ByNode,
    /// Only in the check, by a CA file.
    ByCheck,
}

impl Trusted {
    pub(crate) fn by_node(self) -> bool {
        matches!(self, Self::Everywhere | Self::ByNode)
    }

    pub(crate) fn by_file(self) -> bool {
        matches!(self, Self::Everywhere | Self::ByCheck)
    }
}

/// The files that containerd reads on the node, other than resolv.conf and authorities.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    /// Whether the agent checks with these files, instead of the command line.
    pub(crate) has_agent: bool,
    /// Variables of containerd's drop-in.
    pub(crate) variables: Vec<(&'static str, &'static str)>,
    /// Content of the registry's `hosts.toml`.
    pub(crate) hosts: Option<&'static str>,
    /// The initial content of resolv.conf, if it changes while the agent runs.
    pub(crate) first_nameserver: Option<Ipv4Addr>,
}

impl Node {
    /// Writes the files below a directory.
    pub(crate) fn write(&self, root: &Path, registry: &str, authorities: &str, resolv_conf: &str) {
        // Nothing exists before the first state.
        let _ = fs::remove_dir_all(root);
        write(&root.join("etc/ssl/certs/ca-certificates.crt"), authorities);
        if !self.variables.is_empty() {
            let lines: String = self
                .variables
                .iter()
                .map(|(name, value)| format!("Environment=\"{name}={value}\"\n"))
                .collect();
            write(
                &root.join("etc/systemd/system/containerd.service"),
                "[Service]\nExecStart=/usr/bin/containerd\n",
            );
            let drop_in = root.join("etc/systemd/system/containerd.service.d/http-proxy.conf");
            write(&drop_in, &format!("[Service]\n{lines}"));
        }
        if let Some(hosts) = self.hosts {
            write(&root.join(HOSTS).join(registry).join("hosts.toml"), hosts);
        }
        write(&root.join("etc/resolv.conf"), resolv_conf);
    }

    /// Sets the variables that systemd would set for a client.
    pub(crate) fn equip(&self, client: &mut Command) {
        client.envs(self.variables.iter().copied());
    }
}

/// Writes the file with the server that AKS LocalDNS forwards to, as its start script does.
pub(crate) fn write_upstream(root: &Path, upstream: Ipv4Addr) {
    write(&root.join("etc/localdns/upstream-dns"), &format!("{upstream}\n"));
}

/// Writes the configuration of a check, which names the node's files.
pub(crate) fn configuration_of_check(folder: &Path, image: &str, credentials: &Path, root: &Path) -> PathBuf {
    let file = folder.join("check.yaml");
    let (credentials, root) = (credentials.display(), root.display());
    let text = format!(
        "images: [{{image: \"{image}\", credentials: {{path: {credentials}}}}}]\nnodeFiles: {{root: {root}}}\n"
    );
    write(&file, &text);
    file
}

/// Runs the agent until its report has this verdict or the time has elapsed; returns the last report.
pub(crate) fn report_of_agent(
    node: &Namespace,
    folder: &Path,
    configuration: &str,
    between: impl FnOnce(),
    verdict: &str,
) -> String {
    let file = folder.join("agent.yaml");
    fs::write(&file, configuration).expect("a file");
    let mut program = command(PROGRAM);
    program.env_clear().env("NODE_NAME", "aks-np1-0").args(["agent", "--config"]).arg(&file);
    let mut server = node.run(|| Server::start(&mut program, &folder.join("agent.log")));
    server.wait_until(|| !ask(node).is_empty());
    let started = Instant::now();
    let first = loop {
        let report = ask(node);
        if has_verdict(&report) || started.elapsed() > LONGEST_RUN {
            break report;
        }
        std::thread::sleep(PAUSE);
    };
    between();
    let mut report = first;
    let wanted = format!("\"verdict\":\"{verdict}\"");
    while !report.replace(": ", ":").contains(&wanted) && started.elapsed() < LONGEST_RUN {
        std::thread::sleep(Duration::from_millis(100));
        report = ask(node);
    }
    report
}

/// Whether a report contains a checked image; before the first check it has none.
fn has_verdict(report: &str) -> bool {
    report.contains("\"resolutions\"") || report.contains("\"diagnoses\"")
}

/// The body of `GET /report`, empty while the agent does not listen.
fn ask(node: &Namespace) -> String {
    node.run(|| {
        let mut answer = String::new();
        let asked = TcpStream::connect(AGENT).and_then(|mut stream| {
            stream.write_all(b"GET /report HTTP/1.0\r\n\r\n")?;
            stream.read_to_string(&mut answer)
        });
        if asked.is_err() {
            return String::new();
        }
        answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
    })
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a folder");
    fs::write(path, text).expect("a file");
}
