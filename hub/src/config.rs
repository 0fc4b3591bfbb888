//! Flags and environment → [`Config`].
//!
//! The one place that reads the command line. Everything a person can get wrong there ends here, with what to do.

use crate::certs;
use clap::{Args, Parser, Subcommand, ValueEnum};
use proto::model::ClusterName;
use proto::tls;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// Where the hub serves when nothing else is said: every address if clients must show a certificate, this machine if not.
const LISTEN_PORT: u16 = 7443;

const EXAMPLES: &str = "\
Examples:
  A trial on one machine, without certificates:
      hub --clusters ./clusters --insecure
      grpcurl -plaintext localhost:7443 bailey.v1.Inventory/ListClusters

  With mutual TLS, from a trial PKI:
      hub certs --out ./pki --cluster cluster-a --cluster cluster-b
      hub --clusters ./clusters --client-ca pki/ca.crt \\
          --tls-cert pki/hub.crt --tls-key pki/hub.key

  What the API offers, comments included:
      grpcurl -plaintext localhost:7443 describe bailey.v1.Inventory

What a certificate is for stands in its URI SAN, bailey://<trust domain>/…
  …/cluster/<id>               enforcers of a cluster subscribe and report
  …/cluster/<id>/node/<name>   the enforcer of one node, for that node only
  …/reader                     people and tools query

Exit codes:
  0  stopped by SIGTERM or SIGINT
  1  failed while running; the log says why
  2  the command line or a file it names is wrong; the message says what to do";

const CERTS_EXAMPLES: &str = "\
Examples:
  hub certs --out ./pki --cluster cluster-a --cluster cluster-b
  hub certs --out ./pki --node cluster-a/node-1 --hub-san hub.example.com

Run it again with the same --out to add a cluster or to renew certificates: the
CA is kept, the others are written anew. Hub and enforcers take renewed files up
without a restart.";

/// The command line.
#[derive(Parser, Debug)]
#[command(
    name = "hub",
    version,
    about = "Watches the API servers of a ClusterSet and streams its pods and namespaces to enforcers",
    after_help = "--help has examples and exit codes",
    after_long_help = EXAMPLES,
    args_conflicts_with_subcommands = true
)]
pub struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeFlags,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Write a trial PKI: a CA, and certificates for the hub, for readers and for enforcers
    #[command(after_help = CERTS_EXAMPLES)]
    Certs(CertsFlags),
}

#[derive(Args, Debug)]
struct ServeFlags {
    /// Folder with one kubeconfig per member cluster
    ///
    /// A file's name, less .kubeconfig, .yaml or .yml, is the cluster's id. Files may come, go and change while the hub
    /// runs; names that begin with a dot are skipped.
    #[arg(long, value_name = "DIR", env = "BAILEY_HUB_CLUSTERS")]
    clusters: Option<PathBuf>,

    /// Address to serve enforcers and queries on [default: [::]:7443, with --insecure 127.0.0.1:7443]
    #[arg(long, value_name = "ADDR", env = "BAILEY_HUB_LISTEN", value_parser = socket_address)]
    listen: Option<SocketAddr>,

    /// The hub's certificate chain, as PEM; read again when it changes
    #[arg(long, value_name = "FILE", env = "BAILEY_HUB_TLS_CERT")]
    tls_cert: Option<PathBuf>,

    /// The key of --tls-cert, as PEM; read again when it changes
    #[arg(long, value_name = "FILE", env = "BAILEY_HUB_TLS_KEY")]
    tls_key: Option<PathBuf>,

    /// The CA that signs the certificates of enforcers and readers, as PEM; read again when it changes
    #[arg(long, value_name = "FILE", env = "BAILEY_HUB_CLIENT_CA")]
    client_ca: Option<PathBuf>,

    /// Serve without TLS: whoever reaches the address may read everything and report as any node
    #[arg(long, env = "BAILEY_HUB_INSECURE", value_parser = clap::builder::BoolishValueParser::new())]
    insecure: bool,

