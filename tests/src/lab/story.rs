//! The three user stories of NPEP-311 as chapters: what changes in which cluster, and what then reaches what.
//!
//! The manifests and the tables of verdicts are files under `tests/worlds`, built into the program.

use super::world::{self, World};
use anyhow::{Context, Result};
use enforcer::offline::ends::{End, Probe, Table, Verdict};
use enforcer::ruleset::Family;
use proto::model::ClusterName;
use serde_json::Value;
use std::net::IpAddr;

/// How a chapter's table calls the host outside of all clusters.
const OUTSIDE: &str = "outside";
/// Its addresses.
const OUTSIDE_ADDRESSES: [&str; 2] = ["198.51.100.7", "2001:db8::7"];

/// A chapter as it stands in the program.
#[derive(Clone, Copy, Debug)]
pub struct Chapter {
    /// What it is about.
    pub title: &'static str,
    /// Its folder under `tests/worlds`.
    pub folder: &'static str,
    /// What is written, by cluster.
    pub manifests: &'static [(&'static str, &'static str)],
    /// What is expected: probes, each with a table.
    expected: &'static str,
    /// What is worth showing.
    pub highlights: &'static [Highlight],
}

/// A packet worth showing.
#[derive(Clone, Copy, Debug)]
pub struct Highlight {
    /// From here.
    pub from: &'static str,
    /// To there.
    pub to: &'static str,
    /// With this.
    pub probe: &'static str,
    /// Why; empty if it goes without saying.
    pub why: &'static str,
}

const fn show(from: &'static str, to: &'static str, probe: &'static str, why: &'static str) -> Highlight {
    Highlight { from, to, probe, why }
}

macro_rules! worlds {
    ($file:literal) => {
        include_str!(concat!("../../worlds/", $file))
    };
}

/// The pods of all chapters.
const STORIES: &[(&str, &[&str])] = &[
    (
        "cluster-a",
        &[
            worlds!("stories/cluster-a/namespaces.yaml"),
            worlds!("stories/cluster-a/nodes.yaml"),
            worlds!("stories/cluster-a/pods.yaml"),
        ],
    ),
    (
        "cluster-b",
        &[
            worlds!("stories/cluster-b/namespaces.yaml"),
            worlds!("stories/cluster-b/nodes.yaml"),
            worlds!("stories/cluster-b/pods.yaml"),
        ],
    ),
    (
        "pci",
        &[
            worlds!("stories/pci/namespaces.yaml"),
            worlds!("stories/pci/nodes.yaml"),
            worlds!("stories/pci/pods.yaml"),
        ],
    ),
];

const DATABASE: &str = "cluster-a/shop/database-0";
const LEDGER: &str = "cluster-a/payments/ledger-0";

/// The chapters, in order.
pub const CHAPTERS: &[Chapter] = &[
    Chapter {
        title: "Story 1  One policy admits a stretched application's frontends, whichever cluster they run in",
        folder: "story-1",
        manifests: &[("cluster-a", worlds!("story-1/cluster-a/policy.yaml"))],
        expected: worlds!("story-1/expected.txt"),
        highlights: &[
            show("cluster-a/shop/frontend-0", DATABASE, "TCP/5432", ""),
            show(
                "cluster-b/shop/frontend-0",
                DATABASE,
                "TCP/5432",
                "by its labels, across clusters",
            ),
            show(
                "cluster-b/shop/batch-0",
                DATABASE,
                "TCP/5432",
                "app=batch is no frontend",
            ),
            show(
                "cluster-b/default/debug",
                DATABASE,
                "TCP/5432",
                "the label, in another namespace",
            ),
            show(
                "cluster-a/default/debug",
                "cluster-b/shop/database-0",
                "TCP/5432",
                "the policy is cluster-a's alone",
            ),
            show(OUTSIDE, DATABASE, "TCP/5432", ""),
        ],
    },
    Chapter {
        title: "         The same with a bare podSelector: a namespace's name means that namespace in every cluster",
        folder: "story-1-bare-selector",
        manifests: &[("cluster-a", worlds!("story-1-bare-selector/cluster-a/policy.yaml"))],
        expected: worlds!("story-1-bare-selector/expected.txt"),
        highlights: &[
            show("cluster-b/shop/frontend-1", DATABASE, "TCP/5432", ""),
            show("cluster-b/default/debug", DATABASE, "TCP/5432", ""),
        ],
    },
    Chapter {
        title: "Story 2  Across a boundary: one application of one cluster, and each end enforces its own half",
        folder: "story-2",
        manifests: &[
            ("cluster-a", worlds!("story-2/cluster-a/policy.yaml")),
            ("pci", worlds!("story-2/pci/policy.yaml")),
        ],
        expected: worlds!("story-2/expected.txt"),
        highlights: &[
            show("pci/billing/billing-0", LEDGER, "TCP/5432", ""),
            show("pci/billing/billing-0", LEDGER, "TCP/8080", "another port"),
            show(
                "cluster-b/billing/billing-0",
                LEDGER,
                "TCP/5432",
                "the same names, in another cluster",
            ),
            show("pci/billing/report-0", LEDGER, "TCP/5432", "another application"),
            show(
                "pci/billing/billing-0",
                DATABASE,
                "TCP/5432",
                "pci's egress policy stops it at its own node",
            ),
        ],
    },
    Chapter {
        title: "         A false claim: cluster-b labels its namespace as pci's, and the hub knows better",
        folder: "story-2-false-claim",
        manifests: &[
            ("cluster-a", worlds!("story-2-false-claim/cluster-a/policy.yaml")),
            ("cluster-b", worlds!("story-2-false-claim/cluster-b/namespace.yaml")),
        ],
        expected: worlds!("story-2-false-claim/expected.txt"),
        highlights: &[
            show("pci/billing/billing-0", LEDGER, "TCP/5432", ""),
            show(
                "cluster-b/billing/billing-0",
                LEDGER,
                "TCP/5432",
                "whatever its namespace's label says",
            ),
        ],
    },
    Chapter {
        title: "Story 3  Local scope: cluster-a's shop talks with cluster-a only",
        folder: "story-3",
        manifests: &[("cluster-a", worlds!("story-3/cluster-a/policy.yaml"))],
        expected: worlds!("story-3/expected.txt"),
        highlights: &[
            show("cluster-a/default/debug", "cluster-a/shop/frontend-0", "TCP/8080", ""),
            show(
                "cluster-b/shop/frontend-0",
                "cluster-a/shop/frontend-0",
                "TCP/8080",
                "its namespace is not cluster-a's",
            ),
            show(
                "cluster-a/shop/frontend-0",
                "cluster-b/shop/frontend-0",
                "TCP/8080",
                "nor does anything leave",
            ),
            show(
                "cluster-a/default/debug",
                "cluster-b/shop/frontend-0",
                "TCP/8080",
                "others are free",
            ),
        ],
    },
    Chapter {
        title: "         Too broad: an empty namespaceSelector means every namespace of every cluster",
        folder: "story-3-too-broad",
        manifests: &[("cluster-a", worlds!("story-3-too-broad/cluster-a/policy.yaml"))],
        expected: worlds!("story-3-too-broad/expected.txt"),
        highlights: &[
            show("pci/default/debug", "cluster-a/shop/frontend-0", "TCP/8080", ""),
            show(
                OUTSIDE,
                "cluster-a/shop/frontend-0",
                "TCP/8080",
                "no pod of any cluster",
            ),
        ],
    },
    Chapter {
        title: "         A deny-all stays at home: the namespace of that name in cluster-b works on",
        folder: "story-3-deny-all",
        manifests: &[("cluster-a", worlds!("story-3-deny-all/cluster-a/policy.yaml"))],
        expected: worlds!("story-3-deny-all/expected.txt"),
        highlights: &[
            show("cluster-a/default/debug", "cluster-a/shop/frontend-0", "TCP/8080", ""),
            show("cluster-b/shop/frontend-0", "cluster-b/shop/frontend-1", "TCP/8080", ""),
        ],
    },
];

