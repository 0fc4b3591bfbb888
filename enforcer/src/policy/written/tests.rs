//! Pieces stand at their index, void ones too, and what they come to is the policy that is enforced.

use super::super::{Peers, Policy, PolicyName, PolicyPeer, Ports, parse};
use super::*;
use expect_test::expect;
use fastrand::Rng;
use serde_json::json;
use std::collections::BTreeSet;
use std::net::IpAddr;

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

/// Every piece on a line.
fn render(written: &Written) -> String {
    let mut text = format!(
        "subjects {}\n",
        shown_piece(written.subjects.as_ref(), |s| format!("[{s}]"))
    );
    for direction in PolicyType::ALL {
        let Some(rules) = written.rules(direction) else {
            continue;
        };
        let field = direction.rules();
        text += &list(field, rules, |field, rule| {
            let peers = list(&format!("{field}.{}", direction.peers()), &rule.peers, |field, peer| {
                format!("{field}: {peer:?}\n")
            });
            let ports = list(&format!("{field}.ports"), &rule.ports, |field, port| {
                format!("{field}: {port:?}\n")
            });
            peers + &ports
        });
    }
    text
}

fn list<T>(field: &str, list: &List<T>, render: impl Fn(&str, &T) -> String) -> String {
    match list {
        List::Absent => format!("{field}: absent\n"),
        List::Void(refused) => format!("{field}: void at {}: {}\n", refused.field, refused.reason),
        List::Of(entries) => entries
            .iter()
            .enumerate()
            .map(|(index, entry)| {
                let field = format!("{field}[{index}]");
                match entry {
                    Ok(piece) => render(&field, piece),
                    Err(refused) => format!("{field}: void at {}: {}\n", refused.field, refused.reason),
                }
            })
            .collect(),
    }
}

fn shown_piece<T>(piece: Result<T, &Refused>, show: impl Fn(T) -> String) -> String {
    match piece {
        Ok(piece) => show(piece),
        Err(refused) => format!("void at {}: {}", refused.field, refused.reason),
    }
}

