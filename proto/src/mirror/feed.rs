//! The hub's word: its numbers, and what they say of addresses, nodes and namespaces.
//!
//! Pure. A change is read in full before any of it is taken ([`Feed::read`], [`Feed::take`]), so a frame that makes no
//! sense changes nothing. A snapshot fills a feed of its own.

use super::identities::Identities;
use super::knowledge::Knowledge;
use super::{FrameError, IdentityId};
use crate::convert::{self, Claimants};
use crate::model::{ClusterName, ClusterState, Identity, Labels, NamedPort, NamespaceName};
use crate::wire;
use smallvec::SmallVec;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// What a hub said in one epoch.
#[derive(Debug, Default)]
pub(super) struct Feed {
    strings: BTreeMap<u32, Arc<str>>,
    identities: BTreeMap<u32, IdentityId>,
    pub(super) said: Knowledge,
}

/// A delta, read and resolved.
#[derive(Debug)]
pub(super) struct Change {
    strings: BTreeMap<u32, Arc<str>>,
    identities: BTreeMap<u32, Identity>,
    retired_identities: Vec<u32>,
    retired_strings: Vec<u32>,
    /// New labels of a namespace; `None`: its object is gone.
    pub(super) namespaces: BTreeMap<NamespaceName, Option<Arc<Labels>>>,
    pub(super) owners: Vec<(IpAddr, Claimants)>,
    /// Whether an address is one of a cluster's nodes' now.
    pub(super) nodes: BTreeMap<(ClusterName, IpAddr), bool>,
    pub(super) clusters: BTreeMap<ClusterName, ClusterState>,
}

impl Feed {
    /// Reads a delta on top of what this feed holds.
    pub(super) fn read(&self, delta: &wire::Delta) -> Result<Change, FrameError> {
        let mut reader = Reader {
            feed: self,
            strings: self.read_strings(delta.strings.as_ref())?,
            clusters: BTreeMap::new(),
        };
        let identities = reader.identities(&delta.identities)?;
        let namespaces = reader.namespaces(&delta.namespaces)?;
        let nodes = reader.nodes(&delta.node_addresses)?;
        let strings = reader.strings;
        let defined = |id: &u32| self.identities.contains_key(id) || identities.contains_key(id);
        let owners = match &delta.owners {
            Some(columns) => convert::decode_owners(columns)?,
            None => Vec::new(),
        };
        for (address, claimants) in &owners {
            if let Some(unknown) = claimants.iter().find(|id| !defined(id)) {
                return Err(FrameError(format!(
                    "{address} has identity {unknown}, which is not defined"
                )));
            }
        }
        if let Some(unknown) = delta.retired_identities.iter().find(|id| !defined(id)) {
            return Err(FrameError(format!("retires identity {unknown}, which is not defined")));
        }
        let known = |number: &u32| self.strings.contains_key(number) || strings.contains_key(number);
        if let Some(unknown) = delta.retired_strings.iter().find(|number| !known(number)) {
            return Err(FrameError(format!("retires string {unknown}, which is not defined")));
        }
        Ok(Change {
            retired_identities: delta.retired_identities.clone(),
            retired_strings: delta.retired_strings.clone(),
            clusters: read_clusters(&delta.clusters)?,
            strings,
            identities,
            namespaces,
            owners,
            nodes,
        })
    }

    /// Takes a change in that was read on top of this very feed.
    pub(super) fn take(&mut self, change: &Change, identities: &mut Identities) {
        self.strings.extend(change.strings.clone());
        for (number, identity) in &change.identities {
            self.identities.insert(*number, identities.intern(identity));
        }
        for (namespace, labels) in &change.namespaces {
            match labels {
                Some(labels) => self.said.namespaces.insert(namespace.clone(), Arc::clone(labels)),
                None => self.said.namespaces.remove(namespace),
            };
        }
        for (address, claimants) in &change.owners {
            let mut claims: SmallVec<[IdentityId; 2]> = claimants.iter().map(|id| self.identities[id]).collect();
            claims.sort_unstable();
            claims.dedup();
            self.said.claim(identities, *address, &claims);
        }
        for ((cluster, address), is_one) in &change.nodes {
            self.said.set_node(cluster, *address, *is_one);
        }
        for number in &change.retired_identities {
            if let Some(id) = self.identities.remove(number) {
                identities.release(id);
            }
        }
        for number in &change.retired_strings {
            self.strings.remove(number);
        }
    }

