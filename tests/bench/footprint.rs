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
        starts.push([Subject::start(adapter)?.ready, Subject::start(relay)?.ready]);
    }
    let starts = Pairs::of(&starts, |ready| ready.as_secs_f64() * 1e3);

    let idle = Duration::from_secs(if options.quick { 1 } else { 5 });
    let stock = [[stock(adapter, idle)?, stock(relay, idle)?]];
    let lean = lean(options, idle)?;

    let mut table = Table::new(&["figure", "adapter", "bare relay", "ratio"]);
    let mut row = |figure: String, pairs: &Pairs, form: fn(f64) -> String| {
        table.row([vec![figure], compared(pairs, form).to_vec()].concat());
    };
    row("start to both inits answered, ms".into(), &starts, short);
    row(
        "resident, idle".into(),
        &Pairs::of(&stock, |stock| stock.resident),
        mebibytes,
    );
    row(
        "of it anonymous".into(),
        &Pairs::of(&stock, |stock| stock.anonymous),
        mebibytes,
    );
    row(
        format!("context switches in {} s idle", idle.as_secs()),
        &Pairs::of(&stock, |stock| stock.switches),
        short,
    );
    row(
        format!("CPU µs in {} s idle", idle.as_secs()),
        &Pairs::of(&stock, |stock| stock.cpu),
        short,
    );
    let mut single = |figure: &str, bytes: f64| {
        table.row([
            figure.into(),
            mebibytes(bytes),
            "–".to_owned(),
            "–".to_owned(),
        ]);
    };
    single("release binary", build.size);
    if let Some((build, stock)) = &lean {
        single("resident, idle, linked statically", stock.resident);
        single("static executable", build.size);
    }
    println!("### Footprint\n\n{table}");

    goals.note(
        "start to both inits answered, ms",
        Bound::AtMost(3.0),
        starts.ours(),
    );
    if let Some((build, stock)) = &lean {
        let mebibyte = f64::from(1 << 20);
        goals.note(
            "resident idle, linked statically, MiB",
            Bound::AtMost(2.5),
            stock.resident / mebibyte,
        );
        goals.note(
            "static executable, MiB",
            Bound::AtMost(2.75),
            build.size / mebibyte,
        );
    }
    Ok(())
}

/// What a program uses while nothing comes.
struct Stock {
    /// Bytes.
    resident: f64,
    /// Bytes that no file backs.
    anonymous: f64,
    /// Context switches in all the time.
    switches: f64,
    /// Microseconds.
    cpu: f64,
}

fn stock(program: &Program, idle: Duration) -> io::Result<Stock> {
    let subject = Subject::start(program)?;
    // A program that has answered may still be laying out its buffers.
    subject.keeps_silent(Duration::from_millis(100))?;
    let before = Usage::of(subject.pid()?)?;
    subject.keeps_silent(idle)?;
    let used = Usage::of(subject.pid()?)? - before;
    let (resident, anonymous) = procfs::resident(subject.pid()?)?;
    Ok(Stock {
        resident,
        anonymous,
        switches: used.switches as f64,
        cpu: used.cpu.as_secs_f64() * 1e6,
    })
}

/// The build that is linked statically, if there is one.
fn lean(options: &Options, idle: Duration) -> io::Result<Option<(Build, Stock)>> {
    let Some(path) = &options.lean else {
        return Ok(None);
    };
    let build = Build::of(path)?;
    if !build.is_static {
        let path = path.display();
        return Err(io::Error::other(format!(
            "--static {path}: linked dynamically"
        )));
    }
    Ok(Some((build, stock(&Program::adapter(path), idle)?)))
}
