//! What of the manifests was not read, or not as it is written.
//!
//! Pure. What cannot be read is [`crate::offline::manifests`]' to say.

use super::estate::slashed;
use super::finding::{Finding, Findings, Location, Rule, Severity, Subject};
use crate::offline::manifests::{Complaint, Effect, Kind};

/// Something is left out.
pub(super) const UNREADABLE: Rule = Rule {
    id: "unreadable",
    severity: Severity::Error,
    finds: "a folder, file, document or object that cannot be read",
    help: "Nothing of it is judged: a policy in it is not in force, a pod in it is an outside address. What stands beside it \
           is read.",
};

/// Something is read otherwise.
pub(super) const TAKEN_OTHERWISE: Rule = Rule {
    id: "taken-otherwise",
    severity: Severity::Warning,
    finds: "a document or object that is not as an API server would have it, and is taken nevertheless",
    help: "The same object twice, a key twice, a name that is no string: what follows is said with each.",
};

/// Takes what the reader said.
pub(super) fn check(complaints: &[Complaint], findings: &mut Findings) {
    for complaint in complaints {
        let rule = match complaint.effect {
            Effect::LeftOut => &UNREADABLE,
            Effect::TakenOtherwise => &TAKEN_OTHERWISE,
        };
        let subject = subject(complaint);
        let named = subject.kind.is_some();
        findings.add(Finding {
            rule,
            severity: rule.severity,
            subject,
            field: complaint.field.clone(),
            happens: match complaint.object.as_str() {
                object if object.is_empty() || named => complaint.reason.clone(),
                object => format!("{object}: {}", complaint.reason),
            },
            instead: None,
        });
    }
}

/// The object, if the reader could name it; else the file.
fn subject(complaint: &Complaint) -> Subject {
    let file = slashed(&complaint.file);
    let of_kind = |kind: Kind| Some((kind, complaint.object.strip_prefix(kind.as_str())?.strip_prefix(' ')?));
    let (kind, name) = match Kind::ALL.into_iter().find_map(of_kind) {
        Some((kind, name)) => (Some(kind.as_str()), name.to_owned()),
        None => (None, file.clone()),
    };
    Subject {
        cluster: complaint.cluster.clone(),
        kind,
        name,
        location: Some(Location {
            file,
            document: complaint.document,
            line: complaint.line,
        }),
    }
}
