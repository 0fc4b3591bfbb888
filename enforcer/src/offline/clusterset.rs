//! What API servers, hub and enforcers would make of the objects of some clusters, all of them known in full.
//!
//! Pure. Pods own addresses as [`proto::pods`] says, policies mean what [`crate::policy`] says; only what a running
//! enforcer learns from its kernel and its cluster's networks is worked out here: which node has which address.

use super::ends::{End, NodeName, PodName};
use super::manifests::{Complaint, Kind, Manifests, Object};
use crate::compile::{self, compile};
use crate::links::Links;
use crate::policy::{self, NetworkPolicy, Policy, PolicyName};
use crate::ruleset::Ruleset;
use crate::switches::Switches;
use proto::mirror::{Mirror, Part};
use proto::model::ClusterName;
use proto::observe::{Namespace, Pod};
use proto::pods::{self, Lost, Pods};
use proto::watch::Event;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// Some clusters, all of them known in full.
#[derive(Debug)]
pub struct ClusterSet {
    switches: Switches,
    clusters: BTreeMap<ClusterName, Cluster>,
    /// The pods that own each address, in any cluster.
    owners: BTreeMap<IpAddr, Vec<PodName>>,
    /// The nodes that have each address, in any cluster.
    nodes: BTreeMap<IpAddr, Vec<NodeName>>,
    complaints: Vec<Complaint>,
}

/// One of them.
#[derive(Debug)]
pub struct Cluster {
    name: ClusterName,
    namespaces: BTreeMap<Arc<str>, Namespace>,
    pods: Pods,
    policies: BTreeMap<PolicyName, Arc<Policy>>,
    nodes: BTreeMap<Arc<str>, Node>,
    /// As each of its nodes sees the ClusterSet: where a node knows its cluster in full, its own word adds nothing.
    mirror: Mirror,
    objects: BTreeMap<(Kind, Arc<str>, Arc<str>), Arc<Object>>,
}

/// A node that has an object, or a pod.
#[derive(Debug, Default)]
pub struct Node {
    /// Its pods, by namespace and name.
    pub pods: Vec<Arc<Pod>>,
    /// All addresses that it is known to have.
    pub addresses: BTreeSet<IpAddr>,
}

impl ClusterSet {
    /// What the manifests come to.
    pub fn new(manifests: &Manifests, switches: Switches) -> Self {
        let mut complaints = Vec::new();
        let mut clusters: BTreeMap<ClusterName, Cluster> = manifests
            .clusters
            .iter()
            .map(|(name, objects)| (name.clone(), Cluster::new(name, objects, &mut complaints)))
            .collect();
        let parts: BTreeMap<ClusterName, Part> = clusters
            .values()
            .map(|cluster| (cluster.name.clone(), cluster.part()))
            .collect();
        for cluster in clusters.values_mut() {
            for (name, part) in &parts {
                cluster.mirror.set_part(name, Some(part.clone()));
            }
        }
        let (mut owners, mut nodes) = (BTreeMap::<_, Vec<_>>::new(), BTreeMap::<_, Vec<_>>::new());
        for cluster in clusters.values() {
            for address in cluster.pods.addresses() {
                let owning = cluster.owners(address).into_iter().map(|pod| cluster.pod_name(pod));
                owners.entry(address).or_default().extend(owning);
            }
            for (name, node) in &cluster.nodes {
                for address in &node.addresses {
                    nodes.entry(*address).or_default().push(cluster.node_name(name));
                }
            }
        }
        owners.retain(|_, owners| !owners.is_empty());
        Self {
            switches,
            clusters,
            owners,
            nodes,
            complaints,
        }
    }

    /// What selectors mean.
    pub const fn switches(&self) -> Switches {
        self.switches
    }

    /// The clusters, sorted.
    pub fn clusters(&self) -> impl Iterator<Item = &Cluster> {
        self.clusters.values()
    }

    /// The cluster of this id.
    pub fn cluster(&self, name: &ClusterName) -> Option<&Cluster> {
        self.clusters.get(name)
    }

    /// All pods as ends, sorted.
    pub fn ends(&self) -> Vec<End> {
        let mut ends: Vec<End> = self
            .clusters()
            .flat_map(|cluster| cluster.pods().map(|pod| End::Pod(cluster.pod_name(pod))))
            .collect();
        ends.sort();
        ends
    }

