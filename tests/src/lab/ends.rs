//! Ends and probes, as all commands that judge traffic write them (`cluster/namespace/pod`, `ip:ADDRESS`,
//! `PROTOCOL/PORT[/FAMILY]`), and the table of verdicts.

use super::world::{PodName, World};
use enforcer::ruleset::Family;
use proto::model::ClusterName;
use serde_json::{Value, json};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Who sends or receives.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum End {
    /// A pod.
    Pod(PodName),
    /// A host outside of all clusters.
    Outside(IpAddr),
}

/// What is sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Transport {
    /// A TCP connection.
    Tcp,
    /// A datagram, answered.
    Udp,
    /// An echo request, answered; ICMPv6 over IPv6.
    Icmp,
}

/// A kind of traffic.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Probe {
    /// What is sent.
    pub transport: Transport,
    /// To which port; 0 for ICMP.
    pub port: u16,
    /// Over which family; none: IPv4 where both ends have it, else IPv6.
    pub family: Option<Family>,
}

/// What became of a packet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Verdict {
    /// It was answered.
    Allowed,
    /// It was not.
    Refused,
    /// There is no such traffic: an end has no live address of the family.
    Absent,
}

/// The verdicts of one probe: a row for each source, in it one for each destination.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Table {
    /// The probe.
    pub probe: Probe,
    /// Its verdicts.
    pub rows: Vec<Vec<Verdict>>,
}

/// A text is no end or no probe.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ParseError {
    /// No end.
    #[error("{0:?} is no end: expected cluster/namespace/pod or ip:ADDRESS")]
    End(String),
    /// No probe.
    #[error("{0:?} is no probe: expected PROTOCOL/PORT or PROTOCOL/PORT/FAMILY, as TCP/80, UDP/53/6, ICMP/0")]
    Probe(String),
}

impl End {
    /// All pods of a world, sorted.
    pub fn all(world: &World) -> Vec<Self> {
        world.pods().into_iter().map(|pod| Self::Pod(pod.name)).collect()
    }
}

impl Probe {
    /// Whether it can go to an address.
    pub fn goes_to(&self, address: IpAddr) -> bool {
        self.family.is_none_or(|family| family == Family::of(address))
    }
}

impl Verdict {
    /// As tables show it.
    pub const fn sign(self) -> char {
        match self {
            Self::Allowed => '.',
            Self::Refused => 'X',
            Self::Absent => '-',
        }
    }
}

/// The exchange format of everything that judges.
pub fn to_json(ends: &[End], tables: &[Table]) -> Value {
    let table = |table: &Table| {
        let rows: Vec<String> = table
            .rows
            .iter()
            .map(|row| row.iter().map(|verdict| verdict.sign()).collect())
            .collect();
        json!({
            "protocol": table.probe.transport.to_string(),
            "port": table.probe.port,
            "family": table.probe.family.map(family_number),
            "rows": rows,
        })
    };
    json!({
        "ends": ends.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "tables": tables.iter().map(table).collect::<Vec<_>>(),
    })
}

/// 4 or 6.
pub const fn family_number(family: Family) -> u8 {
    match family {
        Family::V4 => 4,
        Family::V6 => 6,
    }
}

impl FromStr for End {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let parse = || {
            if let Some(address) = text.strip_prefix("ip:") {
                return address.parse().ok().map(Self::Outside);
            }
            let mut parts = text.split('/');
            let end = PodName {
                cluster: ClusterName::new(parts.next()?).ok()?,
                namespace: parts.next().filter(|part| !part.is_empty())?.to_owned(),
                name: parts.next().filter(|part| !part.is_empty())?.to_owned(),
            };
            parts.next().is_none().then_some(Self::Pod(end))
        };
        parse().ok_or_else(|| ParseError::End(text.to_owned()))
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pod(name) => name.fmt(f),
            Self::Outside(address) => write!(f, "ip:{address}"),
        }
    }
}

impl FromStr for Probe {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let parse = || {
            let mut parts = text.split('/');
            let transport = match parts.next()? {
                "TCP" => Transport::Tcp,
                "UDP" => Transport::Udp,
                "ICMP" => Transport::Icmp,
                _ => return None,
            };
            let port: u16 = parts.next()?.parse().ok()?;
            let family = match parts.next() {
                None => None,
                Some("4") => Some(Family::V4),
                Some("6") => Some(Family::V6),
                Some(_) => return None,
            };
            let port_fits = (port == 0) == (transport == Transport::Icmp);
            (port_fits && parts.next().is_none()).then_some(Self {
                transport,
                port,
                family,
            })
        };
        parse().ok_or_else(|| ParseError::Probe(text.to_owned()))
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.transport, self.port)?;
        self.family
            .map_or(Ok(()), |family| write!(f, "/{}", family_number(family)))
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Icmp => "ICMP",
        })
    }
}
