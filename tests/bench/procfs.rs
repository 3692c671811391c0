//! What the operating system knows about a process: CPU time, context switches, memory. CPU time
//! comes from `schedstat`, which counts nanoseconds, where `stat` counts hundredths of a second.

use std::fs;
use std::io;
use std::ops::Sub;
use std::time::Duration;

/// What a process has used since it began, all threads taken together.
#[derive(Clone, Copy, Default)]
pub(crate) struct Usage {
    /// Time on a CPU, in user code and in the kernel.
    pub(crate) cpu: Duration,
    /// Context switches, voluntary or not.
    pub(crate) switches: u64,
}

impl Usage {
    /// Reads the present state.
    pub(crate) fn of(pid: u32) -> io::Result<Self> {
        let mut usage = Self::default();
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            let task = task?.path();
            let schedstat = fs::read_to_string(task.join("schedstat"))?;
            usage.cpu += Duration::from_nanos(number(&schedstat));
            let status = fs::read_to_string(task.join("status"))?;
            usage.switches += status
                .lines()
                .filter(|line| line.contains("voluntary_ctxt_switches"))
                .map(number)
                .sum::<u64>();
        }
        Ok(usage)
    }
}

impl Sub for Usage {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            cpu: self.cpu - earlier.cpu,
            switches: self.switches - earlier.switches,
        }
    }
}

/// Resident memory of a process in bytes: all of it, and the part that no file backs.
pub(crate) fn resident(pid: u32) -> io::Result<(f64, f64)> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let bytes = |name: &str| {
        rollup
            .lines()
            .find(|line| line.starts_with(name))
            .map_or(f64::NAN, |line| number(line) as f64 * 1024.0)
    };
    Ok((bytes("Rss:"), bytes("Anonymous:")))
}

/// The processes that a process has started and that still run.
pub(crate) fn children(pid: u32) -> io::Result<Vec<u32>> {
    let listed = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    Ok(listed
        .split_whitespace()
        .filter_map(|child| child.parse().ok())
        .collect())
}

/// The first number in a line.
fn number(line: &str) -> u64 {
    let digits = line
        .split(|c: char| !c.is_ascii_digit())
        .find(|part| !part.is_empty());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}
