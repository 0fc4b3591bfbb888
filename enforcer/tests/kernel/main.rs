//! The kernel module against a real kernel, in network namespaces that each test makes for itself. Needs root.

#![expect(clippy::unwrap_used, reason = "what a test cannot do without fails it")]

mod foreign;
mod netns;
mod node;
mod packets;
mod survey;

use enforcer::kernel::{Bridges, Errno, Fault, Kernel, KernelError, Missing};
use enforcer::plan::{Actual, Plan, Sweep, plan};
use enforcer::ruleset::{
    Chain, ChainName, CounterName, Direction, Element, Family, Key, LinkName, Match, Rule, Ruleset, Set, SetKind,
    SetName, Side, Table, TableFamily, TableSet, Verdict,
};
use netns::in_new_netns;
use proto::model::Protocol;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::thread;
use std::time::Duration;

/// An address of a pod or a peer.
fn address(family: Family, number: u16) -> IpAddr {
    match family {
        Family::V4 => IpAddr::from([10, 1, (number >> 8).to_be_bytes()[1], number.to_be_bytes()[1]]),
        Family::V6 => IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, number]),
    }
}

fn set(kind: SetKind, family: Family, members: impl IntoIterator<Item = Element>) -> Set {
    Set {
        kind,
        family,
        members: members.into_iter().collect(),
    }
}

fn address_set(family: Family, members: impl IntoIterator<Item = Element>) -> Set {
    set(SetKind::Addresses, family, members)
}

fn rule(matches: impl IntoIterator<Item = Match>, verdict: Verdict) -> Rule {
    Rule {
        matches: matches.into_iter().collect(),
        verdict,
    }
}

fn block(text: &str, nomatch: bool) -> Element {
    Element::Block {
        net: text.parse().unwrap(),
        nomatch,
    }
}

/// A set of each kind.
fn sets(family: Family) -> [(SetName, Set); 3] {
    let blocks = match family {
        Family::V4 => [
            block("0.0.0.0/1", false),
            block("10.0.0.0/8", true),
            block("10.9.0.1/32", false),
        ],
        Family::V6 => [
            block("::/1", false),
            block("fd00::/8", true),
            block("fd00::9:1/128", false),
        ],
    };
    let ports = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
    [
        (
            SetName::of(family, "frontends"),
            set(
                SetKind::Addresses,
                family,
                (7..9).map(|number| Element::Address(address(family, number))),
            ),
        ),
        (SetName::of(family, "a block"), set(SetKind::Blocks, family, blocks)),
        (
            SetName::of(family, "a named port"),
            set(
                SetKind::Ports,
                family,
                ports.map(|protocol| Element::Port(address(family, 7), protocol, 8080)),
            ),
        ),
    ]
}

