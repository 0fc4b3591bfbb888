//! Sockets of another network namespace.
//!
//! A socket belongs to the network namespace of the thread that made it, whoever uses it later. So a short-lived thread
//! enters the namespace and makes the socket, and this process's own threads never move.

use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioIo};
use kube::client::{Body, ClientBuilder, ConfigExt};
use kube::config::{KubeConfigOptions, Kubeconfig};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tower::ServiceBuilder;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;

/// Moves the calling thread into `netns`.
///
/// Async-signal-safe, for use between fork and exec.
pub(super) fn enter(netns: &OwnedFd) -> io::Result<()> {
    #[expect(
        unsafe_code,
        reason = "std has no setns; the descriptor is open for as long as it is borrowed"
    )]
    let failed = unsafe { libc::setns(netns.as_raw_fd(), libc::CLONE_NEWNET) } != 0;
    if failed {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Makes a socket in `netns`, or in the caller's network namespace.
fn socket(netns: Option<&OwnedFd>, address: SocketAddr) -> io::Result<Socket> {
    let make = || Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP));
    let socket = match netns {
        None => make()?,
        Some(netns) => std::thread::scope(|scope| {
            let entered = scope.spawn(|| enter(netns).and_then(|()| make()));
            entered.join().expect("making a socket does not panic")
        })?,
    };
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Binds a listener. `[::]` takes IPv4 as well.
pub(super) fn listen(netns: Option<&OwnedFd>, address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(netns, address)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&SockAddr::from(address))?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

async fn connect(netns: Option<Arc<OwnedFd>>, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = socket(netns.as_deref(), address)?;
    TcpSocket::from_std_stream(socket.into()).connect(address).await
}

/// A client for a kubeconfig whose server is named by an address of `netns`.
pub(super) async fn client(kubeconfig: Kubeconfig, netns: Option<Arc<OwnedFd>>) -> anyhow::Result<kube::Client> {
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let connector = tower::service_fn(move |uri: http::Uri| {
        let netns = netns.clone();
        async move {
            let authority = uri.authority().map_or("", |authority| authority.as_str());
            let address: SocketAddr = authority
                .parse()
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
            connect(netns, address).await.map(TokioIo::new)
        }
    });
    let https = config.rustls_https_connector_with_connector(connector)?;
    let http: legacy::Client<_, Body> = legacy::Client::builder(TokioExecutor::new()).build(https);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .map_err(tower::BoxError::from)
        .service(http);
    Ok(ClientBuilder::new(service, config.default_namespace).build())
}
