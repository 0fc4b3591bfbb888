//! Mirror = inventory, after random changes with random cuts and resumes.

use super::world::{Hub, NODES, World, cluster, identity, labels, namespace};
use crate::mirror::Mirror;
use crate::model::{ClusterName, ClusterState, Identity, Labels, NamespaceName};
use crate::wire;
use crate::wire::frame::Body;
use fastrand::Rng;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Small pools, so that addresses are shared, identities repeat, and everything comes and goes often.
const CLUSTERS: [&str; 3] = ["a", "b", "c"];
const NAMESPACES: [&str; 2] = ["x", "y"];
const PODS: [&str; 4] = ["", "app=web", "app=db http:TCP/80", "app=web tier=x http:UDP/80"];
const ADDRESSES: [&str; 6] = ["10.0.0.1", "10.0.0.2", "10.0.0.200", "fd00::1", "fd00::2", "fd00::1:0"];

/// The clusters as they are, whatever any hub knows of them, and the hub that watches them.
struct Fleet {
    rng: Rng,
    truth: World,
    hub: Hub,
    /// What the hub has sealed in this epoch: each frame with the inventory it leads to.
    log: Vec<(wire::Frame, World)>,
}

impl Fleet {
    fn step(&mut self) {
        for _ in 0..self.rng.u8(1..6) {
            self.change_truth();
        }
        if self.rng.u8(..8) == 0 {
            return self.restart();
        }
        let mut states = self.hub.world.clusters.clone();
        let cluster = cluster(self.rng.choice(CLUSTERS).unwrap());
        let states_of_one = match states.get(&cluster) {
            None | Some(ClusterState::Left) => [ClusterState::Syncing, ClusterState::Syncing],
            Some(ClusterState::Syncing) => [ClusterState::Live, ClusterState::Syncing],
            Some(ClusterState::Live) => [ClusterState::Stale, ClusterState::Live],
            Some(ClusterState::Stale) => [ClusterState::Left, ClusterState::Live],
        };
        states.insert(cluster, *self.rng.choice(&states_of_one).unwrap());
        self.seal(states);
    }

    /// The hub seals what it sees: of LIVE clusters the truth, of STALE ones what it knew, of others nothing.
    fn seal(&mut self, states: BTreeMap<ClusterName, ClusterState>) {
        let mut world = World::default();
        for (cluster, state) in &states {
            match state {
                ClusterState::Live => world.replace(cluster, &self.truth),
                ClusterState::Stale => world.replace(cluster, &self.hub.world),
                ClusterState::Syncing | ClusterState::Left => {}
            }
        }
        world.clusters = states;
        let frame = self.hub.seal(world);
        self.log.push((frame, self.hub.world.clone()));
    }

    fn restart(&mut self) {
        self.hub = Hub::new(self.hub.revision.epoch.0 + 1);
        self.log.clear();
        let mut states = BTreeMap::new();
        for name in CLUSTERS {
            if self.rng.u8(..6) > 0 {
                states.insert(cluster(name), ClusterState::Syncing);
            }
        }
        self.seal(states);
    }

    fn change_truth(&mut self) {
        let rng = &mut self.rng;
        let place = format!("{}/{}", rng.choice(CLUSTERS).unwrap(), rng.choice(NAMESPACES).unwrap());
        if rng.u8(..4) == 0 {
            let (cluster, name) = place.split_once('/').unwrap();
            let namespace = namespace(cluster, name);
            match rng.u8(..3) {
                0 => drop(self.truth.namespaces.remove(&namespace)),
                team => drop(self.truth.namespaces.insert(namespace, labels(&format!("team={team}")))),
            }
            return;
        }
        if rng.u8(..6) == 0 {
            let node = (
                cluster(rng.choice(CLUSTERS).unwrap()),
                rng.choice(NODES).unwrap().parse().unwrap(),
            );
            if !self.truth.nodes.remove(&node) {
                self.truth.nodes.insert(node);
            }
            return;
        }
        let address: IpAddr = rng.choice(ADDRESSES).unwrap().parse().unwrap();
        let identity = identity(&format!("{place} {}", rng.choice(PODS).unwrap()));
        let claims = self.truth.owners.entry(address).or_default();
        if rng.bool() {
            claims.insert(identity);
        } else {
            claims.retain(|claim| claim.namespace.cluster != identity.namespace.cluster);
        }
        if claims.is_empty() {
            self.truth.owners.remove(&address);
        }
    }
}

