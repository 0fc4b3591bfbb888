//! Changes → sealed frames, numbered by [`Revision`], and snapshots for those who begin.
//!
//! Pure. Changes wait until they are sealed, the last one of each address, namespace and cluster winning, so that a
//! restart storm on one address is one entry. A frame is encoded once and its bytes go to every subscriber. The state of
//! clusters comes last in a seal: a cluster is LIVE only when all of it has been said.
//!
//! What is published is kept here in numbers, apart from the inventory, which may be ahead of it: a snapshot is a
//! state that the log has sealed.
//!
//! Before sequence or numbers could wrap, a new epoch begins, which is another history to every subscriber.

use crate::frame::Deltas;
use crate::inventory::Change;
use crate::numbers::Numbers;
use crate::ring::{Kind, Sealed};
use bytes::Bytes;
use proto::convert::{self, Claimants};
use proto::model::{ClusterName, ClusterState, Epoch, Identity, Labels, NamespaceName, Revision};
use proto::wire;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;
use wire::frame::Body;

/// The last sequence of an epoch. A seal that begins below it ends far from wrapping.
const LAST_SEQUENCE: u64 = u64::MAX / 2;

/// When each cluster's API server was last heard.
pub type LastHeard = BTreeMap<ClusterName, Instant>;

/// The inventory at one revision, as frames for a new subscriber.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// What a subscriber holds once all frames are applied.
    pub revision: Revision,
    /// The chunks, shared by all who begin at this revision.
    pub chunks: Arc<[Bytes]>,
    /// The end, whose cluster ages are of the moment it was asked for.
    pub end: Bytes,
}

/// The log of one hub.
#[derive(Debug)]
pub struct Log {
    revision: Revision,
    numbers: Numbers,
    published: Published,
    pending: Pending,
    /// Chunks of the newest revision, if somebody has asked for them.
    chunks: Option<Arc<[Bytes]>>,
}

/// What a subscriber that has applied every frame holds.
#[derive(Debug, Default)]
struct Published {
    owners: BTreeMap<IpAddr, Claimants>,
    nodes: BTreeSet<(ClusterName, IpAddr)>,
    namespaces: BTreeMap<NamespaceName, Arc<Labels>>,
    clusters: BTreeMap<ClusterName, ClusterState>,
}

/// What changed since the last seal.
#[derive(Debug, Default)]
struct Pending {
    owners: BTreeMap<IpAddr, Vec<Identity>>,
    nodes: BTreeMap<(ClusterName, IpAddr), bool>,
    namespaces: BTreeMap<NamespaceName, Option<Arc<Labels>>>,
    clusters: BTreeMap<ClusterName, ClusterState>,
    /// When the hub received the oldest of it; `None`: nothing is pending.
    since: Option<Instant>,
}

impl Log {
    /// The log of an empty inventory. The epoch is random: no other hub process has it.
    pub fn new(epoch: Epoch) -> Self {
        Self {
            revision: Revision { epoch, sequence: 0 },
            numbers: Numbers::default(),
            published: Published::default(),
            pending: Pending::default(),
            chunks: None,
        }
    }

    /// The newest sealed revision.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Since when something waits to be sealed; `None`: nothing does.
    pub fn pending_since(&self) -> Option<Instant> {
        self.pending.since
    }

    /// How many addresses have an owner.
    pub fn addresses(&self) -> usize {
        self.published.owners.len()
    }

    /// Whether what waits must be sealed before this change, so that the two are not mixed: a cluster that joins anew has
    /// left first.
    pub fn must_seal_before(&self, change: &Change) -> bool {
        match change {
            Change::Cluster(cluster, _) => self.pending.clusters.get(cluster) == Some(&ClusterState::Left),
            Change::Owners(..) | Change::NodeAddress(..) | Change::Namespace(..) => false,
        }
    }

    /// Notes a change, to be sealed with the others that wait.
    pub fn record(&mut self, change: Change, now: Instant) {
        match change {
            Change::Owners(address, owners) => {
                self.pending.owners.insert(address, owners);
            }
            Change::NodeAddress(cluster, address, is_one) => {
                self.pending.nodes.insert((cluster, address), is_one);
            }
            Change::Namespace(name, labels) => {
                self.pending.namespaces.insert(name, labels);
            }
            Change::Cluster(cluster, state) => {
                self.pending.clusters.insert(cluster, state);
            }
        }
        self.pending.since.get_or_insert(now);
    }

