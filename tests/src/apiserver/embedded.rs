//! The embedded API server: Namespaces, Nodes, Pods and NetworkPolicies in memory, over real TLS and HTTP.
//!
//! Lists (paged, streamed), watches with bookmarks and a bounded history, writes with conflicts and finalizers, tokens
//! and roles. kubectl gets, applies, edits, labels and deletes with it. It has no server-side apply, no JSON patch, no
//! protobuf (`kubectl create` sends that) and says so when asked; it answers with lists where Tables are preferred.
//! It serves HTTP/1.1, so that every request lives and dies with its connection.
//!
//! ```text
//! answer → request → api, write → store      pure from request on, but for the lock around api
//!        ↘ watch ────────────────↗
//! ```

mod admission;
mod answer;
mod api;
mod discovery;
mod failure;
mod faults;
pub(crate) mod patch;
mod request;
mod resource;
mod select;
mod store;
mod watch;
mod write;

pub use faults::{Faults, StreamingLists};
pub use request::Verb;
pub use resource::Resource;

use super::{Credentials, Site};
use anyhow::Context;
use api::Api;
use hyper_util::rt::{TokioIo, TokioTimer};
use k8s_openapi::jiff::Timestamp;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch::{self as channel};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// After an accept that failed, for want of descriptors, say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What connections share. The lock is held for one request's work and never across an await.
#[derive(Debug)]
struct Shared {
    api: Mutex<Api>,
    /// The store's revision; wakes watches.
    head: channel::Sender<u64>,
    faults: channel::Sender<Faults>,
    /// How often bookmarks were asked for.
    bookmarks: channel::Sender<u64>,
    /// How often all connections were cut.
    cuts: channel::Sender<u64>,
    /// How many requests were answered 403.
    refusals: channel::Sender<usize>,
}

impl Shared {
    /// Returns when no pause is in force.
    async fn unpaused(&self) {
        let mut faults = self.faults.subscribe();
        faults
            .wait_for(|faults| !faults.paused)
            .await
            .expect("the sender is in self");
    }
}

/// A running embedded API server. What was written lives as long as this value, also while it is killed.
#[derive(Debug)]
pub struct Server {
    listen: SocketAddr,
    credentials: Credentials,
    shared: Arc<Shared>,
    serving: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts it.
    pub async fn start(site: Site) -> anyhow::Result<Server> {
        let listener = TcpListener::bind(site.listen)
            .await
            .with_context(|| format!("listening on {}", site.listen))?;
        let listen = listener.local_addr()?;
        let credentials = Credentials::new(&site, listen.port())?;
        let api = Api::new(fastrand::Rng::new(), Timestamp::now());
        let shared = Shared {
            head: channel::Sender::new(api.store().revision()),
            api: Mutex::new(api),
            faults: channel::Sender::default(),
            bookmarks: channel::Sender::default(),
            cuts: channel::Sender::default(),
            refusals: channel::Sender::default(),
        };
        let mut server = Server {
            listen,
            credentials,
            shared: Arc::new(shared),
            serving: None,
        };
        server.serve_on(listener)?;
        Ok(server)
    }

    pub(super) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Puts these faults in force, and ends those that were.
    pub fn set_faults(&self, faults: Faults) {
        self.shared.faults.send_replace(faults);
    }

    /// Returns when so many requests in all were answered 403.
    pub async fn refused(&self, count: usize) {
        let mut refusals = self.shared.refusals.subscribe();
        refusals
            .wait_for(|refused| *refused >= count)
            .await
            .expect("the sender is in self");
    }

    /// Breaks all connections; new ones are served.
    pub fn drop_connections(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Sends a bookmark on every watch that takes them.
    pub fn send_bookmarks(&self) {
        self.shared.bookmarks.send_modify(|asked| *asked += 1);
    }

    /// Forgets all history, as a compaction does: who resumes from an earlier resourceVersion is told 410.
    pub fn forget_history(&self) {
        self.shared.api.lock().expect("no holder panics").forget();
    }

    /// See [`super::ApiServer::kill`].
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            // It ends cancelled, with listener and connections; that is what was asked.
            let _cancelled = serving.await;
        }
        Ok(())
    }

    /// See [`super::ApiServer::restart`]. As a real server's, its watch cache is empty afterwards: no earlier
    /// resourceVersion can be watched from.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.kill().await?;
        self.forget_history();
        let listener = TcpListener::bind(self.listen)
            .await
            .with_context(|| format!("listening on {} again", self.listen))?;
        self.serve_on(listener)
    }

    /// Puts another cluster in this one's place: its own `kube-system`, nothing else, the same address and credentials.
    pub async fn rebuild(&mut self) -> anyhow::Result<()> {
        self.kill().await?;
        let api = Api::new(fastrand::Rng::new(), Timestamp::now());
        self.shared.head.send_replace(api.store().revision());
        *self.shared.api.lock().expect("no holder panics") = api;
        let listener = TcpListener::bind(self.listen)
            .await
            .with_context(|| format!("listening on {} again", self.listen))?;
        self.serve_on(listener)
    }

    fn serve_on(&mut self, listener: TcpListener) -> anyhow::Result<()> {
        let tls = acceptor(&self.credentials)?;
        self.serving = Some(tokio::spawn(accept(listener, tls, self.shared.clone())));
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

fn acceptor(credentials: &Credentials) -> anyhow::Result<TlsAcceptor> {
    let certificate = CertificateDer::from_pem_slice(credentials.certificate_pem.as_bytes())?;
    let key = PrivateKeyDer::from_pem_slice(credentials.key_pem.as_bytes())?;
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Serves connections until it is aborted, which ends them all.
async fn accept(listener: TcpListener, tls: TlsAcceptor, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _peer)) => {
                    connections.spawn(connection(stream, tls.clone(), shared.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "accepting a connection to the embedded API server");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_ended) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, tls: TlsAcceptor, shared: Arc<Shared>) {
    let mut cuts = shared.cuts.subscribe();
    let service = hyper::service::service_fn(|request| answer::answer(shared.clone(), request));
    let served = async {
        let stream = tls.accept(stream).await?;
        let mut http = hyper::server::conn::http1::Builder::new();
        http.timer(TokioTimer::new());
        http.serve_connection(TokioIo::new(stream), service).await?;
        anyhow::Ok(())
    };
    tokio::select! {
        ended = served => if let Err(error) = ended {
            tracing::debug!(%error, "a connection to the embedded API server ended");
        },
        _ = cuts.changed() => {}
    }
}
