//! A NetworkPolicy as its API server has it → a policy as it is enforced.
//!
//! Pure. Decoded by types of our own from the raw object, so that no odd field ever fails a watch or is dropped in
//! silence: a piece that is not understood is void, matches nothing and is named in [`Policy::refused`], the pieces
//! around it stand, and the policy still isolates (S127). Knows no pods and no kernel.

use ipnet::IpNet;
use proto::model::Protocol;
use proto::selector::Selector;
use std::fmt;
use std::sync::Arc;

/// A NetworkPolicy's name. Policies are local: the cluster is the enforcer's own (S98).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PolicyName {
    /// `metadata.namespace`.
    pub namespace: Arc<str>,
    /// `metadata.name`.
    pub name: Arc<str>,
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A NetworkPolicy, raw: metadata that matters and an unread `spec`.
#[derive(Clone, PartialEq, Debug)]
pub struct NetworkPolicy {
    /// Its name.
    pub name: PolicyName,
    /// `metadata.uid`.
    pub uid: Arc<str>,
    /// `metadata.generation`.
    pub generation: i64,
    /// `spec`, whatever it is; `null` if absent.
    pub spec: serde_json::Value,
}

/// A NetworkPolicy as it is enforced.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    /// Its name.
    pub name: PolicyName,
    /// The generation of the object that this was read from.
    pub generation: i64,
    /// `spec.podSelector`; `None`: void, the policy isolates its namespace and allows nothing (P1).
    pub subjects: Option<Selector>,
    /// Ingress rules; `None`: the policy does not isolate ingress.
    pub ingress: Option<Vec<PolicyRule>>,
    /// Egress rules; `None`: the policy does not isolate egress.
    pub egress: Option<Vec<PolicyRule>>,
    /// What was not understood.
    pub refused: Vec<Refused>,
}

/// A piece of a policy that is not in force.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Refused {
    /// Path of the field, for example `spec.ingress[0].from[1].ipBlock.cidr`.
    pub field: String,
    /// What is wrong with it and what follows, for people.
    pub reason: String,
}

/// An entry of `ingress` or `egress`: peers and ports must both match (S11).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PolicyRule {
    /// `from` or `to`.
    pub peers: Peers,
    /// `ports`.
    pub ports: Ports,
}

/// `from` or `to`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Peers {
    /// Absent or empty: anybody, outside addresses included (S10).
    Any,
    /// One of these; none, because all are void: nobody (S60).
    Of(Vec<PolicyPeer>),
}

/// An entry of `from` or `to`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PolicyPeer {
    /// Pods. At least one selector is present.
    Pods {
        /// `podSelector`.
        pods: Option<Selector>,
        /// `namespaceSelector`.
        namespaces: Option<Selector>,
    },
    /// `ipBlock`, host bits masked (S38).
    Block {
        /// `cidr`.
        net: IpNet,
        /// `except`: only blocks within `net`, in order, none inside another.
        except: Vec<IpNet>,
    },
}

/// `ports`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ports {
    /// Absent or empty: every port and protocol (S46).
    Any,
    /// One of these; none, because all are void: no port (S60).
    Of(Vec<PolicyPort>),
}

/// An entry of `ports`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PolicyPort {
    /// `protocol`, by default TCP (S47).
    pub protocol: Protocol,
    /// `port` and `endPort`.
    pub port: PortMatch,
}

/// `port` and `endPort`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PortMatch {
    /// Absent: every port of the protocol (S48).
    Any,
    /// An inclusive range (S50).
    Range(u16, u16),
    /// A container port's name, resolved on the destination pod (S53).
    Named(Arc<str>),
}

/// Reads a policy.
pub fn parse(_raw: &NetworkPolicy) -> Policy {
    todo!()
}
