//! A NetworkPolicy as its API server has it → a policy as it is enforced.
//!
//! Pure. Decoded by types of our own from the raw object, so that no odd field ever fails a watch or is dropped in
//! silence: a piece that is not understood is void, matches nothing and is named in [`Policy::refused`], the pieces
//! around it stand, and the policy still isolates (S127). Knows no pods and no kernel.

mod blocks;
mod fields;
mod object;
mod peers;
mod ports;
mod selectors;

use fields::{Field, Problem, Report, members, shown, unknown_members};
use ipnet::IpNet;
use proto::model::Protocol;
use proto::selector::Selector;
use serde_json::Value;
use std::fmt;
use std::sync::Arc;

/// The most kernel rules, for each family, that one policy is given, 65 536: its rules beyond that are void (P25). An
/// object of the API server's greatest size could ask for hundreds of millions, peers times ports.
pub const MAX_KERNEL_RULES: usize = 1 << 16;

/// The most pieces of one policy that [`Policy::refused`] names; one more entry says how many there are beyond.
pub const MAX_REFUSED: usize = 100;

/// A NetworkPolicy's name. Policies are local: the cluster is the enforcer's own (S98).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PolicyName {
    /// `metadata.namespace`.
    pub namespace: Arc<str>,
    /// `metadata.name`.
    pub name: Arc<str>,
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A NetworkPolicy, raw: metadata that matters and an unread `spec`.
#[derive(Clone, PartialEq, Debug)]
pub struct NetworkPolicy {
    /// Its name.
    pub name: PolicyName,
    /// `metadata.uid`.
    pub uid: Arc<str>,
    /// `metadata.generation`.
    pub generation: i64,
    /// `spec`, whatever it is; `null` if absent.
    pub spec: Value,
}

/// A NetworkPolicy as it is enforced.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    /// Its name.
    pub name: PolicyName,
    /// The UID of the object that this was read from.
    pub uid: Arc<str>,
    /// Its generation then.
    pub generation: i64,
    /// `spec.podSelector`; `None`: void, the policy isolates its namespace and allows nothing (P1).
    pub subjects: Option<Selector>,
    /// Ingress rules, sorted, each once; `None`: the policy does not isolate ingress.
    pub ingress: Option<Vec<PolicyRule>>,
    /// Egress rules, sorted, each once; `None`: the policy does not isolate egress.
    pub egress: Option<Vec<PolicyRule>>,
    /// What was not understood, at most [`MAX_REFUSED`] and one entries.
    pub refused: Vec<Refused>,
}

/// A piece of a policy that is not in force.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Refused {
    /// Path of the field, for example `spec.ingress[0].from[1].ipBlock.cidr`.
    pub field: String,
    /// What is wrong with it and what follows, for people.
    pub reason: String,
}

/// An entry of `ingress` or `egress`: peers and ports must both match (S11).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct PolicyRule {
    /// `from` or `to`.
    pub peers: Peers,
    /// `ports`.
    pub ports: Ports,
}

/// `from` or `to`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Peers {
    /// Absent or empty: anybody, outside addresses included (S10).
    Any,
    /// One of these, sorted, each once; none, because all are void or empty: nobody (S60).
    Of(Vec<PolicyPeer>),
}

/// An entry of `from` or `to`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PolicyPeer {
    /// Pods. At least one selector is present.
    Pods {
        /// `podSelector`.
        pods: Option<Selector>,
        /// `namespaceSelector`.
        namespaces: Option<Selector>,
    },
    /// `ipBlock`, host bits masked (S38).
    Block {
        /// `cidr`.
        net: IpNet,
        /// `except`: only blocks within `net`, sorted, none inside or next to another, together less than `net`.
        except: Vec<IpNet>,
    },
}

/// `ports`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Ports {
    /// Absent or empty: every port and protocol (S46).
    Any,
    /// One of these, sorted, none within another; none, because all are void: no port (S60).
    Of(Vec<PolicyPort>),
}

/// An entry of `ports`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PolicyPort {
    /// `protocol`, by default TCP (S47).
    pub protocol: Protocol,
    /// `port` and `endPort`.
    pub port: PortMatch,
}

/// `port` and `endPort`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PortMatch {
    /// Absent: every port of the protocol (S48).
    Any,
    /// An inclusive range (S50).
    Range(u16, u16),
    /// A container port's name, resolved on the destination pod (S53).
    Named(Arc<str>),
}

/// Reads a policy.
pub fn parse(raw: &NetworkPolicy) -> Policy {
    let mut report = Report::default();
    let (subjects, ingress, egress) = spec(&raw.spec, &mut report);
    Policy {
        name: raw.name.clone(),
        uid: raw.uid.clone(),
        generation: raw.generation,
        subjects,
        ingress,
        egress,
        refused: report.finish(),
    }
}

