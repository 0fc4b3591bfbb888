//! What people see of the commands that answer on stdout. Colour only repeats what the words say.
//!
//! Shell: it looks at stdout and the environment once, at [`Ink::of_stdout`].

use std::fmt;
use std::io::{self, ErrorKind, IsTerminal, Write};

/// A colour, by what it says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tone {
    /// As it should be.
    Good,
    /// Not as it should be, or refused.
    Bad,
    /// Worth a look.
    Odd,
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
        if io::stdout().is_terminal() && !refused {
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
            Tone::Odd => 33,
            Tone::Quiet => 2,
            Tone::Strong => 1,
        };
        match self {
            Self::Colour => format!("\x1b[{code}m{text}\x1b[0m"),
            Self::Plain => text.to_string(),
        }
    }
}

/// The most characters of a name or reason that are shown, 4,000: nobody says how long those of manifests are.
const MAX_TEXT: usize = 4_000;

/// Escapes control characters, but those that are kept, and cuts what is too long.
pub fn make_plain(text: &mut String, kept: impl Fn(char) -> bool) {
    let obeyed = |c: char| c.is_control() && !kept(c);
    if text.contains(obeyed) {
        let escape = |c: char| {
            if obeyed(c) {
                c.escape_default().to_string()
            } else {
                c.to_string()
            }
        };
        *text = text.chars().map(escape).collect();
    }
    if let Some((end, _)) = text.char_indices().nth(MAX_TEXT) {
        text.truncate(end);
        text.push('…');
    }
}

/// Prints an answer and the end of its line. That nobody reads it to the end is fine.
///
/// # Errors
/// If stdout cannot be written.
pub fn answer(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.write_all(b"\n"))
        .and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
