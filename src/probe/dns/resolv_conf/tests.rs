//! Files written by hand, DHCP clients and systemd, and the servers that Go queries for each.

use super::parse;

#[test]
fn nameservers_are_read_as_by_go() {
    for (text, expected) in [
        // Go ignores leading blanks; glibc requires the keyword at the very start.
        (" nameserver 10.0.0.4\n", vec!["10.0.0.4:53"]),
        (
            "\t nameserver\t 10.0.0.4 \t trailing words\r\nnameserver 10.0.0.5\r\n",
            vec!["10.0.0.4:53", "10.0.0.5:53"],
        ),
        ("nameserver fe80::53%eth0\n", vec!["[fe80::53%eth0]:53"]),
        ("nameserver fe80::53%2\nnameserver fe80::54\n", vec!["[fe80::53%2]:53", "[fe80::54]:53"]),
        // Only IPv6 has scopes, and a scope has a name.
        ("nameserver 10.0.0.4%eth0\nnameserver fe80::53%\nnameserver 10.0.0.5\n", vec!["10.0.0.5:53"]),
        // glibc would accept the first of these, Go accepts neither.
        (
            "nameserver 10.0.0.4#comment\nnameserver 10.0.0.4;comment\nnameserver 10.0.0.5\n",
            vec!["10.0.0.5:53"],
        ),
        ("nameserver 010.0.0.4\nnameserver 10.0.4\nnameserver dns.example\nnameserver\n", vec![]),
        ("nameservers 10.0.0.4\nNameserver 10.0.0.4\nnameserver10.0.0.4\n", vec![]),
        ("nameserver ::ffff:10.0.0.4\n", vec!["[::ffff:10.0.0.4]:53"]),
        (";nameserver 10.0.0.4\n#nameserver 10.0.0.4\n # nameserver 10.0.0.4\n", vec![]),
        // A form feed is not a separator in Go.
        ("nameserver\u{c}10.0.0.4\n", vec![]),
        ("nameserver 10.0.0.4\nnameserver 10.0.0.4\n", vec!["10.0.0.4:53", "10.0.0.4:53"]),
        ("nameserver 10.0.0.10\n", vec!["10.0.0.10:53"]),
        ("search a..b \u{7f}\nnameserver 10.0.0.10\noptions nonsense:x\n", vec!["10.0.0.10:53"]),
        ("nameserver\t10.0.0.1 # comment\nnameserver fd00::1\n", vec!["10.0.0.1:53", "[fd00::1]:53"]),
        (
            "nameserver 10.0.0.1\nnameserver nonsense\nnameserver 10.0.0.2\nnameserver 10.0.0.3\nnameserver 10.0.0.4\n",
            vec!["10.0.0.1:53", "10.0.0.2:53", "10.0.0.3:53"],
        ),
        ("# No DNS servers known.\n", vec![]),
        ("", vec![]),
    ] {
        let resolv_conf = parse(text);
        let servers: Vec<String> = resolv_conf.nameservers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, expected, "{text:?}");
        assert!(!resolv_conf.tcp_only, "{text:?}");
    }
}

#[test]
fn the_tcp_only_option_is_read() {
    for (options, expected) in [
        ("options use-vc", true),
        ("options usevc", true),
        ("options tcp", true),
        ("options\ttimeout:1 edns0\tuse-vc", true),
        ("options timeout:1\noptions use-vc", true),
        // Both glibc and Go continue after a `#`.
        ("options # use-vc", true),
        ("# options use-vc", false),
        ("; options use-vc", false),
        ("options no-use-vc", false),
        ("options timeout:1 attempts:2 rotate", false),
        ("search use-vc tcp", false),
        ("options", false),
    ] {
        for text in [
            format!("nameserver 10.0.0.10\n{options}\n"),
            format!("{options}\nnameserver 10.0.0.10"),
            format!("search a..b\nnameserver 10.0.0.10\n{options}"),
        ] {
            let resolv_conf = parse(&text);
            assert_eq!(resolv_conf.tcp_only, expected, "{text:?}");
            let servers: Vec<String> = resolv_conf.nameservers.iter().map(ToString::to_string).collect();
            assert_eq!(servers, ["10.0.0.10:53"], "{text:?}");
        }
    }
}
