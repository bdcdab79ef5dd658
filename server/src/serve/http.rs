// SPDX-License-Identifier: MIT OR Apache-2.0
//! The built-in backends' HTTP/1.1: as much as it takes to answer every request the same way.

/// Longest header line that is looked at, in bytes; longer ones are skipped.
const LINE: usize = 64;

/// Finds the ends of requests in a stream, however it is cut.
#[derive(Debug)]
pub struct Requests {
    line: [u8; LINE],
    /// Length of the line so far; counted on past [`LINE`].
    len: usize,
    first_line_seen: bool,
    /// Bytes of the body still to come.
    body: u64,
    in_body: bool,
    content_length: u64,
    close: bool,
    /// It has a body of which only the client knows where it ends.
    chunked: bool,
}

impl Default for Requests {
    fn default() -> Self {
        Self {
            line: [0; LINE],
            len: 0,
            first_line_seen: false,
            body: 0,
            in_body: false,
            content_length: 0,
            close: false,
            chunked: false,
        }
    }
}

/// What [`Requests::next`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The bytes are used up.
    More,
    /// A request has ended: answer it. `close` says that it is the last one.
    Request {
        /// The client wants the connection closed after the response.
        close: bool,
        /// Its body has come; otherwise where that ends is not looked for.
        whole: bool,
    },
    /// Not HTTP/1: close.
    Invalid,
}

impl Requests {
    /// Takes bytes from the front of `bytes` up to the end of a request.
    pub fn next(&mut self, bytes: &mut &[u8]) -> Found {
        loop {
            if self.in_body {
                let here = usize::try_from(self.body).unwrap_or(usize::MAX).min(bytes.len());
                *bytes = bytes.get(here..).unwrap_or_default();
                self.body -= here as u64;
                if self.body > 0 {
                    return Found::More;
                }
                let found = Found::Request { close: self.close, whole: !self.chunked };
                *self = Self::default();
                return found;
            }
            let Some((&byte, rest)) = bytes.split_first() else { return Found::More };
            *bytes = rest;
            if byte != b'\n' {
                if let Some(place) = self.line.get_mut(self.len) {
                    *place = byte;
                }
                self.len += 1;
                if self.len > 16_384 {
                    return Found::Invalid;
                }
                continue;
            }
            let line = self.line.get(..self.len.min(LINE)).unwrap_or_default().trim_ascii_end();
            let complete = self.len <= LINE;
            self.len = 0;
            if !self.first_line_seen {
                let Some(first) = line.first() else { continue };
                if !first.is_ascii_uppercase() {
                    return Found::Invalid;
                }
                self.first_line_seen = true;
                self.close = line.ends_with(b"HTTP/1.0");
            } else if line.is_empty() && complete {
                (self.in_body, self.body) = (true, self.content_length);
            } else if complete {
                let mut parts = line.splitn(2, |&b| b == b':');
                let (Some(name), Some(value)) = (parts.next(), parts.next()) else { return Found::Invalid };
                let value = value.trim_ascii();
                if name.eq_ignore_ascii_case(b"content-length") {
                    let Some(length) = std::str::from_utf8(value).ok().and_then(|v| v.parse().ok()) else {
                        return Found::Invalid;
                    };
                    self.content_length = length;
                } else if name.eq_ignore_ascii_case(b"connection") {
                    self.close |= value.eq_ignore_ascii_case(b"close");
                } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
                    // The answer is the last thing on this connection.
                    (self.close, self.chunked) = (true, true);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(stream: &[u8], cut: usize) -> Vec<Found> {
        let mut requests = Requests::default();
        let mut found = Vec::new();
        for mut piece in stream.chunks(cut) {
            loop {
                match requests.next(&mut piece) {
                    Found::More => break,
                    Found::Invalid => {
                        found.push(Found::Invalid);
                        return found;
                    }
                    request @ Found::Request { .. } => found.push(request),
                }
            }
        }
        found
    }

    #[test]
    fn requests_end_where_they_end_however_cut() {
        let keep = Found::Request { close: false, whole: true };
        let last = Found::Request { close: true, whole: true };
        let open = Found::Request { close: true, whole: false };
        let long = format!("GET /{} HTTP/1.1\r\nCookie: {}\r\n\r\n", "a".repeat(300), "b".repeat(300));
        let cases: [(&[u8], &[Found]); 9] = [
            (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", &[keep]),
            (b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nConnection: close\r\n\r\n", &[keep, last]),
            (b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\na\r\n\r\nGET / HTTP/1.0\r\n\r\n", &[keep, last]),
            (b"POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\nabc", &[]),
            (long.as_bytes(), &[keep]),
            (b"\x16\x03\x01\n", &[Found::Invalid]),
            (b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", &[Found::Invalid]),
            (b"GET / HTTP/1.1\nHost: a\n\n", &[keep]),
            (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", &[open]),
        ];
        for (stream, expected) in cases {
            for cut in 1..=stream.len() {
                assert_eq!(run(stream, cut), expected, "{} cut by {cut}", stream.escape_ascii());
            }
        }
    }
}
