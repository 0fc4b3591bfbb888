//! `bailey.v1.Sync`: the stream that every enforcer follows, and what it reports back.
//!
//! A tower service rather than a generated one: the frames of the ring are gRPC messages already, encoded once, and go
//! to the connection as they are. Who may call is decided before ([`crate::authorize`]); that a caller speaks only for
//! its own cluster and node is decided here.

use crate::authorize::{Caller, Rights};
use crate::eventloop::Members;
use crate::handle::{Handle, Unanswered};
use crate::metrics::Metrics;
use crate::registry::{Full, Origin, Registry, Report};
use crate::ring::SharedRing;
use crate::shutdown::Shutdown;
use bytes::Bytes;
use http_body_util::StreamBody;
use proto::model::{ClusterName, Revision};
use proto::peer::Role;
use proto::wire::{Frame, ReportRequest, ReportResponse, SubscribeRequest};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};
use subscriber::{Start, Subscriber};
use tokio::sync::{mpsc, watch};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::body::Body;
use tonic::codec::{Codec, Streaming};
use tonic_prost::ProstCodec;

mod subscriber;

/// The version of the stream's messages that this release speaks; there is none before it.
const WIRE_VERSION: u32 = 1;

/// The largest request to subscribe: two names and a revision.
const SUBSCRIBE_LIMIT_BYTES: usize = 4 * 1024;

/// The largest report. The last one of each enforcer is kept, so that this times
/// [`crate::registry::ENFORCERS_PER_CLUSTER`] bounds what one cluster can make the hub hold.
const REPORT_LIMIT_BYTES: usize = 64 * 1024;

/// How often an enforcer should report when it has nothing new to say. It adds jitter.
const NEXT_REPORT: Duration = Duration::from_secs(15);

/// Frames between a subscriber's task and its connection: one being sent, one ready.
const FRAMES_AHEAD: usize = 2;

/// The longest name of a Kubernetes node.
const LONGEST_NODE_NAME: usize = 253;

/// What the service works with. Cloning gives another handle on the same.
#[derive(Clone, Debug)]
pub struct SyncService {
    /// The inventory's owner.
    pub handle: Handle,
    /// The frames.
    pub ring: Arc<SharedRing>,
    /// Which clusters there are: the enforcers of no other are served.
    pub members: watch::Receiver<Members>,
    /// The enforcers.
    pub registry: Arc<Registry>,
    /// The counters.
    pub metrics: Metrics,
    /// Ends all streams.
    pub shutdown: Shutdown,
}

/// The enforcer that a call is made for.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Enforcer {
    cluster: ClusterName,
    node: Arc<str>,
}

impl tonic::server::NamedService for SyncService {
    const NAME: &'static str = "bailey.v1.Sync";
}

impl tower::Service<http::Request<Body>> for SyncService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            Ok(match request.uri().path() {
                "/bailey.v1.Sync/Subscribe" => this.subscribe(request).await.unwrap_or_else(|refused| {
                    this.metrics.refused_calls.inc();
                    refused.into_http()
                }),
                "/bailey.v1.Sync/Report" => this.serve_report(request).await,
                path => Status::unimplemented(format!("bailey.v1.Sync has no method {path}")).into_http(),
            })
        })
    }
}

impl SyncService {
    async fn subscribe(&self, request: http::Request<Body>) -> Result<http::Response<Body>, Status> {
        let (parts, body) = request.into_parts();
        let caller = caller(&parts.extensions)?;
        let message = only_message(body).await?;
        let enforcer = enforcer(&caller, &message.cluster, &message.node)?;
        if message.wire_version != WIRE_VERSION {
            return Err(Status::failed_precondition(format!(
                "the enforcer speaks wire version {}, this hub {WIRE_VERSION}: upgrade the older of the two",
                message.wire_version
            )));
        }
        self.must_be_member(&enforcer.cluster)?;
        let start = self.start(message.resume.as_ref().map(Revision::from)).await?;
        tracing::info!(
            cluster = %enforcer.cluster,
            node = %enforcer.node,
            from = %start.revision,
            resumed = start.is_resumed(),
            "an enforcer subscribes"
        );
        let origin = origin(&caller);
        let expires = origin.certificate_expires.map(|at| until(at, wall_clock()));
        let connected = Connected::new(&self.registry, enforcer, origin).map_err(full)?;
        let subscriber = Subscriber {
            ring: Arc::clone(&self.ring),
            ends: self.ring.ends(),
            metrics: self.metrics.clone(),
            shutdown: self.shutdown.clone(),
            members: self.members.clone(),
            cluster: connected.enforcer.cluster.clone(),
            expires,
        };
        let (frames, body) = mpsc::channel(FRAMES_AHEAD);
        // Ends with the connection, which drops the receiver, or with the process: nothing waits for it.
        tokio::spawn(async move {
            let reason = subscriber.run(start, frames).await;
            let Enforcer { cluster, node } = &connected.enforcer;
            tracing::info!(%cluster, %node, %reason, "a stream has ended");
        });
        Ok(stream_of(body))
    }

    /// Where the stream begins: after the last revision the subscriber has, or with a snapshot.
    async fn start(&self, resume: Option<Revision>) -> Result<Start, Status> {
        if let Some(revision) = resume
            && let Some(position) = self.ring.read(|ring| ring.since(revision))
        {
            self.metrics.resumed.inc();
            return Ok(Start::resume(revision, position));
        }
        let snapshot = self.handle.snapshot().await.map_err(unanswered)?.ok_or_else(|| {
            Status::unavailable("the hub has not read its folder of clusters yet, or that is empty: it knows nothing")
        })?;
        self.metrics.snapshots.inc();
        Ok(Start::snapshot(snapshot))
    }

