//! Random containers: their named ports differ from pod to pod, and some are no ports (I16).

use super::{CONTAINER_PORTS, Generator, PORT_NAMES, PORTS, TRANSPORTS};
use serde_json::{Value, json};

impl Generator<'_> {
    pub(super) fn containers(&mut self) -> Vec<Value> {
        let mut containers = vec![self.container("c1")];
        if self.one_in(3) {
            containers.push(self.container("c2"));
        }
        containers
    }

    /// A sidecar's ports count, those of an ordinary init container do not (S61).
    pub(super) fn init_containers(&mut self) -> Vec<Value> {
        if self.one_in(2) {
            return Vec::new();
        }
        let mut container = self.container("i1");
        if let Some(policy) = self.pick(&[Some("Always"), Some("Always"), Some("OnFailure"), None]) {
            container["restartPolicy"] = json!(policy);
        }
        vec![container]
    }

    fn container(&mut self, name: &str) -> Value {
        let mut ports = Vec::new();
        for port_name in PORT_NAMES {
            if !self.one_in(3) {
                ports.push(self.container_port(port_name));
            }
        }
        if self.one_in(4) {
            ports.push(json!({"containerPort": self.pick(&PORTS[..CONTAINER_PORTS]), "protocol": "TCP"}));
        }
        if self.one_in(6) {
            // A name twice in one container, which stands for both (S56).
            let name = self.pick(&PORT_NAMES);
            ports.push(self.container_port(name));
        }
        if self.one_in(6) {
            ports.push(self.odd_container_port());
        }
        let mut container = json!({"name": name, "image": "example.com/x", "ports": ports});
        if self.one_in(24) {
            container["ports"] = self.one_of([Value::Null, json!({}), json!("http"), json!([])]);
        }
        container
    }

    fn container_port(&mut self, name: &str) -> Value {
        let mut port = json!({"name": name, "containerPort": self.pick(&PORTS[..CONTAINER_PORTS])});
        if self.one_in(2) {
            port["protocol"] = json!(self.pick(&TRANSPORTS));
        } else if self.one_in(4) {
            port["protocol"] = self.one_of([json!(""), Value::Null]);
        }
        port
    }

    fn odd_container_port(&mut self) -> Value {
        let (name, number) = (self.pick(&PORT_NAMES), self.pick(&PORTS[..CONTAINER_PORTS]));
        self.one_of([
            json!({"name": name, "containerPort": 0}),
            json!({"name": name, "containerPort": 65536}),
            json!({"name": name, "containerPort": -1}),
            json!({"name": name, "containerPort": number.to_string()}),
            json!({"name": name, "containerPort": 80.5}),
            json!({"name": name}),
            json!({"name": name, "containerPort": number, "protocol": "tcp"}),
            json!({"name": name, "containerPort": number, "protocol": 6}),
            json!({"name": name, "containerPort": number, "hostPort": 8081}),
            json!({"name": "HTTP", "containerPort": number}),
            json!({"name": "80", "containerPort": number}),
            json!({"name": "", "containerPort": number}),
            json!({"name": 80, "containerPort": number}),
            json!({"name": null, "containerPort": number}),
            json!("http"),
            Value::Null,
        ])
    }
}
