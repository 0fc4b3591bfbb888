//! Flags of the commands that judge manifests. They need no cluster, no root and no log.

use super::switches::SwitchFlags;
use crate::matrix::{Format, Matrix};
use crate::offline::ends::Probe;
use clap::Args;
use std::path::PathBuf;

const MATRIX: &str = "\
DIR holds a folder for each cluster, named by its id, with manifests in it: *.yaml, *.yml and *.json with Namespaces, Pods,
NetworkPolicies and Nodes, as `kubectl get -o yaml` prints them or as they are kept in a repository; other kinds are
passed over. What cannot be read is named on stderr and left out, the rest is judged.

An end is cluster/namespace/pod or ip:ADDRESS. A probe is PROTOCOL/PORT, with /4 or /6 for one family; without one it is
IPv4 where both ends have it, else IPv6. ICMP has port 0.

Rows are sources, columns destinations. A verdict is about opening a connection: . allowed, X refused, - no such traffic
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
    #[arg(long, value_name = "FORMAT", env = "BAILEY_ENFORCER_FORMAT", value_enum, default_value_t = Format::Table)]
    format: Format,
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
