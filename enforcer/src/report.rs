//! Tells the hub what this node enforces: on each change, and now and then without one.
//!
//! Shell. Only the newest state is ever sent; a report that does not arrive is replaced by the next.

use crate::machine::Node;
use crate::status::Status;
use proto::subscribe::Reporter;
use std::time::Duration;
use tokio::sync::watch;

/// The shortest time between two reports: a storm of changes is no storm of reports.
const MIN_INTERVAL: Duration = Duration::from_millis(500);

/// How long a change waits for the next one before it is reported: what a policy changes in the kernel follows a few
/// milliseconds after the policy, and one report tells both.
const GATHERING: Duration = Duration::from_millis(10);

/// The longest, should the hub not say otherwise, and what its wish is cut to.
const MAX_INTERVAL: Duration = Duration::from_secs(30);

/// Reports until the event loop ends.
pub async fn run(mut reporter: Reporter, mut status: watch::Receiver<Option<Status>>, node: &Node) {
    let mut said: Option<String> = None;
    loop {
        reporter.connected().await;
        let report = status
            .borrow_and_update()
            .as_ref()
            .map(|status| status.report(&node.cluster, &node.name));
        let mut interval = MAX_INTERVAL;
        if let Some(report) = report {
            let trouble = match reporter.report(report).await {
                Ok(answer) => {
                    interval =
                        Duration::from_millis(u64::from(answer.next_report_ms)).clamp(MIN_INTERVAL, MAX_INTERVAL);
                    None
                }
                Err(error) => Some(error.to_string()),
            };
            if let Some(reason) = trouble.as_ref().filter(|trouble| said.as_ref() != Some(trouble)) {
                tracing::warn!(%reason, "the hub does not know what this node enforces");
            }
            said = trouble;
        }
        tokio::time::sleep(MIN_INTERVAL).await;
        // Jitter, so that the nodes of a cluster do not report in step.
        let wait = interval.mul_f64(fastrand::f64().mul_add(0.5, 0.5));
        tokio::select! {
            changed = status.changed() => {
                if changed.is_err() {
                    return;
                }
                tokio::time::sleep(GATHERING).await;
            }
            () = tokio::time::sleep(wait) => {}
        }
    }
}
