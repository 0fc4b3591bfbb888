use super::*;
use std::time::Duration;

const URIS: [&str; 4] = [
    "bailey://x.test/hub",
    "bailey://x.test/reader",
    "bailey://x.test/cluster/a",
    "bailey://x.test/cluster/a/node/n1",
];

const METHODS: [&str; 9] = [
    "/bailey.v1.Sync/Subscribe",
    "/bailey.v1.Sync/Report",
    "/bailey.v1.Inventory/ListPods",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    "/grpc.health.v1.Health/Check",
    "/bailey.v1.Inventory",
    "/bailey.v1.SyncX/Report",
    "/",
];

fn caller(rights: Rights) -> Caller {
    Caller {
        address: "192.0.2.1:40000".parse().expect("an address"),
        rights,
    }
}

/// The certificate expires a second after 1970.
fn certified(uri: &str) -> Caller {
    caller(Rights::Certified(Peer {
        name: uri.parse().expect("a role's URI"),
        not_after: SystemTime::UNIX_EPOCH + Duration::from_secs(1),
    }))
}

fn verdict(caller: &Caller, path: &str) -> &'static str {
    match decide(Some(caller), path, SystemTime::UNIX_EPOCH).map_err(|status| status.code()) {
        Ok(()) => "may",
        Err(tonic::Code::PermissionDenied) => "may not",
        Err(tonic::Code::Unimplemented) => "is none",
        Err(_) => "?",
    }
}

#[test]
fn each_role_may_do_what_it_needs() {
    let callers = URIS.map(certified).into_iter();
    let callers = callers.chain([caller(Rights::All), caller(Rights::Nothing("why".to_owned()))]);
    let mut table = "hub      reader   cluster  node     insecure nothing\n".to_owned();
    let callers: Vec<Caller> = callers.collect();
    for method in METHODS {
        for caller in &callers {
            table += &format!("{:9}", verdict(caller, method));
        }
        table += &format!("{method}\n");
    }
    expect_test::expect![[r#"
        hub      reader   cluster  node     insecure nothing
        may not  may not  may      may      may      may not  /bailey.v1.Sync/Subscribe
        may not  may not  may      may      may      may not  /bailey.v1.Sync/Report
        may not  may      may not  may not  may      may not  /bailey.v1.Inventory/ListPods
        may not  may      may not  may not  may      may not  /grpc.reflection.v1.ServerReflection/ServerReflectionInfo
        may not  may      may not  may not  may      may not  /grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo
        may      may      may      may      may      may not  /grpc.health.v1.Health/Check
        is none  is none  is none  is none  is none  is none  /bailey.v1.Inventory
        is none  is none  is none  is none  is none  is none  /bailey.v1.SyncX/Report
        is none  is none  is none  is none  is none  is none  /
    "#]].assert_eq(&table);
}

#[test]
fn a_refusal_says_who_what_and_what_is_needed() {
    let texts = [
        decide(Some(&certified(URIS[2])), METHODS[2], SystemTime::UNIX_EPOCH),
        decide(Some(&certified(URIS[1])), METHODS[0], SystemTime::UNIX_EPOCH),
        decide(
            Some(&certified(URIS[1])),
            METHODS[2],
            SystemTime::UNIX_EPOCH + Duration::from_secs(1),
        ),
        decide(Some(&certified(URIS[1])), METHODS[7], SystemTime::UNIX_EPOCH),
        decide(None, METHODS[2], SystemTime::UNIX_EPOCH),
    ]
    .map(|refusal| refusal.expect_err("nobody may do that").message().to_owned());
    expect_test::expect![[r#"
        bailey://x.test/cluster/a may not call /bailey.v1.Inventory/ListPods: that needs a certificate with the URI bailey://x.test/reader
        bailey://x.test/reader may not call /bailey.v1.Sync/Subscribe: that needs a certificate with the URI bailey://x.test/cluster/<id> or …/cluster/<id>/node/<name>
        the certificate of bailey://x.test/reader has expired: connect again with a new one
        /bailey.v1.SyncX/Report: there is no such service; grpcurl … list shows what there is
        nobody knows who is at the other end of this connection"#]].assert_eq(&texts.join("\n"));
}
