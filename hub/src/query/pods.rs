//! `ListPods` and `SelectPods`. Pure.

use super::namespaces::labels;
use super::page::{Page, Room};
use super::{Refusal, View, selectors};
use crate::inventory::Member;
use proto::model::ClusterName;
use proto::observe::{Phase, Pod};
use proto::pods::identity;
use proto::selector::Peer;
use proto::wire;

pub(super) fn list(view: &View<'_>, request: &wire::ListPodsRequest) -> Result<wire::ListPodsResponse, Refusal> {
    let filters = wire::ListPodsRequest {
        page_size: 0,
        page_token: String::new(),
        ..request.clone()
    };
    let page = Page::new(request.page_size, &request.page_token, &filters)?;
    let clusters = view.covered(&request.cluster)?;
    let selector = selectors::from_syntax("label_selector", &request.label_selector)?;
    let (pods, next_page_token) = collect(&clusters, page, |_, _, pod| {
        (request.namespace.is_empty() || *pod.namespace == *request.namespace)
            && (request.node.is_empty() || pod.node.as_deref() == Some(request.node.as_str()))
            && selector.matches(&pod.labels)
    });
    Ok(wire::ListPodsResponse {
        revision: view.revision(),
        pods,
        next_page_token,
        clusters: view.freshness(&clusters),
    })
}

pub(super) fn select(view: &View<'_>, request: &wire::SelectPodsRequest) -> Result<wire::SelectPodsResponse, Refusal> {
    let filters = wire::SelectPodsRequest {
        page_size: 0,
        page_token: String::new(),
        ..request.clone()
    };
    let page = Page::new(request.page_size, &request.page_token, &filters)?;
    let peer = peer(view, request)?;
    let clusters = view.covered("")?;
    let (pods, next_page_token) = collect(&clusters, page, |id, member, pod| {
        let namespace = member.namespaces().get(&pod.namespace);
        let namespace_labels = namespace.map(|namespace| &*namespace.labels);
        pod.is_live() && peer.selects(&identity(id, pod), namespace_labels, view.switches)
    });
    Ok(wire::SelectPodsResponse {
        revision: view.revision(),
        pods,
        next_page_token,
        clusters: view.freshness(&clusters),
    })
}

fn peer(view: &View<'_>, request: &wire::SelectPodsRequest) -> Result<Peer, Refusal> {
    let holder = "name the cluster and namespace that would hold the policy: a peer means other pods elsewhere";
    let (cluster, _) = view
        .cluster("cluster", &request.cluster)?
        .ok_or_else(|| Refusal::invalid("cluster", holder))?;
    if request.namespace.is_empty() {
        return Err(Refusal::invalid("namespace", holder));
    }
    if request.pod_selector.is_none() && request.namespace_selector.is_none() {
        return Err(Refusal::invalid(
            "pod_selector",
            "a peer has a pod_selector, a namespace_selector or both; an empty one, {}, selects everything",
        ));
    }
    let selector = |field: &str, message: &Option<wire::LabelSelector>| {
        let message = message.as_ref();
        message
            .map(|message| selectors::from_message(field, message))
            .transpose()
    };
    Ok(Peer {
        cluster: cluster.clone(),
        namespace: request.namespace.as_str().into(),
        pods: selector("pod_selector", &request.pod_selector)?,
        namespaces: selector("namespace_selector", &request.namespace_selector)?,
    })
}

/// A page of the pods that match, and the token of the next.
fn collect(
    clusters: &[(&ClusterName, &Member)],
    mut page: Page<3>,
    matches: impl Fn(&ClusterName, &Member, &Pod) -> bool,
) -> (Vec<wire::Pod>, String) {
    let [after_cluster, after_namespace, after_name] = page.after.clone();
    let rest = clusters.iter().filter(|(id, _)| id.as_str() >= after_cluster.as_str());
    let mut pods = Vec::new();
    'page: for (id, member) in rest {
        let (namespace, name) = if id.as_str() == after_cluster {
            (after_namespace.as_str(), after_name.as_str())
        } else {
            ("", "")
        };
        for pod in member.pods().after(namespace, name) {
            let listed = matches(id, member, pod);
            if listed {
                pods.push(describe(id, pod));
            }
            match page.looked_at([id.as_str(), &pod.namespace, &pod.name], listed) {
                Room::More => {}
                Room::Full => break 'page,
            }
        }
    }
    (pods, page.next_token())
}

/// A pod as people see it.
pub(super) fn describe(cluster: &ClusterName, pod: &Pod) -> wire::Pod {
    let phase = match pod.phase {
        Phase::Pending => "Pending",
        Phase::Running => "Running",
        Phase::Succeeded => "Succeeded",
        Phase::Failed => "Failed",
        Phase::Unknown => "Unknown",
    };
    let ports = pod
        .ports
        .iter()
        .map(|port| format!("{}:{}/{}", port.name, port.protocol, port.port));
    wire::Pod {
        cluster: cluster.to_string(),
        namespace: pod.namespace.to_string(),
        name: pod.name.to_string(),
        uid: pod.uid.to_string(),
        node: pod.node.as_deref().unwrap_or_default().to_owned(),
        addresses: pod.addresses.iter().map(ToString::to_string).collect(),
        labels: labels(&pod.labels),
        phase: phase.to_owned(),
        terminating: pod.terminating,
        host_network: pod.host_network,
        ports: ports.collect(),
    }
}
