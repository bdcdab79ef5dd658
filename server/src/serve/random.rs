// SPDX-License-Identifier: MIT OR Apache-2.0
//! Randomness from the kernel, a page at a time.

use rustix::rand::{GetRandomFlags, getrandom};
use zeroize::Zeroize;

const SIZE: usize = 4096;

/// Random bytes fetched ahead; each is used once and wiped. The program never forks after it has one.
pub struct Buffered {
    bytes: Box<[u8; SIZE]>,
    used: usize,
}

impl Default for Buffered {
    fn default() -> Self {
        Self { bytes: Box::new([0; SIZE]), used: SIZE }
    }
}

impl Buffered {
    /// A number, evenly of all.
    pub fn number(&mut self) -> u32 {
        let mut bytes = [0; 4];
        ttls::config::Random::fill(self, &mut bytes);
        u32::from_ne_bytes(bytes)
    }
}

impl ttls::config::Random for Buffered {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(SIZE) {
            if SIZE - self.used < chunk.len() {
                kernel(&mut *self.bytes);
                self.used = 0;
            }
            let Some(source) = self.bytes.get_mut(self.used..self.used + chunk.len()) else {
                kernel(chunk);
                continue;
            };
            chunk.copy_from_slice(source);
            source.zeroize();
            self.used += chunk.len();
        }
    }
}

/// Fills `out` from the kernel's generator. Ends the process if the kernel refuses: there is no safe way on.
pub fn kernel(out: &mut [u8]) {
    let mut filled = 0;
    while let Some(rest) = out.get_mut(filled..)
        && !rest.is_empty()
    {
        match getrandom(rest, GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => {
                crate::output::complain(format_args!("ttls: the kernel gives no random bytes: {error}"));
                std::process::abort();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ttls::config::Random;

    #[test]
    fn bytes_are_used_once() {
        let mut random = Buffered::default();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..1000 {
            let mut block = [0; 32];
            random.fill(&mut block);
            assert!(seen.insert(block));
        }
        let mut long = vec![0; 3 * SIZE + 5];
        random.fill(&mut long);
        assert!(long.chunks(32).all(|block| block.len() < 32 || block.iter().any(|&b| b != 0)));
        assert!(random.bytes[..random.used].iter().all(|&byte| byte == 0), "used bytes are wiped");
    }
}
