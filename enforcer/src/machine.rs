//! What an enforcer decides: from what it hears to what the kernel should be told, and when.
//!
//! Pure: `handle` takes one input in and marks what it changed, `turn` decides on the next step, and the event loop
//! performs it. At most one step is under way in the kernel at a time; whatever arrives meanwhile is one change more for
//! the next pass, so that a storm costs passes, not queue.
//!
//! Invariants:
//! - Nothing is told to the kernel before it was read back and both local kinds (policies, pods of the node) are known
//!   in full: until then the previous run's rules stay (S126).
//! - A pass changes either policies and subjects, or the inventory, never both, so that each state of the kernel is a
//!   state of some world. The first pass after a start has no earlier world to keep and changes both.
//! - After a failure nothing is believed of the kernel: it is read back before the next pass.

#[cfg(test)]
mod tests;

use crate::compile::{World, compile};
use crate::notice::Notice;
use crate::own_cluster::OwnCluster;
use crate::plan::{Actual, Plan, Sweep, plan};
use crate::policy::{self, NetworkPolicy, Policy, PolicyName};
use crate::ruleset::{Ruleset, SetName};
use crate::status::{Counts, Status};
use proto::mirror::{Applied, Mirror};
use proto::model::{ClusterName, ClusterState, Revision};
use proto::observe::{Namespace, Pod};
use proto::pods::{self, Pods};
use proto::selector::Switches;
use proto::subscribe;
use proto::watch::Event;
use proto::wire;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the hub may be away before the own cluster's other pods are read from its API server.
const HUB_GRACE: Duration = Duration::from_secs(5);

/// How often the kernel is read back although nothing failed: what somebody else changed is restored within it (K8).
const AUDIT_INTERVAL: Duration = Duration::from_secs(30);

/// How long after a plan the sets are destroyed that it could not: the kernel drops a rule's reference to a set some 17 to
/// 34 ms after the rule (dataplane.md, section 3).
const LEFT_OVER_PAUSE: Duration = Duration::from_millis(100);

/// The shortest and the longest pause between a failure of the kernel and the next attempt.
const RETRY_FLOOR: Duration = Duration::from_millis(100);
/// See [`RETRY_FLOOR`].
const RETRY_CEILING: Duration = Duration::from_secs(10);

/// What the machine hears.
#[derive(Debug)]
pub enum Input {
    /// From the hub.
    Hub(subscribe::Event),
    /// NetworkPolicies of the own cluster.
    Policies(Event<NetworkPolicy>),
    /// Pods of the own node.
    Pods(Event<Pod>),
    /// Pods of the own cluster, while no hub answers.
    OwnPods(Event<Pod>),
    /// Namespaces of the own cluster, while no hub answers.
    OwnNamespaces(Event<Namespace>),
    /// All addresses of the node.
    NodeAddresses(BTreeSet<IpAddr>),
    /// What the kernel holds, or why it would not say.
    Kernel(Result<Actual, String>),
    /// The plan was carried out, but for these sets that the kernel still holds; or why it was not, and then the kernel
    /// may hold any state between the old and the new.
    Done(Result<BTreeSet<SetName>, String>),
}

/// What the machine wants done.
#[derive(Debug)]
pub enum Output {
    /// Read back what the kernel holds; answer with [`Input::Kernel`].
    Read,
    /// Carry this out; answer with [`Input::Done`].
    Apply(Arc<Plan>),
    /// Watch the own cluster's pods and namespaces from its own API server from now on.
    FollowOwnCluster,
    /// Stop watching them: the hub's word stands again.
    LeaveOwnCluster,
    /// End the stream and subscribe anew, for a whole snapshot.
    Resubscribe,
    /// Say this to whoever reads the log.
    Say(Notice),
    /// The kernel enforces what was known; the oldest change this pass brought was received so long ago, by the hub if it
    /// came from there.
    Enforced {
        /// Age of that change.
        oldest: Option<Duration>,
    },
}

/// The node an enforcer works for.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its cluster.
    pub cluster: ClusterName,
    /// Its name there. Names repeat across clusters (S114).
    pub name: Arc<str>,
    /// What selectors mean.
    pub switches: Switches,
}

/// Policies and the local pods they may isolate: what a subjects' pass switches, as one value.
#[derive(Clone, Debug, Default)]
struct Subjects {
    policies: Arc<BTreeMap<PolicyName, Arc<Policy>>>,
    pods: Arc<[Arc<Pod>]>,
    node_addresses: Arc<BTreeSet<IpAddr>>,
}

