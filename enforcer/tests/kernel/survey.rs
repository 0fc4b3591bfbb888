//! What `enforcer check` looks at in a kernel that others use as well.

use crate::foreign;
use crate::netns::in_new_netns;
use enforcer::kernel::survey;
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
