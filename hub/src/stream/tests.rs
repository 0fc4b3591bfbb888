use super::*;
use crate::config::Security;
use crate::eventloop::{Ends, EventLoop};
use crate::inventory::{Connection, Inventory, Observed};
use crate::machine::Input;
use crate::query::Queries;
use crate::ranges::PodRanges;
use crate::sample::{cluster, labels, namespace, pod};
use crate::server::{self, Listener};
use crate::shutdown::Trigger;
use proto::mirror::Mirror;
use proto::model::{ClusterState, Epoch, NamespaceName};
use proto::peer::{Name, Peer};
use proto::selector::Switches;
use proto::watch::Event;
use proto::wire;
use proto::wire::sync_client::SyncClient;
use std::net::SocketAddr;
use tonic::transport::Channel;

/// How long a test waits for what must come; far longer than it takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A hub on loopback, without TLS.
struct Hub {
    ends: Ends,
    registry: Arc<Registry>,
    address: SocketAddr,
    trigger: Trigger,
}

impl Hub {
    async fn start() -> Self {
        let metrics = Metrics::default();
        let (owner, ends) = EventLoop::new(Epoch(7), PodRanges::default(), metrics.clone());
        let (trigger, shutdown) = Shutdown::new();
        let registry = Arc::new(Registry::default());
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), &Security::Insecure)
            .await
            .unwrap();
        let address = listener.local_address().unwrap();
        let sync = SyncService {
            handle: ends.handle.clone(),
            ring: Arc::clone(&ends.ring),
            members: ends.members.clone(),
            registry: Arc::clone(&registry),
            metrics,
            shutdown: shutdown.clone(),
        };
        let queries = Queries::new(
            ends.handle.clone(),
            Arc::clone(&registry),
            Arc::clone(&ends.ring),
            Switches::default(),
        );
        let routes = server::routes(queries).await.add_service(sync);
        tokio::spawn(owner.run(shutdown.clone()));
        tokio::spawn(server::serve(listener, routes, shutdown));
        Self {
            ends,
            registry,
            address,
            trigger,
        }
    }

    /// A hub that knows cluster a with one pod.
    async fn with_one_pod() -> Self {
        let hub = Self::start().await;
        hub.tell(Input::Connected {
            cluster: cluster("a"),
            connection: Connection(1),
            server: "https://a.example".to_owned(),
        })
        .await;
        let namespaces = vec![namespace("shop", "1", "team=shop")];
        hub.observe(Observed::Namespaces(Event::Synced(namespaces))).await;
        let pods = vec![pod("shop/web", &["10.1.0.1", "fd00::1"], "app=web")];
        hub.observe(Observed::Pods(Event::Synced(pods))).await;
        // Inputs and questions wait in queues of their own.
        let is_live = |inventory: &Inventory, _| {
            let member = inventory.cluster(&cluster("a"));
            member.is_some_and(|member| member.state() == ClusterState::Live)
        };
        while !hub.ends.handle.read(is_live).await.unwrap() {
            tokio::task::yield_now().await;
        }
        hub
    }

    async fn tell(&self, input: Input) {
        self.ends.inputs.send(input).await.unwrap();
    }

    async fn observe(&self, observed: Observed) {
        self.tell(Input::Observed {
            cluster: cluster("a"),
            connection: Connection(1),
            observed,
        })
        .await;
    }

    async fn client(&self) -> SyncClient<Channel> {
        SyncClient::connect(format!("http://{}", self.address)).await.unwrap()
    }

    async fn subscribe(&self, resume: Option<Revision>) -> Result<Streaming<Frame>, Status> {
        let request = SubscribeRequest {
            cluster: "a".to_owned(),
            node: "node-1".to_owned(),
            resume: resume.map(wire::Revision::from),
            wire_version: 1,
        };
        let response = self.client().await.subscribe(request).await?;
        Ok(response.into_inner())
    }
}

async fn next(stream: &mut Streaming<Frame>) -> Frame {
    let frame = tokio::time::timeout(PATIENCE, stream.message()).await;
    frame.expect("a frame comes").unwrap().expect("the stream goes on")
}

