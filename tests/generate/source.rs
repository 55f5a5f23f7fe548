//! Generated parts of sources that are otherwise written by hand: the causes in the schema of reports.

use acr_verifier::cause::Cause;
use acr_verifier::report::json::JSON_SCHEMA;

use crate::File;

/// Lists every cause in the schema of reports.
pub(crate) fn schema() -> File {
    const BEGIN: &str = "    \"cause\": {\n      \"enum\": [\n";
    const END: &str = "\n      ]\n";
    let (head, list) = JSON_SCHEMA.split_once(BEGIN).expect("a list of causes");
    let (_, tail) = list.split_once(END).expect("an end of the list");
    let codes = Cause::ALL.map(|cause| format!("        \"{cause}\"")).join(",\n");
    File::new("src/report/report.v1.schema.json", [head, BEGIN, &codes, END, tail].concat())
}
