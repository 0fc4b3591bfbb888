//! Pieces of policies that are void (S127), and how they are probably meant.
//!
//! Pure. Which pieces are void and why is [`crate::policy`]'s to say.

use super::estate::Case;
use super::finding::{Findings, Rule, Severity};
use super::words::nearest;
use serde_json::Value;

/// A piece of a policy is void.
pub(super) const VOID_PIECE: Rule = Rule {
    id: "void-piece",
    severity: Severity::Error,
    finds: "a piece of a policy that is not understood",
    help: "What cannot be understood matches nothing, the pieces around it stay in force, and the policy still isolates its \
           pods: traffic that was to be allowed is refused. A void spec.podSelector isolates the whole namespace and \
           admits nothing.",
};

/// Names every void piece.
pub(super) fn check(case: &Case<'_, '_>, findings: &mut Findings) {
    for refused in &case.policy.written.refused {
        let finding = case.finding(&VOID_PIECE, Severity::Error, &refused.field, refused.reason.clone());
        let value = refused
            .field
            .strip_prefix("spec")
            .and_then(|path| value_at(case.policy.spec, path));
        findings.add(match value.and_then(|value| instead(&refused.field, value)) {
            Some(instead) => finding.instead(instead),
            None => finding,
        });
    }
}

/// All fields of a spec.
const FIELDS: [&str; 21] = [
    "podSelector",
    "policyTypes",
    "ingress",
    "egress",
    "from",
    "to",
    "ports",
    "protocol",
    "port",
    "endPort",
    "namespaceSelector",
    "ipBlock",
    "cidr",
    "except",
    "matchLabels",
    "matchExpressions",
    "key",
    "operator",
    "values",
    "spec",
    "metadata",
];

/// The value at a path below a value: `.ingress[0].from[1]`. `None` also for a path with quoted names.
fn value_at<'v>(mut value: &'v Value, path: &str) -> Option<&'v Value> {
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            value = value.get(&after[..end])?;
            rest = &after[end..];
        } else {
            let (index, after) = rest.strip_prefix('[')?.split_once(']')?;
            value = value.get(index.parse::<usize>().ok()?)?;
            rest = after;
        }
    }
    Some(value)
}

/// What was probably meant by a void value at a path.
fn instead(path: &str, value: &Value) -> Option<String> {
    let field = path.rsplit('.').next().unwrap_or(path);
    let (name, _) = field.split_once('[').unwrap_or((field, ""));
    match (name, value) {
        ("cidr" | "except", Value::String(text)) => cidr(text).map(|cidr| format!("write  {cidr}")),
        ("protocol", Value::String(text)) => {
            let meant = ["TCP", "UDP", "SCTP"]
                .into_iter()
                .find(|known| known.eq_ignore_ascii_case(text.trim()));
            Some(match meant {
                Some(meant) => format!("write  protocol: {meant}"),
                None => "a rule without ports admits every protocol; one with ports only TCP, UDP and SCTP".to_owned(),
            })
        }
        ("port", Value::String(text)) if text.trim().parse::<u16>().is_ok_and(|port| port > 0) => {
            Some(format!("write the number without quotes  port: {}", text.trim()))
        }
        ("matchExpressions", Value::Object(expression)) => operator(expression),
        ("policyTypes", Value::String(text)) => {
            nearest(text, ["Ingress", "Egress"]).map(|meant| format!("write  {meant}"))
        }
        ("from" | "to", Value::Object(peer)) if path.ends_with(']') => self::peer(peer),
        (name, _) if FIELDS.contains(&name) => None,
        (unknown, _) => nearest(unknown, FIELDS).map(|meant| format!("write  {meant}")),
    }
}

/// One address, or the address of a block without its mask.
fn cidr(text: &str) -> Option<String> {
    let text = text.trim();
    if let Some(mapped) = text.strip_prefix("::ffff:")
        && let Some((address, bits)) = mapped.split_once('/')
        && let (Ok(address), Ok(bits @ 96..=128)) = (address.parse::<std::net::Ipv4Addr>(), bits.parse::<u8>())
    {
        return Some(format!("{address}/{}", bits - 96));
    }
    match text.parse().ok()? {
        std::net::IpAddr::V4(v4) => Some(format!("{v4}/32")),
        std::net::IpAddr::V6(v6) => Some(format!("{v6}/128")),
    }
}

fn operator(expression: &serde_json::Map<String, Value>) -> Option<String> {
    let operator = expression.get("operator")?.as_str()?;
    let values = expression.get("values").and_then(Value::as_array).map_or(0, Vec::len);
    let list = ["In", "NotIn", "Exists", "DoesNotExist"];
    match (operator, values) {
        ("In" | "NotIn", 0) => {
            Some("for a key with any value write  operator: Exists; for its absence  DoesNotExist".to_owned())
        }
        ("Exists", 1..) => Some("for these values write  operator: In; for any value leave values away".to_owned()),
        ("DoesNotExist", 1..) => {
            Some("for none of these values write  operator: NotIn; for no value at all leave values away".to_owned())
        }
        (other, _) => nearest(other, list).map(|meant| format!("write  operator: {meant}")),
    }
}

fn peer(peer: &serde_json::Map<String, Value>) -> Option<String> {
    let has = |name: &str| peer.get(name).is_some_and(|value| !value.is_null());
    if has("ipBlock") && (has("podSelector") || has("namespaceSelector")) {
        return Some("an entry is pods or a block: write two entries to admit either".to_owned());
    }
    peer.values().all(Value::is_null).then(|| {
        "for the pods of this namespace write  podSelector: {}; for those of every namespace of every cluster  \
         namespaceSelector: {}; for anybody leave the list away"
            .to_owned()
    })
}
