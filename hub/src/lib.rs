//! The hub: one inventory of all member clusters, streamed to every enforcer.
//!
//! ```text
//!  folder of        feeds of each      ┌─────────── event loop ───────────┐       ┌─→ enforcers (stream)
//!  kubeconfigs ──→  cluster       ──→  │ machine: inventory → log → frames │ ──→ ring ─→ …
//!  (clusters)       (proto::watch)     └────────↑─────────────────────────┘
//!                                            handle ←── queries, health, metrics (query, admin)
//! ```
//!
//! - [`clusters`] looks at the folder, decides which clusters there are, and runs two feeds for each.
//! - [`eventloop`] alone owns what is known. It drives the pure [`machine`]: the [`inventory`] says what a change of one
//!   cluster means for all, the [`log`] numbers it ([`numbers`]), packs it ([`frame`]) and seals it under a revision.
//! - [`ring`] keeps the newest frames, encoded once; every subscriber reads them at its own pace ([`stream`]), and is cut
//!   off when it falls too far behind. The hub keeps nothing per subscriber but its place.
//! - [`query`] answers people and tools through the [`handle`]: a closure that the owner runs, so that an answer is of one
//!   revision. What enforcers report is in the [`registry`], by which nothing is decided.
//! - [`server`] is the listener for both services, [`authorize`] says who may call what by the role in its certificate,
//!   [`admin`] is the plain HTTP door for probes and metrics.
//! - [`members`] and [`certs`] are commands of the same program, for whoever installs it; nothing of them runs in a hub
//!   that serves.
//!
//! What holds at any time:
//!
//! - Nothing of a cluster is published before both its lists are complete; from then on it changes only by difference,
//!   through lost contact, relists and new credentials.
//! - A revision that was handed out is never changed. Numbers are not given twice in an epoch.
//! - Every queue, frame, ring and registry is bounded. Who is too slow is told to come again.
//! - One bad kubeconfig, cluster or enforcer hurts only itself, and is named.

pub mod admin;
pub mod authorize;
pub mod certs;
pub mod clusters;
pub mod config;
pub mod eventloop;
pub mod file_limit;
pub mod frame;
pub mod handle;
pub mod inventory;
pub mod log;
pub mod machine;
pub mod members;
pub mod metrics;
pub mod numbers;
mod parts;
pub mod query;
pub mod ranges;
pub mod registry;
pub mod ring;
#[cfg(test)]
mod sample;
pub mod selector_syntax;
pub mod server;
pub mod shutdown;
pub mod stderr;
pub mod stream;

use admin::Admin;
use clusters::Clusters;
use config::Config;
use eventloop::EventLoop;
use metrics::Metrics;
use parts::Parts;
use proto::model::Epoch;
use query::Queries;
use registry::Registry;
use server::Listener;
use shutdown::Shutdown;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use stream::SyncService;

/// How often enforcers that are long silent are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Runs the hub until `shutdown`.
///
/// # Errors
/// If an address cannot be listened on or the certificates cannot be used ([`server::StartError`]), or if a part of the
/// hub ends that should not.
pub async fn run(config: Config, shutdown: Shutdown) -> anyhow::Result<()> {
    let Config {
        clusters,
        listen,
        security,
        admin,
        switches,
        pod_ranges,
        log_level: _,
        log_format: _,
    } = config;
    let listener = Listener::bind(listen, &security).await?;
    let admin_listener = admin::bind(admin).await?;

    let metrics = Metrics::default();
    let registry = Arc::new(Registry::default());
    let (owner, ends) = EventLoop::new(random_epoch()?, pod_ranges, metrics.clone());
    let (handle, ring) = (ends.handle, ends.ring);
    let sync = SyncService {
        handle: handle.clone(),
        ring: Arc::clone(&ring),
        members: ends.members,
        registry: Arc::clone(&registry),
        metrics: metrics.clone(),
        shutdown: shutdown.clone(),
    };
    let queries = Queries::new(handle.clone(), Arc::clone(&registry), Arc::clone(&ring), switches);
    let routes = server::routes(queries).await.add_service(sync);
    let clusters = Clusters::new(clusters, ends.inputs, metrics.clone());
    let admin = Admin {
        handle,
        ring,
        registry: Arc::clone(&registry),
        metrics,
    };

    let mut parts = Parts::default();
    parts.start("the inventory's owner", never_fails(owner.run(shutdown.clone())));
    parts.start("the clusters folder", never_fails(clusters.run(shutdown.clone())));
    parts.start("the service", server::serve(listener, routes, shutdown.clone()));
    parts.start("the admin door", admin::serve(admin_listener, admin, shutdown.clone()));
    parts.start("the sweep of enforcers", never_fails(sweep(registry, shutdown.clone())));
    parts.run(&shutdown).await
}

async fn never_fails(part: impl Future<Output = ()>) -> Result<(), Infallible> {
    part.await;
    Ok(())
}

/// Forgets enforcers that are long silent.
async fn sweep(registry: Arc<Registry>, mut shutdown: Shutdown) {
    let mut sweeps = tokio::time::interval(SWEEP_EVERY);
    loop {
        tokio::select! {
            () = shutdown.wait() => return,
            tick = sweeps.tick() => registry.sweep(tick.into_std()),
        }
    }
}

/// An epoch that no other hub process has.
fn random_epoch() -> anyhow::Result<Epoch> {
    let mut bits = [0; 16];
    let random = rustls::crypto::ring::default_provider().secure_random;
    random
        .fill(&mut bits)
        .map_err(|_unspecified| anyhow::anyhow!("the system has no random numbers to tell this hub from others"))?;
    Ok(Epoch(u128::from_be_bytes(bits)))
}
