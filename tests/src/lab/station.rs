//! A station: a host of the lab's network. One network namespace, and one thread that lives in it and drives the
//! sockets made there.
//!
//! Knows nothing of clusters; what links a station has is [`super::fabric`]'s business.

use super::netns::{Netns, set_sysctl};
use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The source ports of probes: above what a world's manifests listen on, as a rule, up to the last one.
const SOURCE_PORTS: std::ops::RangeInclusive<u16> = 20_000..=u16::MAX;

/// Whether a station passes on what is not for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// It has pods behind it, or nodes.
    Router,
    /// It is an end.
    Host,
}

/// A host of the lab's network. Dropping it ends its tasks; its network namespace goes with its last user.
#[derive(Debug)]
pub struct Station {
    netns: Netns,
    runtime: Handle,
    next_port: AtomicU16,
    _stop: oneshot::Sender<()>,
}

/// A station whose thread has been started and may not be there yet.
#[derive(Debug)]
pub struct Opening {
    opened: Receiver<io::Result<(Netns, Handle)>>,
    stop: oneshot::Sender<()>,
}

impl Station {
    /// Starts making a station; many at once take little longer than one.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub fn open(name: &str, role: Role) -> io::Result<Opening> {
        let (report, opened) = sync_channel(1);
        let (stop, stopped) = oneshot::channel();
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            let made = Netns::leave().and_then(|_| {
                configure(role)?;
                Ok((Netns::current()?, Builder::new_current_thread().enable_all().build()?))
            });
            let runtime = match made {
                Ok((netns, runtime)) => {
                    // Nobody waits any more: the fabric failed elsewhere, and this thread is about to end too.
                    let _ = report.send(Ok((netns, runtime.handle().clone())));
                    runtime
                }
                Err(error) => return drop(report.send(Err(error))),
            };
            // An error is the station's being dropped as well.
            let _ = runtime.block_on(stopped);
        })?;
        Ok(Opening { opened, stop })
    }

    /// Its network namespace.
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// Runs a task on the station's own thread, where sockets belong to its network.
    pub fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.runtime.spawn(task)
    }

    /// A source port (or ICMP identifier) that no probe from here has had, for as long as they last (45 536).
    ///
    /// A used one could ride on the conntrack entry of a probe that an earlier policy allowed.
    pub fn fresh_port(&self) -> u16 {
        let next = |port: u16| Some(port.checked_add(1).unwrap_or(*SOURCE_PORTS.start()));
        self.next_port
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
            .expect("next is always Some")
    }
}

impl Opening {
    /// Waits until it is there.
    ///
    /// # Errors
    /// If the kernel refused a network namespace or one of its settings.
    pub fn ready(self) -> io::Result<Station> {
        let (netns, runtime) = self
            .opened
            .recv()
            .map_err(|gone| io::Error::other(format!("the station's thread ended: {gone}")))??;
        Ok(Station {
            netns,
            runtime,
            next_port: AtomicU16::new(*SOURCE_PORTS.start()),
            _stop: self.stop,
        })
    }
}

/// Settings of the network namespace the calling thread is in. Links made later inherit the defaults.
///
/// # Errors
/// If the kernel refuses one.
pub fn configure(role: Role) -> io::Result<()> {
    for devices in ["all", "default"] {
        // Addresses are used at once: nobody else can have them.
        set_sysctl(&format!("ipv6/conf/{devices}/accept_dad"), "0")?;
        set_sysctl(&format!("ipv6/conf/{devices}/accept_ra"), "0")?;
        set_sysctl(&format!("ipv6/conf/{devices}/router_solicitations"), "0")?;
        // Sources are Bailey's business here, so that the kernel cannot hide what it forgets.
        set_sysctl(&format!("ipv4/conf/{devices}/rp_filter"), "0")?;
    }
    match role {
        Role::Host => set_sysctl("ipv4/ping_group_range", "0 2147483647"),
        Role::Router => {
            set_sysctl("ipv4/ping_group_range", "0 2147483647")?;
            set_sysctl("ipv4/ip_forward", "1")?;
            set_sysctl("ipv6/conf/default/forwarding", "1")?;
            set_sysctl("ipv6/conf/all/forwarding", "1")
        }
    }
}
