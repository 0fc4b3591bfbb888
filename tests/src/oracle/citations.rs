//! How often each rule of the catalogue had a say.
//!
//! Pure. A rule has a say where a verdict is weighed that it decides, or would decide if nothing else did.

use std::cell::Cell;

/// The highest S-number, and one more.
const RULES: usize = 131;

/// Counts by S-number.
pub(super) struct Citations([Cell<u64>; RULES]);

impl Citations {
    pub fn none() -> Self {
        Self([const { Cell::new(0) }; RULES])
    }

    /// The rule has a say.
    pub fn cite(&self, rule: u8) {
        let count = &self.0[usize::from(rule)];
        count.set(count.get() + 1);
    }

    /// The count of a rule.
    pub fn of(&self, rule: u8) -> u64 {
        self.0[usize::from(rule)].get()
    }
}
