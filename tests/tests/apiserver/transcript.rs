//! What was asked and answered, as text that is the same for equal behaviour.

use bytes::Bytes;
use futures::{Stream, StreamExt};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::pin::Pin;
use std::time::Duration;

/// No answer and no event takes longer, however busy the machine.
const DEADLINE: Duration = Duration::from_secs(30);

/// Requests and answers so far.
pub struct Transcript {
    client: Client,
    text: String,
    /// UIDs and resourceVersions, and what they are called.
    names: BTreeMap<String, String>,
}

/// A watch that is open.
pub struct Watch {
    data: Pin<Box<dyn Stream<Item = Bytes> + Send>>,
    buffer: Vec<u8>,
}

impl Watch {
    /// The next event; none if the stream has ended.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let more = tokio::time::timeout(DEADLINE, self.data.next())
                .await
                .expect("an event or the end")?;
            self.buffer.extend_from_slice(&more);
        }
    }
}

impl Transcript {
    pub fn new(client: Client) -> Transcript {
        Transcript {
            client,
            text: String::new(),
            names: BTreeMap::new(),
        }
    }

    pub fn into_text(self) -> String {
        self.text
    }

    /// The same transcript from now on with another client.
    pub fn use_client(&mut self, client: Client) {
        self.client = client;
    }

    pub fn section(&mut self, title: &str) {
        writeln!(self.text, "\n== {title}").unwrap();
    }

    async fn send(&self, method: &str, path: &str, content_type: &str, body: &Value) -> http::Response<Body> {
        let body = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", content_type)
            // A compressed watch keeps its events back until a block is full.
            .header("accept-encoding", "identity")
            .body(Body::from(body))
            .unwrap();
        tokio::time::timeout(DEADLINE, self.client.send(request))
            .await
            .expect("an answer")
            .unwrap()
    }

    /// Reads an object or a list.
    pub async fn get(&mut self, path: &str) -> Value {
        self.ask("GET", path, "", Value::Null).await
    }

    /// Creates an object.
    pub async fn post(&mut self, path: &str, object: Value) -> Value {
        self.ask("POST", path, "application/json", object).await
    }

    /// Replaces an object.
    pub async fn put(&mut self, path: &str, object: Value) -> Value {
        self.ask("PUT", path, "application/json", object).await
    }

    /// Changes an object by a JSON merge patch.
    pub async fn patch(&mut self, path: &str, change: Value) -> Value {
        self.ask("PATCH", path, "application/merge-patch+json", change).await
    }

    /// Changes an object by a strategic merge patch, as kubectl does.
    pub async fn strategic(&mut self, path: &str, change: Value) -> Value {
        self.ask("PATCH", path, "application/strategic-merge-patch+json", change)
            .await
    }

    /// Deletes an object; `Null` are no options.
    pub async fn delete(&mut self, path: &str, options: Value) -> Value {
        self.ask("DELETE", path, "application/json", options).await
    }

    /// Asks and writes down; returns the answer as it came.
    async fn ask(&mut self, method: &str, path: &str, content_type: &str, body: Value) -> Value {
        let response = self.send(method, path, content_type, &body).await;
        let code = response.status().as_u16();
        let answer = response.into_body().collect().await.unwrap().to_bytes();
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_else(|_| json!(String::from_utf8_lossy(&answer)));
        // A token or a version in the question is the server's own: it is shown without its value.
        let path = path.split_once('?').map_or(path.to_owned(), |(path, query)| {
            let query = query.split('&').map(|part| match part.split_once('=') {
                Some((name @ ("continue" | "resourceVersion"), value)) if value.len() > 1 => format!("{name}=…"),
                _ => part.to_owned(),
            });
            format!("{path}?{}", query.collect::<Vec<_>>().join("&"))
        });
        let shown = self.show(&answer);
        let question = if body.is_null() {
            String::new()
        } else {
            format!(" {}", self.show(&body))
        };
        writeln!(self.text, "{method} {path}{question}\n  {code} {shown}").unwrap();
        answer
    }

    /// Opens a watch and writes down that it is open.
    pub async fn watch(&mut self, title: &str, path: &str) -> Watch {
        let response = self.send("GET", path, "", &Value::Null).await;
        writeln!(self.text, "{title}\n  {}", response.status().as_u16()).unwrap();
        let data = response
            .into_body()
            .into_data_stream()
            .filter_map(|part| async { part.ok() });
        Watch {
            data: Box::pin(data),
            buffer: Vec::new(),
        }
    }

    /// Writes down the next events, bookmarks left out.
    pub async fn events(&mut self, watch: &mut Watch, count: usize) {
        let mut seen = 0;
        while seen < count {
            let Some(event) = watch.next().await else {
                panic!("the watch ended:\n{}", self.text)
            };
            if event["type"] != "BOOKMARK" {
                self.event(&event);
                seen += 1;
            }
        }
    }

