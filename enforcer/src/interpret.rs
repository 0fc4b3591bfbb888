//! What netfilter would do with a packet, given a ruleset.
//!
//! Pure. Knows netfilter and nothing of policies: it imports nothing from `compile`. Where it and real packets differ,
//! packets are right.

use crate::ruleset::Ruleset;
use std::net::IpAddr;

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

/// Whether the packet passes both base chains of the forward hook.
pub fn passes(_ruleset: &Ruleset, _packet: &Packet) -> bool {
    todo!()
}
