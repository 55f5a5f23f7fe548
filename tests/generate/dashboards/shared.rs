//! Queries, words and links that both dashboards share.

use super::panel::{BLUE, GREEN, RED, YELLOW};

/// Seconds per day.
pub(super) const DAY: f64 = 86_400.0;

/// The word and colour of each verdict, by number.
pub(super) const VERDICTS: [(&str, &str); 4] =
    [("pass", GREEN), ("warn", YELLOW), ("unknown", BLUE), ("fail", RED)];

/// Link from a row with a cause to its runbook section.
pub(super) const RUNBOOK_LINK: &str =
    "https://github.com/acr-verifier/acr-verifier/blob/main/dashboards/runbook.md#${__data.fields.Cause}";

/// Link from a row with a node to its dashboard.
pub(super) const NODE_LINK: &str = "/d/acr-verifier-node?var-node=${__data.fields.Node}&${datasource:queryparam}&${cluster:queryparam}\
     &${registry:queryparam}&${image:queryparam}&${__url_time_range}";

pub(super) const REVISION_COLUMNS: [&str; 4] =
    ["version=Version", "revision=Revision", "cluster=Cluster", "Value=Agents"];

/// The verdict of each image on each node as a number, to be aggregated by `max`: 0 pass, 1 warn, 2 unknown, 3 fail.
/// Derived from the causes, since `check_success` is 1 with warnings and absent while the verdict is unknown.
pub(super) fn verdict(chosen: &str) -> String {
    format!(
        "acr_verifier_cause{{{chosen},severity=\"fail\"}} * 3 or acr_verifier_cause{{{chosen},severity=\"unknown\"}} * 2 \
         or acr_verifier_cause{{{chosen},severity=\"warn\"}} or acr_verifier_check_success{{{chosen}}} * 0"
    )
}

/// A quantile of a histogram by these labels, which include `le`.
pub(super) fn quantile(share: &str, by: &str, metric: &str, chosen: &str) -> String {
    format!(
        "histogram_quantile({share}, sum by ({by}) (rate({metric}_bucket{{{chosen}}}[$__rate_interval])))"
    )
}
