//! Addresses and namespaces of which clusters say what cannot be, counted as it changes.
//!
//! Pure. A function of the present claims on an address and labels of a namespace, kept for the few that have something to
//! say: a hub of hundreds of thousands of addresses is asked for these numbers often.

use crate::inventory::Member;
use proto::model::{CLUSTER_LABEL, ClusterName, Labels};
use proto::pods::Lost;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// How many of the addresses or namespaces that an alarm is about are named.
const EXAMPLES: usize = 3;

/// What is wrong with an address or a namespace.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Alarm {
    /// Several live pods of the cluster claim it (I5).
    Shared,
    /// Live pods of another cluster claim it as well (I6, S113).
    Contested,
    /// A pod claims it, and it is a node's of its own cluster (I7) or of another (S44, S113).
    NodeAddress,
    /// A namespace has no cluster label (N4, S105).
    Unlabelled,
    /// A namespace's cluster label names another cluster (N5, S106).
    Mislabelled,
}

impl Alarm {
    /// All, in order.
    pub const ALL: [Self; 5] = [
        Self::Shared,
        Self::Contested,
        Self::NodeAddress,
        Self::Unlabelled,
        Self::Mislabelled,
    ];

    /// Its word in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Shared => "shared_address",
            Self::Contested => "contested_address",
            Self::NodeAddress => "node_address",
            Self::Unlabelled => "unlabelled_namespace",
            Self::Mislabelled => "mislabelled_namespace",
        }
    }

    /// What follows, for people.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Shared => {
                "several live pods of the cluster claim an address: a peer matches it only if it matches all of them"
            }
            Self::Contested => {
                "live pods of several clusters claim an address: outside the clusters that claim it a peer matches it only \
                 if it matches all of them"
            }
            Self::NodeAddress => {
                "a pod claims an address of a node: the pod has no identity by it, or, if it is a node of another cluster, \
                 none outside of its own"
            }
            Self::Unlabelled => {
                "namespaces have no cluster label: policies that name their cluster do not match their pods, unless \
                 enforcers run with --cluster-label-mode assert"
            }
            Self::Mislabelled => {
                "the cluster label of namespaces names another cluster: enforcers go by the cluster that holds them, \
                 unless they run with --cluster-label-mode literal"
            }
        }
    }
}

/// What a namespace's cluster label says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Claim {
    /// The cluster that holds it.
    Own,
    /// Nothing (S105).
    Missing,
    /// Another cluster (S106).
    Foreign,
}

pub(crate) fn claim(cluster: &ClusterName, labels: &Labels) -> Claim {
    match labels.get(CLUSTER_LABEL) {
        None => Claim::Missing,
        Some(value) if **value == *cluster.as_str() => Claim::Own,
        Some(_) => Claim::Foreign,
    }
}

/// Who is concerned by what.
pub type Concern = (ClusterName, Alarm);

/// All alarms there are.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Alarms {
    by_address: BTreeMap<IpAddr, BTreeSet<Concern>>,
    /// None is empty.
    namespaces: BTreeMap<Concern, BTreeSet<Arc<str>>>,
    counts: BTreeMap<Concern, usize>,
}

impl Alarms {
    /// Looks at an address anew.
    pub(super) fn look(&mut self, address: IpAddr, members: &BTreeMap<ClusterName, Member>) {
        let now = concerns(address, members);
        let before = if now.is_empty() {
            self.by_address.remove(&address)
        } else {
            self.by_address.insert(address, now.clone())
        };
        let before = before.unwrap_or_default();
        for concern in before.difference(&now) {
            self.lower(concern);
        }
        for concern in now.difference(&before) {
            *self.counts.entry(concern.clone()).or_default() += 1;
        }
    }

