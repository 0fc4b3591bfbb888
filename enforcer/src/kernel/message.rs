//! Netlink messages and their attributes: values ⇄ bytes.
//!
//! Pure. Knows the framing (`linux/netlink.h`, `linux/netfilter/nfnetlink.h`) and no subsystem. Messages are written
//! with their position as sequence number; the socket adds its own base when it sends them.

use thiserror::Error;

/// `nlmsghdr`.
const HEADER_LENGTH: usize = 16;
/// `nfgenmsg`: family, version, resource.
const FAMILY_HEADER_LENGTH: usize = 4;
/// `nlattr`: length and kind, 16 bits each.
const ATTRIBUTE_HEADER_LENGTH: usize = 4;

const NLM_F_REQUEST: u16 = 0x1;
pub(super) const NLM_F_ACK: u16 = 0x4;
/// What is dumped changed while it was dumped: the parts do not belong together.
pub(super) const NLM_F_DUMP_INTR: u16 = 0x10;
/// The error echoes the request's header alone.
const NLM_F_CAPPED: u16 = 0x100;
/// The error is followed by attributes.
const NLM_F_ACK_TLVS: u16 = 0x200;
pub(super) const NLM_F_DUMP: u16 = 0x300;
pub(super) const NLM_F_EXCL: u16 = 0x200;
pub(super) const NLM_F_CREATE: u16 = 0x400;
pub(super) const NLM_F_APPEND: u16 = 0x800;

pub(super) const NLMSG_ERROR: u16 = 2;
pub(super) const NLMSG_DONE: u16 = 3;

const NLA_F_NESTED: u16 = 0x8000;
/// Numbers are in network byte order; ipset insists on being told.
pub(super) const NLA_F_NET_BYTEORDER: u16 = 0x4000;
const NLA_TYPE_MASK: u16 = 0x3fff;

/// The kernel's explanation of an error, in its attributes.
const NLMSGERR_ATTR_MSG: u16 = 1;

/// What the kernel sent is not what its headers say it sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("the kernel's answer lacks {0}, or has it in another form")]
pub struct Malformed(pub &'static str);

/// What stands at the head of a netfilter message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    /// Subsystem and command.
    pub kind: u16,
    /// `NLM_F_…`; a request in any case.
    pub flags: u16,
    /// `NFPROTO_…` or `AF_…`.
    pub family: u8,
    /// `nfgenmsg.res_id`: the subsystem in batch messages, else 0.
    pub resource: u16,
}

/// Messages that are sent together.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Messages {
    bytes: Vec<u8>,
    last: usize,
    count: u32,
    confirmed_by: Option<u32>,
}

impl Messages {
    /// Appends a message.
    pub fn push(&mut self, header: Header, body: impl FnOnce(&mut Body<'_>)) {
        self.last = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&header.kind.to_ne_bytes());
        self.bytes
            .extend_from_slice(&(header.flags | NLM_F_REQUEST).to_ne_bytes());
        self.bytes.extend_from_slice(&self.count.to_ne_bytes());
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&[header.family, 0]);
        self.bytes.extend_from_slice(&header.resource.to_be_bytes());
        body(&mut Body { bytes: &mut self.bytes });
        let length = u32::try_from(self.bytes.len() - self.last).expect("a message is far smaller than 4 GiB");
        self.bytes[self.last..self.last + 4].copy_from_slice(&length.to_ne_bytes());
        if header.flags & NLM_F_ACK != 0 {
            self.confirmed_by = Some(self.count);
        }
        self.count += 1;
    }

    /// Asks for an answer to the last message, if there is one: with it, all before it are done.
    pub fn acknowledge_last(&mut self) {
        if self.count > 0 {
            let flags = &mut self.bytes[self.last + 6..self.last + 8];
            let value = u16::from_ne_bytes([flags[0], flags[1]]) | NLM_F_ACK;
            flags.copy_from_slice(&value.to_ne_bytes());
            self.confirmed_by = Some(self.count - 1);
        }
    }

    /// The last message that the kernel acknowledges if all goes well.
    pub const fn confirmed_by(&self) -> Option<u32> {
        self.confirmed_by
    }

    /// How many there are.
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// The bytes, with `base` added to each sequence number.
    pub fn numbered(&self, base: u32) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        let mut start = 0;
        while start < bytes.len() {
            let length = read_u32(&bytes[start..]).expect("a message begins with its length");
            let sequence = read_u32(&bytes[start + 8..]).expect("a message has a header");
            bytes[start + 8..start + 12].copy_from_slice(&base.wrapping_add(sequence).to_ne_bytes());
            start += aligned(length as usize);
        }
        bytes
    }
}

/// The attributes of a message, or of an attribute, as they are written.
#[derive(Debug)]
pub(super) struct Body<'a> {
    bytes: &'a mut Vec<u8>,
}

impl Body<'_> {
    /// Bytes as they are.
    pub fn bytes(&mut self, kind: u16, value: &[u8]) {
        let length = attribute_length(ATTRIBUTE_HEADER_LENGTH + value.len());
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.bytes.resize(aligned(self.bytes.len()), 0);
    }

    /// Text, with the NUL that ends it.
    pub fn text(&mut self, kind: u16, value: &str) {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.bytes(kind, &bytes);
    }

    /// A byte.
    pub fn u8(&mut self, kind: u16, value: u8) {
        self.bytes(kind, &[value]);
    }

    /// 16 bits in network byte order.
    pub fn be16(&mut self, kind: u16, value: u16) {
        self.bytes(kind, &value.to_be_bytes());
    }

    /// 32 bits in network byte order.
    pub fn be32(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_be_bytes());
    }

    /// An attribute of attributes.
    ///
    /// # Panics
    ///
    /// If it takes more than 64 KiB: the kernel would read a silently shortened one. Callers split before.
    pub fn nest(&mut self, kind: u16, body: impl FnOnce(&mut Body<'_>)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&(kind | NLA_F_NESTED).to_ne_bytes());
        body(&mut Body { bytes: self.bytes });
        let length = attribute_length(self.bytes.len() - start);
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
    }
}

