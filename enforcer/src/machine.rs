//! What an enforcer decides: from what it hears to what the kernel should be told, and when.
//!
//! Pure: `handle` takes one input in and marks what it changed, `turn` decides on the next step, and the event loop
//! performs it. At most one step is under way in the kernel at a time; whatever arrives meanwhile is one change more for
//! the next pass, so that a storm costs passes, not queue.
//!
//! Invariants:
//! - Nothing is told to the kernel before it was read back and both local kinds (policies, pods of the node) and the
//!   node's links are known in full: until then the previous run's rules stay (S126).
//! - A pass changes either policies and subjects, or the inventory, never both, so that each state of the kernel is a
//!   state of some world. The first pass after a start has no earlier world to keep and changes both.
//! - Each pass of the inventory that goes before a waiting change of policies or subjects is followed by that change's.
//! - After a failure nothing is believed of the kernel: it is read back before the next pass.

mod hears;
mod held;
mod links;
mod local;
mod passes;
mod pod_ranges;
mod slow;
#[cfg(test)]
mod tests;

use crate::compile::Cut;
use crate::events::Events;
use crate::links::Links;
use crate::local_pods::{Claim, LocalPods};
use crate::notice::Notice;
use crate::own_cluster::OwnCluster;
use crate::own_node::OwnNode;
use crate::plan::{Actual, Plan};
use crate::policy::{NetworkPolicy, Policy, PolicyName};
use crate::ruleset::{Ruleset, SetName};
use crate::sandbox::{self, InForce};
use crate::status::{Counts, Readiness, Status};
use crate::switches::Switches;
use ipnet::IpNet;
use pod_ranges::PodRanges;
use proto::mirror::Mirror;
use proto::model::{ClusterName, Revision};
use proto::observe::{Namespace, Pod};
use proto::subscribe;
use proto::watch::Event;
pub use slow::Step;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the hub may be away before the own cluster's other pods are read from its API server. A stream that resumes is
/// silent until the next heartbeat, 5 s at most: a short cut must not make every node list its whole cluster.
const HUB_GRACE: Duration = Duration::from_secs(12);

/// How often the kernel is read back although nothing failed: what somebody else changed is restored within it (K8).
const AUDIT_INTERVAL: Duration = Duration::from_secs(30);

/// How long after a plan the sets are destroyed that it could not: the kernel drops a rule's reference to a set some 17 to
/// 34 ms after the rule (measured).
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
    /// The own Node object.
    OwnNode(Event<OwnNode>),
    /// Sandboxes of the own node's pods.
    Runtime(sandbox::Event),
    /// Pods of the own cluster, while no hub answers.
    OwnPods(Event<Pod>),
    /// Namespaces of the own cluster, while no hub answers.
    OwnNamespaces(Event<Namespace>),
    /// All addresses of the node.
    NodeAddresses(BTreeSet<IpAddr>),
    /// All links of the node that pods may hang on.
    Links(Links),
    /// What the kernel holds, or why it would not say.
    Kernel(Result<Actual, String>),
    /// The plan was carried out, but for these sets that the kernel still holds; or why it was not, and then the kernel
    /// may hold any state between the old and the new.
    Done(Result<BTreeSet<SetName>, String>),
    /// A step of a pass took so long.
    Took(Step, Duration),
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
    /// What is decided where NetworkPolicy leaves a choice.
    pub switches: Switches,
}

