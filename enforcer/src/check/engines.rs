//! Others who judge packets of pods, or take them past the forward hook, by the names that they give to objects of the
//! kernel.
//!
//! Pure. Names are those of the projects' sources: Felix's link prefix and chains (projectcalico/calico felix), Cilium's
//! links and iptables chains (cilium/cilium), kube-router's chains (cloudnativelabs/kube-router), Antrea's links and
//! chains (antrea-io/antrea), the table of kube-network-policies (kubernetes-sigs) and of kindnet, which embeds it, Weave's
//! chains (weaveworks/weave npc), OVN-Kubernetes' management port.

use super::facts::Facts;

/// A program that enforces NetworkPolicies by itself.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Engine {
    pub name: &'static str,
    /// What its interfaces are called: a name, or with a `*` at the end how names begin.
    links: &'static [&'static str],
    /// What its tables of nf_tables are called.
    tables: &'static [&'static str],
    /// What its chains are called, of nf_tables or of iptables-nft.
    chains: &'static [&'static str],
    /// How to have it leave policies alone.
    pub instead: &'static str,
}

/// All that are known.
pub(super) const ENGINES: [Engine; 8] = [
    Engine {
        name: "Calico",
        links: &["cali*", "bpfin.cali", "bpfout.cali", "vxlan.calico", "vxlan-v6.calico"],
        tables: &["calico"],
        chains: &["cali-*"],
        instead: "Calico has no switch for its NetworkPolicies: use another network plugin here, or let Calico enforce and leave \
                  Bailey away from this cluster",
    },
    Engine {
        name: "Cilium",
        links: &[
            "cilium_host",
            "cilium_net",
            "cilium_vxlan",
            "cilium_geneve",
            "lxc_health",
        ],
        tables: &[],
        chains: &["CILIUM_*", "OLD_CILIUM_*"],
        instead: "Cilium hands pods' packets on in eBPF, past the hooks that Bailey enforces on: use another network plugin here",
    },
    Engine {
        name: "kube-router",
        links: &["kube-bridge", "kube-dummy-if"],
        tables: &[],
        chains: &["KUBE-ROUTER-*", "KUBE-POD-FW-*", "KUBE-NWPLCY-*"],
        instead: "start kube-router with --run-firewall=false (k3s: --disable-network-policy), then remove what it left, as \
                  kube-router --cleanup-config does",
    },
    Engine {
        name: "Antrea",
        links: &["antrea-gw0", "antrea-tun0", "antrea-egress0"],
        tables: &["antrea"],
        chains: &["ANTREA-*"],
        instead: "Antrea hands pods' packets on in Open vSwitch, past the hooks that Bailey enforces on: use another network \
                  plugin here",
    },
    Engine {
        name: "kindnet",
        links: &[],
        tables: &["kindnet-network-policies"],
        chains: &[],
        instead: "start kindnetd without its network policies, then nft delete table inet kindnet-network-policies",
    },
    Engine {
        name: "kube-network-policies",
        links: &[],
        tables: &["kube-network-policies"],
        chains: &[],
        instead: "delete its DaemonSet, then nft delete table inet kube-network-policies",
    },
    Engine {
        name: "Weave Net",
        links: &[],
        tables: &[],
        chains: &["WEAVE-NPC*"],
        instead: "delete the container weave-npc from its DaemonSet, and with it EXPECT_NPC=0 in the container weave",
    },
    Engine {
        name: "OVN-Kubernetes",
        links: &["ovn-k8s-mp*"],
        tables: &["ovn-kubernetes"],
        chains: &["OVN-KUBE-*"],
        instead: "OVN-Kubernetes hands pods' packets on in Open vSwitch, past the hooks that Bailey enforces on: use another \
                  network plugin here",
    },
];

impl Engine {
    /// What there is of it on the node, in words: the first object of each sort.
    pub(super) fn traces(&self, facts: &Facts) -> Vec<String> {
        let link = facts.links.iter().find(|link| matches(self.links, &link.name));
        let table = facts.tables.keys().find(|table| matches(self.tables, &table.name));
        let mut chains = facts
            .tables
            .iter()
            .flat_map(|(table, chains)| chains.iter().map(move |chain| (table, chain)));
        let chain = chains.find(|(_, chain)| matches(self.chains, chain));
        let link = link.map(|link| format!("link {}", link.name));
        let table = table.map(|table| format!("table {table}"));
        let chain = chain.map(|(table, chain)| format!("chain {chain} of table {table}"));
        link.into_iter().chain(table).chain(chain).collect()
    }
}

fn matches(patterns: &[&str], name: &str) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => *pattern == name,
    })
}

/// How Services are answered on the node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ServiceProxy {
    /// kube-proxy in nftables mode.
    Nftables,
    /// kube-proxy in iptables mode, by iptables-nft.
    Iptables,
    /// kube-proxy in IPVS mode.
    Ipvs,
}

impl ServiceProxy {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Nftables => "kube-proxy in nftables mode",
            Self::Iptables => "kube-proxy in iptables mode",
            Self::Ipvs => "kube-proxy in IPVS mode",
        }
    }
}

/// The interface that kube-proxy puts the addresses of Services on in IPVS mode.
pub(super) const IPVS_LINK: &str = "kube-ipvs0";

/// All that there are traces of. What kubelet makes by itself (`KUBE-KUBELET-CANARY`) is none.
pub(super) fn service_proxies(facts: &Facts) -> Vec<ServiceProxy> {
    let table = |name: &str| facts.tables.keys().any(|table| table.name == name);
    let chain = |name: &str| facts.tables.values().any(|chains| chains.contains(name));
    let is_ipvs = facts.ipvs_services || facts.links.iter().any(|link| link.name == IPVS_LINK);
    let found = [
        (ServiceProxy::Nftables, table("kube-proxy")),
        (ServiceProxy::Iptables, chain("KUBE-SERVICES") && !is_ipvs),
        (ServiceProxy::Ipvs, is_ipvs),
    ];
    found
        .into_iter()
        .filter_map(|(proxy, found)| found.then_some(proxy))
        .collect()
}
