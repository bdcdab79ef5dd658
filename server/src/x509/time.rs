// SPDX-License-Identifier: MIT OR Apache-2.0
//! Time as certificates write it (RFC 5280 §4.1.2.5).

use super::der::{Malformed, Reader, tag};
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970, UTC; before it, negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub i64);

impl Time {
    /// From Unix time in milliseconds.
    pub fn from_milliseconds(ms: u64) -> Self {
        Self(i64::try_from(ms / 1000).unwrap_or(i64::MAX))
    }

    /// Now.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Self(since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX)))
    }

    /// Reads a UTCTime or GeneralizedTime, in seconds and UTC.
    ///
    /// # Errors
    /// It is written otherwise.
    pub fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, Malformed> {
        let (kind, text, _) = reader.any(field)?;
        let two = |at: usize| match text.get(at..at + 2) {
            Some(&[a @ b'0'..=b'9', b @ b'0'..=b'9']) => Ok(i64::from(a - b'0') * 10 + i64::from(b - b'0')),
            _ => Err(Malformed(field)),
        };
        let (year, at) = match kind {
            // RFC 5280 §4.1.2.5.1: 50 to 99 are of the last century.
            tag::UTC_TIME => (two(0)? + if two(0)? < 50 { 2000 } else { 1900 }, 2),
            tag::GENERALIZED_TIME => (two(0)? * 100 + two(2)?, 4),
            _ => return Err(Malformed(field)),
        };
        let (month, day) = (two(at)?, two(at + 2)?);
        let (hour, minute, second) = (two(at + 4)?, two(at + 6)?, two(at + 8)?);
        let fits =
            (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 61;
        if !fits || text.get(at + 10..) != Some(b"Z") {
            return Err(Malformed(field));
        }
        Ok(Self(days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second))
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar. Years begin in March, so that leap days end them.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month < 3 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

impl fmt::Display for Time {
    /// `2026-11-28 04:09:11 UTC`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (date, second) = (self.0.div_euclid(86_400), self.0.rem_euclid(86_400));
        let mut year = 1970 + date.div_euclid(366);
        while days(year + 1, 1, 1) <= date {
            year += 1;
        }
        let month = (1..=12).rev().find(|&month| days(year, month, 1) <= date).unwrap_or(1);
        let day = date - days(year, month, 1) + 1;
        let (hour, minute) = (second / 3600, second / 60 % 60);
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{:02} UTC", second % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(tag: u8, text: &str) -> Option<Time> {
        let mut der = vec![tag, u8::try_from(text.len()).unwrap()];
        der.extend(text.bytes());
        Time::read(&mut Reader::new(&der), "time").ok()
    }

    #[test]
    fn both_forms_and_their_centuries() {
        assert_eq!(read(tag::UTC_TIME, "700101000000Z"), Some(Time(0)));
        assert_eq!(read(tag::UTC_TIME, "491231235959Z"), Some(Time(2_524_607_999)));
        assert_eq!(read(tag::UTC_TIME, "500101000000Z"), Some(Time(-631_152_000)));
        assert_eq!(read(tag::GENERALIZED_TIME, "20240229120000Z"), Some(Time(1_709_208_000)));
        assert_eq!(read(tag::GENERALIZED_TIME, "99991231235959Z"), Some(Time(253_402_300_799)));
        for bad in ["", "7001010000Z", "700101000000", "700101000000+0100", "701301000000Z", "70010100000aZ"]
        {
            assert_eq!(read(tag::UTC_TIME, bad), None, "{bad}");
        }
        assert_eq!(read(tag::INTEGER, "700101000000Z"), None);
    }

    #[test]
    fn text_and_time_agree() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (-1, "1969-12-31 23:59:59 UTC"),
            (1_709_208_000, "2024-02-29 12:00:00 UTC"),
            (1_795_838_951, "2026-11-28 04:09:11 UTC"),
            (253_402_300_799, "9999-12-31 23:59:59 UTC"),
            (-631_152_000, "1950-01-01 00:00:00 UTC"),
        ] {
            assert_eq!(Time(seconds).to_string(), text);
        }
    }
}
