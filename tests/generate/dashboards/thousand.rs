//! A fleet of a thousand nodes: two hours of a synthetic fleet, written into the storage of a real Prometheus by `promtool` and
//! queried with the panels' own queries.
//!
//! Histograms and requests are left out: their panels have no rows per node. The suite checks that the overview stays readable,
//! `picture` draws it.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use support::prometheus::Prometheus;

use super::{Answer, Chosen, Query, ask, queries};

/// Time that a query may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Number of nodes.
pub const NODES: u32 = 1000;
/// Scrape interval in seconds, and the number of scrapes.
const STEP: u64 = 180;
const SCRAPES: u64 = 41;
const REGISTRY: &str = "contoso.azurecr.io";

/// A fault of some nodes over a range of minutes.
pub struct Trouble {
    pub cause: &'static str,
    pub severity: &'static str,
    pub endpoint: &'static str,
    pub stage: &'static str,
    /// Whether a node has the fault.
    pub nodes: fn(u32) -> bool,
    pub minutes: (u64, u64),
}

/// What happens to the fleet, in this order.
pub const TROUBLES: [Trouble; 5] = [
    Trouble {
        cause: "private_zone_not_linked",
        severity: "fail",
        endpoint: "login",
        stage: "address",
        nodes: |node| node % 83 == 5,
        minutes: (30, 75),
    },
    Trouble {
        cause: "connect_timeout",
        severity: "fail",
        endpoint: "data",
        stage: "connect",
        nodes: |node| node % 10 < 3,
        minutes: (51, 63),
    },
    Trouble {
        cause: "credentials_rejected",
        severity: "fail",
        endpoint: "login",
        stage: "token",
        nodes: |node| node % 400 == 11,
        minutes: (81, 1000),
    },
    Trouble {
        cause: "throttled",
        severity: "unknown",
        endpoint: "login",
        stage: "token",
        nodes: |node| node % 5 == 2,
        minutes: (90, 99),
    },
    Trouble {
        cause: "certificate_expiring",
        severity: "warn",
        endpoint: "login",
        stage: "tls",
        nodes: |_| true,
        minutes: (111, 1000),
    },
];

impl Trouble {
    fn is_there(&self, node: u32, minute: u64) -> bool {
        (self.nodes)(node) && minute >= self.minutes.0 && minute < self.minutes.1
    }
}

/// Returns the name of a node.
pub fn name(node: u32) -> String {
    format!("aks-np{}-12345678-vmss{node:06}", node % 4 + 1)
}

/// A metric of the fleet: type, name, and the series and values of a node at a minute.
type Samples = Vec<(String, f64)>;

fn has(node: u32, minute: u64, severity: &str) -> bool {
    TROUBLES.iter().any(|trouble| trouble.severity == severity && trouble.is_there(node, minute))
}

fn success(node: u32, minute: u64) -> Option<f64> {
    if has(node, minute, "fail") {
        Some(0.0)
    } else if has(node, minute, "unknown") {
        None
    } else {
        Some(1.0)
    }
}

