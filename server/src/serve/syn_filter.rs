// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whom a listening socket answers in overload: a classic BPF program that the kernel asks about every SYN.
//!
//! The kernel refuses clients in a flood in any case, once the accept queue is full, and whoever comes. The
//! program chooses instead: sources in good standing come in, and of the heaviest and of all others a share each. Classic BPF needs no
//! privilege (socket(7), SO_ATTACH_FILTER). Who is refused hears nothing, and TCP tries again after a second.
//!
//! Connections inherit their listening socket's program. All but an initial SYN passes at its third instruction.

use libc::{BPF_ABS, BPF_ALU, BPF_AND, BPF_B, BPF_JA, BPF_JEQ, BPF_JGE, BPF_JGT, BPF_JMP, BPF_K};
use libc::{BPF_LD, BPF_MISC, BPF_MUL, BPF_RET, BPF_TAX, BPF_W, BPF_X, BPF_XOR, sock_filter};
use std::net::IpAddr;

/// Offsets from which on loads see the IP header, and those that give other things (linux/filter.h, `SKF_NET_OFF` and `SKF_AD_OFF`).
const NETWORK: u32 = 0xfff0_0000;
const RANDOM: u32 = 0xffff_f000 + 56;

const FLAGS_OFFSET: u32 = 13;
const SYN: u32 = 0x02;
const ACK: u32 = 0x10;

const PASS: u32 = u32::MAX;
const REFUSE: u32 = 0;

/// Keys compared one after the other at the end of the search.
const LEAF: usize = 32;

/// The longest program that the kernel takes (`BPF_MAXINSNS`).
const LONGEST: usize = 4096;
/// Instructions besides the search: in it, a key takes less than one and a half.
const FRAME: usize = 32;

/// How sources are known by 32 bits: an IPv4 address by itself, an IPv6 prefix of 64 bits by a hash, whose factors a
/// client does not know.
#[derive(Clone, Copy, Debug)]
pub struct Keys {
    factors: [u32; 2],
}

impl Keys {
    /// With random factors.
    pub const fn new(random: [u32; 2]) -> Self {
        let [high, low] = random;
        Self { factors: [high | 1, low | 1] }
    }

    /// A source's key. 0 is nobody's but that of an address without use.
    pub fn of(&self, source: IpAddr) -> u32 {
        match source.to_canonical() {
            IpAddr::V4(v4) => v4.to_bits(),
            IpAddr::V6(v6) => {
                let [a, b, c, d, e, f, g, h, ..] = v6.octets();
                let [high, low] = self.factors;
                u32::from_be_bytes([a, b, c, d]).wrapping_mul(high)
                    ^ u32::from_be_bytes([e, f, g, h]).wrapping_mul(low)
            }
        }
    }
}

/// Most keys that a program of `len` instructions holds.
const fn room(len: usize) -> usize {
    len.saturating_sub(FRAME) * 2 / 3
}

/// How a source is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Known {
    Good,
    Heavy,
}

/// Of whom how many are answered: those for whom a random number of 32 bits is at most this.
#[derive(Clone, Copy, Debug)]
pub struct Thresholds {
    /// Heavy sources.
    pub heavy: u32,
    /// Sources that are not known.
    pub others: u32,
}

/// Writes programs, in memory of its own: one that is written in a flood leaves nothing behind in the heap.
pub struct Writer {
    keys: Keys,
    known: Vec<(u32, Known)>,
    out: Vec<sock_filter>,
}

impl Writer {
    /// A writer of programs that know sources by `keys`.
    pub fn new(keys: Keys) -> Self {
        Self { keys, known: Vec::with_capacity(room(LONGEST)), out: Vec::with_capacity(LONGEST) }
    }

    /// A program of at most `len` instructions: sources in `good` pass, of those in `heavy` and of others the shares in
    /// `thresholds`. Who is in both passes. What does not fit is left out, `heavy` from the end of
    /// its half of the room, then `good` from the end.
    pub fn program(
        &mut self,
        good: impl Iterator<Item = u32>,
        heavy: impl Iterator<Item = u32>,
        thresholds: Thresholds,
        len: usize,
    ) -> &mut [sock_filter] {
        let Self { keys: Keys { factors: [high, low] }, known, out } = self;
        let room = room(len.min(LONGEST));
        known.clear();
        known.extend(heavy.take(room / 2).map(|key| (key, Known::Heavy)));
        let left = room - known.len();
        known.extend(good.take(left).map(|key| (key, Known::Good)));
        // Of a key that is in both, what lets it pass stays.
        known.sort_unstable();
        known.dedup_by_key(|entry| entry.0);

        out.clear();
        out.extend([
            load(BPF_B, FLAGS_OFFSET),
            statement(BPF_ALU | BPF_AND | BPF_K, SYN | ACK),
            jump(BPF_JEQ, SYN, 1, 0),
            statement(BPF_RET | BPF_K, PASS),
            // The version of IP is in the first four bits.
            load(BPF_B, NETWORK),
            jump(BPF_JGE, 0x60, 2, 0),
            load(BPF_W, NETWORK + 12),
            statement(BPF_JMP | BPF_JA, 6),
            load(BPF_W, NETWORK + 8),
            statement(BPF_ALU | BPF_MUL | BPF_K, *high),
            statement(BPF_MISC | BPF_TAX, 0),
            load(BPF_W, NETWORK + 12),
            statement(BPF_ALU | BPF_MUL | BPF_K, *low),
            statement(BPF_ALU | BPF_XOR | BPF_X, 0),
        ]);
        search(known, out);
        out.extend(answered(thresholds.others));
        for at in 0..out.len() {
            if out.get(at).is_some_and(|jump| jump.k == TO_HEAVY && u32::from(jump.code) == BPF_JMP | BPF_JA)
            {
                land(at, out);
            }
        }
        out.extend(answered(thresholds.heavy));
        out
    }
}