/// The base chains, with every form of rule in `common`.
fn base(family: Family) -> Table {
    let [(addresses, _), (blocks, _), (ports, _)] = sets(family);
    let mut common = vec![
        rule([Match::Established], Verdict::Accept),
        rule(
            [
                Match::L4Proto(17),
                Match::SourcePort(68),
                Match::DestinationPort(67, 67),
            ],
            Verdict::Accept,
        ),
        rule([Match::L4Proto(6), Match::DestinationPort(1000, 2000)], Verdict::Drop),
        rule([Match::Address(Side::Source, address(family, 1))], Verdict::Accept),
        rule([Match::Address(Side::Destination, address(family, 1))], Verdict::Accept),
        rule(
            [Match::InSet(Side::Source, addresses.clone(), SetKind::Addresses)],
            Verdict::Accept,
        ),
        rule(
            [Match::InSet(Side::Destination, addresses, SetKind::Addresses)],
            Verdict::Accept,
        ),
        rule(
            [Match::InSet(Side::Destination, blocks, SetKind::Blocks)],
            Verdict::Accept,
        ),
        rule(
            [Match::InSet(Side::Destination, ports, SetKind::Ports)],
            Verdict::Accept,
        ),
    ];
    if family == Family::V6 {
        common.push(rule(
            [Match::Icmpv6Type(BTreeSet::from([133, 134, 135, 136, 137]))],
            Verdict::Accept,
        ));
        common.push(rule(
            [Match::L4Proto(58), Match::Icmpv6Type(BTreeSet::from([143]))],
            Verdict::Accept,
        ));
    }
    let net = match family {
        Family::V4 => "169.254.0.0/16",
        Family::V6 => "fe80::/10",
    };
    let from_links = Match::InTableSet(TableSet::Links);
    let net = Match::Block(Side::Source, net.parse().unwrap());
    let checks = vec![
        rule([from_links.clone(), Match::RouteBack], Verdict::Accept),
        rule([from_links, net], Verdict::CountedDrop),
    ];
    let mut chains = BTreeMap::from([
        (ChainName::fixed("common"), Chain { rules: common }),
        (ChainName::fixed("prerouting"), Chain { rules: checks }),
    ]);
    for (direction, name) in [(Direction::Egress, "egress"), (Direction::Ingress, "ingress")] {
        let jump = rule([], Verdict::Jump(ChainName::fixed("common")));
        let rules = vec![jump, rule([], Verdict::Dispatch(direction))];
        chains.insert(ChainName::fixed(name), Chain { rules });
    }
    Table {
        chains,
        dispatch: Direction::ALL.map(|direction| (direction, BTreeMap::new())).into(),
        sets: [(TableSet::Links, [link("veth1")].into())].into(),
        counters: BTreeSet::new(),
    }
}

fn link(name: &str) -> Key {
    Key::Link(LinkName::new(name).unwrap())
}

/// The table of bridges, with every form of rule that only it has; these pods' addresses are sources.
fn bridge(pods: &[u16]) -> Table {
    let mut table = Table::default();
    table
        .sets
        .insert(TableSet::Links, [link("veth1"), link("veth2")].into());
    let mut rules = vec![rule([Match::EtherType(0x8100)], Verdict::CountedDrop)];
    for family in Family::ALL {
        let addresses = pods.iter().map(|pod| Key::Address(address(family, *pod)));
        table.sets.insert(TableSet::Sources(family), addresses.collect());
        let carried = Match::Carries(family);
        let owned = Match::InTableSet(TableSet::Sources(family));
        rules.push(rule([carried.clone(), owned], Verdict::Accept));
        rules.push(rule([carried], Verdict::CountedDrop));
    }
    for name in ["prerouting", "between"] {
        let rules = rules.clone();
        table.chains.insert(ChainName::fixed(name), Chain { rules });
    }
    table
}

/// Isolates a pod: only what meets the conditions reaches it.
fn isolate(table: &mut Table, pod: IpAddr, conditions: Vec<Match>) {
    let rules = vec![rule(conditions, Verdict::Accept)];
    let policy = ChainName::of_rules(&rules);
    table.chains.insert(policy.clone(), Chain { rules });
    let chain = ChainName::of_address(Direction::Ingress, pod);
    let counter = CounterName::read_back(&format!("ingress/{pod}"));
    table.counters.insert(counter.clone());
    let rules = vec![
        rule([], Verdict::Jump(policy)),
        rule([], Verdict::Count(counter)),
        rule([], Verdict::Drop),
    ];
    table.chains.insert(chain.clone(), Chain { rules });
    table.dispatch.entry(Direction::Ingress).or_default().insert(pod, chain);
}

/// Every kind of object, both families; `pods` are isolated.
fn ruleset(pods: &[u16]) -> Ruleset {
    let mut ruleset = Ruleset::default();
    for family in Family::ALL {
        ruleset.sets.extend(sets(family));
        let mut table = base(family);
        for pod in pods {
            let peers = SetName::of(family, &format!("peers of {pod}"));
            let member = Element::Address(address(family, 100 + pod));
            ruleset
                .sets
                .insert(peers.clone(), set(SetKind::Addresses, family, [member]));
            let admitted = Match::InSet(Side::Source, peers, SetKind::Addresses);
            isolate(&mut table, address(family, *pod), vec![Match::L4Proto(6), admitted]);
        }
        ruleset.tables.insert(TableFamily::of(family), table);
    }
    ruleset.tables.insert(TableFamily::Bridge, bridge(pods));
    ruleset
}

