//! ipBlocks, by comparing leading bits.
//!
//! Pure.

use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A `cidr` without its `except`s.
#[derive(Clone, Debug)]
pub struct Block {
    cidr: Cidr,
    except: Vec<Cidr>,
}

/// All addresses of one family that begin with the same bits. Bits after them do not count (S38).
#[derive(Clone, Copy, Debug)]
struct Cidr {
    address: IpAddr,
    length: u32,
}

impl Block {
    /// Reads one; `None`: the cidr, any except, or a field is not understood, and the whole block is void (P8, P9, P13,
    /// P23).
    pub fn read(value: &Value) -> Option<Self> {
        let object = value.as_object()?;
        if object.keys().any(|field| !["cidr", "except"].contains(&field.as_str())) {
            return None;
        }
        let except = match object.get("except") {
            None | Some(Value::Null) => Vec::new(),
            Some(except) => except.as_array()?.iter().map(Cidr::read).collect::<Option<Vec<_>>>()?,
        };
        let cidr = Cidr::read(object.get("cidr")?)?;
        Some(Self { cidr, except })
    }

    /// S33, S34, S45, S95: inside the cidr, and in no except.
    pub fn matches(&self, address: IpAddr) -> bool {
        self.cidr.contains(address) && !self.in_except(address)
    }

    /// Whether addresses of this one's family can be in it at all.
    pub fn is_of_family(&self, address: IpAddr) -> bool {
        self.cidr.address.is_ipv4() == address.is_ipv4()
    }

    /// Whether an except takes it out.
    pub fn in_except(&self, address: IpAddr) -> bool {
        self.except.iter().any(|except| except.contains(address))
    }
}

impl Cidr {
    fn read(value: &Value) -> Option<Self> {
        let (address, length) = value.as_str()?.split_once('/')?;
        let address = read_v4(address)
            .map(IpAddr::V4)
            .or_else(|| read_v6(address).map(IpAddr::V6))?;
        let digits = !length.is_empty() && length.chars().all(|c| c.is_ascii_digit());
        let length = digits.then(|| length.parse().ok()).flatten()?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        (length <= bits).then_some(Self { address, length })
    }

    fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(block), IpAddr::V4(address)) => {
                (0..self.length).all(|bit| (block.to_bits() ^ address.to_bits()) & (1 << (31 - bit)) == 0)
            }
            (IpAddr::V6(block), IpAddr::V6(address)) => {
                (0..self.length).all(|bit| (block.to_bits() ^ address.to_bits()) & (1 << (127 - bit)) == 0)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// Four decimal numbers; leading zeros do not make them octal (P10, S43).
fn read_v4(text: &str) -> Option<Ipv4Addr> {
    let number = |part: &str| {
        let digits = !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
        digits.then(|| part.parse::<u8>().ok()).flatten()
    };
    let numbers = text.split('.').map(number).collect::<Option<Vec<_>>>()?;
    Some(Ipv4Addr::from(<[u8; 4]>::try_from(numbers).ok()?))
}

/// Not an IPv4-mapped one: what it means is not agreed upon (P9).
fn read_v6(text: &str) -> Option<Ipv6Addr> {
    let address: Ipv6Addr = text.parse().ok()?;
    address.to_ipv4_mapped().is_none().then_some(address)
}
