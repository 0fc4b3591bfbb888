//! An answer for people: the verdict first, then each direction, then who has the addresses.
//!
//! Pure. Says nothing that the answer does not; of long lists only the beginning, and how long they are.

use super::answer::{
    Answer, DirectionAnswer, EntryAnswer, ListAnswer, Nearest, PolicyAnswer, RuleAnswer, SubjectAnswer, Void,
};
use super::ends::Address;
use super::words;
use crate::screen::{Ink, Tone};
use std::fmt::Write as _;

/// The most rules of a policy, and entries of a list, that are shown. JSON has all of them.
const MAX_SHOWN: usize = 6;

/// An answer, with a line feed after every line but the last.
pub fn render(answer: &Answer, ink: Ink) -> String {
    let mut page = Page {
        ink,
        text: String::new(),
        indent: "",
    };
    page.headline(answer);
    for direction in &answer.directions {
        page.line("");
        page.direction(direction);
    }
    page.addresses(&answer.addresses);
    page.text.trim_end().to_owned()
}

struct Page {
    ink: Ink,
    text: String,
    /// Before every line.
    indent: &'static str,
}

impl Page {
    fn line(&mut self, line: &str) {
        let _ = writeln!(self.text, "{}", format!("{}{line}", self.indent).trim_end());
    }

    fn headline(&mut self, answer: &Answer) {
        let tone = match answer.verdict {
            "allowed" => Tone::Good,
            "refused" => Tone::Bad,
            _ => Tone::Odd,
        };
        let family = answer
            .family
            .filter(|_| answer.probe.matches('/').count() == 1)
            .map_or_else(String::new, |family| format!(" over IPv{family}"));
        let Answer { from, to, probe, .. } = answer;
        let question = self
            .ink
            .paint(Tone::Strong, format_args!("{from} → {to}  {probe}{family}"));
        let verdict = self.ink.paint(tone, &answer.because);
        self.line(&format!("{question}: {verdict}"));
        if let Some(contradiction) = &answer.contradiction {
            let contradiction = self.ink.paint(Tone::Odd, contradiction);
            self.line(&contradiction);
        }
    }

    fn direction(&mut self, direction: &DirectionAnswer) {
        let DirectionAnswer {
            direction: name, end, ..
        } = direction;
        let word = self.verdict(direction.admitted, "allowed", "refused");
        let head = format!("{name:<7}  of {end}: {word}");
        if let Some(unjudged) = &direction.unjudged {
            self.line(&format!("{head}; {unjudged}"));
        }
        if let [subject] = direction.subjects.as_slice()
            && subject.pod == *end
        {
            self.line(&format!("{head}; {}", because(subject)));
            self.subject(subject);
            return;
        }
        for (place, subject) in direction.subjects.iter().enumerate() {
            if place == 0 {
                self.line(&head);
            }
            let SubjectAnswer { pod, node, .. } = subject;
            self.line(&format!("  for {pod} on node {node}: {}", because(subject)));
            self.indent = "  ";
            self.subject(subject);
            self.indent = "";
        }
    }

    fn verdict(&self, good: bool, yes: &str, no: &str) -> String {
        let (tone, word) = if good { (Tone::Good, yes) } else { (Tone::Bad, no) };
        self.ink.paint(tone, word)
    }

    fn subject(&mut self, subject: &SubjectAnswer) {
        if subject.claimants.len() > 1 {
            let claimants = words::list(&subject.claimants);
            self.line(&format!(
                "  the other end is all of {claimants}: a selector must match each"
            ));
        }
        let nearest = subject.nearest.as_ref();
        for policy in &subject.policies {
            // What an admitting policy is joined by cannot take back what it admits.
            if !subject.admitted || policy.admits {
                self.policy(policy, nearest);
            }
        }
        if let Some(nearest) = nearest {
            self.nearest(nearest);
        } else if !subject.admitted {
            self.line("  It takes another rule to admit it: these policies have none that could.");
        }
    }

    fn policy(&mut self, policy: &PolicyAnswer, nearest: Option<&Nearest>) {
        let name = self.ink.paint(Tone::Strong, &policy.policy);
        if policy.rules.is_empty() && policy.void.is_none() {
            self.line(&format!("  {name} has no rules, and admits nothing"));
            return;
        }
        self.line(&format!("  {name}"));
        if let Some(void) = &policy.void {
            self.void("    ", void);
            return;
        }
        let is_nearest =
            |rule: &RuleAnswer| nearest.is_some_and(|near| near.policy == policy.policy && near.field == rule.field);
        let (shown, hidden): (Vec<_>, Vec<_>) = policy
            .rules
            .iter()
            .filter(|rule| rule.admits == policy.admits)
            .enumerate()
            .partition(|(place, rule)| *place < MAX_SHOWN || is_nearest(rule));
        for (_, rule) in shown {
            self.rule(rule);
        }
        match hidden.len() {
            0 => {}
            more if policy.admits => self.line(&format!("    {more} more rules admit it too")),
            more => self.line(&format!("    {more} more rules do not admit it either")),
        }
        if policy.admits {
            self.beside(policy);
        }
    }

