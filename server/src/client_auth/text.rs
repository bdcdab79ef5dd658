// SPDX-License-Identifier: MIT OR Apache-2.0
//! The text of handshakes of TLS 1.2, which Ed25519 signs (RFC 8422 §5.1.3): of others hashes are enough. It has a bound of its own,
//! so that a flood of handshakes takes nothing from anybody but clients with such keys.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Most bytes that are kept of all handshakes: of some thousand with a usual chain. One has less than 52 KiB: ClientHello and
/// Certificate 16 KiB at most, the server's flight little more.
const MOST: usize = 16 << 20;

/// Bytes that are kept of all handshakes.
#[derive(Clone, Default)]
pub(super) struct Texts(Arc<AtomicUsize>);

/// What is kept of one, until it is dropped.
pub(super) struct Text {
    all: Texts,
    bytes: Vec<u8>,
    /// There was no room for some of it.
    lost: bool,
}

impl Text {
    /// Nothing yet.
    pub(super) const fn new(all: Texts) -> Self {
        Self { all, bytes: Vec::new(), lost: false }
    }

    /// Keeps more of it. `false` if there is no room: the rest goes, too.
    pub(super) fn keep(&mut self, more: &[u8]) -> bool {
        let before = self.all.0.fetch_add(more.len(), Relaxed);
        if self.lost || before.saturating_add(more.len()) > MOST {
            self.all.0.fetch_sub(more.len(), Relaxed);
            self.forget();
            self.lost = true;
            return false;
        }
        self.bytes.reserve_exact(more.len());
        self.bytes.extend_from_slice(more);
        true
    }

    /// All of it; `None` if some is lost.
    pub(super) fn whole(&self) -> Option<&[u8]> {
        (!self.lost).then_some(&self.bytes)
    }

    /// Gives the room back.
    pub(super) fn forget(&mut self) {
        self.all.0.fetch_sub(std::mem::take(&mut self.bytes).len(), Relaxed);
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        self.forget();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn together_they_have_a_bound_and_what_goes_makes_room() {
        let all = Texts::default();
        let piece = vec![7; 50 << 10];
        let mut texts: Vec<Text> = Vec::new();
        let kept = loop {
            let mut text = Text::new(all.clone());
            let kept = text.keep(&piece);
            texts.push(text);
            if !kept {
                break texts.len() - 1;
            }
        };
        assert_eq!(kept, MOST / piece.len());
        assert!(!texts[0].keep(&piece), "no more for those that have some");
        assert_eq!(texts[0].whole(), None, "a part is of no use");
        assert!(!texts[0].keep(&[]), "nor is what follows");
        let mut next = Text::new(all.clone());
        assert!(next.keep(&piece[1..]) && next.keep(&piece[..1]));
        assert_eq!(next.whole(), Some(&piece[..]));
        next.forget();
        assert_eq!(all.0.load(Relaxed), (kept - 1) * piece.len());
        drop(next);
        drop(texts);
        assert_eq!(all.0.load(Relaxed), 0);
    }
}
