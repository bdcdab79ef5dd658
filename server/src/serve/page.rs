// SPDX-License-Identifier: MIT OR Apache-2.0
//! The built-in backends' responses.

use super::http::{Found, Requests};
use super::outcome::Outcome;
use std::fmt::{self, Write};
use ttls::Session;
use ttls::suite::group_name;

/// What a built-in backend shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// The negotiated parameters.
    Parameters,
    /// So many bytes.
    Bytes(usize),
}

/// A built-in backend's side of one connection.
#[derive(Debug)]
pub struct Builtin {
    content: Content,
    requests: Requests,
    /// A response is due or under way.
    response: Option<Response>,
    finished: bool,
    /// The body of the last request may go on.
    unread: bool,
}

#[derive(Debug)]
struct Response {
    close: bool,
    /// Bytes sent.
    position: usize,
    /// Bytes of text before the body; not known until the first part is made.
    prefix: usize,
}

impl Builtin {
    /// Waits for a request.
    pub fn new(content: Content) -> Self {
        Self { content, requests: Requests::default(), response: None, finished: false, unread: false }
    }

    /// Takes request bytes; returns how many. None are taken while a response is under way.
    ///
    /// # Errors
    /// The bytes are not HTTP/1.
    pub fn request(&mut self, bytes: &[u8]) -> Result<usize, Outcome> {
        if self.response.is_some() {
            return Ok(0);
        }
        if self.finished {
            return Ok(bytes.len());
        }
        let mut rest = bytes;
        match self.requests.next(&mut rest) {
            Found::More => {}
            Found::Invalid => return Err(Outcome::NotHttp),
            Found::Request { close, whole } => {
                self.unread = !whole;
                self.response = Some(Response { close, position: 0, prefix: usize::MAX })
            }
        }
        Ok(bytes.len() - rest.len())
    }

    /// Whether there is something to send.
    pub const fn has_response(&self) -> bool {
        self.response.is_some()
    }

    /// The last response is sent.
    pub const fn is_finished(&self) -> bool {
        self.finished
    }

    /// The client may go on sending what is not read any more.
    pub const fn is_sent_more(&self) -> bool {
        self.unread
    }

    /// Writes the next part of the response to `out` and returns its length: less than `out` holds at its end only.
    pub fn respond(&mut self, out: &mut [u8], session: &Session, draining: bool) -> usize {
        let Some(response) = &mut self.response else { return 0 };
        if response.position == 0 {
            response.close |= draining;
        }
        let mut len = 0;
        if response.position < response.prefix {
            let text = self.content.text(session, response.close);
            response.prefix = text.len;
            let rest = text.bytes().get(response.position..).unwrap_or_default();
            len = rest.len().min(out.len());
            out.iter_mut().zip(rest).for_each(|(out, byte)| *out = *byte);
        }
        let end = response.prefix + self.content.body();
        let left = end.saturating_sub(response.position + len);
        let fill = out.len().saturating_sub(len).min(left);
        if let Some(body) = out.get_mut(len..len + fill) {
            body.fill(b'x');
        }
        len += fill;
        response.position += len;
        if response.position == end {
            self.finished = response.close;
            self.response = None;
        }
        len
    }
}

impl Content {
    /// Head, and the page if there is one.
    fn text(self, session: &Session, close: bool) -> Text {
        let mut page = Text::default();
        let (kind, length) = match self {
            Self::Parameters => {
                // Everything in it is bounded, and fits.
                let _ = write_page(&mut page, session);
                ("text/plain; charset=utf-8", page.len)
            }
            Self::Bytes(size) => ("application/octet-stream", size),
        };
        let connection = if close { "Connection: close\r\n" } else { "" };
        let mut text = Text::default();
        let _ = write!(
            text,
            "HTTP/1.1 200 OK\r\nServer: ttls\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{connection}\r\n"
        );
        let _ = text.write_str(std::str::from_utf8(page.bytes()).unwrap_or_default());
        text
    }

    /// Bytes after the text.
    const fn body(self) -> usize {
        match self {
            Self::Parameters => 0,
            Self::Bytes(size) => size,
        }
    }
}

fn write_page(page: &mut Text, session: &Session) -> fmt::Result {
    writeln!(page, "ttls {}", env!("CARGO_PKG_VERSION"))?;
    writeln!(page, "version: {}", session.version)?;
    writeln!(page, "suite: {}", session.suite.name())?;
    writeln!(page, "group: {}", session.group.map_or("none", group_name))?;
    writeln!(page, "resumed: {}", session.resumed)?;
    match &session.alpn {
        Some(alpn) => writeln!(page, "alpn: {}", alpn.as_bytes().escape_ascii())?,
        None => writeln!(page, "alpn: none")?,
    }
    writeln!(page, "server name: {}", session.server_name.as_ref().map_or("none", |name| name.as_str()))?;
    writeln!(page, "client certificate: {}", session.client_authenticated)
}

/// Text in a fixed space.
struct Text {
    bytes: [u8; 1536],
    len: usize,
}

impl Text {
    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl Default for Text {
    fn default() -> Self {
        Self { bytes: [0; 1536], len: 0 }
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let space = self.bytes.get_mut(self.len..self.len + text.len()).ok_or(fmt::Error)?;
        space.copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}
