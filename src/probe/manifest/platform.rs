//! Which of an image's platforms a node runs, as containerd decides it.
//!
//! The rules are those of containerd's `platforms.Only` (`compare.go`, `database.go`): names are normalised, a variant counts,
//! and a node also runs what is older than it. Pure.

use oci_client::manifest::ImageIndexEntry;

use crate::secret::hear;

/// What a node runs: Go's names, as in an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// `linux`.
    pub os: &'static str,
    /// `amd64`, `arm64`.
    pub architecture: &'static str,
}

impl Platform {
    /// Linux on an architecture in Rust's name for it.
    #[must_use]
    pub fn linux(rust_architecture: &'static str) -> Self {
        let architecture = match rust_architecture {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Self { os: "linux", architecture }
    }

    /// How well something fits that is for a platform: 0 is best; none where this node does not run it.
    pub(in crate::probe) fn rank(&self, found: &PlatformName) -> Option<usize> {
        let runs: &[(&str, &str)] = match self.architecture {
            "amd64" => &[("amd64", ""), ("386", "")],
            "arm64" => &[("arm64", ""), ("arm", "v8"), ("arm", "v7"), ("arm", "v6"), ("arm", "v5")],
            other => &[(other, "")],
        };
        let fits = |(architecture, variant): &(&str, &str)| {
            found.architecture == *architecture && found.variant == *variant
        };
        (found.os == self.os).then(|| runs.iter().position(fits)).flatten()
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.os, self.architecture)
    }
}

/// What an image is for, with the names by which containerd compares. Nothing in it is fit to be shown yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::probe) struct PlatformName {
    os: String,
    architecture: String,
    variant: String,
}

impl PlatformName {
    /// Brings the names that stand in an index or a configuration into the usual ones.
    pub(in crate::probe) fn new(os: &str, architecture: &str, variant: &str) -> Self {
        let [os, architecture, variant] = [os, architecture, variant].map(str::to_ascii_lowercase);
        let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
            ("i386", _) => ("386", ""),
            ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
            ("x86_64" | "x86-64", variant) => ("amd64", variant),
            ("aarch64" | "arm64", "8" | "v8") => ("arm64", ""),
            ("aarch64", variant) => ("arm64", variant),
            ("armhf", _) | ("arm", "" | "7") => ("arm", "v7"),
            ("armel", _) | ("arm", "6") => ("arm", "v6"),
            ("arm", "5") => ("arm", "v5"),
            ("arm", "8") => ("arm", "v8"),
            usual => usual,
        };
        Self { os, architecture: architecture.to_owned(), variant: variant.to_owned() }
    }

    /// The platform of an entry of an index, where it names one.
    pub(in crate::probe) fn of(entry: &ImageIndexEntry) -> Option<Self> {
        let found = entry.platform.as_ref()?;
        let variant = found.variant.as_deref().unwrap_or_default();
        Some(Self::new(&found.os.to_string(), &found.architecture.to_string(), variant))
    }

    /// `os/architecture`, and the variant where there is one, as it may be heard.
    pub(in crate::probe) fn heard(&self) -> String {
        let Self { os, architecture, variant } = self;
        let slash = if variant.is_empty() { "" } else { "/" };
        hear(&format!("{os}/{architecture}{slash}{variant}"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Platform, PlatformName};

    fn rank(node: &'static str, os: &str, architecture: &str, variant: &str) -> Option<usize> {
        Platform::linux(node).rank(&PlatformName::new(os, architecture, variant))
    }

    #[test]
    fn a_node_runs_what_containerd_runs_on_it() {
        for (node, architecture, variant, expected) in [
            ("x86_64", "amd64", "", Some(0)),
            ("x86_64", "amd64", "v1", Some(0)),
            ("x86_64", "x86_64", "", Some(0)),
            ("x86_64", "AMD64", "", Some(0)),
            ("x86_64", "386", "", Some(1)),
            ("x86_64", "i386", "sse2", Some(1)),
            ("x86_64", "amd64", "v2", None),
            ("x86_64", "amd64", "v3", None),
            ("x86_64", "arm64", "", None),
            ("aarch64", "arm64", "", Some(0)),
            ("aarch64", "arm64", "v8", Some(0)),
            ("aarch64", "aarch64", "8", Some(0)),
            ("aarch64", "arm64", "v9", None),
            ("aarch64", "arm", "v8", Some(1)),
            ("aarch64", "arm", "", Some(2)),
            ("aarch64", "armhf", "", Some(2)),
            ("aarch64", "arm", "6", Some(3)),
            ("aarch64", "arm", "v5", Some(4)),
            ("riscv64", "riscv64", "", Some(0)),
            ("riscv64", "amd64", "", None),
        ] {
            assert_eq!(
                rank(node, "linux", architecture, variant),
                expected,
                "{node}: {architecture} {variant}"
            );
        }
        assert_eq!(rank("x86_64", "windows", "amd64", ""), None);
    }

    #[test]
    fn a_platform_is_told_with_its_variant() {
        assert_eq!(PlatformName::new("linux", "amd64", "v3").heard(), "linux/amd64/v3");
        assert_eq!(PlatformName::new("linux", "arm64", "v8").heard(), "linux/arm64");
    }
}
