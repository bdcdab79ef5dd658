// SPDX-License-Identifier: MIT OR Apache-2.0
//! Netlink attributes (include/uapi/linux/netlink.h), and the numbers of the module's family (kmod/c/uapi.h).

use zeroize::Zeroize;

/// Numbers of an enumeration by their names, and `ALL` of them.
macro_rules! numbers {
    ($($(#[$doc:meta])* $module:ident: $type:ty { $($name:ident = $value:literal,)* })*) => { $(
        $(#[$doc])*
        pub(crate) mod $module {
            $(#[allow(dead_code)] pub(crate) const $name: $type = $value;)*
            #[allow(dead_code)]
            pub(crate) const ALL: &[(&str, $type)] = &[$((stringify!($name), $value),)*];
        }
    )* };
}

numbers! {
    /// `enum ttls_command`
    command: u8 { CONFIGURE = 1, REMOVE = 2, LIST = 3, STATISTICS = 4, }

    /// `enum ttls_attribute`
    attribute: u16 {
        CERTIFICATE = 1, CHAIN = 2, KEY = 3, KEY_ENCODING = 4, NAMES = 5, OCSP = 6, DEFAULT = 7,
        TICKET_SECRET = 8, TICKET_SECRET_BEFORE = 9, TICKET_LIFETIME = 10, TICKETS = 11, FLAGS = 12,
        SUITES = 13, GROUPS = 14, ALPN = 15, HANDSHAKE_TIMEOUT = 16, MAX_PENDING = 17,
        MAX_PENDING_LISTENER = 18, COUNTERS = 19,
    }

    /// `enum ttls_flag`
    flag: u32 {
        TLS12 = 1, TLS13 = 2, REFUSE_UNKNOWN_NAMES = 4, ALPN_REQUIRED = 8, CLIENT_ORDER = 16, REQUIRE_EMS = 32,
    }

    /// `enum ttls_counter`: where each stands in COUNTERS, in the order in which they are printed.
    counter: u8 {
        LISTENERS = 0, PENDING = 1, CONTEXTS = 2, CONNECTIONS = 3, FULL = 4, RESUMED = 5, ACCEPTED = 6,
        FAILED_PEER = 7, FAILED_MISMATCH = 8, FAILED_LOCAL = 9, TIMED_OUT = 10, CLOSED = 11, REFUSED = 12,
        CONTAINED_PANICS = 13, BATCHES = 14, BATCHED = 15, ENDING = 16,
    }
}

/// Marks an attribute that holds attributes.
const NESTED: u16 = 1 << 15;
const HEADER: usize = 4;

/// An attribute is longer than the 65531 bytes that its length field can say.
#[derive(Debug)]
pub(crate) struct TooLong;

impl std::fmt::Display for TooLong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a certificate with its names is longer than 64 KiB")
    }
}

impl std::error::Error for TooLong {}

/// Attributes to be sent; wiped when dropped.
#[derive(Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    /// Appends an attribute.
    pub(crate) fn put(&mut self, kind: u16, body: &[u8]) -> Result<(), TooLong> {
        let len = u16::try_from(HEADER + body.len()).map_err(|_| TooLong)?;
        // Room first: a growing vector would leave copies of keys behind.
        self.reserve(HEADER + body.len() + 3);
        self.0.extend_from_slice(&len.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(body);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        Ok(())
    }

    /// Appends a `u32`.
    pub(crate) fn number(&mut self, kind: u16, value: u32) -> Result<(), TooLong> {
        self.put(kind, &value.to_ne_bytes())
    }

    /// Appends an attribute that holds `inner`.
    pub(crate) fn nest(&mut self, kind: u16, inner: &Self) -> Result<(), TooLong> {
        self.put(kind | NESTED, inner.bytes())
    }

    /// The attributes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn reserve(&mut self, additional: usize) {
        if self.0.capacity() - self.0.len() < additional {
            let mut larger = Vec::with_capacity((self.0.len() + additional) * 2);
            larger.extend_from_slice(&self.0);
            std::mem::replace(&mut self.0, larger).zeroize();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Attributes that were received: type and content of each. Ends where they make no sense.
pub(crate) struct Attributes<'a>(&'a [u8]);

impl<'a> Attributes<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let &[a, b, c, d] = self.0.first_chunk()?;
        let len = usize::from(u16::from_ne_bytes([a, b]));
        let body = self.0.get(HEADER..len)?;
        self.0 = self.0.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([c, d]) & !NESTED, body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut inner = Writer::default();
        inner.put(attribute::NAMES, b"one\0").unwrap();
        inner.put(attribute::DEFAULT, b"").unwrap();
        let mut outer = Writer::default();
        outer.put(attribute::ALPN, b"12345").unwrap();
        outer.nest(attribute::CERTIFICATE, &inner).unwrap();
        outer.number(attribute::TICKETS, 3).unwrap();
        assert_eq!(outer.bytes().len() % 4, 0);
        let read: Vec<_> = Attributes::new(outer.bytes()).collect();
        assert_eq!(read[0], (attribute::ALPN, &b"12345"[..]));
        assert_eq!(read[1], (attribute::CERTIFICATE, inner.bytes()));
        assert_eq!(read[2], (attribute::TICKETS, &3_u32.to_ne_bytes()[..]));
        let names: Vec<_> = Attributes::new(read[1].1).collect();
        assert_eq!(names, [(attribute::NAMES, &b"one\0"[..]), (attribute::DEFAULT, &b""[..])]);
    }

    /// Names without `prefix`, and values, of an enumeration in the module's header.
    fn enumeration(name: &str, prefix: &str) -> Vec<(String, u32)> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../kmod/c/uapi.h");
        let header = std::fs::read_to_string(path).unwrap();
        let (_, body) = header.split_once(&format!("enum {name} {{\n")).unwrap();
        let mut next = 0;
        let lines = body.split_once("};").unwrap().0.lines();
        let words = lines.filter_map(|line| line.trim().split_once(',')).map(|(entry, _)| entry);
        let entries = words.filter(|word| word.starts_with(prefix) || word.starts_with("__")).map(|entry| {
            let (name, value) = entry.split_once(" = ").unwrap_or((entry, ""));
            let value = value.parse().unwrap_or(next);
            next = value + 1;
            (name.trim_start_matches(prefix).to_owned(), value)
        });
        entries.filter(|(name, _)| name != "UNSPEC" && !name.starts_with("__")).collect()
    }

    #[test]
    fn numbers_are_the_modules() {
        fn ours<T: Copy + Into<u32>>(all: &[(&str, T)]) -> Vec<(String, u32)> {
            all.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect()
        }
        assert_eq!(ours(command::ALL), enumeration("ttls_command", "TTLS_C_"));
        assert_eq!(ours(attribute::ALL), enumeration("ttls_attribute", "TTLS_A_"));
        assert_eq!(ours(flag::ALL), enumeration("ttls_flag", "TTLS_"));
        assert_eq!(ours(counter::ALL), enumeration("ttls_counter", "TTLS_N_"));
    }

    #[test]
    fn nonsense_ends_it() {
        for bytes in [&[0, 0, 1, 0][..], &[3, 0, 1, 0], &[9, 0, 1, 0, 1, 2], &[4, 0]] {
            assert_eq!(Attributes::new(bytes).count(), 0, "{bytes:?}");
        }
        assert!(Writer::default().put(1, &[0; 65_532]).is_err());
    }
}
