//! What the process leaves behind when something breaks: no core file, and of a panic its place alone.
//!
//! In: nothing. Out: a process whose memory, which holds the passcode and rows of people, gets into no file and no log. The text of a panic
//! may hold values, and its backtrace is of no use to who runs the program: the place of it is kept for the error.

use std::{panic, sync::Mutex, sync::PoisonError};

/// What the operating system bounds where it starts no thread.
pub(crate) const NO_THREAD: &str =
    "the operating system starts no further thread; a higher bound of memory or threads lets it run, as by ulimit -v or -u";

/// How tokio breaks off then.
const NO_THREAD_PANIC: &str = "OS can't spawn worker thread";

/// Where the last panic was, or what it was for.
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
        let text = info.payload().downcast_ref::<String>().map_or("", String::as_str);
        let place = info.location().map(|at| told(text, at.file(), at.line()));
        *PLACE.lock().unwrap_or_else(PoisonError::into_inner) = place;
    }));
}

/// What is told of a panic: its place, or why it is none of the program's.
fn told(text: &str, file: &str, line: u32) -> String {
    if text.starts_with(NO_THREAD_PANIC) { NO_THREAD.to_owned() } else { format!("panic at {}:{line}", short(file)) }
}

/// What is told of the last panic, once.
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

    #[test]
    fn a_panic_for_want_of_threads_tells_so_and_others_tell_their_place_and_no_text() {
        let refused = "OS can't spawn worker thread: Resource temporarily unavailable (os error 11)";
        assert_eq!(told(refused, "src/x.rs", 7), NO_THREAD);
        assert_eq!(told("of ada@example.org", "src/x.rs", 7), "panic at src/x.rs:7");
    }
}
