use super::*;
use crate::ruleset::{Chain, Family, LinkName, Match, SetKind, Side, Verdict};
use expect_test::expect;
use ipnet::IpNet;
use proto::model::Protocol;

mod between;

/// The families' local addresses, and the addresses of peers; few, so that random rulesets overlap.
fn address(family: Family, number: u8) -> IpAddr {
    match family {
        Family::V4 => IpAddr::from([10, 1, 1, number]),
        Family::V6 => IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, u16::from(number)]),
    }
}

fn block(family: Family, width: u8) -> IpNet {
    let net = IpNet::new(address(family, 0), if family == Family::V4 { width } else { width * 4 });
    net.unwrap().trunc()
}

fn set(family: Family, number: usize, random: &mut fastrand::Rng) -> (SetName, Set) {
    let kind = [SetKind::Addresses, SetKind::Blocks, SetKind::Ports][number % 3];
    let mut members = BTreeSet::new();
    for member in 0..6 {
        if random.bool() {
            continue;
        }
        members.insert(match kind {
            SetKind::Addresses => Element::Address(address(family, 100 + member)),
            SetKind::Blocks => Element::Block {
                net: block(family, 8 + member),
                nomatch: random.bool(),
            },
            SetKind::Ports => Element::Port(address(family, 100 + member), Protocol::Tcp, 80),
        });
    }
    (
        SetName::of(family, &format!("set {number}")),
        Set { kind, family, members },
    )
}

/// A ruleset of the compiler's shape: content-named policy chains over sets, an address chain per isolated address.
fn ruleset(random: &mut fastrand::Rng) -> Ruleset {
    let inventory = random.u64(..);
    ruleset_of(random, inventory)
}

/// The members of the sets are the inventory's, all else is random.
fn ruleset_of(random: &mut fastrand::Rng, inventory: u64) -> Ruleset {
    let mut ruleset = Ruleset::default();
    let mut members = fastrand::Rng::with_seed(inventory);
    for family in Family::ALL {
        let sets: Vec<_> = (0..5).map(|number| set(family, number, &mut members)).collect();
        let mut table = Table::default();
        table.chains.insert(ChainName::fixed("common"), Chain::default());
        for direction in Direction::ALL {
            let rules = vec![Rule {
                matches: vec![],
                verdict: Verdict::Dispatch(direction),
            }];
            table
                .chains
                .insert(ChainName::fixed(direction_name(direction)), Chain { rules });
            let map = table.dispatch.entry(direction).or_default();
            for number in 0..4 {
                if random.bool() {
                    continue;
                }
                let (name, set) = &sets[random.usize(..sets.len())];
                let matches = vec![Match::InSet(direction.peer_side(), name.clone(), set.kind)];
                let rules = vec![Rule {
                    matches,
                    verdict: Verdict::Accept,
                }];
                let policy = ChainName::of_rules(&rules);
                ruleset.sets.insert(name.clone(), set.clone());
                table.chains.insert(policy.clone(), Chain { rules });
                let counter = CounterName::read_back(&format!("{direction}/{}", random.u8(..3)));
                table.counters.insert(counter.clone());
                let rules = vec![
                    Rule {
                        matches: vec![],
                        verdict: Verdict::Jump(policy),
                    },
                    Rule {
                        matches: vec![],
                        verdict: Verdict::Count(counter),
                    },
                    Rule {
                        matches: vec![],
                        verdict: Verdict::Drop,
                    },
                ];
                let local = address(family, number);
                let chain = ChainName::of_address(direction, local);
                table.chains.insert(chain.clone(), Chain { rules });
                map.insert(local, chain);
            }
        }
        ruleset.tables.insert(TableFamily::of(family), table);
    }
    for family in TableFamily::ALL {
        if random.bool() {
            check_sources(ruleset.tables.entry(family).or_default(), random);
        }
    }
    ruleset
}

