//! The notifications an operator receives: the shipped rules in a real Prometheus, and a real Alertmanager with the shipped
//! inhibition.
//!
//! The series are fixed; `dashboards::proof` does the same with real agents. Waiting times are shortened to seconds, see
//! `dashboards::paging`.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::dashboards::paging::Pager;
use support::prometheus::{Prometheus, installed};

const NODES: usize = 12;
const PATIENCE: Duration = Duration::from_secs(60);
/// Longer than the group wait of the Alertmanager and the `for` of the rules.
const SETTLED: Duration = Duration::from_secs(8);

/// The metrics of a fleet: `contoso` fails on all nodes or on none, names of `fabrikam` resolve to public addresses on every
/// node, and one node cannot reach `northwind`.
fn page(contoso: u8) -> String {
    let mut page = String::new();
    let now = jiff::Timestamp::now().as_second();
    for number in 0..NODES {
        let lonely = u8::from(number != 0);
        write!(
            page,
            "acr_verifier_check_success{{node=\"n{number}\",registry=\"contoso.azurecr.io\"}} {contoso}\n\
             acr_verifier_stage_success{{node=\"n{number}\",registry=\"contoso.azurecr.io\",endpoint=\"data\",stage=\"connect\"}} {contoso}\n\
             acr_verifier_check_success{{node=\"n{number}\",registry=\"fabrikam.azurecr.io\"}} 0\n\
             acr_verifier_dns_answers{{node=\"n{number}\",registry=\"fabrikam.azurecr.io\",endpoint=\"login\",resolver=\"system\",scope=\"public\"}} 1\n\
             acr_verifier_last_check_timestamp_seconds{{node=\"n{number}\",registry=\"fabrikam.azurecr.io\"}} {now}\n\
             acr_verifier_cause{{node=\"n{number}\",registry=\"fabrikam.azurecr.io\",cause=\"private_zone_not_linked\",severity=\"fail\"}} 1\n\
             acr_verifier_check_success{{node=\"n{number}\",registry=\"northwind.azurecr.io\"}} {lonely}\n\
             acr_verifier_last_check_timestamp_seconds{{node=\"n{number}\",registry=\"contoso.azurecr.io\"}} {now}\n\
             acr_verifier_last_check_timestamp_seconds{{node=\"n{number}\",registry=\"northwind.azurecr.io\"}} {now}\n"
        )
        .expect("writing to a string cannot fail");
        for (registry, passes) in [("contoso", contoso), ("northwind", lonely)] {
            if passes == 0 {
                writeln!(
                    page,
                    "acr_verifier_cause{{node=\"n{number}\",registry=\"{registry}.azurecr.io\",cause=\"connect_timeout\",severity=\"fail\"}} 1"
                )
                .expect("writing to a string cannot fail");
            }
        }
    }
    page
}

/// Serves a page that can be changed, until the process exits.
fn serve(page: Arc<Mutex<String>>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let body = page.lock().expect("no thread panicked").clone();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    address
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "{what} does not come");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn alertmanager_accepts_the_example() {
    if !installed("amtool") {
        return;
    }
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("dashboards/alerts/alertmanager.example.yml");
    let output = Command::new("amtool").arg("check-config").arg(file).output().expect("amtool runs");
    let printed = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&printed));
}

#[test]
fn an_outage_of_a_fleet_is_one_notification_and_its_recovery_another() {
    if !installed("prometheus") || !installed("prometheus-alertmanager") {
        return;
    }
    let served = Arc::new(Mutex::new(page(0)));
    let target = serve(Arc::clone(&served));
    let folder = tempfile::tempdir().expect("a folder");
    let pager = Pager::start(folder.path());
    let config = format!(
        "global: {{scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 1s}}\n\
         scrape_configs:\n- {{job_name: acr-verifier, honor_labels: true, static_configs: [{{targets: ['{target}']}}]}}\n{}",
        pager.rules(folder.path())
    );
    let prometheus = Prometheus::start(&config, folder.path());
    let notifications = |words: &[(&str, &str)]| -> Vec<(String, String)> {
        words.iter().map(|&(alert, state)| (alert.to_owned(), state.to_owned())).collect()
    };
    let outage = ("AcrVerifierRegistryUnreachable", "firing");
    let public = ("AcrVerifierPublicPathInUse", "firing");
    let lonely = ("AcrVerifierRegistryUnreachableFromNode", "firing");
    for (registry, (alert, state)) in [("contoso", outage), ("fabrikam", public), ("northwind", lonely)] {
        wait_until(alert, || pager.has(alert, registry, state));
    }
    std::thread::sleep(SETTLED);
    // Inhibited alerts still fire.
    for (alert, registry) in
        [("AcrVerifierDataPathBroken", "contoso"), ("AcrVerifierRegistryUnreachable", "fabrikam")]
    {
        prometheus.await_value(
            &format!("ALERTS{{alertname='{alert}',registry='{registry}.azurecr.io',alertstate='firing'}}"),
            1.0,
        );
    }
    assert_eq!(pager.notifications("contoso"), notifications(&[outage]));
    assert_eq!(pager.notifications("fabrikam"), notifications(&[public]));
    assert_eq!(pager.notifications("northwind"), notifications(&[lonely]));

    *served.lock().expect("no thread panicked") = page(1);
    wait_until("the end", || pager.has(outage.0, "contoso", "resolved"));
    assert_eq!(pager.notifications("contoso"), notifications(&[outage, (outage.0, "resolved")]));
}
