//! Real packets between two pods, each in a network namespace, through a node that routes.

use crate::netns::{Netns, in_new_netns, ip};
use crate::{address_set, base, isolate, rule};
use enforcer::kernel::Kernel;
use enforcer::plan::{Sweep, plan};
use enforcer::ruleset::{ChainName, Element, Family, Match, Ruleset, SetName, Verdict};
use std::fs;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

const PORT: u16 = 8080;

/// A path of two links in one machine takes well below a millisecond; a dropped packet is never answered.
const PATIENCE: Duration = Duration::from_millis(400);

/// How often the first connection is tried: the kernel takes up to a second to notice that a link is up.
const ATTEMPTS: usize = 20;

/// Two pods on routed links of the node, which is the network namespace of the calling thread.
struct Pods {
    client: Netns,
    _server: Netns,
    _listener: TcpListener,
}

impl Pods {
    fn new() -> Self {
        ip("link set lo up");
        sysctl("ipv4/ip_forward", "1");
        sysctl("ipv6/conf/all/forwarding", "1");
        sysctl("ipv6/conf/default/accept_dad", "0");
        let (client, server) = (pod(1), pod(2));
        let listener =
            server.run(|| TcpListener::bind(("::", PORT)).expect("nobody else is in this network namespace"));
        let pods = Self {
            client,
            _server: server,
            _listener: listener,
        };
        let is_up = (0..ATTEMPTS).any(|_| Family::ALL.iter().all(|family| pods.connects(*family)));
        assert!(is_up, "without policies, everything passes");
        pods
    }

    fn connects(&self, family: Family) -> bool {
        let to = SocketAddr::new(pod_address(family, 2), PORT);
        self.client
            .run(move || TcpStream::connect_timeout(&to, PATIENCE).is_ok())
    }
}

/// Sets a parameter of the calling thread's network namespace.
fn sysctl(name: &str, value: &str) {
    fs::write(format!("/proc/sys/net/{name}"), value).expect("/proc/sys is writable");
}

fn pod_address(family: Family, pod: u8) -> IpAddr {
    match family {
        Family::V4 => IpAddr::from([10, 1, pod, 1]),
        Family::V6 => IpAddr::from([0xfd00, 0, 0, u16::from(pod), 0, 0, 0, 1]),
    }
}

fn pod(number: u8) -> Netns {
    let pod = Netns::new();
    pod.run(|| sysctl("ipv6/conf/default/accept_dad", "0")); // its addresses are usable at once
    let link = format!("pod{number}");
    ip(&format!("link add {link} type veth peer name eth0 netns {}", pod.id));
    ip(&format!("addr add 10.1.{number}.254/24 dev {link}"));
    ip(&format!("addr add fd00:0:0:{number}::fe/64 dev {link} nodad"));
    ip(&format!("link set {link} up"));
    pod.run(move || {
        ip(&format!("addr add 10.1.{number}.1/24 dev eth0"));
        ip(&format!("addr add fd00:0:0:{number}::1/64 dev eth0 nodad"));
        ip("link set eth0 up");
        ip(&format!("route add default via 10.1.{number}.254"));
        ip(&format!("-6 route add default via fd00:0:0:{number}::fe"));
    });
    pod
}

/// The server is isolated; the set admits the client, or nobody.
fn world(admitted: bool) -> Ruleset {
    let mut ruleset = Ruleset::default();
    for family in Family::ALL {
        let peers = SetName::of(family, "frontends");
        let client = admitted.then_some(Element::Address(pod_address(family, 1)));
        ruleset.sets.insert(peers.clone(), address_set(family, client));
        let mut table = base(family);
        let common = table.chains.get_mut(&ChainName::fixed("common")).expect("base has it");
        common.rules = vec![rule([Match::Established], Verdict::Accept)];
        isolate(&mut table, pod_address(family, 2), &peers);
        ruleset.tables.insert(family, table);
    }
    ruleset
}

#[test]
fn membership_decides_which_packets_pass() {
    in_new_netns(|| {
        let pods = Pods::new();
        let verdicts = || Family::ALL.map(|family| pods.connects(family));
        let mut kernel = Kernel::open().unwrap();
        for (step, admitted) in [("isolated", false), ("a member", true), ("no member any more", false)] {
            let plan = plan(&world(admitted), &kernel.read().unwrap(), Sweep::All);
            assert_eq!(
                plan.transaction.is_empty(),
                step != "isolated",
                "a member touches no rule"
            );
            kernel.apply(&plan).unwrap();
            assert_eq!(verdicts(), [admitted, admitted], "{step}");
        }
        drop(kernel);
        assert_eq!(verdicts(), [false, false], "protection outlives the enforcer");
        Kernel::open().unwrap().cleanup().unwrap();
        assert_eq!(verdicts(), [true, true], "after cleanup");
    });
}
