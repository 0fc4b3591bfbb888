//! The rules of a world in its nodes' kernels, without API servers, hub and enforcers.
//!
//! By the enforcer's own code, as enforcers that know everything would have it: for tests of rules by packets, and of
//! the network. How knowledge gets to a node is no part of it.

use super::address::AddressPlan;
use super::fabric::Fabric;
use super::world::World;
use anyhow::{Context, Result};
use enforcer::kernel::Kernel;
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
