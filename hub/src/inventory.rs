//! Everything the hub knows of every cluster, and what a change of it means for subscribers.
//!
//! Pure. A cluster is SYNCING and shows nothing of itself until the lists of both its kinds are complete; then all of it
//! is published at once, and it turns LIVE. A lost contact makes it STALE and keeps its content. New credentials begin
//! a new [`Connection`]: what it says is collected beside the published content and replaces it, by difference, when it
//! is complete, so that half a list is never taken for a small world.
//!
//! Two ids with one cluster behind them, told by the UID of `kube-system`, would give each pod two identities: the one
//! that was known first is a member, and the other refused for as long as it is (S115). Which list comes first decides
//! nothing: after a restart all of a folder is known in the order of ids. Who is refused has LEFT to subscribers.
//!
//! What is published is a function of the current objects and connections, never of the order of events (S120). How it
//! is numbered, framed and sent is [`crate::log`]'s business.

use proto::model::{ClusterName, ClusterState, Identity, Labels, NamespaceName};
use proto::observe::{Namespace, Pod};
use proto::pods::identity;
use proto::watch::Event;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

mod alarms;
mod member;

pub use alarms::{Alarm, Alarms, Concern, News};
pub(crate) use alarms::{Claim, claim};
pub use member::{Member, Namespaces};

/// What one connection to a cluster is told by: events of an earlier connection that are still under way count no more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Connection(pub u64);

/// What the feeds of one cluster say.
#[derive(Debug)]
pub enum Observed {
    /// About its pods.
    Pods(Event<Pod>),
    /// About its namespaces.
    Namespaces(Event<Namespace>),
}

/// A difference of the published inventory, with the whole new value of what changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// The identities that own an address now: sorted, each once; none: it is nobody's.
    Owners(IpAddr, Vec<Identity>),
    /// Whether an address is one of a cluster's nodes' (I7).
    NodeAddress(ClusterName, IpAddr, bool),
    /// The labels of a namespace; `None`: its object is gone.
    Namespace(NamespaceName, Option<Arc<Labels>>),
    /// The state of a cluster.
    Cluster(ClusterName, ClusterState),
}

/// All clusters.
#[derive(Debug, Default)]
pub struct Inventory {
    members: BTreeMap<ClusterName, Member>,
    /// How many members there have ever been.
    joined: u64,
    alarms: Alarms,
}

impl Inventory {
    /// Every known cluster, sorted by id, those included that could never be read.
    pub fn clusters(&self) -> impl Iterator<Item = (&ClusterName, &Member)> {
        self.members.iter()
    }

    /// The cluster of this id.
    pub fn cluster(&self, cluster: &ClusterName) -> Option<&Member> {
        self.members.get(cluster)
    }

    /// The identities that own an address, over all clusters (S113), sorted, each once.
    pub fn owners(&self, address: IpAddr) -> Vec<Identity> {
        let owners: BTreeSet<Identity> = self
            .members
            .iter()
            .flat_map(|(cluster, member)| {
                let owners = member.pods().owners(address);
                owners.into_iter().map(|pod| identity(cluster, pod))
            })
            .collect();
        owners.into_iter().collect()
    }

    /// What is wrong with addresses and namespaces.
    pub const fn alarms(&self) -> &Alarms {
        &self.alarms
    }

    /// When each cluster was last heard; one that never was, since it is known.
    pub fn last_heard(&self) -> BTreeMap<ClusterName, Instant> {
        let heard = |member: &Member| member.last_heard().unwrap_or(member.known_since());
        self.members
            .iter()
            .map(|(cluster, member)| (cluster.clone(), heard(member)))
            .collect()
    }

    /// A kubeconfig for this cluster has come, or has changed: `connection` will say what is behind it. What was
    /// published of the cluster stays until then.
    pub fn connect(
        &mut self,
        cluster: &ClusterName,
        connection: Connection,
        server: String,
        now: Instant,
    ) -> Vec<Change> {
        self.update(cluster, now, |member| member.connect(connection, server))
    }

