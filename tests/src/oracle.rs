//! What NetworkPolicy over a ClusterSet means, written for obviousness: the measure that compiled rulesets are held
//! against.
//!
//! Pure. Reads the manifests themselves and shares no code with the product, so that the two are wrong together only if
//! two readings of the semantics are. One small function per rule of the catalogue, named by its S-number; nothing is
//! indexed, merged or remembered. It judges as the default switches have it: a bare `podSelector` reaches the whole
//! ClusterSet (S19), and a namespace's false cluster label counts as the cluster that sent it (S106).
//!
//! What always passes whatever policies say (replies, neighbour discovery, DHCP) is no question to put to it.

mod blocks;
mod connection;
mod objects;
mod place;
mod policies;
mod selectors;
mod text;

use connection::Connection;
pub use connection::{Direction, End, NodeName, Probe, Transport, crossed};
pub use objects::World;
use objects::{Namespace, Pod};
use place::Place;
use policies::Policy;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The answer to whether a connection may be opened.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Verdict {
    /// Every node on the way lets it pass.
    Allowed,
    /// A policy of one end's cluster refuses it.
    Refused,
    /// There is no such traffic: the ends have no family in common (S97), or are one address.
    NoTraffic,
}

/// Judges connections in one world, and counts how often each rule had a say.
pub struct Judge<'w> {
    world: &'w World,
    cited: BTreeMap<u8, Cell<u64>>,
}

/// The numbers of the rules whose say is counted.
const COUNTED: [u8; 40] = [
    1, 9, 10, 18, 19, 20, 21, 22, 27, 28, 29, 31, 32, 33, 34, 39, 44, 46, 48, 49, 50, 53, 55, 57, 58, 60, 67, 68, 69,
    73, 76, 82, 83, 95, 96, 97, 101, 105, 106, 113,
];

impl<'w> Judge<'w> {
    /// Of this world.
    pub fn new(world: &'w World) -> Self {
        Self {
            world,
            cited: COUNTED.map(|rule| (rule, Cell::new(0))).into(),
        }
    }

    /// How often each rule had a say so far, by its S-number.
    pub fn cited(&self) -> impl Iterator<Item = (u8, u64)> {
        self.cited.iter().map(|(rule, count)| (*rule, count.get()))
    }

    fn cite(&self, rule: u8) {
        let count = &self.cited[&rule];
        count.set(count.get() + 1);
    }

    /// Whether a connection may be opened. Every node whose forward hook it crosses must let it pass.
    pub fn verdict(&self, source: &End, destination: &End, probe: Probe) -> Verdict {
        let connection = Connection {
            source: source.address(),
            destination: destination.address(),
            probe,
        };
        if !self.one_family(connection) || connection.source == connection.destination {
            return Verdict::NoTraffic;
        }
        self.cite_ends(source, destination);
        if crossed(source, destination)
            .into_iter()
            .all(|node| self.node_passes(node, connection))
        {
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

    /// S67 to S69, S76: what kind of ends they are.
    fn cite_ends(&self, source: &End, destination: &End) {
        let crosses = !crossed(source, destination).is_empty();
        match (source, destination) {
            (End::Pod { .. }, End::Pod { .. }) if !crosses => self.cite(69),
            (End::Node { .. }, End::Pod { .. }) => self.cite(if crosses { 76 } else { 67 }),
            (End::Pod { .. }, End::Node { .. }) => self.cite(if crosses { 76 } else { 68 }),
            (End::Pod { .. } | End::Address(_), End::Pod { .. } | End::Address(_))
            | (End::Node { .. }, End::Node { .. } | End::Address(_))
            | (End::Address(_), End::Node { .. }) => {}
        }
    }

    /// S7, S116: a node enforces egress for its pods that own the source, ingress for those that own the destination.
    fn node_passes(&self, node: &NodeName, connection: Connection) -> bool {
        let allows = |direction, address| {
            let subjects = self.local_owners(node, address);
            subjects
                .into_iter()
                .all(|pod| self.pod_allows(node, pod, direction, connection))
        };
        allows(Direction::Egress, connection.source) && allows(Direction::Ingress, connection.destination)
    }

    /// S1, S4, S8: a pod is isolated in a direction if a policy that isolates it selects the pod; then it allows what any
    /// of them allows.
    fn pod_allows(&self, node: &NodeName, pod: &'w Pod, direction: Direction, connection: Connection) -> bool {
        if self.is_itself(node, pod, connection) {
            return true;
        }
        let isolating: Vec<_> = self
            .policies(pod)
            .filter_map(|policy| policy.rules(direction))
            .collect();
        if isolating.is_empty() {
            self.cite(1);
            return true;
        }
        if isolating.iter().all(|rules| rules.is_empty()) {
            self.cite(9);
        }
        if connection.source.is_ipv6() {
            self.cite(96);
        }
        let at = Place {
            judge: self,
            node,
            pod,
            direction,
            connection,
        };
        isolating.into_iter().flatten().any(|rule| at.rule_matches(rule))
    }

    /// S69: a pod reaches itself by all addresses that are nobody else's.
    fn is_itself(&self, node: &NodeName, pod: &Pod, connection: Connection) -> bool {
        [connection.source, connection.destination].into_iter().all(|address| {
            let only_here = matches!(self.local_owners(node, address)[..], [owner] if std::ptr::eq(owner, pod));
            only_here && self.claimants(node, address).iter().all(|other| other.looks_like(pod))
        })
    }

    /// S2, S3, S99: the policies that select a pod are of its own namespace in its own cluster.
    fn policies(&self, pod: &'w Pod) -> impl Iterator<Item = &'w Policy> {
        let cluster = &self.world.clusters[&pod.cluster];
        cluster
            .policies
            .iter()
            .filter(|policy| policy.namespace == pod.namespace && policy.subjects.matches(&pod.labels))
    }

    /// The live pods of a node that own an address.
    fn local_owners(&self, node: &NodeName, address: IpAddr) -> Vec<&'w Pod> {
        let pods = &self.world.clusters[&node.cluster].pods;
        let local = pods.iter().filter(|pod| pod.node.as_deref() == Some(&*node.name));
        self.owners(local, address)
    }

    /// S81, S83: live pods that have the address; a terminating one yields to one that is not.
    fn owners(&self, pods: impl Iterator<Item = &'w Pod>, address: IpAddr) -> Vec<&'w Pod> {
        let live: Vec<_> = pods
            .filter(|pod| pod.is_live() && pod.addresses.contains(&address))
            .collect();
        let staying: Vec<_> = live.iter().copied().filter(|pod| !pod.terminating).collect();
        if staying.is_empty() {
            if !live.is_empty() {
                self.cite(82);
            }
            return live;
        }
        if staying.len() < live.len() {
            self.cite(83);
        }
        staying
    }

    /// Who is behind an address, as a node of the policy's cluster sees it: all of these must match (S113). None: it is
    /// outside every cluster (S32).
    fn claimants(&self, node: &NodeName, address: IpAddr) -> Vec<&'w Pod> {
        let own = self.owners(self.world.clusters[&node.cluster].pods.iter(), address);
        let mut others = Vec::new();
        for (name, cluster) in &self.world.clusters {
            if *name != node.cluster {
                others.extend(self.owners(cluster.pods.iter(), address));
            }
        }
        if own.len() + others.len() > 1 {
            self.cite(113);
        }
        if own.is_empty() { others } else { own }
    }

    fn namespace(&self, pod: &Pod) -> Option<&'w Namespace> {
        self.world.clusters[&pod.cluster].namespaces.get(&pod.namespace)
    }
}
