//! Pieces of policies, and why they do not match, in words.
//!
//! Pure. Why a piece is void is said by [`crate::policy`] itself, in the words that a running enforcer uses.

use super::evaluate::Side;
use super::peers::PeerMiss;
use super::ports::PortMiss;
use crate::interpret::Payload;
use crate::listing::first_of;
use crate::offline::ends::PodName;
use crate::policy::written::Peer;
use crate::policy::{PolicyPort, PortMatch, Refused};
use crate::ruleset::{Direction, Family};
use ipnet::IpNet;
use proto::model::{CLUSTER_LABEL, NAME_LABEL};
use proto::selector::{BarePodSelector, Mismatch, Requirement, Selector};
use serde::{Serialize, Serializer};
use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::net::IpAddr;
use std::sync::Arc;

/// The most things that are named in one list; one more says how many there are beyond.
const LISTED: usize = 4;

/// What the words are about.
pub(super) struct About<'a> {
    /// The side that is told.
    pub side: &'a Side,
    /// The namespace of the policy.
    pub namespace: &'a str,
    /// Reach of a bare `podSelector`.
    pub reach: BarePodSelector,
    /// What is sent.
    pub payload: Payload,
    /// Whose the other end's address is, if it is no live pod's: a node's name, or nobody's.
    pub node: Option<String>,
}

/// The first few of some things, with commas.
pub(super) fn list<T: Display>(things: impl IntoIterator<Item = T>) -> String {
    first_of(things, LISTED)
}

/// A condition, in a sentence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sentence {
    /// Who or what it is about.
    subject: String,
    /// The rest.
    predicate: String,
}

impl Sentence {
    fn new(subject: impl Into<String>, predicate: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            predicate: predicate.into(),
        }
    }

    /// Its parts.
    pub(super) fn texts(&mut self) -> [&mut String; 2] {
        [&mut self.subject, &mut self.predicate]
    }
}

impl Display for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.subject, self.predicate)
    }
}

impl Serialize for Sentence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Sentences as one: each once, and of those in a row about the same only the first says what it is about.
pub(super) fn together(sentences: &[Sentence]) -> String {
    let mut text = String::new();
    let mut before: Option<&Sentence> = None;
    for (place, sentence) in sentences.iter().enumerate() {
        if sentences[..place].contains(sentence) {
            continue;
        }
        match before {
            None => text += &sentence.to_string(),
            Some(before) if before.subject == sentence.subject => text += &format!(" and {}", sentence.predicate),
            Some(_) => text += &format!(", and {sentence}"),
        }
        before = Some(sentence);
    }
    text
}

/// A direction's name for the other end.
pub(super) const fn peer_noun(direction: Direction) -> &'static str {
    match direction {
        Direction::Egress => "the destination",
        Direction::Ingress => "the source",
    }
}

pub(super) const fn family(family: Family) -> &'static str {
    match family {
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    }
}

fn value(value: &str) -> &str {
    if value.is_empty() { "\"\"" } else { value }
}

fn values(values: &BTreeSet<Arc<str>>) -> String {
    list(values.iter().map(|text| value(text)))
}

fn requirement(requirement: &Requirement) -> String {
    let key = requirement.key();
    match requirement {
        Requirement::In(_, wanted) if wanted.len() == 1 => format!("{key}={}", values(wanted)),
        Requirement::In(_, wanted) => format!("{key} in ({})", values(wanted)),
        Requirement::NotIn(_, unwanted) => format!("{key} not in ({})", values(unwanted)),
        Requirement::Exists(_) => format!("label {key}"),
        Requirement::DoesNotExist(_) => format!("no label {key}"),
    }
}

fn selector(selector: &Selector) -> String {
    let all: Vec<String> = selector.requirements().map(requirement).collect();
    match all.len().checked_sub(LISTED) {
        None | Some(0) => all.join(" and "),
        Some(more) => format!("{} and {more} more conditions", all[..LISTED].join(", ")),
    }
}

fn label(key: &str, counts: Option<&Arc<str>>) -> String {
    match counts {
        Some(text) => format!("{key}={}", value(text)),
        None => format!("no label {key}"),
    }
}

/// An entry of `ports`.
pub(super) fn port(port: &PolicyPort) -> String {
    let protocol = port.protocol;
    match &port.port {
        PortMatch::Any => format!("every {protocol} port"),
        PortMatch::Range(first, last) if first == last => format!("{protocol}/{first}"),
        PortMatch::Range(first, last) => format!("{protocol}/{first}-{last}"),
        PortMatch::Named(name) => format!("{protocol}/{name}"),
    }
}

