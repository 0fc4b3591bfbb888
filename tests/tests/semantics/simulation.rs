//! A hub and enforcers, without sockets, clocks and kernels, to which a world happens in random order.
//!
//! Watches repeat, relist and skip; clusters join, leave and change credentials; streams are cut anywhere and resumed;
//! the hub starts anew; kernels fail. In the end all is said, and what counts is where each enforcer has got to.

use super::history::{Feed, History};
use enforcer::machine::{Input, Machine, Node, Output};
use enforcer::plan::Actual;
use enforcer::policy::NetworkPolicy;
use enforcer::ruleset::Ruleset;
use fastrand::Rng;
use hub::inventory::{Connection, Observed};
use hub::machine as hub_machine;
use hub::ring::{Next, Position, Ring};
use prost::Message;
use proto::convert::GRPC_PREFIX;
use proto::model::{ClusterName, Epoch, Revision};
use proto::observe::{Namespace, Pod};
use proto::selector::Switches;
use proto::subscribe;
use proto::wire::{Frame, frame::Body};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};
use tests::oracle::NodeName;
use tests::worlds::{Cluster, ClusterSet};

/// How many things happen before all that is left is said.
const STEPS: usize = 150;

/// Longer than any pause that anybody makes.
const LONG: Duration = Duration::from_secs(60);

/// A cluster, as the hub's feeds see it.
struct Source {
    name: ClusterName,
    connection: u64,
    pods: Feed<Pod>,
    namespaces: Feed<Namespace>,
    /// Whether it is a member in the end.
    stays: bool,
    is_member: bool,
}

struct Hub {
    machine: hub_machine::Machine,
    ring: Ring,
}

/// A stream from the hub: what is left of a snapshot, and where it goes on.
struct Stream {
    snapshot: VecDeque<bytes::Bytes>,
    position: Position,
}

struct Enforcer {
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
}

/// Everything.
pub struct Simulation {
    rng: Rng,
    now: Instant,
    epoch: u128,
    sources: Vec<Source>,
    hub: Hub,
    enforcers: BTreeMap<NodeName, Enforcer>,
}

/// Where an enforcer has got to.
pub struct Outcome {
    /// The ruleset of its last pass.
    pub ruleset: Ruleset,
    /// Whether its kernel holds exactly that.
    pub kernel_agrees: bool,
}

