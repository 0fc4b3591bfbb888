use super::*;
use crate::certs;
use crate::handle::{Handle, Request};
use crate::inventory::Inventory;
use crate::registry::Registry;
use crate::ring::SharedRing;
use crate::shutdown::Trigger;
use expect_test::expect;
use prost::Message;
use prost_types::FileDescriptorProto;
use proto::model::{Epoch, Revision};
use proto::selector::Switches;
use proto::tls::Files;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::task::JoinHandle;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};
use tonic::{Code, Status};

/// A hub without clusters behind a listener on loopback, with a trial PKI.
struct Hub {
    address: SocketAddr,
    pki: tempfile::TempDir,
    trigger: Trigger,
    served: JoinHandle<Result<(), tonic::transport::Error>>,
}

impl Hub {
    async fn start(secure: bool) -> Self {
        let pki = tempfile::tempdir().expect("a temporary folder");
        issue(pki.path());
        let file = |name: &str| pki.path().join(name);
        let security = if secure {
            Security::MutualTls(Files {
                certificate: file("hub.crt"),
                key: file("hub.key"),
                ca: file("ca.crt"),
            })
        } else {
            Security::Insecure
        };
        let any_port = "127.0.0.1:0".parse().expect("an address");
        let listener = Listener::bind(any_port, &security).await.expect("a listener");
        let address = listener.local_address().expect("its address");
        let (trigger, shutdown) = Shutdown::new();
        let served = tokio::spawn(serve(listener, routes(queries()).await, shutdown));
        Self {
            address,
            pki,
            trigger,
            served,
        }
    }

    /// A client with the certificate of this name, if any, that trusts the CA of `pki`.
    async fn client(&self, pki: &Path, name: Option<&str>) -> Result<Channel, tonic::transport::Error> {
        let read = |name: String| std::fs::read(pki.join(name)).expect("a file of the PKI");
        let hub_ca = std::fs::read(self.pki.path().join("ca.crt")).expect("the hub's CA");
        let mut tls = ClientTlsConfig::new()
            .domain_name("localhost")
            .ca_certificate(Certificate::from_pem(hub_ca));
        if let Some(name) = name {
            tls = tls.identity(Identity::from_pem(
                read(format!("{name}.crt")),
                read(format!("{name}.key")),
            ));
        }
        let endpoint = Channel::from_shared(format!("https://{}", self.address)).expect("a URI");
        endpoint.tls_config(tls)?.connect().await
    }

    async fn reader(&self) -> Channel {
        self.client(self.pki.path(), Some("reader"))
            .await
            .expect("a connection")
    }
}

fn issue(out: &Path) -> PathBuf {
    let order = certs::Order {
        out: out.to_owned(),
        trust_domain: "bailey.test".parse().expect("a trust domain"),
        clusters: vec!["a".parse().expect("a cluster id")],
        nodes: vec!["b/node-1".parse().expect("a node")],
        hub_names: Vec::new(),
        days: 1,
    };
    #[expect(clippy::disallowed_methods, reason = "TLS checks certificates by the wall clock")]
    let now = std::time::SystemTime::now();
    certs::issue(order, now).expect("a PKI");
    out.to_owned()
}

/// Answers from an inventory that is always empty.
fn queries() -> Queries {
    let revision = Revision {
        epoch: Epoch(1),
        sequence: 0,
    };
    let (handle, mut requests) = Handle::new();
    tokio::spawn(async move {
        while let Some(request) = requests.recv().await {
            match request {
                Request::Read(read) => read(&Inventory::default(), revision),
                Request::Snapshot(_) => panic!("queries need no snapshot"),
            }
        }
    });
    Queries::new(
        handle,
        Arc::new(Registry::default()),
        Arc::new(SharedRing::new(revision)),
        Switches::default(),
    )
}

/// Calls a method with an empty message.
async fn call(channel: Channel, method: &str) -> Result<(), Status> {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.map_err(|error| Status::from_error(error.into()))?;
    let path = method.parse().expect("a path");
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    client.unary(tonic::Request::new(()), path, codec).await.map(|_| ())
}

