//! Who may call what: a tower layer before every service.
//!
//! The least each role needs. Enforcers subscribe and report; they have no use for queries, and a node that is broken
//! into should not read the names and labels of every pod of the ClusterSet beyond what its stream tells it. Readers
//! query. Health is for whoever has a certificate at all. Hubs may not call each other yet. What a service believes of
//! the cluster and node that a message names is that service's business.

use http::{Request, Response};
use proto::peer::{Peer, Role, SCHEME};
use std::future::Ready;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::SystemTime;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

/// Who is at the other end of a connection; among the extensions of each of its requests.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Caller {
    /// Where it is connected from.
    pub address: SocketAddr,
    /// What it may do.
    pub rights: Rights,
}

/// What somebody may do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rights {
    /// Everything, in every role: the hub serves without TLS.
    All,
    /// What its certificate says.
    Certified(Peer),
    /// Nothing, although its certificate is of the right CA: why.
    Nothing(String),
}

/// Who a method is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Audience {
    Enforcers,
    Readers,
    Everyone,
}

impl Audience {
    /// By the service in a request's path; `None`: there is no such service.
    fn of(path: &str) -> Option<Self> {
        let (service, _method) = path.strip_prefix('/')?.split_once('/')?;
        match service {
            "bailey.v1.Sync" => Some(Self::Enforcers),
            "bailey.v1.Inventory" => Some(Self::Readers),
            "grpc.reflection.v1.ServerReflection" | "grpc.reflection.v1alpha.ServerReflection" => Some(Self::Readers),
            "grpc.health.v1.Health" => Some(Self::Everyone),
            _ => None,
        }
    }

    fn admits(self, role: &Role) -> bool {
        match (self, role) {
            (Self::Everyone, _) => true,
            (Self::Enforcers, Role::Cluster(_) | Role::Node { .. }) => true,
            (Self::Readers, Role::Reader) => true,
            (Self::Enforcers, Role::Reader | Role::Hub) => false,
            (Self::Readers, Role::Cluster(_) | Role::Node { .. } | Role::Hub) => false,
        }
    }

    /// The URIs that admit, for people.
    fn needed(self, trust_domain: &str) -> String {
        let path = match self {
            Self::Enforcers => "cluster/<id> or …/cluster/<id>/node/<name>",
            Self::Readers => "reader",
            Self::Everyone => "…",
        };
        format!("{SCHEME}{trust_domain}/{path}")
    }
}

/// Whether a caller may call the method of this path.
fn decide(caller: Option<&Caller>, path: &str, now: SystemTime) -> Result<(), Status> {
    let audience = Audience::of(path).ok_or_else(|| {
        Status::unimplemented(format!(
            "{path}: there is no such service; grpcurl … list shows what there is"
        ))
    })?;
    match caller.map(|caller| &caller.rights) {
        None => Err(Status::internal(
            "nobody knows who is at the other end of this connection",
        )),
        Some(Rights::All) => Ok(()),
        Some(Rights::Nothing(reason)) => Err(Status::permission_denied(reason)),
        // The connection may be older than that.
        Some(Rights::Certified(peer)) if peer.not_after <= now => Err(Status::unauthenticated(format!(
            "the certificate of {} has expired: connect again with a new one",
            peer.name
        ))),
        Some(Rights::Certified(peer)) if audience.admits(&peer.name.role) => Ok(()),
        Some(Rights::Certified(peer)) => Err(Status::permission_denied(format!(
            "{} may not call {path}: that needs a certificate with the URI {}",
            peer.name,
            audience.needed(&peer.name.trust_domain)
        ))),
    }
}

/// The layer.
#[derive(Clone, Copy, Debug)]
pub struct Authorize;

/// A service behind [`Authorize`].
#[derive(Clone, Debug)]
pub struct Authorized<S>(S);

impl<S> Layer<S> for Authorize {
    type Service = Authorized<S>;

    fn layer(&self, service: S) -> Authorized<S> {
        Authorized(service)
    }
}

impl<S> Service<Request<Body>> for Authorized<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = futures::future::Either<S::Future, Ready<Result<Response<Body>, S::Error>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        #[expect(clippy::disallowed_methods, reason = "certificates end by the wall clock")]
        let now = SystemTime::now();
        match decide(request.extensions().get(), request.uri().path(), now) {
            Ok(()) => futures::future::Either::Left(self.0.call(request)),
            Err(status) => futures::future::Either::Right(std::future::ready(Ok(status.into_http()))),
        }
    }
}

#[cfg(test)]
mod tests;
