//! Desired − actual, both ways: what to tell the kernel, and in which order.
//!
//! Pure. A plan is the difference of two values; it never flushes what stays, and every state the kernel passes through
//! admits only what the state before or after it admits.
//!
//! A table for IP packets that is not desired stays as it is; only `cleanup` deletes those. The one of bridges goes where
//! no pod hangs on a bridge any more: its policy is accept, and there is nothing left to check. A set whose name is taken by one of another
//! kind or family (names say what a set means, so it is none of ours) is planned as a set to create: the kernel module
//! replaces what is in the way as long as no rule refers to it, and otherwise says so and leaves everything as it was.

use crate::ruleset::{
    ChainName, CounterName, Direction, Element, Key, Rule, Ruleset, Set, SetName, Table, TableFamily, TableSet,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

#[cfg(test)]
mod tests;

/// What the kernel holds of ours. Rules are known by their tags (a hash of their text kept in the rule's userdata).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Actual {
    /// Our ipsets.
    pub sets: BTreeMap<SetName, Set>,
    /// Our tables.
    pub tables: BTreeMap<TableFamily, ActualTable>,
}

/// A table of ours in the kernel.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ActualTable {
    /// The tag of each rule of each chain, in order. A rule without a tag of ours has an empty one.
    pub chains: BTreeMap<ChainName, Vec<String>>,
    /// The dispatch maps that exist, with their elements.
    pub dispatch: BTreeMap<Direction, BTreeMap<IpAddr, ChainName>>,
    /// The sets of its own that exist, with their members.
    pub sets: BTreeMap<TableSet, BTreeSet<Key>>,
    /// The counters that exist, whatever they have counted.
    pub counters: BTreeSet<CounterName>,
}

impl Actual {
    /// What the kernel holds once it enforces exactly this.
    pub fn of(ruleset: &Ruleset) -> Self {
        let tables = ruleset
            .tables
            .iter()
            .map(|(family, table)| (*family, ActualTable::of(*family, table)));
        Self {
            sets: ruleset.sets.clone(),
            tables: tables.collect(),
        }
    }

    /// The addresses in all sets, blocks aside.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let members = self.sets.values().flat_map(|set| &set.members);
        members.filter_map(|member| match member {
            Element::Address(address) | Element::Port(address, _, _) => Some(*address),
            Element::Block { .. } => None,
        })
    }

    /// What the kernel holds after a plan for it. `left` are sets of [`Plan::destroy`] that are still there.
    ///
    /// # Panics
    ///
    /// If the plan is for another state, and changes the members of a set that is not there.
    pub fn after(mut self, plan: &Plan, left: &BTreeSet<SetName>) -> Self {
        self.sets
            .extend(plan.create.iter().map(|(name, set)| (name.clone(), set.clone())));
        for (name, elements) in &plan.add {
            let members = &mut self
                .sets
                .get_mut(name)
                .expect("members are added to sets that exist")
                .members;
            for element in elements {
                if let Some(twin) = twin(*element) {
                    members.remove(&twin);
                }
                members.insert(*element);
            }
        }
        for change in &plan.transaction {
            if let TableChange::DeleteTable(family) = change {
                self.tables.remove(family);
            } else {
                self.tables.entry(change.family()).or_default().change(change);
            }
        }
        for (name, elements) in &plan.remove {
            let members = &mut self
                .sets
                .get_mut(name)
                .expect("members are taken out of sets that exist")
                .members;
            members.retain(|member| !elements.contains(member));
        }
        self.sets
            .retain(|name, _| !plan.destroy.contains(name) || left.contains(name));
        self
    }
}

impl ActualTable {
    fn of(family: TableFamily, table: &Table) -> Self {
        let dispatch = |direction: &Direction| (*direction, table.dispatch.get(direction).cloned().unwrap_or_default());
        Self {
            chains: table
                .chains
                .iter()
                .map(|(name, chain)| (name.clone(), tags(&chain.rules)))
                .collect(),
            dispatch: maps(family).iter().map(dispatch).collect(),
            sets: table.sets.clone(),
            counters: table.counters.clone(),
        }
    }

