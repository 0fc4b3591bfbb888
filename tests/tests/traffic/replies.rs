//! Replies, and the discovery of neighbours that everything rests on.

use super::scene::{Scene, host_pod, in_both_layouts, ip, pod, pods_named, policy, signs, world};
use enforcer::offline::grid;
use enforcer::screen::Ink;
use enforcer::switches::Switches;
use serde_json::json;

const ENDS: [&str; 4] = ["a/x/client", "a/x/server", "b/x/far", "a/x/node"];
const PROBES: [&str; 8] = [
    "TCP/80/4",
    "TCP/80/6",
    "UDP/53/4",
    "UDP/53/6",
    "SCTP/38/4",
    "SCTP/38/6",
    "ICMP/0/4",
    "ICMP/0/6",
];

/// Who opens a connection to whom: client, server, far and node. Everyone is isolated in both directions. The client may
/// open connections to all, server and `far` take them from the client alone, and nobody may open any to the client; its
/// node may always, and every pod to its node.
const EXPECTED: [&str; 4] = ["....", "X.X.", "XX.X", "..X."];

fn a_world() -> tests::lab::world::World {
    let from_client = json!({"ingress": [{"from": [pods_named("client")]}]});
    let a = vec![
        pod("client", "node-1", &["10.1.1.1", "fd00:10:1:1::1"]),
        pod("server", "node-1", &["10.1.1.2", "fd00:10:1:1::2"]),
        host_pod("node", "node-1", &["192.0.2.1", "fd00:40::1"]),
        policy("client", &json!({"egress": [{}]})),
        policy("server", &from_client),
    ];
    let b = vec![
        pod("far", "node-1", &["10.2.1.1", "fd00:10:2:1::1"]),
        policy("far", &from_client),
    ];
    world(vec![("a", a), ("b", b)])
}

async fn opened_by_one_side_only(scene: &Scene<'_>) {
    let range = scene.range(&ENDS, &PROBES).await;
    scene.enforce(Switches::default());
    for table in range.judge().await.unwrap() {
        let shown = grid::table(range.ends(), &table, Ink::Plain);
        assert_eq!(signs(&table.rows), EXPECTED, "{:?}\n{shown}", scene.layout);
    }
}

/// S65, S7: what the client opened is answered by TCP, UDP, SCTP and ICMP over both families, although the server may
/// send nothing of its own and the client take nothing.
#[test]
fn replies_pass_both_ways_whatever_policies_say_of_the_other_direction() {
    in_both_layouts(&a_world(), &[], opened_by_one_side_only);
}

async fn after_a_flush(scene: &Scene<'_>) {
    let range = scene.range(&ENDS, &PROBES).await;
    scene.enforce(Switches::default());
    let pods = scene.fabric.pods().map(|(_, pod)| pod);
    let hosts = scene.fabric.nodes().map(|(_, node)| node).chain(pods);
    hosts.for_each(|host| ip(host.netns(), "neigh flush all"));
    for table in range.judge().await.unwrap() {
        let shown = grid::table(range.ends(), &table, Ink::Plain);
        assert_eq!(signs(&table.rows), EXPECTED, "{:?}\n{shown}", scene.layout);
    }
}

/// S74: pods isolated in both directions find their neighbours, by ARP and ICMPv6, when everyone has forgotten everyone.
#[test]
fn neighbours_are_found_after_all_are_forgotten() {
    in_both_layouts(&a_world(), &[], after_a_flush);
}
