//! Documents, and whether containerd accepts them: each was compared once with its code (`core/images` and Go's types of the
//! OCI image specification, containerd 2.4).

use serde::Deserialize;
use serde_json::Value;

use super::{ParsedManifest, Platform, is_layer, read_configuration, read_manifest, select_platform};
use super::{digest_of, media_type_of, parse::ImageManifest};

const DOCUMENTS: &str = include_str!("tests/documents.json");
const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A document, and why it is rejected; absent if it is accepted.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Case {
    of: String,
    name: String,
    media_type: Option<String>,
    /// The document, if JSON can express it as a value.
    document: Option<Value>,
    /// Verbatim.
    text: Option<String>,
    /// The start of the reason.
    refused: Option<String>,
}

impl Case {
    fn body(&self) -> String {
        let document = self.document.as_ref().map(Value::to_string);
        document.or_else(|| self.text.clone()).unwrap_or_else(|| "null".to_owned())
    }

    fn read(&self) -> Result<(), String> {
        let body = self.body();
        let media_type = |usual: &'static str| self.media_type.clone().unwrap_or_else(|| usual.to_owned());
        match self.of.as_str() {
            "image" => read_manifest(&media_type(IMAGE), body.as_bytes()).map(drop),
            "index" => index(&media_type(INDEX), &body),
            "configuration" => {
                let image = ImageManifest { layers: 1, ..ImageManifest::default() };
                read_configuration(&image, body.as_bytes()).map(drop)
            }
            other => panic!("{other}"),
        }
    }
}

/// Reads an index as an amd64 node does.
fn index(media_type: &str, body: &str) -> Result<(), String> {
    let ParsedManifest::Index(index) = read_manifest(media_type, body.as_bytes())? else {
        panic!("no index")
    };
    let entry = select_platform(&index, &Platform::linux("x86_64"))
        .map_err(|_| "no platform for this node".to_owned())?;
    entry.check()
}

#[test]
fn documents_are_accepted_and_rejected_as_by_containerd() {
    let cases: Vec<Case> = serde_json::from_str(DOCUMENTS).expect("cases");
    let wrong = cases.iter().filter_map(|case| {
        let read = case.read();
        let is_right = match (&read, &case.refused) {
            (Ok(()), None) => true,
            (Err(reason), Some(expected)) => reason.starts_with(expected.as_str()),
            (Ok(()), Some(_)) | (Err(_), None) => false,
        };
        (!is_right).then(|| format!("{} {}: {read:?}, expected {:?}", case.of, case.name, case.refused))
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn nesting_has_gos_limit_even_in_unknown_fields() {
    let config = format!(
        r#"{{"mediaType":"{}","digest":"{}","size":1}}"#,
        super::IMAGE_CONFIG_MEDIA_TYPE,
        digest_of(b"")
    );
    let nested = |depth: usize| {
        format!(r#"{{"config":{config},"text":"[[{{\"[","x":{}{}}}"#, "[".repeat(depth), "]".repeat(depth))
    };
    assert!(read_manifest(IMAGE, nested(9_999).as_bytes()).is_ok());
    assert_eq!(
        read_manifest(IMAGE, nested(10_000).as_bytes()).err().as_deref(),
        Some("it is nested deeper than 10000 levels")
    );
}

#[test]
fn invalid_utf8_is_only_replaced_in_strings() {
    let body = |at: &[u8]| [at, br#"{"manifests":[],"annotations":{"a":""#, b"\xff", br#""}}"#].concat();
    assert!(read_manifest(INDEX, &body(b"")).is_ok());
    assert!(read_manifest(INDEX, &body(b"\xff")).is_err());
}

#[test]
fn the_media_type_of_the_header_is_used_verbatim() {
    for (header, expected) in [
        (None, ""),
        (Some(IMAGE), IMAGE),
        (Some("application/vnd.oci.image.manifest.v1+json; charset=utf-8"), IMAGE),
        (
            Some("application/vnd.oci.image.manifest.v1+json ;charset=utf-8"),
            "application/vnd.oci.image.manifest.v1+json ",
        ),
        (Some("text/plain;x"), "text/plain"),
    ] {
        assert_eq!(media_type_of(header), expected);
    }
    let body = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
    assert!(read_manifest(INDEX, body).is_ok());
    for foreign in [
        "",
        "application/json",
        "text/plain",
        "Application/vnd.oci.image.index.v1+json",
        "application/octet-stream",
    ] {
        let reason = read_manifest(foreign, body).map(drop).expect_err("no manifest");
        assert!(reason.contains(if foreign.is_empty() { "(none)" } else { foreign }), "{reason}");
    }
}

#[test]
fn filesystem_layers_are_distinguished_from_other_layers() {
    for (media_type, expected) in [
        ("application/vnd.oci.image.layer.v1.tar+zstd", true),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", true),
        ("application/vnd.oci.image.layer.v1.tar+gzip+encrypted", true),
        ("application/vnd.docker.image.rootfs.diff.tar.gzip", true),
        ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", true),
        ("application/vnd.docker.image.rootfs.diff.tar.xz", false),
        ("application/vnd.dev.cosign.simplesigning.v1+json", false),
        ("application/vnd.in-toto+json", false),
        ("text/plain", false),
        ("", false),
    ] {
        assert_eq!(is_layer(media_type), expected, "{media_type}");
    }
}

#[test]
fn an_index_keeps_each_platform_once_up_to_the_limit() {
    let index = |count: usize| {
        let entry =
            |number: usize| format!(r#"{{"platform":{{"os":"linux","architecture":"a{}"}}}}"#, number / 2);
        let entries: Vec<String> = (0..count).map(entry).collect();
        format!(r#"{{"manifests":[{}]}}"#, entries.join(","))
    };
    let read = |count| read_manifest(INDEX, index(count).as_bytes());
    assert!(matches!(read(400), Ok(ParsedManifest::Index(index)) if index.entries.len() == 200));
    assert_eq!(read(600).err().as_deref(), Some("manifests[514] exceeds the number of known platforms"));
}
