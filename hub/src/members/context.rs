//! A context of the user's own kubeconfig → a cluster to speak to.
//!
//! Shell. It is read as kubectl reads it: several files in $KUBECONFIG are merged, and programs that get a token (`exec`)
//! are run, because the file is the user's. A proxy is the kubeconfig's `proxy-url`, none is taken from the environment.

use super::Error;
use super::api::Cluster;
use kube::config::{KubeConfigOptions, Kubeconfig};
use proto::tls::with_sources;
use std::path::Path;

/// A context, and what its kubeconfig says of the API server.
pub struct Context {
    /// The cluster, to speak to.
    pub cluster: Cluster,
    /// The name of the context.
    pub name: String,
    /// The API server's URL, without a slash at the end.
    pub server: String,
    /// PEM of the CAs that its certificate is verified with; `None`: those of this machine.
    pub ca: Option<String>,
    /// The name in its certificate, if it is not the URL's.
    pub tls_name: Option<String>,
    /// Whether its certificate is not verified at all.
    pub unverified: bool,
}

impl Context {
    /// Of this name in this file; without a name the current one, without a file as kubectl finds it. `title` is what
    /// the cluster is called in messages.
    pub async fn open(file: Option<&Path>, name: Option<&str>, title: &str) -> Result<Self, Error> {
        let wrong = |problem: String| Error::Kubeconfig { problem };
        let kubeconfig = match file {
            Some(file) => Kubeconfig::read_from(file),
            None => Kubeconfig::read(),
        };
        let kubeconfig = kubeconfig.map_err(|error| wrong(error.to_string()))?;
        let name = name.map(str::to_owned).or_else(|| kubeconfig.current_context.clone());
        let name = name.ok_or_else(|| wrong("there is no current context: name one".to_owned()))?;
        let known: Vec<&str> = kubeconfig.contexts.iter().map(|named| named.name.as_str()).collect();
        if !known.contains(&name.as_str()) {
            let known = match known.as_slice() {
                [] => "it has none".to_owned(),
                known => format!("it has {}", known.join(", ")),
            };
            return Err(wrong(format!("there is no context {name:?}: {known}")));
        }
        let proxy = proxy(&kubeconfig, &name).map_err(wrong)?;
        let options = KubeConfigOptions {
            context: Some(name.clone()),
            ..KubeConfigOptions::default()
        };
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await;
        let mut config = config.map_err(|error| wrong(format!("context {name:?}: {error}")))?;
        config.proxy_url = proxy;
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let ca = config.root_cert.as_ref().map(|certificates| pem(certificates));
        let (tls_name, unverified) = (config.tls_server_name.clone(), config.accept_invalid_certs);
        let title = format!("{title} (context {name}, {server})");
        let client = kube::Client::try_from(config)
            .map_err(|error| wrong(format!("context {name:?}: {}", with_sources(&error))))?;
        Ok(Self {
            cluster: Cluster::new(client, title),
            name,
            server,
            ca,
            tls_name,
            unverified,
        })
    }
}

fn proxy(kubeconfig: &Kubeconfig, context: &str) -> Result<Option<http::Uri>, String> {
    let context = kubeconfig.contexts.iter().find(|named| named.name == context);
    let cluster = context
        .and_then(|named| named.context.as_ref())
        .map(|context| &context.cluster);
    let named = kubeconfig.clusters.iter().find(|named| Some(&named.name) == cluster);
    let url = named
        .and_then(|named| named.cluster.as_ref())
        .and_then(|cluster| cluster.proxy_url.as_deref());
    match url {
        None | Some("") => Ok(None),
        Some(url) => url
            .parse()
            .map(Some)
            .map_err(|error| format!("proxy-url {url:?}: {error}")),
    }
}

/// Certificates, as PEM.
fn pem(certificates: &[Vec<u8>]) -> String {
    let mut text = String::new();
    for certificate in certificates {
        text.push_str(&super::pem::certificate(certificate));
    }
    text
}
