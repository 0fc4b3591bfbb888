//! Inventories as plain values, and a hub that encodes what happens between two of them.

use super::super::Mirror;
use crate::convert;
use crate::model::{ClusterName, ClusterState, Epoch, Identity, Labels, NamedPort, NamespaceName, Protocol, Revision};
use crate::wire;
use crate::wire::frame::Body;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};
use std::net::IpAddr;
use std::sync::Arc;

/// Addresses of nodes, from a small pool that a mirror can be asked about.
pub(super) const NODES: [&str; 3] = ["10.0.0.1", "10.0.0.3", "fd00::1"];

/// An inventory.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct World {
    pub(super) owners: BTreeMap<IpAddr, BTreeSet<Identity>>,
    pub(super) nodes: BTreeSet<(ClusterName, IpAddr)>,
    pub(super) namespaces: BTreeMap<NamespaceName, Labels>,
    pub(super) clusters: BTreeMap<ClusterName, ClusterState>,
}

impl World {
    pub(super) fn of(mirror: &Mirror) -> Self {
        let identities: BTreeMap<_, _> = mirror.identities().collect();
        let mut seen = BTreeSet::new();
        let owners = mirror.owners().map(|(address, claims)| {
            assert_eq!(claims, mirror.claims(address));
            seen.extend(claims.iter().copied());
            (address, claims.iter().map(|id| identities[id].clone()).collect())
        });
        let world = Self {
            owners: owners.collect(),
            nodes: NODES
                .iter()
                .map(|text| (mirror.own.clone(), text.parse().unwrap()))
                .filter(|(_, address)| mirror.is_nodes(*address))
                .collect(),
            namespaces: mirror
                .namespaces()
                .map(|(name, labels)| {
                    assert_eq!(mirror.namespace_labels(name), Some(labels));
                    (name.clone(), labels.clone())
                })
                .collect(),
            clusters: mirror.clusters().clone(),
        };
        assert_eq!(
            seen,
            identities.keys().copied().collect(),
            "only identities that an address has"
        );
        world
    }

    /// What a mirror of a cluster makes of it: an address of a node of that cluster is nobody's (I7), one of another
    /// cluster's node is only that cluster's own pods' (S113).
    pub(super) fn seen_from(mut self, own: &ClusterName) -> Self {
        let at_home = |claims: &BTreeSet<Identity>| claims.iter().any(|identity| identity.namespace.cluster == *own);
        let nodes = &self.nodes;
        self.owners.retain(|address, claims| {
            let mut of_nodes = nodes.iter().filter(|(_, node)| node == address);
            !of_nodes.any(|(cluster, _)| cluster == own || !at_home(claims))
        });
        self.nodes.retain(|(cluster, _)| cluster == own);
        self
    }

    /// Takes what `other` has of one cluster in the place of what is here.
    pub(super) fn replace(&mut self, cluster: &ClusterName, other: &Self) {
        for claims in self.owners.values_mut() {
            claims.retain(|identity| identity.namespace.cluster != *cluster);
        }
        for (address, claims) in &other.owners {
            let of_cluster = claims.iter().filter(|identity| identity.namespace.cluster == *cluster);
            self.owners.entry(*address).or_default().extend(of_cluster.cloned());
        }
        self.owners.retain(|_, claims| !claims.is_empty());
        self.nodes.retain(|(of, _)| of != cluster);
        self.nodes
            .extend(other.nodes.iter().filter(|(of, _)| of == cluster).cloned());
        self.namespaces.retain(|name, _| name.cluster != *cluster);
        let of_cluster = other.namespaces.iter().filter(|(name, _)| name.cluster == *cluster);
        self.namespaces
            .extend(of_cluster.map(|(name, labels)| (name.clone(), labels.clone())));
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (cluster, state) in &self.clusters {
            writeln!(f, "{cluster} {state:?}")?;
        }
        for (NamespaceName { cluster, name }, labels) in &self.namespaces {
            writeln!(f, "{cluster}/{name}{}", shown(labels))?;
        }
        for (cluster, address) in &self.nodes {
            writeln!(f, "{address} node of {cluster}")?;
        }
        for (address, claims) in &self.owners {
            for Identity {
                namespace: NamespaceName { cluster, name },
                labels,
                ports,
            } in claims
            {
                write!(f, "{address} {cluster}/{name}{}", shown(labels))?;
                for NamedPort { name, protocol, port } in ports.iter() {
                    write!(f, " {name}:{protocol}/{port}")?;
                }
                writeln!(f)?;
            }
        }
        Ok(())
    }
}