    fn change(&mut self, change: &TableChange) {
        match change {
            TableChange::CreateTable(family) => {
                for direction in maps(*family) {
                    self.dispatch.entry(*direction).or_default();
                }
            }
            TableChange::CreateSet(_, set) => {
                self.sets.insert(*set, BTreeSet::new());
            }
            TableChange::CreateCounter(_, counter) => {
                self.counters.insert(counter.clone());
            }
            TableChange::CreateChain(_, chain) => {
                self.chains.insert(chain.clone(), Vec::new());
            }
            TableChange::SetRules(_, chain, rules) => {
                self.chains.insert(chain.clone(), tags(rules));
            }
            TableChange::AddKey(_, set, key) => {
                self.sets.entry(*set).or_default().insert(key.clone());
            }
            TableChange::RemoveKey(_, set, key) => {
                self.sets.entry(*set).or_default().remove(key);
            }
            TableChange::AddDispatch(_, direction, address, chain) => {
                self.dispatch
                    .entry(*direction)
                    .or_default()
                    .insert(*address, chain.clone());
            }
            TableChange::RemoveDispatch(_, direction, address, _) => {
                self.dispatch.entry(*direction).or_default().remove(address);
            }
            TableChange::DeleteChain(_, chain) => {
                self.chains.remove(chain);
            }
            TableChange::DeleteSet(_, set) => {
                self.sets.remove(set);
            }
            TableChange::DeleteCounter(_, counter) => {
                self.counters.remove(counter);
            }
            TableChange::DeleteTable(_) => *self = Self::default(),
        }
    }
}

/// The dispatch maps of a table: all, but on bridges, where addresses are judged once packets are the other two's.
const fn maps(family: TableFamily) -> &'static [Direction] {
    match family {
        TableFamily::Ip | TableFamily::Ip6 => &Direction::ALL,
        TableFamily::Bridge => &[],
    }
}

fn tags(rules: &[Rule]) -> Vec<String> {
    rules.iter().map(Rule::tag).collect()
}

/// Which members are taken out of sets that stay.
#[derive(Clone, Copy, Debug)]
pub enum Sweep<'a> {
    /// All that are not desired.
    All,
    /// All that are not desired, but for those of these addresses: who owns them is not known yet, and what an earlier
    /// process put there may still be true. Blocks are the policies' own and always go, as do sets without a rule.
    Except(&'a BTreeSet<IpAddr>),
}

impl Sweep<'_> {
    fn may_remove(self, element: Element) -> bool {
        match (self, element) {
            (Self::All, _) | (_, Element::Block { .. }) => true,
            (Self::Except(kept), Element::Address(address) | Element::Port(address, _, _)) => !kept.contains(&address),
        }
    }
}

/// What to tell the kernel, in this order. Empty: nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// Sets to create, with their members.
    pub create: BTreeMap<SetName, Set>,
    /// Members to add to sets that exist, the last (the narrowest block) first: in between, no block stands without the
    /// exceptions inside it.
    pub add: BTreeMap<SetName, BTreeSet<Element>>,
    /// One nf_tables transaction.
    pub transaction: Vec<TableChange>,
    /// Members to take out of sets that stay, the first (the widest block) first.
    pub remove: BTreeMap<SetName, BTreeSet<Element>>,
    /// Sets to destroy, after the last rule that refers to them is gone.
    pub destroy: BTreeSet<SetName>,
}

/// A step of an nf_tables transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TableChange {
    /// Create the table with its dispatch maps, or those of them that are missing.
    CreateTable(TableFamily),
    /// Create an empty set of the table's own.
    CreateSet(TableFamily, TableSet),
    /// Create a counter of the table, at zero.
    CreateCounter(TableFamily, CounterName),
    /// Create an empty chain; a base chain if its name is one's.
    CreateChain(TableFamily, ChainName),
    /// Replace all rules of a chain.
    SetRules(TableFamily, ChainName, Vec<Rule>),
    /// Add to a set of the table's own.
    AddKey(TableFamily, TableSet, Key),
    /// Take out of a set of the table's own.
    RemoveKey(TableFamily, TableSet, Key),
    /// Dispatch an address to a chain.
    AddDispatch(TableFamily, Direction, IpAddr, ChainName),
    /// Dispatch an address no more.
    RemoveDispatch(TableFamily, Direction, IpAddr, ChainName),
    /// Delete a chain, with its rules. Only chains that go in the same transaction may still refer to it.
    DeleteChain(TableFamily, ChainName),
    /// Delete a set of the table's own, to which no rule refers any more.
    DeleteSet(TableFamily, TableSet),
    /// Delete a counter of the table, to which no rule refers any more, with what it has counted.
    DeleteCounter(TableFamily, CounterName),
    /// Delete a table with all that is in it.
    DeleteTable(TableFamily),
}

