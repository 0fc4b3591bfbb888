//! What NetworkPolicy over a ClusterSet means, written for obviousness: the measure that compiled rulesets are held
//! against.
//!
//! Pure. Reads the manifests themselves and shares no code with the product, so that the two are wrong together only if
//! two readings of the semantics are. One small function per rule of the catalogue, named by its S-number; nothing is
//! indexed, merged or remembered. It judges as the default switches have it: a bare `podSelector` reaches the whole
//! ClusterSet (S19), and a namespace's false cluster label counts as the cluster that sent it (S106).
//!
//! What always passes whatever policies say (replies, neighbour discovery, DHCP) is no question to put to it.

pub mod blocks;
pub mod objects;
pub mod policies;
pub mod selectors;
pub mod text;

use objects::{Namespace, Pod, World};
use policies::{Peer, Policy, PortEntry, Rule, Which};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
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

/// One end of a connection.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum End {
    /// A pod that runs on a node, by one of its addresses.
    Pod {
        /// The node it runs on; policies are enforced there.
        node: NodeName,
        /// Its namespace and name.
        pod: (String, String),
        /// The address used.
        address: IpAddr,
    },
    /// A node, by one of its addresses.
    Node {
        /// Which.
        node: NodeName,
        /// The address used.
        address: IpAddr,
    },
    /// Whoever else is behind an address.
    Address(IpAddr),
}

/// A node of a cluster. Names repeat across clusters (S114).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct NodeName {
    /// Its cluster.
    pub cluster: String,
    /// Its name there.
    pub name: String,
}

/// What is sent first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Probe {
    /// TCP, UDP or SCTP to a port.
    Port(Transport, u16),
    /// An echo request of the ends' family.
    Ping,
    /// Another protocol, by IANA number.
    Other(u8),
}

/// A protocol that has ports.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// The direction of a connection, seen from the pod that a policy selects.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Direction {
    /// The pod is its destination.
    Ingress,
    /// The pod is its source.
    Egress,
}

/// A connection to judge.
#[derive(Clone, Copy)]
struct Connection {
    source: IpAddr,
    destination: IpAddr,
    probe: Probe,
}

/// Judges connections in one world, and counts how often each rule had a say.
pub struct Judge<'w> {
    world: &'w World,
    cited: BTreeMap<u8, Cell<u64>>,
}

impl End {
    /// The address it uses.
    pub fn address(&self) -> IpAddr {
        match self {
            Self::Pod { address, .. } | Self::Node { address, .. } | Self::Address(address) => *address,
        }
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.cluster, self.name)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pod {
                node,
                pod: (namespace, name),
                address,
            } => write!(f, "pod {}/{namespace}/{name} on {node} at {address}", node.cluster),
            Self::Node { node, address } => write!(f, "node {node} at {address}"),
            Self::Address(address) => write!(f, "{address}"),
        }
    }
}

/// The nodes on whose forward hook a connection is judged: its pods' own, each once. A pod and itself (S69), and a pod and
/// its own node (S67, S68), are never forwarded; another node is an outside address (S76).
pub fn crossed<'e>(source: &'e End, destination: &'e End) -> Vec<&'e NodeName> {
    let (one, other) = match (source, destination) {
        (End::Pod { node, pod, .. }, End::Pod { node: on, pod: it, .. }) if (node, pod) != (on, it) => (node, on),
        (End::Pod { node, .. }, End::Node { node: other, .. }) if node != other => (node, node),
        (End::Node { node: other, .. }, End::Pod { node, .. }) if node != other => (node, node),
        (End::Pod { node, .. }, End::Address(_)) | (End::Address(_), End::Pod { node, .. }) => (node, node),
        _ => return Vec::new(),
    };
    if one == other { vec![one] } else { vec![one, other] }
}

/// The numbers of the rules that are counted.
const COUNTED: [u8; 38] = [
    1, 9, 10, 19, 20, 21, 22, 24, 27, 28, 29, 31, 32, 33, 34, 39, 44, 46, 48, 49, 50, 53, 55, 57, 59, 67, 68, 69, 73,
    76, 82, 83, 95, 96, 97, 105, 106, 113,
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
        match (source, destination) {
            (End::Pod { .. }, End::Pod { .. }) if crossed(source, destination).is_empty() => self.cite(69),
            (End::Node { node: other, .. }, End::Pod { node, .. }) => self.cite(if node == other { 67 } else { 76 }),
            (End::Pod { node, .. }, End::Node { node: other, .. }) => self.cite(if node == other { 68 } else { 76 }),
            _ => {}
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
        self.cite(if connection.source.is_ipv4() { 95 } else { 96 });
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
        let own = self.own_claimants(node, address);
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

    /// The own cluster's claimants. For an address of the node's own pods their word counts, unless the cluster's as a
    /// whole includes it (C9): where a terminating pod yields to one of another node, its own node still sees it.
    fn own_claimants(&self, node: &NodeName, address: IpAddr) -> Vec<&'w Pod> {
        let cluster = self.owners(self.world.clusters[&node.cluster].pods.iter(), address);
        let local = self.local_owners(node, address);
        let included = |pod: &&Pod| cluster.iter().any(|other| other.looks_like(pod));
        if local.iter().all(included) { cluster } else { local }
    }

    fn namespace(&self, pod: &Pod) -> Option<&'w Namespace> {
        self.world.clusters[&pod.cluster].namespaces.get(&pod.namespace)
    }
}

/// A connection at the pod for which it is judged.
struct Place<'a, 'w> {
    judge: &'a Judge<'w>,
    /// Where the pod runs.
    node: &'a NodeName,
    /// The subject.
    pod: &'a Pod,
    direction: Direction,
    connection: Connection,
}

