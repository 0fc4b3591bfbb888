//! CIDR blocks: their text, and what is left of one without its excepts.
//!
//! Pure.

use ipnet::IpNet;
use std::net::{IpAddr, Ipv6Addr};

/// Why a text is no block.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoBlock {
    /// It is no address, slash and prefix length.
    Malformed,
    /// It is an IPv4-mapped IPv6 address, which some read as IPv4 and some as IPv6 (P9).
    Mapped,
}

/// Reads a block as the API server did before it was strict: numbers are decimal, leading zeros or not (S43, P10), and
/// host bits are masked (S38).
pub(super) fn block(text: &str) -> Result<IpNet, NoBlock> {
    let (address, prefix) = text.split_once('/').ok_or(NoBlock::Malformed)?;
    let prefix = decimal(prefix).ok_or(NoBlock::Malformed)?;
    let address = self::address(address).ok_or(NoBlock::Malformed)?;
    if let IpAddr::V6(v6) = address
        && v6.to_ipv4_mapped().is_some()
    {
        return Err(NoBlock::Mapped);
    }
    match IpNet::new(address, prefix) {
        Ok(net) => Ok(net.trunc()),
        Err(_) => Err(NoBlock::Malformed),
    }
}

fn address(text: &str) -> Option<IpAddr> {
    if !text.contains(':') {
        return dotted(text).map(IpAddr::from);
    }
    // The last group of an IPv6 address may be an IPv4 address.
    let (groups, last) = text.rsplit_once(':')?;
    if last.contains('.') {
        let [a, b, c, d] = dotted(last)?;
        return format!("{groups}:{a}.{b}.{c}.{d}")
            .parse::<Ipv6Addr>()
            .ok()
            .map(IpAddr::V6);
    }
    text.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
}

fn dotted(text: &str) -> Option<[u8; 4]> {
    let mut parts = text.split('.').map(decimal);
    let octets = [parts.next()??, parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(octets)
}

/// A number of decimal digits and nothing else: `u8`'s own parser takes a sign.
fn decimal(text: &str) -> Option<u8> {
    text.bytes().all(|b| b.is_ascii_digit()).then_some(())?;
    text.parse().ok()
}

/// Of the excepts those that take something from `net`, sorted and merged: what is of the other family or outside has no
/// effect (P12). `None`: together they take all of it (P14).
pub(super) fn effective(net: IpNet, excepts: &[IpNet]) -> Option<Vec<IpNet>> {
    if excepts.iter().any(|except| except.contains(&net)) {
        return None;
    }
    let inside = excepts.iter().filter(|except| net.contains(*except)).copied().collect();
    let mut merged = IpNet::aggregate(&inside);
    merged.sort();
    (merged != [net]).then_some(merged)
}
