//! Bailey's own feed against both servers: the same events, and after a kill and a restart the same list.

use futures::{Stream, StreamExt};
use kube::Client;
use proto::observe::Pod;
use proto::watch::{Event, Pace, Selection, watch};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::pin::Pin;
use std::time::Duration;
use tests::apiserver::embedded::{self, Faults, Resource, StreamingLists, Verb};
use tests::apiserver::{ApiServer, Kind, Role, Site};

/// No event takes longer, however busy the machine.
const DEADLINE: Duration = Duration::from_secs(60);

type Feed = Pin<Box<dyn Stream<Item = Event<Pod>> + Send>>;

/// A feed of all pods with the rights of a hub. It retries at once, so that a test need not wait.
async fn feed(server: &ApiServer) -> Feed {
    let client = server.client_of(Role::Hub).await.unwrap();
    let pace = Pace {
        initial_pause: Duration::from_secs(2),
        retry_floor: Duration::from_millis(10),
        retry_ceiling: Duration::from_millis(100),
        ..Pace::default()
    };
    Box::pin(watch::<Pod>(client, Selection::All, pace))
}

/// The next event as a word and what it is about.
async fn next(feed: &mut Feed) -> String {
    let event = tokio::time::timeout(DEADLINE, feed.next())
        .await
        .expect("an event")
        .expect("a feed never ends");
    match event {
        Event::Synced(pods) => format!("synced {}", pods.iter().map(show).collect::<Vec<_>>().join(", ")),
        Event::Applied(pod) => format!("applied {}", show(&pod)),
        Event::Deleted(pod) => format!("deleted {}", pod.name),
        Event::Heard => "heard".to_owned(),
        Event::Lost(reason) => format!("lost: {reason}"),
    }
}

/// The next event but for signs of life.
async fn next_change(feed: &mut Feed) -> String {
    loop {
        let event = next(feed).await;
        if event != "heard" {
            return event;
        }
    }
}

fn show(pod: &Pod) -> String {
    let labels: Vec<String> = pod.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let terminating = if pod.terminating { " terminating" } else { "" };
    format!(
        "{} {:?} {:?} [{}]{terminating}",
        pod.name,
        pod.phase,
        pod.addresses,
        labels.join(",")
    )
}

async fn write(client: &Client, method: &str, path: &str, body: Value) {
    let content_type = if method == "PATCH" {
        "application/merge-patch+json"
    } else {
        "application/json"
    };
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", content_type)
        .body(if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        })
        .unwrap();
    client.request::<Value>(request).await.unwrap();
}

const PODS: &str = "/api/v1/namespaces/default/pods";

