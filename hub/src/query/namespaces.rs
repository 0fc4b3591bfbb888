//! `ListNamespaces`, and what a namespace says of the cluster it is in. Pure.

use super::page::{Page, Room};
use super::{Refusal, View, count, selectors};
use crate::inventory::{Claim, claim};
use proto::model::{CLUSTER_LABEL, ClusterName, Labels};
use proto::observe::Namespace;
use proto::selector::ClusterLabelMode;
use proto::wire;

pub(super) fn list(
    view: &View<'_>,
    request: &wire::ListNamespacesRequest,
) -> Result<wire::ListNamespacesResponse, Refusal> {
    let filters = wire::ListNamespacesRequest {
        page_size: 0,
        page_token: String::new(),
        ..request.clone()
    };
    let mut page = Page::new(request.page_size, &request.page_token, &filters)?;
    let clusters = view.covered(&request.cluster)?;
    let selector = selectors::from_syntax("label_selector", &request.label_selector)?;
    let mut namespaces = Vec::new();
    'page: for (id, member) in &clusters {
        for namespace in member.namespaces().iter() {
            let key = [id.as_str(), &namespace.name];
            if key <= [&page.after[0], &page.after[1]] {
                continue;
            }
            let listed = selector.matches(&namespace.labels);
            if listed {
                namespaces.push(describe(view, id, namespace, member.pods().count_in(&namespace.name)));
            }
            match page.looked_at(key, listed) {
                Room::More => {}
                Room::Full => break 'page,
            }
        }
    }
    Ok(wire::ListNamespacesResponse {
        revision: view.revision(),
        namespaces,
        next_page_token: page.next_token(),
        clusters: view.freshness(&clusters),
    })
}

fn describe(view: &View<'_>, cluster: &ClusterName, namespace: &Namespace, pods: usize) -> wire::Namespace {
    let warning = match (claim(cluster, &namespace.labels), view.switches.cluster_label) {
        (Claim::Own, _) | (Claim::Missing, ClusterLabelMode::Assert) => String::new(),
        (Claim::Missing, ClusterLabelMode::Verify | ClusterLabelMode::Literal) => format!(
            "no policy that names cluster {cluster} matches its pods: \
             kubectl label namespace {} {CLUSTER_LABEL}={cluster}",
            namespace.name
        ),
        (Claim::Foreign, ClusterLabelMode::Verify | ClusterLabelMode::Assert) => format!(
            "its label {CLUSTER_LABEL} names another cluster, enforcers read {cluster} instead: \
             kubectl label --overwrite namespace {} {CLUSTER_LABEL}={cluster}",
            namespace.name
        ),
        (Claim::Foreign, ClusterLabelMode::Literal) => format!(
            "its label {CLUSTER_LABEL} names another cluster, and its pods pass for that cluster's: \
             kubectl label --overwrite namespace {} {CLUSTER_LABEL}={cluster}",
            namespace.name
        ),
    };
    wire::Namespace {
        cluster: cluster.to_string(),
        name: namespace.name.to_string(),
        labels: labels(&namespace.labels),
        pods: count(pods),
        warning,
    }
}

/// Labels as a message has them.
pub(super) fn labels(labels: &Labels) -> std::collections::BTreeMap<String, String> {
    labels
        .iter()
        .map(|(key, value)| (key.to_string(), value.to_string()))
        .collect()
}