/// Policies and the local pods they may isolate: what a subjects' pass switches, as one value.
#[derive(Clone, Debug, Default)]
struct Subjects {
    policies: Arc<BTreeMap<PolicyName, Arc<Policy>>>,
    pods: Arc<[Arc<Pod>]>,
    node_addresses: Arc<BTreeSet<IpAddr>>,
    /// The links whose packets' sources are checked, if pods hang on them.
    links: Arc<Links>,
    /// The ranges of addresses of which those that no pod is known to have are held.
    held: Arc<BTreeSet<IpNet>>,
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

/// Why the own API server says nothing new of a kind, while it does not.
#[derive(Clone, Debug, Default)]
struct Lost {
    policies: Option<String>,
    pods: Option<String>,
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
    local: LocalPods,
    /// Who owns the addresses of these pods, as the mirror was told.
    local_claims: BTreeMap<IpAddr, Claim>,
    /// What the kernel enforces of this node's pods.
    in_force: InForce,
    /// The last sandbox that the runtime was answered about was not isolated.
    late: bool,
    ranges: PodRanges,
    links: links::NodeLinks,
    lost: Lost,
    mirror: Mirror,
    own_cluster: OwnCluster,
    /// A frame made no sense: what is still queued of its stream is not listened to.
    deaf: bool,
    /// Why no hub answers; `None`: one does.
    hubless: Option<String>,
    /// Since when no hub says how the own cluster is; `None`: one does.
    unheard_since: Option<Instant>,
    kernel: Kernel,
    /// What the kernel enforces; `None` until the first pass.
    enforced: Option<Subjects>,
    /// Addresses that an earlier process left in the kernel's sets and that nobody has been known to have since. They
    /// stay there: a cluster that is not known in full may own them. `None` until the kernel is read.
    unexplained: Option<BTreeSet<IpAddr>>,
    ruleset: Ruleset,
    counts: Counts,
    /// What of the ruleset of the last pass admits nothing although policies would.
    cut: BTreeSet<Cut>,
    /// What the authors of the policies that are in force should be told.
    events: Arc<Events>,
    revision: Option<Revision>,
    inventory_dirty: bool,
    subjects_dirty: bool,
    /// When the oldest change that no pass has taken up was received.
    pending_since: Option<Instant>,
    /// Whether the last plan left sets behind that the kernel would not destroy yet.
    left_over: bool,
    held: held::Held,
    failures: u32,
    trouble: Option<String>,
    slow: slow::Slow,
}

impl Machine {
    /// An enforcer that knows nothing yet.
    pub fn new(node: Node, now: Instant) -> Self {
        Self {
            mirror: Mirror::new(node.cluster.clone()),
            own_cluster: OwnCluster::default(),
            deaf: false,
            node,
            wanted: Subjects::default(),
            policies_synced: false,
            local: LocalPods::default(),
            local_claims: BTreeMap::new(),
            in_force: InForce::default(),
            late: false,
            ranges: PodRanges::NotHeld,
            links: links::NodeLinks::default(),
            lost: Lost::default(),
            hubless: Some("none has answered yet".to_owned()),
            unheard_since: Some(now),
            kernel: Kernel::Unknown { read_at: now },
            enforced: None,
            unexplained: None,
            ruleset: Ruleset::default(),
            counts: Counts::default(),
            cut: BTreeSet::new(),
            events: Arc::default(),
            revision: None,
            inventory_dirty: false,
            subjects_dirty: true,
            pending_since: None,
            left_over: false,
            held: held::Held::default(),
            failures: 0,
            trouble: None,
            slow: slow::Slow::default(),
        }
    }

    /// Takes an input in. Decides nothing about the kernel: see [`Machine::turn`].
    pub fn handle(&mut self, input: Input, now: Instant) -> Vec<Output> {
        let is_heard = !matches!(input, Input::Kernel(_) | Input::Done(_) | Input::Took(..));
        let input = match is_heard {
            true => self.held.keep(input, now),
            false => Some(input),
        };
        input.map_or_else(Vec::new, |input| self.take(input, now))
    }

