//! Two clusters and somebody with a kubeconfig of both.

use clap::Parser;
use hub::certs;
use hub::config::{CommandLine, Task};
use hub::members::{self, Done};
use kube::Client;
use proto::kubeconfig::{Access, Trust, cluster_uid};
use proto::tls::Files;
use serde_json::{Value, json};
use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use tests::apiserver::{ApiServer, Kind, Lists, Role};
use tokio::task::JoinSet;

/// Nothing takes longer, however busy the machine.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Between two looks.
pub const POLL: Duration = Duration::from_millis(100);

/// The clusters `hub` and `b`, each with a controller that fills Secrets with tokens.
pub struct Site {
    dir: TempDir,
    pub hub_cluster: ApiServer,
    pub b: ApiServer,
    _controllers: JoinSet<()>,
}

impl Site {
    pub async fn start() -> Self {
        Self::start_with(Lists::Streamed).await
    }

    pub async fn start_with(lists: Lists) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let start = async |name: &str| {
            let own = dir.path().join(name);
            fs::create_dir(&own).unwrap();
            let mut server = ApiServer::start(Kind::Real, tests::apiserver::Site::loopback(name, own))
                .await
                .unwrap();
            if lists == Lists::Paged {
                server.restart_with(lists).await.unwrap();
            }
            server
        };
        let (hub_cluster, b) = tokio::join!(start("hub"), start("b"));
        for server in [&hub_cluster, &b] {
            let client = server.client().await.unwrap();
            // What tests are granted that do not make it themselves.
            for kind in ["clusterroles", "clusterrolebindings"] {
                delete(
                    &client,
                    &format!("/apis/rbac.authorization.k8s.io/v1/{kind}/bailey-hub"),
                )
                .await;
            }
        }
        let kubeconfigs = [("hub", &hub_cluster), ("b", &b)].map(|(name, server)| {
            let text = server.kubeconfig(Role::Admin).replace(&format!("admin@{name}"), name);
            fs::write(dir.path().join(format!("{name}.kubeconfig")), &text).unwrap();
            text
        });
        fs::write(dir.path().join("kubeconfig"), kubeconfigs.join("---\n")).unwrap();
        let mut controllers = JoinSet::new();
        for server in [&hub_cluster, &b] {
            controllers.spawn(fill_tokens(server.client().await.unwrap()));
        }
        Self {
            dir,
            hub_cluster,
            b,
            _controllers: controllers,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The kubeconfig of somebody else, as another file.
    pub fn kubeconfig_of(&self, role: Role) -> PathBuf {
        let path = self.path(role.user());
        let hub = self.hub_cluster.kubeconfig(Role::Admin).replace("admin@hub", "hub");
        let b = self.b.kubeconfig(role).replace(&format!("{}@b", role.user()), "b");
        fs::write(&path, [hub, b].join("---\n")).unwrap();
        path
    }

    /// The API server's address, without a scheme.
    fn address(server: &ApiServer) -> String {
        let text = server.kubeconfig(Role::Admin);
        let line = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("server: https://"));
        line.unwrap().to_owned()
    }

