//! Whether an entry of `ports` matches what is sent, and if not, why.
//!
//! Pure.

use super::evaluate::Place;
use crate::compile::resolve;
use crate::interpret::Payload;
use crate::offline::ends::PodName;
use crate::policy::{PolicyPort, PortMatch};
use crate::ruleset::Direction;
use proto::model::Identity;

/// Why a port does not match.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PortMiss {
    /// What is sent has no ports: only rules without `ports` admit it (S73).
    Portless,
    /// It is for another protocol (S52).
    Protocol,
    /// It is for other numbers.
    Number,
    /// The destination is a pod that does not call the port so (S53, S55). Of several pods behind the address all would
    /// have to (S113).
    Name {
        /// The pod.
        pod: PodName,
        /// Which of its ports it calls so, with the right protocol; none: the name is unknown there.
        numbers: Vec<u16>,
    },
    /// The destination is no live pod: it has no names of ports (S57).
    Nameless,
}

/// Why a port of a policy does not match; `None`: it does. Ingress names are the subject's.
pub(super) fn miss(place: &Place<'_>, subject: (&PodName, &Identity), port: &PolicyPort) -> Option<PortMiss> {
    let Payload::Ports {
        protocol, destination, ..
    } = place.packet.payload
    else {
        return Some(PortMiss::Portless);
    };
    if protocol != port.protocol.number() {
        return Some(PortMiss::Protocol);
    }
    match &port.port {
        PortMatch::Any => None,
        PortMatch::Range(first, last) => (!(*first..=*last).contains(&destination)).then_some(PortMiss::Number),
        PortMatch::Named(name) => {
            let misses = |pod: &PodName, identity: &Identity| {
                let numbers: Vec<u16> = resolve(&identity.ports, port.protocol, name).collect();
                (!numbers.contains(&destination)).then(|| PortMiss::Name {
                    pod: pod.clone(),
                    numbers,
                })
            };
            match place.direction {
                Direction::Ingress => misses(subject.0, subject.1),
                Direction::Egress if place.claimants.is_empty() => Some(PortMiss::Nameless),
                Direction::Egress => place.claimants.iter().find_map(|(pod, identity)| misses(pod, identity)),
            }
        }
    }
}
