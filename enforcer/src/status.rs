//! What an enforcer tells the hub, its metrics and its readiness about itself.
//!
//! Pure.

use crate::compile::Compiled;
use crate::policy::{Kind, Policy, PolicyName};
use crate::ruleset::{Table, Verdict};
use prost::Message;
use proto::model::{ClusterName, ClusterState, Revision};
use proto::observe::Pod;
use proto::wire;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// A node's state at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status {
    /// The revision the kernel enforces.
    pub applied: Option<Revision>,
    /// The policies held.
    pub policies: Arc<BTreeMap<PolicyName, Arc<Policy>>>,
    /// How much is in force.
    pub counts: Counts,
    /// The clusters the hub names, and how current each is.
    pub clusters: BTreeMap<ClusterName, ClusterState>,
    /// What keeps the kernel from enforcing the newest state.
    pub trouble: Option<String>,
}

/// What a node's operator is told who asks whether it is ready.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Readiness {
    /// Not all of this cluster's own word is in force yet; what for.
    WaitsFor(String),
    /// It is, but no hub answers, and why: other clusters are as last known. Local pods are protected, and an outage of
    /// the hub must not look like one of the node (S126).
    WithoutHub(String),
    /// It is, and a hub answers.
    Ready,
}

/// How much of each is in force.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Local pods that a policy isolates in a direction.
    pub isolated_pods: usize,
    /// Rules in nf_tables.
    pub rules: usize,
    /// ipsets.
    pub sets: usize,
    /// Their members.
    pub members: usize,
    /// Addresses that admit nothing in a direction, counted once for each: see [`Cut`](crate::compile::Cut).
    pub cut: usize,
}

impl Counts {
    /// Of what a node's pods and policies compile to, and its pods.
    pub fn of(compiled: &Compiled, pods: &[Arc<Pod>]) -> Self {
        let Compiled { ruleset, cut } = compiled;
        let isolated = |pod: &&Arc<Pod>| {
            let mut addresses = pod.addresses.iter();
            addresses.any(|address| ruleset.tables.values().any(|table| isolates(table, address)))
        };
        Self {
            isolated_pods: pods.iter().filter(isolated).count(),
            rules: ruleset
                .tables
                .values()
                .flat_map(|table| table.chains.values())
                .map(|chain| chain.rules.len())
                .sum(),
            sets: ruleset.sets.len(),
            members: ruleset.sets.values().map(|set| set.members.len()).sum(),
            cut: cut.len(),
        }
    }
}

/// Whether an address is isolated in a direction. The chain of one that nobody isolates drops nothing.
fn isolates(table: &Table, address: &IpAddr) -> bool {
    let chains = table.dispatch.values().filter_map(|map| map.get(address));
    let mut chains = chains.filter_map(|name| table.chains.get(name));
    chains.any(|chain| chain.rules.last().is_some_and(|last| last.verdict == Verdict::Drop))
}

impl Status {
    /// SHA-256 over the names and generations of the policies held.
    pub fn policies_digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for policy in self.policies.values() {
            // Names hold neither slash nor newline, so that no two lists give one text.
            hash.update(format!("{} {} {}\n", policy.name, policy.uid, policy.generation));
        }
        hash.finalize().into()
    }

    /// How many pieces of each kind are not in force.
    pub fn refused_pieces(&self) -> BTreeMap<Kind, usize> {
        let mut pieces = BTreeMap::from(Kind::ALL.map(|kind| (kind, 0)));
        for refused in self.policies.values().flat_map(|policy| &policy.refused) {
            *pieces.entry(refused.kind).or_default() += 1;
        }
        pieces
    }

    /// As the hub is told.
    pub fn report(&self, cluster: &ClusterName, node: &str) -> wire::ReportRequest {
        let refused = |policy: &Arc<Policy>| -> Vec<wire::RefusedPolicy> {
            let of = |refused: &crate::policy::Refused| wire::RefusedPolicy {
                namespace: policy.name.namespace.to_string(),
                name: policy.name.name.to_string(),
                generation: policy.generation,
                field: refused.field.clone(),
                reason: refused.reason.clone(),
                kind: refused.kind.name().to_owned(),
            };
            policy.refused.iter().map(of).collect()
        };
        wire::ReportRequest {
            cluster: cluster.to_string(),
            node: node.to_owned(),
            applied: self.applied.map(Into::into),
            release: env!("CARGO_PKG_VERSION").to_owned(),
            policies: u32::try_from(self.policies.len()).unwrap_or(u32::MAX),
            policies_digest: self.policies_digest().to_vec(),
            refused: fitting(self.policies.values().flat_map(refused)),
            isolated_pods: u32::try_from(self.counts.isolated_pods).unwrap_or(u32::MAX),
            trouble: self.trouble.clone().unwrap_or_default(),
        }
    }
}

/// The most bytes of a report that refused pieces may take; the log and the metric have them all. A hub takes reports of
/// up to 64 KiB.
const REFUSED_BYTES: usize = 48 << 10;

/// As many as fit.
fn fitting(refused: impl Iterator<Item = wire::RefusedPolicy>) -> Vec<wire::RefusedPolicy> {
    let mut left = REFUSED_BYTES;
    let fits = move |refused: &wire::RefusedPolicy| {
        // Beside the message itself, its field number and length.
        let taken = refused.encoded_len() + 8;
        let fits = taken <= left;
        left = left.saturating_sub(taken);
        fits
    };
    refused.take_while(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{NetworkPolicy, parse};
    use serde_json::json;

    /// P8, P18, P23: pieces that are not in force are counted by kind, and reported with it; no kind is left out.
    #[test]
    fn refused_pieces_are_counted_and_reported_by_kind() {
        let name = PolicyName {
            namespace: "shop".into(),
            name: "odd".into(),
        };
        let spec = json!({"ingress": [
            {"from": [{"ipBlock": {"cidr": "10.0.0.0/33"}}], "ports": [{"port": 0}, {"port": "80"}]},
            {"unless": 1},
        ]});
        let policy = parse(&NetworkPolicy {
            name: name.clone(),
            uid: "1".into(),
            generation: 3,
            spec,
        });
        let status = Status {
            applied: None,
            policies: Arc::new(BTreeMap::from([(name, Arc::new(policy))])),
            counts: Counts::default(),
            clusters: BTreeMap::new(),
            trouble: None,
        };
        let counted = status.refused_pieces().into_iter();
        let counted: Vec<_> = counted.map(|(kind, count)| (kind.name(), count)).collect();
        assert_eq!(
            counted,
            [
                ("selector", 0),
                ("peer", 0),
                ("ip_block", 1),
                ("port", 2),
                ("policy_types", 0),
                ("unknown_field", 1),
                ("malformed", 0),
                ("limit", 0)
            ]
        );
        let report = status.report(&ClusterName::new("a").unwrap(), "n");
        let kinds: Vec<&str> = report.refused.iter().map(|refused| refused.kind.as_str()).collect();
        assert_eq!(kinds, ["ip_block", "port", "port", "unknown_field"]);
    }
}
