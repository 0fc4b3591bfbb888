//! The README's reader: what it has people type after the installation does what it says, word for word but for numbers.
//!
//! tests/k8s/install and tests/k8s/remove take their commands from the README themselves.

use super::rig::{SOON, pki, readmes_block, root};
use super::stories::Examples;
use std::process::Command;
use tests::lab::wait::{Look, until};

/// A command, and what the README shows that it prints; nothing: it shows nothing.
struct Shown {
    command: String,
    prints: Vec<String>,
}

/// The commands of the first console block after some words of the README.
fn shown_after(words: &str) -> Vec<Shown> {
    let block = readmes_block(words, "console");
    let commands = block.split("$ ").skip(1);
    commands
        .map(|shown| {
            let mut lines = shown.lines().map(str::to_owned);
            Shown {
                command: lines.next().unwrap(),
                prints: lines.collect(),
            }
        })
        .collect()
}

/// Types all, in one shell's words: a variable that one command sets is there for the next. Each must succeed and print what
/// is shown, at once or soon.
async fn type_in(shown: &[Shown]) {
    let mut set = Vec::new();
    for Shown { command, prints } in shown {
        if command
            .split_once('=')
            .is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_lowercase()))
        {
            set.push(command.as_str());
        }
        // Where install has put it.
        let here = command.replace("pki/", &format!("{}/", pki().display()));
        let script = [&set[..], &[&here]].concat().join("\n");
        let done = until(SOON, async || {
            let output = Command::new("bash")
                .args(["-ec", &script])
                .current_dir(root())
                .output()?;
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let is_as_shown = prints.is_empty() || agree(prints, &said);
            Ok(if output.status.success() && is_as_shown {
                Look::Done(())
            } else {
                let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
                Look::NotYet(format!("{command}\n{said}{complaint}\nand not\n{}", prints.join("\n")))
            })
        });
        done.await.unwrap_or_else(|error| panic!("{error:#}"));
        println!("$ {command}");
    }
}

/// Whether a text has these lines, in this order and without others in between but where `…` stands. Numbers, identities and
/// the width of columns are each run's own.
fn agree(shown: &[String], said: &str) -> bool {
    let said: Vec<String> = said.lines().map(plain).collect();
    let mut rest = said.as_slice();
    let mut may_skip = false;
    for line in shown.iter().map(|line| plain(line)) {
        if line == "…" {
            may_skip = true;
            continue;
        }
        let at = rest.iter().position(|one| *one == line);
        match at {
            Some(at) if at == 0 || may_skip => rest = &rest[at + 1..],
            _ => return false,
        }
        may_skip = false;
    }
    may_skip || rest.is_empty()
}

/// A line without what differs between runs: every word with a digit in it is one.
fn plain(line: &str) -> String {
    let words = line.split_whitespace();
    let words = words.map(|word| {
        if word.chars().any(|c| c.is_ascii_digit()) {
            "0"
        } else {
            word
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn lines_agree_but_for_numbers() {
    let shown = |lines: &[&str]| -> Vec<String> { lines.iter().map(|&line| line.to_owned()).collect() };
    assert!(agree(&shown(&["a  1", "b"]), "a 23\nb\n"));
    assert!(!agree(&shown(&["a  1", "b"]), "a 23\nc\nb\n"));
    assert!(agree(&shown(&["a  1", "…", "b"]), "a 23\nc\nb\n"));
    assert!(!agree(&shown(&["a"]), "a\nb\n"));
    assert!(agree(&shown(&["a", "…"]), "a\nb\n"));
}

/// Step 5: who is a member, and which enforcers there are.
#[tokio::test]
async fn the_installation_is_seen() {
    type_in(&shown_after("**5. See it.**")).await;
}

/// Step 6: story 2.
#[tokio::test]
async fn story_2_is_tried() {
    let examples = Examples::start();
    type_in(&shown_after("**6. Try story 2.**")).await;
    type_in(&shown_after("by an Event; `ListEnforcers`")).await;
    drop(examples);
}

#[tokio::test]
async fn a_node_is_checked() {
    type_in(&shown_after("### Check a node")).await;
}
