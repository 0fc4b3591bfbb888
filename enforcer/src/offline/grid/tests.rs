//! How tables look: small, coloured, with long names, and folded.

use super::{MAX_ENDS, matrix};
use crate::offline::ends::{End, Table, Verdict};
use crate::screen::Ink;
use expect_test::expect;

fn pods(namespaces: usize, each: usize) -> Vec<End> {
    let names = (0..namespaces).flat_map(|namespace| (0..each).map(move |pod| format!("a/ns-{namespace}/pod-{pod}")));
    names.map(|name| name.parse().unwrap()).collect()
}

fn table(ends: &[End], verdict: impl Fn(usize, usize) -> Verdict) -> Table {
    let row = |from| (0..ends.len()).map(|to| verdict(from, to)).collect();
    Table {
        probe: "TCP/80".parse().unwrap(),
        rows: (0..ends.len()).map(row).collect(),
    }
}

#[test]
fn refused_cells_stand_out_and_long_names_lose_their_middle() {
    let long = format!("cluster-a/{}/{}", "namespace".repeat(4), "x1".repeat(20));
    let ends = [long.parse().unwrap(), "ip:192.0.2.1".parse().unwrap()];
    let table = table(&ends, |from, to| match (from, to) {
        (0, 1) => Verdict::Refused,
        (1, 1) => Verdict::Absent,
        (_, _) => Verdict::Allowed,
    });
    expect![[r#"
        TCP/80                                                     1 2
        1  cluster-a/namespacenamespac…1x1x1x1x1x1x1x1x1x1x1x1x1x1 . X
        2  ip:192.0.2.1                                            . -

        . allowed   X refused   - no such traffic          2 allowed, 1 refused"#]]
    .assert_eq(&matrix(&ends, std::slice::from_ref(&table), Ink::Plain));
    let coloured = matrix(&ends, &[table], Ink::Colour);
    assert_eq!(coloured.matches("\x1b[31mX\x1b[0m").count(), 1);
}

/// A pod and itself do not make the verdict of a namespace a mixed one, unless they are all there is.
#[test]
fn many_ends_are_folded_by_namespace_and_too_many_namespaces_by_cluster() {
    let deny = |from: usize, to: usize| match () {
        () if from == to || to >= 30 => Verdict::Allowed,
        () if to < 20 => Verdict::Refused,
        () if from.is_multiple_of(2) => Verdict::Refused,
        () => Verdict::Allowed,
    };
    let mut ends = pods(4, 13);
    ends.push("ip:192.0.2.1".parse().unwrap());
    expect![[r#"
        TCP/80          1 2 3 4 5
        1  a/ns-0       X ~ ~ . .
        2  a/ns-1       X ~ ~ . .
        3  a/ns-2       X ~ ~ . .
        4  a/ns-3       X ~ ~ . .
        5  ip:192.0.2.1 X X ~ . .
        53 ends are too many for a table: folded by namespace, ~ where verdicts differ, a pod and itself aside. --ends FILE picks some, --format json has all.

        . allowed   X refused   - no such traffic          1504 allowed, 1305 refused"#]].assert_eq(&matrix(&ends, &[table(&ends, deny)], Ink::Plain));
    let ends = pods(MAX_ENDS + 1, 1);
    expect![[r#"
        TCP/80 1
        1  a ~
        49 ends are too many for a table: folded by cluster, ~ where verdicts differ, a pod and itself aside. --ends FILE picks some, --format json has all.

        . allowed   X refused   - no such traffic          1196 allowed, 1205 refused"#]].assert_eq(&matrix(&ends, &[table(&ends, deny)], Ink::Plain));
}

/// P5: names are data, not commands to a terminal.
#[test]
fn names_do_not_colour() {
    let ends = ["a/shop/\x1b[31mweb\nb".parse().unwrap()];
    let shown = matrix(&ends, &[table(&ends, |_, _| Verdict::Allowed)], Ink::Plain);
    assert!(shown.contains(r"a/shop/\u{1b}[31mweb\nb"), "{shown}");
}