impl TableChange {
    /// The family of the table that changes.
    pub const fn family(&self) -> TableFamily {
        match self {
            Self::CreateTable(family)
            | Self::CreateSet(family, _)
            | Self::CreateCounter(family, _)
            | Self::CreateChain(family, _)
            | Self::SetRules(family, _, _)
            | Self::AddKey(family, _, _)
            | Self::RemoveKey(family, _, _)
            | Self::AddDispatch(family, _, _, _)
            | Self::RemoveDispatch(family, _, _, _)
            | Self::DeleteChain(family, _)
            | Self::DeleteSet(family, _)
            | Self::DeleteCounter(family, _)
            | Self::DeleteTable(family) => *family,
        }
    }
}

/// The difference between what should be and what is.
pub fn plan(desired: &Ruleset, actual: &Actual, sweep: Sweep<'_>) -> Plan {
    let mut plan = Plan::default();
    for (name, set) in &desired.sets {
        match actual.sets.get(name) {
            Some(there) if (there.kind, there.family) == (set.kind, set.family) => {
                plan.change_members(name, &set.members, &there.members, sweep);
            }
            Some(_) | None => {
                plan.create.insert(name.clone(), set.clone());
            }
        }
    }
    plan.destroy = actual
        .sets
        .keys()
        .filter(|name| !desired.sets.contains_key(name))
        .cloned()
        .collect();
    for (family, table) in &desired.tables {
        plan.change_table(*family, table, actual.tables.get(family));
    }
    if actual.tables.contains_key(&TableFamily::Bridge) && !desired.tables.contains_key(&TableFamily::Bridge) {
        plan.transaction.push(TableChange::DeleteTable(TableFamily::Bridge));
    }
    plan
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// How much there is to do.
    pub fn counts(&self) -> Counts {
        Counts {
            sets_created: self.create.len(),
            members_added: self.create.values().map(|set| set.members.len()).sum::<usize>()
                + self.add.values().map(BTreeSet::len).sum::<usize>(),
            table_changes: self.transaction.len(),
            members_removed: self.remove.values().map(BTreeSet::len).sum(),
            sets_destroyed: self.destroy.len(),
        }
    }

    fn change_members(
        &mut self,
        name: &SetName,
        desired: &BTreeSet<Element>,
        actual: &BTreeSet<Element>,
        sweep: Sweep<'_>,
    ) {
        let add: BTreeSet<Element> = desired.difference(actual).copied().collect();
        // Adding a block's twin has replaced the block; removing the block would now remove the twin.
        let replaced = |element: &Element| twin(*element).is_some_and(|twin| desired.contains(&twin));
        let remove: BTreeSet<Element> = actual
            .difference(desired)
            .filter(|element| sweep.may_remove(**element) && !replaced(element))
            .copied()
            .collect();
        if !add.is_empty() {
            self.add.insert(name.clone(), add);
        }
        if !remove.is_empty() {
            self.remove.insert(name.clone(), remove);
        }
    }

    /// Creates what rules may refer to before the rules, and deletes it after them.
    fn change_table(&mut self, family: TableFamily, desired: &Table, actual: Option<&ActualTable>) {
        let missing = ActualTable::default();
        let there = actual.unwrap_or(&missing);
        let lacks_map = |direction| !there.dispatch.contains_key(direction);
        if actual.is_none() || maps(family).iter().any(lacks_map) {
            self.transaction.push(TableChange::CreateTable(family));
        }
        self.change_sets(family, desired, there);
        let new = desired.counters.difference(&there.counters);
        self.transaction
            .extend(new.map(|counter| TableChange::CreateCounter(family, counter.clone())));
        let is_new = |chain: &&ChainName| !there.chains.contains_key(*chain);
        let new = desired.chains.keys().filter(is_new);
        self.transaction
            .extend(new.map(|chain| TableChange::CreateChain(family, chain.clone())));
        for (name, chain) in &desired.chains {
            let unchanged = match there.chains.get(name) {
                Some(actual_tags) => *actual_tags == tags(&chain.rules),
                None => chain.rules.is_empty(),
            };
            if !unchanged {
                self.transaction
                    .push(TableChange::SetRules(family, name.clone(), chain.rules.clone()));
            }
        }
        self.change_dispatch(family, desired, there);
        let is_gone = |chain: &&ChainName| !desired.chains.contains_key(*chain);
        let gone = there.chains.keys().filter(is_gone);
        self.transaction
            .extend(gone.map(|chain| TableChange::DeleteChain(family, chain.clone())));
        let gone = there.sets.keys().filter(|set| !desired.sets.contains_key(set));
        self.transaction
            .extend(gone.map(|set| TableChange::DeleteSet(family, *set)));
        let gone = there.counters.difference(&desired.counters);
        self.transaction
            .extend(gone.map(|counter| TableChange::DeleteCounter(family, counter.clone())));
    }

    /// An address that becomes a pod's is a source before a link is a pod's.
    fn change_sets(&mut self, family: TableFamily, desired: &Table, actual: &ActualTable) {
        let none = BTreeSet::new();
        for (set, keys) in desired.sets.iter().rev() {
            let there = actual.sets.get(set);
            if there.is_none() {
                self.transaction.push(TableChange::CreateSet(family, *set));
            }
            let there = there.unwrap_or(&none);
            let added = keys.difference(there);
            self.transaction
                .extend(added.map(|key| TableChange::AddKey(family, *set, key.clone())));
            let removed = there.difference(keys);
            self.transaction
                .extend(removed.map(|key| TableChange::RemoveKey(family, *set, key.clone())));
        }
    }

    fn change_dispatch(&mut self, family: TableFamily, desired: &Table, actual: &ActualTable) {
        let none = BTreeMap::new();
        for direction in Direction::ALL {
            let desired = desired.dispatch.get(&direction).unwrap_or(&none);
            let actual = actual.dispatch.get(&direction).unwrap_or(&none);
            let removed = actual
                .iter()
                .filter(|(address, chain)| desired.get(address) != Some(chain));
            let added = desired
                .iter()
                .filter(|(address, chain)| actual.get(address) != Some(chain));
            let remove = |(address, chain): (&IpAddr, &ChainName)| {
                TableChange::RemoveDispatch(family, direction, *address, chain.clone())
            };
            let add = |(address, chain): (&IpAddr, &ChainName)| {
                TableChange::AddDispatch(family, direction, *address, chain.clone())
            };
            self.transaction.extend(removed.map(remove));
            self.transaction.extend(added.map(add));
        }
    }
}

