//! A NetworkPolicy as its API server has it → a policy as it is enforced.
//!
//! Pure. Decoded by types of our own from the raw object, so that no odd field ever fails a watch or is dropped in
//! silence: a piece that is not understood is void, matches nothing and is named in [`Policy::refused`], the pieces
//! around it stand, and the policy still isolates (S127). Knows no pods and no kernel.
//!
//! There is one reading, [`written::read`], which keeps every piece where it stands; [`Policy`] is what that comes to.

mod blocks;
mod fields;
mod object;
mod peers;
mod ports;
mod selectors;
pub mod written;

use ipnet::IpNet;
use proto::model::Protocol;
use proto::selector::Selector;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use written::{List, Rule, Written};

/// The most kernel rules, for each family, that one policy is given, 65 536: its rules beyond that are void (P25). An
/// object of the API server's greatest size could ask for hundreds of millions, peers times ports.
pub const MAX_KERNEL_RULES: usize = 1 << 16;

/// The most pieces of one policy that [`Policy::refused`] names; one more entry says how many there are beyond.
pub const MAX_REFUSED: usize = 100;

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
    pub spec: Value,
}

/// A NetworkPolicy as it is enforced.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    /// Its name.
    pub name: PolicyName,
    /// The UID of the object that this was read from.
    pub uid: Arc<str>,
    /// Its generation then.
    pub generation: i64,
    /// `spec.podSelector`; `None`: void, the policy isolates its namespace and allows nothing (P1).
    pub subjects: Option<Selector>,
    /// Ingress rules, sorted, each with other ports; `None`: the policy does not isolate ingress.
    pub ingress: Option<Vec<PolicyRule>>,
    /// Egress rules, sorted, each with other ports; `None`: the policy does not isolate egress.
    pub egress: Option<Vec<PolicyRule>>,
    /// What was not understood, at most [`MAX_REFUSED`] and one entries.
    pub refused: Vec<Refused>,
}

/// A piece of a policy that is not in force.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Refused {
    /// Path of the field, for example `spec.ingress[0].from[1].ipBlock.cidr`.
    pub field: String,
    /// What kind of piece it is.
    pub kind: Kind,
    /// What is wrong with it and what follows, for people.
    pub reason: String,
}

/// What kind of piece is not in force: a word for metrics, reports and Events, few enough to count by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// A `podSelector` or `namespaceSelector` (P1-P5).
    Selector,
    /// An entry of `from` or `to` that names nobody, or too much (P16).
    Peer,
    /// An `ipBlock` (P8, P9, P13).
    IpBlock,
    /// An entry of `ports` (P17-P20).
    Port,
    /// An entry of `policyTypes` (P21).
    PolicyTypes,
    /// A field that this release does not know (P23).
    UnknownField,
    /// Something else than the object or list that should be there.
    Malformed,
    /// What is beyond a limit (P25).
    Limit,
}

impl Kind {
    /// All, in order.
    pub const ALL: [Self; 8] = [
        Self::Selector,
        Self::Peer,
        Self::IpBlock,
        Self::Port,
        Self::PolicyTypes,
        Self::UnknownField,
        Self::Malformed,
        Self::Limit,
    ];

    /// Its word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Selector => "selector",
            Self::Peer => "peer",
            Self::IpBlock => "ip_block",
            Self::Port => "port",
            Self::PolicyTypes => "policy_types",
            Self::UnknownField => "unknown_field",
            Self::Malformed => "malformed",
            Self::Limit => "limit",
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.reason)
    }
}

/// An entry of `ingress` or `egress`: peers and ports must both match (S11).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct PolicyRule {
    /// `from` or `to`.
    pub peers: Peers,
    /// `ports`.
    pub ports: Ports,
}

/// `from` or `to`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Peers {
    /// Absent or empty: anybody, outside addresses included (S10).
    Any,
    /// One of these, sorted, each once; none, because all are void or empty: nobody (S60).
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
        /// `except`: only blocks within `net`, sorted, none inside or next to another, together less than `net`.
        except: Vec<IpNet>,
    },
}

/// `ports`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Ports {
    /// Absent or empty: every port and protocol (S46).
    Any,
    /// One of these, sorted, none within another; none, because all are void: no port (S60).
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
pub fn parse(raw: &NetworkPolicy) -> Policy {
    let Written {
        subjects,
        ingress,
        egress,
        refused,
    } = written::read(raw);
    let admitting = |rules: Option<List<Rule>>| {
        rules.map(|rules| match &subjects {
            Ok(_) => canonical(&rules),
            Err(_) => Vec::new(),
        })
    };
    Policy {
        name: raw.name.clone(),
        uid: raw.uid.clone(),
        generation: raw.generation,
        ingress: admitting(ingress),
        egress: admitting(egress),
        subjects: subjects.ok(),
        refused,
    }
}

/// The rules that are in force, sorted. Those with the same ports are one, which admits whomever one of them would: people
/// write a list of addresses as a rule each, and a rule's blocks share a set.
fn canonical(rules: &List<Rule>) -> Vec<PolicyRule> {
    let mut by_ports: BTreeMap<Ports, Peers> = BTreeMap::new();
    for rule in rules.understood() {
        let PolicyRule { peers, ports } = PolicyRule::from(rule);
        let all = by_ports.entry(ports).or_insert_with(|| Peers::Of(Vec::new()));
        match (&mut *all, peers) {
            (Peers::Of(all), Peers::Of(peers)) => all.extend(peers),
            (all, Peers::Any) => *all = Peers::Any,
            (Peers::Any, Peers::Of(_)) => {}
        }
    }
    let rule = |(ports, mut peers)| {
        if let Peers::Of(peers) = &mut peers {
            peers.sort();
            peers.dedup();
        }
        PolicyRule { peers, ports }
    };
    let mut rules: Vec<PolicyRule> = by_ports.into_iter().map(rule).collect();
    rules.sort();
    rules
}

impl From<&Rule> for PolicyRule {
    fn from(rule: &Rule) -> Self {
        Self {
            peers: match &rule.peers {
                List::Absent => Peers::Any,
                List::Void(_) | List::Of(_) => Peers::Of(peers::merged(rule.peers.understood())),
            },
            ports: match &rule.ports {
                List::Absent => Ports::Any,
                List::Void(_) | List::Of(_) => Ports::Of(ports::merged(rule.ports.understood())),
            },
        }
    }
}

impl PolicyRule {
    /// How many kernel rules it becomes at most, in one family.
    fn kernel_rules(&self) -> usize {
        let peers = match &self.peers {
            Peers::Any => 1,
            Peers::Of(peers) => peers.len(),
        };
        let ports = match &self.ports {
            Ports::Any => 1,
            Ports::Of(ports) => ports.len(),
        };
        peers.saturating_mul(ports)
    }
}

#[cfg(test)]
#[expect(clippy::too_many_lines, reason = "tables of pieces are long")]
mod tests;
