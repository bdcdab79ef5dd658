// SPDX-License-Identifier: MIT OR Apache-2.0
//! PEM (RFC 7468) as operators have it: pieces joined without a newline, indented, with a byte order mark in the middle.
//!
//! What looks like a block is read, or is an error with its line. Nothing is passed over in silence: a chain without its intermediate
//! certificate, or a list of revoked clients that lacks half of them, would be found out too late.

use std::fmt;
use zeroize::Zeroizing;

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";

/// A block, decoded. It may be a private key: its bytes are wiped.
pub struct Block {
    /// What stands after BEGIN.
    pub label: String,
    /// Where it begins, from 1.
    pub line: usize,
    /// What was in it.
    pub der: Zeroizing<Vec<u8>>,
}

/// What a file can not be read for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// From 1; 0 for the file as a whole.
    pub line: usize,
    /// What is wrong there.
    pub what: String,
}

impl Error {
    /// An error at a line; 0 for the file as a whole.
    pub fn new(line: usize, what: impl Into<String>) -> Self {
        Self { line, what: what.into() }
    }
}

impl fmt::Display for Error {
    /// To be put behind the file's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, ": {}", self.what),
            line => write!(f, ":{line}: {}", self.what),
        }
    }
}

/// All blocks of a file.
///
/// # Errors
/// A block is broken, or something looks like one and is none.
pub fn read(text: &[u8]) -> Result<Vec<Block>, Error> {
    if text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff") || contains(text, b"-\0-\0-") {
        return Err(Error::new(
            0,
            "is text in UTF-16, as some programs of Windows write it: convert it with `iconv -f UTF-16 -t UTF-8`",
        ));
    }
    let mut blocks = Vec::new();
    let mut at = 0;
    while let Some(begin) = find(text, BEGIN, at) {
        outside(text, at..begin)?;
        let (block, end) = block(text, begin)?;
        blocks.push(block);
        at = end;
    }
    outside(text, at..text.len())?;
    Ok(blocks)
}

/// Whether a file is DER, or something else in binary that begins like it, such as PKCS#12.
pub fn is_der(content: &[u8]) -> bool {
    match content {
        [0x30, 0x80..=0x84, ..] => !contains(content, BEGIN),
        // A key on a curve is that short; a page of text that begins with `0` is not as long as its second character says.
        [0x30, length @ 0..=0x7f, rest @ ..] => rest.len() == usize::from(*length),
        _ => false,
    }
}

/// What comes at `at` and after it.
fn from(text: &[u8], at: usize) -> &[u8] {
    text.get(at..).unwrap_or_default()
}

/// The block whose BEGIN is at `begin`, and where it ends.
fn block(text: &[u8], begin: usize) -> Result<(Block, usize), Error> {
    let line = line_of(text, begin);
    let bad = |at: usize, what: &str| Error::new(line_of(text, at), what);
    let label_at = begin + BEGIN.len();
    let rest_of_line = from(text, label_at).split(|&b| b == b'\n').next().unwrap_or_default();
    let label_len = find(rest_of_line, DASHES, 0)
        .ok_or_else(|| bad(begin, "the line with BEGIN does not end in `-----`"))?;
    let label = String::from_utf8_lossy(rest_of_line.get(..label_len).unwrap_or_default()).into_owned();
    let body_at = label_at + label_len + DASHES.len();
    let body_end = find(text, DASHES, body_at).unwrap_or(text.len());
    if !from(text, body_end).starts_with(END) {
        return Err(bad(begin, &format!("the block of `{label}` that begins here has no END")));
    }
    let mut expected = END.to_vec();
    expected.extend(label.as_bytes());
    expected.extend(DASHES);
    if !from(text, body_end).starts_with(&expected) {
        return Err(bad(body_end, &format!("END does not name `{label}`, as the BEGIN of line {line} does")));
    }
    let body = text.get(body_at..body_end).unwrap_or_default();
    // RFC 1421 §4.6: the headers of a key that is encrypted.
    if contains(body, b"ENCRYPTED") {
        return Err(bad(begin, ENCRYPTED));
    }
    let der = decode(body).map_err(|(at, what)| bad(body_at + at, what))?;
    if der.is_empty() {
        return Err(bad(begin, &format!("the block of `{label}` is empty")));
    }
    Ok((Block { label, line, der }, body_end + expected.len()))
}

/// What to do about an encrypted key.
pub const ENCRYPTED: &str = "the private key is encrypted: decrypt it with `openssl pkey -in KEY -out DECRYPTED`, and restrict who can read the file";

