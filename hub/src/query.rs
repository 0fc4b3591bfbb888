//! `bailey.v1.Inventory`: what people and tools ask the hub.
//!
//! Each answer is a pure function of one state of the inventory, its revision and the time ([`View`]); this file runs it
//! where that state is kept and gives its refusals gRPC's words. Who may ask is [`crate::authorize`]'s business.

use crate::handle::{Handle, Unanswered};
use crate::inventory::{Inventory, Member};
use crate::registry::Registry;
use crate::ring::SharedRing;
use proto::model::{ClusterName, Revision};
use proto::selector::Switches;
use proto::wire;
use proto::wire::cluster_status::State;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tonic::{Request, Response, Status};

mod addresses;
mod clusters;
mod enforcers;
mod namespaces;
mod page;
mod pods;
mod selectors;

/// The service.
#[derive(Clone, Debug)]
pub struct Queries {
    handle: Handle,
    registry: Arc<Registry>,
    ring: Arc<SharedRing>,
    switches: Switches,
}

impl Queries {
    /// Answers from these; selectors mean what the switches say.
    pub fn new(handle: Handle, registry: Arc<Registry>, ring: Arc<SharedRing>, switches: Switches) -> Self {
        Self {
            handle,
            registry,
            ring,
            switches,
        }
    }

    async fn answer<T: Send + 'static>(
        &self,
        answer: impl FnOnce(&View<'_>) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<Response<T>, Status> {
        let switches = self.switches;
        let read = move |inventory: &Inventory, revision: Revision| {
            #[expect(clippy::disallowed_methods, reason = "the one place where a query's time is taken")]
            let (now, wall) = (Instant::now(), SystemTime::now());
            answer(&View {
                inventory,
                revision,
                switches,
                now,
                wall,
            })
        };
        Ok(Response::new(self.handle.read(read).await??))
    }
}

/// A state of the inventory at a moment.
struct View<'a> {
    inventory: &'a Inventory,
    revision: Revision,
    /// What selectors mean.
    switches: Switches,
    now: Instant,
    /// The same moment as `now`, for people's eyes.
    wall: SystemTime,
}

/// Why a question has no answer; for whoever asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Refusal {
    /// A field of the request makes no sense.
    #[error("{field}: {problem}")]
    Invalid {
        /// Its path.
        field: String,
        /// What is wrong, and how it should look.
        problem: String,
    },
    /// A field of the request names what the hub does not know.
    #[error("{field}: {problem}")]
    NotFound {
        /// Its path.
        field: String,
        /// What is not known, and what is.
        problem: String,
    },
}

impl Refusal {
    fn invalid(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Invalid {
            field: field.into(),
            problem: problem.into(),
        }
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        match &refusal {
            Refusal::Invalid { .. } => Self::invalid_argument(refusal.to_string()),
            Refusal::NotFound { .. } => Self::not_found(refusal.to_string()),
        }
    }
}

impl From<Unanswered> for Status {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Busy | Unanswered::Stopped => Self::unavailable(unanswered.to_string()),
        }
    }
}

impl View<'_> {
    /// The cluster that `field` names; `None` if it names none.
    fn cluster(&self, field: &str, id: &str) -> Result<Option<(&ClusterName, &Member)>, Refusal> {
        if id.is_empty() {
            return Ok(None);
        }
        let found = self.inventory.clusters().find(|(known, _)| known.as_str() == id);
        let not_found = || {
            let known: Vec<&str> = self.inventory.clusters().map(|(known, _)| known.as_str()).collect();
            Refusal::NotFound {
                field: field.to_owned(),
                problem: match known.as_slice() {
                    [] => format!("there is no cluster {id:?}, the hub knows no cluster yet"),
                    [_, ..] => format!("there is no cluster {id:?}, the hub knows {}", known.join(", ")),
                },
            }
        };
        found.map(Some).ok_or_else(not_found)
    }

    /// The clusters that a list covers: the one of its filter, else all.
    fn covered<'a>(&'a self, filter: &str) -> Result<Vec<(&'a ClusterName, &'a Member)>, Refusal> {
        Ok(match self.cluster("cluster", filter)? {
            Some(cluster) => vec![cluster],
            None => self.inventory.clusters().collect(),
        })
    }

    fn revision(&self) -> String {
        self.revision.to_string()
    }

    fn freshness(&self, clusters: &[(&ClusterName, &Member)]) -> Vec<wire::Freshness> {
        let freshness = |(id, member): &(&ClusterName, &Member)| wire::Freshness {
            cluster: id.to_string(),
            state: State::from(member.state()).into(),
            age: member.last_heard().map(|at| self.age(at)),
        };
        clusters.iter().map(freshness).collect()
    }

    /// How long ago something was, to the millisecond: more digits only make it harder to read.
    fn age(&self, at: Instant) -> prost_types::Duration {
        duration(self.now.saturating_duration_since(at))
    }

    /// What a wall clock showed then, to the millisecond.
    fn timestamp(&self, at: Instant) -> prost_types::Timestamp {
        timestamp(self.wall - self.now.saturating_duration_since(at))
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn duration(duration: Duration) -> prost_types::Duration {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    let nanos = i32::try_from(duration.subsec_millis() * 1_000_000).expect("less than a second fits");
    prost_types::Duration { seconds, nanos }
}

fn timestamp(at: SystemTime) -> prost_types::Timestamp {
    let exact = prost_types::Timestamp::from(at);
    let nanos = exact.nanos - exact.nanos % 1_000_000;
    prost_types::Timestamp { nanos, ..exact }
}

#[tonic::async_trait]
impl wire::inventory_server::Inventory for Queries {
    async fn list_clusters(
        &self,
        _request: Request<wire::ListClustersRequest>,
    ) -> Result<Response<wire::ListClustersResponse>, Status> {
        let enforcers = self.registry.connected_by_cluster();
        self.answer(move |view| Ok(clusters::list(view, &enforcers))).await
    }

    async fn list_namespaces(
        &self,
        request: Request<wire::ListNamespacesRequest>,
    ) -> Result<Response<wire::ListNamespacesResponse>, Status> {
        self.answer(|view| namespaces::list(view, &request.into_inner())).await
    }

    async fn list_pods(
        &self,
        request: Request<wire::ListPodsRequest>,
    ) -> Result<Response<wire::ListPodsResponse>, Status> {
        self.answer(|view| pods::list(view, &request.into_inner())).await
    }

    async fn lookup_address(
        &self,
        request: Request<wire::LookupAddressRequest>,
    ) -> Result<Response<wire::LookupAddressResponse>, Status> {
        self.answer(|view| addresses::lookup(view, &request.into_inner())).await
    }

    async fn select_pods(
        &self,
        request: Request<wire::SelectPodsRequest>,
    ) -> Result<Response<wire::SelectPodsResponse>, Status> {
        self.answer(|view| pods::select(view, &request.into_inner())).await
    }

    async fn list_enforcers(
        &self,
        request: Request<wire::ListEnforcersRequest>,
    ) -> Result<Response<wire::ListEnforcersResponse>, Status> {
        let enforcers = self.registry.list();
        let ring = Arc::clone(&self.ring);
        self.answer(move |view| {
            ring.read(|ring| {
                let lag = |applied| ring.lag(applied, view.now);
                enforcers::list(view, &enforcers, lag, request.get_ref())
            })
        })
        .await
    }
}

#[cfg(test)]
mod tests;
