//! The command line as clap reads it.

use super::members::{MembersCommand, namespace};
use super::{Config, ConfigError, LogFormat, Security, Task, log_filter, readable, security};
use crate::certs;
use crate::ranges::{PodRange, PodRanges};
use clap::{Args, Parser, Subcommand};
use proto::model::ClusterName;
use proto::selector::{BarePodSelector, ClusterLabelMode, Switches};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

/// Where the hub serves when nothing else is said: on every address if clients must show a certificate, for this
/// machine only if not.
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

  On Kubernetes, where each cluster becomes a member by one command:
      hub certs --help
      hub members --help

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

/// The hub sends what objects say and judges nothing for enforcers; it only answers as they judge.
const MEANING: &str = "What policies mean, for queries (say the same to all hubs and enforcers of a ClusterSet)";

/// What concerns Secrets alone.
const AS_SECRETS: &str = "As Secrets";

const CERTS_EXAMPLES: &str = "\
Examples:
  hub certs --out ./pki --cluster cluster-a --cluster cluster-b
  hub certs --out ./pki --node cluster-a/node-1 --hub-san hub.example.com
  hub certs --out ./pki --hub-context a --context cluster-a=a --context cluster-b=b
  hub certs --out ./pki --cluster cluster-b --secrets - | kubeseal >sealed.yaml

Run it again with the same --out to add a cluster or to renew certificates: the
CA is kept, the others are written anew. Hub and enforcers take renewed files and
Secrets up without a restart. The CA is made no Secret of: keep ca.key to
yourself; to let cert-manager sign with it, make Secret bailey-ca of both files
for its Issuer (kubectl create secret tls bailey-ca --cert ca.crt --key ca.key).

Enforcers know a hub by the role in its certificate, not by its name, and reach
it by any address: of a LoadBalancer, a node's port, a pod. What checks names, as
grpcurl does, needs the name or address in --hub-san. With Secrets the Service's
names are added, bailey-hub.NAMESPACE.svc and that in .clusterset.local.";

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
    /// Add, list or remove member clusters
    #[command(subcommand)]
    Members(MembersCommand),
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
        value_parser = socket_address,
        default_value = "127.0.0.1:9443"
    )]
    admin: SocketAddr,

    /// Which clusters a peer with a podSelector and no namespaceSelector reaches
    #[arg(
        long,
        value_name = "REACH",
        env = "BAILEY_HUB_BARE_POD_SELECTOR",
        value_enum,
        default_value_t,
        help_heading = MEANING
    )]
    bare_pod_selector: BarePodSelector,

    /// How the label cluster.clusterset.k8s.io/cluster-name of a namespace is read
    #[arg(
        long,
        value_name = "MODE",
        env = "BAILEY_HUB_CLUSTER_LABEL_MODE",
        value_enum,
        default_value_t,
        help_heading = MEANING
    )]
    cluster_label_mode: ClusterLabelMode,

    /// A range that a cluster's pods have their addresses from; may be repeated
    ///
    /// A cluster for which one is named has no pods elsewhere: what it claims outside of its ranges is nobody's address,
    /// and counted as left out. So no cluster can give an outside host, a Service or another cluster's pod its labels.
    /// A cluster for which none is named may claim every address.
    #[arg(
        long = "pod-cidr",
        value_name = "ID=CIDR",
        env = "BAILEY_HUB_POD_CIDRS",
        value_delimiter = ','
    )]
    pod_ranges: Vec<PodRange>,

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

    /// Write the certificates as Secrets as well, into a folder; - prints them, and all else to stderr
    #[arg(long, value_name = "DIR|-", env = "BAILEY_HUB_CERTS_SECRETS", help_heading = AS_SECRETS)]
    secrets: Option<certs::Print>,

    /// Context of the hub's cluster: makes the Secrets bailey-hub-tls and bailey-reader-tls there
    #[arg(long, value_name = "CONTEXT", env = "BAILEY_HUB_CERTS_HUB_CONTEXT", help_heading = AS_SECRETS)]
    hub_context: Option<String>,

    /// Context of a member: makes the Secret bailey-enforcer-tls there; may be repeated, and stands for --cluster ID
    #[arg(
        long = "context",
        value_name = "ID=CONTEXT",
        env = "BAILEY_HUB_CERTS_CONTEXTS",
        value_delimiter = ',',
        help_heading = AS_SECRETS
    )]
    contexts: Vec<certs::MemberContext>,

    /// The user's kubeconfig [default: $KUBECONFIG, else ~/.kube/config]
    #[arg(long, value_name = "FILE", help_heading = AS_SECRETS)]
    kubeconfig: Option<PathBuf>,

    /// The Secrets' namespace
    #[arg(
        long,
        short,
        value_name = "NAME",
        env = "BAILEY_HUB_CERTS_NAMESPACE",
        default_value = "bailey",
        value_parser = namespace,
        help_heading = AS_SECRETS
    )]
    namespace: String,
}

impl CertsFlags {
    fn into_task(self) -> Task {
        let Self {
            out,
            trust_domain,
            mut clusters,
            nodes,
            mut hub_names,
            days,
            secrets,
            hub_context,
            contexts,
            kubeconfig,
            namespace,
        } = self;
        for certs::MemberContext { id, .. } in &contexts {
            if !clusters.contains(id) {
                clusters.push(id.clone());
            }
        }
        let delivery = certs::Delivery {
            namespace,
            kubeconfig,
            print: secrets,
            hub_context,
            contexts,
        };
        if delivery.is_wanted() {
            hub_names.extend(certs::service_names(&delivery.namespace));
        }
        let order = certs::Order {
            out,
            trust_domain,
            clusters,
            nodes,
            hub_names,
            days,
        };
        Task::Certs(order, delivery)
    }
}

impl CommandLine {
    /// What the program is to do.
    ///
    /// # Errors
    /// If flags are missing, contradict each other or name files that cannot be read.
    pub fn into_task(self) -> Result<Task, ConfigError> {
        match self.command {
            None => Ok(Task::Serve(self.serve.validate()?)),
            Some(Command::Certs(flags)) => Ok(flags.into_task()),
            Some(Command::Members(command)) => Ok(Task::Members(command.into_task()?)),
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
            bare_pod_selector,
            cluster_label_mode,
            pod_ranges,
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
            switches: Switches {
                bare_pod_selector,
                cluster_label: cluster_label_mode,
            },
            pod_ranges: PodRanges::new(pod_ranges),
            log_level,
            log_format,
        })
    }
}

fn socket_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_error: std::net::AddrParseError| {
        "expected ADDRESS:PORT, for example 0.0.0.0:7443 or [::1]:7443".to_owned()
    })
}
