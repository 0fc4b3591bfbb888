//! Which addresses the pods of a cluster may have. What a cluster claims elsewhere is nobody's: otherwise it could give an
//! outside host, an API server or a Service a pod's labels (I9, I10).
//!
//! Pure. A cluster without ranges may claim any address: whether a flat network has ranges at all, only its administrator
//! knows.

use ipnet::IpNet;
use proto::model::ClusterName;
use proto::observe::Pod;
use proto::watch::Event;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::str::FromStr;

/// A range of a cluster's pods, as `ID=CIDR`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PodRange {
    cluster: ClusterName,
    range: IpNet,
}

impl FromStr for PodRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (cluster, range) = text
            .split_once('=')
            .ok_or("expected ID=CIDR, for example cluster-a=10.1.0.0/16")?;
        Ok(Self {
            cluster: cluster.parse().map_err(|error| format!("{error}"))?,
            range: range.parse().map_err(|_error| {
                format!("{range:?} is no CIDR: expected for example 10.1.0.0/16 or fd00:10:1::/48")
            })?,
        })
    }
}

/// The ranges of every cluster that has some.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PodRanges(BTreeMap<ClusterName, Vec<IpNet>>);

impl PodRanges {
    /// All of these.
    pub fn new(ranges: impl IntoIterator<Item = PodRange>) -> Self {
        let mut all = Self::default();
        for PodRange { cluster, range } in ranges {
            all.0.entry(cluster).or_default().push(range.trunc());
        }
        all
    }

    /// What an event of a cluster says, less the addresses that its pods may not have. They stand among what was left out
    /// of the pod. Pods on the host network have their node's, and own none.
    pub fn confine(&self, cluster: &ClusterName, mut event: Event<Pod>) -> Event<Pod> {
        let Some(ranges) = self.0.get(cluster) else {
            return event;
        };
        match &mut event {
            Event::Synced(pods) => pods.iter_mut().for_each(|pod| confine(cluster, ranges, pod)),
            Event::Applied(pod) => confine(cluster, ranges, pod),
            Event::Deleted(_) | Event::Heard | Event::Lost(_) => {}
        }
        event
    }
}

fn confine(cluster: &ClusterName, ranges: &[IpNet], pod: &mut Pod) {
    if pod.host_network {
        return;
    }
    let is_inside = |address: &IpAddr| ranges.iter().any(|range| range.contains(address));
    let outside: Vec<String> = pod
        .addresses
        .iter()
        .filter(|address| !is_inside(address))
        .map(ToString::to_string)
        .collect();
    if !outside.is_empty() {
        pod.addresses.retain(is_inside);
        pod.rejected.push(format!(
            "status.podIPs: {} is outside of the ranges of {cluster}'s pods (--pod-cidr)",
            outside.join(", ")
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{cluster, pod};

    fn ranges() -> PodRanges {
        PodRanges::new(["a=10.1.0.0/16", "a=fd00:1::5/48"].map(|range| range.parse().unwrap()))
    }

    fn confined(id: &str, addresses: &[&str]) -> (Vec<String>, Vec<String>) {
        let event = Event::Applied(pod("shop/web", addresses, "app=web"));
        let Event::Applied(pod) = ranges().confine(&cluster(id), event) else {
            panic!("it stays what it was");
        };
        (pod.addresses.iter().map(ToString::to_string).collect(), pod.rejected)
    }

    /// I9, I10: Addresses outside of the declared ranges are no pod's, and it is said; those inside stand.
    #[test]
    fn what_is_outside_is_left_out_and_said() {
        assert_eq!(
            confined("a", &["10.1.0.7", "10.96.0.1", "fd00:1::7", "2001:db8::1"]),
            (
                vec!["10.1.0.7".to_owned(), "fd00:1::7".to_owned()],
                vec![
                    "status.podIPs: 10.96.0.1, 2001:db8::1 is outside of the ranges of a's pods (--pod-cidr)"
                        .to_owned()
                ]
            )
        );
        let inside = ["10.1.255.255", "fd00:1::"];
        assert_eq!(confined("a", &inside), (inside.map(str::to_owned).to_vec(), vec![]));
    }

    /// I10: A list is confined as single pods are; a cluster without ranges may claim anything.
    #[test]
    fn lists_are_confined_and_clusters_without_ranges_are_not() {
        let pods = vec![pod("shop/web", &["10.9.0.1"], ""), pod("shop/db", &["10.1.0.1"], "")];
        let Event::Synced(pods) = ranges().confine(&cluster("a"), Event::Synced(pods)) else {
            panic!("it stays what it was");
        };
        assert_eq!(pods.iter().map(|pod| pod.addresses.len()).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(confined("b", &["192.0.2.1"]), (vec!["192.0.2.1".to_owned()], vec![]));
    }

    #[test]
    fn a_range_is_read_with_its_cluster() {
        let error = |text: &str| text.parse::<PodRange>().unwrap_err();
        assert!(error("10.1.0.0/16").contains("expected ID=CIDR"));
        assert!(error("a=10.1.0.0").contains("is no CIDR"));
        assert!(error("a b=10.1.0.0/16").contains("is no cluster id"));
    }
}