/// Packets from some links must have some source addresses.
fn check_sources(table: &mut Table, random: &mut fastrand::Rng) {
    let set = TableSet::ALL[random.usize(..TableSet::ALL.len())];
    let key = |number: u8| match set {
        TableSet::Links => Key::Link(LinkName::new(&format!("veth{number}")).unwrap()),
        TableSet::Sources(family) => Key::Address(address(family, number)),
    };
    let keys = (0..4).filter(|_| random.bool()).map(key).collect();
    table.sets.insert(set, keys);
    let rules = vec![Rule {
        matches: vec![Match::InTableSet(set)],
        verdict: Verdict::CountedDrop,
    }];
    table.chains.insert(ChainName::fixed("prerouting"), Chain { rules });
}

const fn direction_name(direction: Direction) -> &'static str {
    match direction {
        Direction::Egress => "egress",
        Direction::Ingress => "ingress",
    }
}

/// Checks the promise of the transaction: nothing is referred to that is not there.
fn check_references(plan: &Plan, actual: &Actual) {
    let mut chains: BTreeSet<(TableFamily, ChainName)> = BTreeSet::new();
    let mut sets: BTreeSet<(TableFamily, TableSet)> = BTreeSet::new();
    let mut counters: BTreeSet<(TableFamily, CounterName)> = BTreeSet::new();
    for (family, table) in &actual.tables {
        counters.extend(table.counters.iter().map(|counter| (*family, counter.clone())));
        sets.extend(table.sets.keys().map(|set| (*family, *set)));
        chains.extend(table.chains.keys().map(|chain| (*family, chain.clone())));
    }
    for change in &plan.transaction {
        match change {
            TableChange::CreateTable(_) | TableChange::RemoveDispatch(_, _, _, _) => {}
            TableChange::CreateSet(family, set) => {
                assert!(sets.insert((*family, *set)), "created twice: {set}");
            }
            TableChange::AddKey(family, set, _) | TableChange::RemoveKey(family, set, _) => {
                assert!(sets.contains(&(*family, *set)), "no set {set}");
            }
            TableChange::DeleteSet(family, set) => {
                assert!(sets.remove(&(*family, *set)), "deleted twice: {set}");
            }
            TableChange::CreateCounter(family, counter) => {
                assert!(counters.insert((*family, counter.clone())), "created twice: {counter}");
            }
            TableChange::DeleteCounter(family, counter) => {
                assert!(counters.remove(&(*family, counter.clone())), "deleted twice: {counter}");
            }
            TableChange::DeleteTable(gone) => {
                sets.retain(|(family, _)| family != gone);
                chains.retain(|(family, _)| family != gone);
            }
            TableChange::CreateChain(family, chain) => {
                assert!(chains.insert((*family, chain.clone())), "created twice: {chain}");
            }
            TableChange::SetRules(family, chain, rules) => {
                assert!(chains.contains(&(*family, chain.clone())), "no chain {chain}");
                for rule in rules {
                    if let Verdict::Jump(to) = &rule.verdict {
                        assert!(chains.contains(&(*family, to.clone())), "jump to no chain {to}");
                    }
                    if let Verdict::Count(counter) = &rule.verdict {
                        assert!(counters.contains(&(*family, counter.clone())), "no counter {counter}");
                    }
                    for condition in &rule.matches {
                        if let Match::InTableSet(set) = condition {
                            assert!(sets.contains(&(*family, *set)), "no set {set}");
                        }
                    }
                }
            }
            TableChange::AddDispatch(family, _, _, chain) => {
                assert!(
                    chains.contains(&(*family, chain.clone())),
                    "dispatch to no chain {chain}"
                );
            }
            TableChange::DeleteChain(family, chain) => {
                assert!(chains.remove(&(*family, chain.clone())), "deleted twice: {chain}");
            }
        }
    }
}

#[test]
fn the_plan_leads_to_what_is_desired() {
    for seed in 0..500 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (before, desired) = (ruleset(&mut random), ruleset(&mut random));
        let actual = if seed % 5 == 0 {
            Actual::default()
        } else {
            Actual::of(&before)
        };
        let plan = plan(&desired, &actual, Sweep::All);
        check_references(&plan, &actual);
        assert_eq!(
            actual.after(&plan, &BTreeSet::new()),
            Actual::of(&desired),
            "seed {seed}\n{plan}"
        );
    }
}

