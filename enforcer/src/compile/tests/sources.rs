//! What checks sources, and what the interpreter says that it lets in.

use super::manifests::{Clusters, Node, SMALL};
use crate::interpret::{BridgeEnd, Entry, LinkKind, Packet, Payload, comes_in};
use crate::links::{Interface, Kind, Links, Route, Way};
use crate::ruleset::{LinkName, Ruleset};
use crate::switches::Switches;
use expect_test::{Expect, expect};
use proto::model::ClusterName;
use std::collections::BTreeSet;
use std::net::IpAddr;

const IP: u16 = 0x0800;

fn link(name: &str) -> LinkName {
    LinkName::new(name).unwrap()
}

/// The links of a node: the uplink, a bridge and two veths, ports of the bridge or links of their own.
fn links(bridge: Option<u32>, routes: &[(u32, &str)]) -> Links {
    let interface = |index, name, kind, bridge| Interface {
        index,
        name: link(name),
        kind,
        bridge,
    };
    let interfaces = [
        interface(2, "eth0", Kind::Other, None),
        interface(3, "cni0", Kind::Bridge, None),
        interface(10, "veth10", Kind::VethToElsewhere, bridge),
        interface(11, "veth11", Kind::VethToElsewhere, bridge),
    ];
    let routes = routes.iter().map(|(link, block)| Route {
        link: *link,
        way: Way::OnLink(block.parse().unwrap()),
    });
    Links::of(&interfaces, &routes.collect::<Vec<_>>())
}

fn routed() -> Links {
    links(None, &[(10, "10.1.1.1/32"), (10, "fd00:1::1/128"), (11, "10.1.1.9/32")])
}

fn bridged() -> Links {
    links(Some(3), &[(3, "10.1.1.0/24"), (3, "fd00:1::/64")])
}

/// What node `n1` of the small world compiles with these links; no policy isolates anybody.
fn compiled(links: &Links) -> Ruleset {
    let mut clusters = Clusters::default();
    for (cluster, manifests) in SMALL {
        clusters.load(cluster, manifests);
    }
    let node = Node {
        cluster: ClusterName::new("a").unwrap(),
        name: "n1".into(),
    };
    clusters.ruleset_with_links(&node, links, Switches::default())
}

/// Compares what the links add to the ruleset.
fn check(links: &Links, expected: &Expect) {
    let mut ruleset = compiled(links);
    for table in ruleset.tables.values_mut() {
        table
            .chains
            .retain(|name, _| !["common", "egress", "ingress"].contains(&name.as_str()));
        table.dispatch.clear();
    }
    expected.assert_eq(&ruleset.to_string());
}

