//! Findings for people: grouped by object, in the order of their names, with a last line that counts them.
//!
//! Pure. Colour only repeats what the words say.

use super::finding::{Finding, Findings, Location, Severity, Subject};
use std::fmt::{self, Write as _};

/// Whether there is colour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ink {
    /// stdout is a terminal, and nobody asked for none.
    Colour,
    /// Words alone.
    Plain,
}

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
    let place = place.map(|Location { file, line, .. }| format!("{file}:{line}"));
    let _ = match (subject.kind, place) {
        (None, Some(place)) => writeln!(out, "{}", paint(ink, "1", place)),
        (Some(_), Some(place)) => writeln!(out, "{}   {}", paint(ink, "1", subject), paint(ink, "2", place)),
        (_, None) => writeln!(out, "{}", paint(ink, "1", subject)),
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
    let colour = match severity {
        Severity::Error => "31",
        Severity::Warning => "33",
        Severity::Note => "36",
    };
    let field = if field.is_empty() {
        String::new()
    } else {
        format!("{field}   ")
    };
    let _ = writeln!(
        out,
        "  {}{field}{}",
        paint(ink, colour, format_args!("{severity:<9}")),
        paint(ink, "2", rule.id)
    );
    for line in happens.lines().chain(instead.iter().flat_map(|text| text.lines())) {
        let _ = writeln!(out, "{:INDENT$}{line}", "");
    }
}

fn paint(ink: Ink, code: &str, text: impl fmt::Display) -> String {
    match ink {
        Ink::Colour => format!("\x1b[{code}m{text}\x1b[0m"),
        Ink::Plain => text.to_string(),
    }
}
