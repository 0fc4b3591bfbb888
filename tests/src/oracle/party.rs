//! Ends as people name them: pods, and addresses.
//!
//! Pure.

use super::connection::{End, NodeName, Probe};
use super::objects::{Cluster, Phase, Pod};
use super::{Judge, Verdict};
use std::net::IpAddr;

/// Who is meant, at the address that is used.
#[derive(Clone, Debug)]
pub struct Party {
    address: IpAddr,
    /// One, or each of several that have the address.
    ends: Vec<End>,
    /// No pod and no node has the address.
    outside: bool,
}

impl Judge<'_> {
    /// Whether a connection between two parties may be opened: each that has an address must have it so.
    pub fn between(&self, from: &Party, to: &Party, probe: Probe) -> Verdict {
        if from.address == to.address && !(from.outside && to.outside) {
            // S69: whoever has it is there already.
            return Verdict::Allowed;
        }
        let pairs = from
            .ends
            .iter()
            .flat_map(|from| to.ends.iter().map(move |to| (from, to)));
        let verdicts = pairs.map(|(from, to)| self.verdict(from, to, probe));
        verdicts.reduce(stricter).unwrap_or(Verdict::NoTraffic)
    }

    /// A pod at the first address of a family that it lists and owns; none: it has no traffic in it (S81, S83, S97).
    pub fn pod(&self, cluster: &str, namespace: &str, name: &str, v6: bool) -> Option<Party> {
        let pods = &self.world.clusters[cluster].pods;
        let pod = pods.iter().find(|pod| pod.namespace == namespace && pod.name == name)?;
        let mut addresses = pod.addresses.iter().copied().filter(|address| address.is_ipv6() == v6);
        if pod.host_network {
            // S71: it is its node.
            let address = addresses.next().filter(|_| pod.phase != Phase::Finished)?;
            let end = match &pod.node {
                Some(node) => End::Node {
                    node: node_name(cluster, node),
                    address,
                },
                None => End::Address(address),
            };
            let outside = pod.node.is_none();
            return Some(Party {
                address,
                ends: vec![end],
                outside,
            });
        }
        let address = addresses.find(|address| {
            self.owning(cluster, *address)
                .iter()
                .any(|owner| std::ptr::eq(*owner, pod))
        })?;
        Some(Party {
            address,
            ends: vec![end(pod, address)],
            outside: false,
        })
    }

    /// Whoever has an address: nodes (I7), else pods, else somebody outside.
    pub fn at(&self, address: IpAddr) -> Party {
        let clusters = self.world.clusters.keys();
        let pods: Vec<End> = clusters
            .flat_map(|cluster| self.owning(cluster, address))
            .map(|pod| end(pod, address))
            .collect();
        let nodes = self.world.nodes().filter(|(_, addresses)| addresses.contains(&address));
        let nodes: Vec<End> = nodes.map(|(node, _)| End::Node { node, address }).collect();
        let ends = if nodes.is_empty() { pods } else { nodes };
        Party {
            address,
            outside: ends.is_empty(),
            ends: if ends.is_empty() {
                vec![End::Address(address)]
            } else {
                ends
            },
        }
    }

    /// The pods of a cluster that own an address which is none of its nodes' (I7).
    fn owning(&self, cluster: &str, address: IpAddr) -> Vec<&Pod> {
        let it: &Cluster = &self.world.clusters[cluster];
        let mut of_nodes = it.nodes.values().chain([&it.told]);
        if of_nodes.any(|of_nodes| of_nodes.contains(&address)) {
            return Vec::new();
        }
        self.staying(self.live(cluster, None, address))
    }
}

fn end(pod: &Pod, address: IpAddr) -> End {
    match &pod.node {
        Some(node) => End::Pod {
            node: node_name(&pod.cluster, node),
            pod: (pod.namespace.clone(), pod.name.clone()),
            address,
        },
        // I12: nobody enforces for it.
        None => End::Address(address),
    }
}

fn node_name(cluster: &str, name: &str) -> NodeName {
    NodeName {
        cluster: cluster.to_owned(),
        name: name.to_owned(),
    }
}

fn stricter(one: Verdict, other: Verdict) -> Verdict {
    match (one, other) {
        (Verdict::Refused, _) | (_, Verdict::Refused) => Verdict::Refused,
        (Verdict::Allowed, _) | (_, Verdict::Allowed) => Verdict::Allowed,
        (Verdict::NoTraffic, Verdict::NoTraffic) => Verdict::NoTraffic,
    }
}
