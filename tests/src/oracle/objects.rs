//! Pods, namespaces, nodes and clusters: what their manifests say.
//!
//! Pure.

use super::connection::{End, NodeName, Transport};
use super::policies::Policy;
use crate::worlds::ClusterSet;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The label by which policies name clusters.
pub const CLUSTER_LABEL: &str = "cluster.clusterset.k8s.io/cluster-name";

/// The label by which policies name namespaces.
pub const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Labels of an object.
pub type Labels = BTreeMap<String, String>;

/// All clusters, by id.
#[derive(Debug)]
pub struct World {
    /// By id.
    pub clusters: BTreeMap<String, Cluster>,
}

/// What one cluster's API server holds.
#[derive(Debug)]
pub struct Cluster {
    /// Addresses of its nodes, by name.
    pub nodes: BTreeMap<String, BTreeSet<IpAddr>>,
    /// Addresses that are nodes', as its objects tell.
    pub told: BTreeSet<IpAddr>,
    /// Its namespaces, by name.
    pub namespaces: BTreeMap<String, Namespace>,
    /// Its pods.
    pub pods: Vec<Pod>,
    /// Its policies.
    pub policies: Vec<Policy>,
}

/// A namespace.
#[derive(Debug)]
pub struct Namespace {
    /// The cluster that sent it.
    pub cluster: String,
    /// Its name.
    pub name: String,
    /// Its labels, as they are.
    pub labels: Labels,
}

/// A pod.
#[derive(Debug)]
pub struct Pod {
    /// The cluster that sent it.
    pub cluster: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
    /// Where it runs.
    pub node: Option<String>,
    /// Its usable addresses, each once, as they are listed.
    pub addresses: Vec<IpAddr>,
    /// Whether it lists others, too.
    pub lists_unusable: bool,
    /// Whether it uses its node's network.
    pub host_network: bool,
    /// How far it is.
    pub phase: Phase,
    /// Whether it is being deleted.
    pub terminating: bool,
    /// The named ports of what runs in it.
    pub ports: BTreeSet<(String, Transport, u16)>,
    /// Those of what only prepared it.
    pub init_ports: BTreeSet<(String, Transport, u16)>,
}

/// How far a pod is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Its init containers run, or nothing yet.
    Pending,
    /// Running.
    Running,
    /// Succeeded or Failed.
    Finished,
    /// Anything else (I13).
    Unknown,
}

impl World {
    /// Reads the manifests.
    pub fn read(clusters: &ClusterSet) -> Self {
        let read = |(name, cluster): (&String, &crate::worlds::Cluster)| {
            let of_kind = |kind: &'static str| cluster.objects.iter().filter(move |object| object["kind"] == kind);
            let namespaces = of_kind("Namespace").map(|manifest| Namespace::read(name, manifest));
            let cluster = Cluster {
                nodes: cluster.nodes.clone(),
                told: cluster.objects.iter().flat_map(told).collect(),
                namespaces: namespaces
                    .map(|namespace| (namespace.name.clone(), namespace))
                    .collect(),
                pods: of_kind("Pod").map(|manifest| Pod::read(name, manifest)).collect(),
                policies: of_kind("NetworkPolicy").map(Policy::read).collect(),
            };
            (name.clone(), cluster)
        };
        Self {
            clusters: clusters.clusters.iter().map(read).collect(),
        }
    }

    /// Every node.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeName, &BTreeSet<IpAddr>)> {
        self.clusters.iter().flat_map(|(cluster, it)| {
            it.nodes.iter().map(|(name, addresses)| {
                let (cluster, name) = (cluster.clone(), name.clone());
                (NodeName { cluster, name }, addresses)
            })
        })
    }

    /// Every end that traffic can have: each address of each live pod that runs on a node, each node's, and the given
    /// outside addresses. An address of a pod that is not (yet) on a node is as an outside one: nobody enforces for it; one
    /// that is a node's is the node's (I7).
    pub fn ends(&self, outside: &[IpAddr]) -> Vec<End> {
        let mut ends = Vec::new();
        for (cluster, it) in &self.clusters {
            for pod in it.pods.iter().filter(|pod| pod.is_live()) {
                let of_nodes = |address: &&IpAddr| {
                    it.nodes
                        .values()
                        .chain([&it.told])
                        .any(|nodes| nodes.contains(*address))
                };
                let own = pod.addresses.iter().filter(|address| !of_nodes(address));
                ends.extend(own.map(|&address| match &pod.node {
                    Some(node) => End::Pod {
                        node: NodeName {
                            cluster: cluster.clone(),
                            name: node.clone(),
                        },
                        pod: (pod.namespace.clone(), pod.name.clone()),
                        address,
                    },
                    None => End::Address(address),
                }));
            }
        }
        for (node, addresses) in self.nodes() {
            ends.extend(addresses.iter().map(|&address| End::Node {
                node: node.clone(),
                address,
            }));
        }
        ends.extend(outside.iter().copied().map(End::Address));
        ends.sort();
        ends.dedup();
        ends
    }
}

impl Namespace {
    fn read(cluster: &str, manifest: &Value) -> Self {
        Self {
            cluster: cluster.to_owned(),
            name: text(&manifest["metadata"]["name"]),
            labels: labels(manifest),
        }
    }
}

