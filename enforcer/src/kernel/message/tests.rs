use super::*;
use expect_test::expect;

/// A message a paragraph, sixteen bytes a line, in groups of four: netlink aligns everything to four.
pub(in crate::kernel) fn hex(messages: &[u8]) -> String {
    let group = |group: &[u8]| group.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let line = |line: &[u8]| line.chunks(4).map(group).collect::<Vec<_>>().join(" ") + "\n";
    let mut paragraphs = Vec::new();
    let mut rest = messages;
    while let Some(length) = read_u32(rest) {
        let (message, after) = rest.split_at(aligned(length as usize));
        paragraphs.push(message.chunks(16).map(line).collect::<String>());
        rest = after;
    }
    paragraphs.join("\n")
}

const HEADER: Header = Header {
    kind: 0x0602,
    flags: NLM_F_CREATE,
    family: 10,
    resource: 0x1234,
};

fn two_messages() -> Messages {
    let mut messages = Messages::default();
    messages.push(HEADER, |body| body.text(1, "abcd"));
    messages.push(HEADER, |body| {
        body.nest(2, |body| {
            body.u8(3, 0xab);
            body.be16(4, 0x1234);
            body.be32(5, 0x1234_5678);
        });
    });
    messages.acknowledge_last();
    messages
}

#[test]
fn messages_are_framed_padded_and_numbered() {
    expect![[r#"
        20000000 02060104 07000000 00000000
        0a001234 09000100 61626364 00000000

        30000000 02060504 08000000 00000000
        0a001234 1c000280 05000300 ab000000
        06000400 12340000 08000500 12345678
    "#]]
    .assert_eq(&hex(&two_messages().numbered(7)));
}

#[test]
fn what_is_written_is_read() {
    let bytes = two_messages().numbered(7);
    let received = Received::parse(&bytes).unwrap();
    let heads: Vec<_> = received
        .iter()
        .map(|message| (message.kind, message.sequence))
        .collect();
    assert_eq!(heads, [(0x0602, 7), (0x0602, 8)]);
    assert_eq!(Attributes::of_message(received[0].payload).unwrap().text(1), Ok("abcd"));
    let nest = Attributes::of_message(received[1].payload).unwrap().nest(2);
    assert_eq!(
        (nest.u8(3), nest.be16(4), nest.be32(5)),
        (Ok(0xab), Ok(0x1234), Ok(0x1234_5678))
    );
    assert_eq!(nest.be32(4), Err(Malformed("a 32-bit number")));
    assert_eq!(nest.collect::<Vec<_>>().len(), 3);
}

#[test]
fn only_the_last_message_is_confirmed() {
    assert_eq!(two_messages().confirmed_by(), Some(1));
    assert_eq!(Messages::default().confirmed_by(), None);
}

#[test]
fn cut_off_bytes_are_no_message() {
    let bytes = two_messages().numbered(0);
    for length in 1..bytes.len() {
        let whole = length == 32; // the first message alone
        assert_eq!(Received::parse(&bytes[..length]).is_ok(), whole, "{length} bytes");
    }
}

/// An `NLMSG_ERROR` of `EPERM`, echoing a message of `echoed` bytes, and then a text.
fn refusal(flags: u16, echoed: usize) -> Vec<u8> {
    let mut payload = (-libc::EPERM).to_ne_bytes().to_vec();
    payload.extend(u32::try_from(HEADER_LENGTH + 8).unwrap().to_ne_bytes());
    payload.resize(4 + echoed, 0);
    Body { bytes: &mut payload }.text(NLMSGERR_ATTR_MSG, "not yours");
    let mut bytes = u32::try_from(HEADER_LENGTH + payload.len())
        .unwrap()
        .to_ne_bytes()
        .to_vec();
    bytes.extend(NLMSG_ERROR.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend(payload);
    bytes
}

#[test]
fn an_error_is_read_with_its_explanation() {
    let explained = Some("not yours".to_owned());
    for (flags, echoed, explanation) in [
        (NLM_F_ACK_TLVS, HEADER_LENGTH + 8, explained.clone()),
        (NLM_F_ACK_TLVS | NLM_F_CAPPED, HEADER_LENGTH, explained),
        (0, HEADER_LENGTH + 8, None),
    ] {
        let bytes = refusal(flags, echoed);
        let [error] = Received::parse(&bytes).unwrap().try_into().unwrap();
        assert_eq!(error.error(), Ok((libc::EPERM, explanation)), "flags {flags:#x}");
    }
}

#[test]
#[should_panic(expected = "an attribute is shorter than 64 KiB")]
fn a_nest_that_the_kernel_would_cut_short_is_refused() {
    Messages::default().push(HEADER, |body| {
        body.nest(1, |body| {
            for _ in 0..9_000 {
                body.be32(1, 0);
            }
        });
    });
}
