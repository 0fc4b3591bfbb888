//! What explains a verdict agrees with what judges: in random worlds every side that the evaluation admits is let pass by
//! the compiled ruleset and every other is not, under all switches; and what is refused has a reason.
//!
//! `VERDICTS=<count>` asks about more or fewer connections, `SEED=<seed>` begins with another world; a failure prints the
//! seed of its world.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking; clippy sees tests here only inside #[test]"
)]

use enforcer::explain::answer::Question;
use enforcer::explain::evaluate::{Evaluator, Half, Judged, Side};
use enforcer::explain::{telling, text};
use enforcer::interpret;
use enforcer::offline::judge::{Connection, Hook};
use enforcer::offline::{ClusterSet, End, Judge, NodeName, Probe, Verdict};
use enforcer::ruleset::{Direction, Ruleset};
use enforcer::screen::Ink;
use enforcer::switches::{EgressToLocalNode, Switches};
use proto::selector::{self, BarePodSelector, ClusterLabelMode};
use std::collections::BTreeMap;
use tests::worlds;

/// How many connections are asked about by default.
const VERDICTS: u64 = 150_000;

/// One connection in so many is explained in full.
const TOLD: u8 = 16;

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where this test reads the environment"
)]
fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

fn random_switches(rng: &mut fastrand::Rng) -> Switches {
    Switches {
        selectors: selector::Switches {
            bare_pod_selector: rng
                .choice([BarePodSelector::ClusterSet, BarePodSelector::Local])
                .unwrap(),
            cluster_label: rng
                .choice([
                    ClusterLabelMode::Verify,
                    ClusterLabelMode::Literal,
                    ClusterLabelMode::Assert,
                ])
                .unwrap(),
        },
        egress_to_local_node: rng
            .choice([EgressToLocalNode::Allow, EgressToLocalNode::Policy])
            .unwrap(),
    }
}

/// The rulesets of each node that judge one direction only.
type OneSided = BTreeMap<(NodeName, Direction), Ruleset>;

fn one_sided(set: &ClusterSet, judge: &Judge<'_>) -> OneSided {
    let mut rulesets = OneSided::new();
    for (node, _) in set.nodes() {
        let [egress, ingress] = Direction::ALL;
        for (direction, other) in [(egress, ingress), (ingress, egress)] {
            let mut ruleset = judge.ruleset(&node).unwrap().clone();
            for table in ruleset.tables.values_mut() {
                let before = table.chains.len();
                table.chains.retain(|name, _| name.as_str() != other.to_string());
                assert_eq!(table.chains.len(), before - 1);
            }
            rulesets.insert((node.clone(), direction), ruleset);
        }
    }
    rulesets
}

/// Whether something of a refusing side can be told: an isolating policy without rules, or a piece that misses or is void.
fn has_reason(side: &Side) -> bool {
    fn missing<P, M>(half: &Half<P, M>) -> bool {
        match half {
            Half::Any => false,
            Half::Void(_) => true,
            Half::Of(entries) => entries.iter().all(|entry| !matches!(entry, Judged::Matches(_))),
        }
    }
    side.subjects.iter().filter(|subject| !subject.admits()).all(|subject| {
        let policies = subject.isolating();
        let rule = |rule: &Result<enforcer::explain::evaluate::Rule, _>| {
            rule.as_ref()
                .map_or(true, |rule| missing(&rule.peers) || missing(&rule.ports))
        };
        !policies.is_empty() && policies.iter().all(|policy| policy.rules.iter().all(rule))
    })
}

