// SPDX-License-Identifier: MIT OR Apache-2.0
//! What stands behind the server under test: plain-text programs that say what reached them.

use crate::raw::sha256;
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// A connection from the server under test.
pub trait Stream: Read + Write + Send {
    /// Ends the sending direction.
    fn finish(&self);
    /// A second handle to the same connection.
    fn duplicate(&self) -> Box<dyn Stream>;
}

macro_rules! stream {
    ($($kind:ty),*) => {$(
        impl Stream for $kind {
            fn finish(&self) {
                let _ = self.shutdown(Shutdown::Write);
            }
            fn duplicate(&self) -> Box<dyn Stream> {
                Box::new(self.try_clone().expect("duplicate a socket"))
            }
        }
    )*};
}
stream!(TcpStream, UnixStream);

/// Where a backend listens.
#[derive(Clone, Debug)]
pub enum Address {
    /// TCP.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// A backend; stops listening when dropped.
pub struct Backend {
    /// Where it listens.
    pub address: Address,
    accepted: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

impl Backend {
    /// Listens on a free TCP port of 127.0.0.1 and gives each connection to `handler` in a thread of its own.
    pub fn tcp(handler: impl Fn(Box<dyn Stream>) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
        let address = Address::Tcp(listener.local_addr().expect("own address"));
        Self::serve(address, move || listener.accept().map(|(s, _)| Box::new(s) as Box<dyn Stream>), handler)
    }

    /// Listens on the Unix socket `path`.
    pub fn unix(
        path: PathBuf,
        handler: impl Fn(Box<dyn Stream>) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = UnixListener::bind(&path).expect("listen");
        let accept = move || listener.accept().map(|(s, _)| Box::new(s) as Box<dyn Stream>);
        Self::serve(Address::Unix(path), accept, handler)
    }

    fn serve(
        address: Address,
        accept: impl Fn() -> io::Result<Box<dyn Stream>> + Send + 'static,
        handler: impl Fn(Box<dyn Stream>) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let (accepted, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let handler = Arc::new(handler);
        let (count, stopped) = (accepted.clone(), stop.clone());
        thread::spawn(move || {
            while let Ok(stream) = accept() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                count.fetch_add(1, Ordering::SeqCst);
                let handler = handler.clone();
                thread::spawn(move || {
                    // A connection that breaks is the business of the test that broke it.
                    let _ = handler(stream);
                });
            }
        });
        Self { address, accepted, stop }
    }

    /// A backend that answers HTTP, see [`http`].
    pub fn http() -> Self {
        Self::tcp(http)
    }

