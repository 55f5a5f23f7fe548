//! The data endpoint's part of a check: follows the blob redirect and reads the blob.
//!
//! Owns the second round of stages, from the name of the data endpoint to the content of the blob. The name is checked like the
//! login server's; the endpoint receives only the signed URL.

use std::time::Duration;

use tokio::time::Instant;
use url::Url;

use super::manifest::{self, ImageManifest};
use super::registry::{BlobAnswer, Granted, MAX_REDIRECTS, Pull};
use super::resolve::Gate;
use super::session::{Reply, Session};
use super::{Stop, Task, blob, note_proxy};
use crate::observation::{Endpoint, Failure, Fault, Observation, PlatformMismatch, Stage};

/// Reads the blob: the redirect first, then the data endpoint, which has stages of its own.
pub(super) async fn read_blob(
    gate: &Gate<'_>,
    pull: &mut Pull<'_>,
    Granted { bearer, manifest }: &Granted,
    observation: &mut Observation,
) -> Result<(), Stop> {
    let descriptor = blob::select(manifest);
    let is_config = descriptor == &manifest.config;
    let started = Instant::now();
    let answer = pull.blob(bearer.as_ref(), descriptor, observation).await;
    let asking = started.elapsed();
    let (mut reply, host, asking) = match answer {
        Ok(BlobAnswer::Redirected(url)) => {
            let answer = follow(gate, url, pull, observation).await;
            let (reply, host) = answer.inspect_err(|stop| {
                if stop.is_at_blob() {
                    observation.mark(Endpoint::Data, Stage::Blob, asking);
                }
            })?;
            (reply, host, asking)
        }
        // No redirect: request and reply are timed as one.
        Ok(BlobAnswer::Direct(reply)) => (*reply, gate.task.image.host().to_owned(), Duration::ZERO),
        Err(failure) => {
            observation.mark(Endpoint::Data, Stage::Blob, asking);
            return Err(failure.into());
        }
    };
    let content = blob::read(&mut reply, descriptor, &host, is_config).await;
    // The data endpoint's time counts from after the handshake: earlier stages have their own timings.
    observation.mark(Endpoint::Data, Stage::Blob, asking + reply.sent_at().elapsed());
    let content = content.map_err(|failure| Failure { endpoint: Endpoint::Data, ..failure })?;
    observation.blob = Some(content.blob);
    let Some(config) = content.bytes else { return Ok(()) };
    let fault = check_configuration(gate.task, manifest, &config, observation).err();
    // The configuration was read as the blob, so its faults belong to the blob stage.
    fault.map_or(Ok(()), |fault| Err(Failure { endpoint: Endpoint::Data, stage: Stage::Blob, fault }.into()))
}

/// Follows a blob redirect to the data endpoint, and any further redirect within the registry's own names.
async fn follow(
    gate: &Gate<'_>,
    mut url: Url,
    pull: &Pull<'_>,
    observation: &mut Observation,
) -> Result<(Reply, String), Stop> {
    for _ in 0..=MAX_REDIRECTS {
        let host = url.host_str().unwrap_or_default().to_owned();
        let reply = ask_data_endpoint(gate, (url.clone(), &host), pull, observation).await?;
        let answer = pull.read_blob_answer(reply, &url).await.map_err(|mut failure| {
            // Not a sign of disabled data endpoints: this host is one.
            if let Fault::StorageRedirect { host } = failure.fault {
                let (target, reason) = (format!("https://{host}"), "a host outside the registry's own names");
                failure.fault = Fault::UntrustedRedirect { target, reason };
            }
            failure
        });
        match answer? {
            BlobAnswer::Direct(reply) => return Ok((*reply, host)),
            // The login server already redirected here: a loop.
            BlobAnswer::Redirected(next) if next.host_str() == Some(gate.task.image.host()) => break,
            BlobAnswer::Redirected(next) => url = next,
        }
    }
    let fault = pull.circle(&url);
    Err(Failure { endpoint: Endpoint::Data, stage: Stage::Blob, fault }.into())
}

/// Requests the blob from the data endpoint. Its name is checked like the login server's; it receives only the signed URL.
async fn ask_data_endpoint(
    gate: &Gate<'_>,
    (url, host): (Url, &str),
    pull: &Pull<'_>,
    observation: &mut Observation,
) -> Result<Reply, Stop> {
    let task = gate.task;
    // The redirect succeeded: later failures belong to another server.
    observation.correlation_id = None;
    note_proxy(task, Endpoint::Data, host, observation);
    let addresses = gate.resolve(Endpoint::Data, host, observation).await?;
    let mut session =
        Session::new(Endpoint::Data, host, task.image.port(), &addresses, &task.trust, gate.clock);
    let started = Instant::now();
    let reply = blob::fetch(&mut session, url, task.now, &pull.redactor, observation).await;
    reply.map_err(|failure| {
        if failure.stage == Stage::Blob {
            let taken = started.elapsed().saturating_sub(observation.connecting(Endpoint::Data));
            observation.mark(Endpoint::Data, Stage::Blob, taken);
        }
        failure.into()
    })
}

/// Validates an image's configuration as containerd does, and compares its platform with the node's.
///
/// An index entry without a platform takes it from the configuration, and containerd rejects a different one. In all other
/// cases containerd does not compare the two: the image is pulled but cannot run.
pub(super) fn check_configuration(
    task: &Task,
    manifest: &ImageManifest,
    config: &[u8],
    observation: &mut Observation,
) -> Result<(), Fault> {
    let read = manifest::read_configuration(manifest, config);
    let found = read.map_err(|reason| Fault::ManifestInvalid { reason })?.platform;
    let is_unnamed_entry = observation
        .manifest
        .as_ref()
        .is_some_and(|manifest| manifest::is_index(&manifest.media_type) && manifest.platform.is_none());
    let wanted = task.platform.to_string();
    if is_unnamed_entry && task.platform.rank(&found).is_none() {
        return Err(Fault::PlatformMissing { wanted, found: vec![found.display_name()] });
    }
    if task.platform.rank(&found.plain()).is_none() {
        observation.platform_mismatch = Some(PlatformMismatch { wanted, found: found.display_name() });
    }
    if let Some(manifest) = &mut observation.manifest {
        manifest.platform.get_or_insert_with(|| found.plain().display_name());
    }
    Ok(())
}