/// Writes the OpenMetrics input, family by family.
fn write_fleet(path: &Path, begin: u64) {
    let mut text = String::new();
    let mut family = |kind: &str, name: &str, series: &dyn Fn(u32, u64) -> Samples| {
        writeln!(text, "# TYPE {name} {kind}").expect("memory");
        let suffix = if kind == "counter" { "_total" } else { "" };
        for scrape in 0..SCRAPES {
            for node in 0..NODES {
                for (labels, value) in series(node, scrape * STEP / 60) {
                    let node = self::name(node);
                    let at = begin + scrape * STEP;
                    writeln!(text, "{name}{suffix}{{node=\"{node}\"{labels}}} {value} {at}").expect("memory");
                }
            }
        }
    };
    let registry = format!(",registry=\"{REGISTRY}\"");
    let sample = |labels: &str, value: f64| vec![(format!("{registry}{labels}"), value)];
    family("gauge", "acr_verifier_config_last_reload_successful", &|_, _| vec![(String::new(), 1.0)]);
    family("gauge", "acr_verifier_node_info", &|node, _| {
        let zone = 1 + node % 3;
        vec![(format!(",pool=\"np1\",zone=\"westeurope-{zone}\",network_view=\"node\""), 1.0)]
    });
    family("gauge", "acr_verifier_credentials_info", &|_, _| {
        sample(",credentials=\"managed_identity\"", 1.0)
    });
    family("gauge", "acr_verifier_build_info", &|node, minute| {
        let version = if u64::from(node) < minute * 10 { "0.2.0" } else { "0.1.0" };
        vec![(format!(",version=\"{version}\",revision=\"7c43e5d\""), 1.0)]
    });
    family("gauge", "acr_verifier_check_success", &|node, minute| {
        success(node, minute).map(|value| sample("", value)).unwrap_or_default()
    });
    family("counter", "acr_verifier_checks", &|_, minute| sample(",verdict=\"pass\"", minute as f64));
    family("gauge", "acr_verifier_cause", &|node, minute| {
        let there = TROUBLES.iter().filter(|trouble| trouble.is_there(node, minute));
        there
            .map(|trouble| {
                (format!("{registry},cause=\"{}\",severity=\"{}\"", trouble.cause, trouble.severity), 1.0)
            })
            .collect()
    });
    let place = |trouble: &Trouble| format!(",endpoint=\"{}\",stage=\"{}\"", trouble.endpoint, trouble.stage);
    family("counter", "acr_verifier_failures", &|node, minute| {
        let begun = TROUBLES.iter().filter(|trouble| {
            trouble.severity == "fail" && (trouble.nodes)(node) && minute >= trouble.minutes.0
        });
        begun
            .map(|trouble| (format!("{registry},cause=\"{}\"{}", trouble.cause, place(trouble)), 1.0))
            .collect()
    });
    family("gauge", "acr_verifier_stage_success", &|node, minute| {
        let there =
            TROUBLES.iter().filter(|trouble| trouble.severity == "fail" && trouble.is_there(node, minute));
        there.map(|trouble| (format!("{registry}{}", place(trouble)), 0.0)).collect()
    });
    family("gauge", "acr_verifier_dns_answers", &|node, minute| {
        let public = TROUBLES[0].is_there(node, minute);
        let sample = |scope: &str, is_so: bool| {
            let labels = format!("{registry},endpoint=\"login\",resolver=\"system\",scope=\"{scope}\"");
            (labels, f64::from(u8::from(is_so)))
        };
        vec![sample("private", !public), sample("public", public)]
    });
    family("gauge", "acr_verifier_dns_resolvers_disagree", &|_, _| sample(",endpoint=\"login\"", 0.0));
    family("gauge", "acr_verifier_last_check_timestamp_seconds", &|_, minute| {
        sample("", (begin + minute * 60) as f64)
    });
    family("gauge", "acr_verifier_last_success_timestamp_seconds", &|node, minute| {
        let last = (0..=minute).rev().find(|minute| success(node, *minute) == Some(1.0));
        last.map(|minute| sample("", (begin + minute * 60) as f64)).unwrap_or_default()
    });
    text.push_str("# EOF\n");
    std::fs::write(path, text).expect("a file");
}

/// Returns the answers to all queries of a dashboard, with the times of their range: begin, end and step.
///
/// # Panics
/// If `promtool` and `prometheus` are not installed, or a query takes too long.
pub fn answers(dashboard: &Value) -> (Vec<(Query, Answer)>, (f64, f64, f64)) {
    let folder = tempfile::tempdir().expect("a folder");
    let input = folder.path().join("fleet.om");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    // Well before the data that Prometheus still holds in memory.
    let begin = now - now % 7200 - 6 * 3600;
    let end = begin + (SCRAPES - 1) * STEP;
    write_fleet(&input, begin);
    let made = Command::new("promtool")
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .arg(&input)
        .arg(folder.path().join("data"))
        .output()
        .expect("promtool starts");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let prometheus = Prometheus::start("scrape_configs: []\n", folder.path());
    let started = Instant::now();
    while prometheus.ask("status/runtimeinfo").is_none() {
        assert!(started.elapsed() < Duration::from_secs(60), "Prometheus does not answer");
        std::thread::sleep(Duration::from_millis(100));
    }

    let chosen =
        Chosen { rate_interval: "12m".into(), range: format!("{}s", end - begin), ..Chosen::default() };
    let times = (begin as f64, end as f64, STEP as f64);
    let answer = |query: Query| {
        let asked = Instant::now();
        let answer = ask(&prometheus, &query, &chosen, times);
        assert!(asked.elapsed() < PATIENCE, "{} takes {:?}", query.panel, asked.elapsed());
        (query, answer)
    };
    (queries(dashboard).into_iter().map(answer).collect(), times)
}
