//! Builds Events: regarding the Node, related to the agent's Pod, with a note within the size limit.
//!
//! Pure: an announcement in, an object out.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::{Event, EventSeries};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use sha2::{Digest as _, Sha256};

use crate::diagnosis::Diagnosis;
use crate::run::NetworkView;
use crate::text::sanitize::printable;
use crate::transition::{Announcement, Change, VERIFIED};

/// Namespace of Events about a Node: Nodes have no namespace, and the API server accepts no other for them.
pub const NAMESPACE: &str = "default";
/// The reporting controller.
pub const CONTROLLER: &str = "acr-verifier";
/// The action that the Event reports.
pub const ACTION: &str = "VerifyRegistry";
/// Longest note that the API server accepts, in bytes.
pub const MAX_NOTE: usize = 1024;
/// Longest reporting instance that the API server accepts, in bytes.
const MAX_INSTANCE: usize = 128;

/// The reporter: the checked node and the agent's own Pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reporter {
    /// The name of the Node object.
    pub node: String,
    /// The agent's Pod, if the downward API provides it.
    pub pod: Option<Pod>,
    /// Whether the agent runs on the node or the pod network.
    pub network_view: NetworkView,
}

/// The agent's Pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// The name of the Pod.
    pub name: String,
    /// The namespace of the Pod.
    pub namespace: String,
    /// The uid, if known.
    pub uid: Option<String>,
}

/// Creates an Event.
#[must_use]
pub fn new(reporter: &Reporter, announcement: &Announcement) -> Event {
    let (kind, reason) = match &announcement.change {
        Change::Failing(diagnosis) | Change::StillFailing(diagnosis) => ("Warning", diagnosis.cause.reason()),
        Change::Verified => ("Normal", VERIFIED.to_owned()),
    };
    let instance = reporter.pod.as_ref().map_or(reporter.node.as_str(), |pod| pod.name.as_str());
    Event {
        metadata: ObjectMeta {
            name: Some(name(reporter, announcement)),
            namespace: Some(NAMESPACE.to_owned()),
            ..ObjectMeta::default()
        },
        action: Some(ACTION.to_owned()),
        event_time: Some(MicroTime(announcement.at)),
        note: Some(cut(&note(reporter.network_view, announcement), MAX_NOTE)),
        reason: Some(reason),
        regarding: Some(ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Node".to_owned()),
            name: Some(reporter.node.clone()),
            // The kubelet's own Events set the node's name here, and `kubectl describe node` filters by it.
            uid: Some(reporter.node.clone()),
            ..ObjectReference::default()
        }),
        related: reporter.pod.as_ref().map(|pod| ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            name: Some(pod.name.clone()),
            namespace: Some(pod.namespace.clone()),
            uid: pod.uid.clone(),
            ..ObjectReference::default()
        }),
        reporting_controller: Some(CONTROLLER.to_owned()),
        reporting_instance: Some(cut(instance, MAX_INSTANCE)),
        type_: Some(kind.to_owned()),
        ..Event::default()
    }
}

/// Increments the series of an Event whose failure persists. The API server allows no other field to change.
#[must_use]
pub fn renewed(first: &Event, at: Timestamp) -> Event {
    let count = first.series.as_ref().map_or(1, |series| series.count);
    let series = EventSeries { count: count.saturating_add(1), last_observed_time: MicroTime(at) };
    Event { series: Some(series), ..first.clone() }
}

/// Returns the note: image, message, remedy, network view and the registry's correlation id.
#[must_use]
pub fn note(view: NetworkView, announcement: &Announcement) -> String {
    let shown = |text: &str| printable(text, MAX_NOTE);
    let image = shown(&announcement.subject());
    match &announcement.change {
        Change::Verified => {
            format!("{image}: can be pulled from this node ({}) over the private path.", view.words())
        }
        Change::Failing(diagnosis) | Change::StillFailing(diagnosis) => {
            let Diagnosis { message, remedy, correlation_id, .. } = diagnosis.as_ref();
            let (message, remedy) = (shown(message), shown(remedy));
            let id = correlation_id.as_ref().map(|id| format!(" Correlation id: {}.", shown(id)));
            // These are never cut: support needs the id, and the runbook also has the remedy.
            let end = format!(" Checked from the {}.{}", view.words(), id.unwrap_or_default());
            let room = MAX_NOTE.saturating_sub(end.len());
            format!("{}{end}", cut(&format!("{image}: {message} {remedy}"), room))
        }
    }
}

/// Marks a truncated text.
const MORE: &str = "...";

/// Truncates a text to at most so many bytes, on a character boundary.
fn cut(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let end = (0..=bytes - MORE.len()).rev().find(|&end| text.is_char_boundary(end)).unwrap_or_default();
    format!("{}{MORE}", &text[..end])
}

