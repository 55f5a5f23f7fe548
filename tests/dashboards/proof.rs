//! Every query of every panel, asked of a real Prometheus that scrapes real agents, before and while registries fail.
//!
//! Each state has a registry and nodes of its own, and they all fail at once, so that one Prometheus sees them in one go.
//! What the panels then say is pinned in `tests/golden/dashboards`: in full for the healthy fleet, and for each fault what
//! is different from before. The cluster's name stands for the state; the healthy fleet has none, as outside of Azure.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::{Chosen, FILES, Query, queries, read};
use crate::agent::process::Agent;
use crate::lab::Lab;
use crate::lab::answers::{Canned, RedirectFault, RetryAfter, Target};
use crate::lab::settings::{Behaviour, Certificate, Nameserver, Settings, Transport, View};
use crate::metrics::prometheus::{Prometheus, encoded, installed};

/// Longer than a throttled agent rests: eight intervals of 2 s.
const WINDOW: Duration = Duration::from_secs(20);
/// What is younger is new: over `WINDOW`, and under the time that faults last.
const NEW: f64 = 22.0;
/// How long a busy machine may take until a state has come.
const PATIENCE: Duration = Duration::from_secs(90);

/// A registry, the nodes that use it, and how it is broken.
struct State {
    /// The name of the registry, of the cluster and of its nodes.
    name: &'static str,
    nodes: usize,
    /// What the nodes tell then; empty where they go on as before.
    cause: &'static str,
    fault: fn(&mut Settings),
}

const HEALTHY: &str = "healthy";

const STATES: [State; 13] = [
    State { name: HEALTHY, nodes: 2, cause: "", fault: |_| {} },
    State {
        name: "zone",
        nodes: 3,
        cause: "private_zone_not_linked",
        fault: |settings| settings.nameservers[1].login = View::NotLinked,
    },
    State {
        name: "public",
        nodes: 2,
        cause: "no_private_endpoint",
        fault: |settings| settings.nameservers[0] = Nameserver::seeing(View::NoPrivateEndpoint),
    },
    State {
        name: "storage",
        nodes: 1,
        cause: "data_endpoint_disabled",
        fault: |settings| settings.blob_redirect.answer = RedirectFault::Target(Target::BlobStorage).into(),
    },
    State {
        name: "rejected",
        nodes: 1,
        cause: "credentials_rejected",
        fault: |settings| settings.credentials.password = "the-next-one".into(),
    },
    State {
        name: "expiring",
        nodes: 1,
        cause: "certificate_expiring",
        fault: |settings| settings.login.certificate = Certificate::ExpiresIn(7),
    },
    State {
        name: "disagree",
        nodes: 1,
        cause: "resolvers_disagree",
        fault: |settings| settings.nameservers[1].login = View::Addresses(vec![[10, 60, 9, 9].into()]),
    },
    State {
        name: "silent",
        nodes: 1,
        cause: "dns_timeout",
        fault: |settings| settings.nameservers[0] = Nameserver::behaving(Behaviour::Silent),
    },
    State {
        name: "missing",
        nodes: 1,
        cause: "manifest_not_found",
        fault: |settings| settings.manifest.answer = Canned::ManifestUnknown.into(),
    },
    State {
        name: "throttled",
        nodes: 1,
        cause: "throttled",
        fault: |settings| settings.token.answer = Canned::Throttled(RetryAfter::None).into(),
    },
    State {
        name: "refused",
        nodes: 1,
        cause: "connect_refused",
        fault: |settings| settings.data.transport = Transport::Closed,
    },
    State {
        name: "full",
        nodes: 1,
        cause: "connect_timeout",
        fault: |settings| settings.data.transport = Transport::AcceptQueueFull,
    },
    State { name: "reload", nodes: 1, cause: "", fault: |_| {} },
];

/// A state with its lab and agents.
struct Fleet {
    state: &'static State,
    lab: Lab,
    agents: Vec<Agent>,
}

impl Fleet {
    fn start(state: &'static State) -> Self {
        let mut settings = Settings::default();
        settings.place.registry = state.name.into();
        settings.nameservers.push(Nameserver::default());
        let lab = Lab::start(settings);
        let servers = lab.nameservers();
        let agents = (1..=state.nodes)
            .map(|number| {
                // One node of the zone's asks the second nameserver.
                let asked = servers[usize::from(state.name == "zone" && number == 2)];
                Agent::start_on(&node(state, number), &[asked], &config(state, &lab))
            })
            .collect();
        Self { state, lab, agents }
    }

