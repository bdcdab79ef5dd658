// SPDX-License-Identifier: MIT OR Apache-2.0
//! One handshake in the kernel: what has arrived goes in record by record, as long as records are complete.
//!
//! Bytes wait in the socket's own receive queue, where they count against its memory, until a record is whole.
//! So what is kept here is small, and what follows the client's Finished stays where kTLS will find it.

use crate::abi::{self, Cipher, Direction, Info, SECRET, Step as Next, Turn};
use crate::environment::{KernelRandom, environment};
use crate::site::Site;
use core::ffi::c_int;
use core::mem::MaybeUninit;
use ttls::alert::Alert;
use ttls::error::Culprit;
use ttls::handshake::Established;
use ttls::suite;
use ttls::{Environment, Error, Handshake, Inbound, Job, Outbound, Session, Step, Window};
use ttls_crypto::aead::Algorithm;
use ttls_crypto::hash::Digest;
use ttls_crypto::job::{Failed, Output};

/// Bytes of a handshake message that is cut across records, kept until its rest arrives.
const CUT_MESSAGE: usize = 2048;

/// A connection's state. C provides zeroed memory, and wipes it at the end.
pub struct Connection {
    begun: bool,
    handshake: MaybeUninit<Handshake>,
    window: Window,
    /// Work that waits for the worker.
    pub job: Option<Job>,
    storage: [u8; CUT_MESSAGE],
}

const _: () = assert!(size_of::<Connection>() <= 8192, "a half-open handshake stays small");

impl Connection {
    /// Makes zeroed memory a connection.
    ///
    /// # Safety
    /// `memory` is zeroed, or was made a connection before; nobody else uses it.
    unsafe fn begin<'c>(memory: *mut Self) -> &'c mut Self {
        // SAFETY: `begun` is false in zeroed memory. Fields are written before they are borrowed.
        unsafe {
            if !(*memory).begun {
                (&raw mut (*memory).handshake).write(MaybeUninit::new(Handshake::new()));
                (&raw mut (*memory).window).write(Window::default());
                (&raw mut (*memory).job).write(None);
                (*memory).begun = true;
            }
            &mut *memory
        }
    }

    fn parts(&mut self) -> (&mut Handshake, &mut Window, &mut [u8; CUT_MESSAGE]) {
        // SAFETY: `begin` wrote the handshake.
        let handshake = unsafe { self.handshake.assume_init_mut() };
        (handshake, &mut self.window, &mut self.storage)
    }

    /// Goes on with a complete record that lies in the first `len` bytes of `input`.
    fn receive(
        &mut self,
        env: &mut Environment<'_>,
        input: &mut [u8],
        len: usize,
        out: &mut Outbound<'_>,
    ) -> Result<Step, Error> {
        const TOO_LONG: Error = Error::Malformed("handshake message: longer than the limit");
        let (handshake, window, storage) = self.parts();
        let pending = window.pending();
        if pending == 0 {
            *window = Window::default();
        } else {
            if pending + len > input.len() {
                return Err(TOO_LONG);
            }
            input.copy_within(..len, pending);
            Inbound::new(storage, window).move_to(input)?;
        }
        let mut inbound = Inbound::new(input, window);
        // The bytes lie there already.
        if inbound.free().len() < len {
            return Err(TOO_LONG);
        }
        inbound.received(len);
        let step = handshake.receive(env, &mut inbound, out);
        if matches!(step, Step::Established | Step::Failed(_)) {
            return Ok(step);
        }
        match inbound.move_to(storage) {
            Ok(_) => Ok(step),
            Err(_) => Err(TOO_LONG),
        }
    }

    /// Goes on with the result of a job.
    pub fn resume(
        &mut self,
        env: &mut Environment<'_>,
        done: &Result<Output, Failed>,
        out: &mut Outbound<'_>,
    ) -> Step {
        let (handshake, window, storage) = self.parts();
        handshake.resume(env, done, &mut Inbound::new(storage, window), out)
    }

    fn abort(&mut self, out: &mut Outbound<'_>) {
        self.parts().0.abort(Alert::DECODE_ERROR, out);
    }

