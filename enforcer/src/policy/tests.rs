//! What each piece of a NetworkPolicy becomes, sane or not. The goldens are read as: parsed policy, then what was refused.

use super::*;
use expect_test::{Expect, expect};
use proto::observe::Observe;

/// The spec in YAML → the policy in a short notation.
#[track_caller]
fn check(spec: &str, expected: Expect) {
    let spec = serde_saphyr::from_str(spec).unwrap();
    expected.assert_eq(&render(&parse(&raw(spec))));
}

/// Each piece in the place of `PIECE` in a spec → its rules and refusals. What isolates all pods is not shown.
#[track_caller]
fn check_each(spec: &str, pieces: &[&str], expected: Expect) {
    let mut text = String::new();
    for piece in pieces {
        let spec = serde_saphyr::from_str(&spec.replace("PIECE", piece)).unwrap();
        let rendered = render(&parse(&raw(spec)));
        let shown = rendered.trim_start_matches("pods []\nisolates ingress\n");
        text += &format!("{piece}\n");
        for line in shown.lines() {
            text += &format!("    {}\n", line.trim_start());
        }
    }
    expected.assert_eq(&text);
}

fn raw(spec: Value) -> NetworkPolicy {
    NetworkPolicy {
        name: PolicyName {
            namespace: "shop".into(),
            name: "policy".into(),
        },
        uid: "1".into(),
        generation: 1,
        spec,
    }
}

fn render(policy: &Policy) -> String {
    let mut text = match &policy.subjects {
        None => "void podSelector\n".to_owned(),
        Some(selector) => format!("pods [{selector}]\n"),
    };
    for (direction, rules) in [("ingress", &policy.ingress), ("egress", &policy.egress)] {
        let Some(rules) = rules else { continue };
        text += &format!("isolates {direction}\n");
        for rule in rules {
            text += &format!("  {} on {}\n", render_peers(&rule.peers), render_ports(&rule.ports));
        }
    }
    for refused in &policy.refused {
        text += &format!("! {refused} [{}]\n", refused.kind.name());
    }
    text
}

fn render_peers(peers: &Peers) -> String {
    match peers {
        Peers::Any => "anybody".to_owned(),
        Peers::Of(peers) if peers.is_empty() => "nobody".to_owned(),
        Peers::Of(peers) => peers.iter().map(render_peer).collect::<Vec<_>>().join(" or "),
    }
}

fn render_peer(peer: &PolicyPeer) -> String {
    match peer {
        PolicyPeer::Pods { pods, namespaces } => [("pods", pods), ("namespaces", namespaces)]
            .into_iter()
            .filter_map(|(what, selector)| selector.as_ref().map(|selector| format!("{what} [{selector}]")))
            .collect::<Vec<_>>()
            .join(" in "),
        PolicyPeer::Block { net, except } if except.is_empty() => net.to_string(),
        PolicyPeer::Block { net, except } => {
            let except: Vec<String> = except.iter().map(IpNet::to_string).collect();
            format!("{net} without {}", except.join(", "))
        }
    }
}

fn render_ports(ports: &Ports) -> String {
    match ports {
        Ports::Any => "everything".to_owned(),
        Ports::Of(ports) if ports.is_empty() => "no port".to_owned(),
        Ports::Of(ports) => ports
            .iter()
            .map(|PolicyPort { protocol, port }| match port {
                PortMatch::Any => protocol.to_string(),
                PortMatch::Range(first, last) if first == last => format!("{protocol}/{first}"),
                PortMatch::Range(first, last) => format!("{protocol}/{first}-{last}"),
                PortMatch::Named(name) => format!("{protocol}/{name}"),
            })
            .collect::<Vec<_>>()
            .join(" "),
    }
}

