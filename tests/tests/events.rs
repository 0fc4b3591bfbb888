//! A NetworkPolicy with void pieces gets a Kubernetes Event, one for all nodes that have a subject of it, from enforcers
//! that run against the embedded and against the real API server.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking; clippy sees tests here only inside #[test]"
)]

use k8s_openapi::api::core::v1::Event;
use kube::Api;
use kube::api::ListParams;
use proto::model::ClusterName;
use serde_json::{Value, json};
use std::process::Stdio;
use std::time::Duration;
use tests::apiserver::embedded::{Faults, Resource, Verb};
use tests::apiserver::{Kind, Role};
use tests::assets;
use tests::lab::args::Network;
use tests::lab::control::Control;
use tests::lab::layout::Layout;
use tests::lab::netns::{self, Netns};
use tests::lab::programs::Programs;
use tests::lab::setup::Lab;
use tests::lab::wait::{Look, until};
use tests::lab::world::World;

/// The longest that an enforcer's Event may take: five seconds of jitter, and what a busy machine adds.
const LIMIT: Duration = Duration::from_secs(60);

/// How an enforcer's log tells of an Event.
const WRITTEN: &str = "an Event tells of the void pieces of a NetworkPolicy";

/// How it tells that it may not write any.
const FORBIDDEN: &str = "grant this enforcer's ServiceAccount create on events";

fn cluster() -> ClusterName {
    "a".parse().unwrap()
}

fn pod(name: &str, app: &str, node: &str, address: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "x", "labels": {"app": app}},
        "spec": {"nodeName": node},
        "status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]},
    })
}

/// Subjects on two nodes, and a node without one.
fn world() -> World {
    let pods = [
        pod("db-1", "db", "node-1", "10.1.0.1"),
        pod("db-2", "db", "node-2", "10.1.0.2"),
        pod("web", "web", "node-3", "10.1.0.3"),
    ];
    let mut world = World::default();
    world.clusters.insert(cluster(), pods.into());
    world
}

/// A policy of so many peers, each on as many ports. Of 257 there are more combinations than a policy may have, and yet an
/// API server takes it.
fn policy(count: u32) -> Value {
    named("wide", count)
}

fn named(name: &str, count: u32) -> Value {
    let peers: Vec<Value> = (0..count)
        .map(|number| json!({"podSelector": {"matchLabels": {"n": number.to_string()}}}))
        .collect();
    let ports: Vec<Value> = (0..count).map(|number| json!({"port": 2 * number + 1})).collect();
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": "x"},
        "spec": {
            "podSelector": {"matchLabels": {"app": "db"}}, "policyTypes": ["Ingress"],
            "ingress": [{"from": peers, "ports": ports}],
        },
    })
}

/// How often the logs of the nodes' enforcers say something.
fn said(control: &Control, words: &str) -> [usize; 3] {
    ["node-1", "node-2", "node-3"].map(|node| {
        let log = std::fs::read_to_string(control.folder().log(&format!("enforcer-a@{node}"))).unwrap();
        log.lines().filter(|line| line.contains(words)).count()
    })
}

/// Waits until the logs of these nodes' enforcers tell so many times of an Event.
async fn told(control: &Control, expected: [usize; 3]) {
    let look = async || {
        let counts = said(control, WRITTEN);
        Ok(if counts == expected {
            Look::Done(())
        } else {
            Look::NotYet(format!(
                "Events told of by the nodes: {counts:?}, expected {expected:?}"
            ))
        })
    };
    until(LIMIT, look).await.unwrap();
}

/// The Events on the policy, oldest first.
async fn events(control: &Control, policy: &Value) -> Vec<Event> {
    let client = control.cluster(&cluster()).unwrap().pods(policy).into_client();
    let api: Api<Event> = Api::namespaced(client, "x");
    let of_policy = ListParams::default().fields("involvedObject.kind=NetworkPolicy,involvedObject.name=wide");
    let mut events = api.list(&of_policy).await.unwrap().items;
    events.sort_by_key(|event| event.metadata.resource_version.clone().unwrap().parse::<u64>().unwrap());
    events
}

