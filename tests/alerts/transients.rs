//! How fast a lasting fault pages, and that a short one does not: fleets whose nodes check and are scraped at different times.
//!
//! Owns the cases, and the unit test of promtool written from them. `fleet` has what the nodes expose. A fault starts at several moments
//! of an evaluation interval.

mod fleet;

use std::fmt::Write as _;

use fleet::{Fault, Fleet, Kind};
use generate::alerts::rules;

/// Seconds of health before a fault.
const BEFORE: usize = 300;
/// Seconds until the end of a case.
const END: usize = 1200;
/// A fault that lasts longer.
const LASTING: usize = 2 * END;
/// Seconds between two evaluations.
const EVALUATION: usize = 60;

const UNREACHABLE: &str = "AcrVerifierRegistryUnreachable";
const PUBLIC: &str = "AcrVerifierPublicPathInUse";

/// Fleets that check once a minute.
const SMALL: &[usize] = &[2, 3, 5, 10, 16, 50];
const MEDIUM: &[usize] = &[500];
/// A fleet whose interval is stretched: 500 nodes check each minute, as in every larger one.
const LARGE: &[usize] = &[1200];

struct Case {
    name: &'static str,
    fleets: &'static [usize],
    kind: Kind,
    /// Whether the fault affects a check, by number of nodes, node and number of the check.
    affects: fn(usize, usize, usize) -> bool,
    /// How many seconds it lasts.
    lasts: usize,
    /// The alert that pages until the end of the fault, and the most seconds until then; `None` if nothing may page.
    pages: Option<(&'static str, usize)>,
}

/// Every check of every node.
const ALL: fn(usize, usize, usize) -> bool = |_, _, _| true;
const QUARTER: fn(usize, usize, usize) -> bool = |_, node, _| node.is_multiple_of(4);

const CASES: [Case; 17] = [
    Case {
        name: "a nameserver restarts within 20 s in a small fleet",
        fleets: SMALL,
        kind: Kind::Path,
        affects: ALL,
        lasts: 20,
        pages: None,
    },
    Case {
        name: "a nameserver restarts within 20 s in a fleet of hundreds",
        fleets: MEDIUM,
        kind: Kind::Path,
        affects: ALL,
        lasts: 20,
        pages: None,
    },
    Case {
        name: "a nameserver restarts within 20 s in a large fleet",
        fleets: LARGE,
        kind: Kind::Path,
        affects: ALL,
        lasts: 20,
        pages: None,
    },
    Case {
        name: "the registry answers 503 for 20 s",
        fleets: &[16, 500],
        kind: Kind::Request,
        affects: ALL,
        lasts: 20,
        pages: None,
    },
    Case {
        name: "another nameserver with public answers serves for 20 s",
        fleets: &[16, 500, 1200],
        kind: Kind::Public,
        affects: ALL,
        lasts: 20,
        pages: None,
    },
    Case {
        name: "the path of one node is broken",
        fleets: &[2, 3, 16],
        kind: Kind::Path,
        affects: |_, node, _| node == 0,
        lasts: LASTING,
        pages: None,
    },
    Case {
        name: "the path of three nodes of sixteen is broken",
        fleets: &[16],
        kind: Kind::Path,
        affects: |_, node, _| node < 3,
        lasts: LASTING,
        pages: None,
    },
    Case {
        name: "the path of nine nodes of many is broken",
        fleets: &[50, 1200],
        kind: Kind::Path,
        affects: |_, node, _| node < 9,
        lasts: LASTING,
        pages: None,
    },
    Case {
        name: "the path of all nodes is broken in a small fleet",
        fleets: SMALL,
        kind: Kind::Path,
        affects: ALL,
        lasts: LASTING,
        pages: Some((UNREACHABLE, 240)),
    },
    Case {
        name: "the path of all nodes is broken",
        fleets: &[16, 50, 500, 1200],
        kind: Kind::Path,
        affects: ALL,
        lasts: LASTING,
        pages: Some((UNREACHABLE, 180)),
    },
    Case {
        name: "the path of all nodes is broken for five minutes",
        fleets: &[16, 1200],
        kind: Kind::Path,
        affects: ALL,
        lasts: 300,
        pages: Some((UNREACHABLE, 180)),
    },
    Case {
        name: "the path of a quarter of the nodes is broken in a large fleet",
        fleets: LARGE,
        kind: Kind::Path,
        affects: QUARTER,
        lasts: LASTING,
        pages: Some((UNREACHABLE, 180)),
    },
    Case {
        name: "the path of a quarter of the nodes is broken in a small fleet",
        fleets: &[16, 50],
        kind: Kind::Path,
        affects: QUARTER,
        lasts: LASTING,
        pages: Some((UNREACHABLE, 240)),
    },
    Case {
        name: "the path of twelve nodes of many is broken",
        fleets: &[500, 1200],
        kind: Kind::Path,
        affects: |nodes, node, _| node.is_multiple_of(nodes / 12),
        lasts: LASTING,
        pages: Some((UNREACHABLE, 240)),
    },
    Case {
        name: "the registry answers 503",
        fleets: &[16, 500, 1200],
        kind: Kind::Request,
        affects: ALL,
        lasts: LASTING,
        pages: Some((UNREACHABLE, 180)),
    },
    Case {
        name: "every second check of a node fails",
        fleets: &[16, 1200],
        kind: Kind::Request,
        affects: |_, node, check| (node + check).is_multiple_of(2),
        lasts: LASTING,
        pages: Some((UNREACHABLE, 360)),
    },
    Case {
        name: "names resolve to public addresses",
        fleets: &[16, 500],
        kind: Kind::Public,
        affects: ALL,
        lasts: LASTING,
        pages: Some((PUBLIC, 180)),
    },
];

/// Moments of an evaluation interval at which a fault starts, in seconds: fewer for the fleets that take long to evaluate.
fn moments(nodes: usize) -> &'static [usize] {
    match nodes {
        ..=50 => &[1, 16, 31, 46],
        51..=500 => &[5, 35],
        _ => &[5],
    }
}

