//! Each form of peer and port, and void pieces, as the node `n1` of the small world compiles it. The policies select the
//! `web` pod only, unless the test is about that.

use super::manifests::compiled;
use expect_test::{Expect, expect};

#[track_caller]
fn check(manifests: &str, expected: Expect) {
    expected.assert_eq(&compiled(manifests));
}

/// S9, S69, S96: Isolated in both families and both directions; the pod reaches itself.
#[test]
fn no_rules() {
    check(
        r"
kind: NetworkPolicy
metadata: {namespace: shop, name: deny}
spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress, Egress]}
",
        expect![[r#"
            table ip bailey {
              map egress {
                10.1.1.1 : goto egress-10.1.1.1
              }
              map ingress {
                10.1.1.1 : goto ingress-10.1.1.1
              }
              chain egress-10.1.1.1 {
                daddr 10.1.1.1 accept
                drop
              }
              chain ingress-10.1.1.1 {
                saddr 10.1.1.1 accept
                drop
              }
            }
            table ip6 bailey {
              map egress {
                fd00:1::1 : goto egress-fd00.1..1
              }
              map ingress {
                fd00:1::1 : goto ingress-fd00.1..1
              }
              chain egress-fd00.1..1 {
                daddr fd00:1::1 accept
                drop
              }
              chain ingress-fd00.1..1 {
                saddr fd00:1::1 accept
                drop
              }
            }
        "#]],
    );
}

/// S10, S13: One allow-all rule makes the others of its policy irrelevant.
#[test]
fn everything() {
    check(
        r"
kind: NetworkPolicy
metadata: {namespace: shop, name: all}
spec: {podSelector: {matchLabels: {app: web}}, ingress: [{}, {from: [{namespaceSelector: {}}], ports: [{port: 80}]}]}
---
kind: NetworkPolicy
metadata: {namespace: shop, name: more}
spec: {podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {}}]}]}
",
        expect![[r#"
            set bly4-b66or3elnndyfnocinishy4agh hash:ip {
              10.1.1.1
              10.1.1.2
              10.2.1.1
            }
            set bly6-b66or3elnndyfnocinishy4agh hash:ip {
              fd00:1::1
              fd00:1::2
              fd00:2::1
            }
            table ip bailey {
              map ingress {
                10.1.1.1 : goto ingress-10.1.1.1
              }
              chain ingress-10.1.1.1 {
                saddr 10.1.1.1 accept
                jump policy-dlbbwjzbobopqkck5ngcabgay5
                jump policy-u5lj3lxwrz5kshymzgcw4jdbyx
                drop
              }
              chain policy-dlbbwjzbobopqkck5ngcabgay5 {
                saddr @bly4-b66or3elnndyfnocinishy4agh accept
              }
              chain policy-u5lj3lxwrz5kshymzgcw4jdbyx {
                accept
              }
            }
            table ip6 bailey {
              map ingress {
                fd00:1::1 : goto ingress-fd00.1..1
              }
              chain ingress-fd00.1..1 {
                saddr fd00:1::1 accept
                jump policy-u5lj3lxwrz5kshymzgcw4jdbyx
                jump policy-yddfd3hs56jhsrghrd7qgtggah
                drop
              }
              chain policy-u5lj3lxwrz5kshymzgcw4jdbyx {
                accept
              }
              chain policy-yddfd3hs56jhsrghrd7qgtggah {
                saddr @bly6-b66or3elnndyfnocinishy4agh accept
              }
            }
        "#]],
    );
}

