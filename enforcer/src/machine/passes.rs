//! Passes: from what is wanted to what the kernel is told, and what its answers mean.

use super::pod_ranges::PodRanges;
use super::{AUDIT_INTERVAL, Kernel, LEFT_OVER_PAUSE, Machine, Output, Pass, RETRY_CEILING, RETRY_FLOOR, Subjects};
use crate::compile::{World, compile_and_tell};
use crate::events::{Events, events};
use crate::notice::Notice;
use crate::plan::{Actual, Sweep, plan};
use crate::ruleset::SetName;
use crate::status::Counts;
use proto::mirror::Mirror;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

impl Machine {
    /// Compiles, and either finds that the kernel holds it already or starts a pass. Repeats until one of the two kinds
    /// of change has something to tell the kernel.
    pub(super) fn pass(&mut self, actual: Actual, audit_at: Instant, now: Instant, outputs: &mut Vec<Output>) {
        while self.policies_synced
            && self.local.is_synced()
            && self.links.are_known()
            && self.ranges != PodRanges::Awaited
            && (self.inventory_dirty || self.subjects_dirty)
        {
            let inventory_first = self.enforced.as_ref().filter(|_| self.inventory_dirty);
            let subjects = inventory_first.unwrap_or(&self.wanted).clone();
            self.subjects_dirty = self.subjects_dirty && inventory_first.is_some();
            self.inventory_dirty = false;
            self.held.hold(self.subjects_dirty);
            let since = if self.subjects_dirty {
                self.pending_since
            } else {
                self.pending_since.take()
            };
            let compiled = compile_and_tell(&World {
                cluster: &self.node.cluster,
                policies: &subjects.policies,
                pods: &subjects.pods,
                node_addresses: &subjects.node_addresses,
                links: &subjects.links,
                held: &subjects.held,
                mirror: &self.mirror,
                switches: self.node.switches,
            });
            self.counts = Counts::of(&compiled, &subjects.pods);
            self.ruleset = compiled.ruleset;
            let new = compiled.cut.difference(&self.cut);
            outputs.extend(new.map(|cut| Output::Say(Notice::Cut(*cut))));
            self.cut = compiled.cut;
            let unexplained = self.unexplained.get_or_insert_default();
            explain(unexplained, &self.mirror);
            let plan = plan(&self.ruleset, &actual, Sweep::Except(unexplained));
            let pass = Pass {
                subjects,
                revision: self.mirror.revision(),
                since,
            };
            if plan.is_empty() {
                self.passed(pass, now, outputs);
                continue;
            }
            let plan = Arc::new(plan);
            outputs.push(Output::Apply(Arc::clone(&plan)));
            self.kernel = Kernel::Applying { pass, actual, plan };
            return;
        }
        if self.enforced.is_some() && !self.inventory_dirty && !self.subjects_dirty {
            // Also a revision that told this node nothing new: the node's own watch had told it, or it concerns nobody here.
            self.revision = self.mirror.revision();
        }
        self.kernel = Kernel::Idle { actual, audit_at };
    }

    /// Leaves a kernel of which nothing is known, to be read at once, in its place.
    pub(super) fn take_kernel(&mut self) -> Kernel {
        std::mem::replace(&mut self.kernel, Kernel::Reading { expected: None })
    }

    /// A pass is in force.
    fn passed(&mut self, pass: Pass, now: Instant, outputs: &mut Vec<Output>) {
        if self.enforced.is_none() {
            let (policies, pods) = (pass.subjects.policies.len(), pass.subjects.pods.len());
            outputs.push(Output::Say(Notice::InForce { policies, pods }));
        }
        self.events = self.events_of(&pass.subjects);
        // A pass that brings the inventory alone goes through although the kernel refuses what is new of the pods.
        let same_pods = |enforced: &Subjects| Arc::ptr_eq(&enforced.pods, &pass.subjects.pods);
        if !self.enforced.as_ref().is_some_and(same_pods) {
            self.in_force.passes += 1;
        }
        self.enforced = Some(pass.subjects);
        self.settle_sandboxes();
        self.revision = pass.revision;
        let oldest = pass.since.map(|since| now.saturating_duration_since(since));
        outputs.push(Output::Enforced { oldest });
    }

