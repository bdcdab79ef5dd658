// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the CPU can do, as tokens: code for an instruction set asks for its token, and a token
//! exists only where the instructions were found.

#[cfg(target_arch = "x86_64")]
use core::sync::atomic::{AtomicBool, Ordering};

#[cfg(target_arch = "x86_64")]
type Proof = ();
/// No such token off x86-64.
#[cfg(not(target_arch = "x86_64"))]
type Proof = core::convert::Infallible;

/// Proof that AVX2, BMI1, BMI2 and LZCNT can be executed, YMM state included.
///
/// Inside a kernel the proof holds only between `kernel_fpu_begin` and `kernel_fpu_end`.
#[derive(Clone, Copy)]
pub struct Avx2(#[allow(dead_code)] Proof);

impl Avx2 {
    /// Asks the CPU (CPUID) and the operating system (XCR0), without the standard library.
    #[cfg(target_arch = "x86_64")]
    pub fn detect() -> Option<Self> {
        use core::arch::x86_64::{__cpuid, __cpuid_count};
        const BMI1: u32 = 1 << 3;
        const AVX2: u32 = 1 << 5;
        const BMI2: u32 = 1 << 8;
        const NEEDED: u32 = BMI1 | AVX2 | BMI2;
        const LZCNT: u32 = 1 << 5;
        const OSXSAVE: u32 = 1 << 27;
        // XCR0: SSE, AVX.
        const YMM_STATE: u32 = 0b110;

        if __cpuid(0).eax < 7 || __cpuid(0x8000_0000).eax < 0x8000_0001 {
            return None;
        }
        let instructions = __cpuid(1).ecx & OSXSAVE != 0
            && __cpuid_count(7, 0).ebx & NEEDED == NEEDED
            && __cpuid(0x8000_0001).ecx & LZCNT != 0;
        (instructions && xcr0() & YMM_STATE == YMM_STATE).then_some(Self(()))
    }

    /// Never there.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn detect() -> Option<Self> {
        None
    }
}

/// Proof of what [`Avx2`] proves, and that AVX-512F, VL, DQ and IFMA can be executed, ZMM state included.
///
/// Inside a kernel the proof holds only between `kernel_fpu_begin` and `kernel_fpu_end`.
#[derive(Clone, Copy)]
pub struct Ifma(#[allow(dead_code)] Proof);

impl Ifma {
    /// Asks the CPU (CPUID) and the operating system (XCR0), without the standard library.
    #[cfg(target_arch = "x86_64")]
    pub fn detect() -> Option<Self> {
        const AVX512F: u32 = 1 << 16;
        const AVX512DQ: u32 = 1 << 17;
        const AVX512IFMA: u32 = 1 << 21;
        const AVX512VL: u32 = 1 << 31;
        const NEEDED: u32 = AVX512F | AVX512DQ | AVX512IFMA | AVX512VL;
        // XCR0: SSE, AVX, opmask, upper halves of ZMM0-15, ZMM16-31.
        const ZMM_STATE: u32 = 0b1110_0110;

        Avx2::detect()?;
        let instructions = core::arch::x86_64::__cpuid_count(7, 0).ebx & NEEDED == NEEDED;
        (instructions && xcr0() & ZMM_STATE == ZMM_STATE).then_some(Self(()))
    }

    /// Never there.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn detect() -> Option<Self> {
        None
    }
}

#[cfg(target_arch = "x86_64")]
impl From<Ifma> for Avx2 {
    fn from(_: Ifma) -> Self {
        Self(())
    }
}

#[cfg(target_arch = "x86_64")]
impl From<AvxIfma> for Avx2 {
    fn from(_: AvxIfma) -> Self {
        Self(())
    }
}

/// Proof of what [`Avx2`] proves, and of IFMA's instructions in registers of 256 bits:
/// those of AVX-IFMA or those of AVX-512 IFMA and VL in their other encoding.
///
/// Only with `std`: objtool, which reads all code that goes into a kernel, can not decode AVX-IFMA's encoding in Linux 6.1.
#[derive(Clone, Copy)]
pub struct AvxIfma(Encoding);

/// Whether the encoding is AVX-IFMA's own.
#[cfg(all(target_arch = "x86_64", feature = "std"))]
type Encoding = bool;
#[cfg(not(all(target_arch = "x86_64", feature = "std")))]
type Encoding = core::convert::Infallible;

