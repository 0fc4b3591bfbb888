//! A wrong value is refused before anything is made, with a word on what is allowed; and what cert-manager is asked for.

use super::{helm, objects};
use serde_json::{Value, json};

/// Values, and words of their refusal.
const CASES: [(&[&str], &str); 18] = [
    (
        &[],
        "enforcer.cluster is empty: name this cluster, e.g. --set enforcer.cluster=cluster-a, or install the hub alone",
    ),
    (
        &["enforcer.cluster=-a"],
        "enforcer.cluster \"-a\" is no cluster id: it is a label's value, at most 63 letters",
    ),
    (
        &["enforcer.cluster=123"],
        "enforcer.cluster is the number 123 as YAML reads it, and an id is text: quote it",
    ),
    (
        &["enforcer.cluster=a", "enforcer.hubs={http://x:1}"],
        "\"http://x:1\" is no URL of a hub: say https://HOST:PORT",
    ),
    (
        &["enforcer.cluster=a", "hub.enabled=false"],
        "this release has no hub: say where it is",
    ),
    (
        &["enforcer.cluster=a", "enforcer.nri=on"],
        "enforcer.nri \"on\": say auto, off, or the absolute path",
    ),
    (
        &["enforcer.cluster=a", "enforcer.nriLate=no"],
        "'/enforcer/nriLate': value must be one of 'allow', 'refuse'",
    ),
    (
        &["enforcer.cluster=a", "hub.podCidrs.b={10.1}"],
        "hub.podCidrs.b: \"10.1\" is no range of addresses: say 10.1.0.0/16",
    ),
    (
        &["enforcer.cluster=a", "hub.podCidrs.b={10.1.0.0/99}"],
        "hub.podCidrs.b: \"10.1.0.0/99\" is no range of addresses: say 10.1.0.0/16",
    ),
    (
        &["enforcer.cluster=a", "hub.podCidrs.b={::/129}"],
        "hub.podCidrs.b: \"::/129\" is no range of addresses: say 10.1.0.0/16",
    ),
    (
        &["enforcer.cluster=a", "hub.service.type=None"],
        "'/hub/service/type': value must be one of 'ClusterIP', 'NodePort', 'LoadBalancer'",
    ),
    (
        &["enforcer.cluster=a", "hub.service.nodePort=x"],
        "'/hub/service/nodePort': got string, want null or integer",
    ),
    (
        &["enforcer.cluster=a", "policy.barePodSelector=x"],
        "'/policy/barePodSelector': value must be one of 'clusterset', 'local'",
    ),
    (
        &["enforcer.cluster=a", "policy.clusterLabelMode=x"],
        "'/policy/clusterLabelMode': value must be one of 'verify', 'literal', 'assert'",
    ),
    (
        &["enforcer.cluster=a", "policy.egressToLocalNode=x"],
        "'/policy/egressToLocalNode': value must be one of 'allow', 'policy'",
    ),
    (
        &[
            "enforcer.cluster=a",
            "certManager.enabled=true",
            "certManager.duration=abc",
        ],
        "certManager.duration \"abc\": say hours, minutes and seconds, such as 2160h",
    ),
    (
        &["enforcer.cluster=a", "enforcr.x=1"],
        "additional properties 'enforcr' not allowed",
    ),
    (
        &[
            "enforcer.cluster=a",
            "hub.enabled=false",
            "enforcer.hubs={https://h:1}",
            "certManager.enabled=true",
        ],
        "certManager.issuerRef is empty and this release has no hub: name the issuer that signs for the whole ClusterSet",
    ),
];

#[test]
fn a_wrong_value_is_refused_with_a_word_on_what_is_allowed() {
    for (values, words) in CASES {
        let refused = helm(values).expect_err("refused");
        assert!(refused.contains(words), "{values:?}: {refused}");
    }
}

/// Each certificate of a rendering: its Secret, what its holder is, by which names it is reached, and who signs it.
fn certificates(values: &[&str]) -> Vec<Value> {
    let rendered = helm(values).unwrap();
    let certificates = rendered
        .split("\n---\n")
        .filter(|text| text.contains("\nkind: Certificate\n"));
    let mut certificates: Vec<Value> = certificates
        .flat_map(|text| objects(text).into_values())
        .map(|object| {
            let spec = &object["spec"];
            json!([
                spec["secretName"],
                spec["uris"],
                spec["dnsNames"],
                spec["ipAddresses"],
                spec["issuerRef"]["name"]
            ])
        })
        .collect();
    certificates.sort_by_key(Value::to_string);
    certificates
}

#[test]
fn cert_manager_is_asked_for_what_hub_certs_makes() {
    let dns = [
        "bailey-hub",
        "bailey-hub.bailey",
        "bailey-hub.bailey.svc",
        "localhost",
        "hub.example",
    ];
    assert_eq!(
        certificates(&[
            "enforcer.cluster=a",
            "certManager.enabled=true",
            "certManager.hubNames={hub.example,192.0.2.1}"
        ]),
        [
            json!(["bailey-ca", null, null, null, "bailey-self-signed"]),
            json!([
                "bailey-enforcer-tls",
                ["bailey://bailey.local/cluster/a"],
                null,
                null,
                "bailey-ca"
            ]),
            json!([
                "bailey-hub-tls",
                ["bailey://bailey.local/hub"],
                dns,
                ["127.0.0.1", "::1", "192.0.2.1"],
                "bailey-ca"
            ]),
            json!([
                "bailey-reader-tls",
                ["bailey://bailey.local/reader"],
                null,
                null,
                "bailey-ca"
            ]),
        ]
    );
    assert_eq!(
        certificates(&[
            "hub.enabled=false",
            "enforcer.hubs={https://h:1}",
            "enforcer.cluster=b",
            "certManager.enabled=true",
            "certManager.issuerRef.kind=ClusterIssuer",
            "certManager.issuerRef.name=corp",
        ]),
        [json!([
            "bailey-enforcer-tls",
            ["bailey://bailey.local/cluster/b"],
            null,
            null,
            "corp"
        ])]
    );
}
