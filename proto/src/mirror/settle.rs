//! What the sources together come to, address by address and namespace by namespace.
//!
//! Pure. The outcome depends on what the sources say now, never on the order in which they said it.

use super::{Claims, Mirror};
use crate::model::{ClusterName, Labels, NamespaceName};
use std::net::IpAddr;
use std::sync::Arc;

impl Mirror {
    /// Brings the outcome up to date where the sources may say something else now; says whether they do.
    pub(super) fn settle(&mut self, addresses: Vec<IpAddr>, namespaces: Vec<NamespaceName>) -> bool {
        let mut changed = false;
        for address in addresses {
            changed |= self.settle_address(address);
        }
        for namespace in namespaces {
            changed |= self.settle_namespace(namespace);
        }
        changed
    }

    /// Brings the whole outcome up to date.
    pub(super) fn settle_all(&mut self) -> bool {
        let sources = [&self.feed.said, &self.local, &self.leaving];
        let sources = || {
            sources
                .into_iter()
                .chain(self.inherited.values())
                .chain(self.parts.values())
        };
        let addresses = sources().flat_map(|source| source.owners.addresses());
        let addresses = addresses.chain(self.outcome.addresses());
        let differing = addresses.filter(|address| *self.judge_address(*address) != *self.outcome.get(*address));
        let namespaces = sources().flat_map(|source| source.namespaces.keys());
        let namespaces = namespaces.chain(self.namespaces.keys()).cloned();
        self.settle(differing.collect(), namespaces.collect())
    }

    fn settle_address(&mut self, address: IpAddr) -> bool {
        let claims = self.judge_address(address);
        if *claims == *self.outcome.get(address) {
            return false;
        }
        for id in &claims {
            self.identities.show(*id);
        }
        for id in self.outcome.get(address) {
            self.identities.hide(*id);
        }
        self.outcome.set(address, &claims);
        true
    }

    fn settle_namespace(&mut self, namespace: NamespaceName) -> bool {
        let labels = self.judge_namespace(&namespace).cloned();
        if labels.as_ref() == self.namespaces.get(&namespace) {
            return false;
        }
        match labels {
            Some(labels) => self.namespaces.insert(namespace, labels),
            None => self.namespaces.remove(&namespace),
        };
        true
    }

    /// The claims on an address that the sources come to, sorted.
    fn judge_address(&self, address: IpAddr) -> Claims {
        let from_elsewhere = |cluster: &ClusterName| self.parts.contains_key(cluster);
        let cluster_of = |id| &self.identities.get(id).namespace.cluster;
        let mut claims: Claims = self.feed.said.owners.get(address).iter().copied().collect();
        claims.extend(
            self.inherited
                .values()
                .flat_map(|kept| kept.owners.get(address).iter().copied()),
        );
        if !self.parts.is_empty() {
            claims.retain(|id| !from_elsewhere(cluster_of(*id)));
            claims.extend(
                self.parts
                    .values()
                    .flat_map(|part| part.owners.get(address).iter().copied()),
            );
        }
        let local = self.local.owners.get(address);
        if !local.iter().all(|id| claims.contains(id)) {
            claims.retain(|id| *cluster_of(*id) != self.own);
            claims.extend_from_slice(local);
        }
        if !claims.iter().any(|id| *cluster_of(*id) == self.own) {
            claims.extend_from_slice(self.leaving.owners.get(address));
        }
        // A node claims its address as pods do, and is matched by no selector (S44): at home the own cluster's claims count
        // alone, elsewhere all must match (S113).
        let is_at_home = claims.iter().any(|id| *cluster_of(*id) == self.own);
        let voids = |cluster: &ClusterName| *cluster == self.own || !is_at_home;
        if !claims.is_empty() && self.nodes_at(address).any(voids) {
            claims.clear();
        }
        claims.sort_unstable();
        claims.dedup();
        claims
    }

    fn judge_namespace(&self, namespace: &NamespaceName) -> Option<&Arc<Labels>> {
        if let Some(part) = self.parts.get(&namespace.cluster) {
            return part.namespaces.get(namespace);
        }
        self.feed.said.namespaces.get(namespace).or_else(|| {
            let kept = self.inherited.get(&namespace.cluster)?;
            kept.namespaces.get(namespace)
        })
    }
}
