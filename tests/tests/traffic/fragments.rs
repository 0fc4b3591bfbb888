//! Datagrams that no link carries in one piece, and pieces as only somebody who wants to get past policies makes them.

use super::raw;
use super::scene::{PATIENCE, SILENCE, Scene, in_both_layouts, pod, pods_named, policy, world};
use enforcer::ruleset::Family;
use enforcer::switches::Switches;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;
use tests::lab::station::Station;
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// Three fragments on a link of 1500 bytes.
const LARGE: usize = 4000;

const PORT: u16 = 53;
const CLOSED_BY_POLICY: u16 = 54;

const CLIENT: &str = "a/x/client";
const STRANGER: &str = "a/x/stranger";
const SERVER: &str = "a/x/server";
const FAR: &str = "b/x/far";

/// Server and `far` are isolated in both directions, and take one port from the client, who may send to that port alone.
fn a_world() -> tests::lab::world::World {
    let ports = json!([{"protocol": "UDP", "port": PORT}]);
    let from_client = json!({"ingress": [{"from": [pods_named("client")], "ports": ports}]});
    let a = vec![
        pod("client", "node-1", &["10.1.1.1", "fd00:10:1:1::1"]),
        pod("stranger", "node-1", &["10.1.1.3", "fd00:10:1:1::3"]),
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

async fn echo(socket: UdpSocket) {
    let mut datagram = [0; LARGE + 1];
    while let Ok((length, asker)) = socket.recv_from(&mut datagram).await {
        socket.send_to(&datagram[..length], asker).await.unwrap();
    }
}

/// Whether a large datagram comes back whole.
async fn comes_back(
    scene: &Scene<'_>,
    from: &str,
    to: &str,
    (family, port): (Family, u16),
    patience: Duration,
) -> bool {
    let ((station, from), (_, to)) = (scene.at(from, family), scene.at(to, family));
    let (from, to) = (SocketAddr::new(from, station.fresh_port()), SocketAddr::new(to, port));
    let exchanged = station.spawn(async move {
        let socket = UdpSocket::bind(from).await?;
        socket.connect(to).await?;
        socket.send(&[1; LARGE]).await?;
        let mut answer = [0; LARGE + 1];
        timeout(patience, socket.recv(&mut answer)).await?
    });
    match exchanged.await.unwrap() {
        Ok(length) => length == LARGE,
        Err(error) if error.kind() == ErrorKind::TimedOut => false,
        Err(error) => panic!("{error}"),
    }
}

/// How many fragments a host has been sent, and how many datagrams it has made of them (RFC 4293).
fn fragments(station: &Station, family: Family) -> (u64, u64) {
    let file = match family {
        Family::V4 => "/proc/thread-self/net/snmp",
        Family::V6 => "/proc/thread-self/net/snmp6",
    };
    let text = station.netns().run(|| fs::read_to_string(file).unwrap()).unwrap();
    let counters: BTreeMap<String, u64> = match family {
        Family::V4 => {
            let mut rows = text.lines().filter_map(|line| line.strip_prefix("Ip: "));
            let (names, values) = (rows.next().unwrap(), rows.next().unwrap());
            let names = names.split(' ').map(|name| format!("Ip{name}"));
            // What is no number is -1: a default that nobody set.
            let values = values.split(' ').map(|value| value.parse().unwrap_or(0));
            names.zip(values).collect()
        }
        Family::V6 => {
            let pairs = text.lines().map(|line| line.split_once(char::is_whitespace).unwrap());
            let pairs = pairs.map(|(name, value)| (name.replace("Ip6", "Ip"), value.trim().parse().unwrap()));
            pairs.collect()
        }
    };
    (counters["IpReasmReqds"], counters["IpReasmOKs"])
}

async fn large_datagrams(scene: &Scene<'_>) {
    let ends = [CLIENT, STRANGER, SERVER, FAR];
    let _range = scene.range(&ends, &["ICMP/0/4", "ICMP/0/6"]).await;
    for (family, to) in pairs() {
        for port in [PORT, CLOSED_BY_POLICY] {
            let (station, address) = scene.at(to, family);
            let socket = UdpSocket::bind(SocketAddr::new(address, port));
            let socket = station.spawn(socket).await.unwrap().unwrap();
            station.spawn(echo(socket));
            for from in [CLIENT, STRANGER] {
                assert!(
                    comes_back(scene, from, to, (family, port), PATIENCE).await,
                    "{from} to {to}"
                );
            }
        }
    }
    scene.enforce(Switches::default());
    for (family, to) in pairs() {
        let what = format!("{:?} {family:?} {to}", scene.layout);
        let (station, _) = scene.at(to, family);
        let (sent, whole) = fragments(station, family);
        for (from, port) in [
            (STRANGER, PORT),
            (STRANGER, CLOSED_BY_POLICY),
            (CLIENT, CLOSED_BY_POLICY),
        ] {
            let came_back = comes_back(scene, from, to, (family, port), SILENCE).await;
            assert!(!came_back, "{what}: from {from} to port {port}");
        }
        assert_eq!(fragments(station, family), (sent, whole), "{what}: no fragment arrives");
        assert!(comes_back(scene, CLIENT, to, (family, PORT), PATIENCE).await, "{what}");
        assert_eq!(fragments(station, family), (sent + 3, whole + 1), "{what}");
    }
}

fn pairs() -> impl Iterator<Item = (Family, &'static str)> {
    Family::ALL
        .into_iter()
        .flat_map(|family| [SERVER, FAR].map(|to| (family, to)))
}

/// S78, K1: fragments without ports follow the first one, which has them: all of an allowed datagram arrive, and its
/// answer's, and none of a refused one.
#[test]
fn later_fragments_follow_the_first() {
    in_both_layouts(&a_world(), &[], large_datagrams);
}

/// The forms in which a datagram may come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    /// Two pieces, the first as short as can be.
    Pieces,
    /// The second of them alone.
    SecondPiece,
    /// Behind a chain of extension headers.
    ExtensionHeaders,
}

/// Whether the server hears a word of the client's.
async fn is_heard(scene: &Scene<'_>, form: Form, ear: &UdpSocket, patience: Duration) -> bool {
    let to = ear.local_addr().unwrap();
    let (client, from) = scene.at(CLIENT, Family::of(to.ip()));
    let port = client.fresh_port();
    let word = format!("{form:?} {port}");
    let packet = raw::udp(SocketAddr::new(from, port), to, word.as_bytes());
    let packets = match form {
        Form::Pieces => raw::fragments(&packet, port).into(),
        Form::SecondPiece => raw::fragments(&packet, port)[1..].to_vec(),
        Form::ExtensionHeaders => vec![raw::with_extension_headers(&packet)],
    };
    for packet in packets {
        raw::send(client, to.ip(), packet).await;
    }
    let mut datagram = [0; 128];
    match timeout(patience, ear.recv_from(&mut datagram)).await {
        Err(_elapsed) => false,
        Ok(heard) => datagram[..heard.unwrap().0] == *word.as_bytes(),
    }
}

async fn crafted(scene: &Scene<'_>) {
    let _range = scene.range(&[CLIENT, SERVER, FAR], &["ICMP/0/4", "ICMP/0/6"]).await;
    let mut ears = Vec::new();
    for (family, to) in pairs() {
        for port in [PORT, CLOSED_BY_POLICY] {
            let (station, address) = scene.at(to, family);
            let bound = station.spawn(UdpSocket::bind(SocketAddr::new(address, port)));
            ears.push((family, port, bound.await.unwrap().unwrap()));
        }
    }
    let forms = |family| match family {
        Family::V4 => &[Form::Pieces][..],
        Family::V6 => &[Form::Pieces, Form::ExtensionHeaders],
    };
    for (family, port, ear) in &ears {
        for form in forms(*family) {
            assert!(
                is_heard(scene, *form, ear, PATIENCE).await,
                "{form:?} to {port} without policies"
            );
        }
    }
    scene.enforce(Switches::default());
    for (family, port, ear) in &ears {
        let what = format!("{:?} {family:?} to {}", scene.layout, ear.local_addr().unwrap());
        for form in forms(*family) {
            let allowed = *port == PORT;
            let patience = if allowed { PATIENCE } else { SILENCE };
            assert_eq!(is_heard(scene, *form, ear, patience).await, allowed, "{form:?} {what}");
        }
        assert!(!is_heard(scene, Form::SecondPiece, ear, SILENCE).await, "{what}");
    }
}

/// S78, K1: a first fragment of eight bytes is judged by the ports in it, and the rest with it; a later one alone goes
/// nowhere; behind extension headers the ports are found.
#[test]
fn crafted_pieces_are_judged_as_the_whole_would_be() {
    in_both_layouts(&a_world(), &[], crafted);
}
