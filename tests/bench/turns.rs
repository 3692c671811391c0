//! Contenders in turns: for every case and every round they are measured one right after the other,
//! each round begun by another one, so that whatever else the machine does meets all alike.

use std::io;

use crate::clients::Client;
use crate::load::{Sample, Span};
use crate::proxies::SUBSCRIPTION;
use crate::script::{Script, Text};
use crate::stats::Pairs;
use crate::subject::{Program, Subject};
use crate::table::{Table, compared, short, whole};

/// One kind of load.
#[derive(Clone)]
pub(crate) struct Case {
    /// What the messages say.
    pub(crate) text: Text,
    /// How many are outstanding.
    pub(crate) window: usize,
    /// How many sessions they come from.
    pub(crate) sessions: u32,
}

/// A case with the samples of all rounds, in each those of the contenders in their order.
pub(crate) type Measured = (Case, Vec<Vec<Sample>>);

/// Runs all cases in all rounds; each round starts all programs anew.
pub(crate) fn take(
    programs: &[&Program],
    cases: &[Case],
    rounds: usize,
    span: Span,
) -> io::Result<Vec<Measured>> {
    let mut measured: Vec<Measured> = cases
        .iter()
        .map(|case| (case.clone(), Vec::new()))
        .collect();
    let clients: Vec<_> = (0..cases.iter().map(|case| case.sessions).max().unwrap_or(0))
        .map(|number| Client {
            number,
            agents: 200,
        })
        .collect();
    for round in 0..rounds {
        let started = programs.iter().map(|program| Subject::start(program));
        let mut subjects = started.collect::<io::Result<Vec<_>>>()?;
        for subject in &mut subjects {
            subject.open(&clients)?;
        }
        for (case, samples) in &mut measured {
            // Longer than the window, or messages under way would not be told apart.
            let length = (case.window + 1).max(1024);
            let script = Script::chat(
                &clients[..case.sessions as usize],
                case.text,
                length,
                SUBSCRIPTION,
            );
            // Another one begins in each round; the samples stand in the order of the programs.
            let first = round % subjects.len();
            subjects.rotate_left(first);
            let run = |subject: &mut Subject| subject.measure(&script, case.window, span);
            let mut taken = subjects
                .iter_mut()
                .map(run)
                .collect::<io::Result<Vec<_>>>()?;
            subjects.rotate_right(first);
            taken.rotate_right(first);
            samples.push(taken);
        }
    }
    Ok(measured)
}

/// Prints both tables: throughput and CPU time, and latency.
pub(crate) fn print(
    measured: &[Measured],
    label: &str,
    other: &str,
    name: impl Fn(&Case) -> String,
) {
    println!("{}", throughput_table(label, other, measured, &name));
    println!("{}", latency_table(label, other, measured, &name));
}

/// A table of throughput and CPU time.
pub(crate) fn throughput_table(
    label: &str,
    other: &str,
    measured: &[Measured],
    name: impl Fn(&Case) -> String,
) -> Table {
    let mut table = Table::new(&[
        label,
        "msg/s",
        other,
        "ratio",
        "CPU µs/msg",
        other,
        "ratio",
        "switches/msg",
        other,
        "generator busy",
    ]);
    for (case, samples) in measured {
        let switches = Pairs::of(samples, Sample::switches);
        let cells = [
            vec![name(case)],
            compared(&Pairs::of(samples, Sample::rate), whole).to_vec(),
            compared(&Pairs::of(samples, Sample::cpu), short).to_vec(),
            vec![short(switches.ours()), short(switches.floor())],
            vec![format!(
                "{:.0} %",
                Pairs::of(samples, Sample::generator_busy).ours() * 100.0
            )],
        ];
        table.row(cells.concat());
    }
    table
}

/// A table of latencies.
fn latency_table(
    label: &str,
    other: &str,
    measured: &[Measured],
    name: impl Fn(&Case) -> String,
) -> Table {
    let mut table = Table::new(&[
        label,
        "p50 µs",
        other,
        "ratio",
        "p99 µs",
        other,
        "ratio",
        "p99.9 µs",
        other,
        "ratio",
    ]);
    for (case, samples) in measured {
        let cells = [
            vec![name(case)],
            compared(&Pairs::of(samples, |sample| sample.latency.p50), short).to_vec(),
            compared(&Pairs::of(samples, |sample| sample.latency.p99), short).to_vec(),
            compared(&Pairs::of(samples, |sample| sample.latency.p999), short).to_vec(),
        ];
        table.row(cells.concat());
    }
    table
}
