//! Who holds a lease.
//!
//! In: this process, as the machine tells of it; or what a lease says of another. Out: whether that other is gone for certain: a process of this
//! same boot of this same machine whose number nobody has any more. Of all others a lease says when it expires.

use serde::{Deserialize, Serialize};

/// A process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    host: String,
    /// Of this start of the machine; none where the machine does not tell.
    boot: Option<String>,
    /// Numbers of processes are counted in it: each container has its own.
    namespace: Option<String>,
    pid: u32,
    /// When the process started, in ticks since the boot: a number of a process is given again.
    started: Option<u64>,
}

impl Holder {
    /// This process.
    #[must_use]
    pub fn current() -> Self {
        let pid = std::process::id();
        let host =
            read("/proc/sys/kernel/hostname").or_else(|| std::env::var("HOSTNAME").ok()).or_else(|| std::env::var("COMPUTERNAME").ok());
        Self {
            host: host.unwrap_or_else(|| "a machine without a name".to_owned()),
            boot: read("/proc/sys/kernel/random/boot_id"),
            namespace: std::fs::read_link("/proc/self/ns/pid").ok().map(|link| link.display().to_string()),
            pid,
            started: started(pid),
        }
    }

    /// The host and number of the process, for messages.
    #[must_use]
    pub fn shown(&self) -> String {
        format!("process {} on {}", self.pid, super::place::cut(&self.host))
    }

    /// Whether it was a process of this machine that is gone.
    pub(super) fn is_gone(&self) -> bool {
        let here = Self::current();
        let is_here = self.boot.is_some() && self.boot == here.boot && self.host == here.host && self.namespace == here.namespace;
        is_here && self.namespace.is_some() && self.started.is_some() && started(self.pid) != self.started
    }

    /// Whether it is this process.
    pub(super) fn is_this(&self) -> bool {
        *self == Self::current() && self.started.is_some()
    }

    /// Another process of this machine.
    #[cfg(test)]
    pub(super) fn with_process(mut self, pid: u32, started: Option<u64>) -> Self {
        (self.pid, self.started) = (pid, started);
        self
    }

    /// A process of another machine.
    #[cfg(test)]
    pub(super) fn elsewhere(host: &str) -> Self {
        Self { host: host.to_owned(), boot: Some("another".to_owned()), ..Self::current() }
    }
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// The 22nd field of `/proc/PID/stat`. The second, the program's name, may have spaces and brackets.
fn started(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, behind) = stat.rsplit_once(')')?;
    // A zombie has ended, and its parent has not looked.
    let mut fields = behind.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") { None } else { fields.nth(18)?.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_there_and_one_that_ended_is_gone() {
        let here = Holder::current();
        assert!(!here.is_gone());
        if here.started.is_some() {
            assert!(here.is_this());
            let mut child = std::process::Command::new("true").spawn().expect("a process");
            let of_child = here.clone().with_process(child.id(), started(child.id()).or(Some(1)));
            child.wait().expect("it ends");
            assert!(of_child.is_gone());
            assert!(here.clone().with_process(std::process::id(), Some(1)).is_gone(), "its number was given again");
        }
        assert!(!Holder::elsewhere("there").is_gone());
    }
}
