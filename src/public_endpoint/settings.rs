//! What no request from outside can see: other clients, other paths, and the settings behind them.
//!
//! Owns the list, the command that shows the settings, and how each should read.

/// What a run does not test, one sentence each.
pub const NOT_VISIBLE: [&str; 4] = [
    "Clients at other addresses: the result is about the address that the registry saw at that time. A rule takes minutes to \
     apply.",
    "Trusted services of Azure, which pass the firewall unless the bypass is None, and tasks of the registry.",
    "Data endpoints: without a signed URL they answer 403 in every state of the registry, so the answer proves nothing.",
    "Other private endpoints, and what a client with a credential may do: anonymous pull, the admin user, export.",
];

/// A setting of the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// The key in the output of [`settings_command`].
    pub key: &'static str,
    /// The property of the registry's resource.
    pub property: &'static str,
    /// How it should read, to follow the key.
    pub expected: &'static str,
}

/// The settings that decide who else reaches the registry, in the order of the command's output.
pub const SETTINGS: [Setting; 9] = [
    Setting {
        key: "public",
        property: "publicNetworkAccess",
        expected: "Disabled; Enabled only with selected networks",
    },
    Setting { key: "default", property: "networkRuleSet.defaultAction", expected: "Deny" },
    Setting {
        key: "ipRules",
        property: "networkRuleSet.ipRules",
        expected: "empty, or only addresses that you know; not in effect while public is Disabled",
    },
    Setting {
        key: "bypass",
        property: "networkRuleBypassOptions",
        expected: "None, unless a trusted service needs the registry (AzureServices is the default)",
    },
    Setting { key: "anonymous", property: "anonymousPullEnabled", expected: "false" },
    Setting { key: "admin", property: "adminUserEnabled", expected: "false" },
    Setting {
        key: "dataEndpoint",
        property: "dataEndpointEnabled",
        expected: "true, so that layers stay on the private path",
    },
    Setting {
        key: "export",
        property: "policies.exportPolicy.status",
        expected: "disabled, unless images are imported into other registries",
    },
    Setting {
        key: "privateEndpoints",
        property: "privateEndpointConnections[].privateLinkServiceConnectionState.status",
        expected: "one Approved for each private endpoint that you know, and no other",
    },
];

/// Returns the command that shows all of them.
#[must_use]
pub fn settings_command(name: &str) -> String {
    let query: Vec<String> =
        SETTINGS.iter().map(|Setting { key, property, .. }| format!("{key}: {property}")).collect();
    format!("az acr show --name {name} --query \"{{{}}}\"", query.join(", "))
}
