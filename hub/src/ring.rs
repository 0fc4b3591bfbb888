//! The newest sealed frames, bounded by bytes, from which every subscriber is served.
//!
//! [`Ring`] is pure. [`SharedRing`] is the one place where the event loop and its subscribers meet: a lock that is held
//! for as long as it takes to push a few frames or to clone handles of them, never across an `.await`, and a watch that
//! says where the end is. A subscriber keeps a [`Position`]; one that is so slow that its position is gone is cut off
//! and begins anew, it makes the hub keep nothing.

use bytes::Bytes;
use proto::model::Revision;
use std::collections::VecDeque;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Bytes of frames that are kept: minutes of the highest load that was measured (500 KB/s), and no more memory than that
/// however many subscribers lag.
pub const RING_LIMIT_BYTES: usize = 64 * 1024 * 1024;

/// Frames that a subscriber takes at once, so that the lock is short even for one that has much to catch up with.
const BATCH: usize = 64;

/// Bytes after which it takes no further frame: what a subscriber that stalls keeps from being freed.
const BATCH_BYTES: usize = 512 * 1024;

/// What a frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A change: its revision is one more than that of the frame before.
    Delta {
        /// Addresses, namespaces and clusters that it speaks of.
        changes: usize,
        /// From the receipt of the oldest of these changes to the sealing.
        oldest: Duration,
    },
    /// A sign of life at the revision of the frame before.
    Heartbeat,
}

/// A frame that will not change any more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sealed {
    /// What a subscriber holds once it has applied it.
    pub revision: Revision,
    /// What it is.
    pub kind: Kind,
    /// When it was sealed.
    pub at: Instant,
    /// The gRPC message.
    pub bytes: Bytes,
}

/// A place between two frames: how many frames came before it since the hub started.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Position(u64);

/// What comes after a position.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Next {
    /// These frames, then that position.
    Frames(Vec<Bytes>, Position),
    /// Nothing yet.
    End,
    /// Nobody knows any more.
    Gone,
}

/// The frames.
#[derive(Debug)]
pub struct Ring {
    frames: VecDeque<Sealed>,
    /// Position before the first frame.
    first: u64,
    bytes: usize,
    limit: usize,
    revision: Revision,
}

impl Ring {
    /// An empty ring at this revision that keeps at most so many bytes.
    pub fn new(revision: Revision, limit: usize) -> Self {
        Self {
            frames: VecDeque::new(),
            first: 0,
            bytes: 0,
            limit,
            revision,
        }
    }

    /// Adds a frame. The oldest go while there are too many bytes; the newest stays whatever its size. With a frame of
    /// another epoch all before it go.
    pub fn push(&mut self, sealed: Sealed) {
        if sealed.revision.epoch != self.revision.epoch {
            // One position of nobody between the epochs: who stood at the old end is not at the new beginning.
            self.first += self.frames.len() as u64 + 1;
            self.frames.clear();
            self.bytes = 0;
        }
        self.revision = sealed.revision;
        self.bytes += sealed.bytes.len();
        self.frames.push_back(sealed);
        while self.bytes > self.limit && self.frames.len() > 1 {
            let oldest = self.frames.pop_front().expect("there is more than one");
            self.bytes -= oldest.bytes.len();
            self.first += 1;
        }
    }

    /// The revision of the newest frame.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The position after the newest frame.
    pub fn end(&self) -> Position {
        Position(self.first + self.frames.len() as u64)
    }

    /// Where one continues who holds `revision`; `None`: that is another epoch, too old, or not yet.
    pub fn since(&self, revision: Revision) -> Option<Position> {
        if revision.epoch != self.revision.epoch || revision.sequence > self.revision.sequence {
            return None;
        }
        let index = self
            .frames
            .partition_point(|frame| frame.revision.sequence <= revision.sequence);
        let follows = match self.frames.get(index) {
            // A heartbeat says that the delta to its revision is gone.
            Some(next) => matches!(next.kind, Kind::Delta { .. }) && next.revision.sequence == revision.sequence + 1,
            None => revision == self.revision,
        };
        follows.then_some(Position(self.first + index as u64))
    }

    /// Frames from a position on.
    pub fn next(&self, position: Position) -> Next {
        let Some(index) = position.0.checked_sub(self.first) else {
            return Next::Gone;
        };
        let index = usize::try_from(index).expect("positions are never past the end");
        let mut room = BATCH_BYTES;
        let frames: Vec<Bytes> = self
            .frames
            .iter()
            .skip(index)
            .take(BATCH)
            .take_while(|frame| {
                let fits = room > 0;
                room = room.saturating_sub(frame.bytes.len());
                fits
            })
            .map(|frame| frame.bytes.clone())
            .collect();
        if frames.is_empty() {
            return Next::End;
        }
        let position = Position(position.0 + frames.len() as u64);
        Next::Frames(frames, position)
    }

    /// Age of the oldest change that is not in `applied`; `None`: all are. For a revision that is older than the ring, or
    /// of another epoch, it is at least that.
    pub fn lag(&self, applied: Option<Revision>, now: Instant) -> Option<Duration> {
        let applied = applied
            .filter(|applied| applied.epoch == self.revision.epoch)
            .map_or(0, |applied| applied.sequence);
        let index = self.frames.partition_point(|frame| frame.revision.sequence <= applied);
        let frame = self.frames.get(index)?;
        Some(now.saturating_duration_since(frame.at))
    }
}

/// The ring, written by the event loop and read by every subscriber.
#[derive(Debug)]
pub struct SharedRing {
    ring: RwLock<Ring>,
    end: watch::Sender<Position>,
}

impl SharedRing {
    /// An empty ring at this revision.
    pub fn new(revision: Revision) -> Self {
        let ring = Ring::new(revision, RING_LIMIT_BYTES);
        Self {
            end: watch::Sender::new(ring.end()),
            ring: RwLock::new(ring),
        }
    }

    /// Adds frames and wakes the subscribers.
    pub(crate) fn push(&self, frames: impl IntoIterator<Item = Sealed>) {
        let end = {
            // A panic under the lock ends the process; what it guards is whole after every push.
            let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
            for frame in frames {
                ring.push(frame);
            }
            ring.end()
        };
        self.end.send_replace(end);
    }

    /// Says whenever the end has moved.
    pub fn ends(&self) -> watch::Receiver<Position> {
        self.end.subscribe()
    }

    /// How many wait for frames.
    pub fn subscribers(&self) -> usize {
        self.end.receiver_count()
    }

    /// Runs `read` on the ring; it must not take longer than to clone a few handles.
    pub fn read<T>(&self, read: impl FnOnce(&Ring) -> T) -> T {
        read(&self.ring.read().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests;
