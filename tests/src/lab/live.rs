//! A change while traffic flows: when it is in a node's kernel, and when the first packet notices.
//!
//! Both are watched from before the write, on threads that only watch: the kernel's sets by netlink in the node's
//! network namespace, packets by a new connection every millisecond.

use super::netns::Netns;
use super::probe::Path;
use super::setup::now;
use super::sockets::Answer;
use anyhow::{Context, Result, ensure};
use enforcer::kernel::Kernel;
use enforcer::ruleset::Element;
use futures::stream::{FuturesOrdered, StreamExt};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::time::{interval, timeout};

/// How long a change may take to be seen.
const LIMIT: Duration = Duration::from_secs(10);
/// Between two looks at the kernel: a fiftieth of what is measured, and little enough to leave it the machine.
const LOOK: Duration = Duration::from_micros(100);
/// Between two connections.
const PACE: Duration = Duration::from_millis(1);
/// How long a connection may take before it counts as refused.
const PATIENCE: Duration = Duration::from_millis(200);
/// Connections in a row with the new outcome that make it the outcome, and not a packet lost.
const IN_A_ROW: usize = 5;

/// What a change makes of traffic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// It passes now.
    Opens,
    /// It is refused now.
    Closes,
}

/// Waits until an address is in some set of ours in a node's kernel, or in none. Dropping it ends the watch.
#[derive(Debug)]
pub struct KernelWatch {
    seen: oneshot::Receiver<Result<Instant>>,
    stop: Arc<AtomicBool>,
}

impl KernelWatch {
    /// Begins to watch, and has looked once when this returns.
    ///
    /// # Errors
    /// If the node's netfilter cannot be read, or what is waited for is so already.
    pub async fn begin(node: &Netns, address: IpAddr, effect: Effect) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (report_begun, begun) = oneshot::channel();
        let (report, seen) = oneshot::channel();
        let (netns, stopped) = (node.try_clone()?, stop.clone());
        thread::Builder::new().name("kernel-watch".to_owned()).spawn(move || {
            let mut watched = match Watched::begin(&netns, address, effect) {
                Ok(watched) => watched,
                Err(error) => return drop(report_begun.send(Err(error))),
            };
            // Neither is an error if nobody waits any more: the watch was dropped.
            let _ = report_begun.send(Ok(()));
            let _ = report.send(watched.wait(&stopped));
        })?;
        begun.await.context("the watch on the kernel ended")??;
        Ok(Self { seen, stop })
    }

    /// When it was so first.
    ///
    /// # Errors
    /// If it takes too long, or the kernel cannot be read.
    pub async fn seen(mut self) -> Result<Instant> {
        let seen = timeout(LIMIT, &mut self.seen)
            .await
            .context("the kernel's sets do not change")?;
        seen.context("the watch on the kernel ended")?
    }
}

impl Drop for KernelWatch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

struct Watched {
    kernel: Kernel,
    address: IpAddr,
    effect: Effect,
}

impl Watched {
    fn begin(netns: &Netns, address: IpAddr, effect: Effect) -> Result<Self> {
        netns.enter()?;
        let mut watched = Self {
            kernel: Kernel::open()?,
            address,
            effect,
        };
        ensure!(
            !watched.is_so()?,
            "the kernel's sets are already what they should become"
        );
        Ok(watched)
    }

    fn wait(&mut self, stop: &AtomicBool) -> Result<Instant> {
        while !self.is_so()? {
            ensure!(!stop.load(Ordering::Relaxed), "the watch was dropped");
            thread::sleep(LOOK);
        }
        Ok(now())
    }

    fn is_so(&mut self) -> Result<bool> {
        let sets = self.kernel.read_sets()?;
        let member = sets
            .values()
            .any(|set| set.members.iter().any(|one| is_address(one, self.address)));
        Ok(member == (self.effect == Effect::Opens))
    }
}

fn is_address(element: &Element, address: IpAddr) -> bool {
    match element {
        Element::Address(member) | Element::Port(member, ..) => *member == address,
        Element::Block { .. } => false,
    }
}

/// When the first connection was opened that the change let through, or that it did not.
///
/// # Errors
/// If it takes too long, or a packet cannot be sent.
pub async fn first_packet(path: &Path<'_>, effect: Effect) -> Result<Instant> {
    let wanted = match effect {
        Effect::Opens => Answer::Answered,
        Effect::Closes => Answer::Silence,
    };
    timeout(LIMIT, first_answer(path, wanted))
        .await
        .context("packets do not notice the change")?
}

async fn first_answer(path: &Path<'_>, wanted: Answer) -> Result<Instant> {
    let mut ticks = interval(PACE);
    let mut under_way = FuturesOrdered::new();
    let mut streak: Option<(Instant, usize)> = None;
    loop {
        tokio::select! {
            _ = ticks.tick() => under_way.push_back(async {
                let start = now();
                path.fire(PATIENCE).await.map(|answer| (start, now(), answer))
            }),
            Some(outcome) = under_way.next() => {
                let (start, end, answer) = outcome?;
                // What opens is noticed when the answer is there, what closes from the first connection that has none.
                let noticed = if wanted == Answer::Answered { end } else { start };
                streak = (answer == wanted).then(|| streak.map_or((noticed, 1), |(first, count)| (first, count + 1)));
                if let Some((first, IN_A_ROW..)) = streak {
                    return Ok(first);
                }
            }
        }
    }
}
