//! System calls per message, counted from outside by whatever this machine has for that. The count
//! is taken in runs of its own, since counting costs time.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::clients::Client;
use crate::options::Options;
use crate::proxies::SUBSCRIPTION;
use crate::script::{Script, Text};
use crate::stats::Pairs;
use crate::subject::{Program, Subject};
use crate::table::{Table, compared, short};
use crate::throughput::SESSIONS;

/// Prints the table.
pub(crate) fn run(options: &Options, adapter: &Program, relay: &Program) -> io::Result<()> {
    println!("### System calls\n");
    let Some(counter) = Counter::ALL.into_iter().find(Counter::works) else {
        println!("Left out: neither `perf stat` nor `strace` can count here.\n");
        return Ok(());
    };
    let report =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("calls-{}", std::process::id()));
    let mut table = Table::new(&[
        "text, outstanding",
        "system calls/msg",
        "bare relay",
        "ratio",
    ]);
    for &window in &options.windows {
        let messages = if options.quick {
            500 * window.min(256)
        } else {
            5000 * window.min(256)
        };
        let per_message = |program: &Program| -> io::Result<f64> {
            let count = |messages| count(&counter, program, window, messages, &report);
            Ok((count(messages)? - count(0)?) / messages as f64)
        };
        let pairs = Pairs::of(&[[per_message(adapter)?, per_message(relay)?]], |calls| {
            *calls
        });
        table.row(
            [
                vec![format!("64 B, {window} outstanding")],
                compared(&pairs, short).to_vec(),
            ]
            .concat(),
        );
    }
    fs::remove_file(report)?;
    println!("Counted by `{}`.\n\n{table}", counter.command[0]);
    Ok(())
}

/// All system calls of a run with that many messages, from the start of the process to its end.
fn count(
    counter: &Counter,
    program: &Program,
    window: usize,
    messages: usize,
    report: &Path,
) -> io::Result<f64> {
    let mut subject = Subject::start(&program.clone().under(counter.command, report))?;
    let clients: Vec<_> = (0..SESSIONS)
        .map(|number| Client {
            number,
            agents: 200,
        })
        .collect();
    subject.open(&clients)?;
    let script = Script::chat(&clients, Text::Plain(64), 2 * window, SUBSCRIPTION);
    subject.send(&script, window, messages)?;
    subject.end_traced()?;
    let report = fs::read_to_string(report)?;
    let line = report.lines().find(|line| line.contains(counter.line));
    let total = line.and_then(|line| {
        line.split(counter.separator)
            .filter(|word| !word.is_empty())
            .nth(counter.column)
    });
    total
        .and_then(|total| total.parse().ok())
        .ok_or_else(|| io::Error::other(format!("no count in “{report}”")))
}

/// A program that counts the system calls of another.
struct Counter {
    command: &'static [&'static str],
    /// How the line with the total is known.
    line: &'static str,
    separator: char,
    column: usize,
}

impl Counter {
    /// The one that disturbs least first.
    const ALL: [Self; 2] = [
        Self {
            command: &["perf", "stat", "-e", "raw_syscalls:sys_enter", "-x", ","],
            line: "raw_syscalls",
            separator: ',',
            column: 0,
        },
        Self {
            command: &["strace", "-c", "-f"],
            line: " total",
            separator: ' ',
            column: 3,
        },
    ];

    fn works(&self) -> bool {
        let mut command = Command::new(self.command[0]);
        command
            .args(&self.command[1..])
            .arg("true")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }
}
