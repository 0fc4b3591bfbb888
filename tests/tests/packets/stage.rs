//! A random world as a network with its rulesets in the nodes' kernels, and what interpreter and oracle say about it.

use crate::product::{self, Rulesets};
use enforcer::offline::ends::{self, End, Probe, Table, Transport};
use enforcer::offline::grid;
use enforcer::ruleset::{Element, Family};
use enforcer::screen::Ink;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use tests::lab::fabric::{Blueprint, Fabric};
use tests::lab::layout::Layout;
use tests::lab::netns::Netns;
use tests::lab::probe::Range;
use tests::lab::{direct, world};
use tests::oracle::World;
use tests::oracle::{self, Judge, Switches, crossed};
use tests::worlds::ClusterSet;

/// A network in which the rulesets are in force.
pub struct Stage<'a> {
    world: &'a ClusterSet,
    read: &'a World,
    rulesets: Rulesets,
    without_excepts: Rulesets,
    fabric: &'a Fabric,
    range: Range<'a>,
}

impl Stage<'_> {
    /// Builds the world around this thread, checks that every probe is answered, puts the rulesets into the nodes'
    /// kernels, and runs a test.
    pub fn run(mut world: ClusterSet, layout: Layout, probes: Vec<Probe>, test: impl AsyncFnOnce(&Stage<'_>)) {
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
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut ends = objects.ends();
            ends.extend(outside.into_iter().map(End::Address));
            ends.retain(|end| fabric.locate(end).is_some());
            let range = Range::open(&fabric, ends, probes).await.unwrap();
            range.baseline().await.unwrap();
            let rulesets = product::rulesets(&world, Switches::default());
            let stage = Stage {
                without_excepts: without_excepts(&rulesets),
                rulesets,
                world: &world,
                read: &read,
                fabric: &fabric,
                range,
            };
            direct::enforce(&fabric, &stage.lab_rulesets()).unwrap();
            test(&stage).await;
        });
        host.enter().unwrap();
    }

    fn lab_rulesets(&self) -> BTreeMap<ends::NodeName, enforcer::ruleset::Ruleset> {
        let renamed = self.rulesets.iter().map(|(node, ruleset)| {
            let name = ends::NodeName {
                cluster: node.cluster.parse().unwrap(),
                name: node.name.clone(),
            };
            (name, ruleset.clone())
        });
        renamed.collect()
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

    /// What the compiled rulesets do with a probe between all ends, by the interpreter.
    pub fn interpreted(&self, probe: Probe) -> Table {
        self.table(probe, |from, to, probe| {
            product::passes(&self.rulesets, from, to, probe)
        })
    }

    /// The same if no block had an except.
    pub fn interpreted_without_excepts(&self, probe: Probe) -> Table {
        self.table(probe, |from, to, probe| {
            product::passes(&self.without_excepts, from, to, probe)
        })
    }

    /// What the policies mean for it, by the oracle.
    pub fn meant(&self, probe: Probe) -> Table {
        let judge = Judge::new(self.read, Switches::default());
        self.table(probe, |from, to, probe| match judge.verdict(from, to, probe) {
            // An end and itself: it is there already.
            oracle::Verdict::Allowed | oracle::Verdict::NoTraffic => true,
            oracle::Verdict::Refused => false,
        })
    }

    /// The cells on which the three do not agree, and the packets' table.
    pub fn differences(&self, packets: &Table, interpreted: &Table, meant: &Table) -> String {
        let ends = self.range.ends();
        let mut text = format!("{}\n", grid::table(ends, packets, Ink::Plain));
        for (i, from) in ends.iter().enumerate() {
            for (j, to) in ends.iter().enumerate() {
                let [packet, ruleset, meaning] = [packets, interpreted, meant].map(|table| table.rows[i][j]);
                if packet != ruleset || packet != meaning {
                    text += &format!(
                        "{} from {from} to {to}: packets {packet:?}, interpreter {ruleset:?}, oracle {meaning:?}\n",
                        packets.probe
                    );
                }
            }
        }
        text
    }

    fn table(&self, probe: Probe, passes: impl Fn(&oracle::End, &oracle::End, oracle::Probe) -> bool) -> Table {
        let family = probe.family.expect("these probes say their family");
        let ends: Vec<_> = (0..self.range.ends().len()).map(|end| self.end(end, family)).collect();
        let verdict = |from: &Option<oracle::End>, to: &Option<oracle::End>| match (from, to) {
            (Some(from), Some(to)) if passes(from, to, meaning(probe)) => ends::Verdict::Allowed,
            (Some(_), Some(_)) => ends::Verdict::Refused,
            (None, _) | (_, None) => ends::Verdict::Absent,
        };
        let row = |from| ends.iter().map(|to| verdict(from, to)).collect();
        Table {
            probe,
            rows: ends.iter().map(row).collect(),
        }
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
        writeln!(f, "{}", self.world)?;
        for (node, ruleset) in &self.rulesets {
            writeln!(f, "node {node}\n{ruleset}")?;
        }
        Ok(())
    }
}

fn without_excepts(rulesets: &Rulesets) -> Rulesets {
    let mut rulesets = rulesets.clone();
    for set in rulesets.values_mut().flat_map(|ruleset| ruleset.sets.values_mut()) {
        set.members
            .retain(|member| !matches!(member, Element::Block { nomatch: true, .. }));
    }
    rulesets
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