/// Returns a unique name that is the same at every attempt, from the node, the image, its name and the time.
fn name(reporter: &Reporter, announcement: &Announcement) -> String {
    let text = format!("{}\n{}\n{}", reporter.node, announcement.subject(), announcement.at.as_nanosecond());
    let hash = Sha256::digest(text);
    hash.iter().take(10).fold(format!("{CONTROLLER}."), |name, byte| format!("{name}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::{MAX_NOTE, Pod, Reporter, cut, new, note};
    use crate::cause::Cause;
    use crate::diagnosis::Diagnosis;
    use crate::observation::{Endpoint, Stage};
    use crate::run::NetworkView;
    use crate::transition::{Announcement, Change};
    use crate::verdict::Severity;
    use proptest::prelude::*;

    fn announcement(message: &str, correlation_id: Option<&str>) -> Announcement {
        let diagnosis = Diagnosis {
            cause: Cause::PrivateZoneNotLinked,
            severity: Severity::Fail,
            stage: Stage::Address,
            endpoint: Endpoint::Login,
            message: message.to_owned(),
            remedy: "Link the zone.".to_owned(),
            commands: Vec::new(),
            correlation_id: correlation_id.map(str::to_owned),
        };
        Announcement {
            image: "contoso.azurecr.io/apps/canary:1".parse().expect("a reference"),
            name: None,
            change: Change::Failing(Box::new(diagnosis)),
            at: "2026-11-23T02:06:00.5Z".parse().expect("a time"),
        }
    }

    fn reporter() -> Reporter {
        let pod = Pod { name: "acr-verifier-x".into(), namespace: "monitoring".into(), uid: None };
        Reporter { node: "aks-np1-0".into(), pod: Some(pod), network_view: NetworkView::Node }
    }

    #[test]
    fn event_regards_the_node_and_relates_to_the_pod() {
        let event = new(&reporter(), &announcement("It is public.", Some("0a1b-2c3d")));
        let json = serde_json::to_value(&event).expect("an object");
        assert_eq!(json["metadata"]["namespace"], "default");
        assert_eq!(json["reason"], "PrivateZoneNotLinked");
        assert_eq!(json["type"], "Warning");
        assert_eq!(json["action"], "VerifyRegistry");
        assert_eq!(json["reportingController"], "acr-verifier");
        assert_eq!(json["regarding"]["kind"], "Node");
        assert_eq!(json["regarding"]["uid"], "aks-np1-0");
        assert_eq!(json["related"]["name"], "acr-verifier-x");
        assert_eq!(json["eventTime"], "2026-11-23T02:06:00.500000Z");
        let expected = "contoso.azurecr.io/apps/canary:1: It is public. Link the zone. Checked from the node network. \
             Correlation id: 0a1b-2c3d.";
        assert_eq!(json["note"], expected);
    }

    #[test]
    fn one_image_under_two_names_gets_two_events() {
        let named =
            |name: &str| Announcement { name: Some(name.to_owned()), ..announcement("It is public.", None) };
        let (first, second) = (new(&reporter(), &named("canary")), new(&reporter(), &named("apps")));
        assert_ne!(first.metadata.name, second.metadata.name);
        assert_eq!(note(NetworkView::Node, &named("apps")).split(':').nth(1), Some("1 (apps)"));
    }

    #[test]
    fn a_long_note_is_truncated_on_a_character_boundary_and_keeps_the_id() {
        let note = note(NetworkView::Pod, &announcement(&"ü€😀".repeat(1667), Some("0a1b-2c3d")));
        assert!(note.len() <= MAX_NOTE, "{} bytes", note.len());
        assert!(note.ends_with("... Checked from the pod network. Correlation id: 0a1b-2c3d."), "{note}");
    }

    #[test]
    fn a_note_contains_no_invisible_characters() {
        let mut announcement =
            announcement("It says \u{202e}drawkcab\u{1b}[31m\nand more.", Some("0a1b\u{200b}-2c3d"));
        announcement.name = Some("can\u{202e}ary".to_owned());
        let expected = "contoso.azurecr.io/apps/canary:1 (canary): It says drawkcab and more. Link the zone. Checked \
                        from the node network. Correlation id: 0a1b-2c3d.";
        assert_eq!(note(NetworkView::Node, &announcement), expected);
    }

    #[test]
    fn a_recovery_names_the_checked_network() {
        for (view, words) in [(NetworkView::Node, "node network"), (NetworkView::Pod, "pod network")] {
            let verified = Announcement { change: Change::Verified, ..announcement("", None) };
            let expected = format!(
                "contoso.azurecr.io/apps/canary:1: can be pulled from this node ({words}) over the private path."
            );
            assert_eq!(note(view, &verified), expected);
        }
    }

    proptest! {
        #[test]
        fn notes_stay_within_the_size_limit(message in ".{0,1500}", id in proptest::option::of("[0-9a-f-]{8,64}")) {
            let event = new(&reporter(), &announcement(&message, id.as_deref()));
            prop_assert!(event.note.expect("a note").len() <= MAX_NOTE);
        }

        #[test]
        fn truncation_keeps_a_prefix(text in ".{0,80}", bytes in 3_usize..60) {
            let shorter = cut(&text, bytes);
            prop_assert!(shorter.len() <= bytes);
            prop_assert!(shorter == text || text.starts_with(shorter.trim_end_matches("...")));
        }
    }
}
