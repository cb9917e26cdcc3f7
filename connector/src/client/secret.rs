//! The passcode: goes in as text, comes out only in the headers of a call, and never in a message.

use std::fmt;

use crate::error::{Error, Result};

/// A passcode of a CleverTap account. It has no `Display`, its `Debug` shows nothing, and only `client/` reads it.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Takes the passcode as it is: no blanks are cut, so that what is sent is what was given.
    pub fn new(passcode: impl Into<String>) -> Self {
        Self(passcode.into())
    }

    /// The passcode itself, for a header.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }

    /// Refuses, without showing it, a passcode that no header can carry.
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

/// Whether a header can carry this: visible ASCII only.
pub(super) fn header_safe(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}
