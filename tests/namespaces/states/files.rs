//! Node files that containerd and the agent read: proxy, mirrors, nameservers, authorities.

use super::{State, state};
use crate::node::{Node, Trusted};
use support::namespaces::network::{FORWARDER, PUBLIC_DNS, UNUSED};

/// Nothing listens there.
const PROXY: (&str, &str) = ("HTTPS_PROXY", "http://10.60.0.12:3128");
const MIRROR: &str = "server = \"https://contoso.azurecr.io\"\n[host.\"https://mirror.contoso.com\"]\n\
                      capabilities = [\"pull\", \"resolve\"]\n";

/// A state checked by the agent of the node.
fn by_agent(name: &'static str, node: Node) -> State {
    State { node: Node { has_agent: true, ..node }, ..state(name) }
}

pub(crate) fn states() -> Vec<State> {
    vec![
        by_agent("the agent of a node without own files", Node::default())
            .reports("/connection/trustedBy", "node"),
        by_agent("containerd has a proxy", Node { variables: vec![PROXY], ..Node::default() })
            .expects(&["warn login connect proxy_bypassed", "warn data connect proxy_bypassed"])
            .naming(&["http://10.60.0.12:3128"])
            .pulls_fail("proxyconnect tcp: dial tcp 10.60.0.12:3128: connect: connection refused")
            .differs("pulls use the proxy named in the warning; the check never does"),
        by_agent(
            "containerd has a proxy, but not for this registry",
            Node { variables: vec![PROXY, ("NO_PROXY", ".azurecr.io")], ..Node::default() },
        ),
        by_agent("containerd has a mirror", Node { hosts: Some(MIRROR), ..Node::default() })
            .reports("/mirrors", r#"["mirror.contoso.com"]"#),
        by_agent(
            "resolv.conf changes to the right nameserver while the agent runs",
            Node { first_nameserver: Some(UNUSED), ..Node::default() },
        )
        .impatient()
        .reports("/resolutions/0/server", "10.60.0.10:53"),
        State {
            nameservers: vec![PUBLIC_DNS],
            ..by_agent(
                "resolv.conf changes to a public nameserver while the agent runs",
                Node { first_nameserver: Some(FORWARDER), ..Node::default() },
            )
            .expects(&["fail login address private_zone_not_linked"])
            .naming(&["20.45.122.144"])
        },
        State {
            trusted: Trusted::ByNode,
            ..by_agent("CA trusted only by the node, checked by the agent", Node::default())
                .reports("/connection/trustedBy", "node")
        },
        State {
            trusted: Trusted::ByCheck,
            ..by_agent("CA trusted only by the agent", Node::default())
                .reports("/connection/trustedBy", "ca_file")
                .pulls_fail("x509: certificate signed by unknown authority")
                .differs("the operator trusts the CA; the report shows that only the file did")
        },
        State {
            trusted: Trusted::Nowhere,
            ..by_agent("CA trusted by neither, checked by the agent", Node::default())
                .expects(&["fail login tls certificate_untrusted"])
        },
    ]
}
