//! `enforcer check`: looks, or asks two nodes whether packets arrive as they were sent, and says what was found.
//!
//! Shell.

use super::{Finding, check, collect, json, ranges, text, translation};
use crate::lint::Severity;
use crate::screen::{self, Ink};
use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

/// What is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Check {
    /// What to look at.
    pub what: What,
    /// How to answer.
    pub format: Format,
}

/// What to look at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    /// This node; where the socket of NRI is to be, if it is to be used.
    Node(Option<PathBuf>),
    /// The pod ranges of the clusters of some contexts.
    Clusters {
        /// The file that has them; none: as kubectl finds it.
        kubeconfig: Option<PathBuf>,
        /// Their names.
        contexts: Vec<String>,
    },
    /// Answer probes at this address.
    Listen(SocketAddr),
    /// Probe who listens at this address.
    Probe(SocketAddr),
}

/// How findings are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// One JSON object
    Json,
}

/// The exit code if anything found is an error.
const FAULTY: u8 = 1;

/// Looks and prints.
///
/// # Errors
/// If an address cannot be listened on or probed, or stdout cannot be written.
pub fn run(asked: &Check) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (answer, is_faulty) = match asked.what.clone() {
            What::Node(nri) => {
                let facts = collect::collect(nri).await;
                let findings = check(&facts);
                let answer = match asked.format {
                    Format::Text => text::text(&text::seen(&facts), &findings, Ink::of_stdout()),
                    Format::Json => json::json(Some(&facts), &findings),
                };
                (answer, has_errors(&findings))
            }
            What::Clusters { kubeconfig, contexts } => {
                let clusters = ranges::read(kubeconfig.as_deref(), &contexts).await?;
                let findings = ranges::check(&clusters);
                let answer = match asked.format {
                    Format::Text => text::text(&ranges::seen(&clusters), &findings, Ink::of_stdout()),
                    Format::Json => json::json(None, &findings),
                };
                (answer, has_errors(&findings))
            }
            What::Listen(address) => {
                translation::listen(address).await?;
                return Ok(ExitCode::SUCCESS);
            }
            What::Probe(address) => {
                let report = translation::probe(address).await?;
                let answer = match asked.format {
                    Format::Text => report.text(),
                    Format::Json => report.json(),
                };
                (answer, !report.is_as_sent())
            }
        };
        screen::answer(&answer).context("cannot write to stdout")?;
        Ok(if is_faulty {
            ExitCode::from(FAULTY)
        } else {
            ExitCode::SUCCESS
        })
    })
}

fn has_errors(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Error)
}