#[test]
fn what_is_as_desired_needs_no_plan() {
    for seed in 0..100 {
        let desired = ruleset(&mut fastrand::Rng::with_seed(seed));
        let plan = plan(&desired, &Actual::of(&desired), Sweep::All);
        assert!(plan.is_empty(), "seed {seed}\n{plan}");
    }
}

#[test]
fn a_permanent_chain_is_refilled_and_never_made_anew() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (before, desired) = (ruleset(&mut random), ruleset(&mut random));
        let plan = plan(&desired, &Actual::of(&before), Sweep::All);
        for change in &plan.transaction {
            match change {
                TableChange::CreateTable(family) => {
                    assert!(!before.tables.contains_key(family), "seed {seed}: {change}");
                }
                TableChange::DeleteTable(family) => {
                    assert!(!desired.tables.contains_key(family), "seed {seed}: {change}");
                }
                TableChange::CreateSet(family, set) => {
                    let table = before.tables.get(family);
                    let exists = table.is_some_and(|table| table.sets.contains_key(set));
                    assert!(!exists, "seed {seed}: {change}");
                }
                TableChange::DeleteSet(family, set) => {
                    assert!(!desired.tables[family].sets.contains_key(set), "seed {seed}: {change}");
                }
                TableChange::CreateCounter(family, counter) => {
                    let table = before.tables.get(family);
                    let exists = table.is_some_and(|table| table.counters.contains(counter));
                    assert!(!exists, "seed {seed}: {change}");
                }
                TableChange::DeleteCounter(family, counter) => {
                    let counts = desired.tables[family].counters.contains(counter);
                    assert!(!counts, "seed {seed}: {change}");
                }
                TableChange::AddKey(..) | TableChange::RemoveKey(..) => {}
                TableChange::CreateChain(family, chain) => {
                    let table = before.tables.get(family);
                    let exists = table.is_some_and(|table| table.chains.contains_key(chain));
                    assert!(!exists, "seed {seed}: {change}");
                }
                TableChange::DeleteChain(family, chain) => {
                    assert!(
                        !desired.tables[family].chains.contains_key(chain),
                        "seed {seed}: {change}"
                    );
                }
                TableChange::AddDispatch(family, direction, address, _) => {
                    assert!(
                        !before.tables[family].dispatch[direction].contains_key(address),
                        "seed {seed}: {change}"
                    );
                }
                TableChange::RemoveDispatch(_, _, _, _) => {}
                TableChange::SetRules(_, chain, _) => {
                    let content_named = chain.as_str().starts_with("policy-");
                    let created = plan
                        .transaction
                        .contains(&TableChange::CreateChain(change.family(), chain.clone()));
                    assert!(!content_named || created, "seed {seed}: {change}");
                }
            }
        }
    }
}

#[test]
fn a_set_that_could_not_be_destroyed_is_destroyed_by_the_next_plan() {
    let desired = ruleset(&mut fastrand::Rng::with_seed(1));
    let mut before = desired.clone();
    let (name, extra) = set(Family::V4, 99, &mut fastrand::Rng::with_seed(2));
    before.sets.insert(name.clone(), extra);
    let first = plan(&desired, &Actual::of(&before), Sweep::All);
    let left = BTreeSet::from([name]);
    let actual = Actual::of(&before).after(&first, &left);
    assert_eq!(
        plan(&desired, &actual, Sweep::All),
        Plan {
            destroy: left,
            ..Plan::default()
        }
    );
}

#[test]
fn what_is_not_known_yet_stays_in_its_set() {
    let name = SetName::of(Family::V4, "frontends");
    let with = |members: &[u8]| {
        let members = members
            .iter()
            .map(|number| Element::Address(address(Family::V4, *number)))
            .collect();
        let set = Set {
            kind: SetKind::Addresses,
            family: Family::V4,
            members,
        };
        Ruleset {
            sets: BTreeMap::from([(name.clone(), set)]),
            tables: BTreeMap::new(),
        }
    };
    let kept = BTreeSet::from([address(Family::V4, 1)]);
    let plan = plan(&with(&[3]), &Actual::of(&with(&[1, 2])), Sweep::Except(&kept));
    let added = BTreeSet::from([Element::Address(address(Family::V4, 3))]);
    let removed = BTreeSet::from([Element::Address(address(Family::V4, 2))]);
    let expected = Plan {
        add: BTreeMap::from([(name.clone(), added)]),
        remove: BTreeMap::from([(name.clone(), removed)]),
        ..Plan::default()
    };
    assert_eq!(plan, expected);
}

