//! Odd images: some that containerd accepts, some that it rejects, some that cannot run.
//!
//! Owns the repository `apps/odd`, with a tag for each. The tests define the expected results.

use std::sync::{Arc, LazyLock};

use serde_json::{Value, json};

use super::content::{
    DOCKER_CONFIG, OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Repository, digest_of, layer,
    running_architecture,
};

/// The name of the repository.
pub const ODD: &str = "apps/odd";
/// A platform that no test machine has.
const FOREIGN: (&str, &str) = ("linux", "s390x");
/// Larger than any real configuration: many labels or a long history need a few hundred KiB.
const LARGE: usize = 300 * 1024;
const HUGE: usize = 5 << 20;

/// The only layer of each, which can be unpacked.
static LAYER: LazyLock<Vec<u8>> = LazyLock::new(|| layer(1_000, "odd", "layer"));

/// Created once: some are large.
pub static REPOSITORY: LazyLock<Arc<Repository>> = LazyLock::new(|| {
    let mut odd = Repository::default();
    for (tag, arrange) in IMAGES {
        let mut parts = Parts::usual();
        arrange(&mut parts);
        let descriptor = parts.push(&mut odd);
        odd.tag(tag, &descriptor);
    }
    for (tag, arrange) in INDEXES {
        let entry = Parts::usual().push(&mut odd);
        let index = arrange(&mut odd, entry);
        let index = odd.add_manifest(OCI_INDEX, &index);
        odd.tag(tag, &index);
    }
    Arc::new(odd)
});

/// The parts of an image.
struct Parts {
    config_type: &'static str,
    config: Value,
    /// Replaces the configuration.
    config_text: Option<&'static str>,
    layer_type: &'static str,
    /// Additional or replaced fields of the manifest.
    manifest: Value,
    /// Rewrites the manifest as text.
    rename: Option<(&'static str, &'static str)>,
}

