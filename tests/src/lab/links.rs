//! Links, addresses and routes, as one batch of rtnetlink messages for one network namespace.
//!
//! The caller chooses every interface index, so that no message has to wait for an answer to another one.

use rtnetlink::packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::AddressHeaderFlags;
use rtnetlink::packet_route::link::{InfoData, InfoVeth};
use rtnetlink::packet_route::route::RouteScope;
use rtnetlink::sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use rtnetlink::{AddressMessageBuilder, LinkBridge, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd};

/// Requests sent before their answers are read; a socket's default receive buffer holds four times as many answers.
const WINDOW: usize = 64;

/// Who a host sends everything to, whatever its link: it has a route to the router and no network on the link.
#[derive(Clone, Copy, Debug)]
pub struct Router {
    v4: Ipv4Addr,
    v6: Ipv6Addr,
}

impl Router {
    /// Its addresses, IPv4 first.
    pub fn addresses(self) -> [IpAddr; 2] {
        [self.v4.into(), self.v6.into()]
    }
}

/// The fabric, to nodes and outside hosts.
pub const FABRIC: Router = Router {
    v4: Ipv4Addr::new(169, 254, 0, 1),
    v6: Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1),
};
/// A node, to its pods. Another address than the fabric's: a node has both links, and takes its own address from nobody.
pub const NODE: Router = Router {
    v4: Ipv4Addr::new(169, 254, 1, 1),
    v6: Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, 1),
};

/// The index of an interface, chosen by us; 1 is `lo`.
pub type Index = u32;

/// `lo`.
pub const LOOPBACK: Index = 1;

/// One end of a veth.
#[derive(Clone, Copy, Debug)]
pub struct Plug<'a> {
    /// Its index.
    pub index: Index,
    /// Its name, at most 15 bytes.
    pub name: &'a str,
}

/// Requests in the order of their effect.
#[derive(Debug, Default)]
pub struct Batch(Vec<(String, RouteNetlinkMessage)>);

impl Batch {
    /// `ip link add HERE type veth peer THERE netns NETNS`, this end up.
    pub fn veth(&mut self, here: Plug<'_>, there: Plug<'_>, netns: &impl AsFd) {
        let peer = LinkMessageBuilder::<LinkUnspec>::new()
            .name(there.name)
            .index(there.index)
            .setns_by_fd(netns.as_fd().as_raw_fd())
            .build();
        let link = LinkMessageBuilder::<LinkVeth>::new(here.name, there.name)
            .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
            .index(here.index)
            .up()
            .build();
        self.push(
            format!("link add {} type veth", here.name),
            RouteNetlinkMessage::NewLink(link),
        );
    }

    /// `ip link add NAME type bridge`, up.
    pub fn bridge(&mut self, plug: Plug<'_>) {
        let link = LinkMessageBuilder::<LinkBridge>::new(plug.name)
            .index(plug.index)
            .up()
            .build();
        self.push(
            format!("link add {} type bridge", plug.name),
            RouteNetlinkMessage::NewLink(link),
        );
    }

    /// `ip link set dev INDEX master BRIDGE`
    pub fn join(&mut self, index: Index, bridge: Index) {
        let link = LinkUnspec::new_with_index(index).controller(bridge).build();
        self.push(
            format!("link set {index} master {bridge}"),
            RouteNetlinkMessage::SetLink(link),
        );
    }

    /// `ip link set dev INDEX up`
    pub fn up(&mut self, index: Index) {
        let link = LinkUnspec::new_with_index(index).up().build();
        self.push(format!("link set {index} up"), RouteNetlinkMessage::SetLink(link));
    }

    /// `ip addr add ADDRESS/32 dev INDEX` (`/128`, nodad)
    pub fn address(&mut self, index: Index, address: IpAddr) {
        let host_bits = if address.is_ipv4() { 32 } else { 128 };
        self.address_in(index, address, host_bits);
    }

    /// The router's own addresses on a link.
    pub fn router(&mut self, index: Index, router: Router) {
        self.address(index, router.v4.into());
        self.address_in(index, router.v6.into(), 64);
    }

    fn address_in(&mut self, index: Index, address: IpAddr, prefix: u8) {
        let mut message = match address {
            IpAddr::V4(address) => AddressMessageBuilder::<Ipv4Addr>::new()
                .address(address, prefix)
                .build(),
            IpAddr::V6(address) => AddressMessageBuilder::<Ipv6Addr>::new()
                .address(address, prefix)
                .build(),
        };
        message.header.index = index;
        if address.is_ipv6() {
            // Else it stays tentative until a worker of the kernel comes by, even where detection is off.
            message.header.flags |= AddressHeaderFlags::Nodad;
        }
        self.push(
            format!("addr add {address}/{prefix} dev {index}"),
            RouteNetlinkMessage::NewAddress(message),
        );
    }

