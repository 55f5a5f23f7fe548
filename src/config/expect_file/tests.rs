//! The shapes that the Azure CLI and Azure Resource Manager print, and other JSON with the error about it.

use super::{MAX_ADDRESSES, MAX_NAMES, parse};

/// `az network private-endpoint show --query customDnsConfigs`.
const DNS_CONFIGS: &str = r#"[
  {"fqdn": "contoso.azurecr.io", "ipAddresses": ["10.60.4.5"]},
  {"fqdn": "contoso.westeurope.data.azurecr.io", "ipAddresses": ["10.60.4.4"]}
]"#;

/// The same addresses as the network interface has them, in the Azure CLI's shape.
const INTERFACE: &str = r#"{
  "id": "/subscriptions/0/resourceGroups/r/providers/Microsoft.Network/networkInterfaces/n",
  "ipConfigurations": [
    {"name": "data", "primary": true, "privateIPAddress": "10.60.4.4", "privateLinkConnectionProperties":
      {"fqdns": ["contoso.westeurope.data.azurecr.io"], "groupId": "registry", "requiredMemberName": "registry_data_westeurope"}},
    {"name": "login", "primary": false, "privateIPAddress": "10.60.4.5", "privateLinkConnectionProperties":
      {"fqdns": ["contoso.azurecr.io"], "groupId": "registry", "requiredMemberName": "registry"}}
  ],
  "networkSecurityGroup": null, "type": "Microsoft.Network/networkInterfaces"
}"#;

/// The same in the shape of Azure Resource Manager.
const ARM_INTERFACE: &str = r#"{
  "id": "n", "properties": {"ipConfigurations": [
    {"name": "data", "properties": {"privateIPAddress": "10.60.4.4", "privateLinkConnectionProperties":
      {"fqdns": ["contoso.westeurope.data.azurecr.io"], "requiredMemberName": "registry_data_westeurope"}}},
    {"name": "login", "properties": {"privateIPAddress": "10.60.4.5", "privateLinkConnectionProperties":
      {"fqdns": ["contoso.azurecr.io"], "requiredMemberName": "registry"}}}
  ]}
}"#;

/// Returns the addresses as `NAME=ADDRESS,…`, or the reason why the text is rejected.
fn read(bytes: &[u8]) -> Result<Vec<String>, String> {
    let found = parse(bytes).map_err(|refusal| refusal.about("f"))?;
    let line = |(name, addresses): (&str, &[std::net::IpAddr])| {
        let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        format!("{name}={}", addresses.join(","))
    };
    Ok(found.iter().map(line).collect())
}

fn utf16(text: &str, mark: u16, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    std::iter::once(mark).chain(text.encode_utf16()).flat_map(bytes).collect()
}

