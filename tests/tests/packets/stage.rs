//! A random world as a network with its rulesets in the nodes' kernels, and what `enforcer matrix` and the oracle say
//! about it.

use crate::words::in_our_words;
use enforcer::offline::clusterset::ClusterSet as Offline;
use enforcer::offline::ends::{self, End, NodeName, Probe, Table, Transport};
use enforcer::offline::{grid, tables};
use enforcer::ruleset::{Family, Ruleset};
use enforcer::screen::Ink;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use tests::lab::fabric::{Blueprint, Fabric};
use tests::lab::layout::Layout;
use tests::lab::netns::{self, Netns};
use tests::lab::probe::Range;
use tests::lab::{direct, world};
use tests::oracle::World;
use tests::oracle::{self, Judge, Switches, crossed};
use tests::worlds::ClusterSet;

/// A network in which the rulesets are in force.
pub struct Stage<'a> {
    world: &'a ClusterSet,
    switches: Switches,
    read: &'a World,
    offline: Offline,
    without_excepts: Offline,
    fabric: &'a Fabric,
    range: Range<'a>,
}

impl Stage<'_> {
    /// Builds the world around this thread, checks that every probe is answered, puts the rulesets into the nodes'
    /// kernels, and runs a test.
    pub fn run(
        mut world: ClusterSet,
        switches: Switches,
        (layout, probes): (Layout, Vec<Probe>),
        test: impl AsyncFnOnce(&Stage<'_>),
    ) {
        let host = Netns::leave().expect("these tests make network namespaces: run them as root");
        let objects = lab_world(&world);
        let outside = world.strangers();
        let blueprint = Blueprint {
            world: &objects,
            outside: &outside,
            api_servers: 0,
            layout,
        };
        let fabric = Fabric::build(blueprint).unwrap();
        for (name, node) in &fabric.plan().nodes {
            let cluster = world.clusters.get_mut(name.cluster.as_str()).unwrap();
            cluster
                .nodes
                .entry(name.name.clone())
                .or_default()
                .extend(node.addresses());
        }
        let read = World::read(&world);
        netns::block_on(async {
            let mut ends = objects.ends();
            ends.extend(outside.into_iter().map(End::Address));
            ends.retain(|end| fabric.locate(end).is_some());
            let range = Range::open(&fabric, ends, probes).await.unwrap();
            range.baseline().await.unwrap();
            let offline = |world: &world::World| world.on(fabric.plan()).clusterset(in_our_words(switches));
            let stage = Stage {
                offline: offline(&objects),
                without_excepts: offline(&without_excepts(objects.clone())),
                world: &world,
                switches,
                read: &read,
                fabric: &fabric,
                range,
            };
            direct::enforce(&fabric, &stage.rulesets()).unwrap();
            test(&stage).await;
        });
        host.enter().unwrap();
    }

    fn rulesets(&self) -> BTreeMap<NodeName, Ruleset> {
        let nodes = self.offline.nodes().map(|(name, _)| name);
        nodes
            .map(|name| {
                (
                    name.clone(),
                    self.offline.ruleset(&name).expect("it is one of its nodes"),
                )
            })
            .collect()
    }
}

