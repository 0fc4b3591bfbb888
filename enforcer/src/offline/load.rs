//! What every command that judges manifests does first: reading them, and saying on stderr what is wrong with them.
//!
//! Shell. What is wrong with an object never ends a command: what stands beside it can be judged.

use super::clusterset::ClusterSet;
use super::ends::{self, End};
use super::manifests::{Manifests, ReadError};
use crate::screen;
use crate::switches::Switches;
use std::io;
use std::path::{Path, PathBuf};

/// The most complaints that are printed; one more line says how many there are beyond.
const MAX_COMPLAINTS: usize = 200;

/// Why a file of ends says nothing.
#[derive(Debug, thiserror::Error)]
pub enum EndsError {
    /// It cannot be read.
    #[error("cannot read {}, which should be a file with one end a line", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line of it is no end.
    #[error("{}, line {line}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// Why.
        source: ends::ParseError,
    },
    /// A line of it names a pod that no manifest has.
    #[error("{}, line {line}: no manifest has the pod {end}", path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// The pod.
        end: End,
    },
    /// It has no line with an end.
    #[error("{}: no ends in it: expected one a line, cluster/namespace/pod or ip:ADDRESS", .0.display())]
    Empty(PathBuf),
}

/// Reads a folder of manifests.
///
/// # Errors
/// If there is nothing to judge.
pub fn clusterset(dir: &Path, switches: Switches) -> Result<ClusterSet, ReadError> {
    let manifests = Manifests::read(dir)?;
    let set = ClusterSet::new(&manifests, switches);
    let complaints = manifests.complaints.iter().chain(set.complaints());
    for complaint in complaints.clone().take(MAX_COMPLAINTS) {
        let mut line = format!("{}{complaint}", dir.join("").display());
        screen::make_plain(&mut line, |_| false);
        eprintln!("enforcer: {line}");
    }
    let count = complaints.count();
    if count > MAX_COMPLAINTS {
        eprintln!("enforcer: and {} more such complaints", count - MAX_COMPLAINTS);
    }
    Ok(set)
}

/// Reads a file of ends, one a line; empty lines and those that begin with `#` are none. Pods must be in `known`.
///
/// # Errors
/// If it cannot be read, names no end, or one that is in no manifest: a slip of the pen, not a pod without traffic.
pub fn ends(path: &Path, known: impl Fn(&End) -> bool) -> Result<Vec<End>, EndsError> {
    let text = std::fs::read_to_string(path).map_err(|source| EndsError::Io {
        path: path.to_owned(),
        source,
    })?;
    let lines = (1..).zip(text.lines().map(str::trim));
    let mut ends = Vec::new();
    for (line, text) in lines.filter(|(_, text)| !text.is_empty() && !text.starts_with('#')) {
        let path = || path.to_owned();
        let end: End = text.parse().map_err(|source| EndsError::Line {
            path: path(),
            line,
            source,
        })?;
        if !known(&end) {
            return Err(EndsError::Unknown {
                path: path(),
                line,
                end,
            });
        }
        ends.push(end);
    }
    if ends.is_empty() {
        return Err(EndsError::Empty(path.to_owned()));
    }
    Ok(ends)
}
