//! The node's links that pods may hang on, as far as links and routes tell.
//!
//! Pure. A pod's link is known here only by what leads there: nothing says whose a link is (that would be NRI), so what is
//! not certain is no pod's link, and goes unchecked. Certain is:
//!
//! - A veth whose other end is in another network namespace, with a route of its own (`/32`, `/128`) to an address that a
//!   live local pod owns: the routed layout, as ptp and Calico make it.
//! - A port of a bridge over which the route to such an address leads, if the port is a veth whose other end is in another
//!   network namespace: the bridged layout. A physical port, a bond, a tunnel is none.
//!
//! Behind neither may be more than pods: a link over which routes lead through a gateway has the network behind it (the
//! node's uplink, in a bridge or as a veth, or a pod that routes for others) and is never a pod's. Routes that the link itself can bring
//! about (router advertisements, redirects) do not count for that, or a pod could declare itself a router and go unchecked.

use crate::ruleset::LinkName;
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The number of an interface.
pub type Index = u32;

/// What an interface is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A veth whose other end is in another network namespace.
    VethToElsewhere,
    /// A bridge.
    Bridge,
    /// Anything else.
    Other,
}

/// An interface of the node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interface {
    /// Its number.
    pub index: Index,
    /// Its name.
    pub name: LinkName,
    /// What it is.
    pub kind: Kind,
    /// The bridge that it is a port of.
    pub bridge: Option<Index>,
}

/// A route of the node, to some block by some interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Route {
    /// The interface.
    pub link: Index,
    /// What it leads to.
    pub way: Way,
}

/// How a route leads to its destination.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// The destination is on the link.
    OnLink(IpNet),
    /// Through a router that is on the link.
    Gateway,
}

/// The links that pods may hang on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Links {
    /// Links of one end each, with the addresses that have routes of their own there.
    routed: BTreeMap<LinkName, BTreeSet<IpAddr>>,
    /// Bridges.
    bridges: Vec<Bridge>,
}

/// A bridge.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Bridge {
    /// What is on it, as the node's routes say.
    blocks: BTreeSet<IpNet>,
    /// The ports that pods may hang on.
    ports: BTreeSet<LinkName>,
}

/// The links that pods do hang on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PodLinks {
    /// Links of their own.
    pub routed: BTreeSet<LinkName>,
    /// Ports of bridges.
    pub ports: BTreeSet<LinkName>,
}

impl Links {
    /// No link is known.
    pub const NONE: &'static Self = &Self {
        routed: BTreeMap::new(),
        bridges: Vec::new(),
    };

    /// Of a node's interfaces and routes.
    pub fn of(interfaces: &[Interface], routes: &[Route]) -> Self {
        let routers: BTreeSet<Index> = routes
            .iter()
            .filter(|route| route.way == Way::Gateway)
            .map(|route| route.link)
            .collect();
        let blocks = |link: Index| {
            routes.iter().filter_map(move |route| match route.way {
                Way::OnLink(block) if route.link == link => Some(block),
                Way::OnLink(_) | Way::Gateway => None,
            })
        };
        let mut links = Self::default();
        for interface in interfaces.iter().filter(|one| !routers.contains(&one.index)) {
            match (interface.kind, interface.bridge) {
                (Kind::VethToElsewhere, None) => {
                    let addresses: BTreeSet<IpAddr> = blocks(interface.index).filter_map(host).collect();
                    if !addresses.is_empty() {
                        links.routed.insert(interface.name.clone(), addresses);
                    }
                }
                (Kind::Bridge, _) => {
                    let is_port =
                        |one: &&Interface| one.bridge == Some(interface.index) && one.kind == Kind::VethToElsewhere;
                    let bridge = Bridge {
                        blocks: blocks(interface.index).collect(),
                        ports: interfaces
                            .iter()
                            .filter(is_port)
                            .map(|port| port.name.clone())
                            .collect(),
                    };
                    if !bridge.blocks.is_empty() && !bridge.ports.is_empty() {
                        links.bridges.push(bridge);
                    }
                }
                (Kind::VethToElsewhere, Some(_)) | (Kind::Other, _) => {}
            }
        }
        links.bridges.sort_by(|one, other| one.ports.cmp(&other.ports));
        links
    }

    /// All ports of bridges that pods may hang on.
    pub fn ports(&self) -> impl Iterator<Item = &LinkName> {
        self.bridges.iter().flat_map(|bridge| &bridge.ports)
    }

    /// The same without these ports.
    #[must_use]
    pub fn without(&self, ports: &BTreeSet<LinkName>) -> Self {
        let mut links = self.clone();
        for bridge in &mut links.bridges {
            bridge.ports.retain(|port| !ports.contains(port));
        }
        links
    }

    /// The same without bridges.
    #[must_use]
    pub fn without_bridges(self) -> Self {
        Self {
            routed: self.routed,
            bridges: Vec::new(),
        }
    }

    /// Those that the owners of these addresses hang on. A route of an address's own goes before the one to its bridge.
    pub fn of_pods(&self, addresses: &BTreeSet<IpAddr>) -> PodLinks {
        let routed = self.routed.iter().filter(|(_, routed)| !routed.is_disjoint(addresses));
        let on_own_link: BTreeSet<IpAddr> = self.routed.values().flatten().copied().collect();
        let is_on = |bridge: &&Bridge| {
            let mut bridged = addresses.difference(&on_own_link);
            bridged.any(|address| bridge.blocks.iter().any(|block| block.contains(address)))
        };
        let bridges = self.bridges.iter().filter(is_on);
        PodLinks {
            routed: routed.map(|(name, _)| name.clone()).collect(),
            ports: bridges.flat_map(|bridge| &bridge.ports).cloned().collect(),
        }
    }
}

/// The address that a block is, if it is a single one's.
fn host(block: IpNet) -> Option<IpAddr> {
    (block.prefix_len() == block.max_prefix_len()).then(|| block.addr())
}

#[cfg(test)]
mod tests;
