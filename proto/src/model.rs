//! The words both ends use: clusters, namespaces, labels, identities, revisions.
//!
//! Pure values. What they become on the wire is [`crate::convert`]'s business, what they were in Kubernetes
//! [`crate::observe`]'s.

use crate::syntax::is_label_value;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The namespace label that lets a policy name a cluster (NPEP-311).
pub const CLUSTER_LABEL: &str = "cluster.clusterset.k8s.io/cluster-name";

/// The namespace label the API server keeps equal to the namespace's name (S29).
pub const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// The id of a member cluster: what the administrator calls it, and the value of [`CLUSTER_LABEL`] on its namespaces.
///
/// Always a label value that is not empty (S109), so it is safe in file names, URIs and log lines.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterName(Arc<str>);

/// Why a text is no cluster id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no cluster id: it must be a label value of 1 to 63 characters, letters, digits, '-', '_' and '.', \
     beginning and ending with a letter or digit"
)]
pub struct InvalidClusterName(pub String);

impl ClusterName {
    /// # Errors
    /// If `name` is empty or no valid label value.
    pub fn new(name: &str) -> Result<Self, InvalidClusterName> {
        if !name.is_empty() && is_label_value(name) {
            Ok(Self(name.into()))
        } else {
            Err(InvalidClusterName(name.to_owned()))
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for ClusterName {
    type Err = InvalidClusterName;
    fn from_str(name: &str) -> Result<Self, InvalidClusterName> {
        Self::new(name)
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The random number of one hub process: revisions compare only within it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Epoch(pub u128);

/// A state of the hub's inventory. Displayed as `<epoch in hex>/<sequence>`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Revision {
    /// Whose history this is.
    pub epoch: Epoch,
    /// How many changes were sealed in it; 0 is the empty inventory.
    pub sequence: u64,
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}/{}", self.epoch.0, self.sequence)
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text is no revision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no revision: expected <32 hexadecimal digits>/<sequence>, as ListClusters prints it")]
pub struct InvalidRevision(pub String);

impl std::str::FromStr for Revision {
    type Err = InvalidRevision;
    fn from_str(text: &str) -> Result<Self, InvalidRevision> {
        let parse = || {
            let (epoch, sequence) = text.split_once('/')?;
            (epoch.len() == 32).then_some(())?;
            Some(Self {
                epoch: Epoch(u128::from_str_radix(epoch, 16).ok()?),
                sequence: sequence.parse().ok()?,
            })
        };
        parse().ok_or_else(|| InvalidRevision(text.to_owned()))
    }
}

/// The labels of one object, sorted by key. Keys and values are compared as they are (S30).
pub type Labels = BTreeMap<Arc<str>, Arc<str>>;

/// A namespace of one cluster. The same name in another cluster is another namespace (S102).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NamespaceName {
    /// The cluster that holds it.
    pub cluster: ClusterName,
    /// Its name in that cluster.
    pub name: Arc<str>,
}

/// A transport protocol that NetworkPolicy ports can name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Protocol {
    /// Transmission Control Protocol.
    Tcp,
    /// User Datagram Protocol.
    Udp,
    /// Stream Control Transmission Protocol.
    Sctp,
}

impl Protocol {
    /// Its IANA protocol number.
    pub const fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }

    /// From Kubernetes' spelling; exact (P19).
    pub fn from_kubernetes(name: &str) -> Option<Self> {
        match name {
            "TCP" => Some(Self::Tcp),
            "UDP" => Some(Self::Udp),
            "SCTP" => Some(Self::Sctp),
            _ => None,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        })
    }
}

/// A container port that has a name (S53).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NamedPort {
    /// The name, as the container has it.
    pub name: Arc<str>,
    /// The protocol it is for.
    pub protocol: Protocol,
    /// The port's number, never 0.
    pub port: u16,
}

/// All that a policy can see of a pod. Pods that do not differ in it share one identity.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Identity {
    /// The namespace the pod is in, and with it the cluster.
    pub namespace: NamespaceName,
    /// The pod's labels.
    pub labels: Arc<Labels>,
    /// The named ports of its containers, sorted, each once.
    pub ports: Arc<[NamedPort]>,
}

/// How current the knowledge of one cluster is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClusterState {
    /// Its first list is not complete: what was known before is kept.
    Syncing,
    /// Its API server is watched.
    Live,
    /// Contact is lost; what is known is kept as it was.
    Stale,
    /// It is no member any more; nothing of it is known.
    Left,
}
