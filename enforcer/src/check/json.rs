//! Findings for programs.
//!
//! Pure. The fields are stable; new ones may be added.

use super::Finding;
use super::engines::{ServiceProxy, service_proxies};
use super::facts::{Facts, Nri};
use crate::lint::Severity;
use serde::Serialize;
use std::path::Path;

#[derive(Serialize)]
struct Document<'a> {
    findings: Vec<Entry<'a>>,
    errors: usize,
    warnings: usize,
    notes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<Node<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    rule: &'static str,
    severity: Severity,
    happens: &'a str,
    instead: &'a str,
}

#[derive(Serialize)]
struct Node<'a> {
    kernel: &'a str,
    /// `nftables`, `iptables`, `ipvs`.
    kube_proxy: Vec<ServiceProxy>,
    nri: Option<&'a Path>,
    enforcer_runs: bool,
}

/// All findings, how many there are, and what the node is like, if it was looked at.
pub fn json(facts: Option<&Facts>, findings: &[Finding]) -> String {
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let entries = findings.iter().map(|finding| Entry {
        rule: finding.rule,
        severity: finding.severity,
        happens: &finding.happens,
        instead: &finding.instead,
    });
    let document = Document {
        findings: entries.collect(),
        errors: count(Severity::Error),
        warnings: count(Severity::Warning),
        notes: count(Severity::Note),
        node: facts.map(node),
    };
    serde_json::to_string_pretty(&document).expect("texts and numbers are JSON")
}

fn node(facts: &Facts) -> Node<'_> {
    Node {
        kernel: &facts.kernel,
        kube_proxy: service_proxies(facts),
        nri: match &facts.nri {
            Nri::At(path) => Some(path),
            Nri::Off | Nri::Absent(_) => None,
        },
        enforcer_runs: facts.enforcer_runs,
    }
}
