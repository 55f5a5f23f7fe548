//! Lists of the API server, read page by page.
//!
//! Owns the limits on a list, what happens when a page is too long or the list expires, and the errors of the API server. A page is
//! held in memory only until the caller has processed it.

use std::time::Duration;

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{Request, StatusCode};
use kube::client::Body;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::{sleep, timeout};
use url::form_urlencoded;

use super::{Cluster, ClusterError, MAX_MESSAGE, describe, objects};
use crate::text::words::limit;

/// Timeout of one request to the API server: several times what a list of 500 nodes takes.
const CALL_LIMIT: Duration = Duration::from_secs(20);
/// Objects per page of a list. A node with many images and conditions has 40 kB, and a whole page is held in memory.
const PAGE: usize = 100;
/// Maximum pages of a list: 100,000 nodes, twenty times the largest AKS cluster, or 250,000 Pods.
const MAX_PAGES: usize = 1_000;
/// Maximum size of a page in bytes: several times the above.
const MAX_PAGE: usize = 16 << 20;
/// Default of [`Listing::restarts`].
pub(super) const RESTARTS: usize = 3;
/// Pause before a failed page is requested again.
const BETWEEN_ATTEMPTS: Duration = Duration::from_secs(1);

/// The requested resource, for the path and for the error if the request is denied.
pub(super) struct ApiResource<'names> {
    pub(super) resource: &'static str,
    pub(super) group: &'static str,
    pub(super) path: String,
    pub(super) namespace: Option<&'names str>,
}

/// Which objects of a resource to list, and how.
pub(super) struct Listing<'text> {
    pub(super) labels: Option<&'text str>,
    pub(super) fields: Option<&'text str>,
    /// Objects per page.
    pub(super) page: usize,
    /// Attempts for each page if the API server is unavailable.
    pub(super) attempts: usize,
    /// How often an expired list is restarted from its beginning, if the API server does not allow to continue it.
    pub(super) restarts: usize,
}

/// A page of a list.
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    /// Whether the list begins with this page: what earlier pages contained is obsolete.
    pub(super) is_first: bool,
}

/// Why there is no page.
enum PageError {
    /// The page exceeds the size limit.
    TooLong,
    /// The list is too old to continue; the API server may return a token with which the rest can be read.
    Expired(String),
    /// The API server is unavailable or overloaded, perhaps only for a moment.
    Unavailable(String),
    /// The same request would fail again.
    Failed(ClusterError),
}

/// The part of a Kubernetes `Status` that explains an error.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Refused {
    message: String,
    metadata: objects::ListMetadata,
}

impl Listing<'_> {
    /// Returns the path of a page of a list; the token of the first page is empty.
    fn path(&self, path: &str, size: usize, token: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("limit", &size.to_string());
        if let Some(labels) = self.labels {
            query.append_pair("labelSelector", labels);
        }
        if let Some(fields) = self.fields {
            query.append_pair("fieldSelector", fields);
        }
        if !token.is_empty() {
            query.append_pair("continue", token);
        }
        format!("{path}?{}", query.finish())
    }
}

