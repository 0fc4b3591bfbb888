//! `ListEnforcers`. Pure.

use super::{Refusal, View, count, duration, page, timestamp};
use crate::registry::{Enforcer, Report};
use proto::model::{ClusterName, Revision};
use proto::wire;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The enforcers that the request is about. `lag` gives the age of the oldest change that is not in a revision.
pub(super) fn list(
    view: &View<'_>,
    enforcers: &BTreeMap<(ClusterName, Arc<str>), Enforcer>,
    lag: impl Fn(Option<Revision>) -> Option<Duration>,
    request: &wire::ListEnforcersRequest,
) -> Result<wire::ListEnforcersResponse, Refusal> {
    let target = target(view, &request.behind_revision)?;
    let only_behind = !request.behind_revision.is_empty();
    view.cluster("cluster", &request.cluster)?;
    let current = enforcers.values().filter(|one| enforces(one, target)).count();
    let asked = enforcers.iter().filter(|((cluster, node), enforcer)| {
        (request.cluster.is_empty() || cluster.as_str() == request.cluster)
            && (request.node.is_empty() || **node == *request.node)
            && !(only_behind && enforces(enforcer, target))
    });
    let asked = asked.map(|((cluster, node), enforcer)| wire::Enforcer {
        lag: lag(applied(enforcer)).map(duration),
        ..describe(cluster, node, enforcer)
    });
    Ok(wire::ListEnforcersResponse {
        revision: view.revision(),
        enforcers: asked.collect(),
        current: count(current),
        known: count(enforcers.len()),
    })
}

/// The revision that `current` counts and `behind_revision` filters by: the one that is asked for, else the newest.
fn target(view: &View<'_>, text: &str) -> Result<Revision, Refusal> {
    let invalid = |problem: String| Refusal::invalid("behind_revision", problem);
    if text.is_empty() {
        return Ok(view.revision);
    }
    let wanted: Revision = text
        .parse()
        .map_err(|error: proto::model::InvalidRevision| invalid(error.to_string()))?;
    let newest = view.revision;
    if wanted.epoch != newest.epoch {
        return Err(invalid(format!(
            "{wanted} is of another run of the hub, and its revisions say nothing of this one's: the newest is {newest}"
        )));
    }
    if wanted.sequence > newest.sequence {
        return Err(invalid(format!("{wanted} is not yet: the newest is {newest}")));
    }
    Ok(wanted)
}

fn applied(enforcer: &Enforcer) -> Option<Revision> {
    enforcer.report.as_ref()?.applied
}

fn enforces(enforcer: &Enforcer, wanted: Revision) -> bool {
    applied(enforcer).is_some_and(|applied| applied.epoch == wanted.epoch && applied.sequence >= wanted.sequence)
}

fn describe(cluster: &ClusterName, node: &str, enforcer: &Enforcer) -> wire::Enforcer {
    let known = wire::Enforcer {
        cluster: cluster.to_string(),
        node: node.to_owned(),
        connected: enforcer.streams > 0,
        address: enforcer.address.map(|address| address.to_string()).unwrap_or_default(),
        ..wire::Enforcer::default()
    };
    let Some(Report {
        applied,
        message,
        at_wall,
        ..
    }) = &enforcer.report
    else {
        return known;
    };
    wire::Enforcer {
        applied: applied.map(|applied| applied.to_string()).unwrap_or_default(),
        last_report: Some(timestamp(*at_wall)),
        policies: message.policies,
        policies_digest: page::hex(&message.policies_digest),
        refused: message.refused.clone(),
        isolated_pods: message.isolated_pods,
        trouble: message.trouble.clone(),
        release: message.release.clone(),
        ..known
    }
}
