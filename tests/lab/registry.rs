//! The login endpoint: challenge, token service, manifests, and the redirect of blobs.
//!
//! Owns the routing and the response of each step, including faults. `tokens.rs` owns tokens, `canned.rs` the error texts,
//! `http.rs` the delivery.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::form_urlencoded;

use super::answers::{Answer, Canned, ChallengeFault, RedirectFault, Step, Target, TokenFault};
use super::canned;
use super::challenges;
use super::exchange::{self, Caller};
use super::http::Incoming;
use super::links::{self, Subject};
use super::manifests;
use super::random;
use super::response::Response;
use super::settings::{Post, Settings};
use super::shared::Shared;
use super::tokens::{Access, TokenVerdict, parse_scope};

/// A token of one megabyte: far above any reasonable limit of a client.
const OVER_LONG_TOKEN: usize = 1 << 20;

/// The resource of a path.
pub enum Route<'a> {
    Base,
    Token,
    Exchange,
    Manifest { repository: &'a str, reference: &'a str },
    Blob { repository: &'a str, digest: &'a str },
    Nothing,
}

/// The step of a request at the login endpoint. A manifest request without authorization is the challenge, as for containerd.
pub fn step(request: &Incoming) -> Option<Step> {
    match route(request.path()) {
        Route::Base => Some(Step::Challenge),
        Route::Token => Some(Step::Token),
        Route::Exchange => Some(Step::Exchange),
        Route::Manifest { .. } if request.header("Authorization").is_none() => Some(Step::Challenge),
        Route::Manifest { .. } => Some(Step::Manifest),
        Route::Blob { .. } => Some(Step::BlobRedirect),
        Route::Nothing => None,
    }
}

/// The repository and the tag or digest of a request, empty if absent.
pub fn names(request: &Incoming) -> (&str, &str) {
    match route(request.path()) {
        Route::Manifest { repository, reference } => (repository, reference),
        Route::Blob { repository, digest } => (repository, digest),
        Route::Base | Route::Token | Route::Exchange | Route::Nothing => ("", ""),
    }
}

/// The URL that a client requested.
pub fn asked(shared: &Shared, request: &Incoming) -> String {
    format!("https://{}{}", service(shared), request.target)
}

/// Answers a request at the login endpoint.
pub fn respond(shared: &Shared, settings: &Settings, request: &Incoming) -> Response {
    let Some(step) = step(request) else { return not_found() };
    let asked = asked(shared, request);
    let (repository, digest) = names(request);
    let subject = Subject { repository, digest, asked: &asked };
    if let Some(canned) = canned(settings, step) {
        return canned::respond(shared, step, canned, &subject);
    }
    match route(request.path()) {
        Route::Base => base(shared, settings, request),
        Route::Token => token(shared, settings, request),
        Route::Exchange => exchange::respond(shared, settings, request),
        Route::Manifest { repository, reference } => guarded(shared, settings, request, repository)
            .unwrap_or_else(|| manifests::respond(shared, settings, request, repository, reference)),
        Route::Blob { repository, digest } => guarded(shared, settings, request, repository)
            .unwrap_or_else(|| blob(shared, settings, request, (repository, digest), &subject)),
        Route::Nothing => not_found(),
    }
}

fn canned(settings: &Settings, step: Step) -> Option<&Canned> {
    fn of<F>(answer: &Answer<F>) -> Option<&Canned> {
        if let Answer::Canned(canned) = answer { Some(canned) } else { None }
    }
    match step {
        Step::Challenge => of(&settings.challenge.answer),
        Step::Exchange => of(&settings.exchange.answer),
        Step::Token => of(&settings.token.answer),
        Step::Manifest => of(&settings.manifest.answer),
        Step::BlobRedirect => of(&settings.blob_redirect.answer),
        Step::Blob => of(&settings.blob.answer),
    }
}

