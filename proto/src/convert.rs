//! Wire ⇄ model, for the pieces both directions share.
//!
//! Pure. Numbers that only a sender's table can resolve stay numbers here; who keeps such tables (the hub's log, the
//! mirror) resolves them. What cannot be decoded is refused as a whole: a frame is right or it is not applied.

use crate::model::{ClusterName, ClusterState, Epoch, Protocol, Revision};
use crate::wire;
use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use smallvec::SmallVec;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The numbers of the identities that claim one address, ascending; none: it is nobody's. Nearly always one.
pub type Claimants = SmallVec<[u32; 2]>;

/// A message that says what it cannot mean; for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

impl From<Revision> for wire::Revision {
    fn from(revision: Revision) -> Self {
        let [epoch_high, epoch_low] = [revision.epoch.0 >> 64, revision.epoch.0].map(|half| half as u64);
        Self {
            epoch_high,
            epoch_low,
            sequence: revision.sequence,
        }
    }
}

impl From<&wire::Revision> for Revision {
    fn from(revision: &wire::Revision) -> Self {
        Self {
            epoch: Epoch(u128::from(revision.epoch_high) << 64 | u128::from(revision.epoch_low)),
            sequence: revision.sequence,
        }
    }
}

impl From<ClusterState> for wire::cluster_status::State {
    fn from(state: ClusterState) -> Self {
        match state {
            ClusterState::Syncing => Self::Syncing,
            ClusterState::Live => Self::Live,
            ClusterState::Stale => Self::Stale,
            ClusterState::Left => Self::Left,
        }
    }
}

impl From<Protocol> for wire::named_port::Protocol {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Tcp => Self::Tcp,
            Protocol::Udp => Self::Udp,
            Protocol::Sctp => Self::Sctp,
        }
    }
}

/// The status of a cluster on the wire; `age_ms` since its API server was last heard.
pub fn encode_status(cluster: &ClusterName, state: ClusterState, age_ms: u64) -> wire::ClusterStatus {
    wire::ClusterStatus {
        cluster: cluster.as_str().to_owned(),
        state: wire::cluster_status::State::from(state).into(),
        age_ms,
    }
}

/// Which cluster is in which state. A state this release does not know is read as [`ClusterState::Syncing`]: nothing
/// that is known of the cluster is forgotten for it.
///
/// # Errors
/// If the id is none.
pub fn decode_status(status: &wire::ClusterStatus) -> Result<(ClusterName, ClusterState), Malformed> {
    use wire::cluster_status::State;
    let cluster = ClusterName::new(&status.cluster).map_err(|error| Malformed(error.to_string()))?;
    let state = match status.state() {
        State::Unknown | State::Syncing => ClusterState::Syncing,
        State::Live => ClusterState::Live,
        State::Stale => ClusterState::Stale,
        State::Left => ClusterState::Left,
    };
    Ok((cluster, state))
}

/// A named port on the wire, `name` being the string number of its name.
pub fn encode_port(name: u32, protocol: Protocol, port: u16) -> wire::NamedPort {
    wire::NamedPort {
        name,
        protocol: wire::named_port::Protocol::from(protocol).into(),
        port: port.into(),
    }
}

/// The string number of a named port's name, its protocol and number; `None`: the protocol is not known, the port
/// matches nothing.
///
/// # Errors
/// If the number is no port.
pub fn decode_port(port: &wire::NamedPort) -> Result<Option<(u32, Protocol, u16)>, Malformed> {
    use wire::named_port::Protocol as Wire;
    let number = u16::try_from(port.port).unwrap_or(0);
    if number == 0 {
        return Err(Malformed(format!("{} is no port", port.port)));
    }
    let protocol = match port.protocol() {
        Wire::Unknown => return Ok(None),
        Wire::Tcp => Protocol::Tcp,
        Wire::Udp => Protocol::Udp,
        Wire::Sctp => Protocol::Sctp,
    };
    Ok(Some((port.name, protocol, number)))
}

/// Strings with their numbers, which must ascend.
pub fn encode_strings<'a>(strings: impl IntoIterator<Item = (u32, &'a str)>) -> wire::Strings {
    let mut columns = wire::Strings::default();
    let mut before = 0;
    for (number, value) in strings {
        debug_assert!(columns.gaps.is_empty() || number > before, "numbers ascend");
        columns.gaps.push(number - before);
        columns.values.push(value.to_owned());
        before = number;
    }
    columns
}

/// Each string with its number, ascending.
///
/// # Errors
/// If the columns differ in length, or a number is there twice or past 32 bits.
pub fn decode_strings(columns: &wire::Strings) -> Result<Vec<(u32, &str)>, Malformed> {
    same_length("strings", columns.gaps.len(), columns.values.len())?;
    let numbers = sums("string", &columns.gaps)?;
    Ok(numbers
        .into_iter()
        .zip(columns.values.iter().map(String::as_str))
        .collect())
}

