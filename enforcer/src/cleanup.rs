//! Takes all that is Bailey's out of a node's kernel, and may then stay, so that it stays out.
//!
//! Shell. A DaemonSet that stays in the place of the enforcers' cleans every node: its pods are ready when their nodes are
//! clean, and no enforcer can start beside one, which holds their lock.

use crate::admin;
use crate::config::Cleanup;
use crate::kernel::Kernel;
use crate::lock::Lock;
use crate::run::{refusal, unfit};
use crate::status::Readiness;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

/// Removes all that is ours from this node's kernel, and stays until SIGTERM or SIGINT if that is asked for.
///
/// # Errors
/// [`Unfit`](crate::Unfit) if an enforcer runs, or the kernel has no netfilter to clean; otherwise what the kernel refused.
pub fn cleanup(cleanup: Cleanup) -> anyhow::Result<()> {
    let Cleanup { stay, log: _ } = cleanup;
    let _lock = Lock::take().map_err(refusal)?;
    Kernel::open().map_err(unfit)?.cleanup()?;
    tracing::info!("nothing of Bailey is left in this node's kernel");
    match stay {
        None => Ok(()),
        Some(address) => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(serve(&address)),
    }
}

async fn serve(address: &admin::Address) -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let listener = admin::bind(address).await.map_err(unfit)?;
    tracing::info!(%address, "staying until stopped: no enforcer can start meanwhile");
    // There is no ruleset to ask for.
    let (ruleset, _) = mpsc::channel(1);
    let source = admin::Source {
        readiness: watch::channel(Readiness::Ready).1,
        ruleset,
        registry: Arc::new(Registry::default()),
    };
    tokio::select! {
        served = admin::serve(listener, source) => served?,
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
