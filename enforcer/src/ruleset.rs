//! The language of compiler, interpreter and kernel: sets, chains, rules and verdicts, as values.
//!
//! Pure. One [`Table`] per family (`table ip bailey`, `table ip6 bailey`: nft_compat's `set` match knows no `inet`; and
//! `table bridge bailey` where pods hang on a bridge), ipsets beside them. What a rule means is what netfilter would do with it; nothing here knows policies.
//! [`Ruleset`]'s `Display` is the golden text of the tests and close to what `nft list ruleset` prints.
//!
//! Names say what a thing means, so that equal meaning is one kernel object and a name found in the kernel can be
//! trusted: a [`SetName`] hashes what its members are (not which), a policy [`ChainName`] its rules. Base chains,
//! dispatch maps and address chains have fixed names and live in place for as long as what they are for.

use ipnet::IpNet;
use proto::model::Protocol;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

mod counter;
mod table;

pub use counter::{Counted, CounterName};
pub use table::{Base, Hook, Key, LinkName, SOURCE_PRIORITY, TableFamily, TableSet, WhyDropped};

/// The name of every nf_tables table that is ours (families ip, ip6 and bridge); no other is touched.
pub const TABLE: &str = "bailey";

/// How the name of every ipset that is ours begins; no other is touched.
pub const SET_PREFIX: &str = "bly";

/// Priority of the base chain that judges egress of local sources: after service DNAT, before masquerade.
pub const EGRESS_PRIORITY: i32 = -5;

/// Priority of the base chain that judges ingress of local destinations.
pub const INGRESS_PRIORITY: i32 = -4;

/// Part of every rule's tag. Raise it when a rule of the same text is to be put differently to the kernel: an upgraded
/// enforcer then replaces the rules that the one before it left.
const ENCODING: u32 = 1;

/// An address family.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both, in order.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// The family of an address.
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

impl fmt::Display for Family {
    /// As nf_tables calls it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "ip",
            Self::V6 => "ip6",
        })
    }
}

/// An ipset's name, at most 31 bytes: `bly4-` or `bly6-` and 26 characters of a hash.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SetName(String);

impl SetName {
    /// The name of the set whose members are described by `meaning`. Equal meanings share a set.
    pub fn of(family: Family, meaning: &str) -> Self {
        let digit = match family {
            Family::V4 => '4',
            Family::V6 => '6',
        };
        Self(format!("{SET_PREFIX}{digit}-{}", digest(meaning, 26)))
    }

    /// A name read back from the kernel; `None` if the set is not ours.
    pub fn ours(name: &str) -> Option<Self> {
        name.starts_with(SET_PREFIX).then(|| Self(name.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A chain's name within a table.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ChainName(String);

impl ChainName {
    /// A chain with a fixed name: `common`, `egress`, `ingress`.
    pub fn fixed(name: &'static str) -> Self {
        Self(name.to_owned())
    }

    /// The permanent chain of one local address and direction: `ingress-10.1.1.1`, `egress-fd00..1` (nft's syntax has
    /// no colon in names). It outlives every change of the pod's policies, and, as long as the address stays isolated,
    /// the pod.
    pub fn of_address(direction: Direction, address: IpAddr) -> Self {
        Self(format!("{direction}-{}", address.to_string().replace(':', ".")))
    }

    /// The chain that holds these rules, whatever wants them: `policy-<hash>`. Equal rules share a chain, and a chain
    /// of this name never changes.
    pub fn of_rules(rules: &[Rule]) -> Self {
        let text: String = rules.iter().map(|rule| format!("{rule}\n")).collect();
        Self(format!("policy-{}", digest(&text, 26)))
    }

    /// A name read back from the kernel.
    pub fn read_back(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The first `length` characters (at most 51) of the SHA-256 of `text` in lower-case base 32.
pub(crate) fn digest(text: &str, length: usize) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let hash = Sha256::digest(text.as_bytes());
    (0..length)
        .map(|i| {
            let bit = i * 5;
            let pair = u16::from_be_bytes([hash[bit / 8], hash[bit / 8 + 1]]);
            char::from(ALPHABET[usize::from(pair >> (11 - bit % 8) & 31)])
        })
        .collect()
}

/// Which end of a connection a local pod is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Direction {
    /// The pod is the source.
    Egress,
    /// The pod is the destination.
    Ingress,
}

impl Direction {
    /// Both, in the order a packet meets them.
    pub const ALL: [Self; 2] = [Self::Egress, Self::Ingress];

    /// Which side of a packet is the local pod.
    pub const fn local_side(self) -> Side {
        match self {
            Self::Egress => Side::Source,
            Self::Ingress => Side::Destination,
        }
    }

    /// Which side of a packet is the peer.
    pub const fn peer_side(self) -> Side {
        match self {
            Self::Egress => Side::Destination,
            Self::Ingress => Side::Source,
        }
    }

    /// Its base chain.
    pub const fn base(self) -> Base {
        match self {
            Self::Egress => Base::Egress,
            Self::Ingress => Base::Ingress,
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Egress => "egress",
            Self::Ingress => "ingress",
        })
    }
}

/// A side of a packet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Side {
    /// Where it comes from.
    Source,
    /// Where it goes.
    Destination,
}

/// What kind of members an ipset has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SetKind {
    /// `hash:ip`: addresses.
    Addresses,
    /// `hash:net`: blocks, the most specific decides, `nomatch` ones against. No block is `/0`: the kernel refuses it.
    Blocks,
    /// `hash:ip,port`: addresses with a protocol and port.
    Ports,
}

impl fmt::Display for SetKind {
    /// As ipset calls it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Addresses => "hash:ip",
            Self::Blocks => "hash:net",
            Self::Ports => "hash:ip,port",
        })
    }
}

