//! `enforcer check`: what this node lacks or has too much of for policies to be in force on it, and what to do.
//!
//! Pure here: facts → findings. `collect` gathers the facts (shell), `command` says the findings to whoever asked,
//! `watch` to whoever reads the log and the metrics of a running enforcer; `translation` asks two nodes whether packets
//! arrive with the addresses that they were sent with, `ranges` whether pods of two clusters may have the same ones. Nothing
//! is changed by any of it.

pub mod collect;
pub mod command;
mod engines;
pub mod facts;
mod json;
pub mod ranges;
mod text;
pub mod translation;
pub mod watch;

use crate::lint::Severity;
use crate::ruleset::{TABLE, WhyDropped};
use engines::{ENGINES, IPVS_LINK, ServiceProxy, service_proxies};
use facts::{Facts, Link, LinkKind, Nri, PerFamily};

/// Something to know about a node.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is called in every output: stable, in small letters and hyphens.
    pub rule: &'static str,
    /// What is so, and what follows from it.
    pub happens: String,
    /// What to do.
    pub instead: String,
}

/// What can be found: the rule, the severity that it mostly has, and what it finds.
pub const RULES: [(&str, Severity, &str); 12] = [
    (
        "kernel",
        Severity::Error,
        "parts that the kernel lacks, or CAP_NET_ADMIN",
    ),
    (
        "policy-engine",
        Severity::Error,
        "another program that enforces NetworkPolicies here",
    ),
    (
        "ipvs",
        Severity::Error,
        "kube-proxy in IPVS mode, whose packets pass no forward hook",
    ),
    (
        "bridge-netfilter",
        Severity::Error,
        "bridges with pods whose packets nf_tables does not see",
    ),
    (
        "pod-ranges",
        Severity::Error,
        "with --context: pod ranges of clusters that overlap",
    ),
    ("forwarding", Severity::Warning, "a node that forwards nothing"),
    (
        "bridge-sources",
        Severity::Warning,
        "a kernel that cannot check who sends on a bridge",
    ),
    ("unseen", Severity::Warning, "what could not be looked at"),
    (
        "first-packet",
        Severity::Warning,
        "no NRI: a new pod may send before it is isolated",
    ),
    (
        "iptables-legacy",
        Severity::Note,
        "tables of iptables-legacy, which this command cannot read",
    ),
    (
        "service-proxy",
        Severity::Note,
        "no kube-proxy that this command knows, or traces of several modes",
    ),
    ("leftovers", Severity::Note, "rules of an enforcer that does not run"),
];

/// All findings, the worst first.
pub fn check(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(kernel(facts));
    findings.extend(policy_engines(facts));
    findings.extend(bridge_netfilter(facts));
    findings.extend(forwarding(facts));
    findings.extend(first_packet(facts));
    findings.extend(service_proxy(facts));
    findings.extend(leftovers(facts));
    findings.extend(unseen(facts));
    findings.sort();
    findings
}

fn finding(rule: &'static str, happens: impl Into<String>, instead: impl Into<String>) -> Finding {
    let known = RULES.iter().find(|(id, _, _)| *id == rule);
    let (_, severity, _) = known.expect("every rule is in the list of rules");
    Finding {
        severity: *severity,
        rule,
        happens: happens.into(),
        instead: instead.into(),
    }
}

fn kernel(facts: &Facts) -> Vec<Finding> {
    let missing = facts.missing.as_ref().map(|missing| {
        let (happens, instead) = missing.split_once(": ").unwrap_or((missing, "see above"));
        finding(
            "kernel",
            format!("{happens}: no policy can be in force on this node"),
            instead,
        )
    });
    let bridges = bridges_of_pods(facts);
    let unchecked = (facts.missing.is_none() && !facts.checks_bridges && !bridges.is_empty()).then(|| {
        finding(
            "bridge-sources",
            format!(
                "this kernel has no nf_tables for the family bridge: a pod on {} can send from an address that is not its own",
                names(&bridges)
            ),
            "modprobe nf_tables_bridge, or a kernel with CONFIG_NF_TABLES_BRIDGE",
        )
    });
    missing.into_iter().chain(unchecked).collect()
}