/// How the stream ends.
async fn end(stream: &mut Streaming<Frame>) -> Status {
    loop {
        let message = tokio::time::timeout(PATIENCE, stream.message()).await;
        match message.expect("the stream ends") {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream ended without a word"),
            Err(status) => return status,
        }
    }
}

/// Applies frames until the mirror is as it should be.
async fn follow(stream: &mut Streaming<Frame>, mirror: &mut Mirror, until: impl Fn(&Mirror) -> bool) {
    while !until(mirror) {
        mirror.apply(&next(stream).await).unwrap();
    }
}

fn apps(mirror: &Mirror, address: &str) -> Vec<String> {
    let claims = mirror.claims(address.parse().unwrap()).iter();
    let app = |id| mirror.identity(id).labels["app"].to_string();
    claims.map(|id| app(*id)).collect()
}

#[tokio::test]
async fn a_subscriber_gets_all_there_is_and_then_every_change() {
    let hub = Hub::with_one_pod().await;
    let mut mirror = Mirror::new(cluster("b"));
    let mut stream = hub.subscribe(None).await.unwrap();
    follow(&mut stream, &mut mirror, |mirror| {
        mirror.clusters().get(&cluster("a")) == Some(&ClusterState::Live)
    })
    .await;
    assert_eq!(apps(&mirror, "10.1.0.1"), ["web"]);
    assert_eq!(apps(&mirror, "fd00::1"), ["web"]);
    let shop = NamespaceName {
        cluster: cluster("a"),
        name: "shop".into(),
    };
    assert_eq!(mirror.namespace_labels(&shop), Some(&*labels("team=shop")));

    let relabelled = pod("shop/web", &["10.1.0.1", "fd00::1"], "app=db");
    hub.observe(Observed::Pods(Event::Applied(relabelled))).await;
    follow(&mut stream, &mut mirror, |mirror| apps(mirror, "10.1.0.1") == ["db"]).await;
    assert_eq!(apps(&mirror, "fd00::1"), ["db"]);
}

#[tokio::test]
async fn a_stream_is_resumed_after_the_last_revision() {
    let hub = Hub::with_one_pod().await;
    let mut mirror = Mirror::new(cluster("b"));
    let mut stream = hub.subscribe(None).await.unwrap();
    follow(&mut stream, &mut mirror, |mirror| !apps(mirror, "10.1.0.1").is_empty()).await;
    drop(stream);
    mirror.disconnected();

    let relabelled = pod("shop/web", &["10.1.0.1"], "app=db");
    hub.observe(Observed::Pods(Event::Applied(relabelled))).await;
    let mut stream = hub.subscribe(mirror.revision()).await.unwrap();
    let first = next(&mut stream).await;
    assert!(
        !matches!(
            first.body,
            Some(wire::frame::Body::Chunk(_) | wire::frame::Body::End(_))
        ),
        "no snapshot: {first:?}"
    );
    mirror.apply(&first).unwrap();
    follow(&mut stream, &mut mirror, |mirror| {
        apps(mirror, "10.1.0.1") == ["db"] && apps(mirror, "fd00::1").is_empty()
    })
    .await;
}

/// C6: A revision of another hub gets a snapshot.
#[tokio::test]
async fn a_revision_of_another_hub_gets_a_snapshot() {
    let hub = Hub::with_one_pod().await;
    let foreign = Revision {
        epoch: Epoch(8),
        sequence: 1,
    };
    let mut stream = hub.subscribe(Some(foreign)).await.unwrap();
    let first = next(&mut stream).await;
    assert!(
        matches!(
            first.body,
            Some(wire::frame::Body::Chunk(_) | wire::frame::Body::End(_))
        ),
        "a snapshot: {first:?}"
    );
}

/// C7, S126: A hub that knows nothing yet does not answer with an empty world.
#[tokio::test]
async fn an_empty_world_is_no_answer() {
    let hub = Hub::start().await;
    let refused = hub.subscribe(None).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unavailable, "{refused}");
}

