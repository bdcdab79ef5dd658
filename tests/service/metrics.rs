// SPDX-License-Identifier: MIT OR Apache-2.0
//! The address for metrics: slow clients hold up no others, and its health goes with the drain.

use harness::backend::Backend;
use harness::client::{connect, default_config, get};
use harness::server::{Config, Server};
use rustix::process::Signal;
use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

fn ask(server: &Server, request: &str) -> String {
    let mut stream = TcpStream::connect(server.metrics).expect("connect to the metrics address");
    stream.write_all(request.as_bytes()).expect("send");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("receive");
    answer
}

#[test]
fn a_slow_client_holds_up_no_other_and_has_one_deadline() {
    let backend = Backend::http();
    let server = Server::start(&Config::new(&backend));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut slow = TcpStream::connect(server.metrics).expect("connect");
                slow.set_nonblocking(true).expect("non-blocking");
                // A byte now and then, for ever.
                loop {
                    let sent = slow.write(b"G");
                    let received = slow.read(&mut [0; 100]);
                    if sent.is_err() || !matches!(&received, Err(e) if e.kind() == ErrorKind::WouldBlock) {
                        break;
                    }
                    thread::sleep(Duration::from_millis(200));
                }
            });
        }
        assert!(server.metrics_text().contains("ttls_connections 0\n"));
    });
}

#[test]
fn health_goes_with_the_drain() {
    let backend = Backend::http();
    let mut server = Server::start(&Config::new(&backend));
    let health = |server: &Server| ask(server, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(health(&server).starts_with("HTTP/1.1 200 OK\r\n"));
    let head = ask(&server, "HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    let mut tls = connect(server.address, &default_config());
    get(&mut tls, "/").expect("a response");
    server.signal(Signal::TERM);
    server.wait("the health to go", |s| health(s).starts_with("HTTP/1.1 503 "));
    assert_eq!(server.metric("ttls_draining"), 1.0);
    drop(tls);
    assert!(server.ended().success());
}

// The conventions that `promtool check metrics` looks at.
#[test]
fn metrics_follow_the_conventions_and_tell_of_reloads() {
    let backend = Backend::http();
    let mut server = Server::start(&Config::new(&backend));
    let page = server.metrics_text();
    let mut kinds = HashMap::new();
    for line in page.lines().skip_while(|line| !line.is_empty()).filter(|line| !line.is_empty()) {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
            assert!(kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "twice: {line}");
        } else if !line.starts_with("# HELP ") {
            let name = line.split([' ', '{']).next().expect("a name");
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            let family = family.filter(|family| kinds.get(*family).is_some_and(|kind| kind == "histogram"));
            assert!(kinds.contains_key(family.unwrap_or(name)), "without type: {line}");
            assert!(line.rsplit(' ').next().is_some_and(|value| value.parse::<f64>().is_ok()), "{line}");
        }
    }
    for name in
        ["process_open_fds", "process_resident_memory_bytes", "process_cpu_seconds_total", "ttls_build_info"]
    {
        assert!(server.metric(name) > 0.0, "{name}");
    }
    assert_eq!(server.metric("ttls_config_last_reload_successful"), 1.0);
    let first = server.metric("ttls_config_last_reload_success_timestamp_seconds");
    server.reload(&Config::bare("nonsense"));
    server.wait("a reload that fails", |s| s.metric("ttls_config_last_reload_successful") == 0.0);
    assert_eq!(server.metric("ttls_config_last_reload_success_timestamp_seconds"), first);
    server.reload(&Config::new(&backend));
    server.wait("a reload", |s| s.metric("ttls_config_last_reload_successful") == 1.0);
    assert!(server.metric("ttls_config_last_reload_success_timestamp_seconds") > first);
}

#[test]
fn what_happened_is_on_the_page() {
    let backend = Backend::http();
    let route = format!(
        "[[route]]\nnames = [\"ttls.test\"]\nbackend = \"{}\"\n[[route]]\nnames = [\"dead.test\"]\nbackend = \"127.0.0.1:1\"",
        harness::server::backend_text(&backend.address)
    );
    let config = Config::new(&backend).table(&route);
    let mut server = Server::start(&config);
    let mut tls = connect(server.address, &default_config());
    get(&mut tls, "/").expect("a response");
    drop(tls);
    server.wait("the connection to end", |s| s.metric("ttls_connections") == 0.0);
    let sum = |server: &Server, name: &str| -> f64 {
        let text = server.metrics_text();
        let samples = text.lines().filter(|line| line.starts_with(name));
        samples
            .map(|line| line.rsplit(' ').next().and_then(|n| n.parse::<f64>().ok()).expect("a number"))
            .sum()
    };
    for name in [
        "ttls_handshakes_by_suite_total{",
        "ttls_handshakes_by_group_total{",
        "ttls_handshakes_by_alpn_total{alpn=\"none\"}",
        "ttls_handshake_duration_seconds_count",
        "ttls_handshake_wait_seconds_count",
        "ttls_handshakes_by_class_total{",
        "ttls_handshakes_by_class_total{class=\"new\",outcome=\"completed\"}",
        "ttls_fingerprint_hellos{fingerprint=\"t13d",
        "ttls_fingerprinted_hellos_total",
        "ttls_backend_connect_duration_seconds_count",
        "ttls_route_connections_total{route=\"ttls.test\"",
    ] {
        assert_eq!(sum(&server, name), 1.0, "{name}");
    }
    for direction in ["in", "out"] {
        let route = sum(&server, "ttls_route_bytes_total{route=\"ttls.test\"");
        assert!(route > 0.0);
        assert_eq!(route, sum(&server, "ttls_bytes_total{"), "{direction}");
    }
    assert_eq!(sum(&server, "ttls_route_failures_total{"), 0.0);
    // A certificate's end is in the future, and the limits are those of the configuration.
    let text = server.metrics_text();
    let expiry = text.lines().find(|line| line.starts_with("ttls_certificate_expiry_timestamp_seconds{"));
    let expiry = expiry.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).expect("a certificate");
    assert!(expiry > sum(&server, "process_start_time_seconds"), "{expiry}");
    assert_eq!(sum(&server, "ttls_connections_limit"), 65_536.0);
    // A route that a reload keeps keeps its counts; one that goes is gone.
    server.reload(&Config::new(&backend).table(&format!(
        "[[route]]\nnames = [\"ttls.test\"]\nbackend = \"{}\"\n[limits]\nconnections = 100",
        harness::server::backend_text(&backend.address)
    )));
    server.wait("the route to go", |s| !s.metrics_text().contains("route=\"dead.test\""));
    assert_eq!(sum(&server, "ttls_route_connections_total{route=\"ttls.test\""), 1.0);
    assert_eq!(sum(&server, "ttls_connections_limit"), 100.0);
}