/// S7, S8, S116, S127: by both readings, the same sides let a connection pass.
#[test]
fn what_explains_agrees_with_what_judges() {
    let (wanted, first) = (variable("VERDICTS", VERDICTS), variable("SEED", 1));
    let (mut asked, mut refused, mut shared) = (0, 0, 0_u64);
    for seed in first.. {
        if asked >= wanted {
            break;
        }
        let world = worlds::ClusterSet::random(seed).with_node_objects();
        let mut rng = fastrand::Rng::with_seed(seed);
        let switches = random_switches(&mut rng);
        let set = ClusterSet::new(&world.manifests(), switches);
        let judge = Judge::new(&set);
        let one_sided = one_sided(&set, &judge);
        let mut evaluator = Evaluator::new(&set);
        let outside = world.outside().into_iter().map(End::Address);
        let nodes = set
            .nodes()
            .flat_map(|(_, node)| node.addresses.iter().copied().map(End::Address));
        let ends: Vec<End> = set.ends().into_iter().chain(outside).chain(nodes).collect();
        let port = worlds::PORTS[rng.usize(..worlds::PORTS.len())];
        let transport = ["TCP", "UDP", "SCTP"][rng.usize(..3)];
        let probes = [
            "TCP/80".to_owned(),
            format!("{transport}/{port}/6"),
            "ICMP/0".to_owned(),
        ];
        let probes: Vec<Probe> = probes.iter().map(|probe| probe.parse().unwrap()).collect();
        for (from, to) in ends.iter().flat_map(|from| ends.iter().map(move |to| (from, to))) {
            for &probe in &probes {
                if rng.u8(..TOLD) == 0 {
                    let (from, to) = (from.clone(), to.clone());
                    assert_told(&set, &judge, &Question { from, to, probe }, &|| {
                        format!("SEED={seed} {switches:?}\n{world}")
                    });
                }
                let Some(connection) = judge.connection(from, to, probe) else {
                    continue;
                };
                let sides = evaluator.sides(&connection);
                let context = || format!("SEED={seed} {switches:?}\n{from} → {to} {probe}\n{sides:#?}\n{world}");
                assert_eq!(
                    sides.iter().all(Side::admits),
                    judge.passes(&connection),
                    "{}",
                    context()
                );
                assert_sides(&one_sided, &connection, &sides, &context);
                asked += 1;
                refused += u64::from(sides.iter().any(|side| !side.admits()));
                shared += u64::from(
                    sides
                        .iter()
                        .any(|side| side.claimants.len() > 1 || side.subjects.len() > 1),
                );
            }
        }
    }
    println!("{asked} asked, {refused} refused, {shared} with an address of several pods");
    assert!(refused > asked / 10 && shared > asked / 1_000);
}

/// S127: the verdict is the judge's, nothing contradicts it, and what is refused names what would admit it, unless no
/// rule is in force.
fn assert_told(set: &ClusterSet, judge: &Judge<'_>, question: &Question, context: &dyn Fn() -> String) {
    let answer = telling::answer(set, judge, question);
    let text = text::render(&answer, Ink::Plain);
    let context = || format!("{text}\n{}", context());
    let verdict = match judge.verdict(&question.from, &question.to, question.probe) {
        Verdict::Allowed => "allowed",
        Verdict::Refused => "refused",
        Verdict::Absent => "none",
    };
    assert_eq!(
        (answer.verdict, &answer.contradiction),
        (verdict, &None),
        "{}",
        context()
    );
    assert!(
        text.lines().next().is_some_and(|line| line.contains(&answer.because)),
        "{}",
        context()
    );
    let subjects = || answer.directions.iter().flat_map(|direction| &direction.subjects);
    assert_eq!(
        subjects().any(|subject| !subject.admitted),
        verdict == "refused",
        "{}",
        context()
    );
    for subject in subjects().filter(|subject| !subject.admitted) {
        let mut rules = subject.policies.iter().flat_map(|policy| &policy.rules);
        match &subject.nearest {
            Some(nearest) => {
                assert!(!nearest.conditions.is_empty(), "{}", context());
                assert!(
                    text.contains(&format!("{} {} would admit it if", nearest.policy, nearest.field)),
                    "{}",
                    context()
                );
            }
            None => assert!(rules.all(|rule| rule.void.is_some()), "{}", context()),
        }
    }
}

fn assert_sides(rulesets: &OneSided, connection: &Connection, sides: &[Side], context: &dyn Fn() -> String) {
    for crossing in connection
        .crossed
        .iter()
        .filter(|crossing| crossing.hook == Hook::Forward)
    {
        for direction in Direction::ALL {
            let side = sides
                .iter()
                .find(|side| side.crossing == *crossing && side.direction == direction);
            let ruleset = &rulesets[&(crossing.node.clone(), direction)];
            assert_eq!(
                side.is_none_or(Side::admits),
                interpret::passes(ruleset, &connection.packet),
                "{direction} at {}: {}",
                crossing.node,
                context()
            );
        }
    }
    for side in sides.iter().filter(|side| !side.admits()) {
        assert!(has_reason(side), "{}", context());
    }
}
