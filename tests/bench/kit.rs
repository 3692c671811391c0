//! What `Text` and `Fields` are worth: the chat as it is, the [plain chat](crate::plain_chat) and the
//! bare relay, all three in turns.

use std::io;

use crate::load::Sample;
use crate::options::Options;
use crate::script::Text;
use crate::stats::Pairs;
use crate::subject::Program;
use crate::table::{Table, compared, short, whole};
use crate::throughput::SESSIONS;
use crate::turns::{self, Case};

/// The numbers of outstanding messages at which it matters.
const WINDOWS: [usize; 2] = [256, 4096];

/// What is compared: its name, and the places of the two among the contenders.
const COMPARED: [(&str, [usize; 2]); 3] = [
    ("`Text`, `Fields` : bare relay", [0, 2]),
    ("`&str`, five fields : bare relay", [1, 2]),
    ("`&str`, five fields : `Text`, `Fields`", [1, 0]),
];

/// Prints the table.
pub(crate) fn run(options: &Options, adapter: &Program, relay: &Program) -> io::Result<()> {
    let windows = options.windows.iter().filter(|at| WINDOWS.contains(at));
    let case = |&window| Case {
        text: Text::Plain(64),
        window,
        sessions: SESSIONS,
    };
    let cases: Vec<_> = windows.map(case).collect();
    let contenders = [adapter, &Program::plain_chat()?, relay];
    let measured = turns::take(&contenders, &cases, options.rounds, options.span)?;
    let mut table = Table::new(&[
        "the one : the other, 64 B, outstanding",
        "msg/s",
        "the other",
        "ratio",
        "CPU µs/msg",
        "the other",
        "ratio",
    ]);
    for (case, samples) in &measured {
        for (name, places) in COMPARED {
            let rate = Pairs::between(samples, places, Sample::rate);
            let cpu = Pairs::between(samples, places, Sample::cpu);
            let cells = [
                vec![format!("{name}, {} outstanding", case.window)],
                compared(&rate, whole).to_vec(),
                compared(&cpu, short).to_vec(),
            ];
            table.row(cells.concat());
        }
    }
    println!("### The kit's price\n\n{table}");
    Ok(())
}
