//! What no kubelet writes, and what must not spoil the rest of a pod (bad input I1 to I4, I13).

use super::Generator;
use serde_json::{Value, json};

impl Generator<'_> {
    /// An entry of `podIPs` that gives no identity.
    pub(super) fn odd_address(&mut self) -> Value {
        self.one_of([
            json!({"ip": ""}),
            json!({"ip": "x"}),
            json!({"ip": "0.0.0.0"}),
            json!({"ip": "127.0.0.1"}),
            json!({"ip": "255.255.255.255"}),
            json!({"ip": "224.0.0.1"}),
            json!({"ip": "::1"}),
            json!({"ip": "::"}),
            json!({"ip": "ff02::1"}),
            json!({"ip": "::ffff:10.0.0.1"}),
            json!({"ip": "10.0.0.1/32"}),
            json!({"ip": " 10.0.0.1"}),
            json!({"ip": "fe80::1%eth0"}),
            json!({"ip": 167_772_161}),
            json!({"ip": null}),
            json!({}),
            json!("10.0.0.1"),
            Value::Null,
        ])
    }

    /// Makes one of a pod's fields odd.
    pub(super) fn make_odd(&mut self, pod: &mut Value) {
        let unusable = json!([self.odd_address()]);
        let (place, odd) = match self.rng.u8(..10) {
            0 => (
                "/status/phase",
                self.one_of([json!("running"), json!("succeeded"), json!(""), json!(5), Value::Null]),
            ),
            1 => (
                "/spec/hostNetwork",
                self.one_of([json!("true"), json!(1), Value::Null, json!(false)]),
            ),
            2 => (
                "/metadata/labels",
                self.one_of([Value::Null, json!([]), json!("app=web")]),
            ),
            // Where nothing of the list is of use, the older field is (I2).
            3..6 => (
                "/status/podIPs",
                self.one_of([unusable, json!({}), Value::Null, json!([])]),
            ),
            6 => ("/spec/containers", self.one_of([Value::Null, json!({}), json!([null])])),
            7 => (
                "/spec/initContainers",
                self.one_of([Value::Null, json!("x"), json!([5])]),
            ),
            8 => ("/status", self.one_of([Value::Null, json!([]), json!({})])),
            _ => ("/metadata/deletionTimestamp", Value::Null),
        };
        if let Some(field) = pod.pointer_mut(place) {
            *field = odd;
        }
    }
}
