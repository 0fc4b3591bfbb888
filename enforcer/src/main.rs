//! The program `enforcer`: reads its command line, starts logging, does what it is told, and says how it ended.

use clap::Parser;
use enforcer::config::{CommandLine, Task};
use enforcer::{Unfit, stderr};
use std::process::ExitCode;

/// The exit code for a command line, a file it names or a kernel that is not fit.
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
    let outcome = match task {
        Task::Run(config) => {
            stderr::log(&config.log);
            enforcer::run(config)
        }
        Task::Cleanup(log) => {
            stderr::log(&log);
            enforcer::cleanup()
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("enforcer: {error:#}");
            ExitCode::from(if error.is::<Unfit>() { UNFIT } else { 1 })
        }
    }
}
