//! The command lines of the programs under test, and the files that they name.

use super::address::HUB;
use super::netns::Netns;
use super::process::Program;
use super::programs::Programs;
use super::world::World;
use anyhow::{Result, bail};
use enforcer::offline::ends::NodeName;
use proto::model::ClusterName;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The hub's port on the fabric.
const HUB_PORT: u16 = 7443;
/// The hub's health and metrics, on the fabric's own loopback.
pub const HUB_ADMIN: &str = "127.0.0.1:9443";

/// The lab's files: kubeconfigs, certificates, logs, state.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// A folder that exists.
    pub fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The kubeconfigs that the hub reads.
    pub fn clusters(&self) -> PathBuf {
        self.0.join("clusters")
    }

    /// The trial PKI.
    pub fn pki(&self, file: &str) -> PathBuf {
        self.0.join("pki").join(file)
    }

    /// A program's output.
    pub fn log(&self, name: &str) -> PathBuf {
        self.0.join("logs").join(format!("{name}.log"))
    }

    /// A node's files.
    pub fn node(&self, node: &NodeName) -> PathBuf {
        self.0.join("nodes").join(format!("{}@{}", node.cluster, node.name))
    }

    /// The socket file of an enforcer's admin listener.
    pub fn admin(&self, node: &NodeName) -> PathBuf {
        self.node(node).join("admin.sock")
    }

    /// A person's kubeconfig.
    pub fn kubeconfig(&self, cluster: &ClusterName) -> PathBuf {
        self.0.join(format!("{cluster}.kubeconfig"))
    }
}

/// Where the hub serves, on the fabric.
pub fn hub_address() -> SocketAddr {
    SocketAddr::new(HUB.addresses()[0], HUB_PORT)
}

/// Has the hub write a trial PKI for itself, a reader, and the enforcer of every node.
///
/// # Errors
/// If it does not.
pub async fn write_pki(programs: &Programs, folder: &Folder, world: &World) -> Result<()> {
    let mut arguments = vec!["certs".to_owned(), format!("--out={}", folder.pki("").display())];
    arguments.extend(HUB.addresses().map(|address| format!("--hub-san={address}")));
    arguments.extend(world.nodes().keys().map(|node| format!("--node={node}")));
    let program = Program {
        name: "hub certs".to_owned(),
        binary: programs.hub.clone(),
        arguments,
        log: folder.log("certs"),
    };
    let mut child = program.start(&Netns::current()?)?;
    match child.ended().await {
        Some(status) if status.success() => Ok(()),
        status => bail!("hub certs failed ({status:?}):\n{}", child.log_tail()),
    }
}

/// The hub.
pub fn hub_program(programs: &Programs, folder: &Folder) -> Program {
    let flag = |name: &str, file: PathBuf| format!("--{name}={}", file.display());
    Program {
        name: "hub".to_owned(),
        binary: programs.hub.clone(),
        arguments: vec![
            flag("clusters", folder.clusters()),
            format!("--listen=[::]:{HUB_PORT}"),
            flag("tls-cert", folder.pki("hub.crt")),
            flag("tls-key", folder.pki("hub.key")),
            flag("client-ca", folder.pki("ca.crt")),
            format!("--admin={HUB_ADMIN}"),
        ]
        .into_iter()
        .chain(programs.hub_switches())
        .collect(),
        log: folder.log("hub"),
    }
}

/// A node's enforcer.
pub fn enforcer_program(programs: &Programs, folder: &Folder, node: &NodeName) -> Program {
    let flag = |name: &str, file: PathBuf| format!("--{name}={}", file.display());
    let certificate = format!("cluster-{}@{}", node.cluster, node.name);
    Program {
        name: format!("enforcer of {node}"),
        binary: programs.enforcer.clone(),
        arguments: vec![
            "run".to_owned(),
            format!("--hub=https://{}", hub_address()),
            format!("--cluster={}", node.cluster),
            format!("--node={}", node.name),
            flag("kubeconfig", folder.node(node).join("kubeconfig")),
            flag("tls-cert", folder.pki(&format!("{certificate}.crt"))),
            flag("tls-key", folder.pki(&format!("{certificate}.key"))),
            flag("hub-ca", folder.pki("ca.crt")),
            format!("--admin=unix:{}", folder.admin(node).display()),
        ]
        .into_iter()
        .chain(programs.enforcer_switches())
        .collect(),
        log: folder.log(&format!("enforcer-{}@{}", node.cluster, node.name)),
    }
}