    /// The cluster's kubeconfig cannot be used. A connection made with what it held before goes on.
    pub fn refuse(&mut self, cluster: &ClusterName, reason: String, now: Instant) -> Vec<Change> {
        self.update(cluster, now, |member| member.refuse(reason))
    }

    /// The cluster's kubeconfig is what the current connection was made with again.
    pub fn accept(&mut self, cluster: &ClusterName, now: Instant) -> Vec<Change> {
        self.update(cluster, now, Member::accept)
    }

    /// Takes in what a feed said. An event of a connection that is not the cluster's current one is ignored.
    pub fn apply(
        &mut self,
        cluster: &ClusterName,
        connection: Connection,
        observed: Observed,
        now: Instant,
    ) -> Vec<Change> {
        let Some(member) = self.members.get_mut(cluster) else {
            return Vec::new();
        };
        if member.connection() != Some(connection) {
            return Vec::new();
        }
        let before = member.state();
        let touched = member.apply(observed, now);
        let mut changes = self.changes(cluster, touched);
        changes.extend(self.publish_if_complete(cluster, now));
        changes.extend(self.state_change(cluster, before, now));
        changes.extend(self.admit_refused_for(cluster, now));
        changes
    }

    /// The cluster is no member any more.
    pub fn leave(&mut self, cluster: &ClusterName, now: Instant) -> Vec<Change> {
        let Some(member) = self.members.remove(cluster) else {
            return Vec::new();
        };
        let mut changes = self.changes(cluster, member.everything());
        changes.push(Change::Cluster(cluster.clone(), ClusterState::Left));
        changes.extend(self.admit_refused_for(cluster, now));
        changes
    }

    /// Changes a member that is created where it is not known yet, and says what became of its state.
    fn update(&mut self, cluster: &ClusterName, now: Instant, change: impl FnOnce(&mut Member)) -> Vec<Change> {
        let known = self.members.contains_key(cluster);
        let member = self.members.entry(cluster.clone()).or_insert_with(|| {
            self.joined += 1;
            Member::new(Seniority(self.joined), now)
        });
        let before = member.state();
        change(member);
        if known {
            self.state_change(cluster, before, now).into_iter().collect()
        } else {
            vec![Change::Cluster(cluster.clone(), member.state())]
        }
    }

    /// Publishes what a new connection has collected, once it is complete and nobody else's.
    fn publish_if_complete(&mut self, cluster: &ClusterName, now: Instant) -> Vec<Change> {
        let Some(member) = self.members.get(cluster).filter(|member| member.is_complete()) else {
            return Vec::new();
        };
        let holder = member.next_uid().and_then(|uid| self.holder_of(uid, cluster));
        let mut displaced = None;
        if let Some(holder) = holder {
            // Whoever is a member already and is led to another one by new credentials must not take its place.
            let is_first = !member.is_published() && member.seniority() < self.members[&holder].seniority();
            if !is_first {
                return self.refuse_for(cluster, holder);
            }
            let member = self.members.get_mut(&holder).expect("it holds the cluster");
            displaced = Some((holder, member.withdraw(cluster.clone(), now)));
        }
        let member = self.members.get_mut(cluster).expect("it was there a moment ago");
        let replaced = member.is_replaced();
        let mut changes = Vec::new();
        if replaced {
            // Another cluster is behind this id now: the old one leaves before the new one is shown (S119).
            let gone = member.clear();
            changes.extend(self.changes(cluster, gone));
            changes.push(Change::Cluster(cluster.clone(), ClusterState::Left));
            changes.push(Change::Cluster(cluster.clone(), ClusterState::Syncing));
        }
        let member = self.members.get_mut(cluster).expect("it was there a moment ago");
        let touched = member.publish();
        changes.extend(self.changes(cluster, touched));
        if replaced {
            changes.push(Change::Cluster(cluster.clone(), ClusterState::Live));
        }
        if let Some((holder, touched)) = displaced {
            // Only now: an address goes from one owner to the other without having had none.
            changes.extend(self.changes(&holder, touched));
            changes.push(Change::Cluster(holder, ClusterState::Left));
        }
        changes
    }

