//! The two ends: who has their addresses, why nobody judges one of them, and why there is no traffic between them.
//!
//! Pure.

use super::answer::Question;
use super::words::{self, address_of};
use crate::offline::clusterset::ClusterSet;
use crate::offline::ends::{End, NodeName, PodName};
use crate::offline::judge::{Connection, Party, Whose};
use crate::ruleset::{Direction, Family};
use proto::observe::Phase;
use proto::pods::Lost;
use serde::Serialize;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Who has an address.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Address {
    /// `source` or `destination`.
    pub side: &'static str,
    /// It.
    pub address: String,
    /// The live pods that own it, in any cluster, as `cluster/namespace/pod`: nearly always one. For policies of a
    /// cluster that has some of them only those count; for others a selector matches only what all of them match.
    pub pods: Vec<Owner>,
    /// The nodes that have it, as `cluster/node`.
    pub nodes: Vec<String>,
    /// Pods that list it and do not own it.
    pub not_owners: Vec<NotOwner>,
}

/// A live pod that owns an address.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Owner {
    /// The pod.
    pub pod: String,
    /// Its node, `cluster/node`; null: none, and nobody enforces policies for it.
    pub node: Option<String>,
}

/// A pod that lists an address that is not its own.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct NotOwner {
    /// The pod.
    pub pod: String,
    /// Why.
    pub because: &'static str,
}

impl Address {
    /// What of it comes from manifests.
    pub(super) fn texts(&mut self) -> Vec<&mut String> {
        let owners = self.pods.iter_mut();
        let owners = owners.flat_map(|owner| std::iter::once(&mut owner.pod).chain(&mut owner.node));
        let others = self.not_owners.iter_mut().map(|other| &mut other.pod);
        owners.chain(&mut self.nodes).chain(others).collect()
    }
}

/// Who has the addresses of a connection; without one, those that the ends list.
pub(super) fn addresses(set: &ClusterSet, question: &Question, connection: Option<&Connection>) -> Vec<Address> {
    let listed = |end: &End| match end {
        End::Address(address) => vec![*address],
        End::Pod(name) => set.pod(name).map_or_else(Vec::new, |pod| pod.addresses.clone()),
    };
    let (source, destination) = match connection {
        Some(connection) => (vec![connection.source.address], vec![connection.destination.address]),
        None => (listed(&question.from), listed(&question.to)),
    };
    let sources = source.into_iter().map(|address| ("source", address));
    let destinations = destination.into_iter().map(|address| ("destination", address));
    sources
        .chain(destinations)
        .map(|(side, address)| owners(set, side, address))
        .collect()
}

fn owners(set: &ClusterSet, side: &'static str, address: IpAddr) -> Address {
    let owner = |name: &PodName| Owner {
        pod: name.to_string(),
        node: node(set, name),
    };
    let not_owners = set.clusters().flat_map(|cluster| {
        cluster.claims(address).into_iter().filter_map(|(pod, lost)| {
            Some(NotOwner {
                pod: cluster.pod_name(pod).to_string(),
                because: why_lost(lost?),
            })
        })
    });
    Address {
        side,
        address: address.to_string(),
        pods: set.owners(address).iter().map(owner).collect(),
        nodes: set.nodes_at(address).iter().map(ToString::to_string).collect(),
        not_owners: not_owners.collect(),
    }
}

const fn why_lost(lost: Lost) -> &'static str {
    match lost {
        Lost::Finished => "it has finished",
        Lost::HostNetwork => "it uses its node's network",
        Lost::NodeAddress => "a node has it, which no pod can take over",
        Lost::Terminating => "it is terminating, and another live pod has taken the address over",
    }
}

fn node(set: &ClusterSet, name: &PodName) -> Option<String> {
    let node = set.pod(name)?.node.as_deref()?;
    Some(format!("{}/{node}", name.cluster))
}

/// Why no node judges a direction.
pub(super) fn why_unjudged(set: &ClusterSet, connection: &Connection, direction: Direction, end: &End) -> String {
    let (own, other) = match direction {
        Direction::Egress => (&connection.source, &connection.destination),
        Direction::Ingress => (&connection.destination, &connection.source),
    };
    match (&own.whose, end) {
        (Whose::Outside, _) => format!("{}, where nobody's policies isolate it", address_of(own.address, None)),
        (Whose::Nodes(_), End::Pod(name)) => {
            format!("{name} uses its node's network, and policies isolate no such pods")
        }
        (Whose::Nodes(nodes), End::Address(address)) => {
            let node = words::list(nodes);
            format!("{}, and policies isolate pods only", address_of(*address, Some(&node)))
        }
        (Whose::Pods(pods), _) => why_pods_unjudged(set, pods, own, other, direction),
    }
}

