//! Facts from the node's own files that affect a check.

use super::Endpoint;
use crate::proxy::Proxy;

/// A setting of the node that was read, or the reason why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact<T> {
    /// The value was read.
    Known(T),
    /// The value was not read; the phrase says why.
    Unknown(String),
}

impl<T> Fact<T> {
    /// Maps a known value.
    #[must_use]
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Fact<U> {
        match self {
            Self::Known(value) => Fact::Known(change(value)),
            Self::Unknown(why) => Fact::Unknown(why),
        }
    }

    /// Returns the value, if known.
    #[must_use]
    pub const fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown(_) => None,
        }
    }
}

/// The source of the certificate authority that a chain leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TrustedBy {
    /// The node's certificate authorities, which containerd uses.
    Node,
    /// The certificate authorities in this program's image.
    Bundled,
    /// The certificate authorities of the machine that this program runs on.
    System,
    /// Only the CA file added by the operator.
    CaFile,
}

impl TrustedBy {
    /// Every value.
    pub const ALL: [Self; 4] = [Self::Node, Self::Bundled, Self::System, Self::CaFile];

    /// Returns the name used in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Bundled => "bundled",
            Self::System => "system",
            Self::CaFile => "ca_file",
        }
    }
}

/// An endpoint that containerd on this node would reach through a proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxied {
    /// The endpoint concerned.
    pub endpoint: Endpoint,
    /// Its host name, which `NO_PROXY` does not cover.
    pub host: String,
    /// The proxy that containerd would use.
    pub proxy: Proxy,
}
