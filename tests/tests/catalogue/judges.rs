//! Judges that answer at once: what `enforcer matrix` judges by, and the oracle.

use enforcer::offline::{self, Manifests};
use enforcer::ruleset::Family;
use enforcer::switches::Switches;
use serde_json::Value;
use std::net::IpAddr;
use tests::lab::ends::{End, Probe, Table, Transport, Verdict};
use tests::lab::world::PodName;
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

/// As `enforcer matrix` judges, from files.
pub fn by_matrix(question: &Question<'_>) -> Vec<Table> {
    let set = offline_world(question.world, question.switches);
    let judge = offline::Judge::new(&set);
    let ends: Vec<offline::End> = question.ends.iter().map(same).collect();
    let table = |probe: &Probe| {
        let judged = same(probe);
        let verdict = |from, to| match judge.verdict(from, to, judged) {
            offline::Verdict::Allowed => Verdict::Allowed,
            offline::Verdict::Refused => Verdict::Refused,
            offline::Verdict::Absent => Verdict::Absent,
        };
        let row = |from| ends.iter().map(|to| verdict(from, to)).collect();
        Table {
            probe: *probe,
            rows: ends.iter().map(row).collect(),
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

/// The same end or probe in the words of another module.
fn same<T: std::str::FromStr<Err: std::fmt::Debug>>(one: &impl ToString) -> T {
    one.to_string().parse().unwrap()
}

/// By the meaning of the policies.
pub fn by_oracle(question: &Question<'_>) -> Vec<Table> {
    let world = oracle::World::read(question.world);
    let judge = oracle::Judge::new(&world);
    question.tables(|from, to, probe| judge.verdict(from, to, probe) != oracle::Verdict::Refused)
}

impl Question<'_> {
    fn tables(&self, passes: impl Fn(&oracle::End, &oracle::End, oracle::Probe) -> bool) -> Vec<Table> {
        let table = |&probe: &Probe| {
            let family = probe.family.expect("each probe of a case says its family");
            let ends: Vec<_> = self.ends.iter().map(|end| resolve(self.world, end, family)).collect();
            let verdict = |from: &Option<oracle::End>, to: &Option<oracle::End>| match (from, to) {
                (None, _) | (_, None) => Verdict::Absent,
                (Some(oracle::End::Address(from)), Some(oracle::End::Address(to))) if from == to => Verdict::Absent,
                // A host and itself.
                (Some(from), Some(to)) if from.address() == to.address() => Verdict::Allowed,
                (Some(from), Some(to)) if passes(from, to, meaning(probe)) => Verdict::Allowed,
                (Some(_), Some(_)) => Verdict::Refused,
            };
            let row = |from| ends.iter().map(|to| verdict(from, to)).collect();
            Table {
                probe,
                rows: ends.iter().map(row).collect(),
            }
        };
        self.probes.iter().map(table).collect()
    }
}

/// An end by its first usable address of a family, as the oracle calls it.
fn resolve(world: &ClusterSet, end: &End, family: Family) -> Option<oracle::End> {
    match end {
        End::Pod(name) => pod(world, name, family),
        End::Outside(address) if Family::of(*address) == family => Some(whoever_has(world, *address)),
        End::Outside(_) => None,
    }
}

fn pod(world: &ClusterSet, name: &PodName, family: Family) -> Option<oracle::End> {
    let cluster = &world.clusters[name.cluster.as_str()];
    let pod = cluster.objects.iter().find(|object| is_pod(object, name))?;
    let address = usable(pod).into_iter().find(|address| Family::of(*address) == family)?;
    let Some(node) = pod["spec"]["nodeName"].as_str() else {
        return Some(oracle::End::Address(address));
    };
    let node = oracle::NodeName {
        cluster: name.cluster.to_string(),
        name: node.to_owned(),
    };
    Some(if pod["spec"]["hostNetwork"] == true {
        oracle::End::Node { node, address }
    } else {
        let pod = (name.namespace.clone(), name.name.clone());
        oracle::End::Pod { node, pod, address }
    })
}

fn whoever_has(world: &ClusterSet, address: IpAddr) -> oracle::End {
    let ends = oracle::World::read(world).ends(&[]);
    let nodes_first = |end: &oracle::End| !matches!(end, oracle::End::Node { .. });
    let mut owners: Vec<_> = ends.into_iter().filter(|end| end.address() == address).collect();
    owners.sort_by_key(nodes_first);
    owners.into_iter().next().unwrap_or(oracle::End::Address(address))
}

fn is_pod(object: &Value, name: &PodName) -> bool {
    let metadata = &object["metadata"];
    object["kind"] == "Pod" && metadata["namespace"] == name.namespace && metadata["name"] == name.name
}

/// The addresses of a pod that has not finished, less those that no host can have.
fn usable(pod: &Value) -> Vec<IpAddr> {
    if ["Succeeded", "Failed"]
        .iter()
        .any(|phase| pod["status"]["phase"] == *phase)
    {
        return Vec::new();
    }
    let listed: Vec<&Value> = pod["status"]["podIPs"].as_array().into_iter().flatten().collect();
    let texts = match listed[..] {
        [] => vec![&pod["status"]["podIP"]],
        _ => listed.iter().map(|entry| &entry["ip"]).collect(),
    };
    let parsed = texts.into_iter().filter_map(|text| text.as_str()?.parse().ok());
    parsed.filter(is_host_address).collect()
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
