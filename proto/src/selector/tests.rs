use super::*;
use crate::model::NamespaceName;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs
        .iter()
        .map(|(key, value)| ((*key).into(), (*value).into()))
        .collect()
}

fn requirement(key: &str, operator: &str, values: &[&str]) -> Requirement {
    Requirement::new(key, operator, values).unwrap()
}

/// S26, S27, S28: Each operator, with an absent, an empty and another value.
#[test]
fn each_operator_looks_at_an_absent_an_empty_and_another_value() {
    let objects = [
        labels(&[]),
        labels(&[("k", "")]),
        labels(&[("k", "a")]),
        labels(&[("k", "b")]),
    ];
    let cases = [
        (requirement("k", "In", &["a"]), [false, false, true, false]),
        (requirement("k", "In", &[""]), [false, true, false, false]),
        (requirement("k", "In", &["a", "b"]), [false, false, true, true]),
        (requirement("k", "NotIn", &["a"]), [true, true, false, true]),
        (requirement("k", "NotIn", &[""]), [true, false, true, true]),
        (requirement("k", "Exists", &[]), [false, true, true, true]),
        (requirement("k", "DoesNotExist", &[]), [true, false, false, false]),
    ];
    for (requirement, expected) in cases {
        let selector = Selector::new([requirement]);
        assert_eq!(
            objects.each_ref().map(|object| selector.matches(object)),
            expected,
            "{selector}"
        );
    }
}

/// S25: All requirements must hold; none selects everything.
#[test]
fn all_requirements_hold_and_none_selects_everything() {
    let both = Selector::new([requirement("a", "Exists", &[]), requirement("b", "In", &["1"])]);
    let objects = [
        labels(&[("a", "x"), ("b", "1")]),
        labels(&[("a", "x")]),
        labels(&[("b", "1")]),
        labels(&[]),
    ];
    assert_eq!(
        objects.each_ref().map(|object| both.matches(object)),
        [true, false, false, false]
    );
    assert_eq!(
        objects.each_ref().map(|object| Selector::default().matches(object)),
        [true; 4]
    );
}

/// S30: Keys and values are compared as they are.
#[test]
fn keys_and_values_are_compared_as_they_are() {
    let selector = Selector::new([requirement("example.com/App", "In", &["Web"])]);
    let objects = [
        ("example.com/App", "Web"),
        ("example.com/App", "web"),
        ("App", "Web"),
        ("example.com/app", "Web"),
    ];
    assert_eq!(
        objects.map(|pair| selector.matches(&labels(&[pair]))),
        [true, false, false, false]
    );
}

/// P1, P2, P3, P4, P5: What the API server refuses is refused.
#[test]
fn what_the_api_server_refuses_is_refused() {
    let long = "x".repeat(64);
    for (key, operator, values, reason) in [
        ("k", "Gt", vec!["1"], "\"Gt\" is no operator"),
        ("k", "in", vec!["1"], "\"in\" is no operator"),
        ("k", "In", vec![], "operator In needs values"),
        ("k", "NotIn", vec![], "operator NotIn needs values"),
        ("k", "Exists", vec!["1"], "operator Exists takes no values"),
        ("/k", "Exists", vec![], "\"/k\" is no label key"),
        ("a/b/c", "Exists", vec![], "\"a/b/c\" is no label key"),
        ("", "Exists", vec![], "\"\" is no label key"),
        ("k", "In", vec![long.as_str()], "is no label value"),
        ("k", "In", vec!["a\n"], "\"a\\n\" is no label value"),
        (long.as_str(), "Exists", vec![], "is no label key"),
    ] {
        let error = Requirement::new(key, operator, &values).unwrap_err();
        assert!(error.contains(reason), "{key:?} {operator} {values:?}: {error}");
    }
    assert!(Requirement::new("k", "In", &[&"x".repeat(63)]).is_ok());
}

