//! The stories' world with its parts running: what the demo's live change and the latency bench both act upon.

use super::cluster::{Cluster, Written};
use super::control::Control;
use super::probe::Path;
use super::settle;
use super::setup::Lab;
use super::station::Station;
use super::story;
use anyhow::{Context, Result, bail};
use enforcer::offline::ends::{End, NodeName, PodName, Probe};
use enforcer::ruleset::Family;
use proto::model::ClusterName;
use serde_json::Value;
use std::net::IpAddr;

/// Who gets a label and loses it again, whom it wants to reach, and by what.
const FROM: &str = "cluster-b/shop/batch-0";
const TO: &str = "cluster-a/shop/database-0";
const PROBE: &str = "TCP/5432";

/// A lab with all its parts.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// The network.
    pub lab: &'a Lab,
    /// What runs on it.
    pub control: &'a Control,
}

/// Where a label that changes in one cluster is felt in another.
#[derive(Debug)]
pub struct Spot<'a> {
    /// The cluster of the pod whose label changes.
    pub cluster: ClusterName,
    /// That pod.
    pub pod: &'a Value,
    /// Its address.
    pub address: IpAddr,
    /// From it to the pod that a policy protects.
    pub path: Path<'a>,
    /// The node of the protected pod.
    pub node: NodeName,
    /// That node.
    pub station: &'a Station,
}

impl<'a> Scene<'a> {
    /// Writes objects to their clusters.
    ///
    /// # Errors
    /// If an API server refuses.
    pub async fn write(&self, objects: &[(ClusterName, Value)]) -> Result<()> {
        for (cluster, object) in objects {
            self.control
                .cluster(cluster)?
                .write(std::slice::from_ref(object))
                .await?;
        }
        Ok(())
    }

    /// Takes objects back and waits until that is in force: policies go, what else was changed is again as in the world.
    ///
    /// # Errors
    /// If an API server refuses, or it takes too long.
    pub async fn take_back(&self, objects: &[(ClusterName, Value)]) -> Result<()> {
        for (name, object) in objects {
            let cluster = self.control.cluster(name)?;
            if Written::of(object) == Some(Written::NetworkPolicy) {
                cluster.delete(object).await?;
            } else {
                let original = self.lab.world.clusters[name].iter().find(|one| is_same(one, object));
                cluster.write(original.map_or(&[], std::slice::from_ref)).await?;
            }
        }
        settle::wait(self.control, &settle::Policies::new()).await
    }

    /// The place where the first story's label is felt.
    ///
    /// # Errors
    /// If the world has changed and this has not.
    pub fn spot(&self, family: Family) -> Result<Spot<'a>> {
        let (from, to) = (story::end(FROM, family)?, story::end(TO, family)?);
        let probe = Probe {
            family: Some(family),
            ..PROBE.parse()?
        };
        let path = Path::find(&self.lab.fabric, &from, &to, probe).context("both ends are dual stack")?;
        let [from, to] = [&from, &to].map(pod_name);
        let (from, to) = (from?, to?);
        let node = self
            .lab
            .fabric
            .plan()
            .pods
            .get(to)
            .context("the pod is in the network")?
            .node
            .clone();
        let pod = self.lab.world.clusters[&from.cluster].iter().find(|object| {
            let metadata = &object["metadata"];
            object["kind"] == "Pod"
                && metadata["name"] == from.name.as_str()
                && metadata["namespace"] == from.namespace.as_str()
        });
        Ok(Spot {
            cluster: from.cluster.clone(),
            pod: pod.context("the pod is in the world")?,
            address: path.source(),
            path,
            station: self.lab.fabric.node(&node).context("the node is in the network")?,
            node,
        })
    }

    /// The cluster of a spot's pod.
    ///
    /// # Errors
    /// If there is none of this name.
    pub fn cluster_of(&self, spot: &Spot<'_>) -> Result<&'a Cluster> {
        self.control.cluster(&spot.cluster)
    }
}

impl Spot<'_> {
    /// What its pod is called.
    pub const fn who() -> &'static str {
        FROM
    }
}

fn pod_name(end: &End) -> Result<&PodName> {
    match end {
        End::Pod(name) => Ok(name),
        End::Address(_) => bail!("{end} is no pod"),
    }
}

fn is_same(one: &Value, other: &Value) -> bool {
    let key = |object: &Value| {
        ["kind", "/metadata/namespace", "/metadata/name"]
            .map(|path| object.pointer(path).or_else(|| object.get(path)).cloned())
    };
    key(one) == key(other)
}
