//! Compiled rulesets do what the policies mean, in random worlds: every pair of ends, several probes, on both ends' nodes.
//! And they are the same text whatever happened before the world became what it is (S120).
//!
//! `VERDICTS=<count>` judges more or fewer connections, `WORLDS=<count>` lets more or fewer worlds happen, `SEED=<seed>`
//! begins with another world, `COMMIT=<hash>` with that of a commit; a failure prints the seed of its world, the command
//! that judges it again, and the smallest part of it that still fails.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking; clippy sees tests here only inside #[test]"
)]

mod semantics {
    pub mod change;
    pub mod enforcer;
    pub mod history;
    pub mod manifests;
    pub mod parallel;
    pub mod product;
    pub mod runtime;
    pub mod settings;
    pub mod simulation;
    pub mod words;
}

use semantics::change::{self, passing};
use semantics::enforcer::Happening;
use semantics::parallel;
use semantics::product::{self, Rulesets};
use semantics::settings::Settings;
use semantics::simulation::Simulation;
use semantics::words::in_our_words;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
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

    fn add(&mut self, other: Self) {
        add(&mut self.verdicts, other.verdicts);
        add(&mut self.citations, other.citations);
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

/// The switches by which a world is judged.
fn switches(seed: u64) -> Switches {
    Switches::random(&mut fastrand::Rng::with_seed(seed))
}

/// Judges every connection of a world; the first on which the two differ.
fn judge(world: &ClusterSet, seed: u64) -> (Tally, Option<Disagreement>) {
    let rulesets: Rulesets = product::rulesets(world, switches(seed));
    let read = World::read(world);
    let judge = Judge::new(&read, switches(seed));
    let ends = read.ends(&world.outside());
    let probes = probes(seed);
    let mut verdicts: BTreeMap<Verdict, u64> = BTreeMap::new();
    let mut first = None;
    for source in &ends {
        for destination in ends.iter().filter(|end| is_judged(source, end)) {
            for probe in probes {
                let meant = judge.verdict(source, destination, probe);
                *verdicts.entry(meant).or_default() += 1;
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
    let citations = judge.cited().collect();
    (Tally { verdicts, citations }, first)
}

/// Whether one of the ends is a pod: nobody judges anything else. Groups send nothing.
fn is_judged(source: &End, destination: &End) -> bool {
    let is_pod = |end: &End| matches!(end, End::Pod { .. });
    !source.address().is_multicast() && (is_pod(source) || is_pod(destination))
}

/// Panics with all that is needed to understand it.
fn report(seed: u64) -> ! {
    let disagrees = |world: &ClusterSet| judge(world, seed).1;
    let world = shrink(ClusterSet::random(seed), |world| disagrees(world).is_some());
    let disagreement = disagrees(&world).expect("it is kept while it disagrees");
    let rulesets = product::rulesets(&world, switches(seed));
    let crossed = crossed(&disagreement.source, &disagreement.destination).into_iter();
    let crossed: String = crossed
        .map(|node| format!("node {node}\n{}\n", rulesets[node]))
        .collect();
    let switches = switches(seed);
    panic!(
        "SEED={seed} VERDICTS=1 cargo test -p tests --test semantics\n{switches:?}\n{disagreement}\n{world}\n{crossed}"
    );
}

/// How many worlds are judged before it is counted how many connections they had.
const WORLDS_AT_ONCE: u64 = 128;

/// S1, S2, S3, S4, S5, S6, S7, S8, S9, S10, S11, S12, S13, S18, S19, S20, S21, S22, S24, S25, S26, S27, S28, S29, S30, S31,
/// S32, S33, S34, S35, S36, S37, S38, S39, S42, S43, S44, S45, S46, S47, S48, S49, S50, S51, S52, S53, S54, S55, S56, S57,
/// S58, S59, S60, S61, S63, S67, S68, S69, S71, S73, S76, S77, S80, S81, S82, S83, S90, S92, S93, S94, S95, S96, S97, S98,
/// S99, S100, S101, S102, S103, S104, S105, S106, S108, S113, S116, S127: each of them has a say in verdicts that compiled
/// rulesets and the oracle agree on.
#[test]
fn compiled_rulesets_do_what_the_policies_mean() {
    let Settings { verdicts, mut seed, .. } = Settings::get();
    let mut tally = Tally::default();
    while tally.total() < verdicts {
        let seeds = seed..seed + WORLDS_AT_ONCE;
        seed = seeds.end;
        for (seed, (judged, disagreement)) in seeds.clone().zip(parallel::each(seeds, judge_random)) {
            if disagreement.is_some() {
                report(seed);
            }
            tally.add(judged);
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

fn judge_random(seed: u64) -> (Tally, Option<Disagreement>) {
    judge(&ClusterSet::random(seed), seed)
}

/// S15, S16, S120: names, ages, labels and annotations of policies, repetition and order change no verdict.
#[test]
fn how_policies_are_written_does_not_show_in_verdicts() {
    let Settings { worlds, seed, .. } = Settings::get();
    parallel::each(seed..seed + worlds / WAYS, |seed| {
        let (world, ends, switches) = changing(seed);
        let before = passing(&world, switches, &ends, &probes(seed));
        let mut rng = fastrand::Rng::with_seed(seed);
        for changed in [
            change::renamed(world.clone(), &mut rng),
            change::doubled(world.clone(), &mut rng),
        ] {
            let after = passing(&changed, switches, &ends, &probes(seed));
            assert!(before == after, "SEED={seed}\n{world}\nbecame\n{changed}");
        }
    });
}

/// S14: a rule more refuses nothing that was allowed.
#[test]
fn another_rule_only_allows() {
    let Settings { worlds, seed, .. } = Settings::get();
    let opened = parallel::each(seed..seed + worlds / WAYS, |seed| {
        let (world, ends, switches) = changing(seed);
        let mut rng = fastrand::Rng::with_seed(seed);
        let Some(changed) = change::with_another_rule(world.clone(), &mut rng) else {
            return 0;
        };
        let before = passing(&world, switches, &ends, &probes(seed));
        let after = passing(&changed, switches, &ends, &probes(seed));
        let refuses = before.iter().zip(&after).any(|(before, after)| *before && !after);
        assert!(!refuses, "SEED={seed}\n{world}\nbecame\n{changed}");
        usize::from(before != after)
    });
    let opened: usize = opened.into_iter().sum();
    assert!(
        opened > 0 || worlds < Settings::WORLDS,
        "no rule of any world opened anything"
    );
}

/// S3, S14, S98: a policy more says nothing of connections that have no end in its namespace and cluster.
#[test]
fn another_policy_concerns_its_namespace_only() {
    let Settings { worlds, seed, .. } = Settings::get();
    let changes = parallel::each(seed..seed + worlds / WAYS, |seed| {
        let (world, ends, switches) = changing(seed);
        let mut rng = fastrand::Rng::with_seed(seed);
        let Some((changed, cluster, namespace)) = change::with_another_policy(world.clone(), &mut rng) else {
            return 0;
        };
        let own =
            |end: &&End| matches!(end, End::Pod { node, pod, .. } if node.cluster == cluster && pod.0 == namespace);
        // By address: several pods may claim one (S113).
        let mut own: BTreeSet<IpAddr> = ends.iter().filter(own).map(End::address).collect();
        own.extend(change::claimed(&world, &cluster, &namespace));
        let concerned = |end: &End| own.contains(&end.address());
        let probes = probes(seed);
        let before = passing(&world, switches, &ends, &probes);
        let after = passing(&changed, switches, &ends, &probes);
        let pairs = change::pairs(&ends).flat_map(|pair| probes.map(|_| pair));
        for ((source, destination), (before, after)) in pairs.zip(before.iter().zip(&after)) {
            assert!(
                before == after || concerned(source) || concerned(destination),
                "SEED={seed} from {source} to {destination}\n{world}\nbecame\n{changed}"
            );
        }
        usize::from(before != after)
    });
    let changes: usize = changes.into_iter().sum();
    assert!(
        changes > 0 || worlds < Settings::WORLDS,
        "no policy of any world changed anything"
    );
}

/// A world to be changed.
fn changing(seed: u64) -> (ClusterSet, Vec<End>, Switches) {
    let world = ClusterSet::random(seed);
    let ends = change::ends(&world);
    (world, ends, switches(seed))
}

/// How many ways lead to each world.
const WAYS: u64 = 5;

/// How many nodes of each world run an enforcer.
const ENFORCERS: usize = 2;

/// How often each kind of thing must have happened in the default number of worlds.
const LEAST_HAPPENINGS: u64 = 50;

/// S83, S84, S85, S86, S87, S88, S89, S91, S110, S111, S119, S120, S121, S128, S129, I11, I13, I14, I15, N1, N2, N3, P28,
/// C3, C5, C6, C7, C16, W1, W3, W4, W5: whatever happened before.
#[test]
fn the_path_to_a_world_does_not_show_in_its_rulesets() {
    let Settings { worlds, seed, .. } = Settings::get();
    let mut happened = Happening::ALL.map(|happening| (happening, 0)).into();
    for one in parallel::each(seed..seed + worlds, happen) {
        add(&mut happened, one);
    }
    println!("{happened:?}");
    if worlds >= Settings::WORLDS {
        let seldom = happened.iter().find(|(_, count)| **count < LEAST_HAPPENINGS);
        assert!(seldom.is_none(), "too seldom: {seldom:?}");
    }
}

/// Lets a world come to be in several ways. In one of them a cluster has come back in the end and said nothing yet.
fn happen(seed: u64) -> BTreeMap<Happening, u64> {
    let world = ClusterSet::random(seed);
    let settled = product::rulesets(&world, switches(seed));
    let mut nodes: Vec<_> = settled.keys().cloned().collect();
    fastrand::Rng::with_seed(seed).shuffle(&mut nodes);
    nodes.truncate(ENFORCERS);
    let mut others = world.clusters.keys().rev();
    let returning = others.find(|cluster| nodes.iter().all(|node| node.cluster != **cluster));
    let without = returning.map(|cluster| product::rulesets(&without_objects(&world, cluster), switches(seed)));
    let mut happened = BTreeMap::new();
    for way in 0..WAYS {
        let (returning, settled) = match (returning, &without) {
            (Some(cluster), Some(without)) if way == 0 => (Some(cluster.as_str()), without),
            _ => (None, &settled),
        };
        let switches = in_our_words(switches(seed));
        let simulation = Simulation::new(&world, switches, &nodes, returning, seed * WAYS + way);
        for (node, outcome) in simulation.run() {
            let (expected, got) = (settled[&node].to_string(), outcome.ruleset.to_string());
            let whence = format!("SEED={seed} WORLDS=1 cargo test -p tests --test semantics: way {way}, node {node}");
            assert!(
                got == expected,
                "{whence}: got\n{got}\nbut expected\n{expected}\n{world}"
            );
            assert!(outcome.kernel_agrees, "{whence}: the kernel holds something else");
            add(&mut happened, outcome.happened);
        }
    }
    happened
}

/// The world before a cluster has said anything.
fn without_objects(world: &ClusterSet, cluster: &str) -> ClusterSet {
    let mut world = world.clone();
    if let Some(cluster) = world.clusters.get_mut(cluster) {
        cluster.objects.clear();
    }
    world
}

fn add<K: Ord>(to: &mut BTreeMap<K, u64>, counts: impl IntoIterator<Item = (K, u64)>) {
    for (key, count) in counts {
        *to.entry(key).or_default() += count;
    }
}
