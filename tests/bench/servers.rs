//! One room over several servers: what a message costs that goes to all of them, and what a server costs.

use std::io;
use std::time::Duration;

use crate::goals::{Bound, Goals};
use crate::load::{Sample, Span};
use crate::options::Options;
use crate::procfs;
use crate::proxies::Connections;
use crate::spread::Spread;
use crate::stats::{Pairs, median};
use crate::subject::{Cluster, Program};
use crate::table::{Table, compared, short, whole};
use crate::tls::with_tls;

/// How many servers, one after the other.
const COUNTS: [usize; 4] = [1, 4, 16, 64];

/// With so many one stalls.
const STALLED: usize = 2;

/// Prints the tables and notes the figures that have a bound.
pub(crate) fn run(options: &Options, adapter: &Program, goals: &mut Goals) -> io::Result<()> {
    println!("### Several servers\n");
    let mut rounds = Vec::new();
    for round in 0..options.rounds {
        // Another number begins in each round.
        let mut order: Vec<_> = (0..=COUNTS.len()).collect();
        order.rotate_left(round % (COUNTS.len() + 1));
        let mut samples = Vec::new();
        for at in order {
            let stalled = (at == COUNTS.len()).then_some(1);
            let count = COUNTS.get(at).copied().unwrap_or(COUNTS[STALLED]);
            let mut cluster = Cluster::start(adapter, count)?;
            let pid = cluster.pid()?;
            let spread = Spread::new(&mut cluster.servers, |_| true, stalled, None)?;
            samples.push((at, spread.measure(pid, options.span)?.0));
        }
        samples.sort_by_key(|(at, _)| *at);
        rounds.push(
            samples
                .into_iter()
                .map(|(_, sample)| sample)
                .collect::<Vec<_>>(),
        );
    }
    let mut table = Table::new(&[
        "servers",
        "msg/s",
        "updates/s",
        "CPU µs/update",
        "at one",
        "ratio",
        "p50 µs",
        "p99 µs",
        "generator busy",
    ]);
    for at in 0..=COUNTS.len() {
        let count = COUNTS.get(at).copied().unwrap_or(COUNTS[STALLED]);
        let name = match COUNTS.get(at) {
            Some(count) => count.to_string(),
            None => format!("{count}, one of which stalls"),
        };
        let receiving = if at == COUNTS.len() { count - 1 } else { count };
        let of = |value: fn(&Sample) -> f64| median(rounds.iter().map(|round| value(&round[at])));
        let per_update = Pairs::of(
            &rounds
                .iter()
                .map(|round| [round[at].cpu() / receiving as f64, round[0].cpu()])
                .collect::<Vec<_>>(),
            |cost| *cost,
        );
        table.row(
            [
                vec![name],
                vec![
                    whole(of(Sample::rate)),
                    whole(of(Sample::rate) * receiving as f64),
                ],
                compared(&per_update, short).to_vec(),
                vec![
                    short(of(|sample| sample.latency.p50)),
                    short(of(|sample| sample.latency.p99)),
                    format!("{:.0} %", of(Sample::generator_busy) * 100.0),
                ],
            ]
            .concat(),
        );
        if at == STALLED {
            let ratio = per_update.ratio().0;
            goals.note(
                "CPU per update at 16 servers, ratio to one",
                Bound::AtMost(1.0),
                ratio,
            );
        }
    }
    println!("{table}");
    let most = median(rounds.iter().map(|round| round[COUNTS.len() - 1].rate()));
    memory(adapter, goals)?;
    if !options.quick {
        minute(adapter, most / 2.0, goals)?;
    }
    Ok(())
}

/// What a server costs with which nothing is said.
fn memory(adapter: &Program, goals: &mut Goals) -> io::Result<()> {
    let each = memory_of_each(adapter)?;
    let over_tls = with_tls(adapter, memory_of_each)?;
    println!(
        "Resident for each idle server: {} KiB, over TLS {} KiB.\n",
        short(each),
        short(over_tls)
    );
    goals.note(
        "resident for each idle server, KiB",
        Bound::AtMost(200.0),
        each,
    );
    Ok(())
}

fn memory_of_each(adapter: &Program) -> io::Result<f64> {
    let resident = |count| {
        let cluster = Cluster::start(adapter, count)?;
        cluster.servers.iter().try_for_each(quiet)?;
        Ok::<_, io::Error>(procfs::resident(cluster.pid()?)?.0)
    };
    let [few, many] = [COUNTS[0], COUNTS[COUNTS.len() - 1]];
    Ok((resident(many)? - resident(few)?) / (many - few) as f64 / 1024.0)
}

/// A program that has answered may still be laying out its buffers.
fn quiet(connections: &Connections) -> io::Result<()> {
    connections.keeps_silent(Duration::from_millis(20))
}

/// A minute with as many messages a second. One server in two sends none, so that its metadata
/// connection lives on keepalives.
fn minute(adapter: &Program, pace: f64, goals: &mut Goals) -> io::Result<()> {
    let mut cluster = Cluster::start(adapter, COUNTS[COUNTS.len() - 1])?;
    let pid = cluster.pid()?;
    let span = Span {
        warm: Duration::from_secs(1),
        measure: Duration::from_secs(60),
    };
    let spread = Spread::new(&mut cluster.servers, |at| at % 2 == 0, None, Some(pace))?;
    let (sample, silence) = spread.measure(pid, span)?;
    println!(
        "A minute of {} messages a second to {} servers: p50 {} µs, p99 {} µs, the longest silence on a \
         connection {:.2} s (a keepalive is due after 8 s).\n",
        whole(sample.rate()),
        COUNTS[COUNTS.len() - 1],
        short(sample.latency.p50),
        short(sample.latency.p99),
        silence.as_secs_f64(),
    );
    goals.note(
        "longest silence with 64 servers under load, s",
        Bound::AtMost(9.0),
        silence.as_secs_f64(),
    );
    Ok(())
}
