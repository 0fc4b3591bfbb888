//! What netfilter would do with a packet, given a ruleset.
//!
//! Pure. Knows netfilter and nothing of policies: it imports nothing from `compile`. Where it and real packets differ,
//! packets are right.

use crate::ruleset::{
    Base, ChainName, Element, Family, Hook, Key, LinkName, Match, Rule, Ruleset, SetKind, SetName, Side, Table,
    TableFamily, TableSet, Verdict,
};
use ipnet::IpNet;
use proto::model::Protocol;
use std::net::IpAddr;

/// IANA's numbers of ICMP in IPv4 and IPv6.
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// The first packet of a connection, as the forward hook sees it: after DNAT, before source NAT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet {
    /// Source address.
    pub source: IpAddr,
    /// Destination address, of the same family.
    pub destination: IpAddr,
    /// What it carries.
    pub payload: Payload,
    /// Whether conntrack knows it as part of, or related to, an established connection.
    pub established: bool,
}

#[cfg(test)]
impl Packet {
    /// The first packet of a TCP connection to port 80.
    pub(crate) fn tcp(source: IpAddr, destination: IpAddr) -> Self {
        Self {
            source,
            destination,
            payload: Payload::Ports {
                protocol: 6,
                source: 40_000,
                destination: 80,
            },
            established: false,
        }
    }
}

/// What a packet carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Payload {
    /// TCP, UDP or SCTP by IANA number, with ports.
    Ports {
        /// 6, 17 or 132.
        protocol: u8,
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
    },
    /// ICMP or ICMPv6, with its type.
    Icmp(u8),
    /// Another protocol, by IANA number.
    Other(u8),
}

/// How a packet comes into the node from one of its links.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The interface: of a bridge, the port.
    pub link: LinkName,
    /// What kind of link it is.
    pub kind: LinkKind,
}

/// What kind of link a packet comes in from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkKind {
    /// One of its own, where the node routes.
    Routed {
        /// Whether the route to the packet's source leads out of this link.
        route_back: bool,
    },
    /// A port of a bridge.
    Port {
        /// The frame's type: of what it carries or, if it has one, of its VLAN tag.
        ether_type: u16,
        /// Where it goes to.
        to: BridgeEnd,
    },
}

/// Where a frame goes to that comes into a bridge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BridgeEnd {
    /// The node itself, which may route it.
    Node,
    /// Another port.
    Port,
}

/// Whether the packet passes both base chains of the forward hook.
///
/// # Panics
/// If a rule refers to a chain or set that is not there: the kernel takes no such ruleset.
pub fn passes(ruleset: &Ruleset, packet: &Packet) -> bool {
    let family = TableFamily::of(Family::of(packet.destination));
    walk(ruleset, (family, packet, None), &[Hook::Forward])
}

/// Whether a packet for the node itself passes the base chains of the input hook.
///
/// # Panics
/// If a rule refers to a chain or set that is not there: the kernel takes no such ruleset.
pub fn reaches_node(ruleset: &Ruleset, packet: &Packet) -> bool {
    let family = TableFamily::of(Family::of(packet.destination));
    walk(ruleset, (family, packet, None), &[Hook::Input])
}

/// Whether the packet passes the base chains between a link and the forward hook of its own family (or the node itself).
///
/// # Panics
/// If a rule refers to a chain or set that is not there: the kernel takes no such ruleset.
pub fn comes_in(ruleset: &Ruleset, packet: &Packet, entry: &Entry) -> bool {
    let (family, hooks): (_, &[Hook]) = match entry.kind {
        LinkKind::Routed { .. } => (TableFamily::of(Family::of(packet.source)), &[Hook::Prerouting]),
        LinkKind::Port {
            to: BridgeEnd::Node, ..
        } => (TableFamily::Bridge, &[Hook::Prerouting]),
        LinkKind::Port {
            to: BridgeEnd::Port, ..
        } => (TableFamily::Bridge, &[Hook::Prerouting, Hook::Forward]),
    };
    walk(ruleset, (family, packet, Some(entry)), hooks)
}

/// Whether a packet passes a table's base chains of these hooks, which are in the order that the kernel calls them.
fn walk(ruleset: &Ruleset, (family, packet, entry): (TableFamily, &Packet, Option<&Entry>), hooks: &[Hook]) -> bool {
    let Some(table) = ruleset.tables.get(&family) else {
        return true;
    };
    let walk = Walk {
        ruleset,
        table,
        packet,
        entry,
    };
    let mut bases = Base::ALL;
    bases.sort_by_key(|base| (base.hook(), base.priority(), base.name()));
    let bases = bases.into_iter().filter(|base| hooks.contains(&base.hook()));
    let mut hooked = bases
        .map(|base| ChainName::fixed(base.name()))
        .filter(|chain| table.chains.contains_key(chain));
    hooked.all(|chain| match walk.chain(&chain) {
        End::Accept | End::Return => true,
        End::Drop => false,
    })
}

/// How a chain ends for a packet.
enum End {
    /// The base chain ends, the next one goes on.
    Accept,
    /// The packet is gone.
    Drop,
    /// The calling chain goes on; of a base chain, which has none, the policy decides: accept.
    Return,
}

