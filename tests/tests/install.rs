//! What a person installs: kustomize and Helm render the same objects for the same choices, a real API server takes each of
//! them, a wrong choice is refused with a word on what is allowed, and no right is granted that is not used.

#![expect(clippy::unwrap_used, reason = "a test's panic is its report")]

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use tests::apiserver::{ApiServer, Kind, Role, Site};
use tests::assets;

#[path = "install/choices.rs"]
mod choices;
#[path = "install/cluster_label.rs"]
mod cluster_label;
#[path = "install/programs.rs"]
mod programs;
#[path = "install/refusals.rs"]
mod refusals;
#[path = "install/refused.rs"]
mod refused;
#[path = "install/rights.rs"]
mod rights;

use choices::{CHOICES, Choice};

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

/// Runs one of the programs of the assets: its output, or what it complains of.
fn run(program: &'static str, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(assets::program(program).unwrap());
    let output = command.args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    if output.status.success() {
        Ok(text(output.stdout))
    } else {
        Err(text(output.stderr))
    }
}

/// `helm template` with these values.
fn helm(values: &[&str]) -> Result<String, String> {
    let values: Vec<String> = values.iter().map(|value| format!("--set={value}")).collect();
    helm_template("bailey", &values)
}

/// `helm template` of a release in this namespace.
fn helm_template(namespace: &str, flags: &[String]) -> Result<String, String> {
    let chart = deploy().join("helm/bailey");
    let mut arguments = vec!["template", "bailey", chart.to_str().unwrap(), "--namespace", namespace];
    arguments.extend(flags.iter().map(String::as_str));
    run("helm", &arguments)
}

/// A copy of `deploy/kustomize` with an overlay in it, `mine`, as a person makes it.
fn overlay(of: &Choice) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    let from = deploy().join("kustomize/.");
    let copied = Command::new("cp")
        .arg("--recursive")
        .arg(from)
        .arg(copy.path())
        .status()
        .unwrap();
    assert!(copied.success());
    let mine = copy.path().join("overlays/mine");
    fs::create_dir(&mine).unwrap();
    fs::write(mine.join("kustomization.yaml"), of.kustomization()).unwrap();
    if let Some(overlay) = of.enforcer {
        fs::copy(
            copy.path().join("overlays").join(overlay).join("enforcer.yaml"),
            mine.join("enforcer.yaml"),
        )
        .unwrap();
    }
    copy
}

fn kustomize(folder: &Path) -> String {
    run("kubectl", &["kustomize", folder.to_str().unwrap()]).unwrap()
}

/// By kind and name; the YAML has to be kustomize's own, whose numbers and anchors are resolved.
fn objects(yaml: &str) -> BTreeMap<(String, String), Value> {
    let objects: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap();
    let name = |object: &Value| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&object["kind"]), text(&object["metadata"]["name"]))
    };
    objects
        .into_iter()
        .map(|object| (name(&object), in_order(object)))
        .collect()
}

/// Its containers' environment sorted: kustomize puts first what a patch says, and the order means nothing.
fn in_order(mut object: Value) -> Value {
    let containers = object
        .pointer_mut("/spec/template/spec/containers")
        .and_then(Value::as_array_mut);
    for variables in containers
        .into_iter()
        .flatten()
        .filter_map(|container| container.get_mut("env")?.as_array_mut())
    {
        variables.sort_by_key(|variable| variable["name"].to_string());
    }
    object
}

/// Helm's rendering, as kustomize prints it.
fn by_helm(choice: &Choice) -> String {
    as_kustomize_prints(&helm(choice.values).unwrap())
}

/// Objects in YAML, as kustomize prints them.
fn as_kustomize_prints(rendered: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("rendered.yaml"), rendered).unwrap();
    fs::write(folder.path().join("kustomization.yaml"), "resources: [rendered.yaml]").unwrap();
    kustomize(folder.path())
}

