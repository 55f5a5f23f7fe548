//! Reads the claims of tokens, without verifying their signatures: their receivers do that.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::EntraToken;
use crate::config::value::is_guid;
use crate::observation::{Identity, IdentityKind};
use crate::secret::Secret;

/// Maximum length of a token in bytes; those of Entra ID and ACR have about 1,500.
const MAX_TOKEN: usize = 16 * 1024;
/// Maximum length of an Azure resource id.
const MAX_RESOURCE_ID: usize = 512;

/// The claims of Entra ID's token for an application.
#[derive(Deserialize)]
struct EntraClaims {
    tid: Option<String>,
    appid: Option<String>,
    azp: Option<String>,
    xms_mirid: Option<String>,
}

/// The claims of ACR's refresh token.
#[derive(Deserialize)]
struct RefreshClaims {
    permissions: Option<Permissions>,
}

#[derive(Deserialize)]
struct Permissions {
    #[serde(alias = "Actions", default)]
    actions: Vec<String>,
}

/// Accepts a token of Entra ID, and takes from its claims whose it is. `tenant` is used if the token names none.
pub(super) fn evaluate(
    token: String,
    tenant: Option<&str>,
    identity: &mut Identity,
) -> Result<EntraToken, &'static str> {
    check(&token)?;
    let claims = claims::<EntraClaims>(&token);
    let tid = claims.as_ref().and_then(|claims| claims.tid.clone()).filter(|tid| is_guid(tid));
    if let Some(claims) = claims {
        let client_id = claims.appid.or(claims.azp).filter(|id| is_guid(id));
        identity.client_id = client_id.or(identity.client_id.take());
        identity.resource_id =
            claims.xms_mirid.filter(|id| identity.kind == IdentityKind::Managed && is_resource_id(id));
    }
    let tenant_id = tid.or_else(|| tenant.map(str::to_owned)).ok_or("its token names no tenant")?;
    Ok(EntraToken { token: Secret::new(token), tenant_id })
}

/// Parses the response of the exchange.
pub(in crate::probe) fn read_refresh_token(body: &[u8]) -> Result<Secret, &'static str> {
    #[derive(Deserialize)]
    struct Body {
        refresh_token: String,
    }
    let Body { refresh_token } =
        serde_json::from_slice(body).map_err(|_| "its exchange response contains no refresh token")?;
    check(&refresh_token)?;
    Ok(Secret::new(refresh_token))
}

/// The actions that a refresh token allows, unless they include `read`; `None` for a registry that assigns roles by
/// repository (ABAC), whose refresh tokens name none, and for an opaque token.
pub(in crate::probe) fn is_read_allowed(token: &Secret) -> Option<Result<(), Vec<String>>> {
    let actions = claims::<RefreshClaims>(token.expose())?.permissions?.actions;
    Some(if actions.iter().any(|action| action == "read") { Ok(()) } else { Err(actions) })
}

/// Whether a refresh token shows that its registry assigns roles by repository (ABAC); an opaque token does not say.
pub(in crate::probe) fn is_by_repository(token: &Secret) -> Option<bool> {
    claims::<RefreshClaims>(token.expose()).map(|claims| claims.permissions.is_none())
}

/// Accepts what can be sent in a header: the characters of RFC 6750's b64token.
fn check(token: &str) -> Result<(), &'static str> {
    if token.is_empty() {
        return Err("its token is empty");
    }
    if token.len() > MAX_TOKEN {
        return Err("its token is too long");
    }
    if !token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)) {
        return Err("its token contains invalid characters");
    }
    Ok(())
}

/// The payload of a JWT.
fn claims<Claims: DeserializeOwned>(token: &str) -> Option<Claims> {
    let payload = token.split('.').nth(1)?;
    let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&payload).ok()
}

/// Whether a text has the form of an Azure resource id, so that it is safe in a message and a command.
fn is_resource_id(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-()".contains(&byte);
    text.len() <= MAX_RESOURCE_ID && text.starts_with("/subscriptions/") && text.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::{evaluate, is_by_repository, is_read_allowed, read_refresh_token};
    use crate::observation::{Identity, IdentityKind};
    use crate::secret::Secret;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
    const CLIENT: &str = "3fa85f64-5717-4562-b3fc-2c963f66afa6";

    fn jwt(claims: &str) -> String {
        format!("eyJhbGciOiJub25lIn0.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn a_token_names_tenant_client_and_resource() {
        let resource = "/subscriptions/1/resourcegroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/agentpool";
        let claims = format!(r#"{{"tid":"{TENANT}","appid":"{CLIENT}","xms_mirid":"{resource}"}}"#);
        let mut identity = Identity::new(IdentityKind::Managed, None);
        let token = evaluate(jwt(&claims), None, &mut identity).expect("a token");
        assert_eq!(token.tenant_id, TENANT);
        assert_eq!(
            (identity.client_id.as_deref(), identity.resource_id.as_deref()),
            (Some(CLIENT), Some(resource))
        );
    }

    #[test]
    fn a_token_without_tenant_needs_a_known_one() {
        let mut identity = Identity::new(IdentityKind::Workload, Some(CLIENT.to_owned()));
        for token in ["opaque".to_owned(), jwt("{}"), jwt(r#"{"tid":"../../common"}"#)] {
            assert_eq!(evaluate(token.clone(), None, &mut identity).err(), Some("its token names no tenant"));
            assert_eq!(evaluate(token, Some(TENANT), &mut identity).expect("a token").tenant_id, TENANT);
        }
        assert_eq!(identity.client_id.as_deref(), Some(CLIENT));
        for (token, problem) in [
            (String::new(), "its token is empty"),
            ("a\r\nb".to_owned(), "its token contains invalid characters"),
            ("a".repeat(20_000), "its token is too long"),
        ] {
            assert_eq!(evaluate(token, Some(TENANT), &mut identity).err(), Some(problem));
        }
    }

    #[test]
    fn only_a_refresh_token_with_actions_can_lack_read() {
        for (claims, expected) in [
            (r#"{"permissions":{"actions":["read","write"]}}"#, Some(Ok(()))),
            (r#"{"permissions":{"Actions":["read"]}}"#, Some(Ok(()))),
            (r#"{"permissions":{"actions":["write"]}}"#, Some(Err(vec!["write".to_owned()]))),
            (r#"{"permissions":{}}"#, Some(Err(Vec::new()))),
            (r#"{"sub":"abac"}"#, None),
        ] {
            assert_eq!(is_read_allowed(&Secret::new(jwt(claims))), expected, "{claims}");
        }
        let opaque = Secret::new("opaque".to_owned());
        assert_eq!((is_read_allowed(&opaque), is_by_repository(&opaque)), (None, None));
        assert_eq!(is_by_repository(&Secret::new(jwt(r#"{"sub":"abac"}"#))), Some(true));
        assert_eq!(
            is_by_repository(&Secret::new(jwt(r#"{"permissions":{"actions":["read"]}}"#))),
            Some(false)
        );
        assert!(read_refresh_token(br#"{"refresh_token":"a.b.c"}"#).is_ok());
        for body in [&b"{}"[..], b"token", br#"{"refresh_token":""}"#, br#"{"refresh_token":"a b"}"#] {
            assert!(read_refresh_token(body).is_err());
        }
    }
}
