//! The mirror's own numbers for identities.
//!
//! Pure. A number is given out once per identity and reused only after nothing refers to it any more, so it never
//! means two identities to anyone who can still see it.

use super::IdentityId;
use crate::model::Identity;
use std::collections::HashMap;
use std::sync::Arc;

#[derive(Debug)]
struct Slot {
    identity: Arc<Identity>,
    /// References from tables and sources.
    held: u32,
    /// References from the outcome: addresses that have it.
    shown: u32,
}

/// Identities by number and numbers by identity, with reference counts.
#[derive(Debug, Default)]
pub(super) struct Identities {
    slots: Vec<Option<Slot>>,
    free: Vec<IdentityId>,
    numbers: HashMap<Arc<Identity>, IdentityId>,
}

impl Identities {
    /// The number of this identity, held once more.
    pub(super) fn intern(&mut self, identity: &Identity) -> IdentityId {
        if let Some(&id) = self.numbers.get(identity) {
            self.hold(id);
            return id;
        }
        let id = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            IdentityId(u32::try_from(self.slots.len() - 1).expect("fewer identities than 2^32 fit in memory"))
        });
        let identity = Arc::new(identity.clone());
        self.numbers.insert(Arc::clone(&identity), id);
        self.slots[id.index()] = Some(Slot {
            identity,
            held: 1,
            shown: 0,
        });
        id
    }

    pub(super) fn hold(&mut self, id: IdentityId) {
        self.slot(id).held += 1;
    }

    pub(super) fn release(&mut self, id: IdentityId) {
        self.slot(id).held -= 1;
        self.free_unused(id);
    }

    /// One more address has it.
    pub(super) fn show(&mut self, id: IdentityId) {
        self.slot(id).shown += 1;
    }

    /// One address less has it.
    pub(super) fn hide(&mut self, id: IdentityId) {
        self.slot(id).shown -= 1;
        self.free_unused(id);
    }

    pub(super) fn get(&self, id: IdentityId) -> &Identity {
        let slot = self.slots[id.index()].as_ref();
        &slot.expect("a number that was given out and is referred to").identity
    }

    /// Identities that some address has, by number.
    pub(super) fn shown(&self) -> impl Iterator<Item = (IdentityId, &Identity)> {
        (0..).map(IdentityId).zip(&self.slots).filter_map(|(id, slot)| {
            let slot = slot.as_ref().filter(|slot| slot.shown > 0)?;
            Some((id, &*slot.identity))
        })
    }

    /// How many identities are kept.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    fn slot(&mut self, id: IdentityId) -> &mut Slot {
        let slot = self.slots[id.index()].as_mut();
        slot.expect("a number that was given out and is referred to")
    }

    fn free_unused(&mut self, id: IdentityId) {
        let slot = &mut self.slots[id.index()];
        if let Some(unused) = slot.take_if(|slot| slot.held == 0 && slot.shown == 0) {
            self.numbers.remove(&unused.identity);
            self.free.push(id);
        }
    }
}
