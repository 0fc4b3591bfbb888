//! How the rest of the process asks the event loop, which alone owns the inventory.
//!
//! Every question is a closure that the owner runs, and its answer belongs to one revision. Requests wait in a bounded
//! queue; nobody gets a reference to what the owner holds.

use crate::inventory::Inventory;
use crate::log::Snapshot;
use proto::model::Revision;
use tokio::sync::{mpsc, oneshot};

/// Requests that may wait for the owner. A request takes it less than a few milliseconds, so that a full queue means
/// seconds of work: whoever comes then is told to come back.
pub const QUEUED_REQUESTS: usize = 256;

/// A question to the inventory, with its way to answer.
pub(crate) type Read = Box<dyn FnOnce(&Inventory, Revision) + Send>;

/// What the owner is asked for.
pub(crate) enum Request {
    /// To run this on the inventory once all that it holds is sealed in a revision.
    Read(Read),
    /// For a snapshot that a new subscriber can begin with; `None`: no cluster is known yet.
    Snapshot(oneshot::Sender<Option<Snapshot>>),
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// Too many requests wait already: ask again later.
    #[error("the hub has too many requests waiting, ask again later")]
    Busy,
    /// The hub is about to end.
    #[error("the hub is shutting down")]
    Stopped,
}

/// The way to ask the owner of the inventory.
#[derive(Clone, Debug)]
pub struct Handle(mpsc::Sender<Request>);

impl Handle {
    /// A handle, and what it is answered from.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Request>) {
        let (sender, receiver) = mpsc::channel(QUEUED_REQUESTS);
        (Self(sender), receiver)
    }

    /// Runs `read` on the inventory; all that it sees is sealed in the revision it gets, so that an enforcer that has
    /// applied that revision enforces it. It must be quick: the inventory does not change meanwhile.
    ///
    /// # Errors
    /// If the owner has too much to do, or is gone.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Inventory, Revision) -> T + Send + 'static,
    ) -> Result<T, Unanswered> {
        let (reply, answer) = oneshot::channel();
        let run = Box::new(move |inventory: &Inventory, revision| {
            // Whoever asked may have gone meanwhile; then nobody needs the answer.
            let _ = reply.send(read(inventory, revision));
        });
        self.ask(Request::Read(run))?;
        answer.await.map_err(|_closed| Unanswered::Stopped)
    }

    /// A snapshot of the newest revision; `None`: no cluster is known yet, and an empty world is no answer.
    ///
    /// # Errors
    /// If the owner has too much to do, or is gone.
    pub(crate) async fn snapshot(&self) -> Result<Option<Snapshot>, Unanswered> {
        let (reply, answer) = oneshot::channel();
        self.ask(Request::Snapshot(reply))?;
        answer.await.map_err(|_closed| Unanswered::Stopped)
    }

    fn ask(&self, request: Request) -> Result<(), Unanswered> {
        self.0.try_send(request).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Unanswered::Busy,
            mpsc::error::TrySendError::Closed(_) => Unanswered::Stopped,
        })
    }
}
