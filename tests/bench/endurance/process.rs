//! An agent's process, as a pod would run it, and what the system tells of it.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use super::api_server::ApiServer;
use super::lab::{self, Lab};
use super::model::{CONFIRM_AFTER, Found};

/// Images of an agent; each is a whole check, and a round has them all. As many as a configuration may have.
pub(crate) const IMAGES: usize = 100;
/// An agent that does nothing for this long hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// Puts the files of a service account where a pod has them, in a mount namespace of the agent's own.
const IN_A_POD: &str = r#"
set -e
account=/run/secrets/kubernetes.io/serviceaccount
mount -t tmpfs none /run
mkdir -p "$account"
cp "$1" "$account/ca.crt"
printf a-token >"$account/token"
printf acr-verifier >"$account/namespace"
shift
exec "$@"
"#;

/// The agent's process; it is ended when this is dropped.
pub(crate) struct Agent {
    /// The node that it speaks for.
    pub(crate) node: String,
    child: Child,
    address: SocketAddr,
}

impl Agent {
    /// Starts an agent and waits until it answers.
    pub(crate) fn start(binary: &Path, lab: &Lab, server: &ApiServer, number: usize) -> anyhow::Result<Self> {
        // Taken and given back: the agent tells its port in its log alone, which is not read here.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut yaml = format!(
            "tls: {{caFile: {}}}\nschedule: {{interval: 1s, jitter: 0.2, timeout: 1s, stageTimeout: 250ms, \
             confirmAfter: {CONFIRM_AFTER}}}\nserver: {{address: \"{address}\"}}\nimages:\n",
            lab.ca_file().display()
        );
        for number in 0..IMAGES {
            let folder = lab.secret_folder();
            yaml.push_str(&format!(
                "  - image: {}\n    credentials: {{path: {}}}\n",
                image(lab, number),
                folder.display()
            ));
        }
        let node = format!("aks-np1-{number}");
        let config = lab.folder().join(format!("{node}.yaml"));
        fs::write(&config, yaml)?;
        let log = lab.folder().join(format!("{node}.log"));
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", IN_A_POD, "sh"]).arg(&server.ca_file).arg(binary);
        command.args(["agent", "--allow-loopback", "--nameserver", &lab.nameservers()[0].to_string()]);
        command.arg("--config").arg(config);
        command.env("KUBERNETES_SERVICE_HOST", server.address.ip().to_string());
        command.env("KUBERNETES_SERVICE_PORT", server.address.port().to_string());
        command
            .env("NODE_NAME", &node)
            .env("POD_NAME", "acr-verifier-x7k2p")
            .env("POD_NAMESPACE", "acr-verifier");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?).spawn();
        let child = child.with_context(|| format!("cannot start {}", binary.display()))?;
        let mut agent = Self { node, child, address };
        let started = Instant::now();
        while let Err(error) = agent.get("/metrics") {
            if let Some(status) = agent.child.try_wait()? {
                bail!("the agent ended: {status}\n{}", fs::read_to_string(&log)?);
            }
            ensure!(started.elapsed() < PATIENCE, "the agent does not answer: {error}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(agent)
    }

    /// The body of a page.
    pub(crate) fn get(&self, path: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
        body.ok_or_else(|| io::Error::other("no answer"))
    }

    /// What the last round found, image by image.
    pub(crate) fn findings(&self) -> anyhow::Result<Vec<(String, Found)>> {
        let report: Value = serde_json::from_str(&self.get("/report")?)?;
        let images = report["images"].as_array().context("a report has images")?;
        let found = |image: &Value| {
            let cause = image["diagnoses"][0]["cause"].as_str().unwrap_or_default().to_owned();
            match image["verdict"].as_str() {
                Some("pass" | "warn") => Found::Good,
                Some("fail") => Found::Bad(cause),
                _ => Found::Nothing,
            }
        };
        Ok(images.iter().map(|it| (it["image"].as_str().unwrap_or_default().to_owned(), found(it))).collect())
    }

    /// What the system tells of the process.
    pub(crate) fn sample(&self) -> anyhow::Result<Sample> {
        let folder = PathBuf::from(format!("/proc/{}", self.child.id()));
        let status = fs::read_to_string(folder.join("status"))?;
        let of = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let number = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
            number.with_context(|| format!("no {name} in /proc"))
        };
        let mut sample = Sample {
            resident: of("VmRSS")? / 1024.0,
            peak: of("VmHWM")? / 1024.0,
            threads: of("Threads")?,
            descriptors: 0.0,
            sockets: 0.0,
        };
        for entry in fs::read_dir(folder.join("fd"))? {
            sample.descriptors += 1.0;
            // It may be gone by now.
            let target = fs::read_link(entry?.path()).unwrap_or_default();
            sample.sockets += f64::from(u8::from(target.to_string_lossy().starts_with("socket:")));
        }
        Ok(sample)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An image of an agent: the digest decides, the tag only makes it another one.
fn image(lab: &Lab, number: usize) -> String {
    lab.image_of(lab::content::REPOSITORY, &format!(":n{number}@{}", lab.digest("1")))
}

/// What the system tells of a process between two rounds; memory in MiB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Resident memory.
    pub(crate) resident: f64,
    /// Its peak.
    pub(crate) peak: f64,
    /// Threads.
    pub(crate) threads: f64,
    /// Open descriptors,
    pub(crate) descriptors: f64,
    /// and how many of them are sockets.
    pub(crate) sockets: f64,
}
