//! Void pieces, blocks, ports, policyTypes, open rules, DNS.

use super::*;
use crate::lint::{blocks, dns, open, policy_types, ports, subjects, void};
use expect_test::expect;

fn shop() -> World {
    World::new()
        .pod_with(
            "a/shop/web",
            "{app: web}",
            &["10.1.0.1", "fd00::1"],
            ["nodeName: node-1, containers: [{ports: [{name: http, containerPort: 8080}, {name: dns, containerPort: 53, protocol: UDP}]}]",
            "phase: Running"],
        )
        .pod_with(
            "b/shop/web",
            "{app: web}",
            &["10.2.0.1"],
            ["nodeName: node-1, containers: [{ports: [{name: http, containerPort: 9090}]}]",
            "phase: Running"],
        )
}

/// S127, P1, P2, P8, P9, P13, P16, P17, P18, P19, P21, P23: every void piece is an error, with what was probably meant.
#[test]
fn void_pieces() {
    let spec = "{podSelector: {}, policyTypes: [ingress, Egress], egress: [
        {to: [{ipBlock: {cidr: 10.0.0.1}}, {ipBlock: {cidr: 10.0.0.0/8, except: ['::ffff:10.1.0.0/112']}}, {}, {ipBlock: {cidr: 10.0.0.0/33}},
              {podSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}, {podselector: {}},
              {podSelector: {matchExpressions: [{key: k, operator: in, values: [v]}]}},
              {podSelector: {matchExpressions: [{key: k, operator: NotIn, values: []}]}}],
         ports: [{port: '80'}, {protocol: tcp}, {protocol: ICMP}, {port: 80, endPort: 79}, {port: true}]},
        {form: []}]}";
    check(
        &shop().policy("a/shop/p", spec),
        &[&void::VOID_PIECE],
        expect![[r#"
            NetworkPolicy a/shop/p   a/all.yaml:4
              error    spec.egress[0].ports[0].port   void-piece
                       "80" is neither a number nor the name of a port: expected at most 15 lower-case letters, digits and '-', at least one of them a letter; the port matches nothing
                       write the number without quotes  port: 80
              error    spec.egress[0].ports[1].protocol   void-piece
                       "tcp" is no protocol: expected TCP, UDP or SCTP; the port matches nothing
                       write  protocol: TCP
              error    spec.egress[0].ports[2].protocol   void-piece
                       "ICMP" is no protocol: expected TCP, UDP or SCTP; the port matches nothing
                       a rule without ports admits every protocol; one with ports only TCP, UDP and SCTP
              error    spec.egress[0].ports[3].endPort   void-piece
                       endPort 79 is below port 80; the port matches nothing
              error    spec.egress[0].ports[4].port   void-piece
                       true is no port: expected a number from 1 to 65535; the port matches nothing
              error    spec.egress[0].to[0].ipBlock.cidr   void-piece
                       "10.0.0.1" is no CIDR; the peer matches nothing
                       write  10.0.0.1/32
              error    spec.egress[0].to[1].ipBlock.except[0]   void-piece
                       "::ffff:10.1.0.0/112" is an IPv4-mapped address, which may mean IPv4 or IPv6; the whole block matches nothing, so that nothing is admitted by mistake
                       write  10.1.0.0/16
              error    spec.egress[0].to[2]   void-piece
                       it names no podSelector, namespaceSelector or ipBlock; the peer matches nothing
                       for the pods of this namespace write  podSelector: {}; for those of every namespace of every cluster  namespaceSelector: {}; for anybody leave the list away
              error    spec.egress[0].to[3].ipBlock.cidr   void-piece
                       "10.0.0.0/33" is no CIDR; the peer matches nothing
              error    spec.egress[0].to[4]   void-piece
                       ipBlock beside a selector; the peer matches nothing
                       an entry is pods or a block: write two entries to admit either
              error    spec.egress[0].to[5].podselector   void-piece
                       unknown field; the peer matches nothing
                       write  podSelector
              error    spec.egress[0].to[6].podSelector.matchExpressions[0]   void-piece
                       "in" is no operator: expected In, NotIn, Exists or DoesNotExist; the peer matches nothing
                       write  operator: In
              error    spec.egress[0].to[7].podSelector.matchExpressions[0]   void-piece
                       operator NotIn needs values; the peer matches nothing
                       for a key with any value write  operator: Exists; for its absence  DoesNotExist
              error    spec.egress[1].form   void-piece
                       unknown field; the rule admits nothing
                       write  from
              error    spec.policyTypes[0]   void-piece
                       "ingress" is no policy type: expected Ingress or Egress; it is ignored
                       write  Ingress

            15 errors, 0 warnings, 0 notes
        "#]],
    );
    check(
        &shop().policy("a/shop/p", "open"),
        &[&void::VOID_PIECE],
        expect![[r#"
            NetworkPolicy a/shop/p   a/all.yaml:4
              error    spec   void-piece
                       "open" is no object; the policy isolates its whole namespace in both directions and admits nothing

            1 error, 0 warnings, 0 notes
        "#]],
    );
    silent(
        &shop().policy("a/shop/p", "{podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}"),
        &[&void::VOID_PIECE],
    );
}

/// S33, S34, S38, S39, S43, S45, P10, P11, P12, P14: blocks that mean more or less than they say.
#[test]
fn odd_blocks() {
    let spec = "{podSelector: {}, ingress: [
        {from: [{ipBlock: {cidr: 10.0.0.0/8}}, {ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/14, 172.16.0.0/12, 'fd00::/8']}},
                {ipBlock: {cidr: 10.2.0.9/24}}, {ipBlock: {cidr: 010.9.0.0/16}}, {ipBlock: {cidr: 192.0.2.0/024}},
                {ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/9, 10.128.0.0/9]}},
                {ipBlock: {cidr: 192.0.2.0/24, except: [192.0.0.0/16]}},
                {ipBlock: {cidr: 192.0.2.0/24, except: [192.0.2.0/25]}}, {ipBlock: {cidr: 'FD01:0::/64'}}]}]}";
    check(
        &shop().policy("a/shop/p", spec),
        &[
            &blocks::COVERS_PODS,
            &blocks::IDLE_EXCEPT,
            &blocks::EMPTIED,
            &blocks::READ_AS,
        ],
        expect![[r#"
            NetworkPolicy a/shop/p   a/all.yaml:4
              warning  spec.ingress[0].from[1].ipBlock.except[1]   except-without-effect
                       172.16.0.0/12 is outside of 10.0.0.0/8 and takes nothing from it
                       leave it away: what is outside of the block is not admitted by it anyway
              warning  spec.ingress[0].from[1].ipBlock.except[2]   except-without-effect
                       fd00::/8 is outside of 10.0.0.0/8 and takes nothing from it
                       leave it away: what is outside of the block is not admitted by it anyway
              warning  spec.ingress[0].from[2].ipBlock.cidr   cidr-read-otherwise
                       10.2.0.9/24 is read as 10.2.0.0/24: it has bits beyond its prefix length, which are masked
                       write  10.2.0.0/24, or  10.2.0.9/32 for the one address
              warning  spec.ingress[0].from[3].ipBlock.cidr   cidr-read-otherwise
                       010.9.0.0/16 is read as 10.9.0.0/16: numbers with leading zeros are decimal
                       write  10.9.0.0/16
              warning  spec.ingress[0].from[4].ipBlock.cidr   cidr-read-otherwise
                       192.0.2.0/024 is read as 192.0.2.0/24: numbers with leading zeros are decimal
                       write  192.0.2.0/24
              warning  spec.ingress[0].from[5].ipBlock   block-emptied
                       the excepts leave nothing of 10.0.0.0/8: the entry matches nobody
                       leave the entry away, or except less
              warning  spec.ingress[0].from[6].ipBlock   block-emptied
                       the excepts leave nothing of 192.0.2.0/24: the entry matches nobody
                       leave the entry away, or except less
              note     spec.ingress[0].from[0].ipBlock   block-covers-pods
                       10.0.0.0/8 covers 1 pod of a (a/shop/web) and 1 pod of b (b/shop/web), whatever their labels
                       to mean pods write selectors; to keep them out except their ranges
              note     spec.ingress[0].from[2].ipBlock   block-covers-pods
                       10.2.0.0/24 covers 1 pod of b (b/shop/web), whatever their labels
                       to mean pods write selectors; to keep them out except their ranges

            0 errors, 7 warnings, 2 notes
        "#]],
    );
}

/// S36, S95, S96: everybody of one family, for pods of both.
#[test]
fn one_family() {
    let egress = |peers: &str| format!("{{podSelector: {{}}, policyTypes: [Egress], egress: [{{to: [{peers}]}}]}}");
    let v4 = egress("{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}");
    check(
        &shop().policy("a/shop/p", &v4),
        &[&blocks::ONE_FAMILY],
        expect![[r#"
            NetworkPolicy a/shop/p   a/all.yaml:4
              note     spec.egress[0]   one-family
                       0.0.0.0/0 is IPv4 only: over IPv6 it opens nothing for 1 pod (a/shop/web)
                       to open both add an entry  ipBlock: {cidr: "::/0"}

            0 errors, 0 warnings, 1 note
        "#]],
    );
    silent(&shop().policy("b/shop/p", &v4), &[&blocks::ONE_FAMILY]);
    let both = egress("{ipBlock: {cidr: 0.0.0.0/0}}, {ipBlock: {cidr: '::/0'}}");
    silent(&shop().policy("a/shop/p", &both), &[&blocks::ONE_FAMILY]);
}

/// S47, S48, S53, S54, S55, S57, S58: names that no destination has, names that differ, entries that are every port.
#[test]
fn odd_ports() {
    let spec = "{podSelector: {}, policyTypes: [Ingress, Egress],
        ingress: [{ports: [{}, {protocol: UDP}, {port: http}, {port: htpp}, {port: dns}, {port: metrics, protocol: SCTP}, {port: 80}]}],
        egress: [{ports: [{port: http}]}, {to: [{ipBlock: {cidr: 192.0.2.0/24}}], ports: [{port: http}]},
                 {to: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: https}, {port: dns, protocol: UDP}]}]}";
    check(
        &shop().policy("a/shop/p", spec),
        &[&ports::ALL_TCP, &ports::UNKNOWN_NAME, &ports::NAME_DIFFERS],
        expect![[r#"
            NetworkPolicy a/shop/p   a/all.yaml:4
              warning  spec.egress[1].ports[0].port   unknown-port-name
                       a name is looked up on pods, and no pod is behind these blocks: http matches no port
                       write the number
              warning  spec.egress[2].ports[0].port   unknown-port-name
                       none of the rule's peers names a port https for TCP, so this matches no port of 2 pods (a/shop/web, b/shop/web)
                       write  port: http
              warning  spec.ingress[0].ports[3].port   unknown-port-name
                       none of the policy's pods names a port htpp for TCP, so this matches no port of 1 pod (a/shop/web)
                       write  port: http
              warning  spec.ingress[0].ports[4].port   unknown-port-name
                       none of the policy's pods names a port dns for TCP, so this matches no port of 1 pod (a/shop/web)
                       dns is a UDP port there: write  protocol: UDP
              warning  spec.ingress[0].ports[5].port   unknown-port-name
                       none of the policy's pods names a port metrics for SCTP, so this matches no port of 1 pod (a/shop/web)
                       write the number, or name the container's port
              note     spec.egress[0].ports[0].port   port-name-differs
                       TCP port http is 8080 on a/shop/web and 9090 on b/shop/web
              note     spec.ingress[0].ports[0]   all-tcp
                       every TCP port, and no other protocol
                       to say so write  protocol: TCP; for every protocol leave ports away

            0 errors, 5 warnings, 2 notes
        "#]],
    );
}

/// S5, S6, S9: policyTypes that isolate more or less than the rules suggest.
#[test]
fn policy_types_and_rules() {
    let world = shop()
        .policy(
            "a/shop/ignored",
            "{podSelector: {}, policyTypes: [Ingress], egress: [{}]}",
        )
        .policy(
            "a/shop/only-egress",
            "{podSelector: {}, egress: [{ports: [{port: 53, protocol: UDP}]}]}",
        )
        .policy("a/shop/empty-egress", "{podSelector: {}, egress: []}")
        .policy("a/shop/both", "{podSelector: {}, ingress: [{}], egress: [{}]}")
        .policy(
            "a/shop/void-types",
            "{podSelector: {}, policyTypes: Egress, egress: [{}]}",
        )
        .policy("a/shop/plain", "{podSelector: {}, ingress: [{}]}")
        .policy("a/shop/said", "{podSelector: {}, policyTypes: [Egress], egress: [{}]}")
        .policy(
            "a/shop/deny",
            "{podSelector: {}, policyTypes: [Ingress, Egress], ingress: [], egress: []}",
        );
    check(
        &world,
        &[&policy_types::IGNORED, &policy_types::BY_DEFAULT],
        expect![[r#"
            NetworkPolicy a/shop/both   a/all.yaml:10
              note     spec.policyTypes   policy-types-by-default
                       policyTypes is absent: egress is isolated because there is an egress rule, and opens when the last one goes
                       write  policyTypes: [Ingress, Egress]

            NetworkPolicy a/shop/empty-egress   a/all.yaml:8
              warning  spec.policyTypes   policy-types-by-default
                       policyTypes is absent and egress: [] is no rule, so egress of 1 pod (a/shop/web) is not isolated
                       to deny all egress write  policyTypes: [Ingress, Egress]; else leave egress away

            NetworkPolicy a/shop/ignored   a/all.yaml:4
              warning  spec.egress   rules-ignored
                       policyTypes does not name Egress: 1 rule is ignored, and this policy leaves egress open
                       write  policyTypes: [Ingress, Egress], or leave egress away

            NetworkPolicy a/shop/only-egress   a/all.yaml:6
              warning  spec.policyTypes   policy-types-by-default
                       policyTypes is absent, so ingress is isolated too, and as there are no ingress rules nobody may connect to 1 pod (a/shop/web)
                       if only egress is meant write  policyTypes: [Egress]; if this is, write  policyTypes: [Ingress, Egress]

            0 errors, 3 warnings, 1 note
        "#]],
    );
}

/// S10, S13, S16, P24: rules that admit everybody and what they make of others; what stands twice.
#[test]
fn open_rules() {
    let world = shop()
        .policy(
            "a/shop/open",
            "{podSelector: {}, ingress: [{ports: [{port: 80}]}, {}, {ports: [{port: 80}]}]}",
        )
        .policy(
            "a/shop/web",
            "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [], ports: [{port: 80}]}]}",
        )
        .policy(
            "a/shop/web-too",
            "{podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: 80}]}]}",
        )
        .policy(
            "b/shop/ports",
            "{podSelector: {}, ingress: [{from: [{podSelector: {}}], ports: []}]}",
        )
        .policy("b/shop/out", "{podSelector: {}, policyTypes: [Egress], egress: [{}]}")
        .policy("b/shop/void", "{podSelector: {matchLabels: {app: '?'}}, ingress: [{}]}");
    check(
        &world,
        &[&open::EVERYBODY, &open::SHADOWED, &open::DUPLICATE],
        expect![[r#"
            NetworkPolicy a/shop/open   a/all.yaml:4
              note     spec.ingress   shadowed
                       ingress[1] admits everything, so the 2 other rules change nothing
                       leave ingress[1] away, or the others
              note     spec.ingress[1]   open-to-everybody
                       this rule admits everybody, every cluster and outside addresses included, on every port
                       if everybody is meant, nothing; to admit nobody leave the rule away
              note     spec.ingress[2]   duplicate
                       this rule means the same as ingress[0]
                       leave it away

            NetworkPolicy a/shop/web   a/all.yaml:6
              warning  spec.ingress[0].from   open-to-everybody
                       an empty list is anybody: on its ports this rule admits everybody, outside addresses included
                       if everybody is meant leave the list away; to admit nobody leave the rule away
              note     spec.ingress   shadowed
                       shop/open admits everything for ingress of 1 pod (a/shop/web): this policy changes nothing there
                       narrow shop/open if this policy is to count

            NetworkPolicy a/shop/web-too   a/all.yaml:8
              note     spec   duplicate
                       this policy means the same as shop/web
                       delete one of them
              note     spec.ingress   shadowed
                       shop/open admits everything for ingress of 1 pod (a/shop/web): this policy changes nothing there
                       narrow shop/open if this policy is to count

            NetworkPolicy b/shop/out   b/all.yaml:6
              note     spec.egress[0]   open-to-everybody
                       this rule allows connections to everybody, every cluster and outside addresses included, on every port
                       if everybody is meant, nothing; to admit nobody leave the rule away

            NetworkPolicy b/shop/ports   b/all.yaml:4
              note     spec.ingress[0].ports   open-to-everybody
                       an empty list is every port and protocol
                       if every port is meant leave the list away

            0 errors, 1 warning, 8 notes
        "#]],
    );
}

/// S16: rules that admit nothing are told as such, and not as doubles of each other.
#[test]
fn void_rules_are_no_duplicates() {
    let spec = "{podSelector: {}, ingress: [{from: [{}]}, {from: {}}, {ports: [{port: 0}]}, {ports: [{port: 0}]}]}";
    silent(&shop().policy("a/shop/p", spec), &[&open::DUPLICATE]);
    check(
        &shop().policy("a/shop/p", spec),
        &[&void::VOID_PIECE],
        expect![[r#"
        NetworkPolicy a/shop/p   a/all.yaml:4
          error    spec.ingress[0].from[0]   void-piece
                   it names no podSelector, namespaceSelector or ipBlock; the peer matches nothing
                   for the pods of this namespace write  podSelector: {}; for those of every namespace of every cluster  namespaceSelector: {}; for anybody leave the list away
          error    spec.ingress[1].from   void-piece
                   an object is no list; nothing of it is in force
          error    spec.ingress[2].ports[0].port   void-piece
                   0 is no port: expected a number from 1 to 65535; the port matches nothing
          error    spec.ingress[3].ports[0].port   void-piece
                   0 is no port: expected a number from 1 to 65535; the port matches nothing

        4 errors, 0 warnings, 0 notes
    "#]],
    );
}

/// S13: an allow-all for some pods leaves a policy for more of them its effect.
#[test]
fn a_policy_that_still_counts_is_not_shadowed() {
    let world = shop()
        .pod("a/shop/db", "{app: db}", &["10.1.0.2"])
        .policy("a/shop/open", "{podSelector: {matchLabels: {app: web}}, ingress: [{}]}")
        .policy("a/shop/deny", "{podSelector: {}, ingress: []}");
    silent(&world, &[&open::SHADOWED]);
}

/// S70: selected pods on the host network are not isolated.
#[test]
fn host_network() {
    let world = shop()
        .pod_with(
            "a/shop/agent",
            "{}",
            &["10.0.0.1"],
            ["nodeName: node-1, hostNetwork: true", "phase: Running"],
        )
        .pod_with(
            "a/shop/done",
            "{}",
            &["10.0.0.1"],
            ["nodeName: node-1, hostNetwork: true", "phase: Failed"],
        )
        .policy("a/shop/all", "{podSelector: {}}")
        .policy("a/shop/web", "{podSelector: {matchLabels: {app: web}}}");
    check(
        &world,
        &[&subjects::HOST_NETWORK],
        expect![[r#"
            NetworkPolicy a/shop/all   a/all.yaml:8
              note     spec.podSelector   host-network-subject
                       1 selected pod is on its node's network and is not isolated (a/shop/agent)

            0 errors, 0 warnings, 1 note
        "#]],
    );
}

/// S8, S11: no rule of any policy for a pod lets it ask a resolver.
#[test]
fn egress_without_dns() {
    let egress = |rules: &str| {
        format!("{{podSelector: {{matchLabels: {{app: web}}}}, policyTypes: [Egress], egress: [{rules}]}}")
    };
    let closed = shop().policy("a/shop/p", &egress("{ports: [{port: 443}]}"));
    check(
        &closed,
        &[&dns::NO_DNS],
        expect![[r#"
            NetworkPolicy a/shop/p   a/all.yaml:4
              note     spec.egress   no-dns
                       no egress rule of any policy admits UDP/53 for 1 pod (a/shop/web): no resolver off their node answers them
                       to let them look up names add a rule  {to: [{namespaceSelector: {matchLabels: {cluster.clusterset.k8s.io/cluster-name: a, kubernetes.io/metadata.name: kube-system}}}], ports: [{protocol: UDP, port: 53}, {protocol: TCP, port: 53}]}

            0 errors, 0 warnings, 1 note
        "#]],
    );
    silent(
        &closed
            .clone()
            .policy("a/shop/dns", &egress("{ports: [{port: 53, protocol: UDP}]}")),
        &[&dns::NO_DNS],
    );
    silent(
        &closed.policy("a/shop/local", &egress("{to: [{namespaceSelector: {}}]}")),
        &[&dns::NO_DNS],
    );
    silent(&shop().policy("a/shop/deny", &egress("")), &[&dns::NO_DNS]);
}
