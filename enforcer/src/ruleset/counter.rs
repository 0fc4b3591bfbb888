//! Named counters: what the end of an isolated pod refuses, counted by the kernel.
//!
//! Pure. A counter is an object of its table beside the rules that count with it: it outlives their replacement and the
//! process that made it, and goes with the pod it is named after. Its name says all that there is to know about it, so
//! that what is read back from the kernel needs nothing else to be understood.

use super::{Direction, digest};
use std::fmt;

/// The most bytes of a name (`NFT_OBJ_MAXNAMELEN`, less the NUL).
const MAX_BYTES: usize = 255;

/// Characters of the hash that tells a pod from an earlier one of its name: 50 bits.
const HASH_LENGTH: usize = 10;

/// A counter's name within a table: `ingress/shop/backend-0/5jx3w7lq2k`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CounterName(String);

/// Whose refused packets a counter counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Counted<'a> {
    /// Which end of the connection the pod is.
    pub direction: Direction,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name; its beginning, if namespace and name do not fit into a counter's.
    pub pod: &'a str,
}

impl CounterName {
    /// The counter of what a pod's policies refuse in a direction. A pod that takes another's name has its own.
    pub fn of_pod(counted: Counted<'_>, uid: &str) -> Self {
        let Counted {
            direction,
            namespace,
            pod,
        } = counted;
        let hash = digest(&format!("{namespace}/{pod}/{uid}"), HASH_LENGTH);
        let head = format!("{direction}/{namespace}/");
        let room = MAX_BYTES.saturating_sub(head.len() + 1 + hash.len());
        let end = (0..=room.min(pod.len())).rev().find(|end| pod.is_char_boundary(*end));
        let pod = &pod[..end.unwrap_or_default()];
        Self(format!("{head}{pod}/{hash}"))
    }

    /// A name read back from the kernel.
    pub fn read_back(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// Whose packets it counts; `None`: it is none that [`CounterName::of_pod`] names.
    pub fn counted(&self) -> Option<Counted<'_>> {
        let [direction, namespace, pod, _hash] = self.0.split('/').collect::<Vec<_>>().try_into().ok()?;
        let direction = Direction::ALL
            .into_iter()
            .find(|known| known.to_string() == direction)?;
        Some(Counted {
            direction,
            namespace,
            pod,
        })
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CounterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted<'a>(namespace: &'a str, pod: &'a str) -> Counted<'a> {
        Counted {
            direction: Direction::Ingress,
            namespace,
            pod,
        }
    }

    #[test]
    fn a_name_says_whose_packets_it_counts_and_tells_pods_of_one_name_apart() {
        let name = CounterName::of_pod(counted("shop", "db-0"), "uid-1");
        assert_eq!(name.counted(), Some(counted("shop", "db-0")));
        assert_ne!(name, CounterName::of_pod(counted("shop", "db-0"), "uid-2"));
        for foreign in ["", "ingress", "ingress/shop/db-0", "in/shop/db-0/x", "ingress/a/b/c/d"] {
            assert_eq!(CounterName::read_back(foreign).counted(), None, "{foreign}");
        }
    }

    /// The longest names that an API server takes: 63 and 253 characters.
    #[test]
    fn a_name_fits_into_the_kernel_and_two_that_begin_alike_differ() {
        let namespace = "n".repeat(63);
        let pods = ["a", "b"].map(|last| "p".repeat(252) + last);
        let names = pods
            .each_ref()
            .map(|pod| CounterName::of_pod(counted(&namespace, pod), "uid"));
        assert_eq!(names.each_ref().map(|name| name.as_str().len()), [MAX_BYTES; 2]);
        assert_ne!(names[0], names[1]);
        let cut = names[0].counted().unwrap();
        assert_eq!((cut.namespace, cut.pod), (&*namespace, &pods[0][..cut.pod.len()]));
    }
}
