//! Translated addresses as a service proxy of nf_tables makes them, on a node: by messages of our own, for Bailey's can
//! do nothing of the kind.

use enforcer::ruleset::Family;
use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket, SocketAddr as NetlinkAddress};
use std::net::{IpAddr, SocketAddr};
use tests::lab::netns::Netns;

const TABLE: &str = "services";
const NFTABLES: u16 = 10 << 8;
const NEW_TABLE: u16 = NFTABLES;
const NEW_CHAIN: u16 = NFTABLES | 3;
const NEW_RULE: u16 = NFTABLES | 6;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;

const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;
const NLM_F_CREATE: u16 = 0x400;
const NLM_F_APPEND: u16 = 0x800;
const NLMSG_ERROR: u16 = 2;

/// `NF_INET_PRE_ROUTING`, `NF_INET_POST_ROUTING`, and the priorities `dstnat` and `srcnat` there.
const PREROUTING: (u32, i32) = (0, -100);
const POSTROUTING: (u32, i32) = (4, 100);

/// `NFT_REG_1` and `NFT_REG_2`.
const REGISTER_1: u32 = 1;
const REGISTER_2: u32 = 2;
/// Bases of `payload`.
const NETWORK_HEADER: u32 = 1;
const TRANSPORT_HEADER: u32 = 2;

/// A connection to one address and port that goes to another one.
#[derive(Clone, Copy, Debug)]
pub struct Translation {
    /// Of a Service, or a hostPort.
    pub from: SocketAddr,
    /// Of a pod.
    pub to: SocketAddr,
}

/// Translates destinations on a node, of one family, and makes what goes to some pods come from the node.
pub fn translate(node: &Netns, family: Family, translations: &[Translation], masqueraded: &[IpAddr]) {
    let name = match family {
        Family::V4 => 2,
        Family::V6 => 10,
    };
    let mut messages = vec![
        message(BATCH_BEGIN, 0, (0, 10), &[]),
        message(NEW_TABLE, NLM_F_CREATE, (name, 0), &[text(1, TABLE)]),
        chain(name, "prerouting", PREROUTING),
        chain(name, "postrouting", POSTROUTING),
    ];
    for translation in translations {
        messages.push(rule(name, "prerouting", &destination_nat(*translation)));
    }
    for pod in masqueraded {
        let expressions = [destination_is(*pod), vec![expression("masq", &[])]].concat();
        messages.push(rule(name, "postrouting", &expressions));
    }
    messages.push(message(BATCH_END, 0, (0, 10), &[]));
    let batch = messages.concat();
    node.run(|| send(&batch)).unwrap();
}

/// `ip daddr FROM tcp dport PORT dnat to TO`; no probe of another protocol has the port.
fn destination_nat(Translation { from, to }: Translation) -> Vec<Vec<u8>> {
    let family: u32 = if from.is_ipv4() { 2 } else { 10 };
    [
        destination_is(from.ip()),
        compare(load(TRANSPORT_HEADER, 2, 2), &from.port().to_be_bytes()),
        vec![
            immediate(REGISTER_1, &bytes(to.ip())),
            immediate(REGISTER_2, &to.port().to_be_bytes()),
            expression(
                "nat",
                &[
                    number(1, 1),
                    number(2, family),
                    number(3, REGISTER_1),
                    number(5, REGISTER_2),
                ],
            ),
        ],
    ]
    .concat()
}

fn destination_is(address: IpAddr) -> Vec<Vec<u8>> {
    let (offset, length) = match address {
        IpAddr::V4(_) => (16, 4),
        IpAddr::V6(_) => (24, 16),
    };
    compare(load(NETWORK_HEADER, offset, length), &bytes(address))
}

fn bytes(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().into(),
        IpAddr::V6(address) => address.octets().into(),
    }
}

fn load(base: u32, offset: u32, length: u32) -> Vec<u8> {
    let attributes = [
        number(1, REGISTER_1),
        number(2, base),
        number(3, offset),
        number(4, length),
    ];
    expression("payload", &attributes)
}

fn compare(load: Vec<u8>, value: &[u8]) -> Vec<Vec<u8>> {
    let equal = [number(1, REGISTER_1), number(2, 0), nested(3, &[attribute(1, value)])];
    vec![load, expression("cmp", &equal)]
}

fn immediate(register: u32, value: &[u8]) -> Vec<u8> {
    expression("immediate", &[number(1, register), nested(2, &[attribute(1, value)])])
}

fn expression(name: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
    nested(1, &[text(1, name), nested(2, attributes)])
}

fn chain(family: u8, name: &str, (hook, priority): (u32, i32)) -> Vec<u8> {
    let attributes = [
        text(1, TABLE),
        text(3, name),
        nested(4, &[number(1, hook), attribute(2, &priority.to_be_bytes())]),
        text(7, "nat"),
    ];
    message(NEW_CHAIN, NLM_F_CREATE, (family, 0), &attributes)
}

fn rule(family: u8, chain: &str, expressions: &[Vec<u8>]) -> Vec<u8> {
    let attributes = [text(1, TABLE), text(2, chain), nested(4, expressions)];
    message(NEW_RULE, NLM_F_CREATE | NLM_F_APPEND, (family, 0), &attributes)
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len() + 4).unwrap();
    let mut bytes = [&length.to_ne_bytes(), &kind.to_ne_bytes(), value].concat();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn nested(kind: u16, attributes: &[Vec<u8>]) -> Vec<u8> {
    attribute(kind | 0x8000, &attributes.concat())
}

fn number(kind: u16, value: u32) -> Vec<u8> {
    attribute(kind, &value.to_be_bytes())
}

fn text(kind: u16, value: &str) -> Vec<u8> {
    attribute(kind, format!("{value}\0").as_bytes())
}

fn message(kind: u16, flags: u16, (family, resource): (u8, u16), attributes: &[Vec<u8>]) -> Vec<u8> {
    let body = attributes.concat();
    let length = u32::try_from(body.len() + 20).unwrap();
    let acknowledged = if matches!(kind, BATCH_BEGIN | BATCH_END) {
        0
    } else {
        NLM_F_ACK
    };
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend((flags | acknowledged | NLM_F_REQUEST).to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend([family, 0]);
    bytes.extend(resource.to_be_bytes());
    bytes.extend(body);
    bytes
}

/// The batch is done, or not at all, when sending it returns; what the kernel has to say of it waits to be read.
fn send(batch: &[u8]) {
    let mut socket = Socket::new(NETLINK_NETFILTER).unwrap();
    socket.bind_auto().unwrap();
    socket.connect(&NetlinkAddress::new(0, 0)).unwrap();
    socket.send(batch, 0).unwrap();
    socket.set_non_blocking(true).unwrap();
    while let Ok((datagram, _)) = socket.recv_from_full() {
        let mut rest = datagram.as_slice();
        while let Some(length) = rest.first_chunk() {
            let length = u32::from_ne_bytes(*length) as usize;
            let kind = u16::from_ne_bytes([rest[4], rest[5]]);
            assert_eq!(
                (kind, &rest[16..20]),
                (NLMSG_ERROR, &[0; 4][..]),
                "the kernel accepts it"
            );
            rest = &rest[length.next_multiple_of(4).min(rest.len())..];
        }
    }
}
