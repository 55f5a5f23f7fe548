//! Generated parts of files that are otherwise written by hand: the causes in the schema of reports, the table of metrics.

use acr_verifier::cause::Cause;
use acr_verifier::metrics::write_reference;
use acr_verifier::report::json::JSON_SCHEMA;

use crate::File;

/// The document with the table of metrics.
const METRICS: &str = "README.md";

/// Lists every cause in the schema of reports.
pub(crate) fn schema() -> File {
    const BEGIN: &str = "    \"cause\": {\n      \"enum\": [\n";
    const END: &str = "\n      ]\n";
    let (head, list) = JSON_SCHEMA.split_once(BEGIN).expect("a list of causes");
    let (_, tail) = list.split_once(END).expect("an end of the list");
    let codes = Cause::ALL.map(|cause| format!("        \"{cause}\"")).join(",\n");
    File::new("src/report/report.v1.schema.json", [head, BEGIN, &codes, END, tail].concat())
}

/// Replaces the table of metrics and the paragraph below it, which both come from the declarations.
pub(crate) fn metrics() -> File {
    let mut reference = Vec::new();
    write_reference(&mut reference).expect("memory takes everything");
    let reference = String::from_utf8(reference).expect("text");
    let document = std::fs::read_to_string(std::path::Path::new(crate::ROOT).join(METRICS)).expect(METRICS);
    let first = |text: &str| text.split(' ').take(4).collect::<Vec<_>>().join(" ");
    let (table, paragraph) = reference.split_once("\n\n").expect("a table and a paragraph");
    let start = document.find(table.lines().next().unwrap_or_default()).expect("the head of the table");
    let below =
        document[start..].find(&format!("\n{}", first(paragraph))).expect("the paragraph below the table");
    let paragraph = start + below + 1;
    let end = paragraph + document[paragraph..].find('\n').expect("the end of a line") + 1;
    File::new(METRICS, [&document[..start], &reference, &document[end..]].concat())
}
