//! Sources that are not their sender's. Every packet is crafted, and the same packet arrives while nothing checks
//! sources; who may send from what is the enforcer's own knowledge, read from each node's links and routes.

use super::raw;
use super::scene::{
    PATIENCE, SILENCE, Scene, flush_neighbours, host_pod, in_both_layouts, pod, pods_named, policy, signs, world,
};
use enforcer::kernel::Kernel;
use enforcer::ruleset::{Family, WhyDropped};
use enforcer::switches::Switches;
use serde_json::json;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tests::lab::layout::Layout;
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

const PORT: u16 = 4000;

const MALLORY: &str = "a/x/mallory";
const NEIGHBOUR: &str = "a/x/neighbour";
const OPEN: &str = "a/x/open";
const VICTIM: &str = "a/x/victim";
const FAR: &str = "a/x/far";
const FRIEND: &str = "b/x/friend";
const NODE: &str = "a/x/node";

/// Mallory is isolated and may do nothing. Two pods, one of them on another node, admit another cluster's friend alone.
fn a_world() -> tests::lab::world::World {
    let from_friend = json!({"ingress": [{"from": [pods_named("friend")]}]});
    let a = vec![
        pod("mallory", "node-1", &["10.1.1.1", "fd00:10:1:1::1"]),
        pod("neighbour", "node-1", &["10.1.1.2", "fd00:10:1:1::2"]),
        pod("open", "node-1", &["10.1.1.3", "fd00:10:1:1::3"]),
        pod("victim", "node-1", &["10.1.1.4", "fd00:10:1:1::4"]),
        pod("far", "node-2", &["10.1.2.1", "fd00:10:1:2::1"]),
        host_pod("node", "node-1", &["192.0.2.1", "fd00:40::1"]),
        policy("mallory", &json!({})),
        policy("victim", &from_friend),
        policy("far", &from_friend),
    ];
    let b = vec![pod("friend", "node-1", &["10.2.1.1", "fd00:10:2:1::1"])];
    world(vec![("a", a), ("b", b)])
}

/// Who opens a connection to whom, in the order of mallory, neighbour, open, victim, far, friend, node: as policies say, and
/// every pod to its own node and back.
const EXPECTED: [&str; 7] = [
    ".XXXXX.", "X..XX..", "X..XX..", "XXX.XX.", "XXXX.XX", "X......", "....X..",
];

