// SPDX-License-Identifier: MIT OR Apache-2.0
//! Netlink attributes (include/uapi/linux/netlink.h), and the numbers of the module's family (kmod/c/uapi.h).

use zeroize::Zeroize;

/// `enum ttls_command`
pub(crate) mod command {
    pub(crate) const CONFIGURE: u8 = 1;
    pub(crate) const REMOVE: u8 = 2;
    pub(crate) const LIST: u8 = 3;
    pub(crate) const STATISTICS: u8 = 4;
}

/// `enum ttls_attribute`
pub(crate) mod attribute {
    pub(crate) const CERTIFICATE: u16 = 1;
    pub(crate) const CHAIN: u16 = 2;
    pub(crate) const KEY: u16 = 3;
    pub(crate) const KEY_ENCODING: u16 = 4;
    pub(crate) const NAMES: u16 = 5;
    pub(crate) const OCSP: u16 = 6;
    pub(crate) const DEFAULT: u16 = 7;
    pub(crate) const TICKET_SECRET: u16 = 8;
    pub(crate) const TICKET_SECRET_BEFORE: u16 = 9;
    pub(crate) const TICKET_LIFETIME: u16 = 10;
    pub(crate) const TICKETS: u16 = 11;
    pub(crate) const FLAGS: u16 = 12;
    pub(crate) const SUITES: u16 = 13;
    pub(crate) const GROUPS: u16 = 14;
    pub(crate) const ALPN: u16 = 15;
    pub(crate) const HANDSHAKE_TIMEOUT: u16 = 16;
    pub(crate) const MAX_PENDING: u16 = 17;
    pub(crate) const MAX_PENDING_LISTENER: u16 = 18;
    pub(crate) const COUNTERS: u16 = 19;
}

/// `enum ttls_flag`
pub(crate) mod flag {
    pub(crate) const TLS12: u32 = 1;
    pub(crate) const TLS13: u32 = 2;
    pub(crate) const REFUSE_UNKNOWN_NAMES: u32 = 4;
    pub(crate) const ALPN_REQUIRED: u32 = 8;
    pub(crate) const CLIENT_ORDER: u32 = 16;
    pub(crate) const REQUIRE_EMS: u32 = 32;
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

    #[test]
    fn nonsense_ends_it() {
        for bytes in [&[0, 0, 1, 0][..], &[3, 0, 1, 0], &[9, 0, 1, 0, 1, 2], &[4, 0]] {
            assert_eq!(Attributes::new(bytes).count(), 0, "{bytes:?}");
        }
        assert!(Writer::default().put(1, &[0; 65_532]).is_err());
    }
}
