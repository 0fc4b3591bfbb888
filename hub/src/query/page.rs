//! Lists in pages.
//!
//! Pure. A page token holds the key of the last object that was looked at, not a position, so that a list stays whole
//! while objects come and go; and a fingerprint of the filters, so that it is not taken for a page of another list.

use super::Refusal;
use sha2::{Digest, Sha256};

/// The most objects in a page; about 200 KB of pods with usual labels.
const LARGEST_PAGE: usize = 500;

/// How many objects one page looks at: about 10 ms, during which the inventory does not change. A page of a filter that
/// matches little ends there and says how to go on.
const LOOKED_AT: usize = 50_000;

/// Separates the parts of a key; in no cluster id and no name of a Kubernetes object.
const SEPARATOR: char = '/';

/// Where a page begins and ends. `N` is the number of parts of an object's key.
pub(super) struct Page<const N: usize> {
    fingerprint: [u8; 4],
    /// The key after which it begins; empty parts are before everything.
    pub(super) after: [String; N],
    left: usize,
    to_look_at: usize,
    last: Option<[String; N]>,
}

/// What comes after an object in a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Room {
    /// More objects.
    More,
    /// The next page.
    Full,
}

impl<const N: usize> Page<N> {
    /// `filters` is the request with its page fields cleared.
    pub(super) fn new(size: u32, token: &str, filters: &impl prost::Message) -> Result<Self, Refusal> {
        let digest = Sha256::digest(filters.encode_to_vec());
        let fingerprint = [digest[0], digest[1], digest[2], digest[3]];
        let after = if token.is_empty() {
            Some([const { String::new() }; N])
        } else {
            decode(token, fingerprint)
        };
        let after = after.ok_or_else(|| {
            Refusal::invalid(
                "page_token",
                "this is no token of this list: pass the next_page_token of the page before, and the same filters as there",
            )
        })?;
        let size = usize::try_from(size).unwrap_or(LARGEST_PAGE);
        Ok(Self {
            fingerprint,
            after,
            left: if size == 0 {
                LARGEST_PAGE
            } else {
                size.min(LARGEST_PAGE)
            },
            to_look_at: LOOKED_AT,
            last: None,
        })
    }

    /// Notes that the object of this key was looked at, and whether it is in the page; says whether there is room for
    /// the next one. If there is none, that next object must not be looked at.
    pub(super) fn looked_at(&mut self, key: [&str; N], listed: bool) -> Room {
        self.to_look_at -= 1;
        self.left -= usize::from(listed);
        if self.left > 0 && self.to_look_at > 0 {
            return Room::More;
        }
        self.last = Some(key.map(str::to_owned));
        Room::Full
    }

    /// The token of the next page, if this one ended for want of room.
    pub(super) fn next_token(self) -> String {
        let Some(last) = self.last else {
            return String::new();
        };
        let key = last.join(&SEPARATOR.to_string());
        hex(self.fingerprint.iter().chain(key.as_bytes()))
    }
}

fn decode<const N: usize>(token: &str, fingerprint: [u8; 4]) -> Option<[String; N]> {
    let bytes = unhex(token)?;
    let key = bytes.strip_prefix(&fingerprint)?;
    let key = std::str::from_utf8(key).ok()?;
    let parts: Vec<String> = key.split(SEPARATOR).map(str::to_owned).collect();
    parts.try_into().ok()
}

/// Bytes as lower-case hexadecimal digits.
pub(super) fn hex<'a>(bytes: impl IntoIterator<Item = &'a u8>) -> String {
    bytes.into_iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    text.as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        })
        .collect()
}
