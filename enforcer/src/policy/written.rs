//! A policy as it is written: every rule, peer and port at its index, with what it means or why it is void.
//!
//! Pure. The one reading of a spec. [`super::parse`] merges what it gives into what is enforced; whoever has to point at a
//! piece (`spec.egress[0].to[1]`) asks here. Judges no connection and knows no pods.

use super::fields::{Field, Problem, Report, members, shown, unknown, unknown_members};
use super::{Kind, MAX_KERNEL_RULES, NetworkPolicy, PolicyPort, PolicyRule, Refused, peers, ports, selectors};
use ipnet::IpNet;
use proto::selector::Selector;
use serde_json::Value;
use std::collections::BTreeMap;

/// A policy as it is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Written {
    /// `spec.podSelector`. If it is void the policy isolates its whole namespace, and its rules admit nothing though they
    /// are understood (P1).
    pub subjects: Result<Selector, Refused>,
    /// `spec.ingress`; `None`: the policy does not isolate ingress.
    pub ingress: Option<List<Rule>>,
    /// `spec.egress`; `None`: the policy does not isolate egress.
    pub egress: Option<List<Rule>>,
    /// Every piece that is not in force, as [`super::Policy::refused`] has it; also what stands outside the rules.
    pub refused: Vec<Refused>,
}

/// A list of a policy, as it is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum List<T> {
    /// Absent, null or empty. As rules that is none; as peers or ports it is any (S9, S10).
    Absent,
    /// No list: nothing of it is in force (S60).
    Void(Refused),
    /// Its entries, by index; there is at least one.
    Of(Vec<Entry<T>>),
}

/// What an entry of a list means, or why it is void.
pub type Entry<T> = Result<T, Refused>;

/// An entry of `ingress` or `egress`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// `from` or `to`.
    pub peers: List<Peer>,
    /// `ports`.
    pub ports: List<PolicyPort>,
}

/// An entry of `from` or `to`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Peer {
    /// Pods. At least one selector is present.
    Pods {
        /// `podSelector`.
        pods: Option<Selector>,
        /// `namespaceSelector`.
        namespaces: Option<Selector>,
    },
    /// `ipBlock`.
    Block {
        /// `cidr`, host bits masked (S38).
        net: IpNet,
        /// `except`, by index, host bits masked; some may take nothing from `net`, or all of it (P12, P14).
        except: Vec<IpNet>,
    },
}

/// A direction that a policy isolates.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PolicyType {
    /// Connections to the subject.
    Ingress,
    /// Connections of the subject.
    Egress,
}

impl<T> List<T> {
    /// The entries, by index: void ones too.
    pub fn entries(&self) -> &[Entry<T>] {
        match self {
            Self::Absent | Self::Void(_) => &[],
            Self::Of(entries) => entries,
        }
    }

    /// The entries that are in force.
    pub fn understood(&self) -> impl Iterator<Item = &T> {
        self.entries().iter().filter_map(|entry| entry.as_ref().ok())
    }
}

impl PolicyType {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Ingress, Self::Egress];

    /// The field of its rules.
    pub const fn rules(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }

    /// The field of a rule's peers.
    pub const fn peers(self) -> &'static str {
        match self {
            Self::Ingress => "from",
            Self::Egress => "to",
        }
    }
}

impl Written {
    /// The rules of a direction; `None`: the policy does not isolate it.
    pub const fn rules(&self, direction: PolicyType) -> Option<&List<Rule>> {
        match direction {
            PolicyType::Ingress => self.ingress.as_ref(),
            PolicyType::Egress => self.egress.as_ref(),
        }
    }
}

/// Reads a policy.
pub fn read(raw: &NetworkPolicy) -> Written {
    let field = Field::Root("spec");
    let mut report = Report::default();
    let members = match &raw.spec {
        Value::Null => [None; 4],
        Value::Object(object) => SPEC.map(|name| object.get(name).filter(|value| !value.is_null())),
        other => return no_spec(&field.problem(format!("{} is no object", shown(other)))),
    };
    for name in unknown_members(&raw.spec, &SPEC) {
        report.refuse(
            &unknown(name, &field),
            "it has no effect; the rest of the policy is in force",
        );
    }
    let [pod_selector, policy_types, ingress, egress] = members;
    let subjects = pod_selector.map_or_else(
        || Ok(Selector::default()),
        |value| selectors::selector(value, &field.member("podSelector")),
    );
    let subjects = subjects
        .map_err(|problem| report.refuse(&problem, "the policy isolates its whole namespace and admits nothing"));
    let types = self::policy_types(policy_types, egress, &field.member("policyTypes"), &mut report);
    let mut rules = |direction: PolicyType, value| {
        types
            .contains(&direction)
            .then(|| rules(value, &field.member(direction.rules()), direction, &mut report))
    };
    Written {
        subjects,
        ingress: rules(PolicyType::Ingress, ingress),
        egress: rules(PolicyType::Egress, egress),
        refused: report.finish(),
    }
}

