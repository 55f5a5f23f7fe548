//! Forbidden destinations of credentials, tokens and connections, checked in every case of the tables.

use acr_verifier::observation::{Endpoint, Stage};

use super::{Bench, Outcome, case, identity_safety};
use lab::answers::{Canned, Step, Target};
use lab::log::{Listener, Request};
use lab::settings::{Behaviour, ExtendedError, Rcode, Settings, View};

/// Returns violations of the rules that hold for every check.
pub(crate) fn violations(bench: &Bench, outcome: &Outcome) -> Vec<String> {
    let mut violations = Vec::new();
    let requests = bench.lab.requests();
    let has_token = requests.iter().any(|request| request.step == Some(Step::Token));
    violations.extend(requests.iter().filter_map(|request| misplaced(request, has_token)));
    let rejected = |endpoint: Endpoint| {
        outcome.diagnoses.iter().any(|found| {
            let stopped = matches!(found.stage, Stage::Dns | Stage::Address);
            found.endpoint == endpoint && stopped && found.severity == acr_verifier::verdict::Severity::Fail
        })
    };
    // The token of an identity is requested while the names are resolved.
    let at_registry = |listener| !matches!(listener, Listener::Imds | Listener::Entra);
    let connections = bench.lab.all_connections();
    let is_connected = connections.iter().any(|connection| at_registry(connection.listener));
    if rejected(Endpoint::Login) && is_connected {
        violations.push("it connected although the login server's addresses were rejected".to_owned());
    }
    let configured = !bench.task.data_endpoints.is_empty();
    if rejected(Endpoint::Data) && !configured && bench.lab.connections(Listener::Data) > 0 {
        violations.push("it connected although the data endpoint's addresses were rejected".to_owned());
    }
    if bench.lab.all_connections().iter().any(|connection| matches!(connection.listener, Listener::Decoy(_)))
    {
        violations.push("it connected to a decoy address".to_owned());
    }
    violations.extend(identity_safety::violations(bench));
    let shown = outcome.shown(bench);
    for secret in bench.lab.secrets() {
        if secret.len() >= 8 && shown.contains(&secret) {
            violations.push(format!("a secret is shown: {secret}"));
        }
    }
    violations
}

/// Returns a violation if a request to the registry has headers that do not belong to its destination.
fn misplaced(request: &Request, has_token: bool) -> Option<String> {
    if matches!(request.listener, Listener::Imds | Listener::Entra) {
        return None;
    }
    let authorization = request.header("Authorization").unwrap_or_default();
    let scheme = authorization.split(' ').next().unwrap_or_default();
    let expected = match request.step {
        Some(Step::Challenge | Step::Exchange | Step::Blob) => "",
        // The password is in the form, or absent in an anonymous pull.
        Some(Step::Token) if request.method == "POST" || authorization.is_empty() => "",
        Some(Step::Token) => "Basic",
        // A registry that requires no token.
        Some(Step::BlobRedirect) if !has_token => "",
        Some(Step::Manifest | Step::BlobRedirect) => "Bearer",
        None => return Some(format!("a request that no pull makes: {} {}", request.method, request.target)),
    };
    let at_login = request.listener == Listener::Login;
    let is_for_login = matches!(request.step, Some(Step::Token | Step::Manifest | Step::BlobRedirect));
    let wrong_place = (is_for_login && !at_login) || (request.step == Some(Step::Blob) && at_login);
    let foreign =
        ["Referer", "Cookie", "Proxy-Authorization"].iter().any(|name| request.header(name).is_some());
    (scheme != expected || wrong_place || foreign).then(|| {
        format!("{:?} at {:?} carried `{scheme}`, foreign headers: {foreign}", request.step, request.listener)
    })
}

