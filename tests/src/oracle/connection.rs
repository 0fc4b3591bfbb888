//! Ends of connections, and which nodes judge what passes between them.
//!
//! Pure.

use std::fmt;
use std::net::IpAddr;

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
pub(super) struct Connection {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub probe: Probe,
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
/// its own node (S67, S68), are never forwarded; another node is an outside address (S76). A node of another cluster that
/// has the same name is another node (S114).
pub fn crossed<'e>(source: &'e End, destination: &'e End) -> Vec<&'e NodeName> {
    if source.address() == destination.address() {
        return vec![];
    }
    match (source, destination) {
        (End::Pod { node, pod, .. }, End::Pod { node: on, pod: it, .. }) => match (node == on, pod == it) {
            (true, true) => vec![],
            (true, false) => vec![node],
            (false, _) => vec![node, on],
        },
        (End::Pod { node, .. }, End::Node { node: other, .. })
        | (End::Node { node: other, .. }, End::Pod { node, .. }) => {
            if node == other {
                vec![]
            } else {
                vec![node]
            }
        }
        (End::Pod { node, .. }, End::Address(_)) | (End::Address(_), End::Pod { node, .. }) => vec![node],
        (End::Node { .. } | End::Address(_), End::Node { .. } | End::Address(_)) => vec![],
    }
}
