//! Who a rule's peers are, as far as one kernel rule can name them.
//!
//! Pure. Judges no pods: whom a selector selects is [`proto::selector`]'s.

use crate::policy::{Peers, PolicyPeer, PolicyRule};
use crate::ruleset::{Element, Family};
use ipnet::IpNet;
use proto::model::{CLUSTER_LABEL, ClusterName, Identity, Labels};
use proto::selector::{BarePodSelector, Peer, Selector, Switches};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

/// Peers that one kernel rule can name.
#[derive(Clone, Debug)]
pub(super) enum Who {
    /// Everybody.
    Anybody,
    /// The pods that a peer selects.
    Pods(Peer),
    /// The addresses in any of `nets` and in none of `except`, all of one family, whoever is behind them (S33).
    Blocks {
        /// The blocks, sorted, none within another.
        nets: Vec<IpNet>,
        /// Blocks within the only one of `nets`.
        except: Vec<IpNet>,
    },
}

impl Who {
    /// The peers of a rule, those of one family. Blocks of the other have nothing here (S95); those without excepts are
    /// one, those with excepts each their own, because an except limits only its own block (S35).
    pub(super) fn of(rule: &PolicyRule, namespace: &Arc<str>, cluster: &ClusterName, family: Family) -> Vec<Self> {
        let entries = match &rule.peers {
            Peers::Any => return vec![Self::Anybody],
            Peers::Of(entries) => entries,
        };
        let mut some = Vec::with_capacity(entries.len());
        let mut plain = Vec::new();
        for entry in entries {
            match entry {
                PolicyPeer::Pods { pods, namespaces } => some.push(Self::Pods(Peer {
                    cluster: cluster.clone(),
                    namespace: namespace.clone(),
                    pods: pods.clone(),
                    namespaces: namespaces.clone(),
                })),
                PolicyPeer::Block { net, .. } if Family::of(net.addr()) != family => {}
                PolicyPeer::Block { net, except } if except.is_empty() => plain.push(*net),
                PolicyPeer::Block { net, except } => some.push(Self::Blocks {
                    nets: vec![*net],
                    except: except.clone(),
                }),
            }
        }
        let mut nets = IpNet::aggregate(&plain);
        nets.sort();
        match nets.as_slice() {
            [] => {}
            [whole] if whole.prefix_len() == 0 => some.push(Self::Anybody),
            _ => some.push(Self::Blocks {
                nets,
                except: Vec::new(),
            }),
        }
        some
    }

    /// What it means, in full: two with the same text have the same members in every state of the world.
    pub(super) fn meaning(&self, switches: Switches) -> String {
        match self {
            Self::Anybody => "all pods".to_owned(),
            Self::Blocks { nets, except } => format!("blocks {} except {}", list(nets), list(except)),
            Self::Pods(peer) => {
                let pods = peer.pods.as_ref().map(Selector::to_string).unwrap_or_default();
                format!(
                    "pods [{pods}] {}, seen from {}",
                    namespaces(peer, switches),
                    peer.cluster
                )
            }
        }
    }

    /// Whether it includes the pods of an identity at those of their addresses that [`Who::includes_address`].
    pub(super) fn includes(&self, identity: &Identity, namespace: Option<&Labels>, switches: Switches) -> bool {
        match self {
            Self::Anybody | Self::Blocks { .. } => true,
            Self::Pods(peer) => peer.selects(identity, namespace, switches),
        }
    }

    /// Whether it includes an address if it [`Who::includes`] who is there.
    pub(super) fn includes_address(&self, address: IpAddr) -> bool {
        let within = |nets: &[IpNet]| nets.iter().any(|net| net.contains(&address));
        match self {
            Self::Anybody | Self::Pods(_) => true,
            Self::Blocks { nets, except } => within(nets) && !within(except),
        }
    }
}

/// The namespaces of a peer, with those of the switches that decide which they are.
fn namespaces(peer: &Peer, switches: Switches) -> String {
    match (&peer.namespaces, switches.bare_pod_selector) {
        (None, BarePodSelector::ClusterSet) => format!("in namespace {:?} of every cluster", peer.namespace),
        (None, BarePodSelector::Local) => format!("in namespace {:?} of that cluster", peer.namespace),
        (Some(selector), _)
            if selector
                .requirements()
                .any(|requirement| requirement.key() == CLUSTER_LABEL) =>
        {
            format!("in namespaces [{selector}] by {:?}", switches.cluster_label)
        }
        (Some(selector), _) => format!("in namespaces [{selector}]"),
    }
}

fn list(nets: &[IpNet]) -> String {
    nets.iter().map(IpNet::to_string).collect::<Vec<_>>().join(",")
}

/// The members of a `hash:net` set with these blocks and excepts. As it takes no `/0`, that is two halves.
pub(super) fn elements(nets: &[IpNet], except: &[IpNet]) -> BTreeSet<Element> {
    let halves = |net: &IpNet| -> Vec<IpNet> {
        match (net.prefix_len(), net.subnets(1)) {
            (0, Ok(halves)) => halves.filter(|half| !except.contains(half)).collect(),
            _ => vec![*net],
        }
    };
    let matching = nets
        .iter()
        .flat_map(halves)
        .map(|net| Element::Block { net, nomatch: false });
    let excepted = except.iter().map(|net| Element::Block {
        net: *net,
        nomatch: true,
    });
    matching.chain(excepted).collect()
}
