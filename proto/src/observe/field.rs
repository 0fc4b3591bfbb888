//! A field of an object, whatever is in it.
//!
//! Decoding JSON into [`Field`]s succeeds on every well-formed object: what is not of the expected type is skipped and
//! remembered as odd, so that its reader can leave out that one piece and say so. Text is borrowed from the input, and
//! what no field names is skipped without being allocated.

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// A field that may be absent (or null), or of a type it should not have.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Field<T> {
    /// Absent, or null.
    #[default]
    Absent,
    /// Present, but not a `T`; what it is instead, for people.
    Odd(&'static str),
    /// Present.
    Is(T),
}

impl<T> Field<T> {
    /// Its value, if it has one; `path` is put into `rejected` if it is odd.
    pub fn take(self, path: impl fmt::Display, rejected: &mut Rejected) -> Option<T> {
        match self {
            Self::Absent => None,
            Self::Is(value) => Some(value),
            Self::Odd(what) => {
                rejected.push(path, format_args!("unexpected {what}"));
                None
            }
        }
    }
}

impl<T: Default> Field<T> {
    /// As [`Field::take`], a field without value being its type's default.
    pub fn take_or_default(self, path: impl fmt::Display, rejected: &mut Rejected) -> T {
        self.take(path, rejected).unwrap_or_default()
    }
}

/// What was left out of an object: `field: reason`, for people.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rejected {
    named: Vec<String>,
    unnamed: usize,
}

impl Rejected {
    /// How many pieces are named, the others being counted: an object may have thousands, a log line must not.
    const LIMIT: usize = 8;

    /// Adds a piece.
    pub fn push(&mut self, path: impl fmt::Display, reason: impl fmt::Display) {
        if self.named.len() < Self::LIMIT {
            self.named.push(format!("{path}: {reason}"));
        } else {
            self.unnamed += 1;
        }
    }

    /// All of it as lines.
    pub fn into_lines(self) -> Vec<String> {
        let mut lines = self.named;
        if self.unnamed > 0 {
            lines.push(format!("and {} more", self.unnamed));
        }
        lines
    }
}

/// A type that a [`Field`] can hold: it takes one or some of JSON's types and declines the others.
pub trait Shape<'de>: Sized {
    /// From a string.
    fn from_text(_text: Cow<'de, str>) -> Option<Self> {
        None
    }

    /// From true or false.
    fn from_flag(_flag: bool) -> Option<Self> {
        None
    }

    /// From a whole number.
    fn from_integer(_integer: i64) -> Option<Self> {
        None
    }

    /// From an array, which must be read to its end.
    ///
    /// # Errors
    /// If the JSON is not well formed.
    fn from_list<A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    /// From an object, which must be read to its end.
    ///
    /// # Errors
    /// If the JSON is not well formed.
    fn from_object<A: MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// A struct whose fields are [`Field`]s: as a [`Shape`] it takes objects.
pub trait Record {}

impl<'de, T: Record + Deserialize<'de>> Shape<'de> for T {
    fn from_object<A: MapAccess<'de>>(object: A) -> Result<Option<Self>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(object)).map(Some)
    }
}

/// A string, borrowed where the input has it without escapes.
pub type Text<'a> = Cow<'a, str>;

impl<'de: 'a, 'a> Shape<'de> for Text<'a> {
    fn from_text(text: Cow<'de, str>) -> Option<Self> {
        Some(text)
    }
}

impl Shape<'_> for bool {
    fn from_flag(flag: bool) -> Option<Self> {
        Some(flag)
    }
}

impl Shape<'_> for i64 {
    fn from_integer(integer: i64) -> Option<Self> {
        Some(integer)
    }
}

/// An array.
pub type List<T> = Vec<Field<T>>;

impl<'de, T: Shape<'de>> Shape<'de> for List<T> {
    fn from_list<A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        let mut items = Self::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Some(items))
    }
}

/// An object whose keys are data, such as labels.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Map<T>(pub Vec<(String, Field<T>)>);

impl<T> Default for Map<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Shape<'de>> Shape<'de> for Map<T> {
    fn from_object<A: MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = object.next_entry()? {
            entries.push(entry);
        }
        Ok(Some(Self(entries)))
    }
}

impl<'de, T: Shape<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor(PhantomData))
    }
}

struct FieldVisitor<T>(PhantomData<T>);

fn field<T>(value: Option<T>, what: &'static str) -> Field<T> {
    value.map_or(Field::Odd(what), Field::Is)
}

impl<'de, T: Shape<'de>> Visitor<'de> for FieldVisitor<T> {
    type Value = Field<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Field::Absent)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(field(T::from_flag(flag), "true or false"))
    }

    fn visit_i64<E>(self, integer: i64) -> Result<Self::Value, E> {
        Ok(field(T::from_integer(integer), "number"))
    }

    fn visit_u64<E>(self, integer: u64) -> Result<Self::Value, E> {
        Ok(field(i64::try_from(integer).ok().and_then(T::from_integer), "number"))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Field::Odd("fraction"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(field(T::from_text(Cow::Owned(text.to_owned())), "string"))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(field(T::from_text(Cow::Borrowed(text)), "string"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        Ok(field(T::from_list(list)?, "list"))
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
        Ok(field(T::from_object(object)?, "object"))
    }
}