    /// Seals all that waits; no frames if, in the end, nothing differs from what is published.
    pub fn seal(&mut self, heard: &LastHeard, now: Instant) -> Vec<Sealed> {
        let mut sealed = Vec::new();
        if self.numbers.is_exhausted() || self.revision.sequence >= LAST_SEQUENCE {
            self.begin_epoch();
            sealed.push(self.heartbeat(heard, now));
        }
        let pending = std::mem::take(&mut self.pending);
        let Some(since) = pending.since else {
            return sealed;
        };
        let mut deltas = Deltas::default();
        for (name, labels) in pending.namespaces {
            self.seal_namespace(name, labels, &mut deltas);
        }
        for ((cluster, address), is_one) in pending.nodes {
            self.seal_node(cluster, address, is_one, &mut deltas);
        }
        for (address, owners) in pending.owners {
            self.seal_owners(address, &owners, &mut deltas);
        }
        deltas.retire(self.numbers.retire());
        for (cluster, state) in pending.clusters {
            if self.publish_state(&cluster, state) {
                deltas.cluster(status(&cluster, state, heard, now));
            }
        }
        let oldest = now.saturating_duration_since(since);
        sealed.extend(deltas.finish().into_iter().map(|delta| {
            self.revision.sequence += 1;
            self.chunks = None;
            let kind = Kind::Delta {
                changes: changes(&delta),
                oldest,
            };
            self.sealed(Body::Delta(delta), kind, now)
        }));
        sealed
    }

    /// A frame that says nothing but that the hub is alive, and how its clusters fare.
    pub fn heartbeat(&self, heard: &LastHeard, now: Instant) -> Sealed {
        let heartbeat = wire::Heartbeat {
            clusters: self.statuses(heard, now),
            omitted_label_keys: Vec::new(),
        };
        self.sealed(Body::Heartbeat(heartbeat), Kind::Heartbeat, now)
    }

    /// The newest sealed revision for one who begins. Its chunks are encoded once per revision, however many ask.
    pub fn snapshot(&mut self, heard: &LastHeard, now: Instant) -> Snapshot {
        let chunks = match &self.chunks {
            Some(chunks) => Arc::clone(chunks),
            None => Arc::clone(self.chunks.insert(self.cut_chunks())),
        };
        let end = wire::SnapshotEnd {
            chunks: u32::try_from(chunks.len()).expect("a chunk is as good as 256 KiB"),
            addresses: self.published.owners.len() as u64,
            namespaces: self.published.namespaces.len() as u64,
            clusters: self.statuses(heard, now),
        };
        Snapshot {
            revision: self.revision,
            chunks,
            end: self.encode(Body::End(end), 0),
        }
    }

    fn cut_chunks(&self) -> Arc<[Bytes]> {
        let mut deltas = Deltas::default();
        for definition in self.numbers.all() {
            deltas.define(definition);
        }
        for (name, labels) in &self.published.namespaces {
            deltas.namespace(self.namespace(name, Some(labels)));
        }
        for (cluster, address) in &self.published.nodes {
            deltas.node(self.node(cluster, *address, true));
        }
        for (address, claimants) in &self.published.owners {
            deltas.owners(*address, claimants.clone());
        }
        let chunk = |(index, content)| {
            let index = u32::try_from(index).expect("a chunk is as good as 256 KiB");
            let content = Some(content);
            self.encode(Body::Chunk(wire::SnapshotChunk { index, content }), 0)
        };
        deltas.finish().into_iter().enumerate().map(chunk).collect()
    }

    fn seal_namespace(&mut self, name: NamespaceName, labels: Option<Arc<Labels>>, deltas: &mut Deltas) {
        let before = self.published.namespaces.get(&name).cloned();
        if before == labels {
            return;
        }
        if let Some(labels) = &labels {
            self.numbers.use_string(&name.cluster.as_str().into());
            self.numbers.use_string(&name.name);
            self.numbers.use_labels(labels);
        }
        self.define_new(deltas);
        deltas.namespace(self.namespace(&name, labels.as_deref()));
        if let Some(before) = before {
            self.numbers.drop_string(name.cluster.as_str());
            self.numbers.drop_string(&name.name);
            self.numbers.drop_labels(&before);
        }
        match labels {
            Some(labels) => self.published.namespaces.insert(name, labels),
            None => self.published.namespaces.remove(&name),
        };
    }

    fn seal_node(&mut self, cluster: ClusterName, address: IpAddr, is_one: bool, deltas: &mut Deltas) {
        let key = (cluster, address);
        if self.published.nodes.contains(&key) == is_one {
            return;
        }
        let cluster = &key.0;
        if is_one {
            self.numbers.use_string(&cluster.as_str().into());
        }
        self.define_new(deltas);
        deltas.node(self.node(cluster, address, is_one));
        if is_one {
            self.published.nodes.insert(key);
        } else {
            self.numbers.drop_string(cluster.as_str());
            self.published.nodes.remove(&key);
        }
    }

