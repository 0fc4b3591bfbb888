//! What Bailey makes of a world: a ruleset for every node, and what it would do with a packet.

use super::words::in_our_words;
use enforcer::compile::{self, compile};
use enforcer::interpret::{self, Packet, Payload};
use enforcer::policy::{self, NetworkPolicy, Policy, PolicyName};
use enforcer::ruleset::Ruleset;
use proto::mirror::Mirror;
use proto::model::ClusterName;
use proto::observe::{Namespace, Observe, Pod};
use proto::pods::{self, Pods};
use proto::watch::Event;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use tests::oracle::{End, NodeName, Probe, Switches, Transport, crossed};
use tests::worlds::{Cluster, ClusterSet};

/// The source port of every probe.
const SOURCE_PORT: u16 = 40_000;

/// The rulesets of all nodes.
pub type Rulesets = BTreeMap<NodeName, Ruleset>;

/// The objects of a kind, as the product reads them.
pub fn objects<K: Observe>(cluster: &Cluster) -> Vec<K> {
    let of_kind = cluster.objects.iter().filter(|object| object["kind"] == K::KIND.kind);
    of_kind.map(|object| K::deserialize(object).unwrap()).collect()
}

/// The pods of a cluster that run on a node.
pub fn pods_on(cluster: &Cluster, node: &str) -> Vec<Pod> {
    let mut pods = objects::<Pod>(cluster);
    pods.retain(|pod| pod.node.as_deref() == Some(node));
    pods
}

/// Compiles for every node, as an enforcer has it that knows everything.
pub fn rulesets(world: &ClusterSet, switches: Switches) -> Rulesets {
    let mut rulesets = Rulesets::new();
    for (name, cluster) in &world.clusters {
        let policies = policies(cluster);
        for (node, addresses) in &cluster.nodes {
            let mirror = mirror(world, name, node);
            let pods: Vec<Arc<Pod>> = pods_on(cluster, node).into_iter().map(Arc::new).collect();
            let ruleset = compile(&compile::World {
                cluster: &ClusterName::new(name).unwrap(),
                policies: &policies,
                pods: &pods,
                node_addresses: addresses,
                links: enforcer::links::Links::NONE,
                held: &compile::NONE_HELD,
                mirror: &mirror,
                switches: in_our_words(switches),
            });
            let (cluster, name) = (name.clone(), node.clone());
            rulesets.insert(NodeName { cluster, name }, ruleset);
        }
    }
    rulesets
}

fn policies(cluster: &Cluster) -> BTreeMap<PolicyName, Arc<Policy>> {
    let parsed = objects::<NetworkPolicy>(cluster)
        .into_iter()
        .map(|raw| policy::parse(&raw));
    parsed.map(|policy| (policy.name.clone(), Arc::new(policy))).collect()
}

fn mirror(world: &ClusterSet, own: &str, node: &str) -> Mirror {
    let mut mirror = Mirror::new(ClusterName::new(own).unwrap());
    for (name, cluster) in &world.clusters {
        let name = ClusterName::new(name).unwrap();
        let part = pods::part(&name, &synced(objects(cluster)), &objects::<Namespace>(cluster));
        mirror.set_part(&name, Some(part));
    }
    let own_name = ClusterName::new(own).unwrap();
    let local = synced(pods_on(&world.clusters[own], node));
    for address in local.addresses() {
        let owners = local.owners(address);
        let tenure = pods::tenure(&owners);
        let owners: BTreeSet<_> = owners.into_iter().map(|pod| pods::identity(&own_name, pod)).collect();
        mirror.set_local(address, owners.into_iter().collect(), tenure);
    }
    mirror
}

fn synced(pods: Vec<Pod>) -> Pods {
    let mut synced = Pods::default();
    synced.apply(Event::Synced(pods));
    synced
}

/// Whether the packet that opens the connection passes every node it crosses.
pub fn passes(rulesets: &Rulesets, source: &End, destination: &End, probe: Probe) -> bool {
    let packet = packet(source.address(), destination.address(), probe);
    crossed(source, destination)
        .into_iter()
        .all(|node| interpret::passes(&rulesets[node], &packet))
}

fn packet(source: IpAddr, destination: IpAddr, probe: Probe) -> Packet {
    let payload = match probe {
        Probe::Port(transport, port) => Payload::Ports {
            protocol: match transport {
                Transport::Tcp => 6,
                Transport::Udp => 17,
                Transport::Sctp => 132,
            },
            source: SOURCE_PORT,
            destination: port,
        },
        Probe::Ping => Payload::Icmp(if destination.is_ipv4() { 8 } else { 128 }),
        Probe::Other(protocol) => Payload::Other(protocol),
    };
    Packet {
        source,
        destination,
        payload,
        established: false,
    }
}
