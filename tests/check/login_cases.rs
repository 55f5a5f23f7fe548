//! Challenges, credentials and tokens, and responses that can occur at any step.

use super::{Bench, Case, case, files_of};
use lab::answers::{Canned, ChallengeFault, FirewallWording, RetryAfter, Step, Target, TokenFault};
use lab::settings::Grant;

/// Writes the files of a secret and configures the task to read them.
fn secret(bench: &mut Bench, files: &[(&str, &str)]) {
    let folder = bench.lab.folder().join("own-secret");
    std::fs::create_dir_all(&folder).expect("a folder");
    for (name, text) in files {
        std::fs::write(folder.join(name), text).expect("a file");
    }
    files_of(&mut bench.task.credentials).paths = vec![folder];
}

fn challenge(fault: ChallengeFault, expected: &[&str]) -> Case {
    case(format!("{fault:?}"), move |settings| settings.challenge.answer = fault.clone().into(), expected)
}

fn token(fault: TokenFault, expected: &[&str]) -> Case {
    case(format!("{fault:?}"), move |settings| settings.token.answer = fault.into(), expected)
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(challenges());
    cases.extend(credentials());
    cases.extend(tokens());
    for step in Step::ALL {
        cases.extend(answers_anywhere(step));
    }
    cases
}

fn challenges() -> Vec<Case> {
    let foreign = &["fail login challenge not_a_registry"];
    let realm = &["fail login challenge untrusted_realm"];
    vec![
        // The registry requires no token, and containerd sends none.
        challenge(ChallengeFault::NoChallenge, &[]),
        challenge(ChallengeFault::HeaderMissing, foreign),
        challenge(ChallengeFault::BasicOnly, foreign),
        challenge(ChallengeFault::Unparsable, foreign),
        challenge(ChallengeFault::OverLong, foreign),
        challenge(ChallengeFault::RealmMissing, foreign),
        challenge(ChallengeFault::RealmUnparsable, realm),
        challenge(ChallengeFault::RealmOtherHost, realm),
        challenge(ChallengeFault::RealmLookalike, realm),
        challenge(ChallengeFault::RealmOtherPort, realm),
        challenge(ChallengeFault::RealmPlainHttp, realm),
        challenge(ChallengeFault::RealmAddress, realm),
        challenge(ChallengeFault::RealmUserInfo, realm),
        challenge(ChallengeFault::BasicAndBearer, &[]),
        challenge(ChallengeFault::RealmWithQuery, &[]),
        challenge(ChallengeFault::VersionHeaderMissing, &[]),
        // The first challenge is used, and its realm is the registry's own.
        challenge(ChallengeFault::Duplicate, &[]),
        // The last of a duplicate parameter is used, as in Go.
        challenge(ChallengeFault::DuplicateParameter, realm),
        case(
            "redirect at the challenge",
            |settings| {
                let target = Target::ForeignHost;
                settings.answer(Step::Challenge, Canned::Redirect { status: 302, target });
            },
            foreign,
        ),
    ]
}

fn credentials() -> Vec<Case> {
    let missing = &["fail login token credentials_missing"];
    let invalid = &["fail login token credentials_invalid"];
    let rejected = &["fail login token credentials_rejected"];
    let expiring = &["warn login token credentials_expiring"];
    let in_days = |days: i64| jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * days);
    vec![
        case("no credentials", |_| {}, missing)
            .adjust(|bench| files_of(&mut bench.task.credentials).paths.clear()),
        case("absent credentials", |_| {}, missing).adjust(|bench| {
            files_of(&mut bench.task.credentials).paths = vec![bench.lab.folder().join("absent")];
        }),
        case("an entry for another registry", |_| {}, missing).adjust(|bench| {
            let text =
                r#"{"auths": {"fabrikam.azurecr.io": {"username": "a-user", "password": "a-password"}}}"#;
            secret(bench, &[(".dockerconfigjson", text)]);
        }),
        case("not JSON", |_| {}, invalid).adjust(|bench| secret(bench, &[(".dockerconfigjson", "{")])),
        case("a user name without a password", |_| {}, invalid)
            .adjust(|bench| secret(bench, &[("username", "canary-token")])),
        case("wrong password", |_| {}, rejected)
            .adjust(|bench| secret(bench, &[("username", "canary-token"), ("password", "wrong-password")])),
        case(
            "the service principal's wording",
            |settings| settings.answer(Step::Token, Canned::InvalidClient),
            rejected,
        ),
        case("files of a mounted secret", |_| {}, &[])
            .adjust(|bench| files_of(&mut bench.task.credentials).paths = vec![bench.lab.secret_folder()]),
        case("expires in 13 days", |_| {}, expiring)
            .adjust(move |bench| files_of(&mut bench.task.credentials).expires_at = Some(in_days(13))),
        case("expired yesterday and still works", |_| {}, expiring)
            .adjust(move |bench| files_of(&mut bench.task.credentials).expires_at = Some(in_days(-1))),
        case("expires in 15 days", |_| {}, &[])
            .adjust(move |bench| files_of(&mut bench.task.credentials).expires_at = Some(in_days(15))),
        case("expired yesterday and is rejected", |_| {}, rejected).adjust(move |bench| {
            files_of(&mut bench.task.credentials).expires_at = Some(in_days(-1));
            secret(bench, &[("username", "canary-token"), ("password", "wrong-password")]);
        }),
    ]
}

