// SPDX-License-Identifier: MIT OR Apache-2.0
//! A line of the log: fields as logfmt or JSON, no longer than a pipe takes whole.

use crate::config::schema::Format;
use std::fmt::{self, Display, Write};

/// Longest line, in bytes: what a pipe takes whole.
pub const LINE: usize = 4 << 10;
/// Longest value in a line, in bytes: the longest name, or the subject of a certificate of any use.
const VALUE: usize = 1 << 10;
/// Room at the end of a line for the keys and numbers of fields whose values no longer fit.
const RESERVE: usize = 512;

/// Begins a line at the end of `out`.
pub fn begin<'l>(out: &'l mut Vec<u8>, format: Format, now: u64, level: &str, event: &str) -> Line<'l> {
    let start = out.len();
    let mut line = Line { out, json: format == Format::Json, start };
    line.display("time", Timestamp(now)).text("level", level).text("event", event);
    line
}

/// A line under way. [`Line::end`] ends it.
#[derive(Debug)]
#[must_use = "a line needs its end"]
pub struct Line<'l> {
    out: &'l mut Vec<u8>,
    json: bool,
    start: usize,
}

impl Line<'_> {
    fn key(&mut self, key: &str) {
        let before: &[u8] = match (self.json, self.out.len() == self.start) {
            (true, true) => b"{\"",
            (true, false) => b",\"",
            (false, true) => b"",
            (false, false) => b" ",
        };
        self.out.extend_from_slice(before);
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(if self.json { b"\":" } else { b"=" });
    }

    /// Adds a text; control characters, quotes and backslashes are escaped.
    pub fn text(&mut self, key: &str, value: &str) -> &mut Self {
        self.display(key, value)
    }

    /// Adds a text, if there is one.
    pub fn some(&mut self, key: &str, value: Option<&str>) -> &mut Self {
        if let Some(value) = value { self.text(key, value) } else { self }
    }

    /// Adds a number.
    pub fn number(&mut self, key: &str, value: u64) -> &mut Self {
        self.key(key);
        let _ = write!(Raw(self.out), "{value}");
        self
    }

    /// Adds `true` or `false`.
    pub fn switch(&mut self, key: &str, value: bool) -> &mut Self {
        self.key(key);
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
        self
    }

    /// Adds what a value prints, cut after a kilobyte.
    pub fn display(&mut self, key: &str, value: impl Display) -> &mut Self {
        self.key(key);
        let start = self.out.len();
        if self.json {
            self.out.push(b'"');
        }
        let line_end = self.start + LINE - RESERVE;
        let _ = write!(Escaped { limit: (start + VALUE).min(line_end), out: self.out }, "{value}");
        let bare = |b: &u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'=' | b'\\');
        if self.json {
            self.out.push(b'"');
        } else if self.out.len() == start || !self.out.iter().skip(start).all(bare) {
            self.out.insert(start, b'"');
            self.out.push(b'"');
        }
        self
    }

    /// Ends the line.
    pub fn end(&mut self) {
        self.out.extend_from_slice(if self.json { b"}\n" } else { b"\n" });
    }
}

struct Raw<'a>(&'a mut Vec<u8>);

impl Write for Raw<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// Writes text with JSON's escapes, up to an end of `out`.
struct Escaped<'a> {
    out: &'a mut Vec<u8>,
    limit: usize,
}

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if self.out.len() >= self.limit {
                self.out.extend_from_slice("…".as_bytes());
                return Err(fmt::Error);
            }
            match c {
                '"' | '\\' => self.out.extend_from_slice(&[b'\\', c as u8]),
                c if c.is_control() => write!(Raw(self.out), "\\u{:04x}", u32::from(c))?,
                c => self.out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        Ok(())
    }
}

/// Unix time in milliseconds, printed as RFC 3339 in UTC.
pub struct Timestamp(pub u64);

impl Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, ms) = (self.0 / 1000, self.0 % 1000);
        let (days, time) = (seconds / 86_400, seconds % 86_400);
        // Howard Hinnant, "chrono-compatible low-level date algorithms", civil_from_days: years begin in March.
        let shifted = days + 719_468;
        let (era, day) = (shifted / 146_097, shifted % 146_097);
        let year_of_era = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(format: Format, now: u64, fields: impl Fn(&mut Line<'_>)) -> String {
        let mut text = Vec::new();
        let mut line = begin(&mut text, format, now, "info", "x");
        fields(&mut line);
        line.end();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn logfmt_and_json() {
        let line = one(Format::Logfmt, 0, |line| {
            line.text("a", "b c").text("d", "").text("e", "q\"\n").number("n", 7).some("no", None);
        });
        let expected = r#"time=1970-01-01T00:00:00.000Z level=info event=x a="b c" d="" e="q\"\u000a" n=7"#;
        assert_eq!(line, format!("{expected}\n"));
        let line = one(Format::Json, 951_782_400_123, |line| {
            line.text("e", "q\"\\ é").switch("s", true);
        });
        let expected =
            r#"{"time":"2000-02-29T00:00:00.123Z","level":"info","event":"x","e":"q\"\\ é","s":true}"#;
        assert_eq!(line, format!("{expected}\n"));
    }

    #[test]
    fn lines_are_no_longer_than_a_pipe_takes_whole() {
        for format in [Format::Logfmt, Format::Json] {
            let long = "\"é\u{7}".repeat(1000);
            let text = one(format, 0, |line| {
                for key in ["a", "b", "c", "d", "e", "f", "g", "h"] {
                    line.text(key, &long).number("n", u64::MAX);
                }
                line.switch("last", true);
            });
            assert!(text.len() <= LINE, "{} bytes", text.len());
            assert!(text.ends_with("last=true\n") || text.ends_with("\"last\":true}\n"), "{text}");
            assert!(text.contains('…') && text.matches('\n').count() == 1, "{text}");
        }
    }

    #[test]
    fn timestamps() {
        for (ms, text) in [
            (1_709_164_799_999, "2024-02-28T23:59:59.999Z"),
            (1_709_251_199_000, "2024-02-29T23:59:59.000Z"),
            (1_709_251_200_000, "2024-03-01T00:00:00.000Z"),
            (4_102_444_800_000, "2100-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(Timestamp(ms).to_string(), text);
        }
    }
}
