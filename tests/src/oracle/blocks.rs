//! ipBlocks, by comparing leading bits.
//!
//! Pure.

use super::citations::Citations;
use super::policies::{Piece, Void};
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A `cidr` without its `except`s.
#[derive(Clone, Debug)]
pub struct Block {
    cidr: Cidr,
    except: Vec<Cidr>,
}

/// All addresses of one family that begin with the same bits.
#[derive(Clone, Debug)]
struct Cidr {
    address: IpAddr,
    length: u32,
    has_host_bits: bool,
    has_leading_zeros: bool,
}

impl Block {
    /// S33: an address in the cidr matches, whoever is behind it, unless an except takes it out.
    pub(super) fn matches(&self, address: IpAddr, cited: &Citations) -> bool {
        if self.except.iter().any(|except| !self.cidr.has_all_of(except)) {
            cited.cite(45);
        }
        self.cidr.has(address, cited) && !self.excepts(address, cited)
    }

    /// S34: the excepts together are what does not match. S45: what one of them takes out of nowhere has no effect, and one
    /// that is equal to the cidr or wider takes out all of it.
    pub(super) fn excepts(&self, address: IpAddr, cited: &Citations) -> bool {
        let excepted = self.except.iter().any(|except| except.has(address, cited));
        if excepted && self.cidr.begins(address) {
            cited.cite(34);
        }
        excepted
    }
}

impl Cidr {
    fn has(&self, address: IpAddr, cited: &Citations) -> bool {
        let has = self.is_of_family(address, cited) && self.begins(address);
        if has {
            self.cite_form(address, cited);
        }
        has
    }

    /// S95: a block has addresses of its own family only, which S36 says of the widest ones too.
    fn is_of_family(&self, address: IpAddr, cited: &Citations) -> bool {
        let same = self.address.is_ipv4() == address.is_ipv4();
        if !same {
            cited.cite(if self.length == 0 { 36 } else { 95 });
        }
        same
    }

    /// S38: bits behind the prefix do not count.
    fn begins(&self, address: IpAddr) -> bool {
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

    fn has_all_of(&self, other: &Self) -> bool {
        self.length < other.length && self.begins(other.address)
    }

    /// S36 to S38, S43: by which rules it has an address.
    fn cite_form(&self, address: IpAddr, cited: &Citations) {
        let whole = if address.is_ipv4() { 32 } else { 128 };
        if self.length == 0 {
            cited.cite(36);
        }
        if self.length == 0 || self.length == whole {
            cited.cite(37);
        }
        if self.has_host_bits {
            cited.cite(38);
        }
        if self.has_leading_zeros {
            cited.cite(43);
        }
    }
}

/// Reads one; void if the cidr, any except, or a field is not understood (P8, P9, P13, P23): a block without its except
/// would be wider.
pub(super) fn read(value: &Value) -> Piece<Block> {
    let object = value.as_object().ok_or(Void(127))?;
    if object.keys().any(|field| !["cidr", "except"].contains(&field.as_str())) {
        return Err(Void(127));
    }
    let except = match object.get("except") {
        None | Some(Value::Null) => Vec::new(),
        Some(except) => {
            let except = except.as_array().ok_or(Void(127))?;
            except.iter().map(read_cidr).collect::<Piece<_>>()?
        }
    };
    let cidr = read_cidr(object.get("cidr").unwrap_or(&Value::Null))?;
    Ok(Block { cidr, except })
}

fn read_cidr(value: &Value) -> Piece<Cidr> {
    let text = value.as_str().ok_or(Void(127))?;
    let (address, length) = text.split_once('/').ok_or(Void(127))?;
    let v4 = || read_v4(address).map(IpAddr::V4);
    let v6 = || read_v6(address).map(IpAddr::V6);
    let address = v4().or_else(v6).ok_or(Void(127))?;
    // S43: what an IPv4-mapped block means is not agreed upon.
    if matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some()) {
        return Err(Void(43));
    }
    let length = number(length).ok_or(Void(127))?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    if length > bits {
        return Err(Void(127));
    }
    let has_leading_zeros = address.is_ipv4() && !text.starts_with(&address.to_string());
    Ok(Cidr {
        address,
        length,
        has_host_bits: match address {
            IpAddr::V4(v4) => v4.to_bits().trailing_zeros() < bits - length,
            IpAddr::V6(v6) => v6.to_bits().trailing_zeros() < bits - length,
        },
        has_leading_zeros,
    })
}

/// S43: leading zeros do not make a number octal (P10).
fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

fn read_v4(text: &str) -> Option<Ipv4Addr> {
    let numbers = text.split('.').map(|part| u8::try_from(number(part)?).ok());
    let numbers = numbers.collect::<Option<Vec<_>>>()?;
    Some(Ipv4Addr::from(<[u8; 4]>::try_from(numbers).ok()?))
}

/// The last two groups may be written as an IPv4 address.
fn read_v6(text: &str) -> Option<Ipv6Addr> {
    let (groups, last) = text.rsplit_once(':')?;
    match read_v4(last) {
        Some(v4) => format!("{groups}:{v4}").parse().ok(),
        None => text.parse().ok(),
    }
}
