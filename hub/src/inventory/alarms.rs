//! Addresses about which clusters say what cannot be, counted as it changes.
//!
//! Pure. A function of the present claims on an address, kept for the few addresses that have something to say: a hub of
//! hundreds of thousands of addresses is asked for these numbers often.

use crate::inventory::Member;
use proto::model::ClusterName;
use proto::pods::Lost;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What is wrong with an address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Alarm {
    /// Several live pods of the cluster claim it (I5).
    Shared,
    /// Live pods of another cluster claim it as well (I6, S113).
    Contested,
    /// A pod claims it, and it is a node's (I7).
    NodeAddress,
}

impl Alarm {
    /// All, in order.
    pub const ALL: [Self; 3] = [Self::Shared, Self::Contested, Self::NodeAddress];

    /// Its word in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Shared => "shared_address",
            Self::Contested => "contested_address",
            Self::NodeAddress => "node_address",
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
            Self::NodeAddress => "a pod claims an address of a node: the pod has no identity by it",
        }
    }
}

/// Who is concerned by what.
type Concern = (ClusterName, Alarm);

/// All alarms there are.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Alarms {
    by_address: BTreeMap<IpAddr, BTreeSet<Concern>>,
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
            if let Some(count) = self.counts.get_mut(concern) {
                *count -= 1;
            }
        }
        for concern in now.difference(&before) {
            *self.counts.entry(concern.clone()).or_default() += 1;
        }
        self.counts.retain(|_, count| *count > 0);
    }

    /// How many addresses of each cluster each alarm is about; no zeros.
    pub const fn counts(&self) -> &BTreeMap<Concern, usize> {
        &self.counts
    }

    /// One of the addresses that a cluster's alarm is about.
    pub fn example(&self, concern: &Concern) -> Option<IpAddr> {
        let mut concerned = self
            .by_address
            .iter()
            .filter(|(_, concerns)| concerns.contains(concern));
        concerned.next().map(|(address, _)| *address)
    }
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
        if claims.iter().any(|(_, lost)| *lost == Some(Lost::NodeAddress)) {
            concerns.insert((cluster.clone(), Alarm::NodeAddress));
        }
    }
    if owning.len() > 1 {
        concerns.extend(owning.into_iter().map(|cluster| (cluster.clone(), Alarm::Contested)));
    }
    concerns
}
