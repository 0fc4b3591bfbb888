//! The feed against a scripted API server, in paused time: each answer is given to one request, in order.

use super::{Event, Pace, Selection, watch};
use crate::observe::{Namespace, Observe, Pod};
use bytes::Bytes;
use expect_test::{Expect, expect};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::StreamBody;
use kube::client::Body;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// One answer of the API server.
struct Answer {
    code: u16,
    chunks: Vec<String>,
    then: Then,
}

/// What follows the last chunk of an answer.
#[derive(Clone, Copy)]
enum Then {
    End,
    Silence,
    Break,
}

fn answer(code: u16, body: &Value) -> Answer {
    text(code, &body.to_string())
}

fn text(code: u16, body: &str) -> Answer {
    Answer {
        code,
        chunks: vec![body.to_owned()],
        then: Then::End,
    }
}

/// An answer that never begins.
fn silence() -> Answer {
    Answer {
        code: 0,
        chunks: Vec::new(),
        then: Then::Silence,
    }
}

fn events(lines: &[Value], then: Then) -> Answer {
    Answer {
        code: 200,
        chunks: lines.iter().map(|line| format!("{line}\n")).collect(),
        then,
    }
}

fn event(kind: &str, name: &str, version: u32) -> Value {
    json!({"type": kind, "object": object(name, version)})
}

fn object(name: &str, version: u32) -> Value {
    json!({"metadata": {"name": name, "uid": format!("uid-{name}"), "resourceVersion": version.to_string()}})
}

fn bookmark(version: u32) -> Value {
    json!({"type": "BOOKMARK", "object": {"kind": "Namespace", "metadata": {"resourceVersion": version.to_string()}}})
}

fn end_of_list(version: u32) -> Value {
    let mut line = bookmark(version);
    line["object"]["metadata"]["annotations"] = json!({"k8s.io/initial-events-end": "true"});
    line
}

fn error(code: u16, message: &str) -> Value {
    json!({"type": "ERROR", "object": status(code, message)})
}

fn status(code: u16, message: &str) -> Value {
    json!({"kind": "Status", "status": "Failure", "code": code, "message": message, "reason": "R"})
}

fn page(items: &Value, version: u32, next: &str) -> Value {
    json!({"kind": "NamespaceList", "metadata": {"resourceVersion": version.to_string(), "continue": next}, "items": items})
}

fn body(answer: Answer) -> BoxStream<'static, std::io::Result<Frame<Bytes>>> {
    let chunks = stream::iter(
        answer
            .chunks
            .into_iter()
            .map(|chunk| Ok(Frame::data(Bytes::from(chunk)))),
    );
    match answer.then {
        Then::End => chunks.boxed(),
        Then::Silence => chunks.chain(stream::pending()).boxed(),
        Then::Break => chunks
            .chain(stream::iter([Err(std::io::Error::from(
                std::io::ErrorKind::ConnectionReset,
            ))]))
            .boxed(),
    }
}

/// Path and query of a request, less the length of the watch, which is random.
fn line(request: &Request<Body>) -> String {
    let target = request.uri().to_string();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let query: Vec<&str> = query
        .split('&')
        .filter(|pair| !pair.starts_with("timeoutSeconds="))
        .collect();
    format!("{path} {}", query.join(" "))
}

/// A client of a server that gives these answers; writes down what it is asked.
fn scripted(script: &Arc<Mutex<VecDeque<Answer>>>, told: &Arc<Mutex<String>>) -> kube::Client {
    let service = tower::service_fn({
        let (script, told) = (script.clone(), told.clone());
        move |request: Request<Body>| {
            writeln!(told.lock().unwrap(), "? {}", line(&request)).unwrap();
            let answer = script.lock().unwrap().pop_front();
            async move {
                let answer = match answer {
                    Some(answer) if answer.code != 0 => answer,
                    Some(_) | None => std::future::pending().await,
                };
                let response = Response::builder()
                    .status(answer.code)
                    .body(StreamBody::new(body(answer)));
                Ok::<_, Infallible>(response.unwrap())
            }
        }
    });
    kube::Client::new(service, "default")
}