    fn take(&mut self, input: Input, now: Instant) -> Vec<Output> {
        match input {
            Input::Hub(event) => self.hub(event, now),
            Input::Policies(event) => self.policies(event, now),
            Input::Pods(event) => self.local_pods(event, now),
            Input::Runtime(event) => self.runtime(event, now),
            Input::OwnNode(event) => self.own_node(event, now),
            Input::OwnPods(event) => self.own_pods(event, now),
            Input::OwnNamespaces(event) => self.own_namespaces(event, now),
            Input::NodeAddresses(addresses) => {
                if *self.wanted.node_addresses != addresses {
                    self.wanted.node_addresses = Arc::new(addresses);
                    self.subjects_changed(now);
                }
                Vec::new()
            }
            Input::Links(links) => {
                self.links(links, now);
                Vec::new()
            }
            Input::Kernel(answer) => self.kernel_read(answer, now),
            Input::Done(result) => self.kernel_done(result, now),
            Input::Took(step, took) => self.took(step, took, now),
        }
    }

    /// The next step, if one is due.
    pub fn turn(&mut self, now: Instant) -> Vec<Output> {
        let mut outputs = Vec::new();
        if self.unheard_since.is_some_and(|since| now >= since + HUB_GRACE) && self.own_cluster.follow() {
            outputs.push(Output::FollowOwnCluster);
        }
        if self.links.next_release().is_some_and(|at| now >= at) {
            self.settle_links(now);
        }
        loop {
            self.step(now, &mut outputs);
            let held = self.held.release();
            if held.is_empty() {
                return outputs;
            }
            for (input, at) in held {
                outputs.extend(self.take(input, at));
            }
        }
    }

    fn step(&mut self, now: Instant, outputs: &mut Vec<Output>) {
        match self.take_kernel() {
            Kernel::Unknown { read_at } if now >= read_at => outputs.push(Output::Read),
            Kernel::Idle { actual, audit_at } if now >= audit_at => {
                self.kernel = Kernel::Reading { expected: Some(actual) };
                outputs.push(Output::Read);
            }
            Kernel::Idle { actual, audit_at } => self.pass(actual, audit_at, now, outputs),
            busy @ (Kernel::Unknown { .. } | Kernel::Reading { .. } | Kernel::Applying { .. }) => self.kernel = busy,
        }
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
        hub.into_iter().chain(kernel).chain(self.links.next_release()).min()
    }

    /// Whether the kernel enforces all that this cluster's own API server says, once known in full, and what is missing.
    pub fn readiness(&self) -> Readiness {
        match (&self.enforced, &self.hubless) {
            (None, _) => Readiness::WaitsFor(
                self.waiting_for()
                    .unwrap_or_else(|| "the first pass is under way".to_owned()),
            ),
            (Some(_), Some(reason)) => Readiness::WithoutHub(reason.clone()),
            (Some(_), None) => Readiness::Ready,
        }
    }

    /// The ruleset of the last pass, for people.
    pub fn ruleset(&self) -> &Ruleset {
        &self.ruleset
    }

    /// The Events that this node asks for: those of the policies that it enforces.
    pub const fn events(&self) -> &Arc<Events> {
        &self.events
    }

    /// What is in force of the pods of this node.
    pub const fn in_force(&self) -> &InForce {
        &self.in_force
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
        let Lost { policies, pods } = &self.lost;
        let because = |lost: &Option<String>| lost.as_ref().map_or_else(String::new, |reason| format!(" ({reason})"));
        let stale = |kind, lost: &Option<String>| lost.as_ref().map(|reason| format!("cannot watch {kind}: {reason}"));
        if !self.policies_synced {
            let because = because(policies);
            return Some(format!(
                "waiting for the NetworkPolicies of this cluster's API server{because}"
            ));
        }
        if !self.local.is_synced() {
            let because = because(pods);
            return Some(format!(
                "waiting for this node's pods from this cluster's API server{because}"
            ));
        }
        if !self.links.are_known() {
            return Some("waiting for the kernel's word on this node's links".to_owned());
        }
        if self.ranges == PodRanges::Awaited {
            return Some(
                "waiting for this node's pod ranges from this cluster's API server (its Node object)".to_owned(),
            );
        }
        let kernel = self.trouble.clone();
        kernel
            .or_else(|| stale("NetworkPolicies", policies))
            .or_else(|| stale("this node's pods", pods))
            .or_else(|| self.cut.first().map(Cut::to_string))
    }
}
