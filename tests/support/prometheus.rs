//! A real Prometheus from Debian's package (`tests/metrics/packages.txt`): started by a test, queried over its HTTP API,
//! stopped with the test.
//!
//! If it is not installed, tests print that they are skipped and pass; `ACR_VERIFIER_REQUIRE_PROMETHEUS=1` makes that a
//! failure.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Time for a busy machine until the server has scraped.
const PATIENCE: Duration = Duration::from_secs(60);

/// Requests a path and returns the body.
pub fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (_, body) = text.split_once("\r\n\r\n").unwrap_or_default();
    Ok(body.to_owned())
}

/// Whether a program is installed. If not, prints a line to standard error for the summary of `tests/run`.
pub fn installed(program: &str) -> bool {
    let answered =
        Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let there = answered.is_ok_and(|status| status.success());
    if !there {
        let reason = format!("{program} is not installed (a Debian package)");
        crate::skip("ACR_VERIFIER_REQUIRE_PROMETHEUS", "prometheus", &reason);
    }
    there
}

/// Encodes an expression for a URL.
pub fn encoded(expression: &str) -> String {
    expression.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// A Prometheus server, stopped by its process id on drop.
pub struct Prometheus {
    process: Child,
    pub address: SocketAddr,
}

impl Prometheus {
    /// Starts a server that scrapes these targets twice a second.
    pub fn scraping(targets: &[SocketAddr], folder: &Path) -> Self {
        let targets: Vec<String> = targets.iter().map(|target| format!("'{target}'")).collect();
        let text = format!(
            "global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}\n\
             scrape_configs:\n\
             - {{job_name: acr-verifier, static_configs: [{{targets: [{}]}}]}}\n",
            targets.join(", ")
        );
        Self::start(&text, folder)
    }

    /// Starts a server with this configuration and its data in the directory.
    pub fn start(config: &str, folder: &Path) -> Self {
        let file = folder.join("prometheus.yaml");
        std::fs::write(&file, config).expect("a file");
        // Prometheus does not report a port chosen by the system, so find a free one first.
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = free.local_addr().expect("an address");
        drop(free);
        let log = std::fs::File::create(folder.join("log")).expect("a file");
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("prometheus starts");
        Self { process, address }
    }

    /// Runs an instant query and returns label sets with their values.
    pub fn query(&self, expression: &str) -> Option<Vec<(Value, f64)>> {
        let answer = self.ask(&format!("query?query={}", encoded(expression)))?;
        let series = answer["data"]["result"].as_array()?;
        series
            .iter()
            .map(|series| Some((series["metric"].clone(), series["value"][1].as_str()?.parse().ok()?)))
            .collect()
    }

    /// Requests `/api/v1/…` and returns the response.
    pub fn ask(&self, what: &str) -> Option<Value> {
        serde_json::from_str(&get(self.address, &format!("/api/v1/{what}")).ok()?).ok()
    }

    /// Waits until a query returns one series with this value.
    #[track_caller]
    pub fn await_value(&self, expression: &str, expected: f64) -> Value {
        let started = Instant::now();
        let mut last = None;
        while started.elapsed() < PATIENCE {
            last = self.query(expression);
            if let Some([(labels, value)]) = last.as_deref()
                && (value - expected).abs() < f64::EPSILON
            {
                return labels.clone();
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("{expression} is not {expected}: {last:?}");
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
