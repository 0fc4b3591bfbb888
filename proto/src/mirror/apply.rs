//! Frames of the hub: snapshots, deltas, heartbeats.
//!
//! Pure. A frame is checked in full before any of it is taken.

use super::feed::{Change, Feed, read_clusters};
use super::knowledge::Knowledge;
use super::{Applied, Claims, FrameError, Mirror, Snapshot};
use crate::model::{ClusterName, ClusterState, NamespaceName, Revision};
use crate::wire;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Mirror {
    pub(super) fn apply_chunk(
        &mut self,
        revision: Revision,
        chunk: &wire::SnapshotChunk,
    ) -> Result<Applied, FrameError> {
        // A stream begins with it: what an earlier one left unfinished is of no use.
        if chunk.index == 0 {
            self.disconnected();
        }
        let snapshot = self.snapshot.get_or_insert_with(|| Snapshot {
            revision,
            chunks: 0,
            feed: Feed::default(),
        });
        if revision != snapshot.revision || chunk.index != snapshot.chunks {
            return Err(FrameError(format!(
                "chunk {} of the snapshot at {revision} where chunk {} of {} was due",
                chunk.index, snapshot.chunks, snapshot.revision
            )));
        }
        snapshot.chunks += 1;
        if let Some(content) = &chunk.content {
            snapshot.feed.take_chunk(content, &mut self.identities)?;
        }
        Ok(Applied::Same)
    }

    /// The snapshot takes the place of what the hub said before, in one step.
    pub(super) fn apply_end(&mut self, revision: Revision, end: &wire::SnapshotEnd) -> Result<Applied, FrameError> {
        let clusters = read_clusters(&end.clusters)?;
        self.check_end(revision, end)?;
        let fresh = self.snapshot.take().map(|snapshot| snapshot.feed).unwrap_or_default();
        let mut before = std::mem::replace(&mut self.feed, fresh);
        self.inherit(&before.said, &clusters);
        for (cluster, _) in clusters.iter().filter(|(_, state)| **state == ClusterState::Left) {
            self.feed.forget(&mut self.identities, cluster);
        }
        let same_nodes = before.said.nodes == self.feed.said.nodes;
        let changed = self.settle_all() || self.clusters != clusters || !same_nodes;
        before.clear(&mut self.identities);
        self.clusters = clusters;
        self.revision = Some(revision);
        Ok(applied(changed))
    }

    fn check_end(&self, revision: Revision, end: &wire::SnapshotEnd) -> Result<(), FrameError> {
        let (begun, had) = match &self.snapshot {
            Some(Snapshot { revision, chunks, feed }) => {
                let said = &feed.said;
                (
                    *revision,
                    (*chunks, said.owners.len() as u64, said.namespaces.len() as u64),
                )
            }
            None => (revision, (0, 0, 0)),
        };
        let due = (end.chunks, end.addresses, end.namespaces);
        if begun != revision || had != due {
            return Err(FrameError(format!(
                "the snapshot at {revision} should have had (chunks, addresses, namespaces) {due:?} and had {had:?} at \
                 {begun}"
            )));
        }
        Ok(())
    }

    /// Keeps what was known of clusters that are SYNCING now and that the new feed does not name.
    fn inherit(&mut self, before: &Knowledge, clusters: &BTreeMap<ClusterName, ClusterState>) {
        let earlier = std::mem::take(&mut self.inherited);
        for (cluster, _) in clusters.iter().filter(|(_, state)| **state == ClusterState::Syncing) {
            let mut kept = Knowledge::default();
            for source in [Some(before), earlier.get(cluster)].into_iter().flatten() {
                for address in source.owners.addresses() {
                    let mut named = self.feed.said.claims_of(&self.identities, cluster, address);
                    if named.next().is_some() {
                        continue;
                    }
                    drop(named);
                    let claims: Claims = source.claims_of(&self.identities, cluster, address).collect();
                    if !claims.is_empty() {
                        kept.claim(&mut self.identities, address, &claims);
                    }
                }
                for (address, _) in source.nodes.iter().filter(|(_, of)| of.contains(cluster)) {
                    kept.set_node(cluster, *address, true);
                }
                let of_cluster = |namespace: &NamespaceName| namespace.cluster == *cluster;
                for (namespace, labels) in source.namespaces.iter().filter(|(name, _)| of_cluster(name)) {
                    let entry = kept.namespaces.entry(namespace.clone());
                    entry.or_insert_with(|| Arc::clone(labels));
                }
            }
            self.inherited.insert(cluster.clone(), kept);
        }
        for (_, mut kept) in earlier {
            kept.clear(&mut self.identities);
        }
    }

    pub(super) fn apply_delta(&mut self, revision: Revision, delta: &wire::Delta) -> Result<Applied, FrameError> {
        let due = self.revision.map(|revision| Revision {
            sequence: revision.sequence + 1,
            ..revision
        });
        if self.snapshot.is_some() || due != Some(revision) {
            return Err(FrameError(format!(
                "a delta to {revision} {}",
                match (&self.snapshot, due) {
                    (Some(_), _) => "within a snapshot".to_owned(),
                    (None, Some(due)) => format!("where {due} was due"),
                    (None, None) => "before any snapshot".to_owned(),
                }
            )));
        }
        let change = self.feed.read(delta)?;
        self.feed.take(&change, &mut self.identities);
        self.forget_inherited(&change);
        let same_nodes = change.nodes.is_empty();
        let nodes = change.nodes.into_keys().map(|(_, address)| address);
        let addresses = change.owners.into_iter().map(|(address, _)| address).chain(nodes);
        let changed = self.settle(addresses.collect(), change.namespaces.into_keys().collect());
        let changed = self.enter(change.clusters) || changed || !same_nodes;
        self.revision = Some(revision);
        Ok(applied(changed))
    }

    /// Clusters are in other states. One that is not SYNCING (any more) has been named in full: what was known before
    /// and is not named again goes. One that has LEFT goes with everything.
    fn enter(&mut self, clusters: BTreeMap<ClusterName, ClusterState>) -> bool {
        let mut changed = false;
        for (cluster, state) in clusters {
            if self.clusters.insert(cluster.clone(), state) == Some(state) {
                continue;
            }
            changed = true;
            if state != ClusterState::Syncing
                && let Some(mut kept) = self.inherited.remove(&cluster)
            {
                let namespaces = kept.namespaces.keys().cloned().collect();
                self.settle(kept.addresses().collect(), namespaces);
                kept.clear(&mut self.identities);
            }
            if state == ClusterState::Left {
                self.feed.forget(&mut self.identities, &cluster);
                self.settle_all();
            }
        }
        changed
    }

    /// What this epoch has named counts instead of what was known before it.
    fn forget_inherited(&mut self, change: &Change) {
        for (cluster, kept) in &mut self.inherited {
            for (address, _) in &change.owners {
                let mut named = self.feed.said.claims_of(&self.identities, cluster, *address);
                if named.next().is_some() {
                    drop(named);
                    kept.claim(&mut self.identities, *address, &[]);
                }
            }
            for namespace in change.namespaces.keys() {
                kept.namespaces.remove(namespace);
            }
        }
    }

    pub(super) fn apply_heartbeat(
        &mut self,
        revision: Revision,
        heartbeat: &wire::Heartbeat,
    ) -> Result<Applied, FrameError> {
        if self.snapshot.is_some() || self.revision != Some(revision) {
            return Err(FrameError(format!(
                "a heartbeat at {revision}, which was never reached by its frames"
            )));
        }
        // A term about such a key would have to match nothing, and `NotIn` and `DoesNotExist` would match everybody.
        if let Some(key) = heartbeat.omitted_label_keys.first() {
            return Err(FrameError(format!(
                "it leaves out label {key:?}, and this release judges by all labels: it needs a newer one"
            )));
        }
        let clusters = read_clusters(&heartbeat.clusters)?;
        Ok(applied(self.enter(clusters)))
    }
}

fn applied(changed: bool) -> Applied {
    match changed {
        true => Applied::Changed,
        false => Applied::Same,
    }
}
