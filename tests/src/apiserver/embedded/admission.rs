//! What the API server does to an object before it stores it: defaults and validation.
//!
//! Pure. Of the real server's defaults those that a policy engine sees; of its validation what keeps nonsense out of a
//! Pod, a Namespace or a NetworkPolicy ("validation"). The rest is stored as it comes.

use super::failure::Cause;
use super::resource::Resource;
use ipnet::IpNet;
use k8s_openapi::api::networking::v1::{IPBlock, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Value, json};

/// Fills in what the writer left out. `object` has been through its type.
pub fn default(resource: Resource, object: &mut Value) {
    match resource {
        Resource::Namespaces => {
            let name = object["metadata"]["name"].clone();
            object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
        }
        Resource::Events | Resource::Nodes => {}
        Resource::Pods => default_pod(object),
        Resource::NetworkPolicies => default_policy(object),
    }
}

fn default_pod(object: &mut Value) {
    let defaults = [
        ("restartPolicy", json!("Always")),
        ("terminationGracePeriodSeconds", json!(30)),
        ("dnsPolicy", json!("ClusterFirst")),
    ];
    for (field, value) in defaults {
        if object["spec"][field].is_null() {
            object["spec"][field] = value;
        }
    }
    for list in ["containers", "initContainers"] {
        for container in items(&mut object["spec"], list) {
            items(container, "ports").for_each(default_protocol);
        }
    }
    // podIP is podIPs[0]; where the two differ, podIP is the newer writer's word.
    let status = &mut object["status"];
    let first = status["podIPs"][0]["ip"].clone();
    match (status["podIP"].is_null(), first.is_null()) {
        (true, false) => status["podIP"] = first,
        (false, _) if status["podIP"] != first => status["podIPs"] = json!([{"ip": status["podIP"]}]),
        _ => {}
    }
    prune_nulls(object);
}

fn default_policy(object: &mut Value) {
    let spec = &mut object["spec"];
    let egress = spec["egress"].as_array().is_some_and(|rules| !rules.is_empty());
    if spec["policyTypes"].as_array().is_none_or(Vec::is_empty) {
        spec["policyTypes"] = if egress {
            json!(["Ingress", "Egress"])
        } else {
            json!(["Ingress"])
        };
    }
    for list in ["ingress", "egress"] {
        for rule in items(spec, list) {
            items(rule, "ports").for_each(default_protocol);
        }
    }
    prune_nulls(object);
}

fn default_protocol(port: &mut Value) {
    if port["protocol"].is_null() {
        port["protocol"] = json!("TCP");
    }
}

fn items<'a>(object: &'a mut Value, list: &str) -> impl Iterator<Item = &'a mut Value> {
    object.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten()
}

