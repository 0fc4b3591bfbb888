//! The rules that packets from pods' links meet first: a source that is not their sender's is not to be judged by (K2).
//!
//! Pure. What is checked, and against what:
//!
//! - Routed links, each by itself: the route to the source must lead back out of the link that the packet came from, so
//!   that a pod cannot even use its neighbour's address. The node's routes are the binding: they are there before a pod's
//!   first packet, follow every change without a rule of ours, and say so too where an operator routes more than a pod's
//!   own addresses to it.
//! - Ports of bridges, all alike: the source must be an address that some live local pod owns. Which of them is behind
//!   which port is not known here.
//!
//! An address of a pod of which the API server says nothing yet is nobody's, and is dropped on a bridge like any other: a
//! starting pod could else be anybody. So as not to break those, the machine holds a new port back while a pod starts.
//!
//! Without a source of its own a host may still ask for one, and find its neighbours (S74): DHCP, duplicate address
//! detection, solicitations, MLD and IGMP pass. A link-local source passes to the node, which forwards none; between
//! ports of a bridge, link-local addresses are a way around policies, which know a pod by the addresses in its status: there
//! only neighbour discovery, MLD and DHCPv6 pass. Frames with a VLAN tag pass bridge netfilter unseen, and the tag
//! of VLAN 0 is stripped by every receiver: from pods' ports none pass.
//!
//! ARP and neighbour discovery themselves are not checked.

use super::chains::{dhcp, neighbours};
use super::subjects::Subjects;
use crate::links::{Links, PodLinks};
use crate::ruleset::{
    Base, Chain, ChainName, Family, Key, LinkName, Match, Rule, Side, Table, TableFamily, TableSet, Verdict, WhyDropped,
};
use ipnet::{IpNet, Ipv6Net};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IANA's number of IGMP.
const IGMP: u8 = 2;

/// The types of frames with VLAN tags: IEEE 802.1Q and 802.1ad.
const VLAN_TAGS: [u16; 2] = [0x8100, 0x88a8];

/// `fe80::/10`.
const LINK_LOCAL: IpNet = IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10));

/// Adds what checks the sources of the subjects' packets, where they hang on links that are known.
pub(super) fn check(tables: &mut BTreeMap<TableFamily, Table>, links: &Links, subjects: &Subjects<'_>) {
    let owned: BTreeSet<IpAddr> = Family::ALL
        .into_iter()
        .flat_map(|family| subjects.addresses(family).map(|(address, _)| address))
        .collect();
    let PodLinks { routed, ports } = links.of_pods(&owned);
    if !routed.is_empty() {
        for family in Family::ALL {
            check_routed(tables.entry(TableFamily::of(family)).or_default(), family, &routed);
        }
    }
    if !ports.is_empty() {
        tables.insert(TableFamily::Bridge, bridge(&ports, &owned));
    }
}

fn check_routed(table: &mut Table, family: Family, links: &BTreeSet<LinkName>) {
    table.sets.insert(TableSet::Links, keys(links));
    let mut rules = vec![accept([Match::RouteBack])];
    rules.extend(without_source(family).into_iter().map(accept));
    if family == Family::V6 {
        rules.push(accept([Match::Block(Side::Source, LINK_LOCAL)]));
    }
    rules.push(dropped([]));
    insert(table, WhyDropped::ForgedSource.chain(), rules);
    let jump = from_links(WhyDropped::ForgedSource);
    insert(table, ChainName::fixed(Base::Prerouting.name()), vec![jump]);
}

fn bridge(ports: &BTreeSet<LinkName>, owned: &BTreeSet<IpAddr>) -> Table {
    let mut table = Table::default();
    table.sets.insert(TableSet::Links, keys(ports));
    let mut rules = Vec::new();
    for family in Family::ALL {
        let sources = owned.iter().filter(|address| Family::of(**address) == family);
        let set = TableSet::Sources(family);
        table
            .sets
            .insert(set, sources.map(|address| Key::Address(*address)).collect());
        let mut accepted = vec![vec![Match::InTableSet(set)]];
        accepted.extend(without_source(family));
        if family == Family::V6 {
            accepted.push(vec![Match::Block(Side::Source, LINK_LOCAL)]);
        }
        let carries = |matches: Vec<Match>| [vec![Match::Carries(family)], matches].concat();
        rules.extend(accepted.into_iter().map(|matches| accept(carries(matches))));
        rules.push(dropped([Match::Carries(family)]));
    }
    insert(&mut table, WhyDropped::ForgedSource.chain(), rules);
    let tags = VLAN_TAGS.map(|tag| dropped([Match::EtherType(tag)]));
    insert(&mut table, WhyDropped::VlanTag.chain(), tags.into());
    insert(&mut table, WhyDropped::LinkLocal.chain(), between());
    let first = [WhyDropped::VlanTag, WhyDropped::ForgedSource].map(from_links);
    insert(&mut table, ChainName::fixed(Base::Prerouting.name()), first.into());
    let then = vec![from_links(WhyDropped::LinkLocal)];
    insert(&mut table, ChainName::fixed(Base::Between.name()), then);
    table
}

/// What passes between ports by link-local addresses, and what does not.
fn between() -> Vec<Rule> {
    let v6 = |matches: &[Match]| [&[Match::Carries(Family::V6)], matches].concat();
    let mut rules = vec![accept(v6(&[neighbours()]))];
    rules.extend(dhcp(Family::V6).map(|matches| accept(v6(&matches))));
    rules.extend([Side::Source, Side::Destination].map(|side| dropped(v6(&[Match::Block(side, LINK_LOCAL)]))));
    rules
}

/// What a host sends that has no address yet.
fn without_source(family: Family) -> Vec<Vec<Match>> {
    match family {
        Family::V4 => {
            let nobody = Match::Address(Side::Source, Ipv4Addr::UNSPECIFIED.into());
            let from_nobody = |matches: &[Match]| [std::slice::from_ref(&nobody), matches].concat();
            let [to_server, _] = dhcp(family);
            vec![from_nobody(&to_server), from_nobody(&[Match::L4Proto(IGMP)])]
        }
        Family::V6 => vec![vec![
            Match::Address(Side::Source, Ipv6Addr::UNSPECIFIED.into()),
            neighbours(),
        ]],
    }
}

fn from_links(why: WhyDropped) -> Rule {
    Rule {
        matches: vec![Match::InTableSet(TableSet::Links)],
        verdict: Verdict::Jump(why.chain()),
    }
}

fn accept(matches: impl IntoIterator<Item = Match>) -> Rule {
    Rule {
        matches: matches.into_iter().collect(),
        verdict: Verdict::Accept,
    }
}

fn dropped(matches: impl IntoIterator<Item = Match>) -> Rule {
    Rule {
        matches: matches.into_iter().collect(),
        verdict: Verdict::CountedDrop,
    }
}

fn keys(links: &BTreeSet<LinkName>) -> BTreeSet<Key> {
    links.iter().cloned().map(Key::Link).collect()
}

fn insert(table: &mut Table, name: ChainName, rules: Vec<Rule>) {
    table.chains.insert(name, Chain { rules });
}
