//! Ends and probes, as all that judges traffic writes them (`cluster/namespace/pod`, `ip:ADDRESS`,
//! `PROTOCOL/PORT[/FAMILY]`), and the table of verdicts.
//!
//! Pure. Judges nothing: what becomes of a probe is for [`super::judge`] to say, or for packets.

use crate::ruleset::Family;
use proto::model::ClusterName;
use serde::Serialize;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Who sends or receives.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum End {
    /// A pod.
    Pod(PodName),
    /// Whoever has an address, as `ip:ADDRESS`: a host outside of all clusters, unless it is a pod's or a node's.
    Address(IpAddr),
}

/// A pod, as `cluster/namespace/pod`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PodName {
    /// Its cluster.
    pub cluster: ClusterName,
    /// Its namespace there.
    pub namespace: String,
    /// Its name there.
    pub name: String,
}

/// A node, as `cluster/node`. Names repeat across clusters (S114).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeName {
    /// Its cluster.
    pub cluster: ClusterName,
    /// Its name there.
    pub name: String,
}

/// What is sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Transport {
    /// A TCP connection.
    Tcp,
    /// A datagram, answered.
    Udp,
    /// An SCTP association.
    Sctp,
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

/// What becomes of a connection that is opened.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Verdict {
    /// Every node on the way lets it pass.
    Allowed,
    /// A node does not.
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
    #[error(
        "{0:?} is no probe: expected PROTOCOL/PORT or PROTOCOL/PORT/FAMILY, as TCP/80, UDP/53/6, ICMP/0: a protocol of TCP, \
         UDP, SCTP and ICMP, a port of 1 to 65535 in digits, or 0 for ICMP, and a family of 4 and 6"
    )]
    Probe(String),
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
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Exchange {
    ends: Vec<String>,
    tables: Vec<ExchangeTable>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct ExchangeTable {
    protocol: String,
    port: u16,
    family: Option<u8>,
    rows: Vec<String>,
}

impl Exchange {
    /// The tables of some ends.
    pub fn new(ends: &[End], tables: &[Table]) -> Self {
        let table = |table: &Table| ExchangeTable {
            protocol: table.probe.transport.to_string(),
            port: table.probe.port,
            family: table.probe.family.map(family_number),
            rows: table
                .rows
                .iter()
                .map(|row| row.iter().map(|verdict| verdict.sign()).collect())
                .collect(),
        };
        Self {
            ends: ends.iter().map(ToString::to_string).collect(),
            tables: tables.iter().map(table).collect(),
        }
    }
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
                return address.parse().ok().map(Self::Address);
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
            Self::Address(address) => write!(f, "ip:{address}"),
        }
    }
}

impl fmt::Display for PodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.cluster, self.namespace, self.name)
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.cluster, self.name)
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
                "SCTP" => Transport::Sctp,
                "ICMP" => Transport::Icmp,
                _ => return None,
            };
            let digits = parts
                .next()
                .filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
            let port: u16 = digits?.parse().ok()?;
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
            Self::Sctp => "SCTP",
            Self::Icmp => "ICMP",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_and_probes_are_read_as_they_are_written() {
        for text in ["a/x/web", "ip:192.0.2.1", "ip:2001:db8::1"] {
            assert_eq!(text.parse::<End>().unwrap().to_string(), text);
        }
        for text in ["a/x", "a/x/web/y", "/x/web", "a//web", "ip:web", "-/x/web", ""] {
            assert_eq!(text.parse::<End>(), Err(ParseError::End(text.to_owned())));
        }
        for text in ["TCP/80", "UDP/53/6", "SCTP/7", "ICMP/0", "ICMP/0/4"] {
            assert_eq!(text.parse::<Probe>().unwrap().to_string(), text);
        }
        for text in [
            "TCP",
            "TCP/0",
            "ICMP/8",
            "tcp/80",
            "TCP/80/5",
            "TCP/65536",
            "UDP/53/6/x",
            "TCP/+80",
            "TCP/-1",
            "TCP/ 80",
            "TCP/",
        ] {
            assert_eq!(text.parse::<Probe>(), Err(ParseError::Probe(text.to_owned())));
        }
    }

    #[test]
    fn the_exchange_format_is_as_documented() {
        let ends = ["a/x/web", "ip:192.0.2.1"].map(|end| end.parse().unwrap());
        let rows = vec![
            vec![Verdict::Allowed, Verdict::Refused],
            vec![Verdict::Refused, Verdict::Absent],
        ];
        let tables = ["TCP/80/4", "ICMP/0"].map(|probe| Table {
            probe: probe.parse().unwrap(),
            rows: rows.clone(),
        });
        assert_eq!(
            serde_json::to_string(&Exchange::new(&ends, &tables)).unwrap(),
            r#"{"ends":["a/x/web","ip:192.0.2.1"],"tables":[{"protocol":"TCP","port":80,"family":4,"rows":[".X","X-"]},{"protocol":"ICMP","port":0,"family":null,"rows":[".X","X-"]}]}"#
        );
    }
}