/// S18, S19, S21, S22: The four forms of a selector peer: own namespace everywhere, all, one cluster, and both
/// selectors.
#[test]
fn selectors() {
    check(
        r"
kind: NetworkPolicy
metadata: {namespace: shop, name: forms}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress:
  - from:
    - podSelector: {matchLabels: {app: web}}
    - namespaceSelector: {}
    - namespaceSelector: {matchLabels: {cluster.clusterset.k8s.io/cluster-name: b}}
    - namespaceSelector: {matchExpressions: [{key: team, operator: NotIn, values: [red]}]}
      podSelector: {matchLabels: {app: job}}
",
        expect![[r#"
            set bly4-c2akighf7n6nmj4e73w4zcr25k hash:ip {
              10.1.1.1
              10.2.1.1
            }
            set bly4-mjhioqjcd2ffk3j5y6jmkxtber hash:ip {
              10.2.2.2
            }
            set bly4-qsbcyx5ksylprnncsdskyyvvw6 hash:ip {
              10.1.1.1
              10.1.1.2
              10.2.1.1
              10.2.2.2
            }
            set bly4-txgwkk3xj25anco2irr245wupn hash:ip {
              10.2.1.1
            }
            set bly6-c2akighf7n6nmj4e73w4zcr25k hash:ip {
              fd00:1::1
              fd00:2::1
            }
            set bly6-mjhioqjcd2ffk3j5y6jmkxtber hash:ip {
            }
            set bly6-qsbcyx5ksylprnncsdskyyvvw6 hash:ip {
              fd00:1::1
              fd00:1::2
              fd00:2::1
            }
            set bly6-txgwkk3xj25anco2irr245wupn hash:ip {
              fd00:2::1
            }
            table ip bailey {
              map ingress {
                10.1.1.1 : goto ingress-10.1.1.1
              }
              chain ingress-10.1.1.1 {
                saddr 10.1.1.1 accept
                jump policy-ur2hghjyu7rcwbz4kkohk4n6vz
                drop
              }
              chain policy-ur2hghjyu7rcwbz4kkohk4n6vz {
                saddr @bly4-c2akighf7n6nmj4e73w4zcr25k accept
                saddr @bly4-mjhioqjcd2ffk3j5y6jmkxtber accept
                saddr @bly4-qsbcyx5ksylprnncsdskyyvvw6 accept
                saddr @bly4-txgwkk3xj25anco2irr245wupn accept
              }
            }
            table ip6 bailey {
              map ingress {
                fd00:1::1 : goto ingress-fd00.1..1
              }
              chain ingress-fd00.1..1 {
                saddr fd00:1::1 accept
                jump policy-qrflglcmegrhiclcb3dnve6w4k
                drop
              }
              chain policy-qrflglcmegrhiclcb3dnve6w4k {
                saddr @bly6-c2akighf7n6nmj4e73w4zcr25k accept
                saddr @bly6-mjhioqjcd2ffk3j5y6jmkxtber accept
                saddr @bly6-qsbcyx5ksylprnncsdskyyvvw6 accept
                saddr @bly6-txgwkk3xj25anco2irr245wupn accept
              }
            }
        "#]],
    );
}

/// S16, P24: They share one chain and one set, whatever their form and order.
#[test]
fn equal_rules_of_several_policies() {
    check(
        r"
kind: NetworkPolicy
metadata: {namespace: shop, name: one}
spec: {podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 80}, {port: 443}]}]}
---
kind: NetworkPolicy
metadata: {namespace: shop, name: two}
spec: {podSelector: {}, ingress: [{from: [{podSelector: {matchExpressions: [{key: app, operator: In, values: [web]}]}}], ports: [{port: 443}]}, {from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 80}]}]}
",
        expect![[r#"
            set bly4-c2akighf7n6nmj4e73w4zcr25k hash:ip {
              10.1.1.1
              10.2.1.1
            }
            set bly6-c2akighf7n6nmj4e73w4zcr25k hash:ip {
              fd00:1::1
              fd00:2::1
            }
            table ip bailey {
              map ingress {
                10.1.1.1 : goto ingress-10.1.1.1
                10.1.1.2 : goto ingress-10.1.1.2
              }
              chain ingress-10.1.1.1 {
                saddr 10.1.1.1 accept
                jump policy-usgn74ygox3siiqrx53esqgxfm
                drop
              }
              chain ingress-10.1.1.2 {
                saddr 10.1.1.2 accept
                jump policy-usgn74ygox3siiqrx53esqgxfm
                drop
              }
              chain policy-usgn74ygox3siiqrx53esqgxfm {
                l4proto 6 dport 80 saddr @bly4-c2akighf7n6nmj4e73w4zcr25k accept
                l4proto 6 dport 443 saddr @bly4-c2akighf7n6nmj4e73w4zcr25k accept
              }
            }
            table ip6 bailey {
              map ingress {
                fd00:1::1 : goto ingress-fd00.1..1
                fd00:1::2 : goto ingress-fd00.1..2
              }
              chain ingress-fd00.1..1 {
                saddr fd00:1::1 accept
                jump policy-wg7ihbvi72k5omwxag5sppopqm
                drop
              }
              chain ingress-fd00.1..2 {
                saddr fd00:1::2 accept
                jump policy-wg7ihbvi72k5omwxag5sppopqm
                drop
              }
              chain policy-wg7ihbvi72k5omwxag5sppopqm {
                l4proto 6 dport 80 saddr @bly6-c2akighf7n6nmj4e73w4zcr25k accept
                l4proto 6 dport 443 saddr @bly6-c2akighf7n6nmj4e73w4zcr25k accept
              }
            }
        "#]],
    );
}

