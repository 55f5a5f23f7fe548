//! Recordings of real responses, read in place and never copied.
//!
//! Finds and reads `../shared/recordings`, and reports if they are missing: they are not part of the repository. `fidelity.rs`
//! compares them.

use std::io::Write as _;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

/// One exchange of a recording.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Exchange {
    pub request_uri: String,
    pub status_code: u16,
    pub response_headers: Headers,
    pub response_body: Value,
}

/// Headers in file order; a repeated header is a list there.
pub(crate) struct Headers(pub Vec<(String, String)>);

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Headers;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an object of headers")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Headers, A::Error> {
                let mut headers = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    let values = value.as_array().cloned().unwrap_or_else(|| vec![value]);
                    let texts = values.iter().filter_map(Value::as_str);
                    headers.extend(texts.map(|value| (name.clone(), value.to_owned())));
                }
                Ok(Headers(headers))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

/// The text of the recording with this file name prefix, or `None` without recordings.
pub(crate) fn recording(start: &str) -> Option<String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/recordings");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        // Bypasses the test harness's capture: an invisible skip looks like a pass.
        writeln!(std::io::stderr(), "\nSKIPPED recordings: none next to this checkout").ok();
        return None;
    };
    let path = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(start)))
        .unwrap_or_else(|| panic!("recording {start} is missing among the others"));
    Some(std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// The exchanges of a full recording.
pub(crate) fn exchanges(start: &str) -> Option<Vec<Exchange>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Recording {
        entries: Vec<Exchange>,
    }
    let recording: Recording = serde_json::from_str(&recording(start)?).expect("a recording is JSON");
    Some(recording.entries)
}
