//! Random ClusterSets as manifests, small and dense: few names, labels, addresses and ports, so that everything overlaps
//! with everything.
//!
//! A world is its seed: the same one on every machine. Objects are what API servers would send, odd ones included; what
//! any of it means is [`crate::oracle`]'s business.

pub mod buildable;
mod pods;
mod policies;
pub mod shrink;
mod void;

use fastrand::Rng;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Ids of the clusters that a world may have.
const CLUSTERS: [&str; 4] = ["a", "b", "c", "d.e"];

/// Names of its nodes, the same in each cluster (S114).
const NODES: [&str; 3] = ["n1", "n2", "n3"];

/// Names of its namespaces, in each cluster.
const NAMESPACES: [&str; 3] = ["shop", "pay", "ops"];

/// Keys and values of labels, of pods and namespaces alike. One value is empty, which is not absent (S28), and one is as
/// long as values may be (P4).
const KEYS: [&str; 3] = ["app", "example.com/app", "tier"];
const VALUES: [&str; 4] = [
    "web",
    "db",
    "",
    "x23456789012345678901234567890123456789012345678901234567890123",
];

/// Names of container ports.
const PORT_NAMES: [&str; 3] = ["http", "metrics", "a-1"];

/// Numbers of policies' ports and of probes.
pub const PORTS: [u16; 6] = [80, 81, 8080, 1, 8081, 65535];

/// Those of them that containers have: the first ones.
pub const CONTAINER_PORTS: usize = 3;

/// Kubernetes' names of the protocols with ports, TCP most often.
const TRANSPORTS: [&str; 4] = ["TCP", "TCP", "UDP", "SCTP"];

/// The manifests of every cluster.
#[derive(Clone, Debug)]
pub struct ClusterSet {
    /// By id.
    pub clusters: BTreeMap<String, Cluster>,
}

/// What one cluster's API server sends, and its nodes.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// The addresses that each node may use, by name.
    pub nodes: BTreeMap<String, BTreeSet<IpAddr>>,
    /// Namespaces, Pods and NetworkPolicies.
    pub objects: Vec<Value>,
}

impl ClusterSet {
    /// The world of a seed.
    pub fn random(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let count = rng.usize(1..=CLUSTERS.len());
        let mut used = Vec::new();
        let clusters = CLUSTERS.iter().take(count).enumerate();
        let clusters = clusters.map(|(index, name)| {
            let cluster = Generator {
                rng: &mut rng,
                index: u8::try_from(index).expect("there are few clusters"),
                name,
                used: &mut used,
            };
            ((*name).to_owned(), cluster.cluster())
        });
        Self {
            clusters: clusters.collect(),
        }
    }

    /// Addresses outside every cluster that probes come from and go to, some of them in pods' ranges, and those that
    /// finished pods had.
    pub fn outside(&self) -> Vec<IpAddr> {
        let pods = self.clusters.values().flat_map(|cluster| &cluster.objects);
        let pods = pods.filter(|pod| {
            ["Succeeded", "Failed"]
                .iter()
                .any(|phase| pod["status"]["phase"] == **phase)
        });
        let listed = pods.flat_map(|pod| pod["status"]["podIPs"].as_array().into_iter().flatten());
        let finished = listed.filter_map(|entry| entry["ip"].as_str()?.parse().ok());
        let finished = finished.filter(|address: &IpAddr| !address.is_loopback() && !address.is_unspecified());
        let others = ["198.51.100.7", "10.0.0.200", "2001:db8::7", "fd00::200"];
        finished
            .chain(others.map(|address| address.parse().expect("an address")))
            .collect()
    }
}

impl fmt::Display for ClusterSet {
    /// Every object on a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, cluster) in &self.clusters {
            writeln!(f, "cluster {name}, nodes {:?}", cluster.nodes)?;
            for object in &cluster.objects {
                writeln!(f, "  {object}")?;
            }
        }
        Ok(())
    }
}

/// Makes one cluster.
struct Generator<'a> {
    rng: &'a mut Rng,
    index: u8,
    name: &'static str,
    /// Addresses that pods of this and earlier clusters have.
    used: &'a mut Vec<IpAddr>,
}

impl Generator<'_> {
    fn cluster(mut self) -> Cluster {
        let count = self.pick(&[1, 1, 2, NODES.len()]);
        let nodes = NODES.iter().take(count).zip(1..).map(|(name, number)| {
            let addresses = [
                IpAddr::from(Ipv4Addr::new(192, 168, self.index, number)),
                Ipv6Addr::new(0xfd00, 0xffff, self.index.into(), 0, 0, 0, 0, number.into()).into(),
            ];
            ((*name).to_owned(), BTreeSet::from(addresses))
        });
        let nodes: BTreeMap<_, _> = nodes.collect();
        let mut objects = Vec::new();
        for name in NAMESPACES {
            objects.extend(self.namespace(name));
        }
        for number in 0..self.rng.u8(3..=6) {
            objects.push(self.pod(number, &nodes));
        }
        for number in 0..self.rng.u8(1..=4) {
            objects.push(self.policy(number));
        }
        Cluster { nodes, objects }
    }

    /// Its cluster label is right, missing or another's (S105, S106); now and then there is no object (S31), or its name
    /// label is missing or wrong (N6).
    fn namespace(&mut self, name: &str) -> Option<Value> {
        if self.one_in(8) {
            return None;
        }
        let mut labels = self.labels();
        let says = match self.rng.u8(..8) {
            0..5 => Some(self.name),
            5 => Some(self.pick(&CLUSTERS)),
            _ => None,
        };
        if let Some(says) = says {
            labels.insert("cluster.clusterset.k8s.io/cluster-name".to_owned(), says.to_owned());
        }
        let named = match self.rng.u8(..12) {
            0 => None,
            1 => Some(self.pick(&NAMESPACES)),
            _ => Some(name),
        };
        if let Some(named) = named {
            labels.insert("kubernetes.io/metadata.name".to_owned(), named.to_owned());
        }
        Some(json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "uid": format!("{}-{name}", self.name), "resourceVersion": "1", "labels": labels},
            "spec": {"finalizers": ["kubernetes"]},
            "status": {"phase": "Active"},
        }))
    }

    /// Labels of a pod or namespace.
    fn labels(&mut self) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::new();
        for key in KEYS {
            if !self.one_in(3) {
                labels.insert(key.to_owned(), self.pick(&VALUES[..3]).to_owned());
            }
        }
        if self.one_in(16) {
            labels.insert("tier".to_owned(), VALUES[3].to_owned());
        }
        labels
    }

    fn one_in(&mut self, chances: u8) -> bool {
        self.rng.u8(..chances) == 0
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.rng.usize(..choices.len())]
    }

    /// Some of the choices, in their order.
    fn some<T: Copy>(&mut self, choices: &[T]) -> Vec<T> {
        let first = self.pick(choices);
        let mut some = vec![first];
        while self.one_in(2) {
            some.push(self.pick(choices));
        }
        some
    }
}
