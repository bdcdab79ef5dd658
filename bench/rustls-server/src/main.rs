// SPDX-License-Identifier: MIT OR Apache-2.0
//! A small HTTPS server on rustls and aws-lc-rs, to be measured beside the others: one thread, one epoll
//! loop, level-triggered, with no system call that the work does not need.
//!
//! Usage: `rustls-server ADDRESS DIRECTORY CERTIFICATE KEY [CERTIFICATE KEY]`. Every file of the directory
//! is held in memory and served under its name; `/` is `index.html`.
#![forbid(unsafe_code)]

use nix::{setsockopt_impl, sockopt_impl};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{self, SendFlags, SocketFlags};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, ServerConfig, ServerConnection};
use rustls::sign::CertifiedKey;
use std::collections::HashMap;
use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

sockopt_impl!(
    /// Accept a connection only when its first bytes are here (tcp(7)).
    TcpDeferAccept, SetOnly, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, libc::c_int
);

/// Event data of the listening socket.
const LISTENER: u64 = u64::MAX;
/// Most plaintext that is encrypted ahead of what the socket takes.
const AHEAD: usize = 256 * 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, directory, keys @ ..] = &arguments[..] else {
        return Err("usage: rustls-server ADDRESS DIRECTORY CERTIFICATE KEY [CERTIFICATE KEY]".into());
    };
    let files = read_files(directory)?;
    let config = Arc::new(configure(keys)?);
    let listener = TcpListener::bind(address)?;
    net::listen(&listener, 4096)?;
    listener.set_nonblocking(true)?;
    // Accepted sockets inherit it.
    net::sockopt::set_tcp_nodelay(&listener, true)?;
    nix::sys::socket::setsockopt(&listener, TcpDeferAccept, &1)?;
    Server { listener: listener.into(), epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?, files, config }
        .run()
}

fn read_files(directory: &str) -> Result<HashMap<String, Arc<[u8]>>, Box<dyn Error>> {
    let mut files = HashMap::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let content: Arc<[u8]> = std::fs::read(entry.path())?.into();
        let name = entry.file_name().into_string().map_err(|_| "a file's name is not UTF-8")?;
        if name == "index.html" {
            files.insert("/".to_owned(), content.clone());
        }
        files.insert(format!("/{name}"), content);
    }
    Ok(files)
}

fn configure(keys: &[String]) -> Result<ServerConfig, Box<dyn Error>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut certified = Vec::new();
    for pair in keys.chunks_exact(2) {
        let chain = CertificateDer::pem_file_iter(&pair[0])?.collect::<Result<Vec<_>, _>>()?;
        let key = provider.key_provider.load_private_key(PrivateKeyDer::from_pem_file(&pair[1])?)?;
        certified.push(Arc::new(CertifiedKey::new(chain, key)));
    }
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(ByScheme(certified)));
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    // Tickets carry the sessions.
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// The first certificate whose key the client accepts.
#[derive(Debug)]
struct ByScheme(Vec<Arc<CertifiedKey>>);

impl ResolvesServerCert for ByScheme {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.iter().find(|key| key.key.choose_scheme(hello.signature_schemes()).is_some()).cloned()
    }
}

struct Server {
    listener: OwnedFd,
    epoll: OwnedFd,
    files: HashMap<String, Arc<[u8]>>,
    config: Arc<ServerConfig>,
}

struct Connection {
    socket: OwnedFd,
    tls: ServerConnection,
    /// The request's head so far.
    request: Vec<u8>,
    /// What is left of the response's body.
    body: Option<(Arc<[u8]>, usize)>,
    close_after: bool,
    waits_to_send: bool,
}

