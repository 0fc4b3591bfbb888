//! The verdicts that differ between two ClusterSets, each with what makes the difference.
//!
//! Pure. A verdict that opens or closes does so because of policies: those that isolate a pod which is free on the other
//! side, or those that admit on the other side what nobody admits here. Where none of them differs, the pods or namespaces
//! that they see do.

use crate::explain::evaluate::{Evaluator, Side, Stance, Subject};
use crate::offline::clusterset::ClusterSet;
use crate::offline::connection::Connection;
use crate::offline::ends::{End, PodName, Probe, Verdict};
use crate::offline::tables::tables;
use crate::policy::PolicyName;
use proto::model::{ClusterName, NamespaceName};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroUsize;

/// What differs between two ClusterSets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Changes {
    /// How many verdicts were compared.
    pub compared: usize,
    /// Those that differ, by what changes them.
    pub groups: BTreeMap<Causes, Vec<Change>>,
}

/// What changes a verdict; none: nothing that can be named.
pub type Causes = BTreeSet<Cause>;

/// Something that differs between two ClusterSets.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Cause {
    /// A policy is there on one side only, or says something else.
    Policy(ClusterName, PolicyName),
    /// A cluster is there on one side only.
    Cluster(ClusterName),
    /// Pods are there, or have an address of the family, on one side only.
    Pods,
    /// A namespace has other labels.
    Namespace(NamespaceName),
    /// A pod has other labels, ports, addresses, or another node.
    Pod(PodName),
    /// An address is somebody else's.
    Address(IpAddr),
}

/// A verdict that differs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Change {
    /// What is sent.
    pub probe: Probe,
    /// By whom.
    pub from: End,
    /// To whom.
    pub to: End,
    /// The verdict before.
    pub before: Verdict,
    /// The verdict after.
    pub after: Verdict,
}

/// What becomes of a verdict.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Turn {
    /// Refused, then allowed.
    Opens,
    /// Allowed, then refused.
    Closes,
    /// There was no such traffic before.
    Appears,
    /// There is no such traffic after.
    Goes,
}

impl Turn {
    /// All.
    pub const ALL: [Self; 4] = [Self::Opens, Self::Closes, Self::Appears, Self::Goes];
}

impl Change {
    /// What becomes of it.
    pub const fn turn(&self) -> Turn {
        match (self.before, self.after) {
            (Verdict::Absent, _) => Turn::Appears,
            (_, Verdict::Absent) => Turn::Goes,
            (Verdict::Refused, _) => Turn::Opens,
            (Verdict::Allowed, _) => Turn::Closes,
        }
    }
}

/// Compares every probe from every end to every end.
pub fn between(
    before: &ClusterSet,
    after: &ClusterSet,
    ends: &[End],
    probes: &[Probe],
    workers: NonZeroUsize,
) -> Changes {
    let [was, is] = [before, after].map(|set| tables(set, ends, probes, workers));
    let mut attribution = Attribution::new(before, after);
    let mut groups: BTreeMap<Causes, Vec<Change>> = BTreeMap::new();
    for (was, is) in was.iter().zip(&is) {
        for (from, (was_row, is_row)) in ends.iter().zip(was.rows.iter().zip(&is.rows)) {
            for (to, (&before, &after)) in ends.iter().zip(was_row.iter().zip(is_row)) {
                if before != after {
                    let change = Change {
                        probe: was.probe,
                        from: from.clone(),
                        to: to.clone(),
                        before,
                        after,
                    };
                    groups.entry(attribution.causes(&change)).or_default().push(change);
                }
            }
        }
    }
    Changes {
        compared: ends.len() * ends.len() * probes.len(),
        groups,
    }
}

/// Finds out what changes verdicts.
struct Attribution<'a> {
    before: &'a ClusterSet,
    after: &'a ClusterSet,
    was: Evaluator<'a>,
    is: Evaluator<'a>,
    /// The policies that differ.
    policies: BTreeSet<Cause>,
}

impl<'a> Attribution<'a> {
    fn new(before: &'a ClusterSet, after: &'a ClusterSet) -> Self {
        let [was, is] = [before, after].map(policies);
        let names = was.keys().chain(is.keys());
        let differ = names.filter(|name| was.get(name) != is.get(name));
        let policies = differ.map(|(cluster, name)| Cause::Policy((*cluster).clone(), (*name).clone()));
        Self {
            before,
            after,
            was: Evaluator::new(before),
            is: Evaluator::new(after),
            policies: policies.collect(),
        }
    }

    fn causes(&mut self, change: &Change) -> Causes {
        let [was, is] = [(self.before, &mut self.was), (self.after, &mut self.is)].map(|(set, evaluator)| {
            Connection::new(set, &change.from, &change.to, change.probe).map(|connection| evaluator.sides(&connection))
        });
        let (Some(was), Some(is)) = (was, is) else {
            return self.appearances(change);
        };
        let blamed = match change.turn() {
            Turn::Opens => blamed(&was, &is),
            Turn::Closes => blamed(&is, &was),
            Turn::Appears | Turn::Goes => BTreeSet::new(),
        };
        let policies: Causes = blamed.intersection(&self.policies).cloned().collect();
        if policies.is_empty() {
            self.objects(change)
        } else {
            policies
        }
    }

