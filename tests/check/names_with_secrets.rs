//! A nameserver that knows a secret, from a TLS inspection device or an earlier check, and returns it as a name.

use acr_verifier::config::SystemResolver;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::{Bench, violations};
use lab::settings::{Certificate, ChainRecord, Nameserver, Rcode, RecordValue, View};

const PASSWORD: &str = "hunter2hunter2";
/// A part that would reveal the password.
const PIECE: &str = "hunter2h";

fn record(name: &str, value: RecordValue) -> ChainRecord {
    ChainRecord { name: name.to_owned(), value, ttl: 60 }
}

fn alias(name: &str, target: &str) -> ChainRecord {
    record(name, RecordValue::Cname(target.to_owned()))
}

fn address(name: &str, address: &str) -> ChainRecord {
    record(name, RecordValue::Address(address.parse().expect("an address")))
}

/// Returns the password encoded as DNS labels.
fn labels() -> [String; 5] {
    let encoded = STANDARD_NO_PAD.encode(PASSWORD);
    assert!(encoded.bytes().all(|byte| byte.is_ascii_alphanumeric()), "it is a label: {encoded}");
    [
        PASSWORD.to_owned(),
        PASSWORD.to_uppercase(),
        format!("x-{PASSWORD}-x"),
        encoded,
        // One label for each half: the dot hides nothing.
        format!("{}.{}", &PASSWORD[..7], &PASSWORD[7..]),
    ]
}

fn check(view: &View, expected: &[&str], what: &str) {
    for (login, compared) in [(true, false), (false, false), (true, true)] {
        let mut bench = Bench::with(|settings| {
            PASSWORD.clone_into(&mut settings.credentials.password);
            if compared {
                settings.nameservers.push(Nameserver { login: view.clone(), ..Nameserver::default() });
            } else if login {
                settings.nameservers[0].login = view.clone();
            } else {
                settings.nameservers[0].data = at_data(view);
            }
        });
        if compared {
            let servers = bench.lab.nameservers();
            bench.task.resolvers.system = SystemResolver::Servers(vec![servers[0].into()]);
            bench.task.resolvers.compare = vec![("azure".to_owned(), servers[1].into())];
        }
        let outcome = bench.check();
        if login && !compared {
            outcome.expect(expected);
        }
        assert_eq!(violations(&bench, &outcome), Vec::<String>::new(), "{what}");
        let shown = outcome.shown(&bench).to_lowercase();
        assert!(!shown.contains(PIECE), "{what}: {shown}");
        let host = if login { "contoso.azurecr.io" } else { "contoso.westeurope.data.azurecr.io" };
        assert!(shown.contains(host), "the queried name is shown");
    }
}

/// Returns the same chain for the data endpoint's name.
fn at_data(view: &View) -> View {
    let View::Chain(records, code) = view else { panic!("a chain") };
    let moved = records.iter().map(|record| match record.name.as_str() {
        "contoso.azurecr.io" => {
            ChainRecord { name: "contoso.westeurope.data.azurecr.io".to_owned(), ..record.clone() }
        }
        _ => record.clone(),
    });
    View::Chain(moved.collect(), *code)
}

#[test]
fn a_secret_in_a_name_is_redacted_without_changing_the_cause() {
    let host = "contoso.azurecr.io";
    for label in labels() {
        let private = format!("{label}.privatelink.azurecr.io");
        let rows = [
            (
                vec![alias(host, &private), address(&private, "20.45.122.144")],
                Rcode::NoError,
                vec!["fail login address private_zone_not_linked"],
            ),
            (vec![alias(host, &private), address(&private, "127.0.0.2")], Rcode::NoError, vec![]),
            (vec![alias(host, &private)], Rcode::NxDomain, vec!["fail login dns private_record_missing"]),
            (vec![alias(host, &private)], Rcode::NoError, vec!["fail login dns dns_server_failure"]),
            (
                vec![alias(host, &private), alias(&private, host)],
                Rcode::NoError,
                vec!["fail login dns dns_server_failure"],
            ),
            (
                vec![alias(host, &private), alias(&private, &private)],
                Rcode::NoError,
                vec!["fail login dns dns_server_failure"],
            ),
            (
                vec![address(host, "127.0.0.2"), address(&private, "20.45.122.144")],
                Rcode::NoError,
                vec!["fail login address mixed_addresses"],
            ),
            (
                vec![alias(host, &format!("{label}.example"))],
                Rcode::NxDomain,
                vec!["fail login dns name_not_found"],
            ),
        ];
        for (records, code, expected) in rows {
            let what = format!("{records:?}");
            check(&View::Chain(records, code), &expected, &what);
        }
    }
}

/// The cause is derived from the zone's name before secrets are redacted.
#[test]
fn a_password_equal_to_a_zone_label_does_not_change_the_cause() {
    for password in ["privatelink", "azurecr.io", "contoso.privatelink.azurecr.io"] {
        let bench = Bench::with(|settings| {
            settings.credentials.password = password.to_owned();
            settings.nameservers[0] = Nameserver::seeing(View::NotLinked);
        });
        bench.check().expect(&["fail login address private_zone_not_linked"]);
        bench.lab.change(|settings| settings.nameservers[0] = Nameserver::seeing(View::RecordMissing));
        bench.check().expect(&["fail login dns private_record_missing"]);
    }
}

/// A TLS inspection device knows the password and writes it into the certificate that it generates.
#[test]
fn a_secret_in_a_certificate_is_redacted() {
    for name in ["hunter2hunter2.example", "aHVudGVyMmh1bnRlcjI.example", "HUNTER2HUNTER2"] {
        let bench = Bench::with(|settings| {
            settings.credentials.password = PASSWORD.to_owned();
            settings.login.certificate = Certificate::Saying(name);
        });
        let outcome = bench.check();
        outcome.expect(&["fail login tls certificate_name_mismatch"]);
        assert_eq!(violations(&bench, &outcome), Vec::<String>::new(), "{name}");
        let shown = outcome.shown(&bench).to_lowercase();
        assert!(!shown.contains(PIECE) && !shown.contains("ahvudgvymmh1bnrlcji"), "{name}: {shown}");
    }
}

/// "No expiry" is a date beyond the program's calendar; the certificate is still evidence.
#[test]
fn a_certificate_without_expiry_names_its_issuer() {
    for (certificate, date) in [
        (Certificate::UntrustedEndless, "9999-12-30T22:00:00.999999999Z"),
        (Certificate::UntrustedAncient, "1969-12-31T00:00:00Z"),
    ] {
        let bench = Bench::with(|settings| settings.login.certificate = certificate);
        let outcome = bench.check();
        let message = &outcome.diagnoses[0].message;
        assert!(message.contains("Contoso TLS Inspection CA"), "{message}");
        let seen = outcome.observation.tls[0].certificate.as_ref().expect("it was read");
        assert_eq!(seen.not_after.to_string(), date);
    }
}
