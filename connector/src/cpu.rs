//! What the processor can do, asked once.

use std::sync::OnceLock;

/// Proof that the processor has AVX2, BMI1 and BMI2: there is no value of it where it has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Avx2(());

impl Avx2 {
    /// Asks the processor; `CLEVERTAP_AVX2=off` in the environment answers for it.
    pub(crate) fn detect() -> Option<Self> {
        static FOUND: OnceLock<Option<Avx2>> = OnceLock::new();
        *FOUND.get_or_init(|| {
            let is_off = std::env::var_os("CLEVERTAP_AVX2").is_some_and(|word| word == "off");
            (!is_off && is_there()).then_some(Self(()))
        })
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
