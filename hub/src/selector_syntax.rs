//! kubectl's label selector syntax → [`Selector`].
//!
//! Pure. The grammar is that of apimachinery's `labels.Parse` (`a=b,c==d,e!=f,g in (h,i),j notin (k),l,!m`), white space,
//! empty values and all, without `<` and `>`, which label selectors of the API have not either.

use proto::selector::{Requirement, Selector};
use std::fmt;

/// Where a text stops being a label selector, and what should stand there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?}, character {position}: {problem}; write it as for kubectl: app=web,tier!=cache,env in (prod,canary),!legacy"
)]
pub struct SyntaxError {
    text: String,
    /// Counted in characters, from 1; one past the end if something is missing there.
    position: usize,
    problem: String,
}

/// Parses a selector; an empty text selects everything.
///
/// # Errors
/// If `text` is no selector, with the place and what was expected there.
pub fn parse(text: &str) -> Result<Selector, SyntaxError> {
    let mut parser = Parser { text, rest: text };
    let mut requirements = Vec::new();
    if parser.peek() == Token::End {
        return Ok(Selector::default());
    }
    loop {
        requirements.push(parser.requirement()?);
        match parser.peek() {
            Token::End => return Ok(Selector::new(requirements)),
            Token::Comma => parser.skip(),
            _ => return Err(parser.expected("',' or the end")),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Token<'a> {
    Word(&'a str),
    Equals,
    NotEquals,
    Not,
    Open,
    Close,
    Comma,
    Less,
    Greater,
    End,
}

impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Word(word) => return write!(f, "{word:?}"),
            Self::Equals => "'='",
            Self::NotEquals => "'!='",
            Self::Not => "'!'",
            Self::Open => "'('",
            Self::Close => "')'",
            Self::Comma => "','",
            Self::Less => "'<'",
            Self::Greater => "'>'",
            Self::End => "the end",
        })
    }
}

struct Parser<'a> {
    text: &'a str,
    /// What is not consumed yet; begins with a token, perhaps after white space.
    rest: &'a str,
}

impl<'a> Parser<'a> {
    /// `!key`, `key`, `key = value`, `key in (value, …)` and so on.
    fn requirement(&mut self) -> Result<Requirement, SyntaxError> {
        let negated = self.peek() == Token::Not;
        if negated {
            self.skip();
        }
        let start = self.position();
        let key = self.word("a label key")?;
        if negated {
            return self.checked(start, key, "DoesNotExist", &[]);
        }
        match self.peek() {
            Token::End | Token::Comma => self.checked(start, key, "Exists", &[]),
            Token::Equals => self.exact_value(start, key, "In"),
            Token::NotEquals => self.exact_value(start, key, "NotIn"),
            Token::Word("in") => self.value_list(start, key, "In"),
            Token::Word("notin") => self.value_list(start, key, "NotIn"),
            Token::Word(_) | Token::Not | Token::Open | Token::Close | Token::Less | Token::Greater => {
                Err(self.expected("'=', '==', '!=', 'in', 'notin', ',' or the end"))
            }
        }
    }

    /// The value after `=`; nothing there is the empty value.
    fn exact_value(&mut self, start: usize, key: &str, operator: &str) -> Result<Requirement, SyntaxError> {
        self.skip();
        let value = match self.peek() {
            Token::End | Token::Comma => "",
            _ => self.word("a label value")?,
        };
        self.checked(start, key, operator, &[value])
    }

    /// `(a, b)` after `in`; nothing before a comma or the parenthesis is the empty value.
    fn value_list(&mut self, start: usize, key: &str, operator: &str) -> Result<Requirement, SyntaxError> {
        self.skip();
        if self.peek() != Token::Open {
            return Err(self.expected("'('"));
        }
        self.skip();
        let mut values = Vec::new();
        loop {
            values.push(match self.peek() {
                Token::Comma | Token::Close => "",
                _ => self.word("a label value")?,
            });
            match self.peek() {
                Token::Comma => self.skip(),
                Token::Close => break self.skip(),
                _ => return Err(self.expected("',' or ')'")),
            }
        }
        self.checked(start, key, operator, &values)
    }

