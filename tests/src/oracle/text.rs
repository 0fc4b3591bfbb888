//! Which texts are label keys, label values and port names, by the API reference's own sentences.
//!
//! Pure.

/// A prefix (a DNS subdomain of at most 253 characters) and a slash, if any, then a name of at most 63 characters.
pub fn is_label_key(key: &str) -> bool {
    match key.split_once('/') {
        None => is_name(key),
        Some((prefix, name)) => is_subdomain(prefix) && is_name(name),
    }
}

/// Empty, or like the name of a label key.
pub fn is_label_value(value: &str) -> bool {
    value.is_empty() || is_name(value)
}

/// At most 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit.
fn is_name(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let outer = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.len() <= 63 && text.chars().all(inner) && outer(text.chars().next()) && outer(text.chars().last())
}

fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_lower_label)
}

fn is_lower_label(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty() && text.chars().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// 1 to 15 lower case letters, digits and '-', at least one letter, no '-' at an end or beside another (P20, S63).
pub fn is_port_name(name: &str) -> bool {
    name.len() <= 15 && is_lower_label(name) && name.contains(|c: char| c.is_ascii_lowercase()) && !name.contains("--")
}
