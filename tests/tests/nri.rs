//! The enforcer as a plugin of a container runtime: the runtime is a fake that speaks NRI, the machine is this test.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking; clippy sees tests here only inside #[test]"
)]

use enforcer::machine::Input;
use enforcer::nri::message::{Event as SandboxEvent, LinuxNamespace, LinuxPodSandbox, PodSandbox};
use enforcer::nri::{ANSWER_WITHIN, Late, Plugin};
use enforcer::sandbox::{Answer, Answered, Event, InForce, PodName, Sandbox};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tests::lab::runtime::{Plugin as Connected, REQUEST_TIMEOUT, Runtime};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// How much the machine's queue takes.
const QUEUE: usize = 16;

/// A plugin, its machine's ends, and the folder that its socket is in.
struct Stage {
    folder: TempDir,
    inputs: mpsc::Receiver<Input>,
    in_force: watch::Sender<InForce>,
    plugin: JoinHandle<()>,
}

impl Stage {
    /// A plugin that has looked for its runtime and found none.
    async fn new(late: Late) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (sender, inputs) = mpsc::channel(QUEUE);
        let (in_force, published) = watch::channel(InForce::default());
        let plugin = Plugin {
            socket: folder.path().join("nri.sock"),
            late,
            inputs: sender,
            in_force: published,
        };
        let plugin = tokio::spawn(async move { plugin.run(fastrand::Rng::with_seed(1)).await });
        let mut stage = Self {
            folder,
            inputs,
            in_force,
            plugin,
        };
        assert!(matches!(stage.hears().await, Event::Absent(_)));
        stage
    }

    /// One that its runtime, without a sandbox so far, has told all.
    async fn with_runtime(late: Late) -> (Self, Runtime, Connected) {
        let mut stage = Self::new(late).await;
        let runtime = stage.runtime();
        let plugin = runtime.plugin(&[], false).await.unwrap();
        assert!(matches!(stage.hears().await, Event::Synced { .. }));
        (stage, runtime, plugin)
    }

    fn runtime(&self) -> Runtime {
        Runtime::listen(&self.folder.path().join("nri.sock")).unwrap()
    }

    async fn hears(&mut self) -> Event {
        match self.inputs.recv().await {
            Some(Input::Runtime(event)) => event,
            other => panic!("{other:?}"),
        }
    }

    /// A pass has gone through, after which this sandbox is isolated, and no other.
    fn isolate(&self, id: &str) {
        self.in_force.send_modify(|in_force| {
            in_force.passes += 1;
            in_force.sandboxes = Arc::new([id.into()].into());
        });
    }

    /// What the runtime was answered.
    async fn answered(&mut self) -> Answered {
        match self.hears().await {
            Event::Answered(answered) => answered,
            other => panic!("{other:?}"),
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.plugin.abort();
    }
}

/// A sandbox as containerd tells of it.
fn told(name: &str, namespaces: &[&str]) -> PodSandbox {
    let text = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()))
            .collect()
    };
    PodSandbox {
        id: format!("id of {name}"),
        name: name.to_owned(),
        uid: "uid".to_owned(),
        namespace: "x".to_owned(),
        labels: text(&[
            ("app", "web"),
            ("io.kubernetes.pod.name", name),
            ("io.kubernetes.pod.namespace", "x"),
            ("io.kubernetes.pod.uid", "uid"),
        ]),
        annotations: text(&[(
            "kubernetes.io/config.source",
            if name == "static" { "file" } else { "api" },
        )]),
        linux: Some(LinuxPodSandbox {
            namespaces: namespaces
                .iter()
                .map(|kind| LinuxNamespace {
                    r#type: (*kind).to_owned(),
                })
                .collect(),
        }),
        ips: ["10.0.0.1", "fd00::1", "", "::ffff:10.0.0.2"]
            .map(str::to_owned)
            .to_vec(),
    }
}

/// The same as the machine should hear it.
fn heard(name: &str, addresses: &[&str]) -> Sandbox {
    Sandbox {
        id: format!("id of {name}").into(),
        pod: PodName {
            namespace: "x".into(),
            name: name.into(),
        },
        uid: "uid".into(),
        is_static: name == "static",
        labels: Arc::new([("app".into(), "web".into())].into()),
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
    }
}

const BOTH: [&str; 2] = ["10.0.0.1", "fd00::1"];

