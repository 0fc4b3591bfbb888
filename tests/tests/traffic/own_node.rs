//! A pod and its own node, by every address that the node has, and other nodes.

use super::scene::{Scene, host_pod, in_both_layouts, is_answered, node, pod, policy, world};
use enforcer::offline::ends::{NodeName, Transport};
use enforcer::ruleset::Family;
use enforcer::switches::{EgressToLocalNode, Switches};
use futures::future::join_all;
use serde_json::json;
use std::net::{IpAddr, SocketAddr};
use tests::lab::links::NODE;
use tests::lab::sockets::Listeners;

const CLOSED: &str = "a/x/closed";
const OPEN_TO_SOME: &str = "a/x/open-to-some";
const PODS: [&str; 2] = [CLOSED, OPEN_TO_SOME];

/// Where both pods run.
const OWN: &str = "a/node-1";
/// Another node of their cluster, and one of another cluster that is called as theirs.
const OTHERS: [&str; 2] = ["a/node-2", "b/node-1"];

/// Addresses, one of each family, of their own node and of another one, that a policy of the second pod names.
const NAMED: [&str; 4] = ["192.0.2.1", "fd00:40::1", "192.0.2.2", "fd00:40::2"];

/// What a kubelet's probes are, and more.
const PROBES: [(Transport, u16); 4] = [
    (Transport::Tcp, 8080),
    (Transport::Udp, 8080),
    (Transport::Sctp, 8080),
    (Transport::Icmp, 0),
];

/// Two pods that are isolated in both directions.
fn a_world() -> tests::lab::world::World {
    let host = |address: &str| if address.contains(':') { 128 } else { 32 };
    let named = NAMED.map(|address| json!({"ipBlock": {"cidr": format!("{address}/{}", host(address))}}));
    let a = vec![
        node("node-1", &["192.0.2.1", "192.0.2.101", "fd00:40::1"]),
        node("node-2", &["192.0.2.2", "fd00:40::2"]),
        pod("closed", "node-1", &["10.1.1.1", "fd00:10:1:1::1"]),
        pod("open-to-some", "node-1", &["10.1.1.2", "fd00:10:1:1::2"]),
        policy("closed", &json!({})),
        policy("open-to-some", &json!({"egress": [{"to": named}]})),
    ];
    let b = vec![host_pod("on-1", "node-1", &["192.0.2.11", "fd00:40::11"])];
    world(vec![("a", a), ("b", b)])
}

/// All addresses of a node that lead to it: on the fabric, those of its Node object or host-network pods, and, for its
/// own pods, the one of IPv4 that their links have. (Of IPv6 that is link-local, which is never forwarded.)
fn addresses(scene: &Scene<'_>, node: &str) -> Vec<IpAddr> {
    let (cluster, name) = node.split_once('/').unwrap();
    let name = NodeName {
        cluster: cluster.parse().unwrap(),
        name: name.to_owned(),
    };
    let mut all: Vec<IpAddr> = scene.fabric.plan().nodes[&name].addresses().collect();
    if node == OWN {
        all.push(NODE.addresses()[0]);
    }
    all
}

/// Checks whether each pod is reached from each address of a node, by all probes.
async fn node_reaches_pods(scene: &Scene<'_>, node: &str, expected: bool) {
    let sources = addresses(scene, node);
    let checks = sources.iter().flat_map(|&source| {
        let from = (scene.node(node), source);
        let pods = PODS.map(|pod| scene.at(pod, Family::of(source)).1);
        let shots = pods.into_iter().flat_map(|pod| PROBES.map(|probe| (pod, probe)));
        shots.map(move |(pod, (transport, port))| async move {
            let answered = is_answered(from, transport, SocketAddr::new(pod, port), expected).await;
            let layout = scene.layout;
            assert_eq!(
                answered, expected,
                "{layout:?} {transport} from {source} of {node} to {pod}"
            );
        })
    });
    join_all(checks).await;
}