    fn word(&mut self, what: &str) -> Result<&'a str, SyntaxError> {
        match self.peek() {
            Token::Word(word) => {
                self.skip();
                Ok(word)
            }
            _ => Err(self.expected(what)),
        }
    }

    fn checked(&self, start: usize, key: &str, operator: &str, values: &[&str]) -> Result<Requirement, SyntaxError> {
        Requirement::new(key, operator, values).map_err(|problem| self.error(start, problem))
    }

    fn peek(&self) -> Token<'a> {
        self.token().0
    }

    fn skip(&mut self) {
        self.rest = self.token().1;
    }

    /// The next token and what comes after it.
    fn token(&self) -> (Token<'a>, &'a str) {
        const SPECIAL: [char; 7] = ['=', '!', '(', ')', ',', '<', '>'];
        let rest = self.rest.trim_start();
        let symbols = [
            ("==", Token::Equals),
            ("=", Token::Equals),
            ("!=", Token::NotEquals),
            ("!", Token::Not),
            ("(", Token::Open),
            (")", Token::Close),
            (",", Token::Comma),
            ("<", Token::Less),
            (">", Token::Greater),
        ];
        for (symbol, token) in symbols {
            if let Some(after) = rest.strip_prefix(symbol) {
                return (token, after);
            }
        }
        let end = rest
            .find(|c: char| c.is_whitespace() || SPECIAL.contains(&c))
            .unwrap_or(rest.len());
        match rest.split_at(end) {
            ("", after) => (Token::End, after),
            (word, after) => (Token::Word(word), after),
        }
    }

    /// Of the next token, in characters from 1.
    fn position(&self) -> usize {
        let consumed = self.text.len() - self.rest.trim_start().len();
        self.text[..consumed].chars().count() + 1
    }

    fn expected(&self, what: &str) -> SyntaxError {
        self.error(self.position(), format!("found {}, expected {what}", self.peek()))
    }

    fn error(&self, position: usize, problem: String) -> SyntaxError {
        SyntaxError {
            text: self.text.to_owned(),
            position,
            problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Inputs and outputs of apimachinery's `labels.Parse` (`selector_test.go`), printed in the form of [`Selector`].
    #[test]
    fn understands_what_kubectl_understands() {
        for (text, expected) in [
            ("", ""),
            ("  ", ""),
            ("x=a,y=b,z=c", "x in (a),y in (b),z in (c)"),
            ("x==a", "x in (a)"),
            ("x = a", "x in (a)"),
            ("x!=a,y=b", "x notin (a),y in (b)"),
            ("x=", "x in ()"),
            ("x= ,z= ", "x in (),z in ()"),
            ("x!= ,y", "x notin (),y"),
            ("x", "x"),
            ("!x", "!x"),
            ("! x", "!x"),
            ("x,!y", "x,!y"),
            ("x in (a,b)", "x in (a,b)"),
            ("x in(a)", "x in (a)"),
            ("  x  notin ( b ,a )  ", "x notin (a,b)"),
            ("x in ()", "x in ()"),
            ("x in (,a)", "x in (,a)"),
            ("x in (a,)", "x in (,a)"),
            ("in in (in,notin)", "in in (in,notin)"),
            ("notin=in", "notin in (in)"),
            ("example.com/app=web", "example.com/app in (web)"),
            (
                "a=b,c!=d,e in (f,g),h notin (i),j,!k",
                "a in (b),c notin (d),e in (f,g),h notin (i),j,!k",
            ),
        ] {
            let selector = parse(text).map(|selector| sorted(&selector.to_string()));
            assert_eq!(selector, Ok(sorted(expected)), "{text:?}");
        }
    }

    /// A selector keeps its requirements in an order of its own; which one does not matter here.
    fn sorted(text: &str) -> Vec<String> {
        let mut depth = 0;
        let mut parts: Vec<String> = text
            .split(|c| {
                depth += i32::from(c == '(') - i32::from(c == ')');
                c == ',' && depth == 0
            })
            .map(str::to_owned)
            .collect();
        parts.sort();
        parts
    }

    #[test]
    fn says_where_and_what() {
        for (text, position, problem) in [
            (",", 1, "found ',', expected a label key"),
            ("=a", 1, "found '=', expected a label key"),
            ("!", 2, "found the end, expected a label key"),
            ("x,", 3, "found the end, expected a label key"),
            ("x,,y", 3, "found ',', expected a label key"),
            ("!x=a", 3, "found '=', expected ',' or the end"),
            (
                "x y",
                3,
                "found \"y\", expected '=', '==', '!=', 'in', 'notin', ',' or the end",
            ),
            (
                "x > 1",
                3,
                "found '>', expected '=', '==', '!=', 'in', 'notin', ',' or the end",
            ),
            ("x=a b", 5, "found \"b\", expected ',' or the end"),
            ("x===a", 4, "found '=', expected a label value"),
            ("x in a", 6, "found \"a\", expected '('"),
            ("x in", 5, "found the end, expected '('"),
            ("x in (a", 8, "found the end, expected ',' or ')'"),
            ("x in (a b)", 9, "found \"b\", expected ',' or ')'"),
            ("x in (a!)", 8, "found '!', expected ',' or ')'"),
            ("ä/b=c", 1, "\"ä/b\" is no label key"),
            ("ok,ä=c", 4, "\"ä\" is no label key"),
            ("x=ä,y", 1, "\"ä\" is no label value"),
            ("x in (ä,b))", 1, "\"ä\" is no label value"),
            ("x in (b))", 9, "found ')', expected ',' or the end"),
        ] {
            let expected = SyntaxError {
                text: text.to_owned(),
                position,
                problem: problem.to_owned(),
            };
            assert_eq!(parse(text), Err(expected), "{text:?}");
        }
    }

    #[test]
    fn an_error_reads_as_a_sentence() {
        expect_test::expect![[
            r#""app in web", character 8: found "web", expected '('; write it as for kubectl: app=web,tier!=cache,env in (prod,canary),!legacy"#
        ]]
        .assert_eq(&parse("app in web").expect_err("no parenthesis").to_string());
    }
}
