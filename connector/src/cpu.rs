//! Features of the processor, detected once.

use std::sync::OnceLock;

/// Proof that the processor has AVX2, BMI1 and BMI2: a value exists only if it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Avx2(());

impl Avx2 {
    /// Detects the features; `CLEVERTAP_AVX2=off` in the environment disables them.
    pub(crate) fn detect() -> Option<Self> {
        static DETECTED: OnceLock<Option<Avx2>> = OnceLock::new();
        *DETECTED.get_or_init(|| {
            let is_off = std::env::var_os("CLEVERTAP_AVX2").is_some_and(|word| word == "off");
            (!is_off && is_supported()).then_some(Self(()))
        })
    }
}

#[cfg(target_arch = "x86_64")]
fn is_supported() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi1") && is_x86_feature_detected!("bmi2")
}

#[cfg(not(target_arch = "x86_64"))]
fn is_supported() -> bool {
    false
}
