//! The rules use only exported metrics, labels, and values of labels with a closed set of values.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use acr_verifier::address::Scope;
use acr_verifier::cause::Cause;
use acr_verifier::metrics::FAMILIES;
use acr_verifier::observation::{CredentialsUsed, Endpoint, Resolver, Stage};
use acr_verifier::run::NetworkView;
use acr_verifier::transition::EventResult;
use acr_verifier::verdict::{Severity, Verdict};
use promql_parser::label::MatchOp;
use promql_parser::parser::{self, Expr, LabelModifier, VectorSelector, token};

use generate::alerts::groups;

/// Series of kube-state-metrics, which the AKS add-on includes by default, with the labels used: the nodes and whether they
/// are ready, the reason why a container waits, and the Pods that the DaemonSet wants and has. An agent cannot report its own absence.
const FOREIGN: [(&str, &[&str]); 5] = [
    ("kube_node_status_condition", &["node", "condition", "status"]),
    ("kube_node_info", &["node", "os_image", "kubelet_version"]),
    ("kube_pod_container_status_waiting_reason", &["namespace", "pod", "container", "reason"]),
    ("kube_daemonset_status_desired_number_scheduled", &["namespace", "daemonset"]),
    ("kube_pod_info", &["namespace", "pod", "node", "created_by_kind", "created_by_name"]),
];

/// Returns the values of a label if they are a closed set. The operator names compared resolvers, so shipped rules can only
/// refer to the node's own.
fn values(label: &str) -> Option<Vec<&str>> {
    let stages = || Endpoint::ALL.into_iter().flat_map(Stage::of).map(|stage| stage.as_str());
    match label {
        "cause" => Some(Cause::ALL.iter().map(|cause| cause.code()).collect()),
        "verdict" => Some(Verdict::ALL.iter().map(|verdict| verdict.as_str()).collect()),
        "severity" => {
            Some([Severity::Fail, Severity::Unknown, Severity::Warn].map(Severity::as_str).to_vec())
        }
        "stage" => Some(stages().collect()),
        "endpoint" => Some(Endpoint::ALL.map(Endpoint::as_str).to_vec()),
        "scope" => Some(
            [Scope::Private, Scope::Public, Scope::Reserved, Scope::Unexpected].map(Scope::as_str).to_vec(),
        ),
        "resolver" => Some(vec![if Resolver::System.label() == "system" { "system" } else { "" }]),
        "credentials" => Some(CredentialsUsed::ALL.map(CredentialsUsed::as_str).to_vec()),
        "network_view" => Some(NetworkView::ALL.map(NetworkView::as_str).to_vec()),
        "result" => Some(EventResult::ALL.map(EventResult::as_str).to_vec()),
        _ => None,
    }
}

/// The chart's default of the nodes that no rule counts.
const EXCLUDED: &str = "virtual-.+";

/// The longest range over series of each node: rules may read at most twice as many samples as are stored, and
/// `tests/bench/rules.py` measures that.
const LONGEST_RANGE: Duration = Duration::from_secs(30 * 60);

type Labels = BTreeSet<String>;

/// The state while the rules are read in order.
struct Names {
    /// The labels of recorded series, by name.
    recorded: BTreeMap<String, Labels>,
}

impl Names {
    /// Returns the labels of a selected series, and checks all names in the selector against the exported ones.
    fn selected(&self, selector: &VectorSelector) -> Labels {
        let name = selector.name.as_deref().expect("a selector has a name");
        let family = FAMILIES.iter().find(|family| family.name == name);
        let foreign = FOREIGN.iter().find(|(foreign, _)| *foreign == name);
        let mut labels: Labels = match (family, foreign, self.recorded.get(name)) {
            (Some(family), ..) => {
                family.subject.labels().iter().chain(family.labels).map(|&label| label.to_owned()).collect()
            }
            (None, Some((_, labels)), _) => labels.iter().map(|&label| label.to_owned()).collect(),
            (None, None, Some(labels)) => labels.clone(),
            (None, None, None) => panic!("nothing exports {name}"),
        };
        // Set by the operator for each cluster.
        labels.insert("cluster".to_owned());
        for matcher in &selector.matchers.matchers {
            assert!(labels.contains(&matcher.name), "{name} has no label {}", matcher.name);
            if matcher.name == "node" && matcher.value == EXCLUDED {
                continue;
            }
            let closed = family.and_then(|_| values(&matcher.name));
            assert!(family.is_none() || closed.is_some(), "{name}: {} has values of operators", matcher.name);
            let several = matches!(matcher.op, MatchOp::Re(_) | MatchOp::NotRe(_));
            let separator = if several { '|' } else { '\0' };
            for value in matcher.value.split(separator) {
                let known = closed.as_ref().is_none_or(|values| values.contains(&value));
                assert!(known, "{name}: {} is never {value:?}", matcher.name);
            }
        }
        labels
    }

