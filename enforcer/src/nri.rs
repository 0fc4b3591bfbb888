//! This node's container runtime, over NRI: it waits with a pod's first container until the pod is isolated (S79).
//!
//! Shell. An enforcer is a plugin of the runtime (containerd, CRI-O: github.com/containerd/nri, `pkg/api/api.proto`), which
//! tells it of each sandbox before a container of it is made, init containers included, and goes on when it is answered.
//! What is deliberately absent: nothing of a container is changed, and no other event is asked for.
//!
//! The runtime asks about one sandbox at a time, and holds back all others meanwhile: each answer has a time limit
//! ([`ANSWER_WITHIN`]), well within the runtime's own, after which it would go on and turn the plugin out.

pub mod message;
mod multiplex;
mod plugin;

use crate::machine::Input;
use crate::sandbox::{Event, InForce};
use multiplex::multiplex;
use proto::backoff::Backoff;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::{mpsc, watch};

/// Where runtimes listen unless they are told otherwise.
pub const SOCKET: &str = "/var/run/nri/nri.sock";

/// How long a pod's start is held back at most. A pass takes some ten milliseconds; a runtime waits for 2 s by default, and
/// with less this is three quarters of that.
pub const ANSWER_WITHIN: Duration = Duration::from_millis(1500);

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
    /// Which pods are isolated.
    pub in_force: watch::Receiver<InForce>,
}

/// How a stream ended.
struct Ended {
    reason: String,
    was_registered: bool,
}

/// Nobody listens to what the runtime says.
#[derive(Debug, thiserror::Error)]
#[error("the event loop has ended")]
pub struct Unheard;

impl Plugin {
    /// Tells what the runtime tells, again and again, until nobody listens.
    ///
    /// # Errors
    /// If nobody listens.
    pub async fn run(self, mut random: fastrand::Rng) -> Result<(), Unheard> {
        let mut backoff = Backoff::new(RETRY_FLOOR, RETRY_CEILING);
        // Why there is no runtime, as it was said, while there is none.
        let mut said = None;
        loop {
            match UnixStream::connect(&self.socket).await {
                Ok(stream) => {
                    let ended = self.serve(stream, &mut backoff).await?;
                    let lost = format!("{}: {}", self.socket.display(), ended.reason);
                    if ended.was_registered || said.as_ref() != Some(&lost) {
                        said = Some(lost.clone());
                        self.tell(Event::Lost(lost)).await?;
                    }
                }
                Err(error) if said.is_none() => {
                    let absent = format!("{} ({error})", self.socket.display());
                    said = Some(absent.clone());
                    self.tell(Event::Absent(absent)).await?;
                }
                Err(_still_absent) => {}
            }
            tokio::time::sleep(backoff.next_delay(&mut random)).await;
        }
    }

    /// Is a plugin over this stream until it ends.
    async fn serve(&self, stream: UnixStream, backoff: &mut Backoff) -> Result<Ended, Unheard> {
        let (ends, trunk) = multiplex(stream);
        let mut session = plugin::Session::new(self, ends.plugin);
        let registered = async {
            session.start().await?;
            plugin::register(ends.runtime).await
        };
        tokio::pin!(trunk);
        let mut was_registered = false;
        let reason = tokio::select! {
            ended = &mut trunk => ended.to_string(),
            registered = registered => match registered {
                Err(error) => format!("cannot register: {error}"),
                Ok(runtime) => {
                    backoff.reset();
                    was_registered = true;
                    let ended = trunk.await;
                    drop(runtime);
                    ended.to_string()
                }
            },
        };
        session.end().await;
        if self.inputs.is_closed() {
            return Err(Unheard);
        }
        Ok(Ended { reason, was_registered })
    }

    async fn tell(&self, event: Event) -> Result<(), Unheard> {
        let told = self.inputs.send(Input::Runtime(event)).await;
        told.map_err(|_gone| Unheard)
    }
}
