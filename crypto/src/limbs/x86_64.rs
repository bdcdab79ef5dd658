// SPDX-License-Identifier: MIT OR Apache-2.0
//! x86-64 instructions that the fields share; they need BMI2.

/// The square of the four limbs behind `{a}`, as `{t0}` to `{t7}`; `{h}`, `{l}` and RDX are lost.
macro_rules! square {
    () => {
        concat!(
            // Products of different limbs, once.
            "mov rdx, [{a}]\n",
            "mulx {t2}, {t1}, [{a} + 8]\n",
            "mulx {t3}, {l}, [{a} + 16]\n",
            "add {t2}, {l}\n",
            "mulx {t4}, {l}, [{a} + 24]\n",
            "adc {t3}, {l}\n",
            "adc {t4}, 0\n",
            "mov rdx, [{a} + 8]\n",
            "mulx {h}, {l}, [{a} + 16]\n",
            "add {t3}, {l}\n",
            "mulx {t5}, {l}, [{a} + 24]\n",
            "adc {t4}, {l}\n",
            "adc {t5}, 0\n",
            "add {t4}, {h}\n",
            "mov rdx, [{a} + 16]\n",
            "mulx {t6}, {l}, [{a} + 24]\n",
            "adc {t5}, {l}\n",
            "adc {t6}, 0\n",
            // Doubled, and the squares added.
            "mov {t7:e}, 0\n",
            "add {t1}, {t1}\n",
            "adc {t2}, {t2}\n",
            "adc {t3}, {t3}\n",
            "adc {t4}, {t4}\n",
            "adc {t5}, {t5}\n",
            "adc {t6}, {t6}\n",
            "adc {t7}, 0\n",
            "mov rdx, [{a}]\n",
            "mulx {h}, {t0}, rdx\n",
            "add {t1}, {h}\n",
            "mov rdx, [{a} + 8]\n",
            "mulx {h}, {l}, rdx\n",
            "adc {t2}, {l}\n",
            "adc {t3}, {h}\n",
            "mov rdx, [{a} + 16]\n",
            "mulx {h}, {l}, rdx\n",
            "adc {t4}, {l}\n",
            "adc {t5}, {h}\n",
            "mov rdx, [{a} + 24]\n",
            "mulx {h}, {l}, rdx\n",
            "adc {t6}, {l}\n",
            "adc {t7}, {h}\n",
        )
    };
}

pub(crate) use square;
