//! Which texts Kubernetes takes for label keys, label values and DNS names (apimachinery's `validation`), and how any text
//! is written in a URL.
//!
//! Pure. Says yes or no; what follows from a no is for the caller.

/// Whether `text` is a label value: at most 63 of `[A-Za-z0-9._-]`, beginning and ending alphanumeric; or empty.
pub fn is_label_value(text: &str) -> bool {
    text.is_empty() || is_qualified_name(text)
}

/// Whether `text` is a label key: a name like a value that is not empty, perhaps after a DNS subdomain and a slash.
pub fn is_label_key(text: &str) -> bool {
    match text.split_once('/') {
        None => is_qualified_name(text),
        Some((prefix, name)) => is_dns_subdomain(prefix) && is_qualified_name(name),
    }
}

fn is_qualified_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// RFC 1123 subdomain as Kubernetes means it: at most 253 of lower-case alphanumerics and `-`, in labels parted by dots.
pub fn is_dns_subdomain(text: &str) -> bool {
    text.len() <= 253
        && text.split('.').all(|label| {
            let bytes = label.as_bytes();
            let alphanumeric = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
            bytes.first().is_some_and(alphanumeric)
                && bytes.last().is_some_and(alphanumeric)
                && bytes.iter().all(|b| alphanumeric(b) || *b == b'-')
        })
}

/// A path segment or a query's value, with all but RFC 3986's unreserved characters (2.3) written as percent and two
/// hexadecimal digits.
pub fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
