//! What runs on the network: API servers with the world's objects, the hub, an enforcer on every node.
//!
//! Real programs, mutual TLS from a trial PKI that `hub certs` writes, kubeconfigs with the rights that each needs.

use super::address::Service;
use super::admin::Admin;
use super::cluster::Cluster;
use super::fabric::Fabric;
use super::launch::{Folder, HUB_ADMIN, enforcer_program, hub_address, hub_program, write_pki};
use super::netns::Netns;
use super::process::Child;
use super::programs::Programs;
use super::wait::{Look, until};
use super::world::World;
use crate::apiserver::{Kind, Role};
use anyhow::{Context, Result};
use enforcer::offline::ends::NodeName;
use futures::future::{join_all, select_all, try_join_all};
use proto::model::ClusterName;
use proto::wire::inventory_client::InventoryClient;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::ExitStatus;
use std::time::Duration;
use tokio::time::sleep;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};

/// How long a program may take to be ready. It takes a second; a machine that builds at the same time takes longer.
const START_LIMIT: Duration = Duration::from_secs(60);
/// Before a program that ended is started again: one that ends at once must not fill the screen.
const RESTART_PAUSE: Duration = Duration::from_secs(1);
/// The control plane of a lab.
#[derive(Debug)]
pub struct Control {
    programs: Programs,
    folder: Folder,
    clusters: BTreeMap<ClusterName, Cluster>,
    hub: Child,
    enforcers: BTreeMap<NodeName, Child>,
    fabric_netns: Netns,
}

/// A program that has ended.
#[derive(Clone, Debug)]
enum Ended {
    Hub,
    Enforcer(NodeName),
}

impl Control {
    /// Starts API servers, writes the world to them, starts the hub and, once it is ready, an enforcer on each node.
    ///
    /// To be awaited on a thread that stays: API servers that are processes end with the thread that started them.
    ///
    /// # Errors
    /// If a part does not become ready; the end of its log is in the error.
    pub async fn start(kind: Kind, world: &World, fabric: &Fabric, programs: Programs, folder: Folder) -> Result<Self> {
        for sub in ["clusters", "logs", "pki"] {
            std::fs::create_dir_all(folder.path().join(sub))?;
        }
        let clusters = start_clusters(kind, world, &folder).await?;
        write_pki(&programs, &folder, world).await?;
        let fabric_netns = Netns::current()?;
        let mut hub = hub_program(&programs, &folder).start(&fabric_netns)?;
        hub_ready(&mut hub).await?;
        let mut control = Self {
            programs,
            folder,
            clusters,
            hub,
            enforcers: BTreeMap::new(),
            fabric_netns,
        };
        for (node, _) in fabric.nodes() {
            control.start_enforcer(fabric, node)?;
        }
        control.enforcers_ready().await?;
        Ok(control)
    }

    /// The clusters' API servers.
    pub fn clusters(&self) -> &BTreeMap<ClusterName, Cluster> {
        &self.clusters
    }

    /// One of them.
    ///
    /// # Errors
    /// If there is none of this name.
    pub fn cluster(&self, name: &ClusterName) -> Result<&Cluster> {
        self.clusters
            .get(name)
            .with_context(|| format!("no cluster {name} in this lab"))
    }

    /// The same, to end and restart its API server.
    ///
    /// # Errors
    /// If there is none of this name.
    pub fn cluster_mut(&mut self, name: &ClusterName) -> Result<&mut Cluster> {
        self.clusters
            .get_mut(name)
            .with_context(|| format!("no cluster {name} in this lab"))
    }

    /// The lab's files.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The hub.
    pub fn hub(&self) -> &Child {
        &self.hub
    }

    /// The enforcers.
    pub fn enforcers(&self) -> &BTreeMap<NodeName, Child> {
        &self.enforcers
    }

    /// Where the hub serves, on the fabric.
    pub fn hub_address(&self) -> SocketAddr {
        hub_address()
    }

