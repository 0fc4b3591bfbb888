//! `enforcer matrix`: every end against every end.
//!
//! Shell: reads manifests, prints verdicts. They are [`crate::offline`]'s.

use crate::offline::ends::{Exchange, Probe};
use crate::offline::tables::tables;
use crate::offline::{grid, load};
use crate::screen::{self, Ink};
use crate::switches::Switches;
use anyhow::{Context, Result};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

/// What is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Matrix {
    /// The folder of clusters.
    pub dir: PathBuf,
    /// What is sent; at least one.
    pub probes: Vec<Probe>,
    /// A file with one end a line; `None`: all pods.
    pub ends: Option<PathBuf>,
    /// What is decided where NetworkPolicy leaves a choice.
    pub switches: Switches,
    /// How to answer.
    pub format: Format,
}

/// How a matrix is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// The exchange format of everything that judges, on one line
    Json,
}

/// Judges and prints.
///
/// # Errors
/// If there is nothing to judge, or stdout cannot be written.
pub fn run(matrix: &Matrix) -> Result<ExitCode> {
    let set = load::clusterset(&matrix.dir, matrix.switches)?;
    let ends = match &matrix.ends {
        None => {
            let pods = set.ends();
            if pods.is_empty() {
                eprintln!(
                    "enforcer: {}: no manifest has a Pod, so there are no verdicts: export pods too, or name ends with --ends",
                    matrix.dir.display()
                );
            }
            pods
        }
        Some(file) => load::ends(file, |end| set.knows(end))?,
    };
    let workers = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let tables = tables(&set, &ends, &matrix.probes, workers);
    let text = match matrix.format {
        Format::Json => serde_json::to_string(&Exchange::new(&ends, &tables))?,
        Format::Table => grid::matrix(&ends, &tables, Ink::of_stdout()),
    };
    screen::answer(&text).context("cannot write to stdout")?;
    Ok(ExitCode::SUCCESS)
}