    /// Address of /healthz, /readyz and /metrics
    #[arg(
        long,
        value_name = "ADDR",
        env = "BAILEY_HUB_ADMIN",
        default_value = "127.0.0.1:9443"
    )]
    admin: SocketAddr,

    /// What to log: error, warn, info, debug, trace, or a filter such as info,hub::clusters=debug
    #[arg(long, value_name = "LEVEL", env = "BAILEY_HUB_LOG_LEVEL", default_value = "info")]
    log_level: String,

    /// How to log
    #[arg(long, value_name = "FORMAT", env = "BAILEY_HUB_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

#[derive(Args, Debug)]
struct CertsFlags {
    /// Folder for the files; made if it does not exist
    #[arg(long, value_name = "DIR", env = "BAILEY_HUB_CERTS_OUT")]
    out: PathBuf,

    /// First part of every role's URI, bailey://NAME/…
    #[arg(
        long,
        value_name = "NAME",
        env = "BAILEY_HUB_CERTS_TRUST_DOMAIN",
        default_value = "bailey.local"
    )]
    trust_domain: certs::TrustDomain,

    /// A cluster whose enforcers share a certificate; may be repeated
    #[arg(
        long = "cluster",
        value_name = "ID",
        env = "BAILEY_HUB_CERTS_CLUSTERS",
        value_delimiter = ','
    )]
    clusters: Vec<ClusterName>,

    /// A node whose enforcer gets a certificate of its own; may be repeated
    #[arg(
        long = "node",
        value_name = "ID/NAME",
        env = "BAILEY_HUB_CERTS_NODES",
        value_delimiter = ','
    )]
    nodes: Vec<certs::Node>,

    /// A host name or address of the hub, besides localhost, 127.0.0.1 and ::1; may be repeated
    #[arg(
        long = "hub-san",
        value_name = "NAME",
        env = "BAILEY_HUB_CERTS_HUB_SANS",
        value_delimiter = ','
    )]
    hub_names: Vec<certs::HubName>,

    /// How long all but the CA are valid
    #[arg(long, env = "BAILEY_HUB_CERTS_DAYS", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
}

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
    /// Write a trial PKI.
    Certs(certs::Order),
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

impl CommandLine {
    /// What the program is to do.
    ///
    /// # Errors
    /// If flags are missing, contradict each other or name files that cannot be read.
    pub fn into_task(self) -> Result<Task, ConfigError> {
        match self.command {
            None => Ok(Task::Serve(self.serve.validate()?)),
            Some(Command::Certs(CertsFlags {
                out,
                trust_domain,
                clusters,
                nodes,
                hub_names,
                days,
            })) => Ok(Task::Certs(certs::Order {
                out,
                trust_domain,
                clusters,
                nodes,
                hub_names,
                days,
            })),
        }
    }
}

impl ServeFlags {
    fn validate(self) -> Result<Config, ConfigError> {
        let Self {
            clusters,
            listen,
            tls_cert,
            tls_key,
            client_ca,
            insecure,
            admin,
            log_level,
            log_format,
        } = self;
        let clusters = clusters.ok_or(ConfigError::NoClusters)?;
        readable("--clusters", &clusters, "a folder", std::fs::read_dir(&clusters).err())?;
        let security = security(insecure, tls_cert, tls_key, client_ca)?;
        let listen = listen.unwrap_or(match security {
            Security::Insecure => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), LISTEN_PORT),
            Security::MutualTls(_) => SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), LISTEN_PORT),
        });
        if listen == admin && listen.port() != 0 {
            return Err(ConfigError::SameAddress(listen));
        }
        log_filter(&log_level)?;
        Ok(Config {
            clusters,
            listen,
            security,
            admin,
            log_level,
            log_format,
        })
    }
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

fn socket_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_error: std::net::AddrParseError| {
        "expected ADDRESS:PORT, for example 0.0.0.0:7443 or [::1]:7443".to_owned()
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