    /// Tells C what comes next.
    pub fn settle(&mut self, step: Step, turn: &mut Turn) {
        let next = match step {
            Step::Receive => Next::Receive,
            Step::Work(job) => {
                self.job = Some(job);
                Next::Work
            }
            Step::Established => {
                let established = self.parts().0.take_established();
                let handed = established.as_ref().and_then(hand_over);
                // SAFETY: C provides the place; it is written as a whole.
                match handed.map(|out| unsafe { turn.established.write(out) }) {
                    Some(()) => Next::Established,
                    None => Next::Failed,
                }
            }
            Step::Failed(error) => {
                let culprit = match error.culprit() {
                    Culprit::Peer => abi::Culprit::Peer,
                    Culprit::Mismatch => abi::Culprit::Mismatch,
                    Culprit::Local => abi::Culprit::Local,
                };
                turn.culprit = culprit as u32;
                Next::Failed
            }
            // A record is handed in whole, into storage that holds the longest.
            Step::Enlarge { .. } => Next::Failed,
        };
        turn.step = next as u32;
    }
}

/// The borrowed parts of a turn.
///
/// # Safety
/// The turn's pointers are valid for the call, and nobody else uses the connection or the buffers.
pub unsafe fn parts<'a>(turn: &Turn) -> Option<(&'a mut Connection, &'a Site<'a>, &'a mut [u8])> {
    let size = usize::try_from(turn.output_size).ok()?;
    // SAFETY: promised by the caller.
    unsafe {
        Some((
            Connection::begin(turn.connection.cast()),
            &*turn.site.cast::<Site<'_>>(),
            core::slice::from_raw_parts_mut(turn.output, size),
        ))
    }
}

/// Takes a record in.
///
/// # Safety
/// The turn's pointers are valid for the call, and nobody else uses the connection or the buffers.
#[inline(never)]
pub unsafe fn receive(turn: &mut Turn) -> c_int {
    // SAFETY: promised by the caller.
    let parts = unsafe { parts(turn) };
    let (Some((connection, site, output)), Ok(size), Ok(len)) =
        (parts, usize::try_from(turn.input_size), usize::try_from(turn.input_len))
    else {
        return crate::abi::INVALID;
    };
    // SAFETY: promised by the caller.
    let input = unsafe { core::slice::from_raw_parts_mut(turn.input, size) };
    let mut random = KernelRandom;
    let mut env = environment(site, &mut random, turn.now);
    let mut written = 0;
    let mut out = Outbound::new(output, &mut written);
    let step = connection.receive(&mut env, input, len, &mut out).unwrap_or_else(|error| {
        connection.abort(&mut out);
        Step::Failed(error)
    });
    connection.settle(step, turn);
    match u32::try_from(written) {
        Ok(written) => turn.output_len = written,
        Err(_) => return crate::abi::INVALID,
    }
    0
}

/// What kTLS and the socket option need. `None` cannot occur on an established connection.
fn hand_over(established: &Established) -> Option<abi::Established> {
    let traffic = &established.traffic;
    let (receive, send) = traffic.keys()?;
    let info = info(&established.session, traffic.record_limit());
    let (client, server) = traffic.secrets().unzip();
    Some(abi::Established { receive: direction(&receive, client), send: direction(&send, server), info })
}

/// The keys of a direction, and in TLS 1.3 the secret that they come from.
pub fn direction(keys: &ttls::record::DirectionKeys, secret: Option<&Digest>) -> Direction {
    let mut place = [0; SECRET];
    for (to, from) in place.iter_mut().zip(secret.map_or(&[][..], Digest::as_bytes)) {
        *to = *from;
    }
    let cipher = match keys.algorithm {
        Algorithm::Aes128Gcm => Cipher::Aes128Gcm,
        Algorithm::Aes256Gcm => Cipher::Aes256Gcm,
        Algorithm::ChaCha20Poly1305 => Cipher::Chacha20Poly1305,
    };
    Direction {
        key: *keys.key.expose(),
        iv: keys.iv,
        cipher: cipher as u32,
        sequence: keys.sequence,
        secret: place,
    }
}

fn info(session: &Session, limit: usize) -> Info {
    let mut info = Info {
        version: session.version.code(),
        suite: session.suite.code(),
        group: session.group.map_or(0, suite::group_code),
        record_limit: u16::try_from(limit).unwrap_or(16_384),
        resumed: u8::from(session.resumed),
        reserved: [0; 3],
        alpn: [0; 36],
        fingerprint: [0; 40],
        server_name: [0; 256],
    };
    if let Some(alpn) = &session.alpn {
        copy(&mut info.alpn, alpn.as_bytes());
    }
    if let Some(fingerprint) = &session.fingerprint {
        copy(&mut info.fingerprint, fingerprint.as_str().as_bytes());
    }
    if let Some(name) = &session.server_name {
        copy(&mut info.server_name, name.as_bytes());
    }
    info
}

/// Copies text that is shorter than its place, so that a zero ends it.
fn copy(place: &mut [u8], text: &[u8]) {
    for (to, from) in place.iter_mut().zip(text) {
        *to = *from;
    }
}
