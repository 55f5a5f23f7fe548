//! Selects the nodes of the chosen pools and zones, which only one metric has as labels.

/// The series with pool and zone of each chosen node.
pub(super) const INFO: &str =
    r#"acr_verifier_node_info{cluster=~"$cluster",node=~"$node",pool=~"$pool",zone=~"$zone"}"#;
const METRIC: &str = "acr_verifier_node_info";

/// What the selectors of series of a node contain.
const OF_NODES: &str = r#"node=~"$node""#;
/// Functions of a range, which a join has to follow.
const OF_RANGES: [&str; 2] = ["rate(", "increase("];

/// Returns the query for the nodes of the chosen pools and zones. A query that selects them itself remains, and one that lists nodes
/// without an agent, whose pool nothing knows.
pub(super) fn chosen(query: &str) -> String {
    if query.contains(METRIC) || query.contains("kube_node_info") {
        return query.to_owned();
    }
    let mut text = String::new();
    let mut rest = query;
    while let Some(found) = rest.find(OF_NODES) {
        let (start, end) = series(rest, found);
        let (before, one, after) = (&rest[..start], &rest[start..end], &rest[end..]);
        let joined = if before.ends_with('(') && after.starts_with(')') {
            format!("{one} and on (cluster, node) {INFO}")
        } else {
            format!("({one} and on (cluster, node) {INFO})")
        };
        text.push_str(before);
        text.push_str(&joined);
        rest = after;
    }
    text + rest
}

/// Returns start and end of the series whose selector contains this position, with the function of its range.
fn series(query: &str, position: usize) -> (usize, usize) {
    let open = query[..position].rfind('{').expect("a selector");
    let is_of_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let start = query[..open].trim_end_matches(is_of_name).len();
    let end = position + query[position..].find('}').expect("the end of the selector") + 1;
    match OF_RANGES.iter().find(|function| query[..start].ends_with(*function)) {
        None => (start, end),
        Some(function) => (start - function.len(), end + closing(&query[end..])),
    }
}

/// Returns the end of the parentheses that are open at the start of a text.
fn closing(text: &str) -> usize {
    let mut depth = 1;
    for (at, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    panic!("{text}: parentheses are not closed")
}
