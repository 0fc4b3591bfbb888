//! Findings for people.
//!
//! Pure. Colour only repeats what the words say.

use super::Finding;
use super::engines::{ServiceProxy, service_proxies};
use super::facts::{Facts, LinkKind, Nri};
use crate::lint::Severity;
use crate::screen::{Ink, Tone};
use std::fmt::Write as _;

/// How far the lines of a finding stand from the margin.
const INDENT: usize = 9;

/// What was seen, all findings, and how many there are.
pub fn text(seen: &str, findings: &[Finding], ink: Ink) -> String {
    let mut out = format!("{seen}\n");
    for finding in findings {
        let tone = match finding.severity {
            Severity::Error => Tone::Bad,
            Severity::Warning => Tone::Odd,
            Severity::Note => Tone::Quiet,
        };
        let severity = ink.paint(tone, format_args!("{:<INDENT$}", finding.severity));
        let _ = writeln!(out, "\n{severity}{}", ink.paint(Tone::Quiet, finding.rule));
        let _ = writeln!(out, "{:INDENT$}{}", "", finding.happens);
        let _ = writeln!(out, "{:INDENT$}{}", "", finding.instead);
    }
    let _ = write!(out, "\n{}", summary(findings));
    out
}

/// `1 error, 0 warnings, 2 notes`.
pub(super) fn summary(findings: &[Finding]) -> String {
    let parts = [Severity::Error, Severity::Warning, Severity::Note].map(|severity| {
        let count = findings.iter().filter(|finding| finding.severity == severity).count();
        format!("{count} {severity}{}", if count == 1 { "" } else { "s" })
    });
    parts.join(", ")
}

/// What the node is like, in a line.
pub fn seen(facts: &Facts) -> String {
    let proxies: Vec<&str> = service_proxies(facts).into_iter().map(ServiceProxy::word).collect();
    let bridges = super::bridges_of_pods(facts);
    let veths = facts.links.iter().filter(|link| link.kind == LinkKind::VethToElsewhere);
    let pods = match (bridges.is_empty(), veths.count()) {
        (true, 0) => "no pods".to_owned(),
        (true, veths) => format!("{veths} veths, on no bridge"),
        (false, _) => format!("pods on {}", super::names(&bridges)),
    };
    let parts = [
        format!("Linux {}", facts.kernel),
        if proxies.is_empty() {
            "no kube-proxy".to_owned()
        } else {
            proxies.join(" and ")
        },
        pods,
        match &facts.nri {
            Nri::At(path) => format!("NRI at {}", path.display()),
            Nri::Off | Nri::Absent(_) => "no NRI".to_owned(),
        },
        if facts.enforcer_runs {
            "an enforcer runs"
        } else {
            "no enforcer runs"
        }
        .to_owned(),
    ];
    format!("This node: {}", parts.join("; "))
}
