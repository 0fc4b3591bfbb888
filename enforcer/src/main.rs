//! The program `enforcer`: reads its command line, starts logging, does what it is told, and says how it ended.

use clap::Parser;
use enforcer::config::{CommandLine, Task};
use enforcer::{Unfit, check, diff, explain, lint, matrix, screen, stderr};
use std::process::ExitCode;

/// The exit code for a command line, a file it names, manifests or a kernel that are not fit.
const UNFIT: u8 = 2;

fn main() -> ExitCode {
    let task = match CommandLine::parse().into_task() {
        Ok(task) => task,
        Err(error) => {
            eprintln!("enforcer: {error}");
            return ExitCode::from(UNFIT);
        }
    };
    // Another part of the process may have chosen the same provider before, and there is no other.
    let _already_chosen = rustls::crypto::ring::default_provider().install_default();
    match task {
        Task::Run(config) => {
            stderr::log(&config.log);
            ended(enforcer::run(config).map(|()| ExitCode::SUCCESS), 1)
        }
        Task::Cleanup(cleanup) => {
            stderr::log(&cleanup.log);
            ended(enforcer::cleanup(cleanup).map(|()| ExitCode::SUCCESS), 1)
        }
        Task::Check(asked) => ended(check::command::run(&asked), UNFIT),
        Task::Matrix(matrix) => ended(matrix::run(&matrix), UNFIT),
        Task::Explain(explain) => ended(explain::run(&explain), UNFIT),
        Task::Lint(asked) => ended(lint::command::run(&asked), UNFIT),
        Task::Diff(diff) => ended(diff::run(&diff), UNFIT),
    }
}

/// Says why a task failed, if it did, and how the program ends: with `failed`, unless it never was fit to begin.
fn ended(outcome: anyhow::Result<ExitCode>, failed: u8) -> ExitCode {
    outcome.unwrap_or_else(|error| {
        let mut line = format!("{error:#}");
        screen::make_plain(&mut line, |_| false);
        eprintln!("enforcer: {line}");
        ExitCode::from(if error.is::<Unfit>() { UNFIT } else { failed })
    })
}
