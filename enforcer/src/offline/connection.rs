//! A connection between two ends: who they are, at which addresses, and which nodes judge it.
//!
//! Pure. Judges nothing.

use super::clusterset::ClusterSet;
use super::ends::{End, NodeName, PodName, Probe, Transport};
use crate::interpret::{Packet, Payload};
use crate::ruleset::Family;
use crate::switches::EgressToLocalNode;
use proto::model::Protocol;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The source port of every probe: one that no rule can ask for.
const SOURCE_PORT: u16 = 40_000;

/// Types of echo requests: RFC 792, RFC 4443.
const ECHO: u8 = 8;
const ECHO_V6: u8 = 128;

/// A connection that can be opened, if nobody refuses it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Connection {
    /// Who opens it.
    pub source: Party,
    /// To whom.
    pub destination: Party,
    /// Its first packet.
    pub packet: Packet,
    /// The nodes that judge it.
    pub crossed: BTreeSet<Crossing>,
}

/// A node that judges a connection, and where in its network.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Crossing {
    /// The node.
    pub node: NodeName,
    /// The hook that the packet passes there.
    pub hook: Hook,
}

/// A hook of netfilter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Hook {
    /// The node forwards the packet.
    Forward,
    /// The packet is for the node itself.
    Input,
}

/// An end, at the address that it uses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Party {
    /// The address.
    pub address: IpAddr,
    /// Who is behind it.
    pub whose: Whose,
}

/// Who is behind an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Whose {
    /// A live pod on a pod's network, with its node, if it runs on one; several, if `ip:` names an address that several
    /// own at once.
    Pods(Vec<(PodName, Option<NodeName>)>),
    /// A node, or host-network pods of it; several, if nodes of several clusters have the address.
    Nodes(Vec<NodeName>),
    /// Nobody of any cluster.
    Outside,
}

/// An end at the address that it uses, in each family that it has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Parties([Option<Party>; 2]);

impl Parties {
    pub(super) fn of(set: &ClusterSet, end: &End) -> Self {
        Self(Family::ALL.map(|family| Party::of(set, end, family)))
    }

    /// Both sides of a probe; `None`: there is no such traffic.
    pub(super) fn meet<'p>(&'p self, other: &'p Self, probe: Probe) -> Option<(&'p Party, &'p Party)> {
        let both = self.0.iter().zip(&other.0).zip(Family::ALL);
        let mut both = both.filter(|(_, family)| probe.family.is_none_or(|wanted| wanted == *family));
        let (source, destination) = both.find_map(|((one, other), _)| Some((one.as_ref()?, other.as_ref()?)))?;
        let itself = source == destination && source.whose == Whose::Outside;
        (!itself).then_some((source, destination))
    }

    /// The nodes that its pods run on.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &NodeName> {
        self.0.iter().flatten().flat_map(|party| party.whose.pods_nodes())
    }
}

impl Connection {
    /// The connection that a probe opens; `None`: there is no such traffic. Without a family it is IPv4 where both ends
    /// have it, else IPv6.
    pub fn new(set: &ClusterSet, from: &End, to: &End, probe: Probe) -> Option<Self> {
        let (from, to) = (Parties::of(set, from), Parties::of(set, to));
        let (source, destination) = from.meet(&to, probe)?;
        let nodes = source.whose.pods_nodes().chain(destination.whose.pods_nodes());
        let crossing = |node: &NodeName| {
            Some(Crossing {
                node: node.clone(),
                hook: hook(source, destination, node, set.switches().egress_to_local_node)?,
            })
        };
        Some(Self {
            packet: packet(source.address, destination.address, probe),
            crossed: nodes.filter_map(crossing).collect(),
            source: source.clone(),
            destination: destination.clone(),
        })
    }
}