/// Removes the nulls that looking at absent fields has left.
fn prune_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(prune_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(prune_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The faults of an object, in the order of its fields.
pub fn validate(resource: Resource, object: &Value) -> Vec<Cause> {
    let mut faults = Faults::default();
    faults.name(resource, object["metadata"]["name"].as_str().unwrap_or(""));
    faults.labels("metadata.labels", object["metadata"]["labels"].as_object());
    match resource {
        Resource::Namespaces | Resource::Nodes => {}
        Resource::Events => faults.event(object),
        Resource::Pods => faults.pod(object),
        Resource::NetworkPolicies => {
            let spec = serde_json::from_value(object["spec"].clone()).unwrap_or_default();
            faults.policy(&spec);
        }
    }
    faults.0
}

#[derive(Default)]
struct Faults(Vec<Cause>);

impl Faults {
    fn push(&mut self, reason: &'static str, field: &str, message: String) {
        self.0.push(Cause {
            reason,
            field: field.to_owned(),
            message,
        });
    }

    fn required(&mut self, field: &str, why: &str) {
        let message = if why.is_empty() {
            "Required value".to_owned()
        } else {
            format!("Required value: {why}")
        };
        self.push("FieldValueRequired", field, message);
    }

    fn invalid(&mut self, field: &str, value: &str, why: &str) {
        self.push("FieldValueInvalid", field, format!("Invalid value: {value:?}: {why}"));
    }

    fn forbidden(&mut self, field: &str, why: &str) {
        self.push("FieldValueForbidden", field, format!("Forbidden: {why}"));
    }

    fn name(&mut self, resource: Resource, name: &str) {
        let (limit, dots) = if resource == Resource::Namespaces {
            (63, false)
        } else {
            (253, true)
        };
        if name.is_empty() {
            self.required("metadata.name", "name or generateName is required");
        } else if !is_dns(name, limit, dots) {
            let kind = if dots { "subdomain" } else { "label" };
            self.invalid("metadata.name", name, &format!("must be a lowercase RFC 1123 {kind}"));
        }
    }

    fn labels(&mut self, field: &str, labels: Option<&serde_json::Map<String, Value>>) {
        for (key, value) in labels.into_iter().flatten() {
            if !is_label_key(key) {
                self.invalid(field, key, "must be a qualified name");
            }
            let value = value.as_str().unwrap_or("");
            if !is_label_value(value) {
                self.invalid(field, value, "must be a valid label value");
            }
        }
    }

    fn event(&mut self, event: &Value) {
        let about = event["involvedObject"]["namespace"].as_str().unwrap_or("");
        if event["metadata"]["namespace"].as_str() != Some(about) {
            self.invalid("involvedObject.namespace", about, "does not match event.namespace");
        }
    }

    fn pod(&mut self, pod: &Value) {
        let containers = pod["spec"]["containers"].as_array();
        if containers.is_none_or(Vec::is_empty) {
            self.required("spec.containers", "");
        }
        for (n, container) in containers.into_iter().flatten().enumerate() {
            for field in ["name", "image"] {
                if container[field].as_str().is_none_or(str::is_empty) {
                    self.required(&format!("spec.containers[{n}].{field}"), "");
                }
            }
        }
    }

    fn policy(&mut self, spec: &NetworkPolicySpec) {
        if let Some(selector) = &spec.pod_selector {
            self.selector("spec.podSelector", selector);
        }
        for (n, rule) in spec.ingress.iter().flatten().enumerate() {
            self.rule(&format!("spec.ingress[{n}]"), &rule.ports, ("from", &rule.from));
        }
        for (n, rule) in spec.egress.iter().flatten().enumerate() {
            self.rule(&format!("spec.egress[{n}]"), &rule.ports, ("to", &rule.to));
        }
        for (n, direction) in spec.policy_types.iter().flatten().enumerate() {
            if !matches!(direction.as_str(), "Ingress" | "Egress") {
                self.unsupported(&format!("spec.policyTypes[{n}]"), direction, "\"Egress\", \"Ingress\"");
            }
        }
    }

    fn unsupported(&mut self, field: &str, value: &str, supported: &str) {
        let message = format!("Unsupported value: {value:?}: supported values: {supported}");
        self.push("FieldValueNotSupported", field, message);
    }

    fn rule(
        &mut self,
        field: &str,
        ports: &Option<Vec<NetworkPolicyPort>>,
        (direction, peers): (&str, &Option<Vec<NetworkPolicyPeer>>),
    ) {
        for (n, port) in ports.iter().flatten().enumerate() {
            self.port(&format!("{field}.ports[{n}]"), port);
        }
        for (n, peer) in peers.iter().flatten().enumerate() {
            self.peer(&format!("{field}.{direction}[{n}]"), peer);
        }
    }

    fn port(&mut self, field: &str, port: &NetworkPolicyPort) {
        if let Some(protocol) = port
            .protocol
            .as_deref()
            .filter(|protocol| !matches!(*protocol, "TCP" | "UDP" | "SCTP"))
        {
            self.unsupported(&format!("{field}.protocol"), protocol, "\"SCTP\", \"TCP\", \"UDP\"");
        }
        let range = 1..=65535;
        match (&port.port, port.end_port) {
            (Some(IntOrString::Int(number)), end) => {
                if !range.contains(number) {
                    self.invalid(
                        &format!("{field}.port"),
                        &number.to_string(),
                        "must be between 1 and 65535, inclusive",
                    );
                }
                if let Some(end) = end.filter(|end| end < number || !range.contains(end)) {
                    self.invalid(
                        &format!("{field}.endPort"),
                        &end.to_string(),
                        "must be greater than or equal to `port`",
                    );
                }
            }
            (Some(IntOrString::String(name)), end) => {
                let letters = name.chars().any(|c| c.is_ascii_lowercase());
                if !(letters && name.len() <= 15 && is_dns(name, 15, false)) {
                    self.invalid(&format!("{field}.port"), name, "must be a valid port name");
                }
                if let Some(end) = end {
                    self.invalid(&format!("{field}.endPort"), &end.to_string(), "`port` must be a number");
                }
            }
            (None, Some(end)) => self.invalid(&format!("{field}.endPort"), &end.to_string(), "`port` must be set"),
            (None, None) => {}
        }
    }

    fn peer(&mut self, field: &str, peer: &NetworkPolicyPeer) {
        for (name, selector) in [
            ("podSelector", &peer.pod_selector),
            ("namespaceSelector", &peer.namespace_selector),
        ] {
            if let Some(selector) = selector {
                self.selector(&format!("{field}.{name}"), selector);
            }
        }
        let selects = peer.pod_selector.is_some() || peer.namespace_selector.is_some();
        match &peer.ip_block {
            None if !selects => self.required(field, "must specify a peer"),
            None => {}
            Some(_) if selects => self.forbidden(field, "may not specify both ipBlock and another peer"),
            Some(block) => self.block(&format!("{field}.ipBlock"), block),
        }
    }

    fn block(&mut self, field: &str, block: &IPBlock) {
        let Ok(cidr) = block.cidr.parse::<IpNet>() else {
            self.invalid(&format!("{field}.cidr"), &block.cidr, "must be a valid CIDR value");
            return;
        };
        for (n, text) in block.except.iter().flatten().enumerate() {
            let field = format!("{field}.except[{n}]");
            match text.parse::<IpNet>() {
                Err(_) => self.invalid(&field, text, "must be a valid CIDR value"),
                Ok(except) if cidr.contains(&except) && except.prefix_len() > cidr.prefix_len() => {}
                Ok(_) => self.invalid(&field, text, "must be a strict subset of `cidr`"),
            }
        }
    }

    fn selector(&mut self, field: &str, selector: &LabelSelector) {
        for (key, value) in selector.match_labels.iter().flatten() {
            if !is_label_key(key) {
                self.invalid(&format!("{field}.matchLabels"), key, "must be a qualified name");
            }
            if !is_label_value(value) {
                self.invalid(&format!("{field}.matchLabels"), value, "must be a valid label value");
            }
        }
        for (n, term) in selector.match_expressions.iter().flatten().enumerate() {
            let field = format!("{field}.matchExpressions[{n}]");
            if !is_label_key(&term.key) {
                self.invalid(&format!("{field}.key"), &term.key, "must be a qualified name");
            }
            let empty = term.values.as_ref().is_none_or(Vec::is_empty);
            match term.operator.as_str() {
                "In" | "NotIn" if empty => {
                    self.required(
                        &format!("{field}.values"),
                        "must be specified when `operator` is 'In' or 'NotIn'",
                    );
                }
                "Exists" | "DoesNotExist" if !empty => self.forbidden(
                    &format!("{field}.values"),
                    "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                ),
                "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
                other => self.invalid(&format!("{field}.operator"), other, "not a valid selector operator"),
            }
        }
    }
}

fn is_dns(name: &str, limit: usize, dots: bool) -> bool {
    let label = |label: &str| {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        label.starts_with(inner) && label.ends_with(inner) && label.chars().all(|c| inner(c) || c == '-')
    };
    name.len() <= limit && if dots { name.split('.').all(label) } else { label(name) }
}

/// The part of a label key after its prefix, or a label's value: at most 63 of a small alphabet, ends alphanumeric.
fn is_label_text(text: &str) -> bool {
    let end = |c: char| c.is_ascii_alphanumeric();
    text.len() <= 63
        && text.starts_with(end)
        && text.ends_with(end)
        && text.chars().all(|c| end(c) || matches!(c, '-' | '_' | '.'))
}

fn is_label_value(value: &str) -> bool {
    value.is_empty() || is_label_text(value)
}

fn is_label_key(key: &str) -> bool {
    match key.split_once('/') {
        None => is_label_text(key),
        Some((prefix, name)) => is_dns(prefix, 253, true) && is_label_text(name),
    }
}
