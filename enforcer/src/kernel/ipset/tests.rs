use super::*;
use crate::kernel::message::Received;
use crate::kernel::message::tests::hex;
use expect_test::{Expect, expect};

fn check(write: impl FnOnce(&mut Messages), expected: &Expect) {
    let mut messages = Messages::default();
    write(&mut messages);
    expected.assert_eq(&hex(&messages.numbered(1)));
}

fn members(kind: SetKind) -> BTreeSet<Element> {
    let (v4, v6) = (IpAddr::from([10, 1, 2, 3]), IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 1]));
    match kind {
        SetKind::Addresses => [Element::Address(v4), Element::Address(v6)].into(),
        SetKind::Blocks => [
            Element::Block {
                net: IpNet::new(IpAddr::from([10, 0, 0, 0]), 8).unwrap(),
                nomatch: false,
            },
            Element::Block {
                net: IpNet::new(IpAddr::from([10, 1, 0, 0]), 16).unwrap(),
                nomatch: true,
            },
        ]
        .into(),
        SetKind::Ports => [
            Element::Port(v4, Protocol::Tcp, 8080),
            Element::Port(v6, Protocol::Sctp, 1),
        ]
        .into(),
    }
}

const KINDS: [SetKind; 3] = [SetKind::Addresses, SetKind::Blocks, SetKind::Ports];

#[test]
fn create_hash_net_family_inet6() {
    let set = Set {
        kind: SetKind::Blocks,
        family: Family::V6,
        members: BTreeSet::new(),
    };
    check(
        |messages| create(messages, "bly6-x", &set),
        &expect![[r#"
        5c000000 02060506 01000000 00000000
        0a000000 05000100 07000000 0b000200
        626c7936 2d780000 0d000300 68617368
        3a6e6574 00000000 05000400 02000000
        05000500 0a000000 14000780 08001240
        00000040 08001340 00100000
    "#]],
    );
}

#[test]
fn a_set_for_many_members_has_buckets_for_them() {
    let addresses = (0..300_u16).map(|number| Element::Address(IpAddr::from([0, 0, 0, 0, 0, 0, 0, number])));
    let set = Set {
        kind: SetKind::Addresses,
        family: Family::V6,
        members: addresses.collect(),
    };
    let mut messages = Messages::default();
    create(&mut messages, "bly6-x", &set);
    let bytes = messages.numbered(0);
    let [message] = Received::parse(&bytes).unwrap().try_into().unwrap();
    let data = Attributes::of_message(message.payload).unwrap().nest(ATTR_DATA);
    assert_eq!(
        (data.be32(ATTR_HASHSIZE), data.be32(ATTR_MAXELEM)),
        (Ok(512), Ok(1 << 20))
    );
}

#[test]
fn add_addresses() {
    check(
        |messages| add(messages, "bly", &members(SetKind::Addresses)),
        &expect![[r#"
            5c000000 09060500 01000000 00000000
            02000000 05000100 07000000 08000200
            626c7900 08000900 00000000 30000880
            1c000780 18000180 14000240 fd000000
            00000000 00000000 00000001 10000780
            0c000180 08000140 0a010203
        "#]],
    );
}

#[test]
fn add_blocks_with_the_exception_first() {
    check(
        |messages| add(messages, "bly", &members(SetKind::Blocks)),
        &expect![[r#"
            68000000 09060500 01000000 00000000
            02000000 05000100 07000000 08000200
            626c7900 08000900 00000000 3c000880
            20000780 0c000180 08000140 0a010000
            05000300 10000000 08000840 00000004
            18000780 0c000180 08000140 0a000000
            05000300 08000000
        "#]],
    );
}

#[test]
fn remove_ports() {
    check(
        |messages| remove(messages, "bly", &members(SetKind::Ports)),
        &expect![[r#"
            7c000000 0a060500 01000000 00000000
            02000000 05000100 07000000 08000200
            626c7900 08000900 00000000 50000880
            20000780 0c000180 08000140 0a010203
            05000700 06000000 06000440 1f900000
            2c000780 18000180 14000240 fd000000
            00000000 00000000 00000001 05000700
            84000000 06000440 00010000
        "#]],
    );
}

#[test]
fn destroy_and_ask_for_an_index() {
    let both = |messages: &mut Messages| {
        destroy(messages, "bly");
        index(messages, "bly");
    };
    check(
        both,
        &expect![[r#"
            24000000 03060500 01000000 00000000
            02000000 05000100 07000000 08000200
            626c7900

            24000000 0e060500 02000000 00000000
            02000000 05000100 07000000 08000200
            626c7900
        "#]],
    );
}

#[test]
fn list_all_and_their_names() {
    let both = |messages: &mut Messages| {
        list(messages);
        list_names(messages);
    };
    check(
        both,
        &expect![[r#"
            1c000000 07060103 01000000 00000000
            02000000 05000100 07000000

            24000000 07060103 02000000 00000000
            02000000 05000100 07000000 08000640
            00000002
        "#]],
    );
}

#[test]
fn members_are_read_as_they_are_written() {
    for kind in KINDS {
        let mut messages = Messages::default();
        add(&mut messages, "bly", &members(kind));
        let bytes = messages.numbered(0);
        let [message] = Received::parse(&bytes).unwrap().try_into().unwrap();
        let part = Part::parse(message.payload).unwrap();
        assert_eq!(part.name, "bly");
        assert!(
            part.head().is_none(),
            "a part without a head goes on with the set of the part before"
        );
        assert_eq!(
            part.members(kind).unwrap().into_iter().collect::<BTreeSet<_>>(),
            members(kind)
        );
    }
}

#[test]
fn a_head_tells_kind_and_family() {
    let head = |kind: &str, family: u8| {
        let mut messages = Messages::default();
        message(&mut messages, (CMD_LIST, 0), NFPROTO_IPV4, "bly", |attributes| {
            attributes.text(ATTR_TYPENAME, kind);
            attributes.u8(ATTR_FAMILY, family);
        });
        let bytes = messages.numbered(0);
        let [message] = Received::parse(&bytes).unwrap().try_into().unwrap();
        Part::parse(message.payload)
            .unwrap()
            .head()
            .map(|head| head.map_err(str::to_owned))
    };
    for kind in KINDS {
        for family in Family::ALL {
            assert_eq!(head(&kind.to_string(), family_number(family)), Some(Ok((kind, family))));
        }
    }
    assert_eq!(head("list:set", 0), Some(Err("list:set".to_owned())));
}

#[test]
fn many_members_take_several_messages_and_one_confirmation() {
    let addresses = (0..70_000_u32).map(|number| {
        let address = IpAddr::from((0xfd_u128 << 120 | u128::from(number)).to_be_bytes());
        Element::Port(address, Protocol::Tcp, 80)
    });
    let mut messages = Messages::default();
    add(&mut messages, "bly6-abcdefghijklmnopqrstuvwxyz", &addresses.collect());
    assert_eq!((messages.count(), messages.confirmed_by()), (50, Some(49)));
}