/// One pass: read, plan, apply.
fn apply(kernel: &mut Kernel, desired: &Ruleset) -> Result<BTreeSet<SetName>, KernelError> {
    let plan = plan(desired, &kernel.read()?, Sweep::All);
    kernel.apply(&plan)
}

/// Applies what is missing until nothing is: the kernel lets go of sets some time after the rules.
fn converge(kernel: &mut Kernel, desired: &Ruleset) {
    for _ in 0..200 {
        let plan = plan(desired, &kernel.read().unwrap(), Sweep::All);
        if plan.is_empty() {
            return;
        }
        if !kernel.apply(&plan).unwrap().is_empty() {
            thread::sleep(Duration::from_millis(10)); // as long as the kernel takes, see RELEASE_INTERVAL
        }
    }
    panic!(
        "the kernel does not come to rest: {}",
        plan(desired, &kernel.read().unwrap(), Sweep::All)
    );
}

#[test]
fn what_is_applied_is_read_back() {
    in_new_netns(|| {
        let mut kernel = Kernel::open().unwrap();
        assert_eq!(kernel.read().unwrap(), Actual::default(), "opening leaves no trace");
        let desired = ruleset(&[1, 2]);
        let left = kernel.apply(&plan(&desired, &Actual::default(), Sweep::All)).unwrap();
        assert_eq!(left, BTreeSet::new());
        let actual = kernel.read().unwrap();
        assert_eq!(actual, Actual::of(&desired));
        assert!(plan(&desired, &actual, Sweep::All).is_empty());
    });
}

#[test]
fn what_is_there_already_is_not_done_again() {
    in_new_netns(|| {
        let mut kernel = Kernel::open().unwrap();
        converge(&mut kernel, &ruleset(&[1]));
        let before = foreign::rules();
        let mut again = Kernel::open().unwrap();
        assert_eq!(
            plan(&ruleset(&[1]), &again.read().unwrap(), Sweep::All),
            Plan::default()
        );
        assert_eq!(foreign::rules(), before, "neither opening nor reading touches a rule");
    });
}

#[test]
fn a_member_comes_and_goes_and_no_rule_is_touched() {
    in_new_netns(|| {
        let mut kernel = Kernel::open().unwrap();
        let before = ruleset(&[1]);
        converge(&mut kernel, &before);
        let rules = foreign::rules();
        assert!(rules.len() > 20, "the look from outside sees the rules");
        let mut after = before.clone();
        let peers = SetName::of(Family::V6, "peers of 1");
        let member = Element::Address(address(Family::V6, 55));
        after.sets.get_mut(&peers).unwrap().members = BTreeSet::from([member]);
        for desired in [after, before] {
            apply(&mut kernel, &desired).unwrap();
            assert_eq!(kernel.read().unwrap(), Actual::of(&desired));
            assert_eq!(foreign::rules(), rules);
        }
    });
}

#[test]
fn a_block_becomes_an_exception_and_a_block_again() {
    in_new_netns(|| {
        let mut kernel = Kernel::open().unwrap();
        let name = SetName::of(Family::V4, "a block");
        for nomatch in [false, true, false] {
            let members = [block("10.0.0.0/8", false), block("10.1.0.0/16", nomatch)];
            let sets = BTreeMap::from([(name.clone(), set(SetKind::Blocks, Family::V4, members))]);
            let desired = Ruleset {
                sets,
                tables: BTreeMap::new(),
            };
            apply(&mut kernel, &desired).unwrap();
            assert_eq!(kernel.read().unwrap(), Actual::of(&desired), "nomatch: {nomatch}");
        }
    });
}