impl Simulation {
    /// Of `world` in the end, for these nodes; what comes before is random.
    #[expect(
        clippy::disallowed_methods,
        reason = "an Instant comes from nowhere else; only differences to it count"
    )]
    pub fn new(world: &ClusterSet, nodes: &[NodeName], seed: u64) -> Self {
        let now = Instant::now();
        let mut rng = Rng::with_seed(seed);
        let (earlier, detour) = (ClusterSet::random(rng.u64(..)), ClusterSet::random(rng.u64(..)));
        let nothing = Cluster {
            nodes: BTreeMap::new(),
            objects: Vec::new(),
        };
        let mut histories = BTreeMap::new();
        for name in world
            .clusters
            .keys()
            .chain(earlier.clusters.keys())
            .collect::<BTreeSet<_>>()
        {
            let ages = [&earlier, &detour, world].map(|world| world.clusters.get(name).unwrap_or(&nothing));
            histories.insert(name, History::random(ages, &mut rng));
        }
        let sources = histories.iter().map(|(name, history)| Source {
            name: ClusterName::new(name).unwrap(),
            connection: 0,
            pods: pods(history),
            namespaces: namespaces(history),
            stays: world.clusters.contains_key(*name),
            is_member: false,
        });
        let enforcers = nodes.iter().map(|node| {
            let addresses = world.clusters[&node.cluster].nodes[&node.name].clone();
            (
                node.clone(),
                Enforcer::new(node, &histories[&node.cluster], addresses, now),
            )
        });
        Self {
            sources: sources.collect(),
            enforcers: enforcers.collect(),
            hub: Hub::new(Epoch(0), now),
            epoch: 0,
            rng,
            now,
        }
    }

    /// Lets it all happen.
    pub fn run(mut self) -> BTreeMap<NodeName, Outcome> {
        for _ in 0..STEPS {
            self.step();
        }
        self.finish();
        let outcome = |(node, enforcer): (NodeName, Enforcer)| {
            let ruleset = enforcer.machine.ruleset().clone();
            let kernel_agrees = Actual::of(&ruleset) == enforcer.kernel;
            let outcome = Outcome { ruleset, kernel_agrees };
            (node, outcome)
        };
        self.enforcers.into_iter().map(outcome).collect()
    }

    fn step(&mut self) {
        let Self {
            rng,
            now,
            epoch,
            sources,
            hub,
            enforcers,
        } = self;
        match rng.u16(..1000) {
            0..10 => {
                *epoch += 1;
                *hub = Hub::new(Epoch(*epoch), *now);
                for source in sources {
                    source.restart();
                }
                for enforcer in enforcers.values_mut() {
                    enforcer.cut(*now, rng);
                }
            }
            10..30 => *now += LONG,
            30..200 => *now += Duration::from_micros(rng.u64(..20_000)),
            200..500 => {
                let index = rng.usize(..sources.len());
                sources[index].step(hub, *now, rng);
            }
            _ => {
                let index = rng.usize(..enforcers.len());
                if let Some(enforcer) = enforcers.values_mut().nth(index) {
                    enforcer.step(hub, *now, rng);
                }
            }
        }
        self.hub.handle(hub_machine::Input::Timer, self.now);
    }

    /// All that is left to say is said.
    fn finish(&mut self) {
        let rng = &mut self.rng;
        for source in &mut self.sources {
            while !(source.is_member && source.pods.is_done() && source.namespaces.is_done()) {
                source.step(&mut self.hub, self.now, rng);
            }
            source.say(&mut self.hub, Observed::Pods(proto::watch::Event::Heard), self.now);
            source.say(
                &mut self.hub,
                Observed::Namespaces(proto::watch::Event::Heard),
                self.now,
            );
            if !source.stays {
                let cluster = source.name.clone();
                self.hub.handle(hub_machine::Input::Left { cluster }, self.now);
            }
        }
        // Who resumes where the hub is hears nothing until its next heartbeat.
        for enforcer in self.enforcers.values_mut() {
            while enforcer.listen(&mut self.hub, self.now, rng) {}
        }
        self.now += LONG;
        self.hub.handle(hub_machine::Input::Timer, self.now);
        for enforcer in self.enforcers.values_mut() {
            enforcer.finish(&mut self.hub, self.now, rng);
        }
    }
}

impl Source {
    fn step(&mut self, hub: &mut Hub, now: Instant, rng: &mut Rng) {
        let leaves = !self.stays && self.is_member && rng.u8(..16) == 0;
        if leaves {
            self.is_member = false;
            let cluster = self.name.clone();
            hub.handle(hub_machine::Input::Left { cluster }, now);
            return;
        }
        if !self.is_member || rng.u8(..24) == 0 {
            self.restart();
            self.is_member = true;
            self.connection += 1;
            let input = hub_machine::Input::Connected {
                cluster: self.name.clone(),
                connection: Connection(self.connection),
                server: String::new(),
            };
            return hub.handle(input, now);
        }
        let observed = if rng.bool() {
            Observed::Pods(self.pods.next(rng))
        } else {
            Observed::Namespaces(self.namespaces.next(rng))
        };
        self.say(hub, observed, now);
    }

    fn say(&self, hub: &mut Hub, observed: Observed, now: Instant) {
        let input = hub_machine::Input::Observed {
            cluster: self.name.clone(),
            connection: Connection(self.connection),
            observed,
        };
        hub.handle(input, now);
    }

    /// Nothing that was said is known where it counts.
    fn restart(&mut self) {
        self.is_member = false;
        self.pods.restart();
        self.namespaces.restart();
    }
}

impl Hub {
    fn new(epoch: Epoch, now: Instant) -> Self {
        let machine = hub_machine::Machine::new(epoch, now);
        let ring = Ring::new(machine.revision(), 4096);
        Self { machine, ring }
    }

