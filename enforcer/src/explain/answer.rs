//! The answer to a question about one connection, in words: what text and JSON both show.
//!
//! Pure values. As JSON they are an interface: fields are added, never renamed or given another meaning.

use super::ends;
use super::words::Sentence;
use crate::offline::ends::{End, Probe};
use crate::policy::Refused;
use crate::screen::make_plain;
use serde::Serialize;

/// What was asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Question {
    /// Who opens the connection.
    pub from: End,
    /// To whom.
    pub to: End,
    /// What is sent.
    pub probe: Probe,
}

/// What becomes of a connection, and why.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Answer {
    /// The source, `cluster/namespace/pod` or `ip:ADDRESS`.
    pub from: String,
    /// The destination.
    pub to: String,
    /// The probe, `PROTOCOL/PORT`, with its family if one was asked for.
    pub probe: String,
    /// The family that is used, 4 or 6; null: there is no such traffic.
    pub family: Option<u8>,
    /// `allowed`, `refused`, or `none`: there is no such traffic.
    pub verdict: &'static str,
    /// The verdict in a sentence.
    pub because: String,
    /// Set if the evaluation below says otherwise than the compiled ruleset, whose word the verdict is: a bug.
    pub contradiction: Option<String>,
    /// Egress, then ingress; none without traffic.
    pub directions: Vec<DirectionAnswer>,
    /// Who has the addresses.
    pub addresses: Vec<ends::Address>,
}

/// What policies make of one direction.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct DirectionAnswer {
    /// `egress`, which is the source's, or `ingress`, which is the destination's.
    pub direction: &'static str,
    /// Whose it is.
    pub end: String,
    /// Whether it is let pass.
    pub admitted: bool,
    /// Why no node judges it; null: some do.
    pub unjudged: Option<String>,
    /// Each pod for which a node judges it.
    pub subjects: Vec<SubjectAnswer>,
}

/// What the policies of one pod make of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct SubjectAnswer {
    /// The pod, `cluster/namespace/pod`.
    pub pod: String,
    /// The node that judges, `cluster/node`.
    pub node: String,
    /// The hook of netfilter where it does: `forward`, or `input` for what a pod sends to its own node.
    pub hook: &'static str,
    /// Whether it is let pass.
    pub admitted: bool,
    /// How the pod stands to it, in a sentence.
    pub because: String,
    /// The pods behind the other end's address whose claims count here; none: selectors do not match it.
    pub claimants: Vec<String>,
    /// The policies that isolate the pod in this direction, by name.
    pub policies: Vec<PolicyAnswer>,
    /// If it is refused: the rule that comes nearest to admitting it; null: there is no rule.
    pub nearest: Option<Nearest>,
}

/// What one policy makes of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct PolicyAnswer {
    /// `namespace/name`, in the cluster of the node.
    pub policy: String,
    /// Whether a rule of it admits.
    pub admits: bool,
    /// Why no rule of it is in force; null: they are.
    pub void: Option<Void>,
    /// Its rules for the direction, by index.
    pub rules: Vec<RuleAnswer>,
}

/// A piece of a policy that is not in force, in the words of the running enforcer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Void {
    /// Its path.
    pub field: String,
    /// What kind of piece it is, in the words of the enforcer's metrics.
    pub kind: &'static str,
    /// Why, and what follows.
    pub reason: String,
}

/// What one rule makes of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct RuleAnswer {
    /// Its path, `spec.ingress[0]`.
    pub field: String,
    /// Whether it admits.
    pub admits: bool,
    /// Why it is not in force; null: it is.
    pub void: Option<Void>,
    /// `from` or `to`; null if the rule is void.
    pub peers: Option<ListAnswer>,
    /// `ports`; null if the rule is void.
    pub ports: Option<ListAnswer>,
}

/// What one of the two lists of a rule makes of it: one entry must match.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ListAnswer {
    /// Its name: `from`, `to` or `ports`.
    pub list: &'static str,
    /// Whether it is absent, and everything matches.
    pub any: bool,
    /// Whether it matches.
    pub matches: bool,
    /// Why nothing of it is in force; null: it is a list.
    pub void: Option<Void>,
    /// Its entries, by index.
    pub entries: Vec<EntryAnswer>,
}

/// What one entry of such a list makes of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct EntryAnswer {
    /// Its path, `spec.ingress[0].from[0]`.
    pub field: String,
    /// Whether it matches.
    pub matches: bool,
    /// What it means; empty if it is void.
    pub means: String,
    /// Every condition that fails, each a sentence.
    pub fails: Vec<Sentence>,
    /// Why it is void; null: it is not.
    pub void: Option<Void>,
}

/// The rule that comes nearest to admitting what is refused.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Nearest {
    /// The policy, `namespace/name`.
    pub policy: String,
    /// The rule's path.
    pub field: String,
    /// All of this would have to be so, each a sentence.
    #[serde(rename = "if")]
    pub conditions: Vec<Sentence>,
}

impl Answer {
    /// The same without characters that a terminal obeys: names and labels of manifests may hold any, and can neither
    /// begin a line nor colour it.
    pub(super) fn made_plain(mut self) -> Self {
        let plain = |text: &mut String| make_plain(text, |_| false);
        [&mut self.from, &mut self.to, &mut self.because]
            .into_iter()
            .for_each(plain);
        for address in &mut self.addresses {
            address.texts().into_iter().for_each(plain);
        }
        for direction in &mut self.directions {
            plain(&mut direction.end);
            direction.unjudged.iter_mut().for_each(plain);
            for subject in &mut direction.subjects {
                subject.texts().into_iter().for_each(plain);
            }
        }
        self
    }
}

impl SubjectAnswer {
    fn texts(&mut self) -> Vec<&mut String> {
        let mut texts = vec![&mut self.pod, &mut self.node, &mut self.because];
        texts.extend(&mut self.claimants);
        for policy in &mut self.policies {
            texts.push(&mut policy.policy);
            let entries = policy
                .rules
                .iter_mut()
                .flat_map(|rule| rule.peers.iter_mut().chain(&mut rule.ports));
            for entry in entries.flat_map(|list| &mut list.entries) {
                texts.push(&mut entry.means);
                texts.extend(entry.fails.iter_mut().flat_map(Sentence::texts));
            }
        }
        if let Some(nearest) = &mut self.nearest {
            texts.push(&mut nearest.policy);
            texts.extend(nearest.conditions.iter_mut().flat_map(Sentence::texts));
        }
        texts
    }
}

impl RuleAnswer {
    /// What of it is void, or that it is as a whole.
    pub(super) fn void_pieces(&self) -> impl Iterator<Item = &Void> {
        let lists = self.peers.iter().chain(&self.ports);
        let entries = lists.flat_map(|list| {
            list.void
                .iter()
                .chain(list.entries.iter().filter_map(|e| e.void.as_ref()))
        });
        self.void.iter().chain(entries)
    }
}

impl From<&Refused> for Void {
    fn from(refused: &Refused) -> Self {
        Self {
            field: refused.field.clone(),
            kind: refused.kind.name(),
            reason: refused.reason.clone(),
        }
    }
}
