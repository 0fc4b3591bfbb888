//! Samples and their percentiles, and what an enforcer measures itself.

use super::admin::Admin;
use super::control::Control;
use super::wait::{Look, until};
use anyhow::{Context, Result};
use enforcer::offline::ends::NodeName;
use std::time::Duration;

/// The enforcer's histogram from the hub's receipt of a change to its kernel, in seconds.
const ENFORCED: &str = "bailey_enforcer_enforced_seconds";

/// How long a change may take to be counted. It is in the kernel already.
const LIMIT: Duration = Duration::from_secs(5);

/// Durations that were measured.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<Duration>);

impl Samples {
    /// None yet.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// One more.
    pub fn push(&mut self, sample: Duration) {
        self.0.push(sample);
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The smallest sample that at least `percent` of 100 are not above, in milliseconds; not a number if there are none.
    pub fn percentile_ms(&mut self, percent: usize) -> f64 {
        self.0.sort_unstable();
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0
            .get(rank - 1)
            .map_or(f64::NAN, |sample| sample.as_secs_f64() * 1e3)
    }
}

/// How many changes an enforcer has brought to its kernel, and how long they took together.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Enforced {
    count: u64,
    seconds: f64,
}

impl Enforced {
    /// Asks an enforcer.
    ///
    /// # Errors
    /// If it does not answer, or does not measure this.
    pub async fn read(control: &Control, node: &NodeName) -> Result<Self> {
        let answer = Admin::Unix(control.folder().admin(node)).get("/metrics").await;
        let text = answer
            .with_context(|| format!("/metrics of the enforcer of {node}"))?
            .body;
        Self::parse(&text).with_context(|| format!("the enforcer of {node} has no {ENFORCED}"))
    }

    fn parse(metrics: &str) -> Option<Self> {
        let value = |suffix: &str| {
            let mut lines = metrics
                .lines()
                .filter_map(|line| line.strip_prefix(ENFORCED)?.strip_prefix(suffix));
            lines.next().map(str::trim)
        };
        Some(Self {
            count: value("_count ")?.parse().ok()?,
            seconds: value("_sum ")?.parse().ok()?,
        })
    }

    /// Waits until there is another change, and gives its time. Of several at once, their mean.
    ///
    /// # Errors
    /// If it does not come.
    pub async fn next(self, control: &Control, node: &NodeName) -> Result<(Self, Duration)> {
        until(LIMIT, async || {
            let now = Self::read(control, node).await?;
            let missing = || Look::NotYet(format!("{ENFORCED} of {node}"));
            Ok(now.since(self).map_or_else(missing, |time| Look::Done((now, time))))
        })
        .await
    }

    fn since(self, earlier: Self) -> Option<Duration> {
        let count = self.count.checked_sub(earlier.count).filter(|count| *count > 0)?;
        Duration::try_from_secs_f64((self.seconds - earlier.seconds) / count as f64).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples_by_rank() {
        let mut samples = Samples::new();
        assert!(samples.percentile_ms(50).is_nan());
        (1..=200).rev().for_each(|ms| samples.push(Duration::from_millis(ms)));
        assert_eq!(
            [1, 50, 99, 100].map(|percent| samples.percentile_ms(percent)),
            [2.0, 100.0, 198.0, 200.0]
        );
    }

    #[test]
    fn changes_between_two_answers_have_their_mean() {
        let text = |count, sum| {
            format!("x 1\n{ENFORCED}_sum {sum}\n{ENFORCED}_count {count}\n{ENFORCED}_bucket{{le=\"1\"}} 3\n")
        };
        let [before, after] = [text(3, 0.5), text(5, 0.75)].map(|text| Enforced::parse(&text).unwrap());
        assert_eq!(after.since(before), Some(Duration::from_millis(125)));
        assert_eq!(before.since(before), None);
        assert_eq!(Enforced::parse("nothing"), None);
    }
}