/// What is known of the kernel.
#[derive(Debug)]
enum Kernel {
    /// Nothing; it is to be read at this time.
    Unknown { read_at: Instant },
    /// It is being read. If nothing has failed it should hold this.
    Reading { expected: Option<Actual> },
    /// It holds this; to be read again at this time.
    Idle { actual: Actual, audit_at: Instant },
    /// A plan is being carried out on what it holds.
    Applying {
        pass: Pass,
        actual: Actual,
        plan: Arc<Plan>,
    },
}

/// A pass under way.
#[derive(Debug)]
struct Pass {
    /// What the kernel will enforce.
    subjects: Subjects,
    /// The inventory it will enforce.
    revision: Option<Revision>,
    /// When the oldest change it brings was received.
    since: Option<Instant>,
}

/// The enforcer's state and its decisions.
#[derive(Debug)]
pub struct Machine {
    node: Node,
    wanted: Subjects,
    policies_synced: bool,
    pods: Pods,
    mirror: Mirror,
    own_cluster: OwnCluster,
    /// Since when no hub says how the own cluster is; `None`: one does.
    unheard_since: Option<Instant>,
    kernel: Kernel,
    /// What the kernel enforces; `None` until the first pass.
    enforced: Option<Subjects>,
    /// Addresses that an earlier process left in the kernel's sets and that nobody has been known to own since. They
    /// stay there: a cluster that is not known in full may own them.
    unexplained: BTreeSet<IpAddr>,
    ruleset: Ruleset,
    counts: Counts,
    revision: Option<Revision>,
    inventory_dirty: bool,
    subjects_dirty: bool,
    /// When the oldest change that no pass has taken up was received.
    pending_since: Option<Instant>,
    /// Whether the last plan left sets behind that the kernel would not destroy yet.
    left_over: bool,
    failures: u32,
    trouble: Option<String>,
}

impl Machine {
    /// An enforcer that knows nothing yet.
    pub fn new(node: Node, now: Instant) -> Self {
        Self {
            mirror: Mirror::new(node.cluster.clone()),
            own_cluster: OwnCluster::default(),
            node,
            wanted: Subjects::default(),
            policies_synced: false,
            pods: Pods::default(),
            unheard_since: Some(now),
            kernel: Kernel::Unknown { read_at: now },
            enforced: None,
            unexplained: BTreeSet::new(),
            ruleset: Ruleset::default(),
            counts: Counts::default(),
            revision: None,
            inventory_dirty: false,
            subjects_dirty: true,
            pending_since: None,
            left_over: false,
            failures: 0,
            trouble: None,
        }
    }

    /// Takes an input in. Decides nothing about the kernel: see [`Machine::turn`].
    pub fn handle(&mut self, input: Input, now: Instant) -> Vec<Output> {
        match input {
            Input::Hub(event) => self.hub(event, now),
            Input::Policies(event) => self.policies(event, now),
            Input::Pods(event) => self.local_pods(event, now),
            Input::OwnPods(event) => {
                self.own_cluster.pods(event);
                self.own_part(now)
            }
            Input::OwnNamespaces(event) => {
                self.own_cluster.namespaces(event);
                self.own_part(now)
            }
            Input::NodeAddresses(addresses) => {
                if *self.wanted.node_addresses != addresses {
                    self.wanted.node_addresses = Arc::new(addresses);
                    self.subjects_changed(now);
                }
                Vec::new()
            }
            Input::Kernel(answer) => self.kernel_read(answer, now),
            Input::Done(result) => self.kernel_done(result, now),
        }
    }

    /// The next step, if one is due.
    pub fn turn(&mut self, now: Instant) -> Vec<Output> {
        let mut outputs = Vec::new();
        if self.unheard_since.is_some_and(|since| now >= since + HUB_GRACE) && self.own_cluster.follow() {
            outputs.push(Output::FollowOwnCluster);
        }
        match self.take_kernel() {
            Kernel::Unknown { read_at } if now >= read_at => outputs.push(Output::Read),
            Kernel::Idle { actual, audit_at } if now >= audit_at => {
                self.kernel = Kernel::Reading { expected: Some(actual) };
                outputs.push(Output::Read);
            }
            Kernel::Idle { actual, audit_at } => self.pass(actual, audit_at, now, &mut outputs),
            busy @ (Kernel::Unknown { .. } | Kernel::Reading { .. } | Kernel::Applying { .. }) => self.kernel = busy,
        }
        outputs
    }

    /// When [`Machine::turn`] is due although nothing is heard.
    pub fn next_turn(&self) -> Option<Instant> {
        let hub = self
            .unheard_since
            .filter(|_| !self.own_cluster.is_followed())
            .map(|since| since + HUB_GRACE);
        let kernel = match &self.kernel {
            Kernel::Unknown { read_at: at } | Kernel::Idle { audit_at: at, .. } => Some(*at),
            Kernel::Reading { .. } | Kernel::Applying { .. } => None,
        };
        hub.into_iter().chain(kernel).min()
    }

