//! The names in commands, and texts from the network that must not reach a shell.

use super::{Names, PrivateName};
use crate::cause::Cause;
use crate::image::ImageReference;
use crate::observation::Endpoint;
use proptest::prelude::*;

fn image(text: &str) -> ImageReference {
    text.parse().expect("an image")
}

#[test]
fn zone_and_record_depend_on_endpoint_and_cloud() {
    for (reference, endpoint, host, zone, record) in [
        ("contoso.azurecr.io/app:1", Endpoint::Login, None, "privatelink.azurecr.io", "contoso"),
        (
            "contoso.azurecr.io/app:1",
            Endpoint::Data,
            Some("contoso.westeurope.data.azurecr.io"),
            "privatelink.azurecr.io",
            "contoso.westeurope.data",
        ),
        (
            "contoso-e7gg.azurecr.us/app:1",
            Endpoint::Data,
            None,
            "privatelink.azurecr.us",
            "contoso-e7gg.REGION.data",
        ),
        ("contoso.azurecr.cn/app:1", Endpoint::Login, None, "privatelink.azurecr.cn", "contoso"),
    ] {
        let names = Names::new(&image(reference), endpoint, host, None);
        let expected = PrivateName { zone: zone.to_owned(), record: record.to_owned() };
        assert_eq!(names.private, Some(expected), "{reference} {endpoint}");
    }
}

#[test]
fn a_data_host_of_another_registry_has_no_record_in_the_zone() {
    let names = Names::new(
        &image("contoso.azurecr.io/app:1"),
        Endpoint::Data,
        Some("other.westeurope.data.azurecr.io"),
        None,
    );
    assert_eq!(names.private, None);
}

#[test]
fn a_registry_other_than_acr_gets_no_azure_commands() {
    let names = Names::new(
        &image("registry.example:5000/app:1"),
        Endpoint::Login,
        None,
        Some(&"10.0.0.10:5353".parse().expect("an address")),
    );
    for cause in Cause::ALL {
        for command in cause.commands(&names) {
            assert!(!command.contains("az acr"), "{cause}: {command}");
            assert!(!command.contains("privatelink"), "{cause}: {command}");
        }
    }
    assert_eq!(names.dig("A"), "dig @10.0.0.10 -p 5353 registry.example A");
}

proptest! {
    #[test]
    fn a_hostile_host_never_reaches_a_shell(host in "[a-z.;$()`|&<> '\"\\\\\n:!*?~#{}-]{1,40}") {
        let reference = image("contoso.azurecr.io/app:1");
        let hostile = Names::new(&reference, Endpoint::Data, Some(&host), None);
        let unknown = Names::new(&reference, Endpoint::Data, None, None);
        let accepted = crate::image::is_host_name(host.as_str());
        prop_assert_eq!(hostile == unknown, !accepted);
    }
}

#[test]
fn shell_syntax_in_a_host_is_rejected() {
    let reference = image("contoso.azurecr.io/app:1");
    let unknown = Names::new(&reference, Endpoint::Data, None, None);
    for host in [
        "contoso.westeurope.data.azurecr.io;reboot",
        "$(reboot).data.azurecr.io",
        "`reboot`",
        "a b",
        "a\nreboot",
        "host:443;reboot",
        "-oProxyCommand=reboot",
        "",
    ] {
        assert_eq!(Names::new(&reference, Endpoint::Data, Some(host), None), unknown, "{host:?}");
    }
}
