//! Flags and environment → [`Task`].
//!
//! The one place that reads the command line. Everything a person can get wrong there ends here, with what to do.

use crate::admin;
use crate::switches::Switches;
use clap::{Args, Parser, Subcommand, ValueEnum};
use proto::model::ClusterName;
use proto::syntax::is_dns_subdomain;
use std::path::{Path, PathBuf};
use tracing::level_filters::LevelFilter;

mod check;
mod cleanup;
mod explain;
pub mod first_packet;
mod lint;
mod offline;
pub mod switches;

use crate::check::command::Check;
use crate::diff::Diff;
use crate::explain::Explain;
use crate::lint::command::Lint;
use crate::matrix::Matrix;
use check::CheckFlags;
pub use cleanup::Cleanup;
use cleanup::CleanupFlags;
use explain::ExplainFlags;
use first_packet::{FirstPacket, FirstPacketFlags};
use lint::LintFlags;
use offline::{DiffFlags, MatrixFlags};
use switches::SwitchFlags;

/// Where an enforcer answers unless told otherwise.
const ADMIN: &str = "127.0.0.1:9444";

const EXAMPLES: &str = "\
Examples:
  On a node, with certificates from `hub certs`:
      enforcer run --hub https://hub.example:7443 --cluster cluster-a --node node-1 \\
          --kubeconfig /etc/bailey/kubeconfig \\
          --tls-cert cluster-cluster-a.crt --tls-key cluster-cluster-a.key --hub-ca ca.crt

  Against a hub that runs with --insecure, for a trial:
      enforcer run --hub http://127.0.0.1:7443 --cluster cluster-a --node node-1 --kubeconfig ~/.kube/config

  What this node lacks or has too much of:
      enforcer check

  What this node enforces:
      curl localhost:9444/ruleset

  Who reaches whom, by manifests alone:
      enforcer matrix DIR --probe TCP/8080

  Why one does not reach another:
      enforcer explain DIR --from cluster-b/shop/web --to cluster-a/shop/db --probe TCP/5432

  What to know about those manifests:
      enforcer lint DIR

Stopping an enforcer leaves its rules in force; `enforcer cleanup` takes them away.

Exit codes:
  0  stopped by SIGTERM or SIGINT, or cleaned up
  1  failed while running; the log says why
  2  the command line, a file it names or this node's kernel is not fit; the message says what to do";

/// The command line.
#[derive(Parser, Debug)]
#[command(
    name = "enforcer",
    version,
    about = "Enforces NetworkPolicies of its cluster on its node, against the pods of every cluster of the ClusterSet",
    after_help = "--help has examples and exit codes",
    after_long_help = EXAMPLES
)]
pub struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Enforce on this node until stopped; what is enforced stays in force afterwards
    Run(RunFlags),
    /// Remove all that is Bailey's from this node's kernel, and nothing else; refuses while an enforcer runs
    Cleanup(CleanupFlags),
    /// Say what this node lacks or has too much of: kernel parts, sysctls, other policy engines; changes nothing
    Check(CheckFlags),
    /// Judge every pod of some manifests against every pod: needs no cluster and no root
    Matrix(MatrixFlags),
    /// Say why a connection between two ends of some manifests is allowed or refused: needs no cluster and no root
    Explain(ExplainFlags),
    /// Say what an administrator should know about some manifests: needs no cluster and no root
    Lint(LintFlags),
    /// Say which verdicts change between two sets of manifests, and what changes them: needs no cluster and no root
    Diff(DiffFlags),
}

