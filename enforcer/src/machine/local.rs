//! What the machine takes in of the pods of its node.

use super::hears::{loss, said_of_loss};
use super::{Machine, Output};
use crate::notice::{Notice, PodStarts};
use crate::sandbox::{self, Answer};
use proto::mirror::Tenure;
use proto::observe::Pod;
use proto::watch::Event;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

impl Machine {
    pub(super) fn local_pods(&mut self, event: Event<Pod>, now: Instant) -> Vec<Output> {
        let outputs = said_of_loss("this node's pods", &event);
        self.lost.pods = loss(&event);
        let was_synced = self.local.is_synced();
        self.local.watched(event);
        self.settle_pods(now);
        if was_synced != self.local.is_synced() {
            self.subjects_changed(now);
        }
        outputs
    }

    pub(super) fn runtime(&mut self, event: sandbox::Event, now: Instant) -> Vec<Output> {
        let notice = match &event {
            sandbox::Event::Absent(socket) => Some(PodStarts::RuntimeAbsent { socket: socket.clone() }),
            sandbox::Event::Synced { runtime, sandboxes } => Some(PodStarts::RuntimeFound {
                runtime: runtime.clone(),
                sandboxes: sandboxes.len(),
            }),
            sandbox::Event::Lost(reason) => Some(PodStarts::RuntimeLost { reason: reason.clone() }),
            sandbox::Event::Answered(answered) => {
                let was_late = std::mem::replace(&mut self.late, answered.answer != Answer::InForce);
                (self.late && !was_late).then(|| PodStarts::Late {
                    answered: answered.clone(),
                    waits_for: self.waiting_for(),
                })
            }
            sandbox::Event::Started(_) | sandbox::Event::Stopped(_) => None,
        };
        self.local.runtime(event);
        self.settle_pods(now);
        self.settle_sandboxes();
        notice
            .map(|notice| Output::Say(Notice::PodStarts(notice)))
            .into_iter()
            .collect()
    }

    /// Takes up what API server and runtime have changed about which pods there are, and whose their addresses are.
    fn settle_pods(&mut self, now: Instant) {
        let pods = self.local.pods();
        // Whose the addresses are follows from the pods alone.
        if *pods == *self.wanted.pods {
            return;
        }
        let claims = self.local.claims(&pods, &self.node.cluster);
        let before = std::mem::replace(&mut self.local_claims, claims);
        let addresses: BTreeSet<IpAddr> = before.keys().chain(self.local_claims.keys()).copied().collect();
        let mut inventory_changed = false;
        for address in addresses {
            let claim = self.local_claims.get(&address);
            if claim == before.get(&address) {
                continue;
            }
            let (owners, tenure) = claim.map_or((Vec::new(), Tenure::Staying), |claim| {
                (claim.owners.clone(), claim.tenure)
            });
            inventory_changed |= self.mirror.set_local(address, owners, tenure);
        }
        if inventory_changed {
            self.inventory_changed(now);
        }
        self.wanted.pods = pods.into();
        self.subjects_changed(now);
        self.settle_links(now);
    }

    /// Brings up to date which sandboxes' pods the kernel isolates as policies say.
    pub(super) fn settle_sandboxes(&mut self) {
        let enforced = self.enforced.as_ref();
        let covered = enforced.map_or_else(BTreeSet::new, |enforced| self.local.covered(&enforced.pods));
        if covered != *self.in_force.sandboxes {
            self.in_force.sandboxes = Arc::new(covered);
        }
    }
}
