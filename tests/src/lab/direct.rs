//! The rules of a world in its nodes' kernels, without API servers, hub and enforcers.
//!
//! By the enforcer's own code, as enforcers that know everything would have it: for tests of rules by packets, and of
//! the network. How knowledge gets to a node is no part of it.

use super::address::AddressPlan;
use super::fabric::Fabric;
use super::netns;
use super::station::Station;
use super::world::World;
use anyhow::{Context, Result};
use enforcer::compile::{self, compile};
use enforcer::kernel::Kernel;
use enforcer::links::Links;
use enforcer::offline::ends::NodeName;
use enforcer::plan::{Sweep, plan};
use enforcer::ruleset::Ruleset;
use enforcer::switches::Switches;
use proto::model::ClusterName;
use serde_json::Value;
use std::collections::BTreeMap;

/// Compiles the ruleset of every node.
pub fn rulesets(world: &World, plan: &AddressPlan, switches: Switches) -> BTreeMap<NodeName, Ruleset> {
    let set = world.on(plan).clusterset(switches);
    let ruleset = |name: &NodeName| {
        (
            name.clone(),
            set.ruleset(name).expect("every node of the plan has an object"),
        )
    };
    plan.nodes.keys().map(ruleset).collect()
}

/// The same for nodes that know their links, as these are: sources are checked.
///
/// # Errors
/// If a node's kernel does not tell its links.
pub fn rulesets_with_links(world: &World, fabric: &Fabric, switches: Switches) -> Result<BTreeMap<NodeName, Ruleset>> {
    let set = world.on(fabric.plan()).clusterset(switches);
    let mut rulesets = BTreeMap::new();
    for name in fabric.plan().nodes.keys() {
        let links = links(fabric, name).with_context(|| format!("node {name}"))?;
        let world = set.world(name).expect("every node of the plan has an object");
        rulesets.insert(name.clone(), compile(&compile::World { links: &links, ..world }));
    }
    Ok(rulesets)
}

/// A node's links, as its enforcer follows them.
fn links(fabric: &Fabric, name: &NodeName) -> Result<Links> {
    let list = || netns::block_on(enforcer::node::list_links());
    Ok(station(fabric, name)?.netns().run(list)??)
}

/// Makes every node's kernel hold its ruleset, by the difference to what it holds.
///
/// # Errors
/// If a kernel refuses.
pub fn enforce(fabric: &Fabric, rulesets: &BTreeMap<NodeName, Ruleset>) -> Result<()> {
    for (name, ruleset) in rulesets {
        let applied = station(fabric, name)?.netns().run(|| -> Result<()> {
            let mut kernel = Kernel::open()?;
            let plan = plan(ruleset, &kernel.read()?, Sweep::All);
            kernel.apply(&plan)?;
            Ok(())
        });
        applied?.with_context(|| format!("node {name}"))?;
    }
    Ok(())
}

fn station<'a>(fabric: &'a Fabric, name: &NodeName) -> Result<&'a Station> {
    fabric
        .node(name)
        .with_context(|| format!("no node {name} in this network"))
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
