// SPDX-License-Identifier: MIT OR Apache-2.0
//! As much of an HTTP/1.1 response as a load generator must understand (RFC 9112): where it ends, and
//! whether it is what was asked for.

/// Longest head that is accepted, in bytes.
const MAX_HEAD: usize = 16 * 1024;

/// A response being received.
#[derive(Default)]
pub(super) struct Response {
    head: Vec<u8>,
    /// Bytes of the body still to come, once the head is complete. `None`: until the connection's end.
    body: Option<Option<u64>>,
}

/// Why a response is not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Not HTTP/1.x, or longer than the head may be.
    Malformed,
    /// Another status than 200.
    Status([u8; 3]),
    /// More bytes than the response announced.
    Excess,
}

impl Response {
    /// Forgets what was received.
    pub(super) fn reset(&mut self) {
        self.head.clear();
        self.body = None;
    }

    /// Takes in bytes; true once the response is complete.
    pub(super) fn receive(&mut self, bytes: &[u8]) -> Result<bool, Refused> {
        let mut body = bytes;
        if self.body.is_none() {
            // The blank line may begin in what was received before.
            let from = self.head.len().saturating_sub(3);
            self.head.extend_from_slice(bytes);
            let Some(blank) = self.head[from..].windows(4).position(|window| window == b"\r\n\r\n") else {
                return if self.head.len() > MAX_HEAD { Err(Refused::Malformed) } else { Ok(false) };
            };
            let end = from + blank + 4;
            self.body = Some(read_head(&self.head[..end])?);
            body = &bytes[bytes.len() - (self.head.len() - end)..];
        }
        let Some(Some(left)) = &mut self.body else { return Ok(false) };
        *left = left.checked_sub(body.len() as u64).ok_or(Refused::Excess)?;
        Ok(*left == 0)
    }

    /// Whether the connection's end completes the response.
    pub(super) const fn ends_with_connection(&self) -> bool {
        matches!(self.body, Some(None))
    }
}

/// Checks the status line and returns Content-Length.
fn read_head(head: &[u8]) -> Result<Option<u64>, Refused> {
    let head = str::from_utf8(head).map_err(|_| Refused::Malformed)?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.")).and_then(|line| line.get(2..5));
    let status = status.and_then(|status| status.as_bytes().try_into().ok()).ok_or(Refused::Malformed)?;
    if status != *b"200" {
        return Err(Refused::Status(status));
    }
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            return value.trim().parse().map(Some).map_err(|_| Refused::Malformed);
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-LENGTH: 5\r\nServer: x\r\n\r\nhello";

    #[test]
    fn complete_however_it_is_cut() {
        for first in 0..WHOLE.len() {
            for second in first..WHOLE.len() {
                let mut response = Response::default();
                for part in [&WHOLE[..first], &WHOLE[first..second]] {
                    assert_eq!(response.receive(part), Ok(false), "{first} {second}");
                }
                assert_eq!(response.receive(&WHOLE[second..]), Ok(true), "{first} {second}");
                assert_eq!(response.receive(b"!"), Err(Refused::Excess));
            }
        }
    }

    #[test]
    fn without_a_length_it_ends_with_the_connection() {
        let mut response = Response::default();
        assert!(!response.ends_with_connection());
        assert_eq!(response.receive(b"HTTP/1.0 200 OK\r\n\r\nhello"), Ok(false));
        assert!(response.ends_with_connection());
        response.reset();
        assert!(!response.ends_with_connection());
    }

    #[test]
    fn refuses_what_was_not_asked_for() {
        let refused = |bytes: &[u8]| Response::default().receive(bytes).unwrap_err();
        assert_eq!(refused(b"HTTP/1.1 404 Not Found\r\n\r\n"), Refused::Status(*b"404"));
        assert_eq!(refused(b"220 smtp.example\r\n\r\n"), Refused::Malformed);
        assert_eq!(refused(b"HTTP/1.1 200\r\nContent-Length: -1\r\n\r\n"), Refused::Malformed);
        assert_eq!(refused(&[b'x'; MAX_HEAD + 1]), Refused::Malformed);
    }
}
