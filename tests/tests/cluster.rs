//! Hub and mirror against two API servers, end to end over mutual TLS: what is written to either cluster is what an
//! enforcer's mirror holds, whatever happens to the servers in between.
//!
//! The same story runs against the embedded and the real API server. Each step writes, and waits until the mirror holds
//! exactly what it then should.

#![expect(clippy::unwrap_used, reason = "a test's panic is its report")]

use expect_test::{Expect, expect};
use kube::Client;
use proto::mirror::Mirror;
use proto::subscribe::{Event, Hubs, Subscriber, subscribe};
use serde_json::{Value, json};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::Duration;
use tests::apiserver::{ApiServer, Kind, Role, Site};
use tests::hub::Hub;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// No step takes longer, however busy the machine: the slowest waits for a feed's longest pause between two tries.
const DEADLINE: Duration = Duration::from_secs(60);

/// Frames that wait to be applied.
const FRAMES: usize = 64;

/// A hub, and the mirror of an enforcer of cluster `a`.
struct World {
    mirror: Mirror,
    events: mpsc::Receiver<Event>,
    _tasks: JoinSet<()>,
    _hub: Hub,
    _again: watch::Sender<u64>,
}

impl World {
    /// Starts a hub over the folder `clusters` in `dir`, and subscribes to it.
    fn start(dir: &Path) -> World {
        let hub = Hub::start(dir, &["a".parse().unwrap()]).unwrap();
        let hubs = Hubs {
            urls: vec![format!("https://{}", hub.listen()).parse().unwrap()],
            tls: Some(hub.files("cluster-a")),
        };
        let subscriber = Subscriber {
            cluster: "a".parse().unwrap(),
            node: "n1".into(),
        };
        let again = watch::Sender::new(0);
        let (feed, _reporter) = subscribe(hubs, subscriber, again.subscribe(), fastrand::Rng::with_seed(1));
        let (sender, events) = mpsc::channel(FRAMES);
        let mut tasks = JoinSet::new();
        tasks.spawn(feed.run(sender));
        let mirror = Mirror::new("a".parse().unwrap());
        World {
            mirror,
            events,
            _tasks: tasks,
            _hub: hub,
            _again: again,
        }
    }

    /// Applies what comes until the mirror holds what it should.
    async fn becomes(&mut self, expected: Expect) {
        let caught_up = async {
            while !same_lines(&show(&self.mirror), expected.data()) {
                match self.events.recv().await.expect("the feed goes on") {
                    Event::Connected(_) => self.mirror.disconnected(),
                    Event::Frame(frame) => {
                        self.mirror.apply(&frame).unwrap();
                    }
                    Event::Lost(_) => {}
                }
            }
        };
        if tokio::time::timeout(DEADLINE, caught_up).await.is_err() {
            expected.assert_eq(&show(&self.mirror));
        }
    }
}

/// Whether two texts differ in indentation at most.
fn same_lines(one: &str, other: &str) -> bool {
    let lines = |text: &str| -> Vec<String> {
        let lines = text.lines().map(str::trim);
        lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
    };
    lines(one) == lines(other)
}

/// What a mirror holds: clusters, namespaces but those that every cluster has, addresses and who owns them.
fn show(mirror: &Mirror) -> String {
    let mut text = String::new();
    for (cluster, state) in mirror.clusters() {
        writeln!(text, "{cluster} {state:?}").unwrap();
    }
    for (namespace, labels) in mirror.namespaces() {
        if namespace.name.len() == 1 {
            writeln!(text, "{}/{} {labels:?}", namespace.cluster, namespace.name).unwrap();
        }
    }
    for (address, owners) in mirror.owners() {
        for owner in owners {
            let identity = mirror.identity(*owner);
            let namespace = &identity.namespace;
            writeln!(
                text,
                "{address} {}/{} {:?}",
                namespace.cluster, namespace.name, identity.labels
            )
            .unwrap();
        }
    }
    text
}

async fn write(client: &Client, method: &str, path: &str, body: Value) {
    let content_type = if method == "PATCH" {
        "application/merge-patch+json"
    } else {
        "application/json"
    };
    let request = http::Request::builder()
        .method(method)
        .uri(format!("/api/v1/namespaces{path}"))
        .header("content-type", content_type)
        .body(if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        })
        .unwrap();
    client.request::<Value>(request).await.unwrap();
}

