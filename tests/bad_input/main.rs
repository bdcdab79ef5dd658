// SPDX-License-Identifier: MIT OR Apache-2.0
//! What each malformed thing gets: one row of the table in SECURITY.md, one attack on a running server.
//!
//! The rows are the document's source: `TTLS_WRITE_TABLE=1 cargo test -p ttls-tests --test bad_input`
//! writes them into SECURITY.md; without it, the test checks that they stand there.

mod client_hello;
mod established;
mod record;
mod tickets;
mod tls12;
mod tls13;

use harness::backend::Backend;
use harness::raw::{Client, End};
use harness::server::{Config, Server};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

/// One malformed thing.
pub(crate) struct Row {
    /// What the client sends, for people.
    pub(crate) sent: &'static str,
    /// Which server it is sent to.
    pub(crate) to: To,
    /// What it gets.
    pub(crate) gets: Gets,
    /// What the connection's line in the log holds; empty where nothing is wrong.
    pub(crate) log: &'static str,
    /// Does it.
    pub(crate) act: fn(&mut Client, SocketAddr),
}

/// Servers with different settings.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum To {
    Default,
    /// `unknown_name = "refuse"`
    Strict,
    /// `alpn = ["http/1.1"]`
    Alpn,
    /// `mode = "required"`
    ClientCertificate,
    /// `groups = ["secp256r1"]`
    P256Only,
}

/// What a client gets for it.
#[derive(Clone, Copy)]
pub(crate) enum Gets {
    /// A fatal alert as the last record, then the end of the connection.
    Alert(u8),
    /// The end of the connection, and no alert.
    Closed,
    /// Service: the thing is tolerated, and the request after it is answered.
    Served,
    /// The act itself checks what it gets, up to and including the end; for people, what that is.
    Checked(&'static str),
}

const REQUEST: &[u8] = b"GET / HTTP/1.0\r\n\r\n";

fn sections() -> [(&'static str, &'static [Row]); 6] {
    [
        ("Records", record::ROWS),
        ("ClientHello", client_hello::ROWS),
        ("Tickets and early data", tickets::ROWS),
        ("TLS 1.3 handshake", tls13::ROWS),
        ("TLS 1.2 handshake", tls12::ROWS),
        ("Established connections", established::ROWS),
    ]
}

fn server(backend: &Backend, to: To) -> Server {
    let config = Config::new(backend);
    Server::start(&match to {
        To::Default => config.certificate("rsa2048.pem", "rsa2048.key"),
        To::Strict => config.table("[tls]\nunknown_name = \"refuse\""),
        To::Alpn => config.table("[tls]\nalpn = [\"http/1.1\"]"),
        To::P256Only => config.table("[tls]\ngroups = [\"secp256r1\"]"),
        To::ClientCertificate => {
            let ca = harness::pki::pki().text("client-ca.crt");
            config.table(&format!("[client_certificates]\nmode = \"required\"\nca_file = {ca:?}"))
        }
    })
}

#[test]
fn every_row() {
    let backend = Backend::http();
    let mut servers = BTreeMap::new();
    let mut wrong = Vec::new();
    let (mut passed, only) = (0, std::env::var("ROW").unwrap_or_default());
    for row in sections().into_iter().flat_map(|(_, rows)| rows).filter(|row| row.sent.contains(&only)) {
        let server = servers.entry(row.to).or_insert_with(|| server(&backend, row.to));
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| attack(server, row)));
        match outcome.unwrap_or_else(|panic| Err(format!("the client stopped: {}", text(&*panic)))) {
            Ok(()) => passed += 1,
            Err(why) => wrong.push(format!("- {}: {why}", row.sent)),
        }
        assert!(server.alive(), "the server died of: {}\n{}", row.sent, server.log_text());
    }
    // However they ended, nothing stays counted or lent.
    for server in servers.values_mut() {
        server.wait("all to end", |s| s.metric("ttls_connections") == 0.0);
        for gauge in ["ttls_connections_half_open", "ttls_buffers", "ttls_buffer_memory_bytes"] {
            assert_eq!(server.metric(gauge), 0.0, "{gauge}");
        }
    }
    assert!(wrong.is_empty(), "{} rows of {}:\n{}", wrong.len(), passed + wrong.len(), wrong.join("\n"));
}