/// Sockets that hear what arrives at the ends, by end and family.
struct Ears(BTreeMap<(&'static str, Family), UdpSocket>);

impl Ears {
    async fn open(scene: &Scene<'_>, ends: &[&'static str]) -> Self {
        let mut ears = BTreeMap::new();
        for end in ends {
            for family in Family::ALL {
                let (station, address) = scene.at(end, family);
                let bound = station.spawn(UdpSocket::bind(SocketAddr::new(address, PORT)));
                ears.insert((*end, family), bound.await.unwrap().unwrap());
            }
        }
        Self(ears)
    }

    /// Whether a packet that mallory sends with this source arrives there.
    async fn hear(&self, scene: &Scene<'_>, source: IpAddr, to: &'static str, patience: Duration) -> bool {
        let family = Family::of(source);
        let ((mallory, _), (_, to_address)) = (scene.at(MALLORY, family), scene.at(to, family));
        // No two packets are alike, and a late one is not taken for another.
        let word = format!("{source} {}", mallory.fresh_port());
        let (from, to_socket) = (SocketAddr::new(source, PORT), SocketAddr::new(to_address, PORT));
        raw::send(mallory, to_address, raw::udp(from, to_socket, word.as_bytes())).await;
        let deadline = Instant::now() + patience;
        let mut datagram = [0; 128];
        loop {
            match timeout_at(deadline, self.0[&(to, family)].recv_from(&mut datagram)).await {
                Err(_elapsed) => return false,
                Ok(heard) => {
                    let (length, sender) = heard.unwrap();
                    if datagram[..length] == *word.as_bytes() {
                        assert_eq!(sender, from, "it arrives as it was sent");
                        return true;
                    }
                }
            }
        }
    }
}

/// How many packets node 1 of cluster a has dropped because their source was not their sender's.
fn dropped(scene: &Scene<'_>) -> u64 {
    let count = || Kernel::open().unwrap().dropped().unwrap();
    let counts = scene.node("a/node-1").netns().run(count).unwrap();
    counts.get(&WhyDropped::ForgedSource).copied().unwrap_or_default()
}

/// The sources that mallory tries: by whom, of a family, and to whom they get through what policies say.
fn attempts(scene: &Scene<'_>, family: Family) -> Vec<(&'static str, IpAddr, &'static str)> {
    let outside: IpAddr = match family {
        Family::V4 => "198.51.100.7".parse().unwrap(),
        Family::V6 => "2001:db8::7".parse().unwrap(),
    };
    let address = |end| scene.at(end, family).1;
    vec![
        ("nobody's, past its own isolation", outside, OPEN),
        ("nobody's, to another node", outside, NEIGHBOUR),
        ("a pod's that the victim admits", address(FRIEND), VICTIM),
        ("a pod's that a pod of another node admits", address(FRIEND), FAR),
        ("its neighbour's, past its own isolation", address(NEIGHBOUR), OPEN),
    ]
}

async fn forged(scene: &Scene<'_>) {
    let ends = [MALLORY, NEIGHBOUR, OPEN, VICTIM, FAR, FRIEND, NODE];
    let probes = ["TCP/80/4", "TCP/80/6", "UDP/53/4", "UDP/53/6", "ICMP/0/4", "ICMP/0/6"];
    let range = scene.range(&ends, &probes).await;
    let ears = Ears::open(scene, &[NEIGHBOUR, OPEN, VICTIM, FAR]).await;

    scene.enforce_unchecked(Switches::default());
    for family in Family::ALL {
        let own = scene.at(MALLORY, family).1;
        assert!(!ears.hear(scene, own, OPEN, SILENCE).await, "mallory is isolated");
        for (what, source, to) in attempts(scene, family) {
            let what = format!("{:?} {family:?}: {what}", scene.layout);
            assert!(ears.hear(scene, source, to, PATIENCE).await, "{what}: unchecked");
        }
    }

    scene.enforce(Switches::default());
    for family in Family::ALL {
        for (what, source, to) in attempts(scene, family) {
            let stays_open = scene.layout == Layout::Bridge && source == scene.at(NEIGHBOUR, family).1;
            let what = format!("{:?} {family:?}: {what}", scene.layout);
            let before = dropped(scene);
            let patience = if stays_open { PATIENCE } else { SILENCE };
            assert_eq!(ears.hear(scene, source, to, patience).await, stays_open, "{what}");
            assert_eq!(dropped(scene) - before, u64::from(!stays_open), "{what}: counted");
        }
        let node = scene.at(NODE, family).1;
        let before = dropped(scene);
        assert!(!ears.hear(scene, node, OPEN, SILENCE).await, "the own node's");
        assert_eq!(dropped(scene) - before, 1, "the own node's: counted");
    }

    // Whoever sends next has to ask where the others are.
    let before = dropped(scene);
    flush_neighbours(scene);
    for table in range.judge().await.unwrap() {
        assert_eq!(signs(&table.rows), EXPECTED, "{:?}", scene.layout);
    }
    assert_eq!(dropped(scene), before, "nothing else is taken for forged");
}

/// K2, S74: an isolated pod gets out by no other source than its own (on a bridge, by its neighbours' only), nor in
/// by a source that a peer admits; what pods send as themselves passes, neighbour discovery first.
#[test]
fn a_source_that_is_not_the_sender_s_is_dropped_and_counted() {
    in_both_layouts(&a_world(), &[], forged);
}
