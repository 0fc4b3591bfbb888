//! Requests to an API server, and what to make of its refusals.

use super::page::PageSize;
use super::{Pace, Selection};
use crate::observe::{Kind, Observe};
use http::{HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use kube::api::{ListParams, WatchParams};
use kube::client::Body;
use kube::core::{Request, Status};
use serde_json::value::RawValue;
use std::error::Error;
use std::fmt;
use std::time::Duration;
use tokio::time::timeout;

/// The largest page that is read, in bytes: far above 500 large pods, far below what would take the machine down.
const PAGE_LIMIT_BYTES: usize = 1 << 30;

/// How much of an error's body is read, in bytes. A `Status` is a fraction of it, and of an HTML page the start tells enough.
const ERROR_LIMIT_BYTES: usize = 64 << 10;

/// How much of an error that is no `Status` is shown, in characters.
const ERROR_EXCERPT: usize = 120;

/// How long the API server lets a watch last that begins with the list; a large cluster's takes a minute to send.
const STREAMED_LIST: Duration = Duration::from_secs(300);

/// Why a feed does not go on as it was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Stop {
    /// The watch is over; it can be taken up where it ended.
    Ended,
    /// The version or the continue token is too old: list anew.
    Expired,
    /// The server does not stream lists: page.
    CannotStream,
    /// What is wrong, and what to do about it, for people.
    Failed(String),
}

impl Stop {
    pub fn failed(reason: impl fmt::Display) -> Self {
        Self::Failed(reason.to_string())
    }
}

impl Pace {
    /// The longest that the API server lets a watch last.
    pub fn longest_watch(&self) -> Duration {
        self.watch + self.watch / 2
    }
}

/// Lists and watches of one kind.
pub struct Requests {
    client: kube::Client,
    kind: Kind,
    fields: Option<String>,
    pace: Pace,
    /// How large the pages of the next list are.
    pub page_size: PageSize,
}

impl Requests {
    pub fn new(client: kube::Client, kind: Kind, selection: Selection, pace: &Pace) -> Self {
        Self {
            client,
            kind,
            fields: match selection {
                Selection::All => None,
                Selection::Fields(selector) => Some(selector),
            },
            pace: pace.clone(),
            page_size: PageSize::default(),
        }
    }

    /// The answer to a watch from `position`, or, without one, from the streamed list on.
    pub async fn watch(&self, position: Option<&str>, random: &mut fastrand::Rng) -> Result<Body, Stop> {
        let longest = match position {
            Some(_) => self.pace.watch + (self.pace.watch / 2).mul_f64(random.f64()),
            None => STREAMED_LIST,
        };
        let parameters = WatchParams {
            field_selector: self.fields.clone(),
            timeout: Some(u32::try_from(longest.as_secs()).unwrap_or(u32::MAX).max(1)),
            send_initial_events: position.is_none(),
            ..WatchParams::default()
        };
        // Without a version the streamed list is as fresh as the store, not as old as some cache.
        let mut request = self
            .request()
            .watch(&parameters, position.unwrap_or_default())
            .map_err(Stop::failed)?;
        // Kubernetes 1.37 compresses each event of a watch by itself, which decoders take for the end.
        request
            .headers_mut()
            .insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        self.send("watch", request).await.map_err(|stop| match stop {
            // The answers of servers that do not know, or must not use, `sendInitialEvents`.
            Refusal::Status(StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY, _) if position.is_none() => {
                Stop::CannotStream
            }
            Refusal::Status(_, stop) | Refusal::Other(stop) => stop,
        })
    }

