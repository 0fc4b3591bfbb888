//! A kubeconfig → a way to its API server.
//!
//! Shell: reads the files a kubeconfig names. Where kubeconfigs come from the members of a ClusterSet they are data, not
//! programs ([`Trust::Data`]): nothing in one may start a process or read a file outside its folder. No proxy and nothing
//! else is taken from the environment. Which kubeconfigs there are is not decided here.

use crate::observe::{Namespace, Observe};
use crate::watch::refused;
use kube::config::{AuthInfo, Cluster, KubeConfigOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long a connection may take to come about, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the API server may take to say who it is.
const IDENTITY_TIMEOUT: Duration = Duration::from_secs(30);

/// How far a kubeconfig is trusted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trust {
    /// It is data from elsewhere: programs and files outside its folder are refused.
    Data,
    /// It is the administrator's own, as kubectl takes it.
    Own,
}

/// Why a kubeconfig cannot be used. The texts name the field, and never what a credential is.
#[derive(Debug, thiserror::Error)]
pub enum KubeconfigError {
    /// It is no kubeconfig.
    #[error("it is no kubeconfig: {0}")]
    NotAKubeconfig(String),
    /// Something is missing or wrong that every kubeconfig needs.
    #[error("{field}: {problem}")]
    Field {
        /// Where.
        field: String,
        /// What.
        problem: String,
    },
    /// It would start a program.
    #[error("{0}: starts a program, and a kubeconfig is data here: use a token or a client certificate instead")]
    Program(String),
    /// It names a file outside its folder.
    #[error("{field}: {path:?} is outside the kubeconfig's folder: put the file beside it, or its content into it")]
    OutsideFolder {
        /// Where.
        field: String,
        /// The file, as it is named.
        path: String,
    },
    /// It names a file that cannot be read.
    #[error("{field}: {path:?} cannot be read: {problem}")]
    Unreadable {
        /// Where.
        field: String,
        /// The file, as it is named.
        path: String,
        /// Why not.
        problem: std::io::Error,
    },
    /// There is no API server to be found from within a pod.
    #[error("this is no pod with a ServiceAccount, name a kubeconfig instead of in-cluster: {0}")]
    NotInCluster(kube::config::InClusterError),
    /// What it names is no certificate, key or address that a connection can be made with.
    #[error("no connection can be made with it: {0}")]
    Unusable(kube::Error),
}

/// A way to an API server.
#[derive(Clone, Debug)]
pub struct Access {
    config: kube::Config,
    server: String,
    files: Vec<PathBuf>,
}

impl Access {
    /// Reads the kubeconfig `text`, which lies in `folder`.
    ///
    /// # Errors
    /// If it cannot be used, or does what `trust` does not allow.
    pub async fn read(text: &str, folder: &Path, trust: Trust) -> Result<Self, KubeconfigError> {
        let mut kubeconfig = kube::config::Kubeconfig::from_yaml(text).map_err(not_a_kubeconfig)?;
        let chosen = Chosen::of(&kubeconfig)?;
        let mut files = Vec::new();
        for named in kubeconfig
            .clusters
            .iter_mut()
            .filter(|named| named.name == chosen.cluster)
        {
            let cluster = named.cluster.get_or_insert_default();
            files.extend(place_cluster(&chosen.cluster, cluster, folder, trust)?);
            // Kube would take one from the environment.
            cluster.proxy_url = Some(NO_PROXY.to_owned());
        }
        for named in kubeconfig
            .auth_infos
            .iter_mut()
            .filter(|named| Some(&named.name) == chosen.user.as_ref())
        {
            let user = named.auth_info.get_or_insert_default();
            files.extend(place_user(&named.name, user, folder, trust)?);
        }
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
        let mut config = config.map_err(|error| KubeconfigError::Field {
            field: format!("clusters[{:?}].cluster", chosen.cluster),
            problem: error.to_string(),
        })?;
        config.proxy_url = None;
        Ok(Self::new(config, files))
    }

    /// As a pod of the cluster, with its ServiceAccount.
    ///
    /// # Errors
    /// If this is no pod of a cluster.
    pub fn in_cluster() -> Result<Self, KubeconfigError> {
        let config = kube::Config::incluster().map_err(KubeconfigError::NotInCluster)?;
        Ok(Self::new(config, Vec::new()))
    }

