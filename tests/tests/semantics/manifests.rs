//! What is judged of manifests is what their policies mean: the tables of `enforcer matrix`, cell by cell.

use super::parallel;
use super::settings::Settings;
use super::words::in_our_words;
use enforcer::offline::{ClusterSet, End, Manifests, Probe, Table, Transport, Verdict, tables};
use enforcer::ruleset::Family;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use tests::oracle::{self, Judge, Party, World};
use tests::worlds::{self, PORTS};

/// One world in so many is read from files.
const FILES_ONE_IN: u64 = 16;

/// A cell on which the two differ.
#[derive(Debug)]
struct Disagreement {
    #[expect(dead_code, reason = "shown")]
    cell: (String, String, String),
    #[expect(dead_code, reason = "shown")]
    meant: Verdict,
    #[expect(dead_code, reason = "shown")]
    judged: Verdict,
}

fn probes(seed: u64) -> Vec<Probe> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut port = |transport: &str| format!("{transport}/{}", PORTS[rng.usize(..PORTS.len())]);
    let probes = [
        port("TCP"),
        port("TCP") + "/6",
        port("UDP") + "/4",
        port("SCTP"),
        "ICMP/0".to_owned(),
    ];
    probes.map(|probe| probe.parse().unwrap()).into()
}

/// All pods, as pods and by their addresses; nodes by theirs; and addresses of nobody.
fn ends(world: &worlds::ClusterSet, set: &ClusterSet) -> Vec<End> {
    let nodes = world
        .clusters
        .values()
        .flat_map(|cluster| cluster.nodes.values().flatten());
    let pods = world.clusters.values().flat_map(|cluster| &cluster.objects);
    let pods = pods.flat_map(|pod| pod["status"]["podIPs"].as_array().into_iter().flatten());
    let pods = pods.filter_map(|entry| entry["ip"].as_str()?.parse::<IpAddr>().ok());
    let addresses = nodes.copied().chain(pods).chain(world.outside());
    let mut ends: Vec<End> = set.ends().into_iter().chain(addresses.map(End::Address)).collect();
    ends.sort();
    ends.dedup();
    ends
}

fn party(judge: &Judge<'_>, end: &End, v6: bool) -> Option<Party> {
    match end {
        End::Pod(name) => judge.pod(name.cluster.as_str(), &name.namespace, &name.name, v6),
        End::Address(address) => (address.is_ipv6() == v6).then(|| judge.at(*address)),
    }
}

fn meant(judge: &Judge<'_>, from: &End, to: &End, probe: Probe) -> Verdict {
    let kind = match probe.transport {
        Transport::Tcp => oracle::Probe::Port(oracle::Transport::Tcp, probe.port),
        Transport::Udp => oracle::Probe::Port(oracle::Transport::Udp, probe.port),
        Transport::Sctp => oracle::Probe::Port(oracle::Transport::Sctp, probe.port),
        Transport::Icmp => oracle::Probe::Ping,
    };
    let families: &[bool] = match probe.family {
        None => &[false, true],
        Some(Family::V4) => &[false],
        Some(Family::V6) => &[true],
    };
    let mut common = families
        .iter()
        .filter_map(|&v6| Some((party(judge, from, v6)?, party(judge, to, v6)?)));
    match common.next().map(|(from, to)| judge.between(&from, &to, kind)) {
        None | Some(oracle::Verdict::NoTraffic) => Verdict::Absent,
        Some(oracle::Verdict::Allowed) => Verdict::Allowed,
        Some(oracle::Verdict::Refused) => Verdict::Refused,
    }
}

/// Judges every cell; how often which verdict, and the first on which the two differ.
fn judge(
    world: &worlds::ClusterSet,
    seed: u64,
    manifests: &Manifests,
) -> (BTreeMap<Verdict, u64>, Option<Disagreement>) {
    let switches = crate::switches(seed);
    let set = ClusterSet::new(manifests, in_our_words(switches));
    let ends = ends(world, &set);
    let read = World::read(world);
    let judge = Judge::new(&read, switches);
    let (mut count, mut first) = (BTreeMap::new(), None);
    for Table { probe, rows } in tables::tables(&set, &ends, &probes(seed), NonZeroUsize::MIN) {
        for (from, row) in ends.iter().zip(&rows) {
            for (to, &judged) in ends.iter().zip(row) {
                *count.entry(judged).or_default() += 1;
                let meant = meant(&judge, from, to, probe);
                if meant != judged {
                    first.get_or_insert_with(|| Disagreement {
                        cell: (from.to_string(), to.to_string(), probe.to_string()),
                        meant,
                        judged,
                    });
                }
            }
        }
    }
    (count, first)
}

/// S113, S116, S127, I1, I2, I3, I4, I5, I6, I7, I8, I12, I13, I16, I17, N1, N4, N5, N6, N7, N9: as the catalogue means it.
#[test]
fn tables_of_manifests_say_what_the_policies_mean() {
    let Settings { worlds, seed, .. } = Settings::get();
    let judged = parallel::each(seed..seed + worlds / crate::WAYS, |seed| {
        let world = worlds::ClusterSet::random(seed).with_node_objects();
        let manifests = if seed.is_multiple_of(FILES_ONE_IN) {
            let dir = tempfile::tempdir().unwrap();
            world.write(dir.path()).unwrap();
            Manifests::read(dir.path()).unwrap()
        } else {
            world.manifests()
        };
        let (count, disagreement) = judge(&world, seed, &manifests);
        if disagreement.is_some() {
            let disagrees = |world: &worlds::ClusterSet| judge(world, seed, &world.manifests()).1;
            let smallest = worlds::shrink::shrink(world.clone(), |world| disagrees(world).is_some());
            panic!(
                "SEED={seed} WORLDS={} cargo test -p tests --test semantics manifests\n{:?}\n{:#?}\n{smallest}",
                crate::WAYS,
                crate::switches(seed),
                disagrees(&smallest).or(disagreement),
            );
        }
        count
    });
    let mut total = BTreeMap::new();
    for count in judged {
        crate::add(&mut total, count);
    }
    println!("{total:?}");
    let all: u64 = total.values().sum();
    assert!(
        total.values().all(|count| count * crate::LEAST_SHARE > all),
        "{total:?}"
    );
}
