//! What netfilter does, by example: one small table per feature of the language.

use super::*;
use crate::ruleset::{Chain, Direction, Set};
use std::collections::{BTreeMap, BTreeSet};

const SOURCE: &str = "10.0.0.1";
const DESTINATION: &str = "10.0.0.2";

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn tcp(port: u16) -> Packet {
    Packet {
        source: address(SOURCE),
        destination: address(DESTINATION),
        payload: Payload::Ports {
            protocol: 6,
            source: 40_000,
            destination: port,
        },
        established: false,
    }
}

fn rule(matches: &[Match], verdict: Verdict) -> Rule {
    Rule {
        matches: matches.to_vec(),
        verdict,
    }
}

fn jump(chain: &'static str) -> Verdict {
    Verdict::Jump(ChainName::fixed(chain))
}

/// A ruleset of one table for IPv4.
fn ruleset(chains: &[(&'static str, &[Rule])]) -> Ruleset {
    let chains = chains
        .iter()
        .map(|(name, rules)| (ChainName::fixed(name), Chain { rules: rules.to_vec() }))
        .collect();
    Ruleset {
        tables: BTreeMap::from([(
            TableFamily::Ip,
            Table {
                chains,
                ..Table::default()
            },
        )]),
        ..Ruleset::default()
    }
}

/// Whether a packet meets one condition.
fn meets(condition: Match, packet: &Packet) -> bool {
    let ruleset = Ruleset {
        tables: Family::ALL
            .into_iter()
            .flat_map(|family| {
                let chains = ruleset(&[("ingress", &[rule(std::slice::from_ref(&condition), Verdict::Drop)])]).tables;
                chains.into_values().map(move |table| (TableFamily::of(family), table))
            })
            .collect(),
        ..Ruleset::default()
    };
    !passes(&ruleset, packet)
}

#[test]
fn without_tables_everything_passes() {
    assert!(passes(&Ruleset::default(), &tcp(80)));
}

#[test]
fn the_policy_of_base_chains_is_accept() {
    assert!(passes(&ruleset(&[("egress", &[]), ("ingress", &[])]), &tcp(80)));
}

/// S68: a packet is forwarded or for the node, and meets the base chains of the one hook only.
#[test]
fn a_packet_for_the_node_meets_the_input_hook_alone() {
    let drop = [rule(&[], Verdict::Drop)];
    let verdicts = ["egress", "ingress", "input"].map(|chain| {
        let ruleset = ruleset(&[(chain, &drop)]);
        (passes(&ruleset, &tcp(80)), reaches_node(&ruleset, &tcp(80)))
    });
    assert_eq!(verdicts, [(false, true), (false, true), (true, false)]);
}

#[test]
fn a_chain_without_a_hook_is_not_met() {
    assert!(passes(&ruleset(&[("common", &[rule(&[], Verdict::Drop)])]), &tcp(80)));
}

#[test]
fn accept_ends_one_base_chain_and_drop_all() {
    let accept = [rule(&[], Verdict::Accept), rule(&[], Verdict::Drop)];
    let drop = [rule(&[], Verdict::Drop)];
    let verdicts = [
        [&accept, &accept],
        [&accept, &[rule(&[], Verdict::Drop), rule(&[], Verdict::Accept)]],
    ]
    .map(|[egress, ingress]| passes(&ruleset(&[("egress", egress), ("ingress", ingress)]), &tcp(80)));
    assert_eq!(verdicts, [true, false]);
    assert!(!passes(&ruleset(&[("egress", &drop), ("ingress", &accept)]), &tcp(80)));
}

#[test]
fn a_jump_comes_back_at_the_end_of_the_chain() {
    let after_jump = |target: &[Rule]| {
        let base = [rule(&[], jump("target")), rule(&[], Verdict::Drop)];
        passes(&ruleset(&[("ingress", &base), ("target", target)]), &tcp(80))
    };
    assert!(!after_jump(&[]));
    assert!(!after_jump(&[rule(&[Match::DestinationPort(81, 81)], Verdict::Accept)]));
    assert!(after_jump(&[rule(&[Match::DestinationPort(80, 80)], Verdict::Accept)]));
}

#[test]
fn a_dispatch_does_not_come_back() {
    let dispatched = |listed: &str, target: &[Rule]| {
        let base = [
            rule(&[], Verdict::Dispatch(Direction::Ingress)),
            rule(&[], Verdict::Drop),
        ];
        let mut ruleset = ruleset(&[("ingress", &base), ("pod", target)]);
        let map = BTreeMap::from([(address(listed), ChainName::fixed("pod"))]);
        let table = ruleset.tables.get_mut(&TableFamily::Ip).unwrap();
        table.dispatch.insert(Direction::Ingress, map);
        passes(&ruleset, &tcp(80))
    };
    assert!(!dispatched(SOURCE, &[]), "no entry: the next rule");
    assert!(
        dispatched(DESTINATION, &[]),
        "an entry: the end of its chain is the base chain's"
    );
    assert!(!dispatched(DESTINATION, &[rule(&[], Verdict::Drop)]));
}

#[test]
fn a_dispatch_from_a_chain_ends_that_chain_alone() {
    let base = [rule(&[], jump("middle")), rule(&[], Verdict::Drop)];
    let middle = [
        rule(&[], Verdict::Dispatch(Direction::Egress)),
        rule(&[], Verdict::Accept),
    ];
    let mut ruleset = ruleset(&[("egress", &base), ("middle", &middle), ("pod", &[])]);
    let map = BTreeMap::from([(address(SOURCE), ChainName::fixed("pod"))]);
    ruleset
        .tables
        .get_mut(&TableFamily::Ip)
        .unwrap()
        .dispatch
        .insert(Direction::Egress, map);
    assert!(!passes(&ruleset, &tcp(80)));
}

#[test]
fn all_conditions_must_hold() {
    let both = |ports: [u16; 2]| {
        let matches = ports.map(|port| Match::DestinationPort(port, port));
        !passes(&ruleset(&[("ingress", &[rule(&matches, Verdict::Drop)])]), &tcp(80))
    };
    assert_eq!([both([80, 80]), both([80, 81]), both([81, 80])], [true, false, false]);
}

#[test]
fn conditions_on_tcp() {
    let packet = tcp(80);
    let conditions = [
        (Match::Established, false),
        (Match::L4Proto(6), true),
        (Match::L4Proto(17), false),
        (Match::SourcePort(40_000), true),
        (Match::SourcePort(80), false),
        (Match::DestinationPort(80, 80), true),
        (Match::DestinationPort(79, 81), true),
        (Match::DestinationPort(80, 90), true),
        (Match::DestinationPort(70, 80), true),
        (Match::DestinationPort(81, 65_535), false),
        (Match::DestinationPort(0, 79), false),
        (Match::Address(Side::Source, address(SOURCE)), true),
        (Match::Address(Side::Source, address(DESTINATION)), false),
        (Match::Address(Side::Destination, address(DESTINATION)), true),
        (Match::Icmpv6Type(BTreeSet::from([135])), false),
    ];
    for (condition, expected) in conditions {
        assert_eq!(meets(condition.clone(), &packet), expected, "{condition}");
    }
    let reply = Packet {
        established: true,
        ..packet
    };
    assert!(meets(Match::Established, &reply));
}

#[test]
fn conditions_on_icmp_and_others() {
    let v4 = |payload| Packet { payload, ..tcp(0) };
    let v6 = |payload| Packet {
        source: address("fd00::1"),
        destination: address("fd00::2"),
        ..v4(payload)
    };
    let solicitation = Match::Icmpv6Type(BTreeSet::from([135, 136]));
    let cases = [
        (solicitation.clone(), v6(Payload::Icmp(135)), true),
        (solicitation.clone(), v6(Payload::Icmp(128)), false),
        (solicitation.clone(), v4(Payload::Icmp(135)), false),
        (solicitation, v6(Payload::Other(58)), false),
        (Match::L4Proto(58), v6(Payload::Icmp(128)), true),
        (Match::L4Proto(58), v4(Payload::Icmp(8)), false),
        (Match::L4Proto(1), v4(Payload::Icmp(8)), true),
        (Match::L4Proto(50), v4(Payload::Other(50)), true),
        (Match::DestinationPort(0, 65_535), v4(Payload::Icmp(8)), false),
        (Match::DestinationPort(0, 65_535), v4(Payload::Other(50)), false),
        (Match::SourcePort(0), v4(Payload::Other(50)), false),
    ];
    for (condition, packet, expected) in cases {
        assert_eq!(meets(condition.clone(), &packet), expected, "{condition} {packet:?}");
    }
}

/// Whether the destination of a packet is in a set with these members.
fn in_set(kind: SetKind, members: &[Element], packet: &Packet) -> bool {
    let name = SetName::of(Family::V4, "members");
    let matches = [Match::InSet(Side::Destination, name.clone(), kind)];
    let mut ruleset = ruleset(&[("ingress", &[rule(&matches, Verdict::Drop)])]);
    ruleset.sets.insert(
        name,
        Set {
            kind,
            family: Family::V4,
            members: members.iter().copied().collect(),
        },
    );
    !passes(&ruleset, packet)
}

#[test]
fn sets_of_addresses() {
    let destination = Element::Address(address(DESTINATION));
    let source = Element::Address(address(SOURCE));
    let verdicts = [&[][..], &[source], &[source, destination]];
    assert_eq!(
        verdicts.map(|members| in_set(SetKind::Addresses, members, &tcp(80))),
        [false, false, true]
    );
}

/// S34: The most specific block decides.
#[test]
fn the_most_specific_block_decides() {
    let block = |net: &str| Element::Block {
        net: net.parse().unwrap(),
        nomatch: false,
    };
    let except = |net: &str| Element::Block {
        net: net.parse().unwrap(),
        nomatch: true,
    };
    let cases = [
        (vec![block("10.0.0.0/8")], true),
        (vec![block("10.0.0.2/32")], true),
        (vec![block("11.0.0.0/8")], false),
        (vec![except("10.0.0.0/8")], false),
        (vec![block("0.0.0.0/1"), block("128.0.0.0/1")], true),
        (vec![block("10.0.0.0/8"), except("10.0.0.0/24")], false),
        (vec![block("10.0.0.0/8"), except("10.0.1.0/24")], true),
        (
            vec![block("10.0.0.0/8"), except("10.0.0.0/16"), block("10.0.0.0/30")],
            true,
        ),
        (vec![except("10.0.0.0/8"), block("10.0.0.2/32")], true),
    ];
    for (members, expected) in cases {
        assert_eq!(in_set(SetKind::Blocks, &members, &tcp(80)), expected, "{members:?}");
    }
}

#[test]
fn sets_of_ports_compare_address_protocol_and_port() {
    let member = |to, protocol, port| Element::Port(address(to), protocol, port);
    let cases = [
        (member(DESTINATION, Protocol::Tcp, 80), true),
        (member(DESTINATION, Protocol::Tcp, 40_000), false),
        (member(DESTINATION, Protocol::Udp, 80), false),
        (member(SOURCE, Protocol::Tcp, 80), false),
    ];
    for (member, expected) in cases {
        assert_eq!(in_set(SetKind::Ports, &[member], &tcp(80)), expected, "{member}");
    }
    let icmp = Packet {
        payload: Payload::Icmp(8),
        ..tcp(0)
    };
    assert!(!in_set(
        SetKind::Ports,
        &[member(DESTINATION, Protocol::Tcp, 80)],
        &icmp
    ));
}
