use super::*;
use crate::inventory::{Connection, Observed};
use crate::sample::{cluster, namespace, pod, some_instant};
use proto::model::Epoch;
use proto::watch::Event;

const REVISION: Revision = Revision {
    epoch: Epoch(7),
    sequence: 3,
};

fn join(inventory: &mut Inventory, id: &str, now: Instant) {
    let id = cluster(id);
    inventory.connect(&id, Connection(1), "https://example".to_owned(), now);
    let mut odd = pod("shop/odd", &[], "");
    odd.rejected = vec!["status.podIPs[0]: no address".to_owned()];
    let pods = vec![pod("shop/web", &["10.0.0.1"], "app=web"), odd];
    inventory.apply(&id, Connection(1), Observed::Pods(Event::Synced(pods)), now);
    let namespaces = vec![namespace("shop", "s", "")];
    inventory.apply(&id, Connection(1), Observed::Namespaces(Event::Synced(namespaces)), now);
}

#[test]
fn a_hub_is_ready_when_every_cluster_was_listed_or_has_had_its_time() {
    let now = some_instant();
    let mut inventory = Inventory::default();
    let survey = |inventory: &Inventory, after| Survey::new(inventory, REVISION, now + after);
    assert!(!survey(&inventory, Duration::ZERO).is_ready(), "nothing is known");

    join(&mut inventory, "a", now);
    assert!(survey(&inventory, Duration::ZERO).is_ready());
    inventory.refuse(&cluster("cluster-b"), "cluster-b.yaml: no YAML".to_owned(), now);
    let early = survey(&inventory, FIRST_LIST_DEADLINE - Duration::from_secs(1));
    assert!(!early.is_ready());
    expect_test::expect![[r#"
        not ready, revision 00000000000000000000000000000007/3
        a          LIVE     2 pods, 1 namespaces, last heard 59.0 s ago
        cluster-b  SYNCING  0 pods, 0 namespaces: cluster-b.yaml: no YAML
    "#]]
    .assert_eq(&early.to_string());

    let late = survey(&inventory, FIRST_LIST_DEADLINE);
    assert!(late.is_ready());
    expect_test::expect![[r#"
        ready, revision 00000000000000000000000000000007/3
        a          LIVE     2 pods, 1 namespaces, last heard 60.0 s ago
        cluster-b  SYNCING  0 pods, 0 namespaces, its first list did not come within 60 s: cluster-b.yaml: no YAML
    "#]]
    .assert_eq(&late.to_string());
}

/// Or a member that is added with a wrong address would take the hub's Service its only end away for a minute.
#[test]
fn a_ready_hub_stays_so_when_a_cluster_joins_that_cannot_be_listed() {
    let now = some_instant();
    let mut inventory = Inventory::default();
    join(&mut inventory, "a", now);
    let later = now + FIRST_LIST_DEADLINE;
    inventory.refuse(&cluster("cluster-b"), "cluster-b.yaml: no YAML".to_owned(), later);
    assert!(Survey::new(&inventory, REVISION, later).is_ready());
}

#[test]
fn what_was_left_out_of_objects_is_counted() {
    let now = some_instant();
    let mut inventory = Inventory::default();
    join(&mut inventory, "a", now);
    let survey = Survey::new(&inventory, REVISION, now);
    let expected = [("address", 1), ("label", 0), ("other", 0), ("port", 0)];
    assert_eq!(survey.clusters[0].rejected, BTreeMap::from(expected));
}
