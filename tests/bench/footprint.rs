//! What the adapter costs before anybody chats: its start, its memory, its size, and that it sleeps
//! while nothing comes.

use std::io;
use std::time::Duration;

use crate::goals::{Bound, Goals};
use crate::machine::Build;
use crate::options::Options;
use crate::procfs::{self, Usage};
use crate::stats::Pairs;
use crate::subject::{Program, Subject};
use crate::table::{Table, compared, mebibytes, short};

/// Prints the table and notes the figures that have a bound.
pub(crate) fn run(
    options: &Options,
    adapter: &Program,
    relay: &Program,
    build: &Build,
    goals: &mut Goals,
) -> io::Result<()> {
    let mut starts = Vec::new();
    for _ in 0..options.rounds * 3 {
        starts.push((Subject::start(adapter)?.ready, Subject::start(relay)?.ready));
    }
    let starts = Pairs::of(&starts, |ready| ready.as_secs_f64() * 1e3);

    let idle = Duration::from_secs(if options.quick { 1 } else { 5 });
    let stock = |program: &Program| -> io::Result<_> {
        let subject = Subject::start(program)?;
        // A program that has answered may still be laying out its buffers.
        subject.keeps_silent(Duration::from_millis(100))?;
        let before = Usage::of(subject.pid()?)?;
        subject.keeps_silent(idle)?;
        let used = Usage::of(subject.pid()?)? - before;
        let (resident, anonymous) = procfs::resident(subject.pid()?)?;
        Ok((
            resident,
            anonymous,
            used.switches as f64,
            used.cpu.as_secs_f64() * 1e6,
        ))
    };
    let stock = [(stock(adapter)?, stock(relay)?)];

    let mut table = Table::new(&["figure", "adapter", "bare relay", "ratio"]);
    let mut row = |figure: String, pairs: &Pairs, form: fn(f64) -> String| {
        table.row([vec![figure], compared(pairs, form).to_vec()].concat());
    };
    row("start to both inits answered, ms".into(), &starts, short);
    row(
        "resident, idle".into(),
        &Pairs::of(&stock, |stock| stock.0),
        mebibytes,
    );
    row(
        "of it anonymous".into(),
        &Pairs::of(&stock, |stock| stock.1),
        mebibytes,
    );
    row(
        format!("context switches in {} s idle", idle.as_secs()),
        &Pairs::of(&stock, |stock| stock.2),
        short,
    );
    row(
        format!("CPU µs in {} s idle", idle.as_secs()),
        &Pairs::of(&stock, |stock| stock.3),
        short,
    );
    table.row([
        "release binary".into(),
        mebibytes(build.size),
        "–".into(),
        "–".into(),
    ]);
    println!("### Footprint\n\n{table}");

    goals.note(
        "start to both inits answered, ms",
        Bound::AtMost(3.0),
        starts.ours(),
    );
    goals.note(
        "resident idle, MiB",
        Bound::AtMost(2.5),
        stock[0].0.0 / f64::from(1 << 20),
    );
    if build.is_static && build.stripped {
        goals.note(
            "release binary, static, stripped, MiB",
            Bound::AtMost(2.5),
            build.size / f64::from(1 << 20),
        );
    }
    Ok(())
}
