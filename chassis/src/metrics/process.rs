//! What the operating system knows of this process, under the names that programs have in common with one another. From
//! /proc: where there is none, nothing is told.

use std::fmt;
use std::fs;

use super::{Collector, DescriptorEncoder, Registry, counter, gauge};

/// In which /proc counts processor time: the same on every architecture that this runs on, whatever the kernel's own clock.
const TICKS_PER_SECOND: f64 = 100.0;

/// Fields of /proc/self/stat after the program's name, which is in brackets and may hold anything: see proc(5), whose numbers
/// are greater by three.
const USER_TICKS: usize = 11;
const SYSTEM_TICKS: usize = 12;
const START_TICKS: usize = 19;

/// Reads /proc when the page is asked for.
#[derive(Debug)]
struct Process;

/// What /proc/self/stat tells.
#[derive(Debug, PartialEq)]
struct Times {
    cpu_seconds: f64,
    /// After the machine's.
    start_seconds: f64,
}

/// Its figures alone, without our prefix.
pub(super) fn registry() -> Registry {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Process));
    registry
}

// === impl Process ===

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let page = &mut encoder;
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        if let Some(bytes) = bytes_of(&status, "VmRSS:") {
            gauge(page, "process_resident_memory_bytes", "Memory that is in RAM", bytes)?;
        }
        if let Some(bytes) = bytes_of(&status, "VmSize:") {
            gauge(page, "process_virtual_memory_bytes", "Memory that is addressed", bytes)?;
        }
        if let Some(times) = fs::read_to_string("/proc/self/stat").ok().and_then(|stat| times(&stat)) {
            counter(
                page,
                "process_cpu_seconds",
                "Processor time, of programs and system",
                times.cpu_seconds,
            )?;
            let machine = fs::read_to_string("/proc/stat").ok().and_then(|stat| boot_seconds(&stat));
            if let Some(booted) = machine {
                let help = "When the process began, in seconds since the Unix epoch";
                gauge(page, "process_start_time_seconds", help, booted + times.start_seconds)?;
            }
        }
        if let Some(open) = open_files() {
            gauge(page, "process_open_fds", "Open files and sockets", open)?;
        }
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        if let Some(most) = most_files(&limits) {
            gauge(page, "process_max_fds", "Most open files and sockets", most)?;
        }
        Ok(())
    }
}

/// A line such as `VmRSS:     1234 kB`.
fn bytes_of(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1_024)
}

fn times(stat: &str) -> Option<Times> {
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let seconds = |field: usize| Some(fields.get(field)?.parse::<f64>().ok()? / TICKS_PER_SECOND);
    Some(Times {
        cpu_seconds: seconds(USER_TICKS)? + seconds(SYSTEM_TICKS)?,
        start_seconds: seconds(START_TICKS)?,
    })
}

/// When the machine began, in seconds since the Unix epoch.
fn boot_seconds(stat: &str) -> Option<f64> {
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

fn open_files() -> Option<u64> {
    let listed = fs::read_dir("/proc/self/fd").ok()?.count();
    // The listing itself is one of them.
    u64::try_from(listed.saturating_sub(1)).ok()
}

/// The soft limit: what counts. None where there is no limit.
fn most_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use crate::metrics::{page, registry};

    use super::*;

    #[test]
    fn a_process_is_told_from_what_proc_says_whatever_it_is_called() {
        let stat = "7 (a) b) (c) S 1 7 7 0 -1 4194560 2 0 0 0 250 50 0 0 20 0 9 0 12345 1 2 3";
        assert_eq!(times(stat), Some(Times { cpu_seconds: 3.0, start_seconds: 123.45 }));
        assert_eq!(times("7 (x) S 1"), None);
        assert_eq!(boot_seconds("cpu 1 2\nbtime 1700000000\n"), Some(1_700_000_000.0));
        assert_eq!(bytes_of("VmPeak:\t 9 kB\nVmRSS:\t     64 kB\n", "VmRSS:"), Some(65_536));
        assert_eq!(bytes_of("", "VmRSS:"), None);
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 4096  files\n";
        assert_eq!(most_files(limits), Some(1_024));
        assert_eq!(most_files("Max open files  unlimited  unlimited  files\n"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_page_tells_of_the_process_under_everybodys_names() {
        let page = page(&registry()).unwrap();
        let value = |name: &str| -> f64 {
            let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.unwrap_or_else(|| panic!("{name} in {page}")).parse().unwrap()
        };
        assert!(value("process_resident_memory_bytes") > 1_000_000.0);
        assert!(value("process_virtual_memory_bytes") > value("process_resident_memory_bytes"));
        assert!(value("process_cpu_seconds_total") >= 0.0);
        assert!(value("process_open_fds") >= 3.0 && value("process_open_fds") <= value("process_max_fds"));
        let now = crate::clock::unix_micros() as f64 / 1e6;
        assert!((0.0..3_600.0 * 24.0).contains(&(now - value("process_start_time_seconds"))), "{page}");
    }
}