    /// How many connections it has accepted.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the accepting thread.
        match &self.address {
            Address::Tcp(address) => drop(TcpStream::connect(address)),
            Address::Unix(path) => drop(UnixStream::connect(path)),
        }
    }
}

/// `length` bytes that repeat nowhere near each other, the same for everyone.
pub fn pattern(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut out = Vec::with_capacity(length + 8);
    while out.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.truncate(length);
    out
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// A small HTTP/1.1 server, with or without a PROXY header in front.
///
/// - `GET /bytes/N`: [`pattern`] of N bytes; `GET /slow/N`: the same with a stall and pauses.
/// - `POST /hash`: the SHA-256 of the body; `POST /slow-hash`: the same, read with a stall and pauses.
/// - any other `GET`: one `key=value` line for each thing the PROXY header told.
///
/// # Errors
/// When the connection breaks.
pub fn http(stream: Box<dyn Stream>) -> io::Result<()> {
    let mut write = stream.duplicate();
    let mut read = BufReader::with_capacity(64 * 1024, stream);
    let proxy = proxy_header(&mut read)?;
    loop {
        let Some((request, headers)) = request(&mut read)? else { return Ok(()) };
        let length = headers.get("content-length").map_or(0, |l| l.parse().expect("a length"));
        let slow = request.contains("/slow");
        let mut body = vec![0; length];
        if slow {
            pause_often(body.chunks_mut(64 * 1024), |piece| read.read_exact(piece))?;
        } else {
            read.read_exact(&mut body)?;
        }
        let path = request.split(' ').nth(1).expect("a request line").to_owned();
        let number = || path.rsplit('/').next().and_then(|n| n.parse().ok()).expect("a number of bytes");
        let response = match path.split('/').nth(1).unwrap_or_default() {
            "bytes" | "slow" => pattern(number()),
            "hash" | "slow-hash" => hex(&sha256(&body)).into_bytes(),
            _ => proxy.iter().map(|(k, v)| format!("{k}={v}\n")).collect::<String>().into_bytes(),
        };
        let close = request.ends_with("HTTP/1.0")
            || headers.get("connection").is_some_and(|c| c.eq_ignore_ascii_case("close"));
        let connection = if close { "close" } else { "keep-alive" };
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: {connection}\r\n\r\n",
            response.len()
        );
        write.write_all(head.as_bytes())?;
        if slow {
            pause_often(response.chunks(64 * 1024), |piece| write.write_all(piece))?;
        } else {
            write.write_all(&response)?;
        }
        if close {
            return Ok(());
        }
    }
}

/// Stands still for a second, so that every buffer on the way fills, then goes on with many small pauses.
fn pause_often<T>(
    pieces: impl Iterator<Item = T>,
    mut each: impl FnMut(T) -> io::Result<()>,
) -> io::Result<()> {
    for (n, piece) in pieces.enumerate() {
        thread::sleep(Duration::from_millis(if n == 2 { 1000 } else { 1 }));
        each(piece)?;
    }
    Ok(())
}

/// Sends back what it receives; at the end of the input, ends its output.
///
/// # Errors
/// When the connection breaks.
pub fn echo(mut stream: Box<dyn Stream>) -> io::Result<()> {
    let mut write = stream.duplicate();
    io::copy(&mut stream, &mut write)?;
    write.finish();
    Ok(())
}

type Headers = BTreeMap<String, String>;

fn request(read: &mut impl BufRead) -> io::Result<Option<(String, Headers)>> {
    let mut first = String::new();
    if read.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let mut headers = Headers::new();
    loop {
        let mut line = String::new();
        read.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((key, value)) => headers.insert(key.to_ascii_lowercase(), value.trim().to_owned()),
            None => return Ok(Some((first.trim_end().to_owned(), headers))),
        };
    }
}

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// What the PROXY header says (version 1 or 2, if there is one), by name.
///
/// # Errors
/// When the connection breaks, or the header breaks the rules.
pub fn proxy_header(read: &mut impl BufRead) -> io::Result<Headers> {
    let mut told = Headers::new();
    match read.fill_buf()?.first() {
        Some(b'P') => {
            let mut line = String::new();
            read.read_line(&mut line)?;
            if !line.starts_with("PROXY ") {
                return Err(io::Error::other(format!("an odd first line: {line}")));
            }
            told.insert("proxy".into(), "1".into());
            told.insert("line".into(), line.trim_end().into());
        }
        Some(b'\r') => {
            let mut fixed = [0; 16];
            read.read_exact(&mut fixed)?;
            if &fixed[..12] != SIGNATURE || fixed[12] != 0x21 {
                return Err(io::Error::other(format!("not a PROXY v2 header: {fixed:?}")));
            }
            let mut rest = vec![0; usize::from(u16::from_be_bytes([fixed[14], fixed[15]]))];
            read.read_exact(&mut rest)?;
            told.insert("proxy".into(), "2".into());
            let (addresses, tlvs) = rest.split_at(if fixed[13] == 0x21 { 36 } else { 12 });
            let ports = addresses.len() - 4;
            let port = |at: usize| u16::from_be_bytes([addresses[at], addresses[at + 1]]);
            let ip = |at: usize| match fixed[13] {
                0x21 => {
                    std::net::Ipv6Addr::from(<[u8; 16]>::try_from(&addresses[at * 16..][..16]).expect("16"))
                        .to_string()
                }
                _ => std::net::Ipv4Addr::from(<[u8; 4]>::try_from(&addresses[at * 4..][..4]).expect("4"))
                    .to_string(),
            };
            told.insert("source".into(), format!("{} {}", ip(0), port(ports)));
            told.insert("destination".into(), format!("{} {}", ip(1), port(ports + 2)));
            tlv(tlvs, &mut told)?;
        }
        _ => {
            told.insert("proxy".into(), "none".into());
        }
    }
    Ok(told)
}

/// The TLVs of the PROXY protocol's section 2.2, and those inside PP2_TYPE_SSL.
fn tlv(mut bytes: &[u8], told: &mut Headers) -> io::Result<()> {
    let short = || io::Error::other("a TLV is cut off");
    while !bytes.is_empty() {
        let [kind, high, low] = *bytes.first_chunk().ok_or_else(short)?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let value = bytes.get(3..3 + length).ok_or_else(short)?;
        bytes = &bytes[3 + length..];
        let name = match kind {
            0x01 => "alpn",
            0x02 => "sni",
            0x20 => {
                told.insert("client".into(), format!("{:#04x}", value.first().ok_or_else(short)?));
                told.insert("verify".into(), hex(value.get(1..5).ok_or_else(short)?));
                tlv(&value[5..], told)?;
                continue;
            }
            0x21 => "version",
            0x22 => "cn",
            0x23 => "cipher",
            0x24 => "signature",
            0x25 => "key",
            0xe1 => "subject",
            _ => {
                told.insert(format!("{kind:#04x}"), String::from_utf8_lossy(value).into_owned());
                continue;
            }
        };
        told.insert(name.into(), String::from_utf8_lossy(value).into_owned());
    }
    Ok(())
}
