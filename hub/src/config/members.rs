//! The command line of `hub members`.

use super::ConfigError;
use crate::members::add::Labelling;
use crate::members::list::Format;
use crate::members::remove::NamespaceLabels;
use crate::members::{Lifetime, Mode, add, list, remove};
use clap::builder::BoolishValueParser;
use clap::{Args, Subcommand};
use http::Uri;
use proto::model::ClusterName;
use proto::syntax::is_dns_subdomain;
use proto::tls::Files;
use std::path::PathBuf;
use std::time::Duration;

/// What to do with members.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MembersTask {
    /// Make a cluster one.
    Add(Box<add::Order>),
    /// Show how they are.
    List(list::Order),
    /// Let one go.
    Remove(remove::Order),
}

const ADD_HELP: &str = "\
What it makes
  In the member: Namespace bailey, ServiceAccount bailey-hub, a ClusterRole of
  that name (list and watch pods and namespaces, get the namespace kube-system)
  and its binding, and a Secret that the token hangs on. In the hub's cluster:
  the key ID.kubeconfig of Secret bailey-clusters, which the hub has mounted.
  Run again it changes nothing that is as it should be, and says so.

The token
  By default it does not expire, because nobody but a person with rights in the
  member can renew it, and a hub whose token has ended sees that cluster no
  more; many a cloud grants no requested token more than a day. The cluster's
  controller manager makes it for the Secret bailey-hub-token, and it is revoked
  the moment that Secret is deleted.
  --token-duration asks for one that ends; the API server may grant less. It
  hangs on a Secret as well. Run the same command again in the second half of
  its life, from a CronJob for example, and it is renewed.
  --rotate makes a new one at once. The former one stays valid, since the hub's
  pod gets the new one a minute later; the next run after ten minutes deletes it.

The address
  The hub uses the context's address and CA. Where it has to use another one
  (a private one of the same network; yours is a tunnel, or 127.0.0.1), name it
  with --server. Before anything is given to the hub, the address is tried with
  the hub's own token: another cluster, a certificate that the CA has not signed
  and a refused token end the command. An address that cannot be reached from
  here is said and taken.

Examples:
  hub members add --id cluster-b --context b --hub-context a --label-namespaces
  hub members add --id cluster-b --context b --hub-context a --dry-run >b.yaml

Exit codes:
  0  all is as it was asked for
  1  failed; the message says at what. Run it again, every step may be repeated
  2  the command line or the kubeconfig is wrong
  3  done, but namespaces that name another cluster were left as they are";

const LIST_HELP: &str = "\
The hub is asked in its pod, through the API server of its cluster, with the
certificate in Secret bailey-reader-tls beside it: that takes get on that Secret,
list on pods, get and create on pods/portforward in the namespace. --hub asks at an
address instead. With a context, the ids in Secret bailey-clusters are compared
with those that the hub knows.

States:
  SYNCING   the first list is not complete; nothing of it is known yet
  LIVE      the hub watches it
  STALE     contact is lost; what is known is kept as it was
  UNKNOWN   its kubeconfig is in the Secret, and the hub does not know it
A member that has left is not listed.

JSON: {\"members\": [{id, state, reason, heardSecondsAgo, namespaces,
unlabelledNamespaces, mislabelledNamespaces, pods, enforcersConnected,
enforcersBehind, server, inSecret}]}; null is what is not known.

Examples:
  hub members list --hub-context a
  hub members list --hub https://hub.example:7443 --hub-ca pki/ca.crt \\
      --tls-cert pki/reader.crt --tls-key pki/reader.key

Exit codes:
  0  the hub has answered, whatever it says
  1  it has not; the message says why
  2  the command line or the kubeconfig is wrong";

const REMOVE_HELP: &str = "\
The hub's Secret loses the member first; a hub that runs forgets it within two
minutes, and every enforcer its pods. With --context, what members add has made
in the member goes then, its tokens with it. The Namespace stays, since enforcers
live there; so do the labels of namespaces, unless --unlabel-namespaces is said.

Examples:
  hub members remove --id cluster-b --hub-context a --context b
  hub members remove --id cluster-b --hub-context a --dry-run

Exit codes:
  0  all is gone that should be
  1  failed; the message says at what. Run it again, every step may be repeated
  2  the command line or the kubeconfig is wrong";

#[derive(Subcommand, Debug)]
pub(super) enum MembersCommand {
    /// Make a cluster a member: grant the hub its rights there, and give it the kubeconfig
    #[command(after_long_help = ADD_HELP, after_help = "--help says what it makes, how tokens end, and has examples")]
    Add(Box<AddFlags>),
    /// Show how the members are, as the hub sees them
    #[command(after_long_help = LIST_HELP, after_help = "--help has the states, the JSON and examples")]
    List(ListFlags),
    /// Let a member go: take its kubeconfig from the hub, and the hub's rights from it
    #[command(after_long_help = REMOVE_HELP, after_help = "--help says in which order, and has examples")]
    Remove(RemoveFlags),
}

