//! The thread that owns the kernel's netlink socket.
//!
//! Shell. nfnetlink does its work inside `sendmsg`, for up to a second on a large set: never on a tokio worker
//! (measured: 0.6 s for a million members).

use crate::kernel::{Kernel, KernelError};
use crate::machine::{Input, Step};
use crate::metrics::Dropped;
use crate::plan::Plan;
use crate::ruleset::{CounterName, WhyDropped};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc;

/// What the thread is asked to do. One request is under way at a time, so the queue never holds more than one.
#[derive(Debug)]
pub enum Request {
    /// Read back what is ours.
    Read,
    /// Carry a plan out.
    Apply(Arc<Plan>),
}

/// Starts the thread; it answers each request with one input, that a plan took so long before that it was carried out, and
/// ends when the returned sender is dropped. Whenever it reads what is ours, it reads our counts of dropped packets too.
///
/// # Errors
/// If the system has no thread left.
pub fn start(
    mut kernel: Kernel,
    answers: mpsc::Sender<Input>,
    mut dropped: Dropped,
) -> std::io::Result<mpsc::Sender<Request>> {
    let (requests, mut queue) = mpsc::channel(1);
    std::thread::Builder::new().name("netlink".to_owned()).spawn(move || {
        while let Some(request) = queue.blocking_recv() {
            let answer = match request {
                Request::Read => {
                    match kernel.dropped() {
                        Ok(counts) => {
                            for hint in dropped.show(counts).into_iter().filter_map(WhyDropped::hint) {
                                tracing::warn!("{hint}");
                            }
                        }
                        // What keeps the kernel from being read is said by the read itself.
                        Err(error) => tracing::debug!(error = whole(error), "no counts of dropped packets"),
                    }
                    Input::Kernel(kernel.read().map_err(whole))
                }
                Request::Apply(plan) => {
                    let begin = now();
                    let done = Input::Done(kernel.apply(&plan).map_err(whole));
                    if answers
                        .blocking_send(Input::Took(Step::Apply, begin.elapsed()))
                        .is_err()
                    {
                        break;
                    }
                    done
                }
            };
            if answers.blocking_send(answer).is_err() {
                break;
            }
        }
    })?;
    Ok(requests)
}

#[expect(clippy::disallowed_methods, reason = "this shell measures")]
fn now() -> Instant {
    Instant::now()
}

/// How many packets each counter of ours has counted; blocks for as long as a dump takes, whatever the thread is at.
///
/// # Errors
/// If the kernel does not answer.
pub fn counted() -> Result<BTreeMap<CounterName, u64>, String> {
    Kernel::counted().map_err(whole)
}

/// An error with what caused it, in one line.
fn whole(error: KernelError) -> String {
    format!("{:#}", anyhow::Error::from(error))
}