fn block(net: IpNet, except: &[IpNet]) -> String {
    match except {
        [] => format!("addresses in {net}"),
        except => format!("addresses in {net} except {}", list(except)),
    }
}

impl About<'_> {
    fn cluster(&self) -> String {
        self.side.crossing.node.cluster.to_string()
    }

    /// An entry of `from` or `to`.
    pub(super) fn peer(&self, peer: &Peer) -> String {
        let (pods, namespaces) = match peer {
            Peer::Block { net, except } => return block(*net, except),
            Peer::Pods { pods, namespaces } => (pods, namespaces),
        };
        let pods = match pods {
            Some(pods) if !pods.is_empty() => format!("pods with {}", selector(pods)),
            Some(_) | None => "every pod".to_owned(),
        };
        let namespaces = match (namespaces, self.reach) {
            (None, BarePodSelector::ClusterSet) => format!("in namespace {} of every cluster", self.namespace),
            (None, BarePodSelector::Local) => format!("in namespace {} of {}", self.namespace, self.cluster()),
            (Some(namespaces), _) if namespaces.is_empty() => "in every namespace of every cluster".to_owned(),
            (Some(namespaces), _) => format!("in namespaces with {}", selector(namespaces)),
        };
        format!("{pods} {namespaces}")
    }

    /// Why a peer does not match, one condition each.
    pub(super) fn peer_miss(&self, miss: &PeerMiss) -> Vec<Sentence> {
        let address = self.side.peer.to_string();
        match miss {
            PeerMiss::Nobody => vec![self.nobody(address)],
            PeerMiss::Unselected(pods) => pods
                .iter()
                .flat_map(|pod| pod.mismatches.iter().map(|mismatch| self.mismatch(&pod.pod, mismatch)))
                .collect(),
            PeerMiss::OtherFamily => {
                let family = family(Family::of(self.side.peer));
                vec![Sentence::new(address, format!("is {family}"))]
            }
            PeerMiss::Outside => vec![Sentence::new(address, "is not in it")],
            PeerMiss::Except { index, net } => vec![Sentence::new(address, format!("is in except[{index}] {net}"))],
        }
    }

    fn nobody(&self, address: String) -> Sentence {
        Sentence::new(
            address,
            match &self.node {
                Some(node) => format!("is an address of node {node}, and selectors match pods only"),
                None => "is outside every cluster, and selectors match pods only".to_owned(),
            },
        )
    }

    /// The pod, as the other end; of several behind the address each by its name.
    fn pod(&self, pod: &PodName) -> String {
        match self.side.claimants.as_slice() {
            [_] => peer_noun(self.side.direction).to_owned(),
            _ => pod.to_string(),
        }
    }

    fn mismatch(&self, pod: &PodName, mismatch: &Mismatch) -> Sentence {
        let PodName { cluster, namespace, .. } = pod;
        let predicate = match mismatch {
            Mismatch::Namespace { .. } => format!("is in namespace {namespace}"),
            Mismatch::Cluster { .. } => {
                format!("is in cluster {cluster}, where --bare-pod-selector local does not reach")
            }
            Mismatch::UnknownNamespace => {
                format!("is in namespace {cluster}/{namespace}, which has no object, so that its labels are unknown")
            }
            Mismatch::NamespaceLabel {
                requirement,
                counts,
                written,
            } => namespace_label(pod, requirement, counts.as_ref(), written.as_ref()),
            Mismatch::PodLabel { requirement, counts } => format!("has {}", label(requirement.key(), counts.as_ref())),
        };
        Sentence::new(self.pod(pod), predicate)
    }

    /// Why a port does not match.
    pub(super) fn port_miss(&self, miss: &PortMiss) -> Sentence {
        match miss {
            PortMiss::Portless => Sentence::new("ICMP", "has no ports: only a rule without ports admits it"),
            PortMiss::Protocol | PortMiss::Number => Sentence::new("this", format!("is {}", self.sent())),
            PortMiss::Name { pod, numbers } if numbers.is_empty() => {
                Sentence::new(pod.to_string(), "has no port of that name and protocol")
            }
            PortMiss::Name { pod, numbers } => {
                let are = if numbers.len() == 1 { "is" } else { "are" };
                Sentence::new(format!("that of {pod}"), format!("{are} {}", list(numbers)))
            }
            PortMiss::Nameless => Sentence::new(
                self.side.peer.to_string(),
                "is no live pod's, whose ports could have names",
            ),
        }
    }

    fn sent(&self) -> String {
        match self.payload {
            Payload::Ports {
                protocol, destination, ..
            } => {
                let name = match protocol {
                    6 => "TCP",
                    17 => "UDP",
                    _ => "SCTP",
                };
                format!("{name}/{destination}")
            }
            Payload::Icmp(_) | Payload::Other(_) => "ICMP".to_owned(),
        }
    }

    /// What would have to be otherwise for a peer to match, one condition each.
    pub(super) fn peer_cure(&self, peer: &Peer, miss: &PeerMiss) -> Vec<Sentence> {
        let address = self.side.peer;
        let one = |subject: &str, predicate: String| vec![Sentence::new(subject, predicate)];
        match (miss, peer) {
            (PeerMiss::Nobody, _) => one("one of its peers", format!("were an ipBlock that holds {address}")),
            (PeerMiss::Unselected(pods), _) => pods
                .iter()
                .flat_map(|pod| pod.mismatches.iter().map(|mismatch| self.cure(&pod.pod, mismatch)))
                .collect(),
            (PeerMiss::OtherFamily, _) => one("one of its blocks", format!("held {address}")),
            (PeerMiss::Outside, Peer::Block { net, .. }) => one(&address.to_string(), format!("were in {net}")),
            (PeerMiss::Outside, Peer::Pods { .. }) => Vec::new(),
            (PeerMiss::Except { index, net }, _) => {
                one(&format!("except[{index}] {net}"), format!("did not hold {address}"))
            }
        }
    }

    fn cure(&self, pod: &PodName, mismatch: &Mismatch) -> Sentence {
        let who = self.pod(pod);
        let namespace = format!("namespace {}/{}", pod.cluster, pod.namespace);
        match mismatch {
            Mismatch::Namespace { wanted } => Sentence::new(who, format!("were in namespace {wanted}")),
            Mismatch::Cluster { wanted } => Sentence::new(who, format!("were in cluster {wanted}")),
            Mismatch::UnknownNamespace => Sentence::new(namespace, "had an object"),
            Mismatch::PodLabel { requirement, .. } => {
                Sentence::new(who, format!("had {}", self::requirement(requirement)))
            }
            Mismatch::NamespaceLabel {
                requirement, counts, ..
            } => match (requirement, requirement.key()) {
                (Requirement::In(_, wanted), CLUSTER_LABEL) if counts.is_some() => {
                    Sentence::new(who, format!("were in cluster {}", values(wanted)))
                }
                (Requirement::In(_, wanted), NAME_LABEL) => {
                    Sentence::new(who, format!("were in namespace {}", values(wanted)))
                }
                (requirement, _) => Sentence::new(namespace, format!("had {}", self::requirement(requirement))),
            },
        }
    }

    /// What would have to be otherwise for a port to match.
    pub(super) fn port_cure(&self, entry: &PolicyPort, miss: &PortMiss) -> Sentence {
        match miss {
            PortMiss::Portless => Sentence::new("it", "had no ports"),
            PortMiss::Protocol | PortMiss::Number => Sentence::new("this", format!("were {}", port(entry))),
            PortMiss::Name { pod, .. } => {
                let name = match &entry.port {
                    PortMatch::Named(name) => name.to_string(),
                    PortMatch::Any | PortMatch::Range(..) => port(entry),
                };
                Sentence::new(pod.to_string(), format!("called its port {} {name}", self.sent()))
            }
            PortMiss::Nameless => Sentence::new("it", format!("had {} by number", self.sent())),
        }
    }
}

