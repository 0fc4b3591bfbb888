//! What `enforcer check` looks at in a kernel that others use as well.

use crate::foreign;
use crate::netns::in_new_netns;
use enforcer::check::collect::collect;
use enforcer::kernel::{Kernel, survey};
use enforcer::lock::{self, Lock};
use std::collections::BTreeMap;

#[test]
fn the_tables_and_chains_of_others_are_seen_and_who_holds_the_lock() {
    in_new_netns(|| {
        assert_eq!(survey().unwrap(), BTreeMap::new());
        foreign::make_table("calico");
        foreign::make_chain("calico", "cali-FORWARD");
        foreign::make_chain("calico", "cali-INPUT");
        foreign::make_table("empty");
        let seen = survey().unwrap();
        let seen: BTreeMap<String, Vec<String>> = seen
            .into_iter()
            .map(|(table, chains)| (table.to_string(), chains.into_iter().collect()))
            .collect();
        let chains = ["cali-FORWARD", "cali-INPUT"].map(str::to_owned).into();
        assert_eq!(
            seen,
            BTreeMap::from([("ip calico".to_owned(), chains), ("ip empty".to_owned(), Vec::new())])
        );

        assert!(!lock::is_held().unwrap());
        let lock = Lock::take().unwrap();
        assert!(lock::is_held().unwrap());
        drop(lock);
        assert!(!lock::is_held().unwrap());
    });
}

/// What a process with our number would try the kernel with.
fn probe() -> String {
    format!("bly-probe-{}", std::process::id())
}

#[test]
fn beside_a_running_enforcer_nothing_is_tried_that_it_would_take_for_a_change() {
    in_new_netns(|| {
        let lock = Lock::take().unwrap();
        foreign::make_ipset(&probe());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let facts = runtime.block_on(collect(None));
        assert_eq!((facts.missing, facts.our_sets, facts.enforcer_runs), (None, 1, true));
        assert!(
            foreign::has_ipset(&probe()),
            "a set was made and destroyed under an enforcer's eyes"
        );
        drop(lock);
    });
}

#[test]
fn what_a_crash_left_of_an_attempt_keeps_nobody_from_trying() {
    in_new_netns(|| {
        foreign::make_ipset(&probe());
        Kernel::open().unwrap();
        assert!(!foreign::has_ipset(&probe()));
    });
}
