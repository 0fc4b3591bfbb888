//! Numbers of the catalogue: `S27`, `P2`.
//!
//! Pure.

use std::fmt;
use std::str::FromStr;

/// The parts of the catalogue, each with its last number: what a verdict must be (S); policies (P), pods and addresses (I),
/// namespaces and labels (N), clusters and the hub (C), watches and ordering (W), packets and the kernel (K) that are
/// awkward.
const PARTS: [(char, u8); 7] = [
    ('S', 130),
    ('P', 30),
    ('I', 19),
    ('N', 9),
    ('C', 22),
    ('W', 14),
    ('K', 13),
];

/// A number of the catalogue.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Number {
    part: char,
    number: u8,
}

/// A text is no number of the catalogue.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?} is no number of the catalogue")]
pub struct NoSuchNumber(String);

impl Number {
    /// Every number, in the catalogue's order.
    pub fn all() -> impl Iterator<Item = Self> {
        PARTS
            .into_iter()
            .flat_map(|(part, last)| (1..=last).map(move |number| Self { part, number }))
    }

    /// The numbers that a sentence begins with: `S27, P2: a sentence`. None if it begins with something else.
    ///
    /// # Errors
    /// If it begins like a list of numbers of which one does not exist.
    pub fn leading(sentence: &str) -> Result<Vec<Self>, NoSuchNumber> {
        let Some((head, _)) = sentence.split_once(':') else {
            return Ok(Vec::new());
        };
        let names: Vec<&str> = head.split(", ").collect();
        if !names.iter().all(|name| looks_like_one(name)) {
            return Ok(Vec::new());
        }
        names.into_iter().map(str::parse).collect()
    }
}

/// A capital letter of a part, then digits.
fn looks_like_one(text: &str) -> bool {
    let digits = text.strip_prefix(|c| PARTS.iter().any(|(part, _)| *part == c));
    digits.is_some_and(|digits| !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit()))
}

impl FromStr for Number {
    type Err = NoSuchNumber;
    fn from_str(text: &str) -> Result<Self, NoSuchNumber> {
        Self::all()
            .find(|number| number.to_string() == text)
            .ok_or_else(|| NoSuchNumber(text.to_owned()))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.part, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leading(sentence: &str) -> Result<Vec<String>, NoSuchNumber> {
        let numbers = Number::leading(sentence)?;
        Ok(numbers.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn numbers_lead_a_sentence_or_are_none() {
        assert_eq!(leading("S27, P2: NotIn matches"), Ok(vec!["S27".into(), "P2".into()]));
        assert_eq!(leading("W14: one"), Ok(vec!["W14".into()]));
        for sentence in [
            "no number",
            "Note: S27",
            "S27 and P2: both",
            "SCTP: a protocol",
            "S27",
            "K: x",
            ": x",
        ] {
            assert_eq!(leading(sentence), Ok(vec![]), "{sentence}");
        }
        for (sentence, number) in [
            ("S131: x", "S131"),
            ("S1, P31: x", "P31"),
            ("K0: x", "K0"),
            ("S01: x", "S01"),
        ] {
            assert_eq!(leading(sentence), Err(NoSuchNumber(number.to_owned())));
        }
    }

    #[test]
    fn there_are_all_of_them() {
        assert_eq!(Number::all().count(), 130 + 107);
    }
}
