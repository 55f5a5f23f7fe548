//! A valid file with every key, and an invalid file for every rule.

use std::path::Path;
use std::time::Duration;

use super::{Config, CredentialsConfig, SystemResolver, parse, read};
use crate::config::server::{ListenAddress, ServerConfig};

const IMAGES: &str = "images: [{image: contoso.azurecr.io/apps/canary:1}]\n";

fn parsed(text: &str) -> Config {
    parse(Path::new("config.yaml"), text).expect("a valid file")
}

fn problems(text: &str) -> Vec<String> {
    parse(Path::new("c"), text).expect_err("an invalid file").lines()
}

#[test]
fn every_key_is_read() {
    let config = parsed(
        r#"
images:
  - image: contoso.azurecr.io/apps/canary:1
    name: canary
    credentials:
      path: /var/run/secrets/acr-verifier/contoso
      expiresAt: 2027-05-01T00:00:00Z
    privateEndpoint: {cidrs: [10.60.4.0/24], addresses: {Contoso.azurecr.io.: ["::ffff:10.60.4.5", 10.60.4.6]}}
    dataEndpoints: [Contoso.westeurope.data.azurecr.io]
resolvers: {system: /etc/other.conf, compare: {cluster: 10.0.0.10, azure: "168.63.129.16:5353"}}
tls: {caFile: /etc/acr-verifier/ca.pem}
nodeFiles: {root: /host}
schedule: {interval: 90s, jitter: 0.5, timeout: 20s, stageTimeout: 4s, confirmAfter: 3, fleetSize: 5000}
server: {address: "127.0.0.1:9000"}
events: {enabled: false}
"#,
    );
    let image = &config.images[0];
    assert_eq!(image.image.to_string(), "contoso.azurecr.io/apps/canary:1");
    assert_eq!(image.name.as_deref(), Some("canary"));
    let path = "/var/run/secrets/acr-verifier/contoso".into();
    let expires_at = Some("2027-05-01T00:00:00Z".parse().expect("a time"));
    assert_eq!(image.credentials, Some(CredentialsConfig::Path { path, expires_at }));
    assert_eq!(image.expected.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.60.4.0/24"]);
    let exact: Vec<_> =
        image.expected_addresses.iter().map(|(name, list)| format!("{name} {list:?}")).collect();
    assert_eq!(exact, ["contoso.azurecr.io [10.60.4.5, 10.60.4.6]"]);
    assert_eq!(image.data_endpoints, ["contoso.westeurope.data.azurecr.io"]);
    assert_eq!(config.resolvers.system, SystemResolver::File("/etc/other.conf".into()));
    let compared: Vec<_> = config.resolvers.compare.iter().map(|(name, at)| format!("{name}={at}")).collect();
    assert_eq!(compared, ["cluster=10.0.0.10:53", "azure=168.63.129.16:5353"]);
    assert_eq!(config.ca_file.as_deref(), Some(Path::new("/etc/acr-verifier/ca.pem")));
    assert_eq!(config.node_root.as_deref(), Some(Path::new("/host")));
    assert_eq!(config.schedule.interval, Duration::from_secs(90));
    assert_eq!(config.schedule.stage_timeout, Duration::from_secs(4));
    assert_eq!((config.schedule.confirm_after, config.schedule.fleet_size), (3, Some(5000)));
    assert_eq!(config.schedule.budget_per_minute, Some(4000));
    assert_eq!(config.server.address, ListenAddress::At(([127, 0, 0, 1], 9000).into()));
    assert!(!config.events && config.blob && !config.allow_loopback);
}

#[test]
fn only_images_are_required_and_empty_sections_mean_defaults() {
    let text = format!("{IMAGES}resolvers:\ntls:\nschedule:\nserver:\nevents:\n");
    let config = parsed(&text);
    let digest = Some(super::digest(&text));
    assert_eq!(config, Config { digest: digest.clone(), ..Config::of(config.images.clone()) });
    assert_eq!(config, Config { digest, ..parsed(IMAGES) });
    // What `printf abc | sha256sum` prints.
    let known = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(super::digest("abc"), known);
    assert_eq!(config.server, ServerConfig::default());
}

#[test]
fn the_stage_timeout_is_at_most_the_overall_timeout() {
    let config = parsed(&format!("{IMAGES}schedule: {{timeout: 3s}}\n"));
    assert_eq!(config.schedule.stage_timeout, Duration::from_secs(3));
    assert_eq!(
        problems(&format!("{IMAGES}schedule: {{timeout: 3s, stageTimeout: 4s}}\n")),
        [
            "c:2:39: invalid value \"4s\" for schedule.stageTimeout: expected at most the overall timeout of 3s"
        ]
    );
    assert_eq!(
        problems(&format!("{IMAGES}schedule: {{stageTimeout: 70s}}\n")),
        [
            "c:2:26: invalid value \"70s\" for schedule.stageTimeout: expected at most the default overall timeout of 60s"
        ]
    );
}

#[test]
fn all_problems_of_a_file_are_reported_in_file_order() {
    let text = "\
images:
  - image: app:1
    nmae: x
    credentials: {path: '', expiresAt: tomorrow, password: hunter2}
    privateEndpoint: {cidrs: [10.60.4.4/24, 10.0.0.0/40]}
    dataEndpoints: ['https://x']
  - contoso.azurecr.io/app:1
resolvers: {system: [a], compare: {system: 10.0.0.10, b: dns}}
schedule: {interval: 60, jitter: 1.5, timeout: 30s, confirmAfter: 0, budgetPerMinute: '5'}
server: {address: '0.0.0.0'}
events: {enabled: 'true'}
colour: red
";
    let found = problems(text);
    let expected = [
        "c:2:12: invalid value \"app:1\" for images[0].image: the registry is missing: start with its login server, \
         such as `contoso.azurecr.io/app:1`; expected LOGIN_SERVER/REPOSITORY[:TAG][@sha256:…]",
        "c:3:5: unknown key \"nmae\" in images[0] (did you mean \"name\"?): expected one of image, name, credentials, \
         privateEndpoint, dataEndpoints",
        "c:4:25: invalid value \"\" for images[0].credentials.path: expected a path",
        "c:4:40: invalid value \"tomorrow\" for images[0].credentials.expiresAt: expected an RFC 3339 time such as \
         2027-05-01T00:00:00Z",
        "c:4:50: unknown key \"password\" in images[0].credentials: credentials do not belong in the configuration; \
         store them in a Secret and set credentials.path to the folder where it is mounted",
        "c:5:31: invalid value \"10.60.4.4/24\" for images[0].privateEndpoint.cidrs[0]: it is an address inside the \
         range 10.60.4.0/24; expected a CIDR such as 10.60.4.0/24 or fd00:60::/64",
        "c:5:45: invalid value \"10.0.0.0/40\" for images[0].privateEndpoint.cidrs[1]: expected a CIDR such as \
         10.60.4.0/24 or fd00:60::/64",
        "c:6:21: invalid value \"https://x\" for images[0].dataEndpoints[0]: expected a host name without scheme, \
         port or path, such as contoso.westeurope.data.azurecr.io",
        "c:7:5: invalid value for images[1]: found a string; expected a mapping with the keys image, name, \
         credentials, privateEndpoint, dataEndpoints",
        "c:8:21: invalid value for resolvers.system: found a list; expected a path",
        "c:8:36: invalid value \"system\" for resolvers.compare.system: the name is reserved for the node's own \
         nameservers; expected another name for a resolver to compare with",
        "c:8:58: invalid value \"dns\" for resolvers.compare.b: expected an IP address with an optional port, such as \
         10.0.0.10, 10.0.0.10:5353 or [fd00::10]:53",
        "c:9:22: invalid value \"60\" for schedule.interval: expected a duration from 1s to 24h with a unit, such as \
         60s, 1m30s or 500ms",
        "c:9:34: invalid value \"1.5\" for schedule.jitter: expected a number from 0 to 1",
        "c:9:67: invalid value \"0\" for schedule.confirmAfter: expected a whole number from 1 to 100",
        "c:9:87: invalid value \"5\" for schedule.budgetPerMinute: it is a string; expected a whole number from 1 to \
         1000000",
        "c:9:87: schedule.budgetPerMinute requires schedule.fleetSize",
        "c:10:19: invalid value \"0.0.0.0\" for server.address: expected an IP address with a port, such as \
         0.0.0.0:9469 or [::]:9469, or node:9469",
        "c:11:19: invalid value \"true\" for events.enabled: it is a string; expected true or false",
        "c:12:1: unknown key \"colour\": expected one of images, resolvers, tls, nodeFiles, schedule, metrics, server, events",
    ];
    assert_eq!(found, expected, "{found:#?}");
    assert!(!found.concat().contains("hunter2"));
}

#[test]
fn files_that_are_not_a_configuration_are_rejected() {
    for (text, expected) in [
        ("", "c:1:1: missing key images"),
        (
            "images: []\n",
            "c:1:9: invalid value for images: found an empty list; expected a list of 1 to 100 images",
        ),
        ("images:\n", "invalid value for images: found an empty list; expected a list of 1 to 100 images"),
        ("- a\n", "c:1:1: invalid value: found a list; expected a mapping with the keys images"),
        ("images: [{}]\n", "c:1:10: missing key images[0].image"),
        ("images: [{image: }]\n", "invalid value for images[0].image: it is empty; expected LOGIN_SERVER/"),
        ("a: 1\na: 2\n", "c:2:1: duplicate key \"a\""),
        ("images: [\n", "not valid YAML"),
    ] {
        let found = problems(text);
        assert!(found.iter().any(|line| line.contains(expected)), "{text}: {found:#?}");
    }
}

#[test]
fn names_are_unique_and_repeated_images_need_one() {
    let image = "contoso.azurecr.io/app:1";
    let found = problems(&format!("images:\n  - {{image: {image}}}\n  - {{image: {image}}}\n"));
    assert_eq!(
        found,
        [
            "c:3:5: duplicate value \"contoso.azurecr.io/app:1\" for images[1].image: expected each image once, or a \
             name for each"
        ]
    );
    let found =
        problems(&format!("images:\n  - {{image: {image}, name: a}}\n  - {{image: {image}2, name: a}}\n"));
    assert_eq!(found, ["c:3:5: duplicate value \"a\" for images[1].name"]);
    parsed(&format!("images:\n  - {{image: {image}, name: a}}\n  - {{image: {image}, name: b}}\n"));
    let found = problems(&format!("images: [{{image: {image}, dataEndpoints: [a.io, A.io]}}]\n"));
    assert_eq!(found, ["c:1:66: duplicate value \"A.io\" for images[0].dataEndpoints[1]"]);
    let empty = problems(&format!("images: [{{image: {image}, privateEndpoint: {{cidrs: []}}}}]\n"));
    assert!(empty[0].contains("at least one CIDR"), "{empty:?}");
}

#[test]
fn at_most_50_problems_are_shown() {
    let text: String = (0..200).map(|number| format!("key{number}: 1\n")).collect();
    let found = problems(&text);
    assert_eq!(found.len(), 51);
    assert_eq!(found[50], "c: and 151 more problems");
}

#[test]
fn unreadable_files_are_reported_with_the_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("config.yaml");
    let problem = |path: &Path| read(path).expect_err("unreadable").to_string();
    assert!(problem(&path).contains("cannot read the file: No such file"), "{}", problem(&path));
    assert!(problem(folder.path()).contains("not a regular file"));
    std::fs::write(&path, b"\xff\xfe").expect("a file");
    assert!(problem(&path).contains("not UTF-8"));
    std::fs::write(&path, "#".repeat((1 << 20) + 1)).expect("a file");
    assert!(problem(&path).contains("too large: expected at most 1048576 bytes"));
    std::fs::write(&path, IMAGES).expect("a file");
    assert!(read(&path).is_ok());
}