/// What a mirror must hold: of each cluster what the hub said of it last, while it was not SYNCING.
#[derive(Default)]
struct Model {
    expected: World,
    /// Epoch and sequence of the last frame that counted.
    position: Option<(u128, u64)>,
}

impl Model {
    fn reached(&mut self, hub: &Hub, sequence: u64, world: &World) {
        let known: Vec<_> = self.clusters();
        for cluster in known.iter().chain(world.clusters.keys()) {
            match world.clusters.get(cluster) {
                Some(ClusterState::Syncing) => {}
                Some(ClusterState::Live | ClusterState::Stale) => self.expected.replace(cluster, world),
                Some(ClusterState::Left) | None => self.expected.replace(cluster, &World::default()),
            }
        }
        self.expected.clusters = world.clusters.clone();
        self.position = Some((hub.revision.epoch.0, sequence));
    }

    fn seen(&self) -> World {
        self.expected.clone().seen_from(&cluster("a"))
    }

    fn clusters(&self) -> Vec<ClusterName> {
        let claims = self.expected.owners.values().flatten();
        let of_claims = claims.map(|Identity { namespace, .. }| &namespace.cluster);
        let of_namespaces = self
            .expected
            .namespaces
            .keys()
            .map(|NamespaceName { cluster, .. }| cluster);
        let of_nodes = self.expected.nodes.iter().map(|(cluster, _)| cluster);
        of_claims.chain(of_namespaces).chain(of_nodes).cloned().collect()
    }
}

#[test]
fn a_mirror_is_the_inventory_wherever_the_stream_is_cut() {
    for seed in 0..200 {
        let run = std::panic::catch_unwind(|| run(seed));
        assert!(run.is_ok(), "with seed {seed}");
    }
}

fn run(seed: u64) {
    let mut fleet = Fleet {
        rng: Rng::with_seed(seed),
        truth: World::default(),
        hub: Hub::new(1),
        log: Vec::new(),
    };
    fleet.restart();
    let mut mirror = Mirror::new(cluster("a"));
    let mut model = Model::default();
    for _ in 0..60 {
        fleet.step();
        if fleet.rng.u8(..3) == 0 {
            deliver(&mut fleet, &mut mirror, &mut model);
        }
        assert_eq!(World::of(&mirror), model.seen());
    }
}

/// One connection: resume where the log still reaches, else a snapshot; cut anywhere.
fn deliver(fleet: &mut Fleet, mirror: &mut Mirror, model: &mut Model) {
    let resume = mirror.revision();
    assert_eq!(
        resume.map(|revision| (revision.epoch.0, revision.sequence)),
        model.position
    );
    let log_begins = if fleet.rng.bool() {
        1
    } else {
        fleet.hub.revision.sequence
    };
    let resumed =
        resume.filter(|revision| revision.epoch == fleet.hub.revision.epoch && revision.sequence + 1 >= log_begins);
    let Some(from) = resumed else {
        let frames = fleet.hub.snapshot();
        let cut = fleet.rng.usize(..frames.len() * 2);
        for frame in frames.iter().take(cut) {
            mirror.apply(frame).unwrap();
            if matches!(frame.body, Some(Body::End(_))) {
                model.reached(&fleet.hub, fleet.hub.revision.sequence, &fleet.hub.world);
            }
            assert_eq!(World::of(mirror), model.seen());
        }
        return mirror.disconnected();
    };
    let frames = fleet
        .log
        .iter()
        .zip(1..)
        .filter(|(_, sequence)| *sequence > from.sequence);
    let cut = fleet.rng.usize(..fleet.log.len() + 2);
    for ((frame, world), sequence) in frames.take(cut) {
        mirror.apply(frame).unwrap();
        model.reached(&fleet.hub, sequence, world);
        assert_eq!(World::of(mirror), model.seen());
    }
    mirror.disconnected();
}

/// The labels of a world never hide a difference from `assert_eq!`.
#[test]
fn worlds_differ_by_labels() {
    let with = |labels: Labels| World {
        namespaces: [(namespace("a", "x"), labels)].into(),
        ..World::default()
    };
    assert_ne!(with(labels("team=1")), with(labels("team=2")));
}