impl Cluster {
    /// Reads a whole list.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        of: &ApiResource<'_>,
        labels: Option<&str>,
    ) -> Result<Vec<T>, ClusterError> {
        let mut objects = Vec::new();
        let listing = Listing { labels, fields: None, page: PAGE, attempts: 1, restarts: RESTARTS };
        self.each_page(of, &listing, |page| {
            if page.is_first {
                objects.clear();
            }
            objects.extend(page.items);
        })
        .await?;
        Ok(objects)
    }

    /// Reads a list and passes it on page by page.
    ///
    /// A page that is too long is requested again with half as many objects. A list that expires is continued with the API server's
    /// own token, as kubectl does, or read again from its beginning.
    pub(super) async fn each_page<T: DeserializeOwned>(
        &self,
        of: &ApiResource<'_>,
        listing: &Listing<'_>,
        mut take: impl FnMut(Page<T>),
    ) -> Result<(), ClusterError> {
        let (mut next, mut size) = (String::new(), listing.page);
        let (mut is_first, mut restarts, mut failures) = (true, 0, 0);
        for _ in 0..MAX_PAGES {
            let list: objects::List<T> = match self.page(of, listing.path(&of.path, size, &next)).await {
                Ok(list) => list,
                Err(PageError::TooLong) if size > 1 => {
                    size = size.div_ceil(2);
                    continue;
                }
                Err(PageError::TooLong) => {
                    let reason = format!("an object in its list of {} exceeds {MAX_PAGE} bytes", of.resource);
                    return Err(ClusterError::Unavailable(reason));
                }
                Err(PageError::Expired(token)) if !token.is_empty() => {
                    next = token;
                    continue;
                }
                Err(PageError::Expired(_)) if restarts < listing.restarts => {
                    restarts += 1;
                    (is_first, next) = (true, String::new());
                    continue;
                }
                Err(PageError::Expired(_)) => {
                    let reason = format!("its list of {} expired before it was complete", of.resource);
                    return Err(ClusterError::Unavailable(reason));
                }
                Err(PageError::Unavailable(reason)) if failures + 1 < listing.attempts => {
                    failures += 1;
                    tracing::warn!("attempt {failures} to list {} failed: {reason}", of.resource);
                    sleep(BETWEEN_ATTEMPTS).await;
                    continue;
                }
                Err(PageError::Unavailable(reason)) => return Err(ClusterError::Unavailable(reason)),
                Err(PageError::Failed(error)) => return Err(error),
            };
            failures = 0;
            take(Page { items: list.items, is_first });
            is_first = false;
            next = list.metadata.continue_token;
            if next.is_empty() {
                return Ok(());
            }
        }
        Err(ClusterError::Unavailable(format!("the list of {} exceeds {MAX_PAGES} pages", of.resource)))
    }

    async fn page<T: DeserializeOwned>(
        &self,
        of: &ApiResource<'_>,
        path: String,
    ) -> Result<objects::List<T>, PageError> {
        let request = Request::get(path).body(Body::empty());
        let request = request.map_err(|error| PageError::Unavailable(error.to_string()))?;
        let answered = timeout(CALL_LIMIT, async {
            let response = self.client.send(request).await;
            let response = response.map_err(|error| PageError::Unavailable(describe(&error)))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_PAGE).collect().await;
            let body = body.map_err(|error| match error.downcast_ref::<LengthLimitError>() {
                Some(_) => PageError::TooLong,
                None => PageError::Unavailable(error.to_string()),
            })?;
            Ok((status, body.to_bytes()))
        });
        let (status, body) = answered.await.map_err(|_elapsed| {
            PageError::Unavailable(format!("no response within {}", limit(CALL_LIMIT)))
        })??;
        if status == StatusCode::GONE {
            let refused: Refused = serde_json::from_slice(&body).unwrap_or_default();
            return Err(PageError::Expired(refused.metadata.continue_token));
        }
        if !status.is_success() {
            let is_passing = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
            let error = of.refusal("list", status, &body);
            return Err(match error {
                ClusterError::Unavailable(reason) if is_passing => PageError::Unavailable(reason),
                ClusterError::Unavailable(_)
                | ClusterError::Settings(_)
                | ClusterError::Forbidden { .. }
                | ClusterError::DaemonSet(_) => PageError::Failed(error),
            });
        }
        serde_json::from_slice(&body).map_err(|error| {
            let reason = format!("its list of {} cannot be parsed: {error}", of.resource);
            PageError::Failed(ClusterError::Unavailable(reason))
        })
    }
}

impl ApiResource<'_> {
    /// Returns the error for a response that is not a success.
    pub(super) fn refusal(&self, verb: &'static str, status: StatusCode, body: &[u8]) -> ClusterError {
        let refused: Refused = serde_json::from_slice(body).unwrap_or_default();
        let message = crate::text::sanitize::printable(&refused.message, MAX_MESSAGE);
        if status == StatusCode::FORBIDDEN {
            return ClusterError::Forbidden {
                verb,
                resource: self.resource,
                group: self.group,
                namespace: self.namespace.map(ToOwned::to_owned),
                message,
            };
        }
        if status == StatusCode::BAD_REQUEST {
            return ClusterError::Settings(format!("the API server rejected the request: {message}"));
        }
        ClusterError::Unavailable(format!("it responded with {} {message}", status.as_u16()))
    }
}
