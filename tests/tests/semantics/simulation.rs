//! A hub and enforcers, without sockets, clocks and kernels, to which a world happens in random order.
//!
//! Watches repeat, relist and skip; clusters join, leave and change credentials; streams are cut anywhere and resumed;
//! the hub starts anew; kernels fail. In the end all is said, and what counts is where each enforcer has got to.

use super::enforcer::{Enforcer, Happening, LONG, Outcome, Stream};
use super::history::{Feed, History};
use enforcer::switches::Switches;
use fastrand::Rng;
use hub::inventory::{Connection, Observed};
use hub::machine::{Input, Machine, Output};
use hub::ring::Ring;
use proto::model::{ClusterName, Epoch, Revision};
use proto::observe::{Namespace, Pod};
use proto::watch::Event;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};
use tests::oracle::NodeName;
use tests::worlds::{Cluster, ClusterSet};

/// How many things happen before all that is left is said.
const STEPS: usize = 150;

/// A few frames' worth: subscribers that do not listen for a while fall behind.
const RING_LIMIT_BYTES: usize = 512;

/// A cluster, as the hub's feeds see it.
struct Source {
    name: ClusterName,
    connection: u64,
    pods: Feed<Pod>,
    namespaces: Feed<Namespace>,
    /// Whether it is a member in the end.
    stays: bool,
    /// Whether in the end it has left and come back, and nothing of it is known any more.
    returns: bool,
    is_member: bool,
}

/// The hub, and what its subscribers are served from.
pub struct Hub {
    machine: Machine,
    pub ring: Ring,
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

impl Simulation {
    /// Of `world` in the end, for these nodes; what comes before is random. A cluster that returns, of which there are no
    /// nodes, has come back in the end, and has said nothing yet.
    #[expect(
        clippy::disallowed_methods,
        reason = "an Instant comes from nowhere else; only differences to it count"
    )]
    pub fn new(world: &ClusterSet, switches: Switches, nodes: &[NodeName], returns: Option<&str>, seed: u64) -> Self {
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
            returns: Some(name.as_str()) == returns,
            is_member: false,
        });
        let enforcers = nodes.iter().map(|node| {
            let addresses = world.clusters[&node.cluster].nodes[&node.name].clone();
            (
                node.clone(),
                Enforcer::new(node, &histories[&node.cluster], addresses, switches, now),
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
        if self.sources.iter().any(|source| source.returns) {
            self.leave_and_return();
        }
        self.finish();
        let outcome = |(node, enforcer): (NodeName, Enforcer)| (node, enforcer.into_outcome());
        self.enforcers.into_iter().map(outcome).collect()
    }

    fn step(&mut self) {
        let Self {
            rng,
            now,
            sources,
            hub,
            enforcers,
            ..
        } = self;
        match rng.u16(..1000) {
            0..10 => self.restart_hub(),
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
        self.hub.handle(Input::Timer, self.now);
    }

    /// Another process, which knows nothing and has another epoch.
    fn restart_hub(&mut self) {
        self.epoch += 1;
        self.hub = Hub::new(Epoch(self.epoch), self.now);
        for source in &mut self.sources {
            source.restart();
        }
        for enforcer in self.enforcers.values_mut() {
            enforcer.cut(self.now, &mut self.rng);
        }
    }

    /// All know the cluster that returns; then the hub begins anew, and the cluster leaves and comes back before it has said
    /// anything. Both are told at once.
    fn leave_and_return(&mut self) {
        for source in &mut self.sources {
            source.say_all(&mut self.hub, self.now, &mut self.rng);
        }
        self.all_hear();
        self.restart_hub();
        for source in self.sources.iter_mut().filter(|source| !source.returns) {
            source.say_all(&mut self.hub, self.now, &mut self.rng);
        }
        let mut returning = self.sources.iter_mut().filter(|source| source.returns);
        let returning = returning.next().expect("one returns");
        returning.connect(&mut self.hub, self.now);
        self.all_hear();
        for enforcer in self.enforcers.values_mut() {
            enforcer.note(Happening::SawReturn);
        }
        let returning = self.sources.iter_mut().filter(|source| source.returns);
        for source in returning {
            let cluster = source.name.clone();
            self.hub.handle(Input::Left { cluster }, self.now);
            source.connect(&mut self.hub, self.now);
        }
    }

    /// All hear what has been said.
    fn all_hear(&mut self) {
        self.now += LONG;
        self.hub.handle(Input::Timer, self.now);
        for enforcer in self.enforcers.values_mut() {
            while enforcer.listen(&mut self.hub, self.now, &mut self.rng) {}
        }
    }

    /// All that is left to say is said.
    fn finish(&mut self) {
        let rng = &mut self.rng;
        for source in self.sources.iter_mut().filter(|source| !source.returns) {
            source.say_all(&mut self.hub, self.now, rng);
            if !source.stays {
                let cluster = source.name.clone();
                self.hub.handle(Input::Left { cluster }, self.now);
            }
        }
        self.now += LONG;
        self.hub.handle(Input::Timer, self.now);
        // Who resumes where the hub is hears nothing until its next heartbeat.
        for enforcer in self.enforcers.values_mut() {
            if rng.bool() {
                enforcer.cut(self.now, rng);
            }
            while enforcer.listen(&mut self.hub, self.now, rng) {}
        }
        self.now += LONG;
        self.hub.handle(Input::Timer, self.now);
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
            hub.handle(Input::Left { cluster }, now);
            return;
        }
        if !self.is_member || rng.u8(..24) == 0 {
            return self.connect(hub, now);
        }
        let observed = if rng.bool() {
            Observed::Pods(self.pods.next(rng))
        } else {
            Observed::Namespaces(self.namespaces.next(rng))
        };
        self.say(hub, observed, now);
    }

    fn connect(&mut self, hub: &mut Hub, now: Instant) {
        self.restart();
        self.is_member = true;
        self.connection += 1;
        let input = Input::Connected {
            cluster: self.name.clone(),
            connection: Connection(self.connection),
            server: String::new(),
        };
        hub.handle(input, now);
    }

    /// All that it has to say.
    fn say_all(&mut self, hub: &mut Hub, now: Instant, rng: &mut Rng) {
        while !(self.is_member && self.pods.is_done() && self.namespaces.is_done()) {
            self.step(hub, now, rng);
        }
        self.say(hub, Observed::Pods(Event::Heard), now);
        self.say(hub, Observed::Namespaces(Event::Heard), now);
    }

    fn say(&self, hub: &mut Hub, observed: Observed, now: Instant) {
        let input = Input::Observed {
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
        let machine = Machine::new(epoch, now);
        let ring = Ring::new(machine.revision(), RING_LIMIT_BYTES);
        Self { machine, ring }
    }

    fn handle(&mut self, input: Input, now: Instant) {
        for output in self.machine.handle(input, now) {
            if let Output::Publish(sealed) = output {
                self.ring.push(sealed);
            }
        }
    }

    /// As the hub's service does: after the revision a subscriber has, or with a snapshot.
    pub fn subscribe(&mut self, resume: Option<Revision>, now: Instant) -> Option<Stream> {
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

/// A watch of all pods of a cluster.
pub fn pods(history: &History) -> Feed<Pod> {
    Feed::new(history, |pod| &pod.uid, |_| true)
}

/// A watch of all its namespaces.
pub fn namespaces(history: &History) -> Feed<Namespace> {
    Feed::new(history, |namespace| &namespace.uid, |_| true)
}
