//! Where the program's log lines go: stderr, for people or machines.

use crate::config::LogFormat;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// The client of the API servers writes an ERROR line for each attempt that fails; the feeds say once what is wrong. A
/// filter of its own still brings it back: `info,kube_client=info`.
const SILENCED: &str = "kube_client=off";

/// Begins to log. `filter` is one that [`crate::config`] has let pass. Colours are for terminals; `NO_COLOR` turns
/// them off.
pub fn log(filter: &str, format: LogFormat) {
    let filter = EnvFilter::try_new(format!("{SILENCED},{filter}")).expect("the configuration is validated");
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Json => lines.json().init(),
        LogFormat::Text if std::io::stderr().is_terminal() => lines.init(),
        LogFormat::Text => lines.with_ansi(false).init(),
    }
}