impl Party {
    /// An end at the address of a family that it uses: of several, the one that is listed first. `None`: it has none.
    pub fn of(set: &ClusterSet, end: &End, family: Family) -> Option<Self> {
        match end {
            End::Address(address) => (Family::of(*address) == family).then(|| Self {
                address: *address,
                whose: Whose::at(set, *address),
            }),
            End::Pod(name) => {
                let mut addresses = set.addresses(name).into_iter();
                let address = addresses.find(|address| Family::of(*address) == family)?;
                let host_network = set.pod(name)?.host_network;
                let whose = match (host_network, set.node_of(name)) {
                    (true, Some(node)) => Whose::Nodes(vec![node]),
                    (true, None) => Whose::Outside,
                    (false, node) => Whose::Pods(vec![(name.clone(), node)]),
                };
                Some(Self { address, whose })
            }
        }
    }
}

impl Whose {
    fn at(set: &ClusterSet, address: IpAddr) -> Self {
        match (set.owners(address), set.nodes_at(address)) {
            ([], []) => Self::Outside,
            // Also where a pod of another cluster claims it: a node has it for certain (I7).
            (_, nodes @ [_, ..]) => Self::Nodes(nodes.to_vec()),
            (owners, []) => Self::Pods(owners.iter().map(|name| (name.clone(), set.node_of(name))).collect()),
        }
    }

    /// The nodes that its pods run on, which judge for them.
    fn pods_nodes(&self) -> impl Iterator<Item = &NodeName> {
        let pods = match self {
            Self::Pods(pods) => pods.as_slice(),
            Self::Nodes(_) | Self::Outside => &[],
        };
        pods.iter().filter_map(|(_, node)| node.as_ref())
    }

    /// Whether a pod of it runs on this node.
    fn runs_on(&self, node: &NodeName) -> bool {
        self.pods_nodes().any(|own| own == node)
    }
}

/// Where the first packet of a connection is judged at a node, if it is: at the pods' own nodes. A pod and itself (S69), and
/// what a node sends to its own pods (S67), are never judged; what a pod sends to its own node, only if the switch says
/// so (S68). Another node is an outside address (S76).
pub(super) fn hook(
    source: &Party,
    destination: &Party,
    node: &NodeName,
    egress_to_local_node: EgressToLocalNode,
) -> Option<Hook> {
    match (&source.whose, &destination.whose) {
        (Whose::Pods(sources), Whose::Pods(destinations)) => sources
            .iter()
            .flat_map(|from| destinations.iter().map(move |to| (from, to)))
            .any(|((pod, on), (other, at))| pod != other && [on, at].into_iter().flatten().any(|own| own == node))
            .then_some(Hook::Forward),
        (Whose::Pods(_), Whose::Nodes(nodes)) if nodes.contains(node) => match egress_to_local_node {
            EgressToLocalNode::Allow => None,
            EgressToLocalNode::Policy => source.whose.runs_on(node).then_some(Hook::Input),
        },
        (Whose::Nodes(nodes), Whose::Pods(_)) if nodes.contains(node) => None,
        (whose @ Whose::Pods(_), Whose::Nodes(_) | Whose::Outside)
        | (Whose::Nodes(_) | Whose::Outside, whose @ Whose::Pods(_)) => whose.runs_on(node).then_some(Hook::Forward),
        (Whose::Nodes(_) | Whose::Outside, Whose::Nodes(_) | Whose::Outside) => None,
    }
}

/// The first packet of a connection.
pub(super) fn packet(source: IpAddr, destination: IpAddr, probe: Probe) -> Packet {
    let ports = |protocol: Protocol| Payload::Ports {
        protocol: protocol.number(),
        source: SOURCE_PORT,
        destination: probe.port,
    };
    Packet {
        source,
        destination,
        payload: match probe.transport {
            Transport::Tcp => ports(Protocol::Tcp),
            Transport::Udp => ports(Protocol::Udp),
            Transport::Sctp => ports(Protocol::Sctp),
            Transport::Icmp => Payload::Icmp(if destination.is_ipv4() { ECHO } else { ECHO_V6 }),
        },
        established: false,
    }
}
