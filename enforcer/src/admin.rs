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
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{mpsc, oneshot, watch};

/// Where the admin server listens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A Unix socket, `unix:PATH`. A stale one is replaced, any other file is left alone.
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

/// A place that is listened on.
#[derive(Debug)]
pub enum Listener {
    /// See [`Address::Tcp`].
    Tcp(TcpListener),
    /// See [`Address::Unix`].
    Unix(UnixListener),
}

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("--admin {address}: {reason}: choose another address or path")]
pub struct Unusable {
    address: Address,
    reason: io::Error,
}

/// Listens.
///
/// # Errors
/// If the address is taken, or not this machine's.
pub async fn bind(address: &Address) -> Result<Listener, Unusable> {
    let listener = match address {
        Address::Tcp(address) => TcpListener::bind(address).await.map(Listener::Tcp),
        Address::Unix(path) => {
            let replaced = replace_stale(path).and_then(|()| UnixListener::bind(path));
            replaced.map(Listener::Unix)
        }
    };
    listener.map_err(|reason| Unusable {
        address: address.clone(),
        reason,
    })
}

/// Removes the socket that an enforcer has left which did not end by itself.
fn replace_stale(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => std::fs::remove_file(path),
        Ok(_) => Err(io::Error::other("there is a file that is no socket")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Serves until the listener fails.
///
/// # Errors
/// If it does.
pub async fn serve(listener: Listener, source: Source) -> io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/ruleset", get(ruleset))
        .with_state(source);
    match listener {
        Listener::Tcp(listener) => axum::serve(listener, router).await,
        Listener::Unix(listener) => axum::serve(listener, router).await,
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
    // Some are read from the kernel, which blocks.
    let encode = move || {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &source.registry).map(|()| text)
    };
    match tokio::task::spawn_blocking(encode).await {
        Ok(Ok(text)) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Ok(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_any_other_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let address = Address::Unix(path.clone());
        drop(bind(&address).await.unwrap());
        bind(&address).await.unwrap();

        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "a kubeconfig").unwrap();
        let refused = bind(&address).await.unwrap_err().to_string();
        assert!(refused.ends_with(": there is a file that is no socket: choose another address or path"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a kubeconfig");
    }
}
