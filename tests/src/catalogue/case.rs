//! Cases of the catalogue, read from YAML.
//!
//! ```yaml
//! numbers: [S27]                       # what it proves
//! title: NotIn matches a pod without the key.
//! clusters:                            # what its clusters hold beside the pods, namespaces and nodes of its network
//!   a:
//!   - {kind: NetworkPolicy, metadata: {namespace: x, name: p}, spec: {…}}
//! expect: |
//!   * -> a/x/db: refused               # see `expect`; whatever no line speaks of is allowed
//! then:                                # and what becomes of it
//! - title: The policy goes.
//!   gone: {a: [NetworkPolicy x/p]}
//!   expect: ""
//! ```
//!
//! Further fields: `network`, a file of `tests/catalogue/networks` (default `usual`); `probes` (default `[TCP/80]`), each
//! judged over both families unless it says one; `ends`, beside all pods and one outside host of each family; `switches`;
//! `packets: <reason>` where no network can show it. An object of a case is written over the one of its kind, namespace and
//! name: a Pod, Namespace or Node by merge patch (RFC 7386, `null` removes), a NetworkPolicy whole.

use super::expect::{Expectation, Field};
use super::number::Number;
use crate::apiserver::embedded::patch::{self, Kind};
use crate::worlds::{Cluster, ClusterSet};
use anyhow::{Context, Result, bail, ensure};
use enforcer::offline::ends::{End, Probe, Table};
use enforcer::ruleset::Family;
use enforcer::switches::{EgressToLocalNode, Switches};
use proto::selector::{BarePodSelector, ClusterLabelMode};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Hosts outside of every cluster, in every case.
const OUTSIDE: [&str; 2] = ["ip:198.51.100.7", "ip:2001:db8::7"];

/// The network of a case that names none.
const USUAL: &str = "usual";

/// A case.
#[derive(Clone, Debug)]
pub struct Case {
    /// The file it stands in.
    pub file: String,
    /// What it proves; none: it is upstream's.
    pub numbers: Vec<Number>,
    /// What it is about.
    pub title: String,
    /// How it is judged.
    pub switches: Switches,
    /// Why no network can show it; none: one can.
    pub no_packets: Option<String>,
    /// One after the other.
    pub states: Vec<State>,
}

/// What the clusters hold, and what must pass.
#[derive(Clone, Debug)]
pub struct State {
    /// What has happened; empty for the first.
    pub title: String,
    /// The objects.
    pub world: ClusterSet,
    /// Who sends and receives.
    pub ends: Vec<End>,
    /// A table for each probe, each of one family.
    pub expected: Vec<Table>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    numbers: Vec<String>,
    title: String,
    network: Option<String>,
    probes: Option<Vec<String>>,
    #[serde(default)]
    ends: Vec<String>,
    #[serde(default)]
    switches: BTreeMap<String, String>,
    packets: Option<String>,
    #[serde(default)]
    clusters: BTreeMap<String, Vec<Value>>,
    #[serde(default)]
    gone: BTreeMap<String, Vec<String>>,
    expect: String,
    #[serde(default)]
    then: Vec<Happening>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Happening {
    title: String,
    #[serde(default)]
    clusters: BTreeMap<String, Vec<Value>>,
    #[serde(default)]
    gone: BTreeMap<String, Vec<String>>,
    expect: String,
}

/// A folder of cases.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cases {
    /// The catalogue's; each names its numbers.
    Catalogue,
    /// Upstream's; each has the name that it has there.
    Upstream,
}

/// The folder of the catalogue.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("catalogue")
}

/// All cases of a folder, in order of files.
///
/// # Errors
/// If one cannot be understood: the file and the case.
pub fn read_all(of: Cases) -> Result<Vec<Case>> {
    let folder = match of {
        Cases::Catalogue => folder(),
        Cases::Upstream => folder().join("upstream"),
    };
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.retain(|path| path.extension().is_some_and(|end| end == "yaml"));
    files.sort();
    let mut networks = BTreeMap::new();
    let mut cases = Vec::new();
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let documents: Vec<Value> = documents(&file)?;
        for document in documents.into_iter().filter(|document| !document.is_null()) {
            let title = document["title"].as_str().unwrap_or_default().to_owned();
            let case = read(&name, document, &mut networks).with_context(|| format!("{name}: {title:?}"))?;
            ensure!(
                case.numbers.is_empty() == (of == Cases::Upstream),
                "{name}: {title:?}: which numbers?"
            );
            cases.push(case);
        }
    }
    Ok(cases)
}