fn policy_engines(facts: &Facts) -> Vec<Finding> {
    let found = ENGINES.iter().filter_map(|engine| {
        let traces = engine.traces(facts);
        (!traces.is_empty()).then(|| {
            let happens = format!(
                "{} is at work here ({}): a packet passes only if both admit it, and it knows no pod of another cluster",
                engine.name,
                traces.join(", ")
            );
            finding("policy-engine", happens, engine.instead)
        })
    });
    found.collect()
}

/// Bridges with ports that lead into other network namespaces: pods', as far as the node can tell.
fn bridges_of_pods(facts: &Facts) -> Vec<(&Link, PerFamily)> {
    let has_pods = |bridge: &Link| {
        let mut ports = facts.links.iter().filter(|link| link.bridge == Some(bridge.index));
        ports.any(|port| port.kind == LinkKind::VethToElsewhere)
    };
    let bridges = facts.links.iter().filter_map(|link| match link.kind {
        LinkKind::Bridge(seen) => has_pods(link).then_some((link, seen)),
        LinkKind::VethToElsewhere | LinkKind::Other => None,
    });
    bridges.collect()
}

fn names(bridges: &[(&Link, PerFamily)]) -> String {
    let names: Vec<&str> = bridges.iter().map(|(link, _)| link.name.as_str()).collect();
    format!("bridge {}", names.join(", "))
}

fn bridge_netfilter(facts: &Facts) -> Vec<Finding> {
    let bridges = bridges_of_pods(facts);
    if bridges.is_empty() {
        return Vec::new();
    }
    let Some(switches) = facts.bridge_netfilter else {
        return vec![finding(
            "bridge-netfilter",
            format!(
                "this kernel has no bridge netfilter: packets between pods on {} pass unseen, whatever policies say",
                names(&bridges)
            ),
            "modprobe br_netfilter, and at every boot: echo br_netfilter > /etc/modules-load.d/bailey.conf",
        )];
    };
    let of = |family: &str, sysctl: &str, on: bool, seen: fn(&PerFamily) -> bool| {
        let unseen: Vec<_> = bridges.iter().copied().filter(|(_, bridge)| !seen(bridge)).collect();
        (!on && !unseen.is_empty()).then(|| {
            let happens = format!(
                "net.bridge.{sysctl} is 0: {family} packets between pods on {} pass unseen, whatever policies say",
                names(&unseen)
            );
            let instead = format!("sysctl -w net.bridge.{sysctl}=1, and a line in /etc/sysctl.d for every boot");
            finding("bridge-netfilter", happens, instead)
        })
    };
    let v4 = of("IPv4", "bridge-nf-call-iptables", switches.v4, |seen| seen.v4);
    let v6 = of("IPv6", "bridge-nf-call-ip6tables", switches.v6, |seen| seen.v6);
    v4.into_iter().chain(v6).collect()
}

fn forwarding(facts: &Facts) -> Option<Finding> {
    let (what, sysctls) = match facts.forwards {
        PerFamily { v4: false, v6: false } => (
            "nothing",
            "sysctl -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1, whichever its pods have",
        ),
        PerFamily { v4: false, v6: true } => ("no IPv4", "sysctl -w net.ipv4.ip_forward=1, if its pods have IPv4"),
        // Without IPv6 anywhere that is as it is on every host.
        PerFamily { v4: true, .. } => return None,
    };
    Some(finding(
        "forwarding",
        format!("this node forwards {what}: its pods reach nothing beyond it, with policies or without"),
        sysctls,
    ))
}