impl Pod {
    fn read(cluster: &str, manifest: &Value) -> Self {
        let (metadata, spec, status) = (&manifest["metadata"], &manifest["spec"], &manifest["status"]);
        let (addresses, lists_unusable) = addresses(&status["podIPs"], &status["podIP"]);
        let (sidecars, init): (Vec<_>, Vec<_>) =
            entries(&spec["initContainers"]).partition(|container| container["restartPolicy"] == "Always");
        Self {
            cluster: cluster.to_owned(),
            namespace: text(&metadata["namespace"]),
            name: text(&metadata["name"]),
            labels: labels(manifest),
            node: spec["nodeName"]
                .as_str()
                .filter(|node| !node.is_empty())
                .map(str::to_owned),
            addresses,
            lists_unusable,
            host_network: spec["hostNetwork"] == true,
            phase: phase(&status["phase"]),
            terminating: !metadata["deletionTimestamp"].is_null(),
            ports: named_ports(entries(&spec["containers"]).chain(sidecars)),
            init_ports: named_ports(init.into_iter()),
        }
    }

    /// S70, S71, S81: it owns its addresses while it has not finished and is not on its node's network.
    pub fn is_live(&self) -> bool {
        !self.host_network && self.phase != Phase::Finished
    }

    /// Whether no policy can tell the two apart.
    pub fn looks_like(&self, other: &Self) -> bool {
        (&self.cluster, &self.namespace, &self.labels, &self.ports)
            == (&other.cluster, &other.namespace, &other.labels, &other.ports)
    }
}

impl Transport {
    /// From Kubernetes' spelling, exactly (P19).
    pub fn read(name: &str) -> Option<Self> {
        match name {
            "TCP" => Some(Self::Tcp),
            "UDP" => Some(Self::Udp),
            "SCTP" => Some(Self::Sctp),
            _ => None,
        }
    }
}

/// Absent is not yet; a word that is not understood is no end (I13).
fn phase(phase: &Value) -> Phase {
    match phase {
        Value::Null => Phase::Pending,
        phase => match phase.as_str() {
            Some("Pending" | "") => Phase::Pending,
            Some("Running") => Phase::Running,
            Some("Succeeded" | "Failed") => Phase::Finished,
            _ => Phase::Unknown,
        },
    }
}

/// I7: what an object tells of nodes' addresses: a Node its own; a pod that has not finished those of the node it runs on,
/// which on the host network are what it calls its own.
fn told(object: &Value) -> Vec<IpAddr> {
    let status = &object["status"];
    if object["kind"] == "Node" {
        let entries = entries(&status["addresses"])
            .filter(|entry| entry["type"] == "InternalIP" || entry["type"] == "ExternalIP");
        return entries
            .filter_map(|entry| entry["address"].as_str()?.parse().ok())
            .collect();
    }
    if object["kind"] != "Pod" || phase(&status["phase"]) == Phase::Finished {
        return Vec::new();
    }
    let (mut told, _) = addresses(&status["hostIPs"], &status["hostIP"]);
    if object["spec"]["hostNetwork"] == true {
        told.extend(addresses(&status["podIPs"], &status["podIP"]).0);
    }
    told
}

/// S92, S93: every usable entry of a list such as `podIPs`; where there is none, the older field (I2). And whether the list
/// has others.
fn addresses(list: &Value, single: &Value) -> (Vec<IpAddr>, bool) {
    let usable = |text: &Value| text.as_str()?.parse().ok().filter(is_usable);
    let listed: Vec<&Value> = entries(list).map(|entry| &entry["ip"]).collect();
    let mut addresses: Vec<IpAddr> = listed.iter().copied().filter_map(usable).collect();
    let lists_unusable = addresses.len() < listed.len();
    if addresses.is_empty() {
        addresses.extend(usable(single));
    }
    let mut seen = BTreeSet::new();
    addresses.retain(|address| seen.insert(*address));
    (addresses, lists_unusable)
}

/// S92, I4.
fn is_usable(address: &IpAddr) -> bool {
    let of_family = match address {
        IpAddr::V4(address) => !address.is_broadcast(),
        IpAddr::V6(address) => address.to_ipv4_mapped().is_none(),
    };
    of_family && !address.is_unspecified() && !address.is_loopback() && !address.is_multicast()
}

/// I16: without protocol it is TCP; what is no port is none.
fn named_ports<'a>(containers: impl Iterator<Item = &'a Value>) -> BTreeSet<(String, Transport, u16)> {
    let ports = containers.flat_map(|container| entries(&container["ports"]));
    let read = |port: &Value| {
        let transport = match &port["protocol"] {
            Value::Null => Transport::Tcp,
            Value::String(name) if name.is_empty() => Transport::Tcp,
            protocol => Transport::read(protocol.as_str()?)?,
        };
        let number = u16::try_from(port["containerPort"].as_u64()?).ok()?;
        let name = port["name"].as_str().filter(|name| !name.is_empty())?;
        (number > 0).then(|| (name.to_owned(), transport, number))
    };
    ports.filter_map(read).collect()
}

fn entries(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn labels(manifest: &Value) -> Labels {
    let labels = manifest["metadata"]["labels"].as_object().into_iter().flatten();
    let texts = labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
    texts.collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