    /// Whether the kernel enforces all that this cluster's own API server says, once known in full.
    pub fn is_ready(&self) -> bool {
        self.enforced.is_some()
    }

    /// The ruleset of the last pass, for people.
    pub fn ruleset(&self) -> &Ruleset {
        &self.ruleset
    }

    /// What there is to report.
    pub fn status(&self) -> Status {
        Status {
            applied: self.revision,
            policies: Arc::clone(&self.wanted.policies),
            counts: self.counts,
            clusters: self.mirror.clusters().clone(),
            trouble: self.waiting_for(),
        }
    }

    /// What keeps the kernel from enforcing the newest state, for people.
    fn waiting_for(&self) -> Option<String> {
        if !self.policies_synced {
            return Some("waiting for the NetworkPolicies of this cluster's API server".to_owned());
        }
        if !self.pods.is_synced() {
            return Some("waiting for this node's pods from this cluster's API server".to_owned());
        }
        self.trouble.clone()
    }

    fn hub(&mut self, event: subscribe::Event, now: Instant) -> Vec<Output> {
        match event {
            subscribe::Event::Connected(hub) => vec![Output::Say(Notice::HubConnected { hub })],
            subscribe::Event::Frame(frame) => self.frame(&frame, now),
            subscribe::Event::Lost(reason) => {
                self.mirror.disconnected();
                self.unheard_since.get_or_insert(now);
                vec![Output::Say(Notice::HubLost { reason })]
            }
        }
    }

    fn frame(&mut self, frame: &wire::Frame, now: Instant) -> Vec<Output> {
        match self.mirror.apply(frame) {
            Ok(Applied::Same) => {}
            Ok(Applied::Changed) => {
                let received = now
                    .checked_sub(Duration::from_micros(frame.oldest_age_us))
                    .unwrap_or(now);
                self.inventory_changed(received);
            }
            Err(error) => {
                let notice = Notice::HubSenseless {
                    reason: error.to_string(),
                };
                return vec![Output::Say(notice), Output::Resubscribe];
            }
        }
        // The hub's word on the own cluster stands only once it is whole and the hub watches that cluster.
        let whole = !matches!(frame.body, Some(wire::frame::Body::Chunk(_)));
        let watched = self.mirror.clusters().get(&self.node.cluster) == Some(&ClusterState::Live);
        if !(whole && watched) {
            self.unheard_since.get_or_insert(now);
            return Vec::new();
        }
        self.unheard_since = None;
        if !self.own_cluster.leave() {
            return Vec::new();
        }
        if self.mirror.set_part(&self.node.cluster, None) {
            self.inventory_changed(now);
        }
        vec![Output::LeaveOwnCluster]
    }

    fn policies(&mut self, event: Event<NetworkPolicy>, now: Instant) -> Vec<Output> {
        let mut outputs = Vec::new();
        let mut changed = false;
        match event {
            Event::Synced(list) => {
                let names: BTreeSet<PolicyName> = list.iter().map(|raw| raw.name.clone()).collect();
                let policies = Arc::make_mut(&mut self.wanted.policies);
                let before = policies.len();
                policies.retain(|name, _| names.contains(name));
                changed = before != policies.len() || !self.policies_synced;
                self.policies_synced = true;
                for raw in &list {
                    changed |= self.policy(raw, &mut outputs);
                }
            }
            Event::Applied(raw) => changed = self.policy(&raw, &mut outputs),
            Event::Deleted(raw) => {
                // The end of an earlier policy of this name says nothing of the present one (as I15 of pods).
                let known = self.wanted.policies.get(&raw.name);
                changed = known.is_some_and(|known| known.uid == raw.uid);
                if changed {
                    Arc::make_mut(&mut self.wanted.policies).remove(&raw.name);
                }
            }
            Event::Heard => {}
            Event::Lost(reason) => outputs.push(Output::Say(Notice::WatchLost {
                kind: "NetworkPolicies",
                reason,
            })),
        }
        if changed {
            self.subjects_changed(now);
        }
        outputs
    }

    /// Takes one policy in; says whether it differs from the one known by its name.
    fn policy(&mut self, raw: &NetworkPolicy, outputs: &mut Vec<Output>) -> bool {
        let policy = policy::parse(raw);
        let known = self.wanted.policies.get(&policy.name);
        if known.is_some_and(|known| **known == policy) {
            return false;
        }
        if known.is_none_or(|known| known.refused != policy.refused) {
            outputs.extend(policy.refused.iter().map(|refused| {
                Output::Say(Notice::Refused {
                    cluster: self.node.cluster.clone(),
                    policy: policy.name.clone(),
                    refused: refused.clone(),
                })
            }));
        }
        Arc::make_mut(&mut self.wanted.policies).insert(policy.name.clone(), Arc::new(policy));
        true
    }

