use super::*;
use crate::policy::{NetworkPolicy, parse};
use expect_test::expect;

fn policy(uid: &str, generation: i64, spec: Value) -> Arc<Policy> {
    Arc::new(parse(&NetworkPolicy {
        name: PolicyName {
            namespace: "shop".into(),
            name: "from-clients".into(),
        },
        uid: uid.into(),
        generation,
        spec,
    }))
}

/// Two blocks and a port of it are void.
fn broken() -> Value {
    json!({
        "podSelector": {"matchLabels": {"app": "db"}},
        "ingress": [{
            "from": [{"ipBlock": {"cidr": "10.0.0.0/33"}}, {"ipBlock": {"cidr": "10.0.0.0/8", "except": [""]}}],
            "ports": [{"port": 0}, {"port": 80}],
        }],
    })
}

fn pod(namespace: &str, app: &str, status: Value) -> Arc<Pod> {
    let pod = json!({"metadata": {"name": app, "namespace": namespace, "labels": {"app": app}}, "status": status});
    Arc::new(serde_json::from_value(pod).unwrap())
}

fn asked(policy: &Arc<Policy>, pods: &[Arc<Pod>]) -> Events {
    events(&BTreeMap::from([(policy.name.clone(), Arc::clone(policy))]), pods)
}

/// P8, P13, P18: an Event for each kind says what is void, what follows and what to do, about the object it is of.
#[test]
fn what_is_void_is_said_once_for_each_kind() {
    let events = asked(
        &policy("u1", 3, broken()),
        &[pod("shop", "db", json!({"phase": "Running"}))],
    );
    let texts = events
        .iter()
        .map(|(name, void)| format!("{name} {}: {}", void.reason(), void.message()));
    expect![[r#"
        bailey-5fymcuwbx26lglltijr3jv5xd2 VoidIPBlock: spec.ingress[0].from[0].ipBlock.cidr: "10.0.0.0/33" is no CIDR; the peer matches nothing. spec.ingress[0].from[1].ipBlock.except[0]: "" is no CIDR; the whole block matches nothing, so that nothing is admitted by mistake. Write blocks as ADDRESS/PREFIX, for example 10.0.0.0/8 or fd00::/8.
        bailey-k56y7d6kljilgdzp3ctq4q4kpu VoidPort: spec.ingress[0].ports[0].port: 0 is no port: expected a number from 1 to 65535; the port matches nothing. Write a port from 1 to 65535 or the name of a container's port, and TCP, UDP or SCTP as protocol."#]].assert_eq(&texts.collect::<Vec<_>>().join("\n"));
    let (name, void) = events.first_key_value().unwrap();
    expect![[r#"
        {
          "apiVersion": "v1",
          "count": 1,
          "firstTimestamp": "2026-11-25T09:14:02Z",
          "involvedObject": {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "name": "from-clients",
            "namespace": "shop",
            "uid": "u1"
          },
          "kind": "Event",
          "lastTimestamp": "2026-11-25T09:14:02Z",
          "message": "spec.ingress[0].from[0].ipBlock.cidr: \"10.0.0.0/33\" is no CIDR; the peer matches nothing. spec.ingress[0].from[1].ipBlock.except[0]: \"\" is no CIDR; the whole block matches nothing, so that nothing is admitted by mistake. Write blocks as ADDRESS/PREFIX, for example 10.0.0.0/8 or fd00::/8.",
          "metadata": {
            "name": "bailey-5fymcuwbx26lglltijr3jv5xd2",
            "namespace": "shop"
          },
          "reason": "VoidIPBlock",
          "reportingComponent": "bailey-enforcer",
          "reportingInstance": "node-1",
          "source": {
            "component": "bailey-enforcer",
            "host": "node-1"
          },
          "type": "Warning"
        }"#]]
        .assert_eq(&serde_json::to_string_pretty(&void.event(name, "node-1", "2026-11-25T09:14:02Z")).unwrap());
}

/// Every node that has a subject asks for the same Event; a new generation, or another object of the name, is another.
#[test]
fn one_name_for_all_nodes_and_another_for_each_generation() {
    let subject = [pod("shop", "db", json!({"phase": "Running"}))];
    let names = |policy: &Arc<Policy>, pods: &[Arc<Pod>]| asked(policy, pods).into_keys().collect::<Vec<_>>();
    let first = names(&policy("u1", 1, broken()), &subject);
    let elsewhere = [
        pod("shop", "web", json!({})),
        pod("shop", "db", json!({"phase": "Pending"})),
    ];
    assert_eq!(names(&policy("u1", 1, broken()), &elsewhere), first);
    for other in [policy("u1", 2, broken()), policy("u2", 1, broken())] {
        let other = names(&other, &subject);
        assert!(other.iter().all(|name| !first.contains(name)), "{other:?} {first:?}");
    }
}

/// S3, S70, S81: only a live pod of the policy's namespace that it selects is a subject. P1: a void podSelector selects all.
#[test]
fn a_node_without_a_subject_asks_for_nothing() {
    let none = [
        pod("shop", "web", json!({"phase": "Running"})),
        pod("other", "db", json!({"phase": "Running"})),
        pod("shop", "db", json!({"phase": "Succeeded"})),
    ];
    assert_eq!(asked(&policy("u1", 1, broken()), &none), Events::new());
    let void = json!({"podSelector": {"matchLabels": {"/": ""}}});
    assert_eq!(asked(&policy("u1", 1, void.clone()), &none).len(), 1);
    assert_eq!(asked(&policy("u1", 1, void), &none[1..]).len(), 0);
    let sane = json!({"podSelector": {}});
    assert_eq!(asked(&policy("u1", 1, sane), &none).len(), 0);
}

/// P26: however much is void, a message has its limit, and says how much more there is.
#[test]
fn a_message_has_a_limit() {
    let key = "é".repeat(200);
    let long = json!({"matchLabels": {key.clone(): {"deep": key}}});
    let peers = vec![json!({"podSelector": long}); 60];
    let spec = json!({"podSelector": {}, "ingress": [{"from": peers}]});
    let events = asked(&policy("u1", 1, spec), &[pod("shop", "db", json!({}))]);
    let message = events.into_values().next().unwrap().message();
    assert!(message.len() <= MESSAGE_BYTES, "{} bytes", message.len());
    let rest = message.split_once("And ").unwrap().1;
    expect!["57 more of the kind. Write labels as Kubernetes allows them and one of the operators In, NotIn, Exists and DoesNotExist."].assert_eq(rest);
}
