//! HTTP request → HTTP response.
//!
//! Shell: who is calling, may they, what do they want, do it. The order of these questions is the real server's, so
//! that the same mistake is answered with the same error.

use super::super::Role;
use super::Shared;
use super::discovery::{self, Document};
use super::failure::Failure;
use super::patch;
use super::request::{self, Request, Target, Verb};
use super::watch::watch;
use super::write::DeleteOptions;
use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderMap, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;
use std::convert::Infallible;
use std::sync::Arc;

/// The largest request body, as the real server has it (`--max-request-body-bytes`).
const MAX_BODY_BYTES: usize = 3 << 20;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Answers a request. Whatever goes wrong is an answer too.
pub(super) async fn answer(
    shared: Arc<Shared>,
    request: http::Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    shared.unpaused().await;
    let response = match serve(shared, request).await {
        Ok(response) => response,
        Err(failure) => {
            let code = StatusCode::from_u16(failure.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            json(code, &failure.status())
        }
    };
    Ok(response)
}

fn json(code: StatusCode, value: &Value) -> Response<Body> {
    respond(code, "application/json", Full::from(value.to_string()).boxed_unsync())
}

fn respond(code: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = code;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}

async fn serve(shared: Arc<Shared>, request: http::Request<Incoming>) -> Result<Response<Body>, Failure> {
    let (parts, body) = request.into_parts();
    let document = discovery::find(parts.uri.path());
    let role = match (&document, parts.headers.get(header::AUTHORIZATION)) {
        (Some(Document::Health | Document::Public(_)), _) => None,
        (_, token) => Some(role(token).ok_or_else(Failure::unauthorized)?),
    };
    match document {
        Some(Document::Health) => return Ok(respond(StatusCode::OK, "text/plain", Full::from("ok").boxed_unsync())),
        Some(Document::Public(value) | Document::Private(value)) => return Ok(json(StatusCode::OK, &value)),
        None => {}
    }
    let request = request::parse(&parts.method, &parts.uri)?;
    let role = role.expect("only documents are served without one");
    let faults = shared.faults.borrow().clone();
    if !may(role, &request) || faults.forbidden.contains(&(request.verb, request.target.resource)) {
        shared.refusals.send_modify(|count| *count += 1);
        return Err(refusal(role, &request));
    }
    if request.verb == Verb::Watch {
        let lines = watch(shared, request)?.map(|line| line.map(Frame::data));
        return Ok(respond(
            StatusCode::OK,
            "application/json",
            StreamBody::new(lines).boxed_unsync(),
        ));
    }
    let body = Limited::new(body, MAX_BODY_BYTES).collect().await;
    let body = body
        .map_err(|error| Failure::bad_request(error.to_string()))?
        .to_bytes();
    let now = Timestamp::now();
    let code = if request.verb == Verb::Create {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok(json(code, &perform(&shared, &request, &parts.headers, &body, now)?))
}

fn role(header: Option<&header::HeaderValue>) -> Option<Role> {
    let token = header?.to_str().ok()?.strip_prefix("Bearer ")?;
    Role::ALL.into_iter().find(|role| role.token() == token)
}

/// The resource as RBAC names it, with its subresource.
fn rbac_name(target: &Target) -> String {
    match target.subresource {
        None => target.resource.plural().to_owned(),
        Some(part) => format!("{}/{}", target.resource.plural(), part.as_str()),
    }
}

fn may(role: Role, request: &Request) -> bool {
    let (group, name, verb) = (
        request.target.resource.group(),
        rbac_name(&request.target),
        request.verb.as_str(),
    );
    let lists = |words: &[&str], word: &str| words.contains(&"*") || words.contains(&word);
    let grants = |(groups, resources, verbs): &(&str, &[&str], &[&str])| {
        lists(&[groups], group) && lists(resources, &name) && lists(verbs, verb)
    };
    role.rules().iter().any(grants)
}

fn refusal(role: Role, request: &Request) -> Failure {
    let target = &request.target;
    let place = match &target.namespace {
        Some(namespace) => format!("in the namespace \"{namespace}\""),
        None => "at the cluster scope".to_owned(),
    };
    let (user, verb, name) = (role.user(), request.verb.as_str(), rbac_name(target));
    let group = target.resource.group();
    let why = format!("User \"{user}\" cannot {verb} resource \"{name}\" in API group \"{group}\" {place}");
    Failure::forbidden(target.resource, target.name.as_deref().unwrap_or(""), &why)
}

/// Reads or writes objects, and moves the head of the history.
fn perform(
    shared: &Shared,
    request: &Request,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<Value, Failure> {
    let target = &request.target;
    let mut api = shared.api.lock().expect("no holder panics");
    let answer = match request.verb {
        Verb::Get => api.get(target).map(|object| Value::clone(object)),
        Verb::List | Verb::Watch => api.list(request),
        Verb::Create => api
            .create(target, object(headers, body)?, now)
            .map(|object| Value::clone(&object)),
        Verb::Update => api
            .update(target, object(headers, body)?)
            .map(|object| Value::clone(&object)),
        Verb::Patch => {
            let change = parsed(body)?;
            api.patch(target, patch_kind(headers)?, change)
                .map(|object| Value::clone(&object))
        }
        Verb::Delete => api.delete(target, &delete_options(request, body)?, now),
        Verb::DeleteCollection => {
            let options = delete_options(request, body)?;
            let list = api.list(request)?;
            for item in list["items"].as_array().into_iter().flatten() {
                let text = |field: &str| item["metadata"][field].as_str().map(str::to_owned);
                let one = Target {
                    namespace: text("namespace"),
                    name: text("name"),
                    ..target.clone()
                };
                api.delete(&one, &options, now)?;
            }
            Ok(list)
        }
    };
    shared.head.send_replace(api.store().revision());
    answer
}

fn content_type(headers: &HeaderMap) -> &str {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    value.split(';').next().unwrap_or("").trim()
}

fn parsed(body: &[u8]) -> Result<Value, Failure> {
    serde_json::from_slice(body).map_err(|error| Failure::bad_request(format!("the body is not JSON: {error}")))
}

fn object(headers: &HeaderMap, body: &[u8]) -> Result<Value, Failure> {
    match content_type(headers) {
        "" | "application/json" => parsed(body),
        other => Err(Failure::unsupported_media_type(format!(
            "the body of the request was in an unknown format: {other}"
        ))),
    }
}

fn patch_kind(headers: &HeaderMap) -> Result<patch::Kind, Failure> {
    match content_type(headers) {
        "application/merge-patch+json" => Ok(patch::Kind::Merge),
        "application/strategic-merge-patch+json" => Ok(patch::Kind::Strategic),
        other => Err(Failure::unsupported_media_type(format!(
            "the embedded API server patches by JSON merge and strategic merge, not by {other}"
        ))),
    }
}

fn delete_options(request: &Request, body: &[u8]) -> Result<DeleteOptions, Failure> {
    let mut options: DeleteOptions = match body {
        [] => DeleteOptions::default(),
        body => serde_json::from_slice(body)
            .map_err(|error| Failure::bad_request(format!("the body is no DeleteOptions: {error}")))?,
    };
    options.grace_period_seconds = request.options.grace_period_seconds.or(options.grace_period_seconds);
    Ok(options)
}
