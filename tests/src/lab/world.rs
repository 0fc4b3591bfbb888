//! A world: what the API servers of some clusters hold, read from manifests `DIR/<cluster id>/*.{yaml,yml,json}`.
//!
//! Objects stay raw, as `kubectl apply` would send them: what is odd in them is for the programs under test. Only what
//! the network needs is read here: which pods run where, and their addresses.

use proto::model::ClusterName;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// The objects of each cluster, in the order of files and documents.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// By cluster.
    pub clusters: BTreeMap<ClusterName, Vec<Value>>,
}

/// Why a folder is no world. Each names the file.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A file or folder cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is neither YAML nor JSON.
    #[error("{}: {reason}", path.display())]
    Syntax {
        /// Which.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// A document is no Kubernetes object.
    #[error("{}, document {document}: no {field}, so this is no Kubernetes object", path.display())]
    NoObject {
        /// The file.
        path: PathBuf,
        /// Which of it, from 1.
        document: usize,
        /// The field that is missing.
        field: &'static str,
    },
    /// A folder's name is no cluster id.
    #[error("{}: {source}", path.display())]
    Cluster {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: proto::model::InvalidClusterName,
    },
    /// There is nothing to run.
    #[error("{}: no folders; expected one for each cluster, named by its id, with manifests in it", .0.display())]
    Empty(PathBuf),
}

/// A node, as `cluster/node`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeName {
    /// Its cluster.
    pub cluster: ClusterName,
    /// Its name there.
    pub name: String,
}

/// A pod, as `cluster/namespace/pod`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PodName {
    /// Its cluster.
    pub cluster: ClusterName,
    /// Its namespace there.
    pub namespace: String,
    /// Its name there.
    pub name: String,
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
    /// Its addresses that are addresses, each once; none if it has finished (S81).
    pub addresses: Vec<IpAddr>,
    /// Whose network it uses.
    pub network: Network,
    /// The ports its containers say they listen on: protocol and number.
    pub ports: Vec<(String, u16)>,
}

impl World {
    /// Reads `dir`. Files and folders whose names begin with a dot, and files of other kinds, are passed over.
    ///
    /// # Errors
    /// If anything in it cannot be read: half a world would prove nothing.
    pub fn read(dir: &Path) -> Result<Self, ReadError> {
        let mut clusters = BTreeMap::new();
        for folder in entries(dir)?.into_iter().filter(|path| path.is_dir()) {
            let cluster = ClusterName::new(&file_name(&folder)).map_err(|source| ReadError::Cluster {
                path: folder.clone(),
                source,
            })?;
            let mut objects = Vec::new();
            for file in entries(&folder)?.into_iter().filter(|path| is_manifest(path)) {
                objects.extend(read_manifest(&file)?);
            }
            clusters.insert(cluster, objects);
        }
        if clusters.is_empty() {
            return Err(ReadError::Empty(dir.to_owned()));
        }
        Ok(Self { clusters })
    }

    /// All pods, sorted by name.
    pub fn pods(&self) -> Vec<Pod> {
        let mut pods: Vec<Pod> = self
            .clusters
            .iter()
            .flat_map(|(cluster, objects)| objects.iter().filter_map(|object| pod(cluster, object)))
            .collect();
        pods.sort_by(|a, b| a.name.cmp(&b.name));
        pods.dedup_by(|later, earlier| later.name == earlier.name);
        pods
    }

    /// All nodes, those without a Node object included, and the addresses that their objects give them.
    pub fn nodes(&self) -> BTreeMap<NodeName, BTreeSet<IpAddr>> {
        let mut nodes: BTreeMap<NodeName, BTreeSet<IpAddr>> = BTreeMap::new();
        for (cluster, object) in self
            .clusters
            .iter()
            .flat_map(|(cluster, all)| all.iter().map(move |one| (cluster, one)))
        {
            if object["kind"] == "Node" {
                let name = text(&object["metadata"]["name"]).to_owned();
                nodes
                    .entry(NodeName {
                        cluster: cluster.clone(),
                        name,
                    })
                    .or_default()
                    .extend(internal_addresses(object));
            }
        }
        for pod in self.pods() {
            if let Some(node) = pod.node {
                let addresses = nodes.entry(node).or_default();
                if pod.network == Network::Host {
                    addresses.extend(pod.addresses);
                }
            }
        }
        nodes
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.cluster, self.name)
    }
}