    fn must_be_member(&self, cluster: &ClusterName) -> Result<(), Status> {
        let members = self.members.borrow();
        if members.is_empty() || members.contains(cluster) {
            return Ok(());
        }
        Err(Status::failed_precondition(format!(
            "{cluster} is no member: the hub's folder of clusters has no kubeconfig of that name"
        )))
    }

    async fn serve_report(&self, request: http::Request<Body>) -> http::Response<Body> {
        let this = self.clone();
        let report = tower::service_fn(move |request| {
            let answer = this.report(request);
            if answer.is_err() {
                this.metrics.refused_calls.inc();
            }
            std::future::ready(answer)
        });
        tonic::server::Grpc::new(ProstCodec::<ReportResponse, ReportRequest>::default())
            .max_decoding_message_size(REPORT_LIMIT_BYTES)
            .unary(report, request)
            .await
    }

    fn report(&self, request: tonic::Request<ReportRequest>) -> Result<tonic::Response<ReportResponse>, Status> {
        let caller = caller(request.extensions())?;
        let message = request.into_inner();
        let enforcer = enforcer(&caller, &message.cluster, &message.node)?;
        let report = Report {
            applied: message.applied.as_ref().map(Revision::from),
            message,
            at: now(),
            at_wall: wall_clock(),
        };
        self.registry
            .reported(&enforcer.cluster, &enforcer.node, report)
            .map_err(full)?;
        Ok(tonic::Response::new(ReportResponse {
            next_report_ms: u32::try_from(NEXT_REPORT.as_millis()).expect("it is a few seconds"),
        }))
    }
}

/// Keeps an enforcer connected in the registry for as long as its stream's task lives.
struct Connected {
    registry: Arc<Registry>,
    enforcer: Enforcer,
}

impl Connected {
    fn new(registry: &Arc<Registry>, enforcer: Enforcer, origin: Origin) -> Result<Self, Full> {
        registry.connected(&enforcer.cluster, &enforcer.node, origin, now())?;
        Ok(Self {
            registry: Arc::clone(registry),
            enforcer,
        })
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.registry
            .disconnected(&self.enforcer.cluster, &self.enforcer.node, now());
    }
}

fn caller(extensions: &http::Extensions) -> Result<Caller, Status> {
    let caller = extensions.get::<Caller>().cloned();
    caller.ok_or_else(|| Status::internal("this connection has no caller"))
}

fn origin(caller: &Caller) -> Origin {
    Origin {
        address: caller.address,
        certificate_expires: match &caller.rights {
            Rights::All | Rights::Nothing(_) => None,
            Rights::Certified(peer) => Some(peer.not_after),
        },
    }
}

/// The enforcer that a message names, if the caller may speak for it.
fn enforcer(caller: &Caller, cluster: &str, node: &str) -> Result<Enforcer, Status> {
    let cluster: ClusterName = cluster
        .parse()
        .map_err(|error: proto::model::InvalidClusterName| Status::invalid_argument(format!("cluster: {error}")))?;
    if node.is_empty() || node.len() > LONGEST_NODE_NAME || node.chars().any(char::is_control) {
        return Err(Status::invalid_argument(format!(
            "node: {node:?} is no name of a node: it has 1 to {LONGEST_NODE_NAME} characters"
        )));
    }
    let (is_allowed, role) = match &caller.rights {
        Rights::All => (true, String::new()),
        Rights::Nothing(reason) => return Err(Status::permission_denied(reason.clone())),
        Rights::Certified(peer) => (speaks_for(&peer.name.role, &cluster, node), peer.name.to_string()),
    };
    if !is_allowed {
        tracing::warn!(%cluster, node, certificate = role, address = %caller.address, "a caller claims another's name");
        return Err(Status::permission_denied(format!(
            "{role} may not speak for node {node} of cluster {cluster}"
        )));
    }
    Ok(Enforcer {
        cluster,
        node: node.into(),
    })
}

fn speaks_for(role: &Role, cluster: &ClusterName, node: &str) -> bool {
    match role {
        Role::Cluster(own) => own == cluster,
        Role::Node {
            cluster: own,
            node: own_node,
        } => own == cluster && **own_node == *node,
        Role::Hub | Role::Reader => false,
    }
}

/// The one message of a request whose answer is a stream.
async fn only_message(body: Body) -> Result<SubscribeRequest, Status> {
    let decoder = ProstCodec::<Frame, SubscribeRequest>::default().decoder();
    let mut messages = Streaming::new_request(decoder, body, None, Some(SUBSCRIBE_LIMIT_BYTES));
    let message = messages.message().await?;
    message.ok_or_else(|| Status::invalid_argument("Subscribe takes one SubscribeRequest, there was none"))
}

fn stream_of(frames: mpsc::Receiver<http_body::Frame<Bytes>>) -> http::Response<Body> {
    let frames = ReceiverStream::new(frames).map(Ok::<_, Infallible>);
    let mut response = http::Response::new(Body::new(StreamBody::new(frames)));
    response.headers_mut().insert(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static("application/grpc"),
    );
    response
}

fn unanswered(why: Unanswered) -> Status {
    Status::unavailable(why.to_string())
}

fn full(full: Full) -> Status {
    Status::resource_exhausted(full.to_string())
}

/// How long it is until then; nothing if that is past.
fn until(at: SystemTime, now: SystemTime) -> Duration {
    at.duration_since(now).unwrap_or_default()
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[expect(
    clippy::disallowed_methods,
    reason = "certificates end by the wall clock, and people read when a report came"
)]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests;