#[derive(Args, Debug)]
struct ClusterFlags {
    /// The user's kubeconfig [default: $KUBECONFIG, else ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// Bailey's namespace, in every cluster
    #[arg(
        long,
        short,
        value_name = "NAME",
        default_value = "bailey",
        value_parser = namespace,
        env = "BAILEY_HUB_MEMBERS_NAMESPACE"
    )]
    namespace: String,
}

#[derive(Args, Debug)]
pub(super) struct AddFlags {
    /// The cluster's id: a label value, by which policies name it
    #[arg(long, value_name = "ID", env = "BAILEY_HUB_MEMBERS_ID")]
    id: ClusterName,

    /// Context of the cluster that becomes a member
    #[arg(long, value_name = "CONTEXT", env = "BAILEY_HUB_MEMBERS_CONTEXT")]
    context: String,

    /// Context of the hub's cluster; it may be the same
    #[arg(long, value_name = "CONTEXT", env = "BAILEY_HUB_MEMBERS_HUB_CONTEXT")]
    hub_context: String,

    #[command(flatten)]
    clusters: ClusterFlags,

    /// Address by which the hub reaches the member's API server, if it is not the context's
    #[arg(long, value_name = "URL", value_parser = server, env = "BAILEY_HUB_MEMBERS_SERVER")]
    server: Option<String>,

    /// CA of that address's certificate, as PEM, if it is not the context's
    #[arg(long, value_name = "FILE", env = "BAILEY_HUB_MEMBERS_SERVER_CA")]
    server_ca: Option<PathBuf>,

    /// Ask for a token that ends, e.g. 24h or 90d, instead of one that does not
    #[arg(long, value_name = "TIME", value_parser = duration, env = "BAILEY_HUB_MEMBERS_TOKEN_DURATION")]
    token_duration: Option<Duration>,

    /// Make a new token although the hub has a good one
    #[arg(long, env = "BAILEY_HUB_MEMBERS_ROTATE", value_parser = BoolishValueParser::new())]
    rotate: bool,

    /// Take the id although a cluster at another address has it
    #[arg(long, env = "BAILEY_HUB_MEMBERS_REPLACE", value_parser = BoolishValueParser::new())]
    replace: bool,

    /// Put the label cluster.clusterset.k8s.io/cluster-name=ID on the member's namespaces that have none
    #[arg(long, env = "BAILEY_HUB_MEMBERS_LABEL_NAMESPACES", value_parser = BoolishValueParser::new())]
    label_namespaces: bool,

    /// With --label-namespaces: on those that name another cluster as well
    #[arg(
        long,
        requires = "label_namespaces",
        env = "BAILEY_HUB_MEMBERS_OVERWRITE",
        value_parser = BoolishValueParser::new()
    )]
    overwrite: bool,

    /// Print manifests of it all instead of doing anything, for a repository; asks neither cluster
    #[arg(
        long,
        conflicts_with_all = ["token_duration", "rotate", "replace"],
        env = "BAILEY_HUB_MEMBERS_DRY_RUN",
        value_parser = BoolishValueParser::new()
    )]
    dry_run: bool,
}

#[derive(Args, Debug)]
pub(super) struct ListFlags {
    /// Context of the hub's cluster [default: the current one, unless --hub is given]
    #[arg(long, value_name = "CONTEXT", env = "BAILEY_HUB_MEMBERS_HUB_CONTEXT")]
    hub_context: Option<String>,

    #[command(flatten)]
    clusters: ClusterFlags,

    /// Ask the hub at this address, https://HOST:PORT, or http:// if it runs with --insecure
    #[arg(long, value_name = "URL", value_parser = hub, env = "BAILEY_HUB_MEMBERS_HUB")]
    hub: Option<Uri>,

    /// A reader's certificate chain, as PEM, if it does not lie beside the hub
    #[arg(long, value_name = "FILE", requires_all = ["tls_key", "hub_ca"], env = "BAILEY_HUB_MEMBERS_TLS_CERT")]
    tls_cert: Option<PathBuf>,

    /// The key of --tls-cert, as PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert", env = "BAILEY_HUB_MEMBERS_TLS_KEY")]
    tls_key: Option<PathBuf>,

    /// The CA that signs the hub's certificate, as PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert", env = "BAILEY_HUB_MEMBERS_HUB_CA")]
    hub_ca: Option<PathBuf>,

    /// How to answer
    #[arg(long, value_enum, default_value_t = Format::Table, env = "BAILEY_HUB_MEMBERS_FORMAT")]
    format: Format,
}

#[derive(Args, Debug)]
pub(super) struct RemoveFlags {
    /// The cluster's id
    #[arg(long, value_name = "ID", env = "BAILEY_HUB_MEMBERS_ID")]
    id: ClusterName,

    /// Context of the hub's cluster
    #[arg(long, value_name = "CONTEXT", env = "BAILEY_HUB_MEMBERS_HUB_CONTEXT")]
    hub_context: String,

    /// Context of the member, to remove what is left there; without it that is only named
    #[arg(long, value_name = "CONTEXT", env = "BAILEY_HUB_MEMBERS_CONTEXT")]
    context: Option<String>,

