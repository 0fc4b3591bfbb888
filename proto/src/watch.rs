//! The feed of one kind of object of one cluster.
//!
//! Shell. A list-and-watch loop of our own rather than kube's watcher, which waits for ever for a server that ignores
//! `sendInitialEvents`, swallows bookmarks, and ends a list at the first object it cannot decode. This one streams the list
//! where the API server can and pages it where it cannot, delivers a list only as a whole, resumes where it stopped,
//! and says once what is wrong. It keeps no objects and decides nothing about them.

mod lines;
mod page;
mod request;
mod session;

use crate::backoff::Backoff;
use crate::observe::{Kind, Observe};
use futures::stream::{self, Stream, StreamExt};
use request::{Requests, Stop};
use session::Session;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_stream::wrappers::ReceiverStream;

/// What a feed says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<K> {
    /// The complete list: what is not in it does not exist (any more). Never an incomplete one.
    Synced(Vec<K>),
    /// An object is new or changed.
    Applied(K),
    /// An object is gone; its last known state.
    Deleted(K),
    /// Nothing changed, the API server is alive (a bookmark, or a watch that was taken up again).
    Heard,
    /// Contact is lost or refused; what was said stands. The feed goes on trying. Said once per reason.
    Lost(String),
}

/// Which objects of a kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Selection {
    /// All of the cluster.
    All,
    /// Those that a field selector selects, for example `spec.nodeName=n1`.
    Fields(String),
}

/// How patient a feed is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pace {
    /// How long the API server may take to begin an answer, or between two pieces of it.
    pub answer: Duration,
    /// How long a streamed list may pause before it is taken for one that never ends.
    pub initial_pause: Duration,
    /// How long the API server lets a watch last. It sends a bookmark before it ends it, so this bounds how long a
    /// quiet feed goes without a sign of life. Made up to half longer at random.
    pub watch: Duration,
    /// How much longer than that a silent watch is waited for before it is taken up anew.
    pub grace: Duration,
    /// The first delay after a failure.
    pub retry_floor: Duration,
    /// The longest delay after a failure.
    pub retry_ceiling: Duration,
    /// How long a server that could not stream a list is not asked again to.
    pub stream_again: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(30),
            initial_pause: Duration::from_secs(30),
            watch: Duration::from_secs(60),
            grace: Duration::from_secs(5),
            retry_floor: Duration::from_millis(250),
            retry_ceiling: Duration::from_secs(30),
            stream_again: Duration::from_secs(3600),
        }
    }
}

/// Watches a kind of object. The feed is driven by polling the stream, never ends, and stops when the stream is dropped.
pub fn watch<T: Observe>(
    client: kube::Client,
    selection: Selection,
    pace: Pace,
) -> impl Stream<Item = Event<T>> + Send {
    // One event waits while the next is read: a consumer that is slow slows the API server down, by TCP.
    let (sender, events) = mpsc::channel(1);
    let feed = Feed {
        requests: Requests::new(client, T::KIND, selection, &pace),
        backoff: Backoff::new(pace.retry_floor, pace.retry_ceiling),
        random: fastrand::Rng::new(),
        paging: None,
        pace,
        said: None,
        events: sender,
    };
    let driver = stream::once(feed.run()).filter_map(async |()| None);
    stream::select(ReceiverStream::new(events), driver)
}

/// Why a request failed, and what to do about it, in the words that a feed uses.
pub(crate) fn refused(verb: &str, kind: Kind, error: &kube::Error) -> String {
    let stop = match error {
        kube::Error::Api(status) => request::explain(verb, kind, status.code, status),
        other => request::unreachable_because(other),
    };
    match stop {
        Stop::Failed(reason) => reason,
        Stop::Ended | Stop::Expired | Stop::CannotStream => error.to_string(),
    }
}

struct Feed<T> {
    requests: Requests,
    backoff: Backoff,
    random: fastrand::Rng,
    /// Since when lists are paged, because the server could not stream them.
    paging: Option<Instant>,
    pace: Pace,
    /// What was said to be wrong and still is.
    said: Option<String>,
    events: mpsc::Sender<Event<T>>,
}

/// Why what was heard is old although the API server answers.
const FORGOTTEN: &str = "the API server does not remember what changed since; it is asked for everything again";

/// A watch that ends sooner than this is not taken up again at once, lest a server that ends each be asked in a loop.
const SHORT_WATCH: Duration = Duration::from_secs(1);

impl<T: Observe> Feed<T> {
    async fn run(mut self) {
        let mut position = None;
        loop {
            let began = Instant::now();
            let resumed = position.is_some();
            let stop = self.advance(&mut position).await;
            match stop {
                Stop::Ended => {}
                Stop::Expired => {
                    if position.take().is_some() {
                        self.lost(FORGOTTEN.to_owned()).await;
                    }
                    if resumed {
                        // The server is back and well; what was missed since is not to wait as long as it was away.
                        continue;
                    }
                }
                Stop::CannotStream => {
                    tracing::debug!(plural = T::KIND.plural, "no streaming list, paging instead");
                    self.paging = Some(began);
                    continue;
                }
                Stop::Failed(reason) => self.lost(reason).await,
            }
            if began.elapsed() < SHORT_WATCH {
                sleep(self.backoff.next_delay(&mut self.random)).await;
            }
        }
    }

    /// Lists, if there is no position to go on from, and watches, for as long as it goes well.
    async fn advance(&mut self, position: &mut Option<String>) -> Stop {
        let resumed = position.is_some();
        if !resumed && self.pages() {
            match self.requests.list::<T>().await {
                Ok((objects, listed)) => {
                    *position = Some(listed);
                    self.say(Event::Synced(objects)).await;
                }
                Err(stop) => return stop,
            }
        }
        let body = match self.requests.watch(position.as_deref(), &mut self.random).await {
            Ok(body) => body,
            Err(stop) => return stop,
        };
        if resumed {
            // Not yet a reason to hurry after the next failure: the answer has only begun.
            self.said = None;
            self.send(Event::Heard).await;
        }
        let mut session = Session::new(body, position, &self.pace);
        loop {
            match session.next().await {
                Ok(event) => self.say(event).await,
                Err(stop) => return stop,
            }
        }
    }

    /// Whether the next list is paged.
    fn pages(&mut self) -> bool {
        let pace = &self.pace;
        self.paging = self.paging.filter(|since| since.elapsed() < pace.stream_again);
        self.paging.is_some()
    }

    /// Says something that shows that all is well.
    async fn say(&mut self, event: Event<T>) {
        self.said = None;
        self.backoff.reset();
        self.send(event).await;
    }

    async fn lost(&mut self, reason: String) {
        if self.said.as_ref() != Some(&reason) {
            self.said = Some(reason.clone());
            self.send(Event::Lost(reason)).await;
        }
    }

    async fn send(&self, event: Event<T>) {
        // The receiver is polled by the stream that drives this future: if it is gone, so is this, at its next await.
        let _ = self.events.send(event).await;
    }
}

#[cfg(test)]
mod tests;