#[derive(Args, Debug)]
struct RunFlags {
    /// URL of a hub: https://HOST:PORT, or http:// for one that runs with --insecure; may be repeated, tried in turn
    #[arg(
        long = "hub",
        value_name = "URL",
        env = "BAILEY_ENFORCER_HUB",
        value_delimiter = ',',
        required = true
    )]
    hubs: Vec<String>,

    /// Id of the cluster this node belongs to, as the hub knows it
    #[arg(long, value_name = "ID", env = "BAILEY_ENFORCER_CLUSTER")]
    cluster: ClusterName,

    /// Name of this node's Node object
    #[arg(long, value_name = "NAME", env = "BAILEY_ENFORCER_NODE")]
    node: String,

    /// How to reach this cluster's API server: a kubeconfig, or in-cluster for the pod's own service account
    #[arg(long, value_name = "FILE|in-cluster", env = "BAILEY_ENFORCER_KUBECONFIG")]
    kubeconfig: PathBuf,

    /// This enforcer's certificate chain, as PEM; read again at each connection
    #[arg(long, value_name = "FILE", env = "BAILEY_ENFORCER_TLS_CERT")]
    tls_cert: Option<PathBuf>,

    /// The key of --tls-cert, as PEM
    #[arg(long, value_name = "FILE", env = "BAILEY_ENFORCER_TLS_KEY")]
    tls_key: Option<PathBuf>,

    /// The CA that signs the hub's certificate, as PEM
    #[arg(long, value_name = "FILE", env = "BAILEY_ENFORCER_HUB_CA")]
    hub_ca: Option<PathBuf>,

    /// Address of /healthz, /readyz, /metrics and /ruleset: ADDRESS:PORT or unix:PATH
    #[arg(
        long,
        value_name = "ADDR",
        env = "BAILEY_ENFORCER_ADMIN",
        default_value = ADMIN
    )]
    admin: admin::Address,

    #[command(flatten)]
    first_packet: FirstPacketFlags,

    #[command(flatten)]
    switches: SwitchFlags,

    #[command(flatten)]
    log: LogFlags,
}

/// How to log.
#[derive(Args, Debug)]
struct LogFlags {
    /// What to log: error, warn, info, debug, trace, or a filter such as info,enforcer::machine=debug
    #[arg(
        long,
        value_name = "LEVEL",
        env = "BAILEY_ENFORCER_LOG_LEVEL",
        default_value = "info"
    )]
    log_level: String,

    /// How to log
    #[arg(long, value_name = "FORMAT", env = "BAILEY_ENFORCER_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
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
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Task {
    /// Enforce.
    Run(Config),
    /// Remove what is ours.
    Cleanup(Cleanup),
    /// Look at the node.
    Check(Check),
    /// Judge manifests.
    Matrix(Matrix),
    /// Say why a connection is allowed or refused.
    Explain(Explain),
    /// Look for what is odd in manifests.
    Lint(Lint),
    /// Compare the verdicts of two sets of manifests.
    Diff(Diff),
}

/// All that a running enforcer is told. Validated; read from nowhere else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// The hubs' URLs.
    pub hubs: Vec<String>,
    /// The files of mutual TLS; `None`: every hub is plain.
    pub tls: Option<Tls>,
    /// The node's cluster.
    pub cluster: ClusterName,
    /// The node's name.
    pub node: String,
    /// How its API server is reached.
    pub kubeconfig: Kubeconfig,
    /// Where health, metrics and the ruleset are served.
    pub admin: admin::Address,
    /// How pods are isolated before they send anything.
    pub first_packet: FirstPacket,
    /// What is decided where NetworkPolicy leaves a choice.
    pub switches: Switches,
    /// How to log.
    pub log: Log,
}

/// The files of mutual TLS with a hub.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tls {
    /// This enforcer's certificate chain.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The hub's CA.
    pub hub_ca: PathBuf,
}

/// How the own cluster's API server is reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kubeconfig {
    /// By the service account of the pod this process runs in.
    InCluster,
    /// By this file.
    File(PathBuf),
}

/// How to log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Log {
    /// A filter of `tracing-subscriber`.
    pub level: String,
    /// How lines are written.
    pub format: LogFormat,
}