/// Feeds from the script until `count` events are there; what was asked and said, and when, if it took long.
async fn run<T: Observe>(selection: Selection, script: Vec<Answer>, count: usize) -> String
where
    Event<T>: Told,
{
    let began = Instant::now();
    let script = Arc::new(Mutex::new(VecDeque::from(script)));
    let told = Arc::new(Mutex::new(String::new()));
    let client = scripted(&script, &told);
    let mut feed = Box::pin(watch::<T>(client, selection, Pace::default()));
    for _ in 0..count {
        let event = timeout(Duration::from_secs(600), feed.next()).await;
        let event = event.unwrap_or_else(|_| panic!("no further event after:\n{}", told.lock().unwrap()));
        let after = began.elapsed().as_secs();
        let when = if after < 20 {
            String::new() // Delays after failures are random.
        } else {
            format!(" ({after} s)")
        };
        writeln!(told.lock().unwrap(), "! {}{when}", event.unwrap().told()).unwrap();
    }
    assert_eq!(script.lock().unwrap().len(), 0, "answers that nothing asked for");
    std::mem::take(&mut told.lock().unwrap())
}

trait Told {
    fn told(&self) -> String;
}

impl Told for Event<Namespace> {
    fn told(&self) -> String {
        match self {
            Event::Synced(list) => format!("synced {:?}", list.iter().map(|ns| &*ns.name).collect::<Vec<_>>()),
            Event::Applied(namespace) => format!("applied {}", namespace.name),
            Event::Deleted(namespace) => format!("deleted {}", namespace.name),
            Event::Heard => "heard".to_owned(),
            Event::Lost(reason) => format!("lost: {reason}"),
        }
    }
}

impl Told for Event<Pod> {
    fn told(&self) -> String {
        format!("{self:?}")
    }
}

async fn check(script: Vec<Answer>, count: usize, expected: Expect) {
    expected.assert_eq(&run::<Namespace>(Selection::All, script, count).await);
}

