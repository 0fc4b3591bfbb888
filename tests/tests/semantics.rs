//! Compiled rulesets do what the policies mean, in random worlds: every pair of ends, several probes, on both ends' nodes.
//! And they are the same text whatever happened before the world became what it is (S120).
//!
//! `VERDICTS=<count>` judges more or fewer connections, `WORLDS=<count>` lets more or fewer worlds happen, `SEED=<seed>`
//! begins with another world; a failure prints the seed of its world and the smallest part of it that still fails.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking; clippy sees tests here only inside #[test]"
)]

mod semantics {
    pub mod enforcer;
    pub mod history;
    pub mod product;
    pub mod settings;
    pub mod simulation;
}

use semantics::enforcer::Happening;
use semantics::product::{self, Rulesets};
use semantics::settings::Settings;
use semantics::simulation::Simulation;
use std::collections::BTreeMap;
use std::fmt;
use tests::oracle::{End, Judge, Probe, Switches, Transport, Verdict, World, crossed};
use tests::worlds::{CONTAINER_PORTS, ClusterSet, PORTS, shrink::shrink};

/// The share of each verdict below which worlds have become too dull to trust: a twentieth.
const LEAST_SHARE: u64 = 20;

/// How often each counted rule must have had a say in the default number of verdicts.
const LEAST_CITATIONS: u64 = 20;

/// A connection on which the two differ.
struct Disagreement {
    source: End,
    destination: End,
    probe: Probe,
    meant: Verdict,
    passes: bool,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            source,
            destination,
            probe,
            meant,
            passes,
        } = self;
        let does = if *passes { "lets it pass" } else { "drops it" };
        writeln!(
            f,
            "from {source}\nto   {destination}\n     {probe:?}: {meant:?} by its meaning; the ruleset {does}"
        )
    }
}

/// What was judged.
#[derive(Default)]
struct Tally {
    verdicts: BTreeMap<Verdict, u64>,
    citations: BTreeMap<u8, u64>,
}

impl Tally {
    fn total(&self) -> u64 {
        self.verdicts.values().sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.total();
        for (verdict, count) in &self.verdicts {
            writeln!(f, "{verdict:?}: {count} ({} %)", count * 100 / total)?;
        }
        let citations = self.citations.iter().map(|(rule, count)| format!("S{rule}: {count}"));
        writeln!(f, "{}", citations.collect::<Vec<_>>().join(", "))
    }
}

/// Three probes: to a TCP port that containers have, to any port, and one without ports.
fn probes(seed: u64) -> [Probe; 3] {
    let mut rng = fastrand::Rng::with_seed(seed);
    let transport = [Transport::Tcp, Transport::Udp, Transport::Sctp][rng.usize(..3)];
    let portless = if seed.is_multiple_of(4) {
        Probe::Other(47)
    } else {
        Probe::Ping
    };
    [
        Probe::Port(Transport::Tcp, PORTS[rng.usize(..CONTAINER_PORTS)]),
        Probe::Port(transport, PORTS[rng.usize(..PORTS.len())]),
        portless,
    ]
}

/// Judges every connection of a world; the first on which the two differ.
fn judge(world: &ClusterSet, seed: u64, tally: &mut Tally) -> Option<Disagreement> {
    let rulesets: Rulesets = product::rulesets(world);
    let read = World::read(world);
    let judge = Judge::new(&read, Switches::default());
    let ends = read.ends(&world.outside());
    let probes = probes(seed);
    let mut first = None;
    for source in &ends {
        for destination in ends.iter().filter(|end| is_judged(source, end)) {
            for probe in probes {
                let meant = judge.verdict(source, destination, probe);
                *tally.verdicts.entry(meant).or_default() += 1;
                let passes = match meant {
                    Verdict::NoTraffic => break,
                    Verdict::Allowed | Verdict::Refused => product::passes(&rulesets, source, destination, probe),
                };
                if passes != (meant == Verdict::Allowed) {
                    first.get_or_insert(Disagreement {
                        source: source.clone(),
                        destination: destination.clone(),
                        probe,
                        meant,
                        passes,
                    });
                }
            }
        }
    }
    add(&mut tally.citations, judge.cited());
    first
}