impl fmt::Display for PodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.cluster, self.namespace, self.name)
    }
}

/// The objects of one file: documents, and the items of lists among them. Empty documents are none.
///
/// # Errors
/// If a document is no object of Kubernetes.
pub fn read_manifest(path: &Path) -> Result<Vec<Value>, ReadError> {
    let bytes = std::fs::read(path).map_err(|source| ReadError::Io {
        path: path.to_owned(),
        source,
    })?;
    parse_manifest(path, &bytes)
}

/// The same from the text of a file that is called `path`.
///
/// # Errors
/// If a document is no object of Kubernetes.
pub fn parse_manifest(path: impl AsRef<Path>, bytes: &[u8]) -> Result<Vec<Value>, ReadError> {
    let path = path.as_ref();
    let documents: Vec<Value> = serde_saphyr::from_slice_multiple(bytes).map_err(|error| ReadError::Syntax {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    let mut objects = Vec::new();
    for (number, document) in (1..).zip(documents) {
        let missing = |field| ReadError::NoObject {
            path: path.to_owned(),
            document: number,
            field,
        };
        for object in unpack(document) {
            if text(&object["kind"]).is_empty() {
                return Err(missing("kind"));
            }
            if text(&object["metadata"]["name"]).is_empty() {
                return Err(missing("metadata.name"));
            }
            objects.push(object);
        }
    }
    Ok(objects)
}

/// A list's items inherit its kind, as `kubectl get pods -o yaml` does not need but the API's own lists do.
fn unpack(mut document: Value) -> Vec<Value> {
    if document.is_null() {
        return Vec::new();
    }
    let item_kind = text(&document["kind"]).strip_suffix("List").map(str::to_owned);
    let (Some(kind), Some(items)) = (
        item_kind,
        document
            .get_mut("items")
            .and_then(Value::as_array_mut)
            .map(std::mem::take),
    ) else {
        return vec![document];
    };
    let api_version = document["apiVersion"].clone();
    items
        .into_iter()
        .map(|mut item| {
            if !kind.is_empty() && item.is_object() && item["kind"].is_null() {
                item["kind"] = kind.clone().into();
                item["apiVersion"] = api_version.clone();
            }
            item
        })
        .collect()
}

fn pod(cluster: &ClusterName, object: &Value) -> Option<Pod> {
    if object["kind"] != "Pod" {
        return None;
    }
    let (metadata, spec, status) = (&object["metadata"], &object["spec"], &object["status"]);
    let namespace = if metadata["namespace"].is_null() {
        "default"
    } else {
        text(&metadata["namespace"])
    };
    let finished = status["phase"] == "Succeeded" || status["phase"] == "Failed";
    let node = text(&spec["nodeName"]);
    Some(Pod {
        name: PodName {
            cluster: cluster.clone(),
            namespace: namespace.to_owned(),
            name: text(&metadata["name"]).to_owned(),
        },
        node: (!node.is_empty()).then(|| NodeName {
            cluster: cluster.clone(),
            name: node.to_owned(),
        }),
        addresses: if finished { Vec::new() } else { pod_addresses(status) },
        ports: container_ports(spec),
        network: if spec["hostNetwork"] == true {
            Network::Host
        } else {
            Network::Pod
        },
    })
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

fn pod_addresses(status: &Value) -> Vec<IpAddr> {
    let listed = status["podIPs"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|entry| &entry["ip"]);
    let mut addresses = Vec::new();
    for address in listed
        .chain([&status["podIP"]])
        .filter_map(|value| text(value).parse().ok())
    {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

fn internal_addresses(node: &Value) -> impl Iterator<Item = IpAddr> {
    let addresses = node["status"]["addresses"].as_array().into_iter().flatten();
    addresses
        .filter(|entry| entry["type"] == "InternalIP")
        .filter_map(|entry| text(&entry["address"]).parse().ok())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn is_manifest(path: &Path) -> bool {
    path.is_file()
        && path
            .extension()
            .is_some_and(|end| end == "yaml" || end == "yml" || end == "json")
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What a folder holds, sorted, less what is hidden.
fn entries(dir: &Path) -> Result<Vec<PathBuf>, ReadError> {
    let failed = |source| ReadError::Io {
        path: dir.to_owned(),
        source,
    };
    let mut paths = std::fs::read_dir(dir)
        .map_err(failed)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed)?;
    paths.retain(|path| !file_name(path).starts_with('.'));
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests;
