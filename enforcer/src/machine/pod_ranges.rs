//! The ranges of the node's pods, of which unknown addresses may be held (S122).
//!
//! Until the Node object is known nothing is told to the kernel, as for pods and policies: what an earlier process held stays
//! held.

use super::{Machine, Output};
use crate::notice::{Notice, PodStarts};
use crate::own_node::OwnNode;
use ipnet::IpNet;
use proto::watch::Event;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

/// What is known of the node's pod ranges.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PodRanges {
    /// Nothing is held, and nobody asks.
    NotHeld,
    /// They are to be held, and not known yet.
    Awaited,
    /// They are known: they are among the subjects.
    Known,
}

impl Machine {
    /// Addresses of the node's pod ranges that no pod is known to have are to be held: they are in [`Input::OwnNode`].
    ///
    /// [`Input::OwnNode`]: super::Input::OwnNode
    #[must_use]
    pub fn holding_unknown_pods(mut self) -> Self {
        self.ranges = PodRanges::Awaited;
        self
    }

    pub(super) fn own_node(&mut self, event: Event<OwnNode>, now: Instant) -> Vec<Output> {
        let node = match event {
            Event::Applied(node) => Some(node),
            Event::Synced(nodes) => nodes.into_iter().next(),
            // A node whose object is gone has its pods until they are.
            Event::Deleted(_) | Event::Heard => return Vec::new(),
            Event::Lost(reason) => {
                let kind = "this node's Node object";
                return vec![Output::Say(Notice::WatchLost { kind, reason })];
            }
        };
        let ranges: BTreeSet<IpNet> = node.map(|node| node.pod_ranges).unwrap_or_default();
        let is_first = std::mem::replace(&mut self.ranges, PodRanges::Known) != PodRanges::Known;
        if !is_first && *self.wanted.held == ranges {
            return Vec::new();
        }
        let notice = PodStarts::Held {
            node: Arc::clone(&self.node.name),
            ranges: ranges.iter().copied().collect(),
        };
        self.wanted.held = Arc::new(ranges);
        self.subjects_changed(now);
        vec![Output::Say(Notice::PodStarts(notice))]
    }
}
