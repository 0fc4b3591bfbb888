//! Who has which address in the lab's network.
//!
//! Pure. Pods keep the addresses of their manifests. Nodes get one of each family from the fabric's own ranges, and
//! those that manifests give them beside it; hub and API servers live on the fabric itself.

use super::world::{Network, Pod, World};
use enforcer::offline::ends::{NodeName, PodName};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The fabric's own ranges: `10.30.0.0/16` and `fd00:30::/64`. A node's number is in the last bits.
const FABRIC_V4: Ipv4Addr = Ipv4Addr::new(10, 30, 0, 0);
const FABRIC_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x30, 0, 0, 0, 0, 0, 0);

/// Nodes are numbered from 1, services of the fabric itself from here, so that nodes end before `10.30.255.0`.
const FIRST_SERVICE: u16 = 0xff01;

/// A service on the fabric itself: 0 is the hub, 1 and on the API servers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Service(pub u8);

/// The hub.
pub const HUB: Service = Service(0);

/// The addresses of one world.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AddressPlan {
    /// Every node, in order.
    pub nodes: BTreeMap<NodeName, Node>,
    /// Pods with a network of their own that have an address, in order.
    pub pods: BTreeMap<PodName, Placed>,
    /// Pods that use their node's network.
    pub host_pods: BTreeMap<PodName, Placed>,
    /// Pods that have an address and are on no node (I12), by name: hosts on the fabric, which nobody's node judges.
    pub adrift: BTreeMap<PodName, Vec<IpAddr>>,
    /// Hosts outside of all clusters.
    pub outside: BTreeSet<IpAddr>,
    /// Services of the fabric that must be reachable.
    pub services: Vec<Service>,
    /// What of the manifests this network cannot show, for people.
    pub notes: Vec<String>,
}

/// A node's addresses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    /// On the fabric; IPv4.
    pub v4: Ipv4Addr,
    /// On the fabric; IPv6.
    pub v6: Ipv6Addr,
    /// By the manifests.
    pub given: Vec<IpAddr>,
}

/// A pod with its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Placed {
    /// Where it runs.
    pub node: NodeName,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

/// An address of the manifests is needed by the lab itself.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{who} has {address}, but the lab's own fabric uses {range}: give it another address")]
pub struct Collision {
    who: String,
    address: IpAddr,
    range: &'static str,
}

impl Service {
    /// Its addresses, IPv4 first.
    pub fn addresses(self) -> [IpAddr; 2] {
        let number = FIRST_SERVICE + u16::from(self.0);
        [fabric_v4(number).into(), fabric_v6(number).into()]
    }
}

impl Node {
    /// The address of one family on the fabric: what it is reached by, and what it sends from.
    pub fn fabric_address(&self, like: IpAddr) -> IpAddr {
        if like.is_ipv4() { self.v4.into() } else { self.v6.into() }
    }

    /// All its addresses.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        [self.v4.into(), self.v6.into()]
            .into_iter()
            .chain(self.given.iter().copied())
    }
}

impl AddressPlan {
    /// The hosts on the fabric that are no nodes: those outside of all clusters, then the pods on no node.
    pub fn loose(&self) -> impl Iterator<Item = &[IpAddr]> {
        let outside = self.outside.iter().map(std::slice::from_ref);
        outside.chain(self.adrift.values().map(Vec::as_slice))
    }

    /// The plan of a world with these outside hosts and services.
    ///
    /// # Errors
    /// If a pod, node or outside host has an address of the fabric's own.
    pub fn new(world: &World, outside: &BTreeSet<IpAddr>, services: Vec<Service>) -> Result<Self, Collision> {
        let mut plan = Self {
            services,
            ..Self::default()
        };
        let mut taken: BTreeMap<IpAddr, String> = BTreeMap::new();
        for (number, (name, given)) in (1..).zip(world.nodes()) {
            let mut free = Vec::new();
            for address in given {
                if plan.claim(&mut taken, address, format!("node {name}"))? {
                    free.push(address);
                }
            }
            plan.nodes.insert(
                name,
                Node {
                    v4: fabric_v4(number),
                    v6: fabric_v6(number),
                    given: free,
                },
            );
        }
        for pod in world.pods() {
            plan.place(&mut taken, pod)?;
        }
        for &address in outside {
            if plan.claim(&mut taken, address, format!("outside host ip:{address}"))? {
                plan.outside.insert(address);
            }
        }
        Ok(plan)
    }

    fn place(&mut self, taken: &mut BTreeMap<IpAddr, String>, pod: Pod) -> Result<(), Collision> {
        if pod.addresses.is_empty() {
            return Ok(());
        }
        let mut addresses = Vec::new();
        for address in pod.addresses {
            let usable = match (pod.network, &pod.node) {
                (Network::Host, Some(node)) => self.nodes.get(node).is_some_and(|node| node.given.contains(&address)),
                (Network::Host, None) => false,
                (Network::Pod, _) => self.claim(taken, address, pod.name.to_string())?,
            };
            if usable {
                addresses.push(address);
            }
        }
        match (pod.network, pod.node) {
            (Network::Pod, Some(node)) => drop(self.pods.insert(pod.name, Placed { node, addresses })),
            (Network::Host, Some(node)) => drop(self.host_pods.insert(pod.name, Placed { node, addresses })),
            (Network::Pod, None) => drop(self.adrift.insert(pod.name, addresses)),
            (Network::Host, None) => self.notes.push(format!(
                "{} uses the network of a node and is on none: it is not in the network",
                pod.name
            )),
        }
        Ok(())
    }

    /// Whether the address is its claimant's: the first has it, for two hosts cannot.
    fn claim(&mut self, taken: &mut BTreeMap<IpAddr, String>, address: IpAddr, who: String) -> Result<bool, Collision> {
        if let Some(range) = reserved(address) {
            return Err(Collision { who, address, range });
        }
        match taken.get(&address) {
            Some(first) => {
                self.notes
                    .push(format!("{who} and {first} both claim {address}: here it is {first}'s"));
                Ok(false)
            }
            None => {
                taken.insert(address, who);
                Ok(true)
            }
        }
    }
}

/// The range of the lab's own that an address is in.
fn reserved(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(v4) if v4.octets()[..2] == FABRIC_V4.octets()[..2] => Some("10.30.0.0/16"),
        IpAddr::V4(v4) if v4.is_link_local() => Some("169.254.0.0/16"),
        IpAddr::V4(v4) if v4.is_loopback() => Some("127.0.0.0/8"),
        IpAddr::V6(v6) if v6.octets()[..8] == FABRIC_V6.octets()[..8] => Some("fd00:30::/64"),
        IpAddr::V6(v6) if v6.is_unicast_link_local() => Some("fe80::/10"),
        IpAddr::V6(v6) if v6.is_loopback() => Some("::1"),
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    }
}

fn fabric_v4(number: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(FABRIC_V4.to_bits() | u32::from(number))
}

fn fabric_v6(number: u16) -> Ipv6Addr {
    Ipv6Addr::from_bits(FABRIC_V6.to_bits() | u128::from(number))
}
