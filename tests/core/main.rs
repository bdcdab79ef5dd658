// SPDX-License-Identifier: MIT OR Apache-2.0
//! The core under the raw client: where a test has to rule the server's clock, its storage or its policy.

mod client_certificates;
mod flights;
mod floods;
mod names;
#[path = "../../tls/tests/support/mod.rs"]
mod support;

use harness::raw::{Client, ClientHello, KeyShare};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, ScopedJoinHandle};
use support::{Server, Site};

/// Has `act` talk to a server in this process. Returns what `act` returns, and the server as it ends, with all its output.
pub(crate) fn converse<T>(site: &Site, act: impl FnOnce(&mut Client) -> T) -> (T, Ended) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    thread::scope(|scope| {
        let serving: ScopedJoinHandle<'_, Ended> = scope.spawn(move || {
            let (stream, _) = listener.accept().expect("the client connects");
            serve(site, stream)
        });
        let mut client = Client::connect(address);
        let result = act(&mut client);
        let _ = client.stream.shutdown(std::net::Shutdown::Both);
        (result, serving.join().expect("the server ends"))
    })
}

/// Has the server send [`DOWNLOADED`] bytes of data.
pub(crate) const DOWNLOAD: u8 = b'd';
pub(crate) const DOWNLOADED: usize = 65_536;

/// Does a whole handshake.
pub(crate) fn established(client: &mut Client, tls13: bool) {
    let share = KeyShare::x25519();
    if tls13 {
        client.establish13(&ClientHello::tls13(&[&share]), &share);
    } else {
        let flight = client.hello12(&ClientHello::tls12());
        client.finish12(&flight, &share);
    }
}

/// What a server leaves.
pub(crate) struct Ended {
    /// All that it sent.
    pub(crate) sent: Vec<u8>,
    /// Why it failed.
    pub(crate) error: Option<ttls::Error>,
}

fn serve(site: &Site, mut stream: TcpStream) -> Ended {
    let mut server = Server::new(site);
    let (mut sent, mut chunk) = (Vec::new(), [0; 4096]);
    while server.error.is_none() && !server.closed {
        let count = match stream.read(&mut chunk) {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        server.receive(&chunk[..count]);
        if site.verifier.is_some() {
            // Later again, as a verifier that was not ready wants it.
            (0..8).for_each(|_| server.receive(&[]));
        }
        for _ in std::mem::take(&mut server.received).iter().filter(|&&byte| byte == DOWNLOAD) {
            server.send(&[0; DOWNLOADED]);
        }
        sent.extend_from_slice(&server.output);
        let _ = stream.write_all(&std::mem::take(&mut server.output));
    }
    let _ = stream.shutdown(std::net::Shutdown::Write);
    // Nothing unread is left behind: the close would reset the connection before the client has read its alert.
    while stream.read(&mut chunk).is_ok_and(|count| count > 0) {}
    Ended { sent, error: server.error }
}