    fn break_it(&self) {
        self.lab.change(self.state.fault);
        match self.state.name {
            "expiring" => {
                let until = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(5 * 24);
                std::fs::write(self.lab.secret_folder().join("expiresAt"), until.to_string())
                    .expect("a file");
            }
            "reload" => self.agents[0].rewrite("images: [\n"),
            _ => {}
        }
    }

    /// What somebody chooses who looks at this fleet, on either dashboard.
    fn chosen(&self, dashboard: &str, since: f64, until: f64) -> Chosen {
        let name = self.state.name;
        let cluster = if name == HEALTHY { ".*" } else { name };
        let one = if name == "zone" { 2 } else { 1 };
        let node = if dashboard == "node" { node(self.state, one) } else { format!("{name}-.*") };
        Chosen {
            cluster: cluster.to_owned(),
            registry: self.lab.registry().replace('.', "\\\\."),
            image: ".*".to_owned(),
            node,
            rate_interval: format!("{}s", WINDOW.as_secs()),
            range: format!("{:.0}s", (until - since).max(1.0)),
        }
    }
}

fn node(state: &State, number: usize) -> String {
    format!("{}-{number}", state.name)
}

fn config(state: &State, lab: &Lab) -> String {
    let image = |reference: &str, name: &str| {
        let folder = lab.secret_folder().display().to_string();
        format!(
            "  - {{image: {}, {name}credentials: {{path: {folder}}}}}\n",
            lab.image_of("apps/canary", reference)
        )
    };
    let mut images = image(":1", "");
    if state.name == HEALTHY {
        // Shares the series of the one above; the third has its own.
        images.push_str(&image(&format!("@{}", lab.digest("1")), ""));
        images.push_str(&image(&format!(":other@{}", lab.digest("1")), "name: canary, "));
    }
    let compare = if state.name == "disagree" {
        format!("resolvers: {{compare: {{azure: \"{}\"}}}}\n", lab.nameservers()[1])
    } else {
        String::new()
    };
    // Short where a limit is what the state is about; else so long that no busy machine runs into it.
    let limit = if ["silent", "full"].contains(&state.name) { "2s" } else { "9s" };
    format!(
        "images:\n{images}{compare}tls: {{caFile: {}}}\nschedule: {{interval: 2s, jitter: 0, timeout: 10s, stageTimeout: \
         {limit}}}\nserver: {{address: \"127.0.0.1:0\"}}\n",
        lab.ca_file().display()
    )
}

/// Tells of the cluster's nodes as kube-state-metrics does, one of them without an agent and one with Windows.
fn kube_state_metrics() -> SocketAddr {
    let mut text = String::from("# TYPE kube_node_info gauge\n");
    for (cluster, node, system) in [
        ("zone", "zone-1", "Ubuntu 24.04"),
        ("zone", "zone-2", "Ubuntu 24.04"),
        ("zone", "zone-3", "Ubuntu 24.04"),
        ("zone", "zone-new", "Ubuntu 24.04"),
        ("zone", "zone-win", "Windows Server 2022 Datacenter"),
        ("reload", "reload-1", "Ubuntu 24.04"),
    ] {
        text.push_str(&format!(
            "kube_node_info{{cluster=\"{cluster}\",node=\"{node}\",os_image=\"{system}\"}} 1\n"
        ));
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("an address");
    // Ends with the process; Prometheus alone comes.
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
                text.len()
            );
        }
    });
    address
}

fn scraping(fleets: &[Fleet]) -> String {
    let mut config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n\
         - {{job_name: kube-state-metrics, static_configs: [{{targets: ['{}']}}]}}\n\
         - job_name: acr-verifier\n  static_configs:\n",
        kube_state_metrics()
    );
    for fleet in fleets {
        let targets: Vec<String> = fleet.agents.iter().map(|agent| format!("'{}'", agent.address)).collect();
        let labels = match fleet.state.name {
            HEALTHY => String::new(),
            name => format!(", labels: {{cluster: {name}}}"),
        };
        config.push_str(&format!("  - {{targets: [{}]{labels}}}\n", targets.join(", ")));
    }
    config
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64()
}

