//! Objects → YAML for a repository. Pure.

use super::object::Object;
use serde_json::Value;
use std::fmt::Write as _;

/// A document, begun by its separator. Written by hand because people read and review it: kind first, as they write it
/// themselves, and texts of several lines as blocks.
pub fn document(object: &Object) -> String {
    let mut text = "---\n".to_owned();
    fields(&mut text, &object.json, 0, &["apiVersion", "kind", "metadata", "type"]);
    text
}

fn fields(text: &mut String, value: &Value, indent: usize, first: &[&str]) {
    let Some(map) = value.as_object() else { return };
    let order = |key: &str| first.iter().position(|one| *one == key).unwrap_or(first.len());
    let mut keys: Vec<&String> = map.keys().collect();
    keys.sort_by_key(|key| (order(key), key.as_str()));
    for key in keys {
        let _ = write!(text, "{:indent$}{}:", "", scalar(key));
        entry(text, &map[key], indent);
    }
}

/// What stands behind a key or a dash.
fn entry(text: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            text.push('\n');
            fields(text, value, indent + 2, &["name"]);
        }
        Value::Array(list) if list.iter().any(Value::is_object) => {
            text.push('\n');
            for item in list {
                let mut inner = String::new();
                fields(&mut inner, item, indent + 2, &["apiGroups", "kind"]);
                let _ = write!(text, "{:indent$}- {}", "", inner.trim_start());
            }
        }
        Value::Array(list) => {
            let items: Vec<String> = list
                .iter()
                .map(|item| scalar(item.as_str().unwrap_or_default()))
                .collect();
            let _ = writeln!(text, " [{}]", items.join(", "));
        }
        Value::String(lines) if lines.contains('\n') => {
            text.push_str(" |\n");
            for line in lines.lines() {
                let _ = writeln!(text, "{:1$}{line}", "", indent + 2);
            }
        }
        Value::String(one) => {
            let _ = writeln!(text, " {}", scalar(one));
        }
        other => {
            let _ = writeln!(text, " {other}");
        }
    }
}

/// A text as YAML, quoted where it could be taken for something else.
fn scalar(text: &str) -> String {
    let plain = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-._/+=".contains(c))
        && !["true", "false", "yes", "no", "on", "off", "null", "y", "n"].contains(&text.to_ascii_lowercase().as_str());
    if plain {
        text.to_owned()
    } else {
        Value::from(text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::members::grant;

    #[test]
    fn what_is_written_is_read_as_what_it_was() {
        let mut objects = grant::objects("elsewhere");
        objects.push(grant::token_secret("elsewhere", "on", true));
        objects.push(grant::clusters_secret(
            "elsewhere",
            Some(("1e3.kubeconfig", "users:\n- name: \"x\"\n  user: {}\n")),
        ));
        let text: String = objects.iter().map(document).collect();
        let read: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        let written: Vec<Value> = objects.into_iter().map(|object| object.json).collect();
        assert_eq!(read, written, "{text}");
    }
}
