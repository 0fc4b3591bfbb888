//! Netfilter as another program uses it: objects of others, and a look at ours that does not go through our own reader.

use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket, SocketAddr};
use std::collections::{BTreeMap, BTreeSet};

const IPSET: u16 = 6;
const NFTABLES: u16 = 10;
const NFPROTO_IPV4: u8 = 2;

const SET_NAME: u16 = 2;
const SET_MEMBERS: u16 = 8;
const MEMBER: u16 = 7;

const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;
const NLM_F_DUMP: u16 = 0x300;
const NLM_F_CREATE: u16 = 0x400;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len() + 4).unwrap();
    let mut bytes = [&length.to_ne_bytes(), &kind.to_ne_bytes(), value].concat();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn text(kind: u16, value: &str) -> Vec<u8> {
    attribute(kind, format!("{value}\0").as_bytes())
}

fn message((kind, flags): (u16, u16), family: u8, resource: u16, attributes: &[Vec<u8>]) -> Vec<u8> {
    let body = attributes.concat();
    let length = u32::try_from(body.len() + 20).unwrap();
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend((flags | NLM_F_REQUEST).to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend([family, 0]);
    bytes.extend(resource.to_be_bytes());
    bytes.extend(body);
    bytes
}

/// The payloads of the answers, by kind.
fn exchange(request: &[u8]) -> Vec<Vec<u8>> {
    let mut socket = Socket::new(NETLINK_NETFILTER).unwrap();
    socket.bind_auto().unwrap();
    socket.connect(&SocketAddr::new(0, 0)).unwrap();
    socket.send(request, 0).unwrap();
    let mut payloads = Vec::new();
    loop {
        let (datagram, _) = socket.recv_from_full().unwrap();
        let mut rest = datagram.as_slice();
        while !rest.is_empty() {
            let length = u32::from_ne_bytes(*rest.first_chunk().unwrap()) as usize;
            let kind = u16::from_ne_bytes([rest[4], rest[5]]);
            if kind == NLMSG_ERROR || kind == NLMSG_DONE {
                assert_eq!(rest[16..20], [0; 4], "the kernel accepts what the test sends");
                return payloads;
            }
            payloads.push(rest[16..length].to_vec());
            rest = &rest[length.next_multiple_of(4).min(rest.len())..];
        }
    }
}

fn batch(messages: &[Vec<u8>]) {
    let begin = message((0x10, 0), 0, NFTABLES, &[]);
    let end = message((0x11, 0), 0, NFTABLES, &[]);
    exchange(&[begin, messages.concat(), end].concat());
}

/// `nft add table ip NAME`.
pub fn make_table(name: &str) {
    batch(&[message(
        (NFTABLES << 8, NLM_F_CREATE | NLM_F_ACK),
        NFPROTO_IPV4,
        0,
        &[text(1, name)],
    )]);
}

/// `nft add chain ip TABLE CHAIN`, a chain without a hook.
pub fn make_chain(table: &str, chain: &str) {
    let attributes = [text(1, table), text(3, chain)];
    batch(&[message(
        (NFTABLES << 8 | 3, NLM_F_CREATE | NLM_F_ACK),
        NFPROTO_IPV4,
        0,
        &attributes,
    )]);
}

/// `ipset create NAME hash:ip`.
pub fn make_ipset(name: &str) {
    let attributes = [
        attribute(1, &[7]),
        text(2, name),
        text(3, "hash:ip"),
        attribute(4, &[0]),
        attribute(5, &[NFPROTO_IPV4]),
        attribute(7 | 0x8000, &[]),
    ];
    exchange(&message(
        (IPSET << 8 | 2, NLM_F_CREATE | NLM_F_ACK),
        NFPROTO_IPV4,
        0,
        &attributes,
    ));
}

/// `nft list tables`, as far as it says whether a name is among them.
pub fn has_table(name: &str) -> bool {
    let parts = exchange(&message((NFTABLES << 8 | 1, NLM_F_DUMP), 0, 0, &[]));
    parts.iter().any(|part| holds(part, name))
}

/// `ipset list -name`, as far as it says whether a set's name begins like this.
pub fn has_ipset(name: &str) -> bool {
    let parts = exchange(&message(
        (IPSET << 8 | 7, NLM_F_DUMP),
        NFPROTO_IPV4,
        0,
        &[attribute(1, &[7])],
    ));
    parts.iter().any(|part| holds(part, name))
}

/// `ipset list`: the members of every set, each as the kernel encodes it.
pub fn ipsets() -> BTreeMap<String, BTreeSet<Vec<u8>>> {
    let mut sets: BTreeMap<String, BTreeSet<Vec<u8>>> = BTreeMap::new();
    let request = message((IPSET << 8 | 7, NLM_F_DUMP), NFPROTO_IPV4, 0, &[attribute(1, &[7])]);
    // A large set comes in several messages, each with its name.
    for payload in exchange(&request) {
        let attributes = attributes(&payload[4..]);
        let name = String::from_utf8_lossy(attributes[&SET_NAME][0]);
        let members = sets.entry(name.trim_end_matches('\0').to_owned()).or_default();
        let lists = attributes.get(&SET_MEMBERS).into_iter().flatten();
        let listed = lists.flat_map(|list| self::attributes(list).remove(&MEMBER).unwrap_or_default());
        members.extend(listed.map(<[u8]>::to_vec));
    }
    sets
}

/// Attributes by kind, in their order.
fn attributes(mut bytes: &[u8]) -> BTreeMap<u16, Vec<&[u8]>> {
    let mut attributes: BTreeMap<u16, Vec<&[u8]>> = BTreeMap::new();
    while let [l0, l1, k0, k1, ..] = *bytes {
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let kind = u16::from_ne_bytes([k0, k1]) & 0x3fff;
        attributes.entry(kind).or_default().push(&bytes[4..length]);
        bytes = &bytes[length.next_multiple_of(4).min(bytes.len())..];
    }
    attributes
}

/// All rules of all families with their handles, as the kernel has them.
pub fn rules() -> Vec<Vec<u8>> {
    exchange(&message((NFTABLES << 8 | 7, NLM_F_DUMP), 0, 0, &[]))
        .into_iter()
        .map(|payload| payload[4..].to_vec()) // the header counts the changes of all sets of rules
        .collect()
}

fn holds(bytes: &[u8], name: &str) -> bool {
    bytes.windows(name.len()).any(|window| window == name.as_bytes())
}
