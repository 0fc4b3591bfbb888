//! Findings for programs.
//!
//! Pure. The fields are stable; new ones may be added.

use super::finding::{Findings, Location, Severity};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
struct Document<'a> {
    findings: Vec<Entry<'a>>,
    /// By rule, how many were counted and are not in `findings`.
    omitted: BTreeMap<&'static str, usize>,
    errors: usize,
    warnings: usize,
    notes: usize,
}

#[derive(Serialize)]
struct Entry<'a> {
    rule: &'static str,
    severity: Severity,
    cluster: Option<&'a str>,
    kind: Option<&'static str>,
    name: &'a str,
    location: Option<&'a Location>,
    field: &'a str,
    happens: &'a str,
    instead: Option<&'a str>,
}

/// All findings, and how many there are.
pub fn json(findings: &Findings) -> String {
    let entries = findings.iter().map(|finding| Entry {
        rule: finding.rule.id,
        severity: finding.severity,
        cluster: finding.subject.cluster.as_ref().map(proto::model::ClusterName::as_str),
        kind: finding.subject.kind,
        name: &finding.subject.name,
        location: finding.subject.location.as_ref(),
        field: &finding.field,
        happens: &finding.happens,
        instead: finding.instead.as_deref(),
    });
    let document = Document {
        findings: entries.collect(),
        omitted: findings.omitted(),
        errors: findings.count(Severity::Error),
        warnings: findings.count(Severity::Warning),
        notes: findings.count(Severity::Note),
    };
    let mut text = serde_json::to_string_pretty(&document).expect("texts and numbers are JSON");
    text.push('\n');
    text
}
