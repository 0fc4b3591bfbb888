use super::*;
use clap::Parser;
use expect_test::{Expect, expect};
use std::fs;

/// A folder with what a command line may name.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(folder.path().join("clusters")).expect("a folder in it");
    for name in ["hub.crt", "hub.key", "ca.crt"] {
        fs::write(folder.path().join(name), "").expect("a file in it");
    }
    folder
}

/// What a command line means: the task, or what the user is told. `DIR` in it is the folder of [`folder`].
fn meaning(line: &str) -> String {
    let folder = folder();
    let dir = folder.path().to_str().expect("the folder's name is UTF-8");
    let arguments = ["hub".to_owned()]
        .into_iter()
        .chain(line.split_whitespace().map(|word| word.replace("DIR", dir)));
    let text = match CommandLine::try_parse_from(arguments) {
        Ok(command_line) => match command_line.into_task() {
            Ok(Task::Serve(config)) => format!("{config:#?}"),
            Ok(Task::Certs(order, delivery)) if delivery.is_wanted() => format!("{order:#?}\n{delivery:#?}"),
            Ok(Task::Certs(order, _)) => format!("{order:#?}"),
            Ok(Task::Members(task)) => format!("{task:#?}"),
            Err(error) => error.to_string(),
        },
        Err(error) => error.to_string(),
    };
    text.replace(dir, "DIR")
}

fn check(line: &str, expected: Expect) {
    expected.assert_eq(&meaning(line));
}

#[test]
fn the_command_line_is_consistent() {
    use clap::CommandFactory;
    CommandLine::command().debug_assert();
}

