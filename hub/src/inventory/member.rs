//! What is known of one cluster: what is published of it, what a new connection has said so far, and how it fares.
//!
//! Pure. It knows nothing of other clusters.

use super::{Connection, Observed, Seniority, Touched};
use proto::model::{ClusterName, ClusterState};
use proto::observe::Namespace;
use proto::pods::{self, Pods};
use proto::watch::Event;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

/// The namespace whose UID tells one cluster from another: every cluster has it, and nobody can delete it.
const KUBE_SYSTEM: &str = "kube-system";

/// The namespaces of one cluster.
#[derive(Debug, Default)]
pub struct Namespaces {
    by_name: BTreeMap<Arc<str>, Arc<Namespace>>,
    is_synced: bool,
}

impl Namespaces {
    /// All namespaces, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Namespace>> {
        self.by_name.values()
    }

    /// The namespace of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Namespace>> {
        self.by_name.get(name)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Takes an event in; returns the names of the namespaces that differ now.
    fn apply(&mut self, event: Event<Namespace>) -> BTreeSet<Arc<str>> {
        match event {
            Event::Synced(list) => {
                self.is_synced = true;
                let listed = list.into_iter().map(|one| (Arc::clone(&one.name), Arc::new(one)));
                let before = std::mem::replace(&mut self.by_name, listed.collect());
                differing(&before, &self.by_name)
            }
            Event::Applied(namespace) => {
                let name = Arc::clone(&namespace.name);
                let before = self.by_name.get(&name).is_some_and(|known| **known == namespace);
                self.by_name.insert(Arc::clone(&name), Arc::new(namespace));
                if before { BTreeSet::new() } else { [name].into() }
            }
            // The deletion of an object that another of its name has followed says nothing of that other (N3).
            Event::Deleted(namespace) => match self.by_name.get(&namespace.name) {
                Some(known) if known.uid == namespace.uid => {
                    self.by_name.remove(&namespace.name);
                    [namespace.name].into()
                }
                Some(_) | None => BTreeSet::new(),
            },
            Event::Heard | Event::Lost(_) => BTreeSet::new(),
        }
    }

    fn uid(&self) -> Option<&Arc<str>> {
        self.get(KUBE_SYSTEM).map(|namespace| &namespace.uid)
    }
}

fn differing(
    before: &BTreeMap<Arc<str>, Arc<Namespace>>,
    after: &BTreeMap<Arc<str>, Arc<Namespace>>,
) -> BTreeSet<Arc<str>> {
    let changed = after.iter().filter(|(name, one)| before.get(*name) != Some(one));
    let gone = before.iter().filter(|(name, _)| !after.contains_key(*name));
    changed.chain(gone).map(|(name, _)| Arc::clone(name)).collect()
}

/// The objects of a cluster.
#[derive(Debug, Default)]
struct Content {
    pods: Pods,
    namespaces: Namespaces,
}

impl Content {
    fn is_complete(&self) -> bool {
        self.pods.is_synced() && self.namespaces.is_synced
    }

    fn everything(&self) -> Touched {
        Touched {
            namespaces: self.namespaces.iter().map(|one| Arc::clone(&one.name)).collect(),
            addresses: self.pods.addresses().collect(),
            nodes: self.pods.node_addresses().collect(),
        }
    }
}

/// Why the feeds of a cluster say nothing new, if they do not.
#[derive(Debug, Default)]
struct Lost {
    pods: Option<String>,
    namespaces: Option<String>,
}

/// One cluster.
#[derive(Debug)]
pub struct Member {
    seniority: Seniority,
    server: String,
    connection: Option<Connection>,
    /// What subscribers and queries see.
    content: Content,
    /// What the current connection has said, until it is complete and published.
    next: Option<Content>,
    refused: Option<String>,
    duplicates: Option<ClusterName>,
    lost: Lost,
    known_since: Instant,
    last_heard: Option<Instant>,
    stale_since: Option<Instant>,
}

impl Member {
    pub(super) fn new(seniority: Seniority, now: Instant) -> Self {
        Self {
            seniority,
            server: String::new(),
            connection: None,
            content: Content::default(),
            next: None,
            refused: None,
            duplicates: None,
            lost: Lost::default(),
            known_since: now,
            last_heard: None,
            stale_since: None,
        }
    }

    /// How current the published content is.
    pub fn state(&self) -> ClusterState {
        if !self.is_published() {
            ClusterState::Syncing
        } else if self.duplicates.is_some() || self.lost.pods.is_some() || self.lost.namespaces.is_some() {
            ClusterState::Stale
        } else {
            ClusterState::Live
        }
    }

    /// Why it is not LIVE, or what is wrong with its kubeconfig while an earlier one still serves; `None`: all is well.
    pub fn reason(&self) -> Option<String> {
        let listing = || "its first list of pods and namespaces is not complete".to_owned();
        self.trouble().or_else(|| (!self.is_published()).then(listing))
    }

