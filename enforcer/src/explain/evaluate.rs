//! What the policies of each side make of a connection, rule by rule, with what fails.
//!
//! Pure. The meaning of policies told with reasons, beside the compiled ruleset that judges without any; whose verdict
//! counts is the ruleset's ([`crate::offline::judge`]). Whom a policy isolates is the compiler's word
//! ([`crate::compile::subjects`]); rules are read as they are written, so that each can be pointed at.

use super::peers::{self, PeerMiss};
use super::ports::{self, PortMiss};
use crate::compile::World;
use crate::compile::subjects::{Subject as Local, Subjects};
use crate::interpret::Packet;
use crate::offline::clusterset::ClusterSet;
use crate::offline::ends::{NodeName, PodName};
use crate::offline::judge::{Connection, Crossing, Hook};
use crate::offline::manifests::Kind;
use crate::policy::written::{self, Entry, List, Peer, PolicyType, Written};
use crate::policy::{NetworkPolicy, PolicyName, PolicyPort, Refused};
use crate::ruleset::Direction;
use proto::mirror::counting;
use proto::model::{ClusterName, Identity};
use proto::pods::identity;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Policies of one direction that a node holds against a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Side {
    /// Egress: the subjects are the source; ingress: the destination.
    pub direction: Direction,
    /// Where.
    pub crossing: Crossing,
    /// The subjects' address.
    pub local: IpAddr,
    /// The address of the other end.
    pub peer: IpAddr,
    /// The pods behind that address whose claims count here (S113); none: no selector matches it (S32).
    pub claimants: Vec<PodName>,
    /// The node's live pods that own the local address, at least one; all of them must admit.
    pub subjects: Vec<Subject>,
}

/// A pod that policies may select.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subject {
    /// Which.
    pub pod: PodName,
    /// How it stands to the connection.
    pub stance: Stance,
}

/// How a pod stands to a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Stance {
    /// No policy isolates it in this direction (S1).
    Free,
    /// Both addresses are its own (S69).
    Itself,
    /// These policies isolate it, at least one, by name.
    Isolated(Vec<Isolating>),
}

/// A policy that isolates a pod.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Isolating {
    /// Its name, in the cluster of the node.
    pub name: PolicyName,
    /// Why none of its rules is in force, if its `podSelector` or the list of rules cannot be read.
    pub void: Option<Refused>,
    /// Its rules for the direction, by index.
    pub rules: Vec<Entry<Rule>>,
}

/// A rule, held against a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// `from` or `to`.
    pub peers: Half<Peer, PeerMiss>,
    /// `ports`.
    pub ports: Half<PolicyPort, PortMiss>,
}

/// One of the two lists of a rule, held against a connection: one entry must match.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Half<P, M> {
    /// Absent: everything matches.
    Any,
    /// No list: nothing matches.
    Void(Refused),
    /// Its entries, by index.
    Of(Vec<Judged<P, M>>),
}

/// An entry of such a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Judged<P, M> {
    /// Not understood: it matches nothing.
    Void(Refused),
    /// It matches.
    Matches(P),
    /// It does not, for this reason.
    Misses(P, M),
}

/// Holds policies against connections. Remembers what it has read.
pub struct Evaluator<'a> {
    set: &'a ClusterSet,
    subjects: BTreeMap<NodeName, Option<(World<'a>, Subjects<'a>)>>,
    written: BTreeMap<(ClusterName, PolicyName), Arc<Written>>,
}

/// A connection where one direction of it is judged.
pub(super) struct Place<'a> {
    pub set: &'a ClusterSet,
    pub world: World<'a>,
    pub direction: Direction,
    pub packet: &'a Packet,
    pub peer: IpAddr,
    /// As in [`Side::claimants`], with what policies can see of them.
    pub claimants: &'a [(PodName, Identity)],
}

impl<P, M> Half<P, M> {
    /// Whether an entry matches.
    pub fn matches(&self) -> bool {
        match self {
            Self::Any => true,
            Self::Void(_) => false,
            Self::Of(entries) => entries.iter().any(|entry| matches!(entry, Judged::Matches(_))),
        }
    }

    fn of(list: &List<P>, judge: impl Fn(&P) -> Option<M>) -> Self
    where
        P: Clone,
    {
        match list {
            List::Absent => Self::Any,
            List::Void(refused) => Self::Void(refused.clone()),
            List::Of(entries) => Self::Of(
                entries
                    .iter()
                    .map(|entry| match entry {
                        Err(refused) => Judged::Void(refused.clone()),
                        Ok(piece) => match judge(piece) {
                            None => Judged::Matches(piece.clone()),
                            Some(miss) => Judged::Misses(piece.clone(), miss),
                        },
                    })
                    .collect(),
            ),
        }
    }
}

impl Rule {
    /// Whether it admits the connection: a peer and a port match (S11).
    pub fn admits(&self) -> bool {
        self.peers.matches() && self.ports.matches()
    }
}

impl Isolating {
    /// The indexes of its rules that admit the connection.
    pub fn admitting(&self) -> impl Iterator<Item = usize> {
        let rules = self.rules.iter().enumerate();
        rules
            .filter(|(_, rule)| rule.as_ref().is_ok_and(Rule::admits))
            .map(|(index, _)| index)
    }

    /// Whether one of its rules admits the connection.
    pub fn admits(&self) -> bool {
        self.admitting().next().is_some()
    }
}

impl Subject {
    /// Whether the connection is admitted: it is not isolated, or one of the policies admits it (S8).
    pub fn admits(&self) -> bool {
        match &self.stance {
            Stance::Free | Stance::Itself => true,
            Stance::Isolated(policies) => policies.iter().any(Isolating::admits),
        }
    }