/// C13: Who is no member, or speaks another version, is told so.
#[tokio::test]
async fn who_is_no_member_or_speaks_another_version_is_told_so() {
    let hub = Hub::with_one_pod().await;
    let request = |cluster: &str, wire_version| SubscribeRequest {
        cluster: cluster.to_owned(),
        node: "node-1".to_owned(),
        resume: None,
        wire_version,
    };
    let mut client = hub.client().await;
    let refused = client.subscribe(request("x", 1)).await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.message()),
        (
            tonic::Code::FailedPrecondition,
            "x is no member: the hub's folder of clusters has no kubeconfig of that name"
        )
    );
    let refused = client.subscribe(request("a", 2)).await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.message()),
        (
            tonic::Code::FailedPrecondition,
            "the enforcer speaks wire version 2, this hub 1: upgrade the older of the two"
        )
    );
    let refused = client.subscribe(request("../a", 1)).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{refused}");
}

#[tokio::test]
async fn a_report_and_a_stream_are_remembered() {
    let hub = Hub::with_one_pod().await;
    let message = ReportRequest {
        cluster: "a".to_owned(),
        node: "node-1".to_owned(),
        applied: Some(wire::Revision {
            epoch_high: 0,
            epoch_low: 7,
            sequence: 3,
        }),
        policies: 5,
        ..ReportRequest::default()
    };
    let mut stream = hub.subscribe(None).await.unwrap();
    next(&mut stream).await;
    let answer = hub.client().await.report(message.clone()).await.unwrap().into_inner();
    assert_eq!(answer.next_report_ms, 15_000);

    let enforcers = hub.registry.list();
    let [((a, node), enforcer)] = &enforcers.iter().collect::<Vec<_>>()[..] else {
        panic!("one enforcer: {enforcers:?}");
    };
    assert_eq!((a.as_str(), &**node, enforcer.streams), ("a", "node-1", 1));
    let report = enforcer.report.as_ref().unwrap();
    let applied = Revision {
        epoch: Epoch(7),
        sequence: 3,
    };
    assert_eq!((report.applied, &report.message), (Some(applied), &message));
}

#[tokio::test]
async fn a_hub_that_stops_says_so() {
    let hub = Hub::with_one_pod().await;
    let mut stream = hub.subscribe(None).await.unwrap();
    next(&mut stream).await;
    hub.trigger.pull();
    let ended = end(&mut stream).await;
    assert_eq!(ended.code(), tonic::Code::Unavailable, "{ended}");
}

/// C21: The stream of a cluster that is removed ends.
#[tokio::test]
async fn the_stream_of_a_cluster_that_leaves_ends() {
    let hub = Hub::with_one_pod().await;
    hub.tell(Input::Refused {
        cluster: cluster("b"),
        reason: "b.yaml: no YAML".to_owned(),
    })
    .await;
    let mut stream = hub.subscribe(None).await.unwrap();
    next(&mut stream).await;
    hub.tell(Input::Left { cluster: cluster("a") }).await;
    let ended = end(&mut stream).await;
    assert_eq!(ended.code(), tonic::Code::FailedPrecondition, "{ended}");
    let refused = hub.subscribe(None).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::FailedPrecondition, "{refused}");
}

/// C10, C11: A certificate speaks for its own cluster and node only.
#[test]
fn a_certificate_speaks_for_its_own_cluster_and_node_only() {
    use tonic::Code::{Ok, PermissionDenied};
    let roles = [
        Role::Cluster(cluster("a")),
        Role::Cluster(cluster("b")),
        Role::Node {
            cluster: cluster("a"),
            node: "node-1".into(),
        },
        Role::Node {
            cluster: cluster("a"),
            node: "node-2".into(),
        },
        Role::Node {
            cluster: cluster("b"),
            node: "node-1".into(),
        },
        Role::Hub,
        Role::Reader,
    ];
    let verdicts = roles.map(|role| {
        let name = Name {
            trust_domain: "test".into(),
            role,
        };
        let caller = Caller {
            address: "127.0.0.1:1".parse().unwrap(),
            rights: Rights::Certified(Peer {
                name,
                not_after: SystemTime::UNIX_EPOCH,
            }),
        };
        let decided = enforcer(&caller, "a", "node-1");
        decided.map_or_else(|refused| refused.code(), |_| Ok)
    });
    assert_eq!(
        verdicts,
        [
            Ok,
            PermissionDenied,
            Ok,
            PermissionDenied,
            PermissionDenied,
            PermissionDenied,
            PermissionDenied
        ]
    );
}