fn documents(file: &Path) -> Result<Vec<Value>> {
    let text = std::fs::read(file).with_context(|| file.display().to_string())?;
    serde_saphyr::from_slice_multiple(&text).with_context(|| file.display().to_string())
}

fn read(file: &str, document: Value, networks: &mut BTreeMap<String, ClusterSet>) -> Result<Case> {
    let document: Document = serde_json::from_value(document)?;
    let network = document.network.as_deref().unwrap_or(USUAL);
    let mut world = match networks.get(network) {
        Some(world) => world.clone(),
        None => {
            let world = read_network(network)?;
            networks.insert(network.to_owned(), world.clone());
            world
        }
    };
    let probes = probes(document.probes.as_deref().unwrap_or(&["TCP/80".to_owned()]))?;
    let mut states = Vec::new();
    let first = Happening {
        title: String::new(),
        clusters: document.clusters,
        gone: document.gone,
        expect: document.expect,
    };
    for happening in std::iter::once(first).chain(document.then) {
        happen(&mut world, &happening)?;
        let ends = ends(&world, &document.ends)?;
        let field = Field::new(&world, &ends);
        let expectation = Expectation::read(&happening.expect)?;
        states.push(State {
            title: happening.title,
            expected: expectation.tables(&field, &probes)?,
            world: world.clone(),
            ends,
        });
    }
    let numbers = document
        .numbers
        .iter()
        .map(|number| number.parse())
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Case {
        file: file.to_owned(),
        numbers,
        title: document.title,
        switches: switches(&document.switches)?,
        no_packets: document.packets,
        states,
    })
}

/// `clusters` only: each a list of objects.
fn read_network(name: &str) -> Result<ClusterSet> {
    let file = folder().join("networks").join(format!("{name}.yaml"));
    let mut world = ClusterSet {
        clusters: BTreeMap::new(),
    };
    for document in documents(&file)? {
        let clusters: BTreeMap<String, Vec<Value>> =
            serde_json::from_value(document).with_context(|| file.display().to_string())?;
        write(&mut world, &clusters)?;
    }
    Ok(world)
}

fn happen(world: &mut ClusterSet, happening: &Happening) -> Result<()> {
    for (cluster, objects) in &happening.gone {
        if objects.iter().any(|object| object == "all") {
            ensure!(
                world.clusters.remove(cluster).is_some(),
                "there is no cluster {cluster}"
            );
            continue;
        }
        let held = world
            .clusters
            .get_mut(cluster)
            .with_context(|| format!("no cluster {cluster}"))?;
        for object in objects {
            let before = held.objects.len();
            held.objects.retain(|one| title(one) != *object);
            ensure!(held.objects.len() < before, "{cluster} holds no {object}");
        }
    }
    write(world, &happening.clusters)?;
    for cluster in world.clusters.values_mut() {
        cluster.nodes = nodes(&cluster.objects);
    }
    Ok(())
}

fn write(world: &mut ClusterSet, clusters: &BTreeMap<String, Vec<Value>>) -> Result<()> {
    for (name, objects) in clusters {
        let cluster = world.clusters.entry(name.clone()).or_insert_with(|| Cluster {
            nodes: BTreeMap::new(),
            objects: Vec::new(),
        });
        for object in objects {
            write_object(name, &mut cluster.objects, object.clone())?;
        }
        cluster.nodes = nodes(&cluster.objects);
    }
    Ok(())
}