/// To the kernel, a block and the same block with `nomatch` are one member: adding one replaces the other.
const fn twin(element: Element) -> Option<Element> {
    match element {
        Element::Block { net, nomatch } => Some(Element::Block { net, nomatch: !nomatch }),
        Element::Address(_) | Element::Port(_, _, _) => None,
    }
}

/// The size of a plan, for logs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Sets created.
    pub sets_created: usize,
    /// Members added, those of created sets included.
    pub members_added: usize,
    /// Steps of the nf_tables transaction.
    pub table_changes: usize,
    /// Members taken out of sets that stay.
    pub members_removed: usize,
    /// Sets destroyed.
    pub sets_destroyed: usize,
}

impl fmt::Display for Plan {
    /// One step a line, in the order they are done.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, set) in &self.create {
            writeln!(f, "create set {name} {} with {} members", set.kind, set.members.len())?;
        }
        for (name, elements) in &self.add {
            for element in elements.iter().rev() {
                writeln!(f, "add {element} to set {name}")?;
            }
        }
        for change in &self.transaction {
            writeln!(f, "{change}")?;
        }
        for (name, elements) in &self.remove {
            for element in elements {
                writeln!(f, "remove {element} from set {name}")?;
            }
        }
        for name in &self.destroy {
            writeln!(f, "destroy set {name}")?;
        }
        Ok(())
    }
}

impl fmt::Display for TableChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateTable(family) => write!(f, "create table {family}"),
            Self::CreateSet(family, set) => write!(f, "create set {set} of table {family}"),
            Self::CreateCounter(family, counter) => write!(f, "create counter {counter} of table {family}"),
            Self::CreateChain(family, chain) => write!(f, "create chain {family} {chain}"),
            Self::SetRules(family, chain, rules) => write!(f, "set {} rules of chain {family} {chain}", rules.len()),
            Self::AddKey(family, set, key) => write!(f, "add {key} to set {set} of table {family}"),
            Self::RemoveKey(family, set, key) => write!(f, "remove {key} from set {set} of table {family}"),
            Self::AddDispatch(family, direction, address, chain) => {
                write!(f, "dispatch {family} {direction} of {address} to {chain}")
            }
            Self::RemoveDispatch(family, direction, address, _) => {
                write!(f, "dispatch {family} {direction} of {address} no more")
            }
            Self::DeleteChain(family, chain) => write!(f, "delete chain {family} {chain}"),
            Self::DeleteCounter(family, counter) => write!(f, "delete counter {counter} of table {family}"),
            Self::DeleteSet(family, set) => write!(f, "delete set {set} of table {family}"),
            Self::DeleteTable(family) => write!(f, "delete table {family}"),
        }
    }
}
