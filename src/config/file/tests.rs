//! Good files with every key, and one bad file for every rule.

use std::path::Path;
use std::time::Duration;

use super::{Config, SystemResolver, parse, read};

const IMAGES: &str = "images: [{image: contoso.azurecr.io/apps/canary:1}]\n";

fn parsed(text: &str) -> Config {
    parse(Path::new("config.yaml"), text).expect("a good file")
}

fn problems(text: &str) -> Vec<String> {
    parse(Path::new("c"), text).expect_err("a bad file").lines()
}

#[test]
fn the_example_of_the_contract_means_what_it_says() {
    let config = parsed(
        r#"
images:
  - image: contoso.azurecr.io/apps/canary:1
    name: canary
    credentials:
      path: /var/run/secrets/acr-verifier/contoso
      expiresAt: 2027-05-01T00:00:00Z
    privateEndpoint: {cidrs: [10.60.4.0/24]}
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
    let credentials = image.credentials.as_ref().expect("credentials");
    assert_eq!(credentials.path, Path::new("/var/run/secrets/acr-verifier/contoso"));
    assert_eq!(credentials.expires_at.map(|time| time.to_string()).as_deref(), Some("2027-05-01T00:00:00Z"));
    assert_eq!(image.expected.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.60.4.0/24"]);
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
    assert_eq!(config.server_address.to_string(), "127.0.0.1:9000");
    assert!(!config.events && config.blob && !config.allow_loopback);
}

#[test]
fn one_image_is_enough_and_empty_sections_are_defaults() {
    let text = format!("{IMAGES}resolvers:\ntls:\nschedule:\nserver:\nevents:\n");
    let config = parsed(&text);
    let digest = Some(super::digest(&text));
    assert_eq!(config, Config { digest: digest.clone(), ..Config::of(config.images.clone()) });
    assert_eq!(config, Config { digest, ..parsed(IMAGES) });
    // What `printf abc | sha256sum` prints.
    let known = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(super::digest("abc"), known);
    assert_eq!(config.server_address.to_string(), "0.0.0.0:9469");
}

#[test]
fn the_limit_of_a_stage_follows_that_of_the_check() {
    let config = parsed(&format!("{IMAGES}schedule: {{timeout: 3s}}\n"));
    assert_eq!(config.schedule.stage_timeout, Duration::from_secs(3));
    assert_eq!(
        problems(&format!("{IMAGES}schedule: {{timeout: 3s, stageTimeout: 4s}}\n")),
        [
            "c:2:39: schedule.stageTimeout: found 4s for a stage; allowed is at most the limit of the whole check, 3s"
        ]
    );
    assert_eq!(
        problems(&format!("{IMAGES}schedule: {{stageTimeout: 70s}}\n")),
        [
            "c:2:26: schedule.stageTimeout: found 70s for a stage; allowed is at most the limit, where no other is \
          given, of the whole check, 60s"
        ]
    );
}

#[test]
fn every_problem_of_a_file_is_told_at_once_in_its_order() {
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
        "c:2:12: images[0].image: found `app:1`: the registry is missing: start with its login server, such as \
         `contoso.azurecr.io/app:1`; allowed is LOGIN_SERVER/REPOSITORY[:TAG][@sha256:…]",
        "c:3:5: images[0]: found the unknown key `nmae` (did you mean `name`?); allowed is image, name, \
         credentials, privateEndpoint, dataEndpoints",
        "c:4:25: images[0].credentials.path: found an empty text; allowed is a path",
        "c:4:40: images[0].credentials.expiresAt: found `tomorrow`; allowed is a time of RFC 3339, such as \
         2027-05-01T00:00:00Z",
        "c:4:50: images[0].credentials: found the unknown key `password`; credentials never stand in a \
         configuration: put them into a Secret and name its folder in credentials.path",
        "c:5:31: images[0].privateEndpoint.cidrs[0]: found `10.60.4.4/24`, an address inside the range \
         10.60.4.0/24; allowed is a CIDR such as 10.60.4.0/24 or fd00:60::/64",
        "c:5:45: images[0].privateEndpoint.cidrs[1]: found `10.0.0.0/40`; allowed is a CIDR such as 10.60.4.0/24 \
         or fd00:60::/64",
        "c:6:21: images[0].dataEndpoints[0]: found `https://x`; allowed is a host name without scheme, port and \
         path, such as contoso.westeurope.data.azurecr.io",
        "c:7:5: images[1]: found a text; allowed is a mapping with the keys image, name, credentials, \
         privateEndpoint, dataEndpoints",
        "c:8:21: resolvers.system: found a list; allowed is a path",
        "c:8:36: resolvers.compare.system: found `system`, which stands for the node's own nameservers; allowed \
         is another name for a resolver to compare with",
        "c:8:58: resolvers.compare.b: found `dns`; allowed is an IP address with an optional port, such as \
         10.0.0.10, 10.0.0.10:5353 or [fd00::10]:53",
        "c:9:22: schedule.interval: found `60`; allowed is a duration from 1s to 24h with its unit, such as 60s, \
         1m30s or 500ms",
        "c:9:34: schedule.jitter: found `1.5`; allowed is a number from 0 to 1",
        "c:9:67: schedule.confirmAfter: found `0`; allowed is a whole number from 1 to 100",
        "c:9:87: schedule.budgetPerMinute: found the text `5`; allowed is a whole number from 1 to 1000000",
        "c:9:87: schedule.budgetPerMinute: a budget says nothing without `fleetSize`; allowed is both, or \
         fleetSize alone",
        "c:10:19: server.address: found `0.0.0.0`; allowed is an IP address with a port, such as 0.0.0.0:9469 or \
         [::]:9469",
        "c:11:19: events.enabled: found the text `true`; allowed is true or false",
        "c:12:1: found the unknown key `colour`; allowed is images, resolvers, tls, nodeFiles, schedule, server, events",
    ];
    assert_eq!(found, expected, "{found:#?}");
    assert!(!found.concat().contains("hunter2"));
}

#[test]
fn files_that_are_no_configuration_say_so() {
    for (text, expected) in [
        ("", "c:1:1: images: this key is missing"),
        ("images: []\n", "c:1:9: images: found an empty list; allowed is a list of 1 to 100 images"),
        ("images:\n", "images: found an empty list; allowed is a list of 1 to 100 images"),
        ("- a\n", "c:1:1: found a list; allowed is a mapping with the keys images"),
        ("images: [{}]\n", "c:1:10: images[0].image: this key is missing"),
        ("images: [{image: }]\n", "images[0].image: found nothing; allowed is LOGIN_SERVER/"),
        ("a: 1\na: 2\n", "c:2:1: the key `a` stands here a second time"),
        ("images: [\n", "this is not YAML"),
    ] {
        let found = problems(text);
        assert!(found.iter().any(|line| line.contains(expected)), "{text}: {found:#?}");
    }
}

#[test]
fn names_are_unique_and_identical_images_need_one() {
    let image = "contoso.azurecr.io/app:1";
    let found = problems(&format!("images:\n  - {{image: {image}}}\n  - {{image: {image}}}\n"));
    assert_eq!(
        found,
        ["c:3:5: images[1]: the image stands here a second time; allowed is each once, or a `name` for each"]
    );
    let found =
        problems(&format!("images:\n  - {{image: {image}, name: a}}\n  - {{image: {image}2, name: a}}\n"));
    assert_eq!(found, ["c:3:5: images[1]: the name is that of an earlier image; allowed is each name once"]);
    parsed(&format!("images:\n  - {{image: {image}, name: a}}\n  - {{image: {image}, name: b}}\n"));
    let empty = problems(&format!("images: [{{image: {image}, privateEndpoint: {{cidrs: []}}}}]\n"));
    assert!(empty[0].contains("at least one CIDR"), "{empty:?}");
}

#[test]
fn a_flood_of_problems_is_cut() {
    let text: String = (0..200).map(|number| format!("key{number}: 1\n")).collect();
    let found = problems(&text);
    assert_eq!(found.len(), 51);
    assert_eq!(found[50], "c: and 151 problems more");
}

#[test]
fn files_that_cannot_be_read_say_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("config.yaml");
    let problem = |path: &Path| read(path).expect_err("unreadable").to_string();
    assert!(problem(&path).contains("cannot be read: No such file"), "{}", problem(&path));
    assert!(problem(folder.path()).contains("no regular file"));
    std::fs::write(&path, b"\xff\xfe").expect("a file");
    assert!(problem(&path).contains("not UTF-8"));
    std::fs::write(&path, "#".repeat((1 << 20) + 1)).expect("a file");
    assert!(problem(&path).contains("too large; allowed are 1048576 bytes"));
    std::fs::write(&path, IMAGES).expect("a file");
    assert!(read(&path).is_ok());
}

proptest::proptest! {
    #[test]
    fn no_change_to_a_good_file_makes_it_panic(at in 0usize..400, cut in 0usize..40, put in "[-:{}\\[\\]'\"&*!|# \na0]{0,8}") {
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