    fn new(mut config: kube::Config, files: Vec<PathBuf>) -> Self {
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        // A watch is quiet for as long as nothing happens; its feed notices when it is dead.
        config.read_timeout = None;
        // Feeds try again by themselves, and say so.
        config.default_retry = false;
        let server = config.cluster_url.to_string();
        Self {
            config,
            server: server.trim_end_matches('/').to_owned(),
            files,
        }
    }

    /// The API server's address, for people.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The files it names, whose content is part of what it says.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// A client. Needs a tokio runtime; connects when it is first used.
    ///
    /// # Errors
    /// If certificates, keys or a token file cannot be used.
    pub fn client(&self) -> Result<kube::Client, KubeconfigError> {
        // Fails only where one is installed already, which is this one: ring is the only provider that is linked.
        let _ = rustls::crypto::ring::default_provider().install_default();
        kube::Client::try_from(self.config.clone()).map_err(KubeconfigError::Unusable)
    }
}

/// A proxy that is none: it stands where kube reads a kubeconfig, so that none of the environment does.
const NO_PROXY: &str = "http://none.invalid/";

/// The names that the current context chooses.
struct Chosen {
    cluster: String,
    user: Option<String>,
}

impl Chosen {
    fn of(kubeconfig: &kube::config::Kubeconfig) -> Result<Self, KubeconfigError> {
        let wrong = |field: String, problem: &str| KubeconfigError::Field {
            field,
            problem: problem.to_owned(),
        };
        let current = kubeconfig.current_context.as_ref().filter(|name| !name.is_empty());
        let current = current.ok_or_else(|| wrong("current-context".to_owned(), "missing"))?;
        let named = kubeconfig.contexts.iter().find(|named| named.name == *current);
        let context = named.and_then(|named| named.context.as_ref()).ok_or_else(|| {
            wrong(
                format!("contexts[{current:?}]"),
                "current-context names it, but it is missing",
            )
        })?;
        let cluster = format!("clusters[{:?}]", context.cluster);
        let named = kubeconfig.clusters.iter().find(|named| named.name == context.cluster);
        let named = named.ok_or_else(|| wrong(cluster.clone(), "the context names it, but it is missing"))?;
        let server = named.cluster.as_ref().and_then(|cluster| cluster.server.as_deref());
        let field = |name: &str| format!("{cluster}.cluster.{name}");
        match server.unwrap_or_default() {
            "" => return Err(wrong(field("server"), "missing")),
            url if url.starts_with("https://") || url.starts_with("http://") => {}
            url => {
                let problem = format!("{url:?} does not begin with https://");
                return Err(KubeconfigError::Field {
                    field: field("server"),
                    problem,
                });
            }
        }
        let proxy = named.cluster.as_ref().and_then(|cluster| cluster.proxy_url.as_deref());
        if !proxy.unwrap_or_default().is_empty() {
            return Err(wrong(field("proxy-url"), "proxies are not supported"));
        }
        if let Some(user) = context.user.as_ref().filter(|user| !user.is_empty())
            && !kubeconfig.auth_infos.iter().any(|named| named.name == *user)
        {
            return Err(wrong(
                format!("users[{user:?}]"),
                "the context names it, but it is missing",
            ));
        }
        Ok(Self {
            cluster: context.cluster.clone(),
            user: context.user.clone(),
        })
    }
}

/// YAML errors show the lines around them, which may be credentials: only the place is passed on.
fn not_a_kubeconfig(error: kube::config::KubeconfigError) -> KubeconfigError {
    KubeconfigError::NotAKubeconfig(match error {
        kube::config::KubeconfigError::Parse(error) => match error.location() {
            Some(at) => format!(
                "wrong YAML, or a field of the wrong type, at line {} column {}",
                at.line(),
                at.column()
            ),
            None => "wrong YAML, or a field of the wrong type".to_owned(),
        },
        other => other.to_string(),
    })
}

