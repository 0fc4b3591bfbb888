use super::pki::{Pki, Validity};
use super::*;
use std::fs;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// What both ends make of a connection: who the other one is, or why not.
async fn shake(server: Arc<ServerConfig>, client: &Files) -> (Result<Name, String>, Result<Name, String>) {
    let (near, far) = tokio::io::duplex(1 << 16);
    let connector = TlsConnector::from(Arc::new(client_config(client).await.unwrap()));
    let accepted = tokio::spawn(TlsAcceptor::from(server).accept(far));
    let connected = connector.connect("192.0.2.1".try_into().unwrap(), near).await;
    let accepted = accepted.await.unwrap();
    let name = |chain: Option<&[CertificateDer<'static>]>| Peer::of(&chain.unwrap()[0]).unwrap().name;
    (
        connected
            .map(|stream| name(stream.get_ref().1.peer_certificates()))
            .map_err(|error| error.to_string()),
        accepted
            .map(|stream| name(stream.get_ref().1.peer_certificates()))
            .map_err(|error| error.to_string()),
    )
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

#[tokio::test]
async fn both_ends_know_each_other() {
    let pki = Pki::new();
    let (server, _watch) = ServerTls::open(pki.issue("hub", "hub")).await.unwrap();
    let client = pki.issue("node", "cluster/a/node/n1");
    let seen = shake(Arc::clone(&server.accepting().config), &client).await;
    assert_eq!(
        seen,
        (
            Ok(name("bailey://test/hub")),
            Ok(name("bailey://test/cluster/a/node/n1"))
        )
    );
}

#[tokio::test]
async fn a_client_accepts_only_a_hub_of_its_own() {
    let (pki, foreign) = (Pki::new(), Pki::new());
    let client = pki.issue("node", "cluster/a");
    let reader = pki.issue("reader", "reader");
    let elsewhere = pki.issue_uri("elsewhere", "bailey://elsewhere/hub", Validity::Now);
    let expired = pki.issue_uri("expired", "bailey://test/hub", Validity::Expired);
    let impostor = Files {
        ca: client.ca.clone(),
        ..foreign.issue("hub", "hub")
    };
    for (files, expected) in [
        (
            reader,
            r#"Another(Name { trust_domain: "test", role: Reader }, "test")"#,
        ),
        (
            elsewhere,
            r#"Another(Name { trust_domain: "elsewhere", role: Hub }, "test")"#,
        ),
        (expired, "certificate expired"),
        (impostor, "BadSignature"),
    ] {
        let material = parse(&files, &Contents::read(&files).await.unwrap()).unwrap();
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(material.chain, material.key)
            .unwrap();
        let (client_saw, _) = shake(Arc::new(config), &client).await;
        let error = client_saw.unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_hub_accepts_only_certificates_of_its_ca() {
    let (pki, foreign) = (Pki::new(), Pki::new());
    let (server, _watch) = ServerTls::open(pki.issue("hub", "hub")).await.unwrap();
    let stranger = Files {
        ca: pki.files("hub").ca,
        ..foreign.issue("node", "cluster/a")
    };
    let (_, hub_saw) = shake(Arc::clone(&server.accepting().config), &stranger).await;
    let error = hub_saw.unwrap_err();
    assert!(error.contains("BadSignature"), "{error}");

    let expired = pki.issue_uri("old", "bailey://test/cluster/a", Validity::Expired);
    let (_, hub_saw) = shake(Arc::clone(&server.accepting().config), &expired).await;
    let error = hub_saw.unwrap_err();
    assert!(error.contains("certificate expired"), "{error}");
}

#[tokio::test]
async fn new_files_are_taken_and_wrong_ones_are_not() {
    let pki = Pki::new();
    let files = pki.issue_uri("hub", "bailey://test/hub", Validity::Now);
    let (server, _watch) = ServerTls::open(files.clone()).await.unwrap();
    let mut seen = Contents::read(&files).await.unwrap();
    let first = server.accepting();
    assert!(matches!(server.look(&mut seen).await, Look::Same));

    // Certificate and key arrive one after the other.
    let old_key = fs::read(&files.key).unwrap();
    pki.issue("hub", "hub");
    let new_key = fs::read(&files.key).unwrap();
    fs::write(&files.key, old_key).unwrap();
    assert!(matches!(
        server.look(&mut seen).await,
        Look::Wrong(TlsError::Unusable(..))
    ));
    assert!(Arc::ptr_eq(&server.accepting(), &first));
    fs::write(&files.key, &new_key).unwrap();
    assert!(matches!(server.look(&mut seen).await, Look::Changed));
    let second = server.accepting();
    assert!(!Arc::ptr_eq(&second, &first));
    assert!(matches!(server.look(&mut seen).await, Look::Same));

    fs::write(&files.certificate, "nothing").unwrap();
    assert!(matches!(
        server.look(&mut seen).await,
        Look::Wrong(TlsError::Pem { .. })
    ));
    fs::remove_file(&files.certificate).unwrap();
    assert!(matches!(server.look(&mut seen).await, Look::Wrong(TlsError::Read(..))));
    assert!(Arc::ptr_eq(&server.accepting(), &second));

    // Clients of the former CA are refused from the next connection on.
    let client = pki.issue("node", "cluster/a");
    let other = Pki::new();
    let moved = other.issue("hub", "hub");
    for (from, to) in [
        (&moved.certificate, &files.certificate),
        (&moved.key, &files.key),
        (&moved.ca, &files.ca),
    ] {
        fs::copy(from, to).unwrap();
    }
    assert!(matches!(server.look(&mut seen).await, Look::Changed));
    let (_, hub_saw) = shake(Arc::clone(&server.accepting().config), &client).await;
    assert!(hub_saw.is_err());
    let theirs = other.issue("node", "cluster/a");
    let (client_saw, hub_saw) = shake(Arc::clone(&server.accepting().config), &theirs).await;
    assert_eq!((client_saw.is_ok(), hub_saw.is_ok()), (true, true));
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() {
    let pki = Pki::new();
    let (hub, reader) = (pki.issue("hub", "hub"), pki.issue("reader", "reader"));
    let roleless = pki.issue_uri("roleless", "https://example.org", Validity::Now);
    let empty = Files {
        ca: hub.key.clone(),
        ..hub.clone()
    };
    let missing = Files {
        key: "/nowhere/tls.key".into(),
        ..hub.clone()
    };
    for (files, expected) in [
        (
            reader,
            "reader.crt is the certificate of bailey://test/reader, and a hub's is needed",
        ),
        (roleless, "roleless.crt cannot be used: the certificate names no role"),
        (empty, "hub.key holds no certificate in PEM"),
        (missing, "cannot read /nowhere/tls.key: No such file"),
    ] {
        let Err(error) = ServerTls::open(files).await else {
            panic!("expected {expected}");
        };
        let error = with_sources(&error);
        assert!(error.contains(expected), "{error}");
    }
    let error = client_config(&hub).await.unwrap_err();
    let expected = "hub.crt is the certificate of bailey://test/hub, and an enforcer's or a reader's is needed";
    assert!(error.to_string().ends_with(expected), "{error}");
}

/// A Secret as the kubelet mounts it: links into a folder that is itself a link, so that all files change at once.
struct Mounted(tempfile::TempDir);

impl Mounted {
    const NAMES: [&str; 3] = ["tls.crt", "tls.key", "ca.crt"];

    fn new(content: &Files) -> Self {
        let mounted = Self(tempfile::tempdir().unwrap());
        mounted.swap(content);
        for name in Self::NAMES {
            std::os::unix::fs::symlink(format!("..data/{name}"), mounted.0.path().join(name)).unwrap();
        }
        mounted
    }

    fn files(&self) -> Files {
        let [certificate, key, ca] = Self::NAMES.map(|name| self.0.path().join(name));
        Files { certificate, key, ca }
    }

    fn swap(&self, content: &Files) {
        let folder = self.0.path();
        let generation = tempfile::Builder::new().prefix("..").tempdir_in(folder).unwrap().keep();
        for (name, from) in Self::NAMES
            .into_iter()
            .zip([&content.certificate, &content.key, &content.ca])
        {
            fs::copy(from, generation.join(name)).unwrap();
        }
        let former = fs::canonicalize(folder.join("..data")).ok();
        std::os::unix::fs::symlink(generation.file_name().unwrap(), folder.join("..data_tmp")).unwrap();
        fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
        if let Some(former) = former {
            fs::remove_dir_all(former).unwrap();
        }
    }
}

#[tokio::test]
async fn a_mounted_secret_that_is_renewed_is_taken_by_both_ends() {
    let pki = Pki::new();
    let hub = Mounted::new(&pki.issue("hub", "hub"));
    let node = Mounted::new(&pki.issue("node", "cluster/a/node/n1"));
    let (server, _watch) = ServerTls::open(hub.files()).await.unwrap();
    let mut seen = Contents::read(&hub.files()).await.unwrap();
    let first = server.accepting();
    assert!(matches!(server.look(&mut seen).await, Look::Same));

    hub.swap(&pki.issue("hub", "hub"));
    node.swap(&pki.issue("node", "cluster/a/node/n2"));
    assert!(matches!(server.look(&mut seen).await, Look::Changed));
    assert!(!Arc::ptr_eq(&server.accepting(), &first));
    let said = shake(Arc::clone(&server.accepting().config), &node.files()).await;
    let expected = (
        Ok(name("bailey://test/hub")),
        Ok(name("bailey://test/cluster/a/node/n2")),
    );
    assert_eq!(said, expected);
}
