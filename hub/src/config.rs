//! Flags and environment → [`Config`].
//!
//! The one place that reads the command line. Everything a person can get wrong there ends here, with what to do.

use crate::certs;
use crate::ranges::PodRanges;
use clap::ValueEnum;
use proto::selector::Switches;
use proto::tls;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

mod command_line;
pub mod members;
pub use command_line::CommandLine;

/// How log lines are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What the program is to do.
#[derive(Debug)]
pub enum Task {
    /// Serve.
    Serve(Config),
    /// Write a trial PKI, and bring it where it belongs.
    Certs(certs::Order, certs::Delivery),
    /// Add, list or remove members.
    Members(members::MembersTask),
}

/// All that a serving hub is told. Validated; read from nowhere else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Folder of kubeconfigs.
    pub clusters: PathBuf,
    /// Where enforcers and queries are served.
    pub listen: SocketAddr,
    /// Who may connect there.
    pub security: Security,
    /// Where health and metrics are served, in plain HTTP.
    pub admin: SocketAddr,
    /// What selectors mean in queries.
    pub switches: Switches,
    /// Where clusters may have pods.
    pub pod_ranges: PodRanges,
    /// What is logged, as a filter of `tracing-subscriber`.
    pub log_level: String,
    /// How it is written.
    pub log_format: LogFormat,
}

/// Who may connect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Security {
    /// Everyone, and may do everything.
    Insecure,
    /// Who has a certificate of the client CA, for what its URI SAN says.
    MutualTls(tls::Files),
}

impl fmt::Display for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Insecure => f.write_str("insecure"),
            Self::MutualTls(tls::Files { certificate, key, ca }) => write!(
                f,
                "mutual TLS (certificate {}, key {}, client CA {})",
                certificate.display(),
                key.display(),
                ca.display()
            ),
        }
    }
}

/// What is wrong with the command line although each flag by itself is fine.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The one flag that has no default is missing.
    #[error(
        "--clusters is missing: name the folder that holds one kubeconfig per member cluster, e.g. --clusters ./clusters"
    )]
    NoClusters,
    /// `--insecure` beside TLS flags.
    #[error("--insecure contradicts {0}: leave one of them away")]
    InsecureWithTls(&'static str),
    /// Some or all TLS flags are missing.
    #[error(
        "missing {0}: mutual TLS needs --tls-cert, --tls-key and --client-ca (hub certs --out ./pki writes a trial set); \
         for a trial without TLS say --insecure"
    )]
    IncompleteTls(String),
    /// A file or folder cannot be read.
    #[error("{flag} {}: {reason}: name {wanted} that this user may read", path.display())]
    Unreadable {
        /// The flag that names it.
        flag: &'static str,
        /// It.
        path: PathBuf,
        /// What it should be.
        wanted: &'static str,
        /// Why it cannot be read.
        reason: String,
    },
    /// Two listeners on one address.
    #[error("--listen and --admin are both {0}: give them different ports")]
    SameAddress(SocketAddr),
    /// The log filter does not parse.
    #[error(
        "--log-level {level:?}: {reason}: expected error, warn, info, debug, trace or a filter like info,hub=debug"
    )]
    LogLevel {
        /// What was given.
        level: String,
        /// Why it is none.
        reason: String,
    },
}

/// Checks a filter. A part without `=` must be a level: to `tracing-subscriber` any other word is the name of a module
/// that logs everything, and a misspelt level would silence the rest.
fn log_filter(level: &str) -> Result<(), ConfigError> {
    let misspelt = level
        .split(',')
        .find(|part| !part.contains(['=', '[']) && part.parse::<tracing::level_filters::LevelFilter>().is_err());
    let reason = match (misspelt, tracing_subscriber::EnvFilter::try_new(level)) {
        (Some(part), _) => format!("{part:?} is no level"),
        (None, Err(error)) => error.to_string(),
        (None, Ok(_)) => return Ok(()),
    };
    Err(ConfigError::LogLevel {
        level: level.to_owned(),
        reason,
    })
}

fn security(
    insecure: bool,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    client_ca: Option<PathBuf>,
) -> Result<Security, ConfigError> {
    let flags = [
        ("--tls-cert", &tls_cert),
        ("--tls-key", &tls_key),
        ("--client-ca", &client_ca),
    ];
    if insecure {
        return match flags.iter().find(|(_, value)| value.is_some()) {
            Some((flag, _)) => Err(ConfigError::InsecureWithTls(flag)),
            None => Ok(Security::Insecure),
        };
    }
    let missing: Vec<&str> = flags
        .iter()
        .filter(|(_, value)| value.is_none())
        .map(|(flag, _)| *flag)
        .collect();
    let (Some(certificate), Some(key), Some(ca)) = (tls_cert, tls_key, client_ca) else {
        return Err(ConfigError::IncompleteTls(missing.join(", ")));
    };
    for (flag, path) in [("--tls-cert", &certificate), ("--tls-key", &key), ("--client-ca", &ca)] {
        readable(flag, path, "a PEM file", std::fs::read(path).err())?;
    }
    Ok(Security::MutualTls(tls::Files { certificate, key, ca }))
}

fn readable(
    flag: &'static str,
    path: &Path,
    wanted: &'static str,
    error: Option<std::io::Error>,
) -> Result<(), ConfigError> {
    match error {
        None => Ok(()),
        Some(error) => Err(ConfigError::Unreadable {
            flag,
            path: path.to_owned(),
            wanted,
            reason: error.to_string(),
        }),
    }
}

#[cfg(test)]
mod tests;
