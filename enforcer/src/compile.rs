//! Policies, local pods and the mirror → the ruleset of this node.
//!
//! Pure, and a function of its arguments alone: the same state gives a byte-identical [`Ruleset`], whatever path led to
//! it (S120).

use crate::policy::{Policy, PolicyName};
use crate::ruleset::Ruleset;
use proto::mirror::Mirror;
use proto::model::ClusterName;
use proto::observe::Pod;
use proto::selector::Switches;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

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
    /// Who owns which address anywhere.
    pub mirror: &'a Mirror,
    /// What selectors mean.
    pub switches: Switches,
}

/// Compiles the ruleset of a node.
pub fn compile(_world: &World<'_>) -> Ruleset {
    todo!()
}