impl Server {
    fn run(self) -> Result<(), Box<dyn Error>> {
        epoll::add(&self.epoll, &self.listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        let mut connections: Vec<Option<Box<Connection>>> = Vec::new();
        let mut free = Vec::new();
        let mut events: Vec<epoll::Event> = Vec::with_capacity(512);
        loop {
            events.clear();
            epoll::wait(&self.epoll, spare_capacity(&mut events), None)?;
            for event in &events {
                let data = event.data.u64();
                if data == LISTENER {
                    self.accept(&mut connections, &mut free);
                    continue;
                }
                let slot = usize::try_from(data)?;
                let Some(connection) = &mut connections[slot] else { continue };
                if self.serve(connection, slot as u64).is_none() {
                    connections[slot] = None;
                    free.push(slot);
                }
            }
        }
    }

    fn accept(&self, connections: &mut Vec<Option<Box<Connection>>>, free: &mut Vec<usize>) {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        while let Ok(socket) = net::accept_with(&self.listener, flags) {
            let Ok(tls) = ServerConnection::new(self.config.clone()) else { return };
            let slot = free.pop().unwrap_or_else(|| {
                connections.push(None);
                connections.len() - 1
            });
            if epoll::add(&self.epoll, &socket, EventData::new_u64(slot as u64), EventFlags::IN).is_err() {
                free.push(slot);
                continue;
            }
            connections[slot] = Some(Box::new(Connection {
                socket,
                tls,
                request: Vec::new(),
                body: None,
                close_after: false,
                waits_to_send: false,
            }));
        }
    }

    /// `None` ends the connection.
    fn serve(&self, connection: &mut Connection, slot: u64) -> Option<()> {
        if !connection.waits_to_send {
            match connection.tls.read_tls(&mut Socket(&connection.socket)) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return None,
            }
            let Ok(state) = connection.tls.process_new_packets() else {
                let _ = connection.tls.write_tls(&mut Socket(&connection.socket));
                return None;
            };
            if state.plaintext_bytes_to_read() > 0 {
                let start = connection.request.len();
                connection.request.resize(start + state.plaintext_bytes_to_read(), 0);
                connection.tls.reader().read_exact(&mut connection.request[start..]).ok()?;
                self.answer(connection)?;
            }
            if state.peer_has_closed() {
                connection.close_after = true;
                connection.tls.send_close_notify();
            }
        }
        connection.send(&self.epoll, slot)
    }

    fn answer(&self, connection: &mut Connection) -> Option<()> {
        if connection.request.len() > 16 * 1024 {
            return None;
        }
        if !connection.request.ends_with(b"\r\n\r\n") {
            return Some(());
        }
        let head = str::from_utf8(&connection.request).ok()?;
        let path = head.strip_prefix("GET ")?.split(' ').next()?;
        connection.close_after = head.contains("Connection: close");
        let file = self.files.get(path)?.clone();
        connection.request.clear();
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n", file.len());
        connection.tls.set_buffer_limit(Some(AHEAD + head.len()));
        connection.tls.writer().write_all(head.as_bytes()).ok()?;
        connection.body = Some((file, 0));
        Some(())
    }
}

impl Connection {
    fn send(&mut self, epoll: &OwnedFd, slot: u64) -> Option<()> {
        loop {
            if let Some((file, sent)) = &mut self.body {
                *sent += self.tls.writer().write(&file[*sent..]).ok()?;
                if *sent == file.len() {
                    self.body = None;
                    if self.close_after {
                        self.tls.send_close_notify();
                    }
                }
            }
            if !self.tls.wants_write() {
                break;
            }
            match self.tls.write_tls(&mut Socket(&self.socket)) {
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    self.watch(epoll, slot, true)?;
                    return Some(());
                }
                Err(_) => return None,
            }
        }
        if self.close_after && self.body.is_none() {
            return None;
        }
        self.watch(epoll, slot, false)
    }

    fn watch(&mut self, epoll: &OwnedFd, slot: u64, sending: bool) -> Option<()> {
        if sending != self.waits_to_send {
            self.waits_to_send = sending;
            let interest = if sending { EventFlags::OUT } else { EventFlags::IN };
            epoll::modify(epoll, &self.socket, EventData::new_u64(slot), interest).ok()?;
        }
        Some(())
    }
}

/// A socket as std's traits want it: several buffers in one call.
struct Socket<'a>(&'a OwnedFd);

impl std::io::Read for Socket<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        Ok(net::recv(self.0.as_fd(), buffer, net::RecvFlags::empty())?.0)
    }
}

impl std::io::Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(net::send(self.0.as_fd(), bytes, SendFlags::NOSIGNAL)?)
    }

    fn write_vectored(&mut self, buffers: &[std::io::IoSlice<'_>]) -> std::io::Result<usize> {
        // A socket shut by its peer gives EPIPE here, not a signal: MSG_NOSIGNAL.
        match net::sendmsg(
            self.0.as_fd(),
            buffers,
            &mut net::SendAncillaryBuffer::default(),
            SendFlags::NOSIGNAL,
        ) {
            Ok(sent) => Ok(sent),
            Err(Errno::INTR) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
