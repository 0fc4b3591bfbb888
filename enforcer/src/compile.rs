//! Policies, local pods and the mirror → the ruleset of this node.
//!
//! Pure, and a function of its arguments alone: the same state gives a byte-identical [`Ruleset`], whatever path led to
//! it (S120).
//!
//! Each part is a module: whose the local addresses are, and which policies select their pods (`subjects`); the chains
//! that lead a packet from the hook to a policy's rules (`chains`); what these are in netfilter's words (`rules`), who
//! their peers are (`peers`); the sets that they ask for, with their members (`sets`); and what checks that packets from
//! pods' links are theirs (`sources`).

mod chains;
mod peers;
mod rules;
mod sets;
mod sources;
pub(crate) mod subjects;

pub(crate) use rules::resolve;

use crate::links::Links;
use crate::policy::{Policy, PolicyName};
use crate::ruleset::{Family, Ruleset, TableFamily};
use crate::switches::Switches;
use chains::Chains;
use proto::mirror::Mirror;
use proto::model::ClusterName;
use proto::observe::Pod;
use sets::Sets;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use subjects::Subjects;

/// All that decides the ruleset of a node.
#[derive(Clone, Copy, Debug)]
pub struct World<'a> {
    /// The node's cluster.
    pub cluster: &'a ClusterName,
    /// The policies of that cluster.
    pub policies: &'a BTreeMap<PolicyName, Arc<Policy>>,
    /// The pods of the node. Those that are not live are no subjects.
    pub pods: &'a [Arc<Pod>],
    /// The node's own addresses: never a subject's, or the node itself is filtered (I7).
    pub node_addresses: &'a BTreeSet<IpAddr>,
    /// The node's links that pods may hang on; none known: no packet's source is checked.
    pub links: &'a Links,
    /// Who owns which address anywhere.
    pub mirror: &'a Mirror,
    /// What is decided where NetworkPolicy leaves a choice.
    pub switches: Switches,
}

/// Compiles the ruleset of a node. Tables, base chains and dispatch maps are there even if nobody is isolated.
pub fn compile(world: &World<'_>) -> Ruleset {
    let subjects = Subjects::of(world);
    let mut sets = Sets::new(world);
    let tables = Family::ALL.map(|family| {
        let mut chains = Chains::new(family, &mut sets);
        for (address, owners) in subjects.addresses(family) {
            chains.isolate(address, &owners, &subjects.itself(address));
        }
        (TableFamily::of(family), chains.finish())
    });
    let mut tables = BTreeMap::from(tables);
    let sets = sets.fill(&tables);
    sources::check(&mut tables, world.links, &subjects);
    Ruleset { sets, tables }
}

#[cfg(test)]
mod tests;
