//! The inventory as a subscriber knows it.
//!
//! Pure. Numbers of the wire end here: identities get numbers of the mirror's own ([`IdentityId`]), which never meet
//! another epoch's. What is known of a cluster comes from a hub ([`Mirror::apply`]), from its own API server or from
//! files ([`Mirror::set_part`]); the pods of the own node overlay it ([`Mirror::set_local`]).
//!
//! A snapshot changes nothing until it is complete, and then only by difference. What was known of a cluster that a
//! new epoch reports as SYNCING is kept until that cluster is LIVE, and only then what was not named again goes.

mod apply;
mod feed;
mod identities;
mod knowledge;
mod settle;

use crate::convert::Malformed;
use crate::model::{ClusterName, ClusterState, Identity, Labels, NamespaceName, Revision};
use crate::wire;
use feed::Feed;
use identities::Identities;
use knowledge::{Knowledge, Owners};
use smallvec::SmallVec;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use wire::frame::Body;

/// The mirror's own number of an identity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct IdentityId(u32);

impl IdentityId {
    fn index(self) -> usize {
        self.0 as usize
    }
}

/// Numbers of the identities that claim one address; nearly always one.
type Claims = SmallVec<[IdentityId; 2]>;

/// All that is known of one cluster, as its own API server, or a folder of manifests, has it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Part {
    /// For each address the identities that claim it, at least one, sorted, each once; all of them of this cluster.
    pub owners: BTreeMap<IpAddr, Vec<Identity>>,
    /// The addresses of its nodes, which are no pod's of it (I7).
    pub nodes: BTreeSet<IpAddr>,
    /// The labels of each namespace that has an object.
    pub namespaces: BTreeMap<Arc<str>, Arc<Labels>>,
}

/// For how long the owners of an address own it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tenure {
    /// Until further notice.
    Staying,
    /// All of them have a `metadata.deletionTimestamp` (S82).
    Terminating,
}

/// What applying a frame did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Applied {
    /// The mirror holds another inventory, or other cluster states.
    Changed,
    /// It holds what it held: a heartbeat, a part of a snapshot, or a snapshot that said nothing new.
    Same,
}

/// Why a frame was not applied. The mirror holds what it held; the stream must be ended and subscribed anew.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the hub's stream makes no sense: {0}")]
pub struct FrameError(pub String);

impl From<Malformed> for FrameError {
    fn from(Malformed(what): Malformed) -> Self {
        Self(what)
    }
}

/// The inventory as one subscriber knows it.
#[derive(Debug)]
pub struct Mirror {
    own: ClusterName,
    identities: Identities,
    /// The last revision that was applied in full.
    revision: Option<Revision>,
    feed: Feed,
    clusters: BTreeMap<ClusterName, ClusterState>,
    /// A snapshot whose end has not come.
    snapshot: Option<Snapshot>,
    /// What was known of clusters that are SYNCING in this epoch, less what this epoch has named.
    inherited: BTreeMap<ClusterName, Knowledge>,
    /// What is known of clusters from elsewhere; the hub's word on them does not count.
    parts: BTreeMap<ClusterName, Knowledge>,
    /// The own node's word on its addresses, where a pod stays.
    local: Knowledge,
    /// The same, where all its pods are terminating.
    leaving: Knowledge,
    /// What all of the above comes to.
    outcome: Owners,
    namespaces: BTreeMap<NamespaceName, Arc<Labels>>,
}

#[derive(Debug)]
struct Snapshot {
    revision: Revision,
    chunks: u32,
    feed: Feed,
}

impl Mirror {
    /// An empty mirror for an enforcer of cluster `own`.
    pub fn new(own: ClusterName) -> Self {
        Self {
            own,
            identities: Identities::default(),
            revision: None,
            feed: Feed::default(),
            clusters: BTreeMap::new(),
            snapshot: None,
            inherited: BTreeMap::new(),
            parts: BTreeMap::new(),
            local: Knowledge::default(),
            leaving: Knowledge::default(),
            outcome: Owners::default(),
            namespaces: BTreeMap::new(),
        }
    }

    /// Takes a frame of the hub in.
    ///
    /// # Errors
    /// If the frame is no continuation of what came before, or refers to what was never defined.
    pub fn apply(&mut self, frame: &wire::Frame) -> Result<Applied, FrameError> {
        let applied = self.apply_body(frame);
        if applied.is_err() {
            self.disconnected();
        }
        applied
    }