/// Parses a path.
pub fn route(path: &str) -> Route<'_> {
    match path {
        "/v2/" | "/v2" => return Route::Base,
        "/oauth2/token" => return Route::Token,
        exchange::PATH => return Route::Exchange,
        _ => {}
    }
    let Some(rest) = path.strip_prefix("/v2/") else { return Route::Nothing };
    if let Some((repository, reference)) = rest.rsplit_once("/manifests/") {
        return Route::Manifest { repository, reference };
    }
    if let Some((repository, digest)) = rest.rsplit_once("/blobs/") {
        return Route::Blob { repository, digest };
    }
    Route::Nothing
}

/// ACR's body for `GET /`.
fn not_found() -> Response {
    Response::registry(404, "application/octet-stream", &[], b"not found".to_vec())
}

fn base(shared: &Shared, settings: &Settings, request: &Incoming) -> Response {
    match request.bearer() {
        // Any token of the registry is valid for `/v2/`, which needs no scope.
        Some(token) if shared.tokens.judge(token, &service(shared), "", "") != TokenVerdict::Invalid => {
            Response::registry_json(200, &[], "{}".into())
        }
        Some(_) => challenges::respond(shared, settings, None, Some("invalid_token")),
        // A scope map token is for the token service: Basic is not accepted here.
        None if request.header("Authorization").is_some() => challenges::refuse_basic(),
        None => challenges::respond(shared, settings, None, None),
    }
}

/// The rejection of a request without pull permission for the repository.
fn guarded(shared: &Shared, settings: &Settings, request: &Incoming, repository: &str) -> Option<Response> {
    let Some(token) = request.bearer() else {
        // A registry without tokens permits every pull.
        let open = settings.challenge.answer == Answer::Faulty(ChallengeFault::NoChallenge);
        return (!open).then(|| challenges::respond(shared, settings, Some(repository), None));
    };
    let error = match shared.tokens.judge(token, &service(shared), repository, "pull") {
        TokenVerdict::Good if exchange::is_rejected_at_manifest(shared, settings, token, repository) => {
            "insufficient_scope"
        }
        TokenVerdict::Good => return None,
        TokenVerdict::Invalid => "invalid_token",
        TokenVerdict::InsufficientScope => "insufficient_scope",
    };
    Some(challenges::respond(shared, settings, Some(repository), Some(error)))
}

/// The service name in challenges, and the audience of tokens.
pub fn service(shared: &Shared) -> String {
    shared.authority(&shared.place.login_server())
}