#[test]
fn every_shape_of_a_private_endpoint_has_the_same_addresses() {
    let expected = ["contoso.azurecr.io=10.60.4.5", "contoso.westeurope.data.azurecr.io=10.60.4.4"];
    let endpoint = format!(
        r#"{{"customDnsConfigs": {DNS_CONFIGS}, "ipConfigurations": [], "networkInterfaces": [{{"id": "n"}}]}}"#
    );
    let shapes = [
        DNS_CONFIGS.to_owned(),
        INTERFACE.to_owned(),
        ARM_INTERFACE.to_owned(),
        format!("[{INTERFACE}]"),
        format!("[{ARM_INTERFACE}, {INTERFACE}]"),
        INTERFACE.replace("privateIPAddress", "privateIpAddress"),
        format!(r#"{{"properties": {endpoint}}}"#),
        endpoint,
        // A name in capitals with its final dot, and an IPv4-mapped address.
        DNS_CONFIGS
            .replace("contoso.azurecr.io", "Contoso.azurecr.io.")
            .replace("10.60.4.5", "::ffff:10.60.4.5"),
    ];
    for shape in &shapes {
        assert_eq!(read(shape.as_bytes()).as_deref(), Ok(&expected.map(str::to_owned)[..]), "{shape}");
    }
    let windows = DNS_CONFIGS.replace('\n', "\r\n");
    let marked = [
        [b"\xef\xbb\xbf", windows.as_bytes()].concat(),
        utf16(&windows, 0xfeff, u16::to_le_bytes),
        utf16(&windows, 0xfeff, u16::to_be_bytes),
    ];
    for bytes in &marked {
        assert_eq!(read(bytes).as_deref(), Ok(&expected.map(str::to_owned)[..]), "{bytes:?}");
    }
}

#[test]
fn several_endpoints_add_their_addresses() {
    let two = format!("[{INTERFACE}, {}]", INTERFACE.replace("10.60.4.", "10.61.4."));
    assert_eq!(
        read(two.as_bytes()).expect("two network interfaces"),
        ["contoso.azurecr.io=10.60.4.5,10.61.4.5", "contoso.westeurope.data.azurecr.io=10.60.4.4,10.61.4.4"]
    );
}

#[test]
fn other_json_is_rejected_with_what_it_is_and_the_right_command() {
    let rows: [(&str, &str); 34] = [
        ("", "the file is empty, as after a failed command"),
        (" \r\n", "the file is empty"),
        ("\u{feff}", "the file is empty"),
        ("[", "the JSON is incomplete: it ends at line 1, column 1"),
        (&DNS_CONFIGS[..90], "the JSON is incomplete: it ends at line 3"),
        ("Fqdn  IpAddresses\n", "not valid JSON at line 1, column 1 (`--output json` is missing?)"),
        ("[] []", "not valid JSON at line 1, column 4"),
        ("[]", "it is an empty list: customDnsConfigs may be empty if a DNS zone group manages the records"),
        ("null", "it is null"),
        ("\"10.60.4.5\"", "it is a string"),
        ("[[]]", "[0] is a list"),
        ("{}", "it is neither a private endpoint nor a network interface"),
        (r#"{"customDnsConfigs": []}"#, "customDnsConfigs is empty, which is possible if a DNS zone group"),
        (r#"{"customDnsConfigs": null}"#, "customDnsConfigs is empty"),
        (r#"{"properties": {"customDnsConfigs": {}}}"#, "customDnsConfigs is an object, not a list"),
        (r#"[{"fqdn": null, "ipAddresses": []}]"#, "[0].fqdn is null, not a string"),
        (r#"[{"fqdn": "a.io", "ipAddresses": null}]"#, "[0].ipAddresses is null, not a list"),
        (r#"[{"fqdn": "a.io", "ipAddresses": []}]"#, "[0].ipAddresses is empty"),
        (r#"[{"fqdn": "a.io", "ipAddresses": [4]}]"#, "[0].ipAddresses[0] is a number, not a string"),
        (
            r#"[{"fqdn": "https://a.io", "ipAddresses": ["10.0.0.1"]}]"#,
            "[0].fqdn: \"https://a.io\" is not a valid host name",
        ),
        (
            r#"[{"fqdn": "a.io", "ipAddresses": ["10.0.0.0/8"]}]"#,
            "[0].ipAddresses: \"10.0.0.0/8\" is not an address of a private endpoint",
        ),
        (
            r#"[{"fqdn": "a.io", "ipAddresses": ["169.254.1.1"]}]"#,
            "[0].ipAddresses: \"169.254.1.1\" is not an address of a private",
        ),
        (r#"{"ipConfigurations": null}"#, "ipConfigurations is null, not a list"),
        (r#"{"ipConfigurations": []}"#, "ipConfigurations is empty"),
        (
            r#"{"ipConfigurations": [{"privateIPAddress": "10.0.0.4", "privateLinkConnectionProperties": null}]}"#,
            "it is a network interface, but not that of a private endpoint",
        ),
        (
            r#"{"ipConfigurations": [{"privateIPAddress": null, "privateLinkConnectionProperties": {"fqdns": ["a.io"]}}]}"#,
            "ipConfigurations[0].privateIPAddress is null, not a string",
        ),
        (
            r#"{"ipConfigurations": [{"privateIPAddress": "10.0.0.4", "privateLinkConnectionProperties": {"fqdns": []}}]}"#,
            "ipConfigurations[0].privateLinkConnectionProperties.fqdns is empty",
        ),
        (r#"{"networkInterfaces": [{"id": "n"}]}"#, "it is a private endpoint without customDnsConfigs"),
        (
            r#"[{"name": "contoso", "aRecords": [{"ipv4Address": "10.60.4.5"}], "fqdn": "contoso.privatelink.azurecr.io."}]"#,
            "[0] is a record set of a DNS zone: the check compares the records with the private endpoint, not with",
        ),
        (r#"{"name": "contoso", "properties": {"aRecords": []}}"#, "it is a record set of a DNS zone"),
        (
            r#"[{"name": "default", "privateDnsZoneConfigs": [{"recordSets": []}]}]"#,
            "[0] is a DNS zone group: it has the records of the zone, not the addresses of the private endpoint",
        ),
        (
            r#"[{"recordType": "A", "recordSetName": "contoso", "fqdn": "contoso.privatelink.azurecr.io", "ipAddresses": ["10.60.4.5"]}]"#,
            "[0] is a DNS zone group",
        ),
        (
            r#"{"loginServer": "contoso.azurecr.io", "dataEndpoints": [{"region": "westeurope", "endpoint": "e"}]}"#,
            "it is a registry (`az acr show` or `az acr show-endpoints`), which has names but no addresses",
        ),
        (
            r#"[{"privateEndpoint": {"id": "e"}, "privateLinkServiceConnectionState": {"status": "Approved"}}]"#,
            "[0] is a private endpoint connection of the registry, which has no addresses",
        ),
    ];
    for (text, reason) in rows {
        let error = read(text.as_bytes()).expect_err(text);
        assert!(error.starts_with(&format!("invalid value for f: {reason}")), "{text}: {error}");
        assert!(
            error.contains("; expected the JSON of `az network private-endpoint show --query"),
            "{error}"
        );
        assert!(
            error.contains("az network nic show --output json --ids \"$(az network private-endpoint"),
            "{error}"
        );
    }
    for bytes in [&b"\xff\xfe\x00"[..], b"\xff\xfe\x00\xd8", b"\xc3\x28", b"\xef\xbb\xbf\xff"] {
        let error = read(bytes).expect_err("not text");
        assert!(error.contains("the file is not UTF-8"), "{error}");
    }
}

#[test]
fn names_addresses_and_nesting_are_bounded() {
    let entry = |name: usize, addresses: usize| {
        let addresses: Vec<String> = (0..addresses).map(|number| format!("\"10.0.{number}.4\"")).collect();
        format!(r#"{{"fqdn": "r{name}.azurecr.io", "ipAddresses": [{}]}}"#, addresses.join(","))
    };
    let all = |names: usize, addresses: usize| {
        let entries: Vec<String> = (0..names).map(|name| entry(name, addresses)).collect();
        read(format!("[{}]", entries.join(",")).as_bytes())
    };
    assert_eq!(all(MAX_NAMES, 1).map(|lines| lines.len()), Ok(MAX_NAMES));
    for found in [all(MAX_NAMES + 1, 1), all(1, MAX_ADDRESSES + 1)] {
        let error = found.expect_err("too many");
        assert!(
            error.contains("found too many: expected at most 256 names with 64 addresses each"),
            "{error}"
        );
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(read(deep.as_bytes()).expect_err("too deep").contains("not valid JSON"));
}

proptest::proptest! {
    #[test]
    fn no_change_to_valid_json_causes_a_panic(at in 0usize..900, cut in 0usize..40, put in "[\\[\\]{}\":,a0.]{0,8}") {
        for good in [DNS_CONFIGS, INTERFACE, ARM_INTERFACE] {
            let at = at.min(good.len());
            let text = format!("{}{put}{}", &good[..at], &good[(at + cut).min(good.len())..]);
            if let Err(error) = read(text.as_bytes()) {
                proptest::prop_assert!(!error.chars().any(char::is_control), "{error:?}");
            }
        }
    }
}
