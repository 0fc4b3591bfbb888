//! What a change takes until packets show it, beside the floor: a bare watch, on the node that has to act, of the object
//! that was changed. Nothing that learns of it by a watch can be earlier.
//!
//! Both clocks begin when the write is sent. The figures are printed; the test fails only if something does not happen.

#![expect(clippy::disallowed_methods, reason = "the clock is what this is about")]

use super::flow::{BEAT, Flow, netns_of_node};
use super::rig::{A, B, Pod, SOON, apply, client, kubectl, pod, pods};
use super::stories::Examples;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{Api, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::json;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};
use tests::lab::measure::Samples;
use tests::lab::netns;
use tests::lab::wait::{Look, until};

mod isolated;

/// Of each kind.
const SAMPLES: usize = 100;

/// Events that may wait for the sample that takes them: one each is expected.
const EVENTS: usize = 1024;

/// What a bare watch sees: the object's name with what was looked for in it, and when.
type Seen = Receiver<(String, Instant)>;

/// A bare watch, from a node, of objects of a namespace. `mark` is what makes a change of an object known.
fn watch<K>(cluster: &'static str, on: (&str, &str), namespace: &'static str, mark: fn(&K) -> String) -> Seen
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + DeserializeOwned
        + Clone
        + std::fmt::Debug
        + Send
        + 'static,
{
    let netns = netns_of_node(on.0, on.1);
    let (found, seen) = sync_channel(EVENTS);
    let (ready, begun) = sync_channel(EVENTS);
    std::thread::spawn(move || {
        netns.enter().unwrap();
        netns::block_on(async {
            let api: Api<K> = Api::namespaced(client(cluster).await, namespace);
            let list = api.list(&kube::api::ListParams::default()).await.unwrap();
            let since = list.metadata.resource_version.unwrap();
            let mut events = api
                .watch(&WatchParams::default().timeout(290), &since)
                .await
                .unwrap()
                .boxed();
            ready.send(()).unwrap();
            while let Some(event) = events.try_next().await.unwrap() {
                if let WatchEvent::Added(object) | WatchEvent::Modified(object) = event {
                    let told = found.send((format!("{} {}", object.name_any(), mark(&object)), Instant::now()));
                    if told.is_err() {
                        return;
                    }
                }
            }
        });
    });
    begun.recv_timeout(SOON).expect("a bare watch does not begin");
    seen
}

/// When a bare watch saw it.
fn saw(seen: &Seen, what: &str) -> Instant {
    loop {
        let (found, when) = seen
            .recv_timeout(SOON)
            .unwrap_or_else(|_| panic!("a bare watch does not see {what}"));
        if found == what {
            return when;
        }
    }
}

/// Waits for what a look shows.
async fn shown<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let look = async || Ok(look().await.map_or_else(|| Look::NotYet(what.to_owned()), Look::Done));
    until(SOON, look).await.unwrap_or_else(|error| panic!("{error:#}"))
}

fn print(what: &str, figure: &mut Samples, floor: &mut Samples) {
    assert_eq!((figure.len(), floor.len()), (SAMPLES, SAMPLES), "{what}");
    for percent in [50, 99] {
        let (figure, floor) = (figure.percentile_ms(percent), floor.percentile_ms(percent));
        println!(
            "{what}, p{percent}: {figure:6.1} ms, a bare watch {floor:6.1} ms, {:+.1} ms",
            figure - floor
        );
    }
}