#[test]
fn without_links_nothing_is_checked() {
    check(
        Links::NONE,
        &expect![[r#"
            table ip bailey {
            }
            table ip6 bailey {
            }
        "#]],
    );
    check(
        &links(None, &[(11, "10.1.1.9/32")]),
        &expect![[r#"
        table ip bailey {
        }
        table ip6 bailey {
        }
    "#]],
    );
}

#[test]
fn routed_links() {
    check(
        &routed(),
        &expect![[r#"
        table ip bailey {
          set links {
            veth10
          }
          chain prerouting {
            iifname @links jump sources
          }
          chain sources {
            fib saddr . iif oif exists accept
            saddr 0.0.0.0 l4proto 17 sport 68 dport 67 accept
            saddr 0.0.0.0 l4proto 2 accept
            counter drop
          }
        }
        table ip6 bailey {
          set links {
            veth10
          }
          chain prerouting {
            iifname @links jump sources
          }
          chain sources {
            fib saddr . iif oif exists accept
            saddr :: icmpv6 type { 130, 131, 132, 133, 134, 135, 136, 137, 143 } accept
            saddr fe80::/10 accept
            counter drop
          }
        }
    "#]],
    );
}

#[test]
fn ports_of_a_bridge() {
    check(
        &bridged(),
        &expect![[r#"
        table ip bailey {
        }
        table ip6 bailey {
        }
        table bridge bailey {
          set links {
            veth10
            veth11
          }
          set sources4 {
            10.1.1.1
            10.1.1.2
          }
          set sources6 {
            fd00:1::1
            fd00:1::2
          }
          chain between {
            iifname @links jump link-local
          }
          chain link-local {
            protocol ip6 icmpv6 type { 130, 131, 132, 133, 134, 135, 136, 137, 143 } accept
            protocol ip6 l4proto 17 sport 546 dport 547 accept
            protocol ip6 l4proto 17 sport 547 dport 546 accept
            protocol ip6 saddr fe80::/10 counter drop
            protocol ip6 daddr fe80::/10 counter drop
          }
          chain prerouting {
            iifname @links jump tagged
            iifname @links jump sources
          }
          chain sources {
            protocol ip saddr @sources4 accept
            protocol ip saddr 0.0.0.0 l4proto 17 sport 68 dport 67 accept
            protocol ip saddr 0.0.0.0 l4proto 2 accept
            protocol ip counter drop
            protocol ip6 saddr @sources6 accept
            protocol ip6 saddr :: icmpv6 type { 130, 131, 132, 133, 134, 135, 136, 137, 143 } accept
            protocol ip6 saddr fe80::/10 accept
            protocol ip6 counter drop
          }
          chain tagged {
            ether type 0x8100 counter drop
            ether type 0x88a8 counter drop
          }
        }
    "#]],
    );
}

fn packet(source: &str, destination: &str, payload: Payload) -> Packet {
    Packet {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
        payload,
        established: false,
    }
}

/// UDP from the port to the other.
const fn udp(source: u16, destination: u16) -> Payload {
    Payload::Ports {
        protocol: 17,
        source,
        destination,
    }
}

/// K2, S74: on a link of its own a pod sends what is routed to it, and what needs no source.
#[test]
fn what_comes_in_over_routed_links() {
    let ruleset = compiled(&routed());
    let comes = |name: &str, route_back, packet: &Packet| {
        let kind = LinkKind::Routed { route_back };
        comes_in(&ruleset, packet, &Entry { link: link(name), kind })
    };
    for (source, destination) in [("10.1.1.1", "10.1.1.2"), ("fd00:1::1", "fd00:1::2")] {
        let packet = packet(source, destination, udp(4000, 80));
        assert!(comes("veth10", true, &packet), "{source}");
        assert!(!comes("veth10", false, &packet), "{source} without a way back");
        assert!(comes("eth0", false, &packet), "the uplink is not checked");
        assert!(comes("veth11", false, &packet), "no pod's link is not checked");
    }
    let without_source = [
        (packet("0.0.0.0", "255.255.255.255", udp(68, 67)), true),
        (packet("0.0.0.0", "255.255.255.255", udp(68, 53)), false),
        (packet("0.0.0.0", "224.0.0.22", Payload::Other(2)), true),
        (packet("::", "ff02::1:ff00:1", Payload::Icmp(135)), true),
        (packet("::", "ff02::16", Payload::Icmp(143)), true),
        (packet("::", "fd00:1::2", Payload::Icmp(128)), false),
        (packet("fe80::1", "ff02::1", udp(4000, 80)), true),
    ];
    for (packet, expected) in without_source {
        assert_eq!(comes("veth10", false, &packet), expected, "{packet:?}");
    }
}

/// K2, S74: on a bridge a pod sends from any live local pod's address, finds its neighbours, and reaches the node alone by
/// link-local addresses; nobody else's frames are checked.
#[test]
fn what_comes_in_over_a_bridge() {
    let ruleset = compiled(&bridged());
    let comes = |name: &str, to, ether_type, packet: &Packet| {
        let kind = LinkKind::Port { ether_type, to };
        comes_in(&ruleset, packet, &Entry { link: link(name), kind })
    };
    let cases = [
        (packet("10.1.1.1", "10.2.1.1", udp(4000, 80)), true, true),
        (packet("10.1.1.2", "10.2.1.1", udp(4000, 80)), true, true),
        (packet("10.1.1.3", "10.2.1.1", udp(4000, 80)), false, false),
        (packet("10.2.1.1", "10.1.1.2", udp(4000, 80)), false, false),
        (packet("fd00:1::1", "fd00:1::2", udp(4000, 80)), true, true),
        (packet("fd00:1::3", "fd00:1::2", udp(4000, 80)), false, false),
        (packet("0.0.0.0", "255.255.255.255", udp(68, 67)), true, true),
        (packet("::", "ff02::1:ff00:1", Payload::Icmp(135)), true, true),
        (packet("::", "ff02::1", udp(4000, 80)), false, false),
        (packet("fe80::1", "fe80::2", Payload::Icmp(136)), true, true),
        (packet("fe80::1", "fe80::2", udp(4000, 80)), true, false),
        (packet("fd00:1::1", "fe80::2", udp(4000, 80)), true, false),
        (packet("fe80::1", "ff02::1:2", udp(546, 547)), true, true),
    ];
    for (packet, to_node, to_port) in cases {
        let what = format!("{packet:?}");
        assert_eq!(comes("veth10", BridgeEnd::Node, IP, &packet), to_node, "{what}");
        assert_eq!(comes("veth11", BridgeEnd::Port, IP, &packet), to_port, "{what}");
        assert!(
            comes("eth1", BridgeEnd::Port, IP, &packet),
            "{what} from a port that is no pod's"
        );
        assert!(!comes("veth10", BridgeEnd::Port, 0x8100, &packet), "{what} with a tag");
    }
}

#[test]
fn a_port_that_is_held_back_is_not_checked() {
    let links = bridged();
    let pods: BTreeSet<IpAddr> = ["10.1.1.77".parse().unwrap()].into();
    assert_eq!(links.of_pods(&pods).ports, [link("veth10"), link("veth11")].into());
    let without = links.without(&[link("veth10")].into());
    assert_eq!(without.of_pods(&pods).ports, [link("veth11")].into());
}
