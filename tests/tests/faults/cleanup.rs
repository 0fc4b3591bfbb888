//! An enforcer that is stopped leaves its protection; `enforcer cleanup` takes it away, and nothing else.

use super::foreign;
use super::rig::{Rig, in_lab, node, programs, wait_until};
use super::traffic;
use enforcer::offline::ends::Verdict;
use std::process::ExitStatus;
use tests::lab::admin::Admin;
use tests::lab::layout::Layout;
use tests::lab::process::{Child, Program};

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

/// With `--stay` it is ready when the node is clean, and no enforcer starts until it is stopped: so a DaemonSet of it cleans
/// every node before it is removed.
#[test]
fn a_cleanup_that_stays_is_ready_when_the_node_is_clean_and_keeps_enforcers_away() {
    in_lab(Layout::Bridge, async |rig| {
        let cleaned = node("a/node-1");
        rig.control.stop_enforcer(&cleaned).await.unwrap();
        let socket = rig.control.folder().node(&cleaned).join("cleanup.sock");
        let flags = ["--stay".to_owned(), format!("--admin=unix:{}", socket.display())];
        let mut staying = start_cleanup(rig, &flags);
        wait_until("the cleanup to be ready", async || {
            staying.check_alive().unwrap();
            Admin::Unix(socket.clone()).is_ready().await.is_ok()
        })
        .await;
        rig.judge("a/x/stranger", "a/x/db", Verdict::Allowed).await;

        let (status, said) = cleanup(rig).await;
        assert_eq!(status.code(), Some(2), "{said}");
        assert!(
            said.contains(&format!("another Bailey enforcer (pid {})", staying.pid())),
            "{said}"
        );
        let status = staying.terminate().await;
        assert_eq!(status.and_then(|status| status.code()), Some(0));

        rig.control.start_enforcer(&rig.lab.fabric, &cleaned).unwrap();
        rig.becomes("a/x/stranger", "a/x/db", Verdict::Refused).await;
    });
}

/// `enforcer cleanup` on the node of the database: how it ends, and what it says.
async fn cleanup(rig: &Rig<'_>) -> (ExitStatus, String) {
    let mut cleanup = start_cleanup(rig, &[]);
    let status = cleanup.ended().await.unwrap();
    (status, std::fs::read_to_string(cleanup.log()).unwrap())
}

fn start_cleanup(rig: &Rig<'_>, flags: &[String]) -> Child {
    let program = Program {
        name: "enforcer cleanup".to_owned(),
        binary: programs().enforcer.clone(),
        arguments: [&["cleanup".to_owned()], flags].concat(),
        log: rig.control.folder().log("cleanup"),
    };
    let station = rig.lab.fabric.node(&node("a/node-1")).unwrap();
    program.start(station.netns()).unwrap()
}