proptest::proptest! {
    #[test]
    fn no_change_to_a_valid_file_causes_a_panic(at in 0usize..400, cut in 0usize..40, put in "[-:{}\\[\\]'\"&*!|# \na0]{0,8}") {
        let good = "images:\n  - image: contoso.azurecr.io/app:1\n    credentials: {path: /a, expiresAt: 2027-05-01T00:00:00Z}\n    \
                    privateEndpoint: {cidrs: [10.60.4.0/24]}\nresolvers: {compare: {a: 10.0.0.10}}\ntls: {caFile: /b}\n\
                    schedule: {interval: 60s, jitter: 0.2, fleetSize: 5000}\nserver: {address: \"0.0.0.0:9469\"}\n";
        let at = at.min(good.len());
        let text = format!("{}{put}{}", &good[..at], &good[(at + cut).min(good.len())..]);
        if let Err(errors) = parse(Path::new("c"), &text) {
            proptest::prop_assert!(!errors.lines().is_empty());
        }
    }
}

#[test]
fn an_image_names_one_source_of_credentials() {
    const CLIENT: &str = "3fa85f64-5717-4562-b3fc-2c963f66afa6";
    let file = |registry: &str, credentials: &str| {
        format!("images:\n  - image: {registry}/app:1\n    credentials: {credentials}\n")
    };
    let read = |credentials: &str| {
        let config = parse(Path::new("c"), &file("contoso.azurecr.io", credentials)).expect("a valid file");
        config.images[0].credentials.clone().expect("credentials")
    };
    let managed = |client_id: Option<&str>| CredentialsConfig::ManagedIdentity {
        client_id: client_id.map(str::to_owned),
    };
    assert_eq!(read(&format!("{{managedIdentity: {{clientId: {CLIENT}}}}}")), managed(Some(CLIENT)));
    assert_eq!(read("{managedIdentity: {}}"), managed(None));
    assert_eq!(read("{managedIdentity: }"), managed(None));
    assert_eq!(read("{workloadIdentity: {}}"), CredentialsConfig::WorkloadIdentity);
    for (registry, credentials, problem) in [
        (
            "contoso.azurecr.io",
            "{}",
            "c:3:18: invalid value for images[0].credentials: found none of them; expected one of path, managedIdentity \
             and workloadIdentity (omit `credentials` for docker's usual files)",
        ),
        (
            "contoso.azurecr.io",
            "{path: /a, workloadIdentity: {}}",
            "c:3:18: invalid value for images[0].credentials: found 2; expected one of path, managedIdentity and \
             workloadIdentity (omit `credentials` for docker's usual files)",
        ),
        (
            "contoso.azurecr.io",
            "{managedIdentity: {}, expiresAt: 2027-05-01T00:00:00Z}",
            "c:3:51: images[0].credentials.expiresAt requires credentials.path: the token of an identity is renewed by \
             itself",
        ),
        (
            "contoso.azurecr.io",
            "{managedIdentity: {clientId: canary}}",
            "c:3:47: invalid value \"canary\" for images[0].credentials.managedIdentity.clientId: expected a client id \
             such as 3fa85f64-5717-4562-b3fc-2c963f66afa6, from `az aks show --query \
             identityProfile.kubeletidentity.clientId`",
        ),
        (
            "contoso.azurecr.io",
            "{workloadIdentity: {clientId: 1}}",
            "c:3:38: unknown key \"clientId\" in images[0].credentials.workloadIdentity: expected no keys",
        ),
        (
            "contoso.azurecr.io",
            "{workloadIdentity: true}",
            "c:3:37: invalid value for images[0].credentials.workloadIdentity: found a string; expected an empty mapping, {}",
        ),
        (
            "registry.example",
            "{workloadIdentity: {}}",
            "c:3:18: invalid value for images[0].credentials: an identity pulls only from an Azure Container Registry, and \
             registry.example is none; expected an image of *.azurecr.io, *.azurecr.us or *.azurecr.cn",
        ),
    ] {
        assert_eq!(problems(&file(registry, credentials)), [problem], "{credentials}");
    }
}

