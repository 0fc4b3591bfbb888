//! Asks a hub how its members are: at its address, or in its pod through the API server of its cluster.
//!
//! Shell. The second way needs nothing but what kubectl needs, and the certificate that lies beside the hub.

use super::Error;
use super::api::innermost;
use super::context::Context;
use super::object::{POD, Place, SECRET};
use super::pem;
use http::Uri;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use proto::tls::{Contents, Files, client_config_of, with_sources};
use proto::wire;
use proto::wire::inventory_client::InventoryClient;
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};

/// How long each step may take.
const STEP_LIMIT: Duration = Duration::from_secs(15);

/// The Secret beside the hub with a certificate for people who ask it.
pub const READER_SECRET: &str = "bailey-reader-tls";

/// The port that the hub serves on in its pod, by its name and else by its number.
const PORT_NAME: &str = "grpc";
const PORT: u16 = 7443;

/// The largest answer that is read.
const ANSWER_BYTES: usize = 64 << 20;

/// What a hub says of its members.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Said {
    /// The member clusters.
    pub clusters: Vec<wire::Cluster>,
    /// How current its knowledge of each is: ages, which no clock of this machine can distort.
    pub freshness: Vec<wire::Freshness>,
    /// Their enforcers.
    pub enforcers: Vec<wire::Enforcer>,
}

/// The PEM files of a reader, or the Secret of such.
pub struct Reader {
    files: Files,
    contents: Contents,
}

impl Reader {
    /// Of files.
    pub async fn of_files(files: Files) -> Result<Self, Error> {
        let contents = Contents::read(&files).await;
        let contents = contents.map_err(|error| Error::Hub(with_sources(&error)))?;
        Ok(Self { files, contents })
    }

    /// Of the Secret beside the hub.
    pub async fn of_secret(hub: &Context, namespace: &str) -> Result<Self, Error> {
        let place = Place::within(SECRET, namespace, READER_SECRET);
        let secret = hub.cluster.get(&place).await?.ok_or_else(|| {
            Error::Hub(format!(
                "{}: there is no {place}, with which the hub is asked: hub certs makes it, or name files with --tls-cert, \
                 --tls-key and --hub-ca",
                hub.cluster.title()
            ))
        })?;
        let key = |name: &str| pem::bytes(&secret["data"][name]).unwrap_or_default();
        let named = |name: &str| format!("{place}: {name}").into();
        Ok(Self {
            files: Files {
                certificate: named("tls.crt"),
                key: named("tls.key"),
                ca: named("ca.crt"),
            },
            contents: Contents {
                certificate: key("tls.crt"),
                key: key("tls.key"),
                ca: key("ca.crt"),
            },
        })
    }
}

/// Asks the hub at an address; without a reader in plain text.
pub async fn at(url: &Uri, reader: Option<Reader>) -> Result<Said, Error> {
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let is_https = url.scheme_str() == Some("https");
    let port = url.port_u16().unwrap_or(if is_https { 443 } else { 80 });
    let failed = |problem: String| Error::Hub(format!("hub {url}: {problem}"));
    let tcp = within(TcpStream::connect((host.as_str(), port))).await;
    let tcp = tcp.map_err(|error| {
        failed(format!(
            "cannot be reached ({error}): is it running, and is this its address?"
        ))
    })?;
    let channel = match reader {
        Some(reader) if is_https => tls(tcp, &reader, &failed).await?,
        Some(_) | None if is_https => {
            return Err(failed(
                "wants a certificate: --tls-cert, --tls-key and --hub-ca".to_owned(),
            ));
        }
        Some(_) | None => http2(tcp, &failed).await?,
    };
    said(channel, &failed).await
}

/// Asks the hub in its pod, through its cluster's API server.
pub async fn through(hub: &Context, namespace: &str, reader: &Reader) -> Result<Said, Error> {
    let (pod, port) = pod(hub, namespace).await?;
    let failed = |problem: String| {
        Error::Hub(format!(
            "{}: hub in Pod {namespace}/{pod}: {problem}",
            hub.cluster.title()
        ))
    };
    let pods: Api<Pod> = Api::namespaced(hub.cluster.client().clone(), namespace);
    let forward = tokio::time::timeout(STEP_LIMIT, pods.portforward(&pod, &[port])).await;
    let forward = forward.map_err(|_elapsed| failed(format!("no answer within {STEP_LIMIT:?}")))?;
    let mut forward = forward.map_err(|error| {
        // A WebSocket is a GET, which authorizes as get, and on newer API servers as create besides.
        let advice = match &error {
            kube::Error::Api(status) if status.code == 403 => "this user needs get and create on pods/portforward.",
            _ => "does its node answer its API server?",
        };
        let reason = innermost(&error);
        let reason = reason.trim_end_matches([' ', ':']);
        failed(format!(
            "the API server does not forward to it ({reason}): {advice} Or name the hub's address with --hub"
        ))
    })?;
    let refused = forward.take_error(port);
    let stream = forward.take_stream(port).expect("a port is taken once");
    let talk = async { said(tls(stream, reader, &failed).await?, &failed).await };
    let said = talk.await;
    forward.abort();
    // What broke the connection is told beside it.
    match (said, refused) {
        (Err(error), Some(refused)) => match refused.await {
            Some(reason) => Err(failed(reason.trim().to_owned())),
            None => Err(error),
        },
        (said, _) => said,
    }
}

