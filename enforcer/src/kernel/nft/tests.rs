use super::dump::{
    Chain, MSG_GETRULE, Named, dump, read_counted, read_counter, read_dispatch, read_keys, read_rule, tag,
};
use super::*;
use crate::kernel::message::Received;
use crate::kernel::message::tests::hex;
use crate::ruleset::{LinkName, SetKind, Side, Verdict};
use expect_test::{Expect, expect};

/// The bytes of a transaction's messages without its begin and end.
fn check(write: impl FnOnce(&mut Batch), expected: &Expect) {
    let mut batch = Batch::begin();
    write(&mut batch);
    expected.assert_eq(&hex(&batch.check().numbered(0)[BATCH_MESSAGE_BYTES..]));
}

/// A netlink header and a netfilter header.
const BATCH_MESSAGE_BYTES: usize = 20;

/// The only message that is written, between begin and end.
fn written(write: impl FnOnce(&mut Batch)) -> Vec<u8> {
    let mut batch = Batch::begin();
    write(&mut batch);
    let bytes = batch.check().numbered(0);
    let [_, message] = Received::parse(&bytes).unwrap().try_into().unwrap();
    message.payload.to_vec()
}

fn rule(matches: Vec<Match>, verdict: Verdict) -> Rule {
    Rule { matches, verdict }
}

fn check_rule(family: TableFamily, rule: &Rule, expected: &Expect) {
    let chain = ChainName::fixed("c");
    check(|batch| batch.add_rule(family, &chain, rule, &|_| 0x0102), expected);
}