    /// Takes a part of a snapshot in.
    pub(super) fn take_chunk(&mut self, content: &wire::Delta, identities: &mut Identities) -> Result<(), FrameError> {
        let change = self.read(content)?;
        for (address, claimants) in &change.owners {
            if claimants.is_empty() || !self.said.owners.get(*address).is_empty() {
                return Err(FrameError(format!(
                    "a snapshot that names {address} twice or as nobody's"
                )));
            }
        }
        for (namespace, labels) in &change.namespaces {
            if labels.is_none() || self.said.namespaces.contains_key(namespace) {
                let NamespaceName { cluster, name } = namespace;
                return Err(FrameError(format!(
                    "a snapshot that names namespace {name} of {cluster} twice or as gone"
                )));
            }
        }
        for ((cluster, address), is_one) in &change.nodes {
            if !is_one || self.said.nodes_at(*address).contains(cluster) {
                return Err(FrameError(format!(
                    "a snapshot that names node address {address} of {cluster} twice or as gone"
                )));
            }
        }
        self.take(&change, identities);
        Ok(())
    }

    /// Drops all that was said of one cluster.
    pub(super) fn forget(&mut self, identities: &mut Identities, cluster: &ClusterName) {
        let mut rest = Vec::new();
        for (address, claims) in self.said.owners.iter() {
            let of_others = |id: &IdentityId| identities.get(*id).namespace.cluster != *cluster;
            if !claims.iter().all(of_others) {
                let kept: SmallVec<[IdentityId; 2]> = claims.iter().copied().filter(of_others).collect();
                rest.push((address, kept));
            }
        }
        for (address, kept) in rest {
            self.said.claim(identities, address, &kept);
        }
        self.said.forget_nodes(cluster);
        self.said
            .namespaces
            .retain(|namespace, _| namespace.cluster != *cluster);
    }

    /// Lets go of everything.
    pub(super) fn clear(&mut self, identities: &mut Identities) {
        for id in std::mem::take(&mut self.identities).into_values() {
            identities.release(id);
        }
        self.said.clear(identities);
        self.strings.clear();
    }

    fn read_strings(&self, columns: Option<&wire::Strings>) -> Result<BTreeMap<u32, Arc<str>>, FrameError> {
        let Some(columns) = columns else {
            return Ok(BTreeMap::new());
        };
        let strings = convert::decode_strings(columns)?;
        if let Some((number, _)) = strings.iter().find(|(number, _)| self.strings.contains_key(number)) {
            return Err(FrameError(format!("string {number} is defined twice")));
        }
        Ok(strings
            .into_iter()
            .map(|(number, value)| (number, value.into()))
            .collect())
    }
}

/// States of clusters, each at most once.
pub(super) fn read_clusters(
    statuses: &[wire::ClusterStatus],
) -> Result<BTreeMap<ClusterName, ClusterState>, FrameError> {
    let mut clusters = BTreeMap::new();
    for status in statuses {
        let (cluster, state) = convert::decode_status(status)?;
        if clusters.insert(cluster, state).is_some() {
            return Err(FrameError(format!("cluster {} is there twice", status.cluster)));
        }
    }
    Ok(clusters)
}

/// Resolves the numbers of one frame.
struct Reader<'a> {
    feed: &'a Feed,
    /// Defined by this frame.
    strings: BTreeMap<u32, Arc<str>>,
    /// Ids of clusters by string number, so that identities share them.
    clusters: BTreeMap<u32, ClusterName>,
}

