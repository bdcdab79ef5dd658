// SPDX-License-Identifier: MIT OR Apache-2.0
//! `GET /metrics` on its own address, from its own thread.

use super::listener;
use super::metrics::Metrics;
use rustix::io::Errno;
use rustix::net::{SocketFlags, bind as bind_to, listen};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// Opens the address.
///
/// # Errors
/// The address can not be bound.
pub fn bind(address: SocketAddr) -> Result<TcpListener, Errno> {
    let fd = listener::shareable(address, SocketFlags::CLOEXEC)?;
    bind_to(&fd, &address)?;
    listen(&fd, 128)?;
    Ok(fd.into())
}

/// Answers one request after the other, until the socket is shut down.
pub fn serve(listener: &TcpListener, metrics: &Metrics) {
    for stream in listener.incoming() {
        match stream {
            // A client that is slow or goes away has only itself to blame.
            Ok(stream) => drop(answer(stream, metrics)),
            Err(error) if error.kind() == ErrorKind::InvalidInput => return,
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

fn answer(mut stream: TcpStream, metrics: &Metrics) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.set_write_timeout(Some(Duration::from_secs(2)))?;
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut piece = [0; 1024];
        let count = stream.read(&mut piece)?;
        if count == 0 || request.len() > 8192 {
            return Ok(());
        }
        request.extend_from_slice(&piece[..count]);
    }
    let (status, body) = if request.starts_with(b"GET /metrics ") {
        ("200 OK", metrics.render())
    } else {
        ("404 Not Found", "GET /metrics\n".to_owned())
    };
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}
