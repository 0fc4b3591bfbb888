//! Sources that are not their sender's. Every packet is crafted, and the same packet arrives while nothing checks
//! sources; who may send from what is the enforcer's own knowledge, read from each node's links and routes.

use super::raw;
use super::scene::{
    PATIENCE, SILENCE, Scene, flush_neighbours, host_pod, in_both_layouts, ip, pod, pods_named, policy, signs, world,
};
use enforcer::ruleset::{Family, WhyDropped};
use enforcer::switches::Switches;
use serde_json::json;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::process::Command;
use std::time::Duration;
use tests::lab::layout::Layout;
use tests::lab::netns::set_sysctl;
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
        arrives(&self.0[&(to, family)], &word, patience).await
    }
}

/// How many packets node 1 of cluster a has dropped because their source was not their sender's.
fn dropped(scene: &Scene<'_>) -> u64 {
    scene.dropped("a/node-1", WhyDropped::ForgedSource)
}

/// Whether a word is among what arrives at a socket.
async fn arrives(ear: &UdpSocket, word: &str, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    let mut datagram = [0; 128];
    while let Ok(heard) = timeout_at(deadline, ear.recv_from(&mut datagram)).await {
        let (length, _) = heard.unwrap();
        if datagram[..length] == *word.as_bytes() {
            return true;
        }
    }
    false
}

/// What `ip` says of a pod's `eth0`.
fn shown(scene: &Scene<'_>, end: &str, arguments: &str) -> String {
    let run = || Command::new("ip").args(arguments.split_whitespace()).output().unwrap();
    let output = scene.at(end, Family::V4).0.netns().run(run).unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// The word after another in a text.
fn after<'a>(text: &'a str, word: &str) -> &'a str {
    let mut words = text.split_whitespace().skip_while(|one| *one != word);
    words.nth(1).unwrap()
}

fn hardware_address(scene: &Scene<'_>, end: &str) -> [u8; 6] {
    let shown = shown(scene, end, "-o link show eth0");
    let bytes = after(&shown, "link/ether")
        .split(':')
        .map(|byte| u8::from_str_radix(byte, 16).unwrap());
    bytes.collect::<Vec<_>>().try_into().unwrap()
}