    /// Returns the labels of the result of an expression; every label that it groups or matches by must exist.
    fn carried(&self, expr: &Expr) -> Labels {
        match expr {
            Expr::VectorSelector(selector) => self.selected(selector),
            Expr::MatrixSelector(matrix) => {
                let name = matrix.vs.name.as_deref().unwrap_or_default();
                let is_short = self.recorded.contains_key(name) || matrix.range <= LONGEST_RANGE;
                assert!(is_short, "{name} is read over {:?}: record it first", matrix.range);
                self.selected(&matrix.vs)
            }
            Expr::Subquery(query) => self.carried(&query.expr),
            Expr::Paren(inner) => self.carried(&inner.expr),
            Expr::Unary(inner) => self.carried(&inner.expr),
            Expr::Call(call) => call.args.args.iter().flat_map(|argument| self.carried(argument)).collect(),
            Expr::Aggregate(aggregate) => {
                let inner = self.carried(&aggregate.expr);
                match &aggregate.modifier {
                    None => Labels::new(),
                    Some(LabelModifier::Include(by)) => {
                        all_in(&by.labels, &inner);
                        by.labels.iter().cloned().collect()
                    }
                    Some(LabelModifier::Exclude(without)) => {
                        all_in(&without.labels, &inner);
                        inner.into_iter().filter(|label| !without.labels.contains(label)).collect()
                    }
                }
            }
            Expr::Binary(binary) => {
                let (left, right) = (self.carried(&binary.lhs), self.carried(&binary.rhs));
                let matching = binary.modifier.as_ref().and_then(|modifier| modifier.matching.as_ref());
                if let Some(LabelModifier::Include(on) | LabelModifier::Exclude(on)) = matching {
                    all_in(&on.labels, &left);
                    all_in(&on.labels, &right);
                }
                if binary.op.id() == token::T_LOR {
                    left.intersection(&right).cloned().collect()
                } else if left.is_empty() {
                    right
                } else {
                    left
                }
            }
            Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => Labels::new(),
        }
    }
}

#[track_caller]
fn all_in(named: &[String], labels: &Labels) {
    for label in named {
        assert!(labels.contains(label), "no series has a label {label}");
    }
}

#[test]
fn the_rules_use_only_exported_names() {
    let mut names = Names { recorded: BTreeMap::new() };
    for rule in groups().into_iter().flat_map(|group| group.rules) {
        let parsed = parser::parse(&rule.expr).unwrap_or_else(|error| panic!("{}: {error}", rule.expr));
        let carried = names.carried(&parsed);
        assert!(!carried.is_empty(), "{} selects nothing", rule.expr);
        if let Some(annotations) = rule.annotations {
            let texts = [&annotations.summary, &annotations.description];
            for label in texts.into_iter().flat_map(|text| text.split("$labels.").skip(1)) {
                let end = label.find(|letter: char| letter != '_' && !letter.is_alphanumeric());
                let label = &label[..end.unwrap_or(label.len())];
                assert!(carried.contains(label), "{:?} has no label {label} for its texts", rule.alert);
            }
            for queried in annotations.description.split("printf \"").skip(1) {
                let Some((series, _)) = queried.split_once("%s\" $of | query") else { continue };
                assert!(names.recorded.contains_key(series), "{:?} queries {series}", rule.alert);
            }
        }
        if let Some(record) = rule.record {
            names.recorded.insert(record, carried);
        }
    }
}

#[test]
#[should_panic(expected = "verdict is never \"failed\"")]
fn an_unknown_label_value_is_detected() {
    let names = Names { recorded: BTreeMap::new() };
    names.carried(
        &parser::parse("rate(acr_verifier_checks_total{verdict=\"failed\"}[5m])").expect("an expression"),
    );
}

#[test]
#[should_panic(expected = "no series has a label stage")]
fn an_unknown_label_is_detected() {
    let names = Names { recorded: BTreeMap::new() };
    names.carried(&parser::parse("sum by (stage) (acr_verifier_check_success)").expect("an expression"));
}

#[test]
#[should_panic(expected = "acr_verifier_last_check_timestamp_seconds is read over 86400s")]
fn a_long_range_over_series_of_each_node_is_detected() {
    let names = Names { recorded: BTreeMap::new() };
    let expression = "last_over_time(acr_verifier_last_check_timestamp_seconds[1d])";
    names.carried(&parser::parse(expression).expect("an expression"));
}

#[test]
fn container_and_daemonset_names_of_the_chart_match_the_rules() {
    let daemonset = include_str!("../../deploy/chart/templates/daemonset.yaml");
    assert!(daemonset.contains("\n        - name: agent\n"));
    assert!(include_str!("../../deploy/chart/Chart.yaml").contains("\nname: acr-verifier\n"));
}
