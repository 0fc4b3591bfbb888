//! `ipBlock`s that mean more or less than they seem to (S33 to S45, S95).
//!
//! Pure.

use super::estate::{Case, PeerCase, RuleCase};
use super::finding::{Findings, Rule, Severity};
use super::words::{pods, pods_by_cluster};
use crate::policy::written::Peer;
use crate::ruleset::Family;
use ipnet::IpNet;
use serde_json::Value;
use std::net::IpAddr;

/// A block covers addresses of pods.
pub(super) const COVERS_PODS: Rule = Rule {
    id: "block-covers-pods",
    severity: Severity::Note,
    finds: "an ipBlock that covers addresses of live pods",
    help: "A block matches whoever is behind an address, pods of every cluster included; no label, the cluster label among \
           them, is consulted (S33, S39). Addresses of pods come and go: selectors follow them, blocks do not.",
};

/// An except takes nothing from its block.
pub(super) const IDLE_EXCEPT: Rule = Rule {
    id: "except-without-effect",
    severity: Severity::Warning,
    finds: "an except outside its block",
    help: "An except only limits its own cidr. It is no deny rule: another peer, rule or policy may still admit its addresses \
           (S35, S45).",
};

/// The excepts leave nothing of the block.
pub(super) const EMPTIED: Rule = Rule {
    id: "block-emptied",
    severity: Severity::Warning,
    finds: "an ipBlock of which its excepts leave nothing",
    help: "Excepts that together are as wide as the cidr empty it: the entry matches nobody (S45). It does not become an entry \
           without restriction.",
};

/// A block is read otherwise than it is written.
pub(super) const READ_AS: Rule = Rule {
    id: "cidr-read-otherwise",
    severity: Severity::Warning,
    finds: "a CIDR with host bits or leading zeros",
    help: "Host bits are masked (S38), and numbers with leading zeros are decimal (S43), as the API server reads them. Other \
           programs read them as octal; newer API servers warn.",
};

/// Everybody of one family, nobody of the other.
pub(super) const ONE_FAMILY: Rule = Rule {
    id: "one-family",
    severity: Severity::Note,
    finds: "0.0.0.0/0 without ::/0, or the reverse, in a policy for pods of both families",
    help: "A block is of one family, and isolation of both: what 0.0.0.0/0 opens for IPv4 stays closed for IPv6 (S95, S96).",
};

/// Looks at the blocks of a policy.
pub(super) fn check(case: &Case<'_, '_>, findings: &mut Findings) {
    for rule in &case.rules {
        for peer in &rule.peers {
            block(case, rule, peer, findings);
        }
        one_family(case, rule, findings);
    }
}

fn block(case: &Case<'_, '_>, rule: &RuleCase<'_, '_>, peer: &PeerCase<'_, '_>, findings: &mut Findings) {
    let Peer::Block { net, except } = peer.peer else {
        return;
    };
    let net = *net;
    let field = format!("{}.ipBlock", peer.field);
    let raw = &case.policy.raw_rule(rule.direction, rule.index)[rule.direction.peers()][peer.index]["ipBlock"];
    read_otherwise(case, &format!("{field}.cidr"), &raw["cidr"], net, findings);
    for (index, except) in except.iter().enumerate() {
        let field = format!("{field}.except[{index}]");
        read_otherwise(case, &field, &raw["except"][index], *except, findings);
        if !net.contains(except) && !except.contains(&net) {
            let happens = format!("{except} is outside of {net} and takes nothing from it");
            let finding = case.finding(&IDLE_EXCEPT, Severity::Warning, &field, happens);
            findings.add(finding.instead("leave it away: what is outside of the block is not admitted by it anyway"));
        }
    }
    if is_emptied(net, except) {
        let happens = format!("the excepts leave nothing of {net}: the entry matches nobody");
        let finding = case.finding(&EMPTIED, Severity::Warning, &field, happens);
        findings.add(finding.instead("leave the entry away, or except less"));
    } else if !peer.reach.is_empty() {
        let happens = format!("{net} covers {}, whatever their labels", pods_by_cluster(&peer.reach));
        let finding = case.finding(&COVERS_PODS, Severity::Note, &field, happens);
        findings.add(finding.instead("to mean pods write selectors; to keep them out except their ranges"));
    }
}

/// Whether excepts leave nothing of a block (P12, P14).
pub(super) fn is_emptied(net: IpNet, except: &[IpNet]) -> bool {
    let inside: Vec<IpNet> = except.iter().filter(|except| net.contains(*except)).copied().collect();
    except.iter().any(|except| except.contains(&net)) || IpNet::aggregate(&inside) == [net]
}

fn read_otherwise(case: &Case<'_, '_>, field: &str, raw: &Value, net: IpNet, findings: &mut Findings) {
    let Some(text) = raw.as_str() else { return };
    let Some((address, length)) = text.split_once('/') else {
        return;
    };
    let why = match address.parse::<IpAddr>() {
        Ok(written) if written != net.addr() => "it has bits beyond its prefix length, which are masked",
        Ok(_) if length.len() == 1 || !length.starts_with('0') => return,
        Ok(_) | Err(_) => "numbers with leading zeros are decimal",
    };
    let happens = format!("{text} is read as {net}: {why}");
    let finding = case.finding(&READ_AS, Severity::Warning, field, happens);
    findings.add(match address.parse::<IpAddr>() {
        Ok(one) if one != net.addr() => {
            finding.instead(format!("write  {net}, or  {} for the one address", IpNet::from(one)))
        }
        Ok(_) | Err(_) => finding.instead(format!("write  {net}")),
    });
}

fn one_family(case: &Case<'_, '_>, rule: &RuleCase<'_, '_>, findings: &mut Findings) {
    let everybody = |rule: &RuleCase<'_, '_>, family: Family| {
        let mut peers = rule.peers.iter();
        peers.any(|peer| matches!(peer.peer, Peer::Block { net, .. } if net.prefix_len() == 0 && Family::of(net.addr()) == family))
    };
    let direction = || case.rules.iter().filter(|other| other.direction == rule.direction);
    for (has, lacks, what, missing) in [
        (Family::V4, Family::V6, "0.0.0.0/0 is IPv4 only: over IPv6", "::/0"),
        (Family::V6, Family::V4, "::/0 is IPv6 only: over IPv4", "0.0.0.0/0"),
    ] {
        if !everybody(rule, has) || direction().any(|other| everybody(other, lacks)) {
            continue;
        }
        let both: Vec<_> = case
            .subjects
            .iter()
            .filter(|pod| is_of(pod.pod, has) && is_of(pod.pod, lacks))
            .copied()
            .collect();
        if both.is_empty() {
            continue;
        }
        let happens = format!("{what} it opens nothing for {}", pods(&both));
        let finding = case.finding(&ONE_FAMILY, Severity::Note, &rule.field(), happens);
        findings.add(finding.instead(format!("to open both add an entry  ipBlock: {{cidr: \"{missing}\"}}")));
    }
}

fn is_of(pod: &proto::observe::Pod, family: Family) -> bool {
    pod.addresses.iter().any(|address| Family::of(*address) == family)
}
