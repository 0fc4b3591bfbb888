//! ipset's messages: values ⇄ bytes (`linux/netfilter/ipset/ip_set.h`).
//!
//! Pure. One function per message; each names the command it is equivalent to. Adding a member that is there, taking out
//! one that is not and destroying a set that is gone succeed, as with `-exist`.

use super::message::{
    Attributes, Body, Header, Malformed, Messages, NLA_F_NET_BYTEORDER, NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL,
};
use crate::ruleset::{Element, Family, Set, SetKind};
use ipnet::IpNet;
use proto::model::Protocol;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// How many members a set can get. Cannot be changed later; costs nothing before they come.
const MAX_MEMBERS: u32 = 1 << 20;

/// Buckets of a set made for few members; ipset's default of 1024 takes 13 KB per empty set.
const MIN_BUCKETS: usize = 64;

/// Members per message: the longest take 44 bytes, and an attribute must stay below 64 KiB.
const MEMBERS_PER_MESSAGE: usize = 1_400;

const SUBSYSTEM: u16 = 6 << 8;
const PROTOCOL_VERSION: u8 = 7;

const CMD_CREATE: u16 = 2;
const CMD_DESTROY: u16 = 3;
const CMD_LIST: u16 = 7;
const CMD_ADD: u16 = 9;
const CMD_DEL: u16 = 10;
const CMD_GET_BYNAME: u16 = 14;

const ATTR_PROTOCOL: u16 = 1;
const ATTR_SETNAME: u16 = 2;
const ATTR_TYPENAME: u16 = 3;
const ATTR_REVISION: u16 = 4;
const ATTR_FAMILY: u16 = 5;
const ATTR_FLAGS: u16 = 6;
const ATTR_DATA: u16 = 7;
const ATTR_ADT: u16 = 8;
const ATTR_LINENO: u16 = 9;
const ATTR_INDEX: u16 = 11;

const ATTR_IP: u16 = 1;
const ATTR_CIDR: u16 = 3;
const ATTR_PORT: u16 = 4;
const ATTR_PROTO: u16 = 7;
const ATTR_CADT_FLAGS: u16 = 8;
const ATTR_HASHSIZE: u16 = 18;
const ATTR_MAXELEM: u16 = 19;

const ATTR_IPADDR_IPV4: u16 = 1;
const ATTR_IPADDR_IPV6: u16 = 2;

const FLAG_LIST_SETNAME: u32 = 1 << 1;
const FLAG_NOMATCH: u32 = 1 << 2;

const NFPROTO_IPV4: u8 = 2;
const NFPROTO_IPV6: u8 = 10;

pub(super) const fn family_number(family: Family) -> u8 {
    match family {
        Family::V4 => NFPROTO_IPV4,
        Family::V6 => NFPROTO_IPV6,
    }
}

/// The first revision of the type that has what we use: `nomatch` of `hash:net`, SCTP of `hash:ip,port`.
const fn revision(kind: SetKind) -> u8 {
    match kind {
        SetKind::Addresses => 0,
        SetKind::Blocks => 2,
        SetKind::Ports => 1,
    }
}