/// Checks whether a pod reaches a node at each of its addresses, by all probes.
async fn pod_reaches(scene: &Scene<'_>, pod: &str, node: &str, expected: impl Fn(IpAddr) -> bool) {
    let destinations = addresses(scene, node);
    let shots = destinations
        .iter()
        .flat_map(|&address| PROBES.map(|probe| (address, expected(address), probe)));
    let checks = shots.map(|(address, expected, (transport, port))| async move {
        let from = scene.at(pod, Family::of(address));
        let answered = is_answered(from, transport, SocketAddr::new(address, port), expected).await;
        let layout = scene.layout;
        assert_eq!(
            answered, expected,
            "{layout:?} {transport} from {pod} to {address} of {node}"
        );
    });
    join_all(checks).await;
}

/// Answers at every address of the nodes.
async fn open_nodes(scene: &Scene<'_>) -> Listeners {
    let mut listeners = Listeners::default();
    for node in [OWN].into_iter().chain(OTHERS) {
        for address in addresses(scene, node) {
            for (transport, port) in PROBES {
                let socket = SocketAddr::new(address, port);
                listeners.open(scene.node(node), transport, socket).await.unwrap();
            }
        }
    }
    listeners
}

fn judging(egress_to_local_node: EgressToLocalNode) -> Switches {
    Switches {
        egress_to_local_node,
        ..Switches::default()
    }
}

async fn from_nodes(scene: &Scene<'_>) {
    let probes = ["TCP/8080", "UDP/8080", "SCTP/8080", "ICMP/0/4", "ICMP/0/6"];
    let _range = scene.range(&PODS, &probes).await;
    for node in [OWN].into_iter().chain(OTHERS) {
        node_reaches_pods(scene, node, true).await;
    }
    for mode in [EgressToLocalNode::Allow, EgressToLocalNode::Policy] {
        scene.enforce(judging(mode));
        node_reaches_pods(scene, OWN, true).await;
        for other in OTHERS {
            node_reaches_pods(scene, other, false).await;
        }
    }
}

/// S67, S72, S76, S114: from every address of its own node a pod under deny-all is reached, whatever policies say of what
/// it sends there; from no address of another node, be it called the same.
#[test]
fn a_pod_is_reached_by_its_own_node_alone() {
    in_both_layouts(&a_world(), &[], from_nodes);
}

/// S68, S71, S44: with the switch, egress policies judge what a pod sends to its own node: at an address that an ipBlock
/// admits it is reached, at no other.
#[test]
fn a_pod_reaches_its_own_node_as_policies_say() {
    in_both_layouts(&a_world(), &[], async |scene| {
        to_nodes(scene, EgressToLocalNode::Policy).await
    });
}

async fn to_nodes(scene: &Scene<'_>, mode: EgressToLocalNode) {
    let _range = scene.range(&PODS, &["ICMP/0/4", "ICMP/0/6"]).await;
    let _nodes = open_nodes(scene).await;
    let named = |address: IpAddr| NAMED.contains(&&*address.to_string());
    for pod in PODS {
        for node in [OWN].into_iter().chain(OTHERS) {
            pod_reaches(scene, pod, node, |_| true).await;
        }
    }
    scene.enforce(judging(mode));
    let unjudged = mode == EgressToLocalNode::Allow;
    pod_reaches(scene, CLOSED, OWN, |_| unjudged).await;
    pod_reaches(scene, OPEN_TO_SOME, OWN, |address| unjudged || named(address)).await;
    for other in OTHERS {
        pod_reaches(scene, CLOSED, other, |_| false).await;
        pod_reaches(scene, OPEN_TO_SOME, other, named).await;
    }
}

/// S68, S44, S76: a pod under deny-all reaches its own node at every address, and another node only at an address that an
/// ipBlock admits.
#[test]
fn a_pod_reaches_its_own_node() {
    in_both_layouts(&a_world(), &[], async |scene| {
        to_nodes(scene, EgressToLocalNode::Allow).await
    });
}
