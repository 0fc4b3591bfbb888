//! Random ClusterSets as manifests, small and dense: few names, labels, addresses and ports, so that everything overlaps
//! with everything.
//!
//! A world is its seed: the same one on every machine. Objects are what API servers would send, and what none would; what
//! any of it means is [`crate::oracle`]'s business.

mod blocks;
pub mod buildable;
mod containers;
mod manifests;
mod namespaces;
mod odd;
mod pods;
mod policies;
mod selectors;
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

/// The name of a node that has no addresses: only pods say that there is one (I12).
const UNKNOWN_NODE: &str = "n9";

/// Names of its namespaces, in each cluster.
const NAMESPACES: [&str; 3] = ["shop", "pay", "ops"];

/// The label by which policies name clusters, and the one by which they name namespaces.
const CLUSTER_LABEL: &str = "cluster.clusterset.k8s.io/cluster-name";
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

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

/// The families that a world's pods and nodes have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Families {
    Both,
    V4,
    V6,
}

impl Families {
    fn has(self, address: IpAddr) -> bool {
        match self {
            Self::Both => true,
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }
}

impl ClusterSet {
    /// The world of a seed.
    pub fn random(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let count = rng.usize(1..=CLUSTERS.len());
        let families = match rng.u8(..8) {
            0 => Families::V4,
            1 => Families::V6,
            _ => Families::Both,
        };
        let (mut used, mut of_nodes) = (Vec::new(), Vec::new());
        let clusters = CLUSTERS.iter().take(count).enumerate();
        let clusters = clusters.map(|(index, name)| {
            let cluster = Generator {
                rng: &mut rng,
                index: u8::try_from(index).expect("there are few clusters"),
                name,
                families,
                used: &mut used,
                of_nodes: &mut of_nodes,
            };
            ((*name).to_owned(), cluster.cluster())
        });
        Self {
            clusters: clusters.collect(),
        }
    }

    /// Addresses outside every cluster that probes come from and go to, some of them in pods' ranges, those that finished
    /// pods had, and groups (S77).
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
        let others = [
            "198.51.100.7",
            "10.0.0.200",
            "224.0.0.251",
            "2001:db8::7",
            "fd00::200",
            "ff02::fb",
        ];
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
    families: Families,
    /// Addresses that pods of this and earlier clusters have.
    used: &'a mut Vec<IpAddr>,
    /// Addresses that nodes of this and earlier clusters have.
    of_nodes: &'a mut Vec<IpAddr>,
}

impl Generator<'_> {
    fn cluster(mut self) -> Cluster {
        let mut nodes = self.nodes();
        self.of_nodes.extend(nodes.values().flatten());
        let mut objects = Vec::new();
        for name in NAMESPACES {
            objects.extend(self.namespace(name));
        }
        for number in 0..self.rng.u8(2..=6) {
            let pod = self.pod(number, &nodes);
            if pod["spec"]["nodeName"] == UNKNOWN_NODE {
                nodes.insert(UNKNOWN_NODE.to_owned(), BTreeSet::new());
            }
            objects.push(pod);
        }
        objects.extend(self.policies());
        Cluster { nodes, objects }
    }

    fn nodes(&mut self) -> BTreeMap<String, BTreeSet<IpAddr>> {
        let count = self.pick(&[1, 1, 2, NODES.len()]);
        let nodes = NODES.iter().take(count).zip(1..).map(|(name, number)| {
            let addresses = [
                IpAddr::from(Ipv4Addr::new(192, 168, self.index, number)),
                Ipv6Addr::new(0xfd00, 0xffff, self.index.into(), 0, 0, 0, 0, number.into()).into(),
            ];
            let addresses = addresses.into_iter().filter(|address| self.families.has(*address));
            ((*name).to_owned(), addresses.collect::<BTreeSet<_>>())
        });
        nodes.collect()
    }

    /// Policies, now and then one of them twice (S16, P24).
    fn policies(&mut self) -> Vec<Value> {
        let count = self.rng.u8(1..=4);
        let mut policies: Vec<Value> = (0..count).map(|number| self.policy(number)).collect();
        if self.one_in(8) {
            let mut again = policies[self.rng.usize(..policies.len())].clone();
            again["metadata"]["name"] = json!("again");
            again["metadata"]["uid"] = json!(format!("{}-again", self.name));
            policies.push(again);
        }
        policies
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

    fn one_of<const N: usize>(&mut self, choices: [Value; N]) -> Value {
        choices[self.rng.usize(..N)].clone()
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
