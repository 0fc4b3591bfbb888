//! What people see: stdout in words and columns. Colour only repeats what the words say.

use super::ends::{End, Table, Verdict};
use std::fmt::{self, Write as _};
use std::io::IsTerminal;

/// A colour, by what it says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tone {
    /// As it should be.
    Good,
    /// Not as it should be.
    Bad,
    /// Beside the point.
    Quiet,
    /// A heading.
    Strong,
}

/// Whether there is colour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ink {
    /// stdout is a terminal, and nobody asked for none.
    Colour,
    /// Words alone.
    Plain,
}

impl Ink {
    /// By what stdout is, and `NO_COLOR` (<https://no-color.org>).
    #[expect(clippy::disallowed_methods, reason = "NO_COLOR is a variable by definition")]
    pub fn of_stdout() -> Self {
        let refused = std::env::var("NO_COLOR").is_ok_and(|value| !value.is_empty());
        if std::io::stdout().is_terminal() && !refused {
            Self::Colour
        } else {
            Self::Plain
        }
    }

    /// Text in a tone.
    pub fn paint(self, tone: Tone, text: impl fmt::Display) -> String {
        let code = match tone {
            Tone::Good => 32,
            Tone::Bad => 31,
            Tone::Quiet => 2,
            Tone::Strong => 1,
        };
        match self {
            Self::Colour => format!("\x1b[{code}m{text}\x1b[0m"),
            Self::Plain => text.to_string(),
        }
    }
}

/// A verdict in words.
pub const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allowed => "allowed",
        Verdict::Refused => "refused",
        Verdict::Absent => "no such traffic",
    }
}

/// A table of verdicts: sources are rows, columns are numbered as the rows are.
pub fn table(ends: &[End], table: &Table) -> String {
    let names: Vec<String> = ends.iter().map(ToString::to_string).collect();
    let width = names.iter().map(String::len).max().unwrap_or(0);
    let digits = ends.len().to_string().len();
    let mut text = format!("{:<1$}", table.probe.to_string(), digits + 2 + width);
    for column in 1..=ends.len() {
        let _ = write!(text, " {column:>digits$}");
    }
    text.push('\n');
    for (number, (name, row)) in (1..).zip(names.iter().zip(&table.rows)) {
        let _ = write!(text, "{number:>digits$}  {name:<width$}");
        for verdict in row {
            let _ = write!(text, " {:>digits$}", verdict.sign());
        }
        text.push('\n');
    }
    text
}

/// How many of each verdict some tables have, in words.
pub fn count(tables: &[Table]) -> String {
    let of = |wanted| {
        tables
            .iter()
            .flat_map(|table| &table.rows)
            .flatten()
            .filter(|verdict| **verdict == wanted)
            .count()
    };
    let [allowed, refused] = [of(Verdict::Allowed), of(Verdict::Refused)];
    format!(". allowed   X refused   - no such traffic          {allowed} allowed, {refused} refused")
}
