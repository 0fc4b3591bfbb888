//! The ipsets that rules ask for: their names by what they mean, their members by who is known.
//!
//! Pure. Peers that mean the same share a set, wherever they are written, and the set's name is the same after a
//! restart. Each selector is judged once for each identity; addresses then only look up what their identities are.

use super::World;
use super::peers::{Who, elements};
use super::rules::resolve;
use crate::ruleset::{Element, Family, Match, Set, SetKind, SetName, Side, Table, TableFamily};
use crate::switches::Switches;
use ipnet::IpNet;
use proto::mirror::IdentityId;
use proto::model::{ClusterName, Identity, Protocol};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// The sets asked for so far.
pub(super) struct Sets<'a> {
    world: &'a World<'a>,
    /// By meaning.
    wanted: BTreeMap<String, Wanted>,
    /// The addresses of other clusters' nodes, in each family that has any.
    other_nodes: BTreeMap<Family, Set>,
}

/// A set that rules ask for.
struct Wanted {
    /// Whose addresses are its members.
    who: Who,
    /// With which of their ports, if it is a set of ports.
    port: Option<PortName>,
    /// Its name in each family that asks for it.
    names: BTreeMap<Family, SetName>,
}

/// A port that only its pod knows the number of.
struct PortName {
    protocol: Protocol,
    name: Arc<str>,
}

/// A membership that an identity gives its addresses: the place of the set, and the number of the port.
type Membership = (usize, Option<u16>);

impl<'a> Sets<'a> {
    pub(super) fn new(world: &'a World<'a>) -> Self {
        let mut other_nodes: BTreeMap<Family, Set> = BTreeMap::new();
        for address in world.mirror.nodes_of_others() {
            let family = Family::of(address);
            let set = other_nodes.entry(family).or_insert_with(|| Set {
                kind: SetKind::Addresses,
                family,
                members: BTreeSet::new(),
            });
            set.members.insert(Element::Address(address));
        }
        Self {
            world,
            wanted: BTreeMap::new(),
            other_nodes,
        }
    }

    /// The cluster whose policies these are.
    pub(super) const fn cluster(&self) -> &'a ClusterName {
        self.world.cluster
    }

    /// The ranges of which unknown addresses are held.
    pub(super) const fn held(&self) -> &'a BTreeSet<IpNet> {
        self.world.held
    }

    /// What is decided where NetworkPolicy leaves a choice.
    pub(super) const fn switches(&self) -> Switches {
        self.world.switches
    }

    /// The match that the address of a side is one of these; `None`: any address is.
    pub(super) fn addresses(&mut self, family: Family, side: Side, who: &Who) -> Option<Match> {
        let kind = match who {
            Who::Anybody => return None,
            Who::Pods(_) => SetKind::Addresses,
            Who::Blocks { .. } => SetKind::Blocks,
        };
        Some(Match::InSet(side, self.name(family, who, None), kind))
    }

    /// The match that the destination is one of these pods, at the port that it calls so. Everybody is every pod that is
    /// known (S58), a block every pod in it (S59); an address that is no pod's has no named ports (S57).
    pub(super) fn named_ports(&mut self, family: Family, who: &Who, protocol: Protocol, name: &Arc<str>) -> Match {
        let port = PortName {
            protocol,
            name: name.clone(),
        };
        Match::InSet(Side::Destination, self.name(family, who, Some(port)), SetKind::Ports)
    }

    /// The match that the source is a node of another cluster; `None`: none is known that has an address of the family.
    pub(super) fn other_nodes(&self, family: Family) -> Option<Match> {
        let set = self.other_nodes.get(&family)?;
        Some(Match::InSet(Side::Source, self.other_nodes_name(family), set.kind))
    }

    fn other_nodes_name(&self, family: Family) -> SetName {
        SetName::of(family, &format!("nodes of clusters other than {}", self.world.cluster))
    }

    fn name(&mut self, family: Family, who: &Who, port: Option<PortName>) -> SetName {
        let mut meaning = who.meaning(self.world.switches.selectors);
        if let Some(PortName { protocol, name }) = &port {
            meaning += &format!(" at {protocol}/{name}");
        }
        if let Some(name) = self.wanted.get(&meaning).and_then(|wanted| wanted.names.get(&family)) {
            return name.clone();
        }
        let name = SetName::of(family, &meaning);
        let wanted = self.wanted.entry(meaning).or_insert_with(|| Wanted {
            who: who.clone(),
            port,
            names: BTreeMap::new(),
        });
        wanted.names.insert(family, name.clone());
        name
    }

    /// The sets that the rules of these tables refer to, with their members. Others were asked for by rules that did not
    /// matter in the end.
    pub(super) fn fill(self, tables: &BTreeMap<TableFamily, Table>) -> BTreeMap<SetName, Set> {
        let referred = referred(tables);
        let other_nodes = self.other_nodes.iter();
        let other_nodes: Vec<(SetName, Set)> = other_nodes
            .map(|(family, set)| (self.other_nodes_name(*family), set.clone()))
            .filter(|(name, _)| referred.contains(name))
            .collect();
        let mut wanted: Vec<Wanted> = self.wanted.into_values().collect();
        for wanted in &mut wanted {
            wanted.names.retain(|_, name| referred.contains(name));
        }
        wanted.retain(|wanted| !wanted.names.is_empty());
        let mut sets: BTreeMap<SetName, Set> = wanted
            .iter()
            .flat_map(|wanted| {
                wanted
                    .names
                    .iter()
                    .map(|(family, name)| (name.clone(), wanted.without_pods(*family)))
            })
            .chain(other_nodes)
            .collect();
        let mut memberships = BTreeMap::new();
        for (address, _) in self.world.mirror.owners() {
            if self.world.node_addresses.contains(&address) {
                continue;
            }
            for (place, port) in common(self.world, address, &wanted, &mut memberships) {
                let wanted = &wanted[place];
                let set = wanted
                    .names
                    .get(&Family::of(address))
                    .and_then(|name| sets.get_mut(name));
                if let Some(set) = set.filter(|_| wanted.who.includes_address(address)) {
                    set.members.insert(wanted.element(address, port));
                }
            }
        }
        sets
    }
}

