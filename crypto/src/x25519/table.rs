// SPDX-License-Identifier: MIT OR Apache-2.0
//! Multiples of the base point of edwards25519.

use crate::aligned::Aligned;

/// Bits per window.
pub(crate) const WINDOW: usize = 6;
/// Windows that cover the 252 bits of a clamped scalar divided by 8.
pub(crate) const WINDOWS: usize = 42;
/// Odd multiples per window.
pub(crate) const ENTRIES: usize = 1 << (WINDOW - 1);

/// `TABLE[i][limb][e]`: the point (2e + 1)·2^(6i)·8·B as y + x (limbs 0–4), y − x (5–9) and 2·d·x·y (10–14),
/// each below p in five limbs of 51 bits. B is the base point (RFC 8032 §5.1); its cofactor 8 is what
/// clamping leaves in every scalar. By columns, so that one permutation of eight lanes looks up one
/// limb. 158 KiB.
///
/// The file is written by `cargo test -p ttls-crypto write_table -- --ignored`.
pub(crate) static TABLE: Aligned<[[[u64; ENTRIES]; 15]; WINDOWS]> =
    Aligned::from_le_bytes(include_bytes!("base_multiples.bin"));

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x25519::field::Element;

    /// The base point's x-coordinate (RFC 8032 §5.1), little-endian; y is 4/5.
    const X: [u8; 32] = [
        0x1a, 0xd5, 0x25, 0x8f, 0x60, 0x2d, 0x56, 0xc9, 0xb2, 0xa7, 0x25, 0x95, 0x60, 0xc7, 0x2c, 0x69, 0x5c,
        0xdc, 0xd6, 0xfd, 0x31, 0xe2, 0xa4, 0xc0, 0xfe, 0x53, 0x6e, 0xcd, 0xd3, 0x36, 0x69, 0x21,
    ];

    #[derive(Clone, Copy)]
    struct Point {
        x: Element,
        y: Element,
    }

    /// −121665/121666
    fn d() -> Element {
        let numerator = Element::ZERO.sub(&Element::ONE.mul_small(121_665));
        numerator.mul(&Element::ONE.mul_small(121_666).invert())
    }

    fn add(p: &Point, q: &Point) -> Point {
        let (a, b) = (p.x.mul(&q.y), q.x.mul(&p.y));
        let (c, e) = (p.y.mul(&q.y), p.x.mul(&q.x));
        let t = d().mul(&a).mul(&b);
        Point {
            x: a.add(&b).mul(&Element::ONE.add(&t).invert()),
            y: c.add(&e).mul(&Element::ONE.sub(&t).invert()),
        }
    }

    fn radix_51(element: &Element) -> [u64; 5] {
        let limbs = element.to_limbs();
        core::array::from_fn(|i| crate::limbs::bits_from(&limbs, 51 * i) & ((1 << 51) - 1))
    }

    fn generate() -> Vec<u8> {
        let y = Element::ONE.mul_small(4).mul(&Element::ONE.mul_small(5).invert());
        let mut base = Point { x: Element::from_le_bytes(&X), y };
        // y² − x² = 1 + d·x²·y²
        let (xx, yy) = (base.x.square(), base.y.square());
        let right = Element::ONE.add(&d().mul(&xx).mul(&yy));
        assert_eq!(yy.sub(&xx).to_limbs(), right.to_limbs());

        let double_times = |point: &Point, times| (0..times).fold(*point, |sum, _| add(&sum, &sum));
        base = double_times(&base, 3);
        let mut bytes = Vec::new();
        for _ in 0..WINDOWS {
            let twice = add(&base, &base);
            let mut rows = Vec::new();
            let mut multiple = base;
            for _ in 0..ENTRIES {
                let Point { x, y } = multiple;
                let product = d().mul(&x).mul(&y).mul_small(2);
                rows.push([y.add(&x), y.sub(&x), product].map(|element| radix_51(&element)).concat());
                multiple = add(&multiple, &twice);
            }
            for limb in 0..15 {
                bytes.extend(rows.iter().flat_map(|row| row[limb].to_le_bytes()));
            }
            base = double_times(&base, WINDOW);
        }
        bytes
    }

    #[test]
    fn table_is_as_generated() {
        assert!(generate() == include_bytes!("base_multiples.bin"));
        assert!(core::ptr::from_ref(&*TABLE).cast::<u8>().align_offset(64) == 0);
    }

    #[test]
    #[ignore = "writes the table anew"]
    fn write_table() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/x25519/base_multiples.bin"), generate())
            .unwrap();
    }
}
