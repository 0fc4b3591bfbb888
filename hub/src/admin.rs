//! `/healthz`, `/readyz`, `/metrics` and `/debug`, in plain HTTP, on loopback unless somebody says otherwise.
//!
//! Shows, changes nothing. What it shows belongs to one revision, because the inventory's owner is asked for it.

use crate::handle::{Handle, Unanswered};
use crate::metrics::Metrics;
use crate::registry::Registry;
use crate::ring::SharedRing;
use crate::server::StartError;
use crate::shutdown::Shutdown;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Unit;
use proto::model::ClusterState;
use std::fmt::Write;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};
use survey::{Survey, state_name};
use tokio::net::TcpListener;

mod survey;

/// How long the inventory's owner may take to answer before the hub is not healthy. Its longest single piece of work,
/// the first list of a very big cluster, takes a few seconds.
const HEALTHY_ANSWER: Duration = Duration::from_secs(10);

/// What the answers are read from. Cloning gives another handle on the same.
#[derive(Clone, Debug)]
pub struct Admin {
    /// The inventory's owner.
    pub handle: Handle,
    /// The frames.
    pub ring: Arc<SharedRing>,
    /// The enforcers.
    pub registry: Arc<Registry>,
    /// The counters.
    pub metrics: Metrics,
}

/// Listens on `address`.
///
/// # Errors
/// If that is not possible.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Bind {
        address,
        advice: "choose another --admin",
        source,
    })
}

/// Serves until `shutdown`.
///
/// # Errors
/// If the listener fails.
pub async fn serve(listener: TcpListener, admin: Admin, mut shutdown: Shutdown) -> io::Result<()> {
    // Whoever still waits for an answer when the process ends gets none.
    tokio::select! {
        served = axum::serve(listener, router(admin)).into_future() => served,
        () = shutdown.wait() => Ok(()),
    }
}

fn router(admin: Admin) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/debug", get(debug))
        .with_state(admin)
}

async fn healthz(State(admin): State<Admin>) -> Response {
    match admin.survey().await {
        Ok(_) => "ok\n".into_response(),
        Err(why) => why.into_response(),
    }
}

async fn readyz(State(admin): State<Admin>) -> Response {
    match admin.survey().await {
        Ok(survey) if survey.is_ready() => survey.to_string().into_response(),
        Ok(survey) => (StatusCode::SERVICE_UNAVAILABLE, survey.to_string()).into_response(),
        Err(why) => why.into_response(),
    }
}

async fn metrics(State(admin): State<Admin>) -> Response {
    let survey = match admin.survey().await {
        Ok(survey) => survey,
        Err(why) => return why.into_response(),
    };
    let mut text = String::new();
    encode(&mut text, &admin.measures(&survey)).expect("a String takes all text");
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], text).into_response()
}

async fn debug(State(admin): State<Admin>) -> Response {
    match admin.survey().await {
        Ok(survey) => admin.describe(&survey).into_response(),
        Err(why) => why.into_response(),
    }
}

/// Why there is no survey.
enum NoSurvey {
    Unanswered(Unanswered),
    Late,
}

