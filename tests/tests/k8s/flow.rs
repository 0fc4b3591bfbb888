//! Datagrams from pod to pod, one every half millisecond, and which of them arrived.
//!
//! Nothing answers them: to connection tracking each is the first packet of a new connection, so each is judged, and
//! what arrives tells from when on the kernel judged otherwise.

#![expect(clippy::disallowed_methods, reason = "the clock is what this is about")]

use super::rig::{Pod, node_netns};
use std::fs::File;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tests::lab::netns::Netns;

/// Between two datagrams: how exactly a change is seen.
pub const BEAT: Duration = Duration::from_micros(500);
/// So much silence means that nothing arrives any more.
const SILENCE: Duration = Duration::from_millis(100);

/// When the datagrams of a flow were sent, and which of them arrived.
#[derive(Clone, Default, Debug)]
struct Sent(Vec<(Instant, bool)>);

/// A flow that runs until it is dropped.
pub struct Flow {
    sent: Arc<Mutex<Sent>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Flow {
    /// From one pod to another, at the first address of each.
    pub fn start(from: &Pod, to: &Pod) -> Self {
        let destination = SocketAddr::new(to.addresses[0], 9);
        let receiver = bind(to, destination);
        let sender = bind(from, SocketAddr::new(from.addresses[0], 0));
        receiver.set_read_timeout(Some(SILENCE)).unwrap();
        let (sent, stop) = (Arc::<Mutex<Sent>>::default(), Arc::<AtomicBool>::default());
        let (there, here) = (Arc::clone(&sent), Arc::clone(&sent));
        let (done, end) = (Arc::clone(&stop), Arc::clone(&stop));
        let receive = std::thread::spawn(move || {
            let mut number = [0; 8];
            while !done.load(Ordering::Relaxed) {
                if receiver.recv(&mut number).is_ok_and(|length| length == number.len()) {
                    let index = usize::try_from(u64::from_be_bytes(number)).unwrap();
                    there.lock().unwrap().0[index].1 = true;
                }
            }
        });
        let send = std::thread::spawn(move || {
            let mut next = Instant::now();
            while !end.load(Ordering::Relaxed) {
                let number = {
                    let mut sent = here.lock().unwrap();
                    sent.0.push((Instant::now(), false));
                    sent.0.len() as u64 - 1
                };
                // A reject or a full queue is a loss like any other.
                let _lost = sender.send_to(&number.to_be_bytes(), destination);
                next += BEAT;
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
            }
        });
        Self {
            sent,
            stop,
            threads: vec![receive, send],
        }
    }

    /// When the first datagram was sent that arrived after `start`, if one has.
    pub fn first_arrived(&self, start: Instant) -> Option<Instant> {
        let sent = self.sent.lock().unwrap();
        let since = sent.0.partition_point(|&(when, _)| when < start);
        sent.0[since..]
            .iter()
            .find(|&&(_, arrived)| arrived)
            .map(|&(when, _)| when)
    }

    /// When the first datagram was sent after the last one that arrived, if none has for a while.
    pub fn last_arrived(&self, start: Instant) -> Option<Instant> {
        let sent = self.sent.lock().unwrap();
        let since = sent.0.partition_point(|&(when, _)| when < start);
        let after = sent
            .0
            .iter()
            .rposition(|&(_, arrived)| arrived)
            .map_or(since, |last| last + 1);
        let &(when, _) = sent.0.get(after.max(since))?;
        (when.elapsed() > SILENCE).then_some(when)
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _panicked = thread.join();
        }
    }
}

/// A socket of a pod's.
fn bind(pod: &Pod, address: SocketAddr) -> UdpSocket {
    netns_of(pod)
        .run(|| UdpSocket::bind(address))
        .unwrap()
        .unwrap_or_else(|error| panic!("{pod} {address}: {error}"))
}

/// The network namespace of a pod, as its node's container runtime has it.
pub fn netns_of(pod: &Pod) -> Netns {
    let folder = super::rig::node_root(pod).join("run/netns");
    let files = std::fs::read_dir(&folder).unwrap();
    files
        .map(|entry| open(&entry.unwrap().path()))
        .find(|netns| netns.run(|| has(pod.addresses[0])).unwrap())
        .unwrap_or_else(|| panic!("no network namespace with {} in {}", pod.addresses[0], folder.display()))
}

/// The network namespace of a node.
pub fn netns_of_node(cluster: &str, node: &str) -> Netns {
    open(&node_netns(cluster, node))
}

fn open(path: &Path) -> Netns {
    Netns::from(OwnedFd::from(
        File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())),
    ))
}

/// Whether an address is one of this network namespace's: only then can a socket have it.
fn has(address: IpAddr) -> bool {
    UdpSocket::bind(SocketAddr::new(address, 0)).is_ok()
}
