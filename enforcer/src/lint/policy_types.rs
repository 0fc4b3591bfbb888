//! `policyTypes` that isolate more or less than the rules suggest (S5, S6).
//!
//! Pure.

use super::estate::Case;
use super::finding::{Findings, Rule, Severity};
use super::words::{counted, pods};
use crate::policy::written::PolicyType;
use serde_json::Value;

/// Rules of a direction that `policyTypes` does not name.
pub(super) const IGNORED: Rule = Rule {
    id: "rules-ignored",
    severity: Severity::Warning,
    finds: "rules of a direction that policyTypes does not name",
    help: "policyTypes is final: rules of a direction that it does not name are ignored, and the direction is not isolated by \
           this policy (S6).",
};

/// `policyTypes` is absent and its default is not what the rules suggest.
pub(super) const BY_DEFAULT: Rule = Rule {
    id: "policy-types-by-default",
    severity: Severity::Warning,
    finds: "a policy without policyTypes whose default isolates more or less than its rules suggest",
    help: "Without policyTypes a policy always isolates ingress, and egress if and only if it has an egress rule (S5). An API \
           server writes the default into the object when it is created.",
};

/// Looks at a policy.
pub(super) fn check(case: &Case<'_, '_>, findings: &mut Findings) {
    let spec = case.policy.spec;
    let rules = |direction: PolicyType| spec[direction.rules()].as_array();
    let count = |direction| rules(direction).map_or(0, Vec::len);
    for direction in PolicyType::ALL {
        let ignored = count(direction);
        if ignored > 0 && case.policy.written.rules(direction).is_none() {
            let name = type_name(direction);
            let happens = format!(
                "policyTypes does not name {name}: {} {} ignored, and this policy leaves {} open",
                counted(ignored, "rule"),
                if ignored == 1 { "is" } else { "are" },
                direction.rules(),
            );
            let field = format!("spec.{}", direction.rules());
            let finding = case.finding(&IGNORED, Severity::Warning, &field, happens);
            findings.add(finding.instead(format!(
                "write  policyTypes: [Ingress, Egress], or leave {} away",
                direction.rules()
            )));
        }
    }
    let is_absent = match &spec["policyTypes"] {
        Value::Null => spec.is_object(),
        types => is_written_empty(types),
    };
    if !is_absent {
        return;
    }
    let pods = match case.subjects.as_slice() {
        [] => "its pods".to_owned(),
        subjects => pods(subjects),
    };
    let (severity, happens, instead) = match (count(PolicyType::Ingress), count(PolicyType::Egress)) {
        (0, 1..) => (
            Severity::Warning,
            format!("policyTypes is absent, so ingress is isolated too, and as there are no ingress rules nobody may connect to {pods}"),
            "if only egress is meant write  policyTypes: [Egress]; if this is, write  policyTypes: [Ingress, Egress]",
        ),
        (1.., 1..) => (
            Severity::Note,
            "policyTypes is absent: egress is isolated because there is an egress rule, and opens when the last one goes".to_owned(),
            "write  policyTypes: [Ingress, Egress]",
        ),
        (_, 0) if rules(PolicyType::Egress).is_some() => (
            Severity::Warning,
            format!("policyTypes is absent and egress: [] is no rule, so egress of {pods} is not isolated"),
            "to deny all egress write  policyTypes: [Ingress, Egress]; else leave egress away",
        ),
        (_, 0) => return,
    };
    let finding = case.finding(&BY_DEFAULT, severity, "spec.policyTypes", happens);
    findings.add(finding.instead(instead));
}

const fn type_name(direction: PolicyType) -> &'static str {
    match direction {
        PolicyType::Ingress => "Ingress",
        PolicyType::Egress => "Egress",
    }
}

/// Whether a list is written and empty, which means something else than it seems to.
pub(super) fn is_written_empty(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty)
}
