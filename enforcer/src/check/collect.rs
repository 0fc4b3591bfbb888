//! Gathers the facts of the node that this process is on: its network namespace, its kernel.
//!
//! Shell. Reads, and leaves no trace: sets and rules that try the kernel are made and gone again, where no enforcer runs
//! that has tried them already. What cannot be read is a fact too.

use super::facts::{Facts, Nri, PerFamily};
use crate::kernel::{Bridges, Kernel, survey};
use crate::{lock, node};
use std::collections::BTreeSet;
use std::fmt::Display;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// Looks at everything. `nri` is where the socket of NRI is to be, if it is to be used.
pub async fn collect(nri: Option<PathBuf>) -> Facts {
    let mut facts = Facts {
        kernel: read("/proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".to_owned()),
        nri: match nri {
            None => Nri::Off,
            Some(path) if is_socket(&path) => Nri::At(path),
            Some(path) => Nri::Absent(path),
        },
        ..Facts::default()
    };
    // Netfilter's netlink blocks for as long as its answer takes.
    let asked = tokio::task::spawn_blocking(move || {
        netfilter(&mut facts);
        facts
    });
    let mut facts = asked.await.expect("nothing in there panics, and nobody aborts it");
    match node::survey_links().await {
        Ok(links) => facts.links = links,
        Err(error) => unseen(&mut facts, "links", anyhow::Error::new(error)),
    }
    sysctls(&mut facts);
    facts
}

fn netfilter(facts: &mut Facts) {
    match lock::is_held() {
        Ok(held) => facts.enforcer_runs = held,
        Err(error) => unseen(facts, "who holds the lock of this node's enforcer", error),
    }
    let kernel = match facts.enforcer_runs {
        true => Kernel::open_beside_enforcer(),
        false => Kernel::open(),
    };
    match kernel {
        Ok(mut kernel) => {
            facts.checks_bridges = kernel.bridges() == Bridges::Checked;
            match kernel.read_sets() {
                Ok(sets) => facts.our_sets = sets.len(),
                Err(error) => unseen(facts, "ipsets", anyhow::Error::new(error)),
            }
            match survey() {
                Ok(tables) => facts.tables = tables,
                Err(error) => unseen(facts, "the tables of nf_tables", anyhow::Error::new(error)),
            }
        }
        Err(missing) => facts.missing = Some(missing.to_string()),
    }
}

fn sysctls(facts: &mut Facts) {
    let is_on = |path: &str| read(path).is_some_and(|value| value != "0");
    let [iptables, ip6tables] = ["iptables", "ip6tables"].map(|of| format!("/proc/sys/net/bridge/bridge-nf-call-{of}"));
    facts.bridge_netfilter = Path::new(&iptables).exists().then(|| PerFamily {
        v4: is_on(&iptables),
        v6: is_on(&ip6tables),
    });
    facts.forwards = PerFamily {
        v4: is_on("/proc/sys/net/ipv4/ip_forward"),
        v6: is_on("/proc/sys/net/ipv6/conf/all/forwarding"),
    };
    // Three lines are its head; the file is not there without the module.
    facts.ipvs_services = read("/proc/thread-self/net/ip_vs").is_some_and(|text| text.lines().count() > 3);
    let mut legacy = BTreeSet::new();
    for path in [
        "/proc/thread-self/net/ip_tables_names",
        "/proc/thread-self/net/ip6_tables_names",
    ] {
        match fs::read_to_string(path) {
            Ok(names) => legacy.extend(names.lines().map(str::to_owned)),
            // Without the module, and to who has no right to look.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => {}
            Err(error) => unseen(facts, path, error),
        }
    }
    facts.legacy_tables = legacy;
}

fn unseen(facts: &mut Facts, what: &str, reason: impl Display) {
    facts.unseen.push(format!("{what}: {reason:#}"));
}

fn read(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim_end().to_owned())
}

fn is_socket(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.file_type().is_socket())
}
