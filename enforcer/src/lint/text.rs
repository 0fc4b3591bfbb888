//! Findings for people: grouped by object, in the order of their names, with a last line that counts them.
//!
//! Pure. Colour only repeats what the words say.

use super::finding::{Finding, Findings, Location, Severity, Subject};
use crate::screen::{self, Ink, Tone};
use std::fmt::Write as _;

/// How far the lines of a finding stand from the margin.
const INDENT: usize = 11;

/// All findings, and how many there are.
pub fn text(findings: &Findings, ink: Ink) -> String {
    let mut out = String::new();
    let mut last = None;
    for finding in findings.iter() {
        if last != Some(&finding.subject) {
            heading(&mut out, &finding.subject, ink);
            last = Some(&finding.subject);
        }
        entry(&mut out, finding, ink);
    }
    if last.is_some() {
        out.push('\n');
    }
    for (rule, count) in findings.omitted() {
        let _ = writeln!(out, "{count} more of {rule} are counted and not shown");
    }
    let _ = writeln!(out, "{}", summary(findings));
    out
}

/// `2 errors, 3 warnings, 1 note`.
pub fn summary(findings: &Findings) -> String {
    let parts = [Severity::Error, Severity::Warning, Severity::Note].map(|severity| {
        let count = findings.count(severity);
        format!("{count} {severity}{}", if count == 1 { "" } else { "s" })
    });
    parts.join(", ")
}

fn heading(out: &mut String, subject: &Subject, ink: Ink) {
    if !out.is_empty() {
        out.push('\n');
    }
    let place = subject.location.as_ref().filter(|location| location.document.is_some());
    let place = place.map(|Location { file, line, .. }| {
        let mut file = file.clone();
        screen::make_plain(&mut file, |_| false);
        format!("{file}:{line}")
    });
    let _ = match (subject.kind, place) {
        (None, Some(place)) => writeln!(out, "{}", ink.paint(Tone::Strong, place)),
        (Some(_), Some(place)) => writeln!(
            out,
            "{}   {}",
            ink.paint(Tone::Strong, subject),
            ink.paint(Tone::Quiet, place)
        ),
        (_, None) => writeln!(out, "{}", ink.paint(Tone::Strong, subject)),
    };
}

fn entry(out: &mut String, finding: &Finding, ink: Ink) {
    let Finding {
        rule,
        severity,
        subject: _,
        field,
        happens,
        instead,
    } = finding;
    let tone = match severity {
        Severity::Error => Tone::Bad,
        Severity::Warning => Tone::Odd,
        Severity::Note => Tone::Quiet,
    };
    let field = if field.is_empty() {
        String::new()
    } else {
        format!("{field}   ")
    };
    let _ = writeln!(
        out,
        "  {}{field}{}",
        ink.paint(tone, format_args!("{severity:<9}")),
        ink.paint(Tone::Quiet, rule.id)
    );
    for line in happens.lines().chain(instead.iter().flat_map(|text| text.lines())) {
        let _ = writeln!(out, "{:INDENT$}{line}", "");
    }
}
