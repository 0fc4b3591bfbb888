//! How findings name things: some pods of many, labels as YAML, and the name that a misspelt one was probably meant to be.
//!
//! Pure.

use super::estate::PodAt;
use crate::listing::first_of;
use proto::model::{CLUSTER_LABEL, ClusterName, Labels, NAME_LABEL};
use proto::selector::{Requirement, Selector};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

/// How many of a list a finding names; the others it counts.
const NAMED: usize = 3;

/// `a, b, c and 4 more`.
pub(super) fn some_of<T: Display>(all: impl IntoIterator<Item = T>) -> String {
    first_of(all, NAMED)
}

/// `a, b and c`.
pub(super) fn all_of<T: Display>(all: impl IntoIterator<Item = T>) -> String {
    let all: Vec<String> = all.into_iter().map(|one| one.to_string()).collect();
    match all.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => all.join(""),
    }
}

/// `1 pod`, `2 pods`.
pub(super) fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// `3 pods (a/x/p, a/x/q and 1 more)`.
pub(super) fn pods(pods: &[&PodAt<'_>]) -> String {
    format!("{} ({})", counted(pods.len(), "pod"), some_of(pods))
}

/// `2 pods of cluster-b (cluster-b/shop/web-0, cluster-b/shop/web-1) and 1 pod of pci (pci/shop/web-0)`.
pub(super) fn pods_by_cluster(pods: &[&PodAt<'_>]) -> String {
    let mut by_cluster: BTreeMap<&ClusterName, Vec<&PodAt<'_>>> = BTreeMap::new();
    for pod in pods {
        by_cluster.entry(pod.cluster()).or_default().push(pod);
    }
    let of = |(cluster, pods): (&&ClusterName, &Vec<&PodAt<'_>>)| {
        format!("{} of {cluster} ({})", counted(pods.len(), "pod"), some_of(pods))
    };
    let mut parts: Vec<String> = by_cluster.iter().take(NAMED).map(of).collect();
    if by_cluster.len() > NAMED {
        let rest: usize = by_cluster.values().skip(NAMED).map(Vec::len).sum();
        let clusters = counted(by_cluster.len() - NAMED, "other cluster");
        parts.push(format!("{} of {clusters}", counted(rest, "pod")));
    }
    all_of(parts)
}

/// A label as a manifest has it: `key: value`.
pub(super) fn label(key: &str, value: &str) -> String {
    format!("{key}: {}", scalar(value))
}

/// A text as it can stand in a YAML flow collection: in quotes, if it could be taken for anything but a text.
pub(super) fn scalar(text: &str) -> String {
    /// What some YAML readers, those of Kubernetes among them, take for a truth, nothing or a number.
    const WORDS: [&str; 10] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan"];
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/'))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { format!("{text:?}") }
}

/// `namespaceSelector: {matchLabels: {<the cluster label>: <id>, <the name label>: <name>}}`, with either part or both.
pub(super) fn namespace_selector(cluster: Option<&str>, name: Option<&str>) -> String {
    let labels = [(CLUSTER_LABEL, cluster), (NAME_LABEL, name)];
    let labels = labels.into_iter().filter_map(|(key, value)| Some(label(key, value?)));
    let labels: Vec<String> = labels.collect();
    format!("namespaceSelector: {{matchLabels: {{{}}}}}", labels.join(", "))
}

/// Which of some names a misspelt one was probably meant to be: the same but for case and spaces, or else the only nearest
/// at most two letters away, one for a short name.
pub(super) fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let folded = |text: &str| text.trim().to_lowercase();
    let known: BTreeSet<&str> = known.into_iter().filter(|known| *known != name).collect();
    if let Some(same) = known.iter().find(|known| folded(known) == folded(name)) {
        return Some(same);
    }
    let allowed = if name.chars().count() < 5 { 1 } else { 2 };
    let mut near: Vec<(usize, &str)> = known
        .into_iter()
        .map(|known| (distance(&folded(name), &folded(known)), known))
        .filter(|(distance, _)| *distance <= allowed)
        .collect();
    near.sort_unstable();
    match near.as_slice() {
        [(first, known), rest @ ..] if rest.first().is_none_or(|(second, _)| second > first) => Some(known),
        _ => None,
    }
}

/// What a selector probably meant that matches none of these labels: a value, or a key, that is nearly there.
pub(super) fn misspelt<'l>(selector: &Selector, labels: impl Iterator<Item = &'l Labels>) -> Option<String> {
    let labels: BTreeSet<(&str, &str)> = labels.flatten().map(|(key, value)| (&**key, &**value)).collect();
    selector.requirements().find_map(|requirement| {
        let Requirement::In(key, values) = requirement else {
            return None;
        };
        let of_key: Vec<&str> = labels
            .iter()
            .filter(|(known, _)| *known == &**key)
            .map(|(_, value)| *value)
            .collect();
        if of_key.is_empty() {
            let known = labels.iter().map(|(key, _)| *key);
            return nearest(key, known).map(|meant| format!("perhaps the key is  {meant}"));
        }
        if values.iter().any(|value| of_key.contains(&&**value)) {
            return None;
        }
        let meant = values.iter().find_map(|value| nearest(value, of_key.iter().copied()))?;
        Some(format!("perhaps  {}", label(key, meant)))
    })
}

/// How many letters must be added, removed, replaced or swapped with their neighbour to make one text the other (the
/// optimal string alignment distance).
fn distance(a: &str, b: &str) -> usize {
    /// Longer texts are no misspelt names: label values end at 63 characters.
    const LONGEST: usize = 64;
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len() > LONGEST || b.len() > LONGEST {
        return usize::MAX;
    }
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_cut() {
        assert_eq!(some_of(["a"]), "a");
        assert_eq!(some_of(["a", "b", "c"]), "a, b, c");
        assert_eq!(some_of(["a", "b", "c", "d"]), "a, b, c and 1 more");
        assert_eq!(all_of(["a", "b", "c"]), "a, b and c");
        assert_eq!(all_of(Vec::<String>::new()), "");
    }

    #[test]
    fn what_could_be_no_text_is_quoted() {
        for text in ["web", "web-1.x", "nobody", "example.com/x"] {
            assert_eq!(scalar(text), text);
        }
        for text in [
            "",
            "1",
            "1e3",
            "0x1f",
            "no",
            "Off",
            "TRUE",
            "a b",
            "a: b",
            "-",
            "~",
            "2001-01-01",
        ] {
            let quoted = scalar(text);
            assert_eq!(quoted, format!("{text:?}"));
            assert_eq!(serde_saphyr::from_str::<serde_json::Value>(&quoted).unwrap(), text);
        }
    }

    #[test]
    fn a_misspelt_name_is_recognised_and_another_one_is_not() {
        let known = ["cluster-a", "cluster-b", "pci"];
        let cases = [
            ("PCI", Some("pci")),
            ("pic", Some("pci")),
            (" pci", Some("pci")),
            ("clustera", Some("cluster-a")),
            // As far from cluster-a as from cluster-b.
            ("cluster-c", None),
            ("prod", None),
            ("pc", Some("pci")),
            ("p", None),
            ("", None),
        ];
        for (name, expected) in cases {
            assert_eq!(nearest(name, known), expected, "{name:?}");
        }
        assert_eq!(nearest(&"x".repeat(100), known), None);
    }
}
