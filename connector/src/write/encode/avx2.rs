//! Which machine code writes a block: the same safe Rust, compiled for AVX2 too, and chosen when an encoder is made.
//!
//! The one `unsafe` of the encoder is here: calling a function that was compiled for instructions that not every processor has.
//! What is called is safe code; that the processor has the instructions is what an [`Avx2`] stands for.

use std::sync::OnceLock;

/// Stands for a processor that has AVX2, BMI1 and BMI2: there is none where it was not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Avx2(());

impl Avx2 {
    /// Asks the processor, once; `CLEVERTAP_AVX2=off` in the environment answers for it.
    pub(crate) fn detect() -> Option<Self> {
        static FOUND: OnceLock<Option<Avx2>> = OnceLock::new();
        *FOUND.get_or_init(|| {
            let wanted = std::env::var_os("CLEVERTAP_AVX2").is_none_or(|word| word != "off");
            (wanted && is_there()).then_some(Self(()))
        })
    }
}

/// A loop over many rows, whose `run` is inlined into what is compiled for a processor.
pub(super) trait Loop {
    type Found;

    fn run(self) -> Self::Found;
}

/// Runs `a_loop` as it was compiled for the processor.
pub(super) fn run<L: Loop>(avx2: Option<Avx2>, a_loop: L) -> L::Found {
    match avx2 {
        #[cfg(target_arch = "x86_64")]
        #[expect(unsafe_code, reason = "a call of code for a processor that has been asked for its features")]
        // SAFETY: the function needs the three features that it names, and nothing else: its body is safe. An `Avx2` is made in
        // `Avx2::detect` alone, after `is_there` found all three in the processor that runs this.
        Some(Avx2(())) => unsafe { run_for_avx2(a_loop) },
        _ => a_loop.run(),
    }
}

#[cfg(target_arch = "x86_64")]
fn is_there() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi1") && is_x86_feature_detected!("bmi2")
}

#[cfg(not(target_arch = "x86_64"))]
fn is_there() -> bool {
    false
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2")]
fn run_for_avx2<L: Loop>(a_loop: L) -> L::Found {
    a_loop.run()
}