/// The sets that the rules of these tables refer to.
fn referred(tables: &BTreeMap<TableFamily, Table>) -> BTreeSet<&SetName> {
    let chains = tables.values().flat_map(|table| table.chains.values());
    let matches = chains.flat_map(|chain| &chain.rules).flat_map(|rule| &rule.matches);
    matches.filter_map(Match::set).collect()
}

/// The memberships that all claims on an address agree on, as far as they count (S113).
fn common(
    world: &World<'_>,
    address: IpAddr,
    wanted: &[Wanted],
    memberships: &mut BTreeMap<IdentityId, BTreeSet<Membership>>,
) -> BTreeSet<Membership> {
    world
        .mirror
        .claims_for(world.cluster, address)
        .map(|claim| {
            let judge = || self::memberships(world, world.mirror.identity(claim), wanted);
            memberships.entry(claim).or_insert_with(judge).clone()
        })
        .reduce(|one, other| &one & &other)
        .unwrap_or_default()
}

/// The memberships of an identity's addresses.
fn memberships(world: &World<'_>, identity: &Identity, wanted: &[Wanted]) -> BTreeSet<Membership> {
    let namespace = world.mirror.namespace_labels(&identity.namespace);
    let mut memberships = BTreeSet::new();
    for (place, wanted) in wanted.iter().enumerate() {
        if wanted.is_of_blocks() || !wanted.who.includes(identity, namespace, world.switches.selectors) {
            continue;
        }
        match &wanted.port {
            None => memberships.extend([(place, None)]),
            Some(PortName { protocol, name }) => {
                memberships.extend(resolve(&identity.ports, *protocol, name).map(|port| (place, Some(port))));
            }
        }
    }
    memberships
}

impl Wanted {
    /// Whether its members are blocks, which hang on no pod.
    const fn is_of_blocks(&self) -> bool {
        matches!((&self.who, &self.port), (Who::Blocks { .. }, None))
    }

    /// The set, as long as there are no pods.
    fn without_pods(&self, family: Family) -> Set {
        let (kind, members) = match (&self.who, &self.port) {
            (_, Some(_)) => (SetKind::Ports, BTreeSet::new()),
            (Who::Anybody | Who::Pods(_), None) => (SetKind::Addresses, BTreeSet::new()),
            (Who::Blocks { nets, except }, None) => (SetKind::Blocks, elements(nets, except)),
        };
        Set { kind, family, members }
    }

    /// The member that an address with this port is.
    fn element(&self, address: IpAddr, port: Option<u16>) -> Element {
        match (&self.port, port) {
            (Some(PortName { protocol, .. }), Some(port)) => Element::Port(address, *protocol, port),
            (_, None) | (None, _) => Element::Address(address),
        }
    }
}
