//! What shows on a node that a cause from the challenge to the blob is there, and that it is gone.

use super::Proof;

const CHALLENGE: &str = "curl -si --max-time 10 https://REGISTRY.azurecr.io/v2/";
/// Asks for the password at the terminal, so that it stands in no list of processes.
const TOKEN: &str = "TOKEN=$(curl -s --user USERNAME 'https://REGISTRY.azurecr.io/oauth2/token?service=REGISTRY.azurecr.io&scope=repository:REPOSITORY:pull' | \
                     sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')";
const GRANTED: &str = "curl -si --user USERNAME 'https://REGISTRY.azurecr.io/oauth2/token?service=REGISTRY.azurecr.io&scope=repository:REPOSITORY:pull' | head -1";
const MANIFEST: &str = "printf 'header = \"Authorization: Bearer %s\"' \"$TOKEN\" | curl -sK - -i -H 'Accept: application/vnd.oci.image.index.v1+json, \
                        application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, \
                        application/vnd.docker.distribution.manifest.v2+json' https://REGISTRY.azurecr.io/v2/REPOSITORY/manifests/TAG";
const BLOB: &str = "printf 'header = \"Authorization: Bearer %s\"' \"$TOKEN\" | \
                    curl -sK - -o /dev/null -D - https://REGISTRY.azurecr.io/v2/REPOSITORY/blobs/DIGEST";
const FETCHED: &str = "printf 'header = \"Authorization: Bearer %s\"' \"$TOKEN\" | \
                       curl -sLK - https://REGISTRY.azurecr.io/v2/REPOSITORY/blobs/DIGEST | sha256sum";
const DATA: &str = "dig REGISTRY.REGION.data.azurecr.io A";
const SECRET: &str =
    "kubectl get secret --namespace acr-verifier SECRET --output jsonpath='{.type}{\"\\n\"}'";
const GOOD_MANIFEST: &str =
    "HTTP status 200 and a manifest whose `Docker-Content-Digest` is the expected one.";