    fn seal_owners(&mut self, address: IpAddr, owners: &[Identity], deltas: &mut Deltas) {
        let mut claimants: Claimants = owners.iter().map(|one| self.numbers.use_identity(one)).collect();
        claimants.sort_unstable();
        let before = self.published.owners.get(&address).cloned().unwrap_or_default();
        self.define_new(deltas);
        if before != claimants {
            deltas.owners(address, claimants.clone());
        }
        for number in before {
            self.numbers.drop_identity(number);
        }
        if claimants.is_empty() {
            self.published.owners.remove(&address);
        } else {
            self.published.owners.insert(address, claimants);
        }
    }

    /// Says whether it is another state than was published.
    fn publish_state(&mut self, cluster: &ClusterName, state: ClusterState) -> bool {
        let clusters = &mut self.published.clusters;
        match state {
            ClusterState::Left => clusters.remove(cluster).is_some(),
            ClusterState::Syncing | ClusterState::Live | ClusterState::Stale => {
                clusters.insert(cluster.clone(), state) != Some(state)
            }
        }
    }

    /// Strings and identities that were numbered since the last call, before whatever uses them.
    fn define_new(&mut self, deltas: &mut Deltas) {
        for definition in self.numbers.take_definitions() {
            deltas.define(definition);
        }
    }

    /// That an address is a node's of a cluster whose id is in use, or is no more.
    fn node(&self, cluster: &ClusterName, address: IpAddr, is_one: bool) -> wire::NodeAddress {
        wire::NodeAddress {
            cluster: self.numbers.string(cluster.as_str()),
            address: convert::encode_address(address),
            gone: !is_one,
        }
    }

    /// Labels of a namespace whose strings are all in use; `None`: it is gone.
    fn namespace(&self, name: &NamespaceName, labels: Option<&Labels>) -> wire::NamespaceLabels {
        wire::NamespaceLabels {
            cluster: self.numbers.string(name.cluster.as_str()),
            name: self.numbers.string(&name.name),
            labels: labels.map(|labels| self.numbers.labels(labels)).unwrap_or_default(),
            gone: labels.is_none(),
        }
    }

    /// Another history: everything that is published gets new numbers, as the first change of its epoch. Derived from the
    /// random epoch before it, so that no other process has it either.
    fn begin_epoch(&mut self) {
        let old = std::mem::take(&mut self.numbers);
        self.revision = Revision {
            epoch: Epoch(self.revision.epoch.0.wrapping_add(1)),
            sequence: 1,
        };
        self.chunks = None;
        for claimants in self.published.owners.values_mut() {
            for number in claimants.iter_mut() {
                *number = self.numbers.use_identity(old.identity(*number));
            }
            claimants.sort_unstable();
        }
        for (cluster, _) in &self.published.nodes {
            self.numbers.use_string(&cluster.as_str().into());
        }
        for (name, labels) in &self.published.namespaces {
            self.numbers.use_string(&name.cluster.as_str().into());
            self.numbers.use_string(&name.name);
            self.numbers.use_labels(labels);
        }
        // Snapshots define them; whoever is connected is cut off and begins with one.
        self.numbers.take_definitions();
    }

    fn statuses(&self, heard: &LastHeard, now: Instant) -> Vec<wire::ClusterStatus> {
        let clusters = self.published.clusters.iter();
        clusters
            .map(|(cluster, state)| status(cluster, *state, heard, now))
            .collect()
    }

    fn sealed(&self, body: Body, kind: Kind, now: Instant) -> Sealed {
        let oldest_age_us = match kind {
            Kind::Delta { oldest, .. } => u64::try_from(oldest.as_micros()).unwrap_or(u64::MAX),
            Kind::Heartbeat => 0,
        };
        Sealed {
            revision: self.revision,
            kind,
            at: now,
            bytes: self.encode(body, oldest_age_us),
        }
    }

    fn encode(&self, body: Body, oldest_age_us: u64) -> Bytes {
        convert::encode_message(&wire::Frame {
            revision: Some(self.revision.into()),
            oldest_age_us,
            body: Some(body),
        })
    }
}

fn status(cluster: &ClusterName, state: ClusterState, heard: &LastHeard, now: Instant) -> wire::ClusterStatus {
    let age = heard.get(cluster).map(|heard| now.saturating_duration_since(*heard));
    let age_ms = age.map_or(0, |age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
    convert::encode_status(cluster, state, age_ms)
}

/// Addresses, nodes' addresses, namespaces and clusters that a delta speaks of.
fn changes(delta: &wire::Delta) -> usize {
    let owners = delta.owners.as_ref().map_or(0, |owners| {
        owners.ipv4_identities.len() + owners.ipv6_identities.len() + owners.shared.len()
    });
    delta.namespaces.len() + delta.node_addresses.len() + owners + delta.clusters.len()
}

#[cfg(test)]
mod tests;
