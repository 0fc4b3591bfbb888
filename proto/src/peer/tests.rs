use super::*;
use rcgen::{CertificateParams, KeyPair, SanType};

fn certificate(names: &[SanType]) -> CertificateDer<'static> {
    let mut params = CertificateParams::default();
    params.subject_alt_names = names.to_vec();
    params.not_after = rcgen::date_time_ymd(2031, 7, 1);
    let key = KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().der().clone()
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

fn peer(names: &[SanType]) -> Result<Name, PeerError> {
    Peer::of(&certificate(names)).map(|peer| peer.name)
}

#[test]
fn roles() {
    let cluster = |name: &str| name.parse::<ClusterName>().unwrap();
    let roles = [
        ("hub", Role::Hub),
        ("reader", Role::Reader),
        ("cluster/east", Role::Cluster(cluster("east"))),
        (
            "cluster/Prod_1.eu/node/ip-10-0-0-1.internal",
            Role::Node {
                cluster: cluster("Prod_1.eu"),
                node: "ip-10-0-0-1.internal".into(),
            },
        ),
    ];
    for (path, role) in roles {
        let name = Name {
            trust_domain: "example.org".into(),
            role,
        };
        let text = format!("bailey://example.org/{path}");
        assert_eq!(name.to_string(), text);
        let foreign = [
            SanType::DnsName("hub.example.org".try_into().unwrap()),
            uri("spiffe://x/y"),
        ];
        assert_eq!(peer(&[&foreign[..], &[uri(&text)]].concat()), Ok(name));
    }
}

#[test]
fn what_is_no_role() {
    for text in [
        "bailey://",
        "bailey:///hub",
        "bailey://example.org",
        "bailey://example.org/",
        "bailey://example.org/hub/",
        "bailey://example.org//hub",
        "bailey://example.org/HUB",
        "bailey://Example.org/hub",
        "bailey://example.org:443/hub",
        "bailey://me@example.org/hub",
        "bailey://example.org/hub?x",
        "bailey://example.org/cluster",
        "bailey://example.org/cluster/",
        "bailey://example.org/cluster/../hub",
        "bailey://example.org/cluster/east/node",
        "bailey://example.org/cluster/east/node/",
        "bailey://example.org/cluster/east/node/a%2fb",
        "bailey://example.org/cluster/east/node/a/b",
        "bailey://example.org/cluster/-east",
    ] {
        let refused = PeerError::Malformed(InvalidName(text.to_owned()));
        assert_eq!(peer(&[uri(text)]), Err(refused));
    }
}

#[test]
fn a_certificate_has_exactly_one_role() {
    assert_eq!(peer(&[]), Err(PeerError::NoRole("none".to_owned())));
    let refused = peer(&[SanType::DnsName("hub".try_into().unwrap())]).unwrap_err();
    assert!(
        matches!(&refused, PeerError::NoRole(names) if names.contains("hub")),
        "{refused}"
    );
    let twice = uri("bailey://example.org/reader");
    let both = "bailey://example.org/reader, bailey://example.org/reader".to_owned();
    assert_eq!(peer(&[twice.clone(), twice]), Err(PeerError::SeveralRoles(both)));
}

#[test]
fn a_certificate_ends() {
    let expires = Peer::of(&certificate(&[uri("bailey://x/hub")])).unwrap().not_after;
    let first_of_july_2031 = Duration::from_secs(1_940_630_400);
    assert_eq!(expires, SystemTime::UNIX_EPOCH + first_of_july_2031);
}

#[test]
fn garbage_is_no_certificate() {
    let refused = Peer::of(&CertificateDer::from(vec![0x30, 0x03, 1, 2])).unwrap_err();
    assert!(matches!(refused, PeerError::Unreadable(_)), "{refused}");
}
