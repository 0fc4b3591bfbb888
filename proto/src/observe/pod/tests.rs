use super::super::{Namespace, Observe, Pod};
use expect_test::{Expect, expect};
use serde_json::{Value, json};

/// Reads `object` as text and as a manifest's value, which must come to the same.
fn observe<T: Observe + PartialEq + std::fmt::Debug>(object: &Value) -> T {
    let from_text: T = serde_json::from_str(&object.to_string()).unwrap();
    assert_eq!(from_text, T::deserialize(object).unwrap());
    from_text
}

fn addresses(status: Value, expected: Expect) {
    let pod: Pod = observe(&json!({"metadata": {"name": "web"}, "status": status}));
    expected.assert_eq(&format!("{:?} {:#?}", pod.addresses, pod.rejected));
}

fn ports(spec: Value, expected: Expect) {
    let pod: Pod = observe(&json!({"metadata": {"name": "web"}, "spec": spec}));
    let ports: Vec<String> = pod
        .ports
        .iter()
        .map(|p| format!("{}={}/{}", p.name, p.protocol, p.port))
        .collect();
    expected.assert_eq(&format!("{ports:?} {:#?}", pod.rejected));
}

#[test]
fn a_whole_pod() {
    let pod: Pod = observe(&json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "web-7f4c", "namespace": "shop", "uid": "8b6a", "resourceVersion": "71",
            "labels": {"app": "web", "tier": "front\u{7f}end"},
            "deletionTimestamp": "2026-11-23T09:14:02Z",
            "managedFields": [{"fieldsV1": {"f:metadata": {}}}]
        },
        "spec": {
            "nodeName": "n1", "hostNetwork": false,
            "containers": [{"name": "web", "image": "web:1", "ports": [
                {"name": "http", "containerPort": 8080, "protocol": "TCP"}, {"containerPort": 9090}]}]
        },
        "status": {"phase": "Running", "podIP": "10.1.1.7", "podIPs": [{"ip": "10.1.1.7"}, {"ip": "fd00:1::7"}],
            "hostIP": "192.0.2.1", "hostIPs": [{"ip": "192.0.2.1"}, {"ip": "fd00::1"}]}
    }));
    expect![[r#"
        Pod {
            namespace: "shop",
            name: "web-7f4c",
            uid: "8b6a",
            labels: {
                "app": "web",
                "tier": "front\u{7f}end",
            },
            node: Some(
                "n1",
            ),
            addresses: [
                10.1.1.7,
                fd00:1::7,
            ],
            host_addresses: [
                192.0.2.1,
                fd00::1,
            ],
            host_network: false,
            phase: Running,
            terminating: true,
            ports: [
                NamedPort {
                    name: "http",
                    protocol: Tcp,
                    port: 8080,
                },
            ],
            rejected: [],
        }
    "#]]
    .assert_debug_eq(&pod);
}

/// S93, I3: Every entry counts, once.
#[test]
fn every_address_counts_once() {
    addresses(
        json!({"podIP": "10.0.0.2", "podIPs": [{"ip": "fd00::2"}, {"ip": "10.0.0.2"}, {"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}]}),
        expect!["[10.0.0.1, 10.0.0.2, fd00::2] []"],
    );
}

/// S92, I1, I4: An address that no pod can have is no address of it, and the good ones stand.
#[test]
fn unusable_addresses_do_not_void_the_good_ones() {
    let texts = [
        "0.0.0.0",
        "::",
        "127.0.0.1",
        "::1",
        "224.0.0.1",
        "ff02::1",
        "255.255.255.255",
        "::ffff:10.0.0.9",
        "",
        "10.0.0.1",
    ];
    let entries: Vec<Value> = texts.iter().map(|ip| json!({ "ip": ip })).collect();
    addresses(
        json!({ "podIPs": entries }),
        expect![[r#"
        [10.0.0.1] [
            "status.podIPs[0]: \"0.0.0.0\" is the unspecified address",
            "status.podIPs[1]: \"::\" is the unspecified address",
            "status.podIPs[2]: \"127.0.0.1\" is a loopback address",
            "status.podIPs[3]: \"::1\" is a loopback address",
            "status.podIPs[4]: \"224.0.0.1\" is a multicast address",
            "status.podIPs[5]: \"ff02::1\" is a multicast address",
            "status.podIPs[6]: \"255.255.255.255\" is the broadcast address",
            "status.podIPs[7]: \"::ffff:10.0.0.9\" is an IPv4 address in IPv6 form, which is ambiguous",
            "and 1 more",
        ]"#]],
    );
}

/// I2: Entries that are no address are skipped.
#[test]
fn odd_entries_are_skipped() {
    addresses(
        json!({"podIPs": [null, {}, {"ip": 7}, "10.0.0.3", {"ip": "fe80::1%eth0"}, {"ip": "010.0.0.1"}, {"ip": "10.0.0.1"}]}),
        expect![[r#"
            [10.0.0.1] [
                "status.podIPs[2]: unexpected number",
                "status.podIPs[3]: unexpected string",
                "status.podIPs[4]: \"fe80::1%eth0\" is no address",
                "status.podIPs[5]: \"010.0.0.1\" is no address",
            ]"#]],
    );
}

/// I2: podIP counts where no entry of podIPs does.
#[test]
fn without_a_usable_entry_the_single_address_counts() {
    addresses(json!({"podIP": "10.0.0.1"}), expect!["[10.0.0.1] []"]);
    addresses(
        json!({"podIP": "10.0.0.1", "podIPs": [{"ip": "x"}]}),
        expect![[r#"
        [10.0.0.1] [
            "status.podIPs[0]: \"x\" is no address",
        ]"#]],
    );
    addresses(
        json!({"podIP": "10.0.0.1", "podIPs": "10.0.0.2"}),
        expect![[r#"
        [10.0.0.1] [
            "status.podIPs: unexpected string",
        ]"#]],
    );
}

/// S61: Ports of containers and sidecars count, those of ordinary init containers do not.
#[test]
fn ports_of_sidecars_count_and_those_of_init_containers_do_not() {
    ports(
        json!({
            "containers": [{"ports": [{"name": "http", "containerPort": 80}]}],
            "initContainers": [
                {"restartPolicy": "Always", "ports": [{"name": "mesh", "containerPort": 15001}]},
                {"ports": [{"name": "init", "containerPort": 1}]},
                {"restartPolicy": "Never", "ports": [{"name": "never", "containerPort": 1}]},
            ],
        }),
        expect![[r#"["http=TCP/80", "mesh=TCP/15001"] []"#]],
    );
}

/// S56, I16: A name may stand for several ports; a port without protocol is of TCP.
#[test]
fn a_name_may_stand_for_several_ports() {
    ports(
        json!({"containers": [{"ports": [
            {"name": "dns", "containerPort": 53, "protocol": "UDP"},
            {"name": "dns", "containerPort": 53, "protocol": ""},
            {"name": "dns", "containerPort": 53},
            {"name": "dns", "containerPort": 5353, "protocol": "SCTP"},
        ]}]}),
        expect![[r#"["dns=TCP/53", "dns=UDP/53", "dns=SCTP/5353"] []"#]],
    );
}

/// I16: A container port that is none is skipped.
#[test]
fn odd_ports_are_skipped() {
    ports(
        json!({"containers": [null, 3, {"ports": {}}, {"ports": [
            7,
            {"name": "none"},
            {"name": "zero", "containerPort": 0},
            {"name": "big", "containerPort": 65536},
            {"name": "huge", "containerPort": 18446744073709551615u64},
            {"name": "fraction", "containerPort": 80.5},
            {"name": "text", "containerPort": "80"},
            {"name": "tcp", "containerPort": 80, "protocol": "tcp"},
            {"name": "number", "containerPort": 80, "protocol": 6},
            {"name": ["list"], "containerPort": 80},
            {"name": "good", "containerPort": 80, "hostPort": true},
        ]}]}),
        expect![[r#"
            ["good=TCP/80"] [
                "spec.containers[1]: unexpected number",
                "spec.containers[2].ports: unexpected object",
                "spec.containers[3].ports[0]: unexpected number",
                "spec.containers[3].ports[1].containerPort: missing",
                "spec.containers[3].ports[2].containerPort: 0 is no port",
                "spec.containers[3].ports[3].containerPort: 65536 is no port",
                "spec.containers[3].ports[4].containerPort: unexpected number",
                "spec.containers[3].ports[5].containerPort: unexpected fraction",
                "and 4 more",
            ]"#]],
    );
}

/// I13: A phase that does not exist is not finished.
#[test]
fn phases() {
    let phase = |phase: Value| observe::<Pod>(&json!({"metadata": {"name": "p"}, "status": {"phase": phase}})).phase;
    let phases: Vec<_> = [
        "Pending",
        "Running",
        "Succeeded",
        "Failed",
        "Unknown",
        "Thinking",
        "succeeded",
        "",
    ]
    .into_iter()
    .map(|name| phase(json!(name)))
    .chain([phase(Value::Null), phase(json!(4))])
    .collect();
    expect!["[Pending, Running, Succeeded, Failed, Unknown, Unknown, Unknown, Pending, Pending, Unknown]"]
        .assert_eq(&format!("{phases:?}"));
}

/// W10: What is odd in an object does not hide the object.
#[test]
fn an_object_of_odd_fields_only() {
    let pod: Pod = observe(&json!({
        "metadata": {"name": "odd", "namespace": 1, "uid": [], "labels": {"a": 1, "b": "c", "d": null}, "generation": "x"},
        "spec": {"nodeName": {}, "hostNetwork": "yes", "containers": "none", "initContainers": 0},
        "status": [],
    }));
    expect![[r#"
        Pod {
            namespace: "",
            name: "odd",
            uid: "",
            labels: {
                "b": "c",
            },
            node: None,
            addresses: [],
            host_addresses: [],
            host_network: false,
            phase: Pending,
            terminating: false,
            ports: [],
            rejected: [
                "metadata.labels[\"a\"]: unexpected number",
                "metadata.namespace: unexpected number",
                "metadata.uid: unexpected list",
                "metadata.generation: unexpected string",
                "status: unexpected list",
                "spec.containers: unexpected string",
                "spec.initContainers: unexpected number",
                "spec.nodeName: unexpected object",
                "and 1 more",
            ],
        }
    "#]]
    .assert_debug_eq(&pod);
    let bare: Pod = observe(&json!({"metadata": {"name": "odd", "labels": []}, "spec": null, "status": 1.5}));
    expect![[r#"
        [
            "metadata.labels: unexpected list",
            "status: unexpected fraction",
        ]
    "#]]
    .assert_debug_eq(&bare.rejected);
}

#[test]
fn only_what_has_no_name_is_refused() {
    let error = |text: &str| serde_json::from_str::<Pod>(text).unwrap_err().to_string();
    let errors = [
        "{}",
        r#"{"metadata":{"name":""}}"#,
        r#"{"metadata":{"name":7}}"#,
        "[]",
        "3",
        "{",
    ]
    .map(error);
    expect![[r#"
        metadata.name: missing
        metadata.name: missing
        metadata.name: missing
        metadata.name: missing
        invalid type: integer `3`, expected struct RawPod at line 1 column 1
        EOF while parsing an object at line 1 column 1"#]]
    .assert_eq(&errors.join("\n"));
}

/// N7: A label is neither folded nor trimmed.
#[test]
fn a_namespace_keeps_its_labels_as_they_are() {
    let namespace: Namespace = observe(&json!({
        "metadata": {"name": "shop", "uid": "4", "labels": {"Team": " a ", "odd": true}}, "spec": {"finalizers": ["kubernetes"]},
    }));
    expect![[r#"
        Namespace {
            name: "shop",
            uid: "4",
            labels: {
                "Team": " a ",
            },
            rejected: [
                "metadata.labels[\"odd\"]: unexpected true or false",
            ],
        }
    "#]]
    .assert_debug_eq(&namespace);
}

/// W10: Any JSON at all in any place at which something is read.
#[test]
fn no_value_in_no_place_fails() {
    let odd = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1.5),
        json!(u64::MAX),
        json!(""),
        json!("\u{0}\""),
        json!([]),
        json!([[null]]),
        json!({}),
        json!({"a": {"b": []}}),
    ];
    let good = json!({
        "metadata": {"name": "n", "namespace": "x", "uid": "u", "generation": 1, "labels": {"k": "v"}, "deletionTimestamp": "t"},
        "spec": {
            "nodeName": "n", "hostNetwork": true,
            "containers": [{"ports": [{"name": "n", "containerPort": 1, "protocol": "TCP"}]}],
            "initContainers": [{"restartPolicy": "Always", "ports": [{"name": "n", "containerPort": 1, "protocol": "TCP"}]}],
        },
        "status": {"phase": "Running", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}]},
    });
    let mut pointers = Vec::new();
    collect_pointers(&good, String::new(), &mut pointers);
    assert!(pointers.len() > 25, "{pointers:?}");
    for pointer in pointers
        .iter()
        .filter(|pointer| !["", "/metadata", "/metadata/name"].contains(&pointer.as_str()))
    {
        for value in &odd {
            let mut object = good.clone();
            *object.pointer_mut(pointer).unwrap() = value.clone();
            assert_eq!(*observe::<Pod>(&object).name, *"n", "{pointer} = {value}");
        }
    }
}

fn collect_pointers(value: &Value, at: String, pointers: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields
            .iter()
            .for_each(|(key, value)| collect_pointers(value, format!("{at}/{key}"), pointers)),
        Value::Array(items) => (0..)
            .zip(items)
            .for_each(|(i, value): (usize, _)| collect_pointers(value, format!("{at}/{i}"), pointers)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    pointers.push(at);
}