    /// What somebody should look at; `None`: nothing.
    pub fn trouble(&self) -> Option<String> {
        if let Some(refused) = &self.refused {
            return Some(refused.clone());
        }
        if let Some(first) = &self.duplicates {
            return Some(format!(
                "the cluster behind this kubeconfig is {first} already (same UID of namespace kube-system): \
                 one cluster, one id; remove one of the two kubeconfigs"
            ));
        }
        match (&self.lost.pods, &self.lost.namespaces) {
            (Some(pods), Some(namespaces)) if pods == namespaces => Some(pods.clone()),
            (Some(pods), Some(namespaces)) => Some(format!("pods: {pods}; namespaces: {namespaces}")),
            (Some(pods), None) => Some(format!("pods: {pods}")),
            (None, Some(namespaces)) => Some(format!("namespaces: {namespaces}")),
            (None, None) => None,
        }
    }

    /// Address of the API server, as its kubeconfig has it; empty while no kubeconfig could be read.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Its pods, as published: none while it is SYNCING.
    pub fn pods(&self) -> &Pods {
        &self.content.pods
    }

    /// Its namespaces, as published: none while it is SYNCING.
    pub fn namespaces(&self) -> &Namespaces {
        &self.content.namespaces
    }

    /// When the hub last heard from its API server; `None`: never.
    pub fn last_heard(&self) -> Option<Instant> {
        self.last_heard
    }

    /// Since when it is STALE.
    pub fn stale_since(&self) -> Option<Instant> {
        self.stale_since
    }

    /// Since when there is a kubeconfig for it.
    pub fn known_since(&self) -> Instant {
        self.known_since
    }

    /// Whether both lists were complete at least once.
    pub fn is_published(&self) -> bool {
        self.content.is_complete()
    }

    pub(super) fn seniority(&self) -> Seniority {
        self.seniority
    }

    pub(super) fn connection(&self) -> Option<Connection> {
        self.connection
    }

    pub(super) fn duplicates(&self) -> Option<&ClusterName> {
        self.duplicates.as_ref()
    }

    pub(super) fn connect(&mut self, connection: Connection, server: String) {
        self.server = server;
        self.connection = Some(connection);
        self.next = Some(Content::default());
        self.refused = None;
        self.duplicates = None;
    }

    pub(super) fn refuse(&mut self, reason: String) {
        self.refused = Some(reason);
    }

    pub(super) fn accept(&mut self) {
        self.refused = None;
    }

    /// Takes an event of the current connection in; returns what it touched of the published content.
    pub(super) fn apply(&mut self, observed: Observed, now: Instant) -> Touched {
        let mut touched = Touched::default();
        let is_next = self.next.is_some();
        let content = self.next.as_mut().unwrap_or(&mut self.content);
        let lost = match observed {
            Observed::Pods(event) => {
                self.lost.pods = loss(&event);
                let pods::Touched { claims, nodes } = content.pods.apply(event);
                (touched.addresses, touched.nodes) = (claims, nodes);
                &self.lost.pods
            }
            Observed::Namespaces(event) => {
                self.lost.namespaces = loss(&event);
                touched.namespaces = content.namespaces.apply(event);
                &self.lost.namespaces
            }
        };
        if lost.is_none() {
            self.last_heard = Some(now);
        }
        if is_next { Touched::default() } else { touched }
    }

    /// Whether a new connection has both lists, so that they can be published.
    pub(super) fn is_complete(&self) -> bool {
        self.next.as_ref().is_some_and(Content::is_complete)
    }

    /// UID of the `kube-system` that the published content came with.
    pub(super) fn uid(&self) -> Option<&Arc<str>> {
        self.content.namespaces.uid()
    }

    /// UID of the `kube-system` that the new connection found.
    pub(super) fn next_uid(&self) -> Option<&Arc<str>> {
        self.next.as_ref()?.namespaces.uid()
    }

    /// Whether the new connection leads to another cluster than the published content came from.
    pub(super) fn is_replaced(&self) -> bool {
        match (self.uid(), self.next_uid()) {
            (Some(published), Some(next)) => published != next,
            (None, _) | (_, None) => false,
        }
    }

    pub(super) fn set_duplicates(&mut self, first: ClusterName) {
        self.duplicates = Some(first);
    }

    /// Replaces the published content by that of the new connection; returns all that was and all that is.
    pub(super) fn publish(&mut self) -> Touched {
        let next = self.next.take().expect("only a complete connection is published");
        let mut touched = self.content.everything();
        self.content = next;
        self.duplicates = None;
        let after = self.content.everything();
        touched.namespaces.extend(after.namespaces);
        touched.addresses.extend(after.addresses);
        touched.nodes.extend(after.nodes);
        touched
    }

    /// Takes back all that is published because it is `first`'s; what the feeds say goes on being collected.
    pub(super) fn withdraw(&mut self, first: ClusterName, now: Instant) -> Touched {
        let touched = self.content.everything();
        let content = std::mem::take(&mut self.content);
        self.next.get_or_insert(content);
        self.duplicates = Some(first);
        self.state_changed(now);
        touched
    }

    /// Takes back all that is published.
    pub(super) fn clear(&mut self) -> Touched {
        std::mem::take(&mut self.content).everything()
    }

    /// All that is published.
    pub(super) fn everything(&self) -> Touched {
        self.content.everything()
    }

    pub(super) fn state_changed(&mut self, now: Instant) {
        self.stale_since = (self.state() == ClusterState::Stale).then_some(now);
    }
}

fn loss<K>(event: &Event<K>) -> Option<String> {
    match event {
        Event::Lost(reason) => Some(reason.clone()),
        Event::Synced(_) | Event::Applied(_) | Event::Deleted(_) | Event::Heard => None,
    }
}
