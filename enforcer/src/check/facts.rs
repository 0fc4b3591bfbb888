//! What is known of a node before anything is said about it.
//!
//! Pure: values only. `collect` gathers them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

/// All that `enforcer check` looks at.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Facts {
    /// The release of the kernel.
    pub kernel: String,
    /// What enforcing needs and this kernel or this process lacks, with what to do.
    pub missing: Option<String>,
    /// Whether nf_tables knows the family bridge.
    pub checks_bridges: bool,
    /// The network interfaces.
    pub links: Vec<Link>,
    /// All tables of nf_tables, whoever's they are, with the names of their chains. iptables-nft's are among them.
    pub tables: BTreeMap<TableId, BTreeSet<String>>,
    /// The tables of iptables-legacy; nothing more is known of them.
    pub legacy_tables: BTreeSet<String>,
    /// Whether IPVS has services.
    pub ipvs_services: bool,
    /// Of packets on bridges: whether iptables and nf_tables see them. `None`: the kernel has no bridge netfilter.
    pub bridge_netfilter: Option<PerFamily>,
    /// Whether the node forwards.
    pub forwards: PerFamily,
    /// Whether an enforcer runs in this network namespace.
    pub enforcer_runs: bool,
    /// Sets of ours in the kernel.
    pub our_sets: usize,
    /// The container runtime's NRI.
    pub nri: Nri,
    /// What could not be looked at, and why.
    pub unseen: Vec<String>,
}

/// The container runtime's NRI, as this process sees it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Nri {
    /// It is not to be used.
    #[default]
    Off,
    /// There is no socket at this path.
    Absent(PathBuf),
    /// There is one.
    At(PathBuf),
}

/// Something that IPv4 and IPv6 have each for itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PerFamily {
    /// Of IPv4.
    pub v4: bool,
    /// Of IPv6.
    pub v6: bool,
}

/// A network interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// Its number.
    pub index: u32,
    /// The bridge that it is a port of, by number.
    pub bridge: Option<u32>,
    /// What it is.
    pub kind: LinkKind,
}

/// What an interface is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkKind {
    /// A veth whose other end is in another network namespace.
    VethToElsewhere,
    /// A bridge; whether packets on it are seen, whatever the node's own switch says.
    Bridge(PerFamily),
    /// Anything else.
    Other,
}

/// A table of nf_tables.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct TableId {
    /// `ip`, `ip6`, `inet`, `arp`, `bridge`, `netdev`.
    pub family: &'static str,
    /// Its name.
    pub name: String,
}

impl fmt::Display for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.family, self.name)
    }
}