/// What is wrong with the command line although each flag by itself is fine.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A hub's URL is none.
    #[error("--hub {0:?}: expected https://HOST:PORT, or http://HOST:PORT for a hub that runs with --insecure")]
    HubUrl(String),
    /// TLS flags, and a hub without TLS.
    #[error("--hub {0} is plain http, which contradicts {1}: say https, or leave the TLS flags away")]
    PlainWithTls(String, &'static str),
    /// Some or all TLS flags are missing.
    #[error(
        "missing {0}: an https hub needs --tls-cert, --tls-key and --hub-ca (hub certs --out ./pki writes a trial set)"
    )]
    IncompleteTls(String),
    /// No node can have this name.
    #[error("--node {0:?} is no name that a node can have: name this node as `kubectl get nodes` does")]
    NodeName(String),
    /// A file cannot be read.
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
    /// The log filter does not parse.
    #[error(
        "--log-level {level:?}: {reason}: expected error, warn, info, debug, trace or a filter like info,enforcer=debug"
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
            Command::Run(flags) => Ok(Task::Run(flags.validate()?)),
            Command::Cleanup(flags) => Ok(Task::Cleanup(flags.validate()?)),
            Command::Check(flags) => Ok(Task::Check(flags.validate())),
            Command::Matrix(flags) => Ok(Task::Matrix(flags.validate())),
            Command::Explain(flags) => Ok(Task::Explain(flags.validate())),
            Command::Lint(flags) => Ok(Task::Lint(flags.validate())),
            Command::Diff(flags) => Ok(Task::Diff(flags.validate())),
        }
    }
}

impl LogFlags {
    /// A part of the filter without `=` must be a level: to `tracing-subscriber` any other word is the name of a module
    /// that logs everything, and a misspelt level would silence the rest.
    fn validate(self) -> Result<Log, ConfigError> {
        let Self {
            log_level: level,
            log_format: format,
        } = self;
        let misspelt = level
            .split(',')
            .find(|part| !part.contains(['=', '[']) && part.parse::<LevelFilter>().is_err());
        let reason = match (misspelt, tracing_subscriber::EnvFilter::try_new(&level)) {
            (Some(part), _) => format!("{part:?} is no level"),
            (None, Err(error)) => error.to_string(),
            (None, Ok(_)) => return Ok(Log { level, format }),
        };
        Err(ConfigError::LogLevel { level, reason })
    }
}

impl RunFlags {
    fn validate(self) -> Result<Config, ConfigError> {
        let Self {
            hubs,
            cluster,
            node,
            kubeconfig,
            tls_cert,
            tls_key,
            hub_ca,
            admin,
            first_packet,
            switches,
            log,
        } = self;
        let tls = tls(&hubs, tls_cert, tls_key, hub_ca)?;
        // Under any other name this node would have no pods to protect.
        if !is_dns_subdomain(&node) {
            return Err(ConfigError::NodeName(node));
        }
        let kubeconfig = if kubeconfig.as_os_str() == "in-cluster" {
            Kubeconfig::InCluster
        } else {
            readable("--kubeconfig", &kubeconfig, "a kubeconfig (or say in-cluster)")?;
            Kubeconfig::File(kubeconfig)
        };
        Ok(Config {
            hubs,
            tls,
            cluster,
            node,
            kubeconfig,
            admin,
            first_packet: first_packet.first_packet(),
            switches: switches.switches(),
            log: log.validate()?,
        })
    }
}

