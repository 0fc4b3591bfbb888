//! `ListClusters`. Pure.

use super::{View, count};
use crate::inventory::{Alarm, Member};
use proto::model::ClusterName;
use proto::wire;
use proto::wire::cluster_status::State;
use std::collections::BTreeMap;

/// The member clusters; `enforcers` says how many of each have a stream open.
pub(super) fn list(view: &View<'_>, enforcers: &BTreeMap<ClusterName, u32>) -> wire::ListClustersResponse {
    let clusters = view.inventory.clusters().map(|(id, member)| wire::Cluster {
        enforcers: enforcers.get(id).copied().unwrap_or(0),
        ..cluster(view, id, member)
    });
    wire::ListClustersResponse {
        revision: view.revision(),
        clusters: clusters.collect(),
    }
}

fn cluster(view: &View<'_>, id: &ClusterName, member: &Member) -> wire::Cluster {
    let alarms = view.inventory.alarms();
    wire::Cluster {
        id: id.to_string(),
        state: State::from(member.state()).into(),
        reason: member.reason().unwrap_or_default(),
        last_event: member.last_heard().map(|at| view.timestamp(at)),
        stale_since: member.stale_since().map(|at| view.timestamp(at)),
        namespaces: count(member.namespaces().len()),
        pods: count(member.pods().count()),
        unlabelled_namespaces: count(alarms.count(id, Alarm::Unlabelled)),
        mislabelled_namespaces: count(alarms.count(id, Alarm::Mislabelled)),
        server: member.server().to_owned(),
        enforcers: 0,
    }
}