/// Addresses with the numbers of their claimants (none: nobody's now), both ascending.
pub fn encode_owners<'a>(owners: impl IntoIterator<Item = (IpAddr, &'a [u32])>) -> wire::Owners {
    let mut columns = wire::Owners::default();
    let (mut before, mut ipv6) = (0, BytesMut::new());
    for (address, claimants) in owners {
        let one = match claimants {
            [] => 0,
            [one] => *one,
            several => {
                columns.shared.push(shared(address, several));
                continue;
            }
        };
        match address {
            IpAddr::V4(address) => {
                let bits = address.to_bits();
                debug_assert!(columns.ipv4_gaps.is_empty() || bits > before, "addresses ascend");
                columns.ipv4_gaps.push(bits - before);
                columns.ipv4_identities.push(one);
                before = bits;
            }
            IpAddr::V6(address) => {
                ipv6.put_slice(&address.octets());
                columns.ipv6_identities.push(one);
            }
        }
    }
    columns.ipv6 = ipv6.freeze();
    columns
}

fn shared(address: IpAddr, claimants: &[u32]) -> wire::SharedAddress {
    wire::SharedAddress {
        address: encode_address(address),
        identities: claimants.to_vec(),
    }
}

/// 4 or 16 bytes in network order.
pub fn encode_address(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// The address of 4 or 16 bytes in network order.
///
/// # Errors
/// If there are more or fewer.
pub fn decode_address(octets: &[u8]) -> Result<IpAddr, Malformed> {
    if let Ok(octets) = <[u8; 4]>::try_from(octets) {
        return Ok(IpAddr::from(octets));
    }
    match <[u8; 16]>::try_from(octets) {
        Ok(octets) => Ok(IpAddr::from(octets)),
        Err(_) => Err(Malformed(format!("an address of {} bytes", octets.len()))),
    }
}

/// Each address with the numbers of its claimants, ascending.
///
/// # Errors
/// If the columns differ in length, addresses or claimants do not ascend, an address is there twice, or one is said to
/// be shared by fewer than two.
pub fn decode_owners(columns: &wire::Owners) -> Result<Vec<(IpAddr, Claimants)>, Malformed> {
    same_length("IPv4 addresses", columns.ipv4_gaps.len(), columns.ipv4_identities.len())?;
    same_length(
        "bytes of IPv6 addresses",
        columns.ipv6.len(),
        columns.ipv6_identities.len() * 16,
    )?;
    let ipv4 = sums("IPv4 address", &columns.ipv4_gaps)?
        .into_iter()
        .map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits)))
        .zip(&columns.ipv4_identities);
    let ipv6 = columns
        .ipv6
        .chunks_exact(16)
        .filter_map(|octets| octets.try_into().ok())
        .map(|octets: [u8; 16]| IpAddr::V6(Ipv6Addr::from(octets)))
        .zip(&columns.ipv6_identities);
    let mut owners: Vec<_> = ipv4
        .chain(ipv6)
        .map(|(address, identity)| {
            (
                address,
                Some(*identity).filter(|number| *number != 0).into_iter().collect(),
            )
        })
        .collect();
    strictly_ascending("address", owners.iter().map(|(address, _)| address))?;
    for entry in &columns.shared {
        owners.push(decode_shared(entry)?);
    }
    owners.sort_unstable_by_key(|(address, _)| *address);
    strictly_ascending("address", owners.iter().map(|(address, _)| address))?;
    Ok(owners)
}

fn decode_shared(entry: &wire::SharedAddress) -> Result<(IpAddr, Claimants), Malformed> {
    let address = decode_address(&entry.address)?;
    if entry.identities.len() < 2 || entry.identities[0] == 0 {
        return Err(Malformed(format!("{address} is shared by nobody")));
    }
    strictly_ascending("identity", entry.identities.iter())?;
    Ok((address, SmallVec::from_slice(&entry.identities)))
}

/// A frame as the gRPC message of a stream: uncompressed flag, length, bytes; encoded once for all subscribers.
pub fn encode_message(frame: &wire::Frame) -> Bytes {
    let length = frame.encoded_len();
    let mut message = BytesMut::with_capacity(GRPC_PREFIX + length);
    message.put_u8(0);
    message.put_u32(u32::try_from(length).expect("frames are split long before 4 GiB"));
    frame.encode(&mut message).expect("the buffer grows");
    message.freeze()
}

/// Bytes before each message of a gRPC stream: one flag, four of length.
pub const GRPC_PREFIX: usize = 5;

/// Numbers from their differences.
fn sums(what: &str, gaps: &[u32]) -> Result<Vec<u32>, Malformed> {
    let mut numbers = Vec::with_capacity(gaps.len());
    let mut sum = 0u32;
    for (index, gap) in gaps.iter().enumerate() {
        if index > 0 && *gap == 0 {
            return Err(Malformed(format!("{what} number {index} is there twice")));
        }
        sum = sum
            .checked_add(*gap)
            .ok_or_else(|| Malformed(format!("{what} number {index} is past 32 bits")))?;
        numbers.push(sum);
    }
    Ok(numbers)
}

fn same_length(what: &str, left: usize, right: usize) -> Result<(), Malformed> {
    if left == right {
        Ok(())
    } else {
        Err(Malformed(format!("columns of {what} differ: {left} and {right}")))
    }
}

fn strictly_ascending<T: PartialOrd + std::fmt::Display>(
    what: &str,
    mut values: impl Iterator<Item = T>,
) -> Result<(), Malformed> {
    let Some(mut before) = values.next() else {
        return Ok(());
    };
    for value in values {
        if value <= before {
            return Err(Malformed(format!("{what} {value} is there twice or out of order")));
        }
        before = value;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
