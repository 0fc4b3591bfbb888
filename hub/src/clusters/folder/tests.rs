use super::*;
use proto::kubeconfig::Trust;
use std::path::Path;

/// A kubeconfig; equal letters have equal digests.
fn kubeconfig(letter: char) -> Result<Kubeconfig, String> {
    let text = format!(
        "{{current-context: x, contexts: [{{name: x, context: {{cluster: x}}}}], \
         clusters: [{{name: x, cluster: {{server: 'https://{letter}.example'}}}}]}}"
    );
    let access = Access::read(&text, Path::new("/"), Trust::Data);
    Ok(Kubeconfig {
        digest: Digest([letter as u8; 32]),
        access: futures::executor::block_on(access).unwrap(),
    })
}

fn files<const N: usize>(files: [(&str, Result<Kubeconfig, String>); N]) -> Result<Listing, String> {
    Ok(files
        .into_iter()
        .map(|(name, found)| (name.to_owned(), found))
        .collect())
}

/// Orders as text, a Connect by the server it leads to.
fn said(orders: Vec<Order>) -> Vec<String> {
    let text = |order| match order {
        Order::Connect(cluster, kubeconfig) => format!("connect {cluster} {}", kubeconfig.access.server()),
        Order::Refuse(cluster, reason) => format!("refuse {cluster}: {reason}"),
        Order::Accept(cluster) => format!("accept {cluster}"),
        Order::Leave(cluster) => format!("leave {cluster}"),
        Order::Stray(file, reason) => format!("stray {file}: {reason}"),
        Order::Fault(reason) => format!("fault: {reason}"),
        Order::FaultEnded => "fault ended".to_owned(),
    };
    orders.into_iter().map(text).collect()
}

const NOTHING: [&str; 0] = [];

#[test]
fn clusters_join_once_and_change_only_with_their_content() {
    let mut folder = Folder::default();
    let look = || files([("a.yaml", kubeconfig('1')), ("b.kubeconfig", kubeconfig('2'))]);
    assert_eq!(
        said(folder.look(look())),
        ["connect a https://1.example", "connect b https://2.example"]
    );
    assert_eq!(said(folder.look(look())), NOTHING);
    let renewed = files([("a.yaml", kubeconfig('3')), ("b.kubeconfig", kubeconfig('2'))]);
    assert_eq!(said(folder.look(renewed)), ["connect a https://3.example"]);
}

#[test]
fn a_file_that_is_replaced_by_removing_it_is_no_farewell() {
    let mut folder = Folder::default();
    let both = || files([("a.yaml", kubeconfig('1')), ("b.yaml", kubeconfig('2'))]);
    let without_a = || files([("b.yaml", kubeconfig('2'))]);
    folder.look(both());
    assert_eq!(said(folder.look(without_a())), NOTHING);
    assert_eq!(said(folder.look(without_a())), NOTHING);
    assert_eq!(said(folder.look(both())), NOTHING);
    assert_eq!(said(folder.look(without_a())), NOTHING);
    assert_eq!(said(folder.look(without_a())), NOTHING);
    assert_eq!(said(folder.look(without_a())), ["leave a"]);
    assert_eq!(said(folder.look(both())), ["connect a https://1.example"]);
}

#[test]
fn a_folder_without_kubeconfigs_is_a_fault_and_everything_is_kept() {
    let mut folder = Folder::default();
    folder.look(files([("a.yaml", kubeconfig('1'))]));
    for _ in 0..10 {
        folder.look(files([]));
    }
    let unreadable = || Err("permission denied".to_owned());
    assert_eq!(said(folder.look(unreadable())), ["fault: permission denied"]);
    assert_eq!(said(folder.look(unreadable())), NOTHING);
    assert_eq!(said(folder.look(files([]))), ["fault: it holds no kubeconfig"]);
    let back = files([("a.yaml", kubeconfig('1'))]);
    assert_eq!(said(folder.look(back)), ["fault ended"]);
}

#[test]
fn a_bad_file_is_refused_once_and_what_it_held_before_goes_on() {
    let mut folder = Folder::default();
    let bad = || files([("a.yaml", Err("no YAML".to_owned()))]);
    assert_eq!(said(folder.look(bad())), ["refuse a: a.yaml: no YAML"]);
    assert_eq!(said(folder.look(bad())), NOTHING);
    assert_eq!(folder.refused(), 1);
    let good = || files([("a.yaml", kubeconfig('1'))]);
    assert_eq!(said(folder.look(good())), ["connect a https://1.example"]);
    assert_eq!(folder.refused(), 0);
    assert_eq!(said(folder.look(bad())), ["refuse a: a.yaml: no YAML"]);
    assert_eq!(said(folder.look(good())), ["accept a"]);
}

/// C1, S115: Two files of one id are refused, but the one in use stays.
#[test]
fn two_files_of_one_id_are_refused_but_the_one_in_use_stays() {
    let mut folder = Folder::default();
    let both = || files([("a.yaml", kubeconfig('1')), ("a.yml", kubeconfig('2'))]);
    assert_eq!(
        said(folder.look(both())),
        ["refuse a: a.yaml and a.yml both name this cluster: remove one"]
    );
    let one = || files([("a.yml", kubeconfig('2'))]);
    assert_eq!(said(folder.look(one())), ["connect a https://2.example"]);
    assert_eq!(
        said(folder.look(both())),
        ["refuse a: a.yaml and a.yml both name this cluster: a.yml was first and is used, remove the other"]
    );
    assert_eq!(said(folder.look(both())), NOTHING);
    assert_eq!(said(folder.look(one())), ["accept a"]);
}

/// C3: A renamed file is the same cluster or another by its stem.
#[test]
fn a_renamed_file_is_the_same_cluster_or_another_by_its_stem() {
    let mut folder = Folder::default();
    folder.look(files([("a.yaml", kubeconfig('1')), ("z.yaml", kubeconfig('9'))]));
    let other_extension = files([("a.yml", kubeconfig('1')), ("z.yaml", kubeconfig('9'))]);
    assert_eq!(said(folder.look(other_extension)), NOTHING);
    let other_id = || files([("b.yml", kubeconfig('1')), ("z.yaml", kubeconfig('9'))]);
    assert_eq!(said(folder.look(other_id())), ["connect b https://1.example"]);
    folder.look(other_id());
    assert_eq!(said(folder.look(other_id())), ["leave a"]);
}

/// C2, S109: A name that is no cluster id is refused, and said once.
#[test]
fn a_name_that_is_no_cluster_id_is_said_once() {
    let mut folder = Folder::default();
    let look = || files([("a b.yaml", kubeconfig('1')), ("c.yaml", kubeconfig('2'))]);
    let expected = "stray a b.yaml: \"a b\" is no cluster id: it must be a label value of 1 to 63 characters, letters, \
                    digits, '-', '_' and '.', beginning and ending with a letter or digit";
    assert_eq!(said(folder.look(look())), [expected, "connect c https://2.example"]);
    assert_eq!(said(folder.look(look())), NOTHING);
    assert_eq!(folder.refused(), 1);
}

#[test]
fn only_names_with_the_three_extensions_are_kubeconfigs() {
    let names = [
        "a.yaml",
        "a.yml",
        "a.kubeconfig",
        "eu.west.yaml",
        "..data",
        ".a.yaml",
        "a",
        "ca.crt",
        "a.yaml~",
    ];
    let are = names.map(is_kubeconfig);
    assert_eq!(are, [true, true, true, true, false, false, false, false, false]);
}