#[test]
fn both_ways_render_the_same_objects() {
    for choice in CHOICES {
        let mut kustomized = objects(&kustomize(&overlay(choice).path().join("overlays/mine")));
        // A release's namespace is not Helm's to make.
        kustomized
            .remove(&("Namespace".to_owned(), "bailey".to_owned()))
            .unwrap();
        let helmed = objects(&by_helm(choice));
        assert_eq!(
            kustomized.keys().collect::<Vec<_>>(),
            helmed.keys().collect::<Vec<_>>(),
            "{}",
            choice.name
        );
        for (name, object) in kustomized {
            let [kustomized, helmed] =
                [&object, &helmed[&name]].map(|object| serde_json::to_string_pretty(object).unwrap());
            assert_eq!(kustomized, helmed, "{}: {name:?}", choice.name);
        }
    }
}

/// Each of them is a cluster's id and an object's name.
#[test]
fn text_that_looks_like_something_else_is_rendered_as_text() {
    for text in ["123", "007", "1e3", "true", "null"] {
        let flags = [
            "--set=certManager.enabled=true".to_owned(),
            format!("--set-string=certManager.issuerRef.name={text}"),
            format!("--set-string=enforcer.cluster={text}"),
            format!("--set-string=image.pullSecrets={{{text}}}"),
        ];
        let objects = objects(&as_kustomize_prints(&helm_template(text, &flags).unwrap()));
        for (name, object) in &objects {
            let namespace = &object["metadata"]["namespace"];
            assert!(
                namespace == text || name.0.starts_with("Cluster"),
                "{name:?}: {namespace}"
            );
        }
        let object = |kind: &str, name: &str| &objects[&(kind.to_owned(), name.to_owned())]["spec"];
        let pod = &object("DaemonSet", "bailey-enforcer")["template"]["spec"];
        let variables = pod["containers"][0]["env"].as_array().unwrap();
        let cluster = json!({"name": "BAILEY_ENFORCER_CLUSTER", "value": text});
        assert!(variables.contains(&cluster), "{text}: {variables:?}");
        assert_eq!(pod["imagePullSecrets"], json!([{"name": text}]));
        let issuer = &object("Certificate", "bailey-enforcer")["issuerRef"]["name"];
        assert_eq!(issuer, text);
    }
}

