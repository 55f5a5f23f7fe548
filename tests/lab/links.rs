//! Redirect targets: signed links in ACR's format, and all targets that must not be followed.
//!
//! Creates and verifies links.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use url::form_urlencoded;

use super::answers::Target;
use super::random;
use super::shared::Shared;

/// Maximum number of valid links; the oldest ones are dropped.
const MOST_LINKS: usize = 10_000;

/// A link that the data endpoint accepts.
#[derive(Debug)]
struct Link {
    digest: String,
    repository: String,
    payload: String,
    signature: String,
}

/// The issued links, oldest first.
#[derive(Debug, Default)]
pub struct Links(Mutex<VecDeque<Link>>);

impl Links {
    fn push(&self, link: Link) {
        let mut links = self.lock();
        if links.len() == MOST_LINKS {
            links.pop_front();
        }
        links.push_back(link);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Link>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The repository and digest of a query, if the lab signed it.
    pub fn resolve(&self, query: &str) -> Option<(String, String)> {
        let value = |wanted: &str| {
            form_urlencoded::parse(query.as_bytes())
                .find(|(key, _)| key == wanted)
                .map(|(_, value)| value.into_owned())
        };
        // Storage links have their digest in the path, so only the signature identifies them.
        let parts = || Some((value("d")?, value("p")?, value("s")?));
        let (digest, payload, signature) = match value("sig") {
            Some(signature) => (None, String::new(), signature),
            None => parts().map(|(digest, payload, signature)| (Some(digest), payload, signature))?,
        };
        let links = self.lock();
        // It is nearly always one of the newest.
        let link = links.iter().rev().find(|link| {
            digest.as_ref().is_none_or(|digest| link.digest == *digest)
                && link.payload == payload
                && link.signature == signature
        })?;
        Some((link.repository.clone(), link.digest.clone()))
    }
}

/// The subject of a redirect.
pub struct Subject<'a> {
    pub repository: &'a str,
    pub digest: &'a str,
    /// The requested URL.
    pub asked: &'a str,
}

/// The `Location` for a target.
pub fn locate(shared: &Shared, target: &Target, subject: &Subject<'_>) -> String {
    let place = &shared.place;
    let data = place.data_endpoint();
    let at = shared.authority(&data);
    let query = || signed_query(shared, subject);
    match target {
        Target::DataEndpoint => format!("https://{at}/?{}", query()),
        Target::DataEndpointOldForm => format!("https://{at}?{}", query()),
        Target::PlainHttp => format!("http://{at}/?{}", query()),
        Target::OtherPort => format!("https://{data}:{}/?{}", shared.port ^ 1, query()),
        Target::Loopback => format!("https://127.0.0.1/?{}", query()),
        Target::Metadata => format!("http://169.254.169.254/metadata/instance?{}", query()),
        Target::DataAddress => {
            format!("https://{}/?{}", shared.authority(&place.data_address.to_string()), query())
        }
        Target::ForeignHost => {
            format!("https://{}/?{}", shared.authority("layers.fabrikam.example"), query())
        }
        Target::Lookalike => {
            format!("https://{}/?{}", shared.authority(&format!("{data}.fabrikam.example")), query())
        }
        Target::UserInfo => format!("https://contoso:secret@{at}/?{}", query()),
        Target::OtherRegistry => {
            let other = format!("fabrikam.{}.data.{}", place.region, place.suffix);
            format!("https://{}/?{}", shared.authority(&other), query())
        }
        Target::Itself => subject.asked.to_owned(),
        Target::BlobStorage => storage(shared, subject),
        Target::Region(region) => {
            format!("https://{}/?{}", shared.authority(&place.data_endpoint_of(region)), query())
        }
        Target::Url(url) => url.clone(),
    }
}

/// `t`, `h`, `c`, `r`, `d`, `p`, `s`, `v` in ACR's format; `p` and `s` have the recorded length.
fn signed_query(shared: &Shared, subject: &Subject<'_>) -> String {
    let link = Link {
        digest: subject.digest.to_owned(),
        repository: subject.repository.to_owned(),
        payload: random::url_safe(480),
        signature: random::url_safe(256),
    };
    let tenant = random::hex(20);
    for secret in [&tenant, &link.payload, &link.signature] {
        shared.log.secrets.push(secret.clone());
    }
    let query = format!(
        "t={tenant}&h={}&c={}&r={}&d={}&p={}&s={}&v=1",
        shared.place.login_server(),
        random::guid(),
        subject.repository,
        subject.digest,
        link.payload,
        link.signature,
    );
    shared.links.push(link);
    query
}

fn storage(shared: &Shared, subject: &Subject<'_>) -> String {
    let signature = random::url_safe(32);
    shared.log.secrets.push(signature.clone());
    shared.links.push(Link {
        digest: subject.digest.to_owned(),
        repository: subject.repository.to_owned(),
        payload: String::new(),
        signature: format!("{signature}="),
    });
    let digest = subject.digest.trim_start_matches("sha256:");
    let domain = match shared.place.suffix.rsplit('.').next() {
        Some("us") => "core.usgovcloudapi.net",
        Some("cn") => "core.chinacloudapi.cn",
        _ => "core.windows.net",
    };
    let registry = random::hex(16).to_lowercase();
    format!(
        "https://weureplstore28.blob.{domain}/{}-{registry}-{}//docker/registry/v2/blobs/sha256/{}/{digest}/data\
         ?se=2026-11-23T03%3A15%3A41Z&sig={signature}%3D&sp=r&spr=https&sr=b&sv=2018-03-28&regid={registry}",
        digest.get(..16).unwrap_or(digest),
        random::hex(5).to_lowercase(),
        digest.get(..2).unwrap_or(digest),
    )
}