/// A member of an ipset.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Element {
    /// Of [`SetKind::Addresses`].
    Address(IpAddr),
    /// Of [`SetKind::Blocks`]; host bits are zero.
    Block {
        /// The block.
        net: IpNet,
        /// The block is an exception of a wider one.
        nomatch: bool,
    },
    /// Of [`SetKind::Ports`].
    Port(IpAddr, Protocol, u16),
}

impl fmt::Display for Element {
    /// As `ipset list` prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Block { net, nomatch } => write!(f, "{net}{}", if *nomatch { " nomatch" } else { "" }),
            Self::Port(address, protocol, port) => {
                write!(f, "{address},{}:{port}", protocol.to_string().to_lowercase())
            }
        }
    }
}

/// An ipset: all members are of its kind and family.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Set {
    /// What kind of members it has.
    pub kind: SetKind,
    /// Their family.
    pub family: Family,
    /// The members.
    pub members: BTreeSet<Element>,
}

/// One condition of a rule.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Match {
    /// `ct state established,related`.
    Established,
    /// `meta l4proto`: the IANA number of the transport protocol.
    L4Proto(u8),
    /// `icmpv6 type` is one of these.
    Icmpv6Type(BTreeSet<u8>),
    /// The transport's source port (of TCP, UDP or SCTP; implies none of them).
    SourcePort(u16),
    /// The transport's destination port is in this inclusive range (of TCP, UDP or SCTP; implies none of them).
    DestinationPort(u16, u16),
    /// The address of a side.
    Address(Side, IpAddr),
    /// The address of a side is in a set of kind [`SetKind::Addresses`] or [`SetKind::Blocks`]; or, for
    /// [`SetKind::Ports`] and [`Side::Destination`], destination address, protocol and destination port are.
    InSet(Side, SetName, SetKind),
    /// The address of a side is in a block.
    Block(Side, IpNet),
    /// The input interface ([`TableSet::Links`]) or the source address ([`TableSet::Sources`]) is in a set of the table.
    InTableSet(TableSet),
    /// `fib saddr . iif oif`: the route to the source leads out of the interface that the packet came in from.
    RouteBack,
    /// `meta protocol`: in the bridge table, what a frame carries, below a VLAN tag too. Before matches on that.
    Carries(Family),
    /// `ether type` of a frame on a bridge; of one with a VLAN tag, the tag's.
    EtherType(u16),
}

impl Match {
    /// The ipset it looks into.
    pub const fn set(&self) -> Option<&SetName> {
        match self {
            Self::InSet(_, name, _) => Some(name),
            Self::Established
            | Self::L4Proto(_)
            | Self::Icmpv6Type(_)
            | Self::SourcePort(_)
            | Self::DestinationPort(..)
            | Self::Address(..)
            | Self::Block(..)
            | Self::InTableSet(_)
            | Self::RouteBack
            | Self::Carries(_)
            | Self::EtherType(_) => None,
        }
    }
}

/// What a rule does with a packet that meets all its conditions.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Verdict {
    /// Ends the base chain; the packet goes on to the next one.
    Accept,
    /// The packet is gone.
    Drop,
    /// The packet is gone, and counted.
    CountedDrop,
    /// Counted by a counter of the table; goes on with the next rule.
    Count(CounterName),
    /// Goes on in a chain, and comes back at its end.
    Jump(ChainName),
    /// Looks the address of a side up in the table's dispatch map of that direction and goes to the chain it finds
    /// there, not to come back. No entry: the next rule.
    Dispatch(Direction),
}

