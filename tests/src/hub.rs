//! A hub within this process, over mutual TLS, with a trial PKI of its own.

use anyhow::Result;
use hub::certs::{self, Order};
use hub::config::{Config, LogFormat, Security};
use hub::ranges::PodRanges;
use hub::shutdown::{Shutdown, Trigger};
use proto::model::ClusterName;
use proto::selector::Switches;
use proto::tls::Files;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use tokio::task::JoinSet;

/// A hub that runs until this is dropped.
pub struct Hub {
    pki: PathBuf,
    listen: SocketAddr,
    _tasks: JoinSet<()>,
    _shutdown: Trigger,
}

impl Hub {
    /// Starts one over the folder `clusters` in `dir`, with certificates for the enforcers of these clusters in `pki` beside
    /// it.
    ///
    /// # Errors
    /// If a file cannot be written, or there is no address to listen on.
    ///
    /// # Panics
    /// Its task does if the hub ends with an error.
    pub fn start(dir: &Path, clusters: &[ClusterName]) -> Result<Self> {
        let pki = dir.join("pki");
        let order = Order {
            out: pki.clone(),
            // That of `hub certs`: where there is a PKI already, it is gone on with.
            trust_domain: "bailey.local".parse().map_err(anyhow::Error::msg)?,
            clusters: clusters.to_vec(),
            nodes: Vec::new(),
            hub_names: Vec::new(),
            days: 1,
        };
        #[expect(clippy::disallowed_methods, reason = "certificates begin and end by the wall clock")]
        certs::issue(order, std::time::SystemTime::now())?;
        fs::create_dir_all(dir.join("clusters"))?;
        let listen = free_port()?;
        let config = Config {
            clusters: dir.join("clusters"),
            listen,
            security: Security::MutualTls(files(&pki, "hub")),
            admin: free_port()?,
            switches: Switches::default(),
            pod_ranges: PodRanges::default(),
            log_level: "info".to_owned(),
            log_format: LogFormat::Text,
        };
        let (trigger, shutdown) = Shutdown::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(async { hub::run(config, shutdown).await.expect("a hub of a test goes on") });
        Ok(Self {
            pki,
            listen,
            _tasks: tasks,
            _shutdown: trigger,
        })
    }

    /// Where it listens.
    pub const fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// The certificate of somebody, by its file's name: `reader`, `cluster-a`.
    pub fn files(&self, name: &str) -> Files {
        files(&self.pki, name)
    }
}

fn files(pki: &Path, name: &str) -> Files {
    Files {
        certificate: pki.join(format!("{name}.crt")),
        key: pki.join(format!("{name}.key")),
        ca: pki.join("ca.crt"),
    }
}

/// An address on loopback that nobody listens on.
fn free_port() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
