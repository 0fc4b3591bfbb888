//! `hub members` against real API servers: what it makes, that a hub can use it, that a second run changes nothing, how
//! tokens are renewed and revoked, and that a member leaves without a trace. The controller manager that fills Secrets with
//! tokens is played by the test.

#![expect(clippy::unwrap_used, reason = "a test's panic is its report")]

#[path = "members/kubelet.rs"]
mod kubelet;
#[path = "members/site.rs"]
mod site;

use expect_test::{Expect, expect};
use serde_json::{Value, json};
use site::{Site, delete, read, write};
use std::path::Path;
use std::process::Stdio;
use tests::apiserver::{Lists, Role};
use tests::assets;
use tests::rights::{each, without};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// A command's answer and exit code; what differs from run to run is replaced.
async fn check(site: &Site, line: &str, expected: Expect) {
    expected.assert_eq(&site.run(line).await);
}

const ADD: &str = "add --id cluster-b --context b --hub-context hub --server https://B";

/// What the second run says, and any other that has nothing to do.
fn unchanged() -> Expect {
    expect![[r#"
        cluster-b (context b, https://B)
          unchanged  Namespace bailey
          unchanged  ServiceAccount bailey/bailey-hub
          unchanged  ClusterRole bailey-hub
          unchanged  ClusterRoleBinding bailey-hub
          unchanged  Secret bailey/bailey-hub-token                 its token is valid until this Secret is deleted
          checked    https://B                        it takes the token and is the same cluster
        hub (context hub, https://HUB)
          unchanged  Secret bailey/bailey-clusters                  cluster-b.kubeconfig
        exit code 0
    "#]]
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "most of them are what is answered")]
async fn a_cluster_becomes_a_member_and_leaves() {
    let site = Site::start().await;
    let hub = site.hub().await;
    check(
        &site,
        "add --id cluster-a --context hub --hub-context hub --server https://HUB",
        expect![[r#"
            cluster-a (context hub, https://HUB)
              created    Namespace bailey
              created    ServiceAccount bailey/bailey-hub
              created    ClusterRole bailey-hub
              created    ClusterRoleBinding bailey-hub
              created    Secret bailey/bailey-hub-token                 its token is valid until this Secret is deleted
              checked    https://HUB                        it takes the token and is the same cluster
            hub (context hub, https://HUB)
              created    Secret bailey/bailey-clusters                  cluster-a.kubeconfig
            A hub that runs takes it up within two minutes:  hub members list --hub-context hub
            exit code 0
        "#]],
    )
    .await;
    check(
        &site,
        ADD,
        expect![[r#"
            cluster-b (context b, https://B)
              created    Namespace bailey
              created    ServiceAccount bailey/bailey-hub
              created    ClusterRole bailey-hub
              created    ClusterRoleBinding bailey-hub
              created    Secret bailey/bailey-hub-token                 its token is valid until this Secret is deleted
              checked    https://B                        it takes the token and is the same cluster
            hub (context hub, https://HUB)
              changed    Secret bailey/bailey-clusters                  cluster-b.kubeconfig
            A hub that runs takes it up within two minutes:  hub members list --hub-context hub
            exit code 0
        "#]],
    )
    .await;
    check(&site, ADD, unchanged()).await;
    site.mount().await;
    hub.becomes("cluster-b", "LIVE").await;

    // Labels: one namespace says something else.
    let b = site.b.client().await.unwrap();
    let other = json!({"metadata": {"name": "odd", "labels": {"cluster.clusterset.k8s.io/cluster-name": "cluster-x"}}});
    write(&b, "POST", "/api/v1/namespaces", &other).await;
    hub.until("cluster-b", |member| member["mislabelledNamespaces"] == 1)
        .await;
    let list = format!("list --hub-context hub {}", hub.flags());
    check(&site, &list, expect![[r#"
        CLUSTER STATE HEARD NAMESPACES PODS ENFORCERS SERVER
        cluster-a LIVE # s ago 5 0 0 https://HUB
          5 namespaces without the cluster's label, which no policy that names this cluster matches: hub members add … --label-namespaces
        cluster-b LIVE # s ago 6 0 0 https://B
          5 namespaces without the cluster's label, which no policy that names this cluster matches: hub members add … --label-namespaces
          1 namespace with another cluster's label, read as this cluster's: hub members add … --label-namespaces --overwrite
        exit code 0
    "#]]).await;
    check(&site, &format!("{ADD} --label-namespaces"), expect![[r#"
        cluster-b (context b, https://B)
          unchanged  Namespace bailey
          unchanged  ServiceAccount bailey/bailey-hub
          unchanged  ClusterRole bailey-hub
          unchanged  ClusterRoleBinding bailey-hub
          unchanged  Secret bailey/bailey-hub-token                 its token is valid until this Secret is deleted
          checked    https://B                        it takes the token and is the same cluster
          changed    Namespace bailey                               labelled
          changed    Namespace default                              labelled
          changed    Namespace kube-node-lease                      labelled
          changed    Namespace kube-public                          labelled
          changed    Namespace kube-system                          labelled
          left       Namespace odd                                  its label cluster.clusterset.k8s.io/cluster-name is "cluster-x": --overwrite changes it
        hub (context hub, https://HUB)
          unchanged  Secret bailey/bailey-clusters                  cluster-b.kubeconfig
        exit code 3
    "#]]).await;
    check(
        &site,
        &format!("{ADD} --label-namespaces --overwrite"),
        expect![[r#"
        cluster-b (context b, https://B)
          unchanged  Namespace bailey
          unchanged  ServiceAccount bailey/bailey-hub
          unchanged  ClusterRole bailey-hub
          unchanged  ClusterRoleBinding bailey-hub
          unchanged  Secret bailey/bailey-hub-token                 its token is valid until this Secret is deleted
          checked    https://B                        it takes the token and is the same cluster
          changed    Namespace odd                                  its label was "cluster-x"
          unchanged  5 Namespaces                                   labelled already
        hub (context hub, https://HUB)
          unchanged  Secret bailey/bailey-clusters                  cluster-b.kubeconfig
        exit code 0
    "#]],
    )
    .await;
    let labelled = |member: &Value| member["mislabelledNamespaces"] == 0 && member["unlabelledNamespaces"] == 0;
    hub.until("cluster-b", labelled).await;

    // A new token: the hub takes it up, and the former one ends with its Secret.
    check(&site, &format!("{ADD} --rotate"), expect![[r#"
        cluster-b (context b, https://B)
          unchanged  Namespace bailey
          unchanged  ServiceAccount bailey/bailey-hub
          unchanged  ClusterRole bailey-hub
          unchanged  ClusterRoleBinding bailey-hub
          created    Secret bailey/bailey-hub-token-2               its token is valid until this Secret is deleted
          checked    https://B                        it takes the token and is the same cluster
          left       Secret bailey/bailey-hub-token                 the former token, until every hub has the new one: run this again after TIME
        hub (context hub, https://HUB)
          changed    Secret bailey/bailey-clusters                  cluster-b.kubeconfig
        A hub that runs takes it up within two minutes:  hub members list --hub-context hub
        exit code 0
    "#]]).await;
    site.mount().await;
    delete(&b, "/api/v1/namespaces/bailey/secrets/bailey-hub-token").await;
    check(
        &site,
        ADD,
        expect![[r#"
        cluster-b (context b, https://B)
          unchanged  Namespace bailey
          unchanged  ServiceAccount bailey/bailey-hub
          unchanged  ClusterRole bailey-hub
          unchanged  ClusterRoleBinding bailey-hub
          unchanged  Secret bailey/bailey-hub-token-2               its token is valid until this Secret is deleted
          checked    https://B                        it takes the token and is the same cluster
        hub (context hub, https://HUB)
          unchanged  Secret bailey/bailey-clusters                  cluster-b.kubeconfig
        exit code 0
    "#]],
    )
    .await;
    write(&b, "POST", "/api/v1/namespaces", &json!({"metadata": {"name": "late"}})).await;
    hub.until("cluster-b", |member| member["unlabelledNamespaces"] == 1)
        .await;

    // One that ends; the Secret of a token that is for ever is not it.
    check(&site, &format!("{ADD} --token-duration 24h"), expect![[r#"
        cluster-b (context b, https://B)
          unchanged  Namespace bailey
          unchanged  ServiceAccount bailey/bailey-hub
          unchanged  ClusterRole bailey-hub
          unchanged  ClusterRoleBinding bailey-hub
          created    Secret bailey/bailey-hub-token-3               its token is valid until TIME
          checked    https://B                        it takes the token and is the same cluster
          left       Secret bailey/bailey-hub-token-2               the former token, until every hub has the new one: run this again after TIME
        hub (context hub, https://HUB)
          changed    Secret bailey/bailey-clusters                  cluster-b.kubeconfig
        A hub that runs takes it up within two minutes:  hub members list --hub-context hub
        exit code 0
    "#]]).await;
    check(&site, &format!("{ADD} --token-duration 24h"), expect![[r#"
        cluster-b (context b, https://B)
          unchanged  Namespace bailey
          unchanged  ServiceAccount bailey/bailey-hub
          unchanged  ClusterRole bailey-hub
          unchanged  ClusterRoleBinding bailey-hub
          unchanged  Secret bailey/bailey-hub-token-3               its token is valid until TIME
          checked    https://B                        it takes the token and is the same cluster
          left       Secret bailey/bailey-hub-token-2               the former token, until every hub has the new one: run this again after TIME
        hub (context hub, https://HUB)
          unchanged  Secret bailey/bailey-clusters                  cluster-b.kubeconfig
        exit code 0
    "#]]).await;

    // It leaves, and nothing of it stays.
    let remove = "remove --id cluster-b --hub-context hub";
    check(&site, &format!("{remove} --context b --dry-run"), expect![[r#"
        Nothing is removed (--dry-run). Without it this would be:
        hub (context hub, https://HUB)
          deleted    Secret bailey/bailey-clusters: cluster-b.kubeconfig
        cluster-b (context b, https://B)
          deleted    Secret bailey/bailey-hub-token-2
          deleted    Secret bailey/bailey-hub-token-3
          deleted    ClusterRoleBinding bailey-hub
          deleted    ClusterRole bailey-hub
          deleted    ServiceAccount bailey/bailey-hub
          left       Namespace bailey                               enforcers live there; kubectl delete namespace removes it and them
          left       6 Namespaces                                   labelled; --unlabel-namespaces takes the label away
        exit code 0
    "#]]).await;
    check(&site, remove, expect![[r#"
        hub (context hub, https://HUB)
          deleted    Secret bailey/bailey-clusters: cluster-b.kubeconfig
        cluster-b (no --context)
          left       ServiceAccount bailey/bailey-hub
          left       ClusterRole bailey-hub
          left       ClusterRoleBinding bailey-hub
          left       Secret bailey/bailey-hub-token                 its token opens the cluster for reading for as long as its Secret is there
        Run this again with --context to remove what is left in cluster-b.
        exit code 0
    "#]]).await;
    check(&site, &list, expect![[r#"
        CLUSTER STATE HEARD NAMESPACES PODS ENFORCERS SERVER
        cluster-a LIVE # s ago 5 0 0 https://HUB
          5 namespaces without the cluster's label, which no policy that names this cluster matches: hub members add … --label-namespaces
        cluster-b LIVE # s ago 7 0 0 https://B
          not in the Secret: it leaves within two minutes, or the hub has its kubeconfig from elsewhere
          1 namespace without the cluster's label, which no policy that names this cluster matches: hub members add … --label-namespaces
        exit code 0
    "#]]).await;
    site.mount().await;
    hub.until("cluster-b", Value::is_null).await;
    check(
        &site,
        &format!("{remove} --context b --unlabel-namespaces"),
        expect![[r#"
            hub (context hub, https://HUB)
              not there  Secret bailey/bailey-clusters: cluster-b.kubeconfig
            cluster-b (context b, https://B)
              deleted    Secret bailey/bailey-hub-token-2
              deleted    Secret bailey/bailey-hub-token-3
              deleted    ClusterRoleBinding bailey-hub
              deleted    ClusterRole bailey-hub
              deleted    ServiceAccount bailey/bailey-hub
              left       Namespace bailey                               enforcers live there; kubectl delete namespace removes it and them
              changed    Namespace bailey                               no longer labelled
              changed    Namespace default                              no longer labelled
              changed    Namespace kube-node-lease                      no longer labelled
              changed    Namespace kube-public                          no longer labelled
              changed    Namespace kube-system                          no longer labelled
              changed    Namespace odd                                  no longer labelled
            exit code 0
        "#]],
    )
    .await;
    check(
        &site,
        &format!("{remove} --context b --unlabel-namespaces"),
        expect![[r#"
            hub (context hub, https://HUB)
              not there  Secret bailey/bailey-clusters: cluster-b.kubeconfig
            cluster-b (context b, https://B)
              not there  ClusterRoleBinding bailey-hub
              not there  ClusterRole bailey-hub
              not there  ServiceAccount bailey/bailey-hub
              left       Namespace bailey                               enforcers live there; kubectl delete namespace removes it and them
            exit code 0
        "#]],
    )
    .await;
    let namespaces = read(
        &b,
        "/api/v1/namespaces?labelSelector=cluster.clusterset.k8s.io/cluster-name",
    )
    .await;
    assert_eq!(namespaces["items"], json!([]));
    check(
        &site,
        "remove --id cluster-a --hub-context hub --context hub",
        expect![[r#"
            hub (context hub, https://HUB)
              deleted    Secret bailey/bailey-clusters: cluster-a.kubeconfig
              This was the last member. A hub takes an empty folder for a fault and keeps what it knows: restart it, or
              add another member, and it forgets cluster-a.
            cluster-a (context hub, https://HUB)
              deleted    Secret bailey/bailey-hub-token
              deleted    ClusterRoleBinding bailey-hub
              deleted    ClusterRole bailey-hub
              deleted    ServiceAccount bailey/bailey-hub
              left       Namespace bailey                               enforcers live there; kubectl delete namespace removes it and them
            exit code 0
        "#]],
    )
    .await;
}

/// `kubectl` with what `text` says on its input.
async fn kubectl(kubeconfig: &Path, arguments: &[&str], text: &str) -> String {
    let mut kubectl = Command::new(assets::program("kubectl").unwrap());
    kubectl
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = kubectl.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "most of them are what is answered")]
async fn manifests_make_what_the_command_makes_and_harm_is_refused() {
    let site = Site::start().await;
    let printed = site.run(&format!("{ADD} --dry-run")).await;
    let shown: String = printed
        .lines()
        .filter(|line| !line.contains("certificate-authority-data"))
        .map(|line| format!("{line}\n"))
        .collect();
    expect![[r##"
        # cluster-b (context b, https://B): what it grants the hub.
        ---
        apiVersion: v1
        kind: Namespace
        metadata:
          name: bailey
          labels:
            app.kubernetes.io/name: bailey
            pod-security.kubernetes.io/enforce: privileged
        ---
        apiVersion: v1
        kind: ServiceAccount
        metadata:
          name: bailey-hub
          labels:
            app.kubernetes.io/component: member
            app.kubernetes.io/name: bailey
          namespace: bailey
        automountServiceAccountToken: false
        ---
        apiVersion: rbac.authorization.k8s.io/v1
        kind: ClusterRole
        metadata:
          name: bailey-hub
          labels:
            app.kubernetes.io/component: member
            app.kubernetes.io/name: bailey
        rules:
        - apiGroups: [""]
          resources: [pods, namespaces]
          verbs: [list, watch]
        - apiGroups: [""]
          resourceNames: [kube-system]
          resources: [namespaces]
          verbs: [get]
        ---
        apiVersion: rbac.authorization.k8s.io/v1
        kind: ClusterRoleBinding
        metadata:
          name: bailey-hub
          labels:
            app.kubernetes.io/component: member
            app.kubernetes.io/name: bailey
        roleRef:
          name: bailey-hub
          apiGroup: rbac.authorization.k8s.io
          kind: ClusterRole
        subjects:
        - kind: ServiceAccount
          name: bailey-hub
          namespace: bailey
        # The cluster fills it with a token that is valid for as long as this Secret is there.
        ---
        apiVersion: v1
        kind: Secret
        metadata:
          name: bailey-hub-token
          annotations:
            kubernetes.io/service-account.name: bailey-hub
          labels:
            app.kubernetes.io/component: hub-token
            app.kubernetes.io/name: bailey
          namespace: bailey
        type: kubernetes.io/service-account-token
        ---
        # The hub's cluster (context hub). The token is not known before the member has made it: put in the place of TOKEN what
        #   kubectl --context b -n bailey get secret bailey-hub-token -o jsonpath='{.data.token}' | base64 -d
        # prints, and keep the result as you keep secrets. The Secret may hold further members.
        ---
        apiVersion: v1
        kind: Secret
        metadata:
          name: bailey-clusters
          labels:
            app.kubernetes.io/component: hub
            app.kubernetes.io/name: bailey
          namespace: bailey
        stringData:
          cluster-b.kubeconfig: |
            apiVersion: v1
            kind: Config
            clusters:
            - name: "cluster-b"
              cluster:
                server: "https://B"
            users:
            - name: "bailey-hub-token"
              user:
                token: "TOKEN"
            contexts:
            - name: "cluster-b"
              context:
                cluster: "cluster-b"
                user: "bailey-hub-token"
            current-context: "cluster-b"
        exit code 0
    "##]].assert_eq(&shown);

    // What a person does with it.
    let text = site.with_addresses(&printed).replace("exit code 0\n", "");
    let (member, hub) = text.split_once("# The hub's cluster").unwrap();
    kubectl(&site.path("b.kubeconfig"), &["apply", "-f", "-"], member).await;
    let token = site.filled_token("bailey-hub-token").await;
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: bailey}\n---\n";
    let hub = format!("{namespace}#{}", hub.replace("TOKEN", &token));
    kubectl(&site.path("hub.kubeconfig"), &["apply", "-f", "-"], &hub).await;
    let clusters = "/api/v1/namespaces/bailey/secrets/bailey-clusters";
    let applied = read(&site.hub_client().await, clusters).await;
    check(&site, ADD, unchanged()).await;
    assert_eq!(read(&site.hub_client().await, clusters).await, applied);

    let program = site.kubeconfig_with_program();
    check(&site, &format!("{ADD} --kubeconfig {}", program.display()), unchanged()).await;
    refusals(&site).await;
}

/// The API server of `b` pages its lists: then each right is used.
#[tokio::test]
async fn each_right_of_the_hub_is_needed() {
    let site = Site::start_with(Lists::Paged).await;
    site.run(ADD).await;
    site.mount().await;
    let b = site.b.client().await.unwrap();
    let hub = site.hub().await;
    hub.becomes("cluster-b", "LIVE").await;
    let path = "/apis/rbac.authorization.k8s.io/v1/clusterroles/bailey-hub";
    let whole = read(&b, path).await["rules"].take();
    let mut said = Vec::new();
    for right in each(&whole) {
        write(&b, "PATCH", path, &json!({"rules": without(&whole, &right)})).await;
        // A hub that begins now has to do everything.
        let reason = match right.verb.as_str() {
            "get" => site.uid_is_refused().await,
            _ => {
                let hub = site.hub().await;
                let member = hub.until("cluster-b", is_refused).await;
                format!(
                    "{} {}",
                    member["state"].as_str().unwrap(),
                    member["reason"].as_str().unwrap()
                )
            }
        };
        let reason = reason.split(" (it says").next().unwrap();
        said.push(format!("without {right}: {reason}"));
    }
    expect![[r#"
        without list on pods: SYNCING pods: the API server refused list pods (403): grant list and watch on pods
        without watch on pods: SYNCING pods: the API server refused watch pods (403): grant list and watch on pods
        without list on namespaces: SYNCING namespaces: the API server refused list namespaces (403): grant list and watch on namespaces
        without watch on namespaces: SYNCING namespaces: the API server refused watch namespaces (403): grant list and watch on namespaces
        without get on namespaces: the API server refused get namespaces (403): grant get on namespaces"#]].assert_eq(&said.join("\n"));
}

fn is_refused(member: &Value) -> bool {
    member["reason"].as_str().is_some_and(|reason| reason.contains("(403)"))
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "most of them are what is answered")]
async fn certificates_become_secrets_and_are_renewed() {
    let site = Site::start().await;
    let line = "certs --out DIR/pki --days 1 --hub-context hub --context cluster-b=b --secrets DIR/manifests";
    expect![[r#"
        A trial PKI in DIR/pki, each certificate as NAME.crt and NAME.key:
          ca                 new      Bailey trial CA of bailey.local; keep ca.key to yourself
          hub                new      bailey://bailey.local/hub, localhost, 127.0.0.1, ::1, bailey-hub.bailey.svc, bailey-hub.bailey.svc.cluster.local, bailey-hub.bailey.svc.clusterset.local
          reader             new      bailey://bailey.local/reader
          cluster-cluster-b  new      bailey://bailey.local/cluster/cluster-b
        All but the CA are valid for 1 days; run this again to renew them.
        Secrets in DIR/manifests, keys among them; for kubectl apply -f:
          bailey-hub-tls.yaml                       bailey://bailey.local/hub
          bailey-reader-tls.yaml                    bailey://bailey.local/reader
          bailey-enforcer-tls.cluster-b.yaml        bailey://bailey.local/cluster/cluster-b
        hub (context hub, https://HUB)
          created    Namespace bailey
          created    Secret bailey/bailey-hub-tls                   bailey://bailey.local/hub
          created    Secret bailey/bailey-reader-tls                bailey://bailey.local/reader
        cluster-b (context b, https://B)
          created    Namespace bailey
          created    Secret bailey/bailey-enforcer-tls              bailey://bailey.local/cluster/cluster-b
        Pods that have them mounted take them up within two minutes, without a restart.
    "#]].assert_eq(&site.certs(line).await);
    let hub_tls = "/api/v1/namespaces/bailey/secrets/bailey-hub-tls";
    let first = read(&site.hub_client().await, hub_tls).await;
    assert_eq!(first["type"], "kubernetes.io/tls");
    // The manifests say the same, and a hub that has the Secrets mounted is asked with the other of them.
    for (cluster, name) in [("hub", "bailey-hub-tls"), ("b", "bailey-enforcer-tls.cluster-b")] {
        let manifest = site.path(&format!("manifests/{name}.yaml"));
        let kubeconfig = site.path(&format!("{cluster}.kubeconfig"));
        kubectl(&kubeconfig, &["diff", "-f", &manifest.to_string_lossy()], "").await;
    }
    let hub = site.hub().await;
    let list = format!("list --hub-context hub --hub {}", hub.url());
    check(
        &site,
        &list,
        expect![[r#"
        No members. hub members add makes a cluster one.
        exit code 0
    "#]],
    )
    .await;

    // The same through the API server, to the hub's pod.
    check(&site, "list --hub-context hub", expect![[r#"
        error: hub (context hub, https://HUB): there is no pod of a hub in namespace bailey (app.kubernetes.io/name=bailey,app.kubernetes.io/component=hub): install it there, or name the hub's address with --hub
    "#]]).await;
    let kubelet = kubelet::pod_of_the_hub(&site, hub.address()).await;
    check(
        &site,
        "list --hub-context hub",
        expect![[r#"
        No members. hub members add makes a cluster one.
        exit code 0
    "#]],
    )
    .await;

    drop(kubelet);
    let said = site.run("list --hub-context hub").await;
    let address = said
        .split("tcp ")
        .nth(1)
        .and_then(|rest| rest.split(": ").next())
        .unwrap();
    expect![[r#"
        error: hub (context hub, https://HUB): hub in Pod bailey/bailey-hub-7d4c: the API server does not forward to it (error dialing backend: dial tcp KUBELET: connect: connection refused): does its node answer its API server? Or name the hub's address with --hub
    "#]].assert_eq(&said.replace(address, "KUBELET"));

    // Renewed, by the same CA.
    expect![[r#"
        A trial PKI in DIR/pki, each certificate as NAME.crt and NAME.key:
          ca                 kept     Bailey trial CA of bailey.local; keep ca.key to yourself
          hub                renewed  bailey://bailey.local/hub, localhost, 127.0.0.1, ::1, bailey-hub.bailey.svc, bailey-hub.bailey.svc.cluster.local, bailey-hub.bailey.svc.clusterset.local
          reader             renewed  bailey://bailey.local/reader
          cluster-cluster-b  renewed  bailey://bailey.local/cluster/cluster-b
        All but the CA are valid for 1 days; run this again to renew them.
        Secrets in DIR/manifests, keys among them; for kubectl apply -f:
          bailey-hub-tls.yaml                       bailey://bailey.local/hub
          bailey-reader-tls.yaml                    bailey://bailey.local/reader
          bailey-enforcer-tls.cluster-b.yaml        bailey://bailey.local/cluster/cluster-b
        hub (context hub, https://HUB)
          changed    Secret bailey/bailey-hub-tls                   bailey://bailey.local/hub
          changed    Secret bailey/bailey-reader-tls                bailey://bailey.local/reader
        cluster-b (context b, https://B)
          changed    Secret bailey/bailey-enforcer-tls              bailey://bailey.local/cluster/cluster-b
        Pods that have them mounted take them up within two minutes, without a restart.
    "#]].assert_eq(&site.certs(line).await);
    let second = read(&site.hub_client().await, hub_tls).await;
    assert_eq!(second["data"]["ca.crt"], first["data"]["ca.crt"]);
    assert_ne!(second["data"]["tls.crt"], first["data"]["tls.crt"]);
    check(
        &site,
        &list,
        expect![[r#"
        No members. hub members add makes a cluster one.
        exit code 0
    "#]],
    )
    .await;
}

async fn refusals(site: &Site) {
    let enforcer = site.kubeconfig_of(Role::Enforcer);
    let enforcer = format!("--kubeconfig {}", enforcer.display());
    let said = [
        site.run(&ADD.replace("--id cluster-b", "--id cluster-c")).await,
        site.run(&ADD.replace("https://B", "https://192.0.2.1:6443")).await,
        site.run("add --id cluster-b --context b --hub-context hub").await,
        site.run("add --id cluster-b --context nope --hub-context hub").await,
        site.run(&format!("{ADD} {enforcer}")).await,
        site.run(&format!("{ADD} --replace").replace("https://B", "https://HUB"))
            .await,
        site.run(
            &format!("{ADD} --replace --server-ca {}", site.hub_ca().display()).replace("https://B", "https://HUB"),
        )
        .await,
        site.run("list --hub-context hub").await,
        site.run("list --hub https://127.0.0.1:1").await,
    ];
    expect![[r#"
        error: https://B is a member already, as cluster-b: a cluster with two ids would claim each of its addresses twice; to rename it, hub members remove --id cluster-b first

        error: cluster-b is a member already, at https://B: choose another --id, or say --replace if https://192.0.2.1:6443 takes its place or is its new address

        error: https://B is this machine's own address, by which a hub elsewhere reaches nothing: name the one that it can use with --server

        error: kubeconfig: there is no context "nope": it has hub, b

        error: cluster-b (context b, https://B): get Namespace bailey: this user may not: it needs get on namespaces, which cluster-admin has (namespaces "bailey" is forbidden: User "bailey-enforcer" cannot get resource "namespaces" in API group "" in the namespace "bailey")

        cluster-b (context b, https://B)
          unchanged  Namespace bailey
          unchanged  ServiceAccount bailey/bailey-hub
          unchanged  ClusterRole bailey-hub
          unchanged  ClusterRoleBinding bailey-hub
          unchanged  Secret bailey/bailey-hub-token                 its token is valid until this Secret is deleted
        error: https://HUB: its certificate does not stand up to the CA (invalid peer certificate: UnknownIssuer): name the CA with --server-ca, or an address that the certificate has; nothing was given to the hub

        cluster-b (context b, https://B)
          unchanged  Namespace bailey
          unchanged  ServiceAccount bailey/bailey-hub
          unchanged  ClusterRole bailey-hub
          unchanged  ClusterRoleBinding bailey-hub
          unchanged  Secret bailey/bailey-hub-token                 its token is valid until this Secret is deleted
        error: https://HUB: it refuses the hub's token: Unauthorized; nothing was given to the hub

        error: hub (context hub, https://HUB): there is no Secret bailey/bailey-reader-tls, with which the hub is asked: hub certs makes it, or name files with --tls-cert, --tls-key and --hub-ca

        error: hub https://127.0.0.1:1/: cannot be reached (Connection refused (os error 111)): is it running, and is this its address?
    "#]].assert_eq(&said.join("\n"));
}
