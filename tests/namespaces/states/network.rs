//! DNS is correct, but the network path is not: filters, routes, resets.

use super::{State, state};

pub(crate) fn states() -> Vec<State> {
    vec![
        state("443 dropped")
            .silent()
            .arriving("ip daddr 10.60.4.4 tcp dport 443 drop")
            .impatient()
            .expects(&["fail login connect connect_timeout"])
            .naming(&["10.60.4.4:443", "contoso.azurecr.io"]),
        state("443 rejected with a reset")
            .arriving("ip daddr 10.60.4.4 tcp dport 443 reject with tcp reset")
            .expects(&["fail login connect connect_refused"])
            .naming(&["10.60.4.4:443"]),
        state("443 rejected as administratively prohibited")
            .arriving("ip daddr 10.60.4.4 tcp dport 443 reject with icmp admin-prohibited")
            .expects(&["fail login connect network_unreachable"])
            .naming(&["10.60.4.4:443"]),
        state("no route")
            .route("unreachable 10.60.4.4/32")
            .expects(&["fail login connect network_unreachable"])
            .naming(&["10.60.4.4:443"]),
        state("blackhole route")
            .pulls_fail("connect: invalid argument")
            .route("blackhole 10.60.4.4/32")
            .expects(&["fail login connect network_unreachable"]),
        state("prohibit route")
            .pulls_fail("connect: permission denied")
            .route("prohibit 10.60.4.4/32")
            .expects(&["fail login connect network_unreachable"]),
        state("return packets are dropped")
            .silent()
            .leaving("ip saddr 10.60.4.4 tcp sport 443 drop")
            .impatient()
            .expects(&["fail login connect connect_timeout"]),
        state("data endpoint dropped")
            .silent()
            .arriving("ip daddr 10.60.4.5 tcp dport 443 drop")
            .impatient()
            .expects(&["fail data connect connect_timeout"])
            .naming(&["10.60.4.5:443", "contoso.westeurope.data.azurecr.io"]),
        state("data endpoint reset")
            .arriving("ip daddr 10.60.4.5 tcp dport 443 reject with tcp reset")
            .expects(&["fail data connect connect_refused"])
            .naming(&["10.60.4.5:443"]),
        state("no route to the data endpoint")
            .route("unreachable 10.60.4.5/32")
            .expects(&["fail data connect network_unreachable"]),
        // Like a tunnel that silently drops packets over its MTU.
        state("long packets to the node are lost")
            .leaving("ip saddr 10.60.4.4 tcp sport 443 meta length > 600 drop")
            .impatient()
            .expects(&["fail login tls response_timeout"])
            .naming(&["the TLS handshake"]),
        // Only the request with the token is that long.
        state("long packets from the node are lost")
            .silent()
            .arriving("ip daddr 10.60.4.4 tcp dport 443 meta length > 1000 drop")
            .impatient()
            .expects(&["fail login manifest response_timeout"])
            .naming(&["the manifest"]),
        state("long packets of the data endpoint are lost")
            .leaving("ip saddr 10.60.4.5 tcp sport 443 meta length > 600 drop")
            .impatient()
            .expects(&["fail data tls response_timeout"]),
        state("reset during a request")
            .arriving("ip daddr 10.60.4.4 tcp dport 443 meta length > 1000 reject with tcp reset")
            .expects(&["fail login manifest connection_reset"]),
    ]
}
