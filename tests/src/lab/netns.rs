//! Network namespaces without a name: each is held by a descriptor of this process and is gone with it.
//!
//! Nothing is written under `/run/netns`. A thread is in one network namespace at a time and a socket stays in the one
//! it was made in, so sockets are made on a thread that is there and may then be used from anywhere.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::thread;
use tokio::runtime::Builder;

/// A network namespace that lives at least as long as this value.
#[derive(Debug)]
pub struct Netns(OwnedFd);

impl Netns {
    /// The one the calling thread is in.
    ///
    /// # Errors
    /// If `/proc` is not there.
    pub fn current() -> io::Result<Self> {
        File::open("/proc/thread-self/ns/net").map(|file| Self(file.into()))
    }

    /// Makes a new, empty one and moves the calling thread, and all that it starts later, into it. Returns the old one.
    ///
    /// # Errors
    /// If the caller lacks `CAP_SYS_ADMIN`.
    pub fn leave() -> io::Result<Self> {
        let old = Self::current()?;
        system_call(Call::Unshare)?;
        Ok(old)
    }

    /// Moves the calling thread here, and all that it starts later.
    ///
    /// # Errors
    /// If the caller lacks `CAP_SYS_ADMIN`.
    pub fn enter(&self) -> io::Result<()> {
        system_call(Call::Set(self.0.as_fd()))
    }

    /// Runs `work` here, on a thread of its own.
    ///
    /// # Errors
    /// If a thread cannot be started or cannot come here.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        thread::scope(|scope| {
            let inside = thread::Builder::new()
                .name("netns".to_owned())
                .spawn_scoped(scope, || self.enter().map(|()| work()))?;
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Another hold on the same one.
    ///
    /// # Errors
    /// If there are no more descriptors.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Where other processes find it, for `nsenter --net=…`, while this one lives.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd()))
    }
}

impl From<OwnedFd> for Netns {
    /// One that somebody else has made; nothing checks that it is one.
    fn from(descriptor: OwnedFd) -> Self {
        Self(descriptor)
    }
}

impl AsFd for Netns {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Runs a future on the calling thread, so that every socket it makes is of the network namespace that this thread is in.
///
/// # Panics
/// If the process has no descriptors left for a runtime.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime needs a few descriptors").block_on(future)
}

/// Sets `net.…` of the network namespace the calling thread is in.
///
/// # Errors
/// If the kernel does not have it, or not take the value.
pub fn set_sysctl(path: &str, value: &str) -> io::Result<()> {
    let file = format!("/proc/sys/net/{path}");
    std::fs::write(&file, value).map_err(|error| io::Error::new(error.kind(), format!("{file} = {value}: {error}")))
}

enum Call<'a> {
    Unshare,
    Set(BorrowedFd<'a>),
}

#[expect(
    unsafe_code,
    reason = "unshare and setns have no safe wrapper in the standard library"
)]
fn system_call(call: Call<'_>) -> io::Result<()> {
    // SAFETY: both take integers only and change nothing but the calling thread's network namespace.
    let result = unsafe {
        match call {
            Call::Unshare => libc::unshare(libc::CLONE_NEWNET),
            Call::Set(netns) => libc::setns(netns.as_raw_fd(), libc::CLONE_NEWNET),
        }
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
