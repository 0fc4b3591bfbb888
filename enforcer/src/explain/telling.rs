//! A question → its answer.
//!
//! Pure. The verdict is the judge's. That the evaluation, which gives the reasons, agrees with it is checked, and said
//! aloud if it does not.

use super::answer::{
    Answer, DirectionAnswer, EntryAnswer, ListAnswer, Nearest, PolicyAnswer, Question, RuleAnswer, SubjectAnswer, Void,
};
use super::ends;
use super::evaluate::{Evaluator, Half, Isolating, Judged, Rule, Side, Stance, Subject, policy_type};
use super::nearest::{Distance, nearest};
use super::peers::PeerMiss;
use super::ports::PortMiss;
use super::words::{self, About, Sentence};
use crate::offline::clusterset::ClusterSet;
use crate::offline::ends::{Verdict, family_number};
use crate::offline::judge::{Connection, Hook, Judge};
use crate::policy::written::{Entry, Peer};
use crate::policy::{PolicyPort, Refused};
use crate::ruleset::{Direction, Family};

/// Explains what becomes of a connection.
pub fn answer(set: &ClusterSet, judge: &Judge<'_>, question: &Question) -> Answer {
    let Question { from, to, probe } = question;
    let connection = judge.connection(from, to, *probe);
    let (verdict, because, contradiction, directions) = match &connection {
        None => (Verdict::Absent, ends::why_absent(set, question), None, Vec::new()),
        Some(connection) => {
            let sides = Evaluator::new(set).sides(connection);
            let passes = judge.passes(connection);
            let telling = Telling {
                set,
                question,
                connection,
            };
            let directions = Direction::ALL
                .map(|direction| telling.direction(direction, &sides))
                .to_vec();
            let verdict = if passes { Verdict::Allowed } else { Verdict::Refused };
            (
                verdict,
                telling.because(verdict, &sides),
                contradiction(passes, &sides),
                directions,
            )
        }
    };
    Answer {
        from: from.to_string(),
        to: to.to_string(),
        probe: probe.to_string(),
        family: connection
            .as_ref()
            .map(|connection| family_number(Family::of(connection.packet.source))),
        verdict: match verdict {
            Verdict::Allowed => "allowed",
            Verdict::Refused => "refused",
            Verdict::Absent => "none",
        },
        because,
        contradiction,
        directions,
        addresses: ends::addresses(set, question, connection.as_ref()),
    }
    .made_plain()
}

/// What is to be said if the two readings differ.
fn contradiction(passes: bool, sides: &[Side]) -> Option<String> {
    let admits = sides.iter().all(Side::admits);
    let isolated = |side: &Side| {
        side.subjects
            .iter()
            .filter(|subject| !subject.isolating().is_empty())
            .count()
    };
    match (passes, admits) {
        (true, true) | (false, false) => None,
        (false, true) if sides.iter().any(|side| isolated(side) > 1) => Some(
            "each of the pods that claim this address admits it, but together their rules combine in more ways than one \
             address is given, so that nothing is admitted: let no two live pods have one address"
                .to_owned(),
        ),
        (true, false) => Some(
            "the compiled ruleset lets it pass, although the policies, as told below, do not admit it: this is a bug in \
             Bailey, please report it with these manifests"
                .to_owned(),
        ),
        (false, true) => Some(
            "the compiled ruleset drops it, although the policies, as told below, admit it: this is a bug in Bailey, \
             please report it with these manifests"
                .to_owned(),
        ),
    }
}

/// Tells of one connection.
struct Telling<'a> {
    set: &'a ClusterSet,
    question: &'a Question,
    connection: &'a Connection,
}

impl Telling<'_> {
    fn because(&self, verdict: Verdict, sides: &[Side]) -> String {
        let mut refusing: Vec<String> = sides
            .iter()
            .filter(|side| !side.admits())
            .map(|side| format!("by {} at {}", side.direction, side.crossing.node.cluster))
            .collect();
        refusing.sort();
        refusing.dedup();
        match verdict {
            Verdict::Refused if !refusing.is_empty() => format!("refused {}", refusing.join(" and ")),
            Verdict::Refused => "refused".to_owned(),
            Verdict::Allowed | Verdict::Absent => "allowed".to_owned(),
        }
    }

    fn direction(&self, direction: Direction, sides: &[Side]) -> DirectionAnswer {
        let end = match direction {
            Direction::Egress => &self.question.from,
            Direction::Ingress => &self.question.to,
        };
        let sides: Vec<&Side> = sides.iter().filter(|side| side.direction == direction).collect();
        DirectionAnswer {
            direction: policy_type(direction).rules(),
            end: end.to_string(),
            admitted: sides.iter().all(|side| side.admits()),
            unjudged: sides
                .is_empty()
                .then(|| ends::why_unjudged(self.set, self.connection, direction, end)),
            subjects: sides
                .into_iter()
                .flat_map(|side| side.subjects.iter().map(|subject| self.subject(side, subject)))
                .collect(),
        }
    }

    fn about<'a>(&self, side: &'a Side, namespace: &'a str) -> About<'a> {
        About {
            side,
            namespace,
            reach: self.set.switches().selectors.bare_pod_selector,
            payload: self.connection.packet.payload,
            node: self.set.nodes_at(side.peer).first().map(ToString::to_string),
        }
    }

    fn subject(&self, side: &Side, subject: &Subject) -> SubjectAnswer {
        let admitted = subject.admits();
        let direction = policy_type(side.direction).rules();
        let cluster = &side.crossing.node.cluster;
        let because = match &subject.stance {
            Stance::Free => format!("no policy of {cluster} selects it for {direction}"),
            Stance::Itself => "a pod reaches itself, whatever policies say".to_owned(),
            Stance::Isolated(policies) => isolation(policies),
        };
        SubjectAnswer {
            pod: subject.pod.to_string(),
            node: side.crossing.node.to_string(),
            hook: match side.crossing.hook {
                Hook::Forward => "forward",
                Hook::Input => "input",
            },
            admitted,
            because,
            claimants: side.claimants.iter().map(ToString::to_string).collect(),
            policies: subject
                .isolating()
                .iter()
                .map(|policy| policy_answer(&self.about(side, &policy.name.namespace), policy))
                .collect(),
            nearest: (!admitted).then(|| self.nearest(side, subject.isolating())).flatten(),
        }
    }

    fn nearest(&self, side: &Side, policies: &[Isolating]) -> Option<Nearest> {
        let (place, index, distance) = nearest(policies)?;
        let policy = &policies[place];
        let about = self.about(side, &policy.name.namespace);
        let conditions = policy.rules[index]
            .as_ref()
            .map_or_else(|_| Vec::new(), |rule| conditions(&about, rule, distance));
        Some(Nearest {
            policy: policy.name.to_string(),
            field: rule_field(side, index),
            conditions,
        })
    }
}

