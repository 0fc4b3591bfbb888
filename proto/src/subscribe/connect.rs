//! One connection to one hub: TCP, mutual TLS, HTTP/2.
//!
//! Shell. Each step is taken by itself, so that the reason of a failure is known and not guessed from a text. The
//! channel never reconnects by itself: the feed decides when, and certificates are read again then.

use super::reason::Loss;
use crate::tls::{Files, client_config};
use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};

/// For each of TCP, TLS and HTTP/2.
const STEP_LIMIT: Duration = Duration::from_secs(5);

/// What a hub may send ahead of one stream: what a stuck enforcer holds of the hub's memory.
const STREAM_WINDOW: u32 = 1 << 20;

/// The same for the connection, so that reports' answers pass beside a full stream.
const CONNECTION_WINDOW: u32 = 2 << 20;

/// Pings while nothing comes, so that a dead path is noticed and middle boxes do not forget the connection.
const KEEPALIVE: Duration = Duration::from_secs(20);

pub(super) async fn open(hub: &Uri, tls: Option<&Files>) -> Result<Channel, Loss> {
    let tcp = tcp(hub).await.map_err(|error| Loss::unreachable(hub, &error))?;
    if !is_https(hub) {
        return http2(hub, tcp).await;
    }
    let files = tls.ok_or_else(|| Loss::no_certificate(hub))?;
    let stream = handshake(hub, files, tcp).await?;
    http2(hub, stream).await
}

async fn tcp(hub: &Uri) -> io::Result<TcpStream> {
    let port = hub.port_u16().unwrap_or(if is_https(hub) { 443 } else { 80 });
    let connected = timeout(STEP_LIMIT, TcpStream::connect((host(hub), port))).await;
    let tcp = connected.unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()))?;
    tcp.set_nodelay(true)?;
    Ok(tcp)
}

fn is_https(hub: &Uri) -> bool {
    hub.scheme_str() == Some("https")
}

/// The host, an IPv6 address without its brackets.
fn host(hub: &Uri) -> &str {
    hub.host()
        .unwrap_or_default()
        .trim_start_matches('[')
        .trim_end_matches(']')
}

async fn handshake(
    hub: &Uri,
    files: &Files,
    tcp: TcpStream,
) -> Result<impl AsyncRead + AsyncWrite + Unpin + Send + 'static, Loss> {
    let config = client_config(files)
        .await
        .map_err(|error| Loss::no_files(hub, &error))?;
    let name = ServerName::try_from(host(hub).to_owned());
    let name = name.map_err(|error| Loss::unreachable(hub, &io::Error::other(error)))?;
    let shaken = timeout(STEP_LIMIT, TlsConnector::from(Arc::new(config)).connect(name, tcp)).await;
    let stream = shaken.unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()));
    let refused = |error| Loss::no_tls(hub, files, &error);
    first_word(stream.map_err(refused)?).await.map_err(refused)
}

/// Lets the hub speak first, as HTTP/2 allows it to (RFC 9113, 3.4) and a hub does: in TLS 1.3 the handshake ends here
/// before the hub has judged this certificate, and whoever writes then may find the connection reset before having read
/// that it is refused, and why.
async fn first_word<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> io::Result<BufReader<S>> {
    let mut stream = BufReader::new(stream);
    match timeout(STEP_LIMIT, stream.fill_buf()).await {
        Ok(Err(error)) => Err(error),
        // Whoever is silent may still speak HTTP/2, and if not, that step will say so.
        Ok(Ok(_)) | Err(_) => Ok(stream),
    }
}

async fn http2<S>(hub: &Uri, stream: S) -> Result<Channel, Loss>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // tonic takes "https" to mean that it should do TLS itself; the origin is what the hub sees.
    let authority = hub.authority().map_or("hub", |authority| authority.as_str());
    let endpoint = Endpoint::from_shared(format!("http://{authority}"))
        .map_err(|error| Loss::no_http2(hub, &error))?
        .origin(hub.clone())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_while_idle(true)
        .connect_timeout(STEP_LIMIT);
    let once = Mutex::new(Some(TokioIo::new(stream)));
    let connector = tower::service_fn(move |_: Uri| {
        let stream = once.lock().unwrap_or_else(PoisonError::into_inner).take();
        std::future::ready(stream.ok_or(io::Error::from(io::ErrorKind::NotConnected)))
    });
    let channel = endpoint.connect_with_connector(connector).await;
    channel.map_err(|error| Loss::no_http2(hub, &error))
}