/// That a piece would have to be understood.
pub(super) fn put_right(refused: &Refused) -> Sentence {
    Sentence::new(&*refused.field, "were put right")
}

/// In which namespace a pod is, as far as a requirement on namespaces asks.
fn namespace_label(
    pod: &PodName,
    requirement: &Requirement,
    counts: Option<&Arc<str>>,
    written: Option<&Arc<str>>,
) -> String {
    let PodName { cluster, namespace, .. } = pod;
    match (requirement.key(), counts) {
        (CLUSTER_LABEL, Some(counts)) => {
            let claim = written.filter(|written| *written != counts);
            let claim = claim.map(|claim| format!("; that its namespace is labelled {claim} does not count"));
            format!("is in cluster {counts}{}", claim.unwrap_or_default())
        }
        (CLUSTER_LABEL, None) => format!("is in namespace {cluster}/{namespace}, which has no cluster label"),
        (NAME_LABEL, _) => format!("is in namespace {namespace}"),
        (key, counts) => format!(
            "is in namespace {cluster}/{namespace}, which has {}",
            label(key, counts)
        ),
    }
}

/// Who has an address, for a peer that no live pod is behind.
pub(super) fn address_of(address: IpAddr, node: Option<&str>) -> String {
    node.map_or_else(
        || format!("{address} is outside every cluster"),
        |node| format!("{address} is an address of node {node}"),
    )
}
