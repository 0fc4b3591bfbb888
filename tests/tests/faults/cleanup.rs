//! An enforcer that is stopped leaves its protection; `enforcer cleanup` takes it away, and nothing else.

use super::foreign;
use super::rig::{Rig, in_lab, node, programs};
use super::traffic;
use enforcer::offline::ends::Verdict;
use std::process::ExitStatus;
use tests::lab::layout::Layout;
use tests::lab::process::Program;

#[test]
fn a_stopped_enforcer_protects_until_cleanup_which_leaves_what_is_not_ours() {
    in_lab(Layout::Bridge, async |rig| {
        let protected = node("a/node-1");
        let netns = rig.lab.fabric.node(&protected).unwrap().netns();
        let make = || {
            foreign::make_table("other");
            foreign::make_chain("other", "bailey");
            foreign::make_ipset("others");
        };
        netns.run(make).unwrap();
        let pid = rig.control.enforcers()[&protected].pid();

        let (status, said) = cleanup(rig).await;
        assert_eq!(status.code(), Some(2), "{said}");
        assert!(said.contains(&format!("another Bailey enforcer (pid {pid})")), "{said}");

        traffic::during(&rig.verdicts(), async {
            let status = rig.control.stop_enforcer(&protected).await.unwrap();
            assert_eq!(status.and_then(|status| status.code()), Some(0));
        })
        .await;
        traffic::during(&rig.verdicts(), async {}).await;

        let (status, said) = cleanup(rig).await;
        assert!(status.success(), "{said}");
        rig.judge("a/x/stranger", "a/x/db", Verdict::Allowed).await;
        let left = netns.run(|| {
            let tables = ["other", "bailey\0"].map(foreign::has_table);
            let sets = ["others", "bly"].map(foreign::has_ipset);
            (tables, sets)
        });
        assert_eq!(left.unwrap(), ([true, false], [true, false]));
        // On another node nothing has changed.
        rig.judge("b/x/remote", "b/x/other", Verdict::Refused).await;

        rig.control.start_enforcer(&rig.lab.fabric, &protected).unwrap();
        rig.becomes("a/x/stranger", "a/x/db", Verdict::Refused).await;
        rig.becomes("b/x/remote", "a/x/db", Verdict::Allowed).await;
    });
}

/// `enforcer cleanup` on the node of the database: how it ends, and what it says.
async fn cleanup(rig: &Rig<'_>) -> (ExitStatus, String) {
    let log = rig.control.folder().log("cleanup");
    let program = Program {
        name: "enforcer cleanup".to_owned(),
        binary: programs().enforcer.clone(),
        arguments: vec!["cleanup".to_owned()],
        log: log.clone(),
    };
    let station = rig.lab.fabric.node(&node("a/node-1")).unwrap();
    let status = program.start(station.netns()).unwrap().ended().await.unwrap();
    (status, std::fs::read_to_string(log).unwrap())
}
