//! `promtool check metrics` and a real Prometheus server on live scrapes, of the metrics only and of an agent process.
//!
//! If they are not installed, these tests print that they are skipped and pass (`prometheus.rs`).

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::PROGRAM;
use acr_verifier::metrics::{CONTENT_TYPE, Metrics};

use super::declared::experienced;
use super::metrics;
use crate::check::Bench;
use lab::Lab;
use lab::settings::{Settings, View};
use support::agent::{Agent, config};
use support::prometheus::{Prometheus, get, installed};

/// Serves `/metrics` as the agent does.
struct Endpoint {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Endpoint {
    fn serve(metrics: Arc<Metrics>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                // A scraper that disconnected does not matter.
                drop(stream.and_then(|stream| answer(stream, &metrics)));
            }
        });
        Self { address, stop, thread: Some(thread) }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn answer(mut stream: TcpStream, metrics: &Metrics) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut piece = [0; 1024];
    while !request.ends_with(b"\r\n\r\n") {
        let read = stream.read(&mut piece)?;
        if read == 0 {
            return Ok(());
        }
        request.extend_from_slice(&piece[..read]);
    }
    let body = metrics.encode();
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: {CONTENT_TYPE}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    stream.write_all(&body)
}

#[track_caller]
fn promtool_finds_nothing_in(scrape: &str) {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts");
    promtool.stdin.take().expect("a pipe").write_all(scrape.as_bytes()).expect("promtool reads");
    let output = promtool.wait_with_output().expect("promtool ends");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn promtool_accepts_a_live_scrape() {
    if !installed("promtool") {
        return;
    }
    for metrics in [metrics(), experienced()] {
        let endpoint = Endpoint::serve(Arc::new(metrics));
        promtool_finds_nothing_in(&get(endpoint.address, "/metrics").expect("a scrape"));
    }
}

#[test]
fn promtool_accepts_the_scrape_of_an_agent() {
    if !installed("promtool") {
        return;
    }
    let lab = Lab::start(Settings::default());
    let agent = Agent::start(PROGRAM, &lab, &config(&lab, "1h"));
    assert_eq!(agent.post("/check").status, 200);
    let scrape = get(agent.address, "/metrics").expect("a scrape");
    assert!(scrape.contains("acr_verifier_check_success{"), "{scrape}");
    promtool_finds_nothing_in(&scrape);
}

#[test]
fn prometheus_scrapes_and_queries_the_metrics() {
    if !installed("prometheus") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let metrics = Arc::new(metrics());
    let endpoint = Endpoint::serve(Arc::clone(&metrics));
    let prometheus = Prometheus::scraping(&[endpoint.address], folder.path());
    prometheus.await_value("up{job='acr-verifier'}", 1.0);
    prometheus.await_value("count(acr_verifier_build_info)", 1.0);
    assert_eq!(prometheus.query("acr_verifier_check_success"), Some(Vec::new()));

    let bench = Bench::healthy();
    metrics.record(&bench.check().run(&bench));
    let labels = prometheus.await_value("acr_verifier_check_success", 1.0);
    assert_eq!((&labels["node"], &labels["registry"]), (&super::NODE.into(), &bench.lab.registry().into()));
    assert_eq!(labels.get("image"), None);
    prometheus.await_value("count(acr_verifier_stage_success == 1)", 12.0);
    prometheus.await_value("count by (job) (acr_verifier_dns_answers{image='', scope='private'} == 1)", 2.0);
    prometheus.await_value("sum(acr_verifier_registry_requests_total)", 8.0);
    let quantile =
        "histogram_quantile(0.9, sum by (le) (acr_verifier_check_duration_seconds_bucket)) > bool 0";
    prometheus.await_value(quantile, 1.0);

    bench.lab.change(|settings| settings.nameservers[0].login = View::NotLinked);
    metrics.record(&bench.check().run(&bench));
    prometheus.await_value("acr_verifier_check_success", 0.0);
    let labels = prometheus.await_value("acr_verifier_cause", 1.0);
    assert_eq!(labels["cause"], "private_zone_not_linked");
    prometheus.await_value("acr_verifier_failures_total{stage='address'}", 1.0);
    // Stages that were not reached become stale immediately, not after five minutes.
    prometheus.await_value("count(acr_verifier_stage_success)", 2.0);
}

#[test]
fn prometheus_follows_the_results_of_an_agent() {
    if !installed("prometheus") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let healthy = Settings::default();
    let lab = Lab::start(healthy.clone());
    let agent = Agent::start(PROGRAM, &lab, &config(&lab, "2s"));
    let prometheus = Prometheus::scraping(&[agent.address], folder.path());
    let labels = prometheus.await_value("acr_verifier_check_success", 1.0);
    assert_eq!(
        (&labels["node"], &labels["registry"], &labels["image"]),
        (&"aks-np1-0".into(), &lab.registry().into(), &"canary".into())
    );
    prometheus.await_value("acr_verifier_config_last_reload_successful", 1.0);

    lab.change(|settings| settings.nameservers[0].login = View::NotLinked);
    prometheus.await_value("acr_verifier_check_success", 0.0);
    let labels = prometheus.await_value("acr_verifier_cause", 1.0);
    assert_eq!(labels["cause"], "private_zone_not_linked");

    lab.change(|settings| *settings = healthy);
    prometheus.await_value("acr_verifier_check_success", 1.0);
    prometheus.await_value("count(acr_verifier_cause) or vector(0)", 0.0);
}