    /// What is there on one side only.
    fn appearances(&self, change: &Change) -> Causes {
        let missing = |end: &End| match end {
            End::Address(_) => None,
            End::Pod(name) => {
                let of = |set: &ClusterSet| set.cluster(&name.cluster).is_some();
                let has = |set: &ClusterSet| set.addresses(name);
                if of(self.before) != of(self.after) {
                    Some(Cause::Cluster(name.cluster.clone()))
                } else {
                    (has(self.before) != has(self.after)).then_some(Cause::Pods)
                }
            }
        };
        let ends = [&change.from, &change.to];
        let causes: Causes = ends.into_iter().filter_map(missing).collect();
        if causes.is_empty() {
            // There is traffic from an address to itself only while it is a pod's or a node's.
            self.objects(change)
        } else {
            causes
        }
    }

    /// What policies see otherwise than before.
    fn objects(&self, change: &Change) -> Causes {
        let of = |end: &End| match end {
            End::Address(address) => self.address(*address),
            End::Pod(name) => {
                let own = self.pod(name);
                if !own.is_empty() {
                    return own;
                }
                // Another pod may share its address, and with it what policies say of it.
                let addresses = self.after.addresses(name).into_iter();
                addresses.flat_map(|address| self.address(address)).collect()
            }
        };
        [&change.from, &change.to].into_iter().flat_map(of).collect()
    }

    /// What of an address is not as before: whose it is, or else what is known of its owners.
    fn address(&self, address: IpAddr) -> Causes {
        let [was, is] = [self.before, self.after].map(|set| (set.owners(address), set.nodes_at(address)));
        if was != is {
            return Causes::from([Cause::Address(address)]);
        }
        is.0.iter().flat_map(|name| self.pod(name)).collect()
    }

    fn pod(&self, name: &PodName) -> Causes {
        let mut causes = Causes::new();
        let [was, is] = [self.before, self.after].map(|set| set.pod(name));
        if was.map(|pod| &**pod) != is.map(|pod| &**pod) {
            causes.insert(Cause::Pod(name.clone()));
        }
        let labels = |set: &'a ClusterSet| {
            Some(
                &set.cluster(&name.cluster)?
                    .namespaces()
                    .get(name.namespace.as_str())?
                    .labels,
            )
        };
        if labels(self.before) != labels(self.after) {
            causes.insert(Cause::Namespace(NamespaceName {
                cluster: name.cluster.clone(),
                name: name.namespace.as_str().into(),
            }));
        }
        causes
    }
}

/// All policies of a ClusterSet, less what changes no verdict.
fn policies(set: &ClusterSet) -> BTreeMap<(&ClusterName, &PolicyName), impl PartialEq> {
    let policies = set.clusters().flat_map(|cluster| {
        let policies = cluster.policies().iter();
        policies.map(|(name, policy)| {
            (
                (cluster.name(), name),
                (&policy.subjects, &policy.ingress, &policy.egress),
            )
        })
    });
    policies.collect()
}

/// The policies that may be why a connection is refused on one side and not on the other: those that isolate a refusing pod
/// that is free there, and those that admit there what none admits here.
fn blamed(refusing: &[Side], other: &[Side]) -> BTreeSet<Cause> {
    let mut blamed = BTreeSet::new();
    for side in refusing {
        for subject in side.subjects.iter().filter(|subject| !subject.admits()) {
            let there = other.iter().filter(|there| there.direction == side.direction);
            let there = there
                .flat_map(|there| &there.subjects)
                .find(|there| there.pod == subject.pod);
            let policy = |name: &PolicyName| Cause::Policy(subject.pod.cluster.clone(), name.clone());
            match there.map(|there| &there.stance) {
                None | Some(Stance::Free | Stance::Itself) => blamed.extend(names(subject).map(policy)),
                Some(Stance::Isolated(policies)) => {
                    let admitting = policies.iter().filter(|policy| policy.admits());
                    blamed.extend(admitting.map(|admitting| policy(&admitting.name)));
                }
            }
        }
    }
    blamed
}

fn names(subject: &Subject) -> impl Iterator<Item = &PolicyName> {
    subject.isolating().iter().map(|policy| &policy.name)
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy(cluster, name) => write!(f, "policy {cluster}/{name}"),
            Self::Cluster(name) => write!(f, "cluster {name}"),
            Self::Pods => f.write_str("pods that come and go"),
            Self::Namespace(name) => write!(f, "labels of namespace {}/{}", name.cluster, name.name),
            Self::Pod(name) => write!(f, "pod {name}"),
            Self::Address(address) => write!(f, "owner of {address}"),
        }
    }
}