/// A policy whose spec cannot be read at all.
fn no_spec(problem: &Problem) -> Written {
    let mut report = Report::default();
    let follows = "the policy isolates its whole namespace in both directions and admits nothing";
    Written {
        subjects: Err(report.refuse(problem, follows)),
        ingress: Some(List::Absent),
        egress: Some(List::Absent),
        refused: report.finish(),
    }
}

/// The members of `spec`. An unknown one is named and changes nothing: of a spec, which only adds rules to an isolation
/// that stands, no understood piece depends on it.
const SPEC: [&str; 4] = ["podSelector", "policyTypes", "ingress", "egress"];

/// `policyTypes`: given ones are final (S6); without any that is known, Ingress, and Egress if there is an egress rule,
/// understood or not (S5, P21).
fn policy_types(
    types: Option<&Value>,
    egress: Option<&Value>,
    field: &Field<'_>,
    report: &mut Report,
) -> Vec<PolicyType> {
    let read = |value: &Value, field: &Field<'_>, _: &mut Report| match value.as_str() {
        Some("Ingress") => Ok(PolicyType::Ingress),
        Some("Egress") => Ok(PolicyType::Egress),
        Some(_) | None => {
            let what = format!("{} is no policy type: expected Ingress or Egress", shown(value));
            Err(field.problem(what).of(Kind::PolicyTypes))
        }
    };
    let known = types.map_or(List::Absent, |types| report.list(types, field, "it is ignored", read));
    let known: Vec<PolicyType> = known.understood().copied().collect();
    let has_egress_rules = || egress.is_some_and(|rules| rules.as_array().is_none_or(|rules| !rules.is_empty()));
    match known.as_slice() {
        [] if has_egress_rules() => vec![PolicyType::Ingress, PolicyType::Egress],
        [] => vec![PolicyType::Ingress],
        _ => known,
    }
}

fn rules(value: Option<&Value>, field: &Field<'_>, direction: PolicyType, report: &mut Report) -> List<Rule> {
    let Some(value) = value else { return List::Absent };
    let mut rules = report.list(value, field, "the rule admits nothing", |value, field, report| {
        rule(value, field, direction, report)
    });
    if let List::Of(entries) = &mut rules {
        limit(entries, field, report);
    }
    rules
}

fn rule(value: &Value, field: &Field<'_>, direction: PolicyType, report: &mut Report) -> Result<Rule, Problem> {
    let [peers, ports] = members(value, field, [direction.peers(), "ports"])?;
    Ok(Rule {
        peers: peers.map_or(List::Absent, |value| {
            peers::peers(value, &field.member(direction.peers()), report)
        }),
        ports: ports.map_or(List::Absent, |value| {
            ports::ports(value, &field.member("ports"), report)
        }),
    })
}

/// Voids the rules beyond what one policy may have in the kernel (P25). Rules that mean the same are one, so that which
/// they are does not hang on their order.
fn limit(entries: &mut [Entry<Rule>], field: &Field<'_>, report: &mut Report) {
    let mut distinct: BTreeMap<PolicyRule, Vec<usize>> = BTreeMap::new();
    for (index, entry) in entries.iter().enumerate() {
        if let Ok(rule) = entry {
            distinct.entry(rule.into()).or_default().push(index);
        }
    }
    distinct.retain(|rule, _| !report.spend(rule.kernel_rules()));
    if distinct.is_empty() {
        return;
    }
    let what = format!("the rules combine peers and ports in more than {MAX_KERNEL_RULES} ways");
    report.refuse(
        &field.problem(what.clone()).of(Kind::Limit),
        &format!("{} of the rules admit nothing", distinct.len()),
    );
    for index in distinct.into_values().flatten() {
        let problem = Field::Entry(field, index).problem(what.clone()).of(Kind::Limit);
        entries[index] = Err(problem.refused("the rule admits nothing"));
    }
}

#[cfg(test)]
mod tests;