    /// Writes down the events up to the end of the initial ones, which come in no promised order.
    pub async fn initial_events(&mut self, watch: &mut Watch) {
        let mut events = Vec::new();
        loop {
            let Some(event) = watch.next().await else {
                panic!("the watch ended:\n{}", self.text)
            };
            if event["type"] == "BOOKMARK" {
                assert_eq!(
                    event["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true",
                    "{event}"
                );
                break;
            }
            events.push(event);
        }
        let key = |event: &Value| {
            event["object"]["metadata"]["namespace"].to_string() + &event["object"]["metadata"]["name"].to_string()
        };
        events.sort_by_key(key);
        for event in events {
            self.event(&event);
        }
        writeln!(self.text, "  - end of the initial events").unwrap();
    }

    /// Writes down the events until the stream ends.
    pub async fn rest(&mut self, mut watch: Watch) {
        while let Some(event) = watch.next().await {
            if event["type"] != "BOOKMARK" {
                self.event(&event);
            }
        }
        writeln!(self.text, "  - end of the stream").unwrap();
    }

    fn event(&mut self, event: &Value) {
        let shown = self.show(&event["object"]);
        writeln!(self.text, "  - {} {shown}", event["type"].as_str().unwrap()).unwrap();
    }

    /// An answer with what differs by nature made equal.
    fn show(&mut self, value: &Value) -> String {
        match value["kind"].as_str() {
            Some("Status") => {
                let mut shown = status(value);
                for (id, name) in self.names.iter().filter(|(id, _)| id.starts_with('u')) {
                    shown = shown.replace(&id[1..], name);
                }
                shown
            }
            Some(kind) if kind.ends_with("List") && value["items"].is_array() => {
                let items: Vec<String> = value["items"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|item| self.object(item).to_string())
                    .collect();
                let more = if value["metadata"]["continue"].is_string() {
                    " and more"
                } else {
                    ""
                };
                let left = &value["metadata"]["remainingItemCount"];
                let left = if left.is_null() {
                    String::new()
                } else {
                    format!(" ({left})")
                };
                format!("{kind}[{}]{more}{left}", items.join(", "))
            }
            _ => self.object(value).to_string(),
        }
    }

    fn object(&mut self, value: &Value) -> Value {
        let mut value = value.clone();
        if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
            for field in ["creationTimestamp", "deletionTimestamp"] {
                if metadata.get(field).is_some_and(|time| !time.is_null()) {
                    metadata.insert(field.to_owned(), json!("now"));
                }
            }
            for (field, letter) in [("uid", "u"), ("resourceVersion", "r")] {
                if let Some(id) = metadata.get(field).and_then(Value::as_str) {
                    let name = self.name(letter, id);
                    metadata.insert(field.to_owned(), json!(name));
                }
            }
        }
        if value["spec"]["containers"].is_array() {
            keep(
                &mut value["spec"],
                &["nodeName", "hostNetwork", "containers", "restartPolicy"],
            );
            for container in value["spec"]["containers"].as_array_mut().unwrap() {
                keep(container, &["name", "image", "ports"]);
            }
            if let Some(status) = value.get_mut("status") {
                keep(status, &["phase", "podIP", "podIPs"]);
            }
        }
        if value["status"]["nodeInfo"].is_object() || value["kind"] == "Node" {
            keep(&mut value["spec"], &["podCIDR", "podCIDRs"]);
            if let Some(status) = value.get_mut("status") {
                keep(status, &["addresses"]);
            }
            if value["status"] == json!({}) {
                keep(&mut value, &["apiVersion", "kind", "metadata", "spec"]);
            }
        }
        sorted(value)
    }

    fn name(&mut self, letter: &str, id: &str) -> String {
        let next = self.names.values().filter(|name| name.starts_with(letter)).count() + 1;
        self.names
            .entry(format!("{letter}{id}"))
            .or_insert_with(|| format!("{letter}{next}"))
            .clone()
    }
}

/// A Status without the words that only people read, where those are allowed to differ.
fn status(value: &Value) -> String {
    let mut shown = Map::new();
    for field in ["status", "reason", "code"] {
        if !value[field].is_null() {
            shown.insert(field.to_owned(), value[field].clone());
        }
    }
    if matches!(value["code"].as_u64(), Some(401 | 403 | 404 | 409)) {
        shown.insert("message".to_owned(), value["message"].clone());
    }
    for field in ["name", "group", "kind"] {
        if !value["details"][field].is_null() {
            shown.insert(field.to_owned(), value["details"][field].clone());
        }
    }
    if let Some(causes) = value["details"]["causes"].as_array().filter(|_| value["code"] == 422) {
        let causes = causes.iter().map(|cause| json!([cause["field"], cause["reason"]]));
        shown.insert("causes".to_owned(), causes.collect());
    }
    sorted(Value::Object(shown)).to_string()
}

fn keep(object: &mut Value, fields: &[&str]) {
    if let Some(object) = object.as_object_mut() {
        object.retain(|field, _| fields.contains(&field.as_str()));
    }
}

/// With keys in order, whatever order serde_json keeps.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<String, Value> = fields.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            Value::Object(fields.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        plain => plain,
    }
}