#[tokio::test]
async fn a_plugin_hears_of_all_sandboxes_and_says_what_it_wants_to_be_told() {
    let mut stage = Stage::new(Late::Allow).await;
    for each_by_itself in [false, true] {
        let runtime = stage.runtime();
        let sandboxes = [
            told("web", &["network", "ipc"]),
            told("host", &["ipc"]),
            told("static", &[]),
        ];
        let plugin = runtime.plugin(&sandboxes, each_by_itself).await.unwrap();
        assert_eq!((plugin.name.as_str(), plugin.events), ("10-bailey", 0b111));
        let synced = Event::Synced {
            runtime: "runtime-of-the-lab v2".to_owned(),
            sandboxes: vec![heard("web", &BOTH), heard("host", &[]), heard("static", &BOTH)],
        };
        assert_eq!(stage.hears().await, synced);
        drop(plugin);
        assert!(matches!(stage.hears().await, Event::Lost(_)));
        drop(runtime);
    }
}

/// More than one frame, and more than what is read ahead.
#[tokio::test]
async fn a_long_message_is_taken_whole() {
    let mut stage = Stage::new(Late::Allow).await;
    let runtime = stage.runtime();
    let mut long = told("web", &[]);
    long.annotations.insert("long".to_owned(), "x".repeat(300_000));
    let _plugin = runtime.plugin(&[long], false).await.unwrap();
    let Event::Synced { sandboxes, .. } = stage.hears().await else {
        panic!("all sandboxes are heard of first");
    };
    assert_eq!(sandboxes, [heard("web", &BOTH)]);
}

/// S79: The runtime waits until the pod is isolated; of a pod on the host network there is nothing to wait for.
#[tokio::test]
async fn a_runtime_is_answered_when_the_pod_is_isolated() {
    let (mut stage, _runtime, plugin) = Stage::with_runtime(Late::Refuse).await;
    for by_state_change in [false, true] {
        let pod = told("web", &["network"]);
        let asked = async {
            match by_state_change {
                true => plugin.change(SandboxEvent::RunPodSandbox, &pod).await,
                false => plugin.run(&pod).await,
            }
        };
        let isolated = async {
            assert_eq!(stage.hears().await, Event::Started(heard("web", &BOTH)));
            stage.isolate("id of another");
            tokio::task::yield_now().await;
            assert!(stage.inputs.try_recv().is_err(), "it is not answered yet");
            stage.isolate("id of web");
            let answered = stage.answered().await;
            (answered.pod, answered.answer)
        };
        let (asked, answered) = tokio::join!(asked, isolated);
        asked.unwrap();
        assert_eq!(answered, (heard("web", &[]).pod, Answer::InForce));
        match by_state_change {
            true => plugin.change(SandboxEvent::StopPodSandbox, &pod).await.unwrap(),
            false => plugin.stop(&pod).await.unwrap(),
        }
        assert_eq!(stage.hears().await, Event::Stopped("id of web".into()));
        stage.in_force.send_replace(InForce::default());
    }
    plugin.run(&told("host", &["ipc"])).await.unwrap();
    assert!(stage.inputs.try_recv().is_err());
}