/// The members of `spec`. An unknown one is named and changes nothing: of a spec, which only adds rules to an isolation
/// that stands, no understood piece depends on it.
const SPEC: [&str; 4] = ["podSelector", "policyTypes", "ingress", "egress"];

type Rules = Option<Vec<PolicyRule>>;

fn spec(spec: &Value, report: &mut Report) -> (Option<Selector>, Rules, Rules) {
    let field = Field::Root("spec");
    let members = match spec {
        Value::Null => [None; 4],
        Value::Object(object) => SPEC.map(|name| object.get(name).filter(|value| !value.is_null())),
        other => {
            let problem = field.problem(format!("{} is no object", shown(other)));
            report.refuse(
                problem,
                "the policy isolates its whole namespace in both directions and admits nothing",
            );
            return (None, Some(Vec::new()), Some(Vec::new()));
        }
    };
    for name in unknown_members(spec, &SPEC) {
        let problem = field.member(name).problem("unknown field".to_owned());
        report.refuse(problem, "it has no effect; the rest of the policy is in force");
    }
    let [pod_selector, policy_types, ingress, egress] = members;
    let subjects = match pod_selector.map(|value| selectors::selector(value, &field.member("podSelector"))) {
        None => Some(Selector::default()),
        Some(Ok(selector)) => Some(selector),
        Some(Err(problem)) => {
            report.refuse(problem, "the policy isolates its whole namespace and admits nothing");
            None
        }
    };
    let types = self::policy_types(policy_types, egress, &field.member("policyTypes"), report);
    let mut rules = |direction: PolicyType, value| {
        types
            .contains(&direction)
            .then(|| rules(value, &field.member(direction.rules()), direction, report))
    };
    let ingress = rules(PolicyType::Ingress, ingress);
    let egress = rules(PolicyType::Egress, egress);
    match subjects {
        Some(_) => (subjects, ingress, egress),
        None => (None, ingress.map(|_| Vec::new()), egress.map(|_| Vec::new())),
    }
}

/// A direction that a policy isolates.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PolicyType {
    Ingress,
    Egress,
}

impl PolicyType {
    /// The field of its rules.
    const fn rules(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }

    /// The field of a rule's peers.
    const fn peers(self) -> &'static str {
        match self {
            Self::Ingress => "from",
            Self::Egress => "to",
        }
    }
}

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
        Some(_) | None => Err(field.problem(format!(
            "{} is no policy type: expected Ingress or Egress",
            shown(value)
        ))),
    };
    let known = types.map_or_else(Vec::new, |types| report.list(types, field, "it is ignored", read));
    let has_egress_rules = || egress.is_some_and(|rules| rules.as_array().is_none_or(|rules| !rules.is_empty()));
    match known.as_slice() {
        [] if has_egress_rules() => vec![PolicyType::Ingress, PolicyType::Egress],
        [] => vec![PolicyType::Ingress],
        _ => known,
    }
}

fn rules(value: Option<&Value>, field: &Field<'_>, direction: PolicyType, report: &mut Report) -> Vec<PolicyRule> {
    let Some(value) = value else { return Vec::new() };
    let mut rules = report.list(value, field, "the rule admits nothing", |value, field, report| {
        rule(value, field, direction, report)
    });
    rules.sort();
    rules.dedup();
    let distinct = rules.len();
    rules.retain(|rule| report.spend(rule.kernel_rules()));
    if rules.len() < distinct {
        let problem = field.problem(format!(
            "the rules combine peers and ports in more than {MAX_KERNEL_RULES} ways"
        ));
        report.refuse(
            problem,
            &format!("{} of the rules admit nothing", distinct - rules.len()),
        );
    }
    rules
}

fn rule(value: &Value, field: &Field<'_>, direction: PolicyType, report: &mut Report) -> Result<PolicyRule, Problem> {
    let [peers, ports] = members(value, field, [direction.peers(), "ports"])?;
    Ok(PolicyRule {
        peers: peers.map_or(Peers::Any, |value| {
            peers::peers(value, &field.member(direction.peers()), report)
        }),
        ports: ports.map_or(Ports::Any, |value| ports::ports(value, &field.member("ports"), report)),
    })
}

impl PolicyRule {
    /// How many kernel rules it becomes at most, in one family.
    fn kernel_rules(&self) -> usize {
        let peers = match &self.peers {
            Peers::Any => 1,
            Peers::Of(peers) => peers.len(),
        };
        let ports = match &self.ports {
            Ports::Any => 1,
            Ports::Of(ports) => ports.len(),
        };
        peers.saturating_mul(ports)
    }
}

#[cfg(test)]
#[expect(clippy::too_many_lines, reason = "tables of pieces are long")]
mod tests;
