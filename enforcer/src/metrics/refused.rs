//! What the policies of each local pod refuse, in each direction: the kernel's own counts, read when they are asked for.
//!
//! There is a series for each isolated local pod and direction, and for no other. It begins at zero with the pod, goes on
//! through whatever changes its policies or restarts the enforcer, and ends with the pod or its isolation.

use crate::ruleset::{Counted, CounterName};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use std::collections::BTreeMap;
use std::fmt;

/// Asks the kernel how many packets each counter has counted; blocks.
pub type Read = fn() -> Result<BTreeMap<CounterName, u64>, String>;

/// Shows what is read.
#[derive(Debug)]
pub(super) struct Refused {
    read: Read,
}

impl Refused {
    pub(super) const fn new(read: Read) -> Self {
        Self { read }
    }
}

impl Collector for Refused {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let counters = (self.read)().unwrap_or_else(|reason| {
            tracing::debug!(reason, "no counts of what pods refuse");
            BTreeMap::new()
        });
        let mut packets: BTreeMap<Counted<'_>, u64> = BTreeMap::new();
        for (name, count) in &counters {
            if let Some(counted) = name.counted() {
                *packets.entry(counted).or_default() += count;
            }
        }
        let mut encoder = encoder.encode_descriptor(
            "bailey_enforcer_pod_dropped_packets",
            "Packets that the policies of a local pod have refused, by the direction that they had for the pod, since the pod is \
             isolated; read from the kernel when asked for",
            None,
            MetricType::Counter,
        )?;
        for (counted, count) in packets {
            let direction = counted.direction.to_string();
            let labels = [
                ("namespace", counted.namespace),
                ("pod", counted.pod),
                ("direction", &direction),
            ];
            ConstCounter::new(count).encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ruleset::Direction;
    use expect_test::expect;
    use prometheus_client::registry::Registry;

    /// A pod of two addresses of a family has one counter, of two families one in each table, which arrive as one.
    #[test]
    fn each_isolated_end_is_a_series_and_what_is_no_pods_is_none() {
        let read = || {
            let name = |direction, pod| {
                let counted = Counted {
                    direction,
                    namespace: "shop",
                    pod,
                };
                CounterName::of_pod(counted, "uid")
            };
            let counts = [
                (name(Direction::Ingress, "db-0"), 7),
                (name(Direction::Egress, "db-0"), 0),
                (name(Direction::Ingress, "web"), 1),
                (CounterName::read_back("somebody's"), 9),
            ];
            Ok(counts.into())
        };
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Refused::new(read)));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        expect![[r##"
            # HELP bailey_enforcer_pod_dropped_packets Packets that the policies of a local pod have refused, by the direction that they had for the pod, since the pod is isolated; read from the kernel when asked for
            # TYPE bailey_enforcer_pod_dropped_packets counter
            bailey_enforcer_pod_dropped_packets_total{namespace="shop",pod="db-0",direction="egress"} 0
            bailey_enforcer_pod_dropped_packets_total{namespace="shop",pod="db-0",direction="ingress"} 7
            bailey_enforcer_pod_dropped_packets_total{namespace="shop",pod="web",direction="ingress"} 1
            # EOF
        "##]].assert_eq(&text);
    }

    #[test]
    fn a_kernel_that_does_not_answer_leaves_the_other_metrics_alone() {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Refused::new(|| Err("no netlink".to_owned()))));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}
