//! The two SCTP packets that a probe needs, for a kernel that tracks SCTP and has no sockets of it (RFC 9260, 3.3.2 and
//! 3.3.3). Pure.
//!
//! An INIT asks for an association and an INIT-ACK is the answer. Nobody sends a COOKIE-ECHO: whoever is answered knows
//! that packets pass both ways, and the association never comes to be.

use std::ops::Range;

/// Source port, destination port, verification tag, checksum.
const HEADER: usize = 12;
const CHECKSUM: Range<usize> = 8..12;
const INIT: u8 = 1;
const INIT_ACK: u8 = 2;
/// Type, flags, length, initiate tag, window, streams out and in, first sequence number.
const INIT_LENGTH: u16 = 20;
/// The window that we say we have: the least that RFC 9260 allows.
const WINDOW: u32 = 1500;
/// The one parameter that an INIT-ACK must have: type 7, four bytes that mean nothing.
const COOKIE: [u8; 8] = [0, 7, 0, 8, 0, 0, 0, 0];

/// The first chunk of a packet, with what tells whose it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet {
    /// Where from.
    pub source: u16,
    /// Where to.
    pub destination: u16,
    /// What it says.
    pub chunk: Chunk,
}

/// What a packet says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Chunk {
    /// Asks for an association.
    Init {
        /// What packets to the asker are to carry as verification tag; not 0.
        tag: u32,
    },
    /// Agrees.
    InitAck {
        /// The tag of the INIT.
        to: u32,
        /// What packets to the one who agrees would carry; not 0.
        tag: u32,
    },
}

impl Packet {
    /// The bytes after the IP header.
    pub fn encode(&self) -> Vec<u8> {
        let (verification, kind, tag, parameters): (u32, u8, u32, &[u8]) = match self.chunk {
            Chunk::Init { tag } => (0, INIT, tag, &[]),
            Chunk::InitAck { to, tag } => (to, INIT_ACK, tag, &COOKIE),
        };
        let mut bytes = Vec::with_capacity(HEADER + usize::from(INIT_LENGTH) + parameters.len());
        bytes.extend(self.source.to_be_bytes());
        bytes.extend(self.destination.to_be_bytes());
        bytes.extend(verification.to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend([kind, 0]);
        let length = usize::from(INIT_LENGTH) + parameters.len();
        bytes.extend(u16::try_from(length).expect("28 at most").to_be_bytes());
        bytes.extend(tag.to_be_bytes());
        bytes.extend(WINDOW.to_be_bytes());
        bytes.extend([0, 1, 0, 1]);
        // The first sequence number: any; the tag is one.
        bytes.extend(tag.to_be_bytes());
        bytes.extend(parameters);
        let sum = crc32c(&bytes);
        // The one field of SCTP that is little-endian.
        bytes[CHECKSUM].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Reads the bytes after the IP header. None: something else, or it was damaged.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let half = |at: usize| Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
        let mut unsummed = bytes.to_vec();
        let sum: [u8; 4] = unsummed.get(CHECKSUM)?.try_into().ok()?;
        unsummed[CHECKSUM].fill(0);
        if crc32c(&unsummed) != u32::from_le_bytes(sum) {
            return None;
        }
        let (verification, tag) = (word(4)?, word(HEADER + 4).filter(|tag| *tag != 0)?);
        let chunk = match *bytes.get(HEADER)? {
            INIT if verification == 0 => Chunk::Init { tag },
            INIT_ACK => Chunk::InitAck { to: verification, tag },
            _ => return None,
        };
        Some(Self {
            source: half(0)?,
            destination: half(2)?,
            chunk,
        })
    }

    /// The packet that agrees to this one.
    pub fn answer(&self) -> Option<Self> {
        let Chunk::Init { tag } = self.chunk else {
            return None;
        };
        Some(Self {
            source: self.destination,
            destination: self.source,
            chunk: Chunk::InitAck { to: tag, tag: !tag | 1 },
        })
    }
}

/// CRC32c, bit by bit: 40 bytes at most.
fn crc32c(bytes: &[u8]) -> u32 {
    /// Castagnoli's polynomial, reflected.
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let step = |crc: u32| (crc >> 1) ^ if crc & 1 == 1 { POLYNOMIAL } else { 0 };
    !bytes
        .iter()
        .fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_castagnolis() {
        // The check value of CRC-32/ISCSI.
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn an_init_is_written_as_the_rfc_has_it_and_answered_to_its_tag() {
        let init = Packet {
            source: 20_000,
            destination: 3868,
            chunk: Chunk::Init { tag: 0x0102_0304 },
        };
        let bytes = init.encode();
        assert_eq!(bytes[..8], [0x4e, 0x20, 0x0f, 0x1c, 0, 0, 0, 0]);
        assert_eq!(
            bytes[12..],
            [1, 0, 0, 20, 1, 2, 3, 4, 0, 0, 5, 220, 0, 1, 0, 1, 1, 2, 3, 4]
        );
        assert_eq!(Packet::decode(&bytes), Some(init));
        let ack = init.answer().unwrap();
        let agreed = Chunk::InitAck {
            to: 0x0102_0304,
            tag: 0xfefd_fcfb,
        };
        assert_eq!((ack.source, ack.destination, ack.chunk), (3868, 20_000, agreed));
        assert_eq!(Packet::decode(&ack.encode()), Some(ack));
        assert_eq!(ack.answer(), None);
    }

    #[test]
    fn what_is_damaged_or_something_else_is_not_read() {
        let init = Packet {
            source: 1,
            destination: 2,
            chunk: Chunk::Init { tag: 3 },
        };
        let mut bytes = init.encode();
        assert_eq!(Packet::decode(&bytes[..19]), None);
        bytes[20] ^= 1;
        assert_eq!(Packet::decode(&bytes), None);
        assert_eq!(Packet::decode(&[]), None);
    }
}
