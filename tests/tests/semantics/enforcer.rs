//! An enforcer of the simulation: what it hears, from whom, and a kernel that is a value and sometimes fails.

use super::history::{Feed, History};
use super::runtime;
use super::simulation::{Hub, namespaces, pods};
use enforcer::links::Links;
use enforcer::machine::{Input, Machine, Node, Output};
use enforcer::notice::Notice;
use enforcer::plan::Actual;
use enforcer::policy::NetworkPolicy;
use enforcer::ruleset::Ruleset;
use enforcer::sandbox;
use enforcer::switches::Switches;
use fastrand::Rng;
use hub::ring::{Next, Position};
use prost::Message;
use proto::convert::GRPC_PREFIX;
use proto::model::{ClusterName, Revision};
use proto::observe::{Namespace, Pod};
use proto::subscribe;
use proto::wire::{Frame, frame::Body};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};
use tests::oracle::NodeName;

/// Longer than any pause that anybody makes.
pub const LONG: Duration = Duration::from_secs(60);

/// A stream from the hub: what is left of a snapshot, and where it goes on.
pub struct Stream {
    pub snapshot: VecDeque<bytes::Bytes>,
    pub position: Position,
}

/// An enforcer, and its kernel as a value.
pub struct Enforcer {
    machine: Machine,
    kernel: Actual,
    addresses: BTreeSet<IpAddr>,
    policies: Feed<NetworkPolicy>,
    pods: Feed<Pod>,
    own_pods: Feed<Pod>,
    own_namespaces: Feed<Namespace>,
    follows_own: bool,
    stream: Option<Stream>,
    resume: Option<Revision>,
    /// One in so many kernel calls fails.
    failures: Option<u8>,
    happened: BTreeMap<Happening, u64>,
}

/// What may happen to an enforcer, and how often it did.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Happening {
    /// A stream began with a snapshot.
    Snapshot,
    /// A stream began where an earlier one had ended.
    Resumed,
    /// A stream ended within a snapshot.
    CutInSnapshot,
    /// It was too slow, and the hub forgot what it had not heard.
    FellBehind,
    /// No hub spoke, and it asked its own API server.
    FollowedOwnCluster,
    /// A plan went to the kernel.
    Planned,
    /// The kernel failed.
    KernelFailed,
    /// The container runtime told of a sandbox.
    SandboxStarted,
    /// The runtime was out of reach.
    RuntimeLost,
    /// It knew a cluster from before the hub began anew when that cluster left and came back.
    SawReturn,
}

impl Happening {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Snapshot,
        Self::Resumed,
        Self::CutInSnapshot,
        Self::FellBehind,
        Self::FollowedOwnCluster,
        Self::Planned,
        Self::KernelFailed,
        Self::SandboxStarted,
        Self::RuntimeLost,
        Self::SawReturn,
    ];
}

/// Where an enforcer has got to.
pub struct Outcome {
    /// The ruleset of its last pass.
    pub ruleset: Ruleset,
    /// Whether its kernel holds exactly that.
    pub kernel_agrees: bool,
    /// What happened on the way.
    pub happened: BTreeMap<Happening, u64>,
}

impl Enforcer {
    /// One that knows nothing yet.
    pub fn new(
        node: &NodeName,
        history: &History,
        addresses: BTreeSet<IpAddr>,
        switches: Switches,
        now: Instant,
    ) -> Self {
        let mut machine = Machine::new(
            Node {
                cluster: ClusterName::new(&node.cluster).unwrap(),
                name: node.name.as_str().into(),
                switches,
            },
            now,
        );
        machine.handle(Input::Links(Links::default()), now);
        Self {
            machine,
            kernel: Actual::default(),
            addresses,
            policies: Feed::new(history, |policy| &policy.uid, |_| true),
            pods: Feed::new(history, |pod| &pod.uid, |pod| pod.node.as_deref() == Some(&*node.name)),
            own_pods: pods(history),
            own_namespaces: namespaces(history),
            follows_own: false,
            stream: None,
            resume: None,
            failures: Some(24),
            happened: BTreeMap::new(),
        }
    }

    /// Something happens to it.
    pub fn step(&mut self, hub: &mut Hub, now: Instant, rng: &mut Rng) {
        match rng.u8(..32) {
            0 => self.cut(now, rng),
            1..12 => drop(self.listen(hub, now, rng)),
            12..16 => {
                let event = self.policies.next(rng);
                self.hear(Input::Policies(event), now, rng);
            }
            16..20 => {
                let event = self.pods.next(rng);
                self.hear(Input::Pods(runtime::without_late_addresses(event)), now, rng);
            }
            24..27 => {
                let event = runtime::event(&self.pods, rng);
                match event {
                    sandbox::Event::Started(_) => self.note(Happening::SandboxStarted),
                    sandbox::Event::Lost(_) => self.note(Happening::RuntimeLost),
                    _ => {}
                }
                self.hear(Input::Runtime(event), now, rng);
            }
            20 => self.hear(Input::NodeAddresses(self.addresses.clone()), now, rng),
            21..24 if self.follows_own => self.follow(now, rng),
            _ => drop(self.turn(now, rng)),
        }
    }

