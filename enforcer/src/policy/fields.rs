//! Reading raw JSON with the exact place of everything that is wrong.
//!
//! Pure. A piece is read as a whole: its first [`Problem`] makes it void. Lists go on with their other entries, and name
//! each that is void in the [`Report`].

use super::written::List;
use super::{Kind, MAX_KERNEL_RULES, MAX_REFUSED, Refused};
use serde_json::Value;
use std::fmt;

/// Where a value stands in its object.
#[derive(Clone, Copy)]
pub(super) enum Field<'a> {
    /// A member of the object itself.
    Root(&'static str),
    /// A member of another value.
    Member(&'a Field<'a>, &'a str),
    /// An entry of a list.
    Entry(&'a Field<'a>, usize),
}

impl<'a> Field<'a> {
    pub(super) const fn member(&'a self, name: &'a str) -> Self {
        Self::Member(self, name)
    }

    pub(super) fn problem(&self, what: String) -> Problem {
        Problem {
            field: self.to_string(),
            kind: None,
            what,
            follows: None,
        }
    }
}

impl fmt::Display for Field<'_> {
    /// As kubectl writes it. A name that is not a plain one is quoted, so that it can neither pass for another path nor
    /// break a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(name) => f.write_str(name),
            Self::Member(parent, name) if is_plain(name) => {
                write!(f, "{parent}.{name}")
            }
            Self::Member(parent, name) => write!(f, "{parent}[{}]", quoted(name)),
            Self::Entry(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// Whether a name can stand in a path as it is.
fn is_plain(name: &str) -> bool {
    (1..=SHOWN).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// Why a piece is void.
#[derive(Debug)]
pub(super) struct Problem {
    field: String,
    kind: Option<Kind>,
    what: String,
    follows: Option<&'static str>,
}

impl Problem {
    /// Says what follows, where it is more than for another problem of the piece.
    pub(super) fn with(self, follows: &'static str) -> Self {
        Self {
            follows: Some(follows),
            ..self
        }
    }

    /// Says of which kind the piece is, where that is not known by what is wrong with it.
    pub(super) fn of(self, kind: Kind) -> Self {
        Self {
            kind: self.kind.or(Some(kind)),
            ..self
        }
    }

    /// As people are told it, with what follows.
    pub(super) fn refused(&self, follows: &str) -> Refused {
        let what = cut(&self.what, PROBLEM);
        Refused {
            field: self.field.clone(),
            kind: self.kind.unwrap_or(Kind::Malformed),
            reason: format!("{what}; {}", self.follows.unwrap_or(follows)),
        }
    }
}

/// What was refused so far, and how much may still be asked for.
pub(super) struct Report {
    refused: Vec<Refused>,
    omitted: usize,
    kernel_rules_left: usize,
}

impl Default for Report {
    fn default() -> Self {
        Self {
            refused: Vec::new(),
            omitted: 0,
            kernel_rules_left: MAX_KERNEL_RULES,
        }
    }
}

impl Report {
    /// Names a void piece, and what follows.
    pub(super) fn refuse(&mut self, problem: &Problem, follows: &str) -> Refused {
        let refused = problem.refused(follows);
        if self.refused.len() < MAX_REFUSED {
            self.refused.push(refused.clone());
        } else {
            self.omitted += 1;
        }
        refused
    }

    /// Takes so many kernel rules from what the policy may still have, or says that not so many are left.
    pub(super) fn spend(&mut self, kernel_rules: usize) -> bool {
        let left = self.kernel_rules_left.checked_sub(kernel_rules);
        self.kernel_rules_left = left.unwrap_or(self.kernel_rules_left);
        left.is_some()
    }

    /// The entries of a list, as `read` understands them; those that it does not are refused. What is no list is refused
    /// as a whole.
    pub(super) fn list<T>(
        &mut self,
        value: &Value,
        field: &Field<'_>,
        follows: &str,
        read: impl Fn(&Value, &Field<'_>, &mut Self) -> Result<T, Problem>,
    ) -> List<T> {
        let Some(entries) = value.as_array() else {
            let problem = field.problem(format!("{} is no list", shown(value)));
            return List::Void(self.refuse(&problem, "nothing of it is in force"));
        };
        if entries.is_empty() {
            return List::Absent;
        }
        let mut list = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            let read = read(entry, &Field::Entry(field, index), self);
            list.push(read.map_err(|problem| self.refuse(&problem, follows)));
        }
        List::Of(list)
    }

    /// All that was refused.
    pub(super) fn finish(mut self) -> Vec<Refused> {
        if self.omitted > 0 {
            self.refused.push(Refused {
                field: "spec".to_owned(),
                kind: Kind::Limit,
                reason: format!("{} more pieces are not in force", self.omitted),
            });
        }
        self.refused
    }
}

/// The members of an object by name, `None` where absent or null. A member of another name is a problem: it may be what
/// restricts the piece (P23).
pub(super) fn members<'v, const N: usize>(
    value: &'v Value,
    field: &Field<'_>,
    names: [&str; N],
) -> Result<[Option<&'v Value>; N], Problem> {
    let Some(object) = value.as_object() else {
        return Err(field.problem(format!("{} is no object", shown(value))));
    };
    if let Some(name) = unknown_members(value, &names).next() {
        return Err(unknown(name, field));
    }
    Ok(names.map(|name| object.get(name).filter(|value| !value.is_null())))
}

/// The problem of a member that this release does not know.
pub(super) fn unknown(name: &str, field: &Field<'_>) -> Problem {
    let problem = field.member(name).problem("unknown field".to_owned());
    problem.of(Kind::UnknownField)
}

/// The names of an object's members that are not among `names`.
pub(super) fn unknown_members<'v>(value: &'v Value, names: &[&str]) -> impl Iterator<Item = &'v str> {
    value
        .as_object()
        .into_iter()
        .flat_map(serde_json::Map::keys)
        .map(String::as_str)
        .filter(|name| !names.contains(name))
}

/// A text; anything else is a problem.
pub(super) fn text<'v>(value: &'v Value, field: &Field<'_>) -> Result<&'v str, Problem> {
    value
        .as_str()
        .ok_or_else(|| field.problem(format!("{} is no text", shown(value))))
}

/// The most characters of a foreign text that are repeated to people.
const SHOWN: usize = 80;

/// The most characters that say what is wrong with one piece.
const PROBLEM: usize = 300;

/// A value as people are shown it: on one line and not long.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

/// A text in quotes, escaped, and not long.
fn quoted(text: &str) -> String {
    let start = cut(text, SHOWN);
    let more = if start.len() < text.len() { "…" } else { "" };
    format!("{start:?}{more}")
}

/// The first so many characters of a text.
fn cut(text: &str, characters: usize) -> &str {
    text.char_indices()
        .nth(characters)
        .map_or(text, |(end, _)| &text[..end])
}