    /// The policies that isolate it.
    pub fn isolating(&self) -> &[Isolating] {
        match &self.stance {
            Stance::Free | Stance::Itself => &[],
            Stance::Isolated(policies) => policies,
        }
    }
}

impl Side {
    /// Whether every subject admits the connection.
    pub fn admits(&self) -> bool {
        self.subjects.iter().all(Subject::admits)
    }

    /// The policies that isolate a subject, of the cluster of the node.
    pub fn isolating(&self) -> impl Iterator<Item = &Isolating> {
        self.subjects.iter().flat_map(Subject::isolating)
    }
}

/// The direction as policies call it.
pub const fn policy_type(direction: Direction) -> PolicyType {
    match direction {
        Direction::Egress => PolicyType::Egress,
        Direction::Ingress => PolicyType::Ingress,
    }
}

impl<'a> Evaluator<'a> {
    /// Of the policies of these clusters.
    pub const fn new(set: &'a ClusterSet) -> Self {
        Self {
            set,
            subjects: BTreeMap::new(),
            written: BTreeMap::new(),
        }
    }

    /// The sides on which some pod of a node that the connection crosses might refuse it; the connection passes if all
    /// of them admit it. What is never judged has no side.
    pub fn sides(&mut self, connection: &Connection) -> Vec<Side> {
        let mut sides = Vec::new();
        for crossing in &connection.crossed {
            let directions = match crossing.hook {
                Hook::Forward => &Direction::ALL[..],
                Hook::Input => &[Direction::Egress],
            };
            for &direction in directions {
                sides.extend(self.side(crossing, direction, &connection.packet));
            }
        }
        sides
    }

    fn side(&mut self, crossing: &Crossing, direction: Direction, packet: &Packet) -> Option<Side> {
        let set = self.set;
        let (world, subjects) = self
            .subjects
            .entry(crossing.node.clone())
            .or_insert_with(|| set.world(&crossing.node).map(|world| (world, Subjects::of(&world))))
            .as_ref()?;
        let (local, peer) = match direction {
            Direction::Egress => (packet.source, packet.destination),
            Direction::Ingress => (packet.destination, packet.source),
        };
        let claimants = claimants(set, world, peer);
        let place = Place {
            set,
            world: *world,
            direction,
            packet,
            peer,
            claimants: &claimants,
        };
        let is_itself = subjects.itself(local).contains(&peer);
        let written = &mut self.written;
        let subjects: Vec<Subject> = subjects
            .at(local)
            .map(|local| place.subject(local, is_itself, written))
            .collect();
        (!subjects.is_empty()).then(|| Side {
            direction,
            crossing: crossing.clone(),
            local,
            peer,
            claimants: claimants.into_iter().map(|(name, _)| name).collect(),
            subjects,
        })
    }
}

impl Place<'_> {
    fn subject(
        &self,
        local: &Local<'_>,
        is_itself: bool,
        written: &mut BTreeMap<(ClusterName, PolicyName), Arc<Written>>,
    ) -> Subject {
        let cluster = self.world.cluster;
        let pod = PodName {
            cluster: cluster.clone(),
            namespace: local.pod.namespace.to_string(),
            name: local.pod.name.to_string(),
        };
        let identity = identity(cluster, local.pod);
        let isolating: Vec<Isolating> = local
            .isolating(self.direction)
            .map(|(policy, _)| {
                let key = (cluster.clone(), policy.name.clone());
                let written = written.entry(key).or_insert_with(|| self.read(&policy.name));
                self.policy(&policy.name, written, (&pod, &identity))
            })
            .collect();
        let stance = match (isolating.is_empty(), is_itself) {
            (true, _) => Stance::Free,
            (false, true) => Stance::Itself,
            (false, false) => Stance::Isolated(isolating),
        };
        Subject { pod, stance }
    }

    fn read(&self, name: &PolicyName) -> Arc<Written> {
        let cluster = self.set.cluster(self.world.cluster);
        let object = cluster.and_then(|cluster| cluster.object(Kind::NetworkPolicy, &name.namespace, &name.name));
        let object = object.expect("a policy in force was read from an object");
        let raw = NetworkPolicy::deserialize(&object.raw).expect("and its object can be read again");
        Arc::new(written::read(&raw))
    }

    fn policy(&self, name: &PolicyName, written: &Written, subject: (&PodName, &Identity)) -> Isolating {
        let (void, rules) = match (&written.subjects, written.rules(policy_type(self.direction))) {
            (Err(refused), _) => (Some(refused.clone()), &[][..]),
            (Ok(_), Some(List::Void(refused))) => (Some(refused.clone()), &[][..]),
            (Ok(_), Some(rules @ (List::Absent | List::Of(_)))) => (None, rules.entries()),
            (Ok(_), None) => (None, &[][..]),
        };
        let rule = |rule: &Entry<written::Rule>| {
            rule.as_ref().map_err(Clone::clone).map(|rule| Rule {
                peers: Half::of(&rule.peers, |peer| peers::miss(self, &name.namespace, peer)),
                ports: Half::of(&rule.ports, |port| ports::miss(self, subject, port)),
            })
        };
        Isolating {
            name: name.clone(),
            void,
            rules: rules.iter().map(rule).collect(),
        }
    }
}

/// Who is behind an address, as far as it counts at a node (S113). An address of a node is nobody's where its claim counts
/// (I7).
fn claimants(set: &ClusterSet, world: &World<'_>, address: IpAddr) -> Vec<(PodName, Identity)> {
    if world.node_addresses.contains(&address) || world.mirror.claims(address).is_empty() {
        return Vec::new();
    }
    counting(world.cluster, set.owners(address), |name| &name.cluster)
        .filter_map(|name| Some((name.clone(), identity(&name.cluster, set.pod(name)?))))
        .collect()
}
