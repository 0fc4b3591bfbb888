//! What a person may choose, said to Helm and to kustomize.

/// One choice, in both languages.
pub struct Choice {
    /// What a failure calls it.
    pub name: &'static str,
    /// Helm's values, as for `--set`.
    pub values: &'static [&'static str],
    /// Kustomize's bases.
    resources: &'static str,
    /// Its components.
    components: &'static str,
    /// The overlay whose `enforcer.yaml` says which cluster this is and where the hub is.
    pub enforcer: Option<&'static str>,
    /// Further patches, as YAML.
    patches: &'static str,
}

impl Choice {
    /// An overlay beside those of `deploy/kustomize/overlays`.
    pub fn kustomization(&self) -> String {
        let Self {
            resources,
            components,
            enforcer,
            patches,
            ..
        } = self;
        let enforcer = enforcer.map_or("", |_| "- path: enforcer.yaml\n");
        format!(
            "namespace: bailey\nresources: [../../base/namespace, {resources}]\ncomponents: [{components}]\nimages:\n\
             - {{name: bailey-hub, newName: registry.example/bailey-hub}}\n\
             - {{name: bailey-enforcer, newName: registry.example/bailey-enforcer}}\n\
             patches:\n{enforcer}{patches}"
        )
    }
}

const HUB: &str = "../../base/hub";
const ENFORCER: &str = "../../base/enforcer";
const BOTH: &str = "../../base/hub, ../../base/enforcer";

/// Each overlay that there is, each component, and each value that kustomize says by a patch.
pub const CHOICES: &[Choice] = &[
    Choice {
        name: "hub and member",
        values: &["image.registry=registry.example", "enforcer.cluster=cluster-a"],
        resources: BOTH,
        components: "",
        enforcer: Some("hub-and-member"),
        patches: "",
    },
    Choice {
        name: "hub and member, NodePort",
        values: &[
            "image.registry=registry.example",
            "enforcer.cluster=cluster-a",
            "hub.service.type=NodePort",
            "hub.service.nodePort=30743",
        ],
        resources: BOTH,
        components: "../../components/nodeport",
        enforcer: Some("hub-and-member"),
        patches: "",
    },
    Choice {
        name: "hub alone, LoadBalancer",
        values: &[
            "image.registry=registry.example",
            "enforcer.enabled=false",
            "hub.service.type=LoadBalancer",
        ],
        resources: HUB,
        components: "../../components/loadbalancer",
        enforcer: None,
        patches: "",
    },
    Choice {
        name: "member",
        values: &[
            "image.registry=registry.example",
            "hub.enabled=false",
            "enforcer.cluster=cluster-b",
            "enforcer.hubs={https://hub.example:7443}",
        ],
        resources: ENFORCER,
        components: "",
        enforcer: Some("member"),
        patches: "",
    },
    Choice {
        name: "member without NRI",
        values: &[
            "image.registry=registry.example",
            "hub.enabled=false",
            "enforcer.cluster=cluster-b",
            "enforcer.hubs={https://hub.example:7443}",
            "enforcer.nri=off",
        ],
        resources: ENFORCER,
        components: "../../components/without-nri",
        enforcer: Some("member"),
        patches: "",
    },
    Choice {
        name: "member that is cleaned up",
        values: &[
            "image.registry=registry.example",
            "hub.enabled=false",
            "enforcer.cluster=cluster-b",
            "enforcer.hubs={https://hub.example:7443}",
            "enforcer.cleanup=true",
        ],
        resources: ENFORCER,
        components: "../../components/cleanup",
        enforcer: Some("member"),
        patches: "",
    },
    Choice {
        name: "other meanings",
        values: &[
            "image.registry=registry.example",
            "image.pullSecrets={mine}",
            "enforcer.cluster=cluster-a",
            "enforcer.nriLate=refuse",
            "enforcer.unknownLocalPods=hold",
            "policy.barePodSelector=local",
            "policy.clusterLabelMode=assert",
            "policy.egressToLocalNode=policy",
            "log.level=debug",
            "log.format=json",
            "hub.podCidrs.cluster-a={10.1.0.0/16,fd00:1::/48}",
            "hub.podCidrs.cluster-b={10.2.0.0/16}",
            "hub.resources.limits.memory=2Gi",
            "hub.service.annotations.a=b",
        ],
        resources: BOTH,
        components: "../../components/hold",
        enforcer: Some("hub-and-member"),
        patches: r#"- patch: |-
    apiVersion: apps/v1
    kind: DaemonSet
    metadata: {name: bailey-enforcer}
    spec:
      template:
        spec:
          imagePullSecrets: [{name: mine}]
          containers:
          - name: enforcer
            env:
            - {name: BAILEY_ENFORCER_NRI_LATE, value: refuse}
            - {name: BAILEY_ENFORCER_BARE_POD_SELECTOR, value: local}
            - {name: BAILEY_ENFORCER_CLUSTER_LABEL_MODE, value: assert}
            - {name: BAILEY_ENFORCER_EGRESS_TO_LOCAL_NODE, value: policy}
            - {name: BAILEY_ENFORCER_LOG_LEVEL, value: debug}
            - {name: BAILEY_ENFORCER_LOG_FORMAT, value: json}
- patch: |-
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: bailey-hub}
    spec:
      template:
        spec:
          imagePullSecrets: [{name: mine}]
          containers:
          - name: hub
            env:
            - {name: BAILEY_HUB_BARE_POD_SELECTOR, value: local}
            - {name: BAILEY_HUB_CLUSTER_LABEL_MODE, value: assert}
            - {name: BAILEY_HUB_LOG_LEVEL, value: debug}
            - {name: BAILEY_HUB_LOG_FORMAT, value: json}
            - {name: BAILEY_HUB_POD_CIDRS, value: "cluster-a=10.1.0.0/16,cluster-a=fd00:1::/48,cluster-b=10.2.0.0/16"}
            resources: {limits: {memory: 2Gi}}
- patch: |-
    apiVersion: v1
    kind: Service
    metadata: {name: bailey-hub, annotations: {a: b}}
"#,
    },
];
