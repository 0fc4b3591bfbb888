//! The feed from a hub.
//!
//! Shell around tonic's client: connects to one of several hubs, subscribes, hands frames on in their order, and when
//! the stream ends says why and tries again with jitter, for ever. It reads nothing in a frame but whether it leads to
//! a revision, from which the next stream resumes; what frames mean is [`crate::mirror`]'s business.

mod connect;
mod reason;
mod retry;

use crate::model::{ClusterName, Revision};
use crate::tls::Files;
use crate::wire;
use crate::wire::frame::Body;
use crate::wire::sync_client::SyncClient;
use http::Uri;
use reason::Loss;
use retry::Retry;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};
use tonic::transport::Channel;
use tonic::{Status, Streaming};

/// The version of `sync.proto` that this release speaks.
const WIRE_VERSION: u32 = 1;

/// A stream that is silent for so long is lost: a hub sends a heartbeat every 5 s.
const IDLE_LIMIT: Duration = Duration::from_secs(15);

/// For an answer to a report; the next one says the same and more.
const REPORT_LIMIT: Duration = Duration::from_secs(10);

/// Where the hubs are, and how to speak with them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hubs {
    /// `https://HOST:PORT`, or `http://` for one that runs with `--insecure`; at least one. Tried in turn.
    pub urls: Vec<Uri>,
    /// The files for `https`.
    pub tls: Option<Files>,
}

/// Who subscribes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subscriber {
    /// Its cluster.
    pub cluster: ClusterName,
    /// Its node.
    pub node: Arc<str>,
}

/// What the feed says. Frames between one [`Event::Connected`] and the next are those of one stream, in order and
/// without a gap.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A hub, by its URL, has accepted the subscription.
    Connected(String),
    /// A frame has come.
    Frame(Box<wire::Frame>),
    /// The stream has ended or none can be had, and why, for people. Said once per reason; the feed goes on trying.
    Lost(String),
}

/// Makes a feed and what sends reports over its connection. A change of `again` ends the stream, if any, and subscribes
/// anew for a whole snapshot: the frames made no sense.
///
/// # Panics
/// If there is no hub.
pub fn subscribe(
    hubs: Hubs,
    subscriber: Subscriber,
    again: watch::Receiver<u64>,
    random: fastrand::Rng,
) -> (Feed, Reporter) {
    assert!(!hubs.urls.is_empty(), "there is at least one hub");
    let connection = watch::Sender::new(None);
    let reporter = Reporter(connection.subscribe());
    let feed = Feed {
        retry: Retry::new(hubs.urls.len(), random),
        hubs,
        subscriber,
        again,
        resume: None,
        connection,
    };
    (feed, reporter)
}

/// A subscription, to be [run](Feed::run).
#[derive(Debug)]
pub struct Feed {
    hubs: Hubs,
    subscriber: Subscriber,
    again: watch::Receiver<u64>,
    retry: Retry,
    /// Where the frames that were handed on lead.
    resume: Option<Revision>,
    connection: watch::Sender<Option<SyncClient<Channel>>>,
}

/// Why one stream is over.
#[derive(Debug)]
enum End {
    /// It broke, or was never had.
    Lost(Loss),
    /// A new one is wanted.
    Again,
    /// Nobody listens any more.
    Unwanted,
}

impl From<Loss> for End {
    fn from(loss: Loss) -> Self {
        Self::Lost(loss)
    }
}

