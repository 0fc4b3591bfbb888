//! A watch: the changes of a kind, one JSON object a line, for as long as the caller listens.
//!
//! A watcher keeps a cursor into the history and is woken by the head's movement, so a slow one holds nothing up; one
//! that falls out of the history is told 410 in the stream, as the real server does it.

use super::Shared;
use super::failure::Failure;
use super::faults::StreamingLists;
use super::request::{Request, is_true};
use super::resource::Resource;
use super::store::{Change, stamp};
use bytes::Bytes;
use futures::Stream;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, Interval};

/// Between bookmarks. The real server sends one a minute; a test does not wait that long.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(5);

/// How long a watch lasts whose caller does not say (the real server: between 30 minutes and an hour).
const DEFAULT_TIMEOUT_SECONDS: u64 = 1800;

/// The annotation of the bookmark that ends the initial events (KEP-3157).
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

struct Watcher {
    shared: Arc<Shared>,
    request: Request,
    /// The last revision that was told.
    cursor: u64,
    lines: VecDeque<Bytes>,
    ended: bool,
    head: watch::Receiver<u64>,
    bookmarks_asked: watch::Receiver<u64>,
    bookmarks: Interval,
    deadline: Instant,
}

/// Starts a watch; the stream's items are lines.
pub(super) fn watch(
    shared: Arc<Shared>,
    request: Request,
) -> Result<impl Stream<Item = Result<Bytes, Infallible>>, Failure> {
    let timeout = Duration::from_secs(request.options.timeout_seconds.unwrap_or(DEFAULT_TIMEOUT_SECONDS));
    let now = Instant::now();
    let mut watcher = Watcher {
        cursor: 0,
        lines: VecDeque::new(),
        ended: false,
        head: shared.head.subscribe(),
        bookmarks_asked: shared.bookmarks.subscribe(),
        bookmarks: tokio::time::interval_at(now + BOOKMARK_INTERVAL, BOOKMARK_INTERVAL),
        deadline: now + timeout,
        shared,
        request,
    };
    watcher.start()?;
    Ok(futures::stream::unfold(watcher, |mut watcher| async move {
        let line = watcher.next().await?;
        Some((Ok(line), watcher))
    }))
}

impl Watcher {
    /// Decides where to begin and queues the initial events, if any.
    fn start(&mut self) -> Result<(), Failure> {
        let options = &self.request.options;
        let asked = options.revision()?;
        let streaming = match (
            options.send_initial_events.as_str(),
            self.shared.faults.borrow().streaming_lists,
        ) {
            ("", _) | (_, StreamingLists::Ignored) => None,
            (_, StreamingLists::Refused) => {
                let cause = "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled";
                return Err(Failure::invalid_options("sendInitialEvents", cause));
            }
            (_, StreamingLists::Served) if options.resource_version_match != "NotOlderThan" => {
                let cause = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
                return Err(Failure::invalid_options("resourceVersionMatch", cause));
            }
            (text, StreamingLists::Served) => Some(is_true(text)),
        };
        let api = self.shared.api.lock().expect("no holder panics");
        let current = api.store().revision();
        if streaming.is_some() && asked > current {
            return Err(Failure::too_large_resource_version(asked, current));
        }
        let initial = streaming.unwrap_or(asked == 0);
        self.cursor = if initial || asked == 0 { current } else { asked };
        if initial {
            let objects = api.store().list(self.request.target.resource);
            let selected = objects
                .iter()
                .filter(|(key, object)| self.is_here(&key.namespace) && self.selects(object));
            self.lines = selected.map(|(_, object)| line("ADDED", object)).collect();
        }
        drop(api);
        if initial && streaming.is_some() && self.wants_bookmarks() {
            self.bookmark(json!({ INITIAL_EVENTS_END: "true" }));
        }
        Ok(())
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            self.shared.unpaused().await;
            if let Some(line) = self.lines.pop_front() {
                return Some(line);
            }
            if self.ended {
                return None;
            }
            self.catch_up();
            if !self.lines.is_empty() {
                continue;
            }
            let bookmarks = self.wants_bookmarks();
            tokio::select! {
                _ = self.head.changed() => {}
                _ = self.bookmarks.tick(), if bookmarks => self.bookmark(Value::Null),
                Ok(()) = self.bookmarks_asked.changed(), if bookmarks => self.bookmark(Value::Null),
                () = tokio::time::sleep_until(self.deadline) => self.ended = true,
            }
        }
    }

    /// Queues what changed since the cursor, or that this is no longer known.
    fn catch_up(&mut self) {
        self.head.mark_unchanged();
        let api = self.shared.api.lock().expect("no holder panics");
        let (lines, cursor) = match api.store().since(self.cursor) {
            Ok(changes) => {
                let lines: VecDeque<Bytes> = changes.filter_map(|change| self.event(change)).collect();
                (lines, api.store().revision().max(self.cursor))
            }
            Err(expired) => {
                let message = format!("too old resource version: {} ({})", self.cursor, expired.oldest);
                self.ended = true;
                (
                    VecDeque::from([line("ERROR", &Failure::expired(message).status())]),
                    self.cursor,
                )
            }
        };
        drop(api);
        (self.lines, self.cursor) = (lines, cursor);
    }

    /// The event that this watch sees of a change: an object that stops being selected is deleted for it.
    fn event(&self, change: &Change) -> Option<Bytes> {
        if change.key.resource != self.request.target.resource || !self.is_here(&change.key.namespace) {
            return None;
        }
        let before = change.before.as_ref().filter(|object| self.selects(object));
        let after = change.after.as_ref().filter(|object| self.selects(object));
        match (before, after) {
            (None, None) => None,
            (None, Some(after)) => Some(line("ADDED", after)),
            (Some(_), Some(after)) => Some(line("MODIFIED", after)),
            (Some(before), None) => {
                let mut last = Value::clone(before);
                stamp(&mut last, change.revision);
                Some(line("DELETED", &last))
            }
        }
    }

    fn is_here(&self, namespace: &str) -> bool {
        self.request
            .target
            .namespace
            .as_deref()
            .is_none_or(|wanted| wanted == namespace)
    }

    fn selects(&self, object: &Value) -> bool {
        self.request.selection.matches(object)
    }

    fn wants_bookmarks(&self) -> bool {
        is_true(&self.request.options.allow_watch_bookmarks)
    }

    fn bookmark(&mut self, annotations: Value) {
        let resource: Resource = self.request.target.resource;
        let mut metadata = json!({"resourceVersion": self.cursor.to_string()});
        if !annotations.is_null() {
            metadata["annotations"] = annotations;
        }
        let object = json!({"kind": resource.kind(), "apiVersion": resource.api_version(), "metadata": metadata});
        self.lines.push_back(line("BOOKMARK", &object));
    }
}

fn line(kind: &str, object: &Value) -> Bytes {
    Bytes::from(format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n"))
}
