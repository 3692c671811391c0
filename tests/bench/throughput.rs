//! Messages: how many, at what CPU time and latency, with so many outstanding.

use std::io;

use crate::goals::Bound::{self, AtLeast, AtMost};
use crate::goals::Goals;
use crate::load::Sample;
use crate::options::Options;
use crate::script::Text;
use crate::stats::Pairs;
use crate::subject::Program;
use crate::turns::{self, Case};

/// The sessions the messages come from in every table.
pub(crate) const SESSIONS: u32 = 16;

const PLAIN: Text = Text::Plain(64);

const TEXTS: [(Text, &str); 3] = [
    (PLAIN, "64 B"),
    (Text::Plain(1024), "1 KiB"),
    (Text::Escaped(64), "64 B of `%`, `+`, non-ASCII"),
];

/// A figure that has a bound, at 64 bytes: its name, the bound, how many outstanding, and how to get
/// it.
type Goal = (&'static str, Bound, usize, fn(&Sample) -> f64);

const GOALS: [Goal; 4] = [
    ("throughput at 256, ratio", AtLeast(0.85), 256, Sample::rate),
    (
        "throughput at 4096, ratio",
        AtLeast(0.95),
        4096,
        Sample::rate,
    ),
    (
        "CPU per message at 256, ratio",
        AtMost(1.9),
        256,
        Sample::cpu,
    ),
    ("p50 at 1, ratio", AtMost(1.15), 1, |sample| {
        sample.latency.p50
    }),
];

/// Prints the tables and notes the figures that have a bound.
pub(crate) fn run(
    options: &Options,
    adapter: &Program,
    relay: &Program,
    goals: &mut Goals,
) -> io::Result<()> {
    let mut cases = Vec::new();
    for (text, _) in TEXTS {
        cases.extend(options.windows.iter().map(|&window| Case {
            text,
            window,
            sessions: SESSIONS,
        }));
    }
    let measured = turns::take(&[adapter, relay], &cases, options.rounds, options.span)?;
    println!("### Messages\n");
    turns::print(&measured, "text, outstanding", "bare relay", |case| {
        let text = TEXTS
            .iter()
            .find(|(text, _)| *text == case.text)
            .map_or("", |(_, name)| name);
        format!("{text}, {} outstanding", case.window)
    });
    for (figure, bound, window, value) in GOALS {
        if let Some((_, samples)) = measured
            .iter()
            .find(|(case, _)| case.text == PLAIN && case.window == window)
        {
            goals.note(figure, bound, Pairs::of(samples, value).ratio().0);
        }
    }
    Ok(())
}
