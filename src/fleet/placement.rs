//! Decides which nodes should run an agent, as the DaemonSet controller does.
//!
//! Owns the rules of node selectors, required node affinity, taints and tolerations for DaemonSet Pods. An unhealthy node
//! should still run an agent:
//! <https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/#taints-and-tolerations>. No crate has these rules.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Exclusion;

/// Scheduling rules of a DaemonSet's Pod template; other fields are ignored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rules {
    node_selector: BTreeMap<String, String>,
    affinity: Option<Affinity>,
    tolerations: Vec<Toleration>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Affinity {
    node_affinity: Option<NodeAffinity>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct NodeAffinity {
    #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution")]
    required: Option<NodeSelector>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct NodeSelector {
    node_selector_terms: Vec<Term>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Term {
    match_expressions: Vec<Expression>,
    match_fields: Vec<Expression>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Expression {
    key: String,
    operator: Operator,
    #[serde(default)]
    values: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
    Gt,
    Lt,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Toleration {
    key: String,
    operator: String,
    value: String,
    effect: String,
}

/// The properties of a node that decide which Pods may run on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Host {
    /// Name of the node.
    pub name: String,
    /// Labels of the node.
    pub labels: BTreeMap<String, String>,
    /// Taints of the node.
    pub taints: Vec<Taint>,
}

/// A taint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Taint {
    /// Key of the taint.
    pub key: String,
    /// Value of the taint; empty if it has none.
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
}

/// Taints for a node's condition rather than for a purpose. The controller tolerates most of them for every DaemonSet, and the
/// others go away once the node is healthy. Until then, the node should still run an agent.
const CONDITIONS: [&str; 9] = [
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
    "node.kubernetes.io/out-of-service",
    "node.kubernetes.io/disk-pressure",
    "node.kubernetes.io/memory-pressure",
    "node.kubernetes.io/pid-pressure",
    "node.kubernetes.io/network-unavailable",
    "node.kubernetes.io/unschedulable",
    "node.cloudprovider.kubernetes.io/uninitialized",
];

/// Returns why the DaemonSet runs no Pod on a node; `None` if it should run one.
#[must_use]
pub fn exclusion(rules: &Rules, host: &Host) -> Option<Exclusion> {
    let unselected = |requirement| Some(Exclusion::Unselected { requirement });
    if is_virtual(host) {
        return Some(Exclusion::Virtual);
    }
    for (key, value) in &rules.node_selector {
        if host.labels.get(key) != Some(value) {
            return unselected(format!("{key}={value}"));
        }
    }
    let affinity = rules.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    if let Some(required) = affinity.and_then(|affinity| affinity.required.as_ref())
        && !required.node_selector_terms.iter().any(|term| term.matches(host))
    {
        return unselected(required.describe());
    }
    let taint = host.taints.iter().find(|taint| taint.keeps_away() && !rules.tolerate(taint))?;
    Some(Exclusion::Tainted { taint: taint.describe() })
}

/// A node of the virtual kubelet, such as AKS's virtual nodes, runs no DaemonSet:
/// <https://learn.microsoft.com/azure/aks/virtual-nodes>.
fn is_virtual(host: &Host) -> bool {
    host.labels.get("type").is_some_and(|kind| kind == "virtual-kubelet")
        || host.taints.iter().any(|taint| taint.key == "virtual-kubelet.io/provider")
}

impl Rules {
    fn tolerate(&self, taint: &Taint) -> bool {
        self.tolerations.iter().any(|toleration| toleration.covers(taint))
    }
}

impl Toleration {
    /// An empty key with `Exists` matches every taint, an empty effect every effect, and no operator means `Equal`:
    /// <https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/>.
    fn covers(&self, taint: &Taint) -> bool {
        let effect = self.effect.is_empty() || self.effect == taint.effect;
        let key = self.key == taint.key || (self.key.is_empty() && self.operator == "Exists");
        let value = match self.operator.as_str() {
            "Exists" => true,
            "" | "Equal" => self.value == taint.value,
            _ => false,
        };
        effect && key && value
    }
}

impl Taint {
    fn keeps_away(&self) -> bool {
        matches!(self.effect.as_str(), "NoSchedule" | "NoExecute") && !CONDITIONS.contains(&self.key.as_str())
    }

    fn describe(&self) -> String {
        let Self { key, value, effect } = self;
        if value.is_empty() { format!("{key}:{effect}") } else { format!("{key}={value}:{effect}") }
    }
}

impl NodeSelector {
    fn describe(&self) -> String {
        let terms: Vec<String> = self.node_selector_terms.iter().map(Term::describe).collect();
        terms.join(", or ")
    }
}

impl Term {
    /// A term without a condition matches nothing, as for the scheduler.
    fn matches(&self, host: &Host) -> bool {
        if self.match_expressions.is_empty() && self.match_fields.is_empty() {
            return false;
        }
        let label = |expression: &Expression| expression.holds(host.labels.get(&expression.key));
        // Kubernetes supports only this field.
        let field =
            |expression: &Expression| expression.key == "metadata.name" && expression.holds(Some(&host.name));
        self.match_expressions.iter().all(label) && self.match_fields.iter().all(field)
    }

    fn describe(&self) -> String {
        let conditions: Vec<String> =
            self.match_expressions.iter().chain(&self.match_fields).map(Expression::describe).collect();
        conditions.join(" and ")
    }
}

impl Expression {
    fn holds(&self, found: Option<&String>) -> bool {
        let compared = |is: fn(i64, i64) -> bool| {
            let wanted = self.values.first().and_then(|value| value.parse().ok());
            let found = found.and_then(|found| found.parse().ok());
            found.zip(wanted).is_some_and(|(found, wanted)| is(found, wanted))
        };
        match self.operator {
            Operator::In => found.is_some_and(|found| self.values.contains(found)),
            Operator::NotIn => found.is_none_or(|found| !self.values.contains(found)),
            Operator::Exists => found.is_some(),
            Operator::DoesNotExist => found.is_none(),
            Operator::Gt => compared(|found, wanted| found > wanted),
            Operator::Lt => compared(|found, wanted| found < wanted),
        }
    }

    fn describe(&self) -> String {
        let Self { key, values, .. } = self;
        let values = values.join(",");
        match self.operator {
            Operator::In => format!("{key} in ({values})"),
            Operator::NotIn => format!("{key} not in ({values})"),
            Operator::Exists => format!("{key} exists"),
            Operator::DoesNotExist => format!("{key} does not exist"),
            Operator::Gt => format!("{key} > {values}"),
            Operator::Lt => format!("{key} < {values}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Exclusion, Host, Rules, Taint, exclusion};
    use serde_json::json;

    fn rules(spec: &serde_json::Value) -> Rules {
        serde_json::from_value(spec.clone()).expect("a Pod's specification")
    }

    fn host(labels: &[(&str, &str)], taints: &[(&str, &str, &str)]) -> Host {
        Host {
            name: "aks-np1-0".to_owned(),
            labels: labels.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect(),
            taints: taints
                .iter()
                .map(|&(key, value, effect)| Taint {
                    key: key.to_owned(),
                    value: value.to_owned(),
                    effect: effect.to_owned(),
                })
                .collect(),
        }
    }

    fn terms(terms: &serde_json::Value) -> serde_json::Value {
        json!({"affinity": {"nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}})
    }

    fn describe(exclusion: Option<Exclusion>) -> String {
        exclusion.map_or_else(|| "wanted".to_owned(), |exclusion| exclusion.to_string())
    }

    #[test]
    fn selectors_and_affinity_match_as_in_the_controller() {
        let linux = host(&[("kubernetes.io/os", "linux"), ("cores", "8")], &[]);
        let not_virtual = terms(&json!([{"matchExpressions": [
            {"key": "type", "operator": "NotIn", "values": ["virtual-kubelet"]}]}]));
        let cases = [
            (json!({}), linux.clone(), "wanted"),
            (json!({"nodeSelector": {"kubernetes.io/os": "linux"}}), linux.clone(), "wanted"),
            (
                json!({"nodeSelector": {"kubernetes.io/os": "linux"}}),
                host(&[("kubernetes.io/os", "windows")], &[]),
                "not selected: kubernetes.io/os=linux",
            ),
            (not_virtual.clone(), linux.clone(), "wanted"),
            (not_virtual, host(&[("type", "virtual-kubelet")], &[]), "virtual node"),
            (json!({}), host(&[], &[("virtual-kubelet.io/provider", "azure", "NoSchedule")]), "virtual node"),
            (
                terms(&json!([{"matchExpressions": [{"key": "cores", "operator": "Gt", "values": ["4"]}]}])),
                linux.clone(),
                "wanted",
            ),
            (
                terms(&json!([{"matchExpressions": [{"key": "cores", "operator": "Lt", "values": ["4"]}]}])),
                linux.clone(),
                "not selected: cores < 4",
            ),
            (
                terms(&json!([{"matchExpressions": [
                    {"key": "gpu", "operator": "Exists"}, {"key": "cores", "operator": "In", "values": ["8"]}]}])),
                linux.clone(),
                "not selected: gpu exists and cores in (8)",
            ),
            (
                terms(&json!([
                    {"matchExpressions": [{"key": "gpu", "operator": "Exists"}]},
                    {"matchExpressions": [{"key": "gpu", "operator": "DoesNotExist"}]}])),
                linux.clone(),
                "wanted",
            ),
            (
                terms(&json!([{"matchFields": [
                    {"key": "metadata.name", "operator": "In", "values": ["aks-np1-1"]}]}])),
                linux.clone(),
                "not selected: metadata.name in (aks-np1-1)",
            ),
            // A term without conditions matches no node.
            (terms(&json!([{}])), linux, "not selected: "),
        ];
        for (spec, host, expected) in cases {
            assert_eq!(describe(exclusion(&rules(&spec), &host)), expected, "{spec}");
        }
    }

    #[test]
    fn taints_are_tolerated_as_in_the_controller() {
        let tolerations = |list: serde_json::Value| json!({ "tolerations": list });
        let spot = ("kubernetes.azure.com/scalesetpriority", "spot", "NoSchedule");
        let cases = [
            (json!({}), spot, "taint kubernetes.azure.com/scalesetpriority=spot:NoSchedule is not tolerated"),
            (json!({}), ("any", "", "PreferNoSchedule"), "wanted"),
            (json!({}), ("node.kubernetes.io/unschedulable", "", "NoSchedule"), "wanted"),
            (json!({}), ("node.kubernetes.io/not-ready", "", "NoExecute"), "wanted"),
            // The API server adds this taint to every new node.
            (json!({}), ("node.kubernetes.io/not-ready", "", "NoSchedule"), "wanted"),
            (tolerations(json!([{"operator": "Exists"}])), spot, "wanted"),
            (tolerations(json!([{"operator": "Exists", "effect": "NoSchedule"}])), spot, "wanted"),
            (
                tolerations(json!([{"operator": "Exists", "effect": "NoExecute"}])),
                spot,
                "taint kubernetes.azure.com/scalesetpriority=spot:NoSchedule is not tolerated",
            ),
            (
                tolerations(json!([{"key": "dedicated", "value": "a"}])),
                ("dedicated", "a", "NoExecute"),
                "wanted",
            ),
            (
                tolerations(json!([{"key": "dedicated", "operator": "Equal", "value": "b"}])),
                ("dedicated", "a", "NoExecute"),
                "taint dedicated=a:NoExecute is not tolerated",
            ),
            (
                tolerations(json!([{"key": "dedicated", "operator": "Exists"}])),
                ("dedicated", "a", "NoExecute"),
                "wanted",
            ),
        ];
        for (spec, taint, expected) in cases {
            assert_eq!(
                describe(exclusion(&rules(&spec), &host(&[], &[taint]))),
                expected,
                "{spec} {taint:?}"
            );
        }
    }
}