impl AvxIfma {
    /// Asks the CPU (CPUID) and the operating system (XCR0).
    #[cfg(all(target_arch = "x86_64", feature = "std"))]
    pub fn detect() -> Option<Self> {
        use core::arch::x86_64::__cpuid_count;
        const AVX_IFMA: u32 = 1 << 23;

        Avx2::detect()?;
        let vex = __cpuid_count(7, 0).eax >= 1 && __cpuid_count(7, 1).eax & AVX_IFMA != 0;
        let evex = Ifma::detect().is_some();
        (vex || evex).then_some(Self(vex))
    }

    /// Never there.
    #[cfg(not(all(target_arch = "x86_64", feature = "std")))]
    pub fn detect() -> Option<Self> {
        None
    }

    /// Whether the encoding is AVX-IFMA's own.
    #[cfg(all(target_arch = "x86_64", feature = "std"))]
    pub(crate) const fn has_vex(self) -> bool {
        self.0
    }
}

/// Proof that BMI2 (MULX) can be executed; it uses no state that an operating system would have to save.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(crate) struct Bmi2(());

#[cfg(target_arch = "x86_64")]
impl Bmi2 {
    /// Asks the CPU the first time, and then the answer it left.
    #[inline(always)]
    pub(crate) fn get() -> Option<Self> {
        // Asked at every product: all but one comparison must lie out of its way.
        let found = BMI2_FOUND.load(Ordering::Relaxed) || Self::ask();
        found.then_some(Self(()))
    }

    #[cold]
    #[inline(never)]
    fn ask() -> bool {
        let found = bmi2::get();
        BMI2_FOUND.store(found, Ordering::Relaxed);
        found
    }
}

#[cfg(target_arch = "x86_64")]
static BMI2_FOUND: AtomicBool = AtomicBool::new(false);

#[cfg(target_arch = "x86_64")]
cpufeatures::new!(bmi2, "bmi2");

/// Proof that BMI2 and ADX can be executed: MULX, and additions with a carry chain of their own. They
/// use no state that an operating system would have to save.
#[derive(Clone, Copy)]
pub(crate) struct Adx(#[allow(dead_code)] Proof);

impl Adx {
    /// Asks the CPU the first time, and then the answer it left.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn get() -> Option<Self> {
        adx::get().then_some(Self(()))
    }

    /// Never there.
    #[cfg(not(target_arch = "x86_64"))]
    pub(crate) fn get() -> Option<Self> {
        None
    }
}

#[cfg(target_arch = "x86_64")]
cpufeatures::new!(adx, "bmi2", "adx");

/// Zeroes the vector registers, as wide as this CPU and its operating system have them, and masks of lanes.
pub(crate) fn wipe_vector_registers() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: each function is called where its feature was found.
    unsafe {
        if avx512::get() {
            wipe_upper_registers();
        }
        if avx::get() {
            wipe_lower_registers();
        }
    }
}

#[cfg(target_arch = "x86_64")]
cpufeatures::new!(avx, "avx");
#[cfg(target_arch = "x86_64")]
cpufeatures::new!(avx512, "avx512f");

/// The first sixteen, in their whole width.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx")]
fn wipe_lower_registers() {
    // SAFETY: the assembly writes what it declares.
    unsafe {
        core::arch::asm!(
            "vzeroall",
            out("ymm0") _, out("ymm1") _, out("ymm2") _, out("ymm3") _,
            out("ymm4") _, out("ymm5") _, out("ymm6") _, out("ymm7") _,
            out("ymm8") _, out("ymm9") _, out("ymm10") _, out("ymm11") _,
            out("ymm12") _, out("ymm13") _, out("ymm14") _, out("ymm15") _,
            options(nomem, nostack, preserves_flags),
        );
    }
}

