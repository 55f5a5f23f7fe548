//! Parsers of the names and addresses of a private endpoint.
//!
//! Owns what an expected address may be, and the error about addresses that no image uses. The command line, the configuration
//! file and the Azure CLI's JSON share them.

use std::net::IpAddr;

use ipnet::IpNet;

use super::value::{Refusal, host, of_side};
use crate::address::{ExpectedAddresses, is_reserved};
use crate::image::ImageReference;
use crate::text::words::some_of;

/// What is expected where an address of a private endpoint belongs.
const ENDPOINT_ADDRESS: &str = "an IP address of the private endpoint, such as 10.60.4.5";

/// A name of a private endpoint, in lower case; a final dot is accepted and dropped.
///
/// # Errors
/// The text is not a valid host name.
pub fn endpoint_name(text: &str) -> Result<String, Refusal> {
    let name = text.strip_suffix('.').unwrap_or(text);
    let refusal =
        || Refusal::new(text, "a host name such as contoso.azurecr.io or contoso.westeurope.data.azurecr.io");
    host(name).map_err(|_| refusal())
}

/// An address of a private endpoint. An IPv4-mapped IPv6 address becomes its IPv4 address. Loopback is left to the caller: a
/// registry on the same machine has such an address, a private endpoint never.
///
/// # Errors
/// The text is not an address, is a range, or is reserved.
pub fn endpoint_address(text: &str) -> Result<IpAddr, Refusal> {
    if let Ok(address) = text.parse::<IpAddr>() {
        let address = address.to_canonical();
        if is_reserved(address) && !address.is_loopback() {
            return Err(reserved_endpoint(text));
        }
        return Ok(address);
    }
    let refusal = Refusal::new(text, ENDPOINT_ADDRESS);
    Err(if text.parse::<IpNet>().is_ok() {
        refusal.because("it is a range, not an address")
    } else {
        refusal
    })
}

/// An address of a private endpoint in the network: as [`endpoint_address`], without loopback.
///
/// # Errors
/// As for [`endpoint_address`], and the address is loopback.
pub fn remote_endpoint_address(text: &str) -> Result<IpAddr, Refusal> {
    endpoint_address(text)
        .and_then(|address| if address.is_loopback() { Err(reserved_endpoint(text)) } else { Ok(address) })
}

/// The error about an address that no private endpoint can have.
#[must_use]
pub fn reserved_endpoint(text: &str) -> Refusal {
    Refusal::new(text, ENDPOINT_ADDRESS).because("it is reserved: no private endpoint can have it")
}

/// An expected address, written `FQDN=ADDRESS`.
///
/// # Errors
/// There is no `=`, or one of its sides is invalid.
pub fn expected_address(text: &str) -> Result<(String, IpAddr), Refusal> {
    let Some((name, address)) = text.split_once('=') else {
        return Err(Refusal::new(text, "FQDN=ADDRESS, such as contoso.azurecr.io=10.60.4.5"));
    };
    Ok((
        endpoint_name(name).map_err(|refusal| of_side(refusal, "name", name))?,
        endpoint_address(address).map_err(|refusal| of_side(refusal, "address", address))?,
    ))
}

/// The error about expected addresses of which an image uses none, if there are any: they would change nothing.
///
/// `data_endpoints` are the configured ones of the image.
///
/// # Errors
/// No name is the login server's or one of its data endpoints'.
pub fn check_names_of(
    image: &ImageReference,
    data_endpoints: &[String],
    expected: &ExpectedAddresses,
) -> Result<(), Refusal> {
    /// Names that are shown.
    const SHOWN: usize = 3;
    let is_own = |name: &str| {
        name == image.host()
            || image.data_region(name).is_some()
            || data_endpoints.iter().any(|host| host == name)
            || (!image.is_acr() && name.strip_suffix(image.host()).is_some_and(|rest| rest.ends_with('.')))
    };
    if expected.is_empty() || expected.names().any(is_own) {
        return Ok(());
    }
    let names: Vec<&str> = expected.names().collect();
    let verb = if names.len() == 1 { "is not a name" } else { "are no names" };
    let found = format!("{} {verb} of the registry {}", some_of(&names, SHOWN), image.host());
    let data = image.acr_suffix().map(|suffix| format!(" or {}.REGION.data.{suffix}", image.first_label()));
    Err(Refusal::unquoted(found, format!("an address of {}{}", image.host(), data.unwrap_or_default())))
}