type Image = (&'static str, fn(&mut Parts));
type Index = (&'static str, fn(&mut Repository, Value) -> Value);

const IMAGES: &[Image] = &[
    ("usual", |_| {}),
    ("docker-config", |parts| parts.config_type = DOCKER_CONFIG),
    ("null-layers", |parts| {
        parts.manifest = json!({"layers": null});
        parts.config["rootfs"]["diff_ids"] = json!([]);
    }),
    ("no-layers", |parts| {
        parts.manifest = json!({"layers": []});
        parts.config["rootfs"]["diff_ids"] = Value::Null;
    }),
    ("null-annotation", |parts| parts.manifest = json!({"annotations": {"note": null}})),
    ("null-everything", |parts| {
        parts.manifest =
            json!({"schemaVersion": null, "mediaType": null, "annotations": null, "subject": null});
    }),
    ("capitals", |parts| parts.rename = Some(("layers", "LAYERS"))),
    ("large-config", |parts| parts.config["config"]["Labels"] = json!({"padding": "a".repeat(LARGE)})),
    ("large-config-without-layers", |parts| {
        parts.config["config"]["Labels"] = json!({"padding": "a".repeat(LARGE)});
        parts.config["rootfs"]["diff_ids"] = json!([]);
    }),
    ("huge-config", |parts| parts.config["config"]["Labels"] = json!({"padding": "a".repeat(HUGE)})),
    ("helm", |parts| {
        parts.config_type = "application/vnd.cncf.helm.config.v1+json";
        parts.config = json!({"apiVersion": "v2", "name": "canary", "version": "1.0.0"});
        parts.layer_type = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
    }),
    ("artifact", |parts| {
        parts.config_type = "application/vnd.oci.empty.v1+json";
        parts.config = json!({});
        parts.layer_type = "text/plain";
        parts.manifest = json!({"artifactType": "application/vnd.example.notes"});
    }),
    ("octet-stream-config", |parts| parts.config_type = "application/octet-stream"),
    ("manifests-too", |parts| parts.manifest = json!({"manifests": []})),
    ("index-by-its-body", |parts| parts.manifest = json!({"mediaType": OCI_INDEX})),
    ("schema-1-too", |parts| parts.manifest = json!({"fsLayers": []})),
    ("number-as-annotation", |parts| parts.manifest = json!({"annotations": {"note": 5}})),
    ("empty-layer", |parts| {
        parts.manifest = json!({"layers": [{"mediaType": OCI_LAYER, "digest": digest_of(b""), "size": 0}]});
    }),
    ("config-not-json", |parts| parts.config_text = Some("not a configuration")),
    ("config-of-wrong-types", |parts| parts.config["config"]["Cmd"] = json!("/canary")),
    ("fewer-diff-ids", |parts| parts.config["rootfs"]["diff_ids"] = json!([])),
    ("more-diff-ids", |parts| {
        parts.config["rootfs"]["diff_ids"] = json!([digest_of(b"1"), digest_of(b"2")]);
    }),
    // A cosign signature: no platform, and a layer that is not a filesystem layer.
    ("signature", |parts| {
        (parts.config["os"], parts.config["architecture"]) = (json!(""), json!(""));
        parts.layer_type = "application/vnd.dev.cosign.simplesigning.v1+json";
    }),
    ("foreign", |parts| parts.build_for(FOREIGN)),
    ("no-platform", |parts| parts.build_for(("", ""))),
    ("no-operating-system", |parts| parts.config["os"] = Value::Null),
];

const INDEXES: &[Index] = &[
    ("half-a-platform", |_, entry| {
        let mut half = entry.clone();
        half["platform"] = json!({"architecture": "unknown"});
        index(&[half, entry])
    }),
    ("no-named-platform", |_, mut entry| {
        entry["platform"].take();
        index(&[entry])
    }),
    ("no-named-platform-and-foreign", |odd, _| {
        let mut foreign = Parts::built_for(FOREIGN).push(odd);
        foreign["platform"].take();
        index(&[foreign])
    }),
    ("mislabelled", |odd, entry| {
        let mut foreign = Parts::built_for(FOREIGN).push(odd);
        foreign["platform"] = entry["platform"].clone();
        index(&[foreign])
    }),
    ("config-too", |_, entry| {
        let mut index = index(&[entry]);
        index["config"] = Value::Null;
        index
    }),
    ("wrong-size", |_, mut entry| {
        entry["size"] = json!(1);
        index(&[entry])
    }),
    ("entry-of-json", |_, mut entry| {
        entry["mediaType"] = json!("application/json");
        index(&[entry])
    }),
    ("features", |_, mut entry| {
        entry["platform"]["os.features"] = json!(["x"]);
        index(&[entry])
    }),
];

fn index(manifests: &[Value]) -> Value {
    json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests})
}

impl Parts {
    fn usual() -> Self {
        let config = json!({
            "architecture": running_architecture(), "os": "linux",
            "config": {"Cmd": ["/canary"]},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(&LAYER)]},
        });
        Self {
            config_type: OCI_CONFIG,
            config,
            config_text: None,
            layer_type: OCI_LAYER,
            manifest: json!({}),
            rename: None,
        }
    }

    fn built_for(platform: (&str, &str)) -> Self {
        let mut parts = Self::usual();
        parts.build_for(platform);
        parts
    }

    fn build_for(&mut self, (os, architecture): (&str, &str)) {
        (self.config["os"], self.config["architecture"]) = (json!(os), json!(architecture));
    }

    /// Adds all parts, and returns the descriptor for an index.
    fn push(self, odd: &mut Repository) -> Value {
        let config = self.config_text.map_or_else(|| self.config.to_string(), str::to_owned);
        let config = odd.add_blob(self.config_type, config.into_bytes());
        let layer = odd.add_blob(self.layer_type, LAYER.clone());
        let mut manifest =
            json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [layer]});
        for (name, value) in self.manifest.as_object().into_iter().flatten() {
            manifest[name] = value.clone();
        }
        if let Some((name, other)) = self.rename {
            let value = manifest.as_object_mut().and_then(|fields| fields.remove(name));
            manifest[other] = value.expect("a field of this name");
        }
        let mut descriptor = odd.add_manifest(OCI_MANIFEST, &manifest);
        descriptor["platform"] = json!({"architecture": running_architecture(), "os": "linux"});
        descriptor
    }
}
