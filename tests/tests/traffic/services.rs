//! Connections to Services and hostPorts, whose destination a node translates before policies judge it.

use super::nat::{Translation, translate};
use super::scene::{Scene, in_both_layouts, ip, is_answered, node, pod, pods_named, policy, world};
use enforcer::offline::ends::Transport;
use enforcer::ruleset::Family;
use enforcer::switches::Switches;
use serde_json::json;
use std::net::{IpAddr, SocketAddr};
use tests::lab::layout::Layout;

/// What Services and hostPorts are called by.
const SERVICE_PORT: u16 = 80;
/// What their pods listen on.
const CONTAINER_PORT: u16 = 8080;

/// The pods behind the Services, each behind one, in the order of the Services' addresses.
const BACKENDS: [&str; 5] = [
    "a/x/server",
    "a/x/by-service-port",
    "a/x/alone",
    "b/x/far",
    "b/x/far-closed",
];

/// Who connects to which Service, and whether it may.
const CONNECTIONS: [(&str, &str, bool); 10] = [
    ("a/x/client", "a/x/server", true),
    ("a/x/client", "a/x/by-service-port", false),
    ("a/x/client", "a/x/alone", false),
    ("a/x/client", "b/x/far", true),
    ("a/x/client", "b/x/far-closed", false),
    ("a/x/to-service-port", "a/x/server", false),
    ("a/x/to-service-range", "a/x/server", false),
    ("a/x/alone", "a/x/alone", true),
    ("a/x/alone", "a/x/server", false),
    ("a/x/server", "a/x/server", true),
];

const OUTSIDE: [&str; 2] = ["198.51.100.7", "2001:db8::7"];

fn a_world() -> tests::lab::world::World {
    let port = |number: u16| json!([{"protocol": "TCP", "port": number}]);
    let blocks = |cidrs: [&str; 2]| json!(cidrs.map(|cidr| json!({"ipBlock": {"cidr": cidr}})));
    let mut public = pod("public", "node-1", &["10.1.1.7", "fd00:10:1:1::7"]);
    public["spec"]["containers"] = json!([{
        "name": "main", "image": "example.com/x",
        "ports": [{"name": "http", "containerPort": CONTAINER_PORT, "hostPort": SERVICE_PORT}],
    }]);
    let from_outside = blocks(["198.51.100.7/32", "2001:db8::7/128"]);
    let a = vec![
        node("node-1", &["192.0.2.1", "fd00:40::1"]),
        pod("client", "node-1", &["10.1.1.1", "fd00:10:1:1::1"]),
        pod("to-service-port", "node-1", &["10.1.1.2", "fd00:10:1:1::2"]),
        pod("to-service-range", "node-1", &["10.1.1.3", "fd00:10:1:1::3"]),
        pod("server", "node-1", &["10.1.1.4", "fd00:10:1:1::4"]),
        pod("by-service-port", "node-1", &["10.1.1.5", "fd00:10:1:1::5"]),
        pod("alone", "node-1", &["10.1.1.6", "fd00:10:1:1::6"]),
        public,
        pod("public-by-host-port", "node-1", &["10.1.1.8", "fd00:10:1:1::8"]),
        policy("client", &json!({"egress": [{"ports": port(CONTAINER_PORT)}]})),
        policy("to-service-port", &json!({"egress": [{"ports": port(SERVICE_PORT)}]})),
        policy(
            "to-service-range",
            &json!({"egress": [{"to": blocks(["10.96.0.0/16", "fd00:96::/64"])}]}),
        ),
        policy("server", &json!({"ingress": [{"ports": port(CONTAINER_PORT)}]})),
        policy("by-service-port", &json!({"ingress": [{"ports": port(SERVICE_PORT)}]})),
        policy("alone", &json!({})),
        policy(
            "public",
            &json!({"ingress": [{"from": from_outside, "ports": [{"port": "http"}]}]}),
        ),
        policy(
            "public-by-host-port",
            &json!({"ingress": [{"from": from_outside, "ports": port(SERVICE_PORT)}]}),
        ),
    ];
    let b = vec![
        pod("far", "node-1", &["10.2.1.1", "fd00:10:2:1::1"]),
        pod("far-closed", "node-1", &["10.2.1.2", "fd00:10:2:1::2"]),
        policy(
            "far",
            &json!({"ingress": [{"from": [pods_named("client")], "ports": port(CONTAINER_PORT)}]}),
        ),
        policy("far-closed", &json!({})),
    ];
    world(vec![("a", a), ("b", b)])
}

