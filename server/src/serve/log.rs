// SPDX-License-Identifier: MIT OR Apache-2.0
//! Structured lines, gathered in a buffer that is used again and written once per sweep.

use crate::config::schema::Format;
use std::fmt::{self, Display, Write};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

/// Where lines go: shared, appended to in whole lines.
#[derive(Debug)]
pub enum Sink {
    /// Standard error.
    Stderr,
    /// A file opened for appending.
    File(File),
}

impl Sink {
    /// Opens `path` for appending; standard error if there is none.
    ///
    /// # Errors
    /// The file can not be opened.
    pub fn open(path: Option<&Path>) -> std::io::Result<Self> {
        match path {
            None => Ok(Self::Stderr),
            Some(path) => File::options().append(true).create(true).open(path).map(Self::File),
        }
    }
}

const CAPACITY: usize = 64 << 10;
/// Room kept for one more line.
const LINE: usize = 4 << 10;

/// One thread's log.
#[derive(Debug)]
pub struct Log {
    buffer: Vec<u8>,
    sink: Arc<Sink>,
    format: Format,
    limit: RateLimit,
}

impl Log {
    /// A log in `format` to `sink`, of at most `errors_per_second` rated lines per second (0: any number).
    pub fn new(sink: Arc<Sink>, format: Format, errors_per_second: u32) -> Self {
        let limit = RateLimit { per_second: errors_per_second, second: 0, count: 0, left_out: 0 };
        Self { buffer: Vec::with_capacity(CAPACITY), sink, format, limit }
    }

    /// Begins a line at `now` (Unix time in milliseconds) about an event.
    pub fn line(&mut self, now: u64, level: &str, event: &str) -> Line<'_> {
        if self.buffer.len() > CAPACITY - LINE {
            self.flush();
        }
        let json = self.format == Format::Json;
        let mut line = Line { out: &mut self.buffer, json, first: true };
        line.display("time", Timestamp(now)).text("level", level).text("event", event);
        line
    }

    /// Begins a line that an attacker could cause at will; `None` if this second has had its share.
    pub fn rated_line(&mut self, now: u64, level: &str, event: &str) -> Option<Line<'_>> {
        let (allowed, left_out) = self.limit.admit(now);
        if left_out > 0 {
            self.line(now, "warn", "log").number("left_out", left_out).end();
        }
        allowed.then(|| self.line(now, level, event))
    }

    /// Writes out what has been gathered. What can not be written is dropped: the service goes on.
    pub fn flush(&mut self) {
        if !self.buffer.is_empty() {
            let _ = match &*self.sink {
                Sink::Stderr => std::io::stderr().lock().write_all(&self.buffer),
                Sink::File(file) => { file }.write_all(&self.buffer),
            };
            self.buffer.clear();
        }
    }
}

#[derive(Debug)]
struct RateLimit {
    per_second: u32,
    second: u64,
    count: u32,
    left_out: u64,
}

impl RateLimit {
    /// Whether a line may be written, and how many of the last busy second were not.
    fn admit(&mut self, now: u64) -> (bool, u64) {
        let mut report = 0;
        if now / 1000 != self.second {
            (self.second, self.count) = (now / 1000, 0);
            report = std::mem::take(&mut self.left_out);
        }
        let allowed = self.per_second == 0 || self.count < self.per_second;
        if allowed {
            self.count += 1;
        } else {
            self.left_out += 1;
        }
        (allowed, report)
    }
}

/// A line under way. [`Line::end`] ends it.
#[derive(Debug)]
#[must_use = "a line needs its end"]
pub struct Line<'l> {
    out: &'l mut Vec<u8>,
    json: bool,
    first: bool,
}

impl Line<'_> {
    fn key(&mut self, key: &str) {
        let before: &[u8] = match (self.json, self.first) {
            (true, true) => b"{\"",
            (true, false) => b",\"",
            (false, true) => b"",
            (false, false) => b" ",
        };
        self.first = false;
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

    /// Adds what a value prints.
    pub fn display(&mut self, key: &str, value: impl Display) -> &mut Self {
        self.key(key);
        let start = self.out.len();
        if self.json {
            self.out.push(b'"');
        }
        let _ = write!(Escaped(self.out), "{value}");
        let bare = |b: &u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'=' | b'\\');
        if self.json {
            self.out.push(b'"');
        } else if self.out.len() == start || !self.out[start..].iter().all(bare) {
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

/// Writes text with JSON's escapes.
struct Escaped<'a>(&'a mut Vec<u8>);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '"' | '\\' => self.0.extend_from_slice(&[b'\\', c as u8]),
                c if c.is_control() => write!(Raw(self.0), "\\u{:04x}", u32::from(c))?,
                c => self.0.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
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

    fn log(format: Format, per_second: u32) -> Log {
        Log::new(Arc::new(Sink::Stderr), format, per_second)
    }

    fn taken(log: &mut Log) -> String {
        String::from_utf8(std::mem::take(&mut log.buffer)).unwrap()
    }

    #[test]
    fn lines() {
        let mut log = log(Format::Logfmt, 0);
        log.line(0, "info", "x")
            .text("a", "b c")
            .text("d", "")
            .text("e", "q\"\n")
            .number("n", 7)
            .some("no", None)
            .end();
        let expected = r#"time=1970-01-01T00:00:00.000Z level=info event=x a="b c" d="" e="q\"\u000a" n=7"#;
        assert_eq!(taken(&mut log), format!("{expected}\n"));
        log.format = Format::Json;
        log.line(951_782_400_123, "info", "x").text("e", "q\"\\ é").switch("s", true).end();
        let expected =
            r#"{"time":"2000-02-29T00:00:00.123Z","level":"info","event":"x","e":"q\"\\ é","s":true}"#;
        assert_eq!(taken(&mut log), format!("{expected}\n"));
    }

    #[test]
    fn rated_lines_are_bounded_and_what_is_left_out_is_counted() {
        let mut log = log(Format::Logfmt, 2);
        let mut written = 0;
        for _ in 0..5 {
            if let Some(mut line) = log.rated_line(5000, "warn", "x") {
                line.end();
                written += 1;
            }
        }
        assert_eq!(written, 2);
        taken(&mut log);
        log.rated_line(6000, "warn", "x").unwrap().end();
        assert!(taken(&mut log).contains("event=log left_out=3\n"));
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