fn tokens() -> Vec<Case> {
    let foreign = &["fail login token not_a_registry"];
    let scope = &["fail login manifest scope_missing"];
    let refused = &["fail login manifest token_refused"];
    vec![
        token(TokenFault::NotJson, foreign),
        token(TokenFault::NoToken, foreign),
        token(TokenFault::Empty, foreign),
        token(TokenFault::OverLong, foreign),
        token(TokenFault::LineBreak, foreign),
        token(TokenFault::Opaque, &[]),
        token(TokenFault::TokenKey, &[]),
        token(TokenFault::WithoutPull, scope),
        token(TokenFault::OtherRepository, scope),
        case(
            "a token without pull, and a 403 without a reason",
            |settings| {
                settings.token.answer = TokenFault::WithoutPull.into();
                settings.answer(Step::Manifest, Canned::PermissionsFailed);
            },
            scope,
        ),
        case(
            "a token without pull, and a firewall",
            |settings| {
                settings.token.answer = TokenFault::WithoutPull.into();
                settings.answer(Step::Manifest, Canned::Firewall(FirewallWording::Refer));
            },
            &["fail login manifest access_denied"],
        ),
        token(TokenFault::AccessMissing, scope),
        token(TokenFault::Expired, refused),
        token(TokenFault::OtherAudience, refused),
        token(TokenFault::BadSignature, refused),
        case(
            "a scope map without the repository",
            |settings| settings.credentials.grant = Grant::Repositories(vec!["apps/other".into()]),
            scope,
        ),
    ]
}

/// ACR's exact response if an operation is disabled.
fn disallowed() -> Canned {
    let body = r#"{"errors":[{"code":"REGISTRY_DISALLOWED_OPERATION","message":"operation is disallowed on the registry, for more info please visit https://aka.ms/acr/faq/pushorpulldisallowed"}]}"#;
    let headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
    Canned::Raw { status: 405, headers, body: body.as_bytes().to_vec() }
}

/// Responses that can occur at any step, with the same meaning at each.
fn answers_anywhere(step: Step) -> Vec<Case> {
    let place = match step {
        Step::Challenge => "login challenge",
        Step::Exchange | Step::Token => "login token",
        Step::Manifest => "login manifest",
        Step::BlobRedirect | Step::Blob => "data blob",
    };
    let with = |canned: Canned, cause: &str| {
        let severity = if cause == "throttled" { "unknown" } else { "fail" };
        let expected = format!("{severity} {place} {cause}");
        case(
            format!("{canned:?} at {step:?}"),
            move |settings| settings.answer(step, canned.clone()),
            &[&expected],
        )
    };
    let [denied, failed] =
        if step == Step::Blob { ["blob_denied"; 2] } else { ["access_denied", "registry_error"] };
    let mut cases = vec![
        with(Canned::Throttled(RetryAfter::Seconds(7)), "throttled"),
        with(Canned::Throttled(RetryAfter::Date(30)), "throttled"),
        with(Canned::Throttled(RetryAfter::None), "throttled"),
        with(Canned::ServerError(500), "registry_error"),
        with(Canned::ServerError(503), "registry_error"),
        with(Canned::BadGateway, "not_a_registry"),
        with(Canned::ProxyForbidden, "not_a_registry"),
        with(disallowed(), "registry_error"),
        with(Canned::PermissionsFailed, failed),
    ];
    for wording in FirewallWording::ALL {
        cases.push(with(Canned::Firewall(wording), denied));
    }
    cases.push(with(Canned::CaptivePortal, "not_a_registry"));
    cases
}
