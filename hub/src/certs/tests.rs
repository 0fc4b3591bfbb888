use super::*;
use expect_test::expect;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::parse_x509_pem;

fn now() -> SystemTime {
    let seconds_to_2026 = 1_767_225_600;
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds_to_2026)
}

fn order(out: &Path) -> Order {
    Order {
        out: out.to_owned(),
        trust_domain: "bailey.test".parse().expect("a trust domain"),
        clusters: vec!["a".parse().expect("a cluster id")],
        nodes: vec!["b/node-1".parse().expect("a node")],
        hub_names: vec!["hub.example.com".parse().expect("a host name")],
        days: 7,
    }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// Name, permissions and content of each file.
fn files(folder: &Path) -> BTreeMap<String, (u32, Vec<u8>)> {
    fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| {
            let entry = entry.expect("an entry");
            let mode = entry.metadata().expect("its metadata").permissions().mode() & 0o777;
            let content = fs::read(entry.path()).expect("its content");
            (entry.file_name().to_string_lossy().into_owned(), (mode, content))
        })
        .collect()
}

/// The certificate's subject alternative names.
fn names(path: &Path) -> Vec<String> {
    let text = fs::read(path).expect("a certificate");
    let (_, pem) = parse_x509_pem(&text).expect("PEM");
    let certificate = pem.parse_x509().expect("X.509");
    let names = certificate.subject_alternative_name().expect("at most one extension");
    let names = names.expect("an extension").value.general_names.iter();
    names
        .map(|name| match name {
            GeneralName::URI(uri) => format!("URI:{uri}"),
            GeneralName::DNSName(name) => format!("DNS:{name}"),
            GeneralName::IPAddress(bytes) => format!("IP:{bytes:?}"),
            other => format!("{other:?}"),
        })
        .collect()
}