/// The world of the stories, without policies.
///
/// # Errors
/// If a file in the program is broken.
pub fn world() -> Result<World> {
    let mut world = World::default();
    for (cluster, files) in STORIES {
        let (name, mut objects) = (ClusterName::new(cluster)?, Vec::new());
        for file in *files {
            objects.extend(world::parse_manifest(&name, cluster, file)?);
        }
        world.clusters.insert(name, objects);
    }
    Ok(world)
}

/// The hosts outside of all clusters.
pub fn outside() -> [IpAddr; 2] {
    OUTSIDE_ADDRESSES.map(|address| address.parse().expect("these are addresses"))
}

/// The end that a chapter calls by this name.
///
/// # Errors
/// If it is none.
pub fn end(name: &str, family: Family) -> Result<End> {
    if name == OUTSIDE {
        let address = outside().into_iter().find(|address| Family::of(*address) == family);
        return Ok(End::Address(address.context("an outside host of each family")?));
    }
    Ok(name.parse()?)
}

impl Chapter {
    /// What it writes.
    ///
    /// # Errors
    /// If a file in the program is broken.
    pub fn objects(&self) -> Result<Vec<(ClusterName, Value)>> {
        let mut objects = Vec::new();
        for (cluster, text) in self.manifests {
            let name = ClusterName::new(cluster)?;
            let parsed = world::parse_manifest(&name, self.folder, text)?;
            objects.extend(parsed.into_iter().map(|object| (name.clone(), object)));
        }
        Ok(objects)
    }

    /// Its tables for a family, with the ends of their rows and columns.
    ///
    /// # Errors
    /// If the file in the program is broken.
    pub fn expected(&self, family: Family) -> Result<(Vec<End>, Vec<Table>)> {
        let (mut ends, mut tables) = (Vec::new(), Vec::new());
        for block in self.expected.split("\n\n") {
            let mut lines = block.lines();
            let probe: Probe = lines.next().context("a table begins with its probe")?.parse()?;
            let mut rows = Vec::new();
            ends.clear();
            for line in lines {
                let (name, signs) = line.split_once(' ').context("a row has a name")?;
                ends.push(end(name, family)?);
                rows.push(signs.split_whitespace().map(verdict).collect::<Result<_>>()?);
            }
            tables.push(Table {
                probe: Probe {
                    family: Some(family),
                    ..probe
                },
                rows,
            });
        }
        Ok((ends, tables))
    }
}

fn verdict(sign: &str) -> Result<Verdict> {
    let all = [Verdict::Allowed, Verdict::Refused, Verdict::Absent];
    let found = all.into_iter().find(|verdict| sign.chars().eq([verdict.sign()]));
    found.with_context(|| format!("{sign:?} is no verdict"))
}
