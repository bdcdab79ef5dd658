// SPDX-License-Identifier: MIT OR Apache-2.0
//! Structured lines, gathered in a buffer that is used again and handed over once per sweep.

pub mod destination;
pub mod line;
pub mod sink;

use crate::config::schema::Format;
use line::{LINE, Line, begin};
use sink::Sink;
use std::sync::Arc;

const CAPACITY: usize = 64 << 10;

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
        let limit = RateLimit { per_second: errors_per_second, second: 0, count: 0, left_out: 0, total: 0 };
        Self { buffer: Vec::with_capacity(CAPACITY), sink, format, limit }
    }

    /// From here on lines are in `format`, at most `errors_per_second` rated ones per second.
    pub fn reconfigure(&mut self, format: Format, errors_per_second: u32) {
        (self.format, self.limit.per_second) = (format, errors_per_second);
    }

    /// Begins a line at `now` (Unix time in milliseconds) about an event.
    pub fn line(&mut self, now: u64, level: &str, event: &str) -> Line<'_> {
        if self.buffer.len() > CAPACITY - LINE {
            self.hand_over();
        }
        begin(&mut self.buffer, self.format, now, level, event)
    }

    /// Begins a line that an attacker could cause at will; `None` if this second has had its share.
    pub fn rated_line(&mut self, now: u64, level: &str, event: &str) -> Option<Line<'_>> {
        if let Some(left_out) = self.limit.left_out_before(now) {
            self.tell(now, left_out);
        }
        self.limit.admit(now).then(|| self.line(now, level, event))
    }

    /// Number of rated lines that were left out.
    pub const fn limited(&self) -> u64 {
        self.limit.total
    }

    /// Tells what was left out in a busy second before `now` (Unix time in milliseconds), and hands over what has been gathered.
    pub fn flush(&mut self, now: u64) {
        if let Some(left_out) = self.limit.left_out_before(now) {
            self.tell(now, left_out);
        }
        self.hand_over();
    }

    fn tell(&mut self, now: u64, left_out: u64) {
        let mut line = self.line(now, "warn", "log");
        line.number("left_out", left_out).text("reason", "log.errors_per_second").end();
    }

    fn hand_over(&mut self) {
        if !self.buffer.is_empty() {
            self.sink.append(&self.buffer);
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
    total: u64,
}

impl RateLimit {
    /// Whether a line may be written.
    fn admit(&mut self, now: u64) -> bool {
        if now / 1000 != self.second {
            (self.second, self.count) = (now / 1000, 0);
        }
        let allowed = self.per_second == 0 || self.count < self.per_second;
        if allowed {
            self.count += 1;
        } else {
            self.left_out += 1;
            self.total += 1;
        }
        allowed
    }

    /// How many lines of a second that is over were left out, and not told yet.
    fn left_out_before(&mut self, now: u64) -> Option<u64> {
        (self.left_out > 0 && now / 1000 != self.second).then(|| std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::destination::Destination;
    use super::sink::Style;
    use super::*;
    use rustix::fs::Mode;

    fn log(format: Format, per_second: u32) -> Log {
        let nowhere = Destination::file("/dev/null".as_ref(), Mode::empty()).unwrap();
        Log::new(Sink::new(nowhere, Style::Log(format)).unwrap(), format, per_second)
    }

    fn taken(log: &mut Log) -> String {
        String::from_utf8(std::mem::take(&mut log.buffer)).unwrap()
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
        log.flush(5999);
        assert!(log.buffer.is_empty(), "the second is not over");
        log.rated_line(6000, "warn", "x").unwrap().end();
        assert!(taken(&mut log).contains("event=log left_out=3 reason=log.errors_per_second\n"));
    }
}