impl IntoResponse for NoSurvey {
    fn into_response(self) -> Response {
        let text = match self {
            Self::Unanswered(why) => format!("{why}\n"),
            Self::Late => format!(
                "the inventory's owner has not answered for {} s\n",
                HEALTHY_ANSWER.as_secs()
            ),
        };
        (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
    }
}

/// A gauge by labels.
type ByLabel<N = i64, A = std::sync::atomic::AtomicI64> = Family<[(&'static str, String); 1], Gauge<N, A>>;

/// A gauge by cluster and kind.
type ByKind = Family<[(&'static str, String); 2], Gauge>;

impl Admin {
    async fn survey(&self) -> Result<Survey, NoSurvey> {
        let survey = self
            .handle
            .read(|inventory, revision| Survey::new(inventory, revision, now()));
        match tokio::time::timeout(HEALTHY_ANSWER, survey).await {
            Ok(Ok(survey)) => Ok(survey),
            Ok(Err(why)) => Err(NoSurvey::Unanswered(why)),
            Err(_elapsed) => Err(NoSurvey::Late),
        }
    }

    /// Everything that is measured, the counters included.
    fn measures(&self, survey: &Survey) -> prometheus_client::registry::Registry {
        let mut registry = prometheus_client::registry::Registry::with_prefix("bailey_hub");
        self.metrics.register(&mut registry);
        let (rejected, alarms) = (ByKind::default(), ByKind::default());
        let (states, pods, namespaces) = (
            ByLabel::<i64>::default(),
            ByLabel::<i64>::default(),
            ByLabel::<i64>::default(),
        );
        let ages = ByLabel::<f64, AtomicU64>::default();
        for state in [ClusterState::Syncing, ClusterState::Live, ClusterState::Stale] {
            let count = survey.clusters.iter().filter(|one| one.state == state).count();
            states
                .get_or_create(&[("state", state_name(state).to_owned())])
                .set(gauge(count));
        }
        for cluster in &survey.clusters {
            let label = [("cluster", cluster.id.to_string())];
            pods.get_or_create(&label).set(gauge(cluster.pods));
            namespaces.get_or_create(&label).set(gauge(cluster.namespaces));
            for (counts, family) in [(&cluster.rejected, &rejected), (&cluster.alarms, &alarms)] {
                for (kind, count) in counts {
                    let labels = [("cluster", cluster.id.to_string()), ("kind", (*kind).to_owned())];
                    family.get_or_create(&labels).set(gauge(*count));
                }
            }
            if let Some(age) = cluster.age {
                ages.get_or_create(&label).set(age.as_secs_f64());
            }
        }
        let enforcers = ByLabel::<i64>::default();
        for (cluster, connected) in self.registry.connected_by_cluster() {
            let label = [("cluster", cluster.to_string())];
            enforcers.get_or_create(&label).set(i64::from(connected));
        }
        let subscribers: Gauge = Gauge::default();
        subscribers.set(gauge(self.ring.subscribers()));
        registry.register("clusters", "Clusters by state", states);
        registry.register("pods", "Pods known", pods);
        registry.register("namespaces", "Namespaces known", namespaces);
        registry.register(
            "rejected_pieces",
            "Pieces of pods and namespaces that could not be understood and were left out",
            rejected,
        );
        registry.register(
            "alarms",
            "Addresses and namespaces about which clusters say what cannot be, by kind",
            alarms,
        );
        registry.register_with_unit(
            "cluster_age",
            "Since the cluster's API server was last heard",
            Unit::Seconds,
            ages,
        );
        registry.register("enforcers_connected", "Enforcers with an open stream", enforcers);
        registry.register("subscribers", "Open streams", subscribers);
        registry
    }

    /// The hub's state for people, sorted.
    fn describe(&self, survey: &Survey) -> String {
        let mut text = survey.to_string();
        let now = now();
        let mut line = |arguments: std::fmt::Arguments<'_>| {
            text.write_fmt(arguments).expect("a String takes all text");
        };
        line(format_args!("\n{} subscribers\n", self.ring.subscribers()));
        for ((cluster, node), enforcer) in self.registry.list() {
            let applied = enforcer.report.as_ref().and_then(|report| report.applied);
            let lag = self.ring.read(|ring| ring.lag(applied, now));
            line(format_args!("{cluster}/{node}  {} streams, ", enforcer.streams));
            match (applied, lag) {
                (None, _) => line(format_args!("has reported no revision\n")),
                (Some(revision), None) => line(format_args!("enforces {revision}, the newest\n")),
                (Some(revision), Some(lag)) => {
                    line(format_args!("enforces {revision}, {:.3} s behind\n", lag.as_secs_f64()));
                }
            }
        }
        text
    }
}

fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests;