#[test]
fn what_is_not_desired_goes_and_what_is_not_ours_stays() {
    in_new_netns(|| {
        foreign::make_table("other");
        foreign::make_ipset("foreign");
        let mut kernel = Kernel::open().unwrap();
        converge(&mut kernel, &ruleset(&[1, 2, 3]));
        foreign::make_chain("bailey", "leftover");
        foreign::make_ipset("bly4-leftover");
        converge(&mut kernel, &ruleset(&[3]));
        assert_eq!(kernel.read().unwrap(), Actual::of(&ruleset(&[3])));
        assert!(!foreign::has_ipset("bly4-leftover"));
        assert!(foreign::has_table("other") && foreign::has_ipset("foreign"));
    });
}

#[test]
fn cleanup_removes_all_that_is_ours_and_nothing_else() {
    in_new_netns(|| {
        foreign::make_table("other");
        foreign::make_ipset("foreign");
        let mut kernel = Kernel::open().unwrap();
        kernel.cleanup().unwrap();
        converge(&mut kernel, &ruleset(&[1, 2]));
        assert!(foreign::has_table("bailey") && foreign::has_ipset("bly"));
        kernel.cleanup().unwrap();
        assert_eq!(kernel.read().unwrap(), Actual::default());
        assert!(!foreign::has_table("bailey") && foreign::has_table("other"));
        assert_eq!(foreign::ipsets(), [("foreign".to_owned(), BTreeSet::new())].into());
    });
}

#[test]
fn seventy_thousand_members() {
    in_new_netns(|| {
        let mut kernel = Kernel::open().unwrap();
        let mut desired = Ruleset::default();
        let hosts = (0..70_000_u32).map(|host| IpAddr::from((0x0a00_0000 + host).to_be_bytes()));
        for (family, hosts) in [
            (Family::V4, hosts.clone().collect::<Vec<_>>()),
            (
                Family::V6,
                (0..70_000_u32)
                    .map(|host| IpAddr::from((0xfd_u128 << 120 | u128::from(host)).to_be_bytes()))
                    .collect(),
            ),
        ] {
            let addresses = hosts.iter().map(|host| Element::Address(*host));
            desired
                .sets
                .insert(SetName::of(family, "everybody"), address_set(family, addresses));
            let ports = hosts.iter().map(|host| Element::Port(*host, Protocol::Tcp, 80));
            desired
                .sets
                .insert(SetName::of(family, "every port"), set(SetKind::Ports, family, ports));
        }
        kernel.apply(&plan(&desired, &Actual::default(), Sweep::All)).unwrap();
        assert!(kernel.read().unwrap() == Actual::of(&desired), "too much to print");
        for set in desired.sets.values_mut() {
            set.members = set.members.iter().step_by(2).copied().collect();
        }
        apply(&mut kernel, &desired).unwrap();
        assert!(kernel.read().unwrap() == Actual::of(&desired), "too much to print");
    });
}

/// Two worlds between which a plan has steps of every kind.
fn before_and_after() -> (Ruleset, Ruleset) {
    let (mut before, mut after) = (ruleset(&[1, 2]), ruleset(&[2, 3]));
    for (ruleset, member) in [(&mut before, 61), (&mut after, 62)] {
        for family in Family::ALL {
            let common = ruleset.sets.get_mut(&SetName::of(family, "frontends")).unwrap();
            common.members.insert(Element::Address(address(family, member)));
        }
    }
    (before, after)
}

/// The rules are those of before or after, and the sets hold all that these rules need: what is added comes before the
/// rules change, what is taken away goes after them.
fn check_between(actual: &Actual, before: &Ruleset, after: &Ruleset) {
    let (old, new) = (Actual::of(before), Actual::of(after));
    let in_force = if actual.tables == old.tables { &old } else { &new };
    assert_eq!(actual.tables, in_force.tables, "rules of neither");
    for (name, set) in &in_force.sets {
        let members = actual.sets.get(name).map(|actual| &actual.members);
        assert!(
            members.is_some_and(|members| members.is_superset(&set.members)),
            "{name} lacks members"
        );
    }
    for (name, set) in &actual.sets {
        let of = |world: &Actual, member| world.sets.get(name).is_some_and(|set| set.members.contains(member));
        assert!(
            set.members.iter().all(|member| of(&old, member) || of(&new, member)),
            "{name} has members of neither"
        );
    }
}

