//! The texts of alerts for readers: a word in place of each expression of Prometheus's templates.

/// Returns a text as it usually reads: without the cluster, with the `else` of each condition, or else with what the condition adds.
pub(super) fn plain(template: &str) -> String {
    let mut rest = template;
    block(&mut rest).0
}

/// Reads until `else` or `end` of the block, and returns the text and whether `else` follows.
fn block(rest: &mut &str) -> (String, bool) {
    let mut text = String::new();
    while let Some((before, after)) = rest.split_once("{{ ") {
        let (action, after) = after.split_once(" }}").expect("the end of an action");
        text.push_str(before);
        *rest = after;
        match action.split(' ').next().unwrap_or_default() {
            "end" => return (text, false),
            "else" => return (text, true),
            kind @ ("if" | "with") => {
                let (then, has_else) = block(rest);
                if has_else {
                    text.push_str(&block(rest).0);
                } else if kind == "if" {
                    text.push_str(&then);
                }
            }
            _ => text.push_str(word(action)),
        }
    }
    text.push_str(rest);
    *rest = "";
    (text, false)
}

fn word(action: &str) -> &'static str {
    match action {
        "$labels.cluster" => "CLUSTER",
        "$labels.registry" => "REGISTRY.azurecr.io",
        "$labels.node" => "NODE",
        "$labels.namespace" => "NAMESPACE",
        "$labels.endpoint" => "ENDPOINT",
        "$labels.cause" => "CAUSE",
        "$labels.reason" => "REASON",
        "$value" | "$value | humanize" => "N",
        "$value | humanizePercentage" => "N %",
        "$value | humanizeDuration" => "TIME",
        "." => "",
        other => panic!("no word for {other}"),
    }
}