#[test]
fn a_failure_is_counted_with_its_route_and_reason() {
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("own address");
    let config = Config::bare(&nobody.to_string()).certificate("ecdsa.pem", "ecdsa.key");
    let mut server = Server::start(&config);
    let mut tls = connect(server.address, &default_config());
    assert!(get(&mut tls, "/").is_err());
    drop(tls);
    server.wait("the connection to end", |s| s.metric("ttls_connections") == 0.0);
    let sample = format!(
        "ttls_route_failures_total{{route=\"default\",backend=\"{nobody}\",reason=\"backend_refused\"}} 1\n"
    );
    let text = server.metrics_text();
    assert!(text.contains(&sample), "{text}");
    assert!(text.contains("\nttls_backend_connect_duration_seconds_count 0\n"), "{text}");
}

/// Prometheus' own judgement, where its tool is (Debian: prometheus, too large for all that test); the rules for names are tested without it.
#[test]
fn promtool_has_nothing_to_say() {
    let backend = Backend::http();
    let server = Server::start(&Config::new(&backend));
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut promtool) = command.spawn() else {
        eprintln!("left out: there is no promtool");
        return;
    };
    let answer = server.metrics_text();
    let (_, page) = answer.split_once("\r\n\r\n").expect("a header");
    promtool.stdin.take().expect("a pipe").write_all(page.as_bytes()).expect("send");
    let output = promtool.wait_with_output().expect("it runs");
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let alerts = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/monitoring/alerts.yml");
    let output = Command::new("promtool").args(["check", "rules", alerts]).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