#[test]
fn an_empty_transaction() {
    expect![[r#"
        14000000 10000500 01000000 00000000
        0000000a

        14000000 11000100 02000000 00000000
        0000000a
    "#]]
    .assert_eq(&hex(&Batch::begin().commit().numbered(1)));
}

#[test]
fn a_table_with_its_maps() {
    let write = |batch: &mut Batch| {
        batch.add_table(TableFamily::Ip);
        batch.add_map(Family::V4, Direction::Egress);
        batch.add_map(Family::V6, Direction::Ingress);
    };
    check(
        write,
        &expect![[r#"
            20000000 000a0104 01000000 00000000
            02000000 0b000100 6261696c 65790000

            5c000000 090a0104 02000000 00000000
            02000000 0b000100 6261696c 65790000
            0b000200 65677265 73730000 08000300
            00000008 08000400 00000007 08000500
            00000004 08000600 ffffff00 08000700
            00000010 08000a00 00000001

            5c000000 090a0504 03000000 00000000
            0a000000 0b000100 6261696c 65790000
            0c000200 696e6772 65737300 08000300
            00000008 08000400 00000008 08000500
            00000010 08000600 ffffff00 08000700
            00000010 08000a00 00000002
        "#]],
    );
}

#[test]
fn chains() {
    let write = |batch: &mut Batch| {
        batch.add_chain(TableFamily::Ip, &ChainName::fixed("egress"));
        batch.add_chain(TableFamily::Ip6, &ChainName::fixed("common"));
        batch.flush_chain(TableFamily::Ip6, &ChainName::fixed("common"));
        batch.delete_chain(TableFamily::Ip6, &ChainName::fixed("common"));
    };
    check(
        write,
        &expect![[r#"
            54000000 030a0104 01000000 00000000
            02000000 0b000100 6261696c 65790000
            0b000300 65677265 73730000 14000480
            08000100 00000002 08000200 fffffffb
            08000500 00000001 0b000700 66696c74
            65720000

            2c000000 030a0104 02000000 00000000
            0a000000 0b000100 6261696c 65790000
            0b000300 636f6d6d 6f6e0000

            2c000000 080a0100 03000000 00000000
            0a000000 0b000100 6261696c 65790000
            0b000200 636f6d6d 6f6e0000

            2c000000 050a0500 04000000 00000000
            0a000000 0b000100 6261696c 65790000
            0b000300 636f6d6d 6f6e0000
        "#]],
    );
}

#[test]
fn ct_state_established_related_accept() {
    check_rule(
        TableFamily::Ip,
        &rule(vec![Match::Established], Verdict::Accept),
        &expect![[r#"
            34010000 060a050c 01000000 00000000
            02000000 0b000100 6261696c 65790000
            06000200 63000000 c4000480 20000180
            07000100 63740000 14000280 08000200
            00000000 08000100 00000001 44000180
            0c000100 62697477 69736500 34000280
            08000100 00000001 08000200 00000001
            08000300 00000004 0c000480 08000100
            06000000 0c000580 08000100 00000000
            2c000180 08000100 636d7000 20000280
            08000100 00000001 08000200 00000001
            0c000380 08000100 00000000 30000180
            0e000100 696d6d65 64696174 65000000
            1c000280 08000100 00000000 10000280
            0c000280 08000100 00000001 45000700
            003f6965 666f6a35 326d7979 33627278
            79616878 65696179 65326972 20637420
            73746174 65206573 7461626c 69736865
            642c7265 6c617465 64206163 63657074
            00000000
        "#]],
    );
}

#[test]
fn saddr_in_set_and_dport_in_range_drop() {
    let matches = vec![
        Match::InSet(Side::Source, SetName::of(Family::V4, "peers"), SetKind::Addresses),
        Match::L4Proto(6),
        Match::DestinationPort(80, 90),
    ];
    check_rule(
        TableFamily::Ip,
        &rule(matches, Verdict::Drop),
        &expect![[r#"
        f4010000 060a050c 01000000 00000000
        02000000 0b000100 6261696c 65790000
        06000200 63000000 68010480 58000180
        0a000100 6d617463 68000000 48000280
        08000100 73657400 08000200 00000004
        34000300 02010102 00000000 00000000
        00000000 00000000 00000000 00000000
        00000000 00000000 00000000 00000000
        00000000 24000180 09000100 6d657461
        00000000 14000280 08000200 00000010
        08000100 00000001 2c000180 08000100
        636d7000 20000280 08000100 00000001
        08000200 00000000 0c000380 05000100
        06000000 34000180 0c000100 7061796c
        6f616400 24000280 08000100 00000001
        08000200 00000002 08000300 00000002
        08000400 00000002 2c000180 08000100
        636d7000 20000280 08000100 00000001
        08000200 00000005 0c000380 06000100
        00500000 2c000180 08000100 636d7000
        20000280 08000100 00000001 08000200
        00000003 0c000380 06000100 005a0000
        30000180 0e000100 696d6d65 64696174
        65000000 1c000280 08000100 00000000
        10000280 0c000280 08000100 00000000
        63000700 005d3736 6b766f64 6f793468
        727a6e37 61616f63 7a677a6e 35616f69
        20736164 64722040 626c7934 2d6f6977
        66706c7a 61336562 67323662 65766270
        68363470 6c643220 6c347072 6f746f20
        36206470 6f727420 38302d39 30206472
        6f700000
    "#]],
    );
}

#[test]
fn icmpv6_types_in_an_anonymous_set() {
    let types = Match::Icmpv6Type([133, 134].into());
    check_rule(
        TableFamily::Ip6,
        &rule(vec![types], Verdict::Accept),
        &expect![[r#"
            4c000000 090a0104 01000000 00000000
            0a000000 0b000100 6261696c 65790000
            0c000200 5f5f7365 74256400 08000300
            00000003 08000400 0000001d 08000500
            00000001 08000a00 00000001

            58000000 0c0a0104 02000000 00000000
            0a000000 0b000100 6261696c 65790000
            0c000200 5f5f7365 74256400 08000400
            00000001 24000380 10000180 0c000180
            05000100 85000000 10000180 0c000180
            05000100 86000000

            54010000 060a050c 03000000 00000000
            0a000000 0b000100 6261696c 65790000
            06000200 63000000 e8000480 24000180
            09000100 6d657461 00000000 14000280
            08000200 00000010 08000100 00000001
            2c000180 08000100 636d7000 20000280
            08000100 00000001 08000200 00000000
            0c000380 05000100 3a000000 34000180
            0c000100 7061796c 6f616400 24000280
            08000100 00000001 08000200 00000002
            08000300 00000000 08000400 00000001
            30000180 0b000100 6c6f6f6b 75700000
            20000280 0c000100 5f5f7365 74256400
            08000200 00000001 08000400 00000001
            30000180 0e000100 696d6d65 64696174
            65000000 1c000280 08000100 00000000
            10000280 0c000280 08000100 00000001
            41000700 003b7372 6461716f 63377275
            617a7036 37637a71 6f70686b 3278706c
            2069636d 70763620 74797065 207b2031
            33332c20 31333420 7d206163 63657074
            00000000
        "#]],
    );
}

#[test]
fn daddr_vmap_ingress() {
    check_rule(
        TableFamily::Ip6,
        &rule(vec![], Verdict::Dispatch(Direction::Ingress)),
        &expect![[r#"
            c8000000 060a050c 01000000 00000000
            0a000000 0b000100 6261696c 65790000
            06000200 63000000 68000480 34000180
            0c000100 7061796c 6f616400 24000280
            08000100 00000001 08000200 00000001
            08000300 00000018 08000400 00000010
            30000180 0b000100 6c6f6f6b 75700000
            20000280 0c000100 696e6772 65737300
            08000200 00000001 08000300 00000000
            35000700 002f6c69 7a62766d 78696572
            63697564 6f357333 72706961 63757675
            20646164 64722076 6d617020 40696e67
            72657373 00000000
        "#]],
    );
}

#[test]
fn dispatch_is_read_as_it_is_written() {
    for (family, address) in [
        (TableFamily::Ip, IpAddr::from([10, 1, 2, 3])),
        (TableFamily::Ip6, IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 1])),
    ] {
        let chain = ChainName::of_address(Direction::Egress, address);
        let payload = written(|batch| batch.add_dispatch(family, Direction::Egress, address, &chain));
        assert_eq!(read_dispatch(&payload), Ok(vec![(address, chain)]));
    }
}

#[test]
fn an_element_that_does_not_go_to_a_chain_is_not_taken_for_one_of_ours() {
    let payload = written(|batch| {
        batch.elements((MSG_NEWSETELEM, 0), TableFamily::Ip, "egress", |element| {
            value(element, ELEM_KEY, &[10, 1, 2, 3]);
            element.nest(ELEM_DATA, |data| verdict(data, NF_ACCEPT, None));
        });
    });
    let expected = (IpAddr::from([10, 1, 2, 3]), ChainName::read_back(""));
    assert_eq!(read_dispatch(&payload), Ok(vec![expected]));
}

#[test]
fn a_base_chain_is_known_by_its_hook_and_priority() {
    for name in ["egress", "ingress", "input", "prerouting", "between", "common"] {
        let name = ChainName::fixed(name);
        let payload = written(|batch| batch.add_chain(TableFamily::Ip, &name));
        let as_created = true;
        assert_eq!(Chain::parse(&payload), Ok(Some(Chain { name, as_created })));
    }
    let hooked = |name: &str, hook: u32, priority: i32, policy: u32| {
        let payload = written(|batch| {
            batch.push((MSG_NEWCHAIN, 0), 2, |attributes| {
                attributes.text(CHAIN_TABLE, TABLE);
                attributes.text(CHAIN_NAME, name);
                attributes.nest(CHAIN_HOOK, |nest| {
                    nest.be32(HOOK_HOOKNUM, hook);
                    nest.be32(HOOK_PRIORITY, priority.cast_unsigned());
                });
                attributes.be32(CHAIN_POLICY, policy);
                attributes.text(CHAIN_TYPE, CHAIN_TYPE_FILTER);
            });
        });
        Chain::parse(&payload).unwrap().unwrap().as_created
    };
    assert!(hooked("egress", NF_INET_FORWARD, -5, NF_ACCEPT));
    assert!(!hooked("egress", NF_INET_FORWARD, -4, NF_ACCEPT), "ingress' priority");
    assert!(!hooked("egress", 4, -5, NF_ACCEPT), "postrouting");
    assert!(hooked("prerouting", 0, -300, NF_ACCEPT));
    assert!(!hooked("prerouting", NF_INET_FORWARD, -300, NF_ACCEPT), "forward");
    assert!(hooked("input", 1, -5, NF_ACCEPT));
    assert!(!hooked("input", NF_INET_FORWARD, -5, NF_ACCEPT), "forward");
    assert!(!hooked("egress", NF_INET_FORWARD, -5, 0), "policy drop");
    assert!(hooked("other", NF_INET_FORWARD, -5, NF_ACCEPT), "no base chain of ours");
}

#[test]
fn a_rule_is_known_by_the_tag_in_its_comment() {
    let rule = rule(vec![Match::L4Proto(6)], Verdict::Accept);
    let chain = ChainName::fixed("common");
    let payload = written(|batch| batch.add_rule(TableFamily::Ip, &chain, &rule, &|_| 0));
    assert_eq!(read_rule(&payload), Ok(Some((chain, rule.tag()))));
    assert_eq!(tag(&[]), "");
    assert_eq!(tag(&[7, 4, b'a', b'b', b'c', 0]), "", "an entry of another kind");
}

#[test]
fn a_comment_is_cut_where_nft_would_not_show_it() {
    let peers = |number: usize| SetName::of(Family::V4, &number.to_string());
    let matches = (0..5)
        .map(|number| Match::InSet(Side::Source, peers(number), SetKind::Addresses))
        .collect();
    let long = rule(matches, Verdict::Accept);
    let userdata = comment(&long);
    assert_eq!(userdata.len(), 2 + COMMENT_BYTES);
    assert_eq!(usize::from(userdata[1]), COMMENT_BYTES);
    assert_eq!(tag(&userdata), long.tag());
}

#[test]
fn a_counter_and_a_rule_that_counts_with_it() {
    let counter = CounterName::read_back("ingress/x/db/hash");
    check(
        |batch| {
            batch.add_counter(TableFamily::Ip, &counter);
            batch.delete_counter(TableFamily::Ip6, &counter);
        },
        &expect![[r#"
            44000000 120a0104 01000000 00000000
            02000000 0b000100 6261696c 65790000
            16000200 696e6772 6573732f 782f6462
            2f686173 68000000 08000300 00000001
            04000480

            40000000 140a0500 02000000 00000000
            0a000000 0b000100 6261696c 65790000
            16000200 696e6772 6573732f 782f6462
            2f686173 68000000 08000300 00000001
        "#]],
    );
    check_rule(
        TableFamily::Ip,
        &rule(vec![], Verdict::Count(counter)),
        &expect![[r#"
            a0000000 060a050c 01000000 00000000
            02000000 0b000100 6261696c 65790000
            06000200 63000000 38000480 34000180
            0b000100 6f626a72 65660000 24000280
            08000100 00000001 16000200 696e6772
            6573732f 782f6462 2f686173 68000000
            40000700 003a7236 34677671 69776775
            716f7132 6a676671 6f776d77 37666667
            20636f75 6e746572 206e616d 6520696e
            67726573 732f782f 64622f68 61736800
        "#]],
    );
}

/// The kernel puts the figures into what is written without them.
#[test]
fn a_counter_is_read_with_its_figure() {
    let object = |table, kind, figures| {
        let messages = dump(MSG_GETRULE, 2, |attributes| {
            attributes.text(OBJECT_TABLE, table);
            attributes.text(OBJECT_NAME, "db");
            attributes.be32(OBJECT_TYPE, kind);
            attributes.nest(OBJECT_DATA, |data| {
                data.bytes(1, &[0; 8]);
                data.bytes(2, figures);
            });
        });
        messages.numbered(0)[16..].to_vec()
    };
    let five = 5_u64.to_be_bytes();
    let counter = CounterName::read_back("db");
    assert_eq!(
        read_counter(&object(TABLE, TYPE_COUNTER, &five)),
        Ok(Some((counter, 5)))
    );
    assert_eq!(read_counter(&object("other", TYPE_COUNTER, &five)), Ok(None));
    assert_eq!(read_counter(&object(TABLE, 2, &five)), Ok(None), "a quota");
    read_counter(&object(TABLE, TYPE_COUNTER, &[])).unwrap_err();
}

#[test]
fn what_is_of_another_table_is_not_read() {
    let payload = {
        let messages = dump(MSG_GETRULE, 2, |attributes| {
            attributes.text(RULE_TABLE, "other");
            attributes.text(RULE_CHAIN, "ingress");
            attributes.text(CHAIN_NAME, "ingress");
        });
        messages.numbered(0)[16..].to_vec()
    };
    assert_eq!(read_rule(&payload), Ok(None));
    assert_eq!(Chain::parse(&payload), Ok(None));
    assert_eq!(Named::parse(&payload), Ok(None));
    assert_eq!(read_counted(&payload, &ChainName::fixed("ingress")), Ok(None));
}

#[test]
fn the_sets_of_a_rule() {
    let name = SetName::of(Family::V4, "peers");
    let matches = vec![
        Match::L4Proto(6),
        Match::InSet(Side::Source, name.clone(), SetKind::Addresses),
    ];
    let rule = rule(matches, Verdict::Accept);
    assert_eq!(sets_of(&rule).collect::<Vec<_>>(), [&name]);
}

#[test]
fn keys_are_read_as_they_are_written() {
    let keys = [
        (TableSet::Links, Key::Link(LinkName::new("veth0123456789a").unwrap())),
        (TableSet::Links, Key::Link(LinkName::new("lxc1").unwrap())),
        (TableSet::Sources(Family::V4), Key::Address(IpAddr::from([10, 1, 2, 3]))),
        (
            TableSet::Sources(Family::V6),
            Key::Address(IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 1])),
        ),
    ];
    for (set, key) in keys {
        let payload = written(|batch| batch.add_key(TableFamily::Bridge, set, &key));
        assert_eq!(read_keys(set, &payload), Ok(vec![key]));
        let payload = written(|batch| batch.add_set(TableFamily::Bridge, set));
        assert_eq!(Named::parse(&payload), Ok(Some(Named::Set(set))));
    }
}

#[test]
fn a_count_is_read_from_the_rule_that_counts() {
    let chain = ChainName::fixed("sources");
    let of = |verdict| written(|batch| batch.add_rule(TableFamily::Bridge, &chain, &rule(vec![], verdict), &|_| 0));
    assert_eq!(read_counted(&of(Verdict::Drop), &chain), Ok(None));
    // The kernel puts the figures into the expression that is written without them.
    read_counted(&of(Verdict::CountedDrop), &chain).unwrap_err();
}
