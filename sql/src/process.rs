//! What the process leaves behind when something breaks: no core file, and of a panic its place alone.
//!
//! In: nothing. Out: a process whose memory, which holds the passcode and rows of people, gets into no file and no log. The text of a panic
//! may hold values, and its backtrace is of no use to who runs the program: the place of it is kept for the error.

use std::{panic, sync::Mutex, sync::PoisonError};

/// Where the last panic was.
static PLACE: Mutex<Option<String>> = Mutex::new(None);

/// Has the operating system write no core file.
pub(crate) fn keep_no_core() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        // Also the hard limit. Where that is refused, there is nothing to be done about it.
        let none = Rlimit { current: Some(0), maximum: Some(0) };
        if setrlimit(Resource::Core, none).is_err() {
            setrlimit(Resource::Core, Rlimit { current: Some(0), ..getrlimit(Resource::Core) }).ok();
        }
    }
}

/// Has panics print nothing: whoever catches one tells of it.
pub(crate) fn keep_panics_quiet() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(|at| format!("{}:{}", short(at.file()), at.line()));
        *PLACE.lock().unwrap_or_else(PoisonError::into_inner) = place;
    }));
}

/// Where the last panic was, once.
pub(crate) fn take_panic_place() -> Option<String> {
    PLACE.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// The path of a source file from its crate on.
fn short(file: &str) -> &str {
    let from_crate = file.split_once("/registry/src/").and_then(|(_, rest)| rest.split_once('/'));
    from_crate.map_or(file, |(_, path)| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_a_library_begins_with_its_name() {
        assert_eq!(short("/root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/parquet-59.3.2/src/x.rs"), "parquet-59.3.2/src/x.rs");
        assert_eq!(short("sql/src/main.rs"), "sql/src/main.rs");
    }
}