#[test]
fn a_trial_serves_this_machine_only() {
    check(
        "--clusters DIR/clusters --insecure",
        expect![[r#"
        Config {
            clusters: "DIR/clusters",
            listen: 127.0.0.1:7443,
            security: Insecure,
            admin: 127.0.0.1:9443,
            switches: Switches {
                bare_pod_selector: ClusterSet,
                cluster_label: Verify,
            },
            pod_ranges: PodRanges(
                {},
            ),
            log_level: "info",
            log_format: Text,
        }"#]],
    );
}

#[test]
fn mutual_tls_serves_every_address() {
    check(
        "--clusters DIR/clusters --tls-cert DIR/hub.crt --tls-key DIR/hub.key --client-ca DIR/ca.crt --log-format json \
         --bare-pod-selector local --cluster-label-mode assert --pod-cidr a=10.1.0.0/16,a=fd00:1::/48",
        expect![[r#"
            Config {
                clusters: "DIR/clusters",
                listen: [::]:7443,
                security: MutualTls(
                    Files {
                        certificate: "DIR/hub.crt",
                        key: "DIR/hub.key",
                        ca: "DIR/ca.crt",
                    },
                ),
                admin: 127.0.0.1:9443,
                switches: Switches {
                    bare_pod_selector: Local,
                    cluster_label: Assert,
                },
                pod_ranges: PodRanges(
                    {
                        a: [
                            10.1.0.0/16,
                            fd00:1::/48,
                        ],
                    },
                ),
                log_level: "info",
                log_format: Json,
            }"#]],
    );
}

#[test]
fn an_order_of_certificates() {
    check(
        "certs --out DIR/pki --cluster a --cluster b,c --node a/node-1 --hub-san hub.example.com --hub-san 192.0.2.7 --days 7",
        expect![[r#"
            Order {
                out: "DIR/pki",
                trust_domain: TrustDomain(
                    "bailey.local",
                ),
                clusters: [
                    a,
                    b,
                    c,
                ],
                nodes: [
                    Node {
                        cluster: a,
                        name: "node-1",
                    },
                ],
                hub_names: [
                    Dns(
                        Ia5String(
                            "hub.example.com",
                        ),
                    ),
                    Address(
                        192.0.2.7,
                    ),
                ],
                days: 7,
            }"#]],
    );
}

#[test]
fn an_order_of_secrets() {
    check(
        "certs --out DIR/pki --hub-context a --context b=ctx-b -n net --secrets -",
        expect![[r#"
            Order {
                out: "DIR/pki",
                trust_domain: TrustDomain(
                    "bailey.local",
                ),
                clusters: [
                    b,
                ],
                nodes: [],
                hub_names: [
                    Dns(
                        Ia5String(
                            "bailey-hub.net.svc",
                        ),
                    ),
                    Dns(
                        Ia5String(
                            "bailey-hub.net.svc.cluster.local",
                        ),
                    ),
                    Dns(
                        Ia5String(
                            "bailey-hub.net.svc.clusterset.local",
                        ),
                    ),
                ],
                days: 365,
            }
            Delivery {
                namespace: "net",
                kubeconfig: None,
                print: Some(
                    Stdout,
                ),
                hub_context: Some(
                    "a",
                ),
                contexts: [
                    MemberContext {
                        id: b,
                        context: "ctx-b",
                    },
                ],
            }"#]],
    );
}

#[test]
fn what_becomes_of_members() {
    check(
        "members add --id cluster-b --context b --hub-context a --server https://10.0.0.2:6443/ --token-duration 90d \
         --label-namespaces --overwrite -n net",
        expect![[r#"
            Add(
                Order {
                    id: cluster-b,
                    namespace: "net",
                    kubeconfig: None,
                    context: "b",
                    hub_context: "a",
                    server: Some(
                        "https://10.0.0.2:6443",
                    ),
                    server_ca: None,
                    lifetime: For(
                        7776000s,
                    ),
                    rotate: false,
                    replace: false,
                    labelling: Overwrite,
                    mode: Act,
                },
            )"#]],
    );
    check(
        "members list --hub https://hub.example:7443 --hub-ca DIR/ca.crt --tls-cert DIR/hub.crt --tls-key DIR/hub.key \
         --format json",
        expect![[r#"
            List(
                Order {
                    namespace: "bailey",
                    kubeconfig: None,
                    hub_context: None,
                    hub: Some(
                        https://hub.example:7443/,
                    ),
                    files: Some(
                        Files {
                            certificate: "DIR/hub.crt",
                            key: "DIR/hub.key",
                            ca: "DIR/ca.crt",
                        },
                    ),
                    format: Json,
                },
            )"#]],
    );
    check(
        "members remove --id cluster-b --hub-context a --context b --unlabel-namespaces --dry-run --kubeconfig DIR/k",
        expect![[r#"
            Remove(
                Order {
                    id: cluster-b,
                    namespace: "bailey",
                    kubeconfig: Some(
                        "DIR/k",
                    ),
                    context: Some(
                        "b",
                    ),
                    hub_context: "a",
                    labels: Go,
                    mode: DryRun,
                },
            )"#]],
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "most of them are what is said")]
fn what_is_wrong_about_members_is_said() {
    let add = "members add --id b --context b --hub-context a";
    for (line, expected) in [
        (
            add.replace("--id b", "--id b/c"),
            expect![[r#"
            error: invalid value 'b/c' for '--id <ID>': "b/c" is no cluster id: it must be a label value of 1 to 63 characters, letters, digits, '-', '_' and '.', beginning and ending with a letter or digit

            For more information, try '--help'.
        "#]],
        ),
        (
            format!("{add} -n x.y"),
            expect![[r#"
            error: invalid value 'x.y' for '--namespace <NAME>': no name of a namespace: lower-case letters, digits and '-'

            For more information, try '--help'.
        "#]],
        ),
        (
            format!("{add} --server 10.0.0.2:6443"),
            expect![[r#"
            error: invalid value '10.0.0.2:6443' for '--server <URL>': expected https://HOST:PORT, for example https://10.0.0.2:6443

            For more information, try '--help'.
        "#]],
        ),
        (
            format!("{add} --token-duration 5m"),
            expect![[r#"
            error: invalid value '5m' for '--token-duration <TIME>': expected a time of at least 10 minutes: a number with m, h or d, for example 24h or 90d

            For more information, try '--help'.
        "#]],
        ),
        (
            format!("{add} --token-duration 1y"),
            expect![[r#"
            error: invalid value '1y' for '--token-duration <TIME>': expected a time of at least 10 minutes: a number with m, h or d, for example 24h or 90d

            For more information, try '--help'.
        "#]],
        ),
        (
            format!("{add} --overwrite"),
            expect![[r#"
            error: the following required arguments were not provided:
              --label-namespaces"#]],
        ),
        (
            format!("{add} --dry-run --rotate"),
            expect!["error: the argument '--dry-run' cannot be used with '--rotate'"],
        ),
        (
            "members list --hub hub.example:7443".to_owned(),
            expect![[r#"
            error: invalid value 'hub.example:7443' for '--hub <URL>': expected https://HOST:PORT, or http:// for a hub with --insecure

            For more information, try '--help'.
        "#]],
        ),
        (
            "members list --tls-cert DIR/hub.crt".to_owned(),
            expect![[r#"
            error: the following required arguments were not provided:
              --tls-key <FILE>
              --hub-ca <FILE>"#]],
        ),
        (
            "members remove --id b --hub-context a --unlabel-namespaces".to_owned(),
            expect![[r#"
                error: the following required arguments were not provided:
                  --context <CONTEXT>"#]],
        ),
    ] {
        let said = meaning(&line);
        let said = said.split("\n\nUsage").next().unwrap_or_default();
        expected.assert_eq(said);
    }
}

#[test]
fn what_is_wrong_is_said_with_what_to_do() {
    for (line, expected) in [
        (
            "",
            expect![
                "--clusters is missing: name the folder that holds one kubeconfig per member cluster, e.g. --clusters ./clusters"
            ],
        ),
        (
            "--clusters DIR/none --insecure",
            expect![
                "--clusters DIR/none: No such file or directory (os error 2): name a folder that this user may read"
            ],
        ),
        (
            "--clusters DIR/hub.crt --insecure",
            expect!["--clusters DIR/hub.crt: Not a directory (os error 20): name a folder that this user may read"],
        ),
        (
            "--clusters DIR/clusters",
            expect![
                "missing --tls-cert, --tls-key, --client-ca: mutual TLS needs --tls-cert, --tls-key and --client-ca (hub certs --out ./pki writes a trial set); for a trial without TLS say --insecure"
            ],
        ),
        (
            "--clusters DIR/clusters --tls-cert DIR/hub.crt",
            expect![
                "missing --tls-key, --client-ca: mutual TLS needs --tls-cert, --tls-key and --client-ca (hub certs --out ./pki writes a trial set); for a trial without TLS say --insecure"
            ],
        ),
        (
            "--clusters DIR/clusters --insecure --tls-cert DIR/hub.crt",
            expect!["--insecure contradicts --tls-cert: leave one of them away"],
        ),
        (
            "--clusters DIR/clusters --tls-cert DIR/hub.crt --tls-key DIR/other.key --client-ca DIR/ca.crt",
            expect![
                "--tls-key DIR/other.key: No such file or directory (os error 2): name a PEM file that this user may read"
            ],
        ),
        (
            "--clusters DIR/clusters --insecure --listen 127.0.0.1:9443",
            expect!["--listen and --admin are both 127.0.0.1:9443: give them different ports"],
        ),
        (
            "--clusters DIR/clusters --insecure --log-level loud",
            expect![[
                r#"--log-level "loud": "loud" is no level: expected error, warn, info, debug, trace or a filter like info,hub=debug"#
            ]],
        ),
        (
            "--clusters DIR/clusters --insecure --log-level hub=loud",
            expect![[
                r#"--log-level "hub=loud": error parsing level filter: expected one of "off", "error", "warn", "info", "debug", "trace", or a number 0-5: expected error, warn, info, debug, trace or a filter like info,hub=debug"#
            ]],
        ),
    ] {
        check(line, expected);
    }
}

#[test]
fn an_address_that_is_none_is_refused_by_its_flag() {
    for (line, expected) in [
        (
            "--listen nowhere",
            expect![[r#"
                error: invalid value 'nowhere' for '--listen <ADDR>': expected ADDRESS:PORT, for example 0.0.0.0:7443 or [::1]:7443

                For more information, try '--help'.
            "#]],
        ),
        (
            "--admin 127.0.0.1",
            expect![[r#"
                error: invalid value '127.0.0.1' for '--admin <ADDR>': expected ADDRESS:PORT, for example 0.0.0.0:7443 or [::1]:7443

                For more information, try '--help'.
            "#]],
        ),
    ] {
        check(line, expected);
    }
}

#[test]
fn a_value_that_is_none_is_refused_by_its_flag() {
    for (line, expected) in [
        (
            "--log-format xml",
            expect![[r#"
            error: invalid value 'xml' for '--log-format <FORMAT>'
              [possible values: text, json]

            For more information, try '--help'.
        "#]],
        ),
        (
            "certs --cluster a",
            expect![[r#"
            error: the following required arguments were not provided:
              --out <DIR>

            Usage: hub certs --out <DIR> --cluster <ID>

            For more information, try '--help'.
        "#]],
        ),
        (
            "certs --out DIR/pki --cluster a/b",
            expect![[r#"
            error: invalid value 'a/b' for '--cluster <ID>': "a/b" is no cluster id: it must be a label value of 1 to 63 characters, letters, digits, '-', '_' and '.', beginning and ending with a letter or digit

            For more information, try '--help'.
        "#]],
        ),
        (
            "certs --out DIR/pki --node a",
            expect![[r#"
            error: invalid value 'a' for '--node <ID/NAME>': expected the cluster's id and the node's name, for example cluster-a/node-1

            For more information, try '--help'.
        "#]],
        ),
        (
            "certs --out DIR/pki --node a/Node_1",
            expect![[r#"
            error: invalid value 'a/Node_1' for '--node <ID/NAME>': "Node_1" is no name of a Kubernetes node

            For more information, try '--help'.
        "#]],
        ),
        (
            "certs --out DIR/pki --hub-san https://hub",
            expect![[r#"
            error: invalid value 'https://hub' for '--hub-san <NAME>': expected a host name or an address, for example hub.example.com or 192.0.2.7

            For more information, try '--help'.
        "#]],
        ),
        (
            "certs --out DIR/pki --trust-domain Bailey",
            expect![[r#"
                error: invalid value 'Bailey' for '--trust-domain <NAME>': a trust domain looks like a host name in lower case, for example bailey.example.com

                For more information, try '--help'.
            "#]],
        ),
        (
            "certs --out DIR/pki --days 0",
            expect![[r#"
            error: invalid value '0' for '--days <DAYS>': 0 is not in 1..=3650

            For more information, try '--help'.
        "#]],
        ),
    ] {
        check(line, expected);
    }
}
