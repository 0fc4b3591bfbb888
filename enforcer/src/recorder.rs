//! Writes Kubernetes Events to the own cluster's API server: a word to whoever wrote a policy.
//!
//! Shell. Nothing waits for it and nothing depends on it. Bounded in every way: the Events are those of the newest state
//! ([`crate::events`]), each is tried a few times at most, and one is written at a time, with a pause after it. That a
//! thousand nodes ask for the same one costs the API server a thousand refusals, spread over [`JITTER`].

use crate::events::{EventName, Events, Void};
use kube::Client;
use kube::core::Request;
use kube::core::params::PostParams;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::time::sleep;

/// Within how long the nodes of a cluster that hear of a policy at the same time write about it.
const JITTER: Duration = Duration::from_secs(5);

/// The shortest time between two Events of one node.
const INTERVAL: Duration = Duration::from_millis(200);

/// How often an Event is tried while no API server answers, and the pause after the first time; each is four times as long
/// as the one before. It takes a restart of the API server; what is longer away has other worries.
const ATTEMPTS: u32 = 5;
/// See [`ATTEMPTS`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// After how many refusals in a row it is certain that this enforcer may not write Events: an API server that starts forbids
/// everything for half a second, until it knows who may what.
const CERTAIN: u32 = 3;

/// What became of an Event.
enum Outcome {
    /// It is written, by this node or another.
    Written,
    /// This enforcer may not write Events, or not yet.
    Forbidden(String),
    /// The API server does not want it, and will not.
    Refused(String),
    /// No API server answers, or not now.
    Later(String),
}

/// Writes the Events that are asked for until nobody can ask any more.
pub async fn run(client: Client, mut asked: watch::Receiver<Arc<Events>>, node: &str) {
    let mut recorder = Recorder {
        client,
        node,
        settled: BTreeSet::new(),
        forbidden: 0,
    };
    loop {
        let events = Arc::clone(&asked.borrow_and_update());
        recorder.settled.retain(|name| events.contains_key(name));
        if recorder.next(&events).is_some() {
            sleep(JITTER.mul_f64(fastrand::f64())).await;
        }
        // What is asked for may change meanwhile; what is no more asked for is not written.
        loop {
            let events = Arc::clone(&asked.borrow());
            let Some((name, void)) = recorder.next(&events) else {
                break;
            };
            recorder.write(name, void).await;
            recorder.settled.insert(name.clone());
            sleep(INTERVAL).await;
        }
        if asked.changed().await.is_err() {
            return;
        }
    }
}

struct Recorder<'a> {
    client: Client,
    node: &'a str,
    /// Of the Events that are asked for those that are written or given up.
    settled: BTreeSet<EventName>,
    /// How many of the last attempts were forbidden, in a row.
    forbidden: u32,
}

impl Recorder<'_> {
    /// The next Event to write.
    fn next<'e>(&self, events: &'e Events) -> Option<(&'e EventName, &'e Void)> {
        events.iter().find(|(name, _)| !self.settled.contains(*name))
    }

    /// Writes an Event or gives it up. Says so if it is given up; that Events are forbidden, once.
    async fn write(&mut self, name: &EventName, void: &Void) {
        let policy = &void.policy.name;
        let mut pause = FIRST_PAUSE;
        for attempt in 1..=ATTEMPTS {
            let outcome = self.attempt(name, void).await;
            self.forbidden = match outcome {
                Outcome::Forbidden(_) => self.forbidden.saturating_add(1),
                Outcome::Written | Outcome::Refused(_) | Outcome::Later(_) => 0,
            };
            match outcome {
                Outcome::Written => {
                    return tracing::info!(%policy, %name, "an Event tells of the void pieces of a NetworkPolicy");
                }
                Outcome::Forbidden(reason) | Outcome::Later(reason)
                    if attempt < ATTEMPTS && self.forbidden < CERTAIN =>
                {
                    tracing::debug!(%policy, reason, attempt, "an Event on a NetworkPolicy is tried again");
                    sleep(pause.mul_f64(fastrand::f64().mul_add(0.5, 0.5))).await;
                    pause *= 4;
                }
                Outcome::Forbidden(reason) => {
                    if self.forbidden <= CERTAIN {
                        tracing::warn!(
                            %policy,
                            reason,
                            "cannot write an Event on a NetworkPolicy, which would tell its author of void pieces: grant \
                             this enforcer's ServiceAccount create on events, as deploy/kustomize/base/enforcer/rbac.yaml does"
                        );
                    }
                    return;
                }
                Outcome::Refused(reason) => {
                    return tracing::warn!(%policy, reason, "the API server refuses an Event on a NetworkPolicy");
                }
                Outcome::Later(reason) => {
                    tracing::warn!(%policy, reason, attempt, "an Event on a NetworkPolicy is given up");
                }
            }
        }
    }

    async fn attempt(&self, name: &EventName, void: &Void) -> Outcome {
        #[expect(clippy::disallowed_methods, reason = "an Event says when it was, by the wall clock")]
        let now = prost_types::Timestamp::from(SystemTime::now());
        let at = prost_types::Timestamp { nanos: 0, ..now }.to_string();
        let event = void.event(name, self.node, &at).to_string().into_bytes();
        let collection = format!("/api/v1/namespaces/{}/events", void.policy.name.namespace);
        let request = match Request::new(collection).create(&PostParams::default(), event) {
            Ok(request) => request,
            Err(error) => return Outcome::Refused(error.to_string()),
        };
        match self.client.request::<Value>(request).await {
            Ok(_) => Outcome::Written,
            Err(kube::Error::Api(status)) => match status.code {
                409 => Outcome::Written,
                401 | 403 => Outcome::Forbidden(status.message),
                // Too many requests is no word on the Event.
                429 | 500.. => Outcome::Later(status.message),
                _ => Outcome::Refused(status.message),
            },
            Err(error) => Outcome::Later(error.to_string()),
        }
    }
}