fn place_cluster(
    name: &str,
    cluster: &mut Cluster,
    folder: &Path,
    trust: Trust,
) -> Result<Vec<PathBuf>, KubeconfigError> {
    let at = |field: &str| format!("clusters[{name:?}].cluster.{field}");
    let inline = cluster.certificate_authority_data.is_some();
    let file = cluster.certificate_authority.as_mut().filter(|_| !inline);
    let placed = file.map(|file| place(at("certificate-authority"), file, folder, trust));
    placed.into_iter().collect()
}

fn place_user(name: &str, user: &mut AuthInfo, folder: &Path, trust: Trust) -> Result<Vec<PathBuf>, KubeconfigError> {
    let at = |field: &str| format!("users[{name:?}].user.{field}");
    if trust == Trust::Data {
        let programs = [
            ("exec", user.exec.is_some()),
            ("auth-provider", user.auth_provider.is_some()),
        ];
        if let Some((field, _)) = programs.into_iter().find(|(_, present)| *present) {
            return Err(KubeconfigError::Program(at(field)));
        }
    }
    // As kubectl does: a bare name is looked up in PATH, anything else is a path.
    if let Some(command) = user.exec.as_mut().and_then(|exec| exec.command.as_mut())
        && command.contains(std::path::MAIN_SEPARATOR)
    {
        *command = folder.join(&*command).to_string_lossy().into_owned();
    }
    // What is there as content counts before a file.
    let certificate = user
        .client_certificate
        .as_mut()
        .filter(|_| user.client_certificate_data.is_none());
    let key = user.client_key.as_mut().filter(|_| user.client_key_data.is_none());
    let token = user.token_file.as_mut().filter(|_| user.token.is_none());
    [
        ("client-certificate", certificate),
        ("client-key", key),
        ("tokenFile", token),
    ]
    .into_iter()
    .filter_map(|(field, file)| Some(place(at(field), file?, folder, trust)))
    .collect()
}

/// Makes `file` a path that can be opened from anywhere, and makes sure that it can and may.
fn place(field: String, file: &mut String, folder: &Path, trust: Trust) -> Result<PathBuf, KubeconfigError> {
    let unreadable = |problem| KubeconfigError::Unreadable {
        field: field.clone(),
        path: file.clone(),
        problem,
    };
    // Links are followed before the place is judged: a mounted Secret is links within its folder.
    let path = folder.join(&*file).canonicalize().map_err(unreadable)?;
    let within = path.starts_with(folder.canonicalize().map_err(unreadable)?);
    let opened = std::fs::File::open(&path)
        .and_then(|file| file.metadata())
        .map_err(unreadable)?;
    if !opened.is_file() {
        return Err(unreadable(std::io::ErrorKind::IsADirectory.into()));
    }
    if trust == Trust::Data && !within {
        return Err(KubeconfigError::OutsideFolder {
            field,
            path: file.clone(),
        });
    }
    // Not the place a link leads to now: a mounted Secret is renewed by changing the link.
    let path = std::path::absolute(folder.join(&*file)).map_err(unreadable)?;
    match path.to_str() {
        Some(text) => text.clone_into(file),
        None => return Err(unreadable(std::io::ErrorKind::InvalidFilename.into())),
    }
    Ok(path)
}

/// Who an API server is cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unidentified(pub String);

/// The UID of the namespace kube-system: the nearest that Kubernetes has to the identity of a cluster.
///
/// # Errors
/// If the API server does not say; the text tells why and what to do.
pub async fn cluster_uid(client: &kube::Client) -> Result<Arc<str>, Unidentified> {
    let path = format!("{}/kube-system", Namespace::KIND.path());
    let request = http::Request::get(path)
        .body(Vec::new())
        .expect("the path is a constant");
    let answer = tokio::time::timeout(IDENTITY_TIMEOUT, client.request_text(request))
        .await
        .map_err(|_elapsed| Unidentified(format!("the API server did not answer within {IDENTITY_TIMEOUT:?}")))?
        .map_err(|error| Unidentified(refused("get", Namespace::KIND, &error)))?;
    let namespace: Namespace = serde_json::from_str(&answer)
        .map_err(|error| Unidentified(format!("what answered is no API server: {error}")))?;
    if namespace.uid.is_empty() {
        return Err(Unidentified("the namespace kube-system has no UID".to_owned()));
    }
    Ok(namespace.uid)
}

#[cfg(test)]
mod tests;
