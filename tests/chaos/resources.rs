//! The process from the outside: memory, threads and file descriptors at every moment; signals that must not matter, and
//! at last the one that does.

use std::fmt;
use std::time::{Duration, Instant};

use crate::random::Random;
use crate::standin::Adapter;
use crate::world::{Halt, Phase, Run, World};

/// What the process may have.
#[derive(Debug)]
pub(crate) struct Bounds {
    /// So many threads, when all serve.
    threads: u64,
    /// So many more for a moment, while one connection replaces another.
    spare_threads: u64,
    files: usize,
    /// KiB that are resident.
    memory: u64,
}

impl Bounds {
    /// With one server that is called. Threads: main, the log's, and for each Proxy a reader and a writer.
    pub(crate) const ONE: Bounds = Bounds {
        threads: 6,
        spare_threads: 0,
        files: FILES,
        memory: MEMORY,
    };

    /// With so many servers that are called, and so many that connect, on two ports. Each of these may have a
    /// connection that is being replaced, and some that have come to nothing.
    pub(crate) fn of_servers(called: usize, connecting: usize) -> Bounds {
        let all = called + connecting;
        Bounds {
            threads: 2 + 2 + 4 * all as u64,
            spare_threads: 16 * connecting as u64,
            files: FILES + 4 * all + 4 + 16 * connecting,
            memory: MEMORY * all as u64,
        }
    }
}

/// A thread or a file that is being given back may be seen for a moment more.
const GRACE: Duration = Duration::from_secs(1);

/// The most files: three of the process, five for signals, two connections, and some that are open for a moment.
const FILES: usize = 16;

/// The most memory that may be resident, in KiB: some for the process; what may wait to be written, 8 MiB of events and
/// 1 MiB of replies; a line of 4 MiB on each connection; half as much again for buffers that are just being enlarged.
const MEMORY: u64 = (8 + (8 + 1 + 2 * 4) * 3 / 2 + 5) << 10;

/// How often the process is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// How long recovery may take after the last fault, beyond the longest wait of all.
const RECOVERY: Duration = Duration::from_secs(60);

/// What was seen.
#[derive(Debug, Default)]
struct Seen {
    threads: u64,
    files: usize,
    memory: u64,
    looks: u64,
}

/// Looks at the process until the end, and brings it about.
pub(crate) fn observe(
    world: &World,
    adapter: &Adapter,
    bounds: &Bounds,
    mut random: Random,
) -> Run<()> {
    let mut seen = Seen::default();
    let mut calm_since = None;
    while world.phase() < Phase::Served {
        look(world, adapter, bounds, &mut seen)?;
        if world.is_calm() {
            let since = *calm_since.get_or_insert_with(Instant::now);
            if since.elapsed() > RECOVERY {
                return Err(Halt(format!(
                    "not all serves {RECOVERY:?} after the last fault"
                )));
            }
        } else if random.chance(1) {
            disturb(world, adapter, &mut random)?;
        }
        world.wait(LOOK)?;
    }
    await_that(world, "a fixed number of threads", || {
        adapter.threads() == bounds.threads
    })?;
    world.set_figures(seen.to_string());
    world.ledger().data_may_end();
    world.reached(Phase::Ending);
    adapter.signal("TERM");
    Ok(())
}

fn look(world: &World, adapter: &Adapter, bounds: &Bounds, seen: &mut Seen) -> Run<()> {
    seen.looks += 1;
    seen.memory = seen.memory.max(adapter.resident_kib());
    if seen.memory > bounds.memory {
        return Err(Halt(format!("{} KiB of memory", seen.memory)));
    }
    let (threads, files) = (adapter.threads(), adapter.descriptors());
    seen.threads = seen.threads.max(threads);
    seen.files = seen.files.max(files);
    let most = bounds.threads + bounds.spare_threads;
    if threads > most {
        await_that(world, "no more threads than needed", || {
            adapter.threads() <= most
        })?;
    }
    if files > bounds.files {
        await_that(world, "no more files than needed", || {
            adapter.descriptors() <= bounds.files
        })?;
    }
    Ok(())
}

fn await_that(world: &World, what: &str, mut holds: impl FnMut() -> bool) -> Run<()> {
    let until = Instant::now() + GRACE;
    while !holds() {
        if Instant::now() > until {
            return Err(Halt(format!("{what}: not so")));
        }
        world.wait(LOOK)?;
    }
    Ok(())
}

/// Something from the side that must not matter: a signal, or that the process does not run for a while.
fn disturb(world: &World, adapter: &Adapter, random: &mut Random) -> Run<()> {
    let signal = random.pick(&["USR1", "HUP", "PIPE", "STOP"]);
    world.happened("process", signal);
    adapter.signal(signal);
    if signal == "STOP" {
        let waited = world.wait(random.millis(1, 150));
        adapter.signal("CONT");
        return waited;
    }
    Ok(())
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            threads,
            files,
            memory,
            looks,
        } = self;
        write!(
            f,
            "at most {memory} KiB, {threads} threads and {files} files, in {looks} looks"
        )
    }
}