    /// Looks at a namespace anew; without labels: it is not there.
    pub(super) fn look_at_namespace(&mut self, cluster: &ClusterName, name: &Arc<str>, labels: Option<&Labels>) {
        let now = labels.and_then(|labels| match claim(cluster, labels) {
            Claim::Own => None,
            Claim::Missing => Some(Alarm::Unlabelled),
            Claim::Foreign => Some(Alarm::Mislabelled),
        });
        for alarm in [Alarm::Unlabelled, Alarm::Mislabelled] {
            let concern = (cluster.clone(), alarm);
            if now == Some(alarm) {
                if self
                    .namespaces
                    .entry(concern.clone())
                    .or_default()
                    .insert(Arc::clone(name))
                {
                    *self.counts.entry(concern).or_default() += 1;
                }
            } else if let Some(names) = self.namespaces.get_mut(&concern)
                && names.remove(name)
            {
                if names.is_empty() {
                    self.namespaces.remove(&concern);
                }
                self.lower(&concern);
            }
        }
    }

    fn lower(&mut self, concern: &Concern) {
        if let Some(count) = self.counts.get_mut(concern) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(concern);
            }
        }
    }

    /// How many addresses or namespaces of each cluster each alarm is about; no zeros.
    pub const fn counts(&self) -> &BTreeMap<Concern, usize> {
        &self.counts
    }

    /// How many addresses or namespaces of a cluster an alarm is about.
    pub fn count(&self, cluster: &ClusterName, alarm: Alarm) -> usize {
        self.counts.get(&(cluster.clone(), alarm)).copied().unwrap_or(0)
    }

    /// What is to be said to whoever was last told when the counts were these: once each that an alarm is raised and that
    /// it is over, whatever the number of addresses or namespaces. That one more namespace poses as another cluster's is
    /// said each time (N5): somebody has just labelled it so.
    pub fn news(&self, told: &BTreeMap<Concern, usize>) -> Vec<News> {
        let is_new = |&(concern, count): &(&Concern, &usize)| match (told.get(concern), concern.1) {
            (None, _) => true,
            (Some(before), Alarm::Mislabelled) => count > before,
            (Some(_), Alarm::Shared | Alarm::Contested | Alarm::NodeAddress | Alarm::Unlabelled) => false,
        };
        let raised = self.counts.iter().filter(is_new).map(|(concern, &count)| News::Raised {
            concern: concern.clone(),
            count,
            examples: self.examples(concern),
        });
        let over = told.keys().filter(|concern| !self.counts.contains_key(concern));
        raised.chain(over.cloned().map(News::Over)).collect()
    }

    /// The first few of what a cluster's alarm is about.
    fn examples(&self, concern: &Concern) -> Vec<String> {
        let addresses = self.by_address.iter();
        let addresses = addresses.filter(|(_, concerns)| concerns.contains(concern));
        let addresses = addresses.map(|(address, _)| address.to_string());
        let namespaces = self.namespaces.get(concern).into_iter().flatten();
        let all = addresses.chain(namespaces.map(ToString::to_string));
        all.take(EXAMPLES).collect()
    }
}

/// What people are told about an alarm.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum News {
    /// There is something to look at.
    Raised {
        /// Whose, and what.
        concern: Concern,
        /// How many addresses or namespaces it is about.
        count: usize,
        /// The first few of them.
        examples: Vec<String>,
    },
    /// It is over.
    Over(Concern),
}

fn concerns(address: IpAddr, members: &BTreeMap<ClusterName, Member>) -> BTreeSet<Concern> {
    let mut concerns = BTreeSet::new();
    let mut owning = Vec::new();
    for (cluster, member) in members {
        let claims = member.pods().claims(address);
        let owners = claims.iter().filter(|(_, lost)| lost.is_none()).count();
        if owners > 0 {
            owning.push(cluster);
        }
        if owners > 1 {
            concerns.insert((cluster.clone(), Alarm::Shared));
        }
        let of_own_node = claims.iter().any(|(_, lost)| *lost == Some(Lost::NodeAddress));
        let mut others = members.iter().filter(|(other, _)| *other != cluster);
        if of_own_node || owners > 0 && others.any(|(_, other)| other.pods().is_nodes(address)) {
            concerns.insert((cluster.clone(), Alarm::NodeAddress));
        }
    }
    if owning.len() > 1 {
        concerns.extend(owning.into_iter().map(|cluster| (cluster.clone(), Alarm::Contested)));
    }
    concerns
}