/// The series that a query answers with, each with its values and their times.
pub(super) fn ask(
    prometheus: &Prometheus,
    query: &Query,
    chosen: &Chosen,
    (since, until, step): (f64, f64, f64),
) -> Vec<(Value, Vec<(f64, f64)>)> {
    let expression = encoded(&chosen.put_into(&query.expression));
    let what = if query.instant {
        format!("query?query={expression}&time={until:.3}")
    } else {
        format!("query_range?query={expression}&start={since:.3}&end={until:.3}&step={step}")
    };
    let answer = prometheus.ask(&what).unwrap_or_else(|| panic!("no answer to {}", query.expression));
    assert_eq!(answer["status"], "success", "{}: {answer}", query.panel);
    let sample = |sample: &Value| Some((sample[0].as_f64()?, sample[1].as_str()?.parse().ok()?));
    let series = answer["data"]["result"].as_array().expect("a result");
    let values = |series: &Value| match series["values"].as_array() {
        Some(samples) => samples.iter().filter_map(sample).collect(),
        None => sample(&series["value"]).into_iter().collect(),
    };
    series.iter().map(|series| (series["metric"].clone(), values(series))).collect()
}

/// A value as it may be pinned: what depends on the machine's pace is told by its kind.
fn shown(query: &Query, value: f64) -> String {
    let depends = ["rate(", "increase(", "histogram_quantile("];
    if depends.iter().any(|word| query.expression.contains(word)) {
        let kind = if value.is_nan() {
            "NaN"
        } else if value > 0.0 {
            "some"
        } else {
            "0"
        };
        return kind.to_owned();
    }
    if query.unit == "s" {
        return match value {
            value if value < 0.0 => "over".to_owned(),
            value if value > 86_400.0 => format!("{:.0} days", value / 86_400.0),
            _ if query.panel == "Configuration read" => "under a day".to_owned(),
            value if value < NEW => "new".to_owned(),
            _ => "a while".to_owned(),
        };
    }
    let rounded = format!("{value:.2}");
    rounded.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Labels as `name=value`, without what differs from run to run.
fn labels(metric: &Value) -> String {
    let mut words = Vec::new();
    for (name, value) in metric.as_object().expect("labels") {
        let value = value.as_str().expect("text");
        let value = match name.as_str() {
            "registry" => value.split(':').next().unwrap_or_default(),
            "version" | "revision" => "…",
            _ => value,
        };
        words.push(format!("{name}={value}"));
    }
    words.join(" ")
}

/// What a legend says beside the labels.
fn words_of(legend: &str) -> String {
    let words = legend.split(' ').filter(|word| !word.contains("{{") && *word != "__auto");
    words.map(|word| format!("{word} ")).collect()
}

/// What each query of each panel says, sorted.
type Said = BTreeMap<(usize, String), Vec<String>>;

fn look(prometheus: &Prometheus, fleet: &Fleet, since: f64, until: f64) -> Said {
    let mut said = Said::new();
    for (dashboard, name) in FILES.into_iter().enumerate() {
        let chosen = fleet.chosen(name, since, until);
        for (number, query) in queries(&read(name)).into_iter().enumerate() {
            let mut lines = Vec::new();
            for (metric, samples) in ask(prometheus, &query, &chosen, (since, until, 1.0)) {
                // Buckets depend on the machine's pace; that they are there does not.
                if query.kind == "heatmap" && metric["le"] != "+Inf" {
                    continue;
                }
                let said = course(&query, &samples, since, until);
                lines.push(format!("    {}{{{}}} {said}", words_of(&query.legend), labels(&metric)));
            }
            lines.sort();
            let place = dashboard * 1000 + number;
            said.insert((place, format!("{name}: {}", query.panel)), lines);
        }
    }
    said
}

/// The value now or, where it was another or none at the beginning, also that one.
fn course(query: &Query, samples: &[(f64, f64)], since: f64, until: f64) -> String {
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
        return "nothing".to_owned();
    };
    if query.instant {
        return shown(query, last.1);
    }
    let at = |(time, value): &(f64, f64), moment: f64| {
        if (time - moment).abs() < 1.5 { shown(query, *value) } else { "-".to_owned() }
    };
    let depends = ["rate(", "increase("].iter().any(|word| query.expression.contains(word));
    // The first values of a rate depend on when the agent began.
    if depends { at(last, until) } else { format!("{} -> {}", at(first, since), at(last, until)) }
}