    /// What of an admitting policy is void.
    fn beside(&mut self, policy: &PolicyAnswer) {
        let void: Vec<&Void> = policy.rules.iter().flat_map(RuleAnswer::void_pieces).collect();
        for void in void.iter().take(MAX_SHOWN) {
            self.void("    ", void);
        }
        if void.len() > MAX_SHOWN {
            self.line(&format!("    {} more pieces are void", void.len() - MAX_SHOWN));
        }
    }

    fn rule(&mut self, rule: &RuleAnswer) {
        if let Some(void) = &rule.void {
            self.void("    ", void);
            return;
        }
        let verdict = self.verdict(rule.admits, "admits it", "does not admit it");
        self.line(&format!("    {} {verdict}", rule.field));
        for list in rule.peers.iter().chain(&rule.ports) {
            self.list(list, &rule.field);
        }
    }

    fn list(&mut self, list: &ListAnswer, rule: &str) {
        if list.any {
            let any = if list.list == "ports" {
                "every port and protocol"
            } else {
                "anybody"
            };
            let sign = self.verdict(true, "ok", "");
            self.line(&format!("      {sign}  {:<9} {any}", list.list));
        }
        if let Some(void) = &list.void {
            self.void("      ", void);
        }
        let told: Vec<&EntryAnswer> = list
            .entries
            .iter()
            .filter(|entry| entry.matches == list.matches)
            .collect();
        let shown = if list.matches { 1 } else { MAX_SHOWN };
        for entry in told.iter().take(shown) {
            self.entry(entry, rule);
        }
        if !list.matches && told.len() > shown {
            self.line(&format!("      {} more, none of which matches", told.len() - shown));
        }
    }

    fn entry(&mut self, entry: &EntryAnswer, rule: &str) {
        if let Some(void) = &entry.void {
            self.void("      ", void);
            return;
        }
        let sign = self.verdict(entry.matches, "ok", "no");
        let place = entry
            .field
            .strip_prefix(rule)
            .unwrap_or(&entry.field)
            .trim_start_matches('.');
        self.line(&format!("      {sign}  {place:<9} {}", entry.means));
        if !entry.fails.is_empty() {
            self.line(&format!("                    {}", words::together(&entry.fails)));
        }
    }

    fn void(&mut self, indent: &str, Void { field, reason, .. }: &Void) {
        let word = self.ink.paint(Tone::Odd, "void");
        self.line(&format!("{indent}{word}  {field}: {reason}"));
    }

    fn nearest(&mut self, nearest: &Nearest) {
        let Nearest {
            policy,
            field,
            conditions,
        } = nearest;
        let conditions = words::together(conditions);
        self.line(&format!("  {policy} {field} would admit it if {conditions}"));
    }

    fn addresses(&mut self, addresses: &[Address]) {
        if addresses.is_empty() {
            return;
        }
        self.line("");
        self.line(&self.ink.paint(Tone::Strong, "Addresses"));
        let width = addresses.iter().map(|address| address.address.len()).max().unwrap_or(0);
        for address in addresses {
            let Address {
                side, address: text, ..
            } = address;
            for (place, line) in owners(address).into_iter().enumerate() {
                if place == 0 {
                    self.line(&format!("  {side:<11}  {text:<width$}  {line}"));
                } else {
                    self.line(&format!("  {:<11}  {:<width$}  {line}", "", ""));
                }
            }
        }
    }
}

/// How a pod stands to the connection, and where that is judged if it is not where its node forwards.
fn because(subject: &SubjectAnswer) -> String {
    let because = &subject.because;
    match subject.hook {
        "input" => format!("{because} (for its own node, by --egress-to-local-node policy)"),
        _ => because.clone(),
    }
}

/// Who has an address, one thought a line.
fn owners(address: &Address) -> Vec<String> {
    let mut lines: Vec<String> = address
        .pods
        .iter()
        .map(|owner| match &owner.node {
            Some(node) => format!("{}, on node {node}", owner.pod),
            None => format!("{}, on no node", owner.pod),
        })
        .collect();
    if address.pods.len() > 1 {
        lines.push(
            "claimed by several live pods: each of their clusters counts its own, others must match all".to_owned(),
        );
    }
    lines.extend(address.nodes.iter().map(|node| format!("node {node}")));
    if lines.is_empty() {
        lines.push("no live pod's and no node's".to_owned());
    }
    let lost = address.not_owners.iter();
    lines.extend(lost.map(|lost| format!("not {}'s, which lists it: {}", lost.pod, lost.because)));
    lines
}
