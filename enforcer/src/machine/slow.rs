//! What is said of passes that take too long.
//!
//! Pure: the event loop measures, and tells. A step is slow from a second on: until it ends nothing else that changes is in
//! force on this node. It is said once for as long as there are slow ones, and again if one takes twice as long.

use super::{Machine, Output};
use crate::notice::{self, Notice, Size};
use crate::policy::{Policy, PolicyName, Ports};
use proto::observe::Pod;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// From when a step is slow. Of an ordinary node it takes milliseconds.
pub(super) const SLOW: Duration = Duration::from_secs(1);

/// How long after a slow step the next one is news again.
pub(super) const EPISODE: Duration = Duration::from_secs(600);

/// A policy of fewer rules is not what makes a step slow.
const LARGE: usize = 1000;

/// What a pass is made of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Step {
    /// From policies and pods to a ruleset, and to what of it the kernel lacks.
    Compile,
    /// The kernel carries it out.
    Apply,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Compile => "to compile the policies",
            Self::Apply => "for the kernel to carry out a plan",
        })
    }
}

/// The slow steps of late.
#[derive(Debug, Default)]
pub(super) struct Slow(BTreeMap<Step, Episode>);

#[derive(Debug)]
struct Episode {
    /// What was said to be slow took so long.
    said: Duration,
    /// When the last slow step ended.
    last: Instant,
}

impl Slow {
    /// Whether it is news that a step took so long.
    fn is_news(&mut self, step: Step, took: Duration, now: Instant) -> bool {
        if took < SLOW {
            return false;
        }
        if let Some(episode) = self.0.get_mut(&step)
            && now.saturating_duration_since(episode.last) < EPISODE
            && took < 2 * episode.said
        {
            episode.last = now;
            return false;
        }
        self.0.insert(step, Episode { said: took, last: now });
        true
    }
}

impl Machine {
    pub(super) fn took(&mut self, step: Step, took: Duration, now: Instant) -> Vec<Output> {
        if !self.slow.is_news(step, took, now) {
            return Vec::new();
        }
        let slow = notice::Slow {
            step,
            took,
            size: Size {
                policies: self.wanted.policies.len(),
                rules: self.counts.rules,
                sets: self.counts.sets,
                members: self.counts.members,
            },
            largest: self.largest().filter(|(_, rules)| *rules >= LARGE),
        };
        vec![Output::Say(Notice::Slow(slow))]
    }

    /// Of the policies that select a pod of the node the one with the most rules, and how many they are.
    fn largest(&self) -> Option<(PolicyName, usize)> {
        let selects = |policy: &Policy| {
            let of_namespace = |pod: &&Arc<Pod>| *pod.namespace == *policy.name.namespace;
            let mut pods = self.wanted.pods.iter().filter(of_namespace);
            pods.any(|pod| {
                policy
                    .subjects
                    .as_ref()
                    .is_none_or(|selector| selector.matches(&pod.labels))
            })
        };
        let policies = self.wanted.policies.values();
        let sized = policies.map(|policy| (rules(policy), policy));
        let (rules, largest) = sized
            .filter(|(_, policy)| selects(policy))
            .max_by_key(|(rules, _)| *rules)?;
        Some((largest.name.clone(), rules))
    }
}

/// How many rules a policy has, each counted once for each of its ports.
fn rules(policy: &Policy) -> usize {
    let rules = policy.ingress.iter().chain(&policy.egress).flatten();
    rules
        .map(|rule| match &rule.ports {
            Ports::Any => 1,
            Ports::Of(ports) => ports.len(),
        })
        .sum()
}
