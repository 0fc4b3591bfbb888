use super::*;
use crate::check::facts::TableId;
use expect_test::{Expect, expect};
use std::collections::BTreeSet;

const BOTH: PerFamily = PerFamily { v4: true, v6: true };
const NEITHER: PerFamily = PerFamily { v4: false, v6: false };

/// A node on which all is well: kube-proxy in nftables mode, pods on cni0, an enforcer.
fn good() -> Facts {
    let link = |index, name: &str, bridge, kind| Link {
        name: name.to_owned(),
        index,
        bridge,
        kind,
    };
    let mut facts = Facts {
        kernel: "6.18.44".to_owned(),
        checks_bridges: true,
        links: vec![
            link(1, "lo", None, LinkKind::Other),
            link(2, "eth0", None, LinkKind::VethToElsewhere),
            link(3, "cni0", None, LinkKind::Bridge(NEITHER)),
            link(4, "veth1", Some(3), LinkKind::VethToElsewhere),
        ],
        bridge_netfilter: Some(BOTH),
        forwards: BOTH,
        enforcer_runs: true,
        our_sets: 3,
        nri: Nri::At("/run/nri/nri.sock".into()),
        ..Facts::default()
    };
    table(&mut facts, "ip kube-proxy", &["services"]);
    table(&mut facts, "ip6 kube-proxy", &["services"]);
    table(&mut facts, "ip mangle", &["KUBE-KUBELET-CANARY"]);
    table(&mut facts, "ip bailey", &["egress", "ingress"]);
    facts
}

fn table(facts: &mut Facts, table: &str, chains: &[&str]) {
    let (family, name) = table.split_once(' ').unwrap();
    let family = ["ip", "ip6", "inet"]
        .into_iter()
        .find(|known| *known == family)
        .unwrap();
    let chains: BTreeSet<String> = chains.iter().map(ToString::to_string).collect();
    let id = TableId {
        family,
        name: name.to_owned(),
    };
    facts.tables.insert(id, chains);
}

fn links(facts: &mut Facts, names: &[&str]) {
    facts.links.extend(names.iter().zip(100..).map(|(name, index)| Link {
        name: (*name).to_owned(),
        index,
        bridge: None,
        kind: LinkKind::Other,
    }));
}

fn remove(facts: &mut Facts, name: &str) {
    facts.tables.retain(|table, _| table.name != name);
}

/// The rules that are found, once each.
fn found(change: impl FnOnce(&mut Facts)) -> Vec<&'static str> {
    let mut facts = good();
    change(&mut facts);
    let mut rules: Vec<_> = check(&facts).iter().map(|finding| finding.rule).collect();
    rules.dedup();
    rules
}

#[test]
fn a_good_node_has_no_findings() {
    assert_eq!(check(&good()), []);
}

#[test]
fn each_fault_is_found_by_its_rule_alone() {
    let bridge = |facts: &mut Facts, seen| facts.links[2].kind = LinkKind::Bridge(seen);
    assert_eq!(found(|facts| facts.missing = Some("no x: do y".into())), ["kernel"]);
    assert_eq!(found(|facts| facts.checks_bridges = false), ["bridge-sources"]);
    assert_eq!(found(|facts| facts.bridge_netfilter = None), ["bridge-netfilter"]);
    assert_eq!(
        found(|facts| facts.bridge_netfilter = Some(NEITHER)),
        ["bridge-netfilter"]
    );
    assert_eq!(found(|facts| facts.forwards = NEITHER), ["forwarding"]);
    assert_eq!(found(|facts| facts.forwards.v4 = false), ["forwarding"]);
    assert_eq!(found(|facts| facts.nri = Nri::Off), ["first-packet"]);
    assert_eq!(found(|facts| facts.nri = Nri::Absent("/x".into())), ["first-packet"]);
    assert_eq!(found(|facts| facts.enforcer_runs = false), ["leftovers"]);
    assert_eq!(
        found(|facts| facts.legacy_tables = ["nat".to_owned()].into()),
        ["iptables-legacy"]
    );
    assert_eq!(found(|facts| facts.unseen.push("links: no".to_owned())), ["unseen"]);
    assert_eq!(found(|facts| remove(facts, "kube-proxy")), ["service-proxy"]);
    assert_eq!(
        found(|facts| table(facts, "ip nat", &["KUBE-SERVICES"])),
        ["service-proxy"]
    );
    // No fault at all:
    assert_eq!(
        found(|facts| {
            facts.nri = Nri::Off;
            table(facts, "ip bailey", &["egress", "ingress", "unknown-pods"]);
        }),
        [""; 0],
        "what no pod is known to have is held"
    );
    assert_eq!(found(|facts| facts.forwards.v6 = false), [""; 0]);
    assert_eq!(
        found(|facts| {
            facts.bridge_netfilter = Some(NEITHER);
            bridge(facts, BOTH);
        }),
        [""; 0],
        "the bridge's own switch is enough"
    );
    assert_eq!(
        found(|facts| {
            facts.bridge_netfilter = None;
            facts.checks_bridges = false;
            facts.links.remove(3);
        }),
        [""; 0],
        "a bridge without pods"
    );
    assert_eq!(
        found(|facts| {
            facts.enforcer_runs = false;
            facts.our_sets = 0;
            remove(facts, "bailey");
        }),
        [""; 0],
        "nothing left"
    );
}

