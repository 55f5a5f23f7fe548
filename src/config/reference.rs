//! The keys of the configuration file, as the documents list them.
//!
//! Owns names, defaults and meanings. `file` owns what a value may be: the reference takes that from its errors. The tests
//! compare the list with the keys that `file` accepts, and each default with the one that applies.

/// A key of the configuration file.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The path of keys, with `[]` for the items of a list: `images[].credentials.path`.
    pub path: &'static str,
    /// The value that applies if the key is absent, as YAML; absent if there is none.
    pub default: Option<&'static str>,
    /// The commands that use it.
    pub user: User,
    /// One sentence or more.
    pub meaning: &'static str,
}

/// The commands that use a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum User {
    /// `check` and `agent`.
    Both,
    /// Only `agent`; `check` ignores it.
    Agent,
}

impl User {
    /// Returns the name used in the reference.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Both => "`check`, `agent`",
            Self::Agent => "`agent`",
        }
    }
}

/// Returns a configuration file with an image, and with this value for a key.
#[must_use]
pub fn with_value(path: &str, value: &str) -> String {
    let image = "image: contoso.azurecr.io/apps/canary:1";
    let inner = |path: &str| {
        let keys = path.split('.');
        format!("{}: {value}{}", keys.clone().collect::<Vec<_>>().join(": {"), "}".repeat(keys.count() - 1))
    };
    match path.strip_prefix("images[].") {
        Some("image") => format!("images: [{{image: {value}}}]"),
        Some("credentials.expiresAt") => {
            format!("images: [{{{image}, credentials: {{path: /a, expiresAt: {value}}}}}]")
        }
        Some(path) => format!("images: [{{{image}, {}}}]", inner(path)),
        None if path == "images" => format!("images: {value}"),
        None => format!("images: [{{{image}}}]\n{}", inner(path)),
    }
}

const fn key(path: &'static str, default: Option<&'static str>, user: User, meaning: &'static str) -> Key {
    Key { path, default, user, meaning }
}