/// The address of the Service of a backend.
fn service(backend: &str, family: Family) -> SocketAddr {
    let number = BACKENDS.iter().position(|one| *one == backend).unwrap();
    let address = match family {
        Family::V4 => format!("10.96.0.{number}"),
        Family::V6 => format!("fd00:96::{number}"),
    };
    SocketAddr::new(address.parse().unwrap(), SERVICE_PORT)
}

/// A port of the node's address.
fn host_port(family: Family, port: u16) -> SocketAddr {
    let address: [IpAddr; 2] = ["192.0.2.1", "fd00:40::1"].map(|address| address.parse().unwrap());
    SocketAddr::new(address[usize::from(family == Family::V6)], port)
}

/// The hostPorts: the pod's, and another one's that is the Services' port too.
const HOST_PORTS: [(&str, u16); 2] = [("a/x/public", 30_080), ("a/x/public-by-host-port", SERVICE_PORT)];

/// Everything to a pod that calls itself, and all that comes in by hostPorts, then comes from the node.
const MASQUERADED: [&str; 4] = ["a/x/alone", "a/x/server", "a/x/public", "a/x/public-by-host-port"];

fn install(scene: &Scene<'_>) {
    let node = scene.node("a/node-1").netns();
    for family in Family::ALL {
        let at = |end: &str| SocketAddr::new(scene.at(end, family).1, CONTAINER_PORT);
        let services = BACKENDS.iter().map(|backend| Translation {
            from: service(backend, family),
            to: at(backend),
        });
        let host_ports = HOST_PORTS.iter().map(|(end, port)| Translation {
            from: host_port(family, *port),
            to: at(end),
        });
        let translations: Vec<Translation> = services.chain(host_ports).collect();
        let masqueraded = MASQUERADED.map(|end| at(end).ip());
        translate(node, family, &translations, &masqueraded);
    }
    if scene.layout == Layout::Bridge {
        // As the bridge plugin's hairpinMode: a pod's packet may go back by the link that it came from.
        for link in 10..18 {
            ip(node, &format!("link set veth{link} type bridge_slave hairpin on"));
        }
    }
}

async fn check(scene: &Scene<'_>, what: &str, expected: impl Fn(bool) -> bool) {
    for family in Family::ALL {
        for (from, backend, allowed) in CONNECTIONS {
            let to = service(backend, family);
            let answered = is_answered(scene.at(from, family), Transport::Tcp, to, expected(allowed)).await;
            let layout = scene.layout;
            assert_eq!(
                answered,
                expected(allowed),
                "{what}, {layout:?} {family:?}: {from} to {backend}'s"
            );
        }
        let outside = OUTSIDE[usize::from(family == Family::V6)];
        for ((end, port), allowed) in HOST_PORTS.into_iter().zip([true, false]) {
            let from = scene.at(&format!("ip:{outside}"), family);
            let to = host_port(family, port);
            let answered = is_answered(from, Transport::Tcp, to, expected(allowed)).await;
            let layout = scene.layout;
            assert_eq!(
                answered,
                expected(allowed),
                "{what}, {layout:?} {family:?}: outside to {end}'s"
            );
        }
    }
}

async fn translated(scene: &Scene<'_>) {
    let ends = [
        BACKENDS.as_slice(),
        &["a/x/client", "a/x/public", "a/x/public-by-host-port"],
    ]
    .concat();
    let _range = scene.range(&ends, &["TCP/8080"]).await;
    install(scene);
    check(scene, "without policies", |_| true).await;
    scene.enforce(Switches::default());
    check(scene, "with policies", |allowed| allowed).await;
}

/// S40, S41, S62, S75, S118: of a connection to a Service, here and in another cluster, or to a hostPort, policies see the
/// pod's address and port, and the client's address although it is masqueraded later; a pod under deny-all reaches itself
/// through its own Service.
#[test]
fn translated_connections_are_judged_by_the_pod_behind_them() {
    let outside = OUTSIDE.map(|address| address.parse().unwrap());
    in_both_layouts(&a_world(), &outside, translated);
}
