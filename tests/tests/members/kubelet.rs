//! A kubelet that does nothing but forward ports, as `kubectl port-forward` uses it: over a WebSocket whose messages begin
//! with a channel, two for each port, data and errors; the first on each channel is the port
//! (kubernetes `pkg/kubelet/server/portforward/websocket.go`).

use super::site::{Site, write};
use futures::{SinkExt, StreamExt};
use rustls::pki_types::PrivateKeyDer;
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

const PROTOCOL: &str = "v4.channel.k8s.io";

/// The port that a hub's container says.
const PORT: u16 = 7443;

/// Makes a node with a kubelet in the hub's cluster, and a Pod on it whose one port is `hub`. Ends with what is returned.
pub async fn pod_of_the_hub(site: &Site, hub: SocketAddr) -> JoinSet<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = site.hub_client().await;
    let node = json!({"metadata": {"name": "n1"}});
    write(&client, "POST", "/api/v1/nodes", &node).await;
    let status = json!({"status": {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
    }});
    write(&client, "PATCH", "/api/v1/nodes/n1/status", &status).await;
    let pod = json!({
        "metadata": {
            "name": "bailey-hub-7d4c",
            "labels": {"app.kubernetes.io/name": "bailey", "app.kubernetes.io/component": "hub"},
        },
        "spec": {
            "nodeName": "n1",
            "containers": [{"name": "hub", "image": "i", "ports": [{"name": "grpc", "containerPort": PORT}]}],
        },
    });
    write(&client, "POST", "/api/v1/namespaces/bailey/pods", &pod).await;
    let status = json!({"status": {"phase": "Running"}});
    write(
        &client,
        "PATCH",
        "/api/v1/namespaces/bailey/pods/bailey-hub-7d4c/status",
        &status,
    )
    .await;
    let mut tasks = JoinSet::new();
    tasks.spawn(serve(listener, hub));
    tasks
}

async fn serve(listener: TcpListener, hub: SocketAddr) {
    let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let mut forwards = JoinSet::new();
    loop {
        let (tcp, _) = listener.accept().await.unwrap();
        forwards.spawn(forward(acceptor.clone(), tcp, hub));
    }
}

#[expect(clippy::result_large_err, reason = "the callback's type is tungstenite's")]
async fn forward(acceptor: TlsAcceptor, tcp: TcpStream, hub: SocketAddr) {
    let tls = acceptor.accept(tcp).await.unwrap();
    let agree = |request: &Request, mut response: Response| {
        let offered = request.headers()["sec-websocket-protocol"].to_str().unwrap();
        assert!(offered.contains(PROTOCOL), "{offered}");
        response
            .headers_mut()
            .insert("sec-websocket-protocol", PROTOCOL.parse().unwrap());
        Ok(response)
    };
    let (mut to_client, mut from_client) = tokio_tungstenite::accept_hdr_async(tls, agree).await.unwrap().split();
    for channel in [0, 1] {
        let [low, high] = PORT.to_le_bytes();
        to_client.send(Message::binary(vec![channel, low, high])).await.unwrap();
    }
    let (mut from_hub, mut to_hub) = TcpStream::connect(hub).await.unwrap().into_split();
    let up = async {
        while let Some(Ok(message)) = from_client.next().await {
            if let Message::Binary(bytes) = message
                && to_hub.write_all(&bytes[1..]).await.is_err()
            {
                break;
            }
        }
    };
    let down = async {
        let mut bytes = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = from_hub.read(&mut bytes).await {
            let message = [&[0], &bytes[..count]].concat();
            if to_client.send(Message::binary(message)).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        () = up => {}
        () = down => {}
    }
}