    fn apply_body(&mut self, frame: &wire::Frame) -> Result<Applied, FrameError> {
        let Some(revision) = frame.revision.as_ref().map(Revision::from) else {
            return Err(FrameError("a frame without a revision".to_owned()));
        };
        match &frame.body {
            Some(Body::Chunk(chunk)) => self.apply_chunk(revision, chunk),
            Some(Body::End(end)) => self.apply_end(revision, end),
            Some(Body::Delta(delta)) => self.apply_delta(revision, delta),
            Some(Body::Heartbeat(heartbeat)) => self.apply_heartbeat(revision, heartbeat),
            // A kind of frame that is newer than this release. If it changed the revision, the next frame tells.
            None => Ok(Applied::Same),
        }
    }

    /// The stream has ended: an unfinished snapshot is forgotten.
    pub fn disconnected(&mut self) {
        if let Some(mut snapshot) = self.snapshot.take() {
            snapshot.feed.clear(&mut self.identities);
        }
    }

    /// The last revision that was applied in full, to resume from.
    pub fn revision(&self) -> Option<Revision> {
        self.revision
    }

    /// Replaces all that is known of a cluster, by difference; `None`: it is known from here no more (the hub's word,
    /// if any, counts again). Says whether the mirror holds another inventory now.
    pub fn set_part(&mut self, cluster: &ClusterName, part: Option<Part>) -> bool {
        let nodes = |mirror: &Self| -> BTreeSet<(IpAddr, ClusterName)> {
            let known = mirror.known_nodes().into_iter();
            known.map(|(address, cluster)| (address, cluster.clone())).collect()
        };
        let other_source = part.is_some() != self.parts.contains_key(cluster);
        let nodes_before = other_source.then(|| nodes(self));
        let fresh = part.map(|part| self.take_part(cluster, part));
        let before = match fresh {
            Some(fresh) => self.parts.insert(cluster.clone(), fresh),
            None => self.parts.remove(cluster),
        };
        let now = self.parts.get(cluster);
        let settled = match (&before, now) {
            (Some(before), Some(now)) => {
                let addresses = before.addresses().chain(now.addresses()).collect();
                let namespaces = before.namespaces.keys().chain(now.namespaces.keys()).cloned().collect();
                let same_nodes = before.nodes == now.nodes;
                self.settle(addresses, namespaces) || !same_nodes
            }
            (None, None) => false,
            (Some(_), None) | (None, Some(_)) => {
                let same_nodes = nodes_before.is_some_and(|before| before == nodes(self));
                self.settle_all() || !same_nodes
            }
        };
        if let Some(mut before) = before {
            before.clear(&mut self.identities);
        }
        settled
    }

    fn take_part(&mut self, cluster: &ClusterName, part: Part) -> Knowledge {
        let mut knowledge = Knowledge::default();
        for (address, owners) in part.owners {
            self.claim_for(&mut knowledge, address, &owners);
        }
        for (name, labels) in part.namespaces {
            let cluster = cluster.clone();
            knowledge.namespaces.insert(NamespaceName { cluster, name }, labels);
        }
        for address in part.nodes {
            knowledge.set_node(cluster, address, true);
        }
        knowledge
    }

    fn claim_for(&mut self, knowledge: &mut Knowledge, address: IpAddr, owners: &[Identity]) {
        let interned: Claims = owners.iter().map(|owner| self.identities.intern(owner)).collect();
        let mut claims = interned.clone();
        claims.sort_unstable();
        claims.dedup();
        knowledge.claim(&mut self.identities, address, &claims);
        for id in interned {
            self.identities.release(id);
        }
    }

    /// What the own node's watch says of an address: the identities of its pods that own it. Where a pod stays, it counts
    /// instead of the own cluster's claims from elsewhere, unless those include it (then they know of all claimants). A
    /// terminating one yields to a pod of another node as to one of its own (S83): it counts where its cluster has no
    /// other claim. Says whether the mirror holds another inventory now.
    pub fn set_local(&mut self, address: IpAddr, owners: Vec<Identity>, tenure: Tenure) -> bool {
        let (staying, terminating) = match tenure {
            Tenure::Staying => (owners, Vec::new()),
            Tenure::Terminating => (Vec::new(), owners),
        };
        let mut local = std::mem::take(&mut self.local);
        self.claim_for(&mut local, address, &staying);
        self.local = local;
        let mut leaving = std::mem::take(&mut self.leaving);
        self.claim_for(&mut leaving, address, &terminating);
        self.leaving = leaving;
        self.settle(vec![address], Vec::new())
    }

    /// The identities that claim an address, in every cluster, each once.
    pub fn claims(&self, address: IpAddr) -> &[IdentityId] {
        self.outcome.get(address)
    }