/// A packet on its way through a table.
struct Walk<'a> {
    ruleset: &'a Ruleset,
    table: &'a Table,
    packet: &'a Packet,
    /// How it came in; `None`: that is of no account where it is.
    entry: Option<&'a Entry>,
}

impl Walk<'_> {
    fn chain(&self, name: &ChainName) -> End {
        let chain = self
            .table
            .chains
            .get(name)
            .expect("a rule refers to a chain of its table");
        for rule in chain.rules.iter().filter(|rule| self.rule_matches(rule)) {
            match &rule.verdict {
                Verdict::Accept => return End::Accept,
                Verdict::Drop | Verdict::CountedDrop => return End::Drop,
                Verdict::Count(_) => {}
                Verdict::Jump(chain) => match self.chain(chain) {
                    End::Return => {}
                    end @ (End::Accept | End::Drop) => return end,
                },
                Verdict::Dispatch(direction) => {
                    let address = self.address(direction.local_side());
                    if let Some(chain) = self.table.dispatch.get(direction).and_then(|map| map.get(&address)) {
                        // A goto: its end is this chain's.
                        return self.chain(chain);
                    }
                }
            }
        }
        End::Return
    }

    fn rule_matches(&self, rule: &Rule) -> bool {
        rule.matches.iter().all(|condition| self.matches(condition))
    }

    fn matches(&self, condition: &Match) -> bool {
        match condition {
            Match::Established => self.packet.established,
            Match::L4Proto(number) => self.protocol() == *number,
            Match::Icmpv6Type(types) => {
                self.protocol() == ICMPV6 && matches!(self.packet.payload, Payload::Icmp(kind) if types.contains(&kind))
            }
            Match::SourcePort(port) => self.ports().is_some_and(|(source, _)| source == *port),
            Match::DestinationPort(first, last) => self
                .ports()
                .is_some_and(|(_, destination)| (*first..=*last).contains(&destination)),
            Match::Address(side, address) => self.address(*side) == *address,
            Match::InSet(side, name, kind) => self.in_set(*side, name, *kind),
            Match::Block(side, net) => net.contains(&self.address(*side)),
            Match::InTableSet(set) => self.in_table_set(*set),
            Match::RouteBack => matches!(
                self.entry,
                Some(Entry {
                    kind: LinkKind::Routed { route_back: true },
                    ..
                })
            ),
            Match::Carries(family) => Family::of(self.packet.source) == *family,
            Match::EtherType(number) => self.entry.is_some_and(|entry| match entry.kind {
                LinkKind::Port { ether_type, .. } => ether_type == *number,
                LinkKind::Routed { .. } => false,
            }),
        }
    }

    fn address(&self, side: Side) -> IpAddr {
        match side {
            Side::Source => self.packet.source,
            Side::Destination => self.packet.destination,
        }
    }

    fn protocol(&self) -> u8 {
        match (self.packet.payload, Family::of(self.packet.destination)) {
            (Payload::Ports { protocol, .. } | Payload::Other(protocol), _) => protocol,
            (Payload::Icmp(_), Family::V4) => ICMP,
            (Payload::Icmp(_), Family::V6) => ICMPV6,
        }
    }

    fn ports(&self) -> Option<(u16, u16)> {
        match self.packet.payload {
            Payload::Ports {
                source, destination, ..
            } => Some((source, destination)),
            Payload::Icmp(_) | Payload::Other(_) => None,
        }
    }

    fn in_table_set(&self, set: TableSet) -> bool {
        let keys = self.table.sets.get(&set).expect("a rule refers to a set of its table");
        match set {
            TableSet::Links => self
                .entry
                .is_some_and(|entry| keys.contains(&Key::Link(entry.link.clone()))),
            TableSet::Sources(_) => keys.contains(&Key::Address(self.packet.source)),
        }
    }

    fn in_set(&self, side: Side, name: &SetName, kind: SetKind) -> bool {
        let set = self
            .ruleset
            .sets
            .get(name)
            .expect("a rule refers to a set of the ruleset");
        let address = self.address(side);
        // The set match of a family compares with sets of that family only.
        if (set.family, set.kind) != (Family::of(address), kind) {
            return false;
        }
        match kind {
            SetKind::Addresses => set.members.contains(&Element::Address(address)),
            SetKind::Blocks => {
                let narrowest_first = (1..=IpNet::from(address).max_prefix_len()).rev();
                narrowest_first
                    .filter_map(|length| IpNet::new(address, length).ok())
                    .find_map(|net| {
                        let net = net.trunc();
                        [true, false]
                            .into_iter()
                            .find(|&nomatch| set.members.contains(&Element::Block { net, nomatch }))
                            .map(|nomatch| !nomatch)
                    })
                    .unwrap_or(false)
            }
            SetKind::Ports => [Protocol::Tcp, Protocol::Udp, Protocol::Sctp]
                .into_iter()
                .any(|protocol| {
                    protocol.number() == self.protocol()
                        && self.ports().is_some_and(|(source, destination)| {
                            let port = match side {
                                Side::Source => source,
                                Side::Destination => destination,
                            };
                            set.members.contains(&Element::Port(address, protocol, port))
                        })
                }),
        }
    }
}

#[cfg(test)]
mod tests;
