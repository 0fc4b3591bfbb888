//! Doors from the machine's own network into the fabric: `kubectl` and `grpcurl` of an ordinary shell come in by them.
//!
//! A door is a listener on the machine's loopback, made there, and used from the fabric. It is the only thing of the
//! lab that can be seen outside its network namespaces, and goes with the lab.

use super::netns::Netns;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// A listener on the machine's loopback that leads to an address of the fabric. Dropping it closes it.
#[derive(Debug)]
pub struct Door {
    outside: SocketAddr,
    task: AbortHandle,
}

impl Door {
    /// Opens a door on a free port of `host`'s `127.0.0.1`.
    ///
    /// # Errors
    /// If `host` cannot be entered.
    pub fn open(host: &Netns, inside: SocketAddr) -> io::Result<Self> {
        let listener = host.run(|| std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))??;
        listener.set_nonblocking(true)?;
        let outside = listener.local_addr()?;
        let listener = TcpListener::from_std(listener)?;
        let task = tokio::spawn(keep(listener, inside)).abort_handle();
        Ok(Self { outside, task })
    }

    /// Where it is, on the machine.
    pub fn outside(&self) -> SocketAddr {
        self.outside
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep(listener: TcpListener, inside: SocketAddr) {
    loop {
        // Descriptors may be short for a moment; the next visitor is waited for.
        if let Ok((visitor, _)) = listener.accept().await {
            tokio::spawn(lead(visitor, inside));
        }
    }
}

/// Until either side closes; then the other learns it by its own connection.
async fn lead(mut visitor: TcpStream, inside: SocketAddr) {
    if let Ok(mut host) = TcpStream::connect(inside).await {
        let _ = copy_bidirectional(&mut visitor, &mut host).await;
    }
}