    /// The pod of this name.
    pub fn pod(&self, name: &PodName) -> Option<&Arc<Pod>> {
        self.clusters.get(&name.cluster)?.pods.get(&name.namespace, &name.name)
    }

    /// The node that a pod runs on.
    pub fn node_of(&self, name: &PodName) -> Option<NodeName> {
        let node = self.pod(name)?.node.as_deref()?;
        Some(self.clusters.get(&name.cluster)?.node_name(node))
    }

    /// Whether an end can be judged: any address, and every pod that a manifest has.
    pub fn knows(&self, end: &End) -> bool {
        match end {
            End::Address(_) => true,
            End::Pod(name) => self.pod(name).is_some(),
        }
    }

    /// The addresses of a pod that are its own, or, on the host network, its node's, in the order in which it lists them;
    /// none if it has finished (S81).
    pub fn addresses(&self, name: &PodName) -> Vec<IpAddr> {
        let (Some(cluster), Some(pod)) = (self.clusters.get(&name.cluster), self.pod(name)) else {
            return Vec::new();
        };
        let Some(object) = cluster.object(Kind::Pod, &pod.namespace, &pod.name) else {
            return Vec::new();
        };
        let mut usable = pod.addresses.clone();
        usable.retain(|address| match pod.host_network {
            true => !pod.is_finished(),
            false => cluster.owners(*address).iter().any(|owner| Arc::ptr_eq(owner, pod)),
        });
        let status = &object.raw["status"];
        let entries = status["podIPs"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|entry| &entry["ip"]);
        let mut listed = Vec::new();
        for address in entries.chain([&status["podIP"]]).filter_map(address) {
            if usable.contains(&address) && !listed.contains(&address) {
                listed.push(address);
            }
        }
        listed
    }

    /// The live pods, of any cluster, that own an address: nearly always one (S83, S113).
    pub fn owners(&self, address: IpAddr) -> &[PodName] {
        self.owners.get(&address).map_or(&[], Vec::as_slice)
    }

    /// The nodes, of any cluster, that have an address: one at most, if the network is flat.
    pub fn nodes_at(&self, address: IpAddr) -> &[NodeName] {
        self.nodes.get(&address).map_or(&[], Vec::as_slice)
    }

    /// Every node.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeName, &Node)> {
        self.clusters()
            .flat_map(|cluster| cluster.nodes.iter().map(|(name, node)| (cluster.node_name(name), node)))
    }

    /// All that decides the ruleset of a node.
    pub fn world(&self, name: &NodeName) -> Option<compile::World<'_>> {
        let cluster = self.clusters.get(&name.cluster)?;
        let node = cluster.nodes.get(name.name.as_str())?;
        Some(compile::World {
            cluster: &cluster.name,
            policies: &cluster.policies,
            pods: &node.pods,
            node_addresses: &node.addresses,
            links: Links::NONE,
            held: &compile::NONE_HELD,
            mirror: &cluster.mirror,
            switches: self.switches,
        })
    }

    /// The ruleset of a node, as its enforcer compiles it.
    pub fn ruleset(&self, name: &NodeName) -> Option<Ruleset> {
        self.world(name).map(|world| compile(&world))
    }

    /// What of the objects is void, or read otherwise than it is written.
    pub fn complaints(&self) -> &[Complaint] {
        &self.complaints
    }
}