#[test]
fn writes_a_pair_for_each_and_keys_for_the_owner_only() {
    let folder = folder();
    let out = folder.path().join("deep/pki");
    issue(order(&out), now()).expect("a PKI");
    let modes: Vec<String> = files(&out)
        .into_iter()
        .map(|(name, (mode, _))| format!("{mode:o} {name}"))
        .collect();
    expect![[r#"
        644 ca.crt
        600 ca.key
        644 cluster-a.crt
        600 cluster-a.key
        644 cluster-b@node-1.crt
        600 cluster-b@node-1.key
        644 hub.crt
        600 hub.key
        644 reader.crt
        600 reader.key"#]]
    .assert_eq(&modes.join("\n"));
}

#[test]
fn the_uri_says_the_role_and_the_hub_has_its_names() {
    let folder = folder();
    issue(order(folder.path()), now()).expect("a PKI");
    let all: Vec<String> = ["hub", "reader", "cluster-a", "cluster-b@node-1"]
        .iter()
        .map(|name| {
            let names = names(&folder.path().join(format!("{name}.crt")));
            format!("{name}: {}", names.join(" "))
        })
        .collect();
    expect![[r#"
        hub: URI:bailey://bailey.test/hub DNS:localhost IP:[127, 0, 0, 1] IP:[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1] DNS:hub.example.com
        reader: URI:bailey://bailey.test/reader
        cluster-a: URI:bailey://bailey.test/cluster/a
        cluster-b@node-1: URI:bailey://bailey.test/cluster/b/node/node-1"#]].assert_eq(&all.join("\n"));
}

/// What rustls says to a client certificate at a time.
fn verify(folder: &Path, name: &str, at: SystemTime) -> Result<(), rustls::Error> {
    let read = |name: &str| CertificateDer::from_pem_file(folder.join(name)).expect("a certificate");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(read("ca.crt")).expect("a CA");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
        .build()
        .expect("a verifier");
    let at = at.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    verifier
        .verify_client_cert(&read(&format!("{name}.crt")), &[], UnixTime::since_unix_epoch(at))
        .map(|_| ())
}

#[test]
fn the_chain_verifies_for_as_long_as_ordered() {
    let folder = folder();
    issue(order(folder.path()), now()).expect("a PKI");
    for name in ["hub", "reader", "cluster-a", "cluster-b@node-1"] {
        assert_eq!(verify(folder.path(), name, now()), Ok(()), "{name}");
        assert_eq!(
            verify(folder.path(), name, now() + DAY * 7 - CLOCK_SKEW),
            Ok(()),
            "{name}"
        );
        verify(folder.path(), name, now() + DAY * 7 + CLOCK_SKEW).expect_err("it has expired");
        verify(folder.path(), name, now() - CLOCK_SKEW * 2).expect_err("it is not valid yet");
        PrivateKeyDer::from_pem_file(folder.path().join(format!("{name}.key"))).expect("a key");
    }
}

#[test]
fn a_later_run_keeps_the_ca_and_renews_the_rest() {
    let folder = folder();
    issue(order(folder.path()), now()).expect("a PKI");
    let first = files(folder.path());
    let later = now() + DAY * 30;
    let mut order = order(folder.path());
    order.clusters = vec!["a".parse().expect("a cluster id"), "c".parse().expect("a cluster id")];
    order.nodes.clear();
    let issued = issue(order, later).expect("the same PKI");

    let second = files(folder.path());
    let fate = |name: &str| match first.get(name) {
        None => "new",
        Some(before) if *before == second[name] => "kept",
        Some(_) => "replaced",
    };
    let fates: Vec<String> = second.keys().map(|name| format!("{name} {}", fate(name))).collect();
    expect![[r#"
        ca.crt kept
        ca.key kept
        cluster-a.crt replaced
        cluster-a.key replaced
        cluster-b@node-1.crt kept
        cluster-b@node-1.key kept
        cluster-c.crt new
        cluster-c.key new
        hub.crt replaced
        hub.key replaced
        reader.crt replaced
        reader.key replaced"#]]
    .assert_eq(&fates.join("\n"));
    for name in ["hub", "reader", "cluster-a", "cluster-c"] {
        assert_eq!(verify(folder.path(), name, later), Ok(()), "{name}");
    }
    let text = issued.to_string().replace(&*folder.path().to_string_lossy(), "pki");
    expect![[r#"
        A trial PKI in pki, each certificate as NAME.crt and NAME.key:
          ca         kept     Bailey trial CA of bailey.test; keep ca.key to yourself
          hub        renewed  bailey://bailey.test/hub, localhost, 127.0.0.1, ::1, hub.example.com
          reader     renewed  bailey://bailey.test/reader
          cluster-a  renewed  bailey://bailey.test/cluster/a
          cluster-c  new      bailey://bailey.test/cluster/c
        All but the CA are valid for 7 days; run this again to renew them.

        Next, start the hub and ask it:
          hub --clusters DIR --tls-cert pki/hub.crt --tls-key pki/hub.key --client-ca pki/ca.crt
          grpcurl -cacert pki/ca.crt -cert pki/reader.crt -key pki/reader.key localhost:7443 bailey.v1.Inventory/ListClusters
        and on a node of a:
          enforcer run --hub https://HUB:7443 --cluster a --node NODE --kubeconfig FILE --hub-ca ca.crt --tls-cert cluster-a.crt --tls-key cluster-a.key
    "#]].assert_eq(&text);
}

#[test]
fn no_certificate_outlives_its_ca() {
    let folder = folder();
    issue(order(folder.path()), now()).expect("a PKI");
    let shortly_before = now() + ca::LIFETIME - DAY;
    issue(order(folder.path()), shortly_before).expect("the CA is still valid");
    assert_eq!(verify(folder.path(), "hub", shortly_before), Ok(()));
    verify(folder.path(), "hub", now() + ca::LIFETIME + CLOCK_SKEW).expect_err("the CA has expired");
}

/// A run in a folder where something is wrong with the CA: the error, and that the CA's files stay.
fn refusal(spoil: impl Fn(&Path), change: impl Fn(&mut Order)) -> String {
    let folder = folder();
    issue(order(folder.path()), now()).expect("a PKI");
    spoil(folder.path());
    let before = files(folder.path());
    let mut order = order(folder.path());
    change(&mut order);
    let error = issue(order, now() + DAY).expect_err("the CA does not fit");
    assert_eq!(before, files(folder.path()), "a refused order changes nothing");
    error.to_string().replace(&*folder.path().to_string_lossy(), "pki")
}

#[test]
fn a_ca_is_never_replaced() {
    let remove = |name: &'static str| move |folder: &Path| fs::remove_file(folder.join(name)).expect("it was there");
    let write = |name: &'static str| move |folder: &Path| fs::write(folder.join(name), "?").expect("a folder");
    let errors = [
        refusal(remove("ca.key"), |_| ()),
        refusal(remove("ca.crt"), |_| ()),
        refusal(write("ca.key"), |_| ()),
        refusal(write("ca.crt"), |_| ()),
        refusal(
            |folder| {
                fs::copy(folder.join("hub.key"), folder.join("ca.key")).expect("both are there");
            },
            |_| (),
        ),
        refusal(
            |_| (),
            |order| order.trust_domain = "other.test".parse().expect("a trust domain"),
        ),
    ];
    expect![[r#"
        pki/ca.crt is there, pki/ca.key is not: put it back, or move the other away for a new CA
        pki/ca.key is there, pki/ca.crt is not: put it back, or move the other away for a new CA
        pki/ca.key: PEM error: malformedframing; choose another --out, or move this CA away for a new one
        pki/ca.crt: Parsing Error: MissingHeader; choose another --out, or move this CA away for a new one
        pki/ca.key: this is not the key of ca.crt; choose another --out, or move this CA away for a new one
        pki/ca.crt: this CA is "Bailey trial CA of bailey.test", not "Bailey trial CA of other.test"; choose another --out, or move this CA away for a new one"#]].assert_eq(&errors.join("\n"));
}