fn attribute_length(length: usize) -> u16 {
    u16::try_from(length).expect("an attribute is shorter than 64 KiB")
}

/// Messages and attributes begin at multiples of four bytes.
const fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

fn read_u32(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.first_chunk()?))
}

fn read_u16(bytes: &[u8]) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.first_chunk()?))
}

/// A message of the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Received<'a> {
    /// Subsystem and command, or `NLMSG_…`.
    pub kind: u16,
    /// `NLM_F_…`.
    pub flags: u16,
    /// Of the request that it answers.
    pub sequence: u32,
    /// All after the netlink header.
    pub payload: &'a [u8],
}

impl<'a> Received<'a> {
    /// The messages of a datagram.
    pub fn parse(mut datagram: &'a [u8]) -> Result<Vec<Self>, Malformed> {
        let mut messages = Vec::new();
        while !datagram.is_empty() {
            let length = read_u32(datagram).ok_or(Malformed("a message header"))? as usize;
            let payload = datagram
                .get(HEADER_LENGTH..length)
                .ok_or(Malformed("a whole message"))?;
            messages.push(Self {
                kind: read_u16(&datagram[4..]).ok_or(Malformed("a message header"))?,
                flags: read_u16(&datagram[6..]).ok_or(Malformed("a message header"))?,
                sequence: read_u32(&datagram[8..]).ok_or(Malformed("a message header"))?,
                payload,
            });
            datagram = datagram.get(aligned(length)..).unwrap_or_default();
        }
        Ok(messages)
    }

    /// What an `NLMSG_ERROR` (or `NLMSG_DONE`) says: its errno, 0 for an acknowledgement, and the kernel's explanation.
    pub fn error(&self) -> Result<(i32, Option<String>), Malformed> {
        let errno = read_u32(self.payload)
            .ok_or(Malformed("an error number"))?
            .cast_signed();
        Ok((errno.saturating_neg(), self.explanation()))
    }

    fn explanation(&self) -> Option<String> {
        if self.kind != NLMSG_ERROR || self.flags & NLM_F_ACK_TLVS == 0 {
            return None;
        }
        let echo = self.payload.get(4..)?;
        let echoed = if self.flags & NLM_F_CAPPED == 0 {
            read_u32(echo)? as usize
        } else {
            HEADER_LENGTH
        };
        let attributes = Attributes {
            rest: echo.get(aligned(echoed)..)?,
        };
        attributes.text(NLMSGERR_ATTR_MSG).ok().map(str::to_owned)
    }
}

/// The attributes of a received message or attribute. Iterating ends at what is no whole attribute.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    /// Of the payload of a netfilter message.
    pub fn of_message(payload: &'a [u8]) -> Result<Self, Malformed> {
        let rest = payload
            .get(FAMILY_HEADER_LENGTH..)
            .ok_or(Malformed("a netfilter header"))?;
        Ok(Self { rest })
    }

    /// Of an attribute.
    pub const fn of_nest(value: &'a [u8]) -> Self {
        Self { rest: value }
    }

    /// The value of the first attribute of a kind.
    pub fn find(mut self, kind: u16) -> Option<&'a [u8]> {
        self.find_map(|(found, value)| (found == kind).then_some(value))
    }

    /// The attributes inside the first one of a kind; none if there is none of it.
    pub fn nest(self, kind: u16) -> Self {
        Self {
            rest: self.find(kind).unwrap_or_default(),
        }
    }

    /// Text.
    pub fn text(self, kind: u16) -> Result<&'a str, Malformed> {
        let value = self.find(kind).ok_or(Malformed("a name"))?;
        let text = value.strip_suffix(&[0]).unwrap_or(value);
        str::from_utf8(text).ok().ok_or(Malformed("a name of UTF-8"))
    }

    /// A byte.
    pub fn u8(self, kind: u16) -> Result<u8, Malformed> {
        self.find(kind)
            .and_then(<[u8]>::first)
            .copied()
            .ok_or(Malformed("a byte"))
    }

    /// 16 bits in network byte order.
    pub fn be16(self, kind: u16) -> Result<u16, Malformed> {
        let value = self
            .find(kind)
            .and_then(<[u8]>::first_chunk)
            .ok_or(Malformed("a 16-bit number"))?;
        Ok(u16::from_be_bytes(*value))
    }

    /// 32 bits in network byte order.
    pub fn be32(self, kind: u16) -> Result<u32, Malformed> {
        let value = self
            .find(kind)
            .and_then(<[u8]>::first_chunk)
            .ok_or(Malformed("a 32-bit number"))?;
        Ok(u32::from_be_bytes(*value))
    }

    /// 64 bits in network byte order.
    pub fn be64(self, kind: u16) -> Result<u64, Malformed> {
        let value = self
            .find(kind)
            .and_then(<[u8]>::first_chunk)
            .ok_or(Malformed("a 64-bit number"))?;
        Ok(u64::from_be_bytes(*value))
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let length = usize::from(read_u16(self.rest)?);
        let kind = read_u16(self.rest.get(2..)?)? & NLA_TYPE_MASK;
        let value = self.rest.get(ATTRIBUTE_HEADER_LENGTH..length)?;
        self.rest = self.rest.get(aligned(length)..).unwrap_or_default();
        Some((kind, value))
    }
}

#[cfg(test)]
pub(in crate::kernel) mod tests;
