//! The lab's command line.

use super::layout::Layout;
use crate::apiserver::Kind;
use clap::{Args, Parser, Subcommand, ValueEnum};
use enforcer::config::switches::SwitchFlags;
use enforcer::offline::ends::Probe;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  The three user stories of NPEP-311, told with real packets:
      cargo lab demo

  Clusters of your own manifests, DIR/<cluster id>/*.yaml, left running for kubectl, grpcurl and a look around:
      cargo lab up DIR

  Who reaches whom in them, by packets that arrive or do not:
      cargo lab matrix DIR --probe TCP/8080 --probe ICMP/0/6

Every node and pod is a network namespace without a name. Nothing of this machine outside of them changes, but for
listeners on 127.0.0.1 that lead to API servers and hub, and all is gone when the lab ends, however it ends.

Exit codes:
  0  all is as it should be
  1  a packet did what no policy says, or a part failed; the message says which
  2  the command line, the manifests or this machine lack something (the lab must be run by root); the message says what";

/// Clusters, nodes and pods on one machine, without Kubernetes, with real packets
#[derive(Parser, Debug)]
#[command(name = "lab", version, after_help = "--help has examples and exit codes", after_long_help = EXAMPLES)]
pub struct CommandLine {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Tell the three user stories of NPEP-311 with real packets, and change a label while they flow
    Demo(Network),
    /// Start the clusters of some manifests and leave them running until Ctrl-C
    Up(Up),
    /// Judge every end against every end by packets, and print the table
    Matrix(Matrix),
    /// Measure the whole system
    #[command(subcommand)]
    Bench(Bench),
}

/// How the lab is made.
#[derive(Args, Clone, Copy, Debug)]
pub struct Network {
    /// How the pods of a node are connected
    #[arg(long, value_enum, default_value_t)]
    pub layout: Layout,

    /// Which API server the clusters have: embedded, or the real one from KUBEBUILDER_ASSETS or the assets folder
    #[arg(long, value_enum, default_value_t = Kind::Embedded)]
    pub apiserver: Kind,
}

/// `lab up`.
#[derive(Args, Debug)]
pub struct Up {
    /// Folder with a folder of manifests for each cluster, named by its id
    pub dir: PathBuf,

    #[command(flatten)]
    #[expect(missing_docs, reason = "a comment here would replace the group's in --help")]
    pub network: Network,

    #[command(flatten)]
    #[expect(missing_docs, reason = "a comment here would replace the group's in --help")]
    pub switches: SwitchFlags,
}

/// `lab matrix`.
#[derive(Args, Debug)]
pub struct Matrix {
    /// Folder with a folder of manifests for each cluster, named by its id
    pub dir: PathBuf,

    /// What to send: PROTOCOL/PORT or PROTOCOL/PORT/FAMILY, as TCP/80, UDP/53/6, SCTP/3868, ICMP/0; may be repeated
    #[arg(long = "probe", value_name = "PROBE", required = true)]
    pub probes: Vec<Probe>,

    /// File with one end a line, cluster/namespace/pod or ip:ADDRESS; without it, all pods
    #[arg(long, value_name = "FILE")]
    pub ends: Option<PathBuf>,

    /// How to print the tables
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,

    #[command(flatten)]
    #[expect(missing_docs, reason = "a comment here would replace the group's in --help")]
    pub network: Network,

    #[command(flatten)]
    #[expect(missing_docs, reason = "a comment here would replace the group's in --help")]
    pub switches: SwitchFlags,
}

/// `lab bench`.
#[derive(Subcommand, Debug)]
pub enum Bench {
    /// From a label written in one cluster to the member in the ipset on a node of another
    Latency(Latency),
}

/// `lab bench latency`.
#[derive(Args, Debug)]
pub struct Latency {
    /// How often to measure
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub samples: u32,

    /// How to print the figures
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,

    #[command(flatten)]
    #[expect(missing_docs, reason = "a comment here would replace the group's in --help")]
    pub network: Network,
}

/// How an answer is printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs; documented in the architecture.
    Json,
}