fn shown(labels: &Labels) -> String {
    labels.iter().fold(String::new(), |mut text, (key, value)| {
        write!(text, " {key}={value}").unwrap();
        text
    })
}

/// What encodes an inventory and its changes.
#[derive(Clone)]
pub(super) struct Hub {
    pub(super) revision: Revision,
    pub(super) world: World,
    strings: BTreeMap<Arc<str>, u32>,
    identities: BTreeMap<Identity, u32>,
    last_string: u32,
    last_identity: u32,
}

impl Hub {
    pub(super) fn new(epoch: u128) -> Self {
        Self {
            revision: Revision {
                epoch: Epoch(epoch),
                sequence: 0,
            },
            world: World::default(),
            strings: BTreeMap::new(),
            identities: BTreeMap::new(),
            last_string: 0,
            last_identity: 0,
        }
    }

    /// The frame that leads from the present inventory to `world`.
    pub(super) fn seal(&mut self, world: World) -> wire::Frame {
        let before = std::mem::replace(&mut self.world, world);
        self.revision.sequence += 1;
        let mut delta = wire::Delta::default();
        let mut fresh = BTreeMap::new();
        let world = self.world.clone();
        for identity in world.owners.values().flatten() {
            self.define(identity, &mut delta, &mut fresh);
        }
        for (name, labels) in &world.namespaces {
            if before.namespaces.get(name) != Some(labels) {
                delta.namespaces.push(self.namespace(name, Some(labels), &mut fresh));
            }
        }
        for name in before
            .namespaces
            .keys()
            .filter(|name| !world.namespaces.contains_key(*name))
        {
            delta.namespaces.push(self.namespace(name, None, &mut fresh));
        }
        for (cluster, address) in before.nodes.symmetric_difference(&world.nodes) {
            let is_one = world.nodes.contains(&(cluster.clone(), *address));
            delta
                .node_addresses
                .push(self.node(cluster, *address, is_one, &mut fresh));
        }
        let addresses: BTreeSet<_> = before.owners.keys().chain(world.owners.keys()).copied().collect();
        let changed = addresses
            .iter()
            .filter(|address| before.owners.get(address) != world.owners.get(address));
        let changed: Vec<_> = changed.map(|address| (*address, self.claimants(*address))).collect();
        delta.owners = Some(convert::encode_owners(
            changed.iter().map(|(address, claims)| (*address, &claims[..])),
        ));
        let named: BTreeMap<_, _> = fresh.iter().map(|(value, number)| (*number, &**value)).collect();
        delta.strings = Some(convert::encode_strings(named));
        let used: BTreeSet<_> = world.owners.values().flatten().cloned().collect();
        let unused = self.identities.extract_if(.., |identity, _| !used.contains(identity));
        delta.retired_identities = unused.map(|(_, number)| number).collect();
        let strings = used_strings(&world);
        let unused = self.strings.extract_if(.., |value, _| !strings.contains(value));
        delta.retired_strings = unused.map(|(_, number)| number).collect();
        let changed = world
            .clusters
            .iter()
            .filter(|(cluster, state)| before.clusters.get(*cluster) != Some(*state));
        delta.clusters = changed
            .map(|(cluster, state)| convert::encode_status(cluster, *state, 7))
            .collect();
        self.frame(Body::Delta(delta))
    }

