//! The runbook as it is shipped: the catalogue of causes, the section about public access, and one for each alert of the rule
//! file.
//!
//! Owns the layout of the alerts. The texts about causes are in `src/cause`, those about alerts in `guides`.

mod exposure;
mod guides;
mod plain;

use std::fmt::Write as _;

use acr_verifier::report::catalogue;

pub use guides::{GUIDES, Guide};
use plain::plain;

use crate::alerts::{Rule, alerts};

const COMMENT: &str = "\
<!-- Generated from src/cause, src/public_endpoint, src/report/runbook.md, tests/generate/runbook and dashboards/alerts:
     change the text there, then run `cargo run --package generate`. -->

";

/// Returns a block of commands that need no shell on a node, and one of those that do.
fn blocks(commands: &[&str]) -> String {
    let (remote, local): (Vec<&str>, Vec<&str>) =
        commands.iter().partition(|command| catalogue::runs_anywhere(command));
    let local = block(&local);
    let separator =
        if local.is_empty() { "" } else { "\nOr in [a shell on the node](#a-shell-on-a-node):\n" };
    format!("{}{separator}{local}", block(&remote))
}

fn block(commands: &[&str]) -> String {
    if commands.is_empty() { String::new() } else { format!("\n```sh\n{}\n```\n", commands.join("\n")) }
}

/// Returns the whole text.
pub fn text() -> String {
    let mut catalogue = Vec::new();
    catalogue::write_markdown(&mut catalogue).expect("memory takes everything");
    let mut text = COMMENT.to_owned() + std::str::from_utf8(&catalogue).expect("UTF-8");
    exposure::write(&mut text);
    text.push_str("\n# Alerts\n\nOne section for each alert of dashboards/alerts/acr-verifier.rules.yaml.\n");
    for (name, rule) in alerts() {
        let guide = GUIDES.iter().find(|guide| guide.alert == name);
        section(&mut text, guide.unwrap_or_else(|| panic!("{name} has no guide")), rule);
    }
    text
}

fn section(text: &mut String, guide: &Guide, rule: Rule) {
    let (annotations, wait) = (rule.annotations.expect("annotations"), rule.wait.expect("a wait"));
    let severity = rule.labels.expect("labels").severity;
    let Guide { alert, meaning, first, confirm, fix, commands, verify } = guide;
    let commands: Vec<String> = commands.iter().map(|&command| command.to_owned()).collect();
    write!(
        text,
        "\n## {alert}\n\n- Severity: {severity}, after {wait}\n\n**Meaning.** {} {meaning}\n\n**Symptoms.** `{}`\n\n\
         **Confirm.** {first}\n{}\n**Fix.** {fix}\n{}\n**Verify.** {verify} The alert resolves when this query has no \
         result:\n\n```promql\n{}\n```\n",
        plain(&annotations.summary),
        plain(&annotations.description_with(" N of N nodes have checked in the last five minutes.")),
        blocks(confirm),
        catalogue::steps(&commands),
        rule.expr
    )
    .expect("a string takes everything");
}
