//! What the nodes of a fleet, and kube-state-metrics, expose before, during and after a state.
//!
//! Owns the series, written as input of promtool. The parent has the states, and the alerts expected in each.

use std::fmt::Write as _;

/// Minutes of health before the state, of the state, and after it.
#[derive(Clone, Copy)]
pub(super) struct Times {
    pub(super) before: usize,
    pub(super) lasts: usize,
    pub(super) after: usize,
}

/// What one node exposes while a state lasts.
#[derive(Clone, Copy)]
pub(super) enum Node {
    /// Every check passes.
    Healthy,
    /// Every check fails with this cause.
    Fails(&'static str),
    /// Checks fail with this cause, by the identity of the node, from the host network.
    IdentityFails(&'static str),
    /// The same from the network of Pods.
    IdentityFailsInPod(&'static str),
    /// The named image `canary` fails with this cause, another image passes.
    ImageFails(&'static str),
    /// Every check is inconclusive.
    Unknown,
    /// The kubelet does not report, and the agent is gone.
    NotReady,
    /// The kubelet does not report, and the agent fails with this cause and rejects its configuration.
    NotReadyFails(&'static str),
    /// A node whose name is excluded, with an agent that fails in every way.
    Excluded,
    /// The Pod of the agent exists, but does not report.
    Silent,
    /// The DaemonSet wants a Pod that cannot be created or scheduled.
    WithoutPod,
    /// No agent, because the DaemonSet does not tolerate the node.
    Unwanted,
    /// The same, and the kubelet does not report.
    UnwantedNotReady,
    /// Every check fails for one minute of each five.
    Bursts(&'static str),
}

impl Node {
    pub(super) const fn is_wanted(self) -> bool {
        !matches!(self, Self::Unwanted | Self::UnwantedNotReady)
    }

    const fn is_ready(self) -> bool {
        !matches!(self, Self::NotReady | Self::NotReadyFails(_) | Self::UnwantedNotReady)
    }

    /// Whether an agent reports while the state lasts.
    const fn reports(self) -> bool {
        self.is_wanted() && !matches!(self, Self::NotReady | Self::Silent | Self::WithoutPod)
    }
}

/// Writes series for a cluster whose state changes at these times.
pub(super) struct Writer<'a> {
    pub(super) text: &'a mut String,
    pub(super) times: Times,
}

impl Writer<'_> {
    /// A series with one value before and after the state and another one while it lasts; `None` is no sample.
    pub(super) fn series(&mut self, name: &str, labels: &str, usual: Option<usize>, during: Option<usize>) {
        let Times { before, lasts, after } = self.times;
        let mut values = String::new();
        let mut last = None;
        for (value, minutes) in [(usual, before), (during, lasts), (usual, after)] {
            match value {
                Some(value) => write!(values, "{value}+0x{} ", minutes - 1),
                None if last.is_some() => write!(values, "stale _x{} ", minutes - 1),
                None => write!(values, "_x{minutes} "),
            }
            .expect("memory takes everything");
            last = value;
        }
        self.line(name, labels, &values);
    }

    /// A counter that increases by so much a minute, by the part of the time.
    fn counter(&mut self, name: &str, labels: &str, usual: usize, during: usize) {
        let Times { before, lasts, after } = self.times;
        let first = usual * (before - 1);
        let second = first + during * lasts;
        let values = format!(
            "0+{usual}x{} {}+{during}x{} {}+{usual}x{}",
            before - 1,
            first + during,
            lasts - 1,
            second + usual,
            after - 1,
        );
        self.line(name, labels, &values);
    }

    /// The time of a check each minute, as long as the agent reports.
    fn checked(&mut self, labels: &str, reports: bool) {
        let Times { before, lasts, after } = self.times;
        let values = if reports {
            format!("0+60x{}", before + lasts + after - 1)
        } else {
            let again = 60 * (before + lasts);
            format!("0+60x{} stale _x{} {again}+60x{}", before - 1, lasts - 1, after - 1)
        };
        self.line("acr_verifier_last_check_timestamp_seconds", labels, &values);
    }

    /// A series with one value for one minute of each five of the state, and another one otherwise.
    fn bursts(&mut self, name: &str, labels: &str, usual: Option<u8>, within: Option<u8>) {
        let Times { before, lasts, after } = self.times;
        let part = |value: Option<u8>, minutes: usize| match value {
            Some(value) => format!("{value}+0x{}", minutes - 1),
            None => format!("stale _x{}", minutes - 1),
        };
        let mut values = usual.map_or_else(|| format!("_x{before}"), |_| part(usual, before));
        for _ in 0..lasts / 5 {
            write!(values, " {} {}", part(within, 1), part(usual, 4)).expect("memory takes everything");
        }
        write!(values, " {}", part(usual, after)).expect("memory takes everything");
        self.line(name, labels, &values);
    }

    fn line(&mut self, name: &str, labels: &str, values: &str) {
        writeln!(self.text, "      - series: '{name}{{{labels}}}'\n        values: '{}'", values.trim_end())
            .expect("memory takes everything");
    }

    /// The series of one node. `release` is the DaemonSet that wants an agent there; `pods` is whether the monitoring knows Pods.
    pub(super) fn node(&mut self, number: usize, state: Node, release: &str, pods: bool) {
        let name =
            format!("{}{number:03}", if matches!(state, Node::Excluded) { "virtual-" } else { "aks-np1-" });
        let whole = format!("cluster=\"prod\",node=\"{name}\"");
        let kube = format!("{whole},os_image=\"Ubuntu 24.04.3 LTS\",kubelet_version=\"v1.34.4\"");
        self.series("kube_node_info", &kube, Some(1), Some(1));
        let condition = format!("{whole},condition=\"Ready\",status=\"true\"");
        let ready = usize::from(state.is_ready());
        self.series("kube_node_status_condition", &condition, Some(1), Some(ready));
        if !state.is_wanted() {
            return;
        }
        if pods {
            let pod = format!(
                "{whole},namespace=\"{release}\",pod=\"{release}-{number}\",created_by_kind=\"DaemonSet\",created_by_name=\"{release}\""
            );
            let exists = (!matches!(state, Node::WithoutPod)).then_some(1);
            self.series("kube_pod_info", &pod, Some(1), exists);
        }
        self.agent(state, &whole);
    }

    /// The series of the agent of a node.
    fn agent(&mut self, state: Node, whole: &str) {
        let registry = format!("{whole},registry=\"contoso.azurecr.io\"");
        let reports = state.reports().then_some(1);
        let view = if matches!(state, Node::IdentityFailsInPod(_)) { "pod" } else { "node" };
        self.series("acr_verifier_node_info", &format!("{whole},network_view=\"{view}\""), Some(1), reports);
        self.checked(&registry, state.reports());
        let cause =
            |cause: &str, labels: &str| format!("{registry},cause=\"{cause}\",severity=\"fail\"{labels}");
        let mut success =
            |labels: &str, during| self.series("acr_verifier_check_success", labels, Some(1), during);
        match state {
            Node::Healthy => success(&registry, Some(1)),
            Node::Fails(_)
            | Node::IdentityFails(_)
            | Node::IdentityFailsInPod(_)
            | Node::NotReadyFails(_)
            | Node::Excluded => success(&registry, Some(0)),
            Node::ImageFails(_) => {
                success(&format!("{registry},image=\"canary\""), Some(0));
                success(&format!("{registry},image=\"other\""), Some(1));
            }
            Node::Bursts(_) => self.bursts("acr_verifier_check_success", &registry, Some(1), Some(0)),
            Node::Unknown
            | Node::NotReady
            | Node::Silent
            | Node::WithoutPod
            | Node::Unwanted
            | Node::UnwantedNotReady => success(&registry, None),
        }
        match state {
            Node::Fails(code)
            | Node::IdentityFails(code)
            | Node::IdentityFailsInPod(code)
            | Node::NotReadyFails(code) => {
                self.series("acr_verifier_cause", &cause(code, ""), None, Some(1));
            }
            Node::ImageFails(code) => {
                self.series("acr_verifier_cause", &cause(code, ",image=\"canary\""), None, Some(1));
            }
            Node::Excluded => {
                for code in ["connect_timeout", "credentials_rejected", "manifest_not_found"] {
                    self.series("acr_verifier_cause", &cause(code, ""), None, Some(1));
                }
            }
            Node::Bursts(code) => self.bursts("acr_verifier_cause", &cause(code, ""), None, Some(1)),
            Node::Healthy
            | Node::Unknown
            | Node::NotReady
            | Node::Silent
            | Node::WithoutPod
            | Node::Unwanted
            | Node::UnwantedNotReady => {}
        }
        if matches!(state, Node::Excluded | Node::NotReadyFails(_)) {
            self.fails_in_every_way(whole, &registry);
        }
        let by_identity = matches!(state, Node::IdentityFails(_) | Node::IdentityFailsInPod(_));
        let kind = if by_identity { "managed_identity" } else { "secret" };
        let credentials = format!("{registry},credentials=\"{kind}\"");
        self.series("acr_verifier_credentials_info", &credentials, Some(1), reports);
        let unknown = usize::from(matches!(state, Node::Unknown));
        let checks = "acr_verifier_checks_total";
        let decided = usize::from(state.reports()) - unknown;
        self.counter(checks, &format!("{registry},verdict=\"pass\""), 1, decided);
        self.counter(checks, &format!("{registry},verdict=\"unknown\""), 0, unknown);
    }

    /// What every other alert about a node is made of.
    fn fails_in_every_way(&mut self, whole: &str, registry: &str) {
        let data = format!("{registry},endpoint=\"data\",stage=\"connect\"");
        self.series("acr_verifier_stage_success", &data, Some(1), Some(0));
        self.series("acr_verifier_config_last_reload_successful", whole, Some(1), Some(0));
        let far = Some(100 * 86_400);
        self.series("acr_verifier_credentials_expiry_timestamp_seconds", registry, far, Some(0));
        let endpoint = format!("{registry},endpoint=\"login\"");
        self.series("acr_verifier_tls_certificate_expiry_timestamp_seconds", &endpoint, far, Some(0));
        self.series("acr_verifier_dns_resolvers_disagree", &endpoint, Some(0), Some(1));
        let public = format!("{endpoint},resolver=\"system\",scope=\"public\"");
        self.series("acr_verifier_dns_answers", &public, Some(0), Some(1));
        self.counter("acr_verifier_events_total", &format!("{whole},result=\"failed\""), 0, 1);
        let unknown = format!("{registry},image=\"other\",verdict=\"unknown\"");
        self.counter("acr_verifier_checks_total", &unknown, 0, 100);
    }
}
