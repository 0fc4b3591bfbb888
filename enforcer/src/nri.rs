//! This node's container runtime, over NRI: it waits with a pod's first container until the pod is isolated (S79).
//!
//! Shell. An enforcer is a plugin of the runtime (containerd, CRI-O: github.com/containerd/nri, `pkg/api/api.proto`), which
//! tells it of each sandbox before a container of it is made, init containers included, and goes on when it is answered.
//! What is deliberately absent: nothing of a container is changed, and no other event is asked for.
//!
//! The runtime asks about one sandbox at a time, and holds back all others meanwhile: each answer has a time limit
//! ([`ANSWER_WITHIN`]), well within the runtime's own, after which it would go on and turn the plugin out. A pod after one that
//! was late is answered at once if nothing has come into force since: it would wait in vain, and so would each one behind it.

pub mod message;
mod multiplex;
mod plugin;

use crate::machine::Input;
use crate::sandbox::{Event, InForce};
use multiplex::multiplex;
use proto::backoff::Backoff;
use std::future;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::{mpsc, watch};

/// Where runtimes listen unless they are told otherwise.
pub const SOCKET: &str = "/var/run/nri/nri.sock";

/// How long a pod's start is held back at most, and how long all of a node's are while nothing comes into force. A pass takes
/// some ten milliseconds; a runtime waits for 2 s by default, and with less this is three quarters of that.
pub const ANSWER_WITHIN: Duration = Duration::from_millis(1500);

/// How many events wait for an event loop that is late. The runtime is answered at once although they do: a pod that starts
/// or stops is one to three of them, and a node of 110 pods has some hundred in the worst of seconds.
const EVENTS: usize = 4096;

/// The shortest and the longest pause between two tries to reach the runtime. One that was restarted tells of its sandboxes
/// within a second or so; where there is none, a look costs one system call.
const RETRY_FLOOR: Duration = Duration::from_millis(100);
/// See [`RETRY_FLOOR`].
const RETRY_CEILING: Duration = Duration::from_secs(5);

/// What a runtime is told whose pod is not isolated in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum Late {
    /// Go on: the pod starts, and is isolated a little later
    #[default]
    Allow,
    /// Stop: the pod does not start; kubelet tries again
    Refuse,
}

/// A plugin of this node's runtime.
#[derive(Debug)]
pub struct Plugin {
    /// The runtime's socket.
    pub socket: PathBuf,
    /// What it is told of pods that are not isolated in time.
    pub late: Late,
    /// Where its word goes.
    pub inputs: mpsc::Sender<Input>,
    /// What is in force of the node's pods.
    pub in_force: watch::Receiver<InForce>,
}

/// How a stream ended.
struct Ended {
    reason: String,
    was_registered: bool,
}

impl Plugin {
    /// Tells what the runtime tells, until nobody listens.
    pub async fn run(self, random: fastrand::Rng) {
        let (events, mut queue) = mpsc::channel(EVENTS);
        // One queue for all that is told, so that it is heard in the order in which it was so.
        let tell = async {
            while let Some(event) = queue.recv().await {
                if self.inputs.send(Input::Runtime(event)).await.is_err() {
                    break;
                }
            }
        };
        tokio::select! {
            () = tell => {}
            () = self.inputs.closed() => {}
            () = self.follow(&events, random) => {}
        }
    }

    /// Is a plugin of the runtime whenever there is one.
    async fn follow(&self, events: &mpsc::Sender<Event>, mut random: fastrand::Rng) {
        let mut backoff = Backoff::new(RETRY_FLOOR, RETRY_CEILING);
        // Why there is no runtime, as it was said, while there is none.
        let mut said = None;
        // What is told here may wait: no runtime waits for it.
        let tell = async |event| drop(events.send(event).await);
        loop {
            match UnixStream::connect(&self.socket).await {
                Ok(stream) => {
                    let ended = self.serve(stream, events, &mut backoff).await;
                    let lost = format!("{}: {}", self.socket.display(), ended.reason);
                    if ended.was_registered || said.as_ref() != Some(&lost) {
                        said = Some(lost.clone());
                        tell(Event::Lost(lost)).await;
                    }
                }
                Err(error) if said.is_none() => {
                    let absent = format!("{} ({error})", self.socket.display());
                    said = Some(absent.clone());
                    tell(Event::Absent(absent)).await;
                }
                Err(_still_absent) => {}
            }
            tokio::time::sleep(backoff.next_delay(&mut random)).await;
        }
    }

    /// Is a plugin over this stream until it ends.
    async fn serve(&self, stream: UnixStream, events: &mpsc::Sender<Event>, backoff: &mut Backoff) -> Ended {
        let (ends, trunk) = multiplex(stream);
        let mut was_registered = false;
        let session = match plugin::Session::start(self, events.clone(), ends.plugin).await {
            Ok(session) => session,
            Err(error) => {
                let reason = error.to_string();
                return Ended { reason, was_registered };
            }
        };
        let registered = async {
            match plugin::register(ends.runtime).await {
                Err(error) => error,
                Ok(_runtime) => {
                    backoff.reset();
                    was_registered = true;
                    future::pending().await
                }
            }
        };
        let reason = tokio::select! {
            ended = trunk => ended.to_string(),
            error = registered => format!("cannot register: {error}"),
            () = session.overrun() => format!("{EVENTS} events wait for the event loop"),
        };
        session.end().await;
        Ended { reason, was_registered }
    }
}
