//! Real packets between two pods, each in a network namespace, through a node that routes.

use crate::netns::{Netns, in_new_netns, ip};
use crate::{address_set, apply, base, converge, isolate, rule, set, sets};
use enforcer::kernel::Kernel;
use enforcer::plan::{Actual, Sweep, plan};
use enforcer::ruleset::{
    Chain, ChainName, CounterName, Direction, Element, Family, Match, Rule, Ruleset, Set, SetKind, SetName, Side,
    TableFamily, Verdict,
};
use ipnet::IpNet;
use proto::model::Protocol;
use std::collections::{BTreeMap, BTreeSet};
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

/// The server is isolated but for what meets conditions over these sets.
fn world(sets: impl Fn(Family) -> Vec<(SetName, Set)>, conditions: impl Fn(Family) -> Vec<Match>) -> Ruleset {
    let mut ruleset = Ruleset::default();
    for family in Family::ALL {
        ruleset.sets.extend(sets(family));
        let mut table = base(family);
        let common = table.chains.get_mut(&ChainName::fixed("common")).unwrap();
        common.rules = vec![rule([Match::Established], Verdict::Accept)];
        isolate(&mut table, pod_address(family, 2), conditions(family));
        ruleset.tables.insert(TableFamily::of(family), table);
    }
    ruleset
}

/// One set decides; it holds the client, or nobody.
fn frontends(admitted: bool) -> Ruleset {
    let name = |family| SetName::of(family, "frontends");
    let client = |family| admitted.then_some(Element::Address(pod_address(family, 1)));
    world(
        |family| vec![(name(family), address_set(family, client(family)))],
        |family| vec![Match::InSet(Side::Source, name(family), SetKind::Addresses)],
    )
}