    /// The frames of a snapshot: definitions, an address each, the end.
    pub(super) fn snapshot(&self) -> Vec<wire::Frame> {
        let mut chunks = vec![self.definitions()];
        chunks.extend(self.world.owners.keys().map(|address| {
            let claims = self.claimants(*address);
            wire::Delta {
                owners: Some(convert::encode_owners([(*address, &claims[..])])),
                ..wire::Delta::default()
            }
        }));
        let end = wire::SnapshotEnd {
            chunks: chunks.len() as u32,
            addresses: self.world.owners.len() as u64,
            namespaces: self.world.namespaces.len() as u64,
            clusters: statuses(&self.world),
        };
        let chunk = |(index, content)| {
            self.frame(Body::Chunk(wire::SnapshotChunk {
                index: index as u32,
                content: Some(content),
            }))
        };
        let mut frames: Vec<_> = chunks.into_iter().enumerate().map(chunk).collect();
        frames.push(self.frame(Body::End(end)));
        frames
    }

    /// Everything that has a number, the nodes' addresses and the namespaces.
    fn definitions(&self) -> wire::Delta {
        let numbered: BTreeMap<_, _> = self.strings.iter().map(|(value, number)| (*number, &**value)).collect();
        let mut delta = wire::Delta {
            strings: Some(convert::encode_strings(numbered)),
            ..wire::Delta::default()
        };
        let (mut numbers, mut fresh) = (self.clone(), BTreeMap::new());
        for (name, labels) in &self.world.namespaces {
            delta.namespaces.push(numbers.namespace(name, Some(labels), &mut fresh));
        }
        for (cluster, address) in &self.world.nodes {
            delta
                .node_addresses
                .push(numbers.node(cluster, *address, true, &mut fresh));
        }
        for (identity, number) in &self.identities {
            delta.identities.push(numbers.identity(identity, *number, &mut fresh));
        }
        assert_eq!(fresh, BTreeMap::new(), "all of it has been numbered before");
        delta
    }

    pub(super) fn heartbeat(&self) -> wire::Frame {
        self.frame(Body::Heartbeat(wire::Heartbeat {
            clusters: statuses(&self.world),
            omitted_label_keys: Vec::new(),
        }))
    }

    pub(super) fn frame(&self, body: Body) -> wire::Frame {
        wire::Frame {
            revision: Some(self.revision.into()),
            oldest_age_us: 0,
            body: Some(body),
        }
    }

    fn define(&mut self, identity: &Identity, delta: &mut wire::Delta, fresh: &mut BTreeMap<Arc<str>, u32>) {
        if !self.identities.contains_key(identity) {
            self.last_identity += 1;
            let number = self.last_identity;
            delta.identities.push(self.identity(identity, number, fresh));
            self.identities.insert(identity.clone(), number);
        }
    }

    fn identity(&mut self, identity: &Identity, id: u32, fresh: &mut BTreeMap<Arc<str>, u32>) -> wire::Identity {
        wire::Identity {
            id,
            cluster: self.string(identity.namespace.cluster.as_str(), fresh),
            namespace: self.string(&identity.namespace.name, fresh),
            labels: self.labels(&identity.labels, fresh),
            ports: identity
                .ports
                .iter()
                .map(|port| convert::encode_port(self.string(&port.name, fresh), port.protocol, port.port))
                .collect(),
        }
    }

    fn node(
        &mut self,
        cluster: &ClusterName,
        address: IpAddr,
        is_one: bool,
        fresh: &mut BTreeMap<Arc<str>, u32>,
    ) -> wire::NodeAddress {
        wire::NodeAddress {
            cluster: self.string(cluster.as_str(), fresh),
            address: convert::encode_address(address),
            gone: !is_one,
        }
    }

    fn namespace(
        &mut self,
        name: &NamespaceName,
        labels: Option<&Labels>,
        fresh: &mut BTreeMap<Arc<str>, u32>,
    ) -> wire::NamespaceLabels {
        wire::NamespaceLabels {
            cluster: self.string(name.cluster.as_str(), fresh),
            name: self.string(&name.name, fresh),
            labels: labels.map(|labels| self.labels(labels, fresh)).unwrap_or_default(),
            gone: labels.is_none(),
        }
    }

    fn labels(&mut self, labels: &Labels, fresh: &mut BTreeMap<Arc<str>, u32>) -> Vec<u32> {
        let pairs = labels.iter().flat_map(|(key, value)| [key, value]);
        pairs.map(|text| self.string(text, fresh)).collect()
    }