    /// The text of one page of the list.
    pub async fn page(&self, limit: u32, token: Option<&str>) -> Result<String, Stop> {
        let parameters = ListParams {
            field_selector: self.fields.clone(),
            limit: Some(limit),
            continue_token: token.map(str::to_owned),
            ..ListParams::default()
        };
        let request = self.request().list(&parameters).map_err(Stop::failed)?;
        let body = self.send("list", request).await.map_err(|refusal| match refusal {
            Refusal::Status(_, stop) | Refusal::Other(stop) => stop,
        })?;
        let bytes = timeout(self.pace.answer, Limited::new(body, PAGE_LIMIT_BYTES).collect())
            .await
            .map_err(|_elapsed| self.silent("list"))?
            .map_err(|error| unreachable_because(&*error))?
            .to_bytes();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// What answered is no API server, or not one that we understand.
    pub fn nonsense(&self, verb: &str, what: &dyn fmt::Display) -> Stop {
        let plural = self.kind.plural;
        Stop::failed(format_args!(
            "the server's answer to {verb} {plural} makes no sense: {what}"
        ))
    }

    fn request(&self) -> Request {
        Request::new(self.kind.path())
    }

    fn silent(&self, verb: &str) -> Stop {
        let (plural, answer) = (self.kind.plural, self.pace.answer);
        Stop::failed(format_args!(
            "the API server did not answer {verb} {plural} within {answer:?}"
        ))
    }

    async fn send(&self, verb: &str, request: http::Request<Vec<u8>>) -> Result<Body, Refusal> {
        let response = timeout(self.pace.answer, self.client.send(request.map(Body::from)))
            .await
            .map_err(|_elapsed| Refusal::Other(self.silent(verb)))?
            .map_err(|error| Refusal::Other(unreachable_because(&error)))?;
        let code = response.status();
        if code.is_success() {
            return Ok(response.into_body());
        }
        let body = Limited::new(response.into_body(), ERROR_LIMIT_BYTES).collect();
        let bytes = match timeout(self.pace.answer, body).await {
            Ok(Ok(body)) => body.to_bytes(),
            // The code alone says enough.
            Ok(Err(_)) | Err(_) => bytes::Bytes::new(),
        };
        let status = serde_json::from_slice(&bytes).unwrap_or_else(|_| excerpt(&bytes));
        Err(Refusal::Status(code, explain(verb, self.kind, code.as_u16(), &status)))
    }
}

enum Refusal {
    Status(StatusCode, Stop),
    Other(Stop),
}

/// A `Status` for an error body that is none, such as a proxy's page.
fn excerpt(body: &[u8]) -> Status {
    let text = String::from_utf8_lossy(body);
    let words: Vec<&str> = text.split_whitespace().collect();
    let text: String = words.join(" ").chars().take(ERROR_EXCERPT).collect();
    Status::failure(&text, "")
}

/// What follows from a refusal, and what a person can do about it.
pub fn explain(verb: &str, kind: Kind, code: u16, status: &Status) -> Stop {
    let Kind { group, plural, .. } = kind;
    let verbs = if verb == "get" { "get" } else { "list and watch" };
    let advice = match code {
        410 => return Stop::Expired,
        401 => "renew the token or client certificate of the kubeconfig".to_owned(),
        403 => match group {
            "" => format!("grant {verbs} on {plural}"),
            _ => format!("grant {verbs} on {plural}.{group}"),
        },
        404 => "is this the address of a Kubernetes API server?".to_owned(),
        429 | 500.. => "it is overloaded, starting or broken".to_owned(),
        _ => "it does not understand the request".to_owned(),
    };
    let message = match status.message.as_str() {
        "" => String::new(),
        message => format!(" (it says: {message})"),
    };
    Stop::failed(format_args!(
        "the API server refused {verb} {plural} ({code}): {advice}{message}"
    ))
}

/// The connection did not come about, or broke. The innermost cause says why; what wraps it repeats it.
pub fn unreachable_because(error: &(dyn Error + 'static)) -> Stop {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    Stop::failed(format_args!("the API server is unreachable: {cause}"))
}

/// An object, or nothing if it cannot be read: then it alone is left out (W10).
pub fn decode<T: Observe>(object: &RawValue) -> Option<T> {
    match serde_json::from_str(object.get()) {
        Ok(object) => Some(object),
        Err(error) => {
            tracing::warn!(kind = T::KIND.kind, %error, "an object cannot be read and is left out");
            None
        }
    }
}