#[test]
fn expected_addresses_have_names_of_the_registry_and_addresses_that_an_endpoint_can_have() {
    let file = |private_endpoint: &str| {
        format!("images:\n  - image: contoso.azurecr.io/app:1\n    privateEndpoint: {private_endpoint}\n")
    };
    let only =
        "{addresses: {contoso.azurecr.io: [10.60.4.5], contoso.westeurope.data.azurecr.io: [10.60.4.4]}}";
    let config = parsed(&file(only));
    assert!(config.images[0].expected.is_empty());
    assert_eq!(config.images[0].expected_addresses.names().count(), 2);

    let key = "images[0].privateEndpoint";
    let address = "expected an IP address of the private endpoint, such as 10.60.4.5";
    let own = format!("{key}.addresses.contoso.azurecr.io");
    for (text, expected) in [
        (
            "{}",
            vec![format!(
                "c:3:22: invalid value for {key}: found none of them; expected cidrs, addresses or both (omit \
                 `privateEndpoint` to accept any private address)"
            )],
        ),
        (
            "{addresses: {}}",
            vec![format!(
                "c:3:34: invalid value for {key}.addresses: found an empty mapping; expected the addresses of 1 to 256 names"
            )],
        ),
        (
            "{addresses: [10.60.4.5]}",
            vec![format!(
                "c:3:34: invalid value for {key}.addresses: found a list; expected a mapping with the keys FQDN: [ADDRESS]"
            )],
        ),
        (
            "{addresses: {contoso.azurecr.io: 10.60.4.5}}",
            vec![format!("c:3:55: invalid value for {own}: found a string; expected a list of addresses")],
        ),
        (
            "{addresses: {contoso.azurecr.io: []}}",
            vec![format!(
                "c:3:55: invalid value for {own}: found an empty list; expected a list of 1 to 64 addresses"
            )],
        ),
        (
            "{addresses: {contoso.azurecr.io: [10.60.4.0/24, 127.0.0.1, 168.63.129.16, 10.60.4.5, '::ffff:10.60.4.5', x]}}",
            vec![
                format!("c:3:56: invalid value \"10.60.4.0/24\" for {own}[0]: it is a range, not an address; {address}"),
                format!(
                    "c:3:70: invalid value \"127.0.0.1\" for {own}[1]: it is reserved: no private endpoint can have it; \
                     {address}"
                ),
                format!(
                    "c:3:81: invalid value \"168.63.129.16\" for {own}[2]: it is reserved: no private endpoint can have \
                     it; {address}"
                ),
                format!("c:3:107: duplicate value \"::ffff:10.60.4.5\" for {own}[4]"),
                format!("c:3:127: invalid value \"x\" for {own}[5]: {address}"),
            ],
        ),
        (
            "{addresses: {contoso.azurecr.io: [10.60.4.5], Contoso.azurecr.io.: [10.60.4.5], https://x: [10.60.4.5]}}",
            vec![
                "c:3:68: duplicate key \"Contoso.azurecr.io.\": expected each name once, whatever its case or final dot"
                    .to_owned(),
                format!(
                    "c:3:102: invalid value \"https://x\" for {key}.addresses.`https://x`: expected a host name such as \
                     contoso.azurecr.io or contoso.westeurope.data.azurecr.io"
                ),
            ],
        ),
        (
            "{cidrs: [10.60.4.0/24], addresses: {fabrikam.azurecr.io: [10.60.4.5]}}",
            vec![format!(
                "c:3:57: invalid value for {key}.addresses: fabrikam.azurecr.io is not a name of the registry \
                 contoso.azurecr.io; expected an address of contoso.azurecr.io or contoso.REGION.data.azurecr.io"
            )],
        ),
    ] {
        let found = problems(&file(text));
        assert_eq!(found, expected, "{text}: {found:#?}");
    }
    let addresses: Vec<String> = (0..65).map(|number| format!("10.60.4.{number}")).collect();
    let many = problems(&file(&format!("{{addresses: {{contoso.azurecr.io: [{}]}}}}", addresses.join(", "))));
    assert!(many[0].ends_with("found 65 addresses; expected a list of 1 to 64 addresses"), "{many:?}");
    let names: Vec<String> = (0..257).map(|number| format!("r{number}.azurecr.io: [10.60.4.5]")).collect();
    let many = problems(&file(&format!("{{addresses: {{{}}}}}", names.join(", "))));
    assert!(many[0].ends_with("found 257 names; expected the addresses of 1 to 256 names"), "{many:?}");
}

#[test]
fn any_comparison_of_the_operator_overrides_that_of_local_dns() {
    for (resolvers, expected) in [
        ("", true),
        ("resolvers: {}\n", true),
        ("resolvers: {system: /etc/other.conf}\n", true),
        ("resolvers: {compare: {}}\n", false),
        ("resolvers: {compare: {hub: 10.0.0.10}}\n", false),
    ] {
        let text = format!("images: [{{image: contoso.azurecr.io/app}}]\n{resolvers}");
        let config = parse(Path::new("c"), &text).expect("a configuration");
        assert_eq!(config.resolvers.compares_node_cache, expected, "{resolvers:?}");
    }
}
