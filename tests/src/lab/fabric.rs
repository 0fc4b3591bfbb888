//! The lab's network: one fabric that routes between the nodes of all clusters, as a flat network does; nodes that
//! route between it and their pods; hosts outside.
//!
//! The fabric is the network namespace of the thread that builds it, so that hub and API servers, which live on the
//! fabric, are within the caller's reach. Everything is gone with the [`Fabric`].

use super::address::{AddressPlan, Service};
use super::layout::{self, Layout};
use super::links::Batch;
use super::netns::Netns;
use super::station::{self, Opening, Role, Station};
use super::world::World;
use anyhow::{Context, Result};
use enforcer::offline::ends::{End, NodeName, PodName};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::thread;

/// A network that stands.
#[derive(Debug)]
pub struct Fabric {
    plan: AddressPlan,
    nodes: BTreeMap<NodeName, Station>,
    pods: BTreeMap<PodName, Station>,
    outside: BTreeMap<IpAddr, Station>,
    adrift: BTreeMap<PodName, Station>,
}

/// What a network is made from.
#[derive(Clone, Copy, Debug)]
pub struct Blueprint<'a> {
    /// Nodes and pods.
    pub world: &'a World,
    /// Hosts outside of all clusters.
    pub outside: &'a BTreeSet<IpAddr>,
    /// How many API servers there will be on the fabric, beside the hub.
    pub api_servers: u8,
    /// How pods hang on their node.
    pub layout: Layout,
}

impl Fabric {
    /// Builds it around the calling thread, which must have left the host's network ([`Netns::leave`]).
    ///
    /// # Errors
    /// If addresses collide with the lab's own, or the kernel refuses a part.
    pub fn build(blueprint: Blueprint<'_>) -> Result<Self> {
        let layout = blueprint.layout;
        let services = (0..=blueprint.api_servers).map(Service).collect();
        let plan = AddressPlan::new(blueprint.world, blueprint.outside, services)?;
        station::configure(Role::Router).context("the fabric")?;
        let nodes = open(plan.nodes.keys(), Role::Router)?;
        let pods = open(plan.pods.keys(), Role::Host)?;
        let outside = open(plan.outside.iter(), Role::Host)?;
        let adrift = open(plan.adrift.keys(), Role::Host)?;
        let fabric = Self {
            nodes: ready(nodes)?,
            pods: ready(pods)?,
            outside: ready(outside)?,
            adrift: ready(adrift)?,
            plan,
        };
        fabric.connect(layout)?;
        Ok(fabric)
    }

    /// Who has which address.
    pub fn plan(&self) -> &AddressPlan {
        &self.plan
    }

    /// The nodes.
    pub fn nodes(&self) -> impl Iterator<Item = (&NodeName, &Station)> {
        self.nodes.iter()
    }

    /// The pods with a network of their own.
    pub fn pods(&self) -> impl Iterator<Item = (&PodName, &Station)> {
        self.pods.iter()
    }

    /// A node.
    pub fn node(&self, name: &NodeName) -> Option<&Station> {
        self.nodes.get(name)
    }

    /// The host that an end is, and the end's addresses there; none if it is not in the network.
    pub fn locate(&self, end: &End) -> Option<(&Station, &[IpAddr])> {
        match end {
            End::Address(address) => self.locate_address(*address),
            End::Pod(name) => {
                if let Some(pod) = self.plan.pods.get(name) {
                    return Some((self.pods.get(name)?, &pod.addresses));
                }
                if let Some(addresses) = self.plan.adrift.get(name) {
                    return Some((self.adrift.get(name)?, addresses));
                }
                let pod = self.plan.host_pods.get(name)?;
                Some((self.nodes.get(&pod.node)?, &pod.addresses))
            }
        }
    }

    /// Whoever has an address, were it by a manifest.
    fn locate_address(&self, address: IpAddr) -> Option<(&Station, &[IpAddr])> {
        if let Some((address, host)) = self.outside.get_key_value(&address) {
            return Some((host, std::slice::from_ref(address)));
        }
        let among = |all: &'_ [IpAddr]| all.iter().position(|one| *one == address);
        let on_nodes = self.plan.pods.iter().map(|(name, pod)| (name, &pod.addresses));
        let pods = on_nodes.chain(&self.plan.adrift);
        for (name, addresses) in pods {
            if let Some(index) = among(addresses) {
                let pod = self.pods.get(name).or_else(|| self.adrift.get(name))?;
                return Some((pod, &addresses[index..=index]));
            }
        }
        self.plan.nodes.iter().find_map(|(name, node)| {
            let index = among(&node.given)?;
            Some((self.nodes.get(name)?, &node.given[index..=index]))
        })
    }

    /// The hosts of [`AddressPlan::loose`].
    fn loose(&self) -> impl Iterator<Item = &Station> {
        self.outside.values().chain(self.adrift.values())
    }

    /// Links first, which hosts must have before they can have addresses; then hosts; the fabric's routes last.
    fn connect(&self, layout: Layout) -> Result<()> {
        let names: Vec<String> = (1..=self.nodes.len())
            .map(|number| format!("node{number}"))
            .chain((1..=self.loose().count()).map(|number| format!("outside{number}")))
            .collect();
        let hosts = self.nodes.values().chain(self.loose()).map(Station::netns);
        layout::fabric_links(&self.plan, names.iter().map(String::as_str).zip(hosts))
            .apply()
            .context("the fabric")?;
        for (name, node) in &self.nodes {
            let batch = layout::node_links(&self.plan, name, layout, |pod| self.pods[pod].netns());
            let made = node
                .netns()
                .run(|| layout::configure_node(layout).and_then(|()| batch.apply()));
            made.and_then(|made| made).with_context(|| format!("node {name}"))?;
        }
        let pods = self
            .pods
            .iter()
            .map(|(name, pod)| (pod.netns(), layout::pod_links(&self.plan, name, layout)));
        let loose = self
            .loose()
            .zip(self.plan.loose())
            .map(|(host, addresses)| (host.netns(), layout::loose_links(addresses)));
        apply_all(pods.chain(loose).collect())?;
        layout::fabric_routes(&self.plan).apply().context("the fabric")
    }
}

/// Applies each batch in its network namespace, on one thread for all.
fn apply_all(batches: Vec<(&Netns, Batch)>) -> Result<()> {
    thread::scope(|scope| {
        let all = scope.spawn(|| {
            batches
                .into_iter()
                .try_for_each(|(netns, batch)| netns.enter().and_then(|()| batch.apply()))
        });
        all.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
    .context("a pod or outside host")
}

fn open<'a, K: ToString + Clone + Ord + 'a>(
    names: impl Iterator<Item = &'a K>,
    role: Role,
) -> Result<Vec<(K, Opening)>> {
    names
        .map(|name| Ok((name.clone(), Station::open(&name.to_string(), role)?)))
        .collect()
}

fn ready<K: Ord>(opening: Vec<(K, Opening)>) -> Result<BTreeMap<K, Station>> {
    let stations = opening.into_iter().map(|(name, opening)| Ok((name, opening.ready()?)));
    stations
        .collect::<Result<_>>()
        .context("cannot make a network namespace")
}