/// A pod that is never isolated is let start, or not, before the runtime would give the plugin up; and no other waits for as
/// long until an enforcer that was stuck gets on.
#[tokio::test]
async fn a_runtime_is_answered_in_time_although_the_pod_is_not_isolated() {
    for (late, answer) in [(Late::Allow, Answer::Allowed), (Late::Refuse, Answer::Refused)] {
        let (mut stage, _runtime, plugin) = Stage::with_runtime(late).await;
        #[expect(clippy::disallowed_methods, reason = "what is measured is time")]
        let begin = Instant::now();
        for name in ["first", "second", "third", "fourth"] {
            let asked = plugin.run(&told(name, &["network"])).await;
            let took = begin.elapsed();
            assert!((ANSWER_WITHIN..REQUEST_TIMEOUT).contains(&took), "{name}: {took:?}");
            assert_eq!(stage.hears().await, Event::Started(heard(name, &BOTH)));
            let answered = stage.answered().await;
            assert_eq!(answered.answer, answer);
            let why = if name == "first" {
                assert!(answered.waited >= ANSWER_WITHIN);
                " after 1.5 s"
            } else {
                assert_eq!(answered.waited, Duration::ZERO);
                ", nor has anything come into force since a pod was late before"
            };
            match late {
                Late::Allow => asked.unwrap(),
                Late::Refuse => assert_eq!(
                    asked.unwrap_err().to_string(),
                    format!(
                        "RunPodSandbox: NetworkPolicies of this pod are not in force{why} (enforcer --nri-late refuse)"
                    )
                ),
            }
            // As when a sandbox that was isolated stops.
            stage
                .in_force
                .send_modify(|in_force| in_force.sandboxes = Arc::default());
        }
        let known = Arc::new(["id of known".into()].into());
        stage.in_force.send_modify(|in_force| in_force.sandboxes = known);
        plugin.run(&told("known", &["network"])).await.unwrap();
        assert_eq!(stage.hears().await, Event::Started(heard("known", &BOTH)));
        assert_eq!(stage.answered().await.answer, Answer::InForce);
        stage.isolate("id of another");
        let isolated = async {
            assert_eq!(stage.hears().await, Event::Started(heard("last", &BOTH)));
            let early = tokio::time::timeout(ANSWER_WITHIN / 10, stage.hears()).await;
            assert!(early.is_err(), "{early:?}");
            stage.isolate("id of last");
            stage.answered().await.answer
        };
        let last = told("last", &["network"]);
        let (asked, answer) = tokio::join!(plugin.run(&last), isolated);
        asked.unwrap();
        assert_eq!(answer, Answer::InForce);
    }
}

/// S79: A runtime that is not answered in time turns the plugin out, and pods start without it meanwhile.
#[tokio::test]
async fn a_runtime_is_answered_although_nobody_takes_what_it_says() {
    let (mut stage, _runtime, plugin) = Stage::with_runtime(Late::Allow).await;
    let pods: Vec<_> = (0..2 * QUEUE).map(|number| told(&number.to_string(), &[])).collect();
    for pod in &pods {
        plugin.stop(pod).await.unwrap();
    }
    for pod in pods {
        assert_eq!(stage.hears().await, Event::Stopped(pod.id.into()));
    }
}

/// What nobody takes does not pile up for ever: the plugin starts anew, and hears of what there is.
#[tokio::test]
async fn a_plugin_that_nobody_listens_to_starts_anew() {
    let (mut stage, runtime, plugin) = Stage::with_runtime(Late::Allow).await;
    let pod = told("web", &[]);
    while plugin.stop(&pod).await.is_ok() {}
    let mut stopped = 0;
    let reason = loop {
        match stage.hears().await {
            Event::Stopped(_) => stopped += 1,
            Event::Lost(reason) => break reason,
            other => panic!("{other:?}"),
        }
    };
    assert!(
        reason.ends_with("nri.sock: 4096 events wait for the event loop"),
        "{reason}"
    );
    assert!((4096..4096 + 2 * QUEUE).contains(&stopped), "{stopped}");
    let _plugin = runtime.plugin(&[pod], false).await.unwrap();
    let synced = Event::Synced {
        runtime: "runtime-of-the-lab v2".to_owned(),
        sandboxes: vec![heard("web", &BOTH)],
    };
    assert_eq!(stage.hears().await, synced);
}

/// The plugin finds a runtime that comes back, whatever the one before broke off in.
#[tokio::test]
async fn a_runtime_that_comes_back_is_found() {
    let (mut stage, runtime, plugin) = Stage::with_runtime(Late::Allow).await;
    let pod = told("web", &["network"]);
    let asked = plugin.run(&pod);
    let ends = async {
        assert_eq!(stage.hears().await, Event::Started(heard("web", &BOTH)));
    };
    tokio::select! {
        answered = asked => panic!("it is answered: {answered:?}"),
        () = ends => {}
    }
    drop((plugin, runtime));
    // What is left of the answer may be heard before.
    let reason = loop {
        if let Event::Lost(reason) = stage.hears().await {
            break reason;
        }
    };
    assert!(reason.contains("nri.sock: "), "{reason}");
    let runtime = stage.runtime();
    let _plugin = runtime.plugin(&[pod], false).await.unwrap();
    let sandboxes = loop {
        if let Event::Synced { sandboxes, .. } = stage.hears().await {
            break sandboxes;
        }
    };
    assert_eq!(sandboxes, [heard("web", &BOTH)]);
}
