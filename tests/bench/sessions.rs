//! Sessions: how fast they open and what they cost to keep. Each has an address of its own; user
//! agents are few, or one for each session.

use std::fs;
use std::io;
use std::process;
use std::time::{Duration, Instant};

use crate::clients::Client;
use crate::goals::{Bound, Goals};
use crate::options::Options;
use crate::procfs::{self, Usage};
use crate::proxies::SUBSCRIPTION;
use crate::script::{Script, Text};
use crate::stats::Pairs;
use crate::subject::{Program, Subject};
use crate::table::{Table, compared, short, whole};

const WINDOW: usize = 256;

/// Rendered and sent at a time, so that no rendering falls into the time measured and a million
/// need little memory.
const BLOCK: u32 = 20_000;

/// What so many sessions took.
struct Crowd {
    sessions: u32,
    seconds: f64,
    cpu: f64,
    resident: f64,
    anonymous: f64,
}

/// Prints the table and notes the figure that has a bound.
pub(crate) fn run(
    options: &Options,
    adapter: &Program,
    relay: &Program,
    goals: &mut Goals,
) -> io::Result<()> {
    let marks: &[u32] = if options.quick {
        &[100_000]
    } else {
        &[100_000, 1_000_000]
    };
    let heads = [
        "user agents, sessions",
        "opens/s",
        "bare relay",
        "ratio",
        "CPU µs/open",
        "bare relay",
        "ratio",
        "resident B/session",
        "of it anonymous",
    ];
    let mut table = Table::new(&heads);
    for agents in [200, u32::MAX] {
        let mut rounds = Vec::new();
        for _ in 0..options.rounds.min(3) {
            rounds.push([open(adapter, agents, marks)?, open(relay, agents, marks)?]);
        }
        for (place, mark) in marks.iter().enumerate() {
            let figure = |of: fn(&Crowd) -> f64| {
                Pairs::of(&rounds, |crowds: &Vec<Crowd>| of(&crowds[place]))
            };
            let resident = figure(|crowd| crowd.resident / f64::from(crowd.sessions)).ours();
            let anonymous = figure(|crowd| crowd.anonymous / f64::from(crowd.sessions)).ours();
            let label = if agents == 200 { "200" } else { "all distinct" };
            let cells = [
                vec![format!("{label}, {}", whole(f64::from(*mark)))],
                compared(
                    &figure(|crowd| f64::from(crowd.sessions) / crowd.seconds),
                    whole,
                )
                .to_vec(),
                compared(
                    &figure(|crowd| crowd.cpu * 1e6 / f64::from(crowd.sessions)),
                    short,
                )
                .to_vec(),
                vec![short(resident), short(anonymous)],
            ];
            table.row(cells.concat());
            if agents == 200 && *mark == 1_000_000 {
                goals.note(
                    "resident bytes per session, 1,000,000 sessions, 200 user agents",
                    Bound::AtMost(100.0),
                    resident,
                );
            }
        }
    }
    println!("### Sessions\n\n{table}");
    Ok(())
}

/// What it costs to keep them in a file, and to read them back: beside the adapter with a file runs the
/// one without.
pub(crate) fn run_kept(options: &Options, adapter: &Program) -> io::Result<()> {
    let count = if options.quick { 100_000 } else { 1_000_000 };
    let directory = std::env::temp_dir().join(format!("chat-adapter-bench-{}", process::id()));
    fs::create_dir_all(&directory)?;
    let file = directory.join("sessions");
    let keeping = adapter.clone().keeping(&file);
    let mut rounds = Vec::new();
    let (mut read, mut size, mut resident) = (f64::INFINITY, 0.0, 0.0);
    for _ in 0..options.rounds.min(3) {
        rounds.push([
            open(&keeping, 200, &[count])?,
            open(adapter, 200, &[count])?,
        ]);
        // The last lines of one that was killed may be missing.
        size = fs::metadata(&file)?.len() as f64;
        let (with, without) = (Subject::start(&keeping)?, Subject::start(adapter)?);
        read = read.min((with.ready.as_secs_f64() - without.ready.as_secs_f64()) * 1e3);
        resident = procfs::resident(with.pid()?)?.1 - procfs::resident(without.pid()?)?.1;
        drop((with, without));
        fs::remove_file(&file)?;
    }
    fs::remove_dir_all(&directory)?;
    let figure = |of: fn(&Crowd) -> f64| Pairs::of(&rounds, |crowds: &Vec<Crowd>| of(&crowds[0]));
    let heads = [
        "sessions",
        "opens/s",
        "without a file",
        "ratio",
        "CPU µs/open",
        "without a file",
        "ratio",
        "file, MB",
        "read back, ms",
        "resident then, MB",
    ];
    let mut table = Table::new(&heads);
    let cells = [
        vec![whole(f64::from(count))],
        compared(
            &figure(|crowd| f64::from(crowd.sessions) / crowd.seconds),
            whole,
        )
        .to_vec(),
        compared(
            &figure(|crowd| crowd.cpu * 1e6 / f64::from(crowd.sessions)),
            short,
        )
        .to_vec(),
        vec![short(size / 1e6), short(read), short(resident / 1e6)],
    ];
    table.row(cells.concat());
    println!("### Sessions that are kept in a file\n\n{table}");
    Ok(())
}

/// Opens sessions and takes stock at each mark; in the end a thousand of them, from all over, chat.
fn open(program: &Program, agents: u32, marks: &[u32]) -> io::Result<Vec<Crowd>> {
    let mut subject = Subject::start(program)?;
    let pid = subject.pid()?;
    let (before, used) = (procfs::resident(pid)?, Usage::of(pid)?);
    let client = |number| Client { number, agents };
    let (mut crowds, mut opened, mut spent) = (Vec::new(), 0, Duration::ZERO);
    for mark in marks {
        while opened < *mark {
            let end = (*mark).min(opened + BLOCK);
            let script = Script::opening((opened..end).map(client));
            let begun = Instant::now();
            subject.send(&script, WINDOW, script.len())?;
            spent += begun.elapsed();
            opened = end;
        }
        let now = procfs::resident(pid)?;
        crowds.push(Crowd {
            sessions: *mark,
            seconds: spent.as_secs_f64(),
            cpu: (Usage::of(pid)? - used).cpu.as_secs_f64(),
            resident: now.0 - before.0,
            anonymous: now.1 - before.1,
        });
    }
    // The floor relay's table has room for the last hundred thousand only.
    let senders: Vec<_> = (opened - 100_000..opened)
        .step_by(100)
        .map(client)
        .collect();
    let script = Script::chat(&senders, Text::Plain(64), senders.len(), SUBSCRIPTION);
    subject.send(&script, WINDOW, script.len())?;
    Ok(crowds)
}
