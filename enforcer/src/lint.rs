//! What an administrator should know about the objects of a ClusterSet before and after they are applied.
//!
//! ```text
//! manifests ─→ offline::ClusterSet ─→ estate ─→ a module for each kind of question ─→ Findings ─→ text, json, sarif
//! ```
//!
//! Pure. Nothing is judged here that is not judged elsewhere: pieces are void because [`crate::policy`] says so, a peer
//! means the pods that [`proto::selector`] selects. A rule looks at what that comes to and says what an administrator
//! might not expect. It finds nothing that is merely unusual: each finding names who is admitted or refused, and what to
//! write instead.

mod addresses;
mod blocks;
mod cluster_label;
pub mod command;
mod contradiction;
mod dns;
mod estate;
pub(crate) mod finding;
mod json;
mod namespaces;
mod nobody;
mod open;
mod policy_types;
mod ports;
mod reach;
mod sarif;
mod subjects;
mod text;
mod two_entries;
mod unread;
mod void;
mod words;

pub use finding::{Finding, Findings, Location, MAX_FINDINGS_PER_RULE, Rule, Severity, Subject};
pub use json::json;
pub use sarif::sarif;
pub use text::{summary, text};

use crate::offline::{ClusterSet, Manifests};
use estate::{Case, Estate};

/// Every rule, as `--help` lists them.
pub const RULES: [&Rule; 40] = [
    &unread::UNREADABLE,
    &unread::TAKEN_OTHERWISE,
    &void::VOID_PIECE,
    &reach::BARE_POD_SELECTOR,
    &reach::EVERY_CLUSTER,
    &cluster_label::NOT_IN,
    &cluster_label::UNKNOWN,
    &cluster_label::IN_POD_SELECTOR,
    &cluster_label::ON_POD,
    &namespaces::UNLABELLED,
    &namespaces::FOREIGN,
    &namespaces::MISSPELT,
    &namespaces::NAME,
    &namespaces::MISSING,
    &namespaces::SAME_CLUSTER,
    &subjects::SELECTS_NOTHING,
    &subjects::HOST_NETWORK,
    &nobody::ADMITS_NOTHING,
    &nobody::MATCHES_NOBODY,
    &contradiction::CONTRADICTORY,
    &two_entries::TWO_ENTRIES,
    &open::EVERYBODY,
    &open::SHADOWED,
    &open::DUPLICATE,
    &policy_types::IGNORED,
    &policy_types::BY_DEFAULT,
    &blocks::COVERS_PODS,
    &blocks::IDLE_EXCEPT,
    &blocks::EMPTIED,
    &blocks::READ_AS,
    &blocks::ONE_FAMILY,
    &ports::ALL_TCP,
    &ports::UNKNOWN_NAME,
    &ports::NAME_DIFFERS,
    &dns::NO_DNS,
    &addresses::CLAIMED_TWICE,
    &addresses::NODES,
    &addresses::UNUSABLE,
    &addresses::ODD_FIELD,
    &addresses::NO_NODE,
];

/// All that is to be said of some manifests and what they come to.
pub fn lint(manifests: &Manifests, set: &ClusterSet) -> Findings {
    let estate = Estate::of(set);
    let mut findings = Findings::default();
    unread::check(&manifests.complaints, &mut findings);
    namespaces::check(&estate, &mut findings);
    addresses::check(&estate, &mut findings);
    cluster_label::check_pods(&estate, &mut findings);
    dns::check(&estate, &mut findings);
    open::check_policies(&estate, &mut findings);
    for policy in &estate.policies {
        let case = Case::new(&estate, policy);
        void::check(&case, &mut findings);
        reach::check(&case, &mut findings);
        cluster_label::check(&case, &mut findings);
        contradiction::check(&case, &mut findings);
        for rule in &case.rules {
            nobody::check(&case, rule, &mut findings);
            two_entries::check(&case, rule, &mut findings);
        }
        open::check(&case, &mut findings);
        policy_types::check(&case, &mut findings);
        blocks::check(&case, &mut findings);
        ports::check(&case, &mut findings);
        subjects::check(&case, &mut findings);
    }
    findings.sort();
    findings
}

#[cfg(test)]
#[expect(clippy::too_many_lines, reason = "goldens are as long as what people see")]
mod tests;