/// A pod of another cluster gets a label that a policy asks for, until its packets arrive.
#[tokio::test]
async fn labelled_until_reachable() {
    let _examples = Examples::start();
    // A pod of no Deployment's: one would start another pod for each that loses its label, and all would be busy with that.
    let alone = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "alone", "namespace": "shop", "labels": {"app": "alone"}},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "sleep", "image": "busybox:1.37", "command": ["sleep", "infinity"]}],
        },
    });
    apply(B, &alone.to_string());
    kubectl(B, "wait --namespace shop --for=condition=Ready --timeout=60s pod/alone");
    let (database, alone) = (pod(A, "shop", "database"), pod(B, "shop", "alone"));
    let flow = Flow::start(&alone, &database);
    shown("datagrams without a policy", async || {
        flow.first_arrived(Instant::now() - SOON)
    })
    .await;
    // Story 1 with all ports: datagrams are what is sent.
    let frontends = json!({
        "podSelector": {"matchLabels": {"app": "frontend"}},
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}},
    });
    let policy = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "from-frontends", "namespace": "shop"},
        "spec": {"podSelector": {"matchLabels": {"app": "database"}}, "ingress": [{"from": [frontends]}]},
    });
    apply(A, &policy.to_string());
    shown("silence with the policy", async || {
        flow.last_arrived(Instant::now() - SOON)
    })
    .await;

    let app = |pod: &v1::Pod| pod.labels().get("app").cloned().unwrap_or_default();
    let seen = watch::<v1::Pod>(B, (A, &database.node), "shop", app);
    let api: Api<v1::Pod> = Api::namespaced(client(B).await, "shop");
    let relabel = async |app: &str| {
        let start = Instant::now();
        let patch = Patch::Merge(json!({"metadata": {"labels": {"app": app}}}));
        api.patch(&alone.name, &PatchParams::default(), &patch).await.unwrap();
        (start, saw(&seen, &format!("{} {app}", alone.name)))
    };
    let [mut opened, mut closed, mut floor_opened, mut floor_closed] = [const { Samples::new() }; 4];
    for _ in 0..SAMPLES {
        let (start, saw) = relabel("frontend").await;
        opened.push(shown("a datagram", async || flow.first_arrived(start)).await - start);
        floor_opened.push(saw - start);
        let (start, saw) = relabel("alone").await;
        closed.push(shown("silence", async || flow.last_arrived(start)).await - start);
        floor_closed.push(saw - start);
    }
    drop(flow);
    kubectl(B, "delete pod --namespace shop alone");
    println!("packets every {} µs", BEAT.as_micros());
    print(
        "pod of another cluster labelled → its packets arrive",
        &mut opened,
        &mut floor_opened,
    );
    print("label taken away → they do not", &mut closed, &mut floor_closed);
}

/// A policy is created, until it is in force on every node of its cluster.
#[tokio::test]
async fn created_until_in_force() {
    let _examples = Examples::start();
    kubectl(A, "scale deployment --namespace shop frontend --replicas=4");
    kubectl(A, "rollout status --namespace shop deployment/frontend --timeout=90s");
    let batch = pod(B, "shop", "batch");
    let mut targets: Vec<Pod> = pods(A, "shop", "frontend");
    targets.sort_by(|a, b| a.node.cmp(&b.node));
    targets.dedup_by(|a, b| a.node == b.node);
    assert_eq!(targets.len(), 2, "frontends are not on every node: {targets:?}");
    let flows: Vec<Flow> = targets.iter().map(|to| Flow::start(&batch, to)).collect();
    let seen: Vec<Seen> = targets
        .iter()
        .map(|target| watch::<NetworkPolicy>(A, (A, &target.node), "shop", |_| String::new()))
        .collect();

    let api: Api<NetworkPolicy> = Api::namespaced(client(A).await, "shop");
    let [mut in_force, mut floor] = [const { Samples::new() }; 2];
    for number in 0..SAMPLES {
        for flow in &flows {
            shown("datagrams without a policy", async || {
                flow.first_arrived(Instant::now() - Duration::from_millis(50))
            })
            .await;
        }
        let name = format!("deny-{number}");
        let policy: NetworkPolicy = serde_json::from_value(json!({
            "metadata": {"name": name},
            "spec": {"podSelector": {"matchLabels": {"app": "frontend"}}, "policyTypes": ["Ingress"]},
        }))
        .unwrap();
        let start = Instant::now();
        api.create(&PostParams::default(), &policy).await.unwrap();
        let mut last = start;
        for flow in &flows {
            last = last.max(shown("silence on every node", async || flow.last_arrived(start)).await);
        }
        in_force.push(last - start);
        let watched = seen.iter().map(|seen| saw(seen, &format!("{name} "))).max().unwrap();
        floor.push(watched - start);
        api.delete(&name, &Default::default()).await.unwrap();
    }
    kubectl(A, "scale deployment --namespace shop frontend --replicas=2");
    print(
        "policy created → in force on every node of its cluster",
        &mut in_force,
        &mut floor,
    );
}
