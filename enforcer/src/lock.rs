//! One enforcer a node: two would undo each other's work.
//!
//! Shell. The lock is an abstract Unix socket, which exists once per network namespace, exactly what an enforcer
//! owns the tables of, and vanishes with the process that holds it, however that ends.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

const NAME: &[u8] = b"bailey-enforcer";

/// Held for as long as this process owns the node's tables.
#[derive(Debug)]
pub struct Lock {
    _listener: UnixListener,
}

/// Why the lock is not had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another enforcer holds it.
    #[error(
        "another Bailey enforcer{} owns this node's tables; two would undo each other's work: stop it first",
        .pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    Held {
        /// Its process id, if the kernel tells.
        pid: Option<i32>,
    },
    /// The system refused the socket.
    #[error("cannot take the lock of this node's enforcer")]
    Refused(#[source] io::Error),
}

impl Lock {
    /// Takes the lock of this network namespace.
    ///
    /// # Errors
    /// If it is held, or cannot be.
    pub fn take() -> Result<Self, Error> {
        let address = SocketAddr::from_abstract_name(NAME).map_err(Error::Refused)?;
        match UnixListener::bind_addr(&address) {
            Ok(listener) => Ok(Self { _listener: listener }),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(Error::Held { pid: holder(&address) }),
            Err(error) => Err(Error::Refused(error)),
        }
    }
}

/// Whether somebody holds the lock of this network namespace. Touches nothing.
///
/// # Errors
/// If the system does not tell.
pub fn is_held() -> io::Result<bool> {
    let sockets = std::fs::read("/proc/thread-self/net/unix")?;
    let name = [b" @", NAME].concat();
    Ok(sockets.split(|byte| *byte == b'\n').any(|line| line.ends_with(&name)))
}

#[expect(unsafe_code, reason = "the standard library does not offer SO_PEERCRED on stable")]
fn holder(address: &SocketAddr) -> Option<i32> {
    use std::os::fd::AsRawFd;
    let stream = UnixStream::connect_addr(address).ok()?;
    let mut credentials = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut length = libc::socklen_t::try_from(size_of::<libc::ucred>()).ok()?;
    // SAFETY: both pointers are to locals of the sizes the call is told.
    let result = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut credentials).cast(),
            &raw mut length,
        )
    };
    (result == 0 && credentials.pid != 0).then_some(credentials.pid)
}