    /// `ip route add TO dev INDEX scope link src SOURCE`
    pub fn on_link(&mut self, to: IpAddr, index: Index, source: Option<IpAddr>) {
        let message = match to {
            IpAddr::V4(to) => {
                let mut route = RouteMessageBuilder::<Ipv4Addr>::new()
                    .destination_prefix(to, 32)
                    .output_interface(index)
                    .scope(RouteScope::Link);
                if let Some(IpAddr::V4(source)) = source {
                    route = route.pref_source(source);
                }
                route.build()
            }
            IpAddr::V6(to) => {
                let mut route = RouteMessageBuilder::<Ipv6Addr>::new()
                    .destination_prefix(to, 128)
                    .output_interface(index);
                if let Some(IpAddr::V6(source)) = source {
                    route = route.pref_source(source);
                }
                route.build()
            }
        };
        self.push(
            format!("route add {to} dev {index}"),
            RouteNetlinkMessage::NewRoute(message),
        );
    }

    /// `ip route add TO via GATEWAY dev INDEX`; both are of one family.
    pub fn via(&mut self, to: IpAddr, gateway: IpAddr, index: Index) {
        let message = match (to, gateway) {
            (IpAddr::V4(to), IpAddr::V4(gateway)) => RouteMessageBuilder::<Ipv4Addr>::new()
                .destination_prefix(to, 32)
                .gateway(gateway)
                .output_interface(index)
                .build(),
            (IpAddr::V6(to), IpAddr::V6(gateway)) => RouteMessageBuilder::<Ipv6Addr>::new()
                .destination_prefix(to, 128)
                .gateway(gateway)
                .output_interface(index)
                .build(),
            (to, gateway) => unreachable!("a route to {to} via {gateway}: two families"),
        };
        self.push(
            format!("route add {to} via {gateway} dev {index}"),
            RouteNetlinkMessage::NewRoute(message),
        );
    }

    /// `ip route add default via ROUTER dev INDEX`, both families.
    pub fn default_routes(&mut self, index: Index, router: Router) {
        self.on_link(router.v4.into(), index, None);
        let v4 = RouteMessageBuilder::<Ipv4Addr>::new()
            .gateway(router.v4)
            .output_interface(index)
            .build();
        let v6 = RouteMessageBuilder::<Ipv6Addr>::new()
            .gateway(router.v6)
            .output_interface(index)
            .build();
        for route in [v4, v6] {
            self.push(
                format!("route add default dev {index}"),
                RouteNetlinkMessage::NewRoute(route),
            );
        }
    }

    /// Has the kernel do it all, in the network namespace the calling thread is in.
    ///
    /// # Errors
    /// The first request that the kernel refuses, by its words; later ones of the same window are done nevertheless.
    pub fn apply(self) -> io::Result<()> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        socket.set_cap_ack(true)?;
        for window in self.0.chunks(WINDOW) {
            for (sequence, (_, message)) in window.iter().enumerate() {
                socket.send(&request(message.clone(), sequence), 0)?;
            }
            let mut answered = 0;
            while answered < window.len() {
                answered += take_answers(&socket, window)?;
            }
        }
        Ok(())
    }

    fn push(&mut self, words: String, message: RouteNetlinkMessage) {
        self.0.push((words, message));
    }
}

fn request(message: RouteNetlinkMessage, sequence: usize) -> Vec<u8> {
    let mut flags = NLM_F_REQUEST | NLM_F_ACK;
    if !matches!(message, RouteNetlinkMessage::SetLink(_)) {
        flags |= NLM_F_CREATE | NLM_F_EXCL;
    }
    let mut message = NetlinkMessage::from(message);
    message.header.flags = flags;
    message.header.sequence_number = u32::try_from(sequence).expect("below WINDOW");
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

/// Reads one datagram of answers; returns how many.
fn take_answers(socket: &Socket, window: &[(String, RouteNetlinkMessage)]) -> io::Result<usize> {
    let (bytes, _) = socket.recv_from_full()?;
    let (mut offset, mut answers) = (0, 0);
    while offset < bytes.len() {
        let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&bytes[offset..]).map_err(io::Error::other)?;
        if let NetlinkPayload::Error(error) = &answer.payload {
            answers += 1;
            if error.code.is_some() {
                let words = window
                    .get(answer.header.sequence_number as usize)
                    .map_or("?", |(words, _)| words);
                return Err(io::Error::other(format!("ip {words}: {}", error.to_io())));
            }
        }
        offset += (answer.header.length as usize).next_multiple_of(4).max(16);
    }
    Ok(answers)
}