/// Nothing between blocks may look like the border of one.
fn outside(text: &[u8], range: std::ops::Range<usize>) -> Result<(), Error> {
    let mut at = range.start;
    for line in text.get(range).unwrap_or_default().split_inclusive(|&b| b == b'\n') {
        // Word processors make other dashes of them: U+2010 to U+2015 are e2 80 90 to 95 in UTF-8.
        let dashes = contains(line, b"--") || line.windows(3).any(|w| matches!(w, [0xe2, 0x80, 0x90..=0x95]));
        if dashes && names_a_border(line) {
            return Err(Error::new(
                line_of(text, at),
                "looks like the border of a PEM block, but is not: `-----BEGIN …-----` or `-----END …-----`",
            ));
        }
        at += line.len();
    }
    Ok(())
}

/// Whether a line has the words of a border: BEGIN or END, and after it what a block may be. `# --- Backend ---` is a comment.
fn names_a_border(line: &[u8]) -> bool {
    let upper = line.to_ascii_uppercase();
    let mut words = upper.split(|b| !b.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let is_kind = |word: &[u8]| {
        let kinds: [&[u8]; 8] =
            [b"CERT", b"CRL", b"KEY", b"PARAMETERS", b"PKCS", b"CMS", b"X509", b"TRUSTED"];
        kinds.iter().any(|kind| word.starts_with(kind))
    };
    words.any(|word| matches!(word, b"BEGIN" | b"END")) && words.any(is_kind)
}

/// Decodes base64 (RFC 4648 §4); white space is passed over. Which value a character has is computed, not looked up: it may be a key's.
fn decode(body: &[u8]) -> Result<Zeroizing<Vec<u8>>, (usize, &'static str)> {
    let mut der = Zeroizing::new(Vec::with_capacity(body.len() / 4 * 3 + 3));
    let (mut bits, mut count, mut padding) = (0_u32, 0_u32, 0_u32);
    for (at, &byte) in body.iter().enumerate() {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c => continue,
            b'=' => {
                padding += 1;
                continue;
            }
            _ => {}
        }
        let value = value(byte);
        if value > 63 {
            return Err((at, "this line is not base64"));
        }
        if padding > 0 {
            return Err((at, "there is more behind the end (`=`) of the base64 text"));
        }
        bits = bits << 6 | u32::from(value);
        count += 1;
        if count == 4 {
            let [_, bytes @ ..] = bits.to_be_bytes();
            der.extend(bytes);
            (bits, count) = (0, 0);
        }
    }
    let [_, first, second, _] = (bits << (6 * (4 - count))).to_be_bytes();
    match (count, padding) {
        (0, 0) => {}
        (2, 2) => der.push(first),
        (3, 1) => der.extend([first, second]),
        _ => return Err((body.trim_ascii_end().len(), "the base64 text is cut off")),
    }
    Ok(der)
}

/// The value of a character, or 255.
fn value(byte: u8) -> u8 {
    // All ones where `low` <= byte <= `high`.
    let within = |low: u8, high: u8| {
        let outside = (i16::from(byte) - i16::from(low)) | (i16::from(high) - i16::from(byte));
        !(outside >> 15).to_be_bytes()[1]
    };
    let pick = |mask: u8, value: u8| mask & value.wrapping_add(1);
    let value = pick(within(b'A', b'Z'), byte.wrapping_sub(b'A'))
        | pick(within(b'a', b'z'), byte.wrapping_sub(b'a').wrapping_add(26))
        | pick(within(b'0', b'9'), byte.wrapping_sub(b'0').wrapping_add(52))
        | pick(within(b'+', b'+'), 62)
        | pick(within(b'/', b'/'), 63);
    value.wrapping_sub(1)
}

fn find(text: &[u8], what: &[u8], from: usize) -> Option<usize> {
    text.get(from..)?.windows(what.len()).position(|window| window == what).map(|at| from + at)
}

fn contains(text: &[u8], what: &[u8]) -> bool {
    find(text, what, 0).is_some()
}