/// P13, P16, P17, P19: void pieces keep their place among those that stand.
#[test]
fn pieces_stand_where_they_are_written() {
    let spec = serde_saphyr::from_str(
        r#"
        podSelector: {matchLabels: {app: db}}
        policyTypes: [Ingress, Egress]
        ingress:
        - {}
        - null
        - from:
          - {}
          - podSelector: {}
          - ipBlock: {cidr: 10.0.0.7/8, except: [10.1.0.0/16, 11.0.0.0/8]}
          - ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/33]}
          ports: [{port: 80}, {port: 80, endPort: 79}, {protocol: ICMP}, {port: http, protocol: UDP}]
        - {from: [], ports: 80}
        egress: []
        "#,
    )
    .unwrap();
    expect![[r#"
        subjects [app in (db)]
        ingress[0].from: absent
        ingress[0].ports: absent
        ingress[1]: void at spec.ingress[1]: null is no object; the rule admits nothing
        ingress[2].from[0]: void at spec.ingress[2].from[0]: it names no podSelector, namespaceSelector or ipBlock; the peer matches nothing
        ingress[2].from[1]: Pods { pods: Some(Selector({})), namespaces: None }
        ingress[2].from[2]: Block { net: 10.0.0.0/8, except: [10.1.0.0/16, 11.0.0.0/8] }
        ingress[2].from[3]: void at spec.ingress[2].from[3].ipBlock.except[0]: "10.1.0.0/33" is no CIDR; the whole block matches nothing, so that nothing is admitted by mistake
        ingress[2].ports[0]: PolicyPort { protocol: Tcp, port: Range(80, 80) }
        ingress[2].ports[1]: void at spec.ingress[2].ports[1].endPort: endPort 79 is below port 80; the port matches nothing
        ingress[2].ports[2]: void at spec.ingress[2].ports[2].protocol: "ICMP" is no protocol: expected TCP, UDP or SCTP; the port matches nothing
        ingress[2].ports[3]: PolicyPort { protocol: Udp, port: Named("http") }
        ingress[3].from: absent
        ingress[3].ports: void at spec.ingress[3].ports: 80 is no list; nothing of it is in force
        egress: absent
    "#]]
    .assert_eq(&render(&read(&raw(spec))));
}

/// P1: the rules of a policy with a void `podSelector` can be pointed at, and admit nothing.
#[test]
fn rules_under_a_void_pod_selector_are_read_and_not_in_force() {
    let raw = raw(json!({"podSelector": {"matchLabels": {"/": ""}}, "ingress": [{}]}));
    expect![[r#"
        subjects void at spec.podSelector.matchLabels["/"]: "/" is no label key; the policy isolates its whole namespace and admits nothing
        ingress[0].from: absent
        ingress[0].ports: absent
    "#]]
    .assert_eq(&render(&read(&raw)));
    assert_eq!(parse(&raw).ingress, Some(Vec::new()));
}

/// P25: of rules that mean the same, all are within the limit or none is, and each says so itself.
#[test]
fn rules_beyond_the_limit_are_void_each_by_itself() {
    let peers = |count: usize| -> Vec<Value> {
        (0..count)
            .map(|i| json!({"podSelector": {"matchLabels": {"n": i.to_string()}}}))
            .collect()
    };
    let ports = |count: usize| -> Vec<Value> { (0..count).map(|i| json!({"port": 2 * i + 1})).collect() };
    let large = json!({"from": peers(257), "ports": ports(256)});
    let raw = raw(json!({"ingress": [large, {"from": peers(1)}, large]}));
    let rules = read(&raw).ingress.unwrap();
    let void: Vec<Option<String>> = rules
        .entries()
        .iter()
        .map(|entry| entry.as_ref().err().map(|refused| refused.to_string()))
        .collect();
    let reason = "the rules combine peers and ports in more than 65536 ways; the rule admits nothing";
    assert_eq!(
        void,
        [
            Some(format!("spec.ingress[0]: {reason}")),
            None,
            Some(format!("spec.ingress[2]: {reason}"))
        ]
    );
    assert_eq!(parse(&raw).ingress.unwrap().len(), 1);
}

/// How many random policies are read.
const RANDOM: u64 = 3_000;

fn pick(rng: &mut Rng, choices: &[Value]) -> Value {
    choices[rng.usize(..choices.len())].clone()
}

fn some(rng: &mut Rng, mut make: impl FnMut(&mut Rng) -> Value) -> Value {
    match rng.u8(..12) {
        0 => Value::Null,
        1 => json!("no list"),
        _ => (0..rng.u8(..4)).map(|_| make(rng)).collect(),
    }
}

fn peer(rng: &mut Rng) -> Value {
    let selectors = [
        json!({}),
        json!({"matchLabels": {"app": "db"}}),
        json!({"matchLabels": 1}),
    ];
    let cidrs = [json!("10.0.0.0/8"), json!("10.1.0.0/16"), json!("::/0"), json!("/8")];
    match rng.u8(..8) {
        0 => Value::Null,
        1 => json!({"podSelector": pick(rng, &selectors), "later": 1}),
        2 | 3 => json!({"podSelector": pick(rng, &selectors)}),
        4 => json!({"podSelector": pick(rng, &selectors), "namespaceSelector": pick(rng, &selectors)}),
        _ => json!({"ipBlock": {"cidr": pick(rng, &cidrs), "except": some(rng, |rng| pick(rng, &cidrs))}}),
    }
}

fn port(rng: &mut Rng) -> Value {
    let numbers = [json!(80), json!(81), json!("http"), json!("80"), Value::Null];
    let protocols = [json!("TCP"), json!("UDP"), json!("tcp"), Value::Null];
    json!({"protocol": pick(rng, &protocols), "port": pick(rng, &numbers), "endPort": pick(rng, &numbers)})
}

fn random(rng: &mut Rng) -> NetworkPolicy {
    let mut rules = |peers: &str| {
        some(rng, |rng| match rng.u8(..8) {
            0 => json!(7),
            _ => json!({peers: some(rng, peer), "ports": some(rng, port)}),
        })
    };
    let (ingress, egress) = (rules("from"), rules("to"));
    let selectors = [json!({}), Value::Null, json!({"matchExpressions": [{}]})];
    raw(
        json!({"podSelector": pick(rng, &selectors), "policyTypes": ["Ingress", "Egress"],
               "ingress": ingress, "egress": egress}),
    )
}

/// The void pieces, wherever they stand.
fn void(written: &Written) -> Vec<Refused> {
    let mut void: Vec<Refused> = written.subjects.as_ref().err().cloned().into_iter().collect();
    for rules in [&written.ingress, &written.egress].into_iter().flatten() {
        void.extend(void_entries(rules));
        for rule in rules.understood() {
            void.extend(void_entries(&rule.peers));
            void.extend(void_entries(&rule.ports));
        }
    }
    void
}

fn void_entries<T>(list: &List<T>) -> Vec<Refused> {
    match list {
        List::Absent => Vec::new(),
        List::Void(refused) => vec![refused.clone()],
        List::Of(entries) => entries
            .iter()
            .filter_map(|entry| entry.as_ref().err().cloned())
            .collect(),
    }
}

type Pods = (Option<Selector>, Option<Selector>);

fn pods_of(peer: &Peer) -> Option<Pods> {
    match peer {
        Peer::Pods { pods, namespaces } => Some((pods.clone(), namespaces.clone())),
        Peer::Block { .. } => None,
    }
}

fn merged_pods_of(peer: &PolicyPeer) -> Option<Pods> {
    match peer {
        PolicyPeer::Pods { pods, namespaces } => Some((pods.clone(), namespaces.clone())),
        PolicyPeer::Block { .. } => None,
    }
}

fn covers(peer: &Peer, address: IpAddr) -> bool {
    match peer {
        Peer::Pods { .. } => false,
        Peer::Block { net, except } => net.contains(&address) && !except.iter().any(|except| except.contains(&address)),
    }
}

fn merged_covers(peer: &PolicyPeer, address: IpAddr) -> bool {
    match peer {
        PolicyPeer::Pods { .. } => false,
        PolicyPeer::Block { net, except } => {
            net.contains(&address) && !except.iter().any(|except| except.contains(&address))
        }
    }
}

fn named(peers: &Peers) -> &[PolicyPeer] {
    match peers {
        Peers::Any => &[],
        Peers::Of(peers) => peers,
    }
}

/// S10, S60, S127: whether an understood rule admits a peer is the same as written and as enforced, whatever is merged.
fn assert_same_meaning(written: &List<Rule>, enforced: &[PolicyRule], seed: u64) {
    let rules: BTreeSet<PolicyRule> = written.understood().map(PolicyRule::from).collect();
    let mut ports = BTreeSet::new();
    for rule in enforced {
        assert!(ports.insert(&rule.ports), "two rules with the same ports, SEED={seed}");
        let admitted: Vec<&Peers> = rules
            .iter()
            .filter(|one| one.ports == rule.ports)
            .map(|one| &one.peers)
            .collect();
        let of_all: BTreeSet<&PolicyPeer> = admitted.iter().copied().flat_map(named).collect();
        match &rule.peers {
            Peers::Any => assert!(admitted.contains(&&Peers::Any), "SEED={seed}"),
            Peers::Of(_) if admitted.contains(&&Peers::Any) => panic!("anybody became somebody, SEED={seed}"),
            Peers::Of(peers) => assert!(of_all.into_iter().eq(peers), "SEED={seed}"),
        }
    }
    assert_eq!(ports, rules.iter().map(|rule| &rule.ports).collect(), "SEED={seed}");
    assert!(enforced.is_sorted(), "SEED={seed}");
    for rule in written.understood() {
        let merged = PolicyRule::from(rule);
        match (&rule.peers, &merged.peers) {
            (List::Absent, Peers::Any) => {}
            (List::Void(_), Peers::Of(none)) => assert!(none.is_empty(), "SEED={seed}"),
            (List::Of(_), Peers::Of(merged)) => {
                let pods: BTreeSet<_> = rule.peers.understood().filter_map(pods_of).collect();
                let merged_pods: BTreeSet<_> = merged.iter().filter_map(merged_pods_of).collect();
                assert_eq!(pods, merged_pods, "SEED={seed}");
                for address in ["10.0.0.1", "10.1.0.1", "11.0.0.1", "::1"].map(|text| text.parse().unwrap()) {
                    assert_eq!(
                        rule.peers.understood().any(|peer| covers(peer, address)),
                        merged.iter().any(|peer| merged_covers(peer, address)),
                        "SEED={seed} {address}"
                    );
                }
            }
            (peers, merged) => panic!("SEED={seed} {peers:?} became {merged:?}"),
        }
        match (&rule.ports, &merged.ports) {
            (List::Absent, Ports::Any) => {}
            (List::Void(_) | List::Of(_), Ports::Of(merged)) => {
                assert_eq!(
                    merged.is_empty(),
                    rule.ports.understood().next().is_none(),
                    "SEED={seed}"
                );
            }
            (ports, merged) => panic!("SEED={seed} {ports:?} became {merged:?}"),
        }
    }
}

/// S127: each void piece is refused once, in the order of the spec, and none is in force.
#[test]
fn what_is_enforced_is_what_is_written() {
    for seed in 0..RANDOM {
        let raw = random(&mut Rng::with_seed(seed));
        let written = read(&raw);
        assert_eq!(
            BTreeSet::from_iter(void(&written)),
            BTreeSet::from_iter(written.refused.clone()),
            "SEED={seed}"
        );
        let Policy {
            subjects,
            ingress,
            egress,
            refused,
            ..
        } = parse(&raw);
        assert_eq!(written.subjects.clone().ok(), subjects, "SEED={seed}");
        assert_eq!(written.refused, refused, "SEED={seed}");
        for (written, enforced) in [(&written.ingress, ingress), (&written.egress, egress)] {
            match (written, enforced) {
                (Some(_), Some(enforced)) if subjects.is_none() => assert_eq!(enforced, [], "SEED={seed}"),
                (Some(written), Some(enforced)) => assert_same_meaning(written, &enforced, seed),
                (written, enforced) => panic!("SEED={seed} {written:?} became {enforced:?}"),
            }
        }
    }
}
