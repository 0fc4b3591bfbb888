//! Enforcers whose hub is away, wrong or foreign, or that lack a right.

use super::rig::{Rig, in_lab, node, programs, wait_until};
use enforcer::offline::ends::{NodeName, Verdict};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tests::lab::layout::Layout;
use tests::lab::process::Program;
use tokio::net::TcpListener;

/// Runs a program on a node: exit code, and what it says.
async fn run(rig: &Rig<'_>, on: &NodeName, binary: &Path, arguments: Vec<String>) -> (Option<i32>, String) {
    let log = rig.control.folder().log("other");
    let program = Program {
        name: "another program".to_owned(),
        binary: binary.to_owned(),
        arguments,
        log: log.clone(),
    };
    let netns = rig.lab.fabric.node(on).unwrap().netns();
    let status = program.start(netns).unwrap().ended().await.unwrap();
    let said = std::fs::read_to_string(&log).unwrap();
    std::fs::remove_file(log).unwrap();
    (status.code(), said)
}

/// A command line that is wrong, a file that is, a right that is missing: exit code 2, and what to do. Nothing of the
/// kernel's has changed.
#[test]
fn what_is_not_fit_to_run_ends_with_2_and_what_to_do() {
    in_lab(Layout::Bridge, async |rig| {
        let on = node("a/node-2");
        rig.control.stop_enforcer(&on).await.unwrap();
        let before = rig.kernels();
        let folder = rig.control.folder();
        let nonsense = folder.path().join("nonsense");
        std::fs::write(&nonsense, "{ no kubeconfig").unwrap();
        let good = folder.node(&on).join("kubeconfig");
        let with = |kubeconfig: &Path| {
            let kubeconfig = kubeconfig.display().to_string();
            let words = [
                "run",
                "--hub",
                "http://127.0.0.1:1",
                "--cluster",
                "a",
                "--node",
                "n",
                "--kubeconfig",
            ];
            words
                .map(str::to_owned)
                .into_iter()
                .chain([kubeconfig])
                .collect::<Vec<_>>()
        };
        let without_right = |arguments: Vec<String>| {
            let drop = [
                "--bounding-set=-net_admin",
                "--inh-caps=-net_admin",
                programs().enforcer.to_str().unwrap(),
            ];
            drop.map(str::to_owned).into_iter().chain(arguments).collect::<Vec<_>>()
        };
        let enforcer = &programs().enforcer;
        let setpriv = &PathBuf::from("setpriv");
        let cases = [
            (enforcer, vec!["run".to_owned()], "--hub <URL>"),
            (
                enforcer,
                with(&folder.path().join("missing")),
                "missing: No such file or directory",
            ),
            (enforcer, with(&nonsense), "it is no kubeconfig"),
            (
                enforcer,
                [with(&good), vec![format!("--admin=unix:{}", nonsense.display())]].concat(),
                "there is a file that is no socket",
            ),
            (
                setpriv,
                without_right(with(&good)),
                "no CAP_NET_ADMIN in this network namespace",
            ),
            (
                setpriv,
                without_right(vec!["cleanup".to_owned()]),
                "no CAP_NET_ADMIN in this network namespace",
            ),
        ];
        for (binary, arguments, words) in cases {
            let (code, said) = run(rig, &on, binary, arguments.clone()).await;
            assert!(
                code == Some(2) && said.contains(words),
                "{arguments:?}: {code:?} {said}"
            );
        }
        assert_eq!(rig.kernels(), before);
    });
}

/// Accepts connections and answers each in the way of a web server; counts them.
async fn web_server(ip: IpAddr) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((ip, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let visits = Arc::new(AtomicUsize::new(0));
    let counted = visits.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            stream.writable().await.unwrap();
            let _ = stream.try_write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
        }
    });
    (address, visits)
}

/// W13, S122, S125: Without a hub of its own an enforcer protects, says what it waits for and tries again.
#[test]
fn without_a_hub_of_its_own_an_enforcer_protects_says_what_it_waits_for_and_tries_again() {
    in_lab(Layout::Bridge, async |rig| {
        let hub = rig.control.hub_address();
        let (web, visits) = web_server(hub.ip()).await;
        let closed = SocketAddr::new(hub.ip(), 1);
        let foreign = rig.control.folder().pki("foreign");
        let issued = Command::new(&programs().hub)
            .args(["certs", "--cluster", "b", "--out"])
            .arg(&foreign)
            .output();
        assert!(issued.unwrap().status.success());
        let cases = [
            (
                "a/node-1",
                format!("--hub-ca={}/ca.crt", foreign.display()),
                "is foreign: no CA in --hub-ca",
            ),
            ("a/node-2", format!("--hub=https://{web}"), "does not speak TLS"),
            ("b/node-1", format!("--hub=https://{closed}"), "cannot be reached"),
        ];
        for (on, flag, _) in &cases {
            let on = node(on);
            rig.control.kill_enforcer(&on).await.unwrap();
            let (code, said) = run(rig, &on, &programs().enforcer, vec!["cleanup".to_owned()]).await;
            assert_eq!(code, Some(0), "{said}");
            rig.control
                .start_enforcer_with(&rig.lab.fabric, &on, std::slice::from_ref(flag))
                .unwrap();
        }
        rig.control.enforcers_ready().await.unwrap();
        for (on, _, words) in &cases {
            let log = format!("enforcer-{}", on.replace('/', "@"));
            rig.log_says(&log, words).await;
            let ready = rig.ask(&node(on), "/readyz").await;
            assert!(ready.contains(words), "{on}: {ready}");
            let metrics = rig.ask(&node(on), "/metrics").await;
            assert!(metrics.contains("bailey_enforcer_hub_connected 0\n"), "{on}: {metrics}");
        }
        // The own cluster is known from its own API server; of the other nothing is, so nothing of it is let in.
        rig.becomes("a/x/far", "a/x/db", Verdict::Allowed).await;
        rig.judge("a/x/near", "a/x/db", Verdict::Allowed).await;
        rig.judge("a/x/stranger", "a/x/db", Verdict::Refused).await;
        rig.judge("b/x/remote", "a/x/db", Verdict::Refused).await;
        rig.judge("b/x/remote", "b/x/other", Verdict::Refused).await;
        wait_until("three visits", async || visits.load(Ordering::Relaxed) >= 3).await;
        let said = rig.log_lines("enforcer-a@node-2", "does not speak TLS");
        assert_eq!(said.len(), 1, "{said:#?}");

        // The hub finds the enforcer foreign, and says so.
        let on = node("b/node-1");
        rig.control.kill_enforcer(&on).await.unwrap();
        let file = |end| format!("{}/cluster-b.{end}", foreign.display());
        let flags = [
            format!("--tls-cert={}", file("crt")),
            format!("--tls-key={}", file("key")),
        ];
        rig.control.start_enforcer_with(&rig.lab.fabric, &on, &flags).unwrap();
        rig.log_says("enforcer-b@node-1", "refuses this enforcer's certificate")
            .await;
        assert_eq!(rig.log_lines("enforcer-b@node-1", "broke off"), [""; 0]);
    });
}