fn why_pods_unjudged(
    set: &ClusterSet,
    pods: &[(PodName, Option<NodeName>)],
    own: &Party,
    other: &Party,
    direction: Direction,
) -> String {
    let has_node = |nodes: &[_]| {
        pods.iter()
            .any(|(_, node)| node.as_ref().is_some_and(|node| nodes.contains(node)))
    };
    match &other.whose {
        Whose::Pods(others) if others.iter().any(|(pod, _)| pods.iter().any(|(own, _)| own == pod)) => {
            "a pod reaches itself, whatever policies say".to_owned()
        }
        Whose::Nodes(nodes) if has_node(nodes) => match direction {
            Direction::Ingress => "it comes from the pod's own node, which is always allowed".to_owned(),
            Direction::Egress => {
                "it goes to the pod's own node, which is allowed unless --egress-to-local-node policy is set".to_owned()
            }
        },
        Whose::Pods(_) | Whose::Nodes(_) | Whose::Outside => {
            let nowhere: Vec<&PodName> = pods
                .iter()
                .filter(|(_, node)| node.is_none())
                .map(|(pod, _)| pod)
                .collect();
            if nowhere.is_empty() {
                let owners = words::list(set.owners(own.address));
                format!("no node that it crosses runs {owners}")
            } else {
                format!(
                    "{} is on no node yet, where its policies would be enforced",
                    words::list(nowhere)
                )
            }
        }
    }
}

/// Why there is no traffic between the ends.
pub(super) fn why_absent(set: &ClusterSet, question: &Question) -> String {
    let Question { from, to, probe } = question;
    let families = |end: &End| match end {
        End::Address(address) => vec![Family::of(*address)],
        End::Pod(name) => set.addresses(name).into_iter().map(Family::of).collect(),
    };
    let (source, destination) = (families(from), families(to));
    for (end, families) in [(from, &source), (to, &destination)] {
        match end {
            End::Pod(name) if families.is_empty() => return format!("no such traffic: {}", why_nowhere(set, name)),
            End::Pod(_) | End::Address(_) => {}
        }
        if let Some(family) = probe.family.filter(|family| !families.contains(family)) {
            return format!("no such traffic: {end} has no {} address", words::family(family));
        }
    }
    if !source.iter().any(|family| destination.contains(family)) {
        let [one, other] = [&source, &destination].map(|families| words::family(families[0]));
        return format!("no such traffic: {from} has only {one}, {to} only {other}");
    }
    format!("no such traffic: what {from} sends to itself passes no node of any cluster")
}

/// Why a pod has no address of its own.
fn why_nowhere(set: &ClusterSet, name: &PodName) -> String {
    let Some(pod) = set.pod(name) else {
        return format!("no manifest has the pod {name}");
    };
    if matches!(pod.phase, Phase::Succeeded | Phase::Failed) {
        return format!("{name} has finished, and finished pods have no addresses");
    }
    let Some(address) = pod.addresses.first() else {
        return match pod.rejected.first() {
            Some(rejected) => format!("{name} has no usable address: {rejected}"),
            None => format!("{name} has no address yet"),
        };
    };
    let nodes = set.nodes_at(*address);
    if nodes.is_empty() {
        let owners = words::list(set.owners(*address));
        format!("{name} is terminating, and {owners} has taken {address} over")
    } else {
        format!(
            "{name} has the address {address} of node {}, which is no pod's",
            words::list(nodes)
        )
    }
}

/// The most pods that are named instead of one that is not there.
const MAX_ALIKE: usize = 3;

/// What was perhaps meant by the name of a pod that no manifest has, as the end of a sentence: pods of that name
/// elsewhere, pods of that namespace, or which clusters there are.
pub(super) fn alike(set: &ClusterSet, name: &PodName) -> String {
    let Some(cluster) = set.cluster(&name.cluster) else {
        let clusters = words::list(set.clusters().map(|cluster| cluster.name()));
        return format!(", as there is no cluster {}; there are {clusters}", name.cluster);
    };
    let all = || {
        set.clusters()
            .flat_map(|cluster| cluster.pods().map(|pod| cluster.pod_name(pod)))
    };
    let namesakes: Vec<PodName> = all().filter(|pod| pod.name == name.name).take(MAX_ALIKE).collect();
    if !namesakes.is_empty() {
        return format!("; of that name there are {}", words::list(namesakes));
    }
    let neighbours = cluster.pods().filter(|pod| *pod.namespace == *name.namespace);
    let neighbours: Vec<PodName> = neighbours.map(|pod| cluster.pod_name(pod)).collect();
    if neighbours.is_empty() {
        let namespaces: BTreeSet<&str> = cluster.pods().map(|pod| &*pod.namespace).collect();
        if namespaces.is_empty() {
            return format!("; {} has no pods at all", name.cluster);
        }
        return format!(
            "; {} has none in namespace {}, but in {}",
            name.cluster,
            name.namespace,
            words::list(namespaces)
        );
    }
    format!("; in that namespace there are {}", words::list(neighbours))
}