/// S33, S34, S35, S95: Blocks without excepts share a set; each family has only its own.
#[test]
fn blocks() {
    check(
        r"
kind: NetworkPolicy
metadata: {namespace: shop, name: blocks}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress:
  - from:
    - ipBlock: {cidr: 192.0.2.0/24}
    - ipBlock: {cidr: 198.51.100.0/24}
    - ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16, 10.1.2.0/24]}
    - ipBlock: {cidr: 2001:db8::/32}
    ports:
    - {port: 80}
",
        expect![[r#"
            set bly4-jxwfg5fei3zpmmvthb7x7ajdrx hash:net {
              10.0.0.0/8
              10.1.0.0/16 nomatch
            }
            set bly4-plpd6qa2qm64bz74ch4oxtc4at hash:net {
              192.0.2.0/24
              198.51.100.0/24
            }
            set bly6-a5crsvz6mbxddqbr3eaz5qmhzh hash:net {
              2001:db8::/32
            }
            table ip bailey {
              map ingress {
                10.1.1.1 : goto ingress-10.1.1.1
              }
              chain ingress-10.1.1.1 {
                saddr 10.1.1.1 accept
                jump policy-wte2trsakq5uadcq5xplydevg7
                drop
              }
              chain policy-wte2trsakq5uadcq5xplydevg7 {
                l4proto 6 dport 80 saddr @bly4-jxwfg5fei3zpmmvthb7x7ajdrx accept
                l4proto 6 dport 80 saddr @bly4-plpd6qa2qm64bz74ch4oxtc4at accept
              }
            }
            table ip6 bailey {
              map ingress {
                fd00:1::1 : goto ingress-fd00.1..1
              }
              chain ingress-fd00.1..1 {
                saddr fd00:1::1 accept
                jump policy-jxxbxaws5xvhe7c3v3acb2bqs3
                drop
              }
              chain policy-jxxbxaws5xvhe7c3v3acb2bqs3 {
                l4proto 6 dport 80 saddr @bly6-a5crsvz6mbxddqbr3eaz5qmhzh accept
              }
            }
        "#]],
    );
}

/// S36, S37: A `/0` is no set; with excepts it is two halves, less those that are excepted.
#[test]
fn whole_families() {
    check(
        r#"
kind: NetworkPolicy
metadata: {namespace: shop, name: four}
spec: {podSelector: {matchLabels: {app: web}}, ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0}}], ports: [{port: 80}]}]}
---
kind: NetworkPolicy
metadata: {namespace: shop, name: six}
spec: {podSelector: {matchLabels: {app: web}}, ingress: [{from: [{ipBlock: {cidr: "::/0", except: ["fd00::/8", "8000::/1"]}}]}]}
"#,
        expect![[r#"
            set bly6-y3nsza5vdebudvolf63ir62fhz hash:net {
              ::/1
              8000::/1 nomatch
            }
            table ip bailey {
              map ingress {
                10.1.1.1 : goto ingress-10.1.1.1
              }
              chain ingress-10.1.1.1 {
                saddr 10.1.1.1 accept
                jump policy-siopj5lipndrp7cikalz4squ6x
                drop
              }
              chain policy-siopj5lipndrp7cikalz4squ6x {
                l4proto 6 dport 80 accept
              }
            }
            table ip6 bailey {
              map ingress {
                fd00:1::1 : goto ingress-fd00.1..1
              }
              chain ingress-fd00.1..1 {
                saddr fd00:1::1 accept
                jump policy-t54ey376tui4oiz4ewjlzaw2n3
                drop
              }
              chain policy-t54ey376tui4oiz4ewjlzaw2n3 {
                saddr @bly6-y3nsza5vdebudvolf63ir62fhz accept
              }
            }
        "#]],
    );
}

