//! How pods hang on their node, as the batches that make it so.
//!
//! Every host of the lab has its addresses as /32 and /128 and a default route to a router that has the same
//! addresses on every link of its. So pods may have any address on any node. The two layouts differ in what lies between the
//! pods of one node, and with it in the way their packets take through netfilter.

use super::address::AddressPlan;
use super::links::{Batch, FABRIC, Index, LOOPBACK, NODE, Plug, Router};
use super::netns::{Netns, set_sysctl};
use enforcer::offline::ends::{NodeName, PodName};
use std::io;
use std::net::IpAddr;

/// How the pods of a node are connected.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, clap::ValueEnum)]
pub enum Layout {
    /// Pods on a bridge `cni0`, as the bridge plugin makes it, with bridge-nf-call on: traffic within a node is bridged.
    #[default]
    Bridge,
    /// A routed link for each pod, as ptp and Calico make it.
    Routed,
}

impl Layout {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Bridge, Self::Routed];
}

/// A host's only link, seen from the host.
const UPLINK: Index = 2;
/// `cni0` of a node.
const BRIDGE: Index = 3;
/// The first of a router's links to its hosts.
const FIRST_DOWNLINK: Index = 10;

/// Settings that a node of this layout needs; run in its network namespace.
///
/// # Errors
/// If the kernel has no bridge netfilter.
pub fn configure_node(layout: Layout) -> io::Result<()> {
    match layout {
        Layout::Routed => Ok(()),
        Layout::Bridge => {
            set_sysctl("bridge/bridge-nf-call-iptables", "1")?;
            set_sysctl("bridge/bridge-nf-call-ip6tables", "1")
        }
    }
}

/// The fabric's links to nodes and the other hosts on it. It has the services' addresses itself.
pub fn fabric_links<'a>(plan: &AddressPlan, hosts: impl Iterator<Item = (&'a str, &'a Netns)>) -> Batch {
    let mut batch = Batch::default();
    batch.up(LOOPBACK);
    for address in plan.services.iter().flat_map(|service| service.addresses()) {
        batch.address(LOOPBACK, address);
    }
    for (number, (name, netns)) in (0..).zip(hosts) {
        let link = FIRST_DOWNLINK + number;
        batch.veth(
            Plug { index: link, name },
            Plug {
                index: UPLINK,
                name: "eth0",
            },
            netns,
        );
        batch.router(link, FABRIC);
    }
    batch
}

/// The fabric's routes: nodes and loose hosts in the order of [`fabric_links`], pods by their nodes.
pub fn fabric_routes(plan: &AddressPlan) -> Batch {
    let mut batch = Batch::default();
    for (link, (name, node)) in (FIRST_DOWNLINK..).zip(&plan.nodes) {
        for address in node.addresses() {
            batch.on_link(address, link, fabric_source(plan, address));
        }
        for &address in pods_of(plan, name).flat_map(|(_, addresses, _)| addresses) {
            batch.via(address, node.fabric_address(address), link);
        }
    }
    let first_loose = FIRST_DOWNLINK + index(plan.nodes.len());
    for (link, addresses) in (first_loose..).zip(plan.loose()) {
        for &address in addresses {
            batch.on_link(address, link, fabric_source(plan, address));
        }
    }
    batch
}

/// A node's own addresses, its way out, and its links to its pods.
pub fn node_links<'a>(
    plan: &AddressPlan,
    name: &NodeName,
    layout: Layout,
    netns: impl Fn(&PodName) -> &'a Netns,
) -> Batch {
    let node = &plan.nodes[name];
    let mut batch = host_links(node.addresses(), FABRIC);
    if layout == Layout::Bridge {
        batch.bridge(Plug {
            index: BRIDGE,
            name: "cni0",
        });
        batch.router(BRIDGE, NODE);
    }
    for (pod, addresses, link) in pods_of(plan, name) {
        let veth = format!("veth{link}");
        batch.veth(
            Plug {
                index: link,
                name: &veth,
            },
            Plug {
                index: UPLINK,
                name: "eth0",
            },
            netns(pod),
        );
        let way = match layout {
            Layout::Bridge => {
                batch.join(link, BRIDGE);
                BRIDGE
            }
            Layout::Routed => {
                batch.router(link, NODE);
                link
            }
        };
        for &address in addresses {
            batch.on_link(address, way, Some(node.fabric_address(address)));
        }
    }
    batch
}

/// A pod's own addresses and its way out; on a bridge, the other pods of its node are on the link.
pub fn pod_links(plan: &AddressPlan, name: &PodName, layout: Layout) -> Batch {
    let pod = &plan.pods[name];
    let mut batch = host_links(pod.addresses.iter().copied(), NODE);
    if layout == Layout::Bridge {
        for (_, addresses, _) in pods_of(plan, &pod.node).filter(|(other, ..)| *other != name) {
            for &address in addresses {
                batch.on_link(address, UPLINK, None);
            }
        }
    }
    batch
}

/// A host on the fabric that is no node: its addresses, and the fabric for the rest.
pub fn loose_links(addresses: &[IpAddr]) -> Batch {
    host_links(addresses.iter().copied(), FABRIC)
}

/// A host with one link: its addresses and a default route.
fn host_links(addresses: impl Iterator<Item = IpAddr>, router: Router) -> Batch {
    let mut batch = Batch::default();
    batch.up(LOOPBACK);
    batch.up(UPLINK);
    for address in addresses {
        batch.address(UPLINK, address);
    }
    batch.default_routes(UPLINK, router);
    batch
}

/// The pods of a node, with their addresses and the node's end of their link.
fn pods_of<'a>(plan: &'a AddressPlan, node: &NodeName) -> impl Iterator<Item = (&'a PodName, &'a [IpAddr], Index)> {
    let pods = plan.pods.iter().filter(move |(_, pod)| pod.node == *node);
    pods.zip(FIRST_DOWNLINK..)
        .map(|((name, pod), link)| (name, pod.addresses.as_slice(), link))
}

/// What the fabric sends from, so that nobody sees the link's address.
fn fabric_source(plan: &AddressPlan, to: IpAddr) -> Option<IpAddr> {
    let addresses = plan.services.first()?.addresses();
    addresses.into_iter().find(|address| address.is_ipv4() == to.is_ipv4())
}

fn index(count: usize) -> Index {
    Index::try_from(count).expect("a machine holds fewer hosts than 2^32")
}
