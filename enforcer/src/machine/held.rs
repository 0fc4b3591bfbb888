//! What is heard while a change of policies or subjects waits for the inventory before it to be in force.
//!
//! Pure. The inventory's pass goes first, so that no pass changes both. If each met the next change of some pod somewhere,
//! the other's turn would never come: a pod would not be isolated for as long as others come and go (W11, N8). So what
//! arrives meanwhile is taken in only once the subjects' pass is compiled. That is one answer of the kernel later.

use super::Input;
use std::time::Instant;

/// How many inputs are kept at most; with more, memory matters more than whose turn it is. A hub seals some hundred frames a
/// second at most.
const MOST: usize = 4096;

/// Inputs in the order of their arrival, each with its time.
#[derive(Debug, Default)]
pub(super) struct Held {
    inputs: Vec<(Input, Instant)>,
    holding: bool,
}

impl Held {
    /// Whether inputs are to be kept from now on.
    pub const fn hold(&mut self, holding: bool) {
        self.holding = holding;
    }

    /// Keeps an input, or gives it back to be taken in at once.
    pub fn keep(&mut self, input: Input, now: Instant) -> Option<Input> {
        if !self.holding && self.inputs.is_empty() {
            return Some(input);
        }
        self.inputs.push((input, now));
        if self.inputs.len() >= MOST {
            self.holding = false;
        }
        None
    }

    /// What is to be taken in now.
    pub fn release(&mut self) -> Vec<(Input, Instant)> {
        match self.holding {
            true => Vec::new(),
            false => std::mem::take(&mut self.inputs),
        }
    }
}