    /// What is started from now on is these; what runs stays as it is.
    pub fn use_programs(&mut self, programs: Programs) {
        self.programs = programs;
    }

    /// `kill -9` of the hub.
    pub async fn kill_hub(&mut self) {
        self.hub.kill().await;
    }

    /// Starts the hub again; it may not be ready when this returns.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start_hub(&mut self) -> Result<()> {
        self.hub = hub_program(&self.programs, &self.folder).start(&self.fabric_netns)?;
        Ok(())
    }

    /// Starts the hub again; it is ready when this returns.
    ///
    /// # Errors
    /// If it does not become ready.
    pub async fn restart_hub(&mut self) -> Result<()> {
        self.start_hub()?;
        hub_ready(&mut self.hub).await
    }

    /// The hub's admin listener, for who is on the fabric.
    pub fn hub_admin(&self) -> Admin {
        Admin::Tcp(HUB_ADMIN.to_owned())
    }

    /// `kill -9` of an enforcer.
    ///
    /// # Errors
    /// If the node has none.
    pub async fn kill_enforcer(&mut self, node: &NodeName) -> Result<()> {
        self.enforcers
            .get_mut(node)
            .with_context(|| format!("no enforcer on {node}"))?
            .kill()
            .await;
        Ok(())
    }

    /// SIGTERM to an enforcer; how it ended.
    ///
    /// # Errors
    /// If the node has none.
    pub async fn stop_enforcer(&mut self, node: &NodeName) -> Result<Option<ExitStatus>> {
        let enforcer = self.enforcers.get_mut(node);
        Ok(enforcer
            .with_context(|| format!("no enforcer on {node}"))?
            .terminate()
            .await)
    }

    /// Starts a node's enforcer (again); it may not be ready when this returns.
    ///
    /// # Errors
    /// If there is no such node.
    pub fn start_enforcer(&mut self, fabric: &Fabric, node: &NodeName) -> Result<()> {
        self.start_enforcer_with(fabric, node, &[])
    }

    /// The same with other values for some flags, each as `--name=value`.
    ///
    /// # Errors
    /// If there is no such node.
    pub fn start_enforcer_with(&mut self, fabric: &Fabric, node: &NodeName, flags: &[String]) -> Result<()> {
        let station = fabric
            .node(node)
            .with_context(|| format!("no node {node} in this lab"))?;
        let folder = self.folder.node(node);
        std::fs::create_dir_all(&folder)?;
        let kubeconfig = folder.join("kubeconfig");
        std::fs::write(&kubeconfig, self.cluster(&node.cluster)?.kubeconfig(Role::Enforcer))?;
        let mut program = enforcer_program(&self.programs, &self.folder, node);
        let name = |flag: &str| flag.split('=').next().map(str::to_owned);
        program
            .arguments
            .retain(|given| flags.iter().all(|flag| name(flag) != name(given)));
        program.arguments.extend_from_slice(flags);
        let child = program.start(station.netns())?;
        self.enforcers.insert(node.clone(), child);
        Ok(())
    }

    /// Waits until every enforcer says that it is ready.
    ///
    /// # Errors
    /// If one ends, or takes too long.
    pub async fn enforcers_ready(&self) -> Result<()> {
        until(START_LIMIT, async || {
            for (node, child) in &self.enforcers {
                child.check_alive()?;
                if let Err(reason) = Admin::Unix(self.folder.admin(node)).is_ready().await {
                    return Ok(Look::NotYet(format!("{}: {reason}", child.name())));
                }
            }
            Ok(Look::Done(()))
        })
        .await
        .map_err(|error| self.explain(&error))
    }

    /// Fails if a program has ended.
    ///
    /// # Errors
    /// The end of its log.
    pub fn check_alive(&self) -> Result<()> {
        [&self.hub]
            .into_iter()
            .chain(self.enforcers.values())
            .try_for_each(Child::check_alive)
    }

    /// Starts programs again that end, as a kubelet does; says so on stderr. Returns only with an error.
    ///
    /// # Errors
    /// If one cannot be started.
    pub async fn supervise(&mut self, fabric: &Fabric) -> Result<Infallible> {
        loop {
            let who = self.any_ended().await;
            let (child, name) = match &who {
                Ended::Hub => (&self.hub, "the hub".to_owned()),
                Ended::Enforcer(node) => (&self.enforcers[node], format!("the enforcer of {node}")),
            };
            let why = child
                .check_alive()
                .err()
                .map_or_else(String::new, |error| error.to_string());
            eprintln!(
                "lab: {why}\nlab: {name} is started again in {} s",
                RESTART_PAUSE.as_secs()
            );
            sleep(RESTART_PAUSE).await;
            match who {
                Ended::Hub => self.hub = hub_program(&self.programs, &self.folder).start(&self.fabric_netns)?,
                Ended::Enforcer(node) => self.start_enforcer(fabric, &node)?,
            }
        }
    }

    async fn any_ended(&mut self) -> Ended {
        let enforcers = self
            .enforcers
            .iter_mut()
            .map(|(node, child)| (Ended::Enforcer(node.clone()), child));
        let ends = [(Ended::Hub, &mut self.hub)]
            .into_iter()
            .chain(enforcers)
            .map(|(who, child)| {
                Box::pin(async move {
                    child.ended().await;
                    who
                })
            });
        select_all(ends).await.0
    }

    /// Why something failed: a program that ended, else the error and what all programs said last.
    pub fn explain(&self, error: &anyhow::Error) -> anyhow::Error {
        if let Err(ended) = self.check_alive() {
            return ended;
        }
        let children = [&self.hub].into_iter().chain(self.enforcers.values());
        let tails: Vec<String> = children
            .map(|child| format!("  {} said last:\n{}", child.name(), child.log_tail()))
            .collect();
        anyhow::anyhow!("{error:#}\n{}", tails.join("\n"))
    }

    /// A connection to the hub's queries, as a reader.
    ///
    /// # Errors
    /// If the hub is not there.
    pub async fn inventory(&self) -> Result<InventoryClient<Channel>> {
        let read = |file: &str| std::fs::read(self.folder.pki(file)).with_context(|| format!("cannot read pki/{file}"));
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(read("ca.crt")?))
            .identity(Identity::from_pem(read("reader.crt")?, read("reader.key")?));
        let endpoint = Channel::from_shared(format!("https://{}", hub_address()))?.tls_config(tls)?;
        Ok(InventoryClient::new(
            endpoint
                .connect()
                .await
                .context("cannot connect to the hub as a reader")?,
        ))
    }

    /// Ends all programs, and waits until they have ended.
    pub async fn stop(self) {
        let children = self.enforcers.into_values().chain([self.hub]);
        join_all(children.map(Child::stop)).await;
    }
}

async fn start_clusters(kind: Kind, world: &World, folder: &Folder) -> Result<BTreeMap<ClusterName, Cluster>> {
    let starts = (1..).zip(&world.clusters).map(|(number, (name, objects))| async move {
        let dir = folder.path().join("apiservers").join(name.as_str());
        let cluster = Cluster::start(kind, name.clone(), Service(number), dir).await?;
        cluster.write(objects).await?;
        let file = folder.clusters().join(format!("{name}.kubeconfig"));
        std::fs::write(file, cluster.kubeconfig(Role::Hub))?;
        anyhow::Ok((name.clone(), cluster))
    });
    Ok(try_join_all(starts).await?.into_iter().collect())
}

async fn hub_ready(hub: &mut Child) -> Result<()> {
    let admin = Admin::Tcp(HUB_ADMIN.to_owned());
    let ready = until(START_LIMIT, async || {
        hub.check_alive()?;
        Ok(admin
            .is_ready()
            .await
            .map_or_else(|why| Look::NotYet(format!("the hub: {why}")), Look::Done))
    });
    let ready = ready.await;
    ready.map_err(|error| anyhow::anyhow!("{error:#}\n  the hub said last:\n{}", hub.log_tail()))
}
