//! The shipped alert rules in the same Prometheus, with a real Alertmanager and the shipped inhibition: the notifications
//! that a receiver gets when registries fail.
//!
//! Shipped rules wait for minutes and hours. Here every `for` and interval is one second, and the Alertmanager groups for
//! five: an alert and the one that inhibits it may start a moment apart. Expressions, labels and annotations are as shipped.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// Name, registry and state of each received alert, duplicates included.
type Pages = Vec<(String, String, String)>;

/// An Alertmanager with a receiver, stopped on drop.
pub(crate) struct Pager {
    process: Child,
    address: SocketAddr,
    pages: Arc<Mutex<Pages>>,
}

/// A shipped file with the durations of these keys replaced.
fn hastened(file: &str, keys: &[&str], to: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards/alerts").join(file);
    let text = std::fs::read_to_string(&path).expect("the shipped file");
    let hasten = |line: &str| match line.split_once(": ") {
        Some((key, _)) if keys.contains(&key.trim_start_matches([' ', '-'])) => format!("{key}: {to}\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(hasten).collect()
}

impl Pager {
    /// Starts both with files in this directory.
    pub(crate) fn start(folder: &Path) -> Self {
        let pages = Arc::new(Mutex::new(Pages::new()));
        let receiver = receive(Arc::clone(&pages));
        let shipped = hastened("alertmanager.example.yml", &["group_wait", "group_interval"], "5s");
        let config = shipped.replace(
            "  - name: on-call\n",
            &format!("  - name: on-call\n    webhook_configs: [{{url: 'http://{receiver}/'}}]\n"),
        );
        assert_ne!(config, shipped, "the receiver has another name");
        let file = folder.join("alertmanager.yml");
        std::fs::write(&file, config).expect("a file");
        // It does not report a port chosen by the system.
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = free.local_addr().expect("an address");
        drop(free);
        let process = Command::new("prometheus-alertmanager")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.path={}", folder.join("alertmanager").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--cluster.listen-address=")
            .stdout(Stdio::null())
            .stderr(File::create(folder.join("alertmanager.log")).expect("a file"))
            .spawn()
            .expect("the Alertmanager starts");
        Self { process, address, pages }
    }

    /// Writes the rules into the directory and returns the Prometheus configuration for both.
    pub(crate) fn rules(&self, folder: &Path) -> String {
        let file = folder.join("rules.yaml");
        std::fs::write(&file, hastened("acr-verifier.rules.yaml", &["for", "interval"], "1s"))
            .expect("a file");
        format!(
            "rule_files: ['{}']\nalerting: {{alertmanagers: [{{static_configs: [{{targets: ['{}']}}]}}]}}\n",
            file.display(),
            self.address
        )
    }

    /// Whether an alert about a registry has arrived in this state, `firing` or `resolved`.
    pub(crate) fn has(&self, alert: &str, registry: &str, state: &str) -> bool {
        let page = (alert.to_owned(), registry.to_owned(), state.to_owned());
        self.pages.lock().expect("no thread panicked").contains(&page)
    }

    /// Every notification about a registry: name and state of the alert, in order of arrival.
    pub(crate) fn notifications(&self, registry: &str) -> Vec<(String, String)> {
        let pages = self.pages.lock().expect("no thread panicked");
        let of = pages.iter().filter(|(_, of, _)| of == registry);
        of.map(|(alert, _, state)| (alert.clone(), state.clone())).collect()
    }

    /// The alerts about a registry that fired.
    pub(crate) fn fired(&self, registry: &str) -> Vec<String> {
        let pages: BTreeSet<_> = self.pages.lock().expect("no thread panicked").iter().cloned().collect();
        let of = pages.iter().filter(|(_, of, state)| of == registry && state == "firing");
        // The windows of the burn rates are longer than any test, so they mean nothing with seconds of data.
        let of = of.filter(|(alert, _, _)| !alert.starts_with("AcrVerifierErrorBudgetBurn"));
        of.map(|(alert, _, _)| alert.clone()).collect()
    }
}

impl Drop for Pager {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Collects the alerts that an Alertmanager posts.
fn receive(pages: Arc<Mutex<Pages>>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("an address");
    // Runs until the process exits; only the Alertmanager connects.
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut read = Vec::new();
            let mut piece = [0; 4096];
            let body = loop {
                let Ok(length @ 1..) = stream.read(&mut piece) else { break None };
                read.extend_from_slice(&piece[..length]);
                let text = String::from_utf8_lossy(&read).into_owned();
                if let Some(body) = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
                    && let Ok(message) = serde_json::from_str::<Value>(&body)
                {
                    break Some(message);
                }
            };
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            for alert in body.iter().flat_map(|body| body["alerts"].as_array().into_iter().flatten()) {
                let labels = &alert["labels"];
                let registry = word(&labels["registry"]);
                let registry = registry.split('.').next().unwrap_or_default().to_owned();
                let page = (word(&labels["alertname"]), registry, word(&alert["status"]));
                pages.lock().expect("no thread panicked").push(page);
            }
        }
    });
    address
}
