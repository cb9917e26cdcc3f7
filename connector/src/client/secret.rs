//! The passcode: given as text, used only in the headers of a call, and never part of a message.

use std::fmt;

use crate::error::{Error, Result};

/// The passcode of a CleverTap account. It has no `Display`, its `Debug` hides the value, and only `client/` reads it.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// The passcode is not trimmed, so that exactly what was given is sent.
    pub fn new(passcode: impl Into<String>) -> Self {
        Self(passcode.into())
    }

    /// The passcode itself, for a header.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }

    /// Refuses a passcode that no header can carry, without showing it.
    pub(super) fn check(&self) -> Result<()> {
        if self.0.is_empty() {
            return Err(Error::Setting("the passcode is empty; it is found in the dashboard under Settings, Passcode.".into()));
        }
        if !header_safe(&self.0) {
            return Err(Error::Setting(
                "the passcode holds a blank, a line break or another character that a header cannot carry; it may have been copied \
                 with its line end."
                    .into(),
            ));
        }
        Ok(())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Whether a header can carry the text: visible ASCII only.
pub(super) fn header_safe(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}
