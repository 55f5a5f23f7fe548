//! The Event publisher on the real API server: visible in `kubectl`, retrying, and never blocking.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use acr_verifier::cause::Cause;
use acr_verifier::diagnosis::Diagnosis;
use acr_verifier::events::event::{Pod, Reporter};
use acr_verifier::events::{self, Publisher};
use acr_verifier::observation::{Endpoint, Stage};
use acr_verifier::transition::{Announcement, Change, EventResult};
use acr_verifier::verdict::Severity;
use jiff::Timestamp;
use kube::Config;
use kube::config::{
    AuthInfo, Cluster, Context, KubeConfigOptions, Kubeconfig, NamedAuthInfo, NamedCluster, NamedContext,
};
use serde_json::Value;

use super::proxy::{Fault, FaultProxy};
use super::server::{ApiServer, NODE};

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A publisher for a URL and its counted results.
struct PublishTask {
    publisher: Publisher,
    counted: Arc<Mutex<Vec<EventResult>>>,
}

impl PublishTask {
    async fn new(server: &ApiServer, url: String) -> Self {
        let cluster = Cluster {
            server: Some(url),
            certificate_authority: Some(server.ca_file().to_string_lossy().into_owned()),
            ..Cluster::default()
        };
        let user =
            AuthInfo { token: Some(server.service_account_token().to_owned().into()), ..AuthInfo::default() };
        let context = Context { cluster: "c".to_owned(), user: Some("u".to_owned()), ..Context::default() };
        let kubeconfig = Kubeconfig {
            clusters: vec![NamedCluster {
                name: "c".to_owned(),
                cluster: Some(cluster),
                ..NamedCluster::default()
            }],
            auth_infos: vec![NamedAuthInfo {
                name: "u".to_owned(),
                auth_info: Some(user),
                ..NamedAuthInfo::default()
            }],
            contexts: vec![NamedContext {
                name: "x".to_owned(),
                context: Some(context),
                ..NamedContext::default()
            }],
            current_context: Some("x".to_owned()),
            ..Kubeconfig::default()
        };
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
        let counted = Arc::new(Mutex::new(Vec::new()));
        let counting = Arc::clone(&counted);
        let pod = Pod { name: "acr-verifier-x7k2p".into(), namespace: "acr-verifier".into(), uid: None };
        let reporter = Reporter {
            node: NODE.to_owned(),
            pod: Some(pod),
            network_view: acr_verifier::run::NetworkView::Node,
        };
        let count = move |result| counting.lock().expect("nobody panicked").push(result);
        let (publisher, work) =
            events::prepare(config.expect("a configuration"), reporter, count).expect("a client");
        tokio::spawn(work);
        Self { publisher, counted }
    }

    fn count(&self, result: EventResult) -> usize {
        self.counted.lock().expect("nobody panicked").iter().filter(|counted| **counted == result).count()
    }