fn message(
    messages: &mut Messages,
    (command, flags): (u16, u16),
    family: u8,
    name: &str,
    body: impl FnOnce(&mut Body<'_>),
) {
    let header = Header {
        kind: SUBSYSTEM | command,
        flags,
        family,
        resource: 0,
    };
    messages.push(header, |attributes| {
        attributes.u8(ATTR_PROTOCOL, PROTOCOL_VERSION);
        attributes.text(ATTR_SETNAME, name);
        body(attributes);
    });
}

/// `ipset create NAME TYPE family FAMILY maxelem 1048576 hashsize …`, with room for the members of `set`. Empty; fails with
/// `EEXIST` if the name is taken.
pub(super) fn create(messages: &mut Messages, name: &str, set: &Set) {
    let buckets = set
        .members
        .len()
        .next_power_of_two()
        .clamp(MIN_BUCKETS, MAX_MEMBERS as usize);
    let family = family_number(set.family);
    message(
        messages,
        (CMD_CREATE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL),
        family,
        name,
        |attributes| {
            attributes.text(ATTR_TYPENAME, &set.kind.to_string());
            attributes.u8(ATTR_REVISION, revision(set.kind));
            attributes.u8(ATTR_FAMILY, family);
            attributes.nest(ATTR_DATA, |data| {
                let buckets = u32::try_from(buckets).expect("clamped to MAX_MEMBERS");
                data.be32(ATTR_HASHSIZE | NLA_F_NET_BYTEORDER, buckets);
                data.be32(ATTR_MAXELEM | NLA_F_NET_BYTEORDER, MAX_MEMBERS);
            });
        },
    );
}

/// `ipset destroy NAME -exist`. Fails with [`super::socket::Errno::SET_BUSY`] while a rule refers to the set.
pub(super) fn destroy(messages: &mut Messages, name: &str) {
    message(messages, (CMD_DESTROY, NLM_F_ACK), NFPROTO_IPV4, name, |_| {});
}

/// `ipset add NAME MEMBER -exist` for each member, the last first (see [`crate::plan::Plan::add`]). Not atomic: where it
/// fails, the members before are in.
pub(super) fn add(messages: &mut Messages, name: &str, members: &BTreeSet<Element>) {
    let members: Vec<Element> = members.iter().rev().copied().collect();
    change(messages, CMD_ADD, name, &members);
}

/// `ipset del NAME MEMBER -exist` for each member, the first first. Not atomic.
pub(super) fn remove(messages: &mut Messages, name: &str, members: &BTreeSet<Element>) {
    let members: Vec<Element> = members.iter().copied().collect();
    change(messages, CMD_DEL, name, &members);
}

fn change(messages: &mut Messages, command: u16, name: &str, members: &[Element]) {
    for some in members.chunks(MEMBERS_PER_MESSAGE) {
        message(messages, (command, 0), NFPROTO_IPV4, name, |attributes| {
            attributes.bytes(ATTR_LINENO, &0_u32.to_ne_bytes()); // obligatory with ATTR_ADT; we use sequence numbers
            attributes.nest(ATTR_ADT, |list| {
                for member in some {
                    list.nest(ATTR_DATA, |data| element(data, *member));
                }
            });
        });
    }
    messages.acknowledge_last();
}

fn element(data: &mut Body<'_>, element: Element) {
    match element {
        Element::Address(ip) => address(data, ip),
        Element::Block { net, nomatch } => {
            address(data, net.addr());
            data.u8(ATTR_CIDR, net.prefix_len());
            if nomatch {
                data.be32(ATTR_CADT_FLAGS | NLA_F_NET_BYTEORDER, FLAG_NOMATCH);
            }
        }
        Element::Port(ip, protocol, port) => {
            address(data, ip);
            data.u8(ATTR_PROTO, protocol.number());
            data.be16(ATTR_PORT | NLA_F_NET_BYTEORDER, port);
        }
    }
}

fn address(data: &mut Body<'_>, ip: IpAddr) {
    data.nest(ATTR_IP, |data| match ip {
        IpAddr::V4(ip) => data.bytes(ATTR_IPADDR_IPV4 | NLA_F_NET_BYTEORDER, &ip.octets()),
        IpAddr::V6(ip) => data.bytes(ATTR_IPADDR_IPV6 | NLA_F_NET_BYTEORDER, &ip.octets()),
    });
}

/// The number by which rules refer to the set; [`read_index`] reads the answer.
pub(super) fn index(messages: &mut Messages, name: &str) {
    message(messages, (CMD_GET_BYNAME, NLM_F_ACK), NFPROTO_IPV4, name, |_| {});
}

/// The answer to [`index`].
pub(super) fn read_index(payload: &[u8]) -> Result<u16, Malformed> {
    Attributes::of_message(payload)?.be16(ATTR_INDEX)
}

/// `ipset list`, of all sets with their members; [`Part::parse`] reads the parts.
pub(super) fn list(messages: &mut Messages) {
    list_with_flags(messages, 0);
}

/// `ipset list -name`.
pub(super) fn list_names(messages: &mut Messages) {
    list_with_flags(messages, FLAG_LIST_SETNAME);
}

fn list_with_flags(messages: &mut Messages, flags: u32) {
    let header = Header {
        kind: SUBSYSTEM | CMD_LIST,
        flags: NLM_F_DUMP,
        family: NFPROTO_IPV4,
        resource: 0,
    };
    messages.push(header, |attributes| {
        attributes.u8(ATTR_PROTOCOL, PROTOCOL_VERSION);
        if flags != 0 {
            attributes.be32(ATTR_FLAGS | NLA_F_NET_BYTEORDER, flags);
        }
    });
}

/// A part of the answer to [`list`]: a set's head, some of its members, or both.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<'a> {
    /// The set's name.
    pub name: &'a str,
    attributes: Attributes<'a>,
}

