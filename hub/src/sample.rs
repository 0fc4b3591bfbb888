//! Objects for tests, as short as they can be said.

use proto::model::{ClusterName, Labels};
use proto::observe::{Namespace, Phase, Pod};
use std::sync::Arc;
use std::time::Instant;

/// The id of a cluster.
pub(crate) fn cluster(name: &str) -> ClusterName {
    ClusterName::new(name).unwrap()
}

/// Labels from `key=value,key=value`.
pub(crate) fn labels(text: &str) -> Arc<Labels> {
    let pair = |pair: &str| pair.split_once('=').map(|(key, value)| (key.into(), value.into()));
    Arc::new(text.split(',').filter_map(pair).collect())
}

/// A running pod `namespace/name` with a UID that is its name.
pub(crate) fn pod(name: &str, addresses: &[&str], labels_text: &str) -> Pod {
    let (namespace, name) = name.split_once('/').unwrap();
    Pod {
        namespace: namespace.into(),
        name: name.into(),
        uid: name.into(),
        labels: labels(labels_text),
        node: Some("node-1".into()),
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        host_addresses: Vec::new(),
        host_network: false,
        phase: Phase::Running,
        terminating: false,
        ports: [].into(),
        rejected: Vec::new(),
    }
}

/// A namespace; `uid` tells its cluster if it is `kube-system`.
pub(crate) fn namespace(name: &str, uid: &str, labels_text: &str) -> Namespace {
    Namespace {
        name: name.into(),
        uid: uid.into(),
        labels: labels(labels_text),
        rejected: Vec::new(),
    }
}

/// Some instant; tests go on from there.
#[expect(
    clippy::disallowed_methods,
    reason = "any instant will do, and there is no other way to one"
)]
pub(crate) fn some_instant() -> Instant {
    Instant::now()
}
