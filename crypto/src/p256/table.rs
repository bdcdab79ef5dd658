// SPDX-License-Identifier: MIT OR Apache-2.0
//! Multiples of the base point of P-256.

use crate::aligned::Aligned;

/// Bits per window.
pub(crate) const WINDOW: usize = 7;
/// Windows that cover 256 bits.
pub(crate) const WINDOWS: usize = 37;
/// Odd multiples per window.
pub(crate) const ENTRIES: usize = 1 << (WINDOW - 1);

/// `TABLE[i][limb][e]`: the point (2e + 1)·2^(7i)·G, its x in limbs 0–3 and its y in limbs 4–7, both in
/// Montgomery form for 2^256, below p. 149 KiB.
///
/// By columns, so that one permutation of eight lanes looks up one limb. Five limbs of 52 bits with
/// Montgomery form for 2^260 need no other table: take 4·x and 2·y as they are (shifts while the limbs
/// are cut anew). These are the coordinates x/4, y/8 on the isomorphic curve with Z = 1/2, and the
/// addition formulas do not see a curve's coefficients.
///
/// The file is written by `cargo test -p ttls-crypto write_table -- --ignored`.
pub(crate) static TABLE: Aligned<[[[u64; ENTRIES]; 8]; WINDOWS]> =
    Aligned::from_le_bytes(include_bytes!("base_multiples.bin"));

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limbs;
    use crate::p256::field::Element;
    use crate::p256::point::{Affine, Jacobian};

    /// The base point (SP 800-186 §3.2.1.3).
    const G: [u8; 65] = [
        0x04, 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2,
        0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96, 0x4f,
        0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce,
        0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5,
    ];

    fn generate() -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut base = Affine::from_bytes(&G).unwrap();
        for _ in 0..WINDOWS {
            let twice = Jacobian::from(base).double().to_affine();
            let mut multiples = vec![base];
            for entry in 1..ENTRIES {
                let sum = Jacobian::from(multiples[entry - 1]).add_affine(&twice);
                multiples.push(sum.to_affine());
            }
            for limb in 0..8 {
                for Affine { x: Element(x), y: Element(y) } in &multiples {
                    bytes.extend([x, y][limb / 4][limb % 4].to_le_bytes());
                }
            }
            base = Jacobian::from(base).double_times(WINDOW).to_affine();
        }
        bytes
    }

    #[test]
    fn table_is_as_generated() {
        assert!(generate() == include_bytes!("base_multiples.bin"));
        assert!(core::ptr::from_ref(&*TABLE).cast::<u8>().align_offset(64) == 0);
        let x = Element([TABLE[0][0][0], TABLE[0][1][0], TABLE[0][2][0], TABLE[0][3][0]]);
        assert_eq!(limbs::to_be_bytes(&x.to_limbs())[..], G[1..33]);
    }

    #[test]
    #[ignore = "writes the table anew"]
    fn write_table() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/p256/base_multiples.bin"), generate())
            .unwrap();
    }
}