/// Every key, in the order of the file.
pub const KEYS: [Key; 28] = [
    key("images", None, User::Both, "The images to check, in this order. Required."),
    key(
        "images[].image",
        None,
        User::Both,
        "The image reference, with its registry. Without a tag it is `latest`; a digest overrides the tag. Required.",
    ),
    key(
        "images[].name",
        None,
        User::Both,
        "A name for the image, unique in the file. Its metrics then have the label `image`.",
    ),
    key(
        "images[].credentials.path",
        None,
        User::Both,
        "Credentials in files, in the forms of `--credentials`. Without `credentials`, docker's usual paths are tried.",
    ),
    key(
        "images[].credentials.expiresAt",
        None,
        User::Both,
        "When the credentials in `path` expire: a warning two weeks before.",
    ),
    key(
        "images[].credentials.managedIdentity",
        None,
        User::Both,
        "Pulls with the node's managed identity, as the kubelet does: `{}` if the node has one.",
    ),
    key(
        "images[].credentials.managedIdentity.clientId",
        None,
        User::Both,
        "The client ID of the identity, if the node has several.",
    ),
    key(
        "images[].credentials.workloadIdentity",
        None,
        User::Both,
        "Pulls with the Pod's workload identity: `{}`.",
    ),
    key(
        "images[].privateEndpoint.cidrs",
        None,
        User::Both,
        "Expected ranges. Without `privateEndpoint`, any private address is accepted.",
    ),
    key(
        "images[].privateEndpoint.addresses",
        None,
        User::Both,
        "Exact addresses of each name; such a name ignores the ranges.",
    ),
    key(
        "images[].dataEndpoints",
        Some("[]"),
        User::Both,
        "Data endpoints that are checked in DNS in addition to the one of the redirect.",
    ),
    key(
        "resolvers.system",
        Some("/etc/resolv.conf"),
        User::Both,
        "The file with the node's nameservers, in the format of `resolv.conf`. With `nodeFiles` the default is the node's.",
    ),
    key(
        "resolvers.compare",
        None,
        User::Both,
        "Other resolvers by name: a warning if their answers differ, or if one does not answer. `{}` compares nothing; without the \
         key, only AKS LocalDNS is compared, with the servers that it forwards to.",
    ),
    key("tls.caFile", None, User::Both, "Certificates in PEM that are trusted in addition, at most 4 MiB."),
    key(
        "nodeFiles.root",
        None,
        User::Both,
        "The folder where the node's files are mounted read-only: nameservers, authorities, proxy and mirrors are read there.",
    ),
    key(
        "schedule.interval",
        Some("60s"),
        User::Agent,
        "Time between two checks; `fleetSize` can stretch it.",
    ),
    key(
        "schedule.jitter",
        Some("0.2"),
        User::Agent,
        "Fraction of the interval by which it varies, up or down.",
    ),
    key("schedule.timeout", Some("60s"), User::Both, "Overall timeout for an image."),
    key("schedule.stageTimeout", Some("10s"), User::Both, "Timeout of a stage, at most `timeout`."),
    key(
        "schedule.confirmAfter",
        Some("2"),
        User::Agent,
        "Failed checks in a row after which a failure is announced by an Event.",
    ),
    key(
        "schedule.fleetSize",
        None,
        User::Agent,
        "The largest number of nodes: the interval is stretched so that they stay within the budget.",
    ),
    key(
        "schedule.budgetPerMinute",
        None,
        User::Agent,
        "Requests a minute of the fleet to one registry; 4000 if only `fleetSize` is set.",
    ),
    key(
        "schedule.pathInterval",
        Some("60s"),
        User::Agent,
        "Time between two path checks, which send no request; without effect unless the interval in force is longer.",
    ),
    key(
        "metrics.stageHistograms",
        Some("true"),
        User::Agent,
        "Histograms of the stages' durations. `false` reduces a healthy registry from 169 series to at most 40; a list sets the \
         buckets.",
    ),
    key(
        "server.address",
        Some("0.0.0.0:9469"),
        User::Agent,
        "Where the agent serves HTTP. With `node:PORT` it is the addresses in `NODE_IPS` and loopback. A change takes effect after a \
         restart.",
    ),
    key("server.checksOnDemand", Some("open"), User::Agent, "Who triggers checks with `POST /check`."),
    key(
        "server.keyFile",
        None,
        User::Agent,
        "The file with the key for checks on demand; required with `checksOnDemand: key`, an error otherwise.",
    ),
    key("events.enabled", Some("true"), User::Agent, "Whether the agent publishes Events."),
];

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;

    use super::{KEYS, Key, with_value};
    use crate::config::file::parse;

    /// The keys of each section: those of the list, and those that the parser expects instead of an unknown one.
    #[test]
    fn the_list_has_every_key_that_the_parser_accepts() {
        let mut sections: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for Key { path, .. } in KEYS {
            let mut rest = path;
            while let Some((section, name)) = rest.rsplit_once('.') {
                sections.entry(section).or_default().insert(name);
                rest = section.trim_end_matches("[]");
            }
            sections.entry("").or_default().insert(path.split(['.', '[']).next().expect("a name"));
        }
        for (section, names) in sections {
            let unknown = if section.is_empty() {
                "zzzzzzzzzzzz".to_owned()
            } else {
                format!("{section}.zzzzzzzzzzzz")
            };
            let errors = parse(Path::new("c"), &with_value(&unknown, "1")).expect_err(section).lines();
            let error = errors.iter().find(|line| line.contains("unknown key")).expect("an error");
            let expected = error.rsplit("expected ").next().expect("a list").trim_start_matches("one of ");
            let expected: BTreeSet<&str> = expected.split(", ").filter(|name| *name != "no keys").collect();
            assert_eq!(names, expected, "keys of {section:?}: left: the list, right: the parser");
        }
    }

    #[test]
    fn defaults_apply_if_a_key_is_absent() {
        let config = |text: &str| {
            let config = parse(Path::new("c"), text).unwrap_or_else(|errors| panic!("{text}: {errors}"));
            crate::config::Config { digest: None, ..config }
        };
        let minimal = config("images: [{image: contoso.azurecr.io/apps/canary:1}]");
        for key in KEYS {
            if let Some(default) = key.default {
                assert_eq!(config(&with_value(key.path, default)), minimal, "{}", key.path);
            }
        }
    }
}
