// SPDX-License-Identifier: MIT OR Apache-2.0
//! A reader of DER (ITU-T X.690 §8.1) that, as OpenSSL does, takes lengths in more bytes than they need.

/// Tags of the elements that certificates are made of.
pub mod tag {
    /// BOOLEAN.
    pub const BOOLEAN: u8 = 0x01;
    /// INTEGER.
    pub const INTEGER: u8 = 0x02;
    /// BIT STRING.
    pub const BIT_STRING: u8 = 0x03;
    /// OCTET STRING.
    pub const OCTET_STRING: u8 = 0x04;
    /// OBJECT IDENTIFIER.
    pub const OID: u8 = 0x06;
    /// UTCTime.
    pub const UTC_TIME: u8 = 0x17;
    /// GeneralizedTime.
    pub const GENERALIZED_TIME: u8 = 0x18;
    /// SEQUENCE.
    pub const SEQUENCE: u8 = 0x30;

    /// Context-specific `[number]`, constructed; `number` is below 31.
    pub const fn constructed(number: u8) -> u8 {
        0xa0 | number
    }

    /// Context-specific `[number]`, primitive; `number` is below 31.
    pub const fn primitive(number: u8) -> u8 {
        0x80 | number
    }
}

/// The bytes are not what the ASN.1 type asks for; names the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "can not be read at {}", self.0)
    }
}

/// Elements yet to be read.
#[derive(Clone, Copy)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads `der`, elements one after another.
    pub const fn new(der: &'a [u8]) -> Self {
        Self(der)
    }

    /// What is not read yet.
    pub const fn rest(self) -> &'a [u8] {
        self.0
    }

    /// Whether nothing is left.
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Whether the next element has this tag.
    pub fn next_is(&self, tag: u8) -> bool {
        self.0.first() == Some(&tag)
    }

    /// The next element: its tag, its content, and all of it. `field` names it in the error.
    ///
    /// # Errors
    /// There is none, or it is cut off.
    pub fn any(&mut self, field: &'static str) -> Result<(u8, &'a [u8], &'a [u8]), Malformed> {
        let split = || {
            let (&[tag, first], rest) = self.0.split_first_chunk()?;
            let (len, rest) = match first {
                0..=0x7f => (usize::from(first), rest),
                0x81..=0x84 => {
                    let (len, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                    (
                        len.iter()
                            .try_fold(0_usize, |len, &b| len.checked_mul(256)?.checked_add(b.into()))?,
                        rest,
                    )
                }
                _ => return None,
            };
            // A tag of several bytes occurs nowhere in certificates.
            if tag & 0x1f == 0x1f {
                return None;
            }
            let (content, rest) = rest.split_at_checked(len)?;
            Some((tag, content, rest))
        };
        let (tag, content, rest) = split().ok_or(Malformed(field))?;
        let whole = self.0.get(..self.0.len() - rest.len()).ok_or(Malformed(field))?;
        self.0 = rest;
        Ok((tag, content, whole))
    }

    /// The content of the next element, which must have this tag.
    ///
    /// # Errors
    /// It is another, or cut off.
    pub fn element(&mut self, tag: u8, field: &'static str) -> Result<&'a [u8], Malformed> {
        self.whole(tag, field).map(|(content, _)| content)
    }

    /// The same with all of the element.
    ///
    /// # Errors
    /// It is another, or cut off.
    pub fn whole(&mut self, tag: u8, field: &'static str) -> Result<(&'a [u8], &'a [u8]), Malformed> {
        match self.any(field)? {
            (found, content, whole) if found == tag => Ok((content, whole)),
            _ => Err(Malformed(field)),
        }
    }

    /// The content of the next element if it has this tag.
    ///
    /// # Errors
    /// It is cut off.
    pub fn optional(&mut self, tag: u8, field: &'static str) -> Result<Option<&'a [u8]>, Malformed> {
        self.next_is(tag).then(|| self.element(tag, field)).transpose()
    }

    /// A reader of the next element's content.
    ///
    /// # Errors
    /// It has another tag, or is cut off.
    pub fn nested(&mut self, tag: u8, field: &'static str) -> Result<Self, Malformed> {
        self.element(tag, field).map(Self)
    }

    /// A BOOLEAN that is false when absent.
    ///
    /// # Errors
    /// It is not one byte.
    pub fn flag(&mut self, tag: u8, field: &'static str) -> Result<bool, Malformed> {
        match self.optional(tag, field)? {
            None => Ok(false),
            Some(&[value]) => Ok(value != 0),
            Some(_) => Err(Malformed(field)),
        }
    }

    /// The content of a BIT STRING of whole bytes.
    ///
    /// # Errors
    /// It is not one.
    pub fn bits(&mut self, field: &'static str) -> Result<&'a [u8], Malformed> {
        match self.element(tag::BIT_STRING, field)? {
            [0, bytes @ ..] => Ok(bytes),
            _ => Err(Malformed(field)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_may_have_more_bytes_than_they_need_but_not_lie() {
        for (der, content) in [
            (&[4, 0][..], Some(&[][..])),
            (&[4, 2, 7, 8], Some(&[7, 8])),
            (&[4, 0x81, 2, 7, 8], Some(&[7, 8])),
            (&[4, 0x84, 0, 0, 0, 2, 7, 8, 9], Some(&[7, 8])),
            (&[4, 0x80, 7, 0, 0], None), // indefinite
            (&[4, 0x85, 0, 0, 0, 0, 1, 7], None),
            (&[4, 0x84, 0xff, 0xff, 0xff, 0xff, 7], None),
            (&[4, 2, 7], None),
            (&[4, 0x82, 1], None),
            (&[4], None),
            (&[], None),
            (&[5, 0], None),
        ] {
            assert_eq!(Reader::new(der).element(4, "x").ok(), content, "{der:x?}");
        }
        assert_eq!(Reader::new(&[0x1f, 1, 7]).any("x"), Err(Malformed("x")));
    }
}
