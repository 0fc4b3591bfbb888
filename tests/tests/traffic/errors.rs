//! Errors about connections: a closed port, and a packet too large for a link on the way.

use super::scene::{PATIENCE, SILENCE, Scene, in_both_layouts, ip, pod, pods_named, policy, world};
use enforcer::ruleset::Family;
use enforcer::switches::Switches;
use serde_json::json;
use socket2::SockRef;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;
use tests::lab::netns::Netns;
use tests::lab::station::Station;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, UdpSocket};
use tokio::time::timeout;

/// A port that policies allow and nobody listens on.
const ALLOWED_AND_CLOSED: u16 = 54;
/// One that they do not allow either.
const REFUSED_AND_CLOSED: u16 = 55;
/// Where a large upload goes.
const UPLOAD: u16 = 80;

const CLIENT: &str = "a/x/client";
const SERVER: &str = "a/x/server";
const FAR: &str = "b/x/far";

/// Everyone is isolated in both directions; the client may send to two ports, and server and `far` take that.
fn a_world() -> tests::lab::world::World {
    let ports = json!([{"protocol": "UDP", "port": ALLOWED_AND_CLOSED}, {"protocol": "TCP", "port": UPLOAD}]);
    let from_client = json!({"ingress": [{"from": [pods_named("client")], "ports": ports}]});
    let a = vec![
        pod("client", "node-1", &["10.1.1.1", "fd00:10:1:1::1"]),
        pod("server", "node-1", &["10.1.1.2", "fd00:10:1:1::2"]),
        policy("client", &json!({"egress": [{"ports": ports}]})),
        policy("server", &from_client),
    ];
    let b = vec![
        pod("far", "node-1", &["10.2.1.1", "fd00:10:2:1::1"]),
        policy("far", &from_client),
    ];
    world(vec![("a", a), ("b", b)])
}

/// Whether a datagram to a closed port brings the word that it is closed.
async fn is_told_closed(scene: &Scene<'_>, to: &str, family: Family, port: u16, patience: Duration) -> bool {
    let ((client, from), (_, to)) = (scene.at(CLIENT, family), scene.at(to, family));
    let (from, to) = (SocketAddr::new(from, client.fresh_port()), SocketAddr::new(to, port));
    let told = client.spawn(async move {
        let socket = UdpSocket::bind(from).await?;
        socket.connect(to).await?;
        socket.send(b"?").await?;
        timeout(patience, socket.recv(&mut [0; 1])).await?
    });
    match told.await.unwrap() {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => true,
        Err(error) if error.kind() == ErrorKind::TimedOut => false,
        other => panic!("a closed port answers {other:?}"),
    }
}

async fn closed_ports(scene: &Scene<'_>) {
    let _range = scene.range(&[CLIENT, SERVER, FAR], &["ICMP/0/4", "ICMP/0/6"]).await;
    let ends = Family::ALL.map(|family| [SERVER, FAR].map(|to| (family, to)));
    for (family, to) in ends.as_flattened().iter().copied() {
        assert!(is_told_closed(scene, to, family, REFUSED_AND_CLOSED, PATIENCE).await);
    }
    scene.enforce(Switches::default());
    for (family, to) in ends.as_flattened().iter().copied() {
        let what = format!("{:?} {family:?} {to}", scene.layout);
        let allowed = is_told_closed(scene, to, family, ALLOWED_AND_CLOSED, PATIENCE).await;
        let refused = is_told_closed(scene, to, family, REFUSED_AND_CLOSED, SILENCE).await;
        assert_eq!((allowed, refused), (true, false), "{what}");
    }
}

/// S66: a pod that may send nothing says that a port is closed, to a pod that may take nothing but may have asked.
#[test]
fn an_allowed_sender_is_told_that_a_port_is_closed() {
    in_both_layouts(&a_world(), &[], closed_ports);
}

/// More than a window of segments, each as large as links are.
const LARGE: usize = 256 << 10;
/// What links carry by default, less the headers of IPv4 and TCP with timestamps.
const SEGMENT: u32 = 1448;
/// What the link to the other cluster's node carries then.
const NARROW: u32 = 1400;

/// Takes all that comes and says so at the end of it.
async fn take(listener: TcpListener) -> io::Result<()> {
    loop {
        let (mut stream, _) = listener.accept().await?;
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await?;
        stream.write_all(&all.len().to_be_bytes()).await?;
    }
}

/// Uploads; the size of a segment at the end.
async fn upload(station: &Station, from: SocketAddr, to: SocketAddr) -> io::Result<u32> {
    let uploaded = async move {
        let socket = match from {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        socket.bind(from)?;
        let mut stream = socket.connect(to).await?;
        stream.write_all(&vec![1; LARGE]).await?;
        stream.shutdown().await?;
        assert_eq!(stream.read_u64().await?, LARGE as u64);
        SockRef::from(&stream).tcp_mss()
    };
    station.spawn(timeout(PATIENCE, uploaded)).await.unwrap()?
}

async fn a_narrow_link(scene: &Scene<'_>) {
    let _range = scene.range(&[CLIENT, FAR], &["ICMP/0/4", "ICMP/0/6"]).await;
    scene.enforce(Switches::default());
    for family in Family::ALL {
        let ((client, from), (far, to)) = (scene.at(CLIENT, family), scene.at(FAR, family));
        let to = SocketAddr::new(to, UPLOAD);
        let listener = far.spawn(TcpListener::bind(to)).await.unwrap().unwrap();
        let taking = far.spawn(take(listener));
        let mut segments = Vec::new();
        for mtu in [1500, NARROW] {
            ip(&Netns::current().unwrap(), &format!("link set node2 mtu {mtu}"));
            let from = SocketAddr::new(from, client.fresh_port());
            let uploaded = upload(client, from, to).await;
            segments.push(uploaded.unwrap_or_else(|error| panic!("{:?} {family:?} {mtu}: {error}", scene.layout)));
        }
        taking.abort();
        let headers = if family == Family::V4 { 0 } else { 20 };
        let expected = [SEGMENT - headers, SEGMENT - headers - (1500 - NARROW)];
        assert_eq!(segments, expected, "{:?} {family:?}", scene.layout);
    }
}

/// S66: a router's word that a packet is too large for the next link reaches a pod that may take nothing, so that an
/// allowed upload goes on in smaller segments and does not hang.
#[test]
fn an_allowed_sender_is_told_that_a_packet_is_too_large() {
    in_both_layouts(&a_world(), &[], a_narrow_link);
}
