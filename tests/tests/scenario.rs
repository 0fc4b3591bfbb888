//! The whole line, against real API servers and embedded ones: hub and enforcers as programs with mutual TLS, a policy in
//! one cluster, and what happens in the other down to a packet of either family that is answered or not.
//!
//! One scenario for both kinds of API server, so that the embedded one cannot drift. Each refusal counts because the same
//! probe was answered before there was a policy; each wait has a limit and ends with what was waited for.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking; clippy sees tests here only inside #[test]"
)]

mod scenario {
    pub mod play;
}

use enforcer::offline::ends::Verdict;
use proto::wire::cluster_status::State;
use scenario::play::{CLUSTER_LABEL, Play, cluster, namespace, policy, world};
use serde_json::{Value, json};
use tests::apiserver::{Kind, Lists, Role};
use tests::lab::args::Network;
use tests::lab::layout::Layout;
use tests::lab::setup::{Ground, Lab};

/// A label in cluster-b changes what happens to a packet in cluster-a, there and back.
async fn a_label_changes(play: &Play<'_>) {
    play.settled("with the policy", Verdict::Allowed, Verdict::Refused)
        .await;
    play.label_batch("frontend").await;
    play.settled("with a frontend's label", Verdict::Allowed, Verdict::Allowed)
        .await;
    play.label_batch("batch").await;
    play.settled("with its own label again", Verdict::Allowed, Verdict::Refused)
        .await;
}

/// Nobody inherits what a namespace of the same name had (S86, S87).
async fn a_namespace_ends(play: &Play<'_>) {
    let in_shop = |object: &Value| object["kind"] == "Pod" && object["metadata"]["namespace"] == "shop";
    let pods = play.original(in_shop);
    let name = cluster("cluster-b");
    let b = play.control.cluster(&name).unwrap();
    b.delete(&namespace(&json!({}))).await.unwrap();
    assert_eq!(b.phase("shop").await.unwrap().as_deref(), Some("Terminating"));
    play.settled("while its pods live", Verdict::Allowed, Verdict::Refused)
        .await;
    b.delete_pods("shop").await.unwrap();
    play.owners_of_frontend_addresses(0).await;
    play.settled("without its pods", Verdict::Refused, Verdict::Refused)
        .await;
    let b = play.control.cluster(&name).unwrap();
    b.finalize("shop").await.unwrap();
    assert_eq!(b.phase("shop").await.unwrap(), None);
    play.write(&[&[namespace(&json!({}))], &*pods].concat()).await;
    play.owners_of_frontend_addresses(1).await;
    play.settled("in a new namespace without labels", Verdict::Refused, Verdict::Refused)
        .await;
    play.write(&[namespace(&json!({CLUSTER_LABEL: "cluster-b"}))]).await;
    play.settled("in a new namespace with its label", Verdict::Allowed, Verdict::Refused)
        .await;
}

/// What was known stays while an API server is away; what it has to say afterwards counts, and so does a list in pages.
async fn an_api_server_dies(play: &mut Play<'_>) {
    let name = cluster("cluster-b");
    let lists = play.control.cluster(&name).unwrap().lists().await.unwrap();
    assert_eq!(lists, Lists::Streamed);
    play.control.cluster_mut(&name).unwrap().kill().await.unwrap();
    play.is("cluster-b", State::Stale).await;
    play.now("without its API server", Verdict::Allowed, Verdict::Refused)
        .await;
    let b = play.control.cluster_mut(&name).unwrap();
    b.restart_with(Lists::Paged).await.unwrap();
    assert_eq!(b.lists().await.unwrap(), Lists::Paged);
    play.label_batch("frontend").await;
    play.is("cluster-b", State::Live).await;
    play.settled("with a label from afterwards", Verdict::Allowed, Verdict::Allowed)
        .await;
    play.control.kill_hub().await;
    play.label_batch("batch").await;
    play.now("without a hub", Verdict::Allowed, Verdict::Allowed).await;
    play.control.restart_hub().await.unwrap();
    play.settled("with a hub that listed in pages", Verdict::Allowed, Verdict::Refused)
        .await;
}

/// Credentials that are refused cost the hub its sight, not what it knew; with good ones it sees again.
async fn credentials_change(play: &Play<'_>) {
    let file = play.membership();
    let before = play.kubeconfig(Role::Hub);
    let refused = before.replace(Role::Hub.token(), "no-token");
    assert_ne!(refused, before);
    std::fs::write(&file, refused).unwrap();
    play.nothing_lost_until(play.is("cluster-b", State::Stale)).await;
    play.label_batch("frontend").await;
    play.now("with refused credentials", Verdict::Allowed, Verdict::Refused)
        .await;
    std::fs::write(&file, play.kubeconfig(Role::Enforcer)).unwrap();
    play.nothing_lost_until(play.is("cluster-b", State::Live)).await;
    play.settled(
        "with the credentials of another user",
        Verdict::Allowed,
        Verdict::Allowed,
    )
    .await;
}

/// A cluster is a member as long as its kubeconfig is in the hub's folder.
async fn a_cluster_leaves(play: &Play<'_>) {
    let file = play.membership();
    let kubeconfig = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    play.is("cluster-b", State::Left).await;
    play.owners_of_frontend_addresses(0).await;
    play.packets("after it left", Verdict::Refused, Verdict::Refused).await;
    std::fs::write(&file, kubeconfig).unwrap();
    play.is("cluster-b", State::Live).await;
    play.packets("as a member again", Verdict::Allowed, Verdict::Allowed)
        .await;
    play.settle().await;
}

fn run(apiserver: Kind, layout: Layout) {
    let ground = Ground::prepare().unwrap();
    let network = Network { layout, apiserver };
    let lab = Lab::build(world(), &[].into(), network).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut play = Play::open(&ground, &lab, network).await;
        let (name, policy) = policy();
        play.control.cluster(&name).unwrap().write(&[policy]).await.unwrap();
        a_label_changes(&play).await;
        a_namespace_ends(&play).await;
        an_api_server_dies(&mut play).await;
        credentials_change(&play).await;
        a_cluster_leaves(&play).await;
        play.control.stop().await;
    });
}

/// S84, S85, S86, S87, S111, S121, N2, N3: Packets follow what two API servers hold, without a restart.
#[test]
fn packets_follow_two_embedded_api_servers_on_bridges() {
    run(Kind::Embedded, Layout::Bridge);
}

/// S84, S85, S86, S87, S111, S121, N2, N3: The same on routed links.
#[test]
fn packets_follow_two_embedded_api_servers_on_routed_links() {
    run(Kind::Embedded, Layout::Routed);
}

#[test]
fn packets_follow_two_real_api_servers_on_bridges() {
    run(Kind::Real, Layout::Bridge);
}

#[test]
fn packets_follow_two_real_api_servers_on_routed_links() {
    run(Kind::Real, Layout::Routed);
}
