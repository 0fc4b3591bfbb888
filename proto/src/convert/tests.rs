use super::*;
use expect_test::expect;

fn owners() -> Vec<(IpAddr, Claimants)> {
    [
        ("10.0.0.1", vec![7]),
        ("10.0.0.2", vec![]),
        ("10.0.1.0", vec![3, 9]),
        ("255.255.255.255", vec![1]),
        ("::", vec![2]),
        ("fd00::1", vec![7, 8, 300]),
        ("fd00::2", vec![]),
    ]
    .map(|(address, claimants)| (address.parse().unwrap(), Claimants::from_vec(claimants)))
    .into()
}

fn encoded() -> wire::Owners {
    encode_owners(owners().iter().map(|(address, claimants)| (*address, &claimants[..])))
}

#[test]
fn owners_survive_the_wire() {
    assert_eq!(decode_owners(&encoded()), Ok(owners()));
    assert_eq!(decode_owners(&wire::Owners::default()), Ok(Vec::new()));
}

#[test]
fn owners_that_make_no_sense() {
    type Spoil = fn(&mut wire::Owners);
    let cases: [(Spoil, &str); 9] = [
        (
            |o| o.ipv4_identities.truncate(2),
            "columns of IPv4 addresses differ: 3 and 2",
        ),
        (|o| o.ipv4_gaps[1] = 0, "IPv4 address number 1 is there twice"),
        (|o| o.ipv4_gaps[1] = u32::MAX, "IPv4 address number 1 is past 32 bits"),
        (
            |o| o.ipv6 = o.ipv6.slice(1..),
            "columns of bytes of IPv6 addresses differ: 31 and 32",
        ),
        (
            |o| o.ipv6 = [&o.ipv6[16..], &o.ipv6[..16]].concat().into(),
            "address :: is there twice or out of order",
        ),
        (|o| o.shared[0].address = vec![1; 5], "an address of 5 bytes"),
        (|o| o.shared[0].identities = vec![3], "10.0.1.0 is shared by nobody"),
        (
            |o| o.shared[0].identities = vec![3, 3],
            "identity 3 is there twice or out of order",
        ),
        (
            |o| o.shared[0].address = vec![10, 0, 0, 1],
            "address 10.0.0.1 is there twice or out of order",
        ),
    ];
    for (spoil, expected) in cases {
        let mut owners = encoded();
        spoil(&mut owners);
        assert_eq!(decode_owners(&owners), Err(Malformed(expected.to_owned())));
    }
}

#[test]
fn strings_survive_the_wire() {
    let strings = vec![(1, "app"), (2, ""), (4_000_000_000, "web")];
    let columns = encode_strings(strings.clone());
    assert_eq!(columns.gaps, [1, 1, 3_999_999_998]);
    assert_eq!(decode_strings(&columns), Ok(strings));
}

#[test]
fn revisions_survive_the_wire() {
    let revision = Revision {
        epoch: Epoch(0x0123_4567_89ab_cdef_0011_2233_4455_6677),
        sequence: 42,
    };
    assert_eq!(Revision::from(&wire::Revision::from(revision)), revision);
}

#[test]
fn states_survive_the_wire() {
    let cluster: ClusterName = "east".parse().unwrap();
    for state in [
        ClusterState::Syncing,
        ClusterState::Live,
        ClusterState::Stale,
        ClusterState::Left,
    ] {
        let status = encode_status(&cluster, state, 5);
        assert_eq!(decode_status(&status), Ok((cluster.clone(), state)));
    }
}

/// The bytes of a frame are a contract with other releases.
#[test]
fn golden_frame() {
    let frame = wire::Frame {
        revision: Some(wire::Revision {
            epoch_high: 1,
            epoch_low: 2,
            sequence: 3,
        }),
        oldest_age_us: 1500,
        body: Some(wire::frame::Body::Delta(wire::Delta {
            strings: Some(encode_strings([
                (1, "a"),
                (2, "x"),
                (3, "app"),
                (4, "web"),
                (5, "http"),
            ])),
            identities: vec![wire::Identity {
                id: 7,
                cluster: 1,
                namespace: 2,
                labels: vec![3, 4],
                ports: vec![encode_port(5, Protocol::Tcp, 8080)],
            }],
            retired_identities: vec![6],
            retired_strings: vec![],
            namespaces: vec![wire::NamespaceLabels {
                cluster: 1,
                name: 2,
                labels: vec![3, 4],
                gone: false,
            }],
            owners: Some(encoded()),
            clusters: vec![encode_status(&"a".parse().unwrap(), ClusterState::Live, 20)],
            node_addresses: vec![wire::NodeAddress {
                cluster: 1,
                address: encode_address("192.0.2.1".parse().unwrap()),
                gone: true,
            }],
        })),
    };
    let message = encode_message(&frame);
    let lines: Vec<String> = message
        .chunks(16)
        .map(|line| {
            line.iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect();
    expect![[r#"
        00 00 00 00 d1 0a 14 09 01 00 00 00 00 00 00 00
        11 02 00 00 00 00 00 00 00 18 03 10 dc 0b 52 b5
        01 0a 1d 0a 05 01 01 01 01 01 12 01 61 12 01 78
        12 03 61 70 70 12 03 77 65 62 12 04 68 74 74 70
        12 13 08 07 10 01 18 02 22 02 03 04 2a 07 08 05
        10 06 18 90 3f 1a 01 06 2a 08 08 01 10 02 1a 02
        03 04 32 5d 0a 0a 81 80 80 50 01 fd ff ff af 0f
        12 03 07 00 01 1a 20 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 fd 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 02 22 02 02 00 2a 0a 0a 04 0a
        00 01 00 12 02 03 09 2a 18 0a 10 fd 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 01 12 04 07 08 ac
        02 3a 07 0a 01 61 10 02 18 14 42 0a 08 01 12 04
        c0 00 02 01 18 01"#]]
    .assert_eq(&lines.join("\n"));
    assert_eq!(wire::Frame::decode(message.slice(GRPC_PREFIX..)), Ok(frame));
}
