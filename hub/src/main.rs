//! The program `hub`: command line, signals, exit code.

use clap::Parser;
use hub::config::members::MembersTask;
use hub::config::{CommandLine, Config, Security, Task};
use hub::server::StartError;
use hub::shutdown::{Shutdown, Trigger};
use hub::{certs, file_limit, members, stderr};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// Exit code for a command line, or a file it names, that is wrong.
const WRONG_USE: u8 = 2;

fn main() -> ExitCode {
    match CommandLine::parse().into_task() {
        Ok(Task::Serve(config)) => serve(config),
        Ok(Task::Certs(order, delivery)) => write_certs(order, delivery),
        Ok(Task::Members(task)) => manage_members(task),
        Err(error) => refuse(&error.into()),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn write_certs(order: certs::Order, delivery: certs::Delivery) -> ExitCode {
    #[expect(clippy::disallowed_methods, reason = "certificates begin and end by the wall clock")]
    let now = std::time::SystemTime::now();
    match certs::issue(order.clone(), now) {
        Ok(issued) if delivery.print == Some(certs::Print::Stdout) => eprint!("{}", issued.summary()),
        Ok(issued) if delivery.is_wanted() => print!("{}", issued.summary()),
        Ok(issued) => print!("{issued}"),
        Err(error) => return refuse(&error.into()),
    }
    install_provider();
    match certs::deliver(&order, &delivery, &mut std::io::stdout()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error),
    }
}

/// For the connections to API servers.
fn install_provider() {
    // Fails only where one is installed already, which is this one: ring is the only provider that is linked.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn fail(error: members::Error) -> ExitCode {
    if error.is_wrong_use() {
        return refuse(&error.into());
    }
    eprintln!("hub: {error}");
    ExitCode::FAILURE
}

/// Exit code for a command that did all but what it was not to do.
const PARTLY: u8 = 3;

#[tokio::main(flavor = "current_thread")]
async fn manage_members(task: MembersTask) -> ExitCode {
    install_provider();
    match members::run(task, &mut std::io::stdout()).await {
        Ok(members::Done::All) => ExitCode::SUCCESS,
        Ok(members::Done::ButLabels) => ExitCode::from(PARTLY),
        Err(error) => fail(error),
    }
}

fn refuse(error: &anyhow::Error) -> ExitCode {
    eprintln!("hub: {error:#}");
    ExitCode::from(WRONG_USE)
}

fn serve(config: Config) -> ExitCode {
    stderr::log(&config.log_level, config.log_format);
    rustls::crypto::ring::default_provider()
        .install_default()
        .expect("nothing has installed another provider");
    match run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<StartError>() => refuse(&error),
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "hub has failed");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(config: Config) -> anyhow::Result<()> {
    let Config {
        clusters,
        listen,
        security,
        admin,
        pod_ranges,
        switches,
        log_level,
        log_format: _,
    } = &config;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        clusters = %clusters.display(),
        %listen,
        %security,
        %admin,
        ?pod_ranges,
        ?switches,
        log_level,
        open_files = file_limit::raise(),
        "hub starts"
    );
    if *security == Security::Insecure {
        tracing::warn!(%listen, "--insecure: whoever reaches the hub may read everything and report as any node");
    }
    let (trigger, shutdown) = Shutdown::new();
    let signals = tokio::spawn(stop_on_signal(trigger)?);
    hub::run(config, shutdown).await?;
    signals.abort();
    tracing::info!("hub has stopped");
    Ok(())
}

/// Waits for SIGTERM or SIGINT, then asks all tasks to end.
fn stop_on_signal(trigger: Trigger) -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = name, "hub stops");
        trigger.pull();
    })
}
