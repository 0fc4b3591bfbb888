//! The verdict on a connection: which nodes it crosses, and what their rulesets do with it.
//!
//! Pure. Compiles the ruleset of each node as its enforcer would, and walks it with [`crate::interpret`].

use super::clusterset::ClusterSet;
use super::ends::{End, NodeName, PodName, Probe, Table, Transport, Verdict};
use crate::interpret::{self, Packet, Payload};
use crate::ruleset::{Family, Ruleset};
use proto::model::Protocol;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The source port of every probe: one that no rule can ask for.
const SOURCE_PORT: u16 = 40_000;

/// Types of echo requests: RFC 792, RFC 4443.
const ECHO: u8 = 8;
const ECHO_V6: u8 = 128;

/// Judges connections between ends of a ClusterSet.
#[derive(Debug)]
pub struct Judge<'a> {
    set: &'a ClusterSet,
    rulesets: BTreeMap<NodeName, Ruleset>,
}

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

impl<'a> Judge<'a> {
    /// Compiles the rulesets of all nodes.
    pub fn new(set: &'a ClusterSet) -> Self {
        let rulesets = set
            .nodes()
            .filter_map(|(name, _)| Some((name.clone(), set.ruleset(&name)?)))
            .collect();
        Self { set, rulesets }
    }

    /// The connection that a probe opens; `None`: there is no such traffic.
    pub fn connection(&self, from: &End, to: &End, probe: Probe) -> Option<Connection> {
        let families: &[Family] = match &probe.family {
            Some(family) => std::slice::from_ref(family),
            None => &Family::ALL,
        };
        let (source, destination) = families
            .iter()
            .find_map(|&family| Some((self.party(from, family)?, self.party(to, family)?)))?;
        if source == destination && source.whose == Whose::Outside {
            return None;
        }
        Some(Connection {
            packet: packet(source.address, destination.address, probe),
            crossed: crossed(&source.whose, &destination.whose),
            source,
            destination,
        })
    }

    /// What becomes of a probe.
    pub fn verdict(&self, from: &End, to: &End, probe: Probe) -> Verdict {
        match self.connection(from, to, probe) {
            None => Verdict::Absent,
            Some(connection) if self.passes(&connection) => Verdict::Allowed,
            Some(_) => Verdict::Refused,
        }
    }

    /// What becomes of a probe from every end to every end.
    pub fn table(&self, ends: &[End], probe: Probe) -> Table {
        let row = |from| ends.iter().map(|to| self.verdict(from, to, probe)).collect();
        Table {
            probe,
            rows: ends.iter().map(row).collect(),
        }
    }

    /// Whether every node that a connection crosses lets it pass.
    pub fn passes(&self, connection: &Connection) -> bool {
        connection.crossed.iter().all(|Crossing { node, hook }| match hook {
            Hook::Forward => self
                .rulesets
                .get(node)
                .is_none_or(|ruleset| interpret::passes(ruleset, &connection.packet)),
            Hook::Input => true,
        })
    }

    /// The ruleset of a node.
    pub fn ruleset(&self, node: &NodeName) -> Option<&Ruleset> {
        self.rulesets.get(node)
    }

    /// An end at the address of a family that it uses: of several, the one that is listed first.
    pub fn party(&self, end: &End, family: Family) -> Option<Party> {
        match end {
            End::Address(address) => (Family::of(*address) == family).then(|| Party {
                address: *address,
                whose: self.whose(*address),
            }),
            End::Pod(name) => self.pod_party(name, family),
        }
    }

    fn pod_party(&self, name: &PodName, family: Family) -> Option<Party> {
        let pod = self.set.pod(name)?;
        let cluster = self.set.cluster(&name.cluster)?;
        let mut addresses = self.set.addresses(name).into_iter();
        let address = addresses.find(|address| Family::of(*address) == family)?;
        let node = pod.node.as_deref().map(|node| cluster.node_name(node));
        let whose = match (pod.host_network, node) {
            (true, Some(node)) => Whose::Nodes(vec![node]),
            (true, None) => Whose::Outside,
            (false, node) => Whose::Pods(vec![(name.clone(), node)]),
        };
        Some(Party { address, whose })
    }

    fn whose(&self, address: IpAddr) -> Whose {
        let owners = self.set.owners(address);
        let nodes = self.set.nodes_at(address);
        if !owners.is_empty() {
            let node = |name: &PodName| {
                let node = self.set.pod(name)?.node.as_deref()?;
                Some(self.set.cluster(&name.cluster)?.node_name(node))
            };
            Whose::Pods(owners.iter().map(|name| (name.clone(), node(name))).collect())
        } else if !nodes.is_empty() {
            Whose::Nodes(nodes.to_vec())
        } else {
            Whose::Outside
        }
    }
}

/// The nodes that judge a connection: its pods' own. A pod and itself (S69), and a pod and its own node (S67, S68), are
/// never forwarded; another node is an outside address (S76).
fn crossed(source: &Whose, destination: &Whose) -> BTreeSet<Crossing> {
    let forward = |node: &NodeName| Crossing {
        node: node.clone(),
        hook: Hook::Forward,
    };
    let mut crossed = BTreeSet::new();
    match (source, destination) {
        (Whose::Pods(sources), Whose::Pods(destinations)) => {
            for (pod, node) in sources {
                for (_, on) in destinations.iter().filter(|(other, _)| other != pod) {
                    crossed.extend(node.iter().chain(on).map(forward));
                }
            }
        }
        (Whose::Pods(pods), Whose::Nodes(nodes)) | (Whose::Nodes(nodes), Whose::Pods(pods)) => {
            let own = pods.iter().filter_map(|(_, node)| node.as_ref());
            crossed.extend(own.filter(|node| !nodes.contains(node)).map(forward));
        }
        (Whose::Pods(pods), Whose::Outside) | (Whose::Outside, Whose::Pods(pods)) => {
            crossed.extend(pods.iter().filter_map(|(_, node)| node.as_ref()).map(forward));
        }
        (Whose::Nodes(_) | Whose::Outside, Whose::Nodes(_) | Whose::Outside) => {}
    }
    crossed
}

fn packet(source: IpAddr, destination: IpAddr, probe: Probe) -> Packet {
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
