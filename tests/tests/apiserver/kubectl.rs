//! What a person does with kubectl works with both servers.

use expect_test::expect;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use tests::apiserver::{ApiServer, Kind, Role, Site};
use tests::assets;
use tokio::process::Command;

const MANIFESTS: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: x}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: x, labels: {app: web}}
spec: {containers: [{name: c, image: i}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: in, namespace: x}
spec: {podSelector: {}, ingress: [{ports: [{port: 80}]}]}
"#;

/// What a person types, by words.
const COMMANDS: [&str; 13] = [
    "apply -f manifests.yaml",
    "get pods,netpol -n x -o name",
    "label pod -n x web app=db --overwrite",
    "get pods -n x -l app=db -o name",
    "edit netpol -n x in",
    "get netpol -n x in -o jsonpath={.spec.ingress[0].ports[0]}",
    "apply -f manifests.yaml",
    "get netpol -n x in -o jsonpath={.spec.ingress[0].ports[0]}",
    "annotate ns x seen=yes",
    "delete pod -n x web --wait=false",
    "delete netpol -n x --all",
    "delete ns x --wait=false",
    "get ns x -o jsonpath={.status.phase}",
];

async fn run(dir: &Path, command: &str) -> String {
    let output = Command::new(assets::program("kubectl").unwrap())
        .current_dir(dir)
        .args(["--kubeconfig=kubeconfig", "--cache-dir=cache"])
        .args(command.split(' '))
        // Not what else has an 80 in it, such as a UID.
        .env("EDITOR", "sed -i /port:/s/80/81/")
        .output()
        .await
        .unwrap();
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
}

async fn session(kind: Kind) -> String {
    let dir = tempfile::tempdir().unwrap();
    let server = ApiServer::start(kind, Site::loopback("a", dir.path().to_owned()))
        .await
        .unwrap();
    fs::write(dir.path().join("kubeconfig"), server.kubeconfig(Role::Admin)).unwrap();
    fs::write(dir.path().join("manifests.yaml"), MANIFESTS).unwrap();
    let mut text = String::new();
    for command in COMMANDS {
        let output = run(dir.path(), command).await;
        writeln!(text, "$ kubectl {command}\n{}", output.trim_end()).unwrap();
    }
    text
}

#[tokio::test]
async fn works_with_the_embedded_and_the_real_server() {
    let embedded = session(Kind::Embedded).await;
    expect![[r#"
        $ kubectl apply -f manifests.yaml
        namespace/x created
        pod/web created
        networkpolicy.networking.k8s.io/in created
        $ kubectl get pods,netpol -n x -o name
        pod/web
        networkpolicy.networking.k8s.io/in
        $ kubectl label pod -n x web app=db --overwrite
        pod/web labeled
        $ kubectl get pods -n x -l app=db -o name
        pod/web
        $ kubectl edit netpol -n x in
        networkpolicy.networking.k8s.io/in edited
        $ kubectl get netpol -n x in -o jsonpath={.spec.ingress[0].ports[0]}
        {"port":81,"protocol":"TCP"}
        $ kubectl apply -f manifests.yaml
        namespace/x unchanged
        pod/web configured
        networkpolicy.networking.k8s.io/in configured
        $ kubectl get netpol -n x in -o jsonpath={.spec.ingress[0].ports[0]}
        {"port":80,"protocol":"TCP"}
        $ kubectl annotate ns x seen=yes
        namespace/x annotated
        $ kubectl delete pod -n x web --wait=false
        pod "web" deleted from x namespace
        $ kubectl delete netpol -n x --all
        networkpolicy.networking.k8s.io "in" deleted from x namespace
        $ kubectl delete ns x --wait=false
        namespace "x" deleted
        $ kubectl get ns x -o jsonpath={.status.phase}
        Terminating
    "#]]
    .assert_eq(&embedded);
    assert_eq!(session(Kind::Real).await, embedded);
}
