//! DER → PEM. Pure.

use serde_json::Value;

/// Characters a line of PEM has (RFC 7468, 2).
const LINE: usize = 64;

/// A certificate as PEM.
pub fn certificate(der: &[u8]) -> String {
    let mut text = "-----BEGIN CERTIFICATE-----\n".to_owned();
    let base64 = base64(der);
    for line in base64.as_bytes().chunks(LINE) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

/// Bytes as the API writes them.
pub fn base64(bytes: &[u8]) -> String {
    match serde_json::to_value(k8s_openapi::ByteString(bytes.to_owned())) {
        Ok(Value::String(text)) => text,
        Ok(_) | Err(_) => unreachable!("bytes are written as a string"),
    }
}

/// Bytes as the API writes them, read; `None`: it is no base64.
pub fn bytes(base64: &Value) -> Option<Vec<u8>> {
    let bytes: k8s_openapi::ByteString = serde_json::from_value(base64.clone()).ok()?;
    Some(bytes.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_the_text_that_others_write() {
        let certified = rcgen::generate_simple_self_signed(["x".to_owned()]).unwrap();
        let theirs = certified.cert.pem().replace("\r\n", "\n");
        assert_eq!(certificate(certified.cert.der()), theirs);
    }
}