impl Cluster {
    fn new(name: &ClusterName, objects: &[Arc<Object>], complaints: &mut Vec<Complaint>) -> Self {
        let mut namespaces = BTreeMap::new();
        let mut pods = Vec::new();
        let mut policies = BTreeMap::new();
        let mut nodes: BTreeMap<Arc<str>, Node> = BTreeMap::new();
        for object in objects {
            match object.kind {
                Kind::Namespace => {
                    let namespace: Namespace = read(object);
                    complain(name, object, &namespace.rejected, complaints);
                    namespaces.insert(namespace.name.clone(), namespace);
                }
                Kind::Pod => {
                    let pod: Pod = read(object);
                    complain(name, object, &pod.rejected, complaints);
                    if let Some(node) = &pod.node {
                        nodes
                            .entry(node.clone())
                            .or_default()
                            .addresses
                            .extend(pod.node_addresses());
                    }
                    pods.push(pod);
                }
                Kind::NetworkPolicy => {
                    let policy = policy::parse(&read::<NetworkPolicy>(object));
                    for refused in &policy.refused {
                        complaints.push(object.complaint(name, &refused.field, refused.reason.clone()));
                    }
                    policies.insert(policy.name.clone(), Arc::new(policy));
                }
                Kind::Node => {
                    let node = nodes.entry(object.name.clone()).or_default();
                    node.addresses.extend(listed_addresses(&object.raw));
                }
            }
        }
        let of_nodes = nodes.values().flat_map(|node| &node.addresses).copied();
        let mut all = Pods::of_nodes_at(of_nodes.collect());
        all.apply(Event::Synced(pods));
        for pod in all.iter() {
            if let Some(node) = &pod.node {
                nodes.entry(node.clone()).or_default().pods.push(pod.clone());
            }
        }
        let key = |object: &Arc<Object>| (object.kind, object.namespace.clone(), object.name.clone());
        Self {
            name: name.clone(),
            namespaces,
            pods: all,
            policies,
            nodes,
            mirror: Mirror::new(name.clone()),
            objects: objects.iter().map(|object| (key(object), object.clone())).collect(),
        }
    }

    fn part(&self) -> Part {
        pods::part(&self.name, &self.pods, self.namespaces.values())
    }

    /// Its id.
    pub const fn name(&self) -> &ClusterName {
        &self.name
    }

    /// Its pods, sorted by namespace and name.
    pub fn pods(&self) -> impl Iterator<Item = &Arc<Pod>> {
        self.pods.iter()
    }

    /// Its namespaces that have objects.
    pub const fn namespaces(&self) -> &BTreeMap<Arc<str>, Namespace> {
        &self.namespaces
    }

    /// Its policies.
    pub const fn policies(&self) -> &BTreeMap<PolicyName, Arc<Policy>> {
        &self.policies
    }

    /// Its nodes that have objects or pods.
    pub const fn nodes(&self) -> &BTreeMap<Arc<str>, Node> {
        &self.nodes
    }

    /// An object of it as it is written. `namespace` is empty for kinds that are in none.
    pub fn object(&self, kind: Kind, namespace: &str, name: &str) -> Option<&Arc<Object>> {
        self.objects.get(&(kind, namespace.into(), name.into()))
    }

    /// Who owns which address in the whole ClusterSet, as this cluster's policies see it.
    pub const fn mirror(&self) -> &Mirror {
        &self.mirror
    }

    /// Its live pods that own an address, none of which is a node's (I7).
    pub fn owners(&self, address: IpAddr) -> Vec<&Arc<Pod>> {
        self.pods.owners(address)
    }

    /// All its pods that list an address, and why the claim does not count, if it does not.
    pub fn claims(&self, address: IpAddr) -> Vec<(&Arc<Pod>, Option<Lost>)> {
        self.pods.claims(address)
    }

    /// The full name of a pod of it.
    pub fn pod_name(&self, pod: &Pod) -> PodName {
        PodName {
            cluster: self.name.clone(),
            namespace: pod.namespace.to_string(),
            name: pod.name.to_string(),
        }
    }

    /// The full name of a node of it.
    pub fn node_name(&self, name: &str) -> NodeName {
        NodeName {
            cluster: self.name.clone(),
            name: name.to_owned(),
        }
    }
}

fn read<K: DeserializeOwned>(object: &Object) -> K {
    K::deserialize(&object.raw).expect("an object with a name is read whatever its other fields are")
}

/// Complains of pieces that [`proto::observe`] left out.
fn complain(cluster: &ClusterName, object: &Object, rejected: &[String], complaints: &mut Vec<Complaint>) {
    for line in rejected {
        let (field, reason) = line.split_once(": ").unwrap_or(("", line));
        complaints.push(object.complaint(cluster, field, format!("{reason}; it is left out")));
    }
}

/// `InternalIP` and `ExternalIP` of a Node object.
fn listed_addresses(node: &Value) -> impl Iterator<Item = IpAddr> {
    let entries = node["status"]["addresses"].as_array().into_iter().flatten();
    entries
        .filter(|entry| entry["type"] == "InternalIP" || entry["type"] == "ExternalIP")
        .filter_map(|entry| address(&entry["address"]))
}

fn address(value: &Value) -> Option<IpAddr> {
    value.as_str()?.parse().ok()
}
