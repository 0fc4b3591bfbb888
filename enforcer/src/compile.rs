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
use crate::ruleset::{Direction, Family, Ruleset, TableFamily};
use crate::switches::Switches;
use chains::Chains;
pub use chains::MAX_SHARED_RULES;
use ipnet::IpNet;
use proto::mirror::Mirror;
use proto::model::ClusterName;
use proto::observe::Pod;
use sets::Sets;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
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
    /// The ranges that the node's pods have their addresses from: what no live pod of the node has of them is let through
    /// in neither direction (S122). None: unknown addresses pass.
    pub held: &'a BTreeSet<IpNet>,
    /// Who owns which address anywhere.
    pub mirror: &'a Mirror,
    /// What is decided where NetworkPolicy leaves a choice.
    pub switches: Switches,
}

/// [`World::held`] where unknown addresses pass.
pub static NONE_HELD: BTreeSet<IpNet> = BTreeSet::new();

/// What a world compiles to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Compiled {
    /// The ruleset of the node.
    pub ruleset: Ruleset,
    /// What admits nothing because the policies of the pods that claim an address at once combine in too many ways.
    pub cut: BTreeSet<Cut>,
}

/// An address that several pods claim at once and that admits nothing in a direction: more than [`MAX_SHARED_RULES`] rules
/// would say what all of their policies admit (I5, P25).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Cut {
    /// The address.
    pub address: IpAddr,
    /// The direction.
    pub direction: Direction,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "several pods of this node claim {} at once, and their policies combine into more than {MAX_SHARED_RULES} \
             rules: {} of the address admits nothing; end all claims but one",
            self.address, self.direction
        )
    }
}

/// Compiles the ruleset of a node. Tables, base chains and dispatch maps are there even if nobody is isolated.
pub fn compile(world: &World<'_>) -> Ruleset {
    compile_and_tell(world).ruleset
}

/// Compiles the ruleset of a node, and tells what of it is cut.
pub fn compile_and_tell(world: &World<'_>) -> Compiled {
    let subjects = Subjects::of(world);
    let mut sets = Sets::new(world);
    let mut cut = BTreeSet::new();
    let tables = Family::ALL.map(|family| {
        let mut chains = Chains::new(family, &mut sets);
        for (address, owners) in subjects.addresses(family) {
            chains.isolate(address, &owners, &subjects.itself(address));
        }
        let (table, cut_here) = chains.finish();
        cut.extend(cut_here);
        (TableFamily::of(family), table)
    });
    let mut tables = BTreeMap::from(tables);
    let sets = sets.fill(&tables);
    sources::check(&mut tables, world.links, &subjects);
    Compiled {
        ruleset: Ruleset { sets, tables },
        cut,
    }
}

#[cfg(test)]
mod tests;
