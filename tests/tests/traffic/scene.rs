//! A world as a network, the rules of its policies, and the objects that worlds are written with.

use enforcer::kernel::Kernel;
use enforcer::offline::ends::{End, Transport, Verdict};
use enforcer::ruleset::{Family, WhyDropped};
use enforcer::switches::Switches;
use serde_json::{Value, json};
use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::time::Duration;
use tests::lab::direct;
use tests::lab::fabric::{Blueprint, Fabric};
use tests::lab::layout::Layout;
use tests::lab::netns::{self, Netns};
use tests::lab::probe::Range;
use tests::lab::sockets::{self, Answer, Shot};
use tests::lab::station::Station;
use tests::lab::world::World;

/// How long an answer that must come may take; on an idle machine it takes microseconds.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// How long is waited for an answer that must not come.
pub const SILENCE: Duration = Duration::from_millis(300);

/// A world as a network, around the calling thread.
pub struct Scene<'a> {
    world: &'a World,
    pub fabric: Fabric,
    pub layout: Layout,
}

/// Runs a test in a network of its own in each layout.
pub fn in_both_layouts(world: &World, outside: &[IpAddr], test: impl AsyncFn(&Scene<'_>)) {
    for layout in Layout::ALL {
        let host = Netns::leave().expect("these tests make network namespaces: run them as root");
        let blueprint = Blueprint {
            world,
            outside: &outside.iter().copied().collect(),
            api_servers: 0,
            layout,
        };
        let fabric = Fabric::build(blueprint).unwrap();
        netns::block_on(test(&Scene { world, fabric, layout }));
        host.enter().unwrap();
    }
}

impl Scene<'_> {
    /// Sockets that answer, in a network that was seen to carry all these probes between all these ends.
    pub async fn range(&self, ends: &[&str], probes: &[&str]) -> Range<'_> {
        let ends = ends.iter().map(|end| end.parse().unwrap()).collect();
        let probes = probes.iter().map(|probe| probe.parse().unwrap()).collect();
        let range = Range::open(&self.fabric, ends, probes).await.unwrap();
        range.baseline().await.unwrap();
        range
    }

    /// Puts the rules of the world's policies into the nodes' kernels.
    pub fn enforce(&self, switches: Switches) {
        let rulesets = direct::rulesets_with_links(self.world, &self.fabric, switches).unwrap();
        direct::enforce(&self.fabric, &rulesets).unwrap();
    }

    /// The same as if nothing were known of the nodes' links: no source is checked.
    pub fn enforce_unchecked(&self, switches: Switches) {
        let rulesets = direct::rulesets(self.world, self.fabric.plan(), switches);
        direct::enforce(&self.fabric, &rulesets).unwrap();
    }

    /// The host that an end is, and its address of a family.
    pub fn at(&self, end: &str, family: Family) -> (&Station, IpAddr) {
        let end: End = end.parse().unwrap();
        let (station, addresses) = self.fabric.locate(&end).unwrap();
        let address = addresses.iter().copied().find(|one| Family::of(*one) == family);
        (station, address.unwrap())
    }

    /// How many packets a node, by `cluster/node`, has dropped for a reason.
    pub fn dropped(&self, node: &str, why: WhyDropped) -> u64 {
        let count = || Kernel::open().unwrap().dropped().unwrap();
        let counts = self.node(node).netns().run(count).unwrap();
        counts.get(&why).copied().unwrap_or_default()
    }

    /// The station of a node, by `cluster/node`.
    pub fn node(&self, name: &str) -> &Station {
        let mut nodes = self.fabric.nodes().filter(|(node, _)| node.to_string() == name);
        nodes.next().unwrap().1
    }
}

/// Whether a packet from an address of a host is answered, within the time that its answer needs, or none does.
pub async fn is_answered(from: (&Station, IpAddr), transport: Transport, to: SocketAddr, expected: bool) -> bool {
    let (station, source) = from;
    let shot = Shot {
        transport,
        source: SocketAddr::new(source, station.fresh_port()),
        destination: to,
        patience: if expected { PATIENCE } else { SILENCE },
    };
    let answer = station.spawn(sockets::fire(shot)).await.unwrap().unwrap();
    answer == Answer::Answered
}

/// The verdicts of one table as text, a row each.
pub fn signs(rows: &[Vec<Verdict>]) -> Vec<String> {
    let row = |row: &Vec<Verdict>| row.iter().map(|verdict| verdict.sign()).collect();
    rows.iter().map(row).collect()
}

/// Has every node and pod forget who is where.
pub fn flush_neighbours(scene: &Scene<'_>) {
    let nodes = scene.fabric.nodes().map(|(_, node)| node);
    for station in nodes.chain(scene.fabric.pods().map(|(_, pod)| pod)) {
        ip(station.netns(), "neigh flush all");
    }
}

/// `ip ARGUMENTS` in a network namespace.
pub fn ip(netns: &Netns, arguments: &str) {
    let run = || Command::new("ip").args(arguments.split_whitespace()).status().unwrap();
    assert!(netns.run(run).unwrap().success(), "ip {arguments}");
}

/// The objects of some clusters.
pub fn world(clusters: Vec<(&str, Vec<Value>)>) -> World {
    let clusters = clusters
        .into_iter()
        .map(|(name, objects)| (name.parse().unwrap(), objects));
    World {
        clusters: clusters.collect(),
    }
}

/// A pod of namespace `x` that is labelled with its name.
pub fn pod(name: &str, node: &str, ips: &[&str]) -> Value {
    let ips: Vec<Value> = ips.iter().map(|ip| json!({"ip": ip})).collect();
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "x", "labels": {"app": name}},
        "spec": {"nodeName": node}, "status": {"phase": "Running", "podIPs": ips},
    })
}

/// A pod on its node's own network.
pub fn host_pod(name: &str, node: &str, ips: &[&str]) -> Value {
    let mut pod = pod(name, node, ips);
    pod["spec"]["hostNetwork"] = true.into();
    pod
}

/// A Node object with addresses.
pub fn node(name: &str, addresses: &[&str]) -> Value {
    let addresses = addresses
        .iter()
        .map(|address| json!({"type": "InternalIP", "address": address}));
    json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": name},
        "status": {"addresses": addresses.collect::<Vec<_>>()},
    })
}

/// Isolates the pod of a name in both directions, but for some rules.
pub fn policy(app: &str, rules: &Value) -> Value {
    let mut spec = rules.clone();
    spec["podSelector"] = json!({"matchLabels": {"app": app}});
    spec["policyTypes"] = json!(["Ingress", "Egress"]);
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": app, "namespace": "x"}, "spec": spec,
    })
}

/// A peer: the pods of a name in every namespace of every cluster.
pub fn pods_named(app: &str) -> Value {
    json!({"podSelector": {"matchLabels": {"app": app}}, "namespaceSelector": {}})
}
