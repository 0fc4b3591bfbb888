//! A pod whose address is translated on its way to another cluster: it arrives as its node, which no selector matches, and
//! what is refused is counted as a hint.

use super::nat::translate;
use super::scene::{Scene, host_pod, in_both_layouts, is_answered, node, pod, pods_named, policy, world};
use enforcer::offline::ends::Transport;
use enforcer::ruleset::{Family, WhyDropped};
use enforcer::switches::Switches;
use serde_json::json;
use std::net::SocketAddr;

const PORT: u16 = 8080;
/// Admits web of every cluster, and nobody else.
const DB: &str = "a/x/db";
const WEB: &str = "b/x/web";
/// Which nothing admits.
const OTHERS: [&str; 3] = ["b/x/other", "a/x/agent", "b/x/agent"];

fn a_world() -> tests::lab::world::World {
    let from_web = json!({"ingress": [{"from": [pods_named("web")]}]});
    let a = vec![
        node("node-1", &["192.0.2.1", "fd00:40::1"]),
        node("node-2", &["192.0.2.2", "fd00:40::2"]),
        pod("db", "node-1", &["10.1.1.1", "fd00:10:1:1::1"]),
        host_pod("agent", "node-2", &["192.0.2.2", "fd00:40::2"]),
        policy("db", &from_web),
    ];
    let b = vec![
        node("node-1", &["192.0.2.11", "fd00:40::11"]),
        pod("web", "node-1", &["10.2.1.1", "fd00:10:2:1::1"]),
        pod("other", "node-1", &["10.2.1.2", "fd00:10:2:1::2"]),
        host_pod("agent", "node-1", &["192.0.2.11", "fd00:40::11"]),
    ];
    world(vec![("a", a), ("b", b)])
}

/// Whether the database answers an end.
async fn answers(scene: &Scene<'_>, from: &str, family: Family, expected: bool) -> bool {
    let (_, db) = scene.at(DB, family);
    is_answered(
        scene.at(from, family),
        Transport::Tcp,
        SocketAddr::new(db, PORT),
        expected,
    )
    .await
}

/// How much of what other clusters' nodes sent the database's node has refused.
fn counted(scene: &Scene<'_>) -> u64 {
    scene.dropped("a/node-1", WhyDropped::OtherNode)
}

/// S117, K11.
#[test]
fn a_translated_source_is_its_node_and_what_is_refused_of_it_is_counted() {
    in_both_layouts(&a_world(), &[], async |scene| {
        let range = scene
            .range(&[DB, WEB, OTHERS[0], OTHERS[1], OTHERS[2]], &["TCP/8080"])
            .await;
        scene.enforce(Switches::default());
        for family in Family::ALL {
            let name = format!("{:?} {family}", scene.layout);
            assert!(answers(scene, WEB, family, true).await, "{name}");
            for refused in &OTHERS[..2] {
                assert!(!answers(scene, refused, family, false).await, "{name} {refused}");
            }
            let before = counted(scene);
            assert!(!answers(scene, OTHERS[2], family, false).await, "{name}");
            assert!(counted(scene) > before, "{name}");
        }
        for family in Family::ALL {
            let name = format!("{:?} {family}", scene.layout);
            let (_, db) = scene.at(DB, family);
            translate(scene.node("b/node-1").netns(), family, &[], &[db]);
            let before = counted(scene);
            assert!(!answers(scene, WEB, family, false).await, "{name}");
            assert!(counted(scene) > before, "{name}");
        }
        drop(range);
    });
}
