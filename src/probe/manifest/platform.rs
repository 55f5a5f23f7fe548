//! Decides as containerd does which platform of an image a node runs.
//!
//! The rules are those of containerd's `platforms.Only` (`compare.go`, `database.go`): names are normalized, the variant
//! matters, and a node also runs older variants. `oci-client` compares only system and architecture. Pure.

use crate::text::redact::bounded;

/// The platform of a node, in Go's names, as in an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// `linux`.
    pub os: &'static str,
    /// `amd64`, `arm64`.
    pub architecture: &'static str,
}

impl Platform {
    /// Linux on an architecture, given by Rust's name for it.
    #[must_use]
    pub fn linux(rust_architecture: &'static str) -> Self {
        let architecture = match rust_architecture {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Self { os: "linux", architecture }
    }

    /// Ranks a platform for this node: 0 is best; `None` if the node does not run it.
    pub(in crate::probe) fn rank(&self, found: &PlatformName) -> Option<usize> {
        let runs: &[(&str, &str)] = match self.architecture {
            "amd64" => &[("amd64", ""), ("386", "")],
            "arm64" => &[("arm64", ""), ("arm", "v8"), ("arm", "v7"), ("arm", "v6"), ("arm", "v5")],
            other => &[(other, "")],
        };
        let fits = |(architecture, variant): &(&str, &str)| {
            found.architecture == *architecture && found.variant == *variant
        };
        (found.os == self.os && !found.needs_features).then(|| runs.iter().position(fits)).flatten()
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.os, self.architecture)
    }
}

/// The platform of an image, in the names that containerd compares. Not sanitized for display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::probe) struct PlatformName {
    os: String,
    architecture: String,
    variant: String,
    /// Whether it requires features of the operating system; no Linux node has any.
    needs_features: bool,
    /// Whether the document names no operating system; containerd then assumes its own.
    is_os_assumed: bool,
}

impl PlatformName {
    /// Normalizes the names in an index or a configuration.
    pub(in crate::probe) fn new(os: &str, architecture: &str, variant: &str) -> Self {
        let [os, architecture, variant] = [os, architecture, variant].map(str::to_ascii_lowercase);
        let is_os_assumed = os.is_empty();
        let os = if is_os_assumed { "linux".to_owned() } else { os };
        let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
            ("i386", _) => ("386", ""),
            ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
            ("x86_64" | "x86-64", variant) => ("amd64", variant),
            ("aarch64" | "arm64", "8" | "v8" | "v8.0") => ("arm64", ""),
            ("aarch64" | "arm64", "9" | "9.0" | "v9.0") => ("arm64", "v9"),
            ("aarch64", variant) => ("arm64", variant),
            ("armhf", _) | ("arm", "" | "7") => ("arm", "v7"),
            ("armel", _) | ("arm", "6") => ("arm", "v6"),
            ("arm", "5") => ("arm", "v5"),
            ("arm", "8") => ("arm", "v8"),
            usual => usual,
        };
        let (architecture, variant) = (architecture.to_owned(), variant.to_owned());
        Self { os, architecture, variant, needs_features: false, is_os_assumed }
    }

    /// The same platform, with required features of the operating system.
    pub(in crate::probe) fn needing_features(self, needs_features: bool) -> Self {
        Self { needs_features, ..self }
    }

    /// The same platform without variant and features: this decides whether a program starts at all.
    pub(in crate::probe) fn plain(&self) -> Self {
        Self::new(&self.os, &self.architecture, "")
    }

    /// `os/architecture[/variant]`, bounded and sanitized; `no platform` if neither is named.
    pub(in crate::probe) fn display_name(&self) -> String {
        let Self { os, architecture, variant, needs_features, is_os_assumed } = self;
        let os = if *is_os_assumed { "" } else { os };
        let features = if *needs_features { " with os.features" } else { "" };
        let or_none = |name: &str| if name.is_empty() { "(none)".to_owned() } else { name.to_owned() };
        if os.is_empty() && architecture.is_empty() {
            return "no platform".to_owned();
        }
        let slash = if variant.is_empty() { "" } else { "/" };
        bounded(&format!("{}/{}{slash}{variant}{features}", or_none(os), or_none(architecture)))
    }
}

#[cfg(test)]
mod tests {
    use super::{Platform, PlatformName};

    fn rank(node: &'static str, os: &str, architecture: &str, variant: &str) -> Option<usize> {
        Platform::linux(node).rank(&PlatformName::new(os, architecture, variant))
    }

    #[test]
    fn platforms_are_matched_as_by_containerd() {
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
            ("x86_64", "", "", None),
            ("aarch64", "arm64", "", Some(0)),
            ("aarch64", "arm64", "v8", Some(0)),
            ("aarch64", "aarch64", "8", Some(0)),
            ("aarch64", "arm64", "v8.0", Some(0)),
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
        // Without an operating system, containerd's own is assumed.
        assert_eq!(rank("x86_64", "", "amd64", ""), Some(0));
        let needing = PlatformName::new("linux", "amd64", "").needing_features(true);
        assert_eq!(Platform::linux("x86_64").rank(&needing), None);
    }

    #[test]
    fn platforms_are_shown_with_their_variant() {
        assert_eq!(PlatformName::new("linux", "amd64", "v3").display_name(), "linux/amd64/v3");
        assert_eq!(PlatformName::new("linux", "arm64", "v8").display_name(), "linux/arm64");
        assert_eq!(PlatformName::new("", "", "").display_name(), "no platform");
        assert_eq!(PlatformName::new("", "amd64", "").display_name(), "(none)/amd64");
        assert_eq!(PlatformName::new("linux", "", "").display_name(), "linux/(none)");
    }
}