/// C22: A certificate opens what its role needs.
#[tokio::test]
async fn a_certificate_opens_what_its_role_needs() {
    let hub = Hub::start(true).await;
    let foreign = tempfile::tempdir().expect("a temporary folder");
    issue(foreign.path());
    let clients = [
        ("hub", hub.pki.path(), Some("hub")),
        ("reader", hub.pki.path(), Some("reader")),
        ("cluster", hub.pki.path(), Some("cluster-a")),
        ("node", hub.pki.path(), Some("cluster-b@node-1")),
        ("none", hub.pki.path(), None),
        ("foreign", foreign.path(), Some("reader")),
    ];
    let mut table = String::new();
    for (client, pki, name) in clients {
        for method in [
            "bailey.v1.Sync/Report",
            "bailey.v1.Inventory/ListClusters",
            "grpc.health.v1.Health/Check",
        ] {
            let outcome = match hub.client(pki, name).await {
                Ok(channel) => call(channel, &format!("/{method}"))
                    .await
                    .map_err(|status| status.code()),
                Err(_) => Err(Code::Unavailable),
            };
            let outcome = match outcome {
                Ok(()) => "answered",
                // Nothing serves bailey.v1.Sync here: whoever hears that has been let through.
                Err(Code::Unimplemented) => "let through",
                Err(Code::PermissionDenied) => "denied",
                Err(Code::Unavailable | Code::Unknown) => "refused by TLS",
                Err(other) => panic!("{client} {method}: {other:?}"),
            };
            table += &format!("{client:8} {method:33} {outcome}\n");
        }
    }
    expect![[r#"
        hub      bailey.v1.Sync/Report             denied
        hub      bailey.v1.Inventory/ListClusters  denied
        hub      grpc.health.v1.Health/Check       answered
        reader   bailey.v1.Sync/Report             denied
        reader   bailey.v1.Inventory/ListClusters  answered
        reader   grpc.health.v1.Health/Check       answered
        cluster  bailey.v1.Sync/Report             let through
        cluster  bailey.v1.Inventory/ListClusters  denied
        cluster  grpc.health.v1.Health/Check       answered
        node     bailey.v1.Sync/Report             let through
        node     bailey.v1.Inventory/ListClusters  denied
        node     grpc.health.v1.Health/Check       answered
        none     bailey.v1.Sync/Report             refused by TLS
        none     bailey.v1.Inventory/ListClusters  refused by TLS
        none     grpc.health.v1.Health/Check       refused by TLS
        foreign  bailey.v1.Sync/Report             refused by TLS
        foreign  bailey.v1.Inventory/ListClusters  refused by TLS
        foreign  grpc.health.v1.Health/Check       refused by TLS
    "#]]
    .assert_eq(&table);
}

#[tokio::test]
async fn a_certificate_of_another_trust_domain_is_told_so() {
    let hub = Hub::start(true).await;
    let other = tempfile::tempdir().expect("a temporary folder");
    let read = |name: &str| std::fs::read_to_string(hub.pki.path().join(name)).expect("a file of the PKI");
    let key = rcgen::KeyPair::from_pem(&read("ca.key")).expect("the CA's key");
    let issuer = rcgen::Issuer::from_ca_cert_pem(&read("ca.crt"), key).expect("the CA");
    let mut messages = Vec::new();
    for uri in ["bailey://other.test/reader", "https://example.com"] {
        let mut params = rcgen::CertificateParams::default();
        params.subject_alt_names = vec![rcgen::SanType::URI(uri.try_into().expect("ASCII"))];
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &issuer).expect("a certificate");
        std::fs::write(other.path().join("x.crt"), certificate.pem()).expect("a folder");
        std::fs::write(other.path().join("x.key"), key.serialize_pem()).expect("a folder");
        let channel = hub
            .client(other.path(), Some("x"))
            .await
            .expect("it is of the right CA");
        let status = call(channel, "/bailey.v1.Inventory/ListClusters")
            .await
            .expect_err("it may do nothing");
        messages.push(format!("{:?} {}", status.code(), status.message()));
    }
    expect![[r#"
        PermissionDenied bailey://other.test/reader is of another trust domain than this hub, which is of bailey.test
        PermissionDenied the certificate names no role: it needs one bailey:// URI among its subject alternative names, and has URI(https://example.com)"#]].assert_eq(&messages.join("\n"));
}

#[tokio::test]
async fn without_tls_everybody_may_do_everything() {
    let hub = Hub::start(false).await;
    let endpoint = Channel::from_shared(format!("http://{}", hub.address)).expect("a URI");
    let channel = endpoint.connect().await.expect("a connection");
    call(channel.clone(), "/bailey.v1.Inventory/ListClusters")
        .await
        .expect("queries are open");
    let report = call(channel, "/bailey.v1.Sync/Report")
        .await
        .expect_err("nothing serves it here");
    assert_eq!(report.code(), Code::Unimplemented);
}

/// C15: Clients that stall delay nobody.
#[tokio::test]
async fn clients_that_stall_delay_nobody() {
    let hub = Hub::start(true).await;
    let mut stalled = Vec::new();
    for _ in 0..READY_CONNECTIONS * 2 {
        stalled.push(TcpStream::connect(hub.address).await.expect("a connection"));
    }
    call(hub.reader().await, "/bailey.v1.Inventory/ListClusters")
        .await
        .expect("an answer");
}

#[tokio::test]
async fn serving_ends_when_it_is_told_to() {
    let hub = Hub::start(true).await;
    let channel = hub.reader().await;
    call(channel.clone(), "/bailey.v1.Inventory/ListClusters")
        .await
        .expect("an answer");
    hub.trigger.pull();
    hub.served.await.expect("no panic").expect("no error");
    let refused = TcpStream::connect(hub.address)
        .await
        .expect_err("nobody listens any more");
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn an_address_in_use_is_said_with_what_to_do() {
    let hub = Hub::start(false).await;
    let Err(error) = Listener::bind(hub.address, &Security::Insecure).await else {
        panic!("two cannot have one address");
    };
    let text = proto::tls::with_sources(&error).replace(&hub.address.to_string(), "ADDRESS");
    expect!["cannot listen on ADDRESS, stop what listens there or choose another --listen: Address already in use (os error 98)"].assert_eq(&text);
}

/// The names of the services, and the descriptor of `bailey.v1.Inventory`, by one version of the reflection protocol.
macro_rules! reflected {
    ($version:ident, $channel:expr) => {{
        use tonic_reflection::pb::$version::ServerReflectionRequest;
        use tonic_reflection::pb::$version::server_reflection_client::ServerReflectionClient;
        use tonic_reflection::pb::$version::server_reflection_request::MessageRequest;
        use tonic_reflection::pb::$version::server_reflection_response::MessageResponse;
        let ask = |question| ServerReflectionRequest {
            host: String::new(),
            message_request: Some(question),
        };
        let questions = [
            ask(MessageRequest::ListServices(String::new())),
            ask(MessageRequest::FileContainingSymbol("bailey.v1.Inventory".to_owned())),
        ];
        let mut client = ServerReflectionClient::new($channel);
        let answers = client
            .server_reflection_info(tokio_stream::iter(questions))
            .await
            .expect("reflection");
        let answers: Vec<_> = answers
            .into_inner()
            .map(|answer| answer.expect("an answer").message_response)
            .collect()
            .await;
        match answers.as_slice() {
            [
                Some(MessageResponse::ListServicesResponse(list)),
                Some(MessageResponse::FileDescriptorResponse(files)),
            ] => {
                let names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
                let descriptor = FileDescriptorProto::decode(files.file_descriptor_proto[0].as_slice());
                (names.join("\n"), descriptor.expect("a descriptor"))
            }
            other => panic!("unexpected answers: {other:?}"),
        }
    }};
}

#[tokio::test]
async fn reflection_describes_all_in_both_versions() {
    let hub = Hub::start(true).await;
    let (services, descriptor) = reflected!(v1, hub.reader().await);
    let (services_alpha, descriptor_alpha) = reflected!(v1alpha, hub.reader().await);
    expect![[r#"
        bailey.v1.Sync
        bailey.v1.Inventory
        grpc.health.v1.Health
        grpc.reflection.v1.ServerReflection"#]]
    .assert_eq(&services);
    expect![[r#"
        bailey.v1.Sync
        bailey.v1.Inventory
        grpc.health.v1.Health
        grpc.reflection.v1alpha.ServerReflection"#]]
    .assert_eq(&services_alpha);
    assert_eq!(descriptor, descriptor_alpha);
    let comments = descriptor.source_code_info.expect("source code info");
    let comments: Vec<&str> = comments
        .location
        .iter()
        .filter_map(|place| place.leading_comments.as_deref())
        .collect();
    let of_service = " What the hub knows of the ClusterSet. Every answer names the revision it was made at.\n";
    assert!(comments.contains(&of_service), "{comments:#?}");
}