/// Which policies isolate a pod, and whether they admit.
fn isolation(policies: &[Isolating]) -> String {
    let names = words::list(policies.iter().map(|policy| &policy.name));
    let admitting = policies.iter().filter(|policy| policy.admits());
    let admitting = words::list(admitting.map(|policy| &policy.name));
    match (policies.len(), admitting.is_empty()) {
        (1, true) => format!("isolated by {names}, which does not admit it"),
        (1, false) => format!("isolated by {names}, which admits it"),
        (_, true) => format!("isolated by {names}, none of which admits it"),
        (_, false) => format!("isolated by {names}; admitted by {admitting}"),
    }
}

fn rule_field(side: &Side, index: usize) -> String {
    format!("spec.{}[{index}]", policy_type(side.direction).rules())
}

fn policy_answer(about: &About<'_>, policy: &Isolating) -> PolicyAnswer {
    let rules = policy.rules.iter().enumerate();
    PolicyAnswer {
        policy: policy.name.to_string(),
        admits: policy.admits(),
        void: policy.void.as_ref().map(Void::from),
        rules: rules.map(|(index, rule)| rule_answer(about, index, rule)).collect(),
    }
}

fn rule_answer(about: &About<'_>, index: usize, rule: &Entry<Rule>) -> RuleAnswer {
    let field = rule_field(about.side, index);
    let peers = policy_type(about.side.direction).peers();
    let (admits, void, lists) = match rule {
        Err(refused) => (false, Some(refused.into()), None),
        Ok(rule) => {
            let peer = |peer: &Peer| about.peer(peer);
            let peer_miss = |_: &Peer, miss: &PeerMiss| about.peer_miss(miss);
            let port_miss = |_: &PolicyPort, miss: &PortMiss| vec![about.port_miss(miss)];
            let lists = (
                list_answer((&field, peers), &rule.peers, peer, peer_miss),
                list_answer((&field, "ports"), &rule.ports, words::port, port_miss),
            );
            (rule.admits(), None, Some(lists))
        }
    };
    let (peers, ports) = lists.unzip();
    RuleAnswer {
        field,
        admits,
        void,
        peers,
        ports,
    }
}

fn list_answer<P, M>(
    (rule, name): (&str, &'static str),
    half: &Half<P, M>,
    means: impl Fn(&P) -> String,
    fails: impl Fn(&P, &M) -> Vec<Sentence>,
) -> ListAnswer {
    let entry = |(index, judged): (usize, &Judged<P, M>)| {
        let (matches, means, fails, void) = match judged {
            Judged::Void(refused) => (false, String::new(), Vec::new(), Some(refused.into())),
            Judged::Matches(piece) => (true, means(piece), Vec::new(), None),
            Judged::Misses(piece, miss) => (false, means(piece), fails(piece, miss), None),
        };
        EntryAnswer {
            field: format!("{rule}.{name}[{index}]"),
            matches,
            means,
            fails,
            void,
        }
    };
    let (void, entries) = match half {
        Half::Any => (None, Vec::new()),
        Half::Void(refused) => (Some(refused.into()), Vec::new()),
        Half::Of(entries) => (None, entries.iter().enumerate().map(entry).collect()),
    };
    ListAnswer {
        list: name,
        any: matches!(half, Half::Any),
        matches: half.matches(),
        void,
        entries,
    }
}

/// All that would have to be otherwise for a rule to admit, by the entries that come nearest.
fn conditions(about: &About<'_>, rule: &Rule, distance: Distance) -> Vec<Sentence> {
    let peer = |peer: &Peer, miss: &PeerMiss| about.peer_cure(peer, miss);
    let port = |port: &PolicyPort, miss: &PortMiss| vec![about.port_cure(port, miss)];
    let mut conditions = half_conditions(&rule.peers, distance.peer, peer);
    conditions.extend(half_conditions(&rule.ports, distance.port, port));
    conditions
}

fn half_conditions<P, M>(
    half: &Half<P, M>,
    nearest: Option<usize>,
    cure: impl Fn(&P, &M) -> Vec<Sentence>,
) -> Vec<Sentence> {
    let put_right = |refused: &Refused| vec![words::put_right(refused)];
    match (half, nearest) {
        (Half::Void(refused), _) => put_right(refused),
        (Half::Any, _) | (Half::Of(_), None) => Vec::new(),
        (Half::Of(entries), Some(index)) => match &entries[index] {
            Judged::Matches(_) => Vec::new(),
            Judged::Void(refused) => put_right(refused),
            Judged::Misses(piece, miss) => cure(piece, miss),
        },
    }
}