#[test]
fn ipvs_is_found_by_its_link_or_its_services_whatever_else_kube_proxy_has_made() {
    let ipvs = |change: fn(&mut Facts)| {
        found(|facts| {
            remove(facts, "kube-proxy");
            table(facts, "ip nat", &["KUBE-SERVICES"]);
            change(facts);
        })
    };
    assert_eq!(ipvs(|_| {}), [""; 0], "iptables mode");
    assert_eq!(ipvs(|facts| links(facts, &["kube-ipvs0"])), ["ipvs"]);
    assert_eq!(ipvs(|facts| facts.ipvs_services = true), ["ipvs"]);
}

/// The first word of what is said is the engine's name.
#[test]
fn each_policy_engine_is_found_by_each_of_its_objects() {
    let engine = |change: &dyn Fn(&mut Facts)| {
        let mut facts = good();
        change(&mut facts);
        let findings = check(&facts);
        let names: Vec<String> = findings
            .iter()
            .map(|finding| {
                assert_eq!(finding.rule, "policy-engine");
                finding.happens.split(" is at work").next().unwrap().to_owned()
            })
            .collect();
        names.join(", ")
    };
    for (link, name) in [
        ("cali0123456789a", "Calico"),
        ("bpfin.cali", "Calico"),
        ("vxlan.calico", "Calico"),
        ("cilium_host", "Cilium"),
        ("kube-bridge", "kube-router"),
        ("antrea-gw0", "Antrea"),
        ("ovn-k8s-mp0", "OVN-Kubernetes"),
    ] {
        assert_eq!(engine(&|facts| links(facts, &[link])), name, "{link}");
    }
    for (id, chain, name) in [
        ("ip calico", "filter-FORWARD", "Calico"),
        ("ip filter", "cali-FORWARD", "Calico"),
        ("ip filter", "CILIUM_FORWARD", "Cilium"),
        ("ip filter", "KUBE-POD-FW-AB2C3D4E5F", "kube-router"),
        ("ip6 filter", "KUBE-NWPLCY-DEFAULT", "kube-router"),
        ("ip filter", "ANTREA-FORWARD", "Antrea"),
        ("inet kindnet-network-policies", "postrouting", "kindnet"),
        ("inet kube-network-policies", "postrouting", "kube-network-policies"),
        ("ip filter", "WEAVE-NPC-INGRESS", "Weave Net"),
        ("inet ovn-kubernetes", "mgmtport-snat", "OVN-Kubernetes"),
    ] {
        assert_eq!(engine(&|facts| table(facts, id, &[chain])), name, "{id} {chain}");
    }
    // What resembles them.
    assert_eq!(
        engine(&|facts| links(facts, &["lxc1", "kube-ipvs", "weave", "docker0"])),
        ""
    );
    assert_eq!(
        engine(&|facts| table(facts, "ip filter", &["KUBE-FORWARD", "DOCKER-USER"])),
        ""
    );
}

fn check_text(facts: &Facts, expected: Expect) {
    expected.assert_eq(&text::text(
        &text::seen(facts),
        &check(facts),
        crate::screen::Ink::Plain,
    ));
}

#[test]
fn what_people_read() {
    check_text(
        &good(),
        expect![[r#"
            This node: Linux 6.18.44; kube-proxy in nftables mode; pods on bridge cni0; NRI at /run/nri/nri.sock; an enforcer runs

            0 errors, 0 warnings, 0 notes"#]],
    );
    let mut facts = good();
    links(&mut facts, &["cali0123456789a"]);
    table(&mut facts, "ip filter", &["cali-FORWARD", "cali-INPUT"]);
    facts.bridge_netfilter = Some(PerFamily { v4: true, v6: false });
    facts.nri = Nri::Absent("/run/nri/nri.sock".into());
    check_text(
        &facts,
        expect![[r#"
            This node: Linux 6.18.44; kube-proxy in nftables mode; pods on bridge cni0; no NRI; an enforcer runs

            error    bridge-netfilter
                     net.bridge.bridge-nf-call-ip6tables is 0: IPv6 packets between pods on bridge cni0 pass unseen, whatever policies say
                     sysctl -w net.bridge.bridge-nf-call-ip6tables=1, and a line in /etc/sysctl.d for every boot

            error    policy-engine
                     Calico is at work here (link cali0123456789a, chain cali-FORWARD of table ip filter): a packet passes only if both admit it, and it knows no pod of another cluster
                     Calico has no switch for its NetworkPolicies: use another network plugin here, or let Calico enforce and leave Bailey away from this cluster

            warning  first-packet
                     no NRI socket at /run/nri/nri.sock: a new pod may send before it is isolated, for as long as its API server takes to tell of its address (some 40 ms after its first container has begun, more where that is busy)
                     containerd has NRI on by default from 2.0 on, else it is for the runtime's configuration to enable; a pod must mount the folder of its socket from the node; or --unknown-local-pods hold, which closes the gap without NRI

            2 errors, 1 warning, 0 notes"#]],
    );
}

#[test]
fn what_programs_read() {
    let mut facts = good();
    facts.forwards = NEITHER;
    expect![[r#"
        {
          "findings": [
            {
              "rule": "forwarding",
              "severity": "warning",
              "happens": "this node forwards nothing: its pods reach nothing beyond it, with policies or without",
              "instead": "sysctl -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1, whichever its pods have"
            }
          ],
          "errors": 0,
          "warnings": 1,
          "notes": 0,
          "node": {
            "kernel": "6.18.44",
            "kube_proxy": [
              "nftables"
            ],
            "nri": "/run/nri/nri.sock",
            "enforcer_runs": true
          }
        }"#]]
    .assert_eq(&json::json(Some(&facts), &check(&facts)));
}