/// Whether one of the ends is a pod: nobody judges anything else.
fn is_judged(source: &End, destination: &End) -> bool {
    [source, destination]
        .into_iter()
        .any(|end| matches!(end, End::Pod { .. }))
}

/// Panics with all that is needed to understand it.
fn report(world: ClusterSet, seed: u64) -> ! {
    let world = shrink(world, |world| judge(world, seed, &mut Tally::default()).is_some());
    let disagreement = judge(&world, seed, &mut Tally::default()).expect("it is kept while it disagrees");
    let rulesets = product::rulesets(&world);
    let crossed = crossed(&disagreement.source, &disagreement.destination).into_iter();
    let crossed: String = crossed
        .map(|node| format!("node {node}\n{}\n", rulesets[node]))
        .collect();
    panic!("SEED={seed}\n{disagreement}\n{world}\n{crossed}");
}

#[test]
fn compiled_rulesets_do_what_the_policies_mean() {
    let Settings { verdicts, seed, .. } = Settings::from_env();
    let mut tally = Tally::default();
    for seed in seed.. {
        if tally.total() >= verdicts {
            break;
        }
        let world = ClusterSet::random(seed);
        if judge(&world, seed, &mut tally).is_some() {
            report(world, seed);
        }
    }
    println!("{tally}");
    let total = tally.total();
    for verdict in [Verdict::Allowed, Verdict::Refused, Verdict::NoTraffic] {
        let count = tally.verdicts.get(&verdict).copied().unwrap_or_default();
        assert!(count >= total / LEAST_SHARE, "too few of {verdict:?}:\n{tally}");
    }
    if verdicts >= Settings::VERDICTS {
        let seldom = tally.citations.iter().find(|(_, count)| **count < LEAST_CITATIONS);
        assert!(
            seldom.is_none(),
            "S{} too seldom has a say:\n{tally}",
            seldom.unwrap().0
        );
    }
}

/// How many ways lead to each world.
const WAYS: u64 = 5;

/// How many nodes of each world run an enforcer.
const ENFORCERS: usize = 2;

/// How often each kind of thing must have happened in the default number of worlds.
const LEAST_HAPPENINGS: u64 = 50;

#[test]
fn the_path_to_a_world_does_not_show_in_its_rulesets() {
    let Settings { worlds, seed, .. } = Settings::from_env();
    let mut happened = Happening::ALL.map(|happening| (happening, 0)).into();
    for seed in seed..seed + worlds {
        let world = ClusterSet::random(seed);
        let settled = product::rulesets(&world);
        let mut nodes: Vec<_> = settled.keys().cloned().collect();
        fastrand::Rng::with_seed(seed).shuffle(&mut nodes);
        nodes.truncate(ENFORCERS);
        for way in 0..WAYS {
            for (node, outcome) in Simulation::new(&world, &nodes, seed * WAYS + way).run() {
                let (expected, got) = (settled[&node].to_string(), outcome.ruleset.to_string());
                assert!(
                    got == expected,
                    "SEED={seed} way {way}, node {node}: got\n{got}\nbut expected\n{expected}"
                );
                assert!(
                    outcome.kernel_agrees,
                    "SEED={seed} way {way}, node {node}: the kernel holds something else"
                );
                add(&mut happened, outcome.happened);
            }
        }
    }
    println!("{happened:?}");
    if worlds >= Settings::WORLDS {
        let seldom = happened.iter().find(|(_, count)| **count < LEAST_HAPPENINGS);
        assert!(seldom.is_none(), "too seldom: {seldom:?}");
    }
}

fn add<K: Ord>(to: &mut BTreeMap<K, u64>, counts: impl IntoIterator<Item = (K, u64)>) {
    for (key, count) in counts {
        *to.entry(key).or_default() += count;
    }
}
