//! Waiting until what was written is in force: the hub knows, by the enforcers' reports.

use super::cluster::Written;
use super::control::Control;
use super::wait::{Look, until};
use super::world::World;
use anyhow::{Context, Result};
use proto::model::ClusterName;
use proto::wire::{Enforcer, ListEnforcersRequest, ListEnforcersResponse};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// How long a change may take to be in force everywhere. It takes milliseconds.
const LIMIT: Duration = Duration::from_secs(30);
/// How long the picture must not change: a write may be on its way from an API server to the hub, a few milliseconds.
const CALM: Duration = Duration::from_millis(250);

/// How many policies each cluster's enforcers must hold.
pub type Policies = BTreeMap<ClusterName, u32>;

/// How many policies each cluster of a world has.
pub fn policies_of(world: &World) -> Policies {
    let count = |objects: &Vec<_>| {
        let policies = objects
            .iter()
            .filter(|object| Written::of(object) == Some(Written::NetworkPolicy));
        u32::try_from(policies.count()).unwrap_or(u32::MAX)
    };
    world
        .clusters
        .iter()
        .map(|(name, objects)| (name.clone(), count(objects)))
        .collect()
}

/// How many policies are among objects of several clusters.
pub fn policies_among(objects: &[(ClusterName, Value)]) -> Policies {
    let mut policies = Policies::new();
    for (cluster, object) in objects {
        if Written::of(object) == Some(Written::NetworkPolicy) {
            *policies.entry(cluster.clone()).or_default() += 1;
        }
    }
    policies
}

/// Waits until every enforcer holds that many policies, enforces the hub's newest revision, and it stays so.
///
/// # Errors
/// If a program ends, or it takes too long: then what is missing.
pub async fn wait(control: &Control, policies: &Policies) -> Result<()> {
    let mut inventory = control.inventory().await?;
    let mut calm: Option<(Instant, String)> = None;
    let settled = until(LIMIT, async || {
        control.check_alive()?;
        let answer = inventory.list_enforcers(ListEnforcersRequest::default()).await;
        let answer = answer.context("ListEnforcers")?.into_inner();
        if let Some(missing) = missing(control, policies, &answer) {
            calm = None;
            return Ok(Look::NotYet(missing));
        }
        match &calm {
            Some((since, revision)) if *revision == answer.revision => {
                if since.elapsed() >= CALM {
                    return Ok(Look::Done(()));
                }
            }
            Some(_) | None => calm = Some((Instant::now(), answer.revision)),
        }
        Ok(Look::NotYet("the picture to stay as it is".to_owned()))
    });
    settled.await.map_err(|error| control.explain(&error))
}

/// What is not in force yet, for people.
fn missing(control: &Control, policies: &Policies, answer: &ListEnforcersResponse) -> Option<String> {
    control.enforcers().keys().find_map(|node| {
        let report = answer
            .enforcers
            .iter()
            .find(|one| one.cluster == node.cluster.as_str() && one.node == node.name);
        let Some(report) = report else {
            return Some(format!("the first report of {node}"));
        };
        let wanted = policies.get(&node.cluster).copied().unwrap_or(0);
        lag(report, wanted, &answer.revision).map(|lag| format!("{node}: {lag}"))
    })
}

fn lag(report: &Enforcer, policies: u32, revision: &str) -> Option<String> {
    if !report.connected {
        Some("its stream".to_owned())
    } else if !report.trouble.is_empty() {
        Some(report.trouble.clone())
    } else if report.policies != policies {
        Some(format!("{policies} policies (it holds {})", report.policies))
    } else if report.applied != revision {
        Some(format!("revision {revision} (it enforces {:?})", report.applied))
    } else {
        None
    }
}
