// SPDX-License-Identifier: MIT OR Apache-2.0
//! A TLS client whose every byte the test decides, so that it can send what no library would.
//!
//! It knows one suite per version (AES-128-GCM with SHA-256) and checks what it receives, but for the
//! certificate: the real clients do that.

mod hello;
mod keys;
mod tls12;
mod tls13;

pub use hello::{ClientHello, ServerHello, alpn, extension, key_share, key_shares, server_name, u16s};
pub use keys::{KeyShare, Protector, Schedule, hkdf_expand_label, hmac, prf, sha256, verify_data13};
pub use tls12::{Flight12, Keys12};
pub use tls13::{Flight13, Ticket, offer};

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// Content types (RFC 8446 §5.1).
pub mod content {
    #![allow(missing_docs)]
    pub const CHANGE_CIPHER_SPEC: u8 = 20;
    pub const ALERT: u8 = 21;
    pub const HANDSHAKE: u8 = 22;
    pub const APPLICATION_DATA: u8 = 23;
}

/// Handshake message types (RFC 8446 §4, RFC 5246 §7.4).
pub mod message {
    #![allow(missing_docs)]
    pub const HELLO_REQUEST: u8 = 0;
    pub const CLIENT_HELLO: u8 = 1;
    pub const SERVER_HELLO: u8 = 2;
    pub const NEW_SESSION_TICKET: u8 = 4;
    pub const END_OF_EARLY_DATA: u8 = 5;
    pub const ENCRYPTED_EXTENSIONS: u8 = 8;
    pub const CERTIFICATE: u8 = 11;
    pub const SERVER_KEY_EXCHANGE: u8 = 12;
    pub const CERTIFICATE_REQUEST: u8 = 13;
    pub const SERVER_HELLO_DONE: u8 = 14;
    pub const CERTIFICATE_VERIFY: u8 = 15;
    pub const CLIENT_KEY_EXCHANGE: u8 = 16;
    pub const FINISHED: u8 = 20;
    pub const CERTIFICATE_STATUS: u8 = 22;
    pub const KEY_UPDATE: u8 = 24;
    pub const MESSAGE_HASH: u8 = 254;
}

/// Alert descriptions (RFC 8446 §6, RFC 5246 §7.2).
pub mod alert {
    #![allow(missing_docs)]
    pub const CLOSE_NOTIFY: u8 = 0;
    pub const UNEXPECTED_MESSAGE: u8 = 10;
    pub const BAD_RECORD_MAC: u8 = 20;
    pub const RECORD_OVERFLOW: u8 = 22;
    pub const HANDSHAKE_FAILURE: u8 = 40;
    pub const BAD_CERTIFICATE: u8 = 42;
    pub const CERTIFICATE_REVOKED: u8 = 44;
    pub const ILLEGAL_PARAMETER: u8 = 47;
    pub const UNKNOWN_CA: u8 = 48;
    pub const DECODE_ERROR: u8 = 50;
    pub const DECRYPT_ERROR: u8 = 51;
    pub const PROTOCOL_VERSION: u8 = 70;
    pub const INTERNAL_ERROR: u8 = 80;
    pub const INAPPROPRIATE_FALLBACK: u8 = 86;
    pub const USER_CANCELED: u8 = 90;
    pub const NO_RENEGOTIATION: u8 = 100;
    pub const MISSING_EXTENSION: u8 = 109;
    pub const UNSUPPORTED_EXTENSION: u8 = 110;
    pub const UNRECOGNIZED_NAME: u8 = 112;
    pub const CERTIFICATE_REQUIRED: u8 = 116;
    pub const NO_APPLICATION_PROTOCOL: u8 = 120;
}

/// A version, where a test is for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl Version {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Tls12, Self::Tls13];
}

/// How a connection ended, as the client saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// An alert (level, description) came.
    Alert(u8, u8),
    /// The stream ended without an alert.
    Eof,
    /// The stream ended amid a record.
    Torn,
    /// The connection was reset.
    Reset,
    /// Nothing came for [`SILENCE`].
    Silence,
}

/// How long a server may stay silent before a test says so.
pub const SILENCE: Duration = Duration::from_secs(20);

/// One record as received, opened if keys are set.
#[derive(Debug, Clone)]
pub struct Record {
    /// Content type: the inner one where the record was protected.
    pub kind: u8,
    /// Its plaintext.
    pub body: Vec<u8>,
}