/// W2: A bookmark is heard of and changes nothing else; the end of the list makes it whole.
#[tokio::test(start_paused = true)]
async fn a_streamed_list_is_told_as_a_whole_and_the_watch_goes_on() {
    let script = vec![events(
        &[
            event("ADDED", "b", 1),
            event("ADDED", "a", 2),
            event("ADDED", "gone", 3),
            event("DELETED", "gone", 4),
            bookmark(4),
            end_of_list(5),
            event("ADDED", "c", 6),
            event("MODIFIED", "a", 7),
            bookmark(8),
            event("DELETED", "b", 9),
        ],
        Then::Silence,
    )];
    check(script, 5, expect![[r#"
        ? /api/v1/namespaces  watch=true allowWatchBookmarks=true sendInitialEvents=true resourceVersionMatch=NotOlderThan resourceVersion=
        ! synced ["a", "b"]
        ! applied c
        ! applied a
        ! heard
        ! deleted b
    "#]]).await;
}

/// W2: A bookmark moves on the version from which a watch is taken up.
#[tokio::test(start_paused = true)]
async fn a_watch_that_ends_is_taken_up_where_it_ended() {
    let script = vec![
        events(
            &[event("ADDED", "a", 1), end_of_list(5), event("ADDED", "b", 6)],
            Then::End,
        ),
        events(&[bookmark(7)], Then::End),
        events(&[event("DELETED", "b", 8)], Then::Break),
        events(&[], Then::Silence),
    ];
    check(script, 7, expect![[r#"
        ? /api/v1/namespaces  watch=true allowWatchBookmarks=true sendInitialEvents=true resourceVersionMatch=NotOlderThan resourceVersion=
        ! synced ["a"]
        ! applied b
        ? /api/v1/namespaces  watch=true allowWatchBookmarks=true resourceVersion=6
        ! heard
        ! heard
        ? /api/v1/namespaces  watch=true allowWatchBookmarks=true resourceVersion=7
        ! heard
        ! deleted b
        ? /api/v1/namespaces  watch=true allowWatchBookmarks=true resourceVersion=8
        ! heard
    "#]]).await;
}

/// W7: A version is a text like any other: it need be no number, and may be smaller than the one before.
#[tokio::test(start_paused = true)]
async fn versions_are_not_understood() {
    let with = |mut line: Value, version: &str| {
        line["object"]["metadata"]["resourceVersion"] = json!(version);
        line
    };
    let script = vec![
        events(
            &[
                with(event("ADDED", "a", 0), "b/7 x"),
                with(end_of_list(0), "Z"),
                with(event("MODIFIED", "a", 0), "10"),
                with(event("ADDED", "b", 0), "9"),
            ],
            Then::End,
        ),
        events(&[with(bookmark(0), "é")], Then::End),
        events(&[], Then::Silence),
    ];
    check(script, 6, expect![[r#"
        ? /api/v1/namespaces  watch=true allowWatchBookmarks=true sendInitialEvents=true resourceVersionMatch=NotOlderThan resourceVersion=
        ! synced ["a"]
        ! applied a
        ! applied b
        ? /api/v1/namespaces  watch=true allowWatchBookmarks=true resourceVersion=9
        ! heard
        ! heard
        ? /api/v1/namespaces  watch=true allowWatchBookmarks=true resourceVersion=%C3%A9
        ! heard
    "#]]).await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_watch_is_taken_up_anew() {
    let script = vec![
        events(&[end_of_list(5)], Then::Silence),
        events(&[bookmark(6)], Then::Silence),
    ];
    check(script, 3, expect![[r#"
        ? /api/v1/namespaces  watch=true allowWatchBookmarks=true sendInitialEvents=true resourceVersionMatch=NotOlderThan resourceVersion=
        ! synced []
        ? /api/v1/namespaces  watch=true allowWatchBookmarks=true resourceVersion=5
        ! heard (95 s)
        ! heard (95 s)
    "#]]).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_streaming_is_asked_for_pages() {
    let script = vec![
        answer(
            422,
            &status(
                422,
                "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled",
            ),
        ),
        answer(200, &page(&json!([object("a", 1), object("b", 2)]), 9, "next/1")),
        answer(200, &page(&json!([object("c", 1)]), 9, "")),
        events(&[event("MODIFIED", "c", 10)], Then::Silence),
    ];
    check(script, 2, expect![[r#"
        ? /api/v1/namespaces  watch=true allowWatchBookmarks=true sendInitialEvents=true resourceVersionMatch=NotOlderThan resourceVersion=
        ? /api/v1/namespaces  limit=500
        ? /api/v1/namespaces  limit=500 continue=next%2F1
        ! synced ["a", "b", "c"]
        ? /api/v1/namespaces  watch=true allowWatchBookmarks=true resourceVersion=9
        ! applied c
    "#]]).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ignores_streaming_is_found_out() {
    let script = vec![
        events(
            &[event("ADDED", "a", 1), event("ADDED", "b", 2), bookmark(3)],
            Then::Silence,
        ),
        answer(200, &page(&json!([object("a", 1), object("b", 2)]), 9, "")),
    ];
    check(script, 1, expect![[r#"
        ? /api/v1/namespaces  watch=true allowWatchBookmarks=true sendInitialEvents=true resourceVersionMatch=NotOlderThan resourceVersion=
        ? /api/v1/namespaces  limit=500
        ! synced ["a", "b"] (30 s)
    "#]]).await;
    let script = vec![
        events(&[event("ADDED", "a", 1)], Then::End),
        answer(200, &page(&json!([object("a", 1)]), 9, "")),
        events(&[], Then::Silence),
    ];
    check(script, 1, expect![[r#"
        ? /api/v1/namespaces  watch=true allowWatchBookmarks=true sendInitialEvents=true resourceVersionMatch=NotOlderThan resourceVersion=
        ? /api/v1/namespaces  limit=500
        ? /api/v1/namespaces  watch=true allowWatchBookmarks=true resourceVersion=9
        ! synced ["a"]
    "#]]).await;
}

#[tokio::test(start_paused = true)]
async fn pages_stay_until_much_later() {
    let mut script = vec![
        answer(400, &status(400, "unknown")),
        answer(200, &page(&json!([]), 9, "")),
        events(&[error(410, "too old")], Then::End),
        answer(200, &page(&json!([]), 10, "")),
    ];
    // 40 watches of more than a minute and a half each.
    script.extend((0..40).map(|_| events(&[], Then::Silence)));
    script.extend([
        events(&[error(410, "too old")], Then::End),
        events(&[end_of_list(20)], Then::Silence),
    ]);
    let told = run::<Namespace>(Selection::All, script, 46).await;
    let asked: Vec<&str> = told
        .lines()
        .filter(|line| !line.contains("resourceVersion=10") && line.starts_with('?'))
        .collect();
    expect![[r#"
        ? /api/v1/namespaces  watch=true allowWatchBookmarks=true sendInitialEvents=true resourceVersionMatch=NotOlderThan resourceVersion=
        ? /api/v1/namespaces  limit=500
        ? /api/v1/namespaces  watch=true allowWatchBookmarks=true resourceVersion=9
        ? /api/v1/namespaces  limit=500
        ? /api/v1/namespaces  watch=true allowWatchBookmarks=true sendInitialEvents=true resourceVersionMatch=NotOlderThan resourceVersion=
        ? /api/v1/namespaces  watch=true allowWatchBookmarks=true resourceVersion=20"#]].assert_eq(&asked.join("\n"));
}

/// W1: 410 in a watch or in its place leads to a new list, told as a whole; nothing is cleared before.
#[tokio::test(start_paused = true)]
async fn a_version_that_is_too_old_leads_to_a_new_list() {
    let script = vec![
        events(
            &[
                event("ADDED", "a", 1),
                event("ADDED", "b", 2),
                end_of_list(5),
                error(410, "too old resource version: 5"),
            ],
            Then::End,
        ),
        events(&[event("ADDED", "b", 2), end_of_list(90)], Then::End),
        answer(410, &status(410, "too old resource version: 90")),
        events(&[end_of_list(95)], Then::Silence),
    ];
    check(script, 5, expect![[r#"
        ? /api/v1/namespaces  watch=true allowWatchBookmarks=true sendInitialEvents=true resourceVersionMatch=NotOlderThan resourceVersion=
        ! synced ["a", "b"]
        ! lost: the API server does not remember what changed since; it is asked for everything again
        ? /api/v1/namespaces  watch=true allowWatchBookmarks=true sendInitialEvents=true resourceVersionMatch=NotOlderThan resourceVersion=
        ! synced ["b"]
        ? /api/v1/namespaces  watch=true allowWatchBookmarks=true resourceVersion=90
        ? /api/v1/namespaces  watch=true allowWatchBookmarks=true sendInitialEvents=true resourceVersionMatch=NotOlderThan resourceVersion=
        ! lost: the API server does not remember what changed since; it is asked for everything again
        ! synced []
    "#]]).await;
}

/// W1: An expired continue token leads to a new list.
#[tokio::test(start_paused = true)]
async fn a_continue_token_that_is_too_old_leads_to_a_new_list_of_larger_pages() {
    let script = vec![
        answer(400, &status(400, "")),
        answer(200, &page(&json!([object("a", 1)]), 9, "next")),
        answer(410, &status(410, "The provided continue parameter is too old")),
        answer(200, &page(&json!([object("b", 1)]), 12, "")),
    ];
    check(script, 1, expect![[r#"
        ? /api/v1/namespaces  watch=true allowWatchBookmarks=true sendInitialEvents=true resourceVersionMatch=NotOlderThan resourceVersion=
        ? /api/v1/namespaces  limit=500
        ? /api/v1/namespaces  limit=500 continue=next
        ? /api/v1/namespaces  limit=2000
        ! synced ["b"]
    "#]]).await;
}

/// W9: A list of null items with a version is empty and complete; what has no version, or is of another kind, is no
/// list.
#[tokio::test(start_paused = true)]
async fn an_empty_list_is_one_and_what_is_no_list_is_none() {
    let script = vec![
        answer(400, &status(400, "")),
        answer(200, &json!({})),
        answer(
            200,
            &json!({"kind": "PodList", "metadata": {"resourceVersion": "4"}, "items": []}),
        ),
        text(200, "<html><body>Please log in</body></html>"),
        text(200, "{\"metadata\": {\"resourceVersion\": \"4\"}, \"items\": ["),
        answer(
            200,
            &json!({"kind": "NamespaceList", "metadata": {"resourceVersion": "4"}, "items": null}),
        ),
        events(&[], Then::Silence),
    ];
    check(script, 5, expect![[r#"
        ? /api/v1/namespaces  watch=true allowWatchBookmarks=true sendInitialEvents=true resourceVersionMatch=NotOlderThan resourceVersion=
        ? /api/v1/namespaces  limit=500
        ! lost: the server's answer to list namespaces makes no sense: a list without resourceVersion
        ? /api/v1/namespaces  limit=500
        ! lost: the server's answer to list namespaces makes no sense: no NamespaceList
        ? /api/v1/namespaces  limit=500
        ! lost: the server's answer to list namespaces makes no sense: expected value at line 1 column 1
        ? /api/v1/namespaces  limit=500
        ! lost: the server's answer to list namespaces makes no sense: EOF while parsing a list at line 1 column 49
        ? /api/v1/namespaces  limit=500
        ? /api/v1/namespaces  watch=true allowWatchBookmarks=true resourceVersion=4
        ! synced []
    "#]]).await;
}

/// W10: An object without a name among good ones is left out alone, in a list and in a watch.
#[tokio::test(start_paused = true)]
async fn an_object_that_cannot_be_read_is_left_out_alone() {
    let nameless = json!({"metadata": {"resourceVersion": "3"}});
    let script = vec![
        answer(400, &status(400, "")),
        answer(200, &page(&json!([object("a", 1), nameless, 7, object("b", 2)]), 9, "")),
        events(
            &[json!({"type": "ADDED", "object": nameless}), event("ADDED", "c", 4)],
            Then::End,
        ),
        events(&[], Then::Silence),
    ];
    check(script, 3, expect![[r#"
        ? /api/v1/namespaces  watch=true allowWatchBookmarks=true sendInitialEvents=true resourceVersionMatch=NotOlderThan resourceVersion=
        ? /api/v1/namespaces  limit=500
        ? /api/v1/namespaces  watch=true allowWatchBookmarks=true resourceVersion=9
        ! synced ["a", "b"]
        ! applied c
        ? /api/v1/namespaces  watch=true allowWatchBookmarks=true resourceVersion=4
        ! heard
    "#]]).await;
}

/// W6, W8: 401, 403, 404, an HTML page and ERROR events are said once per reason, tried again, and never an empty list.
#[tokio::test(start_paused = true)]
async fn refusals_are_told_once_per_reason_and_are_no_empty_list() {
    let script = vec![
        answer(403, &status(403, "namespaces is forbidden")),
        answer(403, &status(403, "namespaces is forbidden")),
        answer(401, &status(401, "Unauthorized")),
        answer(404, &status(404, "")),
        text(503, "<html>\n  <h1>Service Unavailable</h1>\n</html>"),
        events(&[event("ADDED", "a", 1), error(500, "etcd is away")], Then::End),
        events(
            &[event("ADDED", "a", 1), end_of_list(5), error(500, "etcd is away")],
            Then::End,
        ),
        answer(403, &status(403, "namespaces is forbidden")),
        events(&[], Then::Silence),
    ];
    check(script, 9, expect![[r#"
        ? /api/v1/namespaces  watch=true allowWatchBookmarks=true sendInitialEvents=true resourceVersionMatch=NotOlderThan resourceVersion=
        ! lost: the API server refused watch namespaces (403): grant list and watch on namespaces (it says: namespaces is forbidden)
        ? /api/v1/namespaces  watch=true allowWatchBookmarks=true sendInitialEvents=true resourceVersionMatch=NotOlderThan resourceVersion=
        ? /api/v1/namespaces  watch=true allowWatchBookmarks=true sendInitialEvents=true resourceVersionMatch=NotOlderThan resourceVersion=
        ! lost: the API server refused watch namespaces (401): renew the token or client certificate of the kubeconfig (it says: Unauthorized)
        ? /api/v1/namespaces  watch=true allowWatchBookmarks=true sendInitialEvents=true resourceVersionMatch=NotOlderThan resourceVersion=
        ! lost: the API server refused watch namespaces (404): is this the address of a Kubernetes API server?
        ? /api/v1/namespaces  watch=true allowWatchBookmarks=true sendInitialEvents=true resourceVersionMatch=NotOlderThan resourceVersion=
        ! lost: the API server refused watch namespaces (503): it is overloaded, starting or broken (it says: <html> <h1>Service Unavailable</h1> </html>)
        ? /api/v1/namespaces  watch=true allowWatchBookmarks=true sendInitialEvents=true resourceVersionMatch=NotOlderThan resourceVersion=
        ! lost: the API server refused watch namespaces (500): it is overloaded, starting or broken (it says: etcd is away)
        ? /api/v1/namespaces  watch=true allowWatchBookmarks=true sendInitialEvents=true resourceVersionMatch=NotOlderThan resourceVersion=
        ! synced ["a"]
        ! lost: the API server refused watch namespaces (500): it is overloaded, starting or broken (it says: etcd is away)
        ? /api/v1/namespaces  watch=true allowWatchBookmarks=true resourceVersion=5
        ! lost: the API server refused watch namespaces (403): grant list and watch on namespaces (it says: namespaces is forbidden)
        ? /api/v1/namespaces  watch=true allowWatchBookmarks=true resourceVersion=5
        ! heard
    "#]]).await;
}

/// W6: A list that is cut off before its end is no list.
#[tokio::test(start_paused = true)]
async fn a_server_that_breaks_or_does_not_answer() {
    let script = vec![
        silence(),
        events(&[event("ADDED", "a", 1)], Then::Break),
        events(&[end_of_list(5)], Then::Silence),
    ];
    check(script, 3, expect![[r#"
        ? /api/v1/namespaces  watch=true allowWatchBookmarks=true sendInitialEvents=true resourceVersionMatch=NotOlderThan resourceVersion=
        ? /api/v1/namespaces  watch=true allowWatchBookmarks=true sendInitialEvents=true resourceVersionMatch=NotOlderThan resourceVersion=
        ! lost: the API server did not answer watch namespaces within 30s (30 s)
        ! lost: the API server is unreachable: connection reset (30 s)
        ? /api/v1/namespaces  watch=true allowWatchBookmarks=true sendInitialEvents=true resourceVersionMatch=NotOlderThan resourceVersion=
        ! synced [] (30 s)
    "#]]).await;
}

/// W6: Half a line is no event, wherever it is cut; garbage ends the watch, which is taken up where it was.
#[tokio::test(start_paused = true)]
async fn half_a_line_is_no_event_and_garbage_ends_the_watch() {
    let whole = |line: Value| format!("{line}\n");
    let chunked = Answer {
        code: 200,
        chunks: vec![
            whole(end_of_list(5)) + "\n  \n" + &whole(event("ADDED", "a", 6))[..20],
            whole(event("ADDED", "a", 6))[20..].to_owned() + &event("ADDED", "half", 7).to_string(),
        ],
        then: Then::End,
    };
    let garbage = Answer {
        code: 200,
        chunks: vec![
            whole(event("ADDED", "b", 7)),
            "<html>\n".to_owned(),
            whole(event("ADDED", "unread", 8)),
        ],
        then: Then::Silence,
    };
    let unknown = events(
        &[
            json!({"type": "COMMENT", "object": 3}),
            json!({"type": "BOOKMARK", "object": {}}),
        ],
        Then::Silence,
    );
    check(
        vec![chunked, garbage, unknown, events(&[], Then::Silence)],
        9,
        expect![[r#"
            ? /api/v1/namespaces  watch=true allowWatchBookmarks=true sendInitialEvents=true resourceVersionMatch=NotOlderThan resourceVersion=
            ! synced []
            ! applied a
            ? /api/v1/namespaces  watch=true allowWatchBookmarks=true resourceVersion=6
            ! heard
            ! applied b
            ! lost: a watch answered with what is no event: expected value at line 1 column 1
            ? /api/v1/namespaces  watch=true allowWatchBookmarks=true resourceVersion=7
            ! heard
            ! heard
            ! lost: a watch answered with what is no bookmark: missing field `metadata` at line 1 column 2
            ? /api/v1/namespaces  watch=true allowWatchBookmarks=true resourceVersion=7
            ! heard
        "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_selection_is_asked_for_in_both_ways_of_listing() {
    let script = vec![
        answer(400, &status(400, "")),
        answer(200, &json!({"kind": "PodList", "metadata": {"resourceVersion": "4"}})),
        events(&[], Then::Silence),
    ];
    let told = run::<Pod>(Selection::Fields("spec.nodeName=n1".to_owned()), script, 1).await;
    expect![[r#"
        ? /api/v1/pods  watch=true fieldSelector=spec.nodeName%3Dn1 allowWatchBookmarks=true sendInitialEvents=true resourceVersionMatch=NotOlderThan resourceVersion=
        ? /api/v1/pods  fieldSelector=spec.nodeName%3Dn1 limit=500
        ? /api/v1/pods  watch=true fieldSelector=spec.nodeName%3Dn1 allowWatchBookmarks=true resourceVersion=4
        ! Synced([])
    "#]].assert_eq(&told);
}

#[test]
fn a_watch_is_noticed_as_dead_within_two_minutes() {
    let pace = Pace::default();
    assert!(pace.longest_watch() + pace.grace < Duration::from_secs(120));
}

/// However long the server was away: as soon as it is back without its history, it is asked for everything.
#[tokio::test(start_paused = true)]
async fn a_server_that_comes_back_and_remembers_nothing_is_listed_at_once() {
    let mut script = VecDeque::from([events(&[end_of_list(5)], Then::End)]);
    script.extend((0..12).map(|_| answer(503, &status(503, "starting"))));
    script.extend([
        events(&[error(410, "too old resource version: 5")], Then::End),
        events(&[event("ADDED", "b", 7), end_of_list(9)], Then::Silence),
    ]);
    let client = scripted(&Arc::new(Mutex::new(script)), &Arc::default());
    let mut feed = Box::pin(watch::<Namespace>(client, Selection::All, Pace::default()));
    let mut told = Vec::new();
    for _ in 0..5 {
        let event = feed.next().await.unwrap();
        told.push((Instant::now(), event.told()));
    }
    let [(_, first), (_, lost), (back, heard), (_, forgotten), (listed, again)] = told.try_into().unwrap();
    assert_eq!([&*first, &*heard, &*again], ["synced []", "heard", r#"synced ["b"]"#]);
    assert!(lost.contains("503"), "{lost}");
    assert!(forgotten.contains("does not remember"), "{forgotten}");
    assert_eq!(listed - back, Duration::ZERO);
}
