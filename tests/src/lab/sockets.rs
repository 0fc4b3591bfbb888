//! The sockets of probes: those that send and those that answer, each for one address.
//!
//! Everything here runs on a station's own thread. What an answer means is [`super::probe`]'s business.

use super::sctp::{Chunk, Packet};
use super::station::Station;
use enforcer::offline::ends::Transport;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, UdpSocket};
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// Connections that may wait for a listener: all ends of a large world at once.
const BACKLOG: u32 = 1024;
/// More than any probe sends, and the IP header that a raw socket of IPv4 gives with it.
const DATAGRAM: usize = 128;
const ECHO_REQUEST_V4: u8 = 8;
const ECHO_REPLY_V4: u8 = 0;
const ECHO_REQUEST_V6: u8 = 128;
const ECHO_REPLY_V6: u8 = 129;

/// One packet to send, and from where.
#[derive(Clone, Copy, Debug)]
pub struct Shot {
    /// What kind.
    pub transport: Transport,
    /// The source's address with a port (or ICMP identifier) that nothing else has had.
    pub source: SocketAddr,
    /// Where to; ICMP has no port.
    pub destination: SocketAddr,
    /// How long to wait for an answer.
    pub patience: Duration,
}

/// What came back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// What was asked for.
    Answered,
    /// Nothing within the time, or the word that there is no way.
    Silence,
}

/// Sockets that answer until this is dropped.
#[derive(Debug, Default)]
pub struct Listeners(Vec<AbortHandle>);

impl Listeners {
    /// Answers at one address of a station. The kernel itself answers ICMP.
    ///
    /// # Errors
    /// If the port is taken, or the kernel lacks the protocol.
    pub async fn open(&mut self, station: &Station, transport: Transport, address: SocketAddr) -> io::Result<()> {
        let task = match transport {
            Transport::Icmp => return Ok(()),
            Transport::Tcp => {
                let listener = station
                    .spawn(async move { listen(address) })
                    .await
                    .map_err(io::Error::other)??;
                station.spawn(accept(listener)).abort_handle()
            }
            Transport::Udp => {
                let socket = station
                    .spawn(UdpSocket::bind(address))
                    .await
                    .map_err(io::Error::other)??;
                station.spawn(echo(socket)).abort_handle()
            }
            Transport::Sctp => {
                let socket = station
                    .spawn(async move { raw_sctp(address.ip()) })
                    .await
                    .map_err(io::Error::other)??;
                station.spawn(agree(socket, address)).abort_handle()
            }
        };
        self.0.push(task);
        Ok(())
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

/// Sends one probe and waits for its answer.
///
/// # Errors
/// If the fault is here and nothing was sent: no such source address, a port in use, no more descriptors.
pub async fn fire(shot: Shot) -> io::Result<Answer> {
    let exchange = async {
        match shot.transport {
            Transport::Tcp => connect(shot).await,
            Transport::Udp => exchange_datagrams(UdpSocket::bind(shot.source).await?, shot).await,
            Transport::Sctp => exchange_chunks(raw_sctp(shot.source.ip())?, shot).await,
            Transport::Icmp => exchange_echo(shot).await,
        }
    };
    match timeout(shot.patience, exchange).await {
        Ok(Ok(())) => Ok(Answer::Answered),
        Err(_elapsed) => Ok(Answer::Silence),
        Ok(Err(error)) if is_no_way(&error) => Ok(Answer::Silence),
        Ok(Err(error)) => Err(error),
    }
}

/// What a network says, or a rule on the way, instead of an answer.
fn is_no_way(error: &io::Error) -> bool {
    // ICMP's word, over IPv4 and IPv6, that the other host knows no such protocol: nobody listens to SCTP there.
    let no_such_protocol = [libc::ENOPROTOOPT, libc::EPROTO];
    let said_by_kind = matches!(
        error.kind(),
        ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::TimedOut
            | ErrorKind::PermissionDenied
    );
    said_by_kind
        || error
            .raw_os_error()
            .is_some_and(|code| no_such_protocol.contains(&code))
}

async fn connect(shot: Shot) -> io::Result<()> {
    let socket = match shot.source.ip() {
        IpAddr::V4(_) => TcpSocket::new_v4()?,
        IpAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Closing resets: neither end keeps the connection, and conntrack takes it as closed.
    SockRef::from(&socket).set_linger(Some(Duration::ZERO))?;
    socket.bind(shot.source)?;
    socket.connect(shot.destination).await.map(drop)
}

async fn exchange_datagrams(socket: UdpSocket, shot: Shot) -> io::Result<()> {
    socket.connect(shot.destination).await?;
    let question = shot.source.port().to_be_bytes();
    socket.send(&question).await?;
    let mut answer = [0; DATAGRAM];
    loop {
        let length = socket.recv(&mut answer).await?;
        if answer[..length] == question {
            return Ok(());
        }
    }
}

/// A raw socket sees all SCTP that comes to its address, whatever its port, and being connected, all from one address.
/// The answer is the one to this probe's tag.
async fn exchange_chunks(socket: UdpSocket, shot: Shot) -> io::Result<()> {
    socket.connect(SocketAddr::new(shot.destination.ip(), 0)).await?;
    let tag = fastrand::u32(1..);
    let init = Packet {
        source: shot.source.port(),
        destination: shot.destination.port(),
        chunk: Chunk::Init { tag },
    };
    socket.send(&init.encode()).await?;
    let awaited = init.answer();
    let mut answer = [0; DATAGRAM];
    loop {
        let length = socket.recv(&mut answer).await?;
        if Packet::decode(payload(shot.source.ip(), &answer[..length])) == awaited {
            return Ok(());
        }
    }
}

/// By a ping socket: the kernel puts in the identifier, which is the socket's port, and the checksum.
async fn exchange_echo(shot: Shot) -> io::Result<()> {
    let (domain, protocol, request, reply) = match shot.source.ip() {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4, ECHO_REQUEST_V4, ECHO_REPLY_V4),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6, ECHO_REQUEST_V6, ECHO_REPLY_V6),
    };
    let socket = Socket::new(domain, Type::DGRAM, Some(protocol))?;
    socket.set_nonblocking(true)?;
    socket.bind(&shot.source.into())?;
    let socket = UdpSocket::from_std(OwnedFd::from(socket).into())?;
    socket.connect(shot.destination).await?;
    socket.send(&[request, 0, 0, 0, 0, 0, 0, 1]).await?;
    let mut answer = [0; DATAGRAM];
    loop {
        let length = socket.recv(&mut answer).await?;
        if answer[..length].first() == Some(&reply) {
            return Ok(());
        }
    }
}

/// As a socket of datagrams, which it is to the kernel, but for the ports.
fn raw_sctp(address: IpAddr) -> io::Result<UdpSocket> {
    let domain = match address {
        IpAddr::V4(_) => Domain::IPV4,
        IpAddr::V6(_) => Domain::IPV6,
    };
    let socket = Socket::new(domain, Type::RAW, Some(Protocol::SCTP))?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::new(address, 0).into())?;
    UdpSocket::from_std(OwnedFd::from(socket).into())
}