fn tls(
    hubs: &[String],
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    hub_ca: Option<PathBuf>,
) -> Result<Option<Tls>, ConfigError> {
    let flags = [("--tls-cert", &certificate), ("--tls-key", &key), ("--hub-ca", &hub_ca)];
    let mut plain = None;
    for hub in hubs {
        match hub.split_once("://") {
            Some(("https", authority)) if is_host_and_port(authority) => {}
            Some(("http", authority)) if is_host_and_port(authority) => plain = Some(hub),
            _ => return Err(ConfigError::HubUrl(hub.clone())),
        }
    }
    if let Some(plain) = plain {
        return match flags.iter().find(|(_, value)| value.is_some()) {
            Some((flag, _)) => Err(ConfigError::PlainWithTls(plain.clone(), flag)),
            None if hubs.iter().any(|hub| hub.starts_with("https://")) => {
                Err(ConfigError::PlainWithTls(plain.clone(), "an https hub beside it"))
            }
            None => Ok(None),
        };
    }
    let missing: Vec<&str> = flags
        .iter()
        .filter(|(_, value)| value.is_none())
        .map(|(flag, _)| *flag)
        .collect();
    let (Some(certificate), Some(key), Some(hub_ca)) = (certificate, key, hub_ca) else {
        return Err(ConfigError::IncompleteTls(missing.join(", ")));
    };
    for (flag, path) in [("--tls-cert", &certificate), ("--tls-key", &key), ("--hub-ca", &hub_ca)] {
        readable(flag, path, "a PEM file")?;
    }
    Ok(Some(Tls {
        certificate,
        key,
        hub_ca,
    }))
}

/// A port is optional. Nothing is wrong with a slash at the end; a path would be left out in silence, and so would be a
/// port that is none.
fn is_host_and_port(authority: &str) -> bool {
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !authority.ends_with(']') => (host, port.parse().ok()),
        Some(_) | None => (authority, Some(1)),
    };
    !host.is_empty() && !host.contains(['/', '?', '#', '@']) && port.is_some_and(|port: u16| port != 0)
}