async fn create(client: &Client, name: &str) {
    let pod = json!({"metadata": {"name": name, "labels": {"app": "web"}},
                     "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]}});
    write(client, "POST", PODS, pod).await;
}

async fn follows(kind: Kind) {
    let dir = tempfile::tempdir().unwrap();
    let mut server = ApiServer::start(kind, Site::loopback("a", dir.path().to_owned()))
        .await
        .unwrap();
    let client = server.client().await.unwrap();
    create(&client, "first").await;
    let mut feed = feed(&server).await;
    assert_eq!(next(&mut feed).await, "synced first Pending [] [app=web]");

    create(&client, "web").await;
    assert_eq!(next_change(&mut feed).await, "applied web Pending [] [app=web]");
    let running = json!({"status": {"phase": "Running", "podIPs": [{"ip": "10.1.1.1"}, {"ip": "fd00::1"}]}});
    write(&client, "PATCH", &format!("{PODS}/web/status"), running).await;
    assert_eq!(
        next_change(&mut feed).await,
        "applied web Running [10.1.1.1, fd00::1] [app=web]"
    );
    write(
        &client,
        "PATCH",
        &format!("{PODS}/web"),
        json!({"metadata": {"labels": {"app": "db"}}}),
    )
    .await;
    assert_eq!(
        next_change(&mut feed).await,
        "applied web Running [10.1.1.1, fd00::1] [app=db]"
    );
    write(
        &client,
        "DELETE",
        &format!("{PODS}/first?gracePeriodSeconds=0"),
        Value::Null,
    )
    .await;
    assert_eq!(
        next_change(&mut feed).await,
        "applied first Pending [] [app=web] terminating"
    );
    assert_eq!(next_change(&mut feed).await, "deleted first");

    server.kill().await.unwrap();
    let lost = next_change(&mut feed).await;
    assert!(lost.starts_with("lost: "), "{lost}");
    server.restart().await.unwrap();
    let client = server.client().await.unwrap();
    create(&client, "late").await;
    // Whether the feed is told 410 and lists anew, or resumes, is the server's choice; what it ends up with is not.
    let mut seen = next_change(&mut feed).await;
    while !seen.contains("late") {
        seen = next_change(&mut feed).await;
    }
    let relisted = "synced late Pending [] [app=web], web Running [10.1.1.1, fd00::1] [app=db]";
    assert!(
        seen == relisted || seen == "applied late Pending [] [app=web]",
        "{seen}"
    );
}

#[tokio::test]
async fn follows_the_embedded_server() {
    follows(Kind::Embedded).await;
}

#[tokio::test]
async fn follows_the_real_server() {
    follows(Kind::Real).await;
}

/// An embedded server with one pod.
async fn embedded() -> (ApiServer, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let server = ApiServer::start(Kind::Embedded, Site::loopback("a", dir.path().to_owned()))
        .await
        .unwrap();
    create(&server.client().await.unwrap(), "web").await;
    (server, dir)
}

/// Its knobs.
fn knobs(server: &ApiServer) -> &embedded::Server {
    match server {
        ApiServer::Embedded(server) => server,
        ApiServer::Real(_) => panic!("the real server has no knobs"),
    }
}

const ONE_POD: &str = "synced web Pending [] [app=web]";

#[tokio::test]
async fn pages_where_streaming_lists_are_refused_or_ignored() {
    for streaming_lists in [StreamingLists::Refused, StreamingLists::Ignored] {
        let (server, _dir) = embedded().await;
        knobs(&server).set_faults(Faults {
            streaming_lists,
            ..Faults::default()
        });
        let mut feed = feed(&server).await;
        assert_eq!(next_change(&mut feed).await, ONE_POD, "{streaming_lists:?}");
        create(&server.client().await.unwrap(), "more").await;
        assert_eq!(
            next_change(&mut feed).await,
            "applied more Pending [] [app=web]",
            "{streaming_lists:?}"
        );
    }
}

#[tokio::test]
async fn resumes_a_watch_that_is_cut() {
    let (server, _dir) = embedded().await;
    let mut feed = feed(&server).await;
    assert_eq!(next(&mut feed).await, ONE_POD);
    knobs(&server).send_bookmarks();
    assert_eq!(next(&mut feed).await, "heard");

    knobs(&server).drop_connections();
    create(&server.client().await.unwrap(), "more").await;
    let mut seen = next_change(&mut feed).await;
    if seen.starts_with("lost: ") {
        seen = next_change(&mut feed).await;
    }
    assert_eq!(seen, "applied more Pending [] [app=web]");
}

fn no_reading_of_pods() -> Faults {
    let forbidden = BTreeSet::from([(Verb::List, Resource::Pods), (Verb::Watch, Resource::Pods)]);
    Faults {
        forbidden,
        ..Faults::default()
    }
}

#[tokio::test]
async fn lists_anew_when_its_place_in_history_is_forgotten() {
    let (server, _dir) = embedded().await;
    let mut feed = feed(&server).await;
    assert_eq!(next(&mut feed).await, ONE_POD);

    knobs(&server).set_faults(no_reading_of_pods());
    knobs(&server).drop_connections();
    let client = server.client().await.unwrap();
    create(&client, "more").await;
    write(
        &client,
        "DELETE",
        &format!("{PODS}/web?gracePeriodSeconds=0"),
        Value::Null,
    )
    .await;
    knobs(&server).forget_history();
    knobs(&server).set_faults(Faults::default());
    let mut seen = next_change(&mut feed).await;
    while seen.starts_with("lost: ") {
        seen = next_change(&mut feed).await;
    }
    assert_eq!(seen, "synced more Pending [] [app=web]");
}

#[tokio::test]
async fn says_what_is_forbidden_and_goes_on_when_it_no_longer_is() {
    let (server, _dir) = embedded().await;
    knobs(&server).set_faults(no_reading_of_pods());
    let mut feed = feed(&server).await;
    let lost = next(&mut feed).await;
    assert!(lost.starts_with("lost: ") && lost.contains("pods"), "{lost}");
    knobs(&server).set_faults(Faults::default());
    assert_eq!(next_change(&mut feed).await, ONE_POD);
}

#[tokio::test]
async fn waits_for_a_server_that_pauses() {
    let (server, _dir) = embedded().await;
    knobs(&server).set_faults(Faults {
        paused: true,
        ..Faults::default()
    });
    let mut feed = feed(&server).await;
    let silent = tokio::time::timeout(Duration::from_millis(300), feed.next()).await;
    assert!(silent.is_err(), "{silent:?}");
    knobs(&server).set_faults(Faults::default());
    assert_eq!(next_change(&mut feed).await, ONE_POD);
}