    fn string(&mut self, text: &str, fresh: &mut BTreeMap<Arc<str>, u32>) -> u32 {
        if let Some(number) = self.strings.get(text) {
            return *number;
        }
        self.last_string += 1;
        self.strings.insert(text.into(), self.last_string);
        fresh.insert(text.into(), self.last_string);
        self.last_string
    }

    fn claimants(&self, address: IpAddr) -> Vec<u32> {
        let claims = self.world.owners.get(&address).into_iter().flatten();
        let mut numbers: Vec<_> = claims.map(|identity| self.identities[identity]).collect();
        numbers.sort_unstable();
        numbers
    }
}

fn statuses(world: &World) -> Vec<wire::ClusterStatus> {
    let clusters = world.clusters.iter();
    clusters
        .map(|(cluster, state)| convert::encode_status(cluster, *state, 7))
        .collect()
}

fn used_strings(world: &World) -> BTreeSet<Arc<str>> {
    let mut used = BTreeSet::new();
    let mut namespaces: Vec<_> = world.namespaces.iter().collect();
    for identity in world.owners.values().flatten() {
        namespaces.push((&identity.namespace, &identity.labels));
        used.extend(identity.ports.iter().map(|port| Arc::clone(&port.name)));
    }
    used.extend(world.nodes.iter().map(|(cluster, _)| cluster.as_str().into()));
    for (name, labels) in namespaces {
        used.extend([name.cluster.as_str().into(), Arc::clone(&name.name)]);
        used.extend(labels.iter().flat_map(|(key, value)| [key, value]).cloned());
    }
    used
}

pub(super) fn cluster(name: &str) -> ClusterName {
    name.parse().unwrap()
}

pub(super) fn namespace(cluster: &str, name: &str) -> NamespaceName {
    NamespaceName {
        cluster: self::cluster(cluster),
        name: name.into(),
    }
}

pub(super) fn labels(text: &str) -> Labels {
    let pairs = text.split_whitespace().map(|pair| pair.split_once('=').unwrap());
    pairs.map(|(key, value)| (key.into(), value.into())).collect()
}

/// A pod's identity from `cluster/namespace key=value… [name:PROTOCOL/port…]`.
pub(super) fn identity(text: &str) -> Identity {
    let (place, rest) = text.split_once(' ').unwrap_or((text, ""));
    let (cluster, name) = place.split_once('/').unwrap();
    let (pairs, ports): (Vec<_>, Vec<_>) = rest.split_whitespace().partition(|word| word.contains('='));
    let port = |word: &str| {
        let (name, rest) = word.split_once(':').unwrap();
        let (protocol, port) = rest.split_once('/').unwrap();
        NamedPort {
            name: name.into(),
            protocol: Protocol::from_kubernetes(protocol).unwrap(),
            port: port.parse().unwrap(),
        }
    };
    Identity {
        namespace: namespace(cluster, name),
        labels: Arc::new(labels(&pairs.join(" "))),
        ports: ports.into_iter().map(port).collect(),
    }
}

/// A world from lines as `Debug` prints them: `a Live`, `a/x team=shop` (a namespace), `10.0.0.1 a/x app=web` (a claim),
/// `10.0.0.1 node of a`.
pub(super) fn world(text: &str) -> World {
    let mut world = World::default();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
        if let Ok(address) = first.parse::<IpAddr>()
            && let Some(of) = rest.strip_prefix("node of ")
        {
            world.nodes.insert((cluster(of), address));
        } else if let Ok(address) = first.parse::<IpAddr>() {
            world.owners.entry(address).or_default().insert(identity(rest));
        } else if let Some((cluster, name)) = first.split_once('/') {
            world.namespaces.insert(namespace(cluster, name), labels(rest));
        } else {
            let states = [
                ClusterState::Syncing,
                ClusterState::Live,
                ClusterState::Stale,
                ClusterState::Left,
            ];
            let state = states.into_iter().find(|state| format!("{state:?}") == rest).unwrap();
            world.clusters.insert(cluster(first), state);
        }
    }
    world
}
