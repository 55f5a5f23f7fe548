//! The form of an Event: regarding the Node, related to the agent's Pod, with a note that fits.
//!
//! Pure: an announcement in, an object out.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::{Event, EventSeries};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use sha2::{Digest as _, Sha256};

use crate::diagnosis::Diagnosis;
use crate::legible::printable;
use crate::run::NetworkView;
use crate::transition::{Announcement, News, VERIFIED};

/// Events about a Node live here: its kind has no namespace, and the API server takes no other for them.
pub const NAMESPACE: &str = "default";
/// Who reports.
pub const CONTROLLER: &str = "acr-verifier";
/// What the agent did.
pub const ACTION: &str = "VerifyRegistry";
/// The API server refuses a longer note, in bytes.
pub const MAX_NOTE: usize = 1024;
/// The API server refuses a longer name of an instance.
const MAX_INSTANCE: usize = 128;

/// Who reports: the node that is judged, and the agent's own Pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reporter {
    /// The node's name.
    pub node: String,
    /// The agent's Pod, where the downward API told.
    pub pod: Option<Pod>,
    /// Whose network the agent has.
    pub network_view: NetworkView,
}

/// The agent's Pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its uid, where known.
    pub uid: Option<String>,
}

/// A new Event.
#[must_use]
pub fn new(reporter: &Reporter, announcement: &Announcement) -> Event {
    let (kind, reason) = match &announcement.news {
        News::Failing(diagnosis) | News::StillFailing(diagnosis) => ("Warning", diagnosis.cause.reason()),
        News::Verified => ("Normal", VERIFIED.to_owned()),
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
            // The kubelet's own Events have the node's name here, and `kubectl describe node` looks for it.
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

/// An Event whose failure lasts, counted up. All else stays: the API server lets nothing else of an Event change.
#[must_use]
pub fn renewed(first: &Event, at: Timestamp) -> Event {
    let count = first.series.as_ref().map_or(1, |series| series.count);
    let series = EventSeries { count: count.saturating_add(1), last_observed_time: MicroTime(at) };
    Event { series: Some(series), ..first.clone() }
}

/// The text: the image, the sentence, the remedy, whose network it was, and the registry's id of the answer.
#[must_use]
pub fn note(view: NetworkView, announcement: &Announcement) -> String {
    let shown = |text: &str| printable(text, MAX_NOTE);
    let image = shown(&announcement.subject());
    match &announcement.news {
        News::Verified => {
            format!("{image}: it can be pulled from this node ({}) over the private path.", view.words())
        }
        News::Failing(diagnosis) | News::StillFailing(diagnosis) => {
            let Diagnosis { message, remedy, correlation_id, .. } = diagnosis.as_ref();
            let (message, remedy) = (shown(message), shown(remedy));
            let id = correlation_id.as_ref().map(|id| format!(" Correlation id: {}.", shown(id)));
            // These stay where not all fits: support asks for the id, and the remedy is in the runbook as well.
            let end = format!(" Checked from the {}.{}", view.words(), id.unwrap_or_default());
            let room = MAX_NOTE.saturating_sub(end.len());
            format!("{}{end}", cut(&format!("{image}: {message} {remedy}"), room))
        }
    }
}

/// What stands where a text was cut.
const MORE: &str = "...";

/// A text of at most so many bytes, cut between two characters.
fn cut(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let end = (0..=bytes - MORE.len()).rev().find(|&end| text.is_char_boundary(end)).unwrap_or_default();
    format!("{}{MORE}", &text[..end])
}

/// A name that no other Event has, and that this one has at every attempt: of the node, the image, its name and the time.
fn name(reporter: &Reporter, announcement: &Announcement) -> String {
    let text = format!("{}\n{}\n{}", reporter.node, announcement.subject(), announcement.at.as_nanosecond());
    let hash = Sha256::digest(text);
    hash.iter().take(10).fold(format!("{CONTROLLER}."), |name, byte| format!("{name}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::{MAX_NOTE, Pod, Reporter, cut, new, note};
    use crate::cause::Cause;
    use crate::diagnosis::{Diagnosis, Severity};
    use crate::observation::{Endpoint, Stage};
    use crate::run::NetworkView;
    use crate::transition::{Announcement, News};
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
            news: News::Failing(Box::new(diagnosis)),
            at: "2026-11-23T02:06:00.5Z".parse().expect("a time"),
        }
    }

    fn reporter() -> Reporter {
        let pod = Pod { name: "acr-verifier-x".into(), namespace: "monitoring".into(), uid: None };
        Reporter { node: "aks-np1-0".into(), pod: Some(pod), network_view: NetworkView::Node }
    }

    #[test]
    fn an_event_regards_the_node_and_is_related_to_the_pod() {
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
    fn one_image_under_two_names_has_two_events_at_the_same_moment() {
        let named =
            |name: &str| Announcement { name: Some(name.to_owned()), ..announcement("It is public.", None) };
        let (first, second) = (new(&reporter(), &named("canary")), new(&reporter(), &named("apps")));
        assert_ne!(first.metadata.name, second.metadata.name);
        assert_eq!(note(NetworkView::Node, &named("apps")).split(':').nth(1), Some("1 (apps)"));
    }

    #[test]
    fn a_note_of_5000_characters_of_many_bytes_is_cut_between_two_and_keeps_the_id() {
        let note = note(NetworkView::Pod, &announcement(&"ü€😀".repeat(1667), Some("0a1b-2c3d")));
        assert!(note.len() <= MAX_NOTE, "{} bytes", note.len());
        assert!(note.ends_with("... Checked from the pod network. Correlation id: 0a1b-2c3d."), "{note}");
    }

    #[test]
    fn a_note_holds_nothing_that_cannot_be_seen() {
        let mut announcement =
            announcement("It says \u{202e}drawkcab\u{1b}[31m\nand more.", Some("0a1b\u{200b}-2c3d"));
        announcement.name = Some("can\u{202e}ary".to_owned());
        let expected = "contoso.azurecr.io/apps/canary:1 (canary): It says drawkcab and more. Link the zone. Checked \
                        from the node network. Correlation id: 0a1b-2c3d.";
        assert_eq!(note(NetworkView::Node, &announcement), expected);
    }

    #[test]
    fn a_recovery_names_the_network_that_was_checked() {
        for (view, words) in [(NetworkView::Node, "node network"), (NetworkView::Pod, "pod network")] {
            let verified = Announcement { news: News::Verified, ..announcement("", None) };
            let expected = format!(
                "contoso.azurecr.io/apps/canary:1: it can be pulled from this node ({words}) over the private path."
            );
            assert_eq!(note(view, &verified), expected);
        }
    }

    proptest! {
        #[test]
        fn no_note_is_too_long(message in ".{0,1500}", id in proptest::option::of("[0-9a-f-]{8,64}")) {
            let event = new(&reporter(), &announcement(&message, id.as_deref()));
            prop_assert!(event.note.expect("a note").len() <= MAX_NOTE);
        }

        #[test]
        fn what_is_cut_is_a_beginning(text in ".{0,80}", bytes in 3_usize..60) {
            let shorter = cut(&text, bytes);
            prop_assert!(shorter.len() <= bytes);
            prop_assert!(shorter == text || text.starts_with(shorter.trim_end_matches("...")));
        }
    }
}
