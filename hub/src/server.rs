//! The listener for enforcers and queries: who comes in, under which limits, to which services.
//!
//! Handshakes run in tasks of their own, so that a client that stalls delays nobody. Certificates are read again when
//! their files change; connections that are open keep what they were opened with.

use crate::authorize::Authorize;
use crate::config::Security;
use crate::query::Queries;
use crate::shutdown::Shutdown;
use connection::Acceptor;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use proto::tls::{ServerTls, TlsError};
use proto::wire::inventory_server::InventoryServer;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic_health::ServingStatus;

mod connection;
pub use connection::Connection;

/// Connections that the kernel holds until they are accepted: after a restart all nodes of a large fleet come at once.
const BACKLOG: i32 = 4096;

/// Handshakes under way at once: each costs half a millisecond of CPU and, if the client stalls, one place for as long
/// as [`HANDSHAKE_TIMEOUT`].
const HANDSHAKES: usize = 1024;

/// How long a client may take for its handshake: several round trips around the world, some of them lost.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections that are ready and wait to be served.
const READY_CONNECTIONS: usize = 64;

/// The pause after an accept that failed: the process is out of file descriptors or memory, trying at once is no use.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Calls that one connection may have open: an enforcer has two, grpcurl three.
const CALLS_PER_CONNECTION: u32 = 16;

/// How often a silent connection is asked for a sign of life, and how long that may take.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// Bytes that the headers of a request may have; a few hundred are usual.
const HEADERS_BYTES: u32 = 16 * 1024;

/// Bytes that one call may have sent without being read: a request fits in.
const CALL_WINDOW_BYTES: u32 = 64 * 1024;

/// Bytes that one connection may have sent without being read.
const CONNECTION_WINDOW_BYTES: u32 = 256 * 1024;

/// The largest question: a selector with some thousand values.
const QUERY_BYTES: usize = 256 * 1024;

/// How long calls may take to end when the hub stops.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the hub cannot begin to serve; for people.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}, {advice}")]
    Bind {
        /// Which.
        address: SocketAddr,
        /// What to do.
        advice: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The certificates are of no use.
    #[error("cannot use the files of --tls-cert, --tls-key and --client-ca")]
    Tls(#[from] TlsError),
}

/// A bound address, and whom to let in there.
pub struct Listener {
    tcp: TcpListener,
    acceptor: Acceptor,
    /// Watches the certificates; never ends.
    watch: BoxFuture<'static, ()>,
}

impl Listener {
    /// Listens: from now on clients may connect, although nobody serves them before [`serve`].
    ///
    /// # Errors
    /// If the address cannot be listened on, or the certificates cannot be used.
    pub async fn bind(address: SocketAddr, security: &Security) -> Result<Self, StartError> {
        let (acceptor, watch) = match security {
            Security::Insecure => (Acceptor::Insecure, futures::future::pending().boxed()),
            Security::MutualTls(files) => {
                let (tls, watch) = ServerTls::open(files.clone()).await?;
                (Acceptor::Tls(tls), watch.boxed())
            }
        };
        let tcp = listen(address).map_err(|source| StartError::Bind {
            address,
            advice: match source.kind() {
                io::ErrorKind::AddrInUse => "stop what listens there or choose another --listen",
                io::ErrorKind::AddrNotAvailable => "choose an address of this machine, or 0.0.0.0 or [::] for all",
                io::ErrorKind::PermissionDenied => {
                    "ports below 1024 need CAP_NET_BIND_SERVICE: choose another --listen"
                }
                _ if address.is_ipv6() => "without IPv6 on this machine choose --listen 0.0.0.0:7443",
                _ => "choose another --listen",
            },
            source,
        })?;
        Ok(Self { tcp, acceptor, watch })
    }

    /// The address, with the port that the kernel chose if it was to choose one.
    ///
    /// # Errors
    /// If the kernel does not tell.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // [::] is IPv4 as well, whatever the machine's default.
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Queries, reflection in both versions and health; `bailey.v1.Sync` is to be added.
pub async fn routes(queries: Queries) -> Routes {
    let (reporter, health) = tonic_health::server::health_reporter();
    for service in ["bailey.v1.Inventory", "bailey.v1.Sync"] {
        reporter.set_service_status(service, ServingStatus::Serving).await;
    }
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let built_in = "descriptors that come with the program are whole";
    Routes::new(InventoryServer::new(queries).max_decoding_message_size(QUERY_BYTES))
        .add_service(health)
        .add_service(reflection().build_v1().expect(built_in))
        .add_service(reflection().build_v1alpha().expect(built_in))
}

/// Serves until `shutdown`, then as long as calls are open, but not longer than a few seconds.
///
/// # Errors
/// If the server itself fails; what goes wrong with one connection ends that connection.
pub async fn serve(listener: Listener, routes: Routes, shutdown: Shutdown) -> Result<(), tonic::transport::Error> {
    if let Ok(address) = listener.local_address() {
        tracing::info!(%address, "enforcers and queries are served");
    }
    let (sender, ready) = mpsc::channel(READY_CONNECTIONS);
    let mut stop = shutdown.clone();
    let server = Server::builder()
        .max_concurrent_streams(CALLS_PER_CONNECTION)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .http2_max_header_list_size(HEADERS_BYTES)
        .initial_stream_window_size(CALL_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .layer(Authorize)
        .add_routes(routes)
        .serve_with_incoming_shutdown(ReceiverStream::new(ready).map(Ok::<_, io::Error>), async move {
            stop.wait().await;
        });
    let mut stop = shutdown.clone();
    let deadline = async move {
        stop.wait().await;
        tokio::time::sleep(SHUTDOWN_TIMEOUT).await;
    };
    let server = async {
        tokio::select! {
            result = server => result,
            () = deadline => {
                tracing::warn!("some calls did not end in time and are cut off");
                Ok(())
            }
        }
    };
    let (result, ()) = tokio::join!(server, accept(listener, sender, shutdown));
    result
}

/// Brings connections to the point where they can be served, each in its own time.
async fn accept(listener: Listener, ready: mpsc::Sender<Connection>, mut shutdown: Shutdown) {
    let Listener {
        tcp,
        acceptor,
        mut watch,
    } = listener;
    let mut handshakes = JoinSet::new();
    loop {
        tokio::select! {
            () = shutdown.wait() => return,
            () = &mut watch => unreachable!("the certificates are watched for ever"),
            Some(finished) = handshakes.join_next() => finished.expect("a handshake does not panic"),
            accepted = tcp.accept(), if handshakes.len() < HANDSHAKES => match accepted {
                Ok((stream, address)) => {
                    handshakes.spawn(admit(acceptor.clone(), stream, address, ready.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

async fn admit(acceptor: Acceptor, stream: TcpStream, address: SocketAddr, ready: mpsc::Sender<Connection>) {
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream, address)).await {
        // An error means that the hub is stopping; the connection ends with it.
        Ok(Ok(connection)) => drop(ready.send(connection).await),
        // Whoever only looks whether the port is open says nothing before it leaves.
        Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
            tracing::debug!(client = %address, "a client has left during the handshake");
        }
        Ok(Err(error)) => {
            let error = with_advice(&error);
            tracing::info!(client = %address, error, "a client is refused");
        }
        Err(_elapsed) => tracing::info!(client = %address, "a client has taken too long for its handshake"),
    }
}

/// What a handshake failed of. The commonest mistake gets words of its own.
fn with_advice(error: &io::Error) -> String {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    match cause {
        Some(rustls::Error::InvalidMessage(_)) => {
            format!("the client does not speak TLS, as if --insecure were set ({error})")
        }
        Some(_) | None => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
