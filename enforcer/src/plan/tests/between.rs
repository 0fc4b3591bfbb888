//! Every state that the kernel passes through admits only what the state before or after the plan admits, and all that
//! both admit.

use super::*;
use crate::interpret::{Packet, passes};
use crate::ruleset::Family;

/// The rulesets that the kernel enforces on the way, one member at a time.
fn states(before: &Ruleset, after: &Ruleset) -> Vec<Ruleset> {
    let plan = plan(after, &Actual::of(before), Sweep::All);
    let mut steps = Vec::new();
    for (name, set) in &plan.create {
        steps.push(Plan {
            create: BTreeMap::from([(name.clone(), set.clone())]),
            ..Plan::default()
        });
    }
    let one = |name: &SetName, element: &Element| BTreeMap::from([(name.clone(), BTreeSet::from([*element]))]);
    for (name, elements) in &plan.add {
        steps.extend(elements.iter().rev().map(|element| Plan {
            add: one(name, element),
            ..Plan::default()
        }));
    }
    steps.push(Plan {
        transaction: plan.transaction,
        ..Plan::default()
    });
    for (name, elements) in &plan.remove {
        steps.extend(elements.iter().map(|element| Plan {
            remove: one(name, element),
            ..Plan::default()
        }));
    }
    for name in &plan.destroy {
        steps.push(Plan {
            destroy: BTreeSet::from([name.clone()]),
            ..Plan::default()
        });
    }

    let mut actual = Actual::of(before);
    let mut states = Vec::new();
    for step in &steps {
        actual = actual.after(step, &BTreeSet::new());
        // Rules are known by their tags alone; a transaction leads from the rules before to the rules after.
        let is_before = actual.tables == Actual::of(before).tables;
        let tables = if is_before { &before.tables } else { &after.tables };
        states.push(Ruleset {
            sets: actual.sets.clone(),
            tables: tables.clone(),
        });
    }
    assert_eq!(actual, Actual::of(after));
    states
}

/// An address that is in all blocks but those of at least this width.
fn beside(family: Family, width: u8) -> IpAddr {
    match (address(family, 0), block(family, width).prefix_len()) {
        (IpAddr::V4(address), width) => IpAddr::from((u32::from(address) ^ 1 << (32 - width)).to_be_bytes()),
        (IpAddr::V6(address), width) => IpAddr::from((u128::from(address) ^ 1 << (128 - width)).to_be_bytes()),
    }
}

/// From and to all addresses of the family.
fn packets(family: Family) -> Vec<Packet> {
    let pods = (0..4).chain(100..106).map(|number| address(family, number));
    let ends: Vec<IpAddr> = pods.chain((9..14).map(|width| beside(family, width))).collect();
    ends.iter()
        .flat_map(|source| ends.iter().map(|destination| Packet::tcp(*source, *destination)))
        .collect()
}

/// How many verdicts the plan changed.
fn check(before: &Ruleset, after: &Ruleset, seed: u64) -> usize {
    let states = states(before, after);
    let mut changed = 0;
    for packet in Family::ALL.into_iter().flat_map(packets) {
        let (old, new) = (passes(before, &packet), passes(after, &packet));
        changed += usize::from(old != new);
        for (step, state) in states.iter().enumerate() {
            let now = passes(state, &packet);
            assert!(
                now == old || now == new,
                "seed {seed}, step {step}: {old}, then {now}, then {new} for {packet:?}"
            );
        }
    }
    changed
}

/// S123, K7: Every state between two policies admits what both admit, and nothing that neither admits.
#[test]
fn while_policies_change() {
    let mut changed = 0;
    for seed in 0..15 {
        let mut random = fastrand::Rng::with_seed(seed);
        let inventory = random.u64(..);
        let (before, after) = (ruleset_of(&mut random, inventory), ruleset_of(&mut random, inventory));
        changed += check(&before, &after, seed);
    }
    assert!(changed > 100, "{changed} verdicts changed");
}

/// One set, as one pod's label changes it: what several pods' changes may let through together, some order of them does.
#[test]
fn while_members_change() {
    let mut changed = 0;
    for seed in 0..80 {
        let mut random = fastrand::Rng::with_seed(seed);
        let before = ruleset(&mut random);
        let mut after = before.clone();
        let Some((name, of)) = before.sets.iter().nth(random.usize(..before.sets.len().max(1))) else {
            continue;
        };
        let number = [SetKind::Addresses, SetKind::Blocks, SetKind::Ports]
            .iter()
            .position(|kind| *kind == of.kind);
        let (_, other) = set(of.family, number.expect("one of all kinds"), &mut random);
        after.sets.insert(name.clone(), other);
        changed += check(&before, &after, seed);
    }
    assert!(changed > 100, "{changed} verdicts changed");
}
