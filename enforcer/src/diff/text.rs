//! A difference for people: what changes verdicts, how many, and which.
//!
//! Pure. Bounded: what does not fit is counted.

use super::changes::{Causes, Change, Changes, Turn};
use crate::offline::ends::{End, Probe};
use crate::screen::{self, Ink, Tone};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// The most groups that are shown.
const MAX_GROUPS: usize = 100;

/// The most lines of a group that are shown.
const MAX_LINES: usize = 12;

/// The most ends of a side of a line that are named.
const MAX_NAMES: usize = 3;

/// All changes, by what changes them.
pub fn answer(changes: &Changes, ink: Ink) -> String {
    let compared = changes.compared;
    if changes.groups.is_empty() {
        return format!("no verdict changes ({compared} compared)");
    }
    let mut text = String::new();
    for (causes, changes) in changes.groups.iter().take(MAX_GROUPS) {
        group(&mut text, causes, changes, ink);
    }
    if changes.groups.len() > MAX_GROUPS {
        let _ = writeln!(
            text,
            "and {} more; --format json has all\n",
            changes.groups.len() - MAX_GROUPS
        );
    }
    let all = changes.groups.values().flatten();
    let verdicts = if compared == 1 { "verdict" } else { "verdicts" };
    let _ = write!(text, "in all {} ({compared} {verdicts} compared)", counts(all));
    text
}

fn group(text: &mut String, causes: &Causes, changes: &[Change], ink: Ink) {
    let names: Vec<String> = causes.iter().map(plain).collect();
    let names = match names.as_slice() {
        [] => "something else".to_owned(),
        names => names.join(", "),
    };
    let _ = writeln!(text, "{}   {}", ink.paint(Tone::Strong, names), counts(changes));
    for turn in Turn::ALL {
        let of_turn: Vec<&Change> = changes.iter().filter(|change| change.turn() == turn).collect();
        let (word, tone) = match turn {
            Turn::Opens => ("opens", Tone::Good),
            Turn::Closes => ("closes", Tone::Bad),
            Turn::Appears => ("new", Tone::Quiet),
            Turn::Goes => ("gone", Tone::Quiet),
        };
        let lines = lines(&of_turn);
        for Line { probe, from, to } in lines.iter().take(MAX_LINES) {
            let word = ink.paint(tone, format!("{word:<6}"));
            let _ = writeln!(text, "  {word}  {probe}  {} → {}", some(from), some(to));
        }
        if lines.len() > MAX_LINES {
            let rest: usize = lines[MAX_LINES..]
                .iter()
                .map(|line| line.from.len() * line.to.len())
                .sum();
            let _ = writeln!(text, "  {word:<6}  and {rest} more; --format json has all");
        }
    }
    text.push('\n');
}

/// "opens 12, closes 3".
fn counts<'a>(changes: impl IntoIterator<Item = &'a Change>) -> String {
    let mut counted = Turn::ALL.map(|turn| (turn, 0));
    for change in changes {
        let turn = change.turn();
        counted
            .iter_mut()
            .filter(|(counted, _)| *counted == turn)
            .for_each(|(_, count)| *count += 1);
    }
    let parts = counted
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(turn, count)| match turn {
            Turn::Opens => format!("opens {count}"),
            Turn::Closes => format!("closes {count}"),
            Turn::Appears => format!("{count} new"),
            Turn::Goes => format!("{count} gone"),
        });
    parts.collect::<Vec<_>>().join(", ")
}

/// Changes of every `from` to every `to`.
struct Line<'a> {
    probe: Probe,
    from: Vec<&'a End>,
    to: Vec<&'a End>,
}

/// The changes in as few lines as sources that change alike, or destinations that do, allow.
fn lines<'a>(changes: &[&'a Change]) -> Vec<Line<'a>> {
    let by_destination = alike(changes.iter().map(|change| (change.probe, &change.to, &change.from)));
    let by_source = alike(changes.iter().map(|change| (change.probe, &change.from, &change.to)));
    if by_destination.len() <= by_source.len() {
        let lines = by_destination.into_iter();
        lines.map(|(probe, to, from)| Line { probe, from, to }).collect()
    } else {
        let lines = by_source.into_iter();
        lines.map(|(probe, from, to)| Line { probe, from, to }).collect()
    }
}

/// Ends with the same others, together.
fn alike<'a>(pairs: impl Iterator<Item = (Probe, &'a End, &'a End)>) -> Vec<(Probe, Vec<&'a End>, Vec<&'a End>)> {
    let mut others: BTreeMap<(Probe, &End), BTreeSet<&End>> = BTreeMap::new();
    for (probe, end, other) in pairs {
        others.entry((probe, end)).or_default().insert(other);
    }
    let mut together: BTreeMap<(Probe, BTreeSet<&End>), Vec<&End>> = BTreeMap::new();
    for ((probe, end), others) in others {
        together.entry((probe, others)).or_default().push(end);
    }
    let lines = together.into_iter();
    lines
        .map(|((probe, others), ends)| (probe, ends, others.into_iter().collect()))
        .collect()
}

/// The first few, and how many more.
fn some(ends: &[&End]) -> String {
    let shown: Vec<String> = ends.iter().take(MAX_NAMES).map(plain).collect();
    match ends.len().saturating_sub(MAX_NAMES) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A name as it can be shown.
fn plain(name: &impl ToString) -> String {
    let mut name = name.to_string();
    screen::make_plain(&mut name, |_| false);
    name
}
