//! Where the program's log lines go: stderr, for people or machines.

use crate::config::{Log, LogFormat};
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// The client of the API server writes an ERROR line for each attempt that fails; the feeds say once what is wrong. A
/// filter of its own still brings it back: `info,kube_client=info`.
const SILENCED: &str = "kube_client=off";

/// Begins to log. Colours are for terminals; `NO_COLOR` turns them off.
pub fn log(log: &Log) {
    let filter = EnvFilter::try_new(format!("{SILENCED},{}", log.level)).expect("the configuration is validated");
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match log.format {
        LogFormat::Json => lines.json().init(),
        LogFormat::Text if std::io::stderr().is_terminal() => lines.init(),
        LogFormat::Text => lines.with_ansi(false).init(),
    }
}
