//! The real API server: etcd and kube-apiserver, from the assets folder, as child processes.
//!
//! They end with this process, however it ends. etcd is reached by a socket in the server's folder, so that a server
//! needs one port.

use super::{Credentials, Lists, Role, Site};
use crate::assets;
use anyhow::Context;
use serde_json::Value;
use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};

/// How long a start may take. It takes some 3 s when the machine is idle, and ten times that while everything builds.
const START_DEADLINE: Duration = Duration::from_secs(90);

/// Between two looks at a server that starts.
const START_POLL: Duration = Duration::from_millis(50);

/// How much of a log an error shows: the last lines say why a start failed.
const LOG_TAIL_LINES: usize = 12;

/// etcd's sockets, relative to the server's folder; the number stands where a URL has its port.
const ETCD_CLIENTS: &str = "unix://etcd.sock:1";
const ETCD_PEERS: &str = "unix://etcd.sock:2";

/// A running real API server.
#[derive(Debug)]
pub struct Server {
    site: Site,
    listen: SocketAddr,
    credentials: Credentials,
    lists: Lists,
    apiserver: Option<Child>,
    /// Killed when dropped.
    _etcd: Child,
}

impl Server {
    /// Starts etcd and kube-apiserver and grants the roles their rights.
    pub async fn start(site: Site) -> anyhow::Result<Server> {
        let listen = free_port(&site)?;
        let credentials = Credentials::new(&site, listen.port())?;
        write_files(&site.dir, &credentials)?;
        let etcd = spawn("etcd", &etcd_arguments(), &site)?;
        let mut server = Server {
            site,
            listen,
            credentials,
            lists: Lists::Streamed,
            apiserver: None,
            _etcd: etcd,
        };
        server.restart().await?;
        server.grant().await?;
        Ok(server)
    }

    pub(super) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// How it answers from its next start on.
    pub(super) fn set_lists(&mut self, lists: Lists) {
        self.lists = lists;
    }

    /// See [`super::ApiServer::kill`]. etcd goes on.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut apiserver) = self.apiserver.take() {
            apiserver.kill().await.context("killing kube-apiserver")?;
        }
        Ok(())
    }

    /// See [`super::ApiServer::restart`].
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.kill().await?;
        self.apiserver = Some(spawn(
            "kube-apiserver",
            &apiserver_arguments(&self.site, self.listen, self.lists),
            &self.site,
        )?);
        match tokio::time::timeout(START_DEADLINE, self.ready()).await {
            Ok(ready) => ready,
            Err(_elapsed) => {
                let tail = log_tail(&self.site.dir, "kube-apiserver");
                anyhow::bail!("kube-apiserver is not ready after {START_DEADLINE:?}:\n{tail}")
            }
        }
    }

    /// Returns when the server is ready and has made its own namespaces, or when it has ended.
    async fn ready(&mut self) -> anyhow::Result<()> {
        let client = self.credentials.client(Role::Admin).await?;
        for path in [
            "/readyz",
            "/api/v1/namespaces/kube-system",
            "/api/v1/namespaces/default",
        ] {
            while client
                .request_text(http::Request::get(path).body(Vec::new())?)
                .await
                .is_err()
            {
                let ended = self
                    .apiserver
                    .as_mut()
                    .and_then(|child| child.try_wait().transpose())
                    .transpose()?;
                if let Some(status) = ended {
                    let tail = log_tail(&self.site.dir, "kube-apiserver");
                    anyhow::bail!("kube-apiserver ended while it started ({status}):\n{tail}");
                }
                tokio::time::sleep(START_POLL).await;
            }
        }
        Ok(())
    }

    async fn grant(&self) -> anyhow::Result<()> {
        let client = self.credentials.client(Role::Admin).await?;
        for role in [Role::Hub, Role::Enforcer] {
            for (object, plural) in role.rbac().into_iter().zip(["clusterroles", "clusterrolebindings"]) {
                let request = http::Request::post(format!("/apis/rbac.authorization.k8s.io/v1/{plural}"))
                    .header("content-type", "application/json")
                    .body(serde_json::to_vec(&object)?)?;
                client
                    .request::<Value>(request)
                    .await
                    .with_context(|| format!("creating {object}"))?;
            }
        }
        Ok(())
    }
}

