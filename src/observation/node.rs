//! What the node's own files say, as far as it concerns a check.

use super::Endpoint;
use crate::proxy::Proxy;

/// Something of the node that was read, or was not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact<T> {
    /// It was read.
    Known(T),
    /// It was not; the phrase says why.
    Unknown(String),
}

impl<T> Fact<T> {
    /// The value as something else.
    #[must_use]
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Fact<U> {
        match self {
            Self::Known(value) => Fact::Known(change(value)),
            Self::Unknown(why) => Fact::Unknown(why),
        }
    }

    /// The value, where it is known.
    #[must_use]
    pub const fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown(_) => None,
        }
    }
}

/// Whose certificate authorities vouch for a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TrustedBy {
    /// The node's, which containerd has.
    Node,
    /// Those that this program's image brings.
    Bundled,
    /// Those of the machine that this runs on.
    System,
    /// Only the operator's added file.
    CaFile,
}

impl TrustedBy {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Node, Self::Bundled, Self::System, Self::CaFile];

    /// The contract's word for it.
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
    /// Which endpoint.
    pub endpoint: Endpoint,
    /// Its name, which `NO_PROXY` does not except.
    pub host: String,
    /// The proxy.
    pub proxy: Proxy,
}
