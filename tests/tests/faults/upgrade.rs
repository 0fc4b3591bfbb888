//! Hub and enforcers replaced by those of another release, one after the other and back, under traffic.

use super::rig::{Rig, in_lab, name, policy, programs};
use super::traffic;
use enforcer::offline::ends::{NodeName, Verdict};
use serde_json::json;
use std::path::PathBuf;
use tests::lab::layout::Layout;
use tests::lab::programs::Programs;

/// S126: A rolling upgrade from an earlier release and back, the hub first and last, then the other way round.
#[test]
#[ignore = "needs hub and enforcer of an earlier commit: tests/earlier builds them, tests/k8s/run runs this"]
fn an_upgrade_and_the_way_back_drop_nothing_and_admit_nothing_on_bridges() {
    in_lab(Layout::Bridge, there_and_back);
}

/// S126: The same on routed links.
#[test]
#[ignore = "needs hub and enforcer of an earlier commit: tests/earlier builds them, tests/k8s/run runs this"]
fn an_upgrade_and_the_way_back_drop_nothing_and_admit_nothing_on_routed_links() {
    in_lab(Layout::Routed, there_and_back);
}

async fn there_and_back(rig: &mut Rig<'_>) {
    let (now, earlier) = (programs().clone(), earlier());
    for [first, second] in [["hub", "enforcers"], ["enforcers", "hub"]] {
        // The programs of the lab are this release's: down first, and up again.
        for release in [&earlier, &now] {
            for what in [first, second] {
                rig.control.use_programs(release.clone());
                let verdicts = rig.verdicts();
                traffic::during(&verdicts, replace(rig, what)).await;
                rig.settle().await;
                changes_arrive(rig).await;
            }
        }
    }
}

async fn replace(rig: &mut Rig<'_>, what: &str) {
    if what == "hub" {
        rig.control.kill_hub().await;
        rig.control.restart_hub().await.unwrap();
    } else {
        let nodes: Vec<NodeName> = rig.nodes();
        for node in &nodes {
            rig.control.stop_enforcer(node).await.unwrap();
            rig.control.start_enforcer(&rig.lab.fabric, node).unwrap();
            rig.control.enforcers_ready().await.unwrap();
        }
    }
}

/// Hub and enforcers of two releases understand each other: a label crosses clusters, a policy comes and goes.
async fn changes_arrive(rig: &Rig<'_>) {
    rig.label("b", "remote", None).await;
    rig.becomes("b/x/remote", "a/x/db", Verdict::Refused).await;
    rig.label("b", "remote", Some("client")).await;
    rig.becomes("b/x/remote", "a/x/db", Verdict::Allowed).await;
    let closed = policy("closed", json!({"podSelector": {"matchLabels": {"app": "far"}}}));
    let cluster = rig.control.cluster(&name("a")).unwrap();
    cluster.write(std::slice::from_ref(&closed)).await.unwrap();
    rig.becomes("b/x/other", "a/x/far", Verdict::Refused).await;
    cluster.delete(&closed).await.unwrap();
    rig.becomes("b/x/other", "a/x/far", Verdict::Allowed).await;
}

/// The programs of the earlier commit, with the switches of this one's.
fn earlier() -> Programs {
    #[expect(clippy::disallowed_methods, reason = "tests have no command line")]
    let folder = std::env::var("BAILEY_EARLIER");
    let folder = PathBuf::from(folder.expect("BAILEY_EARLIER=$(tests/earlier)"));
    let [hub, enforcer] = ["hub", "enforcer"].map(|name| folder.join(name));
    assert!(
        hub.is_file() && enforcer.is_file(),
        "no hub and enforcer in {}",
        folder.display()
    );
    Programs {
        hub,
        enforcer,
        ..programs().clone()
    }
}
