//! What passes whatever policies say, and what does not although it looks like it.

use super::manifests::{Clusters, Node, SMALL};
use crate::interpret::{Packet, Payload, passes};
use crate::ruleset::Ruleset;
use crate::switches::Switches;
use proto::model::ClusterName;
use std::collections::BTreeSet;

/// The small world's node n1 with everything in its namespace isolated in both directions.
fn deny_all() -> Ruleset {
    let mut clusters = Clusters::default();
    for (cluster, manifests) in SMALL {
        clusters.load(cluster, manifests);
    }
    let deny = "
kind: NetworkPolicy
metadata: {namespace: shop, name: deny}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}";
    clusters.load("a", deny);
    let node = Node {
        cluster: ClusterName::new("a").unwrap(),
        name: "n1".into(),
    };
    clusters.ruleset(&node, &BTreeSet::new(), Switches::default())
}

fn passes_from_to(source: &str, destination: &str, payload: Payload) -> bool {
    let packet = Packet {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
        payload,
        established: false,
    };
    passes(&deny_all(), &packet)
}

fn udp(source: u16, destination: u16) -> Payload {
    Payload::Ports {
        protocol: 17,
        source,
        destination,
    }
}

/// S74, K13: Neighbour discovery, MLD and DHCP pass a pod that is isolated in both directions.
#[test]
fn what_a_network_needs_passes() {
    for kind in [130, 131, 132, 133, 134, 135, 136, 143] {
        assert!(
            passes_from_to("fd00:1::1", "ff02::1", Payload::Icmp(kind)),
            "out: {kind}"
        );
        assert!(
            passes_from_to("fe80::1", "fd00:1::1", Payload::Icmp(kind)),
            "in: {kind}"
        );
    }
    assert!(passes_from_to("10.1.1.1", "255.255.255.255", udp(68, 67)), "asks");
    assert!(passes_from_to("192.0.2.1", "10.1.1.1", udp(67, 68)), "is answered");
    assert!(passes_from_to("fd00:1::1", "ff02::1:2", udp(546, 547)), "asks");
    assert!(passes_from_to("fe80::1", "fd00:1::1", udp(547, 546)), "is answered");
}

/// S73, S74, K9: What only resembles it does not: an echo request, ICMPv6's types in IPv4, DHCP's ports the wrong way
/// round, nor an answer to what nobody asked.
#[test]
fn what_resembles_it_does_not_pass() {
    assert!(!passes_from_to("fd00:1::1", "ff02::1", Payload::Icmp(128)));
    assert!(!passes_from_to("10.1.1.1", "10.2.1.1", Payload::Icmp(133)));
    assert!(!passes_from_to("10.1.1.1", "10.2.1.1", udp(67, 67)));
    assert!(!passes_from_to("10.1.1.1", "10.2.1.1", udp(546, 547)));
    assert!(!passes_from_to("10.2.1.1", "10.1.1.1", udp(53, 40_000)));
    let answer = Payload::Ports {
        protocol: 6,
        source: 80,
        destination: 40_000,
    };
    assert!(!passes_from_to("10.2.1.1", "10.1.1.1", answer));
}