    /// What the own API server says, for want of a hub.
    fn follow(&mut self, now: Instant, rng: &mut Rng) {
        let input = if rng.bool() {
            Input::OwnPods(self.own_pods.next(rng))
        } else {
            Input::OwnNamespaces(self.own_namespaces.next(rng))
        };
        self.hear(input, now, rng);
    }

    /// One or a few frames, after subscribing if need be. Says whether there were any.
    pub fn listen(&mut self, hub: &mut Hub, now: Instant, rng: &mut Rng) -> bool {
        let Some(stream) = &mut self.stream else {
            self.stream = hub.subscribe(self.resume, now);
            match &self.stream {
                Some(stream) if stream.snapshot.is_empty() => self.note(Happening::Resumed),
                Some(_) => self.note(Happening::Snapshot),
                None => {}
            }
            return self.stream.is_some();
        };
        let frames = match stream.snapshot.pop_front() {
            Some(frame) => vec![frame],
            None => match hub.ring.next(stream.position) {
                Next::Frames(frames, position) => {
                    stream.position = position;
                    frames
                }
                Next::End => return false,
                Next::Gone => {
                    self.note(Happening::FellBehind);
                    self.cut(now, rng);
                    return true;
                }
            },
        };
        for bytes in frames {
            let frame = Frame::decode(bytes.slice(GRPC_PREFIX..)).unwrap();
            if let Some(Body::Delta(_) | Body::End(_)) = frame.body {
                self.resume = frame.revision.as_ref().map(Revision::from);
            }
            self.hear(Input::Hub(subscribe::Event::Frame(Box::new(frame))), now, rng);
        }
        true
    }

    /// Its stream ends.
    pub fn cut(&mut self, now: Instant, rng: &mut Rng) {
        if let Some(stream) = self.stream.take() {
            if !stream.snapshot.is_empty() {
                self.note(Happening::CutInSnapshot);
            }
            self.hear(Input::Hub(subscribe::Event::Lost("cut".to_owned())), now, rng);
        }
    }

    fn hear(&mut self, input: Input, now: Instant, rng: &mut Rng) {
        let outputs = self.machine.handle(input, now);
        self.perform(outputs, now, rng);
    }

    fn turn(&mut self, now: Instant, rng: &mut Rng) -> bool {
        let outputs = self.machine.turn(now);
        let any = !outputs.is_empty();
        self.perform(outputs, now, rng);
        any
    }

    fn perform(&mut self, outputs: Vec<Output>, now: Instant, rng: &mut Rng) {
        for output in outputs {
            let fails = matches!(output, Output::Read | Output::Apply(_))
                && self.failures.is_some_and(|one_in| rng.u8(..one_in) == 0);
            if fails {
                self.note(Happening::KernelFailed);
            }
            let answer = match output {
                Output::Read if fails => Input::Kernel(Err("no memory".to_owned())),
                Output::Read => Input::Kernel(Ok(self.kernel.clone())),
                // What a failed plan leaves behind is what was there, or what should be.
                Output::Apply(_) if fails && rng.bool() => Input::Done(Err("no memory".to_owned())),
                Output::Apply(plan) => {
                    self.note(Happening::Planned);
                    self.kernel = std::mem::take(&mut self.kernel).after(&plan, &BTreeSet::new());
                    Input::Done(if fails {
                        Err("no answer".to_owned())
                    } else {
                        Ok(BTreeSet::new())
                    })
                }
                Output::FollowOwnCluster => {
                    self.note(Happening::FollowedOwnCluster);
                    self.follows_own = true;
                    self.own_pods.restart();
                    self.own_namespaces.restart();
                    continue;
                }
                Output::LeaveOwnCluster => {
                    self.follows_own = false;
                    continue;
                }
                Output::Say(Notice::HubSenseless { reason }) => panic!("{reason}"),
                Output::Say(Notice::KernelChanged) => panic!("nobody else has changed the kernel"),
                Output::Resubscribe | Output::Say(_) | Output::Enforced { .. } => continue,
            };
            self.hear(answer, now, rng);
        }
    }

    /// Hears all that is left to hear, and does what there is to do.
    pub fn finish(&mut self, hub: &mut Hub, now: Instant, rng: &mut Rng) {
        self.failures = None;
        while !(self.policies.is_done() && self.pods.is_done()) {
            let (policies, pods) = (self.policies.next(rng), self.pods.next(rng));
            self.hear(Input::Policies(policies), now, rng);
            self.hear(Input::Pods(runtime::without_late_addresses(pods)), now, rng);
        }
        for event in runtime::last(&self.pods, rng) {
            self.hear(Input::Runtime(event), now, rng);
        }
        self.hear(Input::NodeAddresses(self.addresses.clone()), now, rng);
        while self.listen(hub, now, rng) {}
        for later in [now, now + LONG, now + 2 * LONG] {
            while self.turn(later, rng) {}
        }
        assert!(!self.follows_own, "the hub says how the own cluster is");
    }

    /// Where it has got to.
    pub fn into_outcome(self) -> Outcome {
        let ruleset = self.machine.ruleset().clone();
        let kernel_agrees = Actual::of(&ruleset) == self.kernel;
        Outcome {
            ruleset,
            kernel_agrees,
            happened: self.happened,
        }
    }

    /// It happened.
    pub fn note(&mut self, happening: Happening) {
        *self.happened.entry(happening).or_default() += 1;
    }
}
