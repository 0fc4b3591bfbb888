//! `enforcer lint`: reads manifests, says what is found.
//!
//! Shell. The complaints of the reader are findings like any other, so stderr is silent unless there is nothing to look at.

use super::{Findings, Severity, json, lint, sarif, text};
use crate::offline::{ClusterSet, Manifests};
use crate::screen::{self, Ink};
use crate::switches::Switches;
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::process::ExitCode;

/// What is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lint {
    /// The folder of clusters.
    pub dir: PathBuf,
    /// What is decided where NetworkPolicy leaves a choice.
    pub switches: Switches,
    /// How to answer.
    pub format: Format,
}

/// How findings are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// One JSON object: findings, and how many there are of each severity
    Json,
    /// SARIF 2.1.0, as code hosts and editors read it
    Sarif,
}

/// The exit code if anything found is an error.
const FAULTY: u8 = 1;

/// Looks and prints.
///
/// # Errors
/// If there is nothing to look at, or stdout cannot be written.
pub fn run(asked: &Lint) -> Result<ExitCode> {
    let manifests = Manifests::read(&asked.dir)?;
    let findings: Findings = lint(&manifests, &ClusterSet::new(&manifests, asked.switches));
    let answer = match asked.format {
        Format::Text => text(&findings, Ink::of_stdout()),
        Format::Json => json(&findings),
        Format::Sarif => sarif(&findings, &asked.dir),
    };
    screen::answer(answer.trim_end_matches('\n')).context("cannot write to stdout")?;
    Ok(match findings.count(Severity::Error) {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::from(FAULTY),
    })
}
