//! What a case expects, as lines, and the tables that they mean.
//!
//! ```text
//! * -> a/x/db: refused
//! */x/web, b/y/web -> a/x/db TCP/80 UDP/53/6: allowed
//! ```
//!
//! Pure. Everything is allowed but where an end has no address of the family, and each line changes what the lines before
//! it say: `allowed`, `refused`, or `absent` (no such traffic). An end is named as everywhere, or by a pattern: `*` is every
//! end, `ip:*` every outside one; in `cluster/namespace/pod` a `*` is any, and a namespace `*` leaves out pods on the host
//! network, which are their nodes and no pods to a policy. A pattern never speaks of a pod and itself, a pod and its own
//! node (S67 to S69), or two ends that are no pods: who means those names them. Without a probe a line is about all of
//! them. No line makes traffic where there is none.

use crate::worlds::ClusterSet;
use anyhow::{Context, Result, bail, ensure};
use enforcer::offline::ends::{End, Probe, Table, Verdict};
use enforcer::ruleset::Family;
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The ends with what a line must know of them.
pub struct Field<'a> {
    ends: &'a [End],
    facts: Vec<Facts>,
}

/// What the manifests plainly say of an end.
#[derive(Default)]
struct Facts {
    families: BTreeSet<Family>,
    /// `cluster/node`; none: it is outside, or on no node.
    node: Option<String>,
    /// `cluster/namespace/pod` of a pod with a network of its own.
    pod: Option<String>,
}

/// Lines.
pub struct Expectation(Vec<Line>);

struct Line {
    from: Vec<Pattern>,
    to: Vec<Pattern>,
    /// Empty: all.
    probes: Vec<Probe>,
    verdict: Verdict,
    text: String,
}

enum Pattern {
    Everything,
    Outside,
    Pods([Option<String>; 3]),
    One(End),
}

impl<'a> Field<'a> {
    /// Of these ends of a world.
    pub fn new(world: &ClusterSet, ends: &'a [End]) -> Self {
        let facts = ends.iter().map(|end| Facts::of(world, end)).collect();
        Self { ends, facts }
    }

    /// Whether a pattern may speak of what passes from one end to another.
    fn is_judged(&self, from: usize, to: usize) -> bool {
        let [source, destination] = [&self.facts[from], &self.facts[to]];
        match (&source.pod, &destination.pod) {
            (Some(source), Some(destination)) => source != destination,
            (None, None) => false,
            (Some(_), None) | (None, Some(_)) => source.node.is_none() || source.node != destination.node,
        }
    }
}

impl Facts {
    fn of(world: &ClusterSet, end: &End) -> Self {
        match end {
            End::Pod(name) => {
                let objects = &world.clusters[name.cluster.as_str()].objects;
                let is_it = |object: &&Value| {
                    let metadata = &object["metadata"];
                    object["kind"] == "Pod" && metadata["namespace"] == name.namespace && metadata["name"] == name.name
                };
                let pod = objects.iter().find(is_it).expect("ends are pods of the world");
                Self::of_pod(name.cluster.as_str(), pod)
            }
            End::Address(address) => Self::of_address(world, *address),
        }
    }

    fn of_pod(cluster: &str, pod: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (namespace, name) = (text(&pod["metadata"]["namespace"]), text(&pod["metadata"]["name"]));
        let own = pod["spec"]["hostNetwork"] != true;
        Self {
            families: addresses(pod).into_iter().map(Family::of).collect(),
            node: pod["spec"]["nodeName"].as_str().map(|node| format!("{cluster}/{node}")),
            pod: own.then(|| format!("{cluster}/{namespace}/{name}")),
        }
    }

    /// Of the pod that has the address, on the host network or not; of an outside host.
    fn of_address(world: &ClusterSet, address: IpAddr) -> Self {
        let clusters = world.clusters.iter();
        let mut pods = clusters.flat_map(|(name, cluster)| cluster.objects.iter().map(move |object| (name, object)));
        let owner = pods.find(|(_, object)| object["kind"] == "Pod" && addresses(object).contains(&address));
        let owner = owner.map(|(cluster, pod)| Self::of_pod(cluster, pod));
        Self {
            families: [Family::of(address)].into(),
            ..owner.unwrap_or_default()
        }
    }
}

/// The addresses of a pod that has not finished: of its `podIPs`, or where none of them is one, its `podIP` (I2).
fn addresses(pod: &Value) -> Vec<IpAddr> {
    let status = &pod["status"];
    if status["phase"] == "Succeeded" || status["phase"] == "Failed" {
        return Vec::new();
    }
    let read = |text: &Value| text.as_str()?.parse().ok();
    let listed = status["podIPs"].as_array().into_iter().flatten();
    let mut addresses: Vec<IpAddr> = listed.filter_map(|entry| read(&entry["ip"])).collect();
    if addresses.is_empty() {
        addresses.extend(read(&status["podIP"]));
    }
    addresses
}

impl Expectation {
    /// Reads lines; empty ones and what follows a `#` are none.
    ///
    /// # Errors
    /// If one is not understood.
    pub fn read(text: &str) -> Result<Self> {
        let lines = text
            .lines()
            .map(|line| line.split('#').next().unwrap_or_default().trim());
        let lines = lines.filter(|line| !line.is_empty());
        Ok(Self(
            lines
                .map(|line| Line::read(line).context(line.to_owned()))
                .collect::<Result<_>>()?,
        ))
    }