/// As an API server has it: with its version and a UID of its own.
fn write_object(cluster: &str, held: &mut Vec<Value>, mut object: Value) -> Result<()> {
    let api_version = match object["kind"].as_str() {
        Some("NetworkPolicy") => "networking.k8s.io/v1",
        Some("Pod" | "Namespace" | "Node") => "v1",
        _ => bail!("an object of cluster {cluster} is of no kind that a policy sees: {object}"),
    };
    object["apiVersion"] = json!(api_version);
    let name = title(&object);
    let whole = object["kind"] == "NetworkPolicy";
    match held.iter_mut().find(|one| title(one) == name) {
        Some(one) if whole => *one = object,
        Some(one) => patch::apply(Kind::Merge, one, object),
        None => held.push(object),
    }
    let metadata = &mut held
        .iter_mut()
        .find(|one| title(one) == name)
        .expect("it was just written")["metadata"];
    if metadata["uid"].is_null() {
        metadata["uid"] = json!(format!("{cluster} {name}"));
    }
    Ok(())
}

/// `Pod x/web`, `Namespace x`.
fn title(object: &Value) -> String {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
    let kind = object["kind"].as_str().unwrap_or_default();
    match text("namespace") {
        none if none.is_empty() => format!("{kind} {}", text("name")),
        namespace => format!("{kind} {namespace}/{}", text("name")),
    }
}

/// The addresses of a cluster's nodes: of their objects, and of the pods on their networks.
fn nodes(objects: &[Value]) -> BTreeMap<String, BTreeSet<IpAddr>> {
    let mut nodes: BTreeMap<String, BTreeSet<_>> = BTreeMap::new();
    for object in objects {
        let (name, listed, key) = match object["kind"].as_str() {
            Some("Node") => (&object["metadata"]["name"], &object["status"]["addresses"], "address"),
            Some("Pod") if object["spec"]["hostNetwork"] == true => {
                (&object["spec"]["nodeName"], &object["status"]["podIPs"], "ip")
            }
            _ => continue,
        };
        let Some(name) = name.as_str() else { continue };
        let listed = listed.as_array().into_iter().flatten();
        let addresses = listed.filter_map(|entry| entry[key].as_str()?.parse::<IpAddr>().ok());
        nodes.entry(name.to_owned()).or_default().extend(addresses);
    }
    nodes
}

/// All pods by name, then the others.
fn ends(world: &ClusterSet, others: &[String]) -> Result<Vec<End>> {
    let mut pods = BTreeSet::new();
    for (cluster, it) in &world.clusters {
        for object in it.objects.iter().filter(|object| object["kind"] == "Pod") {
            let name = title(object);
            pods.insert(format!("{cluster}/{}", name.trim_start_matches("Pod ")));
        }
    }
    let others = OUTSIDE
        .iter()
        .map(|end| (*end).to_owned())
        .chain(others.iter().cloned());
    Ok(pods
        .into_iter()
        .chain(others)
        .map(|end| end.parse())
        .collect::<Result<_, _>>()?)
}

fn probes(texts: &[String]) -> Result<Vec<Probe>> {
    let mut probes = Vec::new();
    for text in texts {
        let probe: Probe = text.parse()?;
        let families: &[Family] = match &probe.family {
            Some(family) => std::slice::from_ref(family),
            None => &Family::ALL,
        };
        probes.extend(families.iter().map(|&family| Probe {
            family: Some(family),
            ..probe
        }));
    }
    Ok(probes)
}

fn switches(given: &BTreeMap<String, String>) -> Result<Switches> {
    let mut switches = Switches::default();
    for (switch, value) in given {
        let selectors = &mut switches.selectors;
        match (switch.as_str(), value.as_str()) {
            ("bare-pod-selector", "local") => selectors.bare_pod_selector = BarePodSelector::Local,
            ("cluster-label-mode", "literal") => selectors.cluster_label = ClusterLabelMode::Literal,
            ("cluster-label-mode", "assert") => selectors.cluster_label = ClusterLabelMode::Assert,
            ("egress-to-local-node", "policy") => switches.egress_to_local_node = EgressToLocalNode::Policy,
            _ => bail!("{switch}={value} is no switch, or its default"),
        }
    }
    Ok(switches)
}
