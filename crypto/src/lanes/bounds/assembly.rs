// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs the text of the products' assembly on anything that can be added and multiplied.

use std::collections::BTreeMap;

/// What stands in a register.
pub(super) trait Multiplies: Copy {
    /// VPADDQ
    fn sum(self, other: Self) -> Self;
    /// VPMULUDQ
    fn product(self, other: Self) -> Self;
}

/// Bytes of a register.
const REGISTER: isize = 32;

/// What the operands of the assembly are: an array each, and how far into it the operand points, in registers.
pub(super) struct Machine<'m, T> {
    arrays: BTreeMap<&'static str, (&'m [T], isize)>,
    /// What is written where the operand `c` points.
    written: Vec<Option<T>>,
    registers: BTreeMap<&'m str, T>,
}

impl<'m, T: Multiplies> Machine<'m, T> {
    pub(super) fn new(arrays: impl IntoIterator<Item = (&'static str, &'m [T], isize)>) -> Self {
        let arrays = arrays.into_iter().map(|(name, array, at)| (name, (array, REGISTER * at)));
        Self { arrays: arrays.collect(), written: Vec::new(), registers: BTreeMap::new() }
    }

    /// Runs all of `text`; an instruction that is not known panics, as does reading outside of an array.
    pub(super) fn run(&mut self, text: &'m str) {
        let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let (mut at, mut equal) = (0, false);
        while let Some(line) = lines.get(at) {
            at += 1;
            let (name, operands) = line.split_once(' ').unwrap_or((line, ""));
            let operands: Vec<_> = operands.split(',').map(str::trim).collect();
            match (name, &operands[..]) {
                ("2:" | "3:", _) => {}
                ("vmovdqa", [to, from]) if to.starts_with('[') => self.store(to, self.registers[from]),
                ("vmovdqa", [to, from]) => {
                    let loaded = self.load(from);
                    self.registers.insert(to, loaded);
                }
                ("vpaddq", [to, a, b]) => {
                    let sum = self.registers[a].sum(self.registers[b]);
                    self.registers.insert(to, sum);
                }
                ("vpmuludq", [to, a, b]) => {
                    let product = self.registers[a].product(self.load(b));
                    self.registers.insert(to, product);
                }
                ("add", [pointer, bytes]) => self.pointer(pointer).1 += bytes.parse::<isize>().unwrap(),
                ("sub", [pointer, bytes]) => self.pointer(pointer).1 -= bytes.parse::<isize>().unwrap(),
                ("cmp", [a, b]) => equal = self.pointer(a).1 == self.pointer(b).1,
                ("je", ["3f"]) => {
                    if equal {
                        at += lines[at..].iter().position(|line| *line == "3:").unwrap();
                    }
                }
                ("jmp", ["2b"]) => at = lines[..at].iter().rposition(|line| *line == "2:").unwrap(),
                _ => panic!("unknown: {line}"),
            }
        }
    }

    /// Registers `ymm0` and up.
    pub(super) fn columns<const N: usize>(&self) -> [T; N] {
        std::array::from_fn(|i| self.registers[format!("ymm{i}").as_str()])
    }

    /// Everything that was written to memory, which must be all of it.
    pub(super) fn written<const N: usize>(&self) -> [T; N] {
        assert!(self.written.len() == N);
        std::array::from_fn(|i| self.written[i].expect("a column"))
    }

    fn pointer(&mut self, operand: &str) -> &mut (&'m [T], isize) {
        self.arrays.get_mut(operand.trim_matches(['{', '}'])).expect(operand)
    }

    /// `[{name} + 32*index]`, `[{name} + bytes]` or `[{name}]`: the array and which of its registers.
    fn place<'o>(&self, operand: &'o str) -> (&'o str, isize) {
        let inner = operand.strip_prefix("[{").and_then(|rest| rest.strip_suffix(']')).expect(operand);
        let (name, rest) = inner.split_once('}').expect(operand);
        let bytes = match rest.trim().strip_prefix('+').map(str::trim) {
            None => 0,
            Some(product) if product.starts_with("32*") => {
                REGISTER * product[3..].trim().parse::<isize>().unwrap()
            }
            Some(bytes) => bytes.parse().unwrap(),
        };
        assert!(bytes % REGISTER == 0, "{operand}");
        (name, bytes / REGISTER)
    }

    fn load(&self, operand: &str) -> T {
        let (name, index) = self.place(operand);
        let (array, at) = self.arrays[name];
        array[usize::try_from(at / REGISTER + index).expect(operand)]
    }

    fn store(&mut self, operand: &str, value: T) {
        let ("c", index) = self.place(operand) else { panic!("{operand}") };
        let index = usize::try_from(index).expect(operand);
        self.written.resize(self.written.len().max(index + 1), None);
        self.written[index] = Some(value);
    }
}
