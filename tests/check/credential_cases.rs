//! Pull secrets with several entries, no matching entry, or an invalid one, handled as the kubelet does.

use acr_verifier::observation::CredentialsUsed;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Bench, Case, case, files_of};
use lab::answers::TokenFault;
use lab::settings::View;

/// The content of an entry.
#[derive(Clone, Copy)]
enum Entry {
    Good,
    /// An outdated password.
    Stale,
    /// Neither user name nor password.
    Empty,
    /// The valid password with a trailing newline.
    LineEnd,
    /// The valid password in `password`, another one in `auth`.
    Differs,
    /// A service principal that the registry does not know.
    Principal,
    /// An ACR refresh token that the registry does not know.
    Refresh,
}

impl Entry {
    fn value(self, user: &str, password: &str) -> Value {
        let auth = |user: &str, password: &str| STANDARD.encode(format!("{user}:{password}"));
        match self {
            Self::Good => json!({"auth": auth(user, password)}),
            Self::Stale => json!({"auth": auth(user, "a-password-of-the-past")}),
            Self::Empty => json!({}),
            Self::LineEnd => json!({"auth": auth(user, &format!("{password}\n"))}),
            Self::Differs => {
                json!({"username": user, "password": password, "auth": auth(user, "a-password-of-the-past")})
            }
            Self::Principal => {
                json!({"auth": auth("3f2504e0-4f89-41d3-9a0c-0305e82c3301", "a-client-secret")})
            }
            Self::Refresh => json!({"auth": auth("00000000-0000-0000-0000-000000000000", "a-refresh-token")}),
        }
    }
}

/// Writes entries to the secret that the task reads; `HOST` and `PORT` in a key are replaced with the lab's.
fn secret(bench: &mut Bench, entries: &[(&str, Entry)]) {
    let read = |name: &str| {
        std::fs::read_to_string(bench.lab.secret_folder().join(name)).expect("the lab's credentials")
    };
    let (user, password) = (read("username"), read("password"));
    let (host, port) = (bench.task.image.host().to_owned(), bench.task.image.port().to_string());
    let auths: serde_json::Map<_, _> = entries
        .iter()
        .map(|(key, entry)| {
            (key.replace("HOST", &host).replace("PORT", &port), entry.value(&user, &password))
        })
        .collect();
    let folder = bench.lab.folder().join("several");
    std::fs::create_dir_all(&folder).expect("a folder");
    let text = json!({"auths": auths}).to_string();
    std::fs::write(folder.join(".dockerconfigjson"), text).expect("a file");
    files_of(&mut bench.task.credentials).paths = vec![folder];
}

fn entries(name: &str, entries: &'static [(&'static str, Entry)], expected: &[&str]) -> Case {
    case(name, |_| {}, expected).adjust(move |bench| secret(bench, entries))
}

