//! The section `server`: where the agent listens, and who may trigger a check.

use super::optional;
use crate::config::section::{Field, Reader};
use crate::config::server::{self, ChecksOnDemand, ServerConfig};
use crate::config::value::{self, Refusal};

/// Reads the section.
pub(super) fn read(reader: &mut Reader, field: &Field<'_>) -> Option<ServerConfig> {
    let section = reader.section(field, &["address", "checksOnDemand", "keyFile"])?;
    let defaults = ServerConfig::default();
    let address =
        optional(&section, "address", defaults.address, |field| reader.text(field, server::listen_address));
    let mode = optional(&section, "checksOnDemand", "open", |field| {
        let found = reader.text(field, |text| {
            ["open", "key", "disabled"]
                .into_iter()
                .find(|word| *word == text)
                .ok_or_else(|| Refusal::new(text, "open, key or disabled"))
        })?;
        Some(found)
    });
    let key_file = optional(&section, "keyFile", None, |field| reader.text(field, value::path).map(Some));
    let (mode, key_file) = (mode?, key_file?);
    let checks_on_demand = match (mode, key_file) {
        ("key", Some(path)) => ChecksOnDemand::Key(path),
        ("key", None) => {
            let place = section.get("checksOnDemand").unwrap_or(field);
            reader.refuse_at(place.node.position, format!("{} key requires server.keyFile", place.key));
            return None;
        }
        (_, Some(_)) => {
            let place = section.get("keyFile").unwrap_or(field);
            reader
                .refuse_at(place.node.position, format!("{} requires server.checksOnDemand: key", place.key));
            return None;
        }
        ("disabled", None) => ChecksOnDemand::Disabled,
        (_, None) => ChecksOnDemand::Open,
    };
    Some(ServerConfig { address: address?, checks_on_demand })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::file::parse;
    use crate::config::server::{ChecksOnDemand, ListenAddress, ServerConfig};

    fn read(section: &str) -> Result<ServerConfig, String> {
        let text = format!("images: [{{image: contoso.azurecr.io/app:1}}]\nserver: {section}");
        parse(Path::new("c"), &text).map(|config| config.server).map_err(|errors| errors.to_string())
    }

    #[test]
    fn checks_on_demand_are_open_disabled_or_need_a_key() {
        let checks = |section| read(section).expect(section).checks_on_demand;
        assert_eq!(checks("{}"), ChecksOnDemand::Open);
        assert_eq!(checks("{checksOnDemand: open}"), ChecksOnDemand::Open);
        assert_eq!(checks("{checksOnDemand: disabled}"), ChecksOnDemand::Disabled);
        assert_eq!(
            checks("{checksOnDemand: key, keyFile: /run/key}"),
            ChecksOnDemand::Key("/run/key".into())
        );
        for (section, expected) in [
            (
                "{checksOnDemand: off}",
                "invalid value \"off\" for server.checksOnDemand: expected open, key or disabled",
            ),
            ("{checksOnDemand: false}", "expected open, key or disabled"),
            ("{checksOnDemand: [key]}", "expected open, key or disabled"),
            ("{checksOnDemand: key}", "server.checksOnDemand key requires server.keyFile"),
            ("{keyFile: /run/key}", "server.keyFile requires server.checksOnDemand: key"),
            ("{checksOnDemand: disabled, keyFile: /k}", "server.keyFile requires server.checksOnDemand: key"),
            ("{checksOnDemand: key, keyFile: ''}", "invalid value \"\" for server.keyFile"),
            ("{checksOnDemand: key, key: secret}", "unknown key"),
        ] {
            let message = read(section).expect_err(section);
            assert!(message.starts_with("c:2:") && message.contains(expected), "{section}: {message}");
        }
    }

    #[test]
    fn the_server_listens_on_an_address_or_on_those_of_the_node() {
        let address = |section| read(section).expect(section).address;
        assert_eq!(address("{}"), ServerConfig::default().address);
        assert_eq!(address("{address: 'node:9469'}"), ListenAddress::Node(9469));
        assert_eq!(address("{address: '[::]:80'}"), ListenAddress::At(([0_u16; 8], 80).into()));
        for value in
            ["node", "'node:'", "'node:x'", "'node:65536'", "'node:+1'", "'Node:9469'", "'host:9469'", "9469"]
        {
            let message = read(&format!("{{address: {value}}}")).expect_err(value);
            assert!(message.contains("expected an IP address with a port"), "{value}: {message}");
        }
    }
}