fn attack(server: &mut Server, row: &Row) -> Result<(), String> {
    let mut client = Client::connect(server.address);
    let peer = client.stream.local_addr().expect("own address");
    (row.act)(&mut client, server.address);
    if let Gets::Served = row.gets {
        let response = client.exchange(REQUEST);
        if !response.starts_with(b"HTTP/1.1 200") {
            return Err(format!("an odd response: {}", String::from_utf8_lossy(&response)));
        }
    }
    // Every record to the end of the stream: after an alert or close_notify, nothing may follow.
    let ends = client.ends();
    let fits = match (row.gets, &ends[..]) {
        (Gets::Alert(alert), [first, rest @ ..]) => {
            *first == End::Alert(2, alert) && matches!(rest, [End::Eof | End::Reset])
        }
        (_, ends) => matches!(ends, [End::Eof | End::Reset]),
    };
    if !fits {
        let log = server.log_text();
        return Err(format!(
            "the stream ends with {ends:?}; log: {}",
            log.lines().last().unwrap_or_default()
        ));
    }
    drop(client);
    let line = server.logged_connection(peer);
    let fits = if row.log.is_empty() { line.contains("result=ok") } else { line.contains(row.log) };
    if fits { Ok(()) } else { Err(format!("expected {:?} in the log, got: {line}", row.log)) }
}

fn text(panic: &(dyn std::any::Any + Send)) -> String {
    match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
        (Some(text), _) => text.clone(),
        (_, Some(text)) => (*text).to_owned(),
        _ => "no message".into(),
    }
}

const BEGIN: &str =
    "<!-- The rows below are written by tests/bad_input, which also sends each of them. -->\n";
const END: &str = "<!-- end of rows -->\n";

fn table() -> String {
    let mut out = String::from(BEGIN);
    for (section, rows) in sections() {
        writeln!(
            out,
            "\n**{section}**\n\n| What the client sends | What it gets | What the log says |\n|---|---|---|"
        )
        .expect("a string");
        for row in rows {
            let gets = match row.gets {
                Gets::Alert(alert) => format!("alert `{}`", alert_name(alert)),
                Gets::Closed => "closed without an alert".into(),
                Gets::Served => "served".into(),
                Gets::Checked(what) => what.into(),
            };
            let log = if row.log.is_empty() { "ok".into() } else { format!("`{}`", row.log) };
            writeln!(out, "| {} | {gets} | {log} |", row.sent).expect("a string");
        }
    }
    out + "\n" + END
}

fn alert_name(code: u8) -> &'static str {
    use harness::raw::alert::*;
    match code {
        UNEXPECTED_MESSAGE => "unexpected_message",
        BAD_RECORD_MAC => "bad_record_mac",
        RECORD_OVERFLOW => "record_overflow",
        HANDSHAKE_FAILURE => "handshake_failure",
        BAD_CERTIFICATE => "bad_certificate",
        ILLEGAL_PARAMETER => "illegal_parameter",
        DECODE_ERROR => "decode_error",
        DECRYPT_ERROR => "decrypt_error",
        PROTOCOL_VERSION => "protocol_version",
        INAPPROPRIATE_FALLBACK => "inappropriate_fallback",
        NO_RENEGOTIATION => "no_renegotiation",
        MISSING_EXTENSION => "missing_extension",
        UNSUPPORTED_EXTENSION => "unsupported_extension",
        UNRECOGNIZED_NAME => "unrecognized_name",
        CERTIFICATE_REQUIRED => "certificate_required",
        NO_APPLICATION_PROTOCOL => "no_application_protocol",
        other => panic!("alert {other} has no name here"),
    }
}

#[test]
fn security_md_has_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../SECURITY.md");
    let document = std::fs::read_to_string(path).expect("SECURITY.md");
    let begin = document.find(BEGIN).expect("SECURITY.md has a place for the table");
    let end = document.find(END).expect("SECURITY.md has an end of the table") + END.len();
    if std::env::var_os("TTLS_WRITE_TABLE").is_some() {
        let new = [&document[..begin], &table(), &document[end..]].concat();
        std::fs::write(path, new).expect("write SECURITY.md");
    } else {
        assert!(
            document[begin..end] == table(),
            "SECURITY.md differs from the rows: TTLS_WRITE_TABLE=1 rewrites it"
        );
    }
}
