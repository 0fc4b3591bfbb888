//! Kubeconfigs and API servers as they should not be: each is named, in the log once, and the others go on.

use super::rig::{Rig, in_lab, name, node, pod, policy, wait_until};
use super::traffic;
use enforcer::offline::ends::Verdict;
use expect_test::expect;
use serde_json::json;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use tests::apiserver::embedded::{Faults, Resource, Server, Verb};
use tests::apiserver::{ApiServer, Role, Site};
use tests::lab::layout::Layout;

/// A kubeconfig by hand.
fn kubeconfig(server: SocketAddr, user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
         contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n\
         clusters: [{{name: c, cluster: {{server: \"http://{server}\"}}}}]\n\
         users: [{{name: u, user: {user}}}]\n"
    )
}

/// A web server that is none of Kubernetes.
async fn web_server() -> SocketAddr {
    let page = axum::response::Html("<html><body>Welcome</body></html>");
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = axum::Router::new().fallback(async move || page);
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// An API server that lets nobody list pods.
async fn refusing(rig: &Rig<'_>) -> ApiServer {
    let site = Site::loopback("refusing", rig.control.folder().path().to_owned());
    let server = Server::start(site).await.unwrap();
    server.set_faults(Faults {
        forbidden: [Verb::List, Verb::Watch].map(|verb| (verb, Resource::Pods)).into(),
        ..Faults::default()
    });
    ApiServer::Embedded(Box::new(server))
}

/// Files for the clusters folder, each wrong in its own way; `b` is the kubeconfig of a member.
fn bad_kubeconfigs(web: SocketAddr, refusing: &ApiServer, b: &str) -> [(&'static str, String); 10] {
    let closed = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    [
        ("a.yml", b.to_owned()),
        ("-id-.yaml", b.to_owned()),
        ("absent.yaml", kubeconfig(closed, "{token: t}")),
        (
            "exec.yaml",
            kubeconfig(closed, "{exec: {apiVersion: v1, command: /bin/true}}"),
        ),
        ("html.yaml", kubeconfig(web, "{token: t}")),
        ("outside.yaml", kubeconfig(closed, "{tokenFile: /etc/hostname}")),
        ("provider.yaml", kubeconfig(closed, "{auth-provider: {name: gcp}}")),
        ("refusing.yaml", refusing.kubeconfig(Role::Hub)),
        ("twin.yaml", b.to_owned()),
        ("yaml.yaml", "{ this is: no kubeconfig".to_owned()),
    ]
}

/// W8, W6: Whatever is wrong with a cluster is named once, and the others go on.
#[test]
fn whatever_is_wrong_with_a_cluster_is_named_once_and_the_others_go_on() {
    in_lab(Layout::Bridge, async |rig| {
        let folder = rig.control.folder().clusters();
        let (web, refusing) = (web_server().await, refusing(rig).await);
        let b = fs::read_to_string(folder.join("b.kubeconfig")).unwrap();
        for (name, content) in bad_kubeconfigs(web, &refusing, &b) {
            fs::write(folder.join(name), content).unwrap();
        }
        let shown = async || rig.clusters().await.join("\n");
        // Each kind of object has its own feed: a reason is whole once both have failed.
        let whole = [
            "absent SYNCING the API",
            "; namespaces: the server's answer",
            "twin SYNCING the cluster",
        ];
        wait_until("every cluster's reason", async || {
            let shown = shown().await;
            whole.iter().all(|words| shown.contains(words))
        })
        .await;
        expect![[r#"
            a LIVE a.kubeconfig and a.yml both name this cluster: a.kubeconfig was first and is used, remove the other
            absent SYNCING the API server is unreachable: Connection refused (os error 111)
            b LIVE
            exec SYNCING exec.yaml: users["u"].user.exec: starts a program, and a kubeconfig is data here: use a token or a client certificate instead
            html SYNCING pods: the server's answer to list pods makes no sense: expected value at line 1 column 1; namespaces: the server's answer to list namespaces makes no sense: expected value at line 1 column 1
            outside SYNCING outside.yaml: users["u"].user.tokenFile: "/etc/hostname" is outside the kubeconfig's folder: put the file beside it, or its content into it
            provider SYNCING provider.yaml: users["u"].user.auth-provider: starts a program, and a kubeconfig is data here: use a token or a client certificate instead
            refusing SYNCING pods: the API server refused watch pods (403): grant list and watch on pods (it says: pods is forbidden: User "bailey-hub" cannot watch resource "pods" in API group "" at the cluster scope)
            twin SYNCING the cluster behind this kubeconfig is b already (same UID of namespace kube-system): one cluster, one id; remove one of the two kubeconfigs
            yaml SYNCING yaml.yaml: it is no kubeconfig: wrong YAML, or a field of the wrong type, at line 1 column 1"#]].assert_eq(&shown().await);

        // A look later nothing is said again.
        fs::write(folder.join("late.yaml"), "{ later").unwrap();
        rig.log_says("hub", "cluster=late").await;
        fs::write(folder.join("latest.yaml"), "{ later still").unwrap();
        rig.log_says("hub", "cluster=latest").await;
        for cluster in [
            "absent", "exec", "html", "outside", "provider", "refusing", "twin", "yaml",
        ] {
            let warnings = rig.log_lines("hub", &format!("cluster={cluster} "));
            let mut reasons: Vec<_> = warnings
                .iter()
                .filter_map(|line| line.split("reason=").nth(1))
                .collect();
            let said = reasons.len();
            reasons.sort_unstable();
            reasons.dedup();
            assert!(said == reasons.len() && (1..=2).contains(&said), "{warnings:#?}");
        }
        assert_eq!(rig.log_lines("hub", "-id-.yaml").len(), 1);
        let metrics = rig.hub_metrics().await;
        for line in [
            "bailey_hub_clusters{state=\"LIVE\"} 2",
            "bailey_hub_kubeconfigs_refused 8",
        ] {
            assert!(metrics.contains(line), "{line} is not in\n{metrics}");
        }

        others_go_on(rig).await;
    });
}

/// Labels come and go; also on a node whose enforcer has never seen all clusters.
async fn others_go_on(rig: &mut Rig<'_>) {
    rig.label("b", "other", Some("client")).await;
    rig.becomes("b/x/other", "a/x/db", Verdict::Allowed).await;
    let database = node("a/node-1");
    rig.control.kill_enforcer(&database).await.unwrap();
    rig.control.start_enforcer(&rig.lab.fabric, &database).unwrap();
    rig.label("b", "other", None).await;
    rig.becomes("b/x/other", "a/x/db", Verdict::Refused).await;
    rig.judge("b/x/remote", "a/x/db", Verdict::Allowed).await;
}

/// S119, C3: Another cluster behind the same address takes the place of the one before.
#[test]
fn another_cluster_behind_the_same_address_takes_the_place_of_the_one_before() {
    in_lab(Layout::Bridge, async |rig| {
        let b = rig.control.cluster_mut(&name("b")).unwrap();
        b.rebuild().await.unwrap();
        b.write(&[pod("b", "other")]).await.unwrap();
        rig.label("b", "other", Some("client")).await;
        rig.becomes("b/x/other", "a/x/db", Verdict::Allowed).await;
        rig.becomes("b/x/remote", "a/x/db", Verdict::Refused).await;
        assert_eq!(rig.clusters().await, ["a LIVE", "b LIVE"]);
        let said = rig.log_lines("hub", "another cluster answers");
        assert_eq!(said.len(), 1, "{said:#?}");
    });
}

/// S126: A clusters folder that is empty or gone changes nothing, and is said.
#[test]
fn a_clusters_folder_that_is_empty_or_gone_changes_nothing_and_is_said() {
    in_lab(Layout::Bridge, async |rig| {
        let folder = rig.control.folder().clusters();
        let away = folder.with_extension("away");
        let before = rig.kernels();
        let fault = async |value: u8| {
            let line = format!("bailey_hub_clusters_folder_fault {value}\n");
            wait_until(&line, async || rig.hub_metrics().await.contains(&line)).await;
        };
        traffic::during(&rig.verdicts(), async {
            fs::rename(&folder, &away).unwrap();
            fault(1).await;
            fs::create_dir(&folder).unwrap();
            rig.log_says("hub", "no kubeconfig").await;
            assert_eq!(rig.clusters().await, ["a LIVE", "b LIVE"]);
            fs::remove_dir(&folder).unwrap();
            fs::rename(&away, &folder).unwrap();
            fault(0).await;
        })
        .await;
        assert_eq!(rig.kernels(), before);
        let said = rig.log_lines("hub", "the clusters folder is no use");
        assert_eq!(said.len(), 2, "{said:#?}");
    });
}

/// C3, S119: A cluster's kubeconfig gets another name, and its own again: it leaves, and joins under the other id.
#[test]
fn a_cluster_leaves_and_joins_under_another_id_and_comes_back() {
    in_lab(Layout::Bridge, async |rig| {
        let namespace = |id: &str| {
            let labels = json!({"cluster.clusterset.k8s.io/cluster-name": id});
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x", "labels": labels}})
        };
        let from_c = policy(
            "from-c",
            json!({
                "podSelector": {"matchLabels": {"app": "stranger"}}, "policyTypes": ["Ingress"],
                "ingress": [{"from": [{"namespaceSelector": {"matchLabels": {"cluster.clusterset.k8s.io/cluster-name": "c"}}}]}],
            }),
        );
        rig.write("a", &[from_c, namespace("a")]).await;
        rig.write("b", &[namespace("b")]).await;
        rig.settle_with(1).await;
        rig.judge("b/x/other", "a/x/stranger", Verdict::Refused).await;
        // What the other cluster's policies need to know of this one is away for a moment.
        let mut steady = rig.verdicts();
        steady.retain(|way| way.from != "b/x/remote" || way.to == "b/x/other");
        let folder = rig.control.folder().clusters();
        for (from, to, verdict) in [("b", "c", Verdict::Allowed), ("c", "b", Verdict::Refused)] {
            let file = |id: &str| folder.join(format!("{id}.kubeconfig"));
            traffic::during(&steady, async {
                fs::rename(file(from), file(to)).unwrap();
                let live = format!("{to} LIVE");
                wait_until(&live, async || rig.clusters().await == ["a LIVE", &live]).await;
                rig.becomes("b/x/other", "a/x/stranger", verdict).await;
                rig.becomes("b/x/remote", "a/x/db", Verdict::Allowed).await;
            })
            .await;
        }
        let words = "does not serve this enforcer: the cluster is no member any more";
        assert_eq!(rig.log_lines("enforcer-b@node-1", words).len(), 1);
        rig.settle_with(1).await;
    });
}
