//! Which machine code writes a block: the same safe Rust, compiled for AVX2 too, and chosen when an encoder is made.
//!
//! The one `unsafe` of the encoder is here: calling a function that was compiled for instructions that not every processor has.
//! What is called is safe code; that the processor has the instructions is what an [`Avx2`] stands for.

use crate::cpu::Avx2;

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
        // `Avx2::detect` alone, after all three were found in the processor that runs this.
        Some(_) => unsafe { run_for_avx2(a_loop) },
        _ => a_loop.run(),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2")]
fn run_for_avx2<L: Loop>(a_loop: L) -> L::Found {
    a_loop.run()
}
