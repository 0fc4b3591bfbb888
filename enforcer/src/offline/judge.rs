//! The verdict on one connection: what the rulesets of the nodes that it crosses do with it.
//!
//! Pure. Compiles the ruleset of each node as its enforcer would, and walks it with [`crate::interpret`]. For all
//! connections between many ends there is [`super::tables`].

pub use super::connection::{Connection, Crossing, Hook, Party, Whose};

use super::clusterset::ClusterSet;
use super::ends::{End, NodeName, Probe, Verdict};
use crate::interpret::{self, Packet};
use crate::ruleset::Ruleset;
use std::collections::BTreeMap;

/// Judges connections between ends of a ClusterSet.
#[derive(Debug)]
pub struct Judge<'a> {
    set: &'a ClusterSet,
    rulesets: BTreeMap<NodeName, Ruleset>,
}

impl<'a> Judge<'a> {
    /// Compiles the rulesets of all nodes.
    pub fn new(set: &'a ClusterSet) -> Self {
        let rulesets = set
            .nodes()
            .filter_map(|(name, _)| Some((name.clone(), set.ruleset(&name)?)))
            .collect();
        Self { set, rulesets }
    }

    /// The connection that a probe opens; `None`: there is no such traffic.
    pub fn connection(&self, from: &End, to: &End, probe: Probe) -> Option<Connection> {
        Connection::new(self.set, from, to, probe)
    }

    /// What becomes of a probe.
    pub fn verdict(&self, from: &End, to: &End, probe: Probe) -> Verdict {
        match self.connection(from, to, probe) {
            None => Verdict::Absent,
            Some(connection) if self.passes(&connection) => Verdict::Allowed,
            Some(_) => Verdict::Refused,
        }
    }

    /// Whether every node that a connection crosses lets it pass.
    pub fn passes(&self, connection: &Connection) -> bool {
        connection.crossed.iter().all(|Crossing { node, hook }| {
            let ruleset = self.rulesets.get(node);
            ruleset.is_none_or(|ruleset| passes(ruleset, *hook, &connection.packet))
        })
    }

    /// The ruleset of a node.
    pub fn ruleset(&self, node: &NodeName) -> Option<&Ruleset> {
        self.rulesets.get(node)
    }
}

/// Whether a node with this ruleset lets a packet pass.
pub(super) fn passes(ruleset: &Ruleset, hook: Hook, packet: &Packet) -> bool {
    match hook {
        Hook::Forward => interpret::passes(ruleset, packet),
        Hook::Input => interpret::reaches_node(ruleset, packet),
    }
}
