//! The kernel module against a real kernel, in network namespaces that each test makes for itself. Needs root.

mod netns;

use enforcer::kernel::Kernel;
use enforcer::plan::{Actual, Sweep, plan};
use enforcer::ruleset::{
    Chain, ChainName, Direction, Element, Family, Match, Rule, Ruleset, Set, SetKind, SetName, Side, Table, Verdict,
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
    let mut chains = BTreeMap::from([(ChainName::fixed("common"), Chain { rules: common })]);
    for (direction, name) in [(Direction::Egress, "egress"), (Direction::Ingress, "ingress")] {
        let jump = rule([], Verdict::Jump(ChainName::fixed("common")));
        let rules = vec![jump, rule([], Verdict::Dispatch(direction))];
        chains.insert(ChainName::fixed(name), Chain { rules });
    }
    Table {
        chains,
        dispatch: Direction::ALL.map(|direction| (direction, BTreeMap::new())).into(),
    }
}

/// Isolates a pod: only what the set holds reaches it.
fn isolate(table: &mut Table, pod: IpAddr, peers: &SetName) {
    let matches = [
        Match::L4Proto(6),
        Match::InSet(Side::Source, peers.clone(), SetKind::Addresses),
    ];
    let rules = vec![rule(matches, Verdict::Accept)];
    let policy = ChainName::of_rules(&rules);
    table.chains.insert(policy.clone(), Chain { rules });
    let chain = ChainName::of_address(Direction::Ingress, pod);
    let rules = vec![rule([], Verdict::Jump(policy)), rule([], Verdict::Drop)];
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
            isolate(&mut table, address(family, *pod), &peers);
        }
        ruleset.tables.insert(family, table);
    }
    ruleset
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
