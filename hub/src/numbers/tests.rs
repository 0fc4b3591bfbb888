use super::*;
use proto::model::{ClusterName, NamespaceName, Protocol};

fn identity(app: &str) -> Identity {
    Identity {
        namespace: NamespaceName {
            cluster: ClusterName::new("a").unwrap(),
            name: "shop".into(),
        },
        labels: Arc::new([("app".into(), app.into())].into()),
        ports: [NamedPort {
            name: "http".into(),
            protocol: Protocol::Tcp,
            port: 80,
        }]
        .into(),
    }
}

fn define(number: u32, string: &str) -> Definition {
    Definition::String(number, string.into())
}

fn define_identity(id: u32, app: u32) -> Definition {
    Definition::Identity(wire::Identity {
        id,
        cluster: 1,
        namespace: 2,
        labels: vec![3, app],
        ports: vec![convert::encode_port(5, Protocol::Tcp, 80)],
    })
}

#[test]
fn strings_are_defined_before_the_identity_that_uses_them_and_once() {
    let mut numbers = Numbers::default();
    assert_eq!(numbers.use_identity(&identity("web")), 1);
    assert_eq!(numbers.use_identity(&identity("web")), 1);
    let web = [
        define(1, "a"),
        define(2, "shop"),
        define(3, "app"),
        define(4, "web"),
        define(5, "http"),
        define_identity(1, 4),
    ];
    assert_eq!(numbers.take_definitions(), web);
    assert_eq!(numbers.use_identity(&identity("db")), 2);
    assert_eq!(numbers.take_definitions(), [define(6, "db"), define_identity(2, 6)]);
    assert_eq!(numbers.all().count(), 8);
}

#[test]
fn what_nothing_uses_is_retired_and_its_number_never_given_again() {
    let mut numbers = Numbers::default();
    let web = numbers.use_identity(&identity("web"));
    let db = numbers.use_identity(&identity("db"));
    numbers.drop_identity(web);
    let retired = Retired {
        identities: vec![1],
        strings: vec![4],
    };
    assert_eq!(numbers.retire(), retired);
    assert_eq!(numbers.retire(), Retired::default());
    numbers.drop_identity(db);
    assert_eq!(numbers.retire().strings, [1, 2, 3, 5, 6]);
    assert_eq!(numbers.all().count(), 0);

    numbers.take_definitions();
    assert_eq!(numbers.use_identity(&identity("web")), 3);
    assert_eq!(numbers.take_definitions().first(), Some(&define(7, "a")));
}

#[test]
fn a_number_that_finds_a_use_before_the_seal_ends_is_kept() {
    let mut numbers = Numbers::default();
    let number = numbers.use_identity(&identity("web"));
    numbers.take_definitions();
    numbers.drop_identity(number);
    assert_eq!(numbers.use_identity(&identity("web")), number);
    assert_eq!(numbers.retire(), Retired::default());
    assert_eq!(numbers.take_definitions(), []);
}

/// I19: A pod that crash-loops leaves no numbers behind.
#[test]
fn a_pod_that_crash_loops_leaves_nothing_behind() {
    let mut numbers = Numbers::default();
    let keeps = numbers.use_identity(&identity("web"));
    for restart in 0..3600 {
        let number = numbers.use_identity(&identity(&format!("restart-{restart}")));
        numbers.retire();
        numbers.drop_identity(number);
    }
    numbers.retire();
    assert_eq!(numbers.identities.in_use.keys().collect::<Vec<_>>(), [&keeps]);
    assert_eq!(numbers.strings.in_use.len(), 5);
    assert_eq!(numbers.strings.numbers.len(), 5);
}
