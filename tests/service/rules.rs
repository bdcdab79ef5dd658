// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whom the operator lets in, refuses or rations, and what the refused get.

use harness::backend::Backend;
use harness::client::{default_config, get, try_connect};
use harness::raw::{ClientHello, KeyShare, content, plain_record};
use harness::server::{Config, Server};
use rustls::HandshakeKind;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

/// A client's page, and whether its session was resumed; `None` if it was refused.
fn page(server: &Server, config: &std::sync::Arc<rustls::ClientConfig>) -> Option<bool> {
    let mut tls = try_connect(server.address, config).ok()?;
    get(&mut tls, "/").ok()?;
    Some(tls.conn.handshake_kind() == Some(HandshakeKind::Resumed))
}

fn refused(server: &Server) -> f64 {
    server.metric("ttls_connections_refused_total{limit=\"rule\"}")
}

#[test]
fn by_fingerprint_but_never_who_resumes() {
    let backend = Backend::http();
    let mut server = Server::start(&Config::new(&backend));
    let regular = default_config();
    assert_eq!(page(&server, &regular), Some(false));
    let line = server.logged(&["fingerprint=t13d"]);
    let fingerprint = line.split("fingerprint=").nth(1).and_then(|rest| rest.split(' ').next()).expect("JA4");
    let deny = format!("[[rule]]\naction = \"deny\"\nfingerprints = [{fingerprint:?}]");
    server.reload(&Config::new(&backend).table(&deny));
    // A new client has the same fingerprint, and no session.
    server.wait("the rule", |s| page(s, &default_config()).is_none());
    assert_eq!(page(&server, &regular), Some(true));
    let before = refused(&server);
    assert_eq!(page(&server, &default_config()), None);
    server.wait("it to be counted", |s| refused(s) == before + 1.0);
    server.logged(&["rule=1 "]);
    // Another fingerprint is not meant.
    let other = "[[rule]]\naction = \"deny\"\nfingerprints = [\"t13d1516h2_8daaf6152771_02713d6af862\"]";
    server.reload(&Config::new(&backend).table(other));
    server.wait("the other rule", |s| page(s, &default_config()).is_some());
}

#[test]
fn by_prefix_and_by_name() {
    let backend = Backend::http();
    let deny = |what: &str| Config::new(&backend).table(&format!("[[rule]]\naction = \"deny\"\n{what}"));
    let mut server = Server::start(&deny("prefixes = [\"127.0.0.0/8\"]"));
    assert_eq!(page(&server, &default_config()), None);
    assert!(refused(&server) >= 1.0);
    server.reload(&deny("prefixes = [\"192.0.2.0/24\"]"));
    server.wait("another prefix", |s| page(s, &default_config()).is_some());
    server.reload(&deny("server_names = [\"TTLS.test\"]"));
    server.wait("the name", |s| page(s, &default_config()).is_none());
    // The first that is about a client decides.
    let allow = "[[rule]]\naction = \"allow\"\nprefixes = [\"127.0.0.1\"]\n[[rule]]\naction = \"deny\"";
    server.reload(&Config::new(&backend).table(allow));
    server.wait("the exception", |s| page(s, &default_config()).is_some());
}

#[test]
fn a_quota_is_for_all_together_and_who_resumes_is_free() {
    let backend = Backend::http();
    let quota = "[[rule]]\naction = \"quota\"\nserver_names = [\"ttls.test\"]\nrate = 1\nburst = 3";
    let server = Server::start(&Config::new(&backend).top("workers = 1").table(quota));
    let regular = default_config();
    assert_eq!(page(&server, &regular), Some(false));
    // One comes back each second, however long this takes: of so many at least some are beyond it.
    let mut full = 0;
    let begun = Instant::now();
    for _ in 0..30 {
        full += u64::from(page(&server, &default_config()) == Some(false));
    }
    let most = 3 + begun.elapsed().as_secs() + 1;
    assert!(full >= 2 && full <= most, "{full} of at most {most}");
    assert_eq!(page(&server, &regular), Some(true));
}

#[test]
fn connections_of_a_source_are_rationed() {
    let backend = Backend::http();
    let limits = "[limits]\nconnection_rate = 1\nconnection_burst = 3";
    let mut server = Server::start(&Config::new(&backend).top("workers = 1").table(limits));
    let regular = default_config();
    let (mut served, begun) = (0, Instant::now());
    for _ in 0..30 {
        served += u64::from(page(&server, &regular).is_some());
    }
    // One comes back each second.
    let most = 3 + begun.elapsed().as_secs() + 1;
    assert!(served >= 3 && served <= most, "{served} of at most {most}");
    let refused = server.metric("ttls_connections_refused_total{limit=\"connection_rate\"}");
    assert!(refused >= 30.0 - most as f64, "{refused}");
    server.logged(&["limit=limits.connection_rate"]);
    // A source that a load balancer names is rationed for itself.
    let proxy = format!("{limits}\n[proxy_protocol]\nfrom_client = \"required\"");
    let mut server = Server::start(
        &Config::bare("demo:").certificate("ecdsa.pem", "ecdsa.key").top("workers = 1").table(&proxy),
    );
    let answers = |server: &Server, source: &str| {
        let mut stream = TcpStream::connect(server.address).expect("connect");
        write!(stream, "PROXY TCP4 {source} 192.0.2.1 1 2\r\n").expect("send");
        let _ = stream.write_all(&hello());
        stream.read(&mut [0; 5]).is_ok_and(|count| count > 0)
    };
    server.wait("a source to have had enough", |s| !answers(s, "203.0.113.1"));
    assert!(answers(&server, "203.0.113.2"));
}

fn hello() -> Vec<u8> {
    plain_record(content::HANDSHAKE, &ClientHello::tls13(&[&KeyShare::x25519()]).encode())
}

/// Who is refused sees an end, or a reset where the operator says so, and nothing of TLS.
#[test]
fn the_refused_get_what_the_operator_says() {
    let backend = Backend::http();
    let rule = "[[rule]]\naction = \"deny\"\nserver_names = [\"ttls.test\"]";
    for (refused, end) in [("close", None), ("reset", Some(ErrorKind::ConnectionReset))] {
        let limits = format!("{rule}\n[limits]\nrefused = {refused:?}");
        let server = Server::start(&Config::new(&backend).table(&limits));
        let mut stream = TcpStream::connect(server.address).expect("connect");
        stream.write_all(&hello()).expect("send");
        let mut received = Vec::new();
        let ended = stream.read_to_end(&mut received).map_err(|error| error.kind());
        assert_eq!((ended.err(), received), (end, Vec::new()), "{refused}");
    }
}