impl<'a> Part<'a> {
    /// Reads a part.
    pub fn parse(payload: &'a [u8]) -> Result<Self, Malformed> {
        let attributes = Attributes::of_message(payload)?;
        Ok(Self {
            name: attributes.text(ATTR_SETNAME)?,
            attributes,
        })
    }

    /// The kind and family of the set, if this part has them; an error with the type's name if they are none of ours.
    pub fn head(&self) -> Option<Result<(SetKind, Family), &'a str>> {
        let name = self.attributes.text(ATTR_TYPENAME).ok()?;
        let kind = match name {
            "hash:ip" => SetKind::Addresses,
            "hash:net" => SetKind::Blocks,
            "hash:ip,port" => SetKind::Ports,
            _ => return Some(Err(name)),
        };
        match self.attributes.u8(ATTR_FAMILY) {
            Ok(NFPROTO_IPV4) => Some(Ok((kind, Family::V4))),
            Ok(NFPROTO_IPV6) => Some(Ok((kind, Family::V6))),
            _ => Some(Err(name)),
        }
    }

    /// The members in this part.
    pub fn members(&self, kind: SetKind) -> Result<Vec<Element>, Malformed> {
        self.attributes
            .nest(ATTR_ADT)
            .map(|(_, data)| read_element(kind, Attributes::of_nest(data)))
            .collect()
    }
}

fn read_element(kind: SetKind, data: Attributes<'_>) -> Result<Element, Malformed> {
    let ip = read_address(data.nest(ATTR_IP))?;
    Ok(match kind {
        SetKind::Addresses => Element::Address(ip),
        SetKind::Blocks => {
            let widest = if ip.is_ipv4() { 32 } else { 128 };
            let length = if data.find(ATTR_CIDR).is_some() {
                data.u8(ATTR_CIDR)?
            } else {
                widest
            };
            let net = IpNet::new(ip, length)
                .ok()
                .ok_or(Malformed("a prefix length of its family"))?;
            let flags = if data.find(ATTR_CADT_FLAGS).is_some() {
                data.be32(ATTR_CADT_FLAGS)?
            } else {
                0
            };
            Element::Block {
                net,
                nomatch: flags & FLAG_NOMATCH != 0,
            }
        }
        SetKind::Ports => {
            let protocol = read_protocol(data.u8(ATTR_PROTO)?)?;
            Element::Port(ip, protocol, data.be16(ATTR_PORT)?)
        }
    })
}

fn read_address(data: Attributes<'_>) -> Result<IpAddr, Malformed> {
    let v4 = data.find(ATTR_IPADDR_IPV4).and_then(<[u8]>::first_chunk::<4>);
    let v6 = data.find(ATTR_IPADDR_IPV6).and_then(<[u8]>::first_chunk::<16>);
    v4.map(|octets| IpAddr::from(*octets))
        .or_else(|| v6.map(|octets| IpAddr::from(*octets)))
        .ok_or(Malformed("an address"))
}

fn read_protocol(number: u8) -> Result<Protocol, Malformed> {
    let all = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
    all.into_iter()
        .find(|protocol| protocol.number() == number)
        .ok_or(Malformed("a protocol that has ports"))
}

#[cfg(test)]
mod tests;
