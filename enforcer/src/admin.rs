//! What a node's operator asks an enforcer: is it alive, is it ready, its numbers, its ruleset.
//!
//! Shell. `/healthz`, `/readyz`, `/metrics`, `/ruleset`; plain HTTP, on loopback or a Unix socket unless told otherwise.

use crate::status::Readiness;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::registry::Registry;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{mpsc, oneshot, watch};

/// Where the admin server listens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A Unix socket, `unix:PATH`. A stale one is replaced.
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("unix:") {
            Some(path) if !path.is_empty() => Ok(Self::Unix(path.into())),
            Some(_) => Err("unix: needs a path, as in unix:/run/bailey/admin.sock".to_owned()),
            None => text
                .parse()
                .map(Self::Tcp)
                .map_err(|error| format!("{error}: expected ADDRESS:PORT or unix:PATH")),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// What the admin server asks of its process.
#[derive(Clone, Debug)]
pub struct Source {
    /// Whether this node is ready.
    pub readiness: watch::Receiver<Readiness>,
    /// Where to ask for the text of the ruleset in force.
    pub ruleset: mpsc::Sender<oneshot::Sender<String>>,
    /// The metrics.
    pub registry: Arc<Registry>,
}

/// Serves until the listener fails.
///
/// # Errors
/// If the address cannot be listened on.
pub async fn serve(address: &Address, source: Source) -> std::io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/ruleset", get(ruleset))
        .with_state(source);
    match address {
        Address::Tcp(address) => axum::serve(TcpListener::bind(address).await?, router).await,
        Address::Unix(path) => {
            if let Err(error) = std::fs::remove_file(path)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                return Err(error);
            }
            axum::serve(UnixListener::bind(path)?, router).await
        }
    }
}

async fn readyz(State(source): State<Source>) -> impl IntoResponse {
    match &*source.readiness.borrow() {
        Readiness::Ready => (StatusCode::OK, "ok\n".to_owned()),
        Readiness::WithoutHub(reason) => (StatusCode::OK, format!("ok, but no hub: {reason}\n")),
        Readiness::WaitsFor(what) => (StatusCode::SERVICE_UNAVAILABLE, format!("{what}\n")),
    }
}

async fn metrics(State(source): State<Source>) -> impl IntoResponse {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &source.registry) {
        Ok(()) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn ruleset(State(source): State<Source>) -> impl IntoResponse {
    let (answer, text) = oneshot::channel();
    if source.ruleset.send(answer).await.is_err() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n".to_owned());
    }
    match text.await {
        Ok(text) => (StatusCode::OK, text),
        Err(_stopping) => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n".to_owned()),
    }
}