    /// The claims on an address that count for a policy of `cluster`: that cluster's own, if there are any, else all
    /// (S113). A node's count as such: it is no pod's where they do (I7, S44).
    pub fn claims_for<'a>(
        &'a self,
        cluster: &'a ClusterName,
        address: IpAddr,
    ) -> impl Iterator<Item = IdentityId> + 'a {
        counting(cluster, self.claims(address), |id| {
            &self.identity(*id).namespace.cluster
        })
        .copied()
    }

    /// Whether an address is known to be a node's of the own cluster (I7).
    pub fn is_nodes(&self, address: IpAddr) -> bool {
        self.nodes_at(address).any(|cluster| *cluster == self.own)
    }

    /// Whether somebody is known to have an address: a pod or a node of any cluster.
    pub fn knows(&self, address: IpAddr) -> bool {
        !self.claims(address).is_empty() || self.nodes_at(address).next().is_some()
    }

    /// The clusters of whose nodes one is known to have an address, some of them twice.
    fn nodes_at(&self, address: IpAddr) -> impl Iterator<Item = &ClusterName> {
        let from_hub = [&self.feed.said].into_iter().chain(self.inherited.values());
        let from_hub = from_hub.flat_map(move |source| source.nodes_at(address));
        let from_hub = from_hub.filter(|cluster| !self.parts.contains_key(cluster));
        from_hub.chain(self.parts.values().flat_map(move |part| part.nodes_at(address)))
    }

    /// The addresses of other clusters' nodes: of those that are neither a pod's nor a node's of the own cluster.
    pub fn nodes_of_others(&self) -> BTreeSet<IpAddr> {
        self.known_nodes()
            .into_iter()
            .map(|(address, _)| address)
            .filter(|address| self.claims(*address).is_empty() && !self.is_nodes(*address))
            .collect()
    }

    /// The addresses of nodes, each with its cluster, as the sources say that count.
    fn known_nodes(&self) -> BTreeSet<(IpAddr, &ClusterName)> {
        let sources = [&self.feed.said].into_iter().chain(self.inherited.values());
        let addresses = sources
            .chain(self.parts.values())
            .flat_map(|source| source.nodes.keys());
        addresses
            .flat_map(|address| self.nodes_at(*address).map(move |cluster| (*address, cluster)))
            .collect()
    }

    /// Every address that somebody claims, ascending, with its claims.
    pub fn owners(&self) -> impl Iterator<Item = (IpAddr, &[IdentityId])> {
        self.outcome.iter()
    }

    /// An identity that some address has.
    pub fn identity(&self, id: IdentityId) -> &Identity {
        self.identities.get(id)
    }

    /// Every identity that some address has.
    pub fn identities(&self) -> impl Iterator<Item = (IdentityId, &Identity)> {
        self.identities.shown()
    }

    /// The labels of a namespace; `None`: its object is not known (S31).
    pub fn namespace_labels(&self, namespace: &NamespaceName) -> Option<&Labels> {
        self.namespaces.get(namespace).map(|labels| &**labels)
    }

    /// Every namespace whose object is known, with its labels.
    pub fn namespaces(&self) -> impl Iterator<Item = (&NamespaceName, &Labels)> {
        self.namespaces.iter().map(|(namespace, labels)| (namespace, &**labels))
    }

    /// The state of each cluster, as the hub last said it.
    pub fn clusters(&self) -> &BTreeMap<ClusterName, ClusterState> {
        &self.clusters
    }

    /// Whether everything that is known is known in full: the hub has spoken and no cluster is SYNCING, but those that
    /// are known in full from elsewhere. While it is not, sets only grow: an address nobody is known to own may be a
    /// pod nobody has named yet.
    pub fn is_complete(&self) -> bool {
        self.revision.is_some()
            && self
                .clusters
                .iter()
                .all(|(cluster, state)| *state != ClusterState::Syncing || self.parts.contains_key(cluster))
    }
}

/// The claims on one address that count for a policy of `cluster`: that cluster's own, if there are any, else all
/// (S113). No cluster can disturb another's inner traffic by claiming its addresses.
pub fn counting<'a, C>(
    cluster: &'a ClusterName,
    claims: &'a [C],
    cluster_of: impl Fn(&'a C) -> &'a ClusterName,
) -> impl Iterator<Item = &'a C> {
    let at_home = claims.iter().any(|claim| cluster_of(claim) == cluster);
    claims
        .iter()
        .filter(move |claim| !at_home || cluster_of(claim) == cluster)
}

#[cfg(test)]
mod tests;
