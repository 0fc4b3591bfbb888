//! Whose the local addresses are, and which policies select their pods.
//!
//! Pure. Policies select only pods of their own namespace and, as a [`World`] holds no others, of this cluster and node
//! (S3, S98, S99).

use super::World;
use crate::policy::{Policy, PolicyRule};
use crate::ruleset::{Direction, Family};
use proto::model::Identity;
use proto::observe::Pod;
use proto::pods::identity;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// A live local pod.
pub(crate) struct Subject<'a> {
    /// The pod.
    pub(crate) pod: &'a Pod,
    /// The policies that select it, by name.
    policies: Vec<&'a Policy>,
}

impl<'a> Subject<'a> {
    /// The policies that isolate it in a direction, with their rules for it; none: it is not isolated (S1, S4).
    pub(crate) fn isolating(&self, direction: Direction) -> impl Iterator<Item = (&'a Policy, &'a [PolicyRule])> {
        self.policies.iter().filter_map(move |policy| {
            let rules = match direction {
                Direction::Egress => policy.egress.as_deref(),
                Direction::Ingress => policy.ingress.as_deref(),
            };
            rules.map(|rules| (*policy, rules))
        })
    }
}

/// The live local pods and their addresses.
pub(crate) struct Subjects<'a> {
    world: World<'a>,
    pods: Vec<Subject<'a>>,
    /// For each address the pods that own it: one, or several that claim it at once (I5). By place in `pods`.
    owners: BTreeMap<IpAddr, Vec<usize>>,
}

impl<'a> Subjects<'a> {
    pub(crate) fn of(world: &World<'a>) -> Self {
        let mut policies: BTreeMap<&str, Vec<&Policy>> = BTreeMap::new();
        for (name, policy) in world.policies {
            policies.entry(&name.namespace).or_default().push(policy);
        }
        let pods: Vec<Subject<'_>> = world
            .pods
            .iter()
            .filter(|pod| pod.is_live())
            .map(|pod| Subject {
                pod,
                policies: policies
                    .get(&*pod.namespace)
                    .map_or_else(Vec::new, |policies| selecting(policies, pod)),
            })
            .collect();
        let owners = owners(&pods, world);
        Self {
            world: *world,
            pods,
            owners,
        }
    }

    /// The addresses of a family, each with the pods that own it.
    pub(crate) fn addresses(&self, family: Family) -> impl Iterator<Item = (IpAddr, Vec<&Subject<'a>>)> {
        self.owners
            .iter()
            .filter(move |(address, _)| Family::of(**address) == family)
            .map(|(address, owners)| (*address, owners.iter().map(|&owner| &self.pods[owner]).collect()))
    }

    /// The pods that own an address.
    pub(crate) fn at(&self, address: IpAddr) -> impl Iterator<Item = &Subject<'a>> {
        let owners = self.owners.get(&address).map_or(&[][..], Vec::as_slice);
        owners.iter().map(|&owner| &self.pods[owner])
    }

    /// The addresses, of the family of `address`, that are the same pod for certain (S69): itself, and what its only owner
    /// alone owns.
    pub(crate) fn itself(&self, address: IpAddr) -> Vec<IpAddr> {
        let Some(owner) = self.only_owner(address) else {
            return vec![address];
        };
        let mut own = self.pods[owner].pod.addresses.clone();
        own.retain(|other| Family::of(*other) == Family::of(address) && self.only_owner(*other) == Some(owner));
        own
    }

    /// The pod that owns an address which no other pod of the cluster claims, here or on another node (I5).
    fn only_owner(&self, address: IpAddr) -> Option<usize> {
        let &[owner] = self.owners.get(&address)?.as_slice() else {
            return None;
        };
        let World { cluster, mirror, .. } = self.world;
        let identity = identity(cluster, self.pods[owner].pod);
        let its = |claim| *mirror.identity(claim) == identity;
        mirror.claims_for(cluster, address).all(its).then_some(owner)
    }
}

/// Those of a namespace's policies that select a pod. One with a void `podSelector` selects all of them (P1).
fn selecting<'a>(policies: &[&'a Policy], pod: &Pod) -> Vec<&'a Policy> {
    let selects = |policy: &Policy| {
        policy
            .subjects
            .as_ref()
            .is_none_or(|selector| selector.matches(&pod.labels))
    };
    policies.iter().copied().filter(|policy| selects(policy)).collect()
}

/// The owners of each address that is no node's: neither one of the node's own, nor what its pods call so, nor what the
/// cluster is known to call so (I7). A chain for another node's address would filter what that node sends to this one.
///
/// An address that a pod has taken over is that pod's, here or on another node, though the old one is still ending (S83).
fn owners(pods: &[Subject<'_>], world: &World<'_>) -> BTreeMap<IpAddr, Vec<usize>> {
    let said: BTreeSet<IpAddr> = world.pods.iter().flat_map(|pod| pod.node_addresses()).collect();
    let is_nodes =
        |address| world.node_addresses.contains(address) || said.contains(address) || world.mirror.is_nodes(*address);
    let mut owners: BTreeMap<IpAddr, Vec<usize>> = BTreeMap::new();
    for (place, subject) in pods.iter().enumerate() {
        for address in &subject.pod.addresses {
            if !is_nodes(address) {
                owners.entry(*address).or_default().push(place);
            }
        }
    }
    for (address, places) in &mut owners {
        if places.iter().any(|&place| !pods[place].pod.terminating) {
            places.retain(|&place| !pods[place].pod.terminating);
        } else {
            let known: Vec<&Identity> = own_claims(world, *address).collect();
            places.retain(|&place| known.is_empty() || known.contains(&&identity(world.cluster, pods[place].pod)));
        }
    }
    owners
}

/// The claims of pods of the own cluster on an address, as far as they are known.
fn own_claims<'a>(world: &World<'a>, address: IpAddr) -> impl Iterator<Item = &'a Identity> {
    let World { mirror, cluster, .. } = *world;
    let claims = mirror.claims(address).iter().map(|claim| mirror.identity(*claim));
    claims.filter(|claim| claim.namespace.cluster == *cluster)
}
