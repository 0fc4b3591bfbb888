//! The API's errors: `Status` objects with Kubernetes' codes, reasons and words.
//!
//! Pure. Clients act on code and reason, people read the message; all three are compared with the real server's.

use super::resource::Resource;
use serde_json::{Value, json};

/// Why a request is not served.
#[derive(Clone, PartialEq, Debug)]
pub struct Failure {
    /// The HTTP status.
    pub code: u16,
    reason: &'static str,
    message: String,
    details: Value,
}

/// One fault of an object.
#[derive(Clone, PartialEq, Debug)]
pub struct Cause {
    /// `FieldValueRequired`, `FieldValueInvalid`, …
    pub reason: &'static str,
    /// Where.
    pub field: String,
    /// What.
    pub message: String,
}

impl Failure {
    fn new(code: u16, reason: &'static str, message: String) -> Failure {
        Failure {
            code,
            reason,
            message,
            details: Value::Null,
        }
    }

    fn about(mut self, resource: Resource, name: &str) -> Failure {
        self.details = json!({ "kind": resource.plural() });
        if !name.is_empty() {
            self.details["name"] = json!(name);
        }
        if !resource.group().is_empty() {
            self.details["group"] = json!(resource.group());
        }
        self
    }

    /// The request makes no sense.
    pub fn bad_request(message: impl Into<String>) -> Failure {
        Failure::new(400, "BadRequest", message.into())
    }

    /// No token, or one that nobody has.
    pub fn unauthorized() -> Failure {
        Failure::new(401, "Unauthorized", "Unauthorized".to_owned())
    }

    /// The caller may not do this; `why` ends the sentence.
    pub fn forbidden(resource: Resource, name: &str, why: &str) -> Failure {
        let what = resource.qualified();
        let message = if name.is_empty() {
            format!("{what} is forbidden: {why}")
        } else {
            format!("{what} \"{name}\" is forbidden: {why}")
        };
        Failure::new(403, "Forbidden", message).about(resource, name)
    }

    /// No such object.
    pub fn not_found(resource: Resource, name: &str) -> Failure {
        let message = format!("{} \"{name}\" not found", resource.qualified());
        Failure::new(404, "NotFound", message).about(resource, name)
    }

    /// No such path.
    pub fn no_such_path() -> Failure {
        Failure::new(
            404,
            "NotFound",
            "the server could not find the requested resource".to_owned(),
        )
    }

    /// The path does not do this.
    pub fn method_not_allowed() -> Failure {
        let message = "the server does not allow this method on the requested resource";
        Failure::new(405, "MethodNotAllowed", message.to_owned())
    }

    /// The name is taken.
    pub fn already_exists(resource: Resource, name: &str) -> Failure {
        let message = format!("{} \"{name}\" already exists", resource.qualified());
        Failure::new(409, "AlreadyExists", message).about(resource, name)
    }

    /// The writer saw an older state.
    pub fn conflict(resource: Resource, name: &str, why: &str) -> Failure {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{name}\": {why}",
            resource.qualified()
        );
        Failure::new(409, "Conflict", message).about(resource, name)
    }

    /// The object is not the one that the caller means to delete.
    pub fn precondition(resource: Resource, name: &str, why: &str) -> Failure {
        let mut failure = Failure::conflict(resource, name, why);
        // Here, and only here, the real server names the kind instead of the resource.
        failure.message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", kind(resource));
        failure.details["kind"] = json!(resource.kind());
        failure
    }

    /// What the caller asks about is forgotten.
    pub fn expired(message: impl Into<String>) -> Failure {
        Failure::new(410, "Expired", message.into())
    }

    /// A body or patch of a kind that is not served.
    pub fn unsupported_media_type(message: impl Into<String>) -> Failure {
        Failure::new(415, "UnsupportedMediaType", message.into())
    }

    /// The object is faulty.
    pub fn invalid(resource: Resource, name: &str, causes: &[Cause]) -> Failure {
        let faults: Vec<String> = causes
            .iter()
            .map(|cause| format!("{}: {}", cause.field, cause.message))
            .collect();
        let text = if let [fault] = &faults[..] {
            fault.clone()
        } else {
            format!("[{}]", faults.join(", "))
        };
        let kind = kind(resource);
        let mut failure = Failure::new(422, "Invalid", format!("{kind} \"{name}\" is invalid: {text}"));
        failure = failure.about(resource, name);
        failure.details["kind"] = json!(resource.kind());
        failure.details["causes"] = causes
            .iter()
            .map(|cause| json!({"reason": cause.reason, "message": cause.message, "field": cause.field}))
            .collect();
        failure
    }

    /// The query parameters contradict the server's features or each other.
    pub fn invalid_options(field: &str, why: &str) -> Failure {
        let message = format!("ListOptions.meta.k8s.io \"\" is invalid: {field}: Forbidden: {why}");
        let mut failure = Failure::new(422, "Invalid", message);
        failure.details = json!({
            "group": "meta.k8s.io", "kind": "ListOptions",
            "causes": [{"reason": "FieldValueForbidden", "message": format!("Forbidden: {why}"), "field": field}],
        });
        failure
    }

    /// The caller has seen a later state than this server.
    pub fn too_large_resource_version(asked: u64, current: u64) -> Failure {
        let message = format!("Too large resource version: {asked}, current: {current}");
        let mut failure = Failure::new(504, "Timeout", message);
        failure.details = json!({
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        });
        failure
    }

    /// A token with which a cut-off list can go on, though not from the same state.
    pub fn with_continue(mut self, token: &str) -> Failure {
        self.details = json!({ "continue": token });
        self
    }

    /// The `Status` object.
    pub fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        });
        match (&self.details, self.details.get("continue")) {
            (_, Some(token)) => status["metadata"]["continue"] = token.clone(),
            (Value::Null, None) => {}
            (details, None) => status["details"] = details.clone(),
        }
        status
    }
}

/// The kind with its group, as messages say it.
fn kind(resource: Resource) -> String {
    match resource.group() {
        "" => resource.kind().to_owned(),
        group => format!("{}.{group}", resource.kind()),
    }
}