/// A rule of a chain.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Rule {
    /// All must hold; none: always.
    pub matches: Vec<Match>,
    /// Then this.
    pub verdict: Verdict,
}

impl Rule {
    /// What the rule is known by in the kernel: a hash of its text. Equal tags are equal rules, encoded alike.
    pub fn tag(&self) -> String {
        digest(&format!("{ENCODING} {self}"), 26)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for condition in &self.matches {
            write!(f, "{condition} ")?;
        }
        match &self.verdict {
            Verdict::Accept => f.write_str("accept"),
            Verdict::Drop => f.write_str("drop"),
            Verdict::CountedDrop => f.write_str("counter drop"),
            Verdict::Count(counter) => write!(f, "counter name {counter}"),
            Verdict::Jump(chain) => write!(f, "jump {chain}"),
            Verdict::Dispatch(direction) => {
                write!(f, "{} vmap @{direction}", direction.local_side())
            }
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "saddr",
            Self::Destination => "daddr",
        })
    }
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Established => f.write_str("ct state established,related"),
            Self::L4Proto(number) => write!(f, "l4proto {number}"),
            Self::Icmpv6Type(types) => {
                let types: Vec<String> = types.iter().map(u8::to_string).collect();
                write!(f, "icmpv6 type {{ {} }}", types.join(", "))
            }
            Self::SourcePort(port) => write!(f, "sport {port}"),
            Self::DestinationPort(first, last) if first == last => write!(f, "dport {first}"),
            Self::DestinationPort(first, last) => write!(f, "dport {first}-{last}"),
            Self::Address(side, address) => write!(f, "{side} {address}"),
            Self::InSet(side, set, SetKind::Ports) => write!(f, "{side},dport @{set}"),
            Self::InSet(side, set, SetKind::Addresses | SetKind::Blocks) => write!(f, "{side} @{set}"),
            Self::Block(side, net) => write!(f, "{side} {net}"),
            Self::InTableSet(set @ TableSet::Links) => write!(f, "iifname @{set}"),
            Self::InTableSet(set @ TableSet::Sources(_)) => write!(f, "saddr @{set}"),
            Self::RouteBack => f.write_str("fib saddr . iif oif exists"),
            Self::Carries(family) => write!(f, "protocol {family}"),
            Self::EtherType(number) => write!(f, "ether type {number:#06x}"),
        }
    }
}

/// A chain: its rules in order. It is a base chain if its name is a [`Base`]'s.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Chain {
    /// The rules.
    pub rules: Vec<Rule>,
}

/// The table `bailey` of one family.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Table {
    /// The chains, base chains included.
    pub chains: BTreeMap<ChainName, Chain>,
    /// The dispatch maps: the isolated local addresses of each direction, and the chain each goes to.
    pub dispatch: BTreeMap<Direction, BTreeMap<IpAddr, ChainName>>,
    /// Sets of its own.
    pub sets: BTreeMap<TableSet, BTreeSet<Key>>,
    /// Its counters. What they have counted is no part of what should be.
    pub counters: BTreeSet<CounterName>,
}

/// All that the kernel of one node should hold of ours.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ruleset {
    /// The ipsets.
    pub sets: BTreeMap<SetName, Set>,
    /// The tables.
    pub tables: BTreeMap<TableFamily, Table>,
}

impl fmt::Display for Ruleset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, set) in &self.sets {
            writeln!(f, "set {name} {} {{", set.kind)?;
            for member in &set.members {
                writeln!(f, "  {member}")?;
            }
            writeln!(f, "}}")?;
        }
        for (family, table) in &self.tables {
            writeln!(f, "table {family} {TABLE} {{")?;
            for (direction, map) in &table.dispatch {
                writeln!(f, "  map {direction} {{")?;
                for (address, chain) in map {
                    writeln!(f, "    {address} : goto {chain}")?;
                }
                writeln!(f, "  }}")?;
            }
            for (set, keys) in &table.sets {
                writeln!(f, "  set {set} {{")?;
                for key in keys {
                    writeln!(f, "    {key}")?;
                }
                writeln!(f, "  }}")?;
            }
            for counter in &table.counters {
                writeln!(f, "  counter {counter}")?;
            }
            for (name, chain) in &table.chains {
                writeln!(f, "  chain {name} {{")?;
                for rule in &chain.rules {
                    writeln!(f, "    {rule}")?;
                }
                writeln!(f, "  }}")?;
            }
            writeln!(f, "}}")?;
        }
        Ok(())
    }
}