fn first_packet(facts: &Facts) -> Option<Finding> {
    let hold = WhyDropped::UnknownPod.chain();
    let mut tables = facts.tables.iter();
    let is_held = tables.any(|(table, chains)| table.name == TABLE && chains.contains(hold.as_str()));
    let (why, instead) = match &facts.nri {
        Nri::At(_) => return None,
        Nri::Off | Nri::Absent(_) if is_held => return None,
        Nri::Off => (
            "--nri is off".to_owned(),
            "--nri auto, where the container runtime has NRI (containerd 2, CRI-O)",
        ),
        Nri::Absent(path) => (
            format!("no NRI socket at {}", path.display()),
            "containerd has NRI on by default from 2.0 on, else it is for the runtime's configuration to enable; a pod must mount \
             the folder of its socket from the node",
        ),
    };
    let happens = format!(
        "{why}: a new pod may send before it is isolated, for as long as its API server takes to tell of its address (some 40 ms \
         after its first container has begun, more where that is busy)"
    );
    let instead = format!("{instead}; or --unknown-local-pods hold, which closes the gap without NRI");
    Some(finding("first-packet", happens, instead))
}

fn service_proxy(facts: &Facts) -> Vec<Finding> {
    let proxies = service_proxies(facts);
    let mut findings = Vec::new();
    if proxies.contains(&ServiceProxy::Ipvs) {
        let link = facts.links.iter().any(|link| link.name == IPVS_LINK);
        let trace = if link {
            "link kube-ipvs0"
        } else {
            "services in /proc/net/ip_vs"
        };
        findings.push(finding(
            "ipvs",
            format!(
                "kube-proxy is in IPVS mode here ({trace}): what goes to a Service passes no forward hook, and no policy judges it"
            ),
            "mode: nftables (or iptables) in kube-proxy's configuration, then kube-proxy --cleanup or a reboot: IPVS mode is \
             deprecated since Kubernetes 1.35",
        ));
    }
    match proxies.as_slice() {
        [] if facts.missing.is_none() && facts.legacy_tables.is_empty() => findings.push(finding(
            "service-proxy",
            "no traces of kube-proxy: either there is none yet, or something else answers Services, perhaps in eBPF, past the \
             hooks that Bailey enforces on",
            "nothing, if this node has not joined its cluster yet; else kube-proxy in nftables or iptables mode",
        )),
        [_, _, ..] => {
            let words: Vec<&str> = proxies.iter().map(|proxy| proxy.word()).collect();
            findings.push(finding(
                "service-proxy",
                format!("traces of {}: one of them is an earlier one's", words.join(" and of ")),
                "kube-proxy --cleanup in the mode that is not used any more, or a reboot",
            ));
        }
        [] | [_] => {}
    }
    findings.extend((!facts.legacy_tables.is_empty()).then(|| {
        let tables: Vec<&str> = facts.legacy_tables.iter().map(String::as_str).collect();
        finding(
            "iptables-legacy",
            format!("there are tables of iptables-legacy ({}), which are not looked into", tables.join(", ")),
            "iptables-legacy-save | grep -e cali- -e KUBE-POD-FW -e WEAVE-NPC shows whether another policy engine is in them",
        )
    }));
    findings
}

fn leftovers(facts: &Facts) -> Option<Finding> {
    let ours: Vec<String> = facts
        .tables
        .keys()
        .filter(|table| table.name == TABLE)
        .map(|table| format!("table {table}"))
        .chain((facts.our_sets > 0).then(|| format!("{} ipsets", facts.our_sets)))
        .collect();
    (!facts.enforcer_runs && !ours.is_empty()).then(|| {
        finding(
            "leftovers",
            format!(
                "no enforcer runs here, and what one has left is in force: {}",
                ours.join(", ")
            ),
            "start it again, or enforcer cleanup to take it all away",
        )
    })
}

fn unseen(facts: &Facts) -> Vec<Finding> {
    let unseen = facts.unseen.iter();
    unseen
        .map(|what| {
            let instead = "run it as root on the node, or in a pod with hostNetwork: true and CAP_NET_ADMIN";
            finding("unseen", format!("could not look at {what}"), instead)
        })
        .collect()
}

#[cfg(test)]
mod tests;
