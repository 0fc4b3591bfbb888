//! Void, never wide (S127): whatever piece of a policy is replaced by nonsense, or has a field that nobody knows, no
//! packet passes that the whole policy refuses.

use super::manifests::{Clusters, Node, SMALL};
use crate::interpret::{Packet, Payload, passes};
use crate::switches::Switches;
use proto::model::ClusterName;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A policy with every kind of piece, on both pods of the small world's node.
fn policy() -> Value {
    json!({
        "kind": "NetworkPolicy",
        "metadata": {"namespace": "shop", "name": "rich"},
        "spec": {
            "podSelector": {
                "matchLabels": {"app": "web"},
                "matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["x", "y"]}],
            },
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {
                    "from": [
                        {"podSelector": {"matchLabels": {"app": "db"}}},
                        {
                            "namespaceSelector": {"matchLabels": {"team": "green"}},
                            "podSelector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]},
                        },
                    ],
                    "ports": [{"port": 80, "endPort": 90}, {"port": "http"}, {"protocol": "UDP", "port": 53}],
                },
                {"from": [{"ipBlock": {"cidr": "192.0.2.0/24", "except": ["192.0.2.128/25"]}}]},
                {"ports": [{"protocol": "SCTP"}]},
            ],
            "egress": [
                {"to": [{"namespaceSelector": {"matchExpressions": [
                    {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["other"]},
                ]}}], "ports": [{"port": "http"}]},
                {"to": [{"ipBlock": {"cidr": "fd00:2::/32"}}]},
            ],
        },
    })
}

/// The places of all values under the pieces that admit, the pieces included.
fn places(value: &Value, place: &str, places: &mut Vec<String>) {
    places.push(place.to_owned());
    match value {
        Value::Array(entries) => {
            for (index, entry) in entries.iter().enumerate() {
                self::places(entry, &format!("{place}/{index}"), places);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                self::places(member, &format!("{place}/{name}"), places);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn packets() -> Vec<Packet> {
    const V4: [&str; 6] = [
        "10.1.1.1",
        "10.1.1.2",
        "10.2.1.1",
        "10.2.2.2",
        "192.0.2.1",
        "192.0.2.129",
    ];
    const V6: [&str; 5] = ["fd00:1::1", "fd00:1::2", "fd00:2::1", "fd00:2::9", "2001:db8::1"];
    let ports = |protocol, destination| Payload::Ports {
        protocol,
        source: 40_000,
        destination,
    };
    let tcp = [80, 90, 91, 8000, 8001, 8080, 9090].map(|port| ports(6, port));
    let others = [
        ports(17, 53),
        ports(17, 80),
        ports(132, 1),
        Payload::Icmp(8),
        Payload::Other(50),
    ];
    let mut packets = Vec::new();
    for family in [&V4[..], &V6[..]] {
        for source in family {
            for destination in family {
                packets.extend(tcp.iter().chain(&others).map(|payload| Packet {
                    source: source.parse().unwrap(),
                    destination: destination.parse().unwrap(),
                    payload: *payload,
                    established: false,
                }));
            }
        }
    }
    packets
}

/// The packets that node `n1` of cluster `a` lets pass with this policy.
fn passing(world: &Clusters, policy: &Value, packets: &[Packet]) -> Vec<bool> {
    let mut clusters = world.clone();
    clusters.insert("a", policy);
    let node = Node {
        cluster: ClusterName::new("a").unwrap(),
        name: "n1".into(),
    };
    let ruleset = clusters.ruleset(&node, &BTreeSet::new(), Switches::default());
    packets.iter().map(|packet| passes(&ruleset, packet)).collect()
}

/// The policy with another value in a place.
fn with(policy: &Value, place: &str, value: &Value) -> Value {
    let mut policy = policy.clone();
    *policy.pointer_mut(place).unwrap() = value.clone();
    policy
}

/// S127: Nonsense in any place of a policy admits nothing more.
#[test]
fn nonsense_admits_nothing_more() {
    let nonsense = [
        json!({"nonsense": 1}),
        json!("\u{0}nonsense!"),
        json!(12.5),
        json!(true),
        json!([null]),
    ];
    let mut world = Clusters::default();
    for (cluster, manifests) in SMALL {
        world.load(cluster, manifests);
    }
    let (policy, packets) = (policy(), packets());
    let sane = passing(&world, &policy, &packets);
    let mut everywhere = Vec::new();
    for piece in ["podSelector", "ingress", "egress"] {
        places(&policy["spec"][piece], &format!("/spec/{piece}"), &mut everywhere);
    }
    let mut narrowed = 0;
    for place in &everywhere {
        let mut odd: Vec<Value> = nonsense.iter().map(|nonsense| with(&policy, place, nonsense)).collect();
        if let Some(object) = policy.pointer(place).and_then(Value::as_object) {
            let mut extended = object.clone();
            extended.insert("nonsense".to_owned(), json!(1));
            odd.push(with(&policy, place, &extended.into()));
        }
        for odd in odd {
            let passing = passing(&world, &odd, &packets);
            let wider = packets
                .iter()
                .zip(&sane)
                .zip(&passing)
                .find(|((_, sane), odd)| **odd && !**sane);
            assert!(wider.is_none(), "{place} in {odd}: {wider:?}");
            narrowed += usize::from(passing != sane);
        }
    }
    assert!(
        narrowed > 200,
        "only {narrowed} odd pieces changed a verdict: the policy or the packets miss some"
    );
}
