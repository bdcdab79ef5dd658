// SPDX-License-Identifier: MIT OR Apache-2.0
//! What crosses the border: the twins of `c/core.h` and `c/uapi.h`, where every field is explained.
//!
//! `tests/kernel_border.rs` compares both sides by the tables that are made here: names, values, sizes and offsets.
#![allow(dead_code)] // the module does not read the tables, the test does not call the functions

use core::ffi::{c_int, c_void};
use core::mem::{offset_of, size_of};
use ttls::allowance::Allowance;

/// A structure's name in C, its size, and name, offset and size of each field.
pub type Layout = (&'static str, usize, &'static [(&'static str, usize, usize)]);
/// An enumeration's name in C, what its names begin with there, and names and values.
pub type Numbers = (&'static str, &'static str, &'static [(&'static str, u32)]);

/// Structures as in C, by their names there, and `LAYOUTS` of them.
macro_rules! structures {
    ($($twin:literal $(#[$attribute:meta])* struct $name:ident { $($field:ident: $type:ty,)* })*) => {
        $(
            #[doc = concat!("`struct ", $twin, "`")]
            #[repr(C)]
            $(#[$attribute])*
            pub struct $name { $(pub $field: $type,)* }
        )*
        /// Every structure.
        pub const LAYOUTS: &[Layout] = &[$((
            $twin,
            size_of::<$name>(),
            &[$((stringify!($field), offset_of!($name, $field), size_of::<$type>()),)*],
        ),)*];
    };
}

/// Enumerations as in C, by their names there, and `NUMBERS` of them. `from_number` is `None` for what has no name.
macro_rules! enumerations {
    ($($twin:literal $prefix:literal enum $name:ident { $($variant:ident = $value:literal,)* })*) => {
        $(
            #[doc = concat!("`enum ", $twin, "`")]
            #[derive(Clone, Copy)]
            #[repr(u32)]
            pub enum $name { $($variant = $value,)* }

            impl $name {
                pub const fn from_number(number: u32) -> Option<Self> {
                    match number { $($value => Some(Self::$variant),)* _ => None }
                }
            }
        )*
        /// Every enumeration.
        pub const NUMBERS: &[Numbers] = &[$((
            $twin,
            $prefix,
            &[$((stringify!($variant), $value),)*],
        ),)*];
    };
}

/// `EINVAL`: a call that C should not have made.
pub const INVALID: c_int = -22;
/// `EAGAIN`: an entry does a part of what is to be done, because nothing else runs meanwhile. The next goes on.
pub const AGAIN: c_int = -11;

/// `TTLS_SECRET`: the longest secret of TLS 1.3's key schedule, a digest of SHA-384. Shorter ones are followed by zeros.
pub const SECRET: usize = 48;
/// `TTLS_BATCH`: most connections in an entry of the worker.
pub const BATCH: usize = 16;

enumerations! {
    "ttls_door" "TTLS_" enum Door {
        SelfTest = 0, Measure = 1, Build = 2, Advance = 3, Begin = 4, Receive = 5, Run = 6, KeyUpdate = 7,
        NextKeys = 8, RecordSize = 9, Panic = 10,
    }
    "ttls_refusal" "TTLS_" enum Refusal {
        NoCertificate = 1, BadKey = 2, BadChain = 3, BadName = 4, BadTicketSecret = 5, BadPolicy = 6,
        LongFlight = 7, NoMemory = 8, ManyNames = 9,
    }
    "ttls_step" "TTLS_STEP_" enum Step { Receive = 0, Work = 1, Established = 2, Failed = 3, }
    "ttls_culprit" "TTLS_CULPRIT_" enum Culprit { Peer = 0, Mismatch = 1, Local = 2, }
    "ttls_cipher" "TTLS_CIPHER_" enum Cipher { Aes128Gcm = 0, Aes256Gcm = 1, Chacha20Poly1305 = 2, }
    "ttls_flag" "TTLS_" enum Flag {
        Tls12 = 1, Tls13 = 2, RefuseUnknownNames = 4, AlpnRequired = 8, ClientOrder = 16, RequireEms = 32,
    }
}

structures! {
    "ttls_call" struct Call { door: u32, result: i32, argument: *mut c_void, }
    "ttls_bytes" #[derive(Clone, Copy)] struct Bytes { data: *const u8, len: usize, }
    "ttls_certificate" struct Certificate {
        chain: Bytes, key: Bytes, names: Bytes, ocsp: Bytes, key_encoding: u32, is_default: u32,
    }
    "ttls_configuration" struct Configuration {
        certificates: *const Certificate, certificate_count: usize,
        ticket_secret: Bytes, ticket_secret_before: Bytes, suites: Bytes, groups: Bytes, alpn: Bytes,
        now: u64, ticket_lifetime: u32, tickets: u32, flags: u32, flight_size: u32,
        memory: *mut u8, memory_size: usize, entries: *mut c_void, entry_count: usize, site: *mut c_void,
    }
    "ttls_advance" struct Advance { site: *mut c_void, now: u64, }
    "ttls_direction" struct Direction {
        key: [u8; 32], iv: [u8; 12], cipher: u32, sequence: u64, secret: [u8; SECRET],
    }
    "ttls_info" struct Info {
        version: u16, suite: u16, group: u16, record_limit: u16, resumed: u8, reserved: [u8; 3],
        alpn: [u8; 36], fingerprint: [u8; 40], server_name: [u8; 256],
    }
    "ttls_established" struct Established { receive: Direction, send: Direction, info: Info, }
    "ttls_key_update" struct KeyUpdate {
        message: Bytes, now: u64, allowance: Allowance, requested: u32, alert: u32,
    }
    "ttls_next_keys" struct NextKeys { direction: Direction, suite: u32, }
    "ttls_record" struct Record {
        congestion_window: u32, in_flight: u32, segment: u32, unsent: u32, send_window: u32, idle: u32, timeout: u32,
        in_a_row: u32, overhead: u32, limit: u32, size: u32,
    }
    "ttls_turn" struct Turn {
        connection: *mut c_void, site: *const c_void, now: u64,
        input: *mut u8, input_size: u32, input_len: u32, output: *mut u8, output_size: u32, output_len: u32,
        step: u32, culprit: u32, established: *mut Established,
    }
    "ttls_run" struct Run { worker: *mut c_void, turns: *mut Turn, count: usize, }
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