/// K7, S123: A kernel that says no at any step keeps a state between the two, and recovers.
#[test]
fn a_kernel_that_says_no_at_any_step_keeps_a_state_between_and_recovers() {
    in_new_netns(|| {
        let (before, after) = before_and_after();
        let mut kernel = Kernel::open().unwrap();
        let mut failures = 0;
        loop {
            converge(&mut kernel, &before);
            let there = plan(&after, &kernel.read().unwrap(), Sweep::All);
            kernel.inject(Fault {
                after: failures,
                errno: Errno(libc::ENOMEM),
            });
            let Err(error) = kernel.apply(&there) else { break };
            let KernelError::Refused { source, .. } = &error else {
                panic!("{error}")
            };
            assert_eq!(source.errno(), Some(Errno(libc::ENOMEM)));
            check_between(&kernel.read().unwrap(), &before, &after);
            converge(&mut kernel, &after);
            failures += 1;
        }
        let steps = before_and_after_plan().counts();
        let requests = steps.sets_created * 2 + steps.members_removed + steps.sets_destroyed;
        assert!(failures as usize > requests, "{failures} requests were made to fail");
    });
}

fn before_and_after_plan() -> Plan {
    let (before, after) = before_and_after();
    plan(&after, &Actual::of(&before), Sweep::All)
}

#[test]
fn a_set_of_another_kind_under_our_name_is_replaced_unless_it_is_in_use() {
    in_new_netns(|| {
        let mut kernel = Kernel::open().unwrap();
        let name = SetName::of(Family::V4, "frontends");
        let mut in_the_way = Ruleset::default();
        in_the_way.sets.insert(
            name.clone(),
            set(SetKind::Blocks, Family::V4, [block("10.0.0.0/8", false)]),
        );
        converge(&mut kernel, &in_the_way);
        converge(&mut kernel, &ruleset(&[]));

        let rules = foreign::rules();
        let mut desired = ruleset(&[]);
        desired.sets.insert(name, in_the_way.sets.pop_first().unwrap().1);
        let error = apply(&mut kernel, &desired).unwrap_err();
        let KernelError::Refused { source, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!(source.errno(), Some(Errno::SET_BUSY));
        assert_eq!(foreign::rules(), rules);
    });
}

#[test]
fn a_chain_of_our_name_that_hooks_nothing_is_said_and_not_trusted() {
    in_new_netns(|| {
        foreign::make_table("bailey");
        foreign::make_chain("bailey", "ingress");
        let error = Kernel::open().unwrap().read().unwrap_err();
        assert!(
            matches!(&error, KernelError::Foreign { object } if object == "chain ip bailey ingress"),
            "{error}"
        );
    });
}

#[test]
fn without_the_capability_it_is_said_what_is_missing() {
    in_new_netns(|| {
        netns::become_nobody();
        let missing = Kernel::open().unwrap_err();
        assert!(matches!(missing, Missing::Capability), "{missing}");
    });
}

#[test]
fn the_table_of_bridges_goes_when_it_is_not_desired() {
    in_new_netns(|| {
        let mut kernel = Kernel::open().unwrap();
        assert_eq!(kernel.bridges(), Bridges::Checked);
        converge(&mut kernel, &ruleset(&[1]));
        assert!(kernel.dropped().unwrap().values().all(|count| *count == 0));
        let mut without = ruleset(&[1]);
        without.tables.remove(&TableFamily::Bridge);
        converge(&mut kernel, &without);
        assert_eq!(kernel.read().unwrap(), Actual::of(&without));
    });
}
