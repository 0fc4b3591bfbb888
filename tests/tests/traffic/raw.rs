//! Packets as a pod with CAP_NET_RAW writes them: with whatever source address it likes.

use enforcer::ruleset::Family;
use socket2::{Domain, Protocol, SockAddr, SockAddrStorage, Socket, Type};
use std::net::{IpAddr, SocketAddr};
use tests::lab::station::Station;

/// `IPPROTO_RAW`: the sender writes the IP header too.
const IPPROTO_RAW: i32 = 255;
const UDP: u8 = 17;
const UDP_HEADER: usize = 8;

/// A UDP packet with its IP header.
pub fn udp(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(UDP_HEADER + payload.len()).unwrap();
    let mut datagram = [from.port(), to.port(), length, 0].map(u16::to_be_bytes).concat();
    datagram.extend(payload);
    let pseudo = match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => [&from.octets()[..], &to.octets()].concat(),
        (IpAddr::V6(from), IpAddr::V6(to)) => [&from.octets()[..], &to.octets()].concat(),
        _ => panic!("from {from} to {to}: two families"),
    };
    let tail = [0, UDP].into_iter().chain(length.to_be_bytes());
    let sum = checksum(pseudo.into_iter().chain(tail).chain(datagram.iter().copied()));
    datagram[6..8].copy_from_slice(&sum.to_be_bytes());
    ip(from.ip(), to.ip(), UDP, &datagram)
}

/// An IP packet.
pub fn ip(from: IpAddr, to: IpAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap();
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let mut header = vec![0x45, 0];
            header.extend((length + 20).to_be_bytes());
            header.extend([0, 0, 0, 0, 64, protocol, 0, 0]);
            header.extend(from.octets());
            header.extend(to.octets());
            let sum = checksum(header.iter().copied());
            header[10..12].copy_from_slice(&sum.to_be_bytes());
            [&header, payload].concat()
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let mut header = vec![0x60, 0, 0, 0];
            header.extend(length.to_be_bytes());
            header.extend([protocol, 64]);
            header.extend(from.octets());
            header.extend(to.octets());
            [&header, payload].concat()
        }
        _ => panic!("from {from} to {to}: two families"),
    }
}

/// RFC 1071.
fn checksum(bytes: impl IntoIterator<Item = u8>) -> u16 {
    let bytes: Vec<u8> = bytes.into_iter().collect();
    let words = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let sum: u32 = words.sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap()
}

/// Has a host send a packet as it is; where to, its routes decide.
pub async fn send(station: &Station, to: IpAddr, packet: Vec<u8>) {
    let domain = match Family::of(to) {
        Family::V4 => Domain::IPV4,
        Family::V6 => Domain::IPV6,
    };
    let sent = station.spawn(async move {
        let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(IPPROTO_RAW)))?;
        socket.set_broadcast(domain == Domain::IPV4)?;
        socket.bind_device(Some(b"eth0"))?;
        socket.send_to(&packet, &SockAddr::from(SocketAddr::new(to, 0)))
    });
    sent.await.unwrap().unwrap();
}

/// A tag of VLAN 0, which every receiver takes off.
pub const VLAN_0: &[u8] = &[0x81, 0, 0, 0];

/// A frame of Ethernet, with a tag or an empty one.
pub fn frame(from: [u8; 6], to: [u8; 6], tag: &[u8], packet: &[u8]) -> Vec<u8> {
    let carries: u16 = if packet[0] >> 4 == 4 { 0x0800 } else { 0x86dd };
    [&to[..], &from, tag, &carries.to_be_bytes(), packet].concat()
}

/// Has a host send a frame as it is, out of its `eth0`.
pub async fn send_frame(station: &Station, frame: Vec<u8>) {
    let sent = station.spawn(async move {
        let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
        socket.send_to(&frame, &link_address(ETH0))
    });
    sent.await.unwrap().unwrap();
}

/// The number of a pod's `eth0` in this lab.
const ETH0: i32 = 2;

#[expect(unsafe_code, reason = "socket2 makes no address of a link by itself")]
fn link_address(index: i32) -> SockAddr {
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: a sockaddr_ll is one of the addresses of this platform; what is not set in it is zero.
    unsafe {
        let address = storage.view_as::<libc::sockaddr_ll>();
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_ifindex = index;
        SockAddr::new(storage, size_of::<libc::sockaddr_ll>() as libc::socklen_t)
    }
}

/// IANA's numbers of two extension headers of IPv6.
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;
/// A header of destination options that says nothing: what follows, no further eight bytes, PadN of four bytes.
const NO_OPTIONS: [u8; 7] = [0, 1, 4, 0, 0, 0, 0];

/// An IP packet in two pieces, the first with as few bytes of it as there may be: eight, which hold the ports of UDP.
pub fn fragments(packet: &[u8], id: u16) -> [Vec<u8>; 2] {
    let header = if packet[0] >> 4 == 4 { 20 } else { 40 };
    let (first, rest) = packet[header..].split_at(8);
    [(first, 0, true), (rest, 1, false)].map(|(piece, offset, more)| {
        let mut bytes = packet[..header].to_vec();
        if header == 20 {
            let length = u16::try_from(header + piece.len()).unwrap();
            bytes[2..4].copy_from_slice(&length.to_be_bytes());
            bytes[4..6].copy_from_slice(&id.to_be_bytes());
            bytes[6..8].copy_from_slice(&(u16::from(more) << 13 | offset).to_be_bytes());
            bytes[10..12].fill(0);
            let sum = checksum(bytes.iter().copied());
            bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        } else {
            let length = u16::try_from(8 + piece.len()).unwrap();
            bytes[4..6].copy_from_slice(&length.to_be_bytes());
            let next = std::mem::replace(&mut bytes[6], FRAGMENT);
            let place = (offset << 3 | u16::from(more)).to_be_bytes();
            bytes.extend([next, 0, place[0], place[1], 0, 0]);
            bytes.extend(id.to_be_bytes());
        }
        bytes.extend(piece);
        bytes
    })
}

/// An IPv6 packet with headers between its own and what it carries.
pub fn with_extension_headers(packet: &[u8]) -> Vec<u8> {
    let mut bytes = packet[..40].to_vec();
    let length = u16::try_from(packet.len() - 40 + 16).unwrap();
    bytes[4..6].copy_from_slice(&length.to_be_bytes());
    let next = std::mem::replace(&mut bytes[6], DESTINATION_OPTIONS);
    for next in [DESTINATION_OPTIONS, next] {
        bytes.push(next);
        bytes.extend(NO_OPTIONS);
    }
    bytes.extend(&packet[40..]);
    bytes
}