/// Stands in jumps that lead to the end for heavy sources, until it is known where that is: further than any program is long.
const TO_HEAVY: u32 = u32::MAX;

/// The end for those of whom a share is answered.
fn answered(threshold: u32) -> [sock_filter; 4] {
    [
        load(BPF_W, RANDOM),
        jump(BPF_JGT, threshold, 0, 1),
        statement(BPF_RET | BPF_K, REFUSE),
        statement(BPF_RET | BPF_K, PASS),
    ]
}

/// Compares what is in the accumulator with sorted keys; goes on behind if it is none of them.
fn search(known: &[(u32, Known)], out: &mut Vec<sock_filter>) {
    let (left, right) = known.split_at(known.len() / 2);
    let Some(&(middle, _)) = right.first() else { return };
    if known.len() > LEAF {
        // To the right, or over the jump that leads there; behind the left, over the right.
        out.push(jump(BPF_JGE, middle, 0, 1));
        let to_right = out.len();
        out.push(statement(BPF_JMP | BPF_JA, 0));
        search(left, out);
        let over_right = out.len();
        out.push(statement(BPF_JMP | BPF_JA, 0));
        land(to_right, out);
        search(right, out);
        land(over_right, out);
        return;
    }
    // The comparisons, then a jump over the two ends.
    let ends = known.len() + 1;
    for (at, &(key, known)) in known.iter().enumerate() {
        let end = ends + usize::from(known == Known::Heavy);
        out.push(jump(BPF_JEQ, key, u8::try_from(end - at - 1).unwrap_or(0), 0));
    }
    out.push(statement(BPF_JMP | BPF_JA, 2));
    out.push(statement(BPF_RET | BPF_K, PASS));
    out.push(statement(BPF_JMP | BPF_JA, TO_HEAVY));
}

/// Has the jump at `from` lead to what is written next.
fn land(from: usize, out: &mut [sock_filter]) {
    let skipped = out.len().saturating_sub(from + 1);
    if let Some(jump) = out.get_mut(from) {
        // Below BPF_MAXINSNS.
        jump.k = u32::try_from(skipped).unwrap_or(0);
    }
}

fn load(size: u32, offset: u32) -> sock_filter {
    instruction(BPF_LD | size | BPF_ABS, offset, 0, 0)
}

fn statement(code: u32, k: u32) -> sock_filter {
    instruction(code, k, 0, 0)
}

fn jump(condition: u32, k: u32, yes: u8, no: u8) -> sock_filter {
    instruction(BPF_JMP | condition | BPF_K, k, yes, no)
}

fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    // BPF's codes are below 256.
    sock_filter { code: u16::try_from(code).unwrap_or(0), jt, jf, k }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    const KEYS: Keys = Keys { factors: [0x9e37_79b9, 0x85eb_ca6b] };

    /// A SYN, or another segment, as the program sees it: the IP header, and the flags of TCP.
    struct Segment {
        ip: Vec<u8>,
        flags: u8,
    }

    impl Segment {
        fn from(source: &str) -> Self {
            match source.parse().unwrap() {
                IpAddr::V4(v4) => {
                    let mut ip = vec![0x45; 20];
                    ip[12..16].copy_from_slice(&v4.octets());
                    Self { ip, flags: 0x02 }
                }
                IpAddr::V6(v6) => {
                    let mut ip = vec![0x60; 40];
                    ip[8..24].copy_from_slice(&v6.octets());
                    Self { ip, flags: 0x02 }
                }
            }
        }
    }

    /// What the kernel does with a program. Panics where the kernel would refuse it.
    fn run(program: &[sock_filter], segment: &Segment, random: u32) -> bool {
        let (mut at, mut a, mut x) = (0, 0_u32, 0_u32);
        loop {
            let step = program[at];
            at += 1;
            let code = u32::from(step.code);
            let mut branch = |taken: bool| at += usize::from(if taken { step.jt } else { step.jf });
            match code {
                code if code == BPF_LD | BPF_B | BPF_ABS && step.k == FLAGS_OFFSET => {
                    a = segment.flags.into()
                }
                code if code == BPF_LD | BPF_W | BPF_ABS && step.k == RANDOM => a = random,
                code if code == BPF_LD | BPF_B | BPF_ABS => {
                    a = segment.ip[(step.k - NETWORK) as usize].into()
                }
                code if code == BPF_LD | BPF_W | BPF_ABS => {
                    let at = (step.k - NETWORK) as usize;
                    a = u32::from_be_bytes(segment.ip[at..at + 4].try_into().unwrap());
                }
                code if code == BPF_ALU | BPF_AND | BPF_K => a &= step.k,
                code if code == BPF_ALU | BPF_MUL | BPF_K => a = a.wrapping_mul(step.k),
                code if code == BPF_ALU | BPF_XOR | BPF_X => a ^= x,
                code if code == BPF_MISC | BPF_TAX => x = a,
                code if code == BPF_JMP | BPF_JA => at += step.k as usize,
                code if code == BPF_JMP | BPF_JEQ | BPF_K => branch(a == step.k),
                code if code == BPF_JMP | BPF_JGE | BPF_K => branch(a >= step.k),
                code if code == BPF_JMP | BPF_JGT | BPF_K => branch(a > step.k),
                code if code == BPF_RET | BPF_K => return step.k != 0,
                code => panic!("instruction {code:#x}"),
            }
        }
    }

    #[test]
    fn chooses_by_source() {
        let key = |source: &str| KEYS.of(source.parse().unwrap());
        let good = ["192.0.2.1", "2001:db8:0:1::7"].map(key);
        let heavy = ["192.0.2.2", "192.0.2.1", "2001:db8:0:2::1"].map(key);
        let mut writer = Writer::new(KEYS);
        let thresholds = Thresholds { heavy: 10, others: 1000 };
        let program = &*writer.program(good.into_iter(), heavy.into_iter(), thresholds, LONGEST);
        let passes = |source: &str, random| run(program, &Segment::from(source), random);
        for random in [0, 10, 11, 1000, 1001, u32::MAX] {
            assert!(passes("192.0.2.1", random), "good standing counts more");
            assert!(passes("2001:db8:0:1::1", random), "its prefix counts");
            assert_eq!(passes("192.0.2.2", random), random <= 10);
            assert_eq!(passes("2001:db8:0:2::9", random), random <= 10);
            assert_eq!(passes("192.0.2.3", random), random <= 1000);
            assert_eq!(passes("2001:db8:0:3::1", random), random <= 1000);
            for flags in [0x10, 0x12, 0x18, 0x11, 0x04] {
                let other = Segment { flags, ..Segment::from("192.0.2.2") };
                assert!(run(program, &other, random), "no initial SYN: {flags:#x}");
            }
        }
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
    }

    #[test]
    fn searches_any_number_of_keys_in_the_room_there_is() {
        let mut state = 7_u32;
        let mut random = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state
        };
        let mut writer = Writer::new(KEYS);
        let memory = (writer.known.as_ptr(), writer.out.as_ptr());
        for (count, len) in
            [(0, 64), (1, 64), (31, 100), (33, 4096), (1000, 4096), (5000, 4096), (5000, 1000)]
        {
            let good: Vec<u32> = (0..count).map(|_| random()).collect();
            let heavy: Vec<u32> = (0..count).map(|_| random()).collect();
            let nobody = Thresholds { heavy: 0, others: 1 };
            let program = &*writer.program(good.iter().copied(), heavy.iter().copied(), nobody, len);
            assert!(program.len() <= len, "{} instructions for {count} in {len}", program.len());
            let mut expected: HashMap<u32, bool> =
                heavy.iter().take(room(len) / 2).map(|&key| (key, false)).collect();
            let left = room(len) - expected.len();
            expected.extend(good.iter().take(left).map(|&key| (key, true)));
            for (&key, &pass) in &expected {
                let segment = Segment::from(&std::net::Ipv4Addr::from_bits(key).to_string());
                assert_eq!(run(program, &segment, 1), pass);
                let other = Segment::from(&std::net::Ipv4Addr::from_bits(key ^ 1).to_string());
                assert_eq!(run(program, &other, 1), expected.get(&(key ^ 1)).copied().unwrap_or(true));
            }
        }
        assert_eq!((writer.known.as_ptr(), writer.out.as_ptr()), memory, "nothing is allocated");
    }

    #[test]
    fn everybody_is_everybody() {
        let mut writer = Writer::new(KEYS);
        let all = Thresholds { heavy: u32::MAX, others: u32::MAX };
        let program = &*writer.program([].into_iter(), [1].into_iter(), all, LONGEST);
        assert!(run(program, &Segment::from("192.0.2.9"), u32::MAX));
        assert!(run(program, &Segment::from("0.0.0.1"), u32::MAX));
    }
}
