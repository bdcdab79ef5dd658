// SPDX-License-Identifier: MIT OR Apache-2.0
//! `GET /metrics` and `GET /health` on an address of their own, from threads of their own.

use super::listener;
use super::metrics::Metrics;
use rustix::io::Errno;
use rustix::net::{SocketFlags, listen};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// From accept to the last byte of the answer.
const DEADLINE: Duration = Duration::from_secs(5);
/// Requests that are answered at a time. More wait, for [`DEADLINE`] at most.
const AT_A_TIME: usize = 16;
/// Longest request, in bytes.
const REQUEST: usize = 8 << 10;

/// Opens the address.
///
/// # Errors
/// The address can not be bound.
pub fn bind(address: SocketAddr) -> Result<TcpListener, Errno> {
    let fd = listener::shareable(address, SocketFlags::CLOEXEC)?;
    listener::bind_now_or_later(&fd, address)?;
    listen(&fd, 128)?;
    Ok(fd.into())
}

/// Answers requests until the socket is shut down.
pub fn serve(listener: &TcpListener, metrics: &Arc<Metrics>) {
    // Each thread that answers holds a clone.
    let busy = Arc::new(());
    for stream in listener.incoming() {
        match stream {
            Ok(stream) => {
                let (metrics, busy) = (Arc::clone(metrics), Arc::clone(&busy));
                let answer = move || {
                    // A client that is slow or goes away has only itself to blame.
                    let _ = answer(stream, &metrics);
                    drop(busy);
                };
                let _ = thread::Builder::new().name("ttls-metrics".into()).spawn(answer);
            }
            Err(error) if error.kind() == ErrorKind::InvalidInput => return,
            Err(_) => thread::sleep(Duration::from_millis(100)),
        }
        while Arc::strong_count(&busy) > AT_A_TIME {
            thread::sleep(Duration::from_millis(10));
        }
    }
}

fn answer(mut stream: TcpStream, metrics: &Metrics) -> io::Result<()> {
    let deadline = Instant::now() + DEADLINE;
    let request = receive(&mut stream, deadline)?;
    let Answer { status, more, kind, body, with_body } = respond(&request, metrics);
    let length = body.len();
    let mut text = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nCache-Control: no-store\r\n{more}Connection: close\r\n\r\n"
    );
    if with_body {
        text.push_str(&body);
    }
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        stream.set_write_timeout(Some(left(deadline)?))?;
        let count = stream.write(rest)?;
        rest = rest.get(count..).unwrap_or_default();
    }
    Ok(())
}

/// The request up to the empty line that ends its header.
fn receive(stream: &mut TcpStream, deadline: Instant) -> io::Result<Vec<u8>> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut piece = [0; 1024];
        stream.set_read_timeout(Some(left(deadline)?))?;
        match stream.read(&mut piece)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            _ if request.len() > REQUEST => return Err(ErrorKind::InvalidData.into()),
            count => request.extend_from_slice(piece.get(..count).unwrap_or_default()),
        }
    }
    Ok(request)
}

/// What is left until the deadline.
fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}

struct Answer {
    status: &'static str,
    more: &'static str,
    kind: &'static str,
    body: String,
    with_body: bool,
}

/// Answers a request (RFC 9110 §9.3.1 and §9.3.2; targets in the forms of RFC 9112 §3.2.1 and §3.2.2).
fn respond(request: &[u8], metrics: &Metrics) -> Answer {
    const TEXT: &str = "text/plain; charset=utf-8";
    let mut line =
        request.split(|&byte| byte == b'\r').next().unwrap_or_default().split(|&byte| byte == b' ');
    let (method, target) = (line.next().unwrap_or_default(), line.next().unwrap_or_default());
    let text = |status, more, body: &str| Answer {
        status,
        more,
        kind: TEXT,
        body: body.to_owned(),
        with_body: method != b"HEAD",
    };
    if !matches!(method, b"GET" | b"HEAD") {
        return text("405 Method Not Allowed", "Allow: GET, HEAD\r\n", "GET or HEAD\n");
    }
    match path(target) {
        b"/metrics" => {
            let kind = "text/plain; version=0.0.4; charset=utf-8";
            Answer { kind, body: metrics.render(), ..text("200 OK", "", "") }
        }
        b"/health" if metrics.is_draining() => text("503 Service Unavailable", "", "draining\n"),
        b"/health" => text("200 OK", "", "ok\n"),
        _ => text("404 Not Found", "", "/metrics or /health\n"),
    }
}

/// The path of a request's target, without its query.
fn path(target: &[u8]) -> &[u8] {
    let target = target.split(|&byte| byte == b'?').next().unwrap_or_default();
    let Some(rest) = target.strip_prefix(b"http://") else { return target };
    let start = rest.iter().position(|&byte| byte == b'/');
    start.and_then(|start| rest.get(start..)).unwrap_or(b"/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_all_forms() {
        let metrics = Metrics::default();
        let answer = |request: &str| {
            let Answer { status, body, with_body, .. } =
                respond(format!("{request}\r\nHost: x\r\n\r\n").as_bytes(), &metrics);
            (status.split(' ').next().unwrap().to_owned(), with_body, body)
        };
        for target in ["/metrics", "/metrics?name[]=up", "http://host:9443/metrics", "http://host/metrics?x"]
        {
            let (status, with_body, body) = answer(&format!("GET {target} HTTP/1.1"));
            assert_eq!((status.as_str(), with_body), ("200", true), "{target}");
            assert!(body.contains("ttls_connections 0\n"));
            let (status, with_body, same) = answer(&format!("HEAD {target} HTTP/1.0"));
            assert!(status == "200" && !with_body && same.len() >= body.len() - 20, "{target}");
        }
        assert_eq!(answer("GET / HTTP/1.1").0, "404");
        assert_eq!(answer("GET http://host HTTP/1.1").0, "404");
        assert_eq!(answer("GET /metricsx HTTP/1.1").0, "404");
        assert_eq!(answer("POST /metrics HTTP/1.1").0, "405");
        assert_eq!(answer("").0, "405");
        assert_eq!(answer("GET /health HTTP/1.1"), ("200".into(), true, "ok\n".into()));
        metrics.drain();
        assert_eq!(answer("GET /health HTTP/1.1"), ("503".into(), true, "draining\n".into()));
    }
}
