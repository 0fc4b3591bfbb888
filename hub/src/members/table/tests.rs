use super::*;
use crate::members::pem;
use expect_test::expect;

fn cluster(id: &str, state: State, reason: &str) -> wire::Cluster {
    wire::Cluster {
        id: id.to_owned(),
        state: state.into(),
        reason: reason.to_owned(),
        namespaces: 12,
        pods: 310,
        server: format!("https://{id}.example:6443"),
        ..wire::Cluster::default()
    }
}

fn fresh(id: &str, seconds: i64) -> wire::Freshness {
    wire::Freshness {
        cluster: id.to_owned(),
        age: Some(prost_types::Duration {
            seconds,
            nanos: 400_000_000,
        }),
        ..wire::Freshness::default()
    }
}

fn enforcer(id: &str, connected: bool, lag: Option<i64>) -> wire::Enforcer {
    wire::Enforcer {
        cluster: id.to_owned(),
        connected,
        lag: lag.map(|seconds| prost_types::Duration { seconds, nanos: 0 }),
        ..wire::Enforcer::default()
    }
}

fn said() -> Said {
    let unreachable = "the API server is unreachable: connection refused";
    Said {
        clusters: vec![
            wire::Cluster {
                unlabelled_namespaces: 4,
                mislabelled_namespaces: 1,
                ..cluster("cluster-a", State::Live, "")
            },
            cluster("cluster-b", State::Stale, unreachable),
            cluster("cluster-d", State::Syncing, ""),
        ],
        freshness: vec![fresh("cluster-a", 0), fresh("cluster-b", 400)],
        enforcers: vec![
            enforcer("cluster-a", true, None),
            enforcer("cluster-a", true, Some(2)),
            enforcer("cluster-a", false, Some(900)),
            enforcer("cluster-b", true, None),
        ],
    }
}

fn secret(ids: &[&str]) -> Members {
    let data = ids.iter().map(|id| {
        let text = format!("clusters: [{{name: x, cluster: {{server: 'https://{id}.example:6443'}}}}]\n");
        (format!("{id}.kubeconfig"), pem::base64(text.as_bytes()).into())
    });
    Members::read(&json!({"data": data.collect::<serde_json::Map<_, _>>()}))
}

#[test]
fn a_person_sees_states_and_what_to_look_at() {
    let table = Table::new(&said(), Some(&secret(&["cluster-a", "cluster-b", "cluster-c"])));
    expect![[r#"
        CLUSTER    STATE    HEARD      NAMESPACES  PODS  ENFORCERS    SERVER
        cluster-a  LIVE     0.4 s ago  12          310   2, 1 behind  https://cluster-a.example:6443
          4 namespaces without the cluster's label, which no policy that names this cluster matches: hub members add … --label-namespaces
          1 namespace with another cluster's label, read as this cluster's: hub members add … --label-namespaces --overwrite
        cluster-b  STALE    7 min ago  12          310   1            https://cluster-b.example:6443
          the API server is unreachable: connection refused
        cluster-c  UNKNOWN  -          -           -     -            https://cluster-c.example:6443
          in the Secret, and the hub does not know it: a new key arrives in its pod within two minutes; else see the hub's log
        cluster-d  SYNCING  -          12          310   0            https://cluster-d.example:6443
          not in the Secret: it leaves within two minutes, or the hub has its kubeconfig from elsewhere
    "#]].assert_eq(&table.text());
}

#[test]
fn a_program_sees_the_same() {
    let table = Table::new(&said(), Some(&secret(&["cluster-c", "cluster-d"])));
    let members = table.json()["members"].take();
    let lines: Vec<String> = members.as_array().unwrap().iter().map(Value::to_string).collect();
    expect![[r#"
        {"enforcersBehind":1,"enforcersConnected":2,"heardSecondsAgo":0.4,"id":"cluster-a","inSecret":false,"mislabelledNamespaces":1,"namespaces":12,"pods":310,"reason":"","server":"https://cluster-a.example:6443","state":"LIVE","unlabelledNamespaces":4}
        {"enforcersBehind":0,"enforcersConnected":1,"heardSecondsAgo":400.4,"id":"cluster-b","inSecret":false,"mislabelledNamespaces":0,"namespaces":12,"pods":310,"reason":"the API server is unreachable: connection refused","server":"https://cluster-b.example:6443","state":"STALE","unlabelledNamespaces":0}
        {"enforcersBehind":null,"enforcersConnected":null,"heardSecondsAgo":null,"id":"cluster-c","inSecret":true,"mislabelledNamespaces":null,"namespaces":null,"pods":null,"reason":"","server":"https://cluster-c.example:6443","state":"UNKNOWN","unlabelledNamespaces":null}
        {"enforcersBehind":0,"enforcersConnected":0,"heardSecondsAgo":null,"id":"cluster-d","inSecret":true,"mislabelledNamespaces":0,"namespaces":12,"pods":310,"reason":"","server":"https://cluster-d.example:6443","state":"SYNCING","unlabelledNamespaces":0}"#]].assert_eq(&lines.join("\n"));
}

#[test]
fn without_a_secret_nothing_is_said_of_it() {
    let said = Said {
        clusters: vec![cluster("cluster-a", State::Live, "")],
        ..Said::default()
    };
    expect![[r#"
        CLUSTER    STATE  HEARD  NAMESPACES  PODS  ENFORCERS  SERVER
        cluster-a  LIVE   -      12          310   0          https://cluster-a.example:6443
    "#]]
    .assert_eq(&Table::new(&said, None).text());
    expect![[r#"
        No members. hub members add makes a cluster one.
    "#]]
    .assert_eq(&Table::new(&Said::default(), None).text());
}