/// What follows the header of IPv4, which a raw socket of that family gives too.
fn payload(address: IpAddr, packet: &[u8]) -> &[u8] {
    let header = match address {
        IpAddr::V4(_) => packet.first().map_or(0, |first| usize::from(first & 0xf) * 4),
        IpAddr::V6(_) => 0,
    };
    packet.get(header..).unwrap_or_default()
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Being accepted is the answer.
async fn accept(listener: TcpListener) {
    loop {
        // A failed accept is that connection's loss; the listener goes on.
        let _ = listener.accept().await;
    }
}

async fn echo(socket: UdpSocket) {
    let mut datagram = [0; DATAGRAM];
    loop {
        // An error here is ICMP's word about an earlier answer, whose asker has gone.
        if let Ok((length, asker)) = socket.recv_from(&mut datagram).await {
            let _ = socket.send_to(&datagram[..length], asker).await;
        }
    }
}

/// The kernel lets every raw socket of an address see its SCTP: what is for another port is another's to answer.
async fn agree(socket: UdpSocket, address: SocketAddr) {
    let mut packet = [0; DATAGRAM];
    loop {
        let Ok((length, asker)) = socket.recv_from(&mut packet).await else {
            continue;
        };
        let asked = Packet::decode(payload(address.ip(), &packet[..length]));
        let asked = asked.filter(|packet| packet.destination == address.port());
        if let Some(answer) = asked.and_then(|packet| packet.answer()) {
            let _ = socket.send_to(&answer.encode(), SocketAddr::new(asker.ip(), 0)).await;
        }
    }
}
