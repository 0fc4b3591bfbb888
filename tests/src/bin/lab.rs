//! `lab`: clusters, nodes and pods on one machine, without Kubernetes, with real packets.

use anyhow::Result;
use clap::Parser;
use std::process::ExitCode;
use tests::assets::Missing;
use tests::lab::args::{Bench, Command, CommandLine};
use tests::lab::setup::{Ground, Unfit};
use tests::lab::{bench, demo, matrix, up};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

/// A packet did what no policy says, or a part failed.
const FAILED: u8 = 1;
/// The command line, the manifests or this machine lack something.
const UNFIT: u8 = 2;
/// Ended by Ctrl-C or SIGTERM, as shells count it.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let CommandLine { command } = CommandLine::parse();
    match prepare_and_run(command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("lab: {error:#}");
            let unfit = error.chain().any(|cause| cause.is::<Unfit>() || cause.is::<Missing>());
            ExitCode::from(if unfit { UNFIT } else { FAILED })
        }
    }
}

/// Threads that start later are where this one is then: outside of the machine's network.
fn prepare_and_run(command: Command) -> Result<ExitCode> {
    let ground = Ground::prepare()?;
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let code = runtime.block_on(async {
        tokio::select! {
            done = run(&ground, command) => done,
            stopped = interrupted() => stopped,
        }
    });
    runtime.shutdown_background();
    code
}

async fn run(ground: &Ground, command: Command) -> Result<ExitCode> {
    match command {
        Command::Demo(network) => demo::run(ground, network).await,
        Command::Up(up) => match up::run(ground, up).await? {},
        Command::Matrix(matrix) => matrix::run(ground, matrix).await.map(|()| ExitCode::SUCCESS),
        Command::Bench(Bench::Latency(latency)) => bench::run(ground, latency).await.map(|()| ExitCode::SUCCESS),
    }
}

/// The lab's parts end as the command's future is dropped: programs are killed, network namespaces and files go.
async fn interrupted() -> Result<ExitCode> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    eprintln!("lab: ended; nothing of it stays");
    Ok(ExitCode::from(INTERRUPTED))
}