impl Place<'_, '_> {
    fn cite(&self, rule: u8) {
        self.judge.cite(rule);
    }

    /// The address of the other end.
    fn peer(&self) -> IpAddr {
        match self.direction {
            Direction::Ingress => self.connection.source,
            Direction::Egress => self.connection.destination,
        }
    }

    /// S11: within a rule a peer and a port must match.
    fn rule_matches(&self, rule: &Rule) -> bool {
        self.a_peer_matches(rule) && self.a_port_matches(rule)
    }

    /// S10, S60: no peers given is any peer; peers given of which none is usable are nobody.
    fn a_peer_matches(&self, rule: &Rule) -> bool {
        match &rule.peers {
            None => {
                self.cite(10);
                true
            }
            Some(peers) => peers.iter().any(|peer| self.peer_matches(peer)),
        }
    }

    fn peer_matches(&self, peer: &Peer) -> bool {
        match peer {
            Peer::Block(block) => self.block_matches(block),
            Peer::Pods { namespaces, pods } => {
                let claimants = self.judge.claimants(self.node, self.peer());
                // S32: no selector matches an address with no live pod behind it, and S113: all claimants must match.
                if claimants.is_empty() {
                    self.cite(32);
                    return false;
                }
                claimants.iter().all(|pod| {
                    self.in_namespaces(pod, namespaces.as_ref())
                        && pods.as_ref().is_none_or(|selector| self.pod_selected(selector, pod))
                })
            }
        }
    }

    /// S33, S39: a block matches an address whoever is behind it.
    fn block_matches(&self, block: &blocks::Block) -> bool {
        if block.in_except(self.peer()) {
            self.cite(34);
        }
        let matches = block.matches(self.peer());
        if matches {
            let claimants = self.judge.claimants(self.node, self.peer());
            let foreign = claimants.iter().any(|pod| pod.cluster != self.pod.cluster);
            self.cite(match (claimants.is_empty(), foreign) {
                (true, _) => 44,
                (false, false) => 33,
                (false, true) => 39,
            });
        }
        matches
    }

    fn pod_selected(&self, selector: &selectors::Selector, pod: &Pod) -> bool {
        if selector.hangs_on_absence(&pod.labels) {
            self.cite(27);
        }
        if selector.asks_for_empty_value() {
            self.cite(28);
        }
        selector.matches(&pod.labels)
    }

    /// S19, S20, S23: no `namespaceSelector` is the policy's namespace by name, in every cluster; S18: an empty one is all.
    /// S31: a namespace without object matches no other.
    fn in_namespaces(&self, pod: &Pod, selector: Option<&selectors::Selector>) -> bool {
        let Some(selector) = selector else {
            self.cite(if pod.cluster == self.pod.cluster { 20 } else { 19 });
            return pod.namespace == self.pod.namespace;
        };
        if selector.is_empty() {
            self.cite(21);
            return true;
        }
        let Some(namespace) = self.judge.namespace(pod) else {
            self.cite(31);
            return false;
        };
        self.namespace_selected(selector, namespace)
    }

    /// S29, S101, S105, S106: the labels that a namespace counts with.
    fn namespace_selected(&self, selector: &selectors::Selector, namespace: &Namespace) -> bool {
        if selector.speaks_of(objects::NAME_LABEL) {
            self.cite(29);
        }
        if selector.speaks_of(objects::CLUSTER_LABEL) {
            match namespace.labels.get(objects::CLUSTER_LABEL) {
                None => self.cite(105),
                Some(value) if *value != namespace.cluster => self.cite(106),
                Some(_) => self.cite(22),
            }
        }
        selector.matches(&namespace.counting_labels())
    }

    /// S46, S60: no ports given is every port and protocol; S73: other protocols are covered by that only.
    fn a_port_matches(&self, rule: &Rule) -> bool {
        match (&rule.ports, self.connection.probe) {
            (None, Probe::Port(..)) => {
                self.cite(46);
                true
            }
            (None, Probe::Ping | Probe::Other(_)) => {
                self.cite(73);
                true
            }
            (Some(_), Probe::Ping | Probe::Other(_)) => {
                self.cite(73);
                false
            }
            (Some(entries), Probe::Port(transport, port)) => {
                if entries.is_empty() {
                    self.cite(24);
                }
                entries.iter().any(|entry| self.port_matches(entry, transport, port))
            }
        }
    }

    /// S47 to S52: an entry is for one protocol, and any port, a range of them, or a name.
    fn port_matches(&self, entry: &PortEntry, transport: Transport, port: u16) -> bool {
        entry.transport == transport
            && match &entry.which {
                Which::Any => {
                    self.cite(48);
                    true
                }
                Which::Range(first, last) => {
                    self.cite(if first == last { 49 } else { 50 });
                    (*first..=*last).contains(&port)
                }
                Which::Name(name) => self.name_matches(name, transport, port),
            }
    }

    /// S53: a name is looked up on the destination pod: the subject for ingress, the peer for egress, where every
    /// claimant must have it (S113), an outside address has none (S57), and an ipBlock matters not (S59).
    fn name_matches(&self, name: &str, transport: Transport, port: u16) -> bool {
        let has = |pod: &Pod| {
            let has = pod.has_port(name, transport, port);
            self.cite(if has { 53 } else { 55 });
            has
        };
        match self.direction {
            Direction::Ingress => has(self.pod),
            Direction::Egress => {
                let claimants = self.judge.claimants(self.node, self.connection.destination);
                self.cite(if claimants.is_empty() { 57 } else { 59 });
                !claimants.is_empty() && claimants.into_iter().all(has)
            }
        }
    }
}
