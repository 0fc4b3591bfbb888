//! Judges that answer at once: what `enforcer matrix` judges by, and the oracle.

use enforcer::offline::ends::{End, PodName, Probe, Table, Transport, Verdict};
use enforcer::offline::{self, Manifests};
use enforcer::ruleset::Family;
use enforcer::switches::{EgressToLocalNode, Switches};
use proto::selector::{BarePodSelector, ClusterLabelMode};
use serde_json::Value;
use std::net::IpAddr;
use tests::catalogue::{Case, State};
use tests::oracle;
use tests::worlds::ClusterSet;

/// What to judge.
pub struct Question<'a> {
    pub world: &'a ClusterSet,
    pub switches: Switches,
    pub ends: &'a [End],
    /// Each says its family.
    pub probes: &'a [Probe],
}

/// Every case by a judge that answers at once.
///
/// # Panics
/// If the judge says otherwise than a case expects.
pub fn judge_all(judge: &str, cases: &[Case], tables: impl Fn(&Question<'_>) -> Vec<Table>) {
    let mut wrong = String::new();
    for case in cases {
        for state in &case.states {
            let question = Question {
                world: &state.world,
                switches: case.switches,
                ends: &state.ends,
                probes: &state.expected.iter().map(|table| table.probe).collect::<Vec<_>>(),
            };
            let answer = Answer {
                judge,
                ends: &state.ends,
                expected: &state.expected,
                got: &tables(&question),
            };
            wrong += &answer.differences(case, state);
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// What a judge says of a state, beside what is expected.
pub struct Answer<'a> {
    pub judge: &'a str,
    pub ends: &'a [End],
    pub expected: &'a [Table],
    pub got: &'a [Table],
}

impl Answer<'_> {
    /// What is not as the case expects: the case, and a line for each cell.
    pub fn differences(&self, case: &Case, state: &State) -> String {
        let Self {
            judge,
            ends,
            expected,
            got,
        } = self;
        let mut cells = String::new();
        for (expected, got) in expected.iter().zip(*got) {
            for (from, row) in ends.iter().enumerate() {
                for (to, column) in ends.iter().enumerate() {
                    let [meant, is] = [expected, got].map(|table| table.rows[from][to]);
                    if meant != is {
                        let probe = expected.probe;
                        cells += &format!("  {row} -> {column} {probe}: {meant:?} expected, {is:?} by {judge}\n");
                    }
                }
            }
        }
        if cells.is_empty() {
            return cells;
        }
        let then = if state.title.is_empty() { "" } else { " Then: " };
        format!("{}: {}{then}{}\n{cells}", case.file, case.title, state.title)
    }
}

/// As `enforcer matrix` judges, from files.
pub fn by_matrix(question: &Question<'_>) -> Vec<Table> {
    let set = offline_world(question.world, question.switches);
    let judge = offline::Judge::new(&set);
    let table = |&probe: &Probe| {
        let row = |from| question.ends.iter().map(move |to| (from, to));
        let verdict = |(from, to)| judge.verdict(from, to, probe);
        Table {
            probe,
            rows: question
                .ends
                .iter()
                .map(|from| row(from).map(verdict).collect())
                .collect(),
        }
    };
    question.probes.iter().map(table).collect()
}

/// A world by way of files, as everything that judges offline reads it.
pub fn offline_world(world: &ClusterSet, switches: Switches) -> offline::ClusterSet {
    let folder = tempfile::tempdir().unwrap();
    for (name, cluster) in &world.clusters {
        std::fs::create_dir(folder.path().join(name)).unwrap();
        let documents: Vec<String> = cluster.objects.iter().map(Value::to_string).collect();
        std::fs::write(folder.path().join(name).join("objects.yaml"), documents.join("\n---\n")).unwrap();
    }
    offline::ClusterSet::new(&Manifests::read(folder.path()).unwrap(), switches)
}

/// By the meaning of the policies.
pub fn by_oracle(question: &Question<'_>) -> Vec<Table> {
    let world = oracle::World::read(question.world);
    let judge = oracle::Judge::new(&world, said(question.switches));
    let table = |&probe: &Probe| {
        let family = probe.family.expect("each probe of a case says its family");
        let ends: Vec<_> = question
            .ends
            .iter()
            .map(|end| resolve(question.world, end, family))
            .collect();
        let verdict = |from: &Option<oracle::End>, to: &Option<oracle::End>| {
            let (Some(from), Some(to)) = (from, to) else {
                return Verdict::Absent;
            };
            match judge.verdict(from, to, meaning(probe)) {
                oracle::Verdict::Allowed => Verdict::Allowed,
                oracle::Verdict::Refused => Verdict::Refused,
                oracle::Verdict::NoTraffic => Verdict::Absent,
            }
        };
        let row = |from| ends.iter().map(|to| verdict(from, to)).collect();
        Table {
            probe,
            rows: ends.iter().map(row).collect(),
        }
    };
    question.probes.iter().map(table).collect()
}

/// The switches in the oracle's words.
fn said(switches: Switches) -> oracle::Switches {
    oracle::Switches {
        bare_pod_selector: match switches.selectors.bare_pod_selector {
            BarePodSelector::ClusterSet => oracle::BarePodSelector::ClusterSet,
            BarePodSelector::Local => oracle::BarePodSelector::Local,
        },
        cluster_label: match switches.selectors.cluster_label {
            ClusterLabelMode::Verify => oracle::ClusterLabel::Verify,
            ClusterLabelMode::Literal => oracle::ClusterLabel::Literal,
            ClusterLabelMode::Assert => oracle::ClusterLabel::Assert,
        },
        own_node: match switches.egress_to_local_node {
            EgressToLocalNode::Allow => oracle::OwnNode::Allow,
            EgressToLocalNode::Policy => oracle::OwnNode::Policy,
        },
    }
}

/// An end by its first usable address of a family, as the oracle calls it.
fn resolve(world: &ClusterSet, end: &End, family: Family) -> Option<oracle::End> {
    let is_of_family = |address: IpAddr| Family::of(address) == family;
    match end {
        End::Pod(name) => pod_ends(world, name).find(|end| is_of_family(end.address())),
        End::Address(address) => is_of_family(*address).then(|| whoever_has(world, *address)),
    }
}

/// The end that is behind an address.
fn whoever_has(world: &ClusterSet, address: IpAddr) -> oracle::End {
    let pods = lab_world(world).pods();
    let mut ends = pods.iter().flat_map(|pod| pod_ends(world, &pod.name));
    ends.find(|end| end.address() == address)
        .unwrap_or(oracle::End::Address(address))
}

/// A pod by each address that is its own, in the order of its list.
fn pod_ends(world: &ClusterSet, name: &PodName) -> impl Iterator<Item = oracle::End> {
    let objects = &world.clusters[name.cluster.as_str()].objects;
    let pod = objects
        .iter()
        .find(|object| is_pod(object, name))
        .expect("it is of this world");
    let own = usable(pod)
        .into_iter()
        .filter(|address| !objects.iter().any(|other| is_taken_over(pod, other, address)));
    // Nobody enforces anything on the node of a pod that has none.
    let node = oracle::NodeName {
        cluster: name.cluster.to_string(),
        name: pod["spec"]["nodeName"].as_str().unwrap_or_default().to_owned(),
    };
    own.map(move |address| match pod["spec"]["hostNetwork"] == true {
        true => oracle::End::Node {
            node: node.clone(),
            address,
        },
        false => oracle::End::Pod {
            node: node.clone(),
            pod: (name.namespace.clone(), name.name.clone()),
            address,
        },
    })
}

/// The same world as the lab has it.
pub fn lab_world(world: &ClusterSet) -> tests::lab::world::World {
    let clusters = world.clusters.iter();
    tests::lab::world::World {
        clusters: clusters
            .map(|(name, cluster)| (name.parse().unwrap(), cluster.objects.clone()))
            .collect(),
    }
}

fn is_pod(object: &Value, name: &PodName) -> bool {
    let metadata = &object["metadata"];
    object["kind"] == "Pod" && metadata["namespace"] == name.namespace && metadata["name"] == name.name
}

/// Whether another pod, or the node itself, has a pod's address now (S83, I7).
fn is_taken_over(pod: &Value, other: &Value, address: &IpAddr) -> bool {
    let on_host = |pod: &Value| pod["spec"]["hostNetwork"] == true;
    let leaves = |pod: &Value| !pod["metadata"]["deletionTimestamp"].is_null();
    let has_it = other["kind"] == "Pod" && usable(other).contains(address);
    has_it && !on_host(pod) && (on_host(other) || leaves(pod) && !leaves(other))
}

/// The addresses of a pod that has not finished, less those that no host can have.
fn usable(pod: &Value) -> Vec<IpAddr> {
    if ["Succeeded", "Failed"]
        .iter()
        .any(|phase| pod["status"]["phase"] == *phase)
    {
        return Vec::new();
    }
    let listed = pod["status"]["podIPs"].as_array().into_iter().flatten();
    let read = |text: &Value| text.as_str()?.parse().ok().filter(is_host_address);
    let mut addresses: Vec<IpAddr> = listed.filter_map(|entry| read(&entry["ip"])).collect();
    if addresses.is_empty() {
        addresses.extend(read(&pod["status"]["podIP"]));
    }
    addresses
}

fn is_host_address(address: &IpAddr) -> bool {
    let special = match address {
        IpAddr::V4(address) => address.is_broadcast(),
        IpAddr::V6(address) => address.to_ipv4_mapped().is_some(),
    };
    !special && !address.is_unspecified() && !address.is_loopback() && !address.is_multicast()
}

fn meaning(probe: Probe) -> oracle::Probe {
    match probe.transport {
        Transport::Tcp => oracle::Probe::Port(oracle::Transport::Tcp, probe.port),
        Transport::Udp => oracle::Probe::Port(oracle::Transport::Udp, probe.port),
        Transport::Sctp => oracle::Probe::Port(oracle::Transport::Sctp, probe.port),
        Transport::Icmp => oracle::Probe::Ping,
    }
}