/// Which of these a peer of cluster a, namespace shop, selects: shop of a, shop of b, another of a, and shop of b without
/// a Namespace object.
fn selected(pods: Option<Selector>, namespaces: Option<Selector>, switches: Switches) -> [bool; 4] {
    let cluster = |name| ClusterName::new(name).unwrap();
    let peer = Peer {
        cluster: cluster("a"),
        namespace: "shop".into(),
        pods,
        namespaces,
    };
    let identity = |of, name: &str| Identity {
        namespace: NamespaceName {
            cluster: cluster(of),
            name: name.into(),
        },
        labels: labels(&[("app", "web")]).into(),
        ports: [].into(),
    };
    let own = labels(&[(CLUSTER_LABEL, "a")]);
    let lie = labels(&[(CLUSTER_LABEL, "a"), (NAME_LABEL, "other")]);
    let none = labels(&[]);
    [
        ("a", "shop", Some(&own)),
        ("b", "shop", Some(&lie)),
        ("a", "other", Some(&none)),
        ("b", "shop", None),
    ]
    .map(|(of, name, labels)| {
        let selects = peer.selects(&identity(of, name), labels, switches);
        let mismatches = peer.mismatches(&identity(of, name), labels, switches);
        assert_eq!(selects, mismatches.is_empty(), "{peer:?} {of}/{name}: {mismatches:?}");
        selects
    })
}

/// S106: what is told of a false claim is what counts, and what was claimed.
#[test]
fn every_condition_that_fails_is_told() {
    let peer = Peer {
        cluster: ClusterName::new("a").unwrap(),
        namespace: "shop".into(),
        pods: Some(Selector::new([
            requirement("app", "In", &["web"]),
            requirement("tier", "Exists", &[]),
        ])),
        namespaces: Some(Selector::new([requirement(CLUSTER_LABEL, "In", &["a"])])),
    };
    let identity = Identity {
        namespace: NamespaceName {
            cluster: ClusterName::new("b").unwrap(),
            name: "pay".into(),
        },
        labels: labels(&[("app", "db")]).into(),
        ports: [].into(),
    };
    let claim = labels(&[(CLUSTER_LABEL, "a")]);
    let pods = [
        Mismatch::PodLabel {
            requirement: requirement("app", "In", &["web"]),
            counts: Some("db".into()),
        },
        Mismatch::PodLabel {
            requirement: requirement("tier", "Exists", &[]),
            counts: None,
        },
    ];
    let mut expected = vec![Mismatch::NamespaceLabel {
        requirement: requirement(CLUSTER_LABEL, "In", &["a"]),
        counts: Some("b".into()),
        written: Some("a".into()),
    }];
    expected.extend(pods.clone());
    assert_eq!(peer.mismatches(&identity, Some(&claim), Switches::default()), expected);
    let mut expected = vec![Mismatch::UnknownNamespace];
    expected.extend(pods.clone());
    assert_eq!(peer.mismatches(&identity, None, Switches::default()), expected);
    let bare = Peer {
        namespaces: None,
        ..peer
    };
    let local = Switches {
        bare_pod_selector: BarePodSelector::Local,
        ..Switches::default()
    };
    let mut expected = vec![
        Mismatch::Cluster {
            wanted: bare.cluster.clone(),
        },
        Mismatch::Namespace { wanted: "shop".into() },
    ];
    expected.extend(pods);
    assert_eq!(bare.mismatches(&identity, None, local), expected);
}

/// S19, S29, S31, S102, S105, S106, N5, N6, N9: A peer is read in its place and by the switches.
#[test]
fn a_peer_is_read_in_its_place_and_by_the_switches() {
    let any = Some(Selector::default());
    let of = |key, operator, values: &[&str]| Some(Selector::new([requirement(key, operator, values)]));
    let switches = Switches::default();
    let local = Switches {
        bare_pod_selector: BarePodSelector::Local,
        ..switches
    };
    let reading = |cluster_label| Switches {
        cluster_label,
        ..switches
    };
    assert_eq!(selected(any.clone(), None, switches), [true, true, false, true]);
    assert_eq!(selected(any.clone(), None, local), [true, false, false, false]);
    assert_eq!(selected(of("app", "In", &["db"]), None, switches), [false; 4]);
    assert_eq!(selected(None, any.clone(), local), [true; 4]);
    // What nobody knows is not matched, not even by what is absent (S31); the name is the name (S29).
    assert_eq!(
        selected(None, of("x", "DoesNotExist", &[]), switches),
        [true, true, true, false]
    );
    assert_eq!(
        selected(None, of(NAME_LABEL, "In", &["shop"]), switches),
        [true, true, false, false]
    );
    let a = of(CLUSTER_LABEL, "In", &["a"]);
    assert_eq!(selected(None, a.clone(), switches), [true, false, false, false]);
    assert_eq!(
        selected(None, a.clone(), reading(ClusterLabelMode::Literal)),
        [true, true, false, false]
    );
    assert_eq!(
        selected(None, a, reading(ClusterLabelMode::Assert)),
        [true, false, true, false]
    );
}
