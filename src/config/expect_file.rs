//! The addresses of a private endpoint, from the JSON that the Azure CLI prints.
//!
//! Owns the accepted shapes, recognized by their keys, and the errors for other JSON: what it is, if known, and which command
//! prints the right one. The CLI's own shape and that of Azure Resource Manager, with members below `properties`, are accepted.

use serde_json::{Map, Value};

use super::endpoint::{endpoint_address, endpoint_name};
use super::value::Refusal;
use crate::address::{ExpectedAddresses, MAX_ADDRESSES, MAX_NAMES};
use crate::text::encoding::decode;
use crate::text::quote::quote_value;

/// Largest file, in bytes: a private endpoint of a hundred regions takes a tenth of that.
pub const MAX_BYTES: u64 = 1 << 20;
/// What is expected, and the command that works whether or not a DNS zone group manages the records.
pub const EXPECTED: &str = "the JSON of `az network private-endpoint show --query customDnsConfigs` or of `az network nic \
                            show`: az network nic show --output json --ids \"$(az network private-endpoint show \
                            --resource-group RESOURCE_GROUP --name PRIVATE_ENDPOINT --query 'networkInterfaces[0].id' \
                            --output tsv)\"";

type Object = Map<String, Value>;

/// Parses the file. A byte order mark and the line breaks of Windows are accepted, and UTF-16 with a byte order mark, which
/// Windows PowerShell writes.
///
/// # Errors
/// The text is not JSON, is other JSON, has an invalid name or address, or too many of them. The reason has no file name.
pub fn parse(bytes: &[u8]) -> Result<ExpectedAddresses, Refusal> {
    addresses(bytes).map_err(|reason| Refusal::unquoted(reason, EXPECTED))
}

fn addresses(bytes: &[u8]) -> Result<ExpectedAddresses, String> {
    let text = decode(bytes).ok_or("the file is not UTF-8")?;
    if text.trim().is_empty() {
        return Err("the file is empty, as after a failed command".to_owned());
    }
    let tree: Value = serde_json::from_str(&text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        if error.is_eof() {
            format!("the JSON is incomplete: it ends at line {line}, column {column}")
        } else {
            format!("not valid JSON at line {line}, column {column} (`--output json` is missing?)")
        }
    })?;
    let mut found = ExpectedAddresses::default();
    let Some(items) = tree.as_array() else {
        read(&tree, "", &mut found)?;
        return Ok(found);
    };
    if items.is_empty() {
        return Err(
            "it is an empty list: customDnsConfigs may be empty if a DNS zone group manages the records"
                .to_owned(),
        );
    }
    for (index, item) in items.iter().enumerate() {
        read(item, &format!("[{index}]"), &mut found)?;
    }
    Ok(found)
}

/// Adds the addresses of one entry of customDnsConfigs, one private endpoint or one network interface.
fn read(item: &Value, at: &str, found: &mut ExpectedAddresses) -> Result<(), String> {
    let Value::Object(object) = item else {
        return Err(format!("{} is {}", described(at), kind(item)));
    };
    if object.contains_key("fqdn") && object.contains_key("ipAddresses") && !object.contains_key("recordType")
    {
        return read_entry(object, at, found);
    }
    if let Some(configurations) = member(object, "customDnsConfigs") {
        return read_endpoint(configurations, &join(at, "customDnsConfigs"), found);
    }
    if let Some(other) = other(object) {
        return Err(format!("{} is {other}", described(at)));
    }
    if let Some(configurations) = member(object, "ipConfigurations") {
        return read_interface(configurations, &join(at, "ipConfigurations"), found);
    }
    Err(format!("{} is neither a private endpoint nor a network interface", described(at)))
}

/// Reads an entry of customDnsConfigs.
fn read_entry(entry: &Object, at: &str, found: &mut ExpectedAddresses) -> Result<(), String> {
    let name_at = join(at, "fqdn");
    let name = text(entry.get("fqdn"), &name_at)?;
    let at = join(at, "ipAddresses");
    let addresses = items(entry.get("ipAddresses"), &at)?;
    for (index, address) in addresses.iter().enumerate() {
        add(found, (name, &name_at), (text(Some(address), &format!("{at}[{index}]"))?, &at))?;
    }
    Ok(())
}