    /// The Events that these subjects ask for: the same value as before if nothing of them has changed.
    fn events_of(&self, subjects: &Subjects) -> Arc<Events> {
        let same = |enforced: &Subjects| {
            Arc::ptr_eq(&enforced.policies, &subjects.policies) && Arc::ptr_eq(&enforced.pods, &subjects.pods)
        };
        if self.enforced.as_ref().is_some_and(same) {
            return Arc::clone(&self.events);
        }
        let events = events(&subjects.policies, &subjects.pods);
        if *self.events == events {
            return Arc::clone(&self.events);
        }
        Arc::new(events)
    }

    pub(super) fn kernel_done(&mut self, result: Result<BTreeSet<SetName>, String>, now: Instant) -> Vec<Output> {
        let mut outputs = Vec::new();
        let Kernel::Applying { pass, actual, plan } = self.take_kernel() else {
            unreachable!("an answer comes to a plan that is being carried out")
        };
        match result {
            Ok(left) => {
                self.left_over = !left.is_empty();
                let audit_at = now
                    + if self.left_over {
                        LEFT_OVER_PAUSE
                    } else {
                        AUDIT_INTERVAL
                    };
                self.kernel = Kernel::Idle {
                    actual: actual.after(&plan, &left),
                    audit_at,
                };
                self.kernel_answered(&mut outputs);
                self.passed(pass, now, &mut outputs);
            }
            Err(reason) => {
                self.pending_since = self.pending_since.into_iter().chain(pass.since).min();
                self.kernel_failed(reason, now, &mut outputs);
            }
        }
        outputs
    }

    pub(super) fn kernel_read(&mut self, answer: Result<Actual, String>, now: Instant) -> Vec<Output> {
        let mut outputs = Vec::new();
        let Kernel::Reading { expected } = self.take_kernel() else {
            unreachable!("an answer comes to a kernel that is being read")
        };
        match answer {
            Ok(actual) => {
                if expected.as_ref().is_some_and(|expected| *expected != actual) {
                    outputs.push(Output::Say(Notice::KernelChanged));
                }
                if expected.as_ref() != Some(&actual) || std::mem::take(&mut self.left_over) {
                    self.inventory_dirty = true;
                    self.subjects_dirty = true;
                }
                // What a failed plan of this process has left there since is explained.
                self.unexplained.get_or_insert_with(|| actual.addresses().collect());
                self.kernel = Kernel::Idle {
                    actual,
                    audit_at: now + AUDIT_INTERVAL,
                };
            }
            Err(reason) => self.kernel_failed(reason, now, &mut outputs),
        }
        outputs
    }

    fn kernel_answered(&mut self, outputs: &mut Vec<Output>) {
        self.failures = 0;
        if self.trouble.take().is_some() {
            outputs.push(Output::Say(Notice::KernelRecovered));
        }
    }

    fn kernel_failed(&mut self, reason: String, now: Instant, outputs: &mut Vec<Output>) {
        let pause = RETRY_FLOOR
            .saturating_mul(1 << self.failures.min(16))
            .min(RETRY_CEILING);
        self.failures += 1;
        self.held.hold(false);
        self.kernel = Kernel::Unknown { read_at: now + pause };
        if self.trouble.as_ref() != Some(&reason) {
            outputs.push(Output::Say(Notice::KernelRefused {
                reason: reason.clone(),
                retry: pause,
            }));
            self.trouble = Some(reason);
        }
    }
}

/// An address that somebody was once known to have is explained for good: when it is nobody's again, that is knowledge. And
/// when every cluster is known in full, there is nothing left to explain.
fn explain(unexplained: &mut BTreeSet<IpAddr>, mirror: &Mirror) {
    if mirror.is_complete() {
        unexplained.clear();
    } else {
        unexplained.retain(|address| !mirror.knows(*address));
    }
}
