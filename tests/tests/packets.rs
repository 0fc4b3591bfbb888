//! Packets do what policies mean: random worlds built as networks, in both layouts, and every cell of the matrix compared
//! with what `enforcer matrix` says of the same manifests and with the oracle.
//!
//! `WORLDS=<count>` builds more or fewer of them, `SEED=<seed>` begins with another one; a failure prints the seed.
//! Where packets and matrix differ, packets are right.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking; clippy sees tests here only inside #[test]"
)]

mod packets {
    pub mod stage;
}
#[path = "semantics/words.rs"]
mod words;

use enforcer::offline::ends::{Probe, Table, Verdict};
use enforcer::ruleset::Family;
use packets::stage::Stage;
use std::collections::BTreeMap;
use tests::lab::layout::Layout;
use tests::oracle::{OwnNode, Switches};
use tests::worlds::{ClusterSet, PORTS};

/// How many worlds are built by default, in each layout.
const WORLDS: u64 = 3;

/// The seed of the first by default.
const SEED: u64 = 9010;

/// How many cells the default worlds must have at least, in each layout.
const LEAST_CELLS: usize = 2000;

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where these tests read the environment"
)]
fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| {
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} must be a number, not {value:?}"))
    })
}

/// Two ports of TCP, one each of UDP and SCTP, and echo requests, over both families.
fn probes(seed: u64) -> Vec<Probe> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut port = |transport: &str| format!("{transport}/{}", PORTS[rng.usize(..PORTS.len())]);
    let kinds = [port("TCP"), port("TCP"), port("UDP"), port("SCTP"), "ICMP/0".to_owned()];
    let over = |family| {
        kinds.each_ref().map(|kind| Probe {
            family: Some(family),
            ..kind.parse().unwrap()
        })
    };
    let mut probes: Vec<Probe> = Family::ALL.into_iter().flat_map(over).collect();
    probes.sort();
    probes.dedup();
    probes
}

/// The switches by which a world is judged.
fn switches(seed: u64) -> Switches {
    let mut rng = fastrand::Rng::with_seed(seed);
    let switches = Switches::random(&mut rng);
    Switches {
        own_node: rng.choice([OwnNode::Allow, OwnNode::Policy]).unwrap_or_default(),
        ..switches
    }
}

/// What is easily got wrong, and how often it was seen.
type Seen = BTreeMap<&'static str, usize>;

fn note(seen: &mut Seen, stage: &Stage<'_>, table: &Table) {
    let blocks_whole = stage.offline_without_excepts(table.probe);
    let mut count = |what, is: bool| *seen.entry(what).or_default() += usize::from(is);
    for (from, row) in table.rows.iter().enumerate() {
        for (to, &verdict) in row.iter().enumerate() {
            let allowed = verdict == Verdict::Allowed;
            let crosses = stage.crosses(from, to);
            count("cells", verdict != Verdict::Absent);
            count("allowed", crosses && allowed);
            count("refused", crosses && verdict == Verdict::Refused);
            count(
                "refused to its own node",
                stage.is_own_node(to, from) && verdict == Verdict::Refused,
            );
            count("decided by an except", verdict != blocks_whole.rows[from][to]);
            let back = table.rows[to][from];
            count(
                "answered though refused the other way",
                allowed && back == Verdict::Refused,
            );
            let isolated = table.rows.iter().any(|row| row[to] == Verdict::Refused);
            count(
                "from its node to a pod that others do not reach",
                stage.is_own_node(from, to) && isolated,
            );
        }
    }
}

fn judge(seed: u64, layout: Layout, seen: &mut Seen) {
    let world = ClusterSet::random(seed).buildable();
    Stage::run(world, switches(seed), (layout, probes(seed)), async |stage| {
        for packets in stage.range().judge().await.unwrap() {
            note(seen, stage, &packets);
            let (offline, meant) = (stage.offline(packets.probe), stage.meant(packets.probe));
            if packets != offline || packets != meant {
                let differ = stage.differences(&packets, &offline, &meant);
                panic!("SEED={seed} {layout:?}\n{differ}\n{stage}");
            }
        }
    });
}

fn in_layout(layout: Layout) {
    let mut seen = Seen::new();
    let (first, count) = (variable("SEED", SEED), variable("WORLDS", WORLDS));
    for seed in first..first + count {
        judge(seed, layout, &mut seen);
    }
    println!("{layout:?}: {seen:?}");
    if (first, count) == (SEED, WORLDS) {
        assert!(seen["cells"] >= LEAST_CELLS, "{seen:?}");
        assert!(seen.values().all(|&count| count > 0), "{seen:?}");
    }
}

#[test]
fn packets_do_what_policies_mean_on_bridges() {
    in_layout(Layout::Bridge);
}

#[test]
fn packets_do_what_policies_mean_on_routed_links() {
    in_layout(Layout::Routed);
}
