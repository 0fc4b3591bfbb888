//! `enforcer diff`: which verdicts change between two folders of manifests, and what changes them.
//!
//! Shell: reads both folders, prints the answer. [`changes`] finds the differences and lays them at the door of policies,
//! [`text`] and [`json`] say them. Verdicts are [`crate::offline`]'s, who isolates and admits is
//! [`crate::explain::evaluate`]'s word.

pub mod changes;
pub mod json;
pub mod text;

use crate::offline::ends::{End, Probe};
use crate::offline::load;
use crate::screen::{self, Ink};
use crate::switches::Switches;
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

/// What is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diff {
    /// The folder of clusters as they are.
    pub before: PathBuf,
    /// The folder of clusters as they would be.
    pub after: PathBuf,
    /// What is sent; at least one.
    pub probes: Vec<Probe>,
    /// A file with one end a line; `None`: all pods of both.
    pub ends: Option<PathBuf>,
    /// What is decided where NetworkPolicy leaves a choice.
    pub switches: Switches,
    /// How to answer.
    pub format: Format,
}

/// How a difference is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// All changed verdicts, with what changes them, on one line
    Json,
}

/// Compares and prints. As of diff(1): success is "no difference", failure "some", an error trouble.
///
/// # Errors
/// If there is nothing to compare, or stdout cannot be written.
pub fn run(diff: &Diff) -> Result<ExitCode> {
    let before = load::clusterset(&diff.before, diff.switches)?;
    let after = load::clusterset(&diff.after, diff.switches)?;
    let ends: Vec<End> = match &diff.ends {
        None => {
            let both: BTreeSet<End> = before.ends().into_iter().chain(after.ends()).collect();
            both.into_iter().collect()
        }
        Some(file) => load::ends(file, |end| before.knows(end) || after.knows(end))?,
    };
    let workers = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let changes = changes::between(&before, &after, &ends, &diff.probes, workers);
    let answer = match diff.format {
        Format::Json => json::answer(&changes).context("cannot write JSON")?,
        Format::Text => text::answer(&changes, Ink::of_stdout()),
    };
    screen::answer(&answer).context("cannot write to stdout")?;
    Ok(match changes.groups.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

#[cfg(test)]
mod tests;