fn token(shared: &Shared, settings: &Settings, request: &Incoming) -> Response {
    if request.method == "POST" && settings.methods.post == Post::Unsupported {
        return Response::token_service(400, String::new());
    }
    let fault = if let Answer::Faulty(fault) = &settings.token.answer { Some(*fault) } else { None };
    let form = if request.method == "POST" { request.body.as_slice() } else { request.query().as_bytes() };
    let values = |wanted: &str| -> Vec<String> {
        form_urlencoded::parse(form)
            .filter(|(key, _)| key == wanted)
            .map(|(_, value)| value.into_owned())
            .collect()
    };
    let given = request.basic().or_else(|| {
        // Like containerd: a form with grant_type=password. No client sends a query with a password.
        let form = request.method == "POST" && values("grant_type") == ["password"];
        form.then(|| Some((values("username").pop()?, values("password").pop()?))).flatten()
    });
    let known = (settings.credentials.username.clone(), settings.credentials.password.clone());
    let anonymous = settings.credentials.anonymous && request.header("Authorization").is_none();
    let asked: Vec<Access> = values("scope").iter().flat_map(|scope| parse_scope(scope)).collect();
    let identity = given
        .as_ref()
        .and_then(|(username, password)| exchange::caller(shared, settings, (username, password), &asked));
    let granted = match identity {
        Some(Caller::Known(credentials)) => Some(credentials),
        Some(Caller::Refused) => None,
        None if given == Some(known) || (given.is_none() && anonymous) => Some(settings.credentials.clone()),
        None => None,
    };
    let Some(credentials) = granted.filter(|_| values("service") == [service(shared)]) else {
        return canned::unauthorized_at_token_service();
    };
    let token = shared.tokens.issue(&credentials, &service(shared), &asked, fault);
    shared.log.secrets.push(token.clone());
    let body = match fault {
        Some(TokenFault::NotJson) => "token granted".to_owned(),
        Some(TokenFault::NoToken) => r#"{"expires_in":4500}"#.to_owned(),
        Some(TokenFault::Empty) => r#"{"access_token":""}"#.to_owned(),
        Some(TokenFault::OverLong) => {
            format!(r#"{{"access_token":"{token}{}"}}"#, "A".repeat(OVER_LONG_TOKEN))
        }
        Some(TokenFault::LineBreak) => format!(r#"{{"access_token":"{token}\r\nX-Injected: yes"}}"#),
        Some(TokenFault::TokenKey) => format!(r#"{{"token":"{token}"}}"#),
        Some(
            TokenFault::Opaque
            | TokenFault::WithoutPull
            | TokenFault::OtherRepository
            | TokenFault::AccessMissing
            | TokenFault::Expired
            | TokenFault::OtherAudience
            | TokenFault::BadSignature,
        )
        | None => format!(r#"{{"access_token":"{token}"}}"#),
    };
    Response::token_service(200, body)
}

fn blob(
    shared: &Shared,
    settings: &Settings,
    request: &Incoming,
    (repository, digest): (&str, &str),
    subject: &Subject<'_>,
) -> Response {
    let Some(known) = shared.content.repository(repository) else { return canned::name_unknown(repository) };
    let Some(bytes) = known.blob(digest) else { return canned::blob_unknown(digest) };
    let to = |target: &Target| links::locate(shared, target, subject);
    let fault = if let Answer::Faulty(fault) = &settings.blob_redirect.answer { Some(fault) } else { None };
    match fault {
        None => canned::redirect(307, &to(&Target::DataEndpoint)),
        Some(RedirectFault::Target(target)) => canned::redirect(307, &to(target)),
        Some(RedirectFault::Status(status)) => canned::redirect(*status, &to(&Target::DataEndpoint)),
        Some(RedirectFault::NoLocation) => canned::redirect(307, "").without("Location"),
        Some(RedirectFault::Unparsable) => canned::redirect(307, "https://[not-an-address/?d="),
        Some(RedirectFault::OverLong) => {
            canned::redirect(307, &format!("{}&l={}", to(&Target::DataEndpoint), random::url_safe(48 << 10)))
        }
        Some(RedirectFault::ManyValues) => {
            let values = (1..=20).map(|count| format!("&a={}", "a".repeat(2_500 + count)));
            canned::redirect(307, &(to(&Target::DataEndpoint) + &values.collect::<String>()))
        }
        Some(RedirectFault::ViaLogin(times)) => {
            let hop = request.query().strip_prefix("hop=").and_then(|hop| hop.parse().ok()).unwrap_or(0);
            if hop >= *times {
                return canned::redirect(307, &to(&Target::DataEndpoint));
            }
            let base = subject.asked.split('?').next().unwrap_or_default();
            canned::redirect(307, &format!("{base}?hop={}", hop + 1))
        }
        Some(RedirectFault::ServedDirectly) => Response::registry(
            200,
            "application/octet-stream",
            &[("Docker-Content-Digest", digest.to_owned()), ("ETag", format!("\"{digest}\""))],
            bytes.to_vec(),
        ),
    }
}

impl Incoming {
    /// The token of a bearer authorization.
    pub fn bearer(&self) -> Option<&str> {
        self.header("Authorization")?.strip_prefix("Bearer ")
    }

    /// User name and password of a basic authorization.
    pub fn basic(&self) -> Option<(String, String)> {
        let encoded = self.header("Authorization")?.strip_prefix("Basic ")?;
        let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
        let (username, password) = text.split_once(':')?;
        Some((username.to_owned(), password.to_owned()))
    }
}
