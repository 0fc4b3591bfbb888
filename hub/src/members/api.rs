//! Requests to a cluster's API server, and what its refusals mean to whoever runs the command.
//!
//! Shell. Few requests, one after the other, each bounded in time.

use super::Error;
use super::object::{Object, Place, collection, resource};
use kube::core::Status;
use proto::observe::Kind;
use proto::syntax::percent_encoded;
use serde_json::Value;
use std::time::Duration;

/// As whom objects are applied: what a later run leaves out of an object is taken away again, what others wrote stays.
const FIELD_MANAGER: &str = "hub-members";

/// How long an API server may take to answer; programs that get the user's token may ask the user first.
const ANSWER_LIMIT: Duration = Duration::from_secs(120);

/// Objects of one page of a list.
const PAGE: u32 = 500;

/// A cluster to speak to.
#[derive(Clone)]
pub struct Cluster {
    client: kube::Client,
    /// What it is called in messages.
    title: String,
}

/// What was asked for, for messages.
struct Request<'a> {
    verb: &'static str,
    place: &'a Place,
    http: http::request::Builder,
    body: Vec<u8>,
}

impl<'a> Request<'a> {
    fn new(verb: &'static str, place: &'a Place, method: http::Method, uri: String) -> Self {
        Self {
            verb,
            place,
            http: http::Request::builder().method(method).uri(uri),
            body: Vec::new(),
        }
    }

    fn with(mut self, content_type: &str, body: &Value) -> Self {
        self.http = self.http.header(http::header::CONTENT_TYPE, content_type);
        self.body = body.to_string().into_bytes();
        self
    }
}

impl Cluster {
    /// Speaks through this client.
    pub fn new(client: kube::Client, title: String) -> Self {
        Self { client, title }
    }

    /// What it is called in messages.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The client, for what is no plain request.
    pub fn client(&self) -> &kube::Client {
        &self.client
    }

    /// An object; `None`: it is not there.
    pub async fn get(&self, place: &Place) -> Result<Option<Value>, Error> {
        let request = Request::new("get", place, http::Method::GET, place.path());
        self.send(request).await
    }

    /// All objects of a kind that a label selector selects, of a namespace or of all.
    pub async fn list(&self, kind: Kind, namespace: Option<&str>, selector: &str) -> Result<Vec<Value>, Error> {
        let place = Place {
            kind,
            namespace: namespace.map(str::to_owned),
            name: "*".to_owned(),
        };
        let mut objects = Vec::new();
        let mut token = String::new();
        loop {
            let path = collection(kind, namespace);
            let query = [("labelSelector", selector), ("continue", &token)]
                .iter()
                .filter(|(_, value)| !value.is_empty())
                .map(|(name, value)| format!("&{name}={}", percent_encoded(value)))
                .collect::<String>();
            let uri = format!("{path}?limit={PAGE}{query}");
            let page = self.send(Request::new("list", &place, http::Method::GET, uri)).await?;
            let Some(mut page) = page else {
                return Ok(objects);
            };
            if let Value::Array(items) = page["items"].take() {
                objects.extend(items);
            }
            match page["metadata"]["continue"].as_str() {
                Some(next) if !next.is_empty() => next.clone_into(&mut token),
                _ => return Ok(objects),
            }
        }
    }

    /// Makes an object what the manifest says, whether it is there or not.
    pub async fn apply(&self, object: &Object) -> Result<Value, Error> {
        let uri = format!("{}?fieldManager={FIELD_MANAGER}&force=true", object.place.path());
        let request = Request::new("patch", &object.place, http::Method::PATCH, uri);
        let applied = self
            .send(request.with("application/apply-patch+yaml", &object.json))
            .await?;
        Ok(applied.unwrap_or_default())
    }

    /// Makes an object; `false`: one is there.
    pub async fn create(&self, object: &Object) -> Result<bool, Error> {
        let Place { kind, namespace, .. } = &object.place;
        let uri = format!(
            "{}?fieldManager={FIELD_MANAGER}",
            collection(*kind, namespace.as_deref())
        );
        let request = Request::new("create", &object.place, http::Method::POST, uri);
        match self.send(request.with("application/json", &object.json)).await {
            Ok(_) => Ok(true),
            Err(Error::Api { code: Some(409), .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Changes some fields of an object that is there.
    pub async fn merge(&self, place: &Place, fields: &Value) -> Result<(), Error> {
        let uri = format!("{}?fieldManager={FIELD_MANAGER}", place.path());
        let request = Request::new("patch", place, http::Method::PATCH, uri);
        let request = request.with("application/merge-patch+json", fields);
        match self.send(request).await? {
            Some(_) => Ok(()),
            None => Err(self.gone(place)),
        }
    }

    /// Asks for a token of a ServiceAccount.
    pub async fn token(&self, account: &Place, spec: &Value) -> Result<Value, Error> {
        let uri = format!("{}/token", account.path());
        let request = Request::new("create token of", account, http::Method::POST, uri);
        match self.send(request.with("application/json", spec)).await? {
            Some(answer) => Ok(answer),
            None => Err(self.gone(account)),
        }
    }

    /// Removes an object; `false`: it was not there.
    pub async fn delete(&self, place: &Place) -> Result<bool, Error> {
        let request = Request::new("delete", place, http::Method::DELETE, place.path());
        Ok(self.send(request).await?.is_some())
    }

    fn gone(&self, place: &Place) -> Error {
        Error::Api {
            cluster: self.title.clone(),
            what: format!("patch {place}"),
            code: Some(404),
            reason: "it is gone: somebody else removes it meanwhile".to_owned(),
        }
    }

    /// `None`: there is no such object.
    async fn send(&self, request: Request<'_>) -> Result<Option<Value>, Error> {
        let Request {
            verb,
            place,
            http,
            body,
        } = request;
        let failed = |code, reason| Error::Api {
            cluster: self.title.clone(),
            what: format!("{verb} {place}"),
            code,
            reason,
        };
        let http = http.body(body).map_err(|error| failed(None, error.to_string()))?;
        let answer = tokio::time::timeout(ANSWER_LIMIT, self.client.request::<Value>(http)).await;
        let answer = answer.map_err(|_elapsed| failed(None, format!("no answer within {ANSWER_LIMIT:?}")))?;
        match answer {
            Ok(value) => Ok(Some(value)),
            Err(kube::Error::Api(status)) if status.code == 404 && names_the_object(&status, place) => Ok(None),
            Err(kube::Error::Api(status)) => Err(failed(Some(status.code), refused(verb, place.kind, &status))),
            Err(error) => Err(failed(
                None,
                format!(
                    "the API server cannot be asked: {}; kubectl with the same --context says more",
                    innermost(&error)
                ),
            )),
        }
    }
}

/// Whether a 404 is about the object, and not about its namespace or the whole resource.
fn names_the_object(status: &Status, place: &Place) -> bool {
    let details = status.details.as_ref();
    details.is_none_or(|details| details.name.is_empty() || details.name == place.name)
}

fn refused(verb: &str, kind: Kind, status: &Status) -> String {
    let message = &status.message;
    match status.code {
        401 => format!("the API server does not know this user: log in to it again ({message})"),
        403 => format!(
            "this user may not: it needs {verb} on {}, which cluster-admin has ({message})",
            resource(kind)
        ),
        _ => message.clone(),
    }
}

/// What went wrong at the bottom: what wraps it repeats it.
pub fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
