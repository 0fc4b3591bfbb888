//! Which policies isolate a pod, and what they come to.
//!
//! Pure.

use super::Judge;
use super::connection::{Connection, Direction, NodeName};
use super::objects::Pod;
use super::place::Place;
use super::policies::{Policy, Rules};

impl<'w> Judge<'w> {
    /// S4: directions are independent: what isolates a pod in one says nothing of the other.
    pub(super) fn pod_allows(
        &self,
        node: &NodeName,
        pod: &'w Pod,
        direction: Direction,
        connection: Connection,
    ) -> bool {
        let both = [connection.source, connection.destination];
        if both.into_iter().all(|address| self.is_itself(node, pod, address)) {
            self.cite(69);
            return true;
        }
        let selecting = self.selecting(pod);
        let isolating: Vec<&Policy> = selecting
            .iter()
            .copied()
            .filter(|policy| self.isolates(policy, direction))
            .collect();
        if isolating.len() < selecting.len() {
            self.cite(4);
        }
        let place = Place {
            judge: self,
            node,
            pod,
            direction,
            connection,
        };
        if isolating.is_empty() {
            self.cite(1);
        } else if connection.source.is_ipv6() {
            // S96: isolation is of both families, whatever the rules speak of.
            self.cite(96);
        }
        // S1: a pod that no policy isolates allows everything.
        isolating.is_empty() || self.any_allows(&isolating, &place)
    }

    /// S8: what one of the policies allows is allowed, whatever the others say.
    fn any_allows(&self, isolating: &[&Policy], place: &Place<'_, 'w>) -> bool {
        let allowing = isolating.iter().filter(|policy| self.allows(policy, place)).count();
        if allowing > 0 && allowing < isolating.len() {
            self.cite(8);
        }
        allowing > 0
    }

    /// S8: so with the rules of a policy.
    fn allows(&self, policy: &Policy, place: &Place<'_, 'w>) -> bool {
        match (&policy.subjects, policy.rules(place.direction)) {
            // S127: a bad `podSelector` isolates the namespace and allows nothing.
            (Err(void), _) => place.void(*void),
            (Ok(_), None) => self.nothing(policy, place.direction),
            // All of them, so that each has its say.
            (Ok(_), Some(rules)) => rules.iter().filter(|rule| place.rule_matches(rule)).count() > 0,
        }
    }

    /// S9: a direction without rules allows nothing. S12: so with egress, where it is the only one of `policyTypes`.
    fn nothing(&self, policy: &Policy, direction: Direction) -> bool {
        self.cite(9);
        if direction == Direction::Egress && policy.types == [Direction::Egress] {
            self.cite(12);
        }
        false
    }

    /// The policies that select a pod.
    fn selecting(&self, pod: &'w Pod) -> Vec<&'w Policy> {
        let mut selecting = Vec::new();
        for (holder, cluster) in &self.world.clusters {
            let selects = |policy: &&Policy| {
                self.in_its_namespace(policy, pod) && self.selects(policy, pod) && self.at_home(holder, pod)
            };
            selecting.extend(cluster.policies.iter().filter(selects));
        }
        selecting
    }

    /// S98: a policy isolates pods of the cluster that holds it. S99: no other pod, however much it looks like one of them.
    fn at_home(&self, holder: &str, pod: &Pod) -> bool {
        let at_home = *holder == pod.cluster;
        if !at_home {
            self.cite(98);
            self.cite(99);
        }
        at_home
    }

    /// S3: and of the namespace that holds it.
    fn in_its_namespace(&self, policy: &Policy, pod: &Pod) -> bool {
        let in_its = policy.namespace == pod.namespace;
        if !in_its {
            self.cite(3);
        }
        in_its
    }

    /// S2: an empty `podSelector` selects every pod of the namespace. S127: one that is not understood, too.
    fn selects(&self, policy: &Policy, pod: &Pod) -> bool {
        let Ok(selector) = &policy.subjects else {
            return true;
        };
        if selector.is_empty() {
            self.cite(2);
        }
        selector.matches(&|key| pod.labels.get(key).map(String::as_str), &self.cited)
    }

    fn isolates(&self, policy: &Policy, direction: Direction) -> bool {
        if policy.types.is_empty() {
            self.isolates_by_default(policy, direction)
        } else {
            self.isolates_as_given(policy, direction)
        }
    }

    /// S5: without `policyTypes` ingress is isolated, and egress if there is an egress rule.
    fn isolates_by_default(&self, policy: &Policy, direction: Direction) -> bool {
        self.cite(5);
        match direction {
            Direction::Ingress => true,
            Direction::Egress => policy.egress.is_some(),
        }
    }

    /// S6: `policyTypes` are final: rules of a direction that they do not name are ignored.
    fn isolates_as_given(&self, policy: &Policy, direction: Direction) -> bool {
        let given = policy.types.contains(&direction);
        if !given && Rules::is_some(policy.rules(direction)) {
            self.cite(6);
        }
        given
    }
}
