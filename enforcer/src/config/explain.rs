//! Flags of `enforcer explain`.

use super::switches::SwitchFlags;
use crate::explain::answer::Question;
use crate::explain::{Explain, Format};
use crate::offline::ends::{End, Probe};
use clap::Args;
use std::path::PathBuf;

/// A paragraph is a line: clap breaks it to the width of the terminal.
const EXPLAIN: &str = "\
DIR holds a folder for each cluster, named by its id, with manifests in it, as for `enforcer matrix`. What cannot be read is \
named on stderr and left out.

A connection passes if the source's egress policies and the destination's ingress policies both admit it, each those of its \
own cluster. For either the answer says which policies isolate the pod, which rule admits, or what fails in each rule and \
which comes nearest; then who has the addresses. Pieces of policies that are void are told in the enforcer's own words.

An end is cluster/namespace/pod or ip:ADDRESS. A probe is PROTOCOL/PORT, with /4 or /6 for one family; without one it is \
IPv4 where both ends have it, else IPv6. ICMP has port 0.

Examples:
  Why does it not get through?
      enforcer explain DIR --from cluster-b/shop/batch --to cluster-a/shop/backend --probe TCP/8080

  From a host outside of all clusters, over IPv6:
      enforcer explain DIR --from ip:2001:db8::7 --to cluster-a/shop/backend --probe TCP/8080/6

  A check in a script: which rule lets it in?
      enforcer explain DIR --from cluster-b/shop/web --to cluster-a/shop/backend --probe TCP/8080 --format json |
          jq -r '.directions[].subjects[].policies[].rules[] | select(.admits).field'

Exit codes:
  0  allowed
  1  refused
  2  there is no such traffic, or nothing to judge, or the command line is wrong; the message says what to do";

/// `enforcer explain`.
#[derive(Args, Debug)]
#[command(after_help = "--help has examples and exit codes", after_long_help = EXPLAIN)]
pub(super) struct ExplainFlags {
    /// Folder with a folder of manifests for each cluster, named by its id
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    /// Who opens the connection: cluster/namespace/pod or ip:ADDRESS
    #[arg(long, value_name = "END", env = "BAILEY_ENFORCER_FROM")]
    from: End,

    /// To whom: cluster/namespace/pod or ip:ADDRESS
    #[arg(long, value_name = "END", env = "BAILEY_ENFORCER_TO")]
    to: End,

    /// What is sent: PROTOCOL/PORT or PROTOCOL/PORT/FAMILY, as TCP/80, UDP/53/6, SCTP/7, ICMP/0
    #[arg(long, value_name = "PROBE", env = "BAILEY_ENFORCER_PROBE")]
    probe: Probe,

    #[command(flatten)]
    switches: SwitchFlags,

    /// How to answer
    #[arg(long, value_name = "FORMAT", env = "BAILEY_ENFORCER_EXPLAIN_FORMAT", value_enum, default_value_t = Format::Text)]
    format: Format,
}

impl ExplainFlags {
    pub(super) fn validate(self) -> Explain {
        let Self {
            dir,
            from,
            to,
            probe,
            switches,
            format,
        } = self;
        Explain {
            dir,
            question: Question { from, to, probe },
            switches: switches.switches(),
            format,
        }
    }
}