/// Nobody else's images, and the version's own.
#[test]
fn images_are_of_this_version() {
    let version = env!("CARGO_PKG_VERSION");
    let objects = objects(&kustomize(&overlay(&CHOICES[0]).path().join("overlays/mine")));
    let image = |kind: &str, name: &str| {
        let object = &objects[&(kind.to_owned(), name.to_owned())];
        object["spec"]["template"]["spec"]["containers"][0]["image"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        [image("Deployment", "bailey-hub"), image("DaemonSet", "bailey-enforcer")],
        [
            format!("registry.example/bailey-hub:{version}"),
            format!("registry.example/bailey-enforcer:{version}")
        ]
    );
    for overlay in ["hub", "member", "hub-and-member"] {
        let rendered = kustomize(&deploy().join("kustomize/overlays").join(overlay));
        let of_version = rendered.matches(&format!(":{version}\n")).count();
        assert_eq!(of_version, rendered.matches("image: ").count(), "{overlay}");
    }
}

/// A real API server, and its administrator's kubectl and helm.
struct Cluster {
    dir: TempDir,
    _server: ApiServer,
}

impl Cluster {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = ApiServer::start(Kind::Real, Site::loopback("a", dir.path().to_owned()))
            .await
            .unwrap();
        fs::write(dir.path().join("kubeconfig"), server.kubeconfig(Role::Admin)).unwrap();
        let cluster = Self { dir, _server: server };
        // What the other tests' users have, under the names of what is installed here.
        for kind in ["clusterrolebinding", "clusterrole"] {
            cluster.kubectl(&format!("delete {kind} bailey-hub bailey-enforcer"));
        }
        cluster
    }

    fn run(&self, program: &'static str, arguments: &[&str]) -> Result<String, String> {
        let kubeconfig = format!("--kubeconfig={}", self.dir.path().join("kubeconfig").display());
        run(program, &[arguments, &[kubeconfig.as_str()]].concat())
    }

    fn kubectl(&self, arguments: &str) -> String {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        self.run("kubectl", &arguments).unwrap()
    }

    /// Writes objects as `kubectl apply` does; a field that the API does not have is an error.
    fn apply(&self, yaml: &str, flags: &[&str]) -> Result<String, String> {
        let file = self.dir.path().join("objects.yaml");
        fs::write(&file, yaml).unwrap();
        let fixed = [
            "apply",
            "--server-side",
            "--validate=strict",
            "--filename",
            file.to_str().unwrap(),
        ];
        self.run("kubectl", &[&fixed, flags].concat())
    }

    /// Everything that can be listed, but what the API server itself makes at its own pace.
    fn everything(&self) -> BTreeSet<String> {
        let kinds = self.kubectl("api-resources --verbs=list --output=name");
        let own = [
            "events",
            "events.events.k8s.io",
            "leases.coordination.k8s.io",
            "componentstatuses",
        ];
        let kinds: Vec<&str> = kinds.lines().filter(|kind| !own.contains(kind)).collect();
        let all = self.kubectl(&format!("get {} --all-namespaces --output=name", kinds.join(",")));
        all.lines().map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn a_real_api_server_takes_every_object_and_no_pod_has_more_rights_than_it_says() {
    let cluster = Cluster::start().await;
    for choice in CHOICES {
        let rendered = kustomize(&overlay(choice).path().join("overlays/mine"));
        // A namespace that is only tried is not there for what is in it.
        let (namespace, others): (Vec<_>, Vec<_>) = objects(&rendered)
            .into_values()
            .partition(|one| one["kind"] == "Namespace");
        let text = |objects: &[Value]| objects.iter().map(Value::to_string).collect::<Vec<_>>().join("\n---\n");
        cluster.apply(&text(&namespace), &[]).unwrap();
        cluster.apply(&text(&others), &["--dry-run=server"]).unwrap();
        cluster.apply(&text(&others), &[]).unwrap();
    }
    // No controller runs here: pods as the Deployment's and the DaemonSet's would be, in namespaces of two levels.
    let mut taken = BTreeMap::new();
    for level in ["restricted", "privileged"] {
        cluster.kubectl(&format!(
            "label namespace bailey --overwrite pod-security.kubernetes.io/enforce={level}"
        ));
        for of in ["deployment/bailey-hub", "daemonset/bailey-enforcer"] {
            let object: Value =
                serde_json::from_str(&cluster.kubectl(&format!("get {of} --namespace=bailey --output=json"))).unwrap();
            let mut pod = object["spec"]["template"].clone();
            pod["apiVersion"] = "v1".into();
            pod["kind"] = "Pod".into();
            pod["metadata"]["name"] = format!("pod-{level}").into();
            pod["metadata"]["namespace"] = "bailey".into();
            taken.insert(
                (level, of),
                cluster.apply(&pod.to_string(), &["--dry-run=server"]).is_ok(),
            );
        }
    }
    let expected = [
        (("privileged", "daemonset/bailey-enforcer"), true),
        (("privileged", "deployment/bailey-hub"), true),
        (("restricted", "daemonset/bailey-enforcer"), false),
        (("restricted", "deployment/bailey-hub"), true),
    ];
    assert_eq!(taken, BTreeMap::from(expected));
}

#[tokio::test]
async fn helm_uninstall_leaves_nothing() {
    let cluster = Cluster::start().await;
    let chart = deploy().join("helm/bailey");
    cluster.kubectl("create namespace bailey");
    let before = cluster.everything();
    let values = ["--set=enforcer.cluster=cluster-a", "--namespace=bailey"];
    let install = [&["install", "bailey", chart.to_str().unwrap()], &values[..]].concat();
    cluster.run("helm", &install).unwrap();
    // The address of the Service is the API server's, and goes with it.
    let is_chart_made = |object: &&String| !object.starts_with("ipaddress.");
    let made: Vec<String> = cluster
        .everything()
        .difference(&before)
        .filter(is_chart_made)
        .cloned()
        .collect();
    assert_eq!(
        made,
        [
            "clusterrole.rbac.authorization.k8s.io/bailey-enforcer",
            "clusterrolebinding.rbac.authorization.k8s.io/bailey-enforcer",
            "daemonset.apps/bailey-enforcer",
            "deployment.apps/bailey-hub",
            "secret/sh.helm.release.v1.bailey.v1",
            "service/bailey-hub",
            "serviceaccount/bailey-enforcer",
        ]
    );
    cluster
        .run("helm", &["uninstall", "bailey", "--namespace=bailey"])
        .unwrap();
    assert_eq!(cluster.everything(), before);
}