pub(super) fn cases() -> Vec<Case> {
    use Entry::{Differs, Empty, Good, LineEnd, Principal, Refresh, Stale};
    let stale = &["warn login token credentials_stale_entry"];
    let missing = &["fail login token credentials_missing"];
    let rejected = &["fail login token credentials_rejected"];
    vec![
        entries("a stale entry for the repository", &[("HOST:PORT/apps", Stale), ("HOST:PORT", Good)], stale),
        entries(
            "a stale entry before a wildcard",
            &[("HOST:PORT", Stale), ("*.azurecr.io:PORT", Good)],
            stale,
        ),
        entries("an empty entry before a good one", &[("HOST:PORT/apps", Empty), ("HOST:PORT", Good)], stale),
        entries("a stale entry behind a good one", &[("HOST:PORT/apps", Good), ("HOST:PORT", Stale)], &[]),
        entries("several stale entries", &[("HOST:PORT/apps", Stale), ("HOST:PORT", Stale)], rejected),
        entries(
            "a stale entry and an empty one",
            &[("HOST:PORT/apps", Empty), ("HOST:PORT", Stale)],
            rejected,
        ),
        entries("only an empty entry", &[("HOST:PORT", Empty)], missing),
        entries("a key without the port", &[("HOST", Good)], missing),
        entries("a key with another port", &[("HOST:1", Good)], missing),
        entries("a newline in the password", &[("HOST:PORT", LineEnd)], rejected),
        entries("auth and password that differ", &[("HOST:PORT", Differs)], rejected),
        entries("an unknown service principal", &[("HOST:PORT", Principal)], rejected),
        entries("an old refresh token", &[("HOST:PORT", Refresh)], rejected),
        case("no entry, and anonymous pulls", |settings| settings.credentials.anonymous = true, &[])
            .adjust(|bench| secret(bench, &[("fabrikam.azurecr.io", Good)])),
        case("an empty entry, and anonymous pulls", |settings| settings.credentials.anonymous = true, &[])
            .adjust(|bench| secret(bench, &[("HOST:PORT", Empty)])),
        case(
            "an anonymous token without an access claim, and a 401",
            |settings| {
                settings.credentials.anonymous = true;
                settings.token.answer = TokenFault::AccessMissing.into();
            },
            &["fail login manifest credentials_missing"],
        )
        .adjust(|bench| secret(bench, &[])),
        // The kubelet does not pull anonymously once an entry has matched.
        case(
            "a stale entry, and anonymous pulls",
            |settings| settings.credentials.anonymous = true,
            rejected,
        )
        .adjust(|bench| secret(bench, &[("HOST:PORT", Stale)])),
        case("the host in upper case, the key in lower case", |_| {}, missing).adjust(|bench| {
            capitals(bench);
            secret(bench, &[("HOST:PORT", Good)]);
        }),
        case("host and key in upper case", |_| {}, &[]).adjust(|bench| {
            capitals(bench);
            secret(bench, &[("CONTOSO.azurecr.io:PORT", Good)]);
        }),
    ]
}

/// Writes the login server of the image in upper case.
fn capitals(bench: &mut Bench) {
    let image = bench.task.image.to_string().replacen("contoso.", "CONTOSO.", 1);
    bench.task.image = image.parse().expect("a reference");
}

#[test]
fn the_kind_of_credentials_is_known_before_anything_is_sent() {
    let mut bench = Bench::with(|settings| settings.nameservers[0].login = View::NotLinked);
    assert_eq!(bench.check().observation.credentials, Some(CredentialsUsed::Secret));
    secret(&mut bench, &[]);
    assert_eq!(bench.check().observation.credentials, Some(CredentialsUsed::Anonymous));
    files_of(&mut bench.task.credentials).paths = vec![bench.lab.ca_file()];
    assert_eq!(bench.check().observation.credentials, None);
}

/// The entries of a secret, and parts of the expected message.
type Row = (&'static [(&'static str, Entry)], &'static [&'static str]);

#[test]
fn messages_name_the_entry_the_kind_and_the_evidence() {
    use Entry::{Differs, Good, LineEnd, Principal, Refresh, Stale};
    let rows: [Row; 7] = [
        (&[("HOST:PORT", LineEnd)], &["the password ends in a newline", "for a repository token"]),
        (&[("HOST:PORT", Differs)], &["`auth` differs from the fields", "only `auth` is used"]),
        (&[("HOST:PORT", Principal)], &["for a service principal", "without the AcrPull role"]),
        (&[("HOST:PORT", Refresh)], &["for an ACR refresh token", "about three hours"]),
        (
            &[("HOST:PORT/apps", Stale), ("HOST:PORT", Good)],
            &["/apps` of `", "pulls work with a later entry"],
        ),
        (&[("HOST", Good)], &["differs from the image reference only in port"]),
        (&[("Contoso.azurecr.io:PORT", Good)], &["differs from the image reference only in case"]),
    ];
    for (entries, expected) in rows {
        let mut bench = Bench::healthy();
        secret(&mut bench, entries);
        let outcome = bench.check();
        let message = &outcome.diagnoses.first().expect("a diagnosis").message;
        for part in expected {
            assert!(message.contains(part), "{part}: {message}");
        }
    }
}
