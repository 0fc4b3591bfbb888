//! What the hub says of its members, beside what its Secret holds → a table, or JSON. Pure.

use super::ask::Said;
use super::held::Members;
use proto::wire;
use proto::wire::cluster_status::State;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// All members, by id.
pub struct Table(BTreeMap<String, Row>);

/// One member.
#[derive(Default)]
struct Row {
    /// What the hub says, if it knows it.
    known: Option<wire::Cluster>,
    /// How long ago the hub heard of it.
    age: Option<Duration>,
    /// Whether the Secret holds it, if that was looked at.
    held: Option<bool>,
    /// Its server in the Secret.
    held_server: String,
    connected: u32,
    behind: u32,
}

impl Table {
    /// Of what the hub said, and of the Secret if that was looked at.
    pub fn new(said: &Said, secret: Option<&Members>) -> Self {
        let mut rows: BTreeMap<String, Row> = BTreeMap::new();
        for cluster in &said.clusters {
            rows.entry(cluster.id.clone()).or_default().known = Some(cluster.clone());
        }
        for fresh in &said.freshness {
            if let Some(row) = rows.get_mut(&fresh.cluster) {
                row.age = fresh.age.and_then(|age| age.try_into().ok());
            }
        }
        for enforcer in &said.enforcers {
            if let Some(row) = rows.get_mut(&enforcer.cluster)
                && enforcer.connected
            {
                row.connected += 1;
                row.behind += u32::from(enforcer.lag.is_some());
            }
        }
        if let Some(Members(members)) = secret {
            for (id, entry) in members {
                let row = rows.entry(id.to_string()).or_default();
                row.held = Some(true);
                row.held_server.clone_from(&entry.held.server);
            }
            for row in rows.values_mut() {
                row.held.get_or_insert(false);
            }
        }
        Self(rows)
    }

    /// For people.
    pub fn text(&self) -> String {
        if self.0.is_empty() {
            return "No members. hub members add makes a cluster one.\n".to_owned();
        }
        let head = ["CLUSTER", "STATE", "HEARD", "NAMESPACES", "PODS", "ENFORCERS", "SERVER"].map(str::to_owned);
        let lines: Vec<[String; 7]> = [head]
            .into_iter()
            .chain(self.0.iter().map(|(id, row)| row.cells(id)))
            .collect();
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..7).map(width).collect();
        let mut text = String::new();
        let notes = [Vec::new()].into_iter().chain(self.0.values().map(Row::notes));
        for (line, notes) in lines.iter().zip(notes) {
            let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            let cells: Vec<String> = cells.collect();
            let _ = writeln!(text, "{}", cells.join("  ").trim_end());
            for note in notes {
                let _ = writeln!(text, "  {note}");
            }
        }
        text
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let members: Vec<Value> = self.0.iter().map(|(id, row)| row.json(id)).collect();
        json!({ "members": members })
    }
}

impl Row {
    fn state(&self) -> &'static str {
        match &self.known {
            Some(cluster) => State::try_from(cluster.state).unwrap_or(State::Unknown).as_str_name(),
            None => "UNKNOWN",
        }
    }

    fn cells(&self, id: &str) -> [String; 7] {
        let dash = || "-".to_owned();
        let Some(cluster) = &self.known else {
            let server = self.held_server.clone();
            return [
                id.to_owned(),
                self.state().to_owned(),
                dash(),
                dash(),
                dash(),
                dash(),
                server,
            ];
        };
        let enforcers = match (self.connected, self.behind) {
            (connected, 0) => connected.to_string(),
            (connected, behind) => format!("{connected}, {behind} behind"),
        };
        [
            id.to_owned(),
            self.state().to_owned(),
            self.age.map_or_else(dash, ago),
            cluster.namespaces.to_string(),
            cluster.pods.to_string(),
            enforcers,
            cluster.server.clone(),
        ]
    }

    /// What somebody should look at, each on a line.
    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let Some(cluster) = &self.known else {
            notes.push(
                "in the Secret, and the hub does not know it: a new key arrives in its pod within two minutes; else see \
                 the hub's log"
                    .to_owned(),
            );
            return notes;
        };
        if !cluster.reason.is_empty() {
            notes.push(cluster.reason.clone());
        }
        if self.held == Some(false) {
            notes.push(
                "not in the Secret: it leaves within two minutes, or the hub has its kubeconfig from elsewhere"
                    .to_owned(),
            );
        }
        let namespaces = |count: u32| if count == 1 { "1 namespace" } else { "namespaces" };
        let plural = |count: u32| match count {
            1 => namespaces(1).to_owned(),
            count => format!("{count} {}", namespaces(count)),
        };
        if cluster.unlabelled_namespaces > 0 {
            notes.push(format!(
                "{} without the cluster's label, which no policy that names this cluster matches: hub members add … \
                 --label-namespaces",
                plural(cluster.unlabelled_namespaces)
            ));
        }
        if cluster.mislabelled_namespaces > 0 {
            notes.push(format!(
                "{} with another cluster's label, read as this cluster's: hub members add … --label-namespaces --overwrite",
                plural(cluster.mislabelled_namespaces)
            ));
        }
        notes
    }

    fn json(&self, id: &str) -> Value {
        let known = self.known.as_ref();
        json!({
            "id": id,
            "state": self.state(),
            "reason": known.map(|cluster| cluster.reason.clone()).unwrap_or_default(),
            "heardSecondsAgo": self.age.map(|age| age.as_secs_f64()),
            "namespaces": known.map(|cluster| cluster.namespaces),
            "unlabelledNamespaces": known.map(|cluster| cluster.unlabelled_namespaces),
            "mislabelledNamespaces": known.map(|cluster| cluster.mislabelled_namespaces),
            "pods": known.map(|cluster| cluster.pods),
            "enforcersConnected": known.map(|_| self.connected),
            "enforcersBehind": known.map(|_| self.behind),
            "server": known.map_or(&self.held_server, |cluster| &cluster.server),
            "inSecret": self.held,
        })
    }
}

/// How long ago, in the unit that a person would choose.
fn ago(age: Duration) -> String {
    let seconds = age.as_secs_f64();
    match seconds {
        ..10.0 => format!("{seconds:.1} s ago"),
        10.0..120.0 => format!("{seconds:.0} s ago"),
        120.0..7200.0 => format!("{:.0} min ago", seconds / 60.0),
        _ => format!("{:.0} h ago", seconds / 3600.0),
    }
}

#[cfg(test)]
mod tests;
