//! What Linux says of a process and of the machine: processor time, memory, and the space that files take.

use std::path::Path;

use anyhow::{Context, Result, ensure};

/// Ticks of `/proc/PID/stat` in a second. Linux has the same number on every machine, whatever its kernel counts in.
const TICKS_PER_SECOND: f64 = 100.0;
/// Bytes of the blocks in which the file system counts, whatever the size of its own.
const BLOCK_BYTES: u64 = 512;

/// Processor seconds that the process has used, in user and in kernel mode.
pub(super) fn cpu_seconds(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let stat = std::fs::read_to_string(&path).with_context(|| format!("`{path}` cannot be read"))?;
    parse_cpu_seconds(&stat).with_context(|| format!("`{path}` has no processor time"))
}

/// The fields after the command's name, which may contain blanks and parentheses, begin with the third. The 14th and
/// the 15th are the ticks (proc_pid_stat(5)).
fn parse_cpu_seconds(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

/// Processor seconds of all threads that this process has now, to the nanosecond.
pub(super) fn own_cpu_seconds() -> Result<f64> {
    let threads = "/proc/self/task";
    let mut sum = 0.0;
    for thread in std::fs::read_dir(threads).with_context(|| format!("`{threads}` cannot be read"))? {
        let path = thread?.path().join("schedstat");
        // A thread may end while they are counted.
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        sum += parse_schedstat(&text).with_context(|| format!("`{}` has no processor time", path.display()))?;
    }
    ensure!(sum > 0.0, "`{threads}` has no processor times");
    Ok(sum)
}

/// The first field is the time on a processor in nanoseconds.
fn parse_schedstat(text: &str) -> Option<f64> {
    let nanoseconds: f64 = text.split_ascii_whitespace().next()?.parse().ok()?;
    Some(nanoseconds / 1e9)
}

/// Bytes of memory that the process holds now.
pub(super) fn resident_bytes(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(&path).with_context(|| format!("`{path}` cannot be read"))?;
    parse_kib(&status, "VmRSS:").with_context(|| format!("`{path}` has no `VmRSS`"))
}

/// Bytes of the machine's memory.
pub(super) fn memory_bytes() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").context("`/proc/meminfo` cannot be read")?;
    parse_kib(&text, "MemTotal:").context("`/proc/meminfo` has no `MemTotal`")
}

/// The value of a line such as `VmRSS:   1234 kB`, in bytes.
fn parse_kib(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

/// The model of the first processor.
pub(super) fn cpu_model() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(':'));
    model.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, model)| model.trim().to_owned())
}

/// The distribution and the kernel.
pub(super) fn operating_system() -> String {
    let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).unwrap_or("Linux").trim_matches('"');
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{name}, kernel {}", kernel.trim())
}

/// Bytes that the files below `folder` take on the disk; holes take none. A folder that does not exist takes none.
pub(super) fn disk_bytes(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    // A file may be removed while it is counted.
    let bytes = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => disk_bytes(&entry.path()),
        Ok(metadata) => metadata.blocks() * BLOCK_BYTES,
        Err(_) => 0,
    };
    entries.flatten().map(bytes).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_behind_any_name() {
        let stat = "4711 (a ) b (c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 1 0";
        assert_eq!(parse_cpu_seconds(stat), Some(3.0));
        assert_eq!(parse_cpu_seconds("4711 (a) S 1"), None);
        assert!(cpu_seconds(std::process::id()).unwrap() >= 0.0);
        assert_eq!(parse_schedstat("1500000000 12 3\n"), Some(1.5));
        assert_eq!(parse_schedstat(""), None);
        assert!(own_cpu_seconds().unwrap() > 0.0);
    }

    #[test]
    fn memory_is_read_in_bytes() {
        assert_eq!(parse_kib("VmPeak:\t 9 kB\nVmRSS:\t   12 kB\n", "VmRSS:"), Some(12 * 1024));
        assert_eq!(parse_kib("VmPeak:\t 9 kB\n", "VmRSS:"), None);
        assert!(resident_bytes(std::process::id()).unwrap() > 0);
        assert!(memory_bytes().unwrap() > 0);
    }

    #[test]
    fn a_folder_takes_what_its_files_take() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("below")).unwrap();
        std::fs::write(folder.path().join("below/file"), vec![1; 100_000]).unwrap();
        assert!(disk_bytes(folder.path()) >= 100_000);
        assert_eq!(disk_bytes(&folder.path().join("nothing")), 0);
    }
}
