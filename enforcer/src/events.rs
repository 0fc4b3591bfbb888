//! Which Kubernetes Events there should be: one for each kind of piece of a policy that is not in force.
//!
//! Pure. Only a node that has a subject of the policy asks for them, and all such nodes ask for the same ones: an Event's
//! name is derived from what it is about, so that the API server keeps one, whoever comes first. Writing them is
//! [`crate::recorder`]'s.

use crate::policy::{Kind, Policy, PolicyName};
use crate::ruleset::digest;
use proto::observe::Pod;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The most pieces that one Event names.
const PIECES: usize = 3;

/// The most bytes of an Event's message that are sure to be kept (`events.k8s.io`'s limit for a note).
const MESSAGE_BYTES: usize = 1024;

/// An Event's name: the same for the same kind of piece of the same generation of the same policy, on every node.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct EventName(String);

impl EventName {
    fn of(policy: &Policy, kind: Kind) -> Self {
        // None of the three holds a slash.
        let about = format!("{}/{}/{}", policy.uid, policy.generation, kind.name());
        Self(format!("bailey-{}", digest(&about, 26)))
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an Event is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Void {
    /// The policy.
    pub policy: Arc<Policy>,
    /// The kind of its pieces.
    pub kind: Kind,
}

/// The Events that a node asks for.
pub type Events = BTreeMap<EventName, Void>;

/// The Events about these policies that a node with these pods asks for.
pub fn events(policies: &BTreeMap<PolicyName, Arc<Policy>>, pods: &[Arc<Pod>]) -> Events {
    let concerned = policies.values().filter(|policy| {
        !policy.refused.is_empty() && pods.iter().any(|pod| pod.is_live() && has_subject(policy, pod))
    });
    let voids = concerned.flat_map(|policy| {
        policy.refused.iter().map(|refused| Void {
            policy: Arc::clone(policy),
            kind: refused.kind,
        })
    });
    voids
        .map(|void| (EventName::of(&void.policy, void.kind), void))
        .collect()
}

fn has_subject(policy: &Policy, pod: &Pod) -> bool {
    policy.name.namespace == pod.namespace
        && policy
            .subjects
            .as_ref()
            .is_none_or(|selector| selector.matches(&pod.labels))
}

impl Void {
    /// The Event's reason.
    pub const fn reason(&self) -> &'static str {
        match self.kind {
            Kind::Selector => "VoidSelector",
            Kind::Peer => "VoidPeer",
            Kind::IpBlock => "VoidIPBlock",
            Kind::Port => "VoidPort",
            Kind::PolicyTypes => "VoidPolicyType",
            Kind::UnknownField => "UnknownField",
            Kind::Malformed => "MalformedPolicy",
            Kind::Limit => "LimitExceeded",
        }
    }

    /// What to do.
    const fn advice(&self) -> &'static str {
        match self.kind {
            Kind::Selector => {
                "Write labels as Kubernetes allows them and one of the operators In, NotIn, Exists and DoesNotExist."
            }
            Kind::Peer => "Name a podSelector, a namespaceSelector or both, or an ipBlock alone.",
            Kind::IpBlock => "Write blocks as ADDRESS/PREFIX, for example 10.0.0.0/8 or fd00::/8.",
            Kind::Port => {
                "Write a port from 1 to 65535 or the name of a container's port, and TCP, UDP or SCTP as protocol."
            }
            Kind::PolicyTypes => "Write Ingress, Egress or both.",
            Kind::UnknownField => "Remove the field, or run a release of Bailey that knows it.",
            Kind::Malformed => "Compare it with `kubectl explain networkpolicy.spec --recursive`.",
            Kind::Limit => "Split the policy, or let it combine fewer peers with fewer ports.",
        }
    }

    /// What is void, what follows and what to do, in at most [`MESSAGE_BYTES`].
    pub fn message(&self) -> String {
        let of_kind = || self.policy.refused.iter().filter(|refused| refused.kind == self.kind);
        let advice = self.advice();
        let mut message = String::new();
        let mut named = 0;
        for refused in of_kind().take(PIECES) {
            let piece = format!("{refused}. ");
            // The first is cut rather than left out; `and … more` and the advice have their room.
            let room = (MESSAGE_BYTES - advice.len() - 40).saturating_sub(message.len());
            match (piece.len() <= room, named) {
                (true, _) => message += &piece,
                (false, 0) => message += &format!("{}… ", cut(&piece, room)),
                (false, _) => break,
            }
            named += 1;
        }
        match of_kind().count() - named {
            0 => {}
            more => message += &format!("And {more} more of the kind. "),
        }
        message + advice
    }

    /// The Event, as a node writes it at a time in RFC 3339.
    pub fn event(&self, name: &EventName, node: &str, at: &str) -> Value {
        let policy = &self.policy;
        let (namespace, uid) = (&*policy.name.namespace, &*policy.uid);
        json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name.0, "namespace": namespace},
            "involvedObject": {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "NetworkPolicy",
                "namespace": namespace,
                "name": &*policy.name.name,
                "uid": uid,
            },
            "type": "Warning",
            "reason": self.reason(),
            "message": self.message(),
            "source": {"component": COMPONENT, "host": node},
            "reportingComponent": COMPONENT,
            "reportingInstance": node,
            "firstTimestamp": at,
            "lastTimestamp": at,
            "count": 1,
        })
    }
}

/// As much of a text as fits.
fn cut(text: &str, bytes: usize) -> &str {
    let ends = text
        .char_indices()
        .map(|(start, character)| start + character.len_utf8());
    &text[..ends.take_while(|end| *end <= bytes).last().unwrap_or(0)]
}

/// Who the Events are from.
const COMPONENT: &str = "bailey-enforcer";

#[cfg(test)]
mod tests;