/// A connection in the hands of a test.
pub struct Client {
    /// The socket, for those who want less than a record.
    pub stream: TcpStream,
    /// All handshake messages so far, as RFC 8446 §4.4.1 hashes them.
    pub transcript: Vec<u8>,
    /// Protection of what is sent; `None` is plain text.
    pub seal: Option<Protector>,
    /// Protection of what is received.
    pub open: Option<Protector>,
    /// Sends every byte in a TCP segment of its own.
    pub one_by_one: bool,
    /// The longest plaintext received in one protected record, in bytes.
    pub longest: usize,
    handshake: Vec<u8>,
}

impl Client {
    /// Connects to `address`.
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).unwrap_or_else(|e| panic!("connect to {address}: {e}")))
    }

    /// Makes a full handshake by X25519.
    #[track_caller]
    pub fn establish(&mut self, version: Version) {
        let share = KeyShare::x25519();
        match version {
            Version::Tls12 => {
                let flight = self.hello12(&ClientHello::tls12());
                self.finish12(&flight, &share);
            }
            Version::Tls13 => {
                self.establish13(&ClientHello::tls13(&[&share]), &share);
            }
        }
    }

    /// Talks over a stream that is already connected.
    pub fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(SILENCE)).expect("set a time-out");
        // A Unix socket has nothing that delays.
        let _ = stream.set_nodelay(true);
        Self {
            stream,
            transcript: Vec::new(),
            seal: None,
            open: None,
            one_by_one: false,
            longest: 0,
            handshake: Vec::new(),
        }
    }

    /// Sends bytes as they are. A server that has hung up already is no failure here.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(if self.one_by_one { 1 } else { usize::MAX }) {
            let _ = self.stream.write_all(piece);
        }
    }

    /// Sends `body` in one record, protected if keys are set.
    pub fn send_record(&mut self, kind: u8, body: &[u8]) {
        let record = match &mut self.seal {
            Some(keys) => keys.seal(kind, body),
            None => plain_record(kind, body),
        };
        self.send_raw(&record);
    }

    /// Sends a handshake message and adds it to the transcript.
    pub fn send_message(&mut self, message: &[u8]) {
        self.transcript.extend_from_slice(message);
        self.send_record(content::HANDSHAKE, message);
    }

    /// The next record; how the connection ended if there is none.
    pub fn receive_record(&mut self) -> Result<Record, End> {
        let mut header = [0; 5];
        self.read_exact(&mut header)?;
        let mut body = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
        assert!(body.len() <= 16384 + 256 + 1024, "a record of {} bytes", body.len());
        self.read_exact(&mut body).map_err(|end| if end == End::Eof { End::Torn } else { end })?;
        let record = match &mut self.open {
            // The compatibility ChangeCipherSpec of TLS 1.3 is never protected.
            Some(keys) if !(keys.is_tls13() && header[0] == content::CHANGE_CIPHER_SPEC) => {
                let record = keys.open(header, &body);
                self.longest = self.longest.max(record.body.len());
                record
            }
            _ => Record { kind: header[0], body },
        };
        if record.kind == content::ALERT {
            assert_eq!(record.body.len(), 2, "an alert has two bytes");
            return Err(End::Alert(record.body[0], record.body[1]));
        }
        Ok(record)
    }

    /// The next handshake message, header included, added to the transcript.
    pub fn receive_message(&mut self) -> Result<Vec<u8>, End> {
        loop {
            if let Some(header) = self.handshake.first_chunk::<4>() {
                let length = 4 + usize::try_from(u32::from_be_bytes([0, header[1], header[2], header[3]]))
                    .expect("24 bits");
                if self.handshake.len() >= length {
                    let message: Vec<u8> = self.handshake.drain(..length).collect();
                    self.transcript.extend_from_slice(&message);
                    return Ok(message);
                }
            }
            let record = self.receive_record()?;
            match record.kind {
                content::HANDSHAKE => self.handshake.extend_from_slice(&record.body),
                content::CHANGE_CIPHER_SPEC
                    if self.open.is_none() || self.open.as_ref().is_some_and(Protector::is_tls13) =>
                {
                    assert_eq!(record.body, [1], "a ChangeCipherSpec is one byte");
                }
                other => panic!("expected a handshake message, got content type {other}: {:?}", record.body),
            }
        }
    }

    /// The next handshake message, which must be of the given type.
    #[track_caller]
    pub fn expect_message(&mut self, kind: u8) -> Vec<u8> {
        match self.receive_message() {
            Ok(message) => {
                assert_eq!(message[0], kind, "type of the next handshake message");
                message
            }
            Err(end) => panic!("waiting for handshake message {kind}, the connection ended: {end:?}"),
        }
    }

    /// Reads whatever still comes, to the end of the stream, and opens every record: all alerts, and how the stream ended.
    pub fn ends(&mut self) -> Vec<End> {
        let mut ends = Vec::new();
        loop {
            match self.receive_record() {
                Ok(_) => {}
                Err(alert @ End::Alert(..)) => ends.push(alert),
                Err(end) => {
                    ends.push(end);
                    return ends;
                }
            }
        }
    }

    /// Reads whatever still comes, up to the first alert or the end.
    pub fn end(&mut self) -> End {
        loop {
            match self.receive_record() {
                Ok(_) => {}
                Err(end) => return end,
            }
        }
    }

    /// Sends what `record` makes, at most `most` times, and stops when the server says something:
    /// its alert would be lost if it closed amid unread data.
    ///
    /// # Panics
    /// If it says nothing to all of them.
    #[track_caller]
    pub fn send_until_answered(&mut self, most: usize, mut record: impl FnMut(&mut Self) -> Vec<u8>) {
        self.stream.set_read_timeout(Some(Duration::from_millis(5))).expect("set a time-out");
        let mut answered = false;
        for _ in 0..most {
            let record = record(self);
            self.send_raw(&record);
            answered = self.stream.peek(&mut [0]).is_ok();
            if answered {
                break;
            }
        }
        self.stream.set_read_timeout(Some(SILENCE)).expect("set a time-out");
        assert!(answered || self.stream.peek(&mut [0]).is_ok(), "the server bore {most} of them");
    }

    /// Reads one record if the server sends it soon: its session tickets, which a test may not want to meet later.
    pub fn ticket_pending(&mut self) -> bool {
        self.stream.set_read_timeout(Some(Duration::from_millis(300))).expect("set a time-out");
        let came = self.receive_record().is_ok();
        self.stream.set_read_timeout(Some(SILENCE)).expect("set a time-out");
        came
    }

    /// True once the server has hung up, by FIN or RST; what it still sends is dropped.
    pub fn closed(&mut self) -> bool {
        let mut sink = [0; 4096];
        loop {
            match self.stream.read(&mut sink) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(e) => return !matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
            }
        }
    }

    /// Sends application data and returns everything up to the server's close, which must be orderly.
    #[track_caller]
    pub fn exchange(&mut self, request: &[u8]) -> Vec<u8> {
        self.send_record(content::APPLICATION_DATA, request);
        let mut response = Vec::new();
        loop {
            match self.receive_record() {
                Ok(record) if record.kind == content::APPLICATION_DATA => {
                    response.extend_from_slice(&record.body)
                }
                Ok(record) if record.kind == content::HANDSHAKE => {} // session tickets
                Ok(record) => panic!("content type {} amid application data", record.kind),
                Err(End::Alert(1, alert::CLOSE_NOTIFY)) => return response,
                Err(end) => panic!("no orderly close: {end:?} after {} bytes", response.len()),
            }
        }
    }

    /// Ends the sending direction (FIN) without a close_notify.
    pub fn shut(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    fn read_exact(&mut self, into: &mut [u8]) -> Result<(), End> {
        let mut filled = 0;
        while filled < into.len() {
            match self.stream.read(&mut into[filled..]) {
                Ok(0) if filled > 0 => return Err(End::Torn),
                Ok(0) => return Err(End::Eof),
                Ok(n) => filled += n,
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Err(End::Silence);
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(End::Reset),
            }
        }
        Ok(())
    }
}

/// A record without protection.
pub fn plain_record(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut record = vec![kind, 3, 3];
    record.extend_from_slice(&u16::try_from(body.len()).expect("fits a record").to_be_bytes());
    record.extend_from_slice(body);
    record
}

/// A handshake message from its body.
pub fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = u32::try_from(body.len()).expect("fits a message").to_be_bytes().to_vec();
    assert_eq!(message[0], 0, "a handshake message is shorter than 2^24 bytes");
    message[0] = kind;
    message.extend_from_slice(body);
    message
}

/// `body` with its length in front, in `N` bytes.
pub fn vector<const N: usize>(body: &[u8]) -> Vec<u8> {
    let length = u64::try_from(body.len()).expect("fits").to_be_bytes();
    assert!(length[..8 - N].iter().all(|b| *b == 0), "{} bytes do not fit a length of {N} bytes", body.len());
    [&length[8 - N..], body].concat()
}