    /// The tables of the probes, each of which says its family.
    ///
    /// # Errors
    /// If a line speaks of no cell: it is a slip of the pen.
    pub fn tables(&self, field: &Field<'_>, probes: &[Probe]) -> Result<Vec<Table>> {
        let mut tables: Vec<Table> = probes.iter().map(|&probe| unpoliced(field, probe)).collect();
        for line in &self.0 {
            let mut spoken = false;
            for table in tables.iter_mut().filter(|table| line.is_about(table.probe)) {
                spoken |= line.write(field, table);
            }
            ensure!(spoken, "{:?} speaks of nothing", line.text);
        }
        Ok(tables)
    }
}

/// Everything allowed, where there is an address of the family.
fn unpoliced(field: &Field<'_>, probe: Probe) -> Table {
    let family = probe.family.expect("each probe of a case says its family");
    let has = |facts: &Facts| facts.families.contains(&family);
    let verdict = |from: &Facts, to: &Facts| match has(from) && has(to) {
        true => Verdict::Allowed,
        false => Verdict::Absent,
    };
    let row = |from| field.facts.iter().map(|to| verdict(from, to)).collect();
    let mut rows: Vec<Vec<Verdict>> = field.facts.iter().map(row).collect();
    for (index, facts) in field.facts.iter().enumerate() {
        if facts.pod.is_none() && facts.node.is_none() {
            // Nothing goes from an outside host to itself.
            rows[index][index] = Verdict::Absent;
        }
    }
    Table { probe, rows }
}

impl Line {
    fn read(line: &str) -> Result<Self> {
        let (rest, verdict) = line.rsplit_once(':').context("no verdict after a colon")?;
        let verdict = match verdict.trim() {
            "allowed" => Verdict::Allowed,
            "refused" => Verdict::Refused,
            "absent" => Verdict::Absent,
            other => bail!("{other:?} is neither allowed, refused nor absent"),
        };
        let (from, rest) = rest.split_once("->").context("no arrow")?;
        let mut to = Vec::new();
        let mut probes = Vec::new();
        for word in rest.split_whitespace() {
            match word.parse::<Probe>() {
                Ok(probe) => probes.push(probe),
                Err(_) => to.extend(patterns(word)?),
            }
        }
        let from = from.split_whitespace().map(patterns).collect::<Result<Vec<_>>>()?;
        Ok(Self {
            from: from.into_iter().flatten().collect(),
            to,
            probes,
            verdict,
            text: line.to_owned(),
        })
    }

    fn is_about(&self, probe: Probe) -> bool {
        let covers = |one: &Probe| {
            one.transport == probe.transport
                && one.port == probe.port
                && one.family.is_none_or(|family| Some(family) == probe.family)
        };
        self.probes.is_empty() || self.probes.iter().any(covers)
    }

    /// Whether it spoke of a cell.
    fn write(&self, field: &Field<'_>, table: &mut Table) -> bool {
        let mut spoken = false;
        for from in 0..field.ends.len() {
            for to in 0..field.ends.len() {
                let speaks = self.from.iter().any(|source| {
                    self.to.iter().any(|destination| {
                        let both = source.means(field, from) && destination.means(field, to);
                        let names = source.is_name() && destination.is_name();
                        both && (names || field.is_judged(from, to))
                    })
                });
                if speaks && table.rows[from][to] != Verdict::Absent {
                    table.rows[from][to] = self.verdict;
                    spoken = true;
                }
            }
        }
        spoken
    }
}

/// Patterns between commas.
fn patterns(word: &str) -> Result<Vec<Pattern>> {
    let texts = word.split(',').filter(|text| !text.is_empty());
    texts.map(Pattern::read).collect()
}

impl Pattern {
    fn read(text: &str) -> Result<Self> {
        if text == "*" {
            return Ok(Self::Everything);
        }
        if text == "ip:*" {
            return Ok(Self::Outside);
        }
        if !text.contains('*') {
            return Ok(Self::One(text.parse()?));
        }
        let parts: Vec<&str> = text.split('/').collect();
        let parts = <[&str; 3]>::try_from(parts)
            .ok()
            .with_context(|| format!("{text:?} is no pattern"))?;
        Ok(Self::Pods(parts.map(|part| (part != "*").then(|| part.to_owned()))))
    }

    fn is_name(&self) -> bool {
        matches!(self, Self::One(_))
    }

    fn means(&self, field: &Field<'_>, index: usize) -> bool {
        match (self, &field.ends[index]) {
            (Self::Everything, _) | (Self::Outside, End::Address(_)) => true,
            (Self::One(one), end) => one == end,
            (Self::Pods(parts), End::Pod(pod)) => {
                let is = |part: &Option<String>, text: &str| part.as_ref().is_none_or(|part| part == text);
                let hidden = parts[1].is_none() && field.facts[index].pod.is_none();
                !hidden
                    && is(&parts[0], pod.cluster.as_str())
                    && is(&parts[1], &pod.namespace)
                    && is(&parts[2], &pod.name)
            }
            (Self::Outside, End::Pod(_)) | (Self::Pods(_), End::Address(_)) => false,
        }
    }
}