    async fn wait_for(&self, result: EventResult, count: usize) {
        let started = Instant::now();
        while self.count(result) < count {
            assert!(started.elapsed() < PATIENCE, "{:?}", self.counted.lock());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Queues an announcement and asserts that this does not block.
    fn publish(&self, announcement: Announcement) {
        let started = Instant::now();
        self.publisher.publish(announcement).expect("the task is there");
        assert!(started.elapsed() < Duration::from_millis(50), "{:?}", started.elapsed());
    }
}

fn failing(repository: &str, message: &str) -> Announcement {
    let diagnosis = Diagnosis {
        cause: Cause::PrivateZoneNotLinked,
        severity: Severity::Fail,
        stage: Stage::Address,
        endpoint: Endpoint::Login,
        message: message.to_owned(),
        remedy: "Link the private DNS zone to the VNet.".to_owned(),
        commands: Vec::new(),
        correlation_id: Some("3e120724-684a-bf56-100a-7d3ff40bdcd8".to_owned()),
    };
    announcement(repository, Change::Failing(Box::new(diagnosis)))
}

fn announcement(repository: &str, change: Change) -> Announcement {
    let image = format!("contoso.azurecr.io/{repository}:1").parse().expect("a reference");
    Announcement { image, name: None, change, at: Timestamp::now() }
}

fn still(first: &Announcement) -> Announcement {
    let Change::Failing(diagnosis) = &first.change else { panic!("a failure was announced") };
    Announcement { change: Change::StillFailing(diagnosis.clone()), at: Timestamp::now(), ..first.clone() }
}

/// Returns the Events about an image.
fn events_about(server: &ApiServer, repository: &str) -> Vec<Value> {
    let output = server.kubectl(&["get", "events.events.k8s.io", "--namespace=default", "--output=json"]);
    let list: Value = serde_json::from_slice(&output.stdout).expect("a list");
    let about = |event: &&Value| {
        event["note"].as_str().is_some_and(|note| note.contains(&format!("/{repository}:1")))
    };
    list["items"].as_array().expect("items").iter().filter(about).cloned().collect()
}

fn describe_node(server: &ApiServer) -> String {
    String::from_utf8(server.kubectl(&["describe", "node", NODE]).stdout).expect("UTF-8")
}

#[tokio::test]
async fn failure_renewal_and_recovery_are_in_kubectl_describe_node() {
    let Some(server) = ApiServer::shared() else { return };
    let desk = PublishTask::new(server, server.url()).await;
    let failing = failing("seen", "Nameserver 10.60.0.10 answers with a public address.");
    desk.publish(failing.clone());
    desk.wait_for(EventResult::Published, 1).await;
    let described = describe_node(server);
    let line = described.lines().find(|line| line.contains("/seen:1")).expect("the Event is described");
    for word in ["Warning", "PrivateZoneNotLinked", "acr-verifier", "10.60.0.10", "Link the private DNS zone"]
    {
        assert!(line.contains(word), "{word} is not in {line}");
    }

    desk.publish(still(&failing));
    desk.wait_for(EventResult::Published, 2).await;
    desk.publish(still(&failing));
    desk.wait_for(EventResult::Published, 3).await;
    let events = events_about(server, "seen");
    assert_eq!(events.len(), 1, "a renewal updates the existing Event");
    assert_eq!(events[0]["series"]["count"], 3);
    assert_eq!(events[0]["related"]["name"], "acr-verifier-x7k2p");

    desk.publish(announcement("seen", Change::Verified));
    desk.wait_for(EventResult::Published, 4).await;
    assert!(
        describe_node(server)
            .lines()
            .any(|line| line.contains("Normal") && line.contains("RegistryVerified"))
    );
    assert_eq!(desk.count(EventResult::Failed), 0);
}

#[tokio::test]
async fn an_image_with_two_names_has_events_for_each_name() {
    let Some(server) = ApiServer::shared() else { return };
    let desk = PublishTask::new(server, server.url()).await;
    let named = |name: &str, what: &Announcement| Announcement { name: Some(name.into()), ..what.clone() };
    let failing = failing("twice", "It is public.");
    let verified = Announcement { change: Change::Verified, ..failing.clone() };
    desk.publish(named("one", &failing));
    desk.publish(named("other", &verified));
    desk.wait_for(EventResult::Published, 2).await;
    desk.publish(named("one", &still(&failing)));
    desk.wait_for(EventResult::Published, 3).await;
    let mut published: Vec<(String, Option<u64>)> = events_about(server, "twice")
        .iter()
        .map(|event| (event["reason"].to_string(), event["series"]["count"].as_u64()))
        .collect();
    published.sort();
    let expected =
        [("\"PrivateZoneNotLinked\"".to_owned(), Some(2)), ("\"RegistryVerified\"".to_owned(), None)];
    assert_eq!(published, expected);
    assert_eq!(desk.count(EventResult::Suppressed), 0);
}

#[tokio::test]
async fn a_deleted_event_is_created_again() {
    let Some(server) = ApiServer::shared() else { return };
    let desk = PublishTask::new(server, server.url()).await;
    let failing = failing("deleted", "It is public.");
    desk.publish(failing.clone());
    desk.wait_for(EventResult::Published, 1).await;
    let name = events_about(server, "deleted")[0]["metadata"]["name"].as_str().expect("a name").to_owned();
    assert!(server.kubectl(&["delete", "event", &name, "--namespace=default"]).status.success());
    desk.publish(still(&failing));
    desk.wait_for(EventResult::Published, 2).await;
    assert_eq!(events_about(server, "deleted").len(), 1);
}

#[tokio::test]
async fn rejections_are_counted_and_retried_and_a_lost_response_creates_no_duplicate() {
    let Some(server) = ApiServer::shared() else { return };
    let proxy = FaultProxy::start(server);
    for (number, status) in [403, 409, 422, 429, 500].into_iter().enumerate() {
        let desk = PublishTask::new(server, proxy.url()).await;
        let repository = format!("refused{number}");
        proxy.next(2, &Fault::Answer { status, retry_after: (status == 429).then_some(1) });
        desk.publish(failing(&repository, "It is public."));
        desk.wait_for(EventResult::Published, 1).await;
        assert_eq!(desk.count(EventResult::Failed), 2, "{status}");
        assert_eq!(events_about(server, &repository).len(), 1, "{status}");
    }
    let desk = PublishTask::new(server, proxy.url()).await;
    proxy.next(1, &Fault::AnswerLost);
    desk.publish(failing("lost", "It is public."));
    desk.wait_for(EventResult::Published, 1).await;
    assert_eq!(events_about(server, "lost").len(), 1);
}

#[tokio::test]
async fn an_event_is_dropped_after_five_rejections() {
    let Some(server) = ApiServer::shared() else { return };
    let proxy = FaultProxy::start(server);
    let desk = PublishTask::new(server, proxy.url()).await;
    proxy.next(5, &Fault::Answer { status: 403, retry_after: None });
    desk.publish(failing("given-up", "It is public."));
    desk.wait_for(EventResult::Failed, 5).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(desk.count(EventResult::Published), 0);
    assert!(events_about(server, "given-up").is_empty());
}

#[tokio::test]
async fn the_newest_event_is_published_when_the_server_returns() {
    let Some(server) = ApiServer::start() else { return };
    let desk = PublishTask::new(&server, server.url()).await;
    server.pause();
    desk.publish(failing("late", "The first failure."));
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.resume();
    desk.wait_for(EventResult::Published, 1).await;

    server.stop();
    desk.publish(failing("late", "The second failure."));
    desk.wait_for(EventResult::Failed, 1).await;
    desk.publish(failing("late", "The third failure."));
    desk.wait_for(EventResult::Suppressed, 1).await;
    server.start_again();
    desk.wait_for(EventResult::Published, 2).await;
    let notes: Vec<String> = events_about(&server, "late")
        .iter()
        .map(|event| event["note"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert!(notes.iter().any(|note| note.contains("third")), "{notes:?}");
    assert!(!notes.iter().any(|note| note.contains("second")), "superseded Events are not sent: {notes:?}");
}

#[tokio::test]
async fn announcements_while_the_server_is_paused_are_published_or_counted() {
    const IMAGES: usize = 300;
    let Some(server) = ApiServer::start() else { return };
    let desk = PublishTask::new(&server, server.url()).await;
    server.pause();
    for _ in 0..2 {
        for image in 0..IMAGES {
            desk.publish(failing(&format!("many{image}"), "It is public."));
        }
        // One of them is in flight now, and the others are pending.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(desk.count(EventResult::Suppressed), IMAGES - 1, "all but the one in flight are superseded");
    server.resume();
    desk.wait_for(EventResult::Published, IMAGES + 1).await;
    assert_eq!(desk.count(EventResult::Failed), 0);
    let list = server.kubectl(&["get", "events.events.k8s.io", "--namespace=default", "--output=json"]);
    let list = String::from_utf8(list.stdout).expect("UTF-8");
    for image in 0..IMAGES {
        assert!(list.contains(&format!("/many{image}:1")), "many{image}");
    }
}

#[tokio::test]
async fn a_renewal_of_an_unpublished_failure_does_not_update_another_event() {
    let Some(server) = ApiServer::shared() else { return };
    let proxy = FaultProxy::start(server);
    let desk = PublishTask::new(server, proxy.url()).await;
    desk.publish(failing("changed", "It is public."));
    desk.wait_for(EventResult::Published, 1).await;
    let Change::Failing(mut other) = failing("changed", "No server answers.").change else {
        panic!("a failure")
    };
    other.cause = Cause::ConnectTimeout;
    proxy.next(1, &Fault::Answer { status: 409, retry_after: None });
    desk.publish(announcement("changed", Change::Failing(other.clone())));
    desk.wait_for(EventResult::Failed, 1).await;
    desk.publish(announcement("changed", Change::StillFailing(other)));
    desk.wait_for(EventResult::Suppressed, 1).await;
    desk.wait_for(EventResult::Published, 2).await;
    let mut reasons: Vec<Value> =
        events_about(server, "changed").iter().map(|event| event["reason"].clone()).collect();
    reasons.sort_by_key(ToString::to_string);
    assert_eq!(reasons, ["ConnectTimeout", "PrivateZoneNotLinked"]);
}

#[tokio::test]
async fn a_long_multibyte_note_is_truncated_and_accepted() {
    let Some(server) = ApiServer::shared() else { return };
    let desk = PublishTask::new(server, server.url()).await;
    desk.publish(failing("long", &"ü€😀".repeat(1667)));
    desk.wait_for(EventResult::Published, 1).await;
    let note = events_about(server, "long")[0]["note"].as_str().expect("a note").to_owned();
    assert!(note.len() <= 1024 && note.ends_with("3e120724-684a-bf56-100a-7d3ff40bdcd8."), "{note}");
}
