//! Selects the machine code that writes a block: the same safe Rust, also compiled for AVX2, chosen when an encoder is created.
//!
//! The only `unsafe` of the encoder is here: the call of a function that is compiled for instructions which not every processor has.
//! The code itself is safe; an [`Avx2`] proves that the processor has the instructions.

use crate::cpu::Avx2;

/// A loop over many rows. `run` is inlined into the function that is compiled for a processor.
pub(super) trait Loop {
    type Output;

    fn run(self) -> Self::Output;
}

/// Runs `kernel` as compiled for this processor.
pub(super) fn run<L: Loop>(avx2: Option<Avx2>, kernel: L) -> L::Output {
    match avx2 {
        #[cfg(target_arch = "x86_64")]
        #[expect(unsafe_code, reason = "a call of code for a processor that has been asked for its features")]
        // SAFETY: the function requires the three target features that it names, and nothing else: its body is safe. An `Avx2` is
        // only created by `Avx2::detect`, after all three were detected on the processor that runs this.
        Some(_) => unsafe { run_for_avx2(kernel) },
        _ => kernel.run(),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2")]
fn run_for_avx2<L: Loop>(kernel: L) -> L::Output {
    kernel.run()
}
