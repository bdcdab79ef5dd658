// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who comes from where: disjoint blocks of 127.0.0.0/8, every address of which reaches the loopback device.

use std::net::Ipv4Addr;

/// A block of addresses, its length a power of two.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    first: u32,
    bits: u32,
}

const fn block(second: u32, prefix: u32) -> Block {
    Block { first: 127 << 24 | second << 16, bits: 32 - prefix }
}

/// Clients that keep their connections.
pub(crate) const ESTABLISHED: Block = block(16, 12);
/// Clients that come back with a ticket.
pub(crate) const RETURNING: Block = block(32, 12);
/// Clients that come back without one.
pub(crate) const KNOWN: Block = block(48, 12);
/// Clients that were never here.
pub(crate) const NEW: Block = block(64, 10);
/// Attackers.
pub(crate) const ATTACK: Block = block(128, 10);
/// Clients that measure the server's capacity.
pub(crate) const CAPACITY: Block = block(192, 11);
/// One address that attacker and clients share.
pub(crate) const NAT: Ipv4Addr = Ipv4Addr::new(127, 224, 0, 1);

impl Block {
    /// The address of client `number`. Numbers that follow each other lie in different /24 networks, as strangers do; each
    /// address is given once before one is given again.
    pub(crate) const fn address(self, number: u64) -> Ipv4Addr {
        /// Odd: multiplying by it is a permutation of the block.
        const STRIDE: u64 = 0x9e37_79b1;
        let mask = (1 << self.bits) - 1;
        // The block's own first address is nobody's: the permutation begins with the second.
        #[allow(clippy::cast_possible_truncation)] // masked
        let offset = (number.wrapping_add(1).wrapping_mul(STRIDE) & mask) as u32;
        Ipv4Addr::from_bits(self.first + offset)
    }

    /// The address of client `number` where all are neighbours in one /24 network.
    #[allow(clippy::cast_possible_truncation)] // below 254
    pub(crate) const fn neighbour(self, number: u64) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.first + 1 + (number % 254) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn blocks_do_not_overlap_and_spare_what_is_special() {
        let all = [ESTABLISHED, RETURNING, KNOWN, NEW, ATTACK, CAPACITY];
        let mut ends: Vec<(u64, u64)> = all
            .iter()
            .map(|block| (u64::from(block.first), u64::from(block.first) + (1 << block.bits)))
            .chain([(u64::from(NAT.to_bits()), u64::from(NAT.to_bits()) + 1)])
            .collect();
        ends.sort_unstable();
        assert!(ends.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{ends:x?}");
        // 127.0.0.1 is the server's; 127.255.255.255 is a broadcast address.
        assert!(ends[0].0 > 0x7f00_00ff && ends[ends.len() - 1].1 < 0x7fff_ffff);
        assert!(all.iter().all(|block| block.first.trailing_zeros() >= block.bits));
    }

    #[test]
    fn a_hundred_thousand_attackers_have_as_many_addresses_in_thousands_of_networks() {
        let addresses: HashSet<_> = (0..100_000).map(|number| ATTACK.address(number)).collect();
        assert_eq!(addresses.len(), 100_000);
        let networks: HashSet<_> = addresses.iter().map(|address| address.to_bits() >> 8).collect();
        assert!(networks.len() > 16_000, "{}", networks.len());
        let end = ATTACK.first + (1 << ATTACK.bits);
        assert!(addresses.iter().all(|address| (ATTACK.first..end).contains(&address.to_bits())));
    }

    #[test]
    fn a_block_is_used_up_before_an_address_comes_again() {
        let small = Block { first: 127 << 24, bits: 8 };
        let addresses: HashSet<_> = (0..256).map(|number| small.address(number)).collect();
        assert_eq!(addresses.len(), 256);
        let neighbours: HashSet<_> = (0..8).map(|number| ATTACK.neighbour(number).to_bits() >> 8).collect();
        assert_eq!(neighbours.len(), 1);
    }
}