/// Those that AVX-512 adds.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn wipe_upper_registers() {
    // SAFETY: the assembly writes what it declares.
    unsafe {
        core::arch::asm!(
            "vpxord zmm16, zmm16, zmm16",
            "vpxord zmm17, zmm17, zmm17",
            "vpxord zmm18, zmm18, zmm18",
            "vpxord zmm19, zmm19, zmm19",
            "vpxord zmm20, zmm20, zmm20",
            "vpxord zmm21, zmm21, zmm21",
            "vpxord zmm22, zmm22, zmm22",
            "vpxord zmm23, zmm23, zmm23",
            "vpxord zmm24, zmm24, zmm24",
            "vpxord zmm25, zmm25, zmm25",
            "vpxord zmm26, zmm26, zmm26",
            "vpxord zmm27, zmm27, zmm27",
            "vpxord zmm28, zmm28, zmm28",
            "vpxord zmm29, zmm29, zmm29",
            "vpxord zmm30, zmm30, zmm30",
            "vpxord zmm31, zmm31, zmm31",
            "kxorw k1, k1, k1",
            "kxorw k2, k2, k2",
            "kxorw k3, k3, k3",
            "kxorw k4, k4, k4",
            "kxorw k5, k5, k5",
            "kxorw k6, k6, k6",
            "kxorw k7, k7, k7",
            out("zmm16") _, out("zmm17") _, out("zmm18") _, out("zmm19") _,
            out("zmm20") _, out("zmm21") _, out("zmm22") _, out("zmm23") _,
            out("zmm24") _, out("zmm25") _, out("zmm26") _, out("zmm27") _,
            out("zmm28") _, out("zmm29") _, out("zmm30") _, out("zmm31") _,
            out("k1") _, out("k2") _, out("k3") _, out("k4") _, out("k5") _, out("k6") _, out("k7") _,
            options(nomem, nostack, preserves_flags),
        );
    }
}

/// The state components that the operating system saves. Only after CPUID showed OSXSAVE.
#[cfg(target_arch = "x86_64")]
fn xcr0() -> u32 {
    let low: u32;
    // SAFETY: OSXSAVE is set, so XGETBV exists; it reads a register and touches nothing else.
    unsafe {
        core::arch::asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") _, options(nomem, nostack));
    }
    low
}

/// Which code runs public-key work.
#[derive(Clone, Copy)]
pub enum Cpu {
    /// Scalar code, one item at a time: any CPU.
    Scalar,
    /// Eight lanes as twice four of AVX2; RSA in scalar code.
    Avx2(Avx2),
    /// Eight lanes of AVX-512 IFMA.
    Ifma(Ifma),
    /// Eight lanes as twice four of AVX-IFMA; RSA in scalar code.
    AvxIfma(AvxIfma),
}

/// What the operator asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// The fastest this CPU has.
    #[default]
    Best,
    /// Scalar code even where more is there.
    Scalar,
    /// AVX2 or nothing, even where more is there.
    Avx2,
    /// AVX-512 IFMA or nothing.
    Ifma,
    /// AVX-IFMA or nothing; with `std`, CPUs that have AVX-512 IFMA can run it too.
    AvxIfma,
}

impl Choice {
    /// Reads `best`, `scalar`, `avx2`, `ifma` or `avx-ifma`, the values of the environment variable `TTLS_CPU`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "best" => Some(Self::Best),
            "scalar" => Some(Self::Scalar),
            "avx2" => Some(Self::Avx2),
            "ifma" => Some(Self::Ifma),
            "avx-ifma" => Some(Self::AvxIfma),
            _ => None,
        }
    }
}

/// The CPU, or its operating system, lacks what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// No [`Ifma`].
    Ifma,
    /// No [`AvxIfma`].
    AvxIfma,
    /// No [`Avx2`].
    Avx2,
}

impl core::fmt::Display for Missing {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Ifma => {
                "this CPU or its kernel lacks AVX-512 IFMA (avx512f, avx512vl, avx512dq, avx512ifma, bmi2, lzcnt)"
            }
            Self::AvxIfma => "this CPU or its kernel lacks AVX-IFMA (avx2, avx_ifma, bmi2, lzcnt)",
            Self::Avx2 => "this CPU or its kernel lacks AVX2 (avx2, bmi2, lzcnt)",
        })
    }
}

impl Cpu {
    /// Turns a choice into what this CPU can run.
    ///
    /// # Errors
    /// [`Missing`] if what was asked for is not there.
    pub fn detect(choice: Choice) -> Result<Self, Missing> {
        let ifma = || Ifma::detect().map(Self::Ifma);
        let avx_ifma = || AvxIfma::detect().map(Self::AvxIfma);
        let avx2 = || Avx2::detect().map(Self::Avx2);
        match choice {
            Choice::Best => Ok(ifma().or_else(avx_ifma).or_else(avx2).unwrap_or(Self::Scalar)),
            Choice::Scalar => Ok(Self::Scalar),
            Choice::Avx2 => avx2().ok_or(Missing::Avx2),
            Choice::Ifma => ifma().ok_or(Missing::Ifma),
            Choice::AvxIfma => avx_ifma().ok_or(Missing::AvxIfma),
        }
    }

    /// The choice's name in logs: `scalar`, `avx2`, `ifma` or `avx-ifma`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx2(_) => "avx2",
            Self::Ifma(_) => "ifma",
            Self::AvxIfma(_) => "avx-ifma",
        }
    }
}
