//! What a node's kernel holds, as another program reads it: every rule with its handle, every ipset with its members.

use super::foreign;
use std::collections::{BTreeMap, BTreeSet};

/// All of netfilter in one network namespace. Two are equal only if no rule was replaced in between, not even by the
/// same one.
#[derive(Clone, PartialEq, Eq)]
pub struct KernelState {
    rules: Vec<Vec<u8>>,
    sets: BTreeMap<String, BTreeSet<Vec<u8>>>,
}

impl KernelState {
    /// Of the calling thread's network namespace.
    pub fn read() -> Self {
        Self {
            rules: foreign::rules(),
            sets: foreign::ipsets(),
        }
    }

    /// The names and members of all ipsets.
    pub fn sets(&self) -> &BTreeMap<String, BTreeSet<Vec<u8>>> {
        &self.sets
    }

    /// How many rules there are.
    pub fn rules(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is neither a rule nor a member.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.sets.values().all(BTreeSet::is_empty)
    }
}

impl std::fmt::Debug for KernelState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for rule in &self.rules {
            writeln!(f, "rule {}", rule.escape_ascii())?;
        }
        for (name, members) in &self.sets {
            writeln!(f, "set {name}")?;
            for member in members {
                writeln!(f, "  {}", member.escape_ascii())?;
            }
        }
        Ok(())
    }
}
