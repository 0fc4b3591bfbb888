//! Awkward manifests: what is taken, what is left out, and what is said about it.

use super::parse::{self, Parsed};
use super::{Manifests, ReadError};
use expect_test::{Expect, expect};
use proto::model::ClusterName;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

fn parse(bytes: &[u8]) -> Parsed {
    parse::file(&ClusterName::new("a").unwrap(), Path::new("a/w.yaml").into(), bytes)
}

/// The objects with their documents, then the complaints.
fn shown(parsed: &Parsed) -> String {
    let mut text = String::new();
    for object in &parsed.objects {
        let _ = writeln!(text, "{} ({})", object.title(), object.origin.document);
    }
    for complaint in &parsed.complaints {
        let _ = writeln!(text, "! {complaint}");
    }
    text
}

#[track_caller]
fn check(text: &str, expected: Expect) {
    expected.assert_eq(&shown(&parse(text.as_bytes())));
}

#[test]
fn documents_lists_and_kinds_that_do_not_matter() {
    check(
        "
# Comments alone are no document.
---
kind: Pod
metadata: {name: one, namespace: shop}
--- {kind: Namespace, metadata: {name: shop}}
---
apiVersion: v1
kind: List
items:
- {kind: Pod, metadata: {name: two}}
- {kind: Service, metadata: {name: web}}
- {kind: List, items: [{kind: Node, metadata: {name: n}}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicyList
items:
- metadata: {name: three, namespace: ''}
---
kind: PodList
items: null
---
apiVersion: apps/v1
kind: Deployment
---
...
",
        expect![[r#"
            Pod shop/one (1)
            Namespace shop (2)
            Pod default/two (3)
            Node n (3)
            NetworkPolicy default/three (4)
            ! a/w.yaml, document 1, Pod one, apiVersion: missing: no API server takes such an object; it is taken as if it were v1, and so are others of this file
        "#]],
    );
}

/// W10: what does not parse is left out by itself, and the rest is taken.
#[test]
fn a_broken_document_takes_nothing_else_with_it() {
    check(
        "kind: Pod
metadata: {name: one}
---
kind: NetworkPolicy
metadata:
  name: [
---
kind: Pod
metadata: {name: two}
---
\tkind: Pod
---
- a
- b
---
just words
---
metadata: {name: three}
---
kind: 7
---
kind: pod
metadata: {name: four}
---
kind: Pod
---
kind: Pod
metadata: {namespace: shop}
---
kind: Pod
metadata: {name: last}
",
        expect![[r#"
            Pod default/one (1)
            Pod default/two (3)
            Pod default/last (12)
            ! a/w.yaml, document 1, Pod one, apiVersion: missing: no API server takes such an object; it is taken as if it were v1, and so are others of this file
            ! a/w.yaml, document 2: unclosed bracket '[' at line 6, column 9; nothing of this document is judged, and no policy in it is in force
            ! a/w.yaml, document 4, Pod: no metadata, so it has no name; it is left out
            ! a/w.yaml, document 5: no Kubernetes object, but something else; it is left out
            ! a/w.yaml, document 6: no Kubernetes object, but something else; it is left out
            ! a/w.yaml, document 7: no kind, so this is no Kubernetes object; it is left out
            ! a/w.yaml, document 8: no kind, so this is no Kubernetes object; it is left out
            ! a/w.yaml, document 9: kind "pod" is none: write Pod; the object is left out
            ! a/w.yaml, document 10, Pod: no metadata, so it has no name; it is left out
            ! a/w.yaml, document 11, Pod, metadata.name: missing: no API server takes such an object; it is left out
        "#]],
    );
}

/// P26: documents that are nested too deep, or that grow without end, are left out in bounded time.
#[test]
fn documents_beyond_the_limits_are_left_out() {
    let deep = format!(
        "kind: Pod\nmetadata: {{name: deep}}\nspec: {}{}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let mut bomb = String::from("kind: Pod\nmetadata: {name: bomb}\na0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let previous = vec![format!("*a{}", level - 1); 9].join(", ");
        let _ = writeln!(bomb, "a{level}: &a{level} [{previous}]");
    }
    let annotation = format!(
        "kind: Pod\nmetadata: {{name: wide, annotations: {{note: '{}'}}}}",
        "x".repeat(3 << 19)
    );
    let nested = "{kind: List, items: [".repeat(6) + "{kind: Pod, metadata: {name: inner}}" + &"]}".repeat(6);
    let parsed = parse([&*deep, &*bomb, &*annotation, &*nested].join("\n---\n").as_bytes());
    expect![[r#"
        Pod default/wide (3)
        ! a/w.yaml, document 1: recursion limit exceeded at line 3, column 107; nothing of this document is judged, and no policy in it is in force
        ! a/w.yaml, document 2: its anchors (&) hold, or its aliases (*) repeat, more than 100000 pieces: write out what they stand for; nothing of this document is judged, and no policy in it is in force
        ! a/w.yaml, document 3, Pod wide, apiVersion: missing: no API server takes such an object; it is taken as if it were v1, and so are others of this file
        ! a/w.yaml, document 4: lists in lists more than 4 deep; the innermost are left out
    "#]].assert_eq(&shown(&parsed));
}

/// PowerShell's `>` writes UTF-16.
#[test]
fn utf_16_is_called_so() {
    let pod = "\u{feff}apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n---\n";
    let little: Vec<u8> = pod.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = pod.encode_utf16().flat_map(u16::to_be_bytes).collect();
    for bytes in [little, big] {
        expect![[r#"
            ! a/w.yaml, document 1: UTF-16, which is not read: save this file as UTF-8; nothing of it is judged, and no policy in it is in force
        "#]]
        .assert_eq(&shown(&parse(&bytes)));
    }
}

#[test]
fn yaml_of_every_style() {
    check(
        "\u{feff}%YAML 1.2
---
base: &base {app: web}
kind: Pod
metadata:
  name: merged
  labels: {<<: *base, tier: front}
---
kind: Pod\r
metadata: {name: windows}\r
---\r
kind: Pod
metadata: {name: doubled, name: twice}
weight: .nan
---
kind: Pod
metadata: {name: 123, namespace: true}
---
kind: Pod
metadata: {generateName: web-}
",
        expect![[r#"
            Pod default/merged (1)
            Pod default/windows (2)
            Pod default/twice (3)
            Pod true/123 (4)
            Pod default/web-5 (5)
            ! a/w.yaml, document 1, Pod merged, apiVersion: missing: no API server takes such an object; it is taken as if it were v1, and so are others of this file
            ! a/w.yaml, document 3: duplicate mapping key: name, set DuplicateKeyPolicy in Options if acceptable at line 13, column 27: the last one counts
            ! a/w.yaml, document 4, Pod, metadata.name: 123 is no string, which an API server refuses; it is read as "123"
            ! a/w.yaml, document 4, Pod 123, metadata.namespace: true is no string, which an API server refuses; it is read as "true"
            ! a/w.yaml, document 5, Pod, metadata.generateName: an API server would choose a name; here it is "web-5"
        "#]],
    );
    let merged = &parse(b"b: &b {app: web}\nkind: Pod\nmetadata: {name: m, labels: {<<: *b, tier: front}}").objects[0];
    assert_eq!(
        merged.raw["metadata"]["labels"],
        serde_json::json!({"app": "web", "tier": "front"})
    );
}

#[test]
fn json_with_tabs_and_in_a_row() {
    check(
        "{\"kind\": \"Pod\",\n\t\"metadata\": {\"name\": \"one\"}}\n{\"kind\": \"Pod\", \"metadata\": {\"name\": \"two\"}}",
        expect![[r#"
            Pod default/one (1)
            Pod default/two (2)
            ! a/w.yaml, document 1, Pod one, apiVersion: missing: no API server takes such an object; it is taken as if it were v1, and so are others of this file
        "#]],
    );
    check(
        "{kind: Pod, metadata: {name: flow}}",
        expect![[r#"
            Pod default/flow (1)
            ! a/w.yaml, document 1, Pod flow, apiVersion: missing: no API server takes such an object; it is taken as if it were v1, and so are others of this file
        "#]],
    );
    assert_eq!(
        shown(&parse(b"\xff\xff")),
        "! a/w.yaml, document 1: no UTF-8: invalid utf-8 sequence of 1 bytes from index 0; nothing of this document is judged, and no policy in it is in force\n"
    );
}

/// S127: of a policy in a version that does not exist the isolation stands, and the rules are void.
#[test]
fn versions_and_apis() {
    let policy = |version: &str, types: &str| {
        format!(
            "apiVersion: {version}\nkind: NetworkPolicy\nmetadata: {{name: p}}\nspec: {{podSelector: {{}}, {types} ingress: [{{}}], egress: [{{}}]}}"
        )
    };
    check(
        &[
            policy("networking.k8s.io/v1", ""),
            policy("extensions/v1beta1", ""),
            policy("networking.k8s.io/v2", "policyTypes: [Ingress],"),
            policy("v1", ""),
            policy("projectcalico.org/v3", ""),
            "apiVersion: v2\nkind: Pod\nmetadata: {name: pod}".to_owned(),
        ]
        .join("\n---\n"),
        expect![[r#"
            NetworkPolicy default/p (1)
            NetworkPolicy default/p (2)
            NetworkPolicy default/p (3)
            NetworkPolicy default/p (4)
            Pod default/pod (6)
            ! a/w.yaml, document 2, NetworkPolicy p, apiVersion: "extensions/v1beta1" is not networking.k8s.io/v1: the policy isolates the pods that it selects and admits nothing
            ! a/w.yaml, document 3, NetworkPolicy p, apiVersion: "networking.k8s.io/v2" is not networking.k8s.io/v1: the policy isolates the pods that it selects and admits nothing
            ! a/w.yaml, document 4, NetworkPolicy p, apiVersion: "v1" is not networking.k8s.io/v1: the policy isolates the pods that it selects and admits nothing
            ! a/w.yaml, document 5, NetworkPolicy p, apiVersion: "projectcalico.org/v3" is another API, which is not judged here; the object is left out
            ! a/w.yaml, document 6, Pod pod, apiVersion: "v2" is not v1: the object is taken as if it were
        "#]],
    );
    let specs = |text: String| parse(text.as_bytes()).objects[0].raw["spec"].to_string();
    assert_eq!(
        [
            specs(policy("extensions/v1beta1", "")),
            specs(policy("networking.k8s.io/v2", "policyTypes: [Ingress],"))
        ],
        [
            r#"{"podSelector":{},"policyTypes":["Ingress","Egress"]}"#,
            r#"{"podSelector":{},"policyTypes":["Ingress"]}"#
        ]
    );
}

/// C2: a folder whose name is no id is no cluster; files that cannot be read, hidden ones and folders are no manifests.
/// An object that is there twice is the last one.
#[test]
fn folders_and_files() {
    let dir = tempfile::tempdir().unwrap();
    let pod = |name: &str, label: &str| format!("kind: Pod\nmetadata: {{name: {name}, labels: {{app: {label}}}}}");
    for (path, text) in [
        ("a/1.yaml", pod("web", "old")),
        ("a/2.yml", pod("web", "new")),
        (
            "a/3.json",
            r#"{"kind": "Pod", "metadata": {"name": "json"}}"#.to_owned(),
        ),
        ("a/.hidden.yaml", pod("hidden", "x")),
        ("a/notes.txt", "[".to_owned()),
        ("a/sub.yaml/1.yaml", pod("sub", "x")),
        ("a/empty.yaml", String::new()),
        ("-b/1.yaml", pod("web", "x")),
        (".c/1.yaml", pod("web", "x")),
        ("stray.yaml", pod("web", "x")),
    ] {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    std::os::unix::fs::symlink("nowhere", dir.path().join("a/gone.yaml")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", dir.path().join("a/zero.yaml")).unwrap();
    fs::create_dir(dir.path().join("empty")).unwrap();
    let manifests = Manifests::read(dir.path()).unwrap();
    let mut text = String::new();
    for (cluster, objects) in &manifests.clusters {
        for object in objects {
            let _ = writeln!(
                text,
                "{cluster}: {} {} {}",
                object.title(),
                object.raw["metadata"]["labels"],
                object.origin.file.display()
            );
        }
    }
    for complaint in &manifests.complaints {
        let _ = writeln!(text, "! {complaint}");
    }
    expect![[r#"
        a: Pod default/web {"app":"new"} a/2.yml
        a: Pod default/json null a/3.json
        ! -b: "-b" is no cluster id: it must be a label value of 1 to 63 characters, letters, digits, '-', '_' and '.', beginning and ending with a letter or digit; nothing of this folder is judged
        ! a/1.yaml, document 1, Pod web, apiVersion: missing: no API server takes such an object; it is taken as if it were v1, and so are others of this file
        ! a/2.yml, document 1, Pod web, apiVersion: missing: no API server takes such an object; it is taken as if it were v1, and so are others of this file
        ! a/3.json, document 1, Pod json, apiVersion: missing: no API server takes such an object; it is taken as if it were v1, and so are others of this file
        ! a/gone.yaml: cannot read this file: No such file or directory (os error 2); nothing of it is judged
        ! a/sub.yaml: a folder within a cluster's folder is not looked into: put its manifests into a; nothing of it is judged
        ! a/zero.yaml: cannot read this file: it is no regular file; nothing of it is judged
        ! a/2.yml, document 1, Pod default/web: the same object stands in a/1.yaml, document 1: the last one counts
        ! stray.yaml: in no cluster's folder: put it into the folder of its cluster; nothing of it is judged
    "#]].assert_eq(&text);
    assert_eq!(
        manifests.clusters.keys().map(ClusterName::as_str).collect::<Vec<_>>(),
        ["a", "empty"]
    );
}

#[test]
fn nothing_to_judge() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(Manifests::read(dir.path()), Err(ReadError::Empty(_))));
    assert!(matches!(
        Manifests::read(&dir.path().join("nowhere")),
        Err(ReadError::Io { .. })
    ));
}
