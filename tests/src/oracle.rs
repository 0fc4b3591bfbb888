//! What NetworkPolicy over a ClusterSet means, written for obviousness: the measure that compiled rulesets are held
//! against.
//!
//! Pure. Reads the manifests themselves and shares no code with the product, so that the two are wrong together only if
//! two readings of the semantics are. One small function per rule of the catalogue, named by its S-number; nothing is
//! indexed, merged or remembered.
//!
//! What always passes whatever policies say (replies, neighbour discovery, DHCP) is no question to put to it, nor how a
//! world came to be what it is. Rules that compare worlds (S14 to S16) are the tests' that judge two.

mod blocks;
mod citations;
mod connection;
mod identity;
mod isolation;
mod objects;
mod party;
mod peers;
mod place;
mod policies;
mod ports;
mod selectors;
mod switches;
mod text;

use citations::Citations;
use connection::Connection;
pub use connection::{Direction, End, NodeName, Probe, Transport, crossed};
pub use objects::World;
use objects::{Namespace, Pod};
pub use party::Party;
use std::net::IpAddr;
pub use switches::{BarePodSelector, ClusterLabel, OwnNode, Switches};

/// The answer to whether a connection may be opened.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Verdict {
    /// Every node on the way lets it pass.
    Allowed,
    /// A policy of one end's cluster refuses it.
    Refused,
    /// There is no such traffic: the ends have no family in common (S97), or are one address outside.
    NoTraffic,
}

/// Judges connections in one world, and counts how often each rule had a say.
pub struct Judge<'w> {
    world: &'w World,
    switches: Switches,
    cited: Citations,
}

/// The numbers of the rules whose say is counted: all that a single verdict can hang on.
pub const COUNTED: [u8; 84] = [
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 18, 19, 20, 21, 22, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36,
    37, 38, 39, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 63, 67, 68, 69, 71, 73,
    76, 77, 80, 81, 82, 83, 90, 92, 93, 94, 95, 96, 97, 98, 99, 100, 101, 102, 103, 104, 105, 106, 108, 113,
];

impl<'w> Judge<'w> {
    /// Of this world, by these switches.
    pub fn new(world: &'w World, switches: Switches) -> Self {
        Self {
            world,
            switches,
            cited: Citations::none(),
        }
    }

    /// How often each rule had a say so far, by its S-number.
    pub fn cited(&self) -> impl Iterator<Item = (u8, u64)> {
        COUNTED.into_iter().map(|rule| (rule, self.cited.of(rule)))
    }

    fn cite(&self, rule: u8) {
        self.cited.cite(rule);
    }

    /// Whether a connection may be opened.
    pub fn verdict(&self, source: &End, destination: &End, probe: Probe) -> Verdict {
        let connection = Connection {
            source: source.address(),
            destination: destination.address(),
            probe,
        };
        if !self.one_family(connection) || is_outside_itself(source, destination) {
            Verdict::NoTraffic
        } else if self.passes(source, destination, connection) {
            Verdict::Allowed
        } else {
            Verdict::Refused
        }
    }

    /// S97: a pod of one family has no traffic in the other.
    fn one_family(&self, connection: Connection) -> bool {
        let same = connection.source.is_ipv4() == connection.destination.is_ipv4();
        if !same {
            self.cite(97);
        }
        same
    }

    fn passes(&self, source: &End, destination: &End, connection: Connection) -> bool {
        if connection.destination.is_multicast() {
            // S77: it is an address outside, which no selector matches.
            self.cite(77);
        }
        match (source, destination) {
            _ if connection.source == connection.destination => self.reaches_itself(),
            (
                End::Pod { node, pod, .. },
                End::Pod {
                    node: on, pod: other, ..
                },
            ) if node == on && pod == other => self.reaches_itself(),
            (End::Node { node, .. }, End::Pod { node: on, .. }) if node == on => self.own_node_comes_in(),
            (End::Pod { node, .. }, End::Node { node: own, .. }) if node == own => self.to_own_node(node, connection),
            (End::Node { .. }, End::Pod { .. }) | (End::Pod { .. }, End::Node { .. }) => {
                // S76: another node is outside of every cluster.
                self.cite(76);
                self.both_allow(&crossed(source, destination), connection)
            }
            _ => self.both_allow(&crossed(source, destination), connection),
        }
    }

    /// S69: a pod reaches itself.
    fn reaches_itself(&self) -> bool {
        self.cite(69);
        true
    }

    /// S67: whatever comes from a pod's own node is allowed.
    fn own_node_comes_in(&self) -> bool {
        self.cite(67);
        true
    }

    /// S68: whatever goes there, too; L6: unless policies judge it.
    fn to_own_node(&self, node: &NodeName, connection: Connection) -> bool {
        self.cite(68);
        match self.switches.own_node {
            OwnNode::Allow => true,
            OwnNode::Policy => self.node_allows(node, Direction::Egress, connection),
        }
    }

    /// S7: the source's egress and the destination's ingress must both allow it. S116: each at its own node, by the policies
    /// of its own cluster.
    fn both_allow(&self, crossed: &[&NodeName], connection: Connection) -> bool {
        let halves = crossed.iter().flat_map(|node| {
            [Direction::Egress, Direction::Ingress].map(|direction| self.node_allows(node, direction, connection))
        });
        let halves: Vec<bool> = halves.collect();
        let allowing = halves.iter().filter(|half| **half).count();
        if allowing > 0 && allowing < halves.len() {
            self.cite(7);
        }
        allowing == halves.len()
    }

    /// What a node says for those of its pods that are an end of the connection.
    fn node_allows(&self, node: &NodeName, direction: Direction, connection: Connection) -> bool {
        let subject = match direction {
            Direction::Egress => connection.source,
            Direction::Ingress => connection.destination,
        };
        let subjects = self.subjects(node, subject);
        subjects
            .into_iter()
            .all(|pod| self.pod_allows(node, pod, direction, connection))
    }

    fn namespace(&self, pod: &Pod) -> Option<&'w Namespace> {
        self.world.clusters[&pod.cluster].namespaces.get(&pod.namespace)
    }

    /// Whether it is an address of a node.
    fn is_nodes(&self, address: IpAddr) -> bool {
        self.world.nodes().any(|(_, addresses)| addresses.contains(&address))
    }
}

/// Somebody outside has no traffic with the same address that policies could judge.
fn is_outside_itself(source: &End, destination: &End) -> bool {
    matches!((source, destination), (End::Address(one), End::Address(other)) if one == other)
}
