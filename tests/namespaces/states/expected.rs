//! The expected report.

use serde_json::Value;

use lab::Lab;

/// The expectation of a state; the default is a pass.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    /// Every diagnosis as `severity endpoint stage cause`.
    pub(crate) reported: Vec<&'static str>,
    /// The evidence in the first message.
    pub(crate) evidence: Vec<&'static str>,
    /// Values in the image's part, by JSON pointer.
    pub(crate) values: Vec<(&'static str, &'static str)>,
    /// The data endpoint that serves layers, if not the usual one.
    pub(crate) blob_host: Option<&'static str>,
    /// Whether packets take the public path, which is normally forbidden.
    pub(crate) leaves: bool,
}

impl Expected {
    /// The deviations from the expectation; an agent has no exit code.
    pub(crate) fn problems(&self, report: &Value, exit_code: Option<i32>, lab: &Lab) -> Vec<String> {
        let image = &report["images"][0];
        let mut problems = Vec::new();
        let mut compare = |what: &str, expected: &str, found: &str| {
            if expected != found {
                problems.push(format!("{what}: expected {expected}, found {found}"));
            }
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let diagnoses = image["diagnoses"].as_array().cloned().unwrap_or_default();
        let reported: Vec<String> = diagnoses
            .iter()
            .map(|it| ["severity", "endpoint", "stage", "cause"].map(|key| text(&it[key])).join(" "))
            .collect();
        compare("diagnoses", &self.reported.join(", "), &reported.join(", "));
        let severity = self.reported.first().and_then(|line| line.split(' ').next());
        compare("verdict", severity.unwrap_or("pass"), &text(&report["verdict"]));
        let code = match severity {
            Some("fail") => 1,
            Some("unknown") => 3,
            Some(_) | None => 0,
        };
        if let Some(found) = exit_code {
            compare("exit code", &code.to_string(), &found.to_string());
        }
        compare("node", "aks-np1-0", &text(&report["node"]));
        for (pointer, value) in &self.values {
            let found = image
                .pointer(pointer)
                .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            compare(pointer, value, &found.unwrap_or_default());
        }
        // In any case, a working pull used the private path and read the right bytes.
        if matches!(severity, None | Some("warn")) || self.blob_host.is_some() {
            compare("connection", "10.60.4.4:443", &text(&image["connection"]["address"]));
            let host = self.blob_host.unwrap_or("contoso.westeurope.data.azurecr.io");
            compare("blob host", host, &text(&image["blob"]["host"]));
            let digest = text(&image["manifest"]["digest"]);
            if !lab.has_manifest(&digest) {
                problems.push(format!("the registry has no manifest {digest:?}"));
            }
        }
        let message = diagnoses.first().map(|first| text(&first["message"])).unwrap_or_default();
        for evidence in self.evidence.iter().filter(|evidence| !message.contains(**evidence)) {
            problems.push(format!("the message does not contain {evidence}: {message}"));
        }
        problems
    }
}