/// Decoys listen where a naive client would connect; the check must not.
#[test]
fn decoys_receive_no_connection() {
    let decoy = "127.0.0.44";
    let arrange = move |settings: &mut Settings| {
        settings.place.decoy_addresses = vec![decoy.parse().expect("an address")];
    };
    let to_decoy = move |settings: &mut Settings| {
        arrange(settings);
        settings.nameservers[0].login = View::Addresses(vec![decoy.parse().expect("an address")]);
    };
    let unexpected = &["fail login address unexpected_address"];
    let url = move |bench: &Bench| format!("https://{decoy}:{}/", bench.lab.port());
    let cases = [
        case("unexpected address", to_decoy, unexpected)
            .adjust(|bench| bench.task.policy.expected = vec!["127.0.0.2/31".parse().expect("a range")]),
        case("redirect to an IP literal", arrange, &["fail data blob untrusted_redirect"]).adjust(
            move |bench| {
                let target = Target::Url(url(bench));
                bench.lab.change(|settings| {
                    settings.answer(Step::BlobRedirect, Canned::Redirect { status: 307, target });
                });
            },
        ),
        case("second redirect", arrange, &["fail data blob untrusted_redirect"]).adjust(move |bench| {
            let target = Target::Url(url(bench));
            bench
                .lab
                .change(|settings| settings.answer(Step::Blob, Canned::Redirect { status: 307, target }));
        }),
        case("redirect of the token service", arrange, &["fail login token untrusted_redirect"]).adjust(
            move |bench| {
                let target = Target::Url(url(bench));
                bench.lab.change(|settings| {
                    settings.answer(Step::Token, Canned::Redirect { status: 307, target });
                });
            },
        ),
        case("realm at an IP literal", arrange, &["fail login challenge untrusted_realm"]).adjust(
            move |bench| {
                let challenge = format!("Bearer realm=\"{}\",service=\"contoso.azurecr.io\"", url(bench));
                let headers = vec![("WWW-Authenticate".to_owned(), challenge)];
                bench.lab.change(|settings| {
                    settings.answer(Step::Challenge, Canned::Raw { status: 401, headers, body: Vec::new() });
                });
            },
        ),
    ];
    for case in &cases {
        let (bench, outcome) = case.run();
        outcome.expect(&case.expected.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(violations(&bench, &outcome), Vec::<String>::new(), "{}", case.name);
    }
}

/// A password with all characters that a report rewrites.
const PASSWORD: &str = "pass word-and...'so' on";

/// A transformation of a text, with its name.
type Disguise = (&'static str, fn(&str) -> String);

/// Transformations that a report reverts to the original text: invisible and non-ASCII characters.
const DISGUISES: [Disguise; 7] = [
    ("as it is", str::to_owned),
    ("capitals", str::to_uppercase),
    ("a space without width", |text| with_inside(text, "\u{200b}")),
    ("a variation selector", |text| with_inside(text, "\u{fe0f}")),
    ("a colour", |text| with_inside(text, "\u{1b}[1m")),
    ("other spaces", |text| text.replace(' ', "\t")),
    ("signs of typographers", |text| {
        text.replace('-', "\u{2014}").replace("...", "\u{2026}").replace('\'', "\u{2019}")
    }),
];

fn with_inside(text: &str, inside: &str) -> String {
    let middle = text.floor_char_boundary(text.len() / 2);
    format!("{}{inside}{}", &text[..middle], &text[middle..])
}

/// Responses with a text in every field that can hold one.
fn answers_saying(text: &str) -> [Canned; 3] {
    let headers = |kind: &str| {
        let said = format!("Bearer realm=\"https://contoso.azurecr.io/\",error=\"{text}\"");
        // The lab writes headers verbatim; a line break would end the header.
        let said = said.replace(['\u{1b}', '\t'], "");
        vec![
            ("Content-Type".to_owned(), kind.to_owned()),
            ("X-Ms-Correlation-Request-Id".to_owned(), text.replace('\u{1b}', "")),
            ("WWW-Authenticate".to_owned(), said),
        ]
    };
    let json = serde_json::json!({"errors": [{"code": text, "message": text, "detail": null}]});
    let xml = format!("<?xml version=\"1.0\"?><Error><Code>{text}</Code></Error>");
    [
        Canned::Raw {
            status: 403,
            headers: headers("application/json"),
            body: json.to_string().into_bytes(),
        },
        Canned::Raw { status: 403, headers: headers("application/xml"), body: xml.into_bytes() },
        Canned::Raw {
            status: 200,
            headers: headers(&text.replace('\u{1b}', "")),
            body: manifest_saying(text),
        },
    ]
}

/// An index with a text as its only platform; as a configuration, it names the same platform.
fn manifest_saying(text: &str) -> Vec<u8> {
    let platform = serde_json::json!({"os": text, "architecture": text});
    let index = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{"mediaType": "", "digest": "", "size": 1, "platform": platform}],
    });
    index.to_string().into_bytes()
}

