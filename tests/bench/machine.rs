//! Where and what was measured: the lines above the tables.

use std::fs;
use std::io;
use std::path::Path;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::table::mebibytes;

/// The executable, as its ELF headers describe it.
pub(crate) struct Build {
    /// Its size in bytes.
    pub(crate) size: f64,
    /// Whether it needs no other file to run.
    pub(crate) is_static: bool,
    /// Whether it carries no symbols.
    pub(crate) stripped: bool,
}

impl Build {
    /// Reads the headers of a 64-bit ELF file.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let file = fs::read(path)?;
        let number = |at: usize, bytes: usize| {
            file.iter()
                .skip(at)
                .take(bytes)
                .rev()
                .fold(0, |sum: usize, byte| sum << 8 | usize::from(*byte))
        };
        let types = |table: usize, entry: usize, count: usize, field: usize| {
            let (start, step, rows) = (number(table, 8), number(entry, 2), number(count, 2));
            (0..rows).map(move |row| number(start + row * step + field, 4))
        };
        let (interpreter, symbols) = (3, 2);
        Ok(Self {
            size: file.len() as f64,
            is_static: types(32, 54, 56, 0).all(|segment| segment != interpreter),
            stripped: types(40, 58, 60, 4).all(|section| section != symbols),
        })
    }

    /// How it is linked, in words.
    pub(crate) fn linked(&self) -> &'static str {
        match self.is_static {
            true => "statically linked",
            false => "dynamically linked",
        }
    }

    /// In words.
    pub(crate) fn describe(&self) -> String {
        let linked = self.linked();
        format!(
            "{}, {linked}, {}",
            mebibytes(self.size),
            if self.stripped {
                "stripped"
            } else {
                "with symbols"
            }
        )
    }
}

/// The cores this process may use.
pub(crate) fn cores() -> io::Result<Vec<usize>> {
    let allowed = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU)
        .filter(|core| allowed.is_set(*core))
        .collect())
}

/// Keeps this process, and what it starts from now on, on those cores.
pub(crate) fn stay_on(cores: &[usize]) -> io::Result<()> {
    let mut allowed = CpuSet::new();
    cores.iter().for_each(|core| allowed.set(*core));
    Ok(sched_setaffinity(None, &allowed)?)
}

/// Prints what the figures below depend on.
pub(crate) fn print_header(adapter: &Path, build: &Build) -> io::Result<()> {
    let read = |path: &str| {
        fs::read_to_string(path)
            .map(|text| text.trim().to_owned())
            .unwrap_or_default()
    };
    let info = read("/proc/cpuinfo");
    let model = info
        .lines()
        .find(|line| line.starts_with("model name"))
        .and_then(|line| line.split_once(": "));
    let name = adapter.file_name().unwrap_or_default().display();
    let load = read("/proc/loadavg");
    println!(
        "- CPU: {}, {} cores in use",
        model.map_or("unknown", |model| model.1),
        cores()?.len()
    );
    println!(
        "- kernel: {} {}",
        read("/proc/sys/kernel/ostype"),
        read("/proc/sys/kernel/osrelease")
    );
    println!(
        "- date: {}",
        jiff::Zoned::now().strftime("%Y-%m-%d %H:%M %Z")
    );
    println!(
        "- build: {name} {}, {}",
        env!("CARGO_PKG_VERSION"),
        build.describe()
    );
    println!(
        "- load of the machine when the bench began: {}",
        load.split(' ').next().unwrap_or_default()
    );
    println!();
    Ok(())
}
