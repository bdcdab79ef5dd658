// SPDX-License-Identifier: MIT OR Apache-2.0
//! Assembly of products of 32-bit limbs, summed in columns (AVX2).
//!
//! Columns are registers, from `ymm0` on; limbs lie in memory, 32 bytes each, where an operand of the assembly points.
//! `ymm10` to `ymm12` are used up.

/// Limb `$i` at `{$from}` into `ymm10`, and twice that into `ymm11`.
macro_rules! factor {
    ($from:literal: $i:literal) => {
        concat!("vmovdqa ymm10, [{", $from, "} + 32*", $i, "]\nvpaddq ymm11, ymm10, ymm10\n")
    };
}

/// Products of a register with limbs at `{$from}`, where they are the first of their columns.
macro_rules! first {
    ($factor:literal by $from:literal: $($j:literal => $column:literal),+) => {
        concat!($("vpmuludq ymm", $column, ", ", $factor, ", [{", $from, "} + 32*", $j, "]\n"),+)
    };
}

/// Products of a register with limbs at `{$from}`, added to their columns.
macro_rules! terms {
    ($factor:literal by $from:literal: $($j:literal => $column:literal),+) => {
        concat!($(
            "vpmuludq ymm12, ", $factor, ", [{", $from, "} + 32*", $j, "]\n",
            "vpaddq ymm", $column, ", ymm", $column, ", ymm12\n"
        ),+)
    };
}

pub(crate) use {factor, first, terms};
