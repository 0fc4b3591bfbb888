//! `enforcer explain`: why a connection is allowed or refused.
//!
//! ```text
//! manifests ─→ offline::judge ─→ connection ─→ evaluate ─→ telling ─→ answer ─→ text, JSON
//! ```
//!
//! Shell: reads manifests, prints the answer. The verdict is the compiled ruleset's ([`crate::offline::judge`]);
//! [`evaluate`] holds the policies as they are written against the same connection, [`telling`] puts that into the words of
//! an [`answer`].

pub mod answer;
pub mod ends;
pub mod evaluate;
mod nearest;
pub mod peers;
pub mod ports;
pub mod telling;
pub mod text;
pub mod words;

use crate::offline::ends::End;
use crate::offline::judge::Judge;
use crate::offline::load;
use crate::screen::{self, Ink};
use crate::switches::Switches;
use answer::Question;
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::ExitCode;

/// The exit code for a connection that is refused.
const REFUSED: u8 = 1;

/// The exit code for one that cannot be.
const NO_TRAFFIC: u8 = 2;

/// What is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explain {
    /// The folder of clusters.
    pub dir: PathBuf,
    /// The connection.
    pub question: Question,
    /// What is decided where NetworkPolicy leaves a choice.
    pub switches: Switches,
    /// How to answer.
    pub format: Format,
}

/// How an explanation is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// All of it, for programs
    Json,
}

/// Explains and prints.
///
/// # Errors
/// If there is nothing to judge, an end is a pod that no manifest has, or stdout cannot be written.
pub fn run(explain: &Explain) -> Result<ExitCode> {
    let set = load::clusterset(&explain.dir, explain.switches)?;
    let Question { from, to, .. } = &explain.question;
    for (flag, end) in [("--from", from), ("--to", to)] {
        if let End::Pod(name) = end
            && set.pod(name).is_none()
        {
            bail!("{flag} {name}: no manifest has this pod{}", ends::alike(&set, name));
        }
    }
    let judge = Judge::new(&set);
    let answer = telling::answer(&set, &judge, &explain.question);
    let text = match explain.format {
        Format::Text => text::render(&answer, Ink::of_stdout()),
        Format::Json => serde_json::to_string_pretty(&answer)?,
    };
    screen::answer(&text).context("cannot write to stdout")?;
    Ok(match answer.verdict {
        "allowed" => ExitCode::SUCCESS,
        "refused" => ExitCode::from(REFUSED),
        _ => ExitCode::from(NO_TRAFFIC),
    })
}

#[cfg(test)]
mod tests;