    /// The cluster behind this id is another member's. If nothing of it is published it is no member to subscribers, or
    /// they would keep for it what an earlier hub said, for ever.
    fn refuse_for(&mut self, cluster: &ClusterName, first: ClusterName) -> Vec<Change> {
        let member = self
            .members
            .get_mut(cluster)
            .expect("it is refused because it is there");
        let is_new = member.duplicates() != Some(&first);
        member.set_duplicates(first);
        if is_new && !member.is_published() {
            vec![Change::Cluster(cluster.clone(), ClusterState::Left)]
        } else {
            Vec::new()
        }
    }

    /// Publishes whoever was refused for having the cluster behind it that `first` had, if that is true no more.
    fn admit_refused_for(&mut self, first: &ClusterName, now: Instant) -> Vec<Change> {
        let waiting: Vec<ClusterName> = self
            .members
            .iter()
            .filter(|(_, member)| member.duplicates() == Some(first))
            .map(|(id, _)| id.clone())
            .collect();
        let mut changes = Vec::new();
        for cluster in waiting {
            let before = self.members[&cluster].state();
            changes.extend(self.publish_if_complete(&cluster, now));
            changes.extend(self.state_change(&cluster, before, now));
        }
        changes
    }

    /// The other cluster whose published content came from the API server with this `kube-system`.
    fn holder_of(&self, uid: &str, cluster: &ClusterName) -> Option<ClusterName> {
        self.members
            .iter()
            .find(|(id, member)| *id != cluster && member.uid().is_some_and(|other| **other == *uid))
            .map(|(id, _)| id.clone())
    }

    fn state_change(&mut self, cluster: &ClusterName, before: ClusterState, now: Instant) -> Option<Change> {
        let member = self.members.get_mut(cluster)?;
        let state = member.state();
        (state != before).then(|| {
            member.state_changed(now);
            Change::Cluster(cluster.clone(), state)
        })
    }

    /// The current published values of what was touched in a cluster.
    fn changes(&mut self, cluster: &ClusterName, touched: Touched) -> Vec<Change> {
        for address in touched.addresses.union(&touched.nodes) {
            self.alarms.look(*address, &self.members);
        }
        let labels = |name: &Arc<str>| {
            let namespace = self.members.get(cluster)?.namespaces().get(name)?;
            Some(Arc::clone(&namespace.labels))
        };
        for name in &touched.namespaces {
            self.alarms.look_at_namespace(cluster, name, labels(name).as_deref());
        }
        let is_nodes = |address| {
            let member = self.members.get(cluster);
            member.is_some_and(|member| member.pods().is_nodes(address))
        };
        let nodes = touched.nodes.into_iter();
        let nodes = nodes.map(|address| Change::NodeAddress(cluster.clone(), address, is_nodes(address)));
        let namespaces = touched.namespaces.into_iter().map(|name| {
            let labels = labels(&name);
            let cluster = cluster.clone();
            Change::Namespace(NamespaceName { cluster, name }, labels)
        });
        let owners = touched
            .addresses
            .into_iter()
            .map(|address| Change::Owners(address, self.owners(address)));
        namespaces.chain(nodes).chain(owners).collect()
    }
}

/// Since when a cluster is known, compared with others: the lower, the longer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Seniority(u64);

/// Names of things whose published value may have changed.
#[derive(Debug, Default)]
struct Touched {
    namespaces: BTreeSet<Arc<str>>,
    addresses: BTreeSet<IpAddr>,
    /// Addresses that are or were a node's.
    nodes: BTreeSet<IpAddr>,
}

#[cfg(test)]
mod tests;