    fn local_pods(&mut self, event: Event<Pod>, now: Instant) -> Vec<Output> {
        let lost = match &event {
            Event::Lost(reason) => Some(Output::Say(Notice::WatchLost {
                kind: "this node's pods",
                reason: reason.clone(),
            })),
            Event::Synced(_) | Event::Applied(_) | Event::Deleted(_) | Event::Heard => None,
        };
        let was_synced = self.pods.is_synced();
        let addresses = self.pods.apply(event);
        let mut inventory_changed = false;
        for address in addresses {
            let owners = self.pods.owners(address);
            let mut owners: Vec<_> = owners
                .into_iter()
                .map(|pod| pods::identity(&self.node.cluster, pod))
                .collect();
            owners.sort();
            owners.dedup();
            inventory_changed |= self.mirror.set_local(address, owners);
        }
        if inventory_changed {
            self.inventory_changed(now);
        }
        let pods: Arc<[Arc<Pod>]> = self.pods.iter().cloned().collect();
        if pods != self.wanted.pods || was_synced != self.pods.is_synced() {
            self.wanted.pods = pods;
            self.subjects_changed(now);
        }
        lost.into_iter().collect()
    }

    fn own_part(&mut self, now: Instant) -> Vec<Output> {
        if let Some(part) = self.own_cluster.part(&self.node.cluster)
            && self.mirror.set_part(&self.node.cluster, Some(part))
        {
            self.inventory_changed(now);
        }
        Vec::new()
    }

    fn inventory_changed(&mut self, received: Instant) {
        self.inventory_dirty = true;
        self.pending_since = Some(self.pending_since.map_or(received, |since| since.min(received)));
    }

    fn subjects_changed(&mut self, received: Instant) {
        self.subjects_dirty = true;
        self.pending_since = Some(self.pending_since.map_or(received, |since| since.min(received)));
    }

    /// Compiles, and either finds that the kernel holds it already or starts a pass. Repeats until one of the two kinds
    /// of change has something to tell the kernel.
    fn pass(&mut self, actual: Actual, audit_at: Instant, now: Instant, outputs: &mut Vec<Output>) {
        while self.policies_synced && self.pods.is_synced() && (self.inventory_dirty || self.subjects_dirty) {
            let inventory_first = self.enforced.as_ref().filter(|_| self.inventory_dirty);
            let subjects = inventory_first.unwrap_or(&self.wanted).clone();
            self.subjects_dirty = self.subjects_dirty && inventory_first.is_some();
            self.inventory_dirty = false;
            let since = if self.subjects_dirty {
                self.pending_since
            } else {
                self.pending_since.take()
            };
            self.ruleset = compile(&World {
                cluster: &self.node.cluster,
                policies: &subjects.policies,
                pods: &subjects.pods,
                node_addresses: &subjects.node_addresses,
                mirror: &self.mirror,
                switches: self.node.switches,
            });
            self.counts = Counts::of(&self.ruleset, &subjects.pods);
            self.explain();
            let plan = plan(&self.ruleset, &actual, Sweep::Except(&self.unexplained));
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

    /// An address that somebody was once known to own is explained for good: when it is nobody's again, that is
    /// knowledge. And when every cluster is known in full, there is nothing left to explain.
    fn explain(&mut self) {
        if self.mirror.is_complete() {
            self.unexplained.clear();
        } else {
            self.unexplained
                .retain(|address| self.mirror.claims(*address).is_empty());
        }
    }

    /// Leaves a kernel of which nothing is known, to be read at once, in its place.
    fn take_kernel(&mut self) -> Kernel {
        std::mem::replace(&mut self.kernel, Kernel::Reading { expected: None })
    }

    /// A pass is in force.
    fn passed(&mut self, pass: Pass, now: Instant, outputs: &mut Vec<Output>) {
        if self.enforced.is_none() {
            let (policies, pods) = (pass.subjects.policies.len(), pass.subjects.pods.len());
            outputs.push(Output::Say(Notice::InForce { policies, pods }));
        }
        self.enforced = Some(pass.subjects);
        self.revision = pass.revision;
        let oldest = pass.since.map(|since| now.saturating_duration_since(since));
        outputs.push(Output::Enforced { oldest });
    }

    fn kernel_done(&mut self, result: Result<BTreeSet<SetName>, String>, now: Instant) -> Vec<Output> {
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

    fn kernel_read(&mut self, answer: Result<Actual, String>, now: Instant) -> Vec<Output> {
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
                if self.enforced.is_none() {
                    self.unexplained = actual.addresses().collect();
                }
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
