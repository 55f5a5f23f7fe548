//! The first half of the `blob` stage: the login server's redirect to the data endpoint.
//!
//! Owns which redirects are followed. `probe::blob` reads the data endpoint's response.

use reqwest::header::{HeaderValue, LOCATION};
use url::Url;

use super::{
    Call, Failure, Fault, MAX_PAGE, MAX_REDIRECTS, Observation, Pull, Reply, Stage, at_blob, fail, headers,
    location_of,
};
use crate::probe::manifest::Descriptor;
use crate::probe::protocol::{self, Redirect};

/// The login server's response to a blob request.
pub(in crate::probe) enum BlobAnswer {
    /// The blob itself.
    Direct(Box<Reply>),
    /// A redirect to the signed URL of a data endpoint, or to another URL of its own.
    Redirected(Url),
}

impl Pull<'_> {
    /// Requests a blob from the login server, which redirects to the data endpoint or returns the blob itself. Redirects to its
    /// own name are followed, up to a limit.
    pub(in crate::probe) async fn blob(
        &mut self,
        bearer: Option<&HeaderValue>,
        descriptor: &Descriptor,
        observation: &mut Observation,
    ) -> Result<BlobAnswer, Failure> {
        let limit = self.session.clock.limit();
        let mut url =
            self.url(&format!("/v2/{}/blobs/{}", self.task.image.repository(), descriptor.digest))?;
        let mut asked = Vec::new();
        for _ in 0..=MAX_REDIRECTS {
            let call = Call::get(url.clone(), headers("*/*", bearer.cloned()));
            let reply = self.session.send_with_retries(Stage::Blob, call, limit, observation).await;
            match self.read_blob_answer(reply.map_err(at_blob)?, &url).await? {
                BlobAnswer::Redirected(next) if next.host_str() == Some(self.task.image.host()) => {
                    asked.push(std::mem::replace(&mut url, next));
                    if asked.contains(&url) {
                        return Err(fail(Stage::Blob, self.circle(&url)));
                    }
                }
                answer @ (BlobAnswer::Direct(_) | BlobAnswer::Redirected(_)) => return Ok(answer),
            }
        }
        Err(fail(Stage::Blob, self.circle(&url)))
    }

    /// The fault of a redirect loop.
    pub(in crate::probe) fn circle(&self, url: &Url) -> Fault {
        let target = self.redactor.show(&protocol::target_of(url));
        Fault::UntrustedRedirect { target, reason: "a redirect loop" }
    }

    /// Evaluates the response to a blob request.
    pub(in crate::probe) async fn read_blob_answer(
        &self,
        mut reply: Reply,
        asked: &Url,
    ) -> Result<BlobAnswer, Failure> {
        match reply.status {
            200..=299 => return Ok(BlobAnswer::Direct(Box::new(reply))),
            300..=399 => {}
            _ => return Err(at_blob(self.unhelpful(reply).await)),
        }
        let location = reply.headers.get(LOCATION).map(HeaderValue::as_bytes);
        let configured = &self.task.data_endpoints;
        let fault = match protocol::classify_redirect(&self.task.image, configured, asked, location) {
            Redirect::Data(url)
                if protocol::leaks_secret(&self.task.image, configured, &self.redactor, &url) =>
            {
                Fault::UntrustedRedirect {
                    target: self.redactor.show(&protocol::target_of(&url)),
                    reason: "a host outside the registry's own names",
                }
            }
            Redirect::Data(url) => {
                drop(reply.body(MAX_PAGE).await.map_err(at_blob)?);
                return Ok(BlobAnswer::Redirected(url));
            }
            Redirect::Storage(host) => Fault::StorageRedirect { host: self.redactor.show(&host) },
            Redirect::Untrusted { target, reason } => {
                let target = self.redactor.show_part(&location_of(&reply), &target);
                Fault::UntrustedRedirect { target, reason }
            }
            Redirect::Missing => Fault::NotARegistry {
                status: Some(reply.status),
                reason: "its blob redirect has no usable Location header".to_owned(),
            },
        };
        Err(fail(Stage::Blob, fault))
    }
}
