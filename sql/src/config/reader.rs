//! What sections have in common while they are read: where a value stands, which path is meant, what the working folder's file may not say.
//!
//! In: the file, places in it. Out: values with their places; faults.

use std::ops::Range;

use super::{
    found::{FILE_NAME, FoundFile, Origin},
    passcode::PasscodePlace,
    section::{Faults, Located},
    value::{Source, Sourced},
};

/// Why a place is not taken from the file of the working folder.
pub(super) const SENDS_ROWS: &str = "rows about people would be written there";

/// What every section needs to read itself.
#[derive(Debug)]
pub(super) struct Reader<'f> {
    file: &'f FoundFile,
    pub(super) faults: &'f Faults<'f>,
}

impl<'f> Reader<'f> {
    pub(super) fn new(file: &'f FoundFile, faults: &'f Faults<'f>) -> Self {
        Self { file, faults }
    }

    /// A value with its place as it is shown: `clevertap.toml:4`.
    pub(super) fn sourced<T>(&self, value: T, span: &Range<usize>) -> Sourced<T> {
        Sourced::new(value, self.source(span))
    }

    pub(super) fn source(&self, span: &Range<usize>) -> Source {
        Source::File(format!("{}:{}", self.file.shown, self.faults.line(span)))
    }

    pub(super) fn located<T>(&self, located: Located<T>) -> Sourced<T> {
        self.sourced(located.value, &located.span)
    }

    /// A path beside the file, an absolute one, or a URL.
    pub(super) fn place(&self, text: &str) -> String {
        if text.contains("://") {
            return text.to_owned();
        }
        let path = self.file.folder.join(text).display().to_string();
        // A folder is known by its slash.
        if text.ends_with('/') && !path.ends_with('/') { format!("{path}/") } else { path }
    }

    /// The place of a secret, by the name of a variable or by a file; `what` is what it is called: `passcode`, `password`.
    pub(super) fn secret(
        &self,
        what: &str,
        in_variable: Option<Located<String>>,
        in_file: Option<Located<String>>,
    ) -> Option<Sourced<PasscodePlace>> {
        match (in_variable, in_file) {
            (Some(variable), None) => Some(self.sourced(PasscodePlace::Variable(variable.value), &variable.span)),
            (None, Some(file)) => Some(self.sourced(PasscodePlace::File(self.place(&file.value).into()), &file.span)),
            (Some(_), Some(file)) => {
                self.faults.add(&file.span, format!("{what}_file and {what}_env are two places of one {what}; name one"));
                None
            }
            (None, None) => None,
        }
    }

    /// A fault if the file is that of the working folder.
    pub(super) fn refuse_in_working_folder(&self, span: &Range<usize>, what: &str, why: &str) {
        if self.file.origin == Origin::WorkingFolder {
            self.faults.add(
                span,
                format!(
                    "{what} is not taken from the {FILE_NAME} of the working folder, which may come from somebody else: {why}. \
                     --config {FILE_NAME} takes it"
                ),
            );
        }
    }
}