    #[command(flatten)]
    clusters: ClusterFlags,

    /// Take the label cluster.clusterset.k8s.io/cluster-name=ID from the member's namespaces
    #[arg(
        long,
        requires = "context",
        env = "BAILEY_HUB_MEMBERS_UNLABEL_NAMESPACES",
        value_parser = BoolishValueParser::new()
    )]
    unlabel_namespaces: bool,

    /// Say what would be removed, and remove nothing
    #[arg(long, env = "BAILEY_HUB_MEMBERS_DRY_RUN", value_parser = BoolishValueParser::new())]
    dry_run: bool,
}

impl MembersCommand {
    pub(super) fn into_task(self) -> Result<MembersTask, ConfigError> {
        Ok(match self {
            Self::Add(flags) => MembersTask::Add(Box::new(flags.into_order())),
            Self::List(flags) => MembersTask::List(flags.into_order()),
            Self::Remove(flags) => MembersTask::Remove(flags.into_order()),
        })
    }
}

fn mode(dry_run: bool) -> Mode {
    if dry_run { Mode::DryRun } else { Mode::Act }
}

impl AddFlags {
    fn into_order(self) -> add::Order {
        let Self {
            id,
            context,
            hub_context,
            clusters: ClusterFlags { kubeconfig, namespace },
            server,
            server_ca,
            token_duration,
            rotate,
            replace,
            label_namespaces,
            overwrite,
            dry_run,
        } = self;
        add::Order {
            id,
            namespace,
            kubeconfig,
            context,
            hub_context,
            server,
            server_ca,
            lifetime: token_duration.map_or(Lifetime::Lasting, Lifetime::For),
            rotate,
            replace,
            labelling: match (label_namespaces, overwrite) {
                (false, _) => Labelling::Leave,
                (true, false) => Labelling::Missing,
                (true, true) => Labelling::Overwrite,
            },
            mode: mode(dry_run),
        }
    }
}

impl ListFlags {
    fn into_order(self) -> list::Order {
        let Self {
            hub_context,
            clusters: ClusterFlags { kubeconfig, namespace },
            hub,
            tls_cert,
            tls_key,
            hub_ca,
            format,
        } = self;
        let files = match (tls_cert, tls_key, hub_ca) {
            (Some(certificate), Some(key), Some(ca)) => Some(Files { certificate, key, ca }),
            _ => None,
        };
        list::Order {
            namespace,
            kubeconfig,
            hub_context,
            hub,
            files,
            format,
        }
    }
}

impl RemoveFlags {
    fn into_order(self) -> remove::Order {
        let Self {
            id,
            hub_context,
            context,
            clusters: ClusterFlags { kubeconfig, namespace },
            unlabel_namespaces,
            dry_run,
        } = self;
        remove::Order {
            id,
            namespace,
            kubeconfig,
            context,
            hub_context,
            labels: if unlabel_namespaces {
                NamespaceLabels::Go
            } else {
                NamespaceLabels::Stay
            },
            mode: mode(dry_run),
        }
    }
}

pub(super) fn namespace(text: &str) -> Result<String, String> {
    if is_dns_subdomain(text) && !text.contains('.') {
        Ok(text.to_owned())
    } else {
        Err("no name of a namespace: lower-case letters, digits and '-'".to_owned())
    }
}

fn server(text: &str) -> Result<String, String> {
    let uri: Result<Uri, _> = text.parse();
    match uri {
        Ok(uri) if uri.scheme_str() == Some("https") && uri.host().is_some() => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        Ok(_) | Err(_) => Err("expected https://HOST:PORT, for example https://10.0.0.2:6443".to_owned()),
    }
}

fn hub(text: &str) -> Result<Uri, String> {
    let uri: Result<Uri, _> = text.parse();
    match uri {
        Ok(uri) if matches!(uri.scheme_str(), Some("https" | "http")) => Ok(uri),
        Ok(_) | Err(_) => Err("expected https://HOST:PORT, or http:// for a hub with --insecure".to_owned()),
    }
}

/// The shortest token that API servers grant (`TokenRequest`, 10 minutes).
const SHORTEST_TOKEN: Duration = Duration::from_secs(600);

/// The longest that they can be asked for: 2^32 seconds.
const LONGEST_TOKEN: Duration = Duration::from_secs(1 << 32);

fn duration(text: &str) -> Result<Duration, String> {
    let expected =
        || "expected a time of at least 10 minutes: a number with m, h or d, for example 24h or 90d".to_owned();
    let unit = match text.chars().last() {
        Some('m') => 60,
        Some('h') => 60 * 60,
        Some('d') => 24 * 60 * 60,
        Some(_) | None => return Err(expected()),
    };
    let count: u64 = text[..text.len() - 1]
        .parse()
        .map_err(|_error: std::num::ParseIntError| expected())?;
    let duration = count.checked_mul(unit).map(Duration::from_secs);
    duration
        .filter(|duration| (SHORTEST_TOKEN..=LONGEST_TOKEN).contains(duration))
        .ok_or_else(expected)
}