/// P22, S2: No spec selects all and isolates ingress.
#[test]
fn no_spec_selects_all_and_isolates_ingress() {
    check(
        r"null",
        expect![[r#"
        pods []
        isolates ingress
    "#]],
    );
}

#[test]
fn spec_of_another_kind() {
    check(
        r"'open'",
        expect![[r#"
            void podSelector
            isolates ingress
            isolates egress
            ! spec: "open" is no object; the policy isolates its whole namespace in both directions and admits nothing [malformed]
        "#]],
    );
    check(
        r"[]",
        expect![[r#"
            void podSelector
            isolates ingress
            isolates egress
            ! spec: a list is no object; the policy isolates its whole namespace in both directions and admits nothing [malformed]
        "#]],
    );
}

#[test]
fn null_members_are_absent() {
    check(
        r"{podSelector: null, policyTypes: null, ingress: null, egress: null}",
        expect![[r#"
            pods []
            isolates ingress
        "#]],
    );
}

/// S5: Without policyTypes it is ingress, and egress if there are egress rules.
#[test]
fn policy_types_default_to_ingress_and_egress_if_there_are_egress_rules() {
    check(
        r"{ingress: [], egress: []}",
        expect![[r#"
        pods []
        isolates ingress
    "#]],
    );
    check(
        r"{egress: [{}]}",
        expect![[r#"
        pods []
        isolates ingress
        isolates egress
          anybody on everything
    "#]],
    );
    check(
        r"{policyTypes: [], egress: [{ports: [{port: 53, protocol: UDP}]}]}",
        expect![[r#"
            pods []
            isolates ingress
            isolates egress
              anybody on UDP/53
        "#]],
    );
    check(
        r"{egress: [null]}",
        expect![[r#"
            pods []
            isolates ingress
            isolates egress
            ! spec.egress[0]: null is no object; the rule admits nothing [malformed]
        "#]],
    );
    check(
        r"{egress: nonsense}",
        expect![[r#"
            pods []
            isolates ingress
            isolates egress
            ! spec.egress: "nonsense" is no list; nothing of it is in force [malformed]
        "#]],
    );
}

/// S6: Given policyTypes are final.
#[test]
fn given_policy_types_are_final() {
    check(
        r"{policyTypes: [Ingress], egress: [{}]}",
        expect![[r#"
        pods []
        isolates ingress
    "#]],
    );
    check(
        r"{policyTypes: [Egress], ingress: [{}]}",
        expect![[r#"
        pods []
        isolates egress
    "#]],
    );
    check(
        r"{policyTypes: [Egress, Ingress, Egress], ingress: [{}], egress: [{}]}",
        expect![[r#"
            pods []
            isolates ingress
              anybody on everything
            isolates egress
              anybody on everything
        "#]],
    );
}

/// P21: Unknown policyTypes are ignored.
#[test]
fn unknown_policy_types_are_ignored() {
    check(
        r"{policyTypes: [Egress, ingress]}",
        expect![[r#"
            pods []
            isolates egress
            ! spec.policyTypes[1]: "ingress" is no policy type: expected Ingress or Egress; it is ignored [policy_types]
        "#]],
    );
    check(
        r"{policyTypes: [Forward, null, 3], egress: [{}]}",
        expect![[r#"
            pods []
            isolates ingress
            isolates egress
              anybody on everything
            ! spec.policyTypes[0]: "Forward" is no policy type: expected Ingress or Egress; it is ignored [policy_types]
            ! spec.policyTypes[1]: null is no policy type: expected Ingress or Egress; it is ignored [policy_types]
            ! spec.policyTypes[2]: 3 is no policy type: expected Ingress or Egress; it is ignored [policy_types]
        "#]],
    );
    check(
        r"{policyTypes: Egress}",
        expect![[r#"
            pods []
            isolates ingress
            ! spec.policyTypes: "Egress" is no list; nothing of it is in force [malformed]
        "#]],
    );
}

#[test]
fn selectors() {
    check(
        r"podSelector:
  matchLabels: {app: web, empty: ''}
  matchExpressions: [
    {key: tier, operator: NotIn, values: [a, b]},
    {key: example.com/x, operator: Exists},
    {key: z, operator: DoesNotExist, values: []}]",
        expect![[r#"
            pods [app in (web),empty in (),tier notin (a,b),example.com/x,!z]
            isolates ingress
        "#]],
    );
    check(
        r"{podSelector: {matchExpressions: [{key: k, operator: Exists}, {key: k, operator: DoesNotExist}]}}",
        expect![[r#"
            pods [k,!k]
            isolates ingress
        "#]],
    );
}

/// P1, P2, S127: A void selector voids its peer alone.
#[test]
fn void_selector_of_a_peer_voids_the_peer_alone() {
    check(
        r"
ingress:
- from:
  - podSelector: {matchExpressions: [{key: a, operator: in, values: [b]}]}
    namespaceSelector: {}
  - podSelector: {matchLabels: {app: web}}",
        expect![[r#"
            pods []
            isolates ingress
              pods [app in (web)] on everything
            ! spec.ingress[0].from[0].podSelector.matchExpressions[0]: "in" is no operator: expected In, NotIn, Exists or DoesNotExist; the peer matches nothing [selector]
        "#]],
    );
}

/// S23: What is null and what is empty differ.
#[test]
fn peers() {
    check(
        r"
ingress:
- from:
  - podSelector: {}
  - namespaceSelector: {}
  - podSelector: {matchLabels: {app: web}}
    namespaceSelector: {matchLabels: {cluster.clusterset.k8s.io/cluster-name: pci}}
  - ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}
- from: []
  ports: [{port: 1}]
- ports: [{port: 2}]",
        expect![[r#"
            pods []
            isolates ingress
              anybody on TCP/1
              anybody on TCP/2
              namespaces [] or pods [] or pods [app in (web)] in namespaces [cluster.clusterset.k8s.io/cluster-name in (pci)] or 10.0.0.0/8 without 10.1.0.0/16 on everything
        "#]],
    );
}

/// S11, S13: Rules with the same ports are one, which admits whomever one of them would; of no peer is as good as none.
#[test]
fn rules_with_the_same_ports() {
    check(
        r"
ingress:
- {from: [{ipBlock: {cidr: 10.0.0.2/32}}], ports: [{port: 80}]}
- {from: [{podSelector: {}}, {ipBlock: {cidr: 10.0.0.1/32}}], ports: [{port: 80, protocol: TCP}, {port: 80}]}
- {from: [{ipBlock: {cidr: 10.0.0.2/32}}, null], ports: [{port: 80}]}
- {from: [{ipBlock: {cidr: 10.0.0.3/32}}], ports: [{port: 81}]}
- {from: [{ipBlock: {cidr: 10.0.0.4/32}}], ports: [{port: 82}]}
- {ports: [{port: 82}]}
- {from: [{ipBlock: {cidr: 10.0.0.5/32}}], ports: [{port: 82}]}",
        expect![[r#"
            pods []
            isolates ingress
              anybody on TCP/82
              pods [] or 10.0.0.1/32 or 10.0.0.2/32 on TCP/80
              10.0.0.3/32 on TCP/81
            ! spec.ingress[2].from[1]: null is no object; the peer matches nothing [peer]
        "#]],
    );
}

/// P16, S24, S42: Void peers do not become anybody.
#[test]
fn void_peers_do_not_become_anybody() {
    check(
        r"{ingress: [{from: [null]}]}",
        expect![[r#"
            pods []
            isolates ingress
              nobody on everything
            ! spec.ingress[0].from[0]: null is no object; the peer matches nothing [peer]
        "#]],
    );
    check(
        r"{ingress: [{from: [{}]}]}",
        expect![[r#"
            pods []
            isolates ingress
              nobody on everything
            ! spec.ingress[0].from[0]: it names no podSelector, namespaceSelector or ipBlock; the peer matches nothing [peer]
        "#]],
    );
    check(
        r"{ingress: [{from: [{podSelector: null}]}]}",
        expect![[r#"
            pods []
            isolates ingress
              nobody on everything
            ! spec.ingress[0].from[0]: it names no podSelector, namespaceSelector or ipBlock; the peer matches nothing [peer]
        "#]],
    );
    check(
        r"{ingress: [{from: anybody}]}",
        expect![[r#"
            pods []
            isolates ingress
              nobody on everything
            ! spec.ingress[0].from: "anybody" is no list; nothing of it is in force [malformed]
        "#]],
    );
    check(
        r"{ingress: [{from: {}}]}",
        expect![[r#"
            pods []
            isolates ingress
              nobody on everything
            ! spec.ingress[0].from: an object is no list; nothing of it is in force [malformed]
        "#]],
    );
    check(
        r"{ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}, podSelector: {}}]}]}",
        expect![[r#"
            pods []
            isolates ingress
              nobody on everything
            ! spec.ingress[0].from[0]: ipBlock beside a selector; the peer matches nothing [peer]
        "#]],
    );
}

#[test]
fn void_rules_admit_nothing() {
    check(
        r"{ingress: [null, 1, []]}",
        expect![[r#"
            pods []
            isolates ingress
            ! spec.ingress[0]: null is no object; the rule admits nothing [malformed]
            ! spec.ingress[1]: 1 is no object; the rule admits nothing [malformed]
            ! spec.ingress[2]: a list is no object; the rule admits nothing [malformed]
        "#]],
    );
    check(
        r"{ingress: {}}",
        expect![[r#"
            pods []
            isolates ingress
            ! spec.ingress: an object is no list; nothing of it is in force [malformed]
        "#]],
    );
    check(
        r"{ingress: [{to: []}]}",
        expect![[r#"
            pods []
            isolates ingress
            ! spec.ingress[0].to: unknown field; the rule admits nothing [unknown_field]
        "#]],
    );
    check(
        r"{egress: [{from: []}]}",
        expect![[r#"
            pods []
            isolates ingress
            isolates egress
            ! spec.egress[0].from: unknown field; the rule admits nothing [unknown_field]
        "#]],
    );
}

/// P23: A field that is not known voids what has it.
#[test]
fn unknown_fields_void_what_has_them() {
    check(
        r"{ingress: [{from: [], unless: []}]}",
        expect![[r#"
            pods []
            isolates ingress
            ! spec.ingress[0].unless: unknown field; the rule admits nothing [unknown_field]
        "#]],
    );
    check(
        r"{ingress: [{from: [{podSelector: {}, serviceSelector: {}}]}]}",
        expect![[r#"
            pods []
            isolates ingress
              nobody on everything
            ! spec.ingress[0].from[0].serviceSelector: unknown field; the peer matches nothing [unknown_field]
        "#]],
    );
    check(
        r"{ingress: [{ports: [{port: 80, hours: 9-17}, {port: 81}]}]}",
        expect![[r#"
            pods []
            isolates ingress
              anybody on TCP/81
            ! spec.ingress[0].ports[0].hours: unknown field; the port matches nothing [unknown_field]
        "#]],
    );
    check(
        r"{ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, only: 10.0.0.0/9}}]}]}",
        expect![[r#"
            pods []
            isolates ingress
              nobody on everything
            ! spec.ingress[0].from[0].ipBlock.only: unknown field; the peer matches nothing [unknown_field]
        "#]],
    );
    check(
        r#"{ingress: [{}], "x.y\n": 1, stages: []}"#,
        expect![[r#"
            pods []
            isolates ingress
              anybody on everything
            ! spec.stages: unknown field; it has no effect; the rest of the policy is in force [unknown_field]
            ! spec["x.y\n"]: unknown field; it has no effect; the rest of the policy is in force [unknown_field]
        "#]],
    );
}

/// S16, P24: Rules and entries that repeat count once.
#[test]
fn rules_and_entries_that_repeat_count_once() {
    check(
        r"{ingress: [{ports: [{port: 80}, {port: 80}], from: [{podSelector: {}}, {podSelector: {}}]}, {from: [{podSelector: {}}], ports: [{protocol: TCP, port: 80}]}]}",
        expect![[r#"
            pods []
            isolates ingress
              pods [] on TCP/80
        "#]],
    );
}

#[test]
fn ports() {
    check(
        r"
ingress:
- ports:
  - {}
- ports:
  - {protocol: UDP}
  - {protocol: UDP, port: 53}
  - {protocol: UDP, port: dns}
- ports:
  - {port: 80}
  - {port: 81, endPort: 90}
  - {port: 85, endPort: 95}
  - {port: 443, endPort: 443}
  - {port: http}
  - {protocol: SCTP, port: 1, endPort: 65535}
  - {protocol: '', port: 25}
- ports: []",
        expect![[r#"
            pods []
            isolates ingress
              anybody on everything
              anybody on TCP
              anybody on TCP/25 TCP/80-95 TCP/443 TCP/http SCTP/1-65535
              anybody on UDP
        "#]],
    );
}

#[test]
fn odd_objects_are_read_all_the_same() {
    let read = |json: &str| serde_json::from_str::<NetworkPolicy>(json).map_err(|error| error.to_string());
    let name = PolicyName {
        namespace: "shop".into(),
        name: "odd".into(),
    };
    assert_eq!(
        read(
            r#"{"kind": 1, "metadata": {"namespace": "shop", "name": "odd", "uid": 5, "generation": 7, "labels": [],
                "deletionTimestamp": "2026-01-01T00:00:00Z"}, "spec": {"ingress": [{"from": 3}]}, "status": {}}"#
        ),
        Ok(NetworkPolicy {
            name: name.clone(),
            uid: "".into(),
            generation: 7,
            spec: serde_json::json!({"ingress": [{"from": 3}]}),
        })
    );
    assert_eq!(
        read(r#"{"metadata": {"namespace": "shop", "name": "odd", "generation": "one"}}"#),
        Ok(NetworkPolicy {
            name,
            uid: "".into(),
            generation: 0,
            spec: Value::Null,
        })
    );
    let key = read(r#"{"metadata": {"namespace": "shop", "name": "odd"}}"#).map(|policy| policy.key());
    assert_eq!(key, Ok(("shop".into(), "odd".into())));
    assert_eq!(
        read(r#"{"spec": {}}"#).map_err(|error| error.contains("metadata.name: missing")),
        Err(true)
    );
}

/// P25: A policy over the limit keeps isolating and keeps the rules that fit; it is said.
#[test]
fn a_policy_of_too_many_combinations_keeps_the_rules_that_fit() {
    let peers: Vec<Value> = (0..257)
        .map(|i| serde_json::json!({"podSelector": {"matchLabels": {"n": i.to_string()}}}))
        .collect();
    let ports: Vec<Value> = (0..256).map(|i| serde_json::json!({"port": 2 * i + 1})).collect();
    let spec = serde_json::json!({"ingress": [{"from": peers, "ports": ports}, {"from": peers}, {"from": peers}]});
    let policy = parse(&raw(spec));
    assert_eq!(policy.ingress.map(|rules| rules.len()), Some(1));
    assert_eq!(
        policy.refused,
        [Refused {
            field: "spec.ingress".to_owned(),
            kind: Kind::Limit,
            reason: "the rules combine peers and ports in more than 65536 ways; 1 of the rules admit nothing"
                .to_owned(),
        }]
    );
}

#[test]
fn refusals_are_bounded_in_number_and_length() {
    let spec = serde_json::json!({"ingress": vec![serde_json::json!({"from": [{"ipBlock": {"cidr": "x".repeat(1000)}}]}); 150]});
    let refused = parse(&raw(spec)).refused;
    assert_eq!(refused.len(), MAX_REFUSED + 1);
    assert!(refused.iter().all(|refused| refused.reason.len() < 500), "{refused:?}");
    assert_eq!(
        refused.last().map(|refused| refused.reason.as_str()),
        Some("50 more pieces are not in force")
    );
}

#[test]
fn a_text_that_is_repeated_in_part_says_so() {
    let repeated = |length| {
        let spec = serde_json::json!({"ingress": [{"from": [{"ipBlock": {"cidr": "x".repeat(length)}}]}]});
        let refused = parse(&raw(spec)).refused;
        refused[0].reason.split(' ').next().unwrap().to_owned()
    };
    let most = "x".repeat(80);
    assert_eq!(repeated(80), format!("\"{most}\""));
    assert_eq!(repeated(81), format!("\"{most}\"…"));
}

/// P1, P2, P3, S127: A void podSelector isolates the namespace and admits nothing.
#[test]
fn void_pod_selector_isolates_the_namespace_and_admits_nothing() {
    check_each(
        r"{podSelector: PIECE, ingress: [{}]}",
        &[
            r"{matchExpressions: [{key: a, operator: Gt, values: ['1']}]}",
            r"{matchExpressions: [{key: a, operator: in, values: ['1']}]}",
            r"{matchExpressions: [{key: a, operator: '', values: ['1']}]}",
            r"{matchExpressions: [{key: a, operator: NotIn, values: []}]}",
            r"{matchExpressions: [{key: a, operator: In, values: null}]}",
            r"{matchExpressions: [{key: a, operator: Exists, values: [b]}]}",
            r"{matchExpressions: [{key: a, operator: In, values: [b, 1]}]}",
            r"{matchExpressions: [{operator: Exists}]}",
            r"{matchExpressions: [null]}",
            r"{matchLabels: {/x: b}}",
            r"{matchLabels: {a/b/c: b}}",
            r"{matchLabels: {'': b}}",
            r"{matchLabels: {kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk: b}}",
            r"{matchLabels: {a: 5}}",
            r#"{matchLabels: {a: "x\n\"\0é"}}"#,
            r"{matchLabels: {a: vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv}}",
            r"{matchLabel: {a: b}}",
            r"app=web",
        ],
        expect![[r#"
            {matchExpressions: [{key: a, operator: Gt, values: ['1']}]}
                void podSelector
                isolates ingress
                ! spec.podSelector.matchExpressions[0]: "Gt" is no operator: expected In, NotIn, Exists or DoesNotExist; the policy isolates its whole namespace and admits nothing [selector]
            {matchExpressions: [{key: a, operator: in, values: ['1']}]}
                void podSelector
                isolates ingress
                ! spec.podSelector.matchExpressions[0]: "in" is no operator: expected In, NotIn, Exists or DoesNotExist; the policy isolates its whole namespace and admits nothing [selector]
            {matchExpressions: [{key: a, operator: '', values: ['1']}]}
                void podSelector
                isolates ingress
                ! spec.podSelector.matchExpressions[0]: "" is no operator: expected In, NotIn, Exists or DoesNotExist; the policy isolates its whole namespace and admits nothing [selector]
            {matchExpressions: [{key: a, operator: NotIn, values: []}]}
                void podSelector
                isolates ingress
                ! spec.podSelector.matchExpressions[0]: operator NotIn needs values; the policy isolates its whole namespace and admits nothing [selector]
            {matchExpressions: [{key: a, operator: In, values: null}]}
                void podSelector
                isolates ingress
                ! spec.podSelector.matchExpressions[0]: operator In needs values; the policy isolates its whole namespace and admits nothing [selector]
            {matchExpressions: [{key: a, operator: Exists, values: [b]}]}
                void podSelector
                isolates ingress
                ! spec.podSelector.matchExpressions[0]: operator Exists takes no values; the policy isolates its whole namespace and admits nothing [selector]
            {matchExpressions: [{key: a, operator: In, values: [b, 1]}]}
                void podSelector
                isolates ingress
                ! spec.podSelector.matchExpressions[0].values[1]: 1 is no text; the policy isolates its whole namespace and admits nothing [selector]
            {matchExpressions: [{operator: Exists}]}
                void podSelector
                isolates ingress
                ! spec.podSelector.matchExpressions[0]: key is missing; the policy isolates its whole namespace and admits nothing [selector]
            {matchExpressions: [null]}
                void podSelector
                isolates ingress
                ! spec.podSelector.matchExpressions[0]: null is no object; the policy isolates its whole namespace and admits nothing [selector]
            {matchLabels: {/x: b}}
                void podSelector
                isolates ingress
                ! spec.podSelector.matchLabels["/x"]: "/x" is no label key; the policy isolates its whole namespace and admits nothing [selector]
            {matchLabels: {a/b/c: b}}
                void podSelector
                isolates ingress
                ! spec.podSelector.matchLabels["a/b/c"]: "a/b/c" is no label key; the policy isolates its whole namespace and admits nothing [selector]
            {matchLabels: {'': b}}
                void podSelector
                isolates ingress
                ! spec.podSelector.matchLabels[""]: "" is no label key; the policy isolates its whole namespace and admits nothing [selector]
            {matchLabels: {kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk: b}}
                void podSelector
                isolates ingress
                ! spec.podSelector.matchLabels.kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk: "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk" is no label key; the policy isolates its whole namespace and admits nothing [selector]
            {matchLabels: {a: 5}}
                void podSelector
                isolates ingress
                ! spec.podSelector.matchLabels.a: 5 is no text; the policy isolates its whole namespace and admits nothing [selector]
            {matchLabels: {a: "x\n\"\0é"}}
                void podSelector
                isolates ingress
                ! spec.podSelector.matchLabels.a: "x\n\"\0é" is no label value; the policy isolates its whole namespace and admits nothing [selector]
            {matchLabels: {a: vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv}}
                void podSelector
                isolates ingress
                ! spec.podSelector.matchLabels.a: "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv" is no label value; the policy isolates its whole namespace and admits nothing [selector]
            {matchLabel: {a: b}}
                void podSelector
                isolates ingress
                ! spec.podSelector.matchLabel: unknown field; the policy isolates its whole namespace and admits nothing [unknown_field]
            app=web
                void podSelector
                isolates ingress
                ! spec.podSelector: "app=web" is no object; the policy isolates its whole namespace and admits nothing [selector]
        "#]],
    );
}

/// P4: 63 characters are a value, 64 are none.
#[test]
fn longest_label_value() {
    check_each(
        r"{podSelector: PIECE}",
        &[r"{matchLabels: {a: vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv}}"],
        expect![[r#"
            {matchLabels: {a: vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv}}
                pods [a in (vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv)]
                isolates ingress
        "#]],
    );
}

/// P10, P11, S38, S43: Leading zeros are decimal, host bits are masked.
#[test]
fn blocks_are_decimal_and_masked() {
    check_each(
        r"{ingress: [{from: [{ipBlock: {cidr: 'PIECE'}}]}]}",
        &[
            r"10.1.2.3/24",
            r"010.0.0.0/08",
            r"0.0.0.0/0",
            r"::/0",
            r"fd00::1/64",
            r"64:ff9b::010.0.0.1/96",
            r"255.255.255.255/32",
            r"::1/128",
        ],
        expect![[r#"
            10.1.2.3/24
                10.1.2.0/24 on everything
            010.0.0.0/08
                10.0.0.0/8 on everything
            0.0.0.0/0
                0.0.0.0/0 on everything
            ::/0
                ::/0 on everything
            fd00::1/64
                fd00::/64 on everything
            64:ff9b::010.0.0.1/96
                64:ff9b::/96 on everything
            255.255.255.255/32
                255.255.255.255/32 on everything
            ::1/128
                ::1/128 on everything
        "#]],
    );
}

/// P8, P9, P13: What is no block is void, and an except that is none voids its block.
#[test]
fn void_blocks() {
    check_each(
        r"{ingress: [{from: [{ipBlock: {cidr: PIECE}}]}]}",
        &[
            r"10.0.0.0",
            r"10.0.0.0/33",
            r"10.0.0.0/-1",
            r"10.0.0.0/+8",
            r"' 10.0.0.0/8'",
            r"''",
            r"10.0.0/8",
            r"10.0.0.0.0/8",
            r"256.0.0.0/8",
            r"0x0a.0.0.0/8",
            r"example.com/8",
            r"'fe80::1%eth0/64'",
            r"'fd00::/129'",
            r"10.0.0.0/8/8",
            r"10.0.0.0/",
            r"'::ffff:10.0.0.0/104'",
            r"'::ffff:a00:0/104'",
            r"10",
            r"null",
            r"[]",
        ],
        expect![[r#"
            10.0.0.0
                nobody on everything
                ! spec.ingress[0].from[0].ipBlock.cidr: "10.0.0.0" is no CIDR; the peer matches nothing [ip_block]
            10.0.0.0/33
                nobody on everything
                ! spec.ingress[0].from[0].ipBlock.cidr: "10.0.0.0/33" is no CIDR; the peer matches nothing [ip_block]
            10.0.0.0/-1
                nobody on everything
                ! spec.ingress[0].from[0].ipBlock.cidr: "10.0.0.0/-1" is no CIDR; the peer matches nothing [ip_block]
            10.0.0.0/+8
                nobody on everything
                ! spec.ingress[0].from[0].ipBlock.cidr: "10.0.0.0/+8" is no CIDR; the peer matches nothing [ip_block]
            ' 10.0.0.0/8'
                nobody on everything
                ! spec.ingress[0].from[0].ipBlock.cidr: " 10.0.0.0/8" is no CIDR; the peer matches nothing [ip_block]
            ''
                nobody on everything
                ! spec.ingress[0].from[0].ipBlock.cidr: "" is no CIDR; the peer matches nothing [ip_block]
            10.0.0/8
                nobody on everything
                ! spec.ingress[0].from[0].ipBlock.cidr: "10.0.0/8" is no CIDR; the peer matches nothing [ip_block]
            10.0.0.0.0/8
                nobody on everything
                ! spec.ingress[0].from[0].ipBlock.cidr: "10.0.0.0.0/8" is no CIDR; the peer matches nothing [ip_block]
            256.0.0.0/8
                nobody on everything
                ! spec.ingress[0].from[0].ipBlock.cidr: "256.0.0.0/8" is no CIDR; the peer matches nothing [ip_block]
            0x0a.0.0.0/8
                nobody on everything
                ! spec.ingress[0].from[0].ipBlock.cidr: "0x0a.0.0.0/8" is no CIDR; the peer matches nothing [ip_block]
            example.com/8
                nobody on everything
                ! spec.ingress[0].from[0].ipBlock.cidr: "example.com/8" is no CIDR; the peer matches nothing [ip_block]
            'fe80::1%eth0/64'
                nobody on everything
                ! spec.ingress[0].from[0].ipBlock.cidr: "fe80::1%eth0/64" is no CIDR; the peer matches nothing [ip_block]
            'fd00::/129'
                nobody on everything
                ! spec.ingress[0].from[0].ipBlock.cidr: "fd00::/129" is no CIDR; the peer matches nothing [ip_block]
            10.0.0.0/8/8
                nobody on everything
                ! spec.ingress[0].from[0].ipBlock.cidr: "10.0.0.0/8/8" is no CIDR; the peer matches nothing [ip_block]
            10.0.0.0/
                nobody on everything
                ! spec.ingress[0].from[0].ipBlock.cidr: "10.0.0.0/" is no CIDR; the peer matches nothing [ip_block]
            '::ffff:10.0.0.0/104'
                nobody on everything
                ! spec.ingress[0].from[0].ipBlock.cidr: "::ffff:10.0.0.0/104" is an IPv4-mapped address, which may mean IPv4 or IPv6; the peer matches nothing [ip_block]
            '::ffff:a00:0/104'
                nobody on everything
                ! spec.ingress[0].from[0].ipBlock.cidr: "::ffff:a00:0/104" is an IPv4-mapped address, which may mean IPv4 or IPv6; the peer matches nothing [ip_block]
            10
                nobody on everything
                ! spec.ingress[0].from[0].ipBlock.cidr: 10 is no text; the peer matches nothing [ip_block]
            null
                nobody on everything
                ! spec.ingress[0].from[0].ipBlock: cidr is missing; the peer matches nothing [ip_block]
            []
                nobody on everything
                ! spec.ingress[0].from[0].ipBlock.cidr: a list is no text; the peer matches nothing [ip_block]
        "#]],
    );
}

/// P12, P14, S34, S45: Excepts are plain arithmetic.
#[test]
fn excepts_are_plain_arithmetic() {
    check_each(
        r"{ingress: [{from: [{ipBlock: PIECE}]}]}",
        &[
            r"{cidr: 10.0.0.0/8, except: []}",
            r"{cidr: 10.0.0.0/8, except: null}",
            r"{cidr: 10.0.0.0/8, except: [11.0.0.0/8, 'fd00::/8']}",
            r"{cidr: 10.0.0.0/8, except: [10.0.0.0/8]}",
            r"{cidr: 10.0.0.0/8, except: [0.0.0.0/0]}",
            r"{cidr: 10.0.0.0/8, except: [10.1.2.3/16]}",
            r"{cidr: 10.0.0.0/8, except: [10.1.0.0/16, 10.1.2.0/24, 10.1.0.0/16, 10.3.0.0/16, 10.2.0.0/16]}",
            r"{cidr: 0.0.0.0/0, except: [0.0.0.0/1, 128.0.0.0/1]}",
            r"{cidr: 0.0.0.0/0, except: [0.0.0.0/1]}",
            r"{cidr: '::/0', except: ['::/1', '8000::/1', 'fd00::/8']}",
            r"{cidr: 10.0.0.0/8, except: [10.0.0.0/33]}",
            r"{cidr: 10.0.0.0/8, except: ['::ffff:10.0.0.0/104']}",
            r"{cidr: 10.0.0.0/8, except: [null]}",
            r"{cidr: 10.0.0.0/8, except: 10.1.0.0/16}",
            r"{except: [10.0.0.0/8]}",
            r"10.0.0.0/8",
        ],
        expect![[r#"
            {cidr: 10.0.0.0/8, except: []}
                10.0.0.0/8 on everything
            {cidr: 10.0.0.0/8, except: null}
                10.0.0.0/8 on everything
            {cidr: 10.0.0.0/8, except: [11.0.0.0/8, 'fd00::/8']}
                10.0.0.0/8 on everything
            {cidr: 10.0.0.0/8, except: [10.0.0.0/8]}
                nobody on everything
            {cidr: 10.0.0.0/8, except: [0.0.0.0/0]}
                nobody on everything
            {cidr: 10.0.0.0/8, except: [10.1.2.3/16]}
                10.0.0.0/8 without 10.1.0.0/16 on everything
            {cidr: 10.0.0.0/8, except: [10.1.0.0/16, 10.1.2.0/24, 10.1.0.0/16, 10.3.0.0/16, 10.2.0.0/16]}
                10.0.0.0/8 without 10.1.0.0/16, 10.2.0.0/15 on everything
            {cidr: 0.0.0.0/0, except: [0.0.0.0/1, 128.0.0.0/1]}
                nobody on everything
            {cidr: 0.0.0.0/0, except: [0.0.0.0/1]}
                0.0.0.0/0 without 0.0.0.0/1 on everything
            {cidr: '::/0', except: ['::/1', '8000::/1', 'fd00::/8']}
                nobody on everything
            {cidr: 10.0.0.0/8, except: [10.0.0.0/33]}
                nobody on everything
                ! spec.ingress[0].from[0].ipBlock.except[0]: "10.0.0.0/33" is no CIDR; the whole block matches nothing, so that nothing is admitted by mistake [ip_block]
            {cidr: 10.0.0.0/8, except: ['::ffff:10.0.0.0/104']}
                nobody on everything
                ! spec.ingress[0].from[0].ipBlock.except[0]: "::ffff:10.0.0.0/104" is an IPv4-mapped address, which may mean IPv4 or IPv6; the whole block matches nothing, so that nothing is admitted by mistake [ip_block]
            {cidr: 10.0.0.0/8, except: [null]}
                nobody on everything
                ! spec.ingress[0].from[0].ipBlock.except[0]: null is no text; the whole block matches nothing, so that nothing is admitted by mistake [ip_block]
            {cidr: 10.0.0.0/8, except: 10.1.0.0/16}
                nobody on everything
                ! spec.ingress[0].from[0].ipBlock.except: "10.1.0.0/16" is no list; the whole block matches nothing, so that nothing is admitted by mistake [ip_block]
            {except: [10.0.0.0/8]}
                nobody on everything
                ! spec.ingress[0].from[0].ipBlock: cidr is missing; the peer matches nothing [ip_block]
            10.0.0.0/8
                nobody on everything
                ! spec.ingress[0].from[0].ipBlock: "10.0.0.0/8" is no object; the peer matches nothing [ip_block]
        "#]],
    );
}

/// P17, P18, P19, P20, S63: What is no port is void.
#[test]
fn void_ports() {
    check_each(
        r"{ingress: [{ports: [PIECE, {port: 1}]}]}",
        &[
            r"{port: 0}",
            r"{port: 65536}",
            r"{port: -1}",
            r"{port: 2147483648}",
            r"{port: 80.5}",
            r"{port: 80.0}",
            r"{port: '80'}",
            r"{port: ''}",
            r"{port: true}",
            r"{port: []}",
            r"{port: HTTP}",
            r"{port: sixteen-letters-}",
            r"{port: sixteen-lettersx}",
            r"{port: -a}",
            r"{port: a--b}",
            r"{port: a-}",
            r"{port: 80, endPort: 79}",
            r"{endPort: 80}",
            r"{port: http, endPort: 80}",
            r"{port: 80, endPort: 65536}",
            r"{port: 80, endPort: http}",
            r"{port: 80, protocol: tcp}",
            r"{port: 80, protocol: ICMP}",
            r"{port: 80, protocol: 6}",
            r"null",
            r"80",
        ],
        expect![[r#"
            {port: 0}
                anybody on TCP/1
                ! spec.ingress[0].ports[0].port: 0 is no port: expected a number from 1 to 65535; the port matches nothing [port]
            {port: 65536}
                anybody on TCP/1
                ! spec.ingress[0].ports[0].port: 65536 is no port: expected a number from 1 to 65535; the port matches nothing [port]
            {port: -1}
                anybody on TCP/1
                ! spec.ingress[0].ports[0].port: -1 is no port: expected a number from 1 to 65535; the port matches nothing [port]
            {port: 2147483648}
                anybody on TCP/1
                ! spec.ingress[0].ports[0].port: 2147483648 is no port: expected a number from 1 to 65535; the port matches nothing [port]
            {port: 80.5}
                anybody on TCP/1
                ! spec.ingress[0].ports[0].port: 80.5 is no port: expected a number from 1 to 65535; the port matches nothing [port]
            {port: 80.0}
                anybody on TCP/1
                ! spec.ingress[0].ports[0].port: 80.0 is no port: expected a number from 1 to 65535; the port matches nothing [port]
            {port: '80'}
                anybody on TCP/1
                ! spec.ingress[0].ports[0].port: "80" is neither a number nor the name of a port: expected at most 15 lower-case letters, digits and '-', at least one of them a letter; the port matches nothing [port]
            {port: ''}
                anybody on TCP/1
                ! spec.ingress[0].ports[0].port: "" is neither a number nor the name of a port: expected at most 15 lower-case letters, digits and '-', at least one of them a letter; the port matches nothing [port]
            {port: true}
                anybody on TCP/1
                ! spec.ingress[0].ports[0].port: true is no port: expected a number from 1 to 65535; the port matches nothing [port]
            {port: []}
                anybody on TCP/1
                ! spec.ingress[0].ports[0].port: a list is no port: expected a number from 1 to 65535; the port matches nothing [port]
            {port: HTTP}
                anybody on TCP/1
                ! spec.ingress[0].ports[0].port: "HTTP" is neither a number nor the name of a port: expected at most 15 lower-case letters, digits and '-', at least one of them a letter; the port matches nothing [port]
            {port: sixteen-letters-}
                anybody on TCP/1
                ! spec.ingress[0].ports[0].port: "sixteen-letters-" is neither a number nor the name of a port: expected at most 15 lower-case letters, digits and '-', at least one of them a letter; the port matches nothing [port]
            {port: sixteen-lettersx}
                anybody on TCP/1
                ! spec.ingress[0].ports[0].port: "sixteen-lettersx" is neither a number nor the name of a port: expected at most 15 lower-case letters, digits and '-', at least one of them a letter; the port matches nothing [port]
            {port: -a}
                anybody on TCP/1
                ! spec.ingress[0].ports[0].port: "-a" is neither a number nor the name of a port: expected at most 15 lower-case letters, digits and '-', at least one of them a letter; the port matches nothing [port]
            {port: a--b}
                anybody on TCP/1
                ! spec.ingress[0].ports[0].port: "a--b" is neither a number nor the name of a port: expected at most 15 lower-case letters, digits and '-', at least one of them a letter; the port matches nothing [port]
            {port: a-}
                anybody on TCP/1
                ! spec.ingress[0].ports[0].port: "a-" is neither a number nor the name of a port: expected at most 15 lower-case letters, digits and '-', at least one of them a letter; the port matches nothing [port]
            {port: 80, endPort: 79}
                anybody on TCP/1
                ! spec.ingress[0].ports[0].endPort: endPort 79 is below port 80; the port matches nothing [port]
            {endPort: 80}
                anybody on TCP/1
                ! spec.ingress[0].ports[0].endPort: endPort needs a port to begin at; the port matches nothing [port]
            {port: http, endPort: 80}
                anybody on TCP/1
                ! spec.ingress[0].ports[0].endPort: endPort needs a number as port, not a name; the port matches nothing [port]
            {port: 80, endPort: 65536}
                anybody on TCP/1
                ! spec.ingress[0].ports[0].endPort: 65536 is no port: expected a number from 1 to 65535; the port matches nothing [port]
            {port: 80, endPort: http}
                anybody on TCP/1
                ! spec.ingress[0].ports[0].endPort: "http" is no port: expected a number from 1 to 65535; the port matches nothing [port]
            {port: 80, protocol: tcp}
                anybody on TCP/1
                ! spec.ingress[0].ports[0].protocol: "tcp" is no protocol: expected TCP, UDP or SCTP; the port matches nothing [port]
            {port: 80, protocol: ICMP}
                anybody on TCP/1
                ! spec.ingress[0].ports[0].protocol: "ICMP" is no protocol: expected TCP, UDP or SCTP; the port matches nothing [port]
            {port: 80, protocol: 6}
                anybody on TCP/1
                ! spec.ingress[0].ports[0].protocol: 6 is no protocol: expected TCP, UDP or SCTP; the port matches nothing [port]
            null
                anybody on TCP/1
                ! spec.ingress[0].ports[0]: null is no object; the port matches nothing [port]
            80
                anybody on TCP/1
                ! spec.ingress[0].ports[0]: 80 is no object; the port matches nothing [port]
        "#]],
    );
}

/// P20: The name of a port has lower-case letters, digits and `-`, and nothing else.
#[test]
fn names_of_ports() {
    check(
        r"{ingress: [{ports: [{port: http-2}, {port: 2a}, {port: fifteen-letters}, {port: a_b}, {port: aB}, {port: 2-3}]}]}",
        expect![[r#"
            pods []
            isolates ingress
              anybody on TCP/2a TCP/fifteen-letters TCP/http-2
            ! spec.ingress[0].ports[3].port: "a_b" is neither a number nor the name of a port: expected at most 15 lower-case letters, digits and '-', at least one of them a letter; the port matches nothing [port]
            ! spec.ingress[0].ports[4].port: "aB" is neither a number nor the name of a port: expected at most 15 lower-case letters, digits and '-', at least one of them a letter; the port matches nothing [port]
            ! spec.ingress[0].ports[5].port: "2-3" is neither a number nor the name of a port: expected at most 15 lower-case letters, digits and '-', at least one of them a letter; the port matches nothing [port]
        "#]],
    );
}

/// S60: A list of void ports is no port.
#[test]
fn a_list_of_void_ports_is_no_port() {
    check(
        r"{ingress: [{ports: [{port: 0}]}, {ports: 80}]}",
        expect![[r#"
            pods []
            isolates ingress
              anybody on no port
            ! spec.ingress[0].ports[0].port: 0 is no port: expected a number from 1 to 65535; the port matches nothing [port]
            ! spec.ingress[1].ports: 80 is no list; nothing of it is in force [malformed]
        "#]],
    );
}
