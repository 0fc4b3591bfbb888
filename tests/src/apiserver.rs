//! The API servers of the tests: an embedded one, in memory, and the real one, behind one interface.
//!
//! Both speak TLS with a certificate of their own authority, know the same three users ([`Role`]) by bearer token, and
//! start with the namespaces `default` and `kube-system`. Neither has a controller behind it: a deleted namespace stays
//! Terminating until somebody finalizes it, and a pod has the addresses that somebody writes into its status.
//! What they answer is compared in `tests/tests/apiserver.rs`, so that the embedded one cannot drift.

pub mod embedded;
pub mod real;

mod credentials;

pub use credentials::{Credentials, Role};

use embedded::{Faults, StreamingLists};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// Where an API server lives.
#[derive(Clone, Debug)]
pub struct Site {
    /// The cluster's name, for kubeconfigs and log lines.
    pub name: String,
    /// Where it listens. The address may be unspecified (`[::]` is both families); port 0 is replaced by a free one.
    pub listen: SocketAddr,
    /// The addresses by which it is reached: the certificate names them, kubeconfigs use the first.
    pub reached_by: Vec<IpAddr>,
    /// A folder of its own, which exists: the real server's data, logs and certificates.
    pub dir: PathBuf,
}

impl Site {
    /// A server on `127.0.0.1` with a free port, its files under `dir`.
    pub fn loopback(name: &str, dir: PathBuf) -> Site {
        let address = IpAddr::from([127, 0, 0, 1]);
        Site {
            name: name.to_owned(),
            listen: SocketAddr::new(address, 0),
            reached_by: vec![address],
            dir,
        }
    }
}

/// Which API server.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Kind {
    /// In memory, in this process, at once.
    Embedded,
    /// etcd and kube-apiserver in processes of their own, ready after some three seconds.
    Real,
}

/// How an API server answers who wants a list as a stream (`sendInitialEvents`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lists {
    /// With the stream, as a server of today does.
    Streamed,
    /// With a refusal, as a server without the feature does: lists come in pages.
    Paged,
}

/// A running API server. Dropping it ends it.
#[derive(Debug)]
pub enum ApiServer {
    /// See [`embedded::Server`], which has knobs for faults.
    Embedded(Box<embedded::Server>),
    /// See [`real::Server`].
    Real(Box<real::Server>),
}

impl ApiServer {
    /// Starts a server; it is ready when this returns.
    pub async fn start(kind: Kind, site: Site) -> anyhow::Result<ApiServer> {
        Ok(match kind {
            Kind::Embedded => ApiServer::Embedded(Box::new(embedded::Server::start(site).await?)),
            Kind::Real => ApiServer::Real(Box::new(real::Server::start(site).await?)),
        })
    }

    fn credentials(&self) -> &Credentials {
        match self {
            ApiServer::Embedded(server) => server.credentials(),
            ApiServer::Real(server) => server.credentials(),
        }
    }

    /// The kubeconfig of a user, as YAML, with nothing outside it: the authority's certificate and a token.
    pub fn kubeconfig(&self, role: Role) -> String {
        self.credentials().kubeconfig(role)
    }

    /// A client with all rights.
    pub async fn client(&self) -> anyhow::Result<kube::Client> {
        self.client_of(Role::Admin).await
    }

    /// A client with the rights of a role.
    pub async fn client_of(&self, role: Role) -> anyhow::Result<kube::Client> {
        self.credentials().client(role).await
    }

    /// Ends the server as `kill -9` would: connections break, new ones are refused, what was written stays.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        match self {
            ApiServer::Embedded(server) => server.kill().await,
            ApiServer::Real(server) => server.kill().await,
        }
    }

    /// Starts a killed server again at the same address, with what was written; it is ready when this returns.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        match self {
            ApiServer::Embedded(server) => server.restart().await,
            ApiServer::Real(server) => server.restart().await,
        }
    }

    /// The same, and from then on lists are answered like this.
    pub async fn restart_with(&mut self, lists: Lists) -> anyhow::Result<()> {
        match self {
            ApiServer::Embedded(server) => {
                let streaming_lists = match lists {
                    Lists::Streamed => StreamingLists::Served,
                    Lists::Paged => StreamingLists::Refused,
                };
                server.set_faults(Faults {
                    streaming_lists,
                    ..Faults::default()
                });
            }
            ApiServer::Real(server) => server.set_lists(lists),
        }
        self.restart().await
    }
}
