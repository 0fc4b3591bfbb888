//! What a table has beside chains of rules: its family, the hooks of its base chains, and sets of nf_tables' own.
//!
//! Pure. Peers are ipsets; what only nf_tables can compare (interfaces) or only the bridge family needs (xtables' `set`
//! match does not exist there) is in sets of the table, with fixed names.

use super::{ChainName, EGRESS_PRIORITY, Family, INGRESS_PRIORITY};
use std::fmt;
use std::net::IpAddr;

/// Priority of the base chains that check sources, in every family: before conntrack (-200) and DNAT (-100), so that a
/// packet that is not its sender's neither finds nor makes a connection; on a bridge before bridge netfilter (0) hands
/// packets to the other two.
pub const SOURCE_PRIORITY: i32 = -300;

/// The family of a table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum TableFamily {
    /// IPv4 packets.
    Ip,
    /// IPv6 packets.
    Ip6,
    /// Frames on bridges.
    Bridge,
}

impl TableFamily {
    /// All, in order.
    pub const ALL: [Self; 3] = [Self::Ip, Self::Ip6, Self::Bridge];

    /// The one whose packets have addresses of a family.
    pub const fn of(family: Family) -> Self {
        match family {
            Family::V4 => Self::Ip,
            Family::V6 => Self::Ip6,
        }
    }

    /// The kind of address that all its packets have; `None` on a bridge, which carries both.
    pub const fn addresses(self) -> Option<Family> {
        match self {
            Self::Ip => Some(Family::V4),
            Self::Ip6 => Some(Family::V6),
            Self::Bridge => None,
        }
    }
}

impl fmt::Display for TableFamily {
    /// As nf_tables calls it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
            Self::Bridge => "bridge",
        })
    }
}

/// A netfilter hook.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Hook {
    /// Whatever comes in from a link.
    Prerouting,
    /// What is for the node itself.
    Input,
    /// What goes on to another link.
    Forward,
}

/// A base chain: one that the kernel itself calls. Policy accept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Base {
    /// Whether packets that come in from pods' links have a source that is theirs.
    Prerouting,
    /// On a bridge: what goes from one pod to another by addresses that no policy knows.
    Between,
    /// Egress of a local source to the node itself.
    Input,
    /// [`Direction::Egress`](super::Direction::Egress).
    Egress,
    /// [`Direction::Ingress`](super::Direction::Ingress).
    Ingress,
}

impl Base {
    /// All.
    pub const ALL: [Self; 5] = [
        Self::Prerouting,
        Self::Between,
        Self::Input,
        Self::Egress,
        Self::Ingress,
    ];

    /// The base chain of this name.
    pub fn of(chain: &ChainName) -> Option<Self> {
        Self::ALL.into_iter().find(|base| base.name() == chain.as_str())
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prerouting => "prerouting",
            Self::Between => "between",
            Self::Input => "input",
            Self::Egress => "egress",
            Self::Ingress => "ingress",
        }
    }

    /// Where the kernel calls it.
    pub const fn hook(self) -> Hook {
        match self {
            Self::Prerouting => Hook::Prerouting,
            Self::Input => Hook::Input,
            Self::Between | Self::Egress | Self::Ingress => Hook::Forward,
        }
    }

    /// When, among the chains of the same hook.
    pub const fn priority(self) -> i32 {
        match self {
            Self::Prerouting | Self::Between => SOURCE_PRIORITY,
            Self::Input | Self::Egress => EGRESS_PRIORITY,
            Self::Ingress => INGRESS_PRIORITY,
        }
    }
}

/// Why a rule drops packets, where they are counted. Each reason has a chain of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum WhyDropped {
    /// The source is not the sender's.
    ForgedSource,
    /// A frame with a VLAN tag, which no policy would judge.
    VlanTag,
    /// From one pod to another by link-local addresses, which no policy knows.
    LinkLocal,
    /// From an address of another cluster's node to an isolated pod, whose policies do not admit it: a host-network pod, or
    /// a pod whose address was translated on its way (K11, S117).
    OtherNode,
    /// From or to an address of the node's pod ranges that no pod is known to have (S122).
    UnknownPod,
}

impl WhyDropped {
    /// All.
    pub const ALL: [Self; 5] = [
        Self::ForgedSource,
        Self::VlanTag,
        Self::LinkLocal,
        Self::OtherNode,
        Self::UnknownPod,
    ];

    /// The chain that drops for this reason.
    pub fn chain(self) -> ChainName {
        ChainName::fixed(match self {
            Self::ForgedSource => "sources",
            Self::VlanTag => "tagged",
            Self::LinkLocal => "link-local",
            Self::OtherNode => "other-nodes",
            Self::UnknownPod => "unknown-pods",
        })
    }

    /// The reason whose chain this is.
    pub fn of(chain: &ChainName) -> Option<Self> {
        Self::ALL.into_iter().find(|why| why.chain() == *chain)
    }

    /// As metrics call it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::ForgedSource => "forged_source",
            Self::VlanTag => "vlan_tag",
            Self::LinkLocal => "link_local",
            Self::OtherNode => "node_of_other_cluster",
            Self::UnknownPod => "unknown_pod",
        }
    }

    /// What its first packet may mean for the whole ClusterSet, and what to look at; `None`: the counts say it all.
    pub const fn hint(self) -> Option<&'static str> {
        match self {
            Self::ForgedSource | Self::VlanTag | Self::LinkLocal | Self::UnknownPod => None,
            Self::OtherNode => Some(
                "a policy refused packets from an address of a node of another cluster: if no host-network pod sends there, \
                 pods' addresses are translated between the clusters, and no selector can match them; look for masquerading \
                 on the sending node",
            ),
        }
    }
}

/// The name of a network interface of the node.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LinkName(String);

impl LinkName {
    /// The most bytes that a name has (`IFNAMSIZ`, less the NUL).
    const MAX_BYTES: usize = 15;

    /// A name as the kernel tells it; `None` if it cannot be one.
    pub fn new(name: &str) -> Option<Self> {
        let fits = !name.is_empty() && name.len() <= Self::MAX_BYTES && !name.contains('\0');
        fits.then(|| Self(name.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A set of nf_tables' own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum TableSet {
    /// The links that pods send from: names of interfaces.
    Links,
    /// The addresses of a family that live local pods own; in the bridge table.
    Sources(Family),
}

impl TableSet {
    /// All, in order.
    pub const ALL: [Self; 3] = [Self::Links, Self::Sources(Family::V4), Self::Sources(Family::V6)];
}

impl fmt::Display for TableSet {
    /// Its name in the kernel.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Links => "links",
            Self::Sources(Family::V4) => "sources4",
            Self::Sources(Family::V6) => "sources6",
        })
    }
}

/// A member of a [`TableSet`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Key {
    /// Of [`TableSet::Links`].
    Link(LinkName),
    /// Of [`TableSet::Sources`].
    Address(IpAddr),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(link) => write!(f, "{link}"),
            Self::Address(address) => write!(f, "{address}"),
        }
    }
}
