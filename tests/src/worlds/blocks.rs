//! Random ipBlocks: nested, overlapping, of all sizes, with excepts that take out some, nothing, or everything (P12).

use super::Generator;
use serde_json::{Value, json};

impl Generator<'_> {
    /// A block, often one with excepts.
    pub(super) fn block(&mut self) -> Value {
        let v4 = self.one_in(2);
        let cidr = self.cidr(v4);
        let mut block = json!({"cidr": cidr});
        if self.one_in(2) {
            let except: Vec<String> = (0..self.rng.u8(1..=3)).map(|_| self.except(v4)).collect();
            block["except"] = json!(except);
        }
        match self.rng.u8(..32) {
            0..2 => block["except"] = json!(["0.0.0.0/1", "128.0.0.0/1", "::/0"]),
            2 => block["except"] = json!([cidr]),
            3 => block["except"] = json!([]),
            4 => block["except"] = Value::Null,
            5..10 => block = self.void_block(),
            _ => {}
        }
        block
    }

    /// Seldom one that leaves nothing, and seldom one of the other family.
    fn except(&mut self, v4: bool) -> String {
        let v4 = v4 != self.one_in(8);
        loop {
            let cidr = self.cidr(v4);
            if !cidr.ends_with("/0") && !cidr.ends_with("/8") || self.one_in(8) {
                return cidr;
            }
        }
    }

    fn cidr(&mut self, v4: bool) -> String {
        let (index, host) = (self.rng.u8(..4), self.rng.u8(1..16));
        let node = self.rng.u8(1..4);
        let choices = if v4 {
            vec![
                "0.0.0.0/0".to_owned(),
                "10.9.8.7/0".to_owned(),
                "10.0.0.0/8".to_owned(),
                "010.000.0.0/08".to_owned(),
                "192.168.0.0/16".to_owned(),
                "224.0.0.0/4".to_owned(),
                format!("192.168.{index}.{node}/32"),
                format!("10.0.{index}.0/24"),
                format!("10.0.{index}.{host}/29"),
                format!("10.0.{index}.{host}/31"),
                format!("10.0.{index}.{host}/32"),
                "198.51.100.0/24".to_owned(),
            ]
        } else {
            vec![
                "::/0".to_owned(),
                "fd00::/8".to_owned(),
                "fd00::/48".to_owned(),
                "FD00:0:0::10.0.0.1/48".to_owned(),
                "ff00::/8".to_owned(),
                format!("fd00:ffff:{index}::{node}/128"),
                format!("fd00:0:0:{index}::/64"),
                format!("fd00:0:0:{index}::{host:x}/125"),
                format!("fd00:0:0:{index}::{host:x}/127"),
                format!("fd00:0:0:{index}::{host:x}/128"),
                format!("fd00:0:0:{index}::000.0.0.0{node}/128"),
                "2001:db8::/32".to_owned(),
            ]
        };
        choices[self.rng.usize(..choices.len())].clone()
    }
}