fn link_local_address(scene: &Scene<'_>, end: &str) -> Ipv6Addr {
    let shown = shown(scene, end, "-6 -o addr show dev eth0 scope link");
    let (address, _) = after(&shown, "inet6").split_once('/').unwrap();
    address.parse().unwrap()
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

/// A frame with a VLAN tag, from a neighbour that the victim does not admit.
async fn tagged_arrives(scene: &Scene<'_>, ears: &Ears, family: Family, patience: Duration) -> bool {
    let ((neighbour, from), (_, to)) = (scene.at(NEIGHBOUR, family), scene.at(VICTIM, family));
    let word = format!("tagged {}", neighbour.fresh_port());
    let packet = raw::udp(SocketAddr::new(from, PORT), SocketAddr::new(to, PORT), word.as_bytes());
    let (source, destination) = (hardware_address(scene, NEIGHBOUR), hardware_address(scene, VICTIM));
    let frame = raw::frame(source, destination, raw::VLAN_0, &packet);
    raw::send_frame(neighbour, frame).await;
    arrives(&ears.0[&(VICTIM, family)], &word, patience).await
}

async fn tags(scene: &Scene<'_>) {
    if scene.layout == Layout::Routed {
        return; // there no frame goes from pod to pod
    }
    let _range = scene.range(&[NEIGHBOUR, VICTIM], &["ICMP/0/4", "ICMP/0/6"]).await;
    let ears = Ears::open(scene, &[VICTIM]).await;
    scene.enforce_unchecked(Switches::default());
    for family in Family::ALL {
        assert!(
            tagged_arrives(scene, &ears, family, PATIENCE).await,
            "{family:?}: the way around"
        );
    }
    scene.enforce(Switches::default());
    for family in Family::ALL {
        let before = scene.dropped("a/node-1", WhyDropped::VlanTag);
        assert!(!tagged_arrives(scene, &ears, family, SILENCE).await, "{family:?}");
        assert_eq!(
            scene.dropped("a/node-1", WhyDropped::VlanTag) - before,
            1,
            "{family:?}: counted"
        );
    }
}

/// K2: a tag of VLAN 0, which bridge netfilter passes over and every receiver takes off, is no way around policies.
#[test]
fn a_vlan_tag_is_no_way_around_policies() {
    in_both_layouts(&a_world(), &[], tags);
}

/// Whether a packet of the neighbour's to the victim's link-local address arrives.
async fn by_link_local(scene: &Scene<'_>, ear: &UdpSocket, source: Ipv6Addr, patience: Duration) -> bool {
    let (neighbour, _) = scene.at(NEIGHBOUR, Family::V6);
    let to = link_local_address(scene, VICTIM);
    let word = format!("link-local {}", neighbour.fresh_port());
    let packet = raw::udp((source, PORT).into(), (to, PORT).into(), word.as_bytes());
    raw::send(neighbour, to.into(), packet).await;
    arrives(ear, &word, patience).await
}

async fn link_local(scene: &Scene<'_>) {
    if scene.layout == Layout::Routed {
        return; // there they are on different links
    }
    let _range = scene.range(&[NEIGHBOUR, VICTIM, NODE], &["ICMP/0/6"]).await;
    let (victim, _) = scene.at(VICTIM, Family::V6);
    let here = SocketAddrV6::new(link_local_address(scene, VICTIM), PORT, 0, 2);
    let ear = victim.spawn(UdpSocket::bind(here)).await.unwrap().unwrap();
    let (_, own) = scene.at(NEIGHBOUR, Family::V6);
    let IpAddr::V6(own) = own else {
        unreachable!("of the family asked for")
    };
    let sources = [own, link_local_address(scene, NEIGHBOUR)];
    scene.enforce_unchecked(Switches::default());
    for source in sources {
        assert!(
            by_link_local(scene, &ear, source, PATIENCE).await,
            "{source}: the way around"
        );
    }
    scene.enforce(Switches::default());
    for source in sources {
        let before = scene.dropped("a/node-1", WhyDropped::LinkLocal);
        assert!(!by_link_local(scene, &ear, source, SILENCE).await, "{source}");
        assert_eq!(
            scene.dropped("a/node-1", WhyDropped::LinkLocal) - before,
            1,
            "{source}: counted"
        );
    }
}

/// K2: policies know a pod by the addresses in its status; on a bridge its link-local one is no other way in.
#[test]
fn a_link_local_address_is_no_way_around_policies() {
    in_both_layouts(&a_world(), &[], link_local);
}

/// Asks for a lease, as a host that has no address.
async fn lease_is_asked_for(scene: &Scene<'_>) {
    let node = scene.node("a/node-1");
    let server = node
        .spawn(UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 67)))
        .await
        .unwrap()
        .unwrap();
    let (mallory, _) = scene.at(MALLORY, Family::V4);
    let (from, to) = (Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST);
    // As a frame: who writes an IP header without a source is given one.
    let packet = raw::udp((from, 68).into(), (to, 67).into(), b"discover");
    let frame = raw::frame(hardware_address(scene, MALLORY), [0xff; 6], &[], &packet);
    raw::send_frame(mallory, frame).await;
    assert!(arrives(&server, "discover", PATIENCE).await, "{:?}", scene.layout);
}

/// Takes the address of a neighbour, and is told that it is taken: so solicitations without a source, and what answers them,
/// pass.
async fn duplicate_is_detected(scene: &Scene<'_>) {
    let (mallory, _) = scene.at(MALLORY, Family::V6);
    let (_, taken) = scene.at(NEIGHBOUR, Family::V6);
    for devices in ["all", "eth0"] {
        let detect = || set_sysctl(&format!("ipv6/conf/{devices}/accept_dad"), "1");
        mallory.netns().run(detect).unwrap().unwrap();
    }
    ip(mallory.netns(), &format!("-6 addr add {taken}/128 dev eth0"));
    let deadline = Instant::now() + PATIENCE;
    while !shown(scene, MALLORY, "-6 -o addr show dev eth0 dadfailed").contains(&taken.to_string()) {
        assert!(Instant::now() < deadline, "nobody says that {taken} is taken");
        tokio::task::yield_now().await;
    }
}

async fn without_a_source(scene: &Scene<'_>) {
    let ends = [MALLORY, NEIGHBOUR, NODE];
    let _range = scene.range(&ends, &["ICMP/0/4", "ICMP/0/6"]).await;
    scene.enforce(Switches::default());
    let before = dropped(scene);
    lease_is_asked_for(scene).await;
    if scene.layout == Layout::Bridge {
        duplicate_is_detected(scene).await;
    }
    assert_eq!(dropped(scene), before, "{:?}", scene.layout);
}

/// S74, K13: DHCP and duplicate address detection, which have no source yet, pass from an isolated pod.
#[test]
fn what_has_no_source_yet_passes() {
    in_both_layouts(&a_world(), &[], without_a_source);
}