/// The panels of which some query says something else than before.
fn text(said: &Said, before: Option<&Said>) -> String {
    let mut text = String::new();
    let mut panel = String::new();
    for (key, lines) in said {
        if before.is_some_and(|before| before.get(key) == Some(lines)) {
            continue;
        }
        if panel != key.1 {
            text.push_str(&format!("{}\n", key.1));
            panel.clone_from(&key.1);
        }
        let nothing = ["    nothing".to_owned()];
        for line in if lines.is_empty() { &nothing[..] } else { lines } {
            text.push_str(&format!("{line}\n"));
        }
    }
    text
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "{what} does not come");
        std::thread::sleep(Duration::from_millis(250));
    }
}

#[test]
fn every_panel_says_what_it_promises_in_every_state() {
    if !installed("prometheus") {
        return;
    }
    let fleets: Vec<Fleet> = STATES.iter().map(Fleet::start).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let prometheus = Prometheus::start(&scraping(&fleets), folder.path());
    let agents = fleets.iter().map(|fleet| fleet.agents.len()).sum::<usize>();
    let count = |expression: &str| {
        prometheus
            .query(expression)
            .and_then(|series| series.first().map(|(_, value)| *value))
            .unwrap_or_default()
    };
    // The healthy fleet has two series a node.
    wait_until("health", || count("count(acr_verifier_check_success == 1)") >= (agents + 2) as f64);
    let since = now();
    std::thread::sleep(Duration::from_secs(5));
    let until = now();
    let before: Vec<Said> = fleets.iter().map(|fleet| look(&prometheus, fleet, since, until)).collect();

    fleets.iter().for_each(Fleet::break_it);
    for state in STATES.iter().filter(|state| !state.cause.is_empty()) {
        let told = format!("count(acr_verifier_cause{{cluster='{}',cause='{}'}})", state.name, state.cause);
        let expected = if state.name == "zone" { 1 } else { state.nodes };
        wait_until(state.cause, || count(&told) >= expected as f64);
    }
    wait_until("the refusal", || count("count(acr_verifier_config_last_reload_successful == 0)") >= 1.0);
    // Until no rate has a sample from before, and ages tell.
    std::thread::sleep(WINDOW + Duration::from_secs(6));
    let until = now();
    let after: Vec<Said> = fleets.iter().map(|fleet| look(&prometheus, fleet, since, until)).collect();

    let mut heard = BTreeMap::new();
    for ((fleet, before), after) in fleets.iter().zip(&before).zip(&after) {
        let path = format!("tests/golden/dashboards/{}.txt", fleet.state.name);
        let text = if fleet.state.name == HEALTHY {
            assert_eq!(text(after, Some(before)), "", "the healthy fleet says something else after a while");
            text(after, None)
        } else {
            text(after, Some(before))
        };
        expectorate::assert_contents(path, &text);
        for (key, lines) in before.iter().chain(after) {
            *heard.entry(key.clone()).or_insert(0) += lines.len();
        }
    }
    for (query, lines) in heard {
        assert!(lines > 0, "{query:?} says nothing in any state");
    }

    // Mended: the causes are gone, and the time before can still be seen.
    let zone = fleets.iter().position(|fleet| fleet.state.name == "zone").expect("a state");
    fleets[zone].lab.change(|settings| settings.nameservers[1].login = View::Private);
    wait_until("recovery", || count("count(acr_verifier_check_success{cluster='zone'} == 1)") >= 3.0);
    let until = now();
    let mended = text(&look(&prometheus, &fleets[zone], since, until), Some(&before[zone]));
    for line in [
        "overview: Verdicts of nodes with a problem\n    {cluster=zone node=zone-2} 0 -> 0\n",
        "node: Causes\n    {cause=private_zone_not_linked registry=zone.azurecr.io severity=fail} - -> -\n",
    ] {
        assert!(mended.contains(line), "{line}\n{mended}");
    }
    for title in
        ["Nodes that can pull", "What is wrong, by cause", "Public answers", "Causes now", "Verdict\n"]
    {
        assert!(!mended.contains(&format!(": {title}")), "{title} is not as before:\n{mended}");
    }
}
