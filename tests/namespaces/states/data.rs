//! The login server's record is correct, that of the data endpoint is not, and vice versa.

use super::{State, state};
use lab::answers::{Canned, Delivery, FirewallWording, Step};
use support::namespaces::names::{data_record, login_record};
use support::namespaces::network::{DATA, FOREIGN_LOGIN, LOGIN};

const DATA_HOST: &str = "contoso.westeurope.data.azurecr.io";
const RANGE: [&str; 2] = ["--expect-cidr", "10.60.4.0/24"];

/// The correct record of the login server, and this one of the data endpoint.
fn data_at(address: &str) -> Vec<String> {
    vec![login_record(LOGIN), data_record(address.parse().expect("an address"))]
}

/// Two private endpoints share one zone: the second one, of another registry, has overwritten the record of the first.
fn overwritten(name: &'static str) -> State {
    state(name)
        .names(|names| names.records = vec![login_record(FOREIGN_LOGIN), data_record(DATA)])
        .arguments(&RANGE)
}

pub(crate) fn states() -> Vec<State> {
    let mut states = records();
    states.extend(another_registry());
    states
}

fn records() -> Vec<State> {
    vec![
        state("data record missing, and the zone falls back to the Internet")
            .names(|names| {
                names.falls_back = true;
                names.records = vec![login_record(LOGIN)];
            })
            .expects(&["fail data address private_zone_not_linked"])
            .naming(&[DATA_HOST, "40.89.120.3"]),
        state("both records exist, and the zone falls back to the Internet")
            .names(|names| names.falls_back = true),
        state("private and public data record")
            .names(|names| names.records.push(data_record("40.89.120.3".parse().expect("an address"))))
            .expects(&["fail data address mixed_addresses"])
            .by_chance("clients use the first address, in random order")
            .naming(&[DATA_HOST, "10.60.4.5", "40.89.120.3"]),
        state("data record of another host")
            .pulls_fail("dial tcp 10.60.9.9:443: connect: no route to host")
            .names(|names| names.records = data_at("10.60.9.9"))
            .arguments(&RANGE)
            .expects(&["fail data address unexpected_address"])
            .naming(&[DATA_HOST, "10.60.9.9", "10.60.4.0/24"]),
        state("data record of Azure's platform address")
            .pulls_fail("dial tcp 168.63.129.16:443: connect: connection refused")
            .names(|names| names.records = data_at("168.63.129.16"))
            .expects(&["fail data address reserved_address"])
            .naming(&[DATA_HOST, "168.63.129.16"]),
        // A registry whose public endpoint has both families, with a copied record.
        state("public IPv6 record next to the private one")
            .names(|names| names.records.push("contoso 10 IN AAAA 2603:1030:408::4".to_owned()))
            .expects(&["fail login address mixed_addresses"])
            .naming(&["10.60.4.4", "2603:1030:408::4"])
            .differs("this node has no IPv6; a node with IPv6 uses the public path"),
        state("public IPv6 data record next to the private one")
            .names(|names| {
                names.records.push("contoso.westeurope.data 10 IN AAAA 2603:1030:408::5".to_owned());
            })
            .expects(&["fail data address mixed_addresses"])
            .naming(&["10.60.4.5", "2603:1030:408::5"])
            .differs("this node has no IPv6; a node with IPv6 uses the public path"),
    ]
}

/// The address is in the expected range, so only the responses reveal the fault. Azure's response is only known from the field
/// (Azure/acr issue 533, mspnp/aks-baseline-multi-region issue 46), so both are tested.
fn another_registry() -> Vec<State> {
    vec![
        overwritten("record of another registry's endpoint, which denies access")
            .foreign(|settings| {
                for step in Step::ALL {
                    settings.answer(step, Canned::Firewall(FirewallWording::CorrelationId));
                }
            })
            .expects(&["fail login challenge access_denied"]),
        overwritten("record of another registry's endpoint, which closes the connection")
            .pulls_fail("EOF")
            .foreign(|settings| {
                for step in Step::ALL {
                    settings.deliver(step, Delivery::CloseAfterRequest);
                }
            })
            .expects(&["fail login challenge connection_reset"]),
        // It requests the password for its own name, and clients send it there.
        overwritten("record of another registry's endpoint, which responds under its own name")
            .each_says([
                "oauth token: unexpected status: 401 Unauthorized",
                "oauth token: unexpected status from GET",
                "invalid username/password",
            ])
            .names(|names| names.records.push(format!("fabrikam 10 IN A {FOREIGN_LOGIN}")))
            .expects(&["fail login challenge untrusted_realm"])
            .naming(&["fabrikam.azurecr.io"]),
        // It responds under the requested name, but knows neither the password nor the image.
        overwritten("record of another registry's endpoint, which does not know the password")
            .foreign(|settings| {
                for step in [Step::Challenge, Step::Manifest] {
                    settings.answer(step, challenge_of_contoso());
                }
                settings.answer(Step::Token, Canned::Unauthorized);
            })
            .expects(&["fail login token credentials_rejected"]),
    ]
}

fn challenge_of_contoso() -> Canned {
    let challenge = "Bearer realm=\"https://contoso.azurecr.io/oauth2/token\",service=\"contoso.azurecr.io\",\
                     scope=\"repository:apps/canary:pull\"";
    let headers = [("Docker-Distribution-Api-Version", "registry/2.0"), ("WWW-Authenticate", challenge)];
    Canned::Raw {
        status: 401,
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        body: br#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":null}]}"#
            .to_vec(),
    }
}
