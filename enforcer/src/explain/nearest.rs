//! The rule that comes nearest to admitting a connection that is refused.
//!
//! Pure. Near is what a person would change first: a label or a number rather than the kind of a peer.

use super::evaluate::{Half, Isolating, Judged, Rule};
use super::peers::PeerMiss;
use super::ports::PortMiss;
use crate::policy::PolicyPort;
use crate::policy::written::Peer;

/// How far off an entry is that is not understood: as far as several conditions.
const VOID: usize = 8;

/// How far off a list is that is none, or has no entry to put right.
const NO_LIST: usize = 16;

/// How far a rule is off, and by which entries it comes nearest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Distance {
    /// What fails, weighed.
    pub cost: usize,
    /// The nearest peer, by index, if that half does not match.
    pub peer: Option<usize>,
    /// The nearest port, by index, if that half does not match.
    pub port: Option<usize>,
}

/// Of the rules of some policies the nearest: the place of the policy and of the rule, and how far off it is.
pub(super) fn nearest(policies: &[Isolating]) -> Option<(usize, usize, Distance)> {
    let rules = policies.iter().enumerate().flat_map(|(place, policy)| {
        let rules = policy.rules.iter().enumerate();
        rules.filter_map(move |(index, rule)| Some((place, index, distance(rule.as_ref().ok()?))))
    });
    rules.min_by_key(|(_, _, distance)| distance.cost)
}

/// How far a rule is off.
pub(super) fn distance(rule: &Rule) -> Distance {
    let (peer_cost, peer) = half(&rule.peers, peer);
    let (port_cost, port) = half(&rule.ports, port);
    Distance {
        cost: peer_cost + port_cost,
        peer,
        port,
    }
}

fn half<P, M>(half: &Half<P, M>, cost: impl Fn(&P, &M) -> usize) -> (usize, Option<usize>) {
    let entries = match half {
        Half::Any => return (0, None),
        Half::Void(_) => return (NO_LIST, None),
        Half::Of(entries) => entries,
    };
    let costs = entries.iter().enumerate().map(|(index, entry)| match entry {
        Judged::Matches(_) => (0, None),
        Judged::Void(_) => (VOID, Some(index)),
        Judged::Misses(piece, miss) => (cost(piece, miss), Some(index)),
    });
    costs.min().unwrap_or((NO_LIST, None))
}

fn peer(_: &Peer, miss: &PeerMiss) -> usize {
    match miss {
        PeerMiss::Unselected(pods) => pods.iter().map(|pod| pod.mismatches.len()).sum(),
        PeerMiss::Except { .. } => 2,
        PeerMiss::Outside => 3,
        PeerMiss::Nobody | PeerMiss::OtherFamily => 4,
    }
}

fn port(_: &PolicyPort, miss: &PortMiss) -> usize {
    match miss {
        PortMiss::Number | PortMiss::Name { .. } => 1,
        PortMiss::Protocol | PortMiss::Portless => 2,
        PortMiss::Nameless => 4,
    }
}
