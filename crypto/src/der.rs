// SPDX-License-Identifier: MIT OR Apache-2.0
//! A reader of DER (ITU-T X.690 §10): definite, shortest lengths only; nothing may be left over.

/// INTEGER.
pub(crate) const INTEGER: u8 = 0x02;
/// BIT STRING.
pub(crate) const BIT_STRING: u8 = 0x03;
/// OCTET STRING.
pub(crate) const OCTET_STRING: u8 = 0x04;
/// NULL.
pub(crate) const NULL: u8 = 0x05;
/// OBJECT IDENTIFIER.
pub(crate) const OID: u8 = 0x06;
/// SEQUENCE.
pub(crate) const SEQUENCE: u8 = 0x30;

/// Context-specific `[number]` around another element; `number` is below 31.
pub(crate) const fn explicit(number: u8) -> u8 {
    0xa0 | number
}

/// Context-specific `[number]` in place of a primitive element's tag; `number` is below 31.
pub(crate) const fn implicit(number: u8) -> u8 {
    0x80 | number
}

/// The bytes are not DER, or not what the ASN.1 type asks for; names the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

/// Elements yet to be read.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads `der`, elements one after another.
    pub(crate) const fn new(der: &'a [u8]) -> Self {
        Self(der)
    }

    /// Whether the next element has this tag.
    pub(crate) fn next_is(&self, tag: u8) -> bool {
        self.0.first() == Some(&tag)
    }

    /// The content of the next element, which must have this tag. `field` names it in the error.
    pub(crate) fn element(&mut self, tag: u8, field: &'static str) -> Result<&'a [u8], Malformed> {
        if !self.next_is(tag) {
            return Err(Malformed(field));
        }
        let (content, rest) = split_content(&self.0[1..]).ok_or(Malformed(field))?;
        self.0 = rest;
        Ok(content)
    }

    /// The content of the next element if it has this tag.
    pub(crate) fn optional(&mut self, tag: u8, field: &'static str) -> Result<Option<&'a [u8]>, Malformed> {
        self.next_is(tag).then(|| self.element(tag, field)).transpose()
    }

    /// A reader of the next element's content.
    pub(crate) fn nested(&mut self, tag: u8, field: &'static str) -> Result<Self, Malformed> {
        self.element(tag, field).map(Self)
    }

    /// A non-negative INTEGER, big-endian without leading zeros; empty for zero.
    pub(crate) fn integer(&mut self, field: &'static str) -> Result<&'a [u8], Malformed> {
        match self.element(INTEGER, field)? {
            [0] => Ok(&[]),
            [0, rest @ ..] if matches!(rest, [0x80..=0xff, ..]) => Ok(rest),
            content @ [0x01..=0x7f, ..] => Ok(content),
            _ => Err(Malformed(field)),
        }
    }

    /// A BIT STRING of whole bytes under this tag.
    pub(crate) fn bit_string(&mut self, tag: u8, field: &'static str) -> Result<&'a [u8], Malformed> {
        match self.element(tag, field)? {
            [0, bytes @ ..] => Ok(bytes),
            _ => Err(Malformed(field)),
        }
    }

    /// The end.
    pub(crate) fn finish(self, field: &'static str) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed(field)) }
    }
}

/// Splits the content, preceded by its length, from what follows. Longer than 65535 is no key.
fn split_content(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = match *bytes {
        [len @ ..=0x7f, ref rest @ ..] => (len.into(), rest),
        [0x81, len @ 0x80..=0xff, ref rest @ ..] => (len.into(), rest),
        [0x82, high @ 1..=0xff, low, ref rest @ ..] => (u16::from_be_bytes([high, low]).into(), rest),
        _ => return None,
    };
    rest.split_at_checked(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_shortest_definite_lengths_are_read() {
        for (der, content) in [
            (&[4, 0][..], Some(&[][..])),
            (&[4, 2, 7, 8], Some(&[7, 8])),
            (&[4, 0x80, 7, 0, 0], None),          // indefinite
            (&[4, 0x81, 2, 7, 8], None),          // one byte would do
            (&[4, 0x82, 0, 2, 7, 8], None),       // leading zero
            (&[4, 0x84, 0, 0, 0, 2, 7, 8], None), // too long a length
            (&[4, 2, 7], None),                   // cut off
            (&[4, 0x82, 1], None),                // cut off within the length
            (&[4], None),
            (&[], None),
            (&[5, 0], None), // another tag
        ] {
            assert_eq!(Reader::new(der).element(OCTET_STRING, "x").ok(), content, "{der:x?}");
        }
        let mut long = [7; 4 + 0x100];
        long[..4].copy_from_slice(&[4, 0x82, 1, 0]);
        assert_eq!(Reader::new(&long).element(OCTET_STRING, "x"), Ok(&[7; 0x100][..]));
    }

    #[test]
    fn integers_are_minimal_and_not_negative() {
        for (der, value) in [
            (&[2, 1, 0][..], Some(&[][..])),
            (&[2, 1, 0x7f], Some(&[0x7f])),
            (&[2, 2, 0, 0x80], Some(&[0x80])),
            (&[2, 2, 1, 0], Some(&[1, 0])),
            (&[2, 0], None),
            (&[2, 1, 0x80], None),
            (&[2, 2, 0, 0x7f], None),
            (&[2, 2, 0, 0], None),
        ] {
            assert_eq!(Reader::new(der).integer("x").ok(), value, "{der:x?}");
        }
    }

    #[test]
    fn bit_strings_have_whole_bytes() {
        assert_eq!(Reader::new(&[3, 2, 0, 9]).bit_string(BIT_STRING, "x"), Ok(&[9][..]));
        assert_eq!(Reader::new(&[3, 2, 1, 8]).bit_string(BIT_STRING, "x"), Err(Malformed("x")));
        assert_eq!(Reader::new(&[3, 0]).bit_string(BIT_STRING, "x"), Err(Malformed("x")));
    }

    #[test]
    fn leftovers_are_refused() {
        let mut reader = Reader::new(&[5, 0, 0]);
        assert_eq!(reader.element(NULL, "x"), Ok(&[][..]));
        assert_eq!(reader.finish("end"), Err(Malformed("end")));
    }
}