/// The group that pages about outages; the others would take most of the time.
const GROUP: &str = "acr-verifier.outage";

/// Returns the rules of the group.
fn group() -> String {
    let rules = rules();
    let mut groups = rules.split_inclusive("\n  - name: ");
    let head = groups.next().expect("the head");
    let group = groups.find(|group| group.starts_with(GROUP)).expect("the group");
    format!("{head}{}", group.trim_end_matches("  - name: "))
}

fn run(tests: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("rules.yaml");
    std::fs::write(&file, group()).expect("a file");
    let test = folder.path().join("transients.test.yaml");
    let text =
        format!("rule_files: ['{}']\nevaluation_interval: {EVALUATION}s\ntests:\n{tests}", file.display());
    std::fs::write(&test, text).expect("a file");
    super::promtool(&["test", "rules"], &[test]);
}

/// Expects the value of an expression, or no result. promtool does not print which test failed, so the expression has its name.
fn expect(text: &mut String, name: &str, expr: &str, second: usize, value: Option<usize>) {
    let samples = value.map_or_else(|| " []".to_owned(), |value| format!("\n          - {{value: {value}}}"));
    writeln!(
        text,
        "      - expr: \"{expr} # {name}\"\n        eval_time: {second}s\n        exp_samples:{samples}"
    )
    .expect("memory takes everything");
}

/// Expects that nothing pages from the start to the end.
fn expect_silence(text: &mut String, name: &str) {
    let pages = format!("count(last_over_time(ALERTS{{alertstate='firing'}}[{END}s]))");
    expect(text, name, &pages, END, None);
}

/// Expects that an alert pages in each evaluation between two moments.
fn expect_page(text: &mut String, name: &str, alert: &str, from: usize, until: usize) {
    let (first, last) = (from / EVALUATION * EVALUATION, until / EVALUATION * EVALUATION);
    for second in (first..=last).step_by(EVALUATION) {
        let page = format!("count(ALERTS{{alertstate='firing',alertname='{alert}'}})");
        expect(text, name, &page, second, Some(1));
    }
}

fn begin(text: &mut String, name: &str) {
    write!(text, "  - name: {name}\n    interval: 10s\n    input_series:\n")
        .expect("memory takes everything");
}

fn case(text: &mut String, case: &Case, nodes: usize, moment: usize) {
    let from = BEFORE + moment;
    let until = from + case.lasts;
    let fault = Fault { kind: case.kind, from, until, affects: case.affects };
    let name = format!("{} ({nodes} nodes, at {moment} s)", case.name);
    begin(text, &name);
    Fleet::of(nodes).write(text, &fault, END);
    text.push_str("    promql_expr_test:\n");
    match case.pages {
        None => expect_silence(text, &name),
        Some((alert, within)) => {
            expect(text, &name, "count(ALERTS{alertstate='firing'})", from, None);
            expect_page(text, &name, alert, from + within, until.min(END));
            if until < END {
                let over = format!("count(ALERTS{{alertstate='firing',alertname='{alert}'}})");
                expect(text, &name, &over, until + 300, None);
            }
        }
    }
}

#[test]
fn a_lasting_fault_pages_within_minutes_and_a_fault_of_seconds_never() {
    let share = |at: usize| CASES.iter().skip(at).step_by(4);
    std::thread::scope(|scope| {
        for at in 0..4 {
            scope.spawn(move || {
                for one in share(at) {
                    let mut text = String::new();
                    for &nodes in one.fleets {
                        for &moment in moments(nodes) {
                            case(&mut text, one, nodes, moment);
                        }
                    }
                    run(&text);
                }
            });
        }
    });
}

#[test]
fn a_rollout_and_joining_nodes_page_only_for_a_broken_path() {
    let mut text = String::new();
    let lasting = |from| Fault { kind: Kind::Path, from, until: LASTING, affects: ALL };
    // Two agents at a time are replaced, each of them gone for 20 s.
    let name = "a rollout of the agents of sixteen nodes that pass";
    begin(&mut text, name);
    Fleet::of(16).replaced_from(BEFORE).write(&mut text, &lasting(LASTING), END);
    text.push_str("    promql_expr_test:\n");
    expect_silence(&mut text, name);
    let name = "a rollout of the agents of sixteen nodes whose path is broken";
    begin(&mut text, name);
    Fleet::of(16).replaced_from(BEFORE + 300).write(&mut text, &lasting(BEFORE), END);
    text.push_str("    promql_expr_test:\n");
    expect_page(&mut text, name, UNREACHABLE, BEFORE + 240, END);
    for (name, failing, pages) in [
        ("twelve of thirty nodes join and fail their first check", 1, false),
        ("twelve of thirty nodes join and cannot reach the registry", usize::MAX, true),
    ] {
        begin(&mut text, name);
        Fleet::of(30).joining(12, BEFORE, failing).write(&mut text, &lasting(LASTING), END);
        text.push_str("    promql_expr_test:\n");
        if pages {
            expect_page(&mut text, name, UNREACHABLE, BEFORE + 240, END);
        } else {
            expect_silence(&mut text, name);
        }
    }
    run(&text);
}