/// A pod of the hub that runs, and the port that it serves on.
async fn pod(hub: &Context, namespace: &str) -> Result<(String, u16), Error> {
    let selector = "app.kubernetes.io/name=bailey,app.kubernetes.io/component=hub";
    let pods = hub.cluster.list(POD, Some(namespace), selector).await?;
    let is_ready = |pod: &&Value| {
        let conditions = pod["status"]["conditions"].as_array();
        let mut conditions = conditions.into_iter().flatten();
        conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
    };
    let runs = |pod: &&Value| pod["status"]["phase"] == "Running";
    let pod = pods.iter().find(is_ready).or_else(|| pods.iter().find(runs));
    let pod = pod.ok_or_else(|| {
        let found = match pods.as_slice() {
            [] => "there is no pod of a hub".to_owned(),
            [pod, ..] => format!(
                "the hub's pod {} does not run",
                pod["metadata"]["name"].as_str().unwrap_or_default()
            ),
        };
        Error::Hub(format!(
            "{}: {found} in namespace {namespace} ({selector}): install it there, or name the hub's address with --hub",
            hub.cluster.title()
        ))
    })?;
    let containers = pod["spec"]["containers"].as_array();
    let mut ports = containers
        .into_iter()
        .flatten()
        .flat_map(|container| container["ports"].as_array().into_iter().flatten());
    let named = ports.find(|port| port["name"] == PORT_NAME);
    let port = named.and_then(|port| port["containerPort"].as_u64());
    let name = pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    Ok((name, port.and_then(|port| port.try_into().ok()).unwrap_or(PORT)))
}

async fn within<T>(step: impl Future<Output = std::io::Result<T>>) -> std::io::Result<T> {
    let done = tokio::time::timeout(STEP_LIMIT, step).await;
    done.unwrap_or_else(|_elapsed| Err(std::io::ErrorKind::TimedOut.into()))
}

async fn tls<S>(stream: S, reader: &Reader, failed: &dyn Fn(String) -> Error) -> Result<Channel, Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let config = client_config_of(&reader.files, &reader.contents);
    let config = config.map_err(|error| failed(format!("cannot be asked: {}", with_sources(&error))))?;
    // A hub is known by the role in its certificate, whatever its name.
    let name = "hub".try_into().expect("it is a name");
    let stream = within(TlsConnector::from(Arc::new(config)).connect(name, stream)).await;
    let stream = stream.map_err(|error| failed(format!("no TLS: {error}")))?;
    http2(stream, failed).await
}

async fn http2<S>(stream: S, failed: &dyn Fn(String) -> Error) -> Result<Channel, Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let once = Mutex::new(Some(TokioIo::new(stream)));
    let connector = tower::service_fn(move |_: Uri| {
        let stream = once.lock().unwrap_or_else(PoisonError::into_inner).take();
        std::future::ready(stream.ok_or(std::io::Error::from(std::io::ErrorKind::NotConnected)))
    });
    let endpoint = Endpoint::from_static("http://hub")
        .connect_timeout(STEP_LIMIT)
        .timeout(STEP_LIMIT);
    let channel = endpoint.connect_with_connector(connector).await;
    channel.map_err(|error| failed(format!("speaks no HTTP/2 ({}): is it a Bailey hub?", innermost(&error))))
}

async fn said(channel: Channel, failed: &dyn Fn(String) -> Error) -> Result<Said, Error> {
    // A hub of a large fleet names some thousand nodes.
    let mut client = InventoryClient::new(channel).max_decoding_message_size(ANSWER_BYTES);
    let refused = |status: tonic::Status| {
        failed(match std::error::Error::source(&status) {
            Some(_) => format!("the connection broke: {}", innermost(&status)),
            None => status.message().to_owned(),
        })
    };
    let clusters = client
        .list_clusters(wire::ListClustersRequest {})
        .await
        .map_err(refused)?;
    let enforcers = client
        .list_enforcers(wire::ListEnforcersRequest::default())
        .await
        .map_err(refused)?;
    let one = wire::ListNamespacesRequest {
        page_size: 1,
        ..wire::ListNamespacesRequest::default()
    };
    let namespaces = client.list_namespaces(one).await.map_err(refused)?;
    Ok(Said {
        freshness: namespaces.into_inner().clusters,
        clusters: clusters.into_inner().clusters,
        enforcers: enforcers.into_inner().enforcers,
    })
}
