//! The rules of a world in its nodes' kernels, without API servers, hub and enforcers.
//!
//! By the enforcer's own code, as enforcers that know everything would have it: for tests of rules by packets, and of
//! the network. How knowledge gets to a node is no part of it.

use super::address::AddressPlan;
use super::fabric::Fabric;
use super::world::{NodeName, World};
use anyhow::{Context, Result};
use enforcer::compile::{self, compile};
use enforcer::kernel::Kernel;
use enforcer::plan::{Sweep, plan};
use enforcer::policy::{NetworkPolicy, Policy, PolicyName, parse};
use enforcer::ruleset::Ruleset;
use enforcer::switches::Switches;
use proto::mirror::Mirror;
use proto::model::{ClusterName, NAME_LABEL};
use proto::observe::{Namespace, Pod};
use proto::pods::{self, Pods};
use proto::watch::Event;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Compiles the ruleset of every node.
///
/// # Errors
/// If an object has no name.
pub fn rulesets(world: &World, plan: &AddressPlan, switches: Switches) -> Result<BTreeMap<NodeName, Ruleset>> {
    let mut pods = BTreeMap::new();
    for (cluster, objects) in &world.clusters {
        let mut of_cluster = Pods::default();
        of_cluster.apply(Event::Synced(decode::<Pod>(objects, "Pod")?));
        pods.insert(cluster, of_cluster);
    }
    let mut rulesets = BTreeMap::new();
    for (cluster, objects) in &world.clusters {
        let policies = policies(objects);
        let mut mirror = Mirror::new(cluster.clone());
        for (other, objects) in &world.clusters {
            mirror.set_part(other, Some(pods::part(other, &pods[other], &namespaces(objects)?)));
        }
        for (name, node) in plan.nodes.iter().filter(|(name, _)| name.cluster == *cluster) {
            let on_node = |pod: &&Arc<Pod>| pod.node.as_deref() == Some(name.name.as_str());
            let compiled = compile(&compile::World {
                cluster,
                policies: &policies,
                pods: &pods[cluster].iter().filter(on_node).cloned().collect::<Vec<_>>(),
                node_addresses: &node.addresses().collect(),
                mirror: &mirror,
                switches,
            });
            rulesets.insert(name.clone(), compiled);
        }
    }
    Ok(rulesets)
}

/// Makes every node's kernel hold its ruleset, by the difference to what it holds.
///
/// # Errors
/// If a kernel refuses.
pub fn enforce(fabric: &Fabric, rulesets: &BTreeMap<NodeName, Ruleset>) -> Result<()> {
    for (name, ruleset) in rulesets {
        let node = fabric
            .node(name)
            .with_context(|| format!("no node {name} in this network"))?;
        let applied = node.netns().run(|| -> Result<()> {
            let mut kernel = Kernel::open()?;
            let plan = plan(ruleset, &kernel.read()?, Sweep::All);
            kernel.apply(&plan)?;
            Ok(())
        });
        applied?.with_context(|| format!("node {name}"))?;
    }
    Ok(())
}

fn decode<K: proto::observe::Observe>(objects: &[Value], kind: &str) -> Result<Vec<K>> {
    let of_kind = objects.iter().filter(|object| object["kind"] == kind);
    Ok(of_kind
        .map(|object| serde_json::from_value(object.clone()))
        .collect::<Result<_, _>>()?)
}

/// With the label that an API server gives to each, and those that pods are in although no object makes them.
fn namespaces(objects: &[Value]) -> Result<Vec<Namespace>> {
    let mut namespaces: BTreeMap<Arc<str>, Namespace> = decode::<Namespace>(objects, "Namespace")?
        .into_iter()
        .map(|one| (one.name.clone(), one))
        .collect();
    let used: BTreeSet<Arc<str>> = decode::<Pod>(objects, "Pod")?
        .into_iter()
        .map(|pod| pod.namespace)
        .collect();
    for name in used {
        namespaces.entry(name.clone()).or_insert_with(|| Namespace {
            uid: name.clone(),
            name,
            labels: Arc::default(),
            rejected: Vec::new(),
        });
    }
    for namespace in namespaces.values_mut() {
        let mut labels = (*namespace.labels).clone();
        labels.insert(NAME_LABEL.into(), namespace.name.clone());
        namespace.labels = labels.into();
    }
    Ok(namespaces.into_values().collect())
}

fn policies(objects: &[Value]) -> BTreeMap<PolicyName, Arc<Policy>> {
    let policy = |object: &Value| {
        let metadata = &object["metadata"];
        let name = PolicyName {
            namespace: metadata["namespace"].as_str().unwrap_or("default").into(),
            name: metadata["name"].as_str().unwrap_or_default().into(),
        };
        let raw = NetworkPolicy {
            name: name.clone(),
            uid: "".into(),
            generation: 1,
            spec: object["spec"].clone(),
        };
        (name, Arc::new(parse(&raw)))
    };
    objects
        .iter()
        .filter(|object| object["kind"] == "NetworkPolicy")
        .map(policy)
        .collect()
}

/// A world with other objects in it: those of the same kind, namespace and name are replaced.
pub fn with_objects(world: &World, objects: &[(ClusterName, Value)]) -> World {
    let key =
        |object: &Value| ["/kind", "/metadata/namespace", "/metadata/name"].map(|path| object.pointer(path).cloned());
    let mut world = world.clone();
    for (cluster, object) in objects {
        let held = world.clusters.entry(cluster.clone()).or_default();
        held.retain(|one| key(one) != key(object));
        held.push(object.clone());
    }
    world
}
