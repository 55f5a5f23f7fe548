//! The API server's behaviour that the program relies on for Events, tested without the program.

use std::process::Output;

use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Answer, Client, event, events, name, now};
use super::server::{ApiServer, NODE};

/// Returns the standard output of a successful kubectl.
#[track_caller]
fn shown(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Returns the line of `kubectl describe node` that ends with the note, its columns separated by single spaces.
#[track_caller]
fn described(server: &ApiServer, note: &str) -> Option<String> {
    let text = shown(&server.kubectl(&["describe", "node", NODE]));
    let line = text.lines().find(|line| line.trim_end().ends_with(note))?;
    Some(line.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[track_caller]
fn assert_answer(answer: &Answer, status: u16, reason: &str) {
    assert_eq!((answer.status, answer.body["reason"].as_str()), (status, Some(reason)), "{answer:?}");
}

#[tokio::test]
async fn kubectl_describe_node_shows_the_event() {
    let Some(server) = ApiServer::shared() else { return };
    let note = "contoso.azurecr.io resolves to 20.62.128.4, a public address.";
    let event = event(note);
    let answer = Client::new(server).create("default", &event).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let line = described(server, note).expect("the node's description shows it");
    let rest = line.strip_prefix("Warning DnsPublicAddress ").expect("type and reason come first");
    let (age, rest) = rest.split_once(' ').expect("the age comes next");
    assert!(age.ends_with('s'), "{line}");
    assert_eq!(rest, format!("acr-verifier {note}"));
}

#[tokio::test]
async fn documented_commands_find_the_event() {
    let Some(server) = ApiServer::shared() else { return };
    let note = "pull from contoso.azurecr.io fails: 403.";
    assert_eq!(Client::new(server).create("default", &event(note)).await.status, 201);
    for arguments in [
        ["events", "--namespace=default", "--for=node/aks-np1-0"].as_slice(),
        &["get", "events", "--namespace=default", "--field-selector=reportingComponent=acr-verifier"],
        &["get", "events", "--namespace=default", "--field-selector=involvedObject.kind=Node,type=Warning"],
        &["get", "events", "--all-namespaces", "--field-selector=reason=DnsPublicAddress"],
    ] {
        let text = shown(&server.kubectl(arguments));
        assert!(text.contains(note), "{arguments:?}: {text}");
    }
}

#[tokio::test]
async fn describe_finds_events_whose_uid_is_the_name_or_uid_of_the_node() {
    let Some(server) = ApiServer::shared() else { return };
    let client = Client::new(server);
    let uid = shown(&server.kubectl(&["get", "node", NODE, "--output=jsonpath={.metadata.uid}"]));
    for (uid, note, shows) in [
        (json!(NODE), "Uid is the name.", true),
        (json!(uid), "Uid is the uid.", true),
        (json!("3f1c9a52-0000-4000-8000-000000000000"), "Uid of a node that had this name before.", false),
        (Value::Null, "No uid.", false),
    ] {
        let mut event = event(note);
        event["regarding"]["uid"] = uid;
        assert_eq!(client.create("default", &event).await.status, 201);
        assert_eq!(described(server, note).is_some(), shows, "{note}");
    }
}

#[tokio::test]
async fn a_note_is_limited_to_1024_bytes() {
    let Some(server) = ApiServer::shared() else { return };
    let client = Client::new(server);
    // Bytes, not characters: each `é` is two.
    for (note, status) in [
        ("n".repeat(1_024), 201),
        ("n".repeat(1_025), 422),
        ("é".repeat(512), 201),
        (format!("{}n", "é".repeat(512)), 422),
        (String::new(), 201),
    ] {
        let answer = client.create("default", &event(&note)).await;
        assert_eq!(answer.status, status, "{} bytes: {answer:?}", note.len());
    }
}

#[tokio::test]
async fn other_fields_are_limited_too() {
    let Some(server) = ApiServer::shared() else { return };
    let client = Client::new(server);
    let long = |length: usize| json!("n".repeat(length));
    for (field, value, status) in [
        ("reason", long(128), 201),
        ("reason", long(129), 422),
        ("reason", json!(""), 422),
        ("action", long(128), 201),
        ("action", long(129), 422),
        ("action", json!(""), 422),
        ("reportingInstance", long(128), 201),
        ("reportingInstance", long(129), 422),
        ("reportingInstance", json!(""), 422),
        ("reportingController", json!(""), 422),
        ("reportingController", json!("not a name"), 422),
        ("type", json!("Normal"), 201),
        ("type", json!("Error"), 422),
        ("eventTime", Value::Null, 422),
        ("related", Value::Null, 201),
        ("deprecatedCount", json!(1), 422),
    ] {
        let mut event = event("Limits.");
        event[field] = value;
        let answer = client.create("default", &event).await;
        assert_eq!(answer.status, status, "{field}: {answer:?}");
    }
}

#[tokio::test]
async fn events_about_nodes_belong_in_namespace_default() {
    let Some(server) = ApiServer::shared() else { return };
    let client = Client::new(server);
    for namespace in ["acr-verifier", "kube-system", "not-there"] {
        let mut event = event("Elsewhere.");
        event["metadata"]["namespace"] = json!(namespace);
        assert_answer(&client.create(namespace, &event).await, 403, "Forbidden");
    }
    // Even with permissions elsewhere, only `kube-system` is accepted.
    for (namespace, accepted) in [("acr-verifier", false), ("kube-system", true)] {
        let mut event = event("Elsewhere.");
        event["metadata"]["namespace"] = json!(namespace);
        let output = server.kubectl_fed(&["create", "--filename=-"], &event.to_string());
        assert_eq!(output.status.success(), accepted, "{namespace}");
        if !accepted {
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(error.contains("involvedObject.namespace: Invalid value"), "{error}");
        }
    }
    let mut astray = event("The namespaces of path and Event differ.");
    astray["metadata"]["namespace"] = json!("kube-system");
    assert_answer(&client.create("default", &astray).await, 400, "BadRequest");
}

#[tokio::test]
async fn the_role_allows_only_create_and_patch_of_events_in_default() {
    let Some(server) = ApiServer::shared() else { return };
    let client = Client::new(server);
    let existing = event("To be read and deleted.");
    assert_eq!(client.create("default", &existing).await.status, 201);
    let one = format!("{}/{}", events("default"), name(&existing));
    let core_event = json!({ "apiVersion": "v1", "kind": "Event", "metadata": { "name": "core" } });
    for (method, path, body) in [
        (Method::GET, one.clone(), None),
        (Method::PUT, one.clone(), Some(&existing)),
        (Method::DELETE, one, None),
        (Method::GET, events("default"), None),
        (Method::GET, format!("{}?watch=1", events("default")), None),
        (Method::DELETE, events("default"), None),
        (Method::GET, "/apis/events.k8s.io/v1/events".to_owned(), None),
        (Method::POST, "/api/v1/namespaces/default/events".to_owned(), Some(&core_event)),
        (Method::GET, "/api/v1/namespaces/default/secrets".to_owned(), None),
        (Method::GET, "/api/v1/namespaces/acr-verifier/secrets".to_owned(), None),
        (Method::GET, "/api/v1/namespaces/acr-verifier/pods".to_owned(), None),
        (Method::GET, format!("/api/v1/nodes/{NODE}"), None),
        (Method::POST, "/api/v1/namespaces/acr-verifier/serviceaccounts/acr-verifier/token".to_owned(), None),
    ] {
        let answer = client.send(method.clone(), &path, body).await.expect("an answer");
        assert_eq!(answer.status, 403, "{method} {path}: {answer:?}");
    }
    for (namespace, expected) in
        [("default", Some("events.events.k8s.io [] [] [create patch]")), ("acr-verifier", None)]
    {
        let list = shown(&server.kubectl_as_agent(&["auth", "can-i", "--list", "--namespace", namespace]));
        let granted: Vec<String> = list
            .lines()
            .skip(1)
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            // What every account may do: query its own permissions, read the API discovery and, in newer versions, read the
            // certificates that the cluster trusts.
            .filter(|line| {
                !["selfsubject", "clustertrustbundles.", "[/"].iter().any(|own| line.starts_with(own))
            })
            .collect();
        assert_eq!(granted, expected.into_iter().collect::<Vec<_>>(), "{list}");
    }
}

#[tokio::test]
async fn a_patch_changes_only_the_series() {
    let Some(server) = ApiServer::shared() else { return };
    let client = Client::new(server);
    let note = "It happens again and again.";
    let event = event(note);
    assert_eq!(client.create("default", &event).await.status, 201);
    for count in [2, 3] {
        let change = json!({ "series": { "count": count, "lastObservedTime": now() } });
        let answer = client.patch(name(&event), &change).await;
        assert_eq!((answer.status, &answer.body["series"]["count"]), (200, &json!(count)), "{answer:?}");
    }
    let line = described(server, note).expect("the node's description shows it");
    assert!(line.contains("(x3 over "), "{line}");
    // As `kube`'s recorder sends it: the whole Event again, with a series.
    let mut whole = event.clone();
    whole["series"] = json!({ "count": 4, "lastObservedTime": now() });
    assert_eq!(client.patch(name(&event), &whole).await.status, 200);

    for change in [
        json!({ "note": "Another note." }),
        json!({ "reason": "AnotherReason" }),
        json!({ "type": "Normal" }),
        json!({ "regarding": { "name": "aks-np1-1" } }),
        json!({ "eventTime": now() }),
    ] {
        assert_answer(&client.patch(name(&event), &change).await, 422, "Invalid");
    }
    let zero = json!({ "series": { "count": 0, "lastObservedTime": now() } });
    assert_answer(&client.patch(name(&event), &zero).await, 422, "Invalid");
}

#[tokio::test]
async fn patching_a_deleted_event_returns_404_and_creating_an_existing_one_409() {
    let Some(server) = ApiServer::shared() else { return };
    let client = Client::new(server);
    let event = event("Made once.");
    assert_eq!(client.create("default", &event).await.status, 201);
    assert_answer(&client.create("default", &event).await, 409, "AlreadyExists");
    // As the server does after an hour.
    shown(&server.kubectl(&["delete", "events.events.k8s.io", name(&event)]));
    let change = json!({ "series": { "count": 2, "lastObservedTime": now() } });
    assert_answer(&client.patch(name(&event), &change).await, 404, "NotFound");
    assert_eq!(client.create("default", &event).await.status, 201);
}

#[tokio::test]
async fn server_side_apply_creates_and_updates_with_the_same_two_permissions() {
    let Some(server) = ApiServer::shared() else { return };
    let client = Client::new(server);
    let mut event = event("Applied.");
    assert_eq!(client.apply(&event).await.status, 201);
    event["series"] = json!({ "count": 2, "lastObservedTime": now() });
    let answer = client.apply(&event).await;
    assert_eq!((answer.status, &answer.body["series"]["count"]), (200, &json!(2)), "{answer:?}");
    shown(&server.kubectl(&["delete", "events.events.k8s.io", name(&event)]));
    assert_eq!(client.apply(&event).await.status, 201);
    event["note"] = json!("Another note.");
    assert_answer(&client.apply(&event).await, 422, "Invalid");
}
