//! `hub members remove`. Shell: the hub forgets the member first, then the member forgets the hub, so that at no time the
//! hub is refused by a member that it still has.

use super::add::token_secrets;
use super::api::Cluster;
use super::context::Context;
use super::grant;
use super::held::Members;
use super::labels::{self, Labels};
use super::object::{NAMESPACE, Place, SECRET};
use super::{Done, Error, Mode, Outcome, tell, tell_place};
use proto::model::ClusterName;
use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;

/// What is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// The member's id.
    pub id: ClusterName,
    /// The namespace, in both clusters.
    pub namespace: String,
    /// The user's kubeconfig, if it is not the usual one.
    pub kubeconfig: Option<PathBuf>,
    /// The member's context, if something is to be removed there.
    pub context: Option<String>,
    /// The context of the hub's cluster.
    pub hub_context: String,
    /// Whether the cluster's label is taken from its namespaces.
    pub labels: NamespaceLabels,
    /// Whether to act.
    pub mode: Mode,
}

/// What becomes of the cluster's label on its namespaces.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NamespaceLabels {
    /// It stays.
    Stay,
    /// It goes.
    Go,
}

pub(super) async fn run(order: Order, out: &mut dyn Write) -> Result<Done, Error> {
    let file = order.kubeconfig.as_deref();
    let hub = Context::open(file, Some(&order.hub_context), "hub").await?.cluster;
    let member = match &order.context {
        Some(context) => Some(Context::open(file, Some(context), order.id.as_str()).await?.cluster),
        None => None,
    };
    if order.mode == Mode::DryRun {
        writeln!(out, "Nothing is removed (--dry-run). Without it this would be:")?;
    }
    forget(&hub, &order, out).await?;
    match member {
        Some(member) => withdraw(&member, &order, out).await?,
        None => {
            let id = &order.id;
            writeln!(out, "{id} (no --context)")?;
            let note = "its token opens the cluster for reading for as long as its Secret is there";
            for object in grant::objects(&order.namespace).iter().skip(1) {
                tell(out, Outcome::Left, &object.place, "")?;
            }
            let secret = Place::within(SECRET, &order.namespace, &super::tokens::first_name());
            tell(out, Outcome::Left, &secret, note)?;
            writeln!(out, "Run this again with --context to remove what is left in {id}.")?;
        }
    }
    Ok(Done::All)
}

/// Takes the member out of the hub's Secret.
async fn forget(hub: &Cluster, order: &Order, out: &mut dyn Write) -> Result<(), Error> {
    writeln!(out, "{}", hub.title())?;
    let place = grant::clusters_place(&order.namespace);
    let secret = hub.get(&place).await?.unwrap_or(Value::Null);
    let members = Members::read(&secret);
    let Some(entry) = members.0.get(&order.id) else {
        let what = format!("{place}: {}.kubeconfig", order.id);
        return Ok(tell(out, Outcome::Absent, &what, "")?);
    };
    if order.mode == Mode::Act {
        hub.merge(&place, &json!({"data": {&entry.key: null}})).await?;
    }
    tell(out, Outcome::Deleted, &format!("{place}: {}", entry.key), "")?;
    if members.0.len() == 1 {
        writeln!(
            out,
            "  This was the last member. A hub takes an empty folder for a fault and keeps what it knows: restart it, or
  add another member, and it forgets {}.",
            order.id
        )?;
    }
    Ok(())
}

/// Removes what the hub was granted in the member.
async fn withdraw(member: &Cluster, order: &Order, out: &mut dyn Write) -> Result<(), Error> {
    writeln!(out, "{}", member.title())?;
    let secrets = token_secrets(member, &order.namespace).await?;
    let secrets = secrets
        .into_iter()
        .map(|secret| Place::within(SECRET, &order.namespace, &secret.name));
    let mut objects: Vec<Place> = grant::objects(&order.namespace)
        .into_iter()
        .map(|object| object.place)
        .collect();
    let namespace = objects.remove(0);
    objects.reverse();
    for place in secrets.chain(objects) {
        let was_there = match order.mode {
            Mode::Act => member.delete(&place).await?,
            Mode::DryRun => member.get(&place).await?.is_some(),
        };
        tell_place(out, if was_there { Outcome::Deleted } else { Outcome::Absent }, &place)?;
    }
    tell(
        out,
        Outcome::Left,
        &namespace,
        "enforcers live there; kubectl delete namespace removes it and them",
    )?;
    unlabel(member, order, out).await
}

async fn unlabel(member: &Cluster, order: &Order, out: &mut dyn Write) -> Result<(), Error> {
    let namespaces = member.list(NAMESPACE, None, "").await?;
    let labelled = Labels::with(&namespaces, &order.id);
    if order.labels == NamespaceLabels::Stay {
        let note = "labelled; --unlabel-namespaces takes the label away";
        return match labelled.len() {
            0 => Ok(()),
            count => Ok(tell(out, Outcome::Left, &labels::count(count), note)?),
        };
    }
    for name in &labelled {
        if order.mode == Mode::Act {
            member.merge(&labels::place(name), &labels::patch(None)).await?;
        }
        tell(out, Outcome::Changed, &labels::place(name), "no longer labelled")?;
    }
    Ok(())
}
