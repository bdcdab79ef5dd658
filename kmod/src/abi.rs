// SPDX-License-Identifier: MIT OR Apache-2.0
//! What crosses the border: the twins of `c/core.h`, where every field is explained.

use crate::connection::Connection;
use crate::worker::Worker;
use core::ffi::{c_int, c_void};
use core::mem::size_of;
use ttls::allowance::Allowance;

/// `EINVAL`: a call that C should not have made.
pub const INVALID: c_int = -22;
/// `EAGAIN`: an entry does a part of what is to be done, because nothing else runs meanwhile. The next goes on.
pub const AGAIN: c_int = -11;

/// `struct ttls_call`
#[repr(C)]
pub struct Call {
    pub door: u32,
    pub result: i32,
    pub argument: *mut c_void,
}

/// `enum ttls_door`
#[derive(Clone, Copy)]
pub enum Door {
    SelfTest,
    Measure,
    Build,
    Advance,
    Begin,
    Receive,
    Run,
    KeyUpdate,
    NextKeys,
    Panic,
}

impl Door {
    pub fn from_number(number: u32) -> Option<Self> {
        use Door::*;
        [SelfTest, Measure, Build, Advance, Begin, Receive, Run, KeyUpdate, NextKeys, Panic]
            .get(usize::try_from(number).ok()?)
            .copied()
    }
}

/// `struct ttls_bytes`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Bytes {
    pub data: *const u8,
    pub len: usize,
}

impl Bytes {
    /// # Safety
    /// `data` points to `len` bytes that do not change during `'a`, or is null.
    pub unsafe fn get<'a>(self) -> &'a [u8] {
        if self.data.is_null() {
            return &[];
        }
        // SAFETY: promised by the caller.
        unsafe { core::slice::from_raw_parts(self.data, self.len) }
    }
}

/// `struct ttls_certificate`
#[repr(C)]
pub struct Certificate {
    pub chain: Bytes,
    pub key: Bytes,
    pub names: Bytes,
    pub ocsp: Bytes,
    pub key_encoding: u32,
    pub is_default: u32,
}

/// `struct ttls_configuration`
#[repr(C)]
pub struct Configuration {
    pub certificates: *const Certificate,
    pub certificate_count: usize,
    pub ticket_secret: Bytes,
    pub ticket_secret_before: Bytes,
    pub suites: Bytes,
    pub groups: Bytes,
    pub alpn: Bytes,
    pub now: u64,
    pub ticket_lifetime: u32,
    pub tickets: u32,
    pub flags: u32,
    pub flight_size: u32,
    pub memory: *mut u8,
    pub memory_size: usize,
    pub entries: *mut c_void,
    pub entry_count: usize,
    pub site: *mut c_void,
}

/// `TTLS_TLS12`
pub const FLAG_TLS12: u32 = 1;
/// `TTLS_TLS13`
pub const FLAG_TLS13: u32 = 2;
/// `TTLS_REFUSE_UNKNOWN_NAMES`
pub const FLAG_REFUSE_UNKNOWN_NAMES: u32 = 4;
/// `TTLS_ALPN_REQUIRED`
pub const FLAG_ALPN_REQUIRED: u32 = 8;
/// `TTLS_CLIENT_ORDER`
pub const FLAG_CLIENT_ORDER: u32 = 16;
/// `TTLS_REQUIRE_EMS`
pub const FLAG_REQUIRE_EMS: u32 = 32;

/// `enum ttls_refusal`: why a configuration is not accepted.
#[derive(Clone, Copy)]
#[repr(i32)]
pub enum Refusal {
    NoCertificate = 1,
    Key = 2,
    Chain = 3,
    Name = 4,
    TicketSecret = 5,
    Policy = 6,
    FlightSize = 7,
    Memory = 8,
    ManyNames = 9,
}

/// `struct ttls_advance`
#[repr(C)]
pub struct Advance {
    pub site: *mut c_void,
    pub now: u64,
}

/// The longest secret of TLS 1.3's key schedule: a digest of SHA-384. Shorter ones are followed by zeros.
pub const SECRET: usize = 48;

/// `struct ttls_direction`
#[repr(C)]
pub struct Direction {
    pub key: [u8; 32],
    pub iv: [u8; 12],
    pub cipher: u32,
    pub sequence: u64,
    pub secret: [u8; SECRET],
}

/// `struct ttls_info` of the socket option.
#[repr(C)]
pub struct Info {
    pub version: u16,
    pub suite: u16,
    pub group: u16,
    pub record_limit: u16,
    pub resumed: u8,
    pub reserved: [u8; 3],
    pub alpn: [u8; 36],
    pub fingerprint: [u8; 40],
    pub server_name: [u8; 256],
}

/// `struct ttls_established`
#[repr(C)]
pub struct Established {
    pub receive: Direction,
    pub send: Direction,
    pub info: Info,
}

/// `struct ttls_key_update`
#[repr(C)]
pub struct KeyUpdate {
    pub message: Bytes,
    pub now: u64,
    pub allowance: Allowance,
    pub requested: u32,
    pub alert: u32,
}

/// `struct ttls_next_keys`
#[repr(C)]
pub struct NextKeys {
    pub direction: Direction,
    pub suite: u32,
}

/// `enum ttls_step`
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Step {
    Receive = 0,
    Work = 1,
    Established = 2,
    Failed = 3,
}

/// `struct ttls_turn`
#[repr(C)]
pub struct Turn {
    pub connection: *mut Connection,
    pub site: *const c_void,
    pub now: u64,
    pub input: *mut u8,
    pub input_size: u32,
    pub input_len: u32,
    pub output: *mut u8,
    pub output_size: u32,
    pub output_len: u32,
    pub step: u32,
    pub culprit: u32,
    pub established: *mut Established,
}

/// `struct ttls_run`
#[repr(C)]
pub struct Run {
    pub worker: *mut Worker,
    pub turns: *mut Turn,
    pub count: usize,
}

/// Bytes of memory for a connection, zeroed by C: all zeros is one that waits for a ClientHello's first byte.
#[unsafe(no_mangle)]
pub static ttls_connection_size: usize = size_of::<Connection>();

/// Bytes of memory for each CPU's worker.
#[unsafe(no_mangle)]
pub static ttls_worker_size: usize = size_of::<Worker>();

/// The layout C relies on, as a check of both headers at load.
#[unsafe(no_mangle)]
pub static ttls_layout: [usize; 6] = [
    size_of::<Configuration>(),
    size_of::<Certificate>(),
    size_of::<Established>(),
    size_of::<Turn>(),
    size_of::<KeyUpdate>(),
    size_of::<NextKeys>(),
];