impl Feed {
    /// Feeds `events` until nobody receives them any more.
    pub async fn run(mut self, events: mpsc::Sender<Event>) {
        let mut said = None;
        loop {
            let began = Instant::now();
            let hub = self.hubs.urls[self.retry.turn()].clone();
            let end = self.follow(&hub, &events, &mut said).await;
            self.connection.send_replace(None);
            let delay = match end {
                End::Unwanted => return,
                End::Again => {
                    self.resume = None;
                    // What is queued is of the old stream; calls for a new one that it causes are meant for this one.
                    let drained = events.reserve_many(events.max_capacity()).await.is_ok();
                    if !drained {
                        return;
                    }
                    self.retry.again(began.elapsed())
                }
                End::Lost(loss) => {
                    let delay = self.retry.failed(loss.kind, began.elapsed());
                    if said.as_ref() != Some(&loss.reason) {
                        said = Some(loss.reason.clone());
                        if events.send(Event::Lost(loss.reason)).await.is_err() {
                            return;
                        }
                    }
                    delay
                }
            };
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = events.closed() => return,
            }
        }
    }

    /// One stream, from connecting to its end.
    async fn follow(&mut self, hub: &Uri, events: &mpsc::Sender<Event>, said: &mut Option<String>) -> End {
        self.again.mark_unchanged();
        let stream = tokio::select! {
            stream = self.open(hub) => stream,
            () = events.closed() => return End::Unwanted,
        };
        let mut stream = match stream {
            Ok(stream) => stream,
            Err(loss) => return End::Lost(loss),
        };
        *said = None;
        if events.send(Event::Connected(reason::shown(hub))).await.is_err() {
            return End::Unwanted;
        }
        loop {
            let frame = tokio::select! {
                changed = self.again.changed() => match changed {
                    Ok(()) => return End::Again,
                    Err(_gone) => return End::Unwanted,
                },
                () = events.closed() => return End::Unwanted,
                frame = timeout(IDLE_LIMIT, stream.message()) => frame,
            };
            let frame = match frame {
                Ok(Ok(Some(frame))) => frame,
                Ok(Ok(None)) => return Loss::ended(hub).into(),
                Ok(Err(status)) => return Loss::of_status(hub, &status).into(),
                Err(_elapsed) => return Loss::silence(hub, IDLE_LIMIT).into(),
            };
            let reached = reached(&frame);
            if events.send(Event::Frame(Box::new(frame))).await.is_err() {
                return End::Unwanted;
            }
            self.resume = reached.or(self.resume);
        }
    }

    async fn open(&self, hub: &Uri) -> Result<Streaming<wire::Frame>, Loss> {
        let channel = connect::open(hub, self.hubs.tls.as_ref()).await?;
        let mut client = SyncClient::new(channel);
        let request = wire::SubscribeRequest {
            cluster: self.subscriber.cluster.to_string(),
            node: self.subscriber.node.to_string(),
            resume: self.resume.map(Into::into),
            wire_version: WIRE_VERSION,
        };
        let answer = timeout(IDLE_LIMIT, client.subscribe(request)).await;
        let answer = answer.map_err(|_elapsed| Loss::silence(hub, IDLE_LIMIT))?;
        let stream = answer.map_err(|status| Loss::of_status(hub, &status))?;
        self.connection.send_replace(Some(client));
        Ok(stream.into_inner())
    }
}

/// The revision that is held once this frame has been applied, if it leads to one.
fn reached(frame: &wire::Frame) -> Option<Revision> {
    match frame.body {
        Some(Body::Delta(_) | Body::End(_)) => frame.revision.as_ref().map(Revision::from),
        Some(Body::Chunk(_) | Body::Heartbeat(_)) | None => None,
    }
}

/// Sends reports to the hub that the feed is subscribed to.
#[derive(Debug, Clone)]
pub struct Reporter(watch::Receiver<Option<SyncClient<Channel>>>);

/// Why a report did not arrive. The next one replaces it.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// There is no stream, and so nobody to report to: [`Reporter::connected`] waits for one.
    #[error("no hub is connected")]
    NotConnected,
    /// The hub did not answer in time.
    #[error("the hub did not answer the report within {} s", REPORT_LIMIT.as_secs())]
    TimedOut,
    /// The hub refused it.
    #[error("the hub refused the report: {} ({})", .0.message(), .0.code())]
    Refused(#[source] Box<Status>),
}

impl Reporter {
    /// Waits until there is a stream; never returns if the feed has ended.
    pub async fn connected(&mut self) {
        if self.0.wait_for(Option::is_some).await.is_err() {
            std::future::pending().await
        }
    }

    /// Reports once.
    ///
    /// # Errors
    /// If the report did not arrive; it is not sent again from here.
    pub async fn report(&self, report: wire::ReportRequest) -> Result<wire::ReportResponse, ReportError> {
        let client = self.0.borrow().clone();
        let mut client = client.ok_or(ReportError::NotConnected)?;
        let answer = timeout(REPORT_LIMIT, client.report(report)).await;
        match answer {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(ReportError::Refused(Box::new(status))),
            Err(_elapsed) => Err(ReportError::TimedOut),
        }
    }
}

#[cfg(test)]
mod tests;
