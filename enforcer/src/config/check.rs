//! Flags of `enforcer check`.

use super::first_packet::Nri;
use crate::check::RULES;
use crate::check::command::{Check, Format, What};
use clap::Args;
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A paragraph is a line: clap breaks it to the width of the terminal.
const CHECK: &str = "\
Looks at the node that it runs on, by kernel objects alone, and changes nothing: run it as root in the node's network \
namespace, or in an enforcer's pod. A running enforcer looks at the same every five minutes, logs what is new, and counts it \
(bailey_enforcer_findings).

With --listen and --probe it asks whether packets arrive with the addresses that they were sent with: pods of one cluster must \
reach pods of another untranslated, or no selector matches them. Run it in plain pods, for a node's own packets may go other ways; \
no privileges are needed.

Examples:
  What this node lacks or has too much of:
      kubectl -n bailey exec ds/bailey-enforcer -- /enforcer check

  Whether pods of two clusters may come to have the same address, from where both are reachable:
      enforcer check --context cluster-a --context cluster-b

  Whether addresses are translated from cluster-b to cluster-a:
      kubectl --context cluster-a run bailey-listen --image bailey-enforcer:0.1.0 -- check --listen [::]:7444
      kubectl --context cluster-a get pod bailey-listen -o wide
      kubectl --context cluster-b run bailey-probe --rm -it --restart Never --image bailey-enforcer:0.1.0 -- \\
          check --probe ADDRESS:7444

Exit codes:
  0  no errors, though perhaps warnings and notes; probes arrive as they were sent
  1  errors; probes are translated, or one of them is not answered
  2  nobody answers a probe, an API server does not answer, or the command line is wrong; the message says what to do

What is found, with its severity:
";

/// The text behind the flags, with every rule.
fn help() -> String {
    let mut text = CHECK.to_owned();
    for (rule, severity, finds) in RULES {
        let _ = write!(text, "\n  {rule:<18} {severity:<9} {finds}");
    }
    text
}

/// `enforcer check`.
#[derive(Args, Debug)]
#[command(after_help = "--help has examples, exit codes and all that is looked for", after_long_help = help())]
pub(super) struct CheckFlags {
    /// Answer probes at this address, until stopped
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        env = "BAILEY_ENFORCER_CHECK_LISTEN",
        conflicts_with = "probe"
    )]
    listen: Option<SocketAddr>,

    /// Probe who listens at this address
    #[arg(long, value_name = "ADDRESS:PORT", env = "BAILEY_ENFORCER_CHECK_PROBE")]
    probe: Option<SocketAddr>,

    /// Compare the pod ranges of the clusters of these contexts instead: needs list on their Nodes, and no privileges here
    #[arg(long = "context", value_name = "CONTEXT", env = "BAILEY_ENFORCER_CHECK_CONTEXTS", value_delimiter = ',', conflicts_with_all = ["listen", "probe"])]
    contexts: Vec<String>,

    /// The kubeconfig that has the contexts; without it KUBECONFIG, or ~/.kube/config
    #[arg(
        long,
        value_name = "FILE",
        env = "BAILEY_ENFORCER_CHECK_KUBECONFIG",
        requires = "contexts"
    )]
    kubeconfig: Option<PathBuf>,

    /// Where the container runtime's NRI socket is, as for `enforcer run`
    #[arg(
        long,
        value_name = "auto|off|PATH",
        env = "BAILEY_ENFORCER_NRI",
        default_value = "auto"
    )]
    nri: Nri,

    /// How to answer
    #[arg(long, value_name = "FORMAT", env = "BAILEY_ENFORCER_CHECK_FORMAT", value_enum, default_value_t = Format::Text)]
    format: Format,
}

impl CheckFlags {
    pub(super) fn validate(self) -> Check {
        let Self {
            listen,
            probe,
            contexts,
            kubeconfig,
            nri,
            format,
        } = self;
        let what = match (listen, probe) {
            (Some(address), _) => What::Listen(address),
            (None, Some(address)) => What::Probe(address),
            (None, None) if contexts.is_empty() => What::Node(nri.socket()),
            (None, None) => What::Clusters { kubeconfig, contexts },
        };
        Check { what, format }
    }
}
