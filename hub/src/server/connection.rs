//! One client's connection, with or without TLS, and who is at its other end.

use crate::authorize::{Caller, Rights};
use proto::peer::Peer;
use proto::tls::{Accepting, ServerTls};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

/// Makes connections of what a listener accepts.
#[derive(Clone)]
pub(super) enum Acceptor {
    Insecure,
    Tls(Arc<ServerTls>),
}

impl Acceptor {
    /// Does the handshake, if there is one.
    pub(super) async fn accept(self, stream: TcpStream, address: SocketAddr) -> io::Result<Connection> {
        stream.set_nodelay(true)?;
        let (stream, rights) = match self {
            Self::Insecure => (Stream::Plain(stream), Rights::All),
            Self::Tls(tls) => {
                let accepting = tls.accepting();
                let stream = TlsAcceptor::from(Arc::clone(&accepting.config)).accept(stream).await?;
                let rights = rights(&stream, &accepting, address);
                (Stream::Tls(Box::new(stream)), rights)
            }
        };
        let caller = Caller { address, rights };
        Ok(Connection { stream, caller })
    }
}

/// What a client may do whose certificate is of the right CA. One without a role here is let in, so that it can be told.
fn rights(stream: &TlsStream<TcpStream>, accepting: &Accepting, address: SocketAddr) -> Rights {
    let (_, session) = stream.get_ref();
    let certificates = session.peer_certificates().unwrap_or_default();
    let certificate = certificates
        .first()
        .expect("there is no handshake without the client's certificate");
    let own = &accepting.own.name.trust_domain;
    let reason = match Peer::of(certificate) {
        Ok(peer) if peer.name.trust_domain == *own => return Rights::Certified(peer),
        Ok(peer) => format!(
            "{} is of another trust domain than this hub, which is of {own}",
            peer.name
        ),
        Err(error) => error.to_string(),
    };
    tracing::info!(client = %address, reason, "a client has a certificate that gives it no rights");
    Rights::Nothing(reason)
}

/// A connection that can be served.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    caller: Caller,
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection {
    fn reader(&mut self) -> Pin<&mut (dyn AsyncRead + Unpin)> {
        Pin::new(match &mut self.stream {
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => stream,
        })
    }

    fn writer(&mut self) -> Pin<&mut (dyn AsyncWrite + Unpin)> {
        Pin::new(match &mut self.stream {
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => stream,
        })
    }
}

impl Connected for Connection {
    type ConnectInfo = Caller;

    fn connect_info(&self) -> Caller {
        self.caller.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.get_mut().reader().poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().writer().poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().writer().poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().writer().poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().writer().poll_shutdown(context)
    }
}