/// The address to listen on, with a port that is free now.
fn free_port(site: &Site) -> anyhow::Result<SocketAddr> {
    let free = TcpListener::bind(site.listen).with_context(|| format!("binding {}", site.listen))?;
    Ok(free.local_addr()?)
}

fn write_files(dir: &Path, credentials: &Credentials) -> anyhow::Result<()> {
    let tokens: String = Role::ALL
        .iter()
        .map(|role| {
            let groups = if *role == Role::Admin { ",system:masters" } else { "" };
            format!("{},{user},{user}{groups}\n", role.token(), user = role.user())
        })
        .collect();
    let service_accounts = rcgen::KeyPair::generate()?;
    let files = [
        ("server.crt", &credentials.certificate_pem),
        ("server.key", &credentials.key_pem),
        ("service-accounts.key", &service_accounts.serialize_pem()),
        ("service-accounts.pub", &service_accounts.public_key_pem()),
        ("tokens.csv", &tokens),
    ];
    for (name, content) in files {
        let path = dir.join(name);
        fs::write(&path, content).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

fn etcd_arguments() -> Vec<String> {
    vec![
        "--data-dir=etcd".to_owned(),
        format!("--listen-client-urls={ETCD_CLIENTS}"),
        format!("--advertise-client-urls={ETCD_CLIENTS}"),
        format!("--listen-peer-urls={ETCD_PEERS}"),
        format!("--initial-advertise-peer-urls={ETCD_PEERS}"),
        format!("--initial-cluster=default={ETCD_PEERS}"),
        // No test survives the machine, so none needs its disk.
        "--unsafe-no-fsync".to_owned(),
    ]
}

fn apiserver_arguments(site: &Site, listen: SocketAddr, lists: Lists) -> Vec<String> {
    let advertise = site.reached_by.first().map_or(listen.ip(), |address| *address);
    vec![
        format!("--etcd-servers={ETCD_CLIENTS}"),
        format!("--bind-address={}", listen.ip()),
        format!("--secure-port={}", listen.port()),
        // Said aloud because it is otherwise taken from the default route, which a network namespace need not have.
        format!("--advertise-address={advertise}"),
        "--endpoint-reconciler-type=none".to_owned(),
        "--tls-cert-file=server.crt".to_owned(),
        "--tls-private-key-file=server.key".to_owned(),
        "--token-auth-file=tokens.csv".to_owned(),
        "--authorization-mode=RBAC".to_owned(),
        "--service-account-issuer=https://tests.invalid".to_owned(),
        "--service-account-key-file=service-accounts.pub".to_owned(),
        "--service-account-signing-key-file=service-accounts.key".to_owned(),
        "--service-cluster-ip-range=10.255.0.0/24".to_owned(),
        // It refuses pods whose ServiceAccount no controller has made.
        "--disable-admission-plugins=ServiceAccount".to_owned(),
        format!("--feature-gates=WatchList={}", lists == Lists::Streamed),
    ]
}

/// Starts a program of the assets folder in the site's folder, logging into a file there.
fn spawn(program: &'static str, arguments: &[String], site: &Site) -> anyhow::Result<Child> {
    let log = File::create(site.dir.join(format!("{program}.log")))?;
    let mut command = Command::new(assets::program(program)?);
    command
        .args(arguments)
        .current_dir(&site.dir)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true);
    tie(&mut command);
    command.spawn().with_context(|| format!("starting {program}"))
}

/// Ends the child with the thread that started it.
fn tie(command: &mut Command) {
    let prepare = || {
        #[expect(unsafe_code, reason = "std has no prctl; this one takes no pointer")]
        let failed = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } != 0;
        if failed {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    };
    #[expect(unsafe_code, reason = "the closure makes one system call and allocates nothing")]
    unsafe {
        command.pre_exec(prepare);
    }
}

fn log_tail(dir: &Path, program: &str) -> String {
    let log = fs::read_to_string(dir.join(format!("{program}.log"))).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
}
