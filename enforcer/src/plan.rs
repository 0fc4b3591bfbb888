//! Desired − actual, both ways: what to tell the kernel, and in which order.
//!
//! Pure. A plan is the difference of two values; it never flushes what stays, and every state the kernel passes through
//! admits only what the state before or after it admits (dataplane.md, section 8).

use crate::ruleset::{ChainName, Direction, Element, Family, Rule, Ruleset, Set, SetName};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What the kernel holds of ours. Rules are known by their tags (a hash of their text kept in the rule's userdata).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Actual {
    /// Our ipsets.
    pub sets: BTreeMap<SetName, Set>,
    /// Our tables.
    pub tables: BTreeMap<Family, ActualTable>,
}

/// A table of ours in the kernel.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ActualTable {
    /// The tag of each rule of each chain, in order. A rule without a tag of ours has an empty one.
    pub chains: BTreeMap<ChainName, Vec<String>>,
    /// The dispatch maps that exist, with their elements.
    pub dispatch: BTreeMap<Direction, BTreeMap<IpAddr, ChainName>>,
}

impl Actual {
    /// What the kernel holds once it enforces exactly this.
    pub fn of(_ruleset: &Ruleset) -> Self {
        todo!()
    }
}

/// Which members may be taken out of sets that stay, and which sets may go.
#[derive(Clone, Copy)]
pub enum Sweep<'a> {
    /// All that is not desired.
    All,
    /// Only members whose address somebody is known to own; sets that lose their last rule go all the same. While a
    /// cluster is not synced, what is not known may still be true.
    Known(&'a dyn Fn(IpAddr) -> bool),
}

/// What to tell the kernel, in this order. Empty: nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// Sets to create, with their members.
    pub create: BTreeMap<SetName, Set>,
    /// Members to add to sets that exist.
    pub add: BTreeMap<SetName, BTreeSet<Element>>,
    /// One nf_tables transaction.
    pub transaction: Vec<TableChange>,
    /// Members to take out of sets that stay.
    pub remove: BTreeMap<SetName, BTreeSet<Element>>,
    /// Sets to destroy, after the last rule that refers to them is gone.
    pub destroy: BTreeSet<SetName>,
}

/// A step of an nf_tables transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TableChange {
    /// Create the table, with its dispatch maps.
    CreateTable(Family),
    /// Create an empty chain; a base chain if its name is a direction's.
    CreateChain(Family, ChainName),
    /// Replace all rules of a chain.
    SetRules(Family, ChainName, Vec<Rule>),
    /// Dispatch an address to a chain.
    AddDispatch(Family, Direction, IpAddr, ChainName),
    /// Dispatch an address no more.
    RemoveDispatch(Family, Direction, IpAddr, ChainName),
    /// Delete a chain.
    DeleteChain(Family, ChainName),
    /// Delete the table, with everything in it.
    DeleteTable(Family),
}

/// The difference between what should be and what is.
pub fn plan(_desired: &Ruleset, _actual: &Actual, _sweep: Sweep<'_>) -> Plan {
    todo!()
}
