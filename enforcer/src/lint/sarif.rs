//! Findings in the Static Analysis Results Interchange Format, as code hosts and editors read it (SARIF 2.1.0, OASIS).
//!
//! Pure. One run; every rule of [`RULES`] is described, found or not, so that a reader can show what was looked for.

use super::RULES;
use super::finding::{Finding, Findings, Rule, Severity};
use proto::syntax::percent_encoded;
use serde_json::{Value, json};
use std::path::{Component, Path};

/// All findings. `folder` is the one that was given: a relative one stands before the files' names, so that a run at the
/// root of a repository names them as the repository does.
pub fn sarif(findings: &Findings, folder: &Path) -> String {
    let results: Vec<Value> = findings.iter().map(|finding| result(finding, folder)).collect();
    let omitted: Vec<Value> = findings.omitted().into_iter().map(notification).collect();
    let log = json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "enforcer lint",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": RULES.iter().map(|rule| descriptor(rule)).collect::<Vec<Value>>(),
            }},
            "invocations": [{"executionSuccessful": true, "toolExecutionNotifications": omitted}],
            "results": results,
        }],
    });
    let mut text = serde_json::to_string_pretty(&log).expect("texts and numbers are JSON");
    text.push('\n');
    text
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

/// A `reportingDescriptor` (3.49). Code hosts want all three texts.
fn descriptor(rule: &Rule) -> Value {
    json!({
        "id": rule.id,
        "shortDescription": {"text": rule.finds},
        "fullDescription": {"text": rule.help},
        "help": {"text": rule.help},
        "defaultConfiguration": {"level": level(rule.severity)},
    })
}

/// A `notification` (3.58): what the results leave out.
fn notification((rule, count): (&'static str, usize)) -> Value {
    json!({
        "level": "note",
        "message": {"text": format!("{count} more results of {rule} were counted and left out")},
        "associatedRule": {"id": rule},
    })
}

/// A `result` (3.27).
fn result(finding: &Finding, folder: &Path) -> Value {
    let Finding {
        rule,
        severity,
        subject,
        field,
        happens,
        instead,
    } = finding;
    let text = match instead {
        Some(instead) => format!("{subject}: {happens}\n{instead}"),
        None => format!("{subject}: {happens}"),
    };
    let mut location = json!({
        "logicalLocations": [match field.as_str() {
            "" => json!({"fullyQualifiedName": subject.to_string(), "kind": "object"}),
            field => json!({"name": field, "fullyQualifiedName": format!("{subject} {field}"), "kind": "property"}),
        }],
    });
    if let Some(place) = &subject.location {
        location["physicalLocation"] = json!({
            "artifactLocation": {"uri": uri(folder, &place.file)},
            "region": {"startLine": place.line},
        });
    }
    json!({
        "ruleId": rule.id,
        "ruleIndex": RULES.iter().position(|known| known.id == rule.id),
        "level": level(*severity),
        "message": {"text": text},
        "locations": [location],
    })
}

/// A relative URI reference (RFC 3986): of an absolute folder, or one that leads out of where the program was started, only
/// what is below it.
fn uri(folder: &Path, file: &str) -> String {
    let mut segments = Vec::new();
    for component in folder.components() {
        match component {
            Component::Normal(name) => segments.push(name.to_string_lossy()),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) | Component::ParentDir => {
                segments.clear();
                break;
            }
        }
    }
    segments.extend(file.split('/').map(Into::into));
    let encoded = segments.iter().map(|segment| percent_encoded(segment));
    encoded.collect::<Vec<_>>().join("/")
}