#[cfg(test)]
mod tests {
    use super::{check_names_of, endpoint_address, endpoint_name, expected_address, remote_endpoint_address};
    use crate::address::ExpectedAddresses;
    use crate::image::ImageReference;
    use proptest::prelude::*;

    #[test]
    fn names_lose_their_final_dot_and_addresses_their_ipv6_prefix() {
        for text in ["Contoso.AzureCR.io", "contoso.azurecr.io.", "contoso.azurecr.io"] {
            assert_eq!(endpoint_name(text).as_deref(), Ok("contoso.azurecr.io"), "{text}");
        }
        let address = endpoint_address("::ffff:10.60.4.5").expect("a mapped address");
        assert_eq!(address.to_string(), "10.60.4.5");
        assert!(endpoint_address("127.0.0.2").is_ok(), "the caller decides");
        assert!(endpoint_address("20.45.122.144").is_ok(), "a VNet may use public space");
    }

    #[test]
    fn what_no_endpoint_can_have_is_rejected_with_the_reason() {
        let wanted = "expected an IP address of the private endpoint, such as 10.60.4.5";
        for (text, reason) in [
            ("10.60.4.0/24", "it is a range, not an address; "),
            ("10.60.4.5/32", "it is a range, not an address; "),
            ("169.254.169.254", "it is reserved: no private endpoint can have it; "),
            ("168.63.129.16", "it is reserved: no private endpoint can have it; "),
            ("::ffff:127.0.0.1", "it is reserved: no private endpoint can have it; "),
            ("0.0.0.0", "it is reserved: no private endpoint can have it; "),
            ("10.60.4", ""),
            ("", ""),
            ("contoso.azurecr.io", ""),
        ] {
            let message = remote_endpoint_address(text).expect_err(text).about("k");
            assert_eq!(message, format!("invalid value \"{text}\" for k: {reason}{wanted}"));
        }
        for (text, part) in [
            ("contoso.azurecr.io", "expected FQDN=ADDRESS, such as contoso.azurecr.io=10.60.4.5"),
            ("=10.60.4.5", "invalid name \"\"; expected a host name such as contoso.azurecr.io"),
            ("10.60.4.5=contoso.azurecr.io", "invalid name \"10.60.4.5\"; expected a host name"),
            ("contoso.azurecr.io=10.60.4.0/24", "it is a range, not an address; expected"),
            ("contoso.azurecr.io=x", "invalid address \"x\"; expected an IP address"),
            ("https://contoso.azurecr.io=10.60.4.5", "invalid name"),
        ] {
            let message = expected_address(text).expect_err(text).about("k");
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn expected_addresses_without_a_name_of_the_registry_are_rejected() {
        let check = |image: &str, data: &[&str], names: &[&str]| {
            let image: ImageReference = image.parse().expect("an image");
            let data: Vec<String> = data.iter().map(|host| (*host).to_owned()).collect();
            let mut expected = ExpectedAddresses::default();
            for name in names {
                expected.add(name, "10.60.4.5".parse().expect("an address")).expect("room for it");
            }
            check_names_of(&image, &data, &expected).map_err(|refusal| refusal.about("k"))
        };
        let acr = "contoso.azurecr.io/app:1";
        assert_eq!(check(acr, &[], &[]), Ok(()));
        assert_eq!(check(acr, &[], &["other.azurecr.io", "contoso.westeurope.data.azurecr.io"]), Ok(()));
        assert_eq!(check(acr, &["blobs.contoso.com"], &["blobs.contoso.com"]), Ok(()));
        assert_eq!(check("registry.example/app", &[], &["blobs.registry.example"]), Ok(()));
        assert_eq!(
            check(acr, &[], &["other.azurecr.io", "contoso.privatelink.azurecr.io"]),
            Err("invalid value for k: contoso.privatelink.azurecr.io and other.azurecr.io are no names of the registry \
                 contoso.azurecr.io; expected an address of contoso.azurecr.io or contoso.REGION.data.azurecr.io"
                .to_owned())
        );
        assert_eq!(
            check("registry.example/app", &[], &["other.example"]),
            Err("invalid value for k: other.example is not a name of the registry registry.example; expected an address \
                 of registry.example"
                .to_owned())
        );
    }

    proptest! {
        #[test]
        fn no_text_causes_a_panic(text in any::<String>()) {
            let _ = (endpoint_name(&text), remote_endpoint_address(&text), expected_address(&text));
        }
    }
}
