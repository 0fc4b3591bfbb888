//! Flags of the commands that judge manifests. They need no cluster, no root and no log.

use super::switches::SwitchFlags;
use crate::diff::{self, Diff};
use crate::matrix::{Format, Matrix};
use crate::offline::ends::Probe;
use clap::Args;
use std::path::PathBuf;

/// A paragraph is a line: clap breaks it to the width of the terminal.
const MATRIX: &str = "\
DIR holds a folder for each cluster, named by its id, with manifests in it: *.yaml, *.yml and *.json with Namespaces, Pods, \
NetworkPolicies and Nodes, as `kubectl get -o yaml` prints them or as they are kept in a repository; other kinds are \
passed over. What cannot be read is named on stderr and left out, the rest is judged.

An end is cluster/namespace/pod or ip:ADDRESS. A probe is PROTOCOL/PORT, with /4 or /6 for one family; without one it is \
IPv4 where both ends have it, else IPv6. ICMP has port 0.

Rows are sources, columns destinations. A verdict is about opening a connection: . allowed, X refused, - no such traffic \
(an end has no live address of the family).

Examples:
  Who reaches whom on a port:
      enforcer matrix DIR --probe TCP/8080

  Two pods and a host outside of all clusters, by DNS and ping, over IPv6:
      printf '%s\\n' cluster-a/shop/web cluster-b/shop/db ip:2001:db8::7 > ends
      enforcer matrix DIR --probe UDP/53/6 --probe ICMP/0/6 --ends ends

  Every verdict, for a program:
      enforcer matrix DIR --probe TCP/8080 --format json | jq -r '.tables[0].rows[]'

Exit codes:
  0  judged
  2  there is nothing to judge, or the command line or the file of ends is wrong; the message says what to do";

/// `enforcer matrix`.
#[derive(Args, Debug)]
#[command(after_help = "--help has examples and exit codes", after_long_help = MATRIX)]
pub(super) struct MatrixFlags {
    /// Folder with a folder of manifests for each cluster, named by its id
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    #[command(flatten)]
    probes: ProbeFlags,

    #[command(flatten)]
    switches: SwitchFlags,

    /// How to answer
    #[arg(long, value_name = "FORMAT", env = "BAILEY_ENFORCER_MATRIX_FORMAT", value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// A paragraph is a line: clap breaks it to the width of the terminal.
const DIFF: &str = "\
BEFORE and AFTER are folders as `enforcer matrix --help` describes them. The ends are the pods of both; a pod that only one \
of them has appears, or goes.

Verdicts that change are grouped by what changes them: the policies that isolate, or no longer admit, a pod of one of the \
ends; or, where no policy differs, the pods, namespaces and clusters that do.

Examples:
  What a new policy would do to what reaches the pods of a namespace:
      cp -r DIR DIR.new; cp policy.yaml DIR.new/cluster-a/; enforcer diff DIR DIR.new --probe TCP/8080

  What the joining of a cluster opens, in continuous integration:
      enforcer diff members members-and-new --probe TCP/443 --probe UDP/53 || test $? -eq 1

Exit codes:
  0  no verdict changes
  1  some verdicts change
  2  there is nothing to compare, or the command line or the file of ends is wrong; the message says what to do";

/// `enforcer diff`.
#[derive(Args, Debug)]
#[command(after_help = "--help has examples and exit codes", after_long_help = DIFF)]
pub(super) struct DiffFlags {
    /// Folder with a folder of manifests for each cluster, named by its id, as they are
    #[arg(value_name = "BEFORE")]
    before: PathBuf,

    /// The same as they would be
    #[arg(value_name = "AFTER")]
    after: PathBuf,

    #[command(flatten)]
    probes: ProbeFlags,

    #[command(flatten)]
    switches: SwitchFlags,

    /// How to answer
    #[arg(long, value_name = "FORMAT", env = "BAILEY_ENFORCER_DIFF_FORMAT", value_enum, default_value_t = diff::Format::Text)]
    format: diff::Format,
}

impl DiffFlags {
    pub(super) fn validate(self) -> Diff {
        let Self {
            before,
            after,
            probes: ProbeFlags { probes, ends },
            switches,
            format,
        } = self;
        Diff {
            before,
            after,
            probes,
            ends,
            switches: switches.switches(),
            format,
        }
    }
}

/// What is judged.
#[derive(Args, Debug)]
pub(super) struct ProbeFlags {
    /// What is sent: PROTOCOL/PORT or PROTOCOL/PORT/FAMILY, as TCP/80, UDP/53/6, SCTP/7, ICMP/0; may be repeated
    #[arg(
        long = "probe",
        value_name = "PROBE",
        env = "BAILEY_ENFORCER_PROBE",
        value_delimiter = ',',
        required = true
    )]
    pub(super) probes: Vec<Probe>,

    /// File with one end a line, cluster/namespace/pod or ip:ADDRESS; without it the ends are all pods, sorted
    #[arg(long, value_name = "FILE", env = "BAILEY_ENFORCER_ENDS")]
    pub(super) ends: Option<PathBuf>,
}

impl MatrixFlags {
    pub(super) fn validate(self) -> Matrix {
        let Self {
            dir,
            probes: ProbeFlags { probes, ends },
            switches,
            format,
        } = self;
        Matrix {
            dir,
            probes,
            ends,
            switches: switches.switches(),
            format,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::CommandLine;
    use clap::CommandFactory;

    /// A line that ends where the terminal does not leaves a ragged one behind it.
    #[test]
    fn the_paragraphs_of_help_are_lines() {
        let program = CommandLine::command();
        for name in ["matrix", "explain", "lint", "diff"] {
            let command = program.find_subcommand(name).unwrap();
            let text = command.get_after_long_help().unwrap().to_string();
            let lines: Vec<&str> = text.lines().collect();
            let prose = |line: &str| line.starts_with(|c: char| !c.is_whitespace());
            for pair in lines.windows(2) {
                assert!(!(prose(pair[0]) && prose(pair[1])), "{name}: {pair:?}");
            }
        }
    }
}
