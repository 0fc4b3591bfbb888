//! Flags of `enforcer lint`. It needs no cluster, no root and no log.

use super::switches::SwitchFlags;
use crate::lint::RULES;
use crate::lint::command::{Format, Lint};
use clap::Args;
use std::fmt::Write;
use std::path::PathBuf;

/// A paragraph is a line: clap breaks it to the width of the terminal.
const LINT: &str = "\
DIR holds a folder for each cluster, named by its id, with manifests in it: *.yaml, *.yml and *.json with Namespaces, Pods, \
NetworkPolicies and Nodes, as `kubectl get -o yaml` prints them or as they are kept in a repository; other kinds are passed \
over.

Each finding names an object and a field, what happens, and what to write instead. An error is something that is not in \
force as it is written, or objects that contradict each other; a warning is in force as it is written and probably not what \
was meant; a note is worth knowing and may well be meant.

Examples:
  What to know about the policies of all clusters:
      enforcer lint DIR

  The same for a code host that shows results beside the files, run at the root of the repository:
      enforcer lint clusters --format sarif > lint.sarif

  Only errors, for a program:
      enforcer lint DIR --format json | jq '.findings[] | select(.severity == \"error\")'

Exit codes:
  0  no errors; there may be warnings and notes
  1  errors
  2  there is nothing to look at, or the command line is wrong; the message says what to do

Rules, with the severity that they mostly have:
";

/// The text behind the flags, with every rule.
fn help() -> String {
    let mut text = LINT.to_owned();
    for rule in RULES {
        let _ = write!(text, "\n  {}   {}\n      {}", rule.id, rule.severity, rule.finds);
    }
    text
}

/// `enforcer lint`.
#[derive(Args, Debug)]
#[command(after_help = "--help has examples, exit codes and all rules", after_long_help = help())]
pub(super) struct LintFlags {
    /// Folder with a folder of manifests for each cluster, named by its id
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    #[command(flatten)]
    switches: SwitchFlags,

    /// How to answer
    #[arg(long, value_name = "FORMAT", env = "BAILEY_ENFORCER_LINT_FORMAT", value_enum, default_value_t = Format::Text)]
    format: Format,
}

impl LintFlags {
    pub(super) fn validate(self) -> Lint {
        let Self { dir, switches, format } = self;
        Lint {
            dir,
            switches: switches.switches(),
            format,
        }
    }
}
