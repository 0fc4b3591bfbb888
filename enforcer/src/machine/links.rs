//! Which of the node's links are checked, as links and pods come.
//!
//! A port of a bridge is checked against the addresses of all local pods, and the address of a pod that starts is not among
//! them until the API server says it, a second or two after its first container runs. A new port is therefore held back
//! while some pod of the node has no address yet, for as long as that usually takes at most: until its address is known no
//! policy is in force for that pod either. Ports that were there when this process began are checked at once; what was in
//! force stays so.

use super::Machine;
use crate::links::Links;
use crate::ruleset::LinkName;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a port may be held back: kubelet looks at its containers once a second, and its status reaches the API server
/// within a few more. A pod that has no address for longer waits for something else, and must not keep ports open.
pub(super) const HOLD: Duration = Duration::from_secs(10);

/// The node's links, and the ports among them that are held back.
#[derive(Debug, Default)]
pub(super) struct NodeLinks {
    /// As last heard; `None`: not yet.
    heard: Option<Links>,
    /// New ports, and until when each may be held back.
    held: BTreeMap<LinkName, Instant>,
}

impl NodeLinks {
    /// Whether the node's links have been heard of.
    pub(super) const fn are_known(&self) -> bool {
        self.heard.is_some()
    }

    /// When a port has been held back for long enough.
    pub(super) fn next_release(&self) -> Option<Instant> {
        self.held.values().min().copied()
    }

    fn hear(&mut self, links: Links, now: Instant) {
        if let Some(before) = &self.heard {
            let known: BTreeSet<&LinkName> = before.ports().collect();
            let new = links.ports().filter(|port| !known.contains(port));
            self.held.extend(new.map(|port| (port.clone(), now + HOLD)));
        }
        self.heard = Some(links);
    }

    /// The links whose packets' sources are to be checked.
    fn checked(&mut self, pod_starts: bool, now: Instant) -> Links {
        self.held.retain(|_, until| pod_starts && now < *until);
        let held = self.held.keys().cloned().collect();
        self.heard.as_ref().unwrap_or(Links::NONE).without(&held)
    }
}

impl Machine {
    pub(super) fn links(&mut self, links: Links, now: Instant) {
        let first = !self.links.are_known();
        self.links.hear(links, now);
        if first {
            self.subjects_changed(now);
        }
        self.settle_links(now);
    }

    /// Takes up what links, pods and time have changed about which links are to be checked.
    pub(super) fn settle_links(&mut self, now: Instant) {
        let has_none_yet =
            |pod: &Arc<proto::observe::Pod>| pod.is_live() && !pod.terminating && pod.addresses.is_empty();
        let links = self.links.checked(self.wanted.pods.iter().any(has_none_yet), now);
        if *self.wanted.links != links {
            self.wanted.links = Arc::new(links);
            self.subjects_changed(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::links::{Interface, Kind, Route, Way};

    fn name(index: u32) -> LinkName {
        LinkName::new(&format!("veth{index}")).unwrap()
    }

    /// A bridge with these ports.
    fn bridge(ports: &[u32]) -> Links {
        let interface = |index, kind, bridge| Interface {
            index,
            name: name(index),
            kind,
            bridge,
        };
        let ports = ports
            .iter()
            .map(|port| interface(*port, Kind::VethToElsewhere, Some(3)));
        let interfaces: Vec<Interface> = [interface(3, Kind::Bridge, None)].into_iter().chain(ports).collect();
        let way = Way::OnLink("10.1.1.0/24".parse().unwrap());
        Links::of(&interfaces, &[Route { link: 3, way }])
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "an Instant comes from nowhere else; only differences to it count"
    )]
    fn start() -> (NodeLinks, Instant) {
        let now = Instant::now();
        let mut links = NodeLinks::default();
        assert_eq!(links.checked(true, now), Links::default());
        links.hear(bridge(&[10]), now);
        (links, now)
    }

    #[test]
    fn ports_that_were_there_are_checked_at_once() {
        let (mut links, now) = start();
        assert_eq!(links.checked(true, now), bridge(&[10]));
        assert_eq!(links.next_release(), None);
    }

    #[test]
    fn a_new_port_is_held_back_until_no_pod_is_without_an_address() {
        let (mut links, now) = start();
        links.hear(bridge(&[10, 11]), now);
        assert_eq!(links.checked(true, now).ports().collect::<Vec<_>>(), [&name(10)]);
        assert_eq!(links.checked(false, now), bridge(&[10, 11]));
        assert_eq!(links.checked(true, now), bridge(&[10, 11]), "a later pod opens no port");
    }

    #[test]
    fn a_new_port_is_held_back_for_so_long_at_most() {
        let (mut links, now) = start();
        links.hear(bridge(&[10, 11]), now);
        links.hear(bridge(&[10, 11]), now + HOLD / 2);
        assert_eq!(links.next_release(), Some(now + HOLD));
        let just_before = now + HOLD.checked_sub(Duration::from_nanos(1)).unwrap();
        assert_eq!(
            links.checked(true, just_before).ports().collect::<Vec<_>>(),
            [&name(10)]
        );
        assert_eq!(links.checked(true, now + HOLD), bridge(&[10, 11]));
        assert_eq!(links.next_release(), None);
    }
}
