//! A difference for programs.
//!
//! Pure.

use super::changes::{Change, Changes};
use crate::offline::ends::Verdict;
use serde::Serialize;

#[derive(Serialize)]
struct Answer {
    /// How many verdicts were compared.
    compared: usize,
    groups: Vec<Group>,
}

#[derive(Serialize)]
struct Group {
    /// What changes these verdicts, as the text says it; none: nothing that can be named.
    causes: Vec<String>,
    changes: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    probe: String,
    from: String,
    to: String,
    before: char,
    after: char,
}

/// All changes, by what changes them.
///
/// # Errors
/// Never, as there are only texts in it.
pub fn answer(changes: &Changes) -> serde_json::Result<String> {
    let sign = |verdict: Verdict| verdict.sign();
    let line = |change: &Change| Line {
        probe: change.probe.to_string(),
        from: change.from.to_string(),
        to: change.to.to_string(),
        before: sign(change.before),
        after: sign(change.after),
    };
    let groups = changes.groups.iter().map(|(causes, changes)| Group {
        causes: causes.iter().map(ToString::to_string).collect(),
        changes: changes.iter().map(line).collect(),
    });
    serde_json::to_string(&Answer {
        compared: changes.compared,
        groups: groups.collect(),
    })
}
