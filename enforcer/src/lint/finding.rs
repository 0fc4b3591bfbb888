//! What a lint finds: its words, and how many of them there may be.
//!
//! Pure. Knows no manifests and no output format.

use crate::screen;
use proto::model::ClusterName;
use std::collections::BTreeMap;
use std::fmt;

/// How bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something is not in force as it is written, or two objects contradict each other: `enforcer lint` ends with 1.
    Error,
    /// In force as it is written, and probably not what was meant.
    Warning,
    /// Worth knowing; may well be meant.
    Note,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}

/// A kind of finding.
#[derive(PartialEq, Eq, Debug)]
pub struct Rule {
    /// What it is called in every output: stable, in small letters and hyphens.
    pub id: &'static str,
    /// The severity it mostly has; that of a finding may be another.
    pub severity: Severity,
    /// What it finds, in a line.
    pub finds: &'static str,
    /// Why that matters, for people who meet it for the first time.
    pub help: &'static str,
}

/// Where an object was read.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, serde::Serialize)]
pub struct Location {
    /// The file, relative to the folder that was given, with slashes.
    pub file: String,
    /// Which of its documents, from 1; none: the file or folder itself.
    pub document: Option<usize>,
    /// The line on which that begins, from 1.
    pub line: usize,
}

/// What a finding is about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Subject {
    /// The cluster; none: a file that belongs to none.
    pub cluster: Option<ClusterName>,
    /// The kind of object, as in manifests; none: a file or a piece of it that is no object.
    pub kind: Option<&'static str>,
    /// Namespace, if it is in one, slash and name; for a file its path.
    pub name: String,
    /// Where it was read, if it was.
    pub location: Option<Location>,
}

impl fmt::Display for Subject {
    /// `NetworkPolicy cluster-a/shop/allow-frontend`: kind, then the name as kubectl prints it, cluster first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(kind) = self.kind {
            write!(f, "{kind} ")?;
            if let Some(cluster) = &self.cluster {
                write!(f, "{cluster}/")?;
            }
        }
        f.write_str(&self.name)
    }
}

/// One thing that an administrator should know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// Of which kind it is.
    pub rule: &'static Rule,
    /// How bad it is here.
    pub severity: Severity,
    /// The object.
    pub subject: Subject,
    /// Path of the field; empty: the object as a whole.
    pub field: String,
    /// What happens.
    pub happens: String,
    /// What to write instead, or what to do.
    pub instead: Option<String>,
}

impl Finding {
    /// As it can be shown: on a line where it should be one, without what a terminal would obey, and not endless (P5).
    fn made_plain(mut self) -> Self {
        let texts = [&mut self.subject.name, &mut self.field, &mut self.happens];
        for text in texts.into_iter() {
            screen::make_plain(text, |_| false);
        }
        if let Some(instead) = &mut self.instead {
            screen::make_plain(instead, |c| c == '\n');
        }
        self
    }
}

/// The most findings of one rule and severity that are kept, 500: beyond that they are counted. A folder of 10,000 objects that all
/// have the same fault is told so once, not 10,000 times.
pub const MAX_FINDINGS_PER_RULE: usize = 500;

/// All that was found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Findings {
    /// By object, then field.
    found: Vec<Finding>,
    /// How many of each rule and severity were found.
    counts: BTreeMap<(&'static str, Severity), usize>,
}

impl Findings {
    /// Adds one, or counts it if there are too many like it.
    pub(super) fn add(&mut self, finding: Finding) {
        let count = self.counts.entry((finding.rule.id, finding.severity)).or_default();
        *count += 1;
        if *count <= MAX_FINDINGS_PER_RULE {
            self.found.push(finding.made_plain());
        }
    }

    /// In the order in which they are shown: by object, and for each the worst first, then by field.
    pub(super) fn sort(&mut self) {
        let key = |finding: &Finding| {
            let Finding {
                rule,
                severity,
                subject,
                field,
                happens,
                ..
            } = finding;
            (subject.clone(), *severity, natural(field), rule.id, happens.clone())
        };
        self.found.sort_by_cached_key(key);
    }

    /// Those that are kept.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.found.iter()
    }

    /// How many there are of a severity, those that are not kept included.
    pub fn count(&self, severity: Severity) -> usize {
        let of_severity = self.counts.iter().filter(|((_, of), _)| *of == severity);
        of_severity.map(|(_, count)| count).sum()
    }

    /// How many of each rule are not kept.
    pub fn omitted(&self) -> BTreeMap<&'static str, usize> {
        let mut omitted = BTreeMap::new();
        for ((rule, _), count) in &self.counts {
            if let Some(more @ 1..) = count.checked_sub(MAX_FINDINGS_PER_RULE) {
                *omitted.entry(*rule).or_default() += more;
            }
        }
        omitted
    }
}

/// A path in pieces that sort as people count: `from[2]` before `from[10]`.
fn natural(path: &str) -> Vec<(u64, String)> {
    let pieces = path.split_inclusive(|c: char| !c.is_ascii_digit());
    let piece = |piece: &str| {
        let digits = piece.trim_end_matches(|c: char| !c.is_ascii_digit());
        (digits.parse().unwrap_or(0), piece[digits.len()..].to_owned())
    };
    pieces.map(piece).collect()
}