pub(super) const RESPONSE_TIMEOUT: Proof = Proof {
    confirm: &[
        CHALLENGE,
        "curl -so /dev/null --max-time 30 -w '%{time_connect} %{time_appconnect} %{time_total}\\n' https://REGISTRY.azurecr.io/v2/",
    ],
    shows: "No answer in ten seconds though the connection stands: the first number is small, the last is large.",
    mended: "HTTP status 401 well under a second.",
};
pub(super) const REGISTRY_ERROR: Proof = Proof {
    confirm: &[CHALLENGE],
    shows: "An HTTP status of 500 or above, or another refusal with an error code of its own such as `REGISTRY_DISALLOWED_OPERATION`, with the `X-Ms-Correlation-Request-Id` that support asks for.",
    mended: "HTTP status 401 with a `Www-Authenticate` header.",
};
pub(super) const THROTTLED: Proof = Proof {
    confirm: &[CHALLENGE],
    shows: "HTTP status 429 with `Retry-After`; words about a source registry are those of an artifact cache rule. Asking again \
            adds to the load.",
    mended: "HTTP status 401, and the checks end with a judgement again.",
};
pub(super) const ACCESS_DENIED: Proof = Proof {
    confirm: &[CHALLENGE, TOKEN, MANIFEST],
    shows: "HTTP status 403 with `DENIED` and `client with IP` in its message: the address is the public one that the request \
            came from.",
    mended: GOOD_MANIFEST,
};
pub(super) const NOT_A_REGISTRY: Proof = Proof {
    confirm: &[CHALLENGE],
    shows: "An answer without `Www-Authenticate: Bearer`, or a page of HTML: a proxy or another server speaks.",
    mended: "HTTP status 401 with `Www-Authenticate: Bearer realm=\"https://REGISTRY.azurecr.io/oauth2/token\"`.",
};
pub(super) const UNTRUSTED_REDIRECT: Proof = Proof {
    confirm: &[TOKEN, BLOB],
    shows: "A `Location` that is not HTTPS on port 443 at a name of the registry or of Azure's storage.",
    mended: "A `Location` at `REGISTRY.REGION.data.azurecr.io`.",
};
pub(super) const UNTRUSTED_REALM: Proof = Proof {
    confirm: &[CHALLENGE],
    shows: "A `realm` in `Www-Authenticate` at another host, port or scheme than the registry's. Send it no password.",
    mended: "A `realm` of `https://REGISTRY.azurecr.io/oauth2/token`.",
};
pub(super) const CREDENTIALS_MISSING: Proof = Proof {
    confirm: &[
        SECRET,
        "kubectl get secret --namespace acr-verifier SECRET --output jsonpath='{.data}' | grep -o '\"[^\"]*\":'",
    ],
    shows: "No such Secret, or keys that are not `.dockerconfigjson`, or `username` and `password`.",
    mended: "The Secret is there, and an entry of it is for the login server.",
};
pub(super) const CREDENTIALS_INVALID: Proof = Proof {
    confirm: &[
        SECRET,
        "kubectl get secret --namespace acr-verifier SECRET --output jsonpath='{.data.\\.dockerconfigjson}' | base64 -d | jq '.auths | keys'",
    ],
    shows: "`jq` refuses the document, or it has no `auths`.",
    mended: "The login server is one of the keys.",
};
pub(super) const CREDENTIALS_REJECTED: Proof = Proof {
    confirm: &[GRANTED],
    shows: "HTTP status 401, with the password of the Secret.",
    mended: "HTTP status 200.",
};
pub(super) const SCOPE_MISSING: Proof = Proof {
    confirm: &[TOKEN, MANIFEST],
    shows: "HTTP status 401 and `insufficient_scope`, though the token was granted.",
    mended: GOOD_MANIFEST,
};
pub(super) const TOKEN_REFUSED: Proof = Proof {
    confirm: &["date -u", TOKEN, MANIFEST],
    shows: "HTTP status 401 and `invalid_token`; a node whose time is wrong shows in the first line.",
    mended: GOOD_MANIFEST,
};
pub(super) const REPOSITORY_NOT_FOUND: Proof = Proof {
    confirm: &[TOKEN, MANIFEST],
    shows: "HTTP status 404 and `NAME_UNKNOWN`.",
    mended: GOOD_MANIFEST,
};
pub(super) const MANIFEST_NOT_FOUND: Proof = Proof {
    confirm: &[TOKEN, MANIFEST],
    shows: "HTTP status 404 and `MANIFEST_UNKNOWN`.",
    mended: GOOD_MANIFEST,
};
pub(super) const MANIFEST_QUARANTINED: Proof = Proof {
    confirm: &[TOKEN, MANIFEST],
    shows: "A refusal with `IMAGE_QUARANTINED`, or with words about the quarantine.",
    mended: GOOD_MANIFEST,
};
pub(super) const CACHE_RULE_FAILED: Proof = Proof {
    confirm: &[TOKEN, MANIFEST],
    shows: "A refusal whose message names the cache rule or its source registry; other repositories of the registry can be \
            pulled with the same token.",
    mended: GOOD_MANIFEST,
};
pub(super) const MANIFEST_INVALID: Proof = Proof {
    confirm: &[TOKEN, MANIFEST],
    shows: "HTTP status 200 with another `Content-Type` than the four that are accepted, a body of more than 4 MiB, a \
            `config.mediaType` that is not an image's, or JSON that the message of the check describes.",
    mended: GOOD_MANIFEST,
};
pub(super) const DIGEST_MISMATCH: Proof = Proof {
    confirm: &[TOKEN, FETCHED],
    shows: "Another sum than DIGEST: something on the way, or the storage, changes the content.",
    mended: "The sum is DIGEST.",
};
pub(super) const PLATFORM_MISSING: Proof = Proof {
    confirm: &["uname -sm", TOKEN, MANIFEST],
    shows: "An index without an entry for the node's `os` and `architecture`.",
    mended: "The index has an entry for it.",
};
pub(super) const PLATFORM_MISMATCH: Proof = Proof {
    confirm: &["uname -sm", TOKEN, FETCHED],
    shows: "Without the sum at its end, the last command prints the configuration (DIGEST is that of `config`): `os` and \
            `architecture` are not the node's. Pods of the image end with `exec format error`.",
    mended: "`os` and `architecture` are the node's.",
};
pub(super) const DATA_ENDPOINT_DISABLED: Proof = Proof {
    confirm: &[TOKEN, BLOB],
    shows: "HTTP status 307 with a `Location` at `*.blob.core.windows.net`.",
    mended: "HTTP status 307 with a `Location` at `REGISTRY.REGION.data.azurecr.io`.",
};
pub(super) const BLOB_NOT_FOUND: Proof = Proof {
    confirm: &[TOKEN, BLOB, FETCHED],
    shows: "HTTP status 404, from the registry or from where it redirects to.",
    mended: "The sum is DIGEST.",
};
pub(super) const BLOB_DENIED: Proof = Proof {
    confirm: &[TOKEN, BLOB, DATA],
    shows: "HTTP status 403 from where the registry redirects to; a public address of the data endpoint explains it.",
    mended: "The data endpoint has a private address, and the blob comes whole.",
};
pub(super) const CREDENTIALS_EXPIRING: Proof = Proof {
    confirm: &[
        "kubectl get secret --namespace acr-verifier SECRET --output jsonpath='{.data.expiresAt}' | base64 -d",
    ],
    shows: "A time less than 14 days away, there or under `credentials.expiresAt` of the configuration.",
    mended: "A later time, and a check that passes with the new password.",
};
pub(super) const CREDENTIALS_STALE_ENTRY: Proof = Proof {
    confirm: &[
        "kubectl get secret --namespace acr-verifier SECRET --output jsonpath='{.data.\\.dockerconfigjson}' | base64 -d | jq '.auths | keys'",
        GRANTED,
    ],
    shows: "More than one key matches the image, and HTTP status 401 with the user and password of the more specific one.",
    mended: "HTTP status 200 with every entry that matches.",
};
pub(super) const DEADLINE_EXCEEDED: Proof = Proof {
    confirm: &[
        "dig REGISTRY.azurecr.io A | grep 'Query time'",
        "curl -so /dev/null --max-time 30 -w '%{time_namelookup} %{time_connect} %{time_appconnect} %{time_total}\\n' https://REGISTRY.azurecr.io/v2/",
    ],
    shows: "Which step takes the time: the name, the connection, the handshake or the answer.",
    mended: "A total well under a second.",
};
