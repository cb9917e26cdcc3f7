//! How much memory statements may take together, unless `SET datafusion.runtime.memory_limit` says otherwise: half of the machine's, or of what
//! its control group may have, so that a statement that needs more ends in an error and not in the end of the process.
//!
//! In: files of Linux. Out: bytes; `None` where there are no such files, and then there is no bound.

use std::path::Path;

/// Half of the memory there is.
pub(super) fn half() -> Option<usize> {
    let bytes = limit(|path| std::fs::read_to_string(path).ok())?;
    usize::try_from(bytes / 2).ok()
}

/// The memory of the machine, or the least bound of the process's control group and those above it.
fn limit(read: impl Fn(&Path) -> Option<String>) -> Option<u64> {
    let meminfo = read(Path::new("/proc/meminfo"))?;
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok())? * 1_024;
    let groups = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let bounds = groups.lines().flat_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, group) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            of if of.split(',').any(|of| of == "memory") => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => return Vec::new(),
        };
        // In a container, the group that is named may be seen as the root. `max` is no number, and no bound.
        let bound = |group: &Path| read(&Path::new(root).join(group).join(file))?.trim().parse().ok();
        Path::new(group.trim_start_matches('/')).ancestors().filter_map(bound).collect()
    });
    Some(bounds.chain([total]).min().unwrap_or(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(files: &[(&str, &str)]) -> Option<u64> {
        limit(|path| files.iter().find(|(name, _)| Path::new(name) == path).map(|(_, text)| (*text).to_owned()))
    }

    #[test]
    fn memory_is_the_machines_or_the_least_of_the_control_groups() {
        let meminfo = ("/proc/meminfo", "MemTotal:       16384 kB\nMemFree:        1 kB\n");
        let two = ("/proc/self/cgroup", "0::/a.slice/b.service\n");
        let one = ("/proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/docker/7\n");
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[meminfo]), Some(16 << 20));
        assert_eq!(of(&[meminfo, two, ("/sys/fs/cgroup/a.slice/memory.max", "max\n")]), Some(16 << 20));
        assert_eq!(
            of(&[meminfo, two, ("/sys/fs/cgroup/a.slice/memory.max", "4096\n"), ("/sys/fs/cgroup/a.slice/b.service/memory.max", "max")]),
            Some(4_096)
        );
        assert_eq!(of(&[meminfo, two, ("/sys/fs/cgroup/memory.max", "8192\n")]), Some(8_192));
        assert_eq!(of(&[meminfo, one, ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "2048\n")]), Some(2_048));
        assert_eq!(of(&[meminfo, one, ("/sys/fs/cgroup/memory/docker/7/memory.limit_in_bytes", "9223372036854771712\n")]), Some(16 << 20));
    }
}
