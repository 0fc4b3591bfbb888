//! One subscriber: what it begins with, then every frame of the ring in order, until somebody or something ends it.
//!
//! It has a task and two frames of its own, nothing else: a subscriber that does not read for [`STALL`], or whose
//! place in the ring is gone, is told to subscribe again, and what it was owed is dropped at once.

use crate::eventloop::Members;
use crate::log::Snapshot;
use crate::metrics::Metrics;
use crate::ring::{Next, Position, SharedRing};
use crate::shutdown::Shutdown;
use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;
use proto::model::{ClusterName, Revision};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tonic::Status;

/// How long a subscriber may leave a frame unread. Longer than any hiccup of a network that still works.
pub(super) const STALL: Duration = Duration::from_secs(15);

/// What a stream begins with.
#[derive(Debug)]
pub(super) struct Start {
    /// What the subscriber holds once it has applied `first`.
    pub(super) revision: Revision,
    snapshot: Option<Snapshot>,
    position: Option<Position>,
}

impl Start {
    /// After a revision that the subscriber has.
    pub(super) fn resume(revision: Revision, position: Position) -> Self {
        Self {
            revision,
            snapshot: None,
            position: Some(position),
        }
    }

    /// With all there is.
    pub(super) fn snapshot(snapshot: Snapshot) -> Self {
        Self {
            revision: snapshot.revision,
            snapshot: Some(snapshot),
            position: None,
        }
    }

    pub(super) fn is_resumed(&self) -> bool {
        self.position.is_some()
    }
}

/// Why a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Ended {
    #[error("the subscriber has gone")]
    Gone,
    #[error("the subscriber has fallen too far behind: subscribe again with the last revision that was applied")]
    Behind,
    #[error("the cluster is no member any more: the hub's folder of clusters has no kubeconfig of its name")]
    Left,
    #[error("the hub is shutting down: subscribe again, to it or to another")]
    Stopped,
    #[error("the certificate that the stream was granted on has expired: subscribe again with a new one")]
    Expired,
}

impl Ended {
    fn status(self) -> Status {
        let text = self.to_string();
        match self {
            Self::Gone => Status::cancelled(text),
            Self::Behind => Status::out_of_range(text),
            Self::Left => Status::failed_precondition(text),
            Self::Stopped => Status::unavailable(text),
            Self::Expired => Status::unauthenticated(text),
        }
    }
}

/// What a subscriber's task works with.
pub(super) struct Subscriber {
    pub(super) ring: Arc<SharedRing>,
    /// Held from the start on, so that it counts as a subscriber.
    pub(super) ends: watch::Receiver<Position>,
    pub(super) metrics: Metrics,
    pub(super) shutdown: Shutdown,
    pub(super) members: watch::Receiver<Members>,
    /// The cluster it is an enforcer of.
    pub(super) cluster: ClusterName,
    /// How long its certificate is valid yet; `None`: it has none.
    pub(super) expires: Option<Duration>,
}

impl Subscriber {
    /// Sends until the end; says why it came.
    pub(super) async fn run(mut self, start: Start, frames: mpsc::Sender<Frame<Bytes>>) -> Ended {
        let mut shutdown = self.shutdown.clone();
        let expires = self.expires;
        let expired = async {
            match expires {
                Some(expires) => tokio::time::sleep(expires).await,
                None => std::future::pending().await,
            }
        };
        let mut members = self.members.clone();
        let cluster = self.cluster.clone();
        let left = async {
            let has_left = |members: &Members| !members.is_empty() && !members.contains(&cluster);
            if members.wait_for(has_left).await.is_err() {
                // The owner of the inventory is gone, and with it the hub.
                std::future::pending::<()>().await;
            }
        };
        let ended = tokio::select! {
            ended = self.follow(start, &frames) => ended,
            () = frames.closed() => Ended::Gone,
            () = shutdown.wait() => Ended::Stopped,
            () = expired => Ended::Expired,
            () = left => Ended::Left,
        };
        if ended == Ended::Behind {
            self.metrics.cut_off.inc();
        }
        let mut trailers = HeaderMap::new();
        ended
            .status()
            .add_header(&mut trailers)
            .expect("the texts above are header values");
        // Fails only if nobody is there to read it.
        let _ = frames.send(Frame::trailers(trailers)).await;
        ended
    }

    async fn follow(&mut self, start: Start, frames: &mpsc::Sender<Frame<Bytes>>) -> Ended {
        if let Some(snapshot) = start.snapshot {
            let all = snapshot.chunks.iter().chain([&snapshot.end]);
            for frame in all {
                if let Err(ended) = send(frames, frame.clone()).await {
                    return ended;
                }
            }
        }
        let since = || self.ring.read(|ring| ring.since(start.revision));
        let Some(mut position) = start.position.or_else(since) else {
            return Ended::Behind;
        };
        loop {
            self.ends.mark_unchanged();
            match self.ring.read(|ring| ring.next(position)) {
                Next::Gone => return Ended::Behind,
                Next::End => {
                    // The sender is the ring, which this task holds.
                    let _ = self.ends.changed().await;
                }
                Next::Frames(batch, next) => {
                    for frame in batch {
                        if let Err(ended) = send(frames, frame).await {
                            return ended;
                        }
                    }
                    position = next;
                }
            }
        }
    }
}

async fn send(frames: &mpsc::Sender<Frame<Bytes>>, frame: Bytes) -> Result<(), Ended> {
    match tokio::time::timeout(STALL, frames.send(Frame::data(frame))).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_closed)) => Err(Ended::Gone),
        Err(_elapsed) => Err(Ended::Behind),
    }
}

#[cfg(test)]
mod tests;