/// A hostile registry returns the secrets of this or an earlier check; none of them is shown.
#[test]
fn secrets_returned_by_a_registry_are_redacted() {
    let mut wrong = Vec::new();
    for step in Step::ALL {
        for (name, disguise) in DISGUISES {
            let bench = Bench::with(|settings| settings.credentials.password = PASSWORD.to_owned());
            let said: Vec<String> = bench.lab.secrets().iter().map(|secret| disguise(secret)).collect();
            let said = said.join(" ");
            for canned in answers_saying(&said) {
                bench.lab.change(|settings| settings.answer(step, canned.clone()));
                let outcome = bench.check();
                wrong.extend(
                    violations(&bench, &outcome).into_iter().map(|what| format!("{step:?}, {name}: {what}")),
                );
                if outcome.diagnoses.len() != 1 {
                    wrong.push(format!("{step:?}, {name}: {:?}", outcome.findings()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

/// A nameserver may cooperate with the registry; its text is shown even if nothing is sent.
#[test]
fn secrets_returned_by_a_nameserver_are_redacted() {
    for (name, disguise) in DISGUISES {
        for letters in [0, 280] {
            let bench = Bench::with(|settings| {
                settings.credentials.password = PASSWORD.to_owned();
                let text = format!("{}{}", "x".repeat(letters), disguise(PASSWORD));
                let error = ExtendedError { info_code: 22, text };
                settings.nameservers[0].behaviour = Behaviour::Rcode(Rcode::ServFail, Some(error));
            });
            let outcome = bench.check();
            outcome.expect(&["fail login dns dns_server_failure"]);
            assert_eq!(violations(&bench, &outcome), Vec::<String>::new(), "{name}");
            let shown = outcome.shown(&bench);
            assert!(!shown.contains("xpass wo"), "{name}: {shown}");
        }
    }
}

/// A registry other than ACR may serve blobs from any name below its own, but not from one that leaks a secret in a query.
#[test]
fn no_query_contains_a_secret() {
    let mut bench = Bench::with(|settings| {
        settings.place.suffix = "registry.example".to_owned();
        settings.credentials.password = "opensesame2".to_owned();
    });
    let (own, port) = (bench.lab.login_server(), bench.lab.port());
    for said in ["opensesame2", "a.openSESAME2.b", "open.sesame2", "x-opensesame2-x"] {
        let target = Target::Url(format!("https://{said}.{own}:{port}/x"));
        bench.lab.change(|settings| {
            settings.answer(Step::BlobRedirect, Canned::Redirect { status: 307, target });
        });
        let outcome = bench.check();
        outcome.expect(&["fail data blob untrusted_redirect"]);
        assert_eq!(violations(&bench, &outcome), Vec::<String>::new(), "{said}");
        let asked = bench.lab.queries();
        assert!(asked.iter().all(|query| query.name.trim_end_matches('.') == own), "{said}: {asked:?}");
    }
    bench.task.blob = false;
    bench.check().expect(&[]);
}