/// Creates namespace `x` with a running pod `web`.
async fn populate(client: &Client, addresses: [&str; 2]) {
    write(
        client,
        "POST",
        "",
        json!({"metadata": {"name": "x", "labels": {"team": "red"}}}),
    )
    .await;
    let pod = json!({"metadata": {"name": "web", "labels": {"app": "web"}},
                     "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]}});
    write(client, "POST", "/x/pods", pod).await;
    let ips: Vec<Value> = addresses.iter().map(|ip| json!({"ip": ip})).collect();
    write(
        client,
        "PATCH",
        "/x/pods/web/status",
        json!({"status": {"phase": "Running", "podIPs": ips}}),
    )
    .await;
}

async fn relabel(client: &Client, app: &str) {
    write(
        client,
        "PATCH",
        "/x/pods/web",
        json!({"metadata": {"labels": {"app": app}}}),
    )
    .await;
}

#[expect(clippy::too_many_lines, reason = "most of them are what the mirror should hold")]
async fn story(kind: Kind) {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("clusters");
    fs::create_dir(&folder).unwrap();
    let start = async |name: &str| {
        let own = dir.path().join(name);
        fs::create_dir(&own).unwrap();
        ApiServer::start(kind, Site::loopback(name, own)).await.unwrap()
    };
    let (a, mut b) = (start("a").await, start("b").await);
    populate(&a.client().await.unwrap(), ["10.1.1.1", "fd00:1::1"]).await;
    populate(&b.client().await.unwrap(), ["10.2.1.1", "fd00:2::1"]).await;
    let b_file = folder.join("b.kubeconfig");
    fs::write(folder.join("a.kubeconfig"), a.kubeconfig(Role::Hub)).unwrap();

    let mut world = World::start(dir.path());
    world
        .becomes(expect![[r#"
            a Live
            a/x {"kubernetes.io/metadata.name": "x", "team": "red"}
            10.1.1.1 a/x {"app": "web"}
            fd00:1::1 a/x {"app": "web"}
        "#]])
        .await;

    // A cluster is added while the hub runs.
    fs::write(&b_file, b.kubeconfig(Role::Hub)).unwrap();
    world
        .becomes(expect![[r#"
            a Live
            b Live
            a/x {"kubernetes.io/metadata.name": "x", "team": "red"}
            b/x {"kubernetes.io/metadata.name": "x", "team": "red"}
            10.1.1.1 a/x {"app": "web"}
            10.2.1.1 b/x {"app": "web"}
            fd00:1::1 a/x {"app": "web"}
            fd00:2::1 b/x {"app": "web"}
        "#]])
        .await;

    relabel(&b.client().await.unwrap(), "db").await;
    world
        .becomes(expect![[r#"
            a Live
            b Live
            a/x {"kubernetes.io/metadata.name": "x", "team": "red"}
            b/x {"kubernetes.io/metadata.name": "x", "team": "red"}
            10.1.1.1 a/x {"app": "web"}
            10.2.1.1 b/x {"app": "db"}
            fd00:1::1 a/x {"app": "web"}
            fd00:2::1 b/x {"app": "db"}
        "#]])
        .await;

    // Its API server dies: what was known stays.
    b.kill().await.unwrap();
    world
        .becomes(expect![[r#"
            a Live
            b Stale
            a/x {"kubernetes.io/metadata.name": "x", "team": "red"}
            b/x {"kubernetes.io/metadata.name": "x", "team": "red"}
            10.1.1.1 a/x {"app": "web"}
            10.2.1.1 b/x {"app": "db"}
            fd00:1::1 a/x {"app": "web"}
            fd00:2::1 b/x {"app": "db"}
        "#]])
        .await;

    b.restart().await.unwrap();
    let client = b.client().await.unwrap();
    relabel(&client, "late").await;
    world
        .becomes(expect![[r#"
            a Live
            b Live
            a/x {"kubernetes.io/metadata.name": "x", "team": "red"}
            b/x {"kubernetes.io/metadata.name": "x", "team": "red"}
            10.1.1.1 a/x {"app": "web"}
            10.2.1.1 b/x {"app": "late"}
            fd00:1::1 a/x {"app": "web"}
            fd00:2::1 b/x {"app": "late"}
        "#]])
        .await;

    namespace_ends(&mut world, &client).await;

    // The cluster leaves.
    populate(&client, ["10.2.1.2", "fd00:2::2"]).await;
    world
        .becomes(expect![[r#"
            a Live
            b Live
            a/x {"kubernetes.io/metadata.name": "x", "team": "red"}
            b/x {"kubernetes.io/metadata.name": "x", "team": "red"}
            10.1.1.1 a/x {"app": "web"}
            10.2.1.2 b/x {"app": "web"}
            fd00:1::1 a/x {"app": "web"}
            fd00:2::2 b/x {"app": "web"}
        "#]])
        .await;
    fs::remove_file(&b_file).unwrap();
    world
        .becomes(expect![[r#"
            a Live
            b Left
            a/x {"kubernetes.io/metadata.name": "x", "team": "red"}
            10.1.1.1 a/x {"app": "web"}
            fd00:1::1 a/x {"app": "web"}
        "#]])
        .await;
}

/// A namespace is deleted; the test is its controller.
async fn namespace_ends(world: &mut World, client: &Client) {
    write(client, "DELETE", "/x/pods/web?gracePeriodSeconds=0", Value::Null).await;
    write(client, "DELETE", "/x", Value::Null).await;
    let finalized = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}, "spec": {}});
    write(client, "PUT", "/x/finalize", finalized).await;
    world
        .becomes(expect![[r#"
            a Live
            b Live
            a/x {"kubernetes.io/metadata.name": "x", "team": "red"}
            10.1.1.1 a/x {"app": "web"}
            fd00:1::1 a/x {"app": "web"}
        "#]])
        .await;
}

#[tokio::test]
async fn two_embedded_servers_reach_a_mirror() {
    story(Kind::Embedded).await;
}

#[tokio::test]
async fn two_real_servers_reach_a_mirror() {
    story(Kind::Real).await;
}
