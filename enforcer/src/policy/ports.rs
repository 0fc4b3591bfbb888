//! `ports`: protocols, numbers, ranges and names.
//!
//! Pure. Resolves no name: that is the compiler's, who knows the pods.

use super::fields::{Field, Problem, Report, members, shown};
use super::written::List;
use super::{Kind, PolicyPort, PortMatch};
use proto::model::Protocol;
use serde_json::Value;
use std::collections::BTreeSet;

/// The longest name of a port (IANA's service names).
const MAX_NAME: usize = 15;

/// The list `ports`.
pub(super) fn ports(value: &Value, field: &Field<'_>, report: &mut Report) -> List<PolicyPort> {
    report.list(value, field, "the port matches nothing", |value, field, _| {
        port(value, field).map_err(|problem| problem.of(Kind::Port))
    })
}

fn port(value: &Value, field: &Field<'_>) -> Result<PolicyPort, Problem> {
    let [protocol, port, end] = members(value, field, ["protocol", "port", "endPort"])?;
    Ok(PolicyPort {
        protocol: match protocol {
            None => Protocol::Tcp,
            Some(value) => self::protocol(value, &field.member("protocol"))?,
        },
        port: port_match(port, end, field)?,
    })
}

fn protocol(value: &Value, field: &Field<'_>) -> Result<Protocol, Problem> {
    let known = match value.as_str() {
        Some("") => Some(Protocol::Tcp),
        Some(name) => Protocol::from_kubernetes(name),
        None => None,
    };
    known.ok_or_else(|| field.problem(format!("{} is no protocol: expected TCP, UDP or SCTP", shown(value))))
}

fn port_match(port: Option<&Value>, end: Option<&Value>, field: &Field<'_>) -> Result<PortMatch, Problem> {
    let (port_field, end_field) = (field.member("port"), field.member("endPort"));
    match (port, end) {
        (None, None) => Ok(PortMatch::Any),
        (None, Some(_)) => Err(end_field.problem("endPort needs a port to begin at".to_owned())),
        (Some(Value::String(name)), end) => {
            if !is_port_name(name) {
                let problem = format!(
                    "{} is neither a number nor the name of a port: expected at most {MAX_NAME} lower-case letters, \
                     digits and '-', at least one of them a letter",
                    shown(&Value::String(name.clone()))
                );
                Err(port_field.problem(problem))
            } else if end.is_some() {
                Err(end_field.problem("endPort needs a number as port, not a name".to_owned()))
            } else {
                Ok(PortMatch::Named(name.as_str().into()))
            }
        }
        (Some(first), end) => {
            let first = number(first, &port_field)?;
            let last = end.map_or(Ok(first), |end| number(end, &end_field))?;
            if last < first {
                return Err(end_field.problem(format!("endPort {last} is below port {first}")));
            }
            Ok(PortMatch::Range(first, last))
        }
    }
}

fn number(value: &Value, field: &Field<'_>) -> Result<u16, Problem> {
    value
        .as_u64()
        .and_then(|number| u16::try_from(number).ok())
        .filter(|number| *number > 0)
        .ok_or_else(|| {
            field.problem(format!(
                "{} is no port: expected a number from 1 to 65535",
                shown(value)
            ))
        })
}

/// What the API server takes for the name of a port (IANA's service names, RFC 6335). A number in quotes is none (S63).
fn is_port_name(name: &str) -> bool {
    name.len() <= MAX_NAME
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && name.bytes().any(|b| b.is_ascii_lowercase())
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("--")
}

/// The same ports, sorted, with none inside or next to another.
pub(super) fn merged<'a>(ports: impl Iterator<Item = &'a PolicyPort>) -> Vec<PolicyPort> {
    let ports: BTreeSet<PolicyPort> = ports.cloned().collect();
    let mut merged: Vec<PolicyPort> = Vec::with_capacity(ports.len());
    for next in ports {
        let before = merged.last_mut().filter(|before| before.protocol == next.protocol);
        match (before.map(|before| &mut before.port), &next.port) {
            (Some(PortMatch::Any), _) => {}
            (Some(PortMatch::Range(_, last)), PortMatch::Range(first, end)) if *first <= last.saturating_add(1) => {
                *last = *end.max(last);
            }
            (None | Some(PortMatch::Range(..) | PortMatch::Named(_)), _) => merged.push(next),
        }
    }
    merged
}
