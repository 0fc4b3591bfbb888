//! What passes whatever policies say, by packets: replies, neighbour discovery, errors about allowed connections, and a
//! pod's own node. Every pod here is isolated in both directions.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking; clippy sees tests here only inside #[test]"
)]

use enforcer::ruleset::Family;
use enforcer::switches::Switches;
use serde_json::{Value, json};
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::time::Duration;
use tests::lab::ends::{End, Probe};
use tests::lab::fabric::{Blueprint, Fabric};
use tests::lab::layout::Layout;
use tests::lab::netns::Netns;
use tests::lab::probe::Range;
use tests::lab::station::Station;
use tests::lab::world::World;
use tests::lab::{direct, screen};
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// How long the word that a port is closed may take; on an idle machine it takes microseconds.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long is waited for a word that must not come.
const SILENCE: Duration = Duration::from_millis(300);

/// A port that policies allow and nobody listens on.
const ALLOWED_AND_CLOSED: u16 = 54;
/// One that they do not allow either.
const REFUSED_AND_CLOSED: u16 = 55;

const CLIENT: &str = "a/x/client";
const SERVER: &str = "a/x/server";
const FAR: &str = "b/x/far";
const NODE: &str = "a/x/node";

/// The client may open connections to all, the server and, in another cluster, `far` take them from the client alone.
fn world() -> World {
    let rule = |peers: &str, peer: &Value| {
        let ports = [("TCP", 80), ("UDP", 53), ("SCTP", 38), ("UDP", ALLOWED_AND_CLOSED)];
        let ports = ports.map(|(protocol, port)| json!({"protocol": protocol, "port": port}));
        json!({peers: peer, "ports": ports})
    };
    let from_client = json!([{"podSelector": {"matchLabels": {"app": "client"}}, "namespaceSelector": {}}]);
    let a = vec![
        pod("client", &["10.1.1.1", "fd00:10:1:1::1"]),
        pod("server", &["10.1.1.2", "fd00:10:1:1::2"]),
        host_pod("node", &["192.0.2.1", "fd00:40::1"]),
        policy("client", &json!({"egress": [rule("to", &json!([]))]})),
        policy("server", &json!({"ingress": [rule("from", &from_client)]})),
    ];
    let b = vec![
        pod("far", &["10.2.1.1", "fd00:10:2:1::1"]),
        policy("far", &json!({"ingress": [rule("from", &from_client)]})),
    ];
    World {
        clusters: [("a".parse().unwrap(), a), ("b".parse().unwrap(), b)].into(),
    }
}

fn pod(name: &str, ips: &[&str]) -> Value {
    let ips: Vec<Value> = ips.iter().map(|ip| json!({"ip": ip})).collect();
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "x", "labels": {"app": name}},
        "spec": {"nodeName": "node-1"}, "status": {"phase": "Running", "podIPs": ips},
    })
}

fn host_pod(name: &str, ips: &[&str]) -> Value {
    let mut pod = pod(name, ips);
    pod["spec"]["hostNetwork"] = true.into();
    pod
}

/// Isolates a pod in both directions, but for some rules.
fn policy(app: &str, rules: &Value) -> Value {
    let mut spec = rules.clone();
    spec["podSelector"] = json!({"matchLabels": {"app": app}});
    spec["policyTypes"] = json!(["Ingress", "Egress"]);
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": app, "namespace": "x"}, "spec": spec,
    })
}

/// Who opens a connection to whom: client, server, far and node. A pod reaches its own node and is reached by it (S67,
/// S68); what the client opened is answered, although nobody else may open anything.
const EXPECTED: [&str; 4] = ["....", "X.X.", "XX.X", "..X."];

fn signs(rows: &[Vec<tests::lab::ends::Verdict>]) -> Vec<String> {
    rows.iter()
        .map(|row| row.iter().map(|verdict| verdict.sign()).collect())
        .collect()
}

/// Forgets who is where: whoever sends next has to ask.
fn flush_neighbours(station: &Station) {
    let flushed = station
        .netns()
        .run(|| Command::new("ip").args(["neigh", "flush", "all"]).status().unwrap());
    assert!(flushed.unwrap().success());
}

/// Whether a datagram to a closed port brings the word that it is closed.
async fn is_told_closed(fabric: &Fabric, to: &str, family: Family, port: u16, patience: Duration) -> bool {
    let address = |name: &str| {
        let (station, addresses) = fabric.locate(&name.parse().unwrap()).unwrap();
        let address = addresses.iter().copied().find(|one| Family::of(*one) == family);
        (station, address.unwrap())
    };
    let ((client, from), (_, to)): ((_, IpAddr), _) = (address(CLIENT), address(to));
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

async fn passes(world: &World, fabric: &Fabric, layout: Layout) {
    let ends: Vec<End> = [CLIENT, SERVER, FAR, NODE].map(|end| end.parse().unwrap()).into();
    let probes: Vec<Probe> = ["TCP/80/4", "TCP/80/6", "UDP/53/4", "UDP/53/6", "SCTP/38/4", "SCTP/38/6"]
        .map(|probe| probe.parse().unwrap())
        .into();
    let range = Range::open(fabric, ends, probes).await.unwrap();
    range.baseline().await.unwrap();
    for family in Family::ALL {
        for to in [SERVER, FAR] {
            assert!(is_told_closed(fabric, to, family, REFUSED_AND_CLOSED, PATIENCE).await);
        }
    }
    direct::enforce(
        fabric,
        &direct::rulesets(world, fabric.plan(), Switches::default()).unwrap(),
    )
    .unwrap();
    for station in fabric
        .nodes()
        .map(|(_, node)| node)
        .chain(fabric.pods().map(|(_, pod)| pod))
    {
        flush_neighbours(station);
    }
    for table in range.judge().await.unwrap() {
        let shown = screen::table(range.ends(), &table);
        assert_eq!(signs(&table.rows), EXPECTED, "{layout:?}\n{shown}");
    }
    for family in Family::ALL {
        for to in [SERVER, FAR] {
            let what = format!("{layout:?} {family:?} {to}");
            assert!(
                is_told_closed(fabric, to, family, ALLOWED_AND_CLOSED, PATIENCE).await,
                "{what}"
            );
            assert!(
                !is_told_closed(fabric, to, family, REFUSED_AND_CLOSED, SILENCE).await,
                "{what}"
            );
        }
    }
}

#[test]
fn what_always_passes_does() {
    for layout in Layout::ALL {
        let host = Netns::leave().expect("these tests make network namespaces: run them as root");
        let world = world();
        let blueprint = Blueprint {
            world: &world,
            outside: &[].into(),
            api_servers: 0,
            layout,
        };
        let fabric = Fabric::build(blueprint).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(passes(&world, &fabric, layout));
        host.enter().unwrap();
    }
}