impl<'a> Stage<'a> {
    /// The ends and probes.
    pub fn range(&self) -> &Range<'a> {
        &self.range
    }

    /// Whether packets from one end to another pass a node that judges them.
    pub fn crosses(&self, from: usize, to: usize) -> bool {
        Family::ALL.into_iter().any(|family| {
            let [from, to] = [from, to].map(|end| self.end(end, family));
            from.zip(to).is_some_and(|(from, to)| !crossed(&from, &to).is_empty())
        })
    }

    /// Whether one end is the node of the other, a pod.
    pub fn is_own_node(&self, from: usize, to: usize) -> bool {
        Family::ALL
            .into_iter()
            .any(|family| match (self.end(from, family), self.end(to, family)) {
                (Some(oracle::End::Node { node: one, .. }), Some(oracle::End::Pod { node: other, .. })) => one == other,
                _ => false,
            })
    }

    /// What `enforcer matrix` says.
    pub fn offline(&self, probe: Probe) -> Table {
        self.judged(&self.offline, probe)
    }

    /// The same if no block had an except.
    pub fn offline_without_excepts(&self, probe: Probe) -> Table {
        self.judged(&self.without_excepts, probe)
    }

    fn judged(&self, set: &Offline, probe: Probe) -> Table {
        let mut tables = tables::tables(set, self.range.ends(), &[probe], NonZeroUsize::MIN);
        tables.pop().expect("one probe has one table")
    }

    /// What the policies mean, by the oracle.
    pub fn meant(&self, probe: Probe) -> Table {
        let judge = Judge::new(self.read, self.switches);
        let family = probe.family.expect("these probes say their family");
        let ends: Vec<_> = (0..self.range.ends().len()).map(|end| self.end(end, family)).collect();
        let verdict = |from: usize, to: usize| {
            let (Some(source), Some(destination)) = (&ends[from], &ends[to]) else {
                return ends::Verdict::Absent;
            };
            match judge.verdict(source, destination, meaning(probe)) {
                oracle::Verdict::Allowed => ends::Verdict::Allowed,
                oracle::Verdict::Refused => ends::Verdict::Refused,
                // A pod on no node is an address to the oracle; it reaches itself as any pod does (S69).
                oracle::Verdict::NoTraffic if matches!(self.range.ends()[from], End::Pod(_)) => ends::Verdict::Allowed,
                oracle::Verdict::NoTraffic => ends::Verdict::Absent,
            }
        };
        let row = |from| (0..ends.len()).map(|to| verdict(from, to)).collect();
        Table {
            probe,
            rows: (0..ends.len()).map(row).collect(),
        }
    }

    /// The cells on which the three do not agree, and the packets' table.
    pub fn differences(&self, packets: &Table, offline: &Table, meant: &Table) -> String {
        let ends = self.range.ends();
        let mut text = format!("{}\n", grid::table(ends, packets, Ink::Plain));
        for (i, from) in ends.iter().enumerate() {
            for (j, to) in ends.iter().enumerate() {
                let [packet, ruleset, meaning] = [packets, offline, meant].map(|table| table.rows[i][j]);
                if packet != ruleset || packet != meaning {
                    text += &format!(
                        "{} from {from} to {to}: packets {packet:?}, enforcer matrix {ruleset:?}, oracle {meaning:?}\n",
                        packets.probe
                    );
                }
            }
        }
        text
    }

    /// An end by the address of a family that probes use, as the oracle calls it.
    fn end(&self, index: usize, family: Family) -> Option<oracle::End> {
        let end = &self.range.ends()[index];
        let (_, addresses) = self.fabric.locate(end)?;
        let address: IpAddr = addresses.iter().copied().find(|one| Family::of(*one) == family)?;
        let End::Pod(name) = end else {
            return Some(oracle::End::Address(address));
        };
        let plan = self.fabric.plan();
        let node = |placed: &tests::lab::address::Placed| oracle::NodeName {
            cluster: placed.node.cluster.to_string(),
            name: placed.node.name.clone(),
        };
        if plan.adrift.contains_key(name) {
            // On no node: a peer by its address, and nobody's subject (I12).
            return Some(oracle::End::Address(address));
        }
        Some(match plan.pods.get(name) {
            Some(placed) => oracle::End::Pod {
                node: node(placed),
                pod: (name.namespace.clone(), name.name.clone()),
                address,
            },
            None => oracle::End::Node {
                node: node(&plan.host_pods[name]),
                address,
            },
        })
    }
}

impl fmt::Display for Stage<'_> {
    /// The world and its rulesets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?}\n{}", self.switches, self.world)?;
        for (node, ruleset) in self.rulesets() {
            writeln!(f, "node {node}\n{ruleset}")?;
        }
        Ok(())
    }
}

fn without_excepts(mut world: world::World) -> world::World {
    fn strip(value: &mut Value) {
        if let Value::Object(fields) = value {
            fields.remove("except");
        }
        match value {
            Value::Object(fields) => fields.values_mut().for_each(strip),
            Value::Array(entries) => entries.iter_mut().for_each(strip),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    world.clusters.values_mut().flatten().for_each(strip);
    world
}

fn meaning(probe: Probe) -> oracle::Probe {
    match probe.transport {
        Transport::Tcp => oracle::Probe::Port(oracle::Transport::Tcp, probe.port),
        Transport::Udp => oracle::Probe::Port(oracle::Transport::Udp, probe.port),
        Transport::Sctp => oracle::Probe::Port(oracle::Transport::Sctp, probe.port),
        Transport::Icmp => oracle::Probe::Ping,
    }
}

fn lab_world(world: &ClusterSet) -> world::World {
    let objects = |(name, cluster): (&String, &tests::worlds::Cluster)| -> (_, Vec<Value>) {
        (name.parse().unwrap(), cluster.objects.clone())
    };
    world::World {
        clusters: world.clusters.iter().map(objects).collect(),
    }
}