    fn handle(&mut self, input: hub_machine::Input, now: Instant) {
        for output in self.machine.handle(input, now) {
            if let hub_machine::Output::Publish(sealed) = output {
                self.ring.push(sealed);
            }
        }
    }

    /// As the hub's service does: after the revision a subscriber has, or with a snapshot.
    fn subscribe(&mut self, resume: Option<Revision>, now: Instant) -> Option<Stream> {
        if let Some(position) = resume.and_then(|revision| self.ring.since(revision)) {
            let snapshot = VecDeque::new();
            return Some(Stream { snapshot, position });
        }
        let snapshot = self.machine.snapshot(now)?;
        let position = self.ring.since(snapshot.revision)?;
        let snapshot = snapshot.chunks.iter().cloned().chain([snapshot.end]).collect();
        Some(Stream { snapshot, position })
    }
}

impl Enforcer {
    fn new(node: &NodeName, history: &History, addresses: BTreeSet<IpAddr>, now: Instant) -> Self {
        let machine = Machine::new(
            Node {
                cluster: ClusterName::new(&node.cluster).unwrap(),
                name: node.name.as_str().into(),
                switches: Switches::default(),
            },
            now,
        );
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
        }
    }

    fn step(&mut self, hub: &mut Hub, now: Instant, rng: &mut Rng) {
        match rng.u8(..32) {
            0 => self.cut(now, rng),
            1..12 => drop(self.listen(hub, now, rng)),
            12..16 => {
                let event = self.policies.next(rng);
                self.hear(Input::Policies(event), now, rng);
            }
            16..20 => {
                let event = self.pods.next(rng);
                self.hear(Input::Pods(event), now, rng);
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
    fn listen(&mut self, hub: &mut Hub, now: Instant, rng: &mut Rng) -> bool {
        let Some(stream) = &mut self.stream else {
            self.stream = hub.subscribe(self.resume, now);
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

    fn cut(&mut self, now: Instant, rng: &mut Rng) {
        if self.stream.take().is_some() {
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
            let fails = self.failures.is_some_and(|one_in| rng.u8(..one_in) == 0);
            let answer = match output {
                Output::Read if fails => Input::Kernel(Err("no memory".to_owned())),
                Output::Read => Input::Kernel(Ok(self.kernel.clone())),
                // What a failed plan leaves behind is what was there, or what should be.
                Output::Apply(_) if fails && rng.bool() => Input::Done(Err("no memory".to_owned())),
                Output::Apply(plan) => {
                    self.kernel = std::mem::take(&mut self.kernel).after(&plan, &BTreeSet::new());
                    Input::Done(if fails {
                        Err("no answer".to_owned())
                    } else {
                        Ok(BTreeSet::new())
                    })
                }
                Output::FollowOwnCluster => {
                    self.follows_own = true;
                    self.own_pods.restart();
                    self.own_namespaces.restart();
                    continue;
                }
                Output::LeaveOwnCluster => {
                    self.follows_own = false;
                    continue;
                }
                Output::Resubscribe => panic!("the hub's frames made no sense"),
                Output::Say(_) | Output::Enforced { .. } => continue,
            };
            self.hear(answer, now, rng);
        }
    }

    /// Hears all that is left to hear, and does what there is to do.
    fn finish(&mut self, hub: &mut Hub, now: Instant, rng: &mut Rng) {
        self.failures = None;
        while !(self.policies.is_done() && self.pods.is_done()) {
            let (policies, pods) = (self.policies.next(rng), self.pods.next(rng));
            self.hear(Input::Policies(policies), now, rng);
            self.hear(Input::Pods(pods), now, rng);
        }
        self.hear(Input::NodeAddresses(self.addresses.clone()), now, rng);
        while self.listen(hub, now, rng) {}
        for later in [now, now + LONG, now + 2 * LONG] {
            while self.turn(later, rng) {}
        }
        assert!(!self.follows_own, "the hub says how the own cluster is");
    }
}

fn pods(history: &History) -> Feed<Pod> {
    Feed::new(history, |pod| &pod.uid, |_| true)
}

fn namespaces(history: &History) -> Feed<Namespace> {
    Feed::new(history, |namespace| &namespace.uid, |_| true)
}