#[test]
fn membership_decides_which_packets_pass() {
    in_new_netns(|| {
        let pods = Pods::new();
        let verdicts = || Family::ALL.map(|family| pods.connects(family));
        let mut kernel = Kernel::open().unwrap();
        for (step, admitted) in [("isolated", false), ("a member", true), ("no member any more", false)] {
            let plan = plan(&frontends(admitted), &kernel.read().unwrap(), Sweep::All);
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

/// What has been counted of what the server refuses, by the name of the counter that counts for it.
fn refused() -> BTreeMap<String, u64> {
    let counted = Kernel::counted().unwrap();
    counted
        .into_iter()
        .map(|(name, packets)| (name.to_string(), packets))
        .collect()
}

/// [`frontends`], for a server of a name; `rules` more rules stand in its chain, that admit nobody.
fn frontends_of(server: &str, rules: u16) -> Ruleset {
    let mut ruleset = frontends(false);
    for family in Family::ALL {
        let table = ruleset.tables.get_mut(&TableFamily::of(family)).unwrap();
        let counter = CounterName::read_back(server);
        table.counters = BTreeSet::from([counter.clone()]);
        let chain = ChainName::of_address(Direction::Ingress, pod_address(family, 2));
        let mut all: Vec<Rule> = (0..rules)
            .map(|port| rule([Match::L4Proto(6), Match::SourcePort(port)], Verdict::Accept))
            .collect();
        all.extend([rule([], Verdict::Count(counter)), rule([], Verdict::Drop)]);
        table.chains.insert(chain, Chain { rules: all });
    }
    ruleset
}

/// What a pod refuses is counted in both families, through a change of its policies and a restart, and the next pod of its
/// address begins at zero.
#[test]
fn what_a_pod_refuses_is_counted_for_it_alone() {
    in_new_netns(|| {
        let pods = Pods::new();
        let connect = || Family::ALL.map(|family| pods.connects(family));
        let mut kernel = Kernel::open().unwrap();
        assert_eq!((connect(), refused()), ([true; 2], BTreeMap::new()), "without policies");
        converge(&mut kernel, &frontends_of("db-0", 0));
        assert_eq!(refused(), BTreeMap::from([("db-0".to_owned(), 0)]));
        assert_eq!(connect(), [false; 2]);
        let first = refused()["db-0"];
        // A refused connection is tried again by its sender within its patience, at least once in each family.
        assert!(first >= 2, "{first}");

        converge(&mut kernel, &frontends_of("db-0", 3));
        assert_eq!(refused(), BTreeMap::from([("db-0".to_owned(), first)]), "a refill");
        drop(kernel);
        let mut kernel = Kernel::open().unwrap();
        let plan = plan(&frontends_of("db-0", 3), &kernel.read().unwrap(), Sweep::All);
        assert!(plan.is_empty(), "what is counted is no difference: {plan}");
        assert_eq!(connect(), [false; 2]);
        assert!(refused()["db-0"] > first, "after a restart");

        converge(&mut kernel, &frontends_of("db-1", 3));
        assert_eq!(refused(), BTreeMap::from([("db-1".to_owned(), 0)]), "the next owner");
        kernel.cleanup().unwrap();
        assert_eq!((connect(), refused()), ([true; 2], BTreeMap::new()));
    });
}

/// The address of the node on the client's link.
fn node_address(family: Family) -> IpAddr {
    match family {
        Family::V4 => IpAddr::from([10, 1, 1, 254]),
        Family::V6 => IpAddr::from([0xfd00, 0, 0, 1, 0, 0, 0, 0xfe]),
    }
}

/// The client's egress is isolated but for what goes to the server; if `judged`, also what goes to the node itself.
fn only_to_the_server(judged: bool) -> Ruleset {
    let mut ruleset = Ruleset::default();
    for family in Family::ALL {
        ruleset.sets.extend(sets(family));
        let mut table = base(family);
        let common = table.chains.get_mut(&ChainName::fixed("common")).unwrap();
        common.rules = vec![rule([Match::Established], Verdict::Accept)];
        if family == Family::V6 {
            let discovery = Match::Icmpv6Type([133, 134, 135, 136].into());
            common.rules.push(rule([discovery], Verdict::Accept));
        }
        if judged {
            let egress = table.chains[&ChainName::fixed("egress")].clone();
            table.chains.insert(ChainName::fixed("input"), egress);
        }
        let client = pod_address(family, 1);
        let chain = ChainName::of_address(Direction::Egress, client);
        let server = Match::Address(Side::Destination, pod_address(family, 2));
        let rules = vec![rule([server], Verdict::Accept), rule([], Verdict::Drop)];
        table.chains.insert(chain.clone(), Chain { rules });
        table
            .dispatch
            .entry(Direction::Egress)
            .or_default()
            .insert(client, chain);
        ruleset.tables.insert(TableFamily::of(family), table);
    }
    ruleset
}

/// S65, S67, S68, S74: with a chain on input egress policies judge what a pod sends to its own node, its replies and
/// neighbour discovery aside; an enforcer that is told to allow it again leaves nothing of that behind.
#[test]
fn egress_to_the_node_itself_is_judged_on_input() {
    in_new_netns(|| {
        let pods = Pods::new();
        let _node = TcpListener::bind(("::", PORT)).expect("nobody else is in this network namespace");
        let to_node = || {
            Family::ALL.map(|family| {
                let to = SocketAddr::new(node_address(family), PORT);
                pods.client
                    .run(move || TcpStream::connect_timeout(&to, PATIENCE).is_ok())
            })
        };
        let to_server = || Family::ALL.map(|family| pods.connects(family));
        let from_node = || {
            Family::ALL.map(|family| {
                let listening = pods
                    .client
                    .run(move || TcpListener::bind((pod_address(family, 1), PORT)).expect("its own address"));
                let to = SocketAddr::new(pod_address(family, 1), PORT);
                let connects = TcpStream::connect_timeout(&to, PATIENCE).is_ok();
                drop(listening);
                connects
            })
        };
        assert_eq!((to_node(), from_node()), ([true; 2], [true; 2]), "without policies");
        for judged in [false, true, false] {
            converge(&mut Kernel::open().unwrap(), &only_to_the_server(judged));
            assert_eq!(to_node(), [!judged; 2], "judged: {judged}");
            assert_eq!((to_server(), from_node()), ([true; 2], [true; 2]), "judged: {judged}");
            ip("neigh flush all");
            pods.client.run(|| ip("neigh flush all"));
            assert_eq!(to_server(), [true; 2], "neighbours are found again");
            let actual = Kernel::open().unwrap().read().unwrap();
            assert_eq!(actual, Actual::of(&only_to_the_server(judged)));
        }
    });
}

/// Conditions, the sets that they are over, and whether the client's connection meets them.
struct Case {
    what: &'static str,
    members: fn(Family) -> Vec<Element>,
    condition: fn(Family, SetName) -> Match,
    meets: bool,
}

const CASES: [Case; 10] = [
    case(
        "source address",
        none,
        |family, _| Match::Address(Side::Source, pod_address(family, 1)),
        true,
    ),
    case(
        "another source",
        none,
        |family, _| Match::Address(Side::Source, pod_address(family, 3)),
        false,
    ),
    case(
        "ports 8000-8080",
        none,
        |_, _| Match::DestinationPort(8_000, PORT),
        true,
    ),
    case(
        "ports 8081-9000",
        none,
        |_, _| Match::DestinationPort(PORT + 1, 9_000),
        false,
    ),
    case("TCP", none, |_, _| Match::L4Proto(6), true),
    case("UDP", none, |_, _| Match::L4Proto(17), false),
    case("in a block", |family| vec![wide(family)], in_blocks, true),
    case(
        "in its exception",
        |family| vec![wide(family), narrow(family)],
        in_blocks,
        false,
    ),
    case(
        "a named port",
        |family| vec![Element::Port(pod_address(family, 2), Protocol::Tcp, PORT)],
        to_ports,
        true,
    ),
    case(
        "one of UDP",
        |family| vec![Element::Port(pod_address(family, 2), Protocol::Udp, PORT)],
        to_ports,
        false,
    ),
];

const fn case(
    what: &'static str,
    members: fn(Family) -> Vec<Element>,
    condition: fn(Family, SetName) -> Match,
    meets: bool,
) -> Case {
    Case {
        what,
        members,
        condition,
        meets,
    }
}

const fn none(_: Family) -> Vec<Element> {
    Vec::new()
}

fn wide(family: Family) -> Element {
    Element::Block {
        net: IpNet::new(pod_address(family, 1), 8).unwrap().trunc(),
        nomatch: false,
    }
}

fn narrow(family: Family) -> Element {
    Element::Block {
        net: IpNet::from(pod_address(family, 1)),
        nomatch: true,
    }
}

fn in_blocks(_: Family, name: SetName) -> Match {
    Match::InSet(Side::Source, name, SetKind::Blocks)
}

fn to_ports(_: Family, name: SetName) -> Match {
    Match::InSet(Side::Destination, name, SetKind::Ports)
}

#[test]
fn each_form_of_condition_decides_as_it_says() {
    in_new_netns(|| {
        let pods = Pods::new();
        let mut kernel = Kernel::open().unwrap();
        for Case {
            what,
            members,
            condition,
            meets,
        } in CASES
        {
            let kind = |family| match members(family).first() {
                Some(Element::Block { .. }) => SetKind::Blocks,
                Some(Element::Port(_, _, _)) => SetKind::Ports,
                Some(Element::Address(_)) | None => SetKind::Addresses,
            };
            let desired = world(
                |family| vec![(SetName::of(family, what), set(kind(family), family, members(family)))],
                |family| vec![condition(family, SetName::of(family, what))],
            );
            apply(&mut kernel, &desired).unwrap();
            assert_eq!(
                Family::ALL.map(|family| pods.connects(family)),
                [meets, meets],
                "{what}"
            );
        }
    });
}
