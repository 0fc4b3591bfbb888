//! `ListClusters`. Pure.

use super::namespaces::{Claim, claim};
use super::{View, count};
use crate::inventory::Member;
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
    let with = |wanted: Claim| {
        let namespaces = member.namespaces().iter();
        count(namespaces.filter(|one| claim(id, &one.labels) == wanted).count())
    };
    wire::Cluster {
        id: id.to_string(),
        state: State::from(member.state()).into(),
        reason: member.reason().unwrap_or_default(),
        last_event: member.last_heard().map(|at| view.timestamp(at)),
        stale_since: member.stale_since().map(|at| view.timestamp(at)),
        namespaces: count(member.namespaces().len()),
        pods: count(member.pods().count()),
        unlabelled_namespaces: with(Claim::Missing),
        mislabelled_namespaces: with(Claim::Foreign),
        server: member.server().to_owned(),
        enforcers: 0,
    }
}
