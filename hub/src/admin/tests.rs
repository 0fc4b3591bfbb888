use super::*;
use crate::eventloop::{Ends, EventLoop};
use crate::inventory::{Connection, Observed};
use crate::machine::Input;
use crate::ranges::PodRanges;
use crate::registry::Origin;
use crate::sample::{cluster, namespace, pod, some_instant};
use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use proto::model::Epoch;
use proto::watch::Event;
use tower::ServiceExt;

/// What a path answers: status and text.
async fn ask(admin: &Admin, path: &str) -> (u16, String) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = router(admin.clone()).oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn admin(ends: &Ends, metrics: &Metrics) -> Admin {
    Admin {
        handle: ends.handle.clone(),
        ring: Arc::clone(&ends.ring),
        registry: Arc::new(Registry::default()),
        metrics: metrics.clone(),
    }
}

/// Cluster a with one pod.
async fn join(ends: &Ends) {
    let connection = Connection(1);
    let observe = |observed| Input::Observed {
        cluster: cluster("a"),
        connection,
        observed,
    };
    let connected = Input::Connected {
        cluster: cluster("a"),
        connection,
        server: "https://a.example".to_owned(),
    };
    let pods = vec![pod("shop/web", &["10.0.0.1"], "app=web")];
    let namespaces = vec![namespace("shop", "s", "")];
    for input in [
        connected,
        observe(Observed::Pods(Event::Synced(pods))),
        observe(Observed::Namespaces(Event::Synced(namespaces))),
    ] {
        ends.inputs.send(input).await.unwrap();
    }
}

#[tokio::test]
async fn probes_follow_the_hub() {
    let metrics = Metrics::default();
    let (owner, ends) = EventLoop::new(Epoch(7), PodRanges::default(), metrics.clone());
    let (trigger, shutdown) = Shutdown::new();
    let task = tokio::spawn(owner.run(shutdown));
    let admin = admin(&ends, &metrics);
    assert_eq!(ask(&admin, "/healthz").await, (200, "ok\n".to_owned()));
    expect_test::expect![[r#"
        not ready, revision 00000000000000000000000000000007/0
        no cluster is known: the folder of clusters was not read yet, or is empty
    "#]]
    .assert_eq(&ask(&admin, "/readyz").await.1);
    assert_eq!(ask(&admin, "/readyz").await.0, 503);

    join(&ends).await;
    // A question is answered after what was told before it, but the two queues are not one.
    while ask(&admin, "/readyz").await.0 != 200 {
        tokio::task::yield_now().await;
    }
    let origin = Origin {
        address: "192.0.2.1:1".parse().unwrap(),
        certificate_expires: None,
    };
    let node = "node-1".into();
    admin
        .registry
        .connected(&cluster("a"), &node, origin, some_instant())
        .unwrap();
    let (status, metrics) = ask(&admin, "/metrics").await;
    assert_eq!(status, 200);
    for line in [
        "bailey_hub_clusters{state=\"SYNCING\"} 0",
        "bailey_hub_clusters{state=\"LIVE\"} 1",
        "bailey_hub_pods{cluster=\"a\"} 1",
        "bailey_hub_namespaces{cluster=\"a\"} 1",
        "bailey_hub_addresses 1",
        "bailey_hub_enforcers_connected{cluster=\"a\"} 1",
        "bailey_hub_subscribers 0",
        "bailey_hub_kubeconfigs_refused 0",
        "bailey_hub_rejected_pieces{cluster=\"a\",kind=\"address\"} 0",
        "bailey_hub_alarms{cluster=\"a\",kind=\"contested_address\"} 0",
        "bailey_hub_alarms{cluster=\"a\",kind=\"unlabelled_namespace\"} 1",
    ] {
        assert!(
            metrics.lines().any(|one| one == line),
            "{line} is missing in\n{metrics}"
        );
    }
    let (_, debug) = ask(&admin, "/debug").await;
    assert!(
        debug.contains("a/node-1  1 streams, has reported no revision"),
        "{debug}"
    );

    trigger.pull();
    task.await.unwrap();
    let (status, text) = ask(&admin, "/healthz").await;
    assert_eq!((status, text.as_str()), (503, "the hub is shutting down\n"));
}
