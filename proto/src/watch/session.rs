//! One watch, from its answer to its end.

use super::lines::{Cut, Lines};
use super::request::{Stop, decode, explain, unreachable_because};
use super::{Event, Pace};
use crate::observe::{Key, Kind, Observe};
use kube::client::Body;
use kube::core::Status;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use tokio::time::timeout;

/// The bookmark that ends the initial events of a streamed list (KEP-3157).
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    object: &'a RawValue,
}

/// What is of interest of a bookmark, or of any object beside what it is decoded to.
#[derive(Deserialize)]
struct Versioned {
    metadata: Version,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    resource_version: String,
    #[serde(default)]
    annotations: HashMap<String, String>,
}

/// One watch.
pub struct Session<'a, T> {
    lines: Lines,
    /// The version to go on from when it ends; `None` until the list is complete.
    position: &'a mut Option<String>,
    /// What a streamed list has named so far.
    initial: BTreeMap<Key, T>,
    initial_pause: Duration,
    silence: Duration,
}

impl<'a, T: Observe> Session<'a, T> {
    /// A watch with this answer; without a position it begins with the list.
    pub fn new(body: Body, position: &'a mut Option<String>, pace: &Pace) -> Self {
        Self {
            lines: Lines::new(body),
            position,
            initial: BTreeMap::new(),
            initial_pause: pace.initial_pause,
            silence: pace.longest_watch() + pace.grace,
        }
    }

    /// The next event.
    pub async fn next(&mut self) -> Result<Event<T>, Stop> {
        loop {
            let line = self.next_line().await?;
            // One object whose text is no UTF-8 is not worth the feed.
            let line = String::from_utf8_lossy(&line);
            let line: Line = serde_json::from_str(&line)
                .map_err(|error| Stop::failed(format_args!("a watch answered with what is no event: {error}")))?;
            if let Some(event) = self.take(&line)? {
                return Ok(event);
            }
        }
    }

    async fn next_line(&mut self) -> Result<bytes::Bytes, Stop> {
        let listing = self.position.is_none();
        let patience = if listing { self.initial_pause } else { self.silence };
        match (timeout(patience, self.lines.next()).await, listing) {
            (Ok(Ok(line)), _) => Ok(line),
            // It ignores `sendInitialEvents`: it has said all that there is and the end will never come.
            (Err(_) | Ok(Err(Cut::Ended)), true) => Err(Stop::CannotStream),
            (Ok(Err(Cut::Broken(error))), true) => Err(unreachable_because(&error)),
            // Whether anything is wrong, the next request will tell.
            (Err(_) | Ok(Err(Cut::Ended | Cut::Broken(_))), false) => Err(Stop::Ended),
            (Ok(Err(cut @ Cut::TooLong)), _) => Err(Stop::failed(format_args!("a watch answered with {cut}"))),
        }
    }

    /// Takes an event in; says it, unless it is a part of the list.
    fn take(&mut self, line: &Line<'_>) -> Result<Option<Event<T>>, Stop> {
        let listing = self.position.is_none();
        match &*line.kind {
            "ADDED" | "MODIFIED" => {
                let object = decode(line.object);
                if listing {
                    self.initial.extend(object.map(|object: T| (object.key(), object)));
                    return Ok(None);
                }
                self.advance(line.object);
                Ok(object.map(Event::Applied))
            }
            "DELETED" => {
                let object = decode(line.object);
                if listing {
                    object.map(|object: T| self.initial.remove(&object.key()));
                    return Ok(None);
                }
                self.advance(line.object);
                Ok(object.map(Event::Deleted))
            }
            "BOOKMARK" => self.bookmark(line.object),
            "ERROR" => Err(refusal(T::KIND, line.object)),
            // A later API's: not ours to understand, but a sign of life.
            _ => Ok((!listing).then_some(Event::Heard)),
        }
    }

    fn bookmark(&mut self, object: &RawValue) -> Result<Option<Event<T>>, Stop> {
        let Versioned { metadata } = serde_json::from_str(object.get())
            .map_err(|error| Stop::failed(format_args!("a watch answered with what is no bookmark: {error}")))?;
        if self.position.is_some() {
            *self.position = Some(metadata.resource_version);
            return Ok(Some(Event::Heard));
        }
        if metadata
            .annotations
            .get(INITIAL_EVENTS_END)
            .is_some_and(|value| value == "true")
        {
            *self.position = Some(metadata.resource_version);
            let objects = std::mem::take(&mut self.initial);
            return Ok(Some(Event::Synced(objects.into_values().collect())));
        }
        Ok(None)
    }

    /// Moves the position on to this object's version. Without one it stays, and what followed is told again.
    fn advance(&mut self, object: &RawValue) {
        if let Ok(Versioned { metadata }) = serde_json::from_str(object.get()) {
            *self.position = Some(metadata.resource_version);
        }
    }
}

fn refusal(kind: Kind, object: &RawValue) -> Stop {
    match serde_json::from_str::<Status>(object.get()) {
        Ok(status) => explain("watch", kind, status.code, &status),
        Err(error) => Stop::failed(format_args!("a watch ended with an error that is none: {error}")),
    }
}