    /// The kubeconfig of somebody whose token a program gets, as cloud providers' are.
    pub fn kubeconfig_with_program(&self) -> PathBuf {
        let program = self.path("get-token");
        let credential = json!({
            "apiVersion": "client.authentication.k8s.io/v1",
            "kind": "ExecCredential",
            "status": {"token": Role::Admin.token()},
        });
        fs::write(&program, format!("#!/bin/sh\necho '{credential}'\n")).unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o700)).unwrap();
        let exec = format!(
            "exec: {{apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: {}}}",
            program.display()
        );
        let text = fs::read_to_string(self.path("kubeconfig")).unwrap();
        let path = self.path("kubeconfig-with-program");
        fs::write(&path, text.replace(&format!("token: {}", Role::Admin.token()), &exec)).unwrap();
        path
    }

    /// The CA of the hub's cluster, as a file.
    pub fn hub_ca(&self) -> PathBuf {
        let text = fs::read_to_string(self.path("hub.kubeconfig")).unwrap();
        let data = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("certificate-authority-data: "));
        let bytes: k8s_openapi::ByteString = serde_json::from_str(data.unwrap()).unwrap();
        let path = self.path("hub-ca.crt");
        fs::write(&path, bytes.0).unwrap();
        path
    }

    /// A text in which `HUB` and `B` are the servers' addresses, with the addresses.
    pub fn with_addresses(&self, text: &str) -> String {
        let address = |server| format!("https://{}", Self::address(server));
        let text = text.replace("https://HUB", &address(&self.hub_cluster));
        text.replace("https://B", &address(&self.b))
    }

    /// The token that a Secret of `b` has been filled with.
    pub async fn filled_token(&self, name: &str) -> String {
        let client = self.b.client().await.unwrap();
        let path = format!("/api/v1/namespaces/bailey/secrets/{name}");
        let filled = async {
            loop {
                let secret = read(&client, &path).await;
                let token = &secret["data"]["token"];
                if !token.is_null() {
                    let bytes: k8s_openapi::ByteString = serde_json::from_value(token.clone()).unwrap();
                    return String::from_utf8(bytes.0).unwrap();
                }
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::time::timeout(DEADLINE, filled).await.unwrap()
    }

    /// What `hub members` says to a command line in which `HUB` and `B` are the servers' addresses.
    pub async fn run(&self, line: &str) -> String {
        let (hub, b) = (Self::address(&self.hub_cluster), Self::address(&self.b));
        let kubeconfig = self.path("kubeconfig");
        let mut words = format!("hub members {line}");
        if !line.contains("--kubeconfig") {
            words = format!("{words} --kubeconfig {}", kubeconfig.display());
        }
        let words = self.with_addresses(&words);
        let command_line = CommandLine::try_parse_from(words.split_whitespace()).unwrap();
        let Task::Members(task) = command_line.into_task().unwrap() else {
            panic!("{line} is about members");
        };
        let mut out = Vec::new();
        let code = match members::run(task, &mut out).await {
            Ok(Done::All) => "exit code 0".to_owned(),
            Ok(Done::ButLabels) => "exit code 3".to_owned(),
            Err(error) => format!("error: {error}"),
        };
        let said = format!("{}{code}\n", String::from_utf8(out).unwrap());
        let said = said
            .replace(&hub, "HUB")
            .replace(&b, "B")
            .replace(&*self.dir.path().to_string_lossy(), "DIR");
        without_times(&said)
    }

    /// What `hub certs` says, in whose line `DIR` is the site's folder.
    pub async fn certs(&self, line: &str) -> String {
        let dir = self.dir.path().to_string_lossy().into_owned();
        let words = format!("hub {line} --kubeconfig DIR/kubeconfig").replace("DIR", &dir);
        let command_line = CommandLine::try_parse_from(words.split_whitespace()).unwrap();
        let Task::Certs(order, delivery) = command_line.into_task().unwrap() else {
            panic!("{line} is about certificates");
        };
        #[expect(clippy::disallowed_methods, reason = "certificates begin and end by the wall clock")]
        let issued = certs::issue(order.clone(), std::time::SystemTime::now()).unwrap();
        let mut out = issued.summary().into_bytes();
        certs::deliver(&order, &delivery, &mut out).await.unwrap();
        let said = String::from_utf8(out).unwrap();
        let (hub, b) = (Self::address(&self.hub_cluster), Self::address(&self.b));
        said.replace(&hub, "HUB").replace(&b, "B").replace(&dir, "DIR")
    }

    /// Does as the kubelet does with the hub's Secret of kubeconfigs: the files are links into a folder that is itself a
    /// link, and the whole changes at once.
    pub async fn mount(&self) {
        let secret = self.hub_client().await;
        let secret = read(&secret, "/api/v1/namespaces/bailey/secrets/bailey-clusters").await;
        let folder = self.path("clusters");
        let generation = format!("..{}", fastrand::u64(..));
        fs::create_dir_all(folder.join(&generation)).unwrap();
        let links = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        let links: Vec<PathBuf> = links
            .filter(|path| !path.file_name().unwrap().to_string_lossy().starts_with(".."))
            .collect();
        for link in links {
            fs::remove_file(link).unwrap();
        }
        for (name, value) in secret["data"].as_object().into_iter().flatten() {
            let bytes: k8s_openapi::ByteString = serde_json::from_value(value.clone()).unwrap();
            fs::write(folder.join(&generation).join(name), bytes.0).unwrap();
            std::os::unix::fs::symlink(format!("..data/{name}"), folder.join(name)).unwrap();
        }
        std::os::unix::fs::symlink(&generation, folder.join("..data_tmp")).unwrap();
        fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    }

    /// Why the hub, with what is mounted, cannot tell which cluster `cluster-b` is.
    pub async fn uid_is_refused(&self) -> String {
        let folder = self.path("clusters");
        let text = fs::read_to_string(folder.join("cluster-b.kubeconfig")).unwrap();
        let access = Access::read(&text, &folder, Trust::Data).await.unwrap();
        let client = access.client().unwrap();
        let refused = async {
            loop {
                // The API server learns of a changed role a moment later.
                match cluster_uid(&client).await {
                    Ok(_) => tokio::time::sleep(POLL).await,
                    Err(reason) => return reason.to_string(),
                }
            }
        };
        tokio::time::timeout(DEADLINE, refused).await.unwrap()
    }

    pub async fn hub_client(&self) -> Client {
        self.hub_cluster.client().await.unwrap()
    }

    /// Starts a hub over what is mounted.
    pub async fn hub(&self) -> Hub {
        Hub(tests::hub::Hub::start(self.dir.path(), &[]).unwrap())
    }
}

/// Plays the token controller: fills each Secret for a ServiceAccount's token with one.
async fn fill_tokens(client: Client) {
    loop {
        let secrets = read(
            &client,
            "/api/v1/secrets?fieldSelector=type=kubernetes.io/service-account-token",
        )
        .await;
        for secret in secrets["items"].as_array().into_iter().flatten() {
            if secret["data"]["token"].is_null() {
                fill(&client, secret).await;
            }
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn fill(client: &Client, secret: &Value) {
    let metadata = &secret["metadata"];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let (namespace, name) = (text(&metadata["namespace"]), text(&metadata["name"]));
    let account = text(&metadata["annotations"]["kubernetes.io/service-account.name"]);
    let bound = json!({"apiVersion": "v1", "kind": "Secret", "name": name, "uid": metadata["uid"]});
    let request = json!({"spec": {"expirationSeconds": 86_400, "boundObjectRef": bound}});
    let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token");
    let answer = write(client, "POST", &path, &request).await;
    let patch = json!({"stringData": {"token": answer["status"]["token"]}});
    write(
        client,
        "PATCH",
        &format!("/api/v1/namespaces/{namespace}/secrets/{name}"),
        &patch,
    )
    .await;
}

pub async fn read(client: &Client, path: &str) -> Value {
    client
        .request(http::Request::get(path).body(Vec::new()).unwrap())
        .await
        .unwrap()
}

pub async fn write(client: &Client, method: &str, path: &str, body: &Value) -> Value {
    let kind = if method == "PATCH" {
        "application/merge-patch+json"
    } else {
        "application/json"
    };
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", kind);
    client
        .request(request.body(body.to_string().into_bytes()).unwrap())
        .await
        .unwrap()
}

pub async fn delete(client: &Client, path: &str) {
    let request = http::Request::delete(path).body(Vec::new()).unwrap();
    client.request::<Value>(request).await.unwrap();
}

/// Times are of the clock, and so no part of what is expected.
fn without_times(text: &str) -> String {
    let is_time = |word: &str| {
        word.len() >= 20 && word.as_bytes()[4] == b'-' && word.as_bytes()[10] == b'T' && word.contains('Z')
    };
    let line = |line: &str| {
        let words = line.split(' ').map(|word| if is_time(word) { "TIME" } else { word });
        let line = words.collect::<Vec<_>>().join(" ");
        // A table's columns are as wide as the ages in them.
        if line.starts_with("CLUSTER") || line.contains(" s ago") {
            let mut words: Vec<&str> = line.split_whitespace().collect();
            if let Some(unit) = words.iter().position(|word| *word == "s") {
                words[unit - 1] = "#";
            }
            words.join(" ")
        } else {
            line
        }
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// A hub that runs, and somebody who asks it.
pub struct Hub(tests::hub::Hub);

impl Hub {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.0.listen()
    }

    /// The same as a URL.
    pub fn url(&self) -> String {
        format!("https://{}", self.address())
    }

    /// The flags of `list` that ask this hub.
    pub fn flags(&self) -> String {
        let Files { certificate, key, ca } = self.0.files("reader");
        let [certificate, key, ca] = [certificate, key, ca].map(|file| file.display().to_string());
        format!(
            "--hub {} --hub-ca {ca} --tls-cert {certificate} --tls-key {key}",
            self.url()
        )
    }

    /// What the hub says of its members, as JSON.
    async fn members(&self) -> Option<Value> {
        let words = format!("hub members list --format json {}", self.flags());
        let command_line = CommandLine::try_parse_from(words.split_whitespace()).unwrap();
        let Task::Members(task) = command_line.into_task().unwrap() else {
            panic!("it is about members");
        };
        let mut out = Vec::new();
        members::run(task, &mut out).await.ok()?;
        serde_json::from_slice(&out).ok()
    }

    /// Waits until a member is so.
    pub async fn until(&self, id: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let wait = async {
            loop {
                if let Some(said) = self.members().await {
                    let member = said["members"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .find(|member| member["id"] == id);
                    last = member.cloned().unwrap_or_default();
                    if is_so(&last) {
                        return;
                    }
                }
                tokio::time::sleep(POLL).await;
            }
        };
        if tokio::time::timeout(DEADLINE, wait).await.is_err() {
            panic!("not within {DEADLINE:?}: {id} is {last:#}");
        }
        last
    }

    pub async fn becomes(&self, id: &str, state: &str) {
        self.until(id, |member| member["state"] == state).await;
    }
}