impl Reader<'_> {
    fn identities(&mut self, definitions: &[wire::Identity]) -> Result<BTreeMap<u32, Identity>, FrameError> {
        let mut identities = BTreeMap::new();
        for definition in definitions {
            let id = definition.id;
            if id == 0 {
                return Err(FrameError("identity 0 is nobody".to_owned()));
            }
            let identity = Identity {
                namespace: self.namespace(definition.cluster, definition.namespace)?,
                labels: self.labels(&definition.labels)?,
                ports: self.ports(&definition.ports)?,
            };
            if self.feed.identities.contains_key(&id) || identities.insert(id, identity).is_some() {
                return Err(FrameError(format!("identity {id} is defined twice")));
            }
        }
        Ok(identities)
    }

    fn namespaces(
        &mut self,
        entries: &[wire::NamespaceLabels],
    ) -> Result<BTreeMap<NamespaceName, Option<Arc<Labels>>>, FrameError> {
        let mut namespaces = BTreeMap::new();
        for entry in entries {
            let namespace = self.namespace(entry.cluster, entry.name)?;
            let labels = match entry.gone {
                true => None,
                false => Some(self.labels(&entry.labels)?),
            };
            if namespaces.insert(namespace, labels).is_some() {
                return Err(FrameError(format!("namespace with name {} is there twice", entry.name)));
            }
        }
        Ok(namespaces)
    }

    fn nodes(&mut self, entries: &[wire::NodeAddress]) -> Result<BTreeMap<(ClusterName, IpAddr), bool>, FrameError> {
        let mut nodes = BTreeMap::new();
        for entry in entries {
            let cluster = self.cluster(entry.cluster)?;
            let address = convert::decode_address(&entry.address)?;
            if nodes.insert((cluster, address), !entry.gone).is_some() {
                return Err(FrameError(format!("node address {address} is there twice")));
            }
        }
        Ok(nodes)
    }

    fn namespace(&mut self, cluster: u32, name: u32) -> Result<NamespaceName, FrameError> {
        Ok(NamespaceName {
            cluster: self.cluster(cluster)?,
            name: self.string(name)?,
        })
    }

    fn cluster(&mut self, number: u32) -> Result<ClusterName, FrameError> {
        if let Some(cluster) = self.clusters.get(&number) {
            return Ok(cluster.clone());
        }
        let id = ClusterName::new(&self.string(number)?).map_err(|error| FrameError(error.to_string()))?;
        self.clusters.insert(number, id.clone());
        Ok(id)
    }

    fn labels(&self, numbers: &[u32]) -> Result<Arc<Labels>, FrameError> {
        let (pairs, []) = numbers.as_chunks::<2>() else {
            return Err(FrameError("a label key without a value".to_owned()));
        };
        let mut labels = Labels::new();
        for [key, value] in pairs {
            let (key, value) = (self.string(*key)?, self.string(*value)?);
            if let Some(other) = labels.insert(Arc::clone(&key), value) {
                return Err(FrameError(format!("label {key} is there twice, once as {other}")));
            }
        }
        Ok(Arc::new(labels))
    }

    fn ports(&self, entries: &[wire::NamedPort]) -> Result<Arc<[NamedPort]>, FrameError> {
        let mut ports = BTreeSet::new();
        for entry in entries {
            if let Some((name, protocol, port)) = convert::decode_port(entry)? {
                ports.insert(NamedPort {
                    name: self.string(name)?,
                    protocol,
                    port,
                });
            }
        }
        Ok(ports.into_iter().collect())
    }

    fn string(&self, number: u32) -> Result<Arc<str>, FrameError> {
        let known = self.strings.get(&number).or_else(|| self.feed.strings.get(&number));
        known
            .cloned()
            .ok_or_else(|| FrameError(format!("string {number} is not defined")))
    }
}
