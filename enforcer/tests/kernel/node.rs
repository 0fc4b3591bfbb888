//! What is followed of a node.

use crate::netns::{in_new_netns, ip};
use enforcer::machine::Input;
use enforcer::node::follow_addresses;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

/// How long a kernel with nothing else to do may take for a list.
const SOON: Duration = Duration::from_secs(5);

/// S79: The kernel holds up who asks for links and addresses while others make links, and no pod's start may wait for that:
/// whatever workers there are have no part in it.
#[test]
fn addresses_are_followed_without_a_worker() {
    in_new_netns(|| {
        ip("link set lo up");
        let runtime = || -> Runtime { Builder::new_current_thread().enable_all().build().unwrap() };
        let (workers, other) = (runtime(), runtime());
        let (inputs, mut queue) = mpsc::channel(1);
        let _following = workers.spawn(follow_addresses(inputs));
        // It begins, and then this runtime does nothing any more.
        workers.block_on(tokio::task::yield_now());
        let mut next = || {
            let told = other.block_on(async { tokio::time::timeout(SOON, queue.recv()).await });
            match told {
                Ok(Some(Input::NodeAddresses(addresses))) => addresses,
                other => panic!("{other:?}"),
            }
        };
        let loopback = ["127.0.0.1", "::1"].map(|address| address.parse().unwrap());
        assert_eq!(next(), loopback.into());
        ip("address add 10.0.0.1/32 dev lo");
        let more = loopback.into_iter().chain(["10.0.0.1".parse().unwrap()]);
        assert_eq!(next(), more.collect());
    });
}