/// Reads the customDnsConfigs of a whole private endpoint.
fn read_endpoint(entries: &Value, at: &str, found: &mut ExpectedAddresses) -> Result<(), String> {
    let is_empty = entries.is_null() || entries.as_array().is_some_and(Vec::is_empty);
    if is_empty {
        return Err(format!("{at} is empty, which is possible if a DNS zone group manages the records"));
    }
    for (index, entry) in items(Some(entries), at)?.iter().enumerate() {
        let at = format!("{at}[{index}]");
        let Value::Object(entry) = entry else { return Err(format!("{at} is {}", kind(entry))) };
        read_entry(entry, &at, found)?;
    }
    Ok(())
}

/// Reads the IP configurations of a network interface: one for each name of the private endpoint.
fn read_interface(configurations: &Value, at: &str, found: &mut ExpectedAddresses) -> Result<(), String> {
    let mut is_of_endpoint = false;
    for (index, configuration) in items(Some(configurations), at)?.iter().enumerate() {
        let at = format!("{at}[{index}]");
        let Value::Object(configuration) = configuration else {
            return Err(format!("{at} is {}", kind(configuration)));
        };
        let Some(Value::Object(link)) = member(configuration, "privateLinkConnectionProperties") else {
            continue;
        };
        is_of_endpoint = true;
        // Older versions of the Azure CLI spell it with a small p.
        let address =
            ["privateIPAddress", "privateIpAddress"].into_iter().find_map(|key| member(configuration, key));
        let address = text(address, &join(&at, "privateIPAddress"))?;
        let names_at = join(&join(&at, "privateLinkConnectionProperties"), "fqdns");
        for (index, name) in items(link.get("fqdns"), &names_at)?.iter().enumerate() {
            add(found, (text(Some(name), &format!("{names_at}[{index}]"))?, &names_at), (address, &at))?;
        }
    }
    if is_of_endpoint {
        return Ok(());
    }
    Err("it is a network interface, but not that of a private endpoint".to_owned())
}

/// Adds an address to a name; each comes with its path.
fn add(
    found: &mut ExpectedAddresses,
    (name, name_at): (&str, &str),
    (address, address_at): (&str, &str),
) -> Result<(), String> {
    let name = endpoint_name(name)
        .map_err(|_| format!("{name_at}: {} is not a valid host name", quote_value(name)))?;
    let address = endpoint_address(address).map_err(|_| {
        format!("{address_at}: {} is not an address of a private endpoint", quote_value(address))
    })?;
    found.add(&name, address).map_err(|_| {
        format!("found too many: expected at most {MAX_NAMES} names with {MAX_ADDRESSES} addresses each")
    })
}

/// What an object is that has no addresses of a private endpoint, by its keys.
fn other(object: &Object) -> Option<&'static str> {
    let has = |key: &str| member(object, key).is_some();
    let is_record_set = ["aRecords", "aaaaRecords", "cnameRecord", "soaRecord"].into_iter().any(has);
    if is_record_set {
        Some(
            "a record set of a DNS zone: the check compares the records with the private endpoint, not with themselves",
        )
    } else if has("privateDnsZoneConfigs") || has("recordSets") || has("recordType") {
        Some("a DNS zone group: it has the records of the zone, not the addresses of the private endpoint")
    } else if has("privateLinkServiceConnectionState") {
        Some("a private endpoint connection of the registry, which has no addresses")
    } else if has("loginServer") {
        Some("a registry (`az acr show` or `az acr show-endpoints`), which has names but no addresses")
    } else if has("networkInterfaces") {
        Some("a private endpoint without customDnsConfigs")
    } else {
        None
    }
}

/// Returns a member, also below `properties`; a null there counts as present.
fn member<'tree>(object: &'tree Object, key: &str) -> Option<&'tree Value> {
    object.get(key).or_else(|| object.get("properties")?.as_object()?.get(key))
}

fn text<'tree>(value: Option<&'tree Value>, at: &str) -> Result<&'tree str, String> {
    match value {
        Some(Value::String(text)) => Ok(text),
        Some(other) => Err(format!("{at} is {}, not a string", kind(other))),
        None => Err(format!("{at} is missing")),
    }
}

/// Returns the items of a list that must not be empty.
fn items<'tree>(value: Option<&'tree Value>, at: &str) -> Result<&'tree [Value], String> {
    match value {
        Some(Value::Array(items)) if items.is_empty() => Err(format!("{at} is empty")),
        Some(Value::Array(items)) => Ok(items),
        Some(other) => Err(format!("{at} is {}, not a list", kind(other))),
        None => Err(format!("{at} is missing")),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn join(at: &str, key: &str) -> String {
    if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") }
}

fn described(at: &str) -> &str {
    if at.is_empty() { "it" } else { at }
}

#[cfg(test)]
mod tests;
