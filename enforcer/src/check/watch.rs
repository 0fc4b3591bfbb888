//! A running enforcer looks at its node now and then: what is found is logged once for as long as it is so, and counted.
//!
//! Shell.

use super::{Finding, check, collect};
use crate::lint::Severity;
use crate::metrics::FindingLabel;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// The pause between two looks: what is found is for people to mend, and kube-proxy's chains may be tens of thousands.
const INTERVAL: Duration = Duration::from_secs(300);

/// Looks, until the process ends.
pub async fn run(nri: Option<PathBuf>, counted: Family<FindingLabel, Gauge>) {
    let mut said: BTreeSet<Finding> = BTreeSet::new();
    loop {
        let found: BTreeSet<Finding> = check(&collect::collect(nri.clone()).await).into_iter().collect();
        for finding in found.difference(&said) {
            // What looks for the socket says so itself, and when it finds it.
            if finding.rule != "first-packet" || nri.is_none() {
                say(finding);
            }
        }
        for finding in said.difference(&found) {
            tracing::info!(rule = finding.rule, "no more so: {}", finding.happens);
        }
        for (rule, severity, _) in super::RULES {
            let is = |finding: &&Finding| (finding.rule, finding.severity) == (rule, severity);
            let count = found.iter().filter(is).count();
            let label = FindingLabel {
                rule,
                severity: severity.to_string(),
            };
            counted
                .get_or_create(&label)
                .set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        said = found;
        tokio::time::sleep(INTERVAL).await;
    }
}

fn say(finding: &Finding) {
    let Finding {
        severity,
        rule,
        happens,
        instead,
    } = finding;
    match severity {
        Severity::Error | Severity::Warning => tracing::warn!(rule, %severity, "{happens}; what to do: {instead}"),
        Severity::Note => tracing::info!(rule, %severity, "{happens}; what to do: {instead}"),
    }
}