fn line_of(text: &[u8], at: usize) -> usize {
    1 + text.iter().take(at).filter(|&&byte| byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "-----BEGIN CERTIFICATE-----\nMAEC\nAw==\n-----END CERTIFICATE-----";
    const TWO: &str = "-----BEGIN X509 CRL-----\nMAk=\n-----END X509 CRL-----";

    fn labels(text: &str) -> Result<Vec<(String, usize, Vec<u8>)>, Error> {
        Ok(read(text.as_bytes())?.into_iter().map(|b| (b.label, b.line, b.der.to_vec())).collect())
    }

    fn error(text: &str) -> (usize, String) {
        let error = labels(text).unwrap_err();
        (error.line, error.what)
    }

    #[test]
    fn all_blocks_are_read_however_they_are_joined() {
        let one = |line| ("CERTIFICATE".to_owned(), line, vec![0x30, 1, 2, 3]);
        let two = |line| ("X509 CRL".to_owned(), line, vec![0x30, 9]);
        for (between, line) in
            [("\n", 5), ("", 4), ("\r\n", 5), ("\n\u{feff}", 5), ("\n\n subject=x\n \t", 7), (" ", 4)]
        {
            let text = format!("{ONE}{between}{TWO}");
            assert_eq!(labels(&text), Ok(vec![one(1), two(line)]), "{between:?}");
        }
        assert_eq!(labels(&format!("\u{feff}{ONE}\n")), Ok(vec![one(1)]));
        assert_eq!(labels(&ONE.replace('\n', "\r\n")), Ok(vec![one(1)]));
        assert_eq!(labels(&ONE.replace('\n', "\n    ")), Ok(vec![one(1)]));
        assert_eq!(labels("-----BEGIN CERTIFICATE-----MAECAw==-----END CERTIFICATE-----"), Ok(vec![one(1)]));
        for comment in [
            "# a comment\n# -------\n",
            "# --- Backend certificate ---\n",
            "# -- end of chain --\n",
            "the end of the key\n",
        ] {
            assert_eq!(labels(&format!("{comment}{ONE}")).map(|blocks| blocks.len()), Ok(1), "{comment}");
        }
    }

    #[test]
    fn what_is_broken_is_told_with_its_line() {
        for (text, line, what) in [
            (format!("{ONE}\n-----BEGIN CERTIFICATE\nMAEC\n"), 5, "does not end in"),
            (format!("{ONE}\n-----BEGIN CERTIFICATE-----\nMAEC\n"), 5, "has no END"),
            (ONE.replace("END CERT", "END CRT"), 4, "does not name `CERTIFICATE`"),
            (ONE.replace("-----END", "----END"), 1, "has no END"),
            (format!("{ONE}\n{}", ONE.replace("-----BEGIN", "----BEGIN")), 5, "looks like the border"),
            (format!("{ONE}\n{}", ONE.replace("-----BEGIN", "\u{2014}BEGIN")), 5, "looks like the border"),
            (format!("{ONE}\n-----begin certificate-----\n"), 5, "looks like the border"),
            (format!("{ONE}\n-----END CERTIFICATE-----\n"), 5, "looks like the border"),
            (ONE.replace("MAEC", "MA*C"), 2, "not base64"),
            (ONE.replace("MAEC", "MAEC\u{feff}"), 2, "not base64"),
            (ONE.replace("Aw==", "Aw="), 3, "cut off"),
            (ONE.replace("Aw==", "Aw"), 3, "cut off"),
            (ONE.replace("Aw==", "Aw==\nMAEC"), 4, "behind the end"),
            (ONE.replace("MAEC\nAw==\n", ""), 1, "is empty"),
            (ONE.replace("MAEC\n", "Proc-Type: 4,ENCRYPTED\n\nMAEC\n"), 1, "encrypted"),
        ] {
            let error = error(&text);
            assert_eq!(error.0, line, "{text}: {}", error.1);
            assert!(error.1.contains(what), "{text}: {}", error.1);
        }
        let utf16: Vec<u8> = ONE.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(read(&utf16).err().unwrap().what.contains("UTF-16"));
        assert!(read(&[&b"\xff\xfe"[..], &utf16].concat()).err().unwrap().what.contains("UTF-16"));
    }

    #[test]
    fn every_character_has_its_value() {
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        for byte in 0..=255 {
            let expected =
                alphabet.iter().position(|&b| b == byte).map_or(255, |at| u8::try_from(at).unwrap());
            assert_eq!(value(byte), expected, "{byte:#x}");
        }
    }

    #[test]
    fn der_is_told_from_text() {
        assert!(is_der(&[0x30, 0x82, 1, 1]));
        assert!(is_der(&[0x30, 3, 1, 1, 0]), "a short one");
        assert!(!is_der(&[0x30, 3, 1, 1]));
        assert!(!is_der(b"0 html"));
        assert!(!is_der(ONE.as_bytes()));
    }
}