#[test]
fn a_set_of_another_kind_under_our_name_is_to_be_created() {
    let name = SetName::of(Family::V4, "frontends");
    let of = |kind| {
        let set = Set {
            kind,
            family: Family::V4,
            members: BTreeSet::new(),
        };
        Ruleset {
            sets: BTreeMap::from([(name.clone(), set)]),
            tables: BTreeMap::new(),
        }
    };
    let desired = of(SetKind::Addresses);
    let plan = plan(&desired, &Actual::of(&of(SetKind::Blocks)), Sweep::All);
    assert_eq!(
        plan,
        Plan {
            create: desired.sets,
            ..Plan::default()
        }
    );
}

/// One pod that a set admits, and a set of blocks that no rule refers to.
fn one_pod(admitted: &str, blocks: &[Element]) -> Ruleset {
    let family = Family::V4;
    let pod = address(family, 1);
    let peers = SetName::of(family, admitted);
    let chain = ChainName::of_address(Direction::Ingress, pod);
    let matches = vec![Match::InSet(Side::Source, peers.clone(), SetKind::Addresses)];
    let rules = vec![Rule {
        matches,
        verdict: Verdict::Accept,
    }];
    let set = |kind, members: &[Element]| Set {
        kind,
        family,
        members: members.iter().copied().collect(),
    };
    let table = Table {
        chains: BTreeMap::from([(chain.clone(), Chain { rules })]),
        dispatch: BTreeMap::from([(Direction::Ingress, BTreeMap::from([(pod, chain)]))]),
        ..Table::default()
    };
    Ruleset {
        sets: BTreeMap::from([
            (SetName::of(family, "blocks"), set(SetKind::Blocks, blocks)),
            (
                peers,
                set(SetKind::Addresses, &[Element::Address(address(family, 100))]),
            ),
        ]),
        tables: BTreeMap::from([(TableFamily::of(family), table)]),
    }
}

#[test]
fn a_plan_reads_in_the_order_of_its_steps() {
    let wide = Element::Block {
        net: block(Family::V4, 8),
        nomatch: false,
    };
    let narrow = Element::Block {
        net: block(Family::V4, 16),
        nomatch: true,
    };
    let before = one_pod("frontends", &[]);
    let after = one_pod("backends", &[wide, narrow]);
    let there = plan(&after, &Actual::of(&before), Sweep::All);
    let back = plan(&before, &Actual::of(&after), Sweep::All);
    expect![[r#"
        create set bly4-3d43ncx3txf7wl3rehds3bhvy3 hash:ip with 1 members
        add 10.1.0.0/16 nomatch to set bly4-fijnuf6sptifvmhtcsebnqnuu4
        add 10.0.0.0/8 to set bly4-fijnuf6sptifvmhtcsebnqnuu4
        set 1 rules of chain ip ingress-10.1.1.1
        destroy set bly4-smiug6dqn4vprbernebvuxduta

        create set bly4-smiug6dqn4vprbernebvuxduta hash:ip with 1 members
        set 1 rules of chain ip ingress-10.1.1.1
        remove 10.0.0.0/8 from set bly4-fijnuf6sptifvmhtcsebnqnuu4
        remove 10.1.0.0/16 nomatch from set bly4-fijnuf6sptifvmhtcsebnqnuu4
        destroy set bly4-3d43ncx3txf7wl3rehds3bhvy3
    "#]]
    .assert_eq(&format!("{there}\n{back}"));
    let counts = Counts {
        sets_created: 1,
        members_added: 3,
        table_changes: 1,
        members_removed: 0,
        sets_destroyed: 1,
    };
    assert_eq!(there.counts(), counts);
}
