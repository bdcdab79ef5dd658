// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keys as command-line flags.

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// A list of strings.
    List,
    /// A number.
    Number,
    /// `true` or `false`.
    Switch,
}

use Kind::{List, Number, Switch, Text};

/// Every key that may be a flag. `[[certificate]]` has `--certificate`; `[[route]]` and `[[rule]]` are for the file.
pub const KEYS: &[(&str, Kind)] = &[
    ("listen", List),
    ("backend", Text),
    ("workers", Number),
    ("user", Text),
    ("group", Text),
    ("backlog", Number),
    ("tcp_keepalive", Text),
    ("tcp_fastopen", Switch),
    ("cpu", Text),
    ("tls.versions", List),
    ("tls.suites", List),
    ("tls.groups", List),
    ("tls.prefer_client_order", Switch),
    ("tls.alpn", List),
    ("tls.alpn_required", Switch),
    ("tls.unknown_name", Text),
    ("tls.extended_master_secret_required", Switch),
    ("tickets.enabled", Switch),
    ("tickets.secret_file", Text),
    ("tickets.previous_secret_file", Text),
    ("tickets.lifetime", Text),
    ("tickets.per_handshake", Number),
    ("client_certificates.mode", Text),
    ("client_certificates.ca_file", Text),
    ("client_certificates.crl_file", Text),
    ("proxy_protocol.to_backend", Text),
    ("proxy_protocol.from_client", Text),
    ("proxy_protocol.subject_tlv", Number),
    ("proxy_protocol.fingerprint_tlv", Number),
    ("timeouts.hello", Text),
    ("timeouts.handshake", Text),
    ("timeouts.connect", Text),
    ("timeouts.idle", Text),
    ("timeouts.close", Text),
    ("timeouts.drain", Text),
    ("timeouts.resolve", Text),
    ("limits.connections", Number),
    ("limits.half_open", Number),
    ("limits.per_prefix", Number),
    ("limits.connection_rate", Number),
    ("limits.connection_burst", Number),
    ("limits.refused", Text),
    ("limits.handshake_rate", Number),
    ("limits.handshake_burst", Number),
    ("limits.ipv4_prefix", Number),
    ("limits.ipv6_prefix", Number),
    ("limits.buffer_memory", Text),
    ("overload.target", Text),
    ("overload.interval", Text),
    ("overload.patience", Text),
    ("overload.standing", Text),
    ("overload.refuse_syn", Switch),
    ("log.format", Text),
    ("log.file", Text),
    ("log.connections", Text),
    ("log.errors_per_second", Number),
    ("metrics.listen", Text),
];

/// One flag as TOML, with what the operator wrote.
#[derive(Clone, Debug)]
pub struct Flag {
    /// `--key value`, for messages.
    pub written: String,
    /// The key and its value; or the certificate's table.
    pub(super) toml: String,
    /// Dotted key; `certificate` for `--certificate`.
    pub(super) key: String,
}

impl Flag {
    /// A flag `--key value`; `None` if there is no such key.
    pub fn new(key: &str, value: &str) -> Option<Self> {
        let written = format!("--{key} {value}");
        if key == "certificate" {
            let fields = ["chain", "key", "ocsp"].iter().zip(value.split(','));
            let fields: Vec<_> = fields.map(|(name, path)| format!("{name} = {}", quote(path))).collect();
            let toml = format!("certificate = [{{ {} }}]", fields.join(", "));
            return Some(Self { written, toml, key: key.into() });
        }
        let &(_, kind) = KEYS.iter().find(|&&(name, _)| name == key)?;
        let value = match kind {
            Number | Switch => value.to_owned(),
            Text if value.starts_with(['"', '\'']) => value.to_owned(),
            Text => quote(value),
            // `[::]:443` begins with a bracket, too.
            List if value.starts_with("[\"") || value.starts_with("['") || value == "[]" => value.to_owned(),
            List => {
                let items: Vec<_> = value.split(',').map(|item| quote(item.trim())).collect();
                format!("[{}]", items.join(", "))
            }
        };
        Some(Self { written, toml: format!("{key} = {value}"), key: key.into() })
    }
}

/// A TOML basic string.
fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toml(key: &str, value: &str) -> String {
        Flag::new(key, value).unwrap().toml
    }

    #[test]
    fn values_are_toml_with_the_quotes_left_out() {
        assert_eq!(toml("backend", "127.0.0.1:80"), "backend = \"127.0.0.1:80\"");
        assert_eq!(toml("backend", "'unix:/x'"), "backend = 'unix:/x'");
        assert_eq!(toml("listen", "[::]:443, 0.0.0.0:443"), "listen = [\"[::]:443\", \"0.0.0.0:443\"]");
        assert_eq!(toml("tls.versions", "1.3"), "tls.versions = [\"1.3\"]");
        assert_eq!(toml("tls.alpn", "[]"), "tls.alpn = []");
        assert_eq!(toml("workers", "2"), "workers = 2");
        assert_eq!(toml("user", "a\"\n"), "user = \"a\\\"\\u000A\"");
        assert_eq!(toml("certificate", "a,b"), "certificate = [{ chain = \"a\", key = \"b\" }]");
        assert!(Flag::new("nonsense", "1").is_none());
    }
}
