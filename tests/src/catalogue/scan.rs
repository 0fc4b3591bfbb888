//! Which tests of Rust files name which numbers of the catalogue.
//!
//! Pure. A line scanner, for code as rustfmt writes it: a test is a function under `#[test]` or `#[…::test]`, and the
//! doc comment directly above its attributes may begin with numbers.

use super::number::{NoSuchNumber, Number};

/// A test and the numbers it names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Test {
    /// The function.
    pub name: String,
    /// What it proves.
    pub numbers: Vec<Number>,
}

/// The tests of a file, in order.
///
/// # Errors
/// If one names a number that does not exist: the function, and the number.
pub fn tests(text: &str) -> Result<Vec<Test>, (String, NoSuchNumber)> {
    let mut found = Vec::new();
    let mut block = Block::default();
    for line in text.lines().map(str::trim) {
        if let Some(sentence) = line.strip_prefix("///") {
            block.comment.push_str(sentence);
        } else if line.starts_with("#[") {
            block.is_test |= line == "#[test]" || line.contains("::test");
            block.open = !line.ends_with(']');
        } else if block.open {
            block.open = !line.ends_with(']');
        } else {
            if let Some(name) = function(line).filter(|_| block.is_test) {
                let numbers = Number::leading(block.comment.trim());
                found.push(Test {
                    name: name.to_owned(),
                    numbers: numbers.map_err(|error| (name.to_owned(), error))?,
                });
            }
            block = Block::default();
        }
    }
    Ok(found)
}

/// The comment and attributes read since the last line of anything else.
#[derive(Default)]
struct Block {
    comment: String,
    is_test: bool,
    /// An attribute has begun and not ended.
    open: bool,
}

/// The name of the function that a line begins.
fn function(line: &str) -> Option<&str> {
    let line = line.strip_prefix("pub ").unwrap_or(line);
    let line = line.strip_prefix("async ").unwrap_or(line);
    line.strip_prefix("fn ")?.split('(').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_that_a_tests_comment_begins_with_count() {
        // With @ for #, or this test would itself be read as these.
        let text = r#"
/// S1, P2: a helper is no test.
fn helper() {}

/// S3, K4,
/// S5: and a sentence
/// S9: that goes on.
@[test]
fn plain() {
    body();
}

mod inner {
    /// W1: inside.
    @[tokio::test(start_paused = true)]
    @[expect(
        clippy::too_many_lines,
        reason = "S7: no comment"
    )]
    async fn with_attributes() {}

    /// S5: not directly above.

    @[test]
    fn without() {}
}
"#
        .replace('@', "#");
        let found = tests(&text).unwrap();
        let found: Vec<(String, String)> = found
            .into_iter()
            .map(|test| (test.name, test.numbers.iter().map(ToString::to_string).collect()))
            .collect();
        let expected = [("plain", "S3K4S5"), ("with_attributes", "W1"), ("without", "")];
        assert_eq!(
            found,
            expected.map(|(name, numbers)| (name.to_owned(), numbers.to_owned()))
        );
    }

    #[test]
    fn a_number_that_does_not_exist_is_named_with_its_test() {
        let (test, error) = tests("/// S131: x\n#[test]\nfn wrong() {}").unwrap_err();
        assert_eq!(
            (test.as_str(), error.to_string()),
            ("wrong", "\"S131\" is no number of the catalogue".to_owned())
        );
    }
}
