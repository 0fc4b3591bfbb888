//! What the machine takes in from hub and API server: each event marks what it changed, and decides nothing else.

use super::{Machine, Output};
use crate::notice::Notice;
use crate::policy::{self, NetworkPolicy, PolicyName};
use proto::mirror::Applied;
use proto::model::ClusterState;
use proto::observe::{Namespace, Pod};
use proto::watch::Event;
use proto::{subscribe, wire};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

impl Machine {
    pub(super) fn hub(&mut self, event: subscribe::Event, now: Instant) -> Vec<Output> {
        match event {
            subscribe::Event::Connected(hub) => {
                self.deaf = false;
                self.hubless = None;
                vec![Output::Say(Notice::HubConnected { hub })]
            }
            subscribe::Event::Frame(_) if self.deaf => Vec::new(),
            subscribe::Event::Frame(frame) => self.frame(&frame, now),
            subscribe::Event::Lost(reason) => {
                self.mirror.disconnected();
                self.unheard_since.get_or_insert(now);
                self.hubless = Some(reason.clone());
                vec![Output::Say(Notice::HubLost { reason })]
            }
        }
    }

    fn frame(&mut self, frame: &wire::Frame, now: Instant) -> Vec<Output> {
        match self.mirror.apply(frame) {
            Ok(Applied::Same) => {}
            Ok(Applied::Changed) => {
                let received = now
                    .checked_sub(Duration::from_micros(frame.oldest_age_us))
                    .unwrap_or(now);
                self.inventory_changed(received);
            }
            Err(error) => {
                self.deaf = true;
                let notice = Notice::HubSenseless {
                    reason: error.to_string(),
                };
                return vec![Output::Say(notice), Output::Resubscribe];
            }
        }
        // The hub's word on the own cluster stands only once it is whole and the hub watches that cluster.
        let whole = !matches!(frame.body, Some(wire::frame::Body::Chunk(_)));
        let watched = self.mirror.clusters().get(&self.node.cluster) == Some(&ClusterState::Live);
        if !(whole && watched) {
            self.unheard_since.get_or_insert(now);
            return Vec::new();
        }
        self.unheard_since = None;
        if !self.own_cluster.leave() {
            return Vec::new();
        }
        if self.mirror.set_part(&self.node.cluster, None) {
            self.inventory_changed(now);
        }
        vec![Output::LeaveOwnCluster]
    }

    pub(super) fn policies(&mut self, event: Event<NetworkPolicy>, now: Instant) -> Vec<Output> {
        let mut outputs = said_of_loss("NetworkPolicies", &event);
        let mut changed = false;
        self.lost.policies = loss(&event);
        match event {
            Event::Synced(list) => {
                let names: BTreeSet<PolicyName> = list.iter().map(|raw| raw.name.clone()).collect();
                let policies = Arc::make_mut(&mut self.wanted.policies);
                let before = policies.len();
                policies.retain(|name, _| names.contains(name));
                changed = before != policies.len() || !self.policies_synced;
                self.policies_synced = true;
                for raw in &list {
                    changed |= self.policy(raw, &mut outputs);
                }
            }
            Event::Applied(raw) => changed = self.policy(&raw, &mut outputs),
            Event::Deleted(raw) => {
                // The end of an earlier policy of this name says nothing of the present one (as I15 of pods).
                let known = self.wanted.policies.get(&raw.name);
                changed = known.is_some_and(|known| known.uid == raw.uid);
                if changed {
                    Arc::make_mut(&mut self.wanted.policies).remove(&raw.name);
                }
            }
            Event::Heard | Event::Lost(_) => {}
        }
        if changed {
            self.subjects_changed(now);
        }
        outputs
    }

    /// Takes one policy in; says whether it differs from the one known by its name.
    fn policy(&mut self, raw: &NetworkPolicy, outputs: &mut Vec<Output>) -> bool {
        let policy = policy::parse(raw);
        let known = self.wanted.policies.get(&policy.name);
        if known.is_some_and(|known| **known == policy) {
            return false;
        }
        if known.is_none_or(|known| known.refused != policy.refused) {
            outputs.extend(policy.refused.iter().map(|refused| {
                Output::Say(Notice::Refused {
                    cluster: self.node.cluster.clone(),
                    policy: policy.name.clone(),
                    refused: refused.clone(),
                })
            }));
        }
        Arc::make_mut(&mut self.wanted.policies).insert(policy.name.clone(), Arc::new(policy));
        true
    }

    pub(super) fn own_pods(&mut self, event: Event<Pod>, now: Instant) -> Vec<Output> {
        let outputs = self.said_of_own_cluster("this cluster's pods", &event);
        self.own_cluster.pods(event);
        self.own_part(now);
        outputs
    }

    pub(super) fn own_namespaces(&mut self, event: Event<Namespace>, now: Instant) -> Vec<Output> {
        let outputs = self.said_of_own_cluster("this cluster's namespaces", &event);
        self.own_cluster.namespaces(event);
        self.own_part(now);
        outputs
    }

    fn own_part(&mut self, now: Instant) {
        if let Some(part) = self.own_cluster.part(&self.node.cluster)
            && self.mirror.set_part(&self.node.cluster, Some(part))
        {
            self.inventory_changed(now);
        }
    }

    /// A watch that nobody wants any more is late with what it says.
    fn said_of_own_cluster<K>(&self, kind: &'static str, event: &Event<K>) -> Vec<Output> {
        match self.own_cluster.is_followed() {
            true => said_of_loss(kind, event),
            false => Vec::new(),
        }
    }

    pub(super) fn inventory_changed(&mut self, received: Instant) {
        self.inventory_dirty = true;
        self.pending_since = Some(self.pending_since.map_or(received, |since| since.min(received)));
    }

    pub(super) fn subjects_changed(&mut self, received: Instant) {
        self.subjects_dirty = true;
        self.pending_since = Some(self.pending_since.map_or(received, |since| since.min(received)));
    }
}

/// What is said if a watch is interrupted.
pub(super) fn said_of_loss<K>(kind: &'static str, event: &Event<K>) -> Vec<Output> {
    let notice = loss(event).map(|reason| Notice::WatchLost { kind, reason });
    notice.map(Output::Say).into_iter().collect()
}

pub(super) fn loss<K>(event: &Event<K>) -> Option<String> {
    match event {
        Event::Lost(reason) => Some(reason.clone()),
        Event::Synced(_) | Event::Applied(_) | Event::Deleted(_) | Event::Heard => None,
    }
}
