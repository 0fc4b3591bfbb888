//! A world: what the API servers of some clusters hold, read as all offline tools read manifests.
//!
//! Objects stay raw, as `kubectl apply` would send them: what is odd in them is for the programs under test. Only what
//! the network needs is looked up here: which pods run where, and which addresses are whose.

use super::address::AddressPlan;
use anyhow::{Result, bail};
use enforcer::offline::clusterset::{Cluster, ClusterSet};
use enforcer::offline::ends::{End, NodeName, PodName};
use enforcer::offline::manifests::{Kind, Manifests, ReadError, parse};
use enforcer::switches::Switches;
use proto::model::ClusterName;
use proto::observe;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;

/// The objects of each cluster, in the order of files and documents.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// By cluster.
    pub clusters: BTreeMap<ClusterName, Vec<Value>>,
}

/// Whose network a pod uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Network {
    /// Its own.
    Pod,
    /// Its node's.
    Host,
}

/// What the network must know of a pod.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pod {
    /// Who it is.
    pub name: PodName,
    /// Where it runs; none: nowhere yet.
    pub node: Option<NodeName>,
    /// The addresses that are its own, as it lists them; none if it has finished (S81).
    pub addresses: Vec<IpAddr>,
    /// Whose network it uses.
    pub network: Network,
    /// The ports its containers say they listen on: protocol and number.
    pub ports: Vec<(String, u16)>,
}

impl World {
    /// Reads `dir`; what cannot be read is left out, and said on stderr.
    ///
    /// # Errors
    /// If there is no cluster in it.
    pub fn read(dir: &Path) -> Result<Self, ReadError> {
        let manifests = Manifests::read(dir)?;
        for complaint in &manifests.complaints {
            eprintln!("lab: {}{complaint}", dir.join("").display());
        }
        let clusters = manifests.clusters.into_iter().map(|(name, objects)| {
            let raw = objects.iter().map(|object| object.raw.clone());
            (name, raw.collect())
        });
        Ok(Self {
            clusters: clusters.collect(),
        })
    }

    /// The clusters as the offline tools have them.
    pub fn clusterset(&self, switches: Switches) -> ClusterSet {
        let mut manifests = Manifests::default();
        for (cluster, objects) in &self.clusters {
            let text = json!({"kind": "List", "items": objects}).to_string();
            let parsed = parse::file(cluster, Path::new(cluster.as_str()).into(), text.as_bytes());
            manifests.complaints.extend(parsed.complaints);
            let objects = parse::once(cluster, parsed.objects, &mut manifests.complaints);
            manifests.clusters.insert(cluster.clone(), objects);
        }
        ClusterSet::new(&manifests, switches)
    }

    /// This world once the lab's network stands: the addresses that it gives to nodes are in their objects, as a kubelet
    /// would report them.
    #[must_use]
    pub fn on(&self, plan: &AddressPlan) -> Self {
        let mut world = self.clone();
        for (name, node) in &plan.nodes {
            let objects = world.clusters.entry(name.cluster.clone()).or_default();
            let is_it = |object: &&mut Value| object["kind"] == "Node" && object["metadata"]["name"] == name.name;
            let given = [node.v4.into(), node.v6.into()]
                .map(|address: IpAddr| json!({"type": "InternalIP", "address": address}));
            match objects.iter_mut().find(is_it) {
                Some(object) => match object["status"]["addresses"].as_array_mut() {
                    Some(addresses) => addresses.extend(given),
                    None => object["status"]["addresses"] = json!(given),
                },
                None => objects.push(json!({
                    "apiVersion": "v1", "kind": "Node", "metadata": {"name": name.name},
                    "status": {"addresses": given},
                })),
            }
        }
        world
    }

    /// All pods, sorted by name.
    pub fn pods(&self) -> Vec<Pod> {
        let set = self.clusterset(Switches::default());
        let pods = set.clusters().flat_map(|cluster| {
            let set = &set;
            cluster.pods().map(move |pod| self::pod(set, cluster, pod))
        });
        let mut pods: Vec<Pod> = pods.collect();
        pods.sort_by(|a, b| a.name.cmp(&b.name));
        pods
    }

    /// All pods as ends, sorted.
    pub fn ends(&self) -> Vec<End> {
        self.clusterset(Switches::default()).ends()
    }

    /// All nodes, those without a Node object included, and the addresses that manifests give them.
    pub fn nodes(&self) -> BTreeMap<NodeName, BTreeSet<IpAddr>> {
        let set = self.clusterset(Switches::default());
        set.nodes().map(|(name, node)| (name, node.addresses.clone())).collect()
    }
}

/// The objects in the text of a file that comes with the program.
///
/// # Errors
/// If there is anything odd in it.
pub fn parse_manifest(cluster: &ClusterName, file: &str, text: &str) -> Result<Vec<Value>> {
    let parsed = parse::file(cluster, Path::new(file).into(), text.as_bytes());
    if let Some(complaint) = parsed.complaints.first() {
        bail!("{complaint}");
    }
    Ok(parsed.objects.into_iter().map(|object| object.raw).collect())
}

fn pod(set: &ClusterSet, cluster: &Cluster, pod: &observe::Pod) -> Pod {
    let name = cluster.pod_name(pod);
    let object = cluster.object(Kind::Pod, &pod.namespace, &pod.name);
    Pod {
        node: pod.node.as_deref().map(|node| cluster.node_name(node)),
        addresses: set.addresses(&name),
        network: if pod.host_network { Network::Host } else { Network::Pod },
        ports: object
            .map(|object| container_ports(&object.raw["spec"]))
            .unwrap_or_default(),
        name,
    }
}

fn container_ports(spec: &Value) -> Vec<(String, u16)> {
    let containers = spec["containers"].as_array().into_iter().flatten();
    let ports = containers.flat_map(|container| container["ports"].as_array().into_iter().flatten());
    let port = |port: &Value| {
        let number = u16::try_from(port["containerPort"].as_u64()?).ok()?;
        Some((port["protocol"].as_str().unwrap_or("TCP").to_owned(), number))
    };
    ports.filter_map(port).collect()
}

#[cfg(test)]
mod tests;