fn readable(flag: &'static str, path: &Path, wanted: &'static str) -> Result<(), ConfigError> {
    match std::fs::read(path) {
        Ok(_) => Ok(()),
        Err(error) => Err(ConfigError::Unreadable {
            flag,
            path: path.to_owned(),
            wanted,
            reason: error.to_string(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::first_packet::{Nri, UnknownLocalPods};
    use super::*;
    use crate::nri::Late;
    use crate::switches::EgressToLocalNode;
    use proto::selector::{self, BarePodSelector, ClusterLabelMode};

    fn run(flags: &str) -> Result<Task, String> {
        let words = ["enforcer", "run", "--cluster", "a", "--node", "n"]
            .into_iter()
            .chain(flags.split_whitespace());
        let line = CommandLine::try_parse_from(words).map_err(|error| error.to_string())?;
        line.into_task().map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            (
                "--hub hub:1 --kubeconfig in-cluster",
                "--hub \"hub:1\": expected https://",
            ),
            (
                "--hub https://hub:1 --kubeconfig in-cluster",
                "missing --tls-cert, --tls-key, --hub-ca",
            ),
            (
                "--hub http://hub:1 --hub-ca ca --kubeconfig in-cluster",
                "is plain http, which contradicts --hub-ca",
            ),
            (
                "--hub http://h:1,https://h:2 --kubeconfig in-cluster",
                "contradicts an https hub beside it",
            ),
            (
                "--hub http://hub:1 --kubeconfig /nowhere",
                "--kubeconfig /nowhere: No such file or directory",
            ),
            (
                "--hub http://hub:1 --kubeconfig in-cluster --log-level inof",
                "\"inof\" is no level",
            ),
            (
                "--hub http://hub:1 --kubeconfig in-cluster --admin unix:",
                "unix: needs a path",
            ),
            (
                "--hub https://hub:74430 --kubeconfig in-cluster",
                "--hub \"https://hub:74430\": expected https://HOST:PORT",
            ),
            (
                "--hub http://hub:1/cluster-a --kubeconfig in-cluster",
                "--hub \"http://hub:1/cluster-a\": expected https://HOST:PORT",
            ),
            ("--kubeconfig in-cluster", "--hub <URL>"),
        ];
        for (flags, expected) in cases {
            let error = run(flags).expect_err(flags);
            assert!(error.contains(expected), "{flags}: {error}");
        }
    }

    #[test]
    fn a_hub_is_a_host_and_perhaps_a_port() {
        for good in ["hub", "hub:1", "hub:1/", "10.0.0.1:7443", "[fd00::1]", "[fd00::1]:7443"] {
            assert!(is_host_and_port(good), "{good}");
        }
        for bad in [
            "",
            "/",
            ":1",
            "hub:",
            "hub:0",
            "hub:65536",
            "hub:x",
            "hub/path",
            "hub:1/path",
            "a@hub:1",
            "[fd00::1]:0",
        ] {
            assert!(!is_host_and_port(bad), "{bad}");
        }
    }

    #[test]
    fn a_name_that_no_node_has_is_named() {
        let words = [
            "enforcer",
            "run",
            "--hub=http://h:1",
            "--cluster=a",
            "--node=Node-1",
            "--kubeconfig=in-cluster",
        ];
        let task = CommandLine::try_parse_from(words).unwrap().into_task();
        let words = "--node \"Node-1\" is no name that a node can have: name this node as `kubectl get nodes` does";
        assert_eq!(task.unwrap_err().to_string(), words);
    }

    fn plain() -> Config {
        Config {
            hubs: vec!["http://hub:1".to_owned()],
            tls: None,
            cluster: ClusterName::new("a").unwrap(),
            node: "n".to_owned(),
            kubeconfig: Kubeconfig::InCluster,
            admin: admin::Address::Unix("/run/a.sock".into()),
            first_packet: FirstPacket {
                nri: Nri::Auto,
                late: Late::Allow,
                unknown: UnknownLocalPods::Allow,
            },
            switches: Switches::default(),
            log: Log {
                level: "info".to_owned(),
                format: LogFormat::Text,
            },
        }
    }

    #[test]
    fn a_plain_hub_needs_no_certificates() {
        assert_eq!(
            run("--hub http://hub:1 --kubeconfig in-cluster --admin unix:/run/a.sock"),
            Ok(Task::Run(plain()))
        );
    }

    #[test]
    fn the_runtime_is_looked_for_where_its_socket_is_said_to_be() {
        let cases = [
            ("", Nri::Auto, Late::Allow),
            ("--nri auto --nri-late allow", Nri::Auto, Late::Allow),
            ("--nri off", Nri::Off, Late::Allow),
            (
                "--nri /run/x.sock --nri-late refuse",
                Nri::At("/run/x.sock".into()),
                Late::Refuse,
            ),
        ];
        for (flags, nri, late) in cases {
            let unknown = UnknownLocalPods::Allow;
            let first_packet = FirstPacket { nri, late, unknown };
            assert_eq!(
                run(&format!(
                    "--hub http://hub:1 --kubeconfig in-cluster --admin unix:/run/a.sock {flags}"
                )),
                Ok(Task::Run(Config {
                    first_packet,
                    ..plain()
                })),
                "{flags}"
            );
        }
        let error = run("--hub http://hub:1 --kubeconfig in-cluster --nri on").unwrap_err();
        assert!(
            error.contains("expected auto, off or the absolute path of a socket"),
            "{error}"
        );
    }

    #[test]
    fn switches_have_the_words_of_the_documentation() {
        let switches = Switches {
            selectors: selector::Switches {
                bare_pod_selector: BarePodSelector::Local,
                cluster_label: ClusterLabelMode::Assert,
            },
            egress_to_local_node: EgressToLocalNode::Policy,
        };
        assert_eq!(
            run("--hub http://hub:1 --kubeconfig in-cluster --admin unix:/run/a.sock \
                 --bare-pod-selector local --cluster-label-mode assert --egress-to-local-node policy"),
            Ok(Task::Run(Config { switches, ..plain() }))
        );
        for (flag, words) in [
            ("--bare-pod-selector", "[possible values: clusterset, local]"),
            ("--cluster-label-mode", "[possible values: verify, literal, assert]"),
            ("--egress-to-local-node", "[possible values: allow, policy]"),
        ] {
            let error = run(&format!("--hub http://hub:1 --kubeconfig in-cluster {flag} perhaps")).expect_err(flag);
            assert!(error.contains(words), "{flag}: {error}");
        }
    }
}