async fn kubectl(control: &Control, command: &str) -> String {
    let kubeconfig = control.folder().path().join("admin.kubeconfig");
    std::fs::write(
        &kubeconfig,
        control.cluster(&cluster()).unwrap().kubeconfig(Role::Admin),
    )
    .unwrap();
    let output = tokio::process::Command::new(assets::program("kubectl").unwrap())
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .arg("--cache-dir")
        .arg(control.folder().path().join("kubectl"))
        .args(command.split(' '))
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

async fn one_event_for_each_generation(control: &Control, commands: &[&str]) {
    let api_server = control.cluster(&cluster()).unwrap();
    let broken = policy(257);
    api_server.write(std::slice::from_ref(&broken)).await.unwrap();
    told(control, [1, 1, 0]).await;
    let [first] = events(control, &broken).await.try_into().unwrap();
    let about = &first.involved_object;
    assert_eq!(
        [
            about.api_version.as_deref(),
            about.kind.as_deref(),
            about.namespace.as_deref(),
            about.name.as_deref(),
            first.type_.as_deref(),
            first.reason.as_deref(),
            first.message.as_deref(),
        ],
        [
            Some("networking.k8s.io/v1"),
            Some("NetworkPolicy"),
            Some("x"),
            Some("wide"),
            Some("Warning"),
            Some("LimitExceeded"),
            Some(
                "spec.ingress: the rules combine peers and ports in more than 65536 ways; 1 of the rules admit nothing. \
                 Split the policy, or let it combine fewer peers with fewer ports."
            ),
        ]
    );
    assert!(about.uid.as_ref().is_some_and(|uid| !uid.is_empty()));
    for command in commands {
        let shown = kubectl(control, command).await;
        let lines: Vec<&str> = shown.lines().filter(|line| line.contains("LimitExceeded")).collect();
        let [line] = lines.as_slice() else {
            panic!("{command}: {shown}")
        };
        for words in ["Warning", "networkpolicy/wide", "65536 ways", "Split the policy"] {
            assert!(line.to_lowercase().contains(&words.to_lowercase()), "{command}: {line}");
        }
        assert!(!line.contains("unknown"), "an age: {line}");
    }

    api_server.write(&[policy(2)]).await.unwrap();
    api_server.write(std::slice::from_ref(&broken)).await.unwrap();
    told(control, [2, 2, 0]).await;
    let events = events(control, &broken).await;
    assert_eq!(events.len(), 2, "{events:#?}");
    assert_eq!(events[0], first);
}

/// An API server that starts forbids everything for a moment: an Event is written after it, and nothing said.
async fn forbidden_for_a_moment_is_tried_again(control: &Control) {
    let api_server = control.cluster(&cluster()).unwrap();
    let server = api_server.embedded().unwrap();
    server.set_faults(Faults {
        forbidden: [(Verb::Create, Resource::Events)].into(),
        ..Faults::default()
    });
    let mut broken = policy(257);
    broken["spec"]["podSelector"]["matchLabels"]["app"] = "web".into();
    api_server.write(&[broken]).await.unwrap();
    server.refused(1).await;
    server.set_faults(Faults::default());
    told(control, [0, 0, 1]).await;
    assert_eq!(said(control, FORBIDDEN), [0; 3]);
}

/// An enforcer that may not write Events says so once, whatever the number of Events, and goes on.
async fn forbidden_is_said_once(control: &Control) {
    let api_server = control.cluster(&cluster()).unwrap();
    let server = api_server.embedded().unwrap();
    server.set_faults(Faults {
        forbidden: [(Verb::Create, Resource::Events)].into(),
        ..Faults::default()
    });
    let names = ["wide-1", "wide-2", "wide-3"];
    let broken = names.map(|name| named(name, 257));
    api_server.write(&broken).await.unwrap();
    // Of each node: the first as often as it takes to be certain, the others once.
    server.refused(2 * (3 + names.len() - 1)).await;
    server.set_faults(Faults::default());
    // It still hears of policies, and writes as soon as it may; what is refused is not tried again.
    api_server.write(&[policy(257)]).await.unwrap();
    told(control, [1, 1, 0]).await;
    assert_eq!(said(control, FORBIDDEN), [1, 1, 0]);
    control.enforcers_ready().await.unwrap();
    assert_eq!(events(control, &policy(257)).await.len(), 1);
}

/// Enforcers of three nodes at an API server.
fn in_lab(apiserver: Kind, story: impl AsyncFnOnce(&Control)) {
    Netns::leave().expect("these tests make network namespaces: run them as root");
    let network = Network {
        layout: Layout::Routed,
        apiserver,
    };
    let lab = Lab::build(world(), &[].into(), network).unwrap();
    netns::block_on(async {
        let programs = Programs::ready().unwrap();
        let control = lab.start(&programs, network).await.unwrap();
        control.enforcers_ready().await.unwrap();
        let told = tokio::time::timeout(LIMIT * 4, story(&control)).await;
        control.stop().await;
        told.unwrap();
    });
}

/// P25, S127: two nodes with a subject make one Event, a third makes none; each generation that is broken gets its own.
fn story(apiserver: Kind) {
    // What `kubectl get` shows are tables of the server's, and the embedded one has none for Events.
    let commands: &[&str] = match apiserver {
        Kind::Embedded => &["events -n x --for networkpolicy/wide"],
        Kind::Real => &["events -n x --for networkpolicy/wide", "get events -n x"],
    };
    in_lab(apiserver, async |control| {
        one_event_for_each_generation(control, commands).await;
    });
}

#[test]
fn nodes_with_a_subject_make_one_event_on_the_embedded_server() {
    story(Kind::Embedded);
}

#[test]
fn nodes_with_a_subject_make_one_event_on_the_real_server() {
    story(Kind::Real);
}

#[test]
fn an_event_that_is_forbidden_for_a_moment_is_written() {
    in_lab(Kind::Embedded, forbidden_for_a_moment_is_tried_again);
}

#[test]
fn an_enforcer_that_may_not_write_events_says_so_once_and_goes_on() {
    in_lab(Kind::Embedded, forbidden_is_said_once);
}