/// Two halves are the whole, in IPv4 alone.
#[test]
fn halves() {
    check(
        r"
kind: NetworkPolicy
metadata: {namespace: shop, name: halves}
spec: {podSelector: {matchLabels: {app: web}}, ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/1}}, {ipBlock: {cidr: 128.0.0.0/1}}]}]}
",
        expect![[r#"
            table ip bailey {
              map ingress {
                10.1.1.1 : goto ingress-10.1.1.1
              }
              chain ingress-10.1.1.1 {
                saddr 10.1.1.1 accept
                jump policy-u5lj3lxwrz5kshymzgcw4jdbyx
                drop
              }
              chain policy-u5lj3lxwrz5kshymzgcw4jdbyx {
                accept
              }
            }
            table ip6 bailey {
              map ingress {
                fd00:1::1 : goto ingress-fd00.1..1
              }
              chain ingress-fd00.1..1 {
                saddr fd00:1::1 accept
                drop
              }
            }
        "#]],
    );
}

/// S47, S48, S50, S51, S52: Numbers, ranges, all of a protocol; adjacent ones become one rule.
#[test]
fn ports() {
    check(
        r"
kind: NetworkPolicy
metadata: {namespace: shop, name: ports}
spec:
  podSelector: {matchLabels: {app: web}}
  egress:
  - ports:
    - {port: 80}
    - {port: 81}
    - {protocol: UDP, port: 1, endPort: 65535}
    - {protocol: SCTP}
  policyTypes: [Egress]
",
        expect![[r#"
            table ip bailey {
              map egress {
                10.1.1.1 : goto egress-10.1.1.1
              }
              chain egress-10.1.1.1 {
                daddr 10.1.1.1 accept
                jump policy-xtinl4cedi6jydhmovrwskylxy
                drop
              }
              chain policy-xtinl4cedi6jydhmovrwskylxy {
                l4proto 6 dport 80-81 accept
                l4proto 17 dport 1-65535 accept
                l4proto 132 accept
              }
            }
            table ip6 bailey {
              map egress {
                fd00:1::1 : goto egress-fd00.1..1
              }
              chain egress-fd00.1..1 {
                daddr fd00:1::1 accept
                jump policy-xtinl4cedi6jydhmovrwskylxy
                drop
              }
              chain policy-xtinl4cedi6jydhmovrwskylxy {
                l4proto 6 dport 80-81 accept
                l4proto 17 dport 1-65535 accept
                l4proto 132 accept
              }
            }
        "#]],
    );
}

/// S53, S54, S55: Resolved on each subject by itself; a name that it does not have admits nothing.
#[test]
fn named_ports_of_subjects() {
    check(
        r"
kind: NetworkPolicy
metadata: {namespace: shop, name: named}
spec: {podSelector: {}, ingress: [{ports: [{port: http}, {port: dns, protocol: UDP}, {port: dns}]}]}
",
        expect![[r#"
            table ip bailey {
              map ingress {
                10.1.1.1 : goto ingress-10.1.1.1
                10.1.1.2 : goto ingress-10.1.1.2
              }
              chain ingress-10.1.1.1 {
                saddr 10.1.1.1 accept
                jump policy-4z3sre5bi3vgg75x6e4imeverq
                drop
              }
              chain ingress-10.1.1.2 {
                saddr 10.1.1.2 accept
                drop
              }
              chain policy-4z3sre5bi3vgg75x6e4imeverq {
                l4proto 6 dport 8080 accept
                l4proto 17 dport 53 accept
              }
            }
            table ip6 bailey {
              map ingress {
                fd00:1::1 : goto ingress-fd00.1..1
                fd00:1::2 : goto ingress-fd00.1..2
              }
              chain ingress-fd00.1..1 {
                saddr fd00:1::1 accept
                jump policy-4z3sre5bi3vgg75x6e4imeverq
                drop
              }
              chain ingress-fd00.1..2 {
                saddr fd00:1::2 accept
                drop
              }
              chain policy-4z3sre5bi3vgg75x6e4imeverq {
                l4proto 6 dport 8080 accept
                l4proto 17 dport 53 accept
              }
            }
        "#]],
    );
}

/// S53, S56, S57, S58, S59: Resolved on each peer by itself, of every cluster; a block means the pods in it.
#[test]
fn named_ports_of_peers() {
    check(
        r#"
kind: NetworkPolicy
metadata: {namespace: shop, name: named}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Egress]
  egress:
  - ports: [{port: http}]
  - ports: [{port: http}, {port: 1}]
    to: [{podSelector: {}}, {ipBlock: {cidr: 10.2.2.0/24}}]
  - ports: [{port: dns, protocol: UDP}]
    to: [{ipBlock: {cidr: "::/0"}}]
  - ports: [{port: sql, protocol: UDP}]
    to: [{namespaceSelector: {}}]
"#,
        expect![[r#"
            set bly4-b66or3elnndyfnocinishy4agh hash:ip {
              10.1.1.1
              10.1.1.2
              10.2.1.1
            }
            set bly4-gvhoylbr7bvqyqimi4koa4pnik hash:ip,port {
              10.2.2.2,tcp:8000
              10.2.2.2,tcp:8001
            }
            set bly4-ksi3arhgxxtecupibpt4henmgh hash:ip,port {
              10.1.1.1,tcp:8080
              10.2.1.1,tcp:9090
              10.2.2.2,tcp:8000
              10.2.2.2,tcp:8001
            }
            set bly4-t4y5wstf5kp3swun7nyccmczvx hash:ip,port {
            }
            set bly4-tiys4hhoy5ixql5wplncze7rif hash:ip,port {
              10.1.1.1,tcp:8080
              10.2.1.1,tcp:9090
            }
            set bly4-tz7gcks5pse5vcwsqb6tp5yicu hash:net {
              10.2.2.0/24
            }
            set bly6-b66or3elnndyfnocinishy4agh hash:ip {
              fd00:1::1
              fd00:1::2
              fd00:2::1
            }
            set bly6-ksi3arhgxxtecupibpt4henmgh hash:ip,port {
              fd00:1::1,tcp:8080
              fd00:2::1,tcp:9090
            }
            set bly6-t4y5wstf5kp3swun7nyccmczvx hash:ip,port {
            }
            set bly6-tiys4hhoy5ixql5wplncze7rif hash:ip,port {
              fd00:1::1,tcp:8080
              fd00:2::1,tcp:9090
            }
            set bly6-wsza4aqd7zgnmtrjir6vonwlst hash:ip,port {
              fd00:1::1,udp:53
            }
            table ip bailey {
              map egress {
                10.1.1.1 : goto egress-10.1.1.1
              }
              chain egress-10.1.1.1 {
                daddr 10.1.1.1 accept
                jump policy-564h3tarhtzlgswsy2fughpmvj
                drop
              }
              chain policy-564h3tarhtzlgswsy2fughpmvj {
                l4proto 6 dport 1 daddr @bly4-b66or3elnndyfnocinishy4agh accept
                l4proto 6 dport 1 daddr @bly4-tz7gcks5pse5vcwsqb6tp5yicu accept
                daddr,dport @bly4-gvhoylbr7bvqyqimi4koa4pnik accept
                daddr,dport @bly4-ksi3arhgxxtecupibpt4henmgh accept
                daddr,dport @bly4-t4y5wstf5kp3swun7nyccmczvx accept
                daddr,dport @bly4-tiys4hhoy5ixql5wplncze7rif accept
              }
            }
            table ip6 bailey {
              map egress {
                fd00:1::1 : goto egress-fd00.1..1
              }
              chain egress-fd00.1..1 {
                daddr fd00:1::1 accept
                jump policy-tyraj5jcyt5atm62nvx3rre2ux
                drop
              }
              chain policy-tyraj5jcyt5atm62nvx3rre2ux {
                l4proto 6 dport 1 daddr @bly6-b66or3elnndyfnocinishy4agh accept
                daddr,dport @bly6-ksi3arhgxxtecupibpt4henmgh accept
                daddr,dport @bly6-t4y5wstf5kp3swun7nyccmczvx accept
                daddr,dport @bly6-tiys4hhoy5ixql5wplncze7rif accept
                daddr,dport @bly6-wsza4aqd7zgnmtrjir6vonwlst accept
              }
            }
        "#]],
    );
}

/// S60, S127: They match nothing, and what is sane beside them stands.
#[test]
fn void_pieces() {
    check(
        r#"
kind: NetworkPolicy
metadata: {namespace: shop, name: void}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress:
  - from: [{}]
  - from: [{ipBlock: {cidr: 10.0.0.0/8, except: [nonsense]}}]
  - from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/8]}}]
  - ports: [{port: 0}]
  - from: [{podSelector: {matchLabels: {app: web}}}]
    ports: [{port: "80"}, {port: 81}]
  - null
"#,
        expect![[r#"
            set bly4-c2akighf7n6nmj4e73w4zcr25k hash:ip {
              10.1.1.1
              10.2.1.1
            }
            set bly6-c2akighf7n6nmj4e73w4zcr25k hash:ip {
              fd00:1::1
              fd00:2::1
            }
            table ip bailey {
              map ingress {
                10.1.1.1 : goto ingress-10.1.1.1
              }
              chain ingress-10.1.1.1 {
                saddr 10.1.1.1 accept
                jump policy-z567r4uwwrioylpmj6avq5wenm
                drop
              }
              chain policy-z567r4uwwrioylpmj6avq5wenm {
                l4proto 6 dport 81 saddr @bly4-c2akighf7n6nmj4e73w4zcr25k accept
              }
            }
            table ip6 bailey {
              map ingress {
                fd00:1::1 : goto ingress-fd00.1..1
              }
              chain ingress-fd00.1..1 {
                saddr fd00:1::1 accept
                jump policy-cdua3254uly7yfj2dpbbkflbyh
                drop
              }
              chain policy-cdua3254uly7yfj2dpbbkflbyh {
                l4proto 6 dport 81 saddr @bly6-c2akighf7n6nmj4e73w4zcr25k accept
              }
            }
        "#]],
    );
}

/// P1, S127: Every pod of the namespace is isolated and nothing admitted.
#[test]
fn void_pod_selector() {
    check(
        r"
kind: NetworkPolicy
metadata: {namespace: shop, name: void}
spec: {podSelector: {matchLabels: {app: 5}}, ingress: [{}]}
",
        expect![[r#"
            table ip bailey {
              map ingress {
                10.1.1.1 : goto ingress-10.1.1.1
                10.1.1.2 : goto ingress-10.1.1.2
              }
              chain ingress-10.1.1.1 {
                saddr 10.1.1.1 accept
                drop
              }
              chain ingress-10.1.1.2 {
                saddr 10.1.1.2 accept
                drop
              }
            }
            table ip6 bailey {
              map ingress {
                fd00:1::1 : goto ingress-fd00.1..1
                fd00:1::2 : goto ingress-fd00.1..2
              }
              chain ingress-fd00.1..1 {
                saddr fd00:1::1 accept
                drop
              }
              chain ingress-fd00.1..2 {
                saddr fd00:1::2 accept
                drop
              }
            }
        "#]],
    );
}
