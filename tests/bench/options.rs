//! The bench's own command line: `cargo bench -- OPTIONS`.

use std::path::PathBuf;
use std::time::Duration;

use lexopt::prelude::*;

use crate::load::Span;

/// The numbers of outstanding messages if nothing else is said.
const WINDOWS: [usize; 4] = [1, 64, 256, 4096];

const HELP: &str = "\
Measures the chat adapter against a bare relay, in turns. Usage: cargo bench -- [OPTIONS]

  --quick             a first impression: short measurements, three rounds, up to 100,000 sessions
  --only ROWS         only these, separated by commas: throughput, kit, tls, sessions, servers,
                      start, calls
  --outstanding LIST  of the messages outstanding only these, separated by commas: 1, 64, 256, 4096
  --growth            instead, how cost grows with outstanding, text length, sessions, cores
  --floor             against a relay that knows the load beforehand and looks nothing up
  --one-core          everything, the load generator included, on one core
  --adapter PATH      another build of the adapter
  --static PATH       the adapter linked statically, for the figures of its footprint
  --rounds N          so many turns of each contender (11)
  --seconds S         so long a measurement in each turn (0.3)
";

/// What is to be measured, and how.
pub(crate) struct Options {
    /// The adapter's executable.
    pub(crate) adapter: PathBuf,
    /// The same, linked statically.
    pub(crate) lean: Option<PathBuf>,
    /// Whether this is only a first impression.
    pub(crate) quick: bool,
    /// Whether to draw growth curves.
    pub(crate) growth: bool,
    /// Whether to stay on one core.
    pub(crate) one_core: bool,
    /// Whether the other contender is the relay that looks nothing up.
    pub(crate) floor: bool,
    /// How often the contenders take turns.
    pub(crate) rounds: usize,
    /// How long each turn is.
    pub(crate) span: Span,
    /// The numbers of outstanding messages in every table.
    pub(crate) windows: Vec<usize>,
    only: Option<Vec<String>>,
}

impl Options {
    /// Reads the arguments. `None` means that there is nothing to measure: cargo runs a bench
    /// without `--bench` when it only wants to see that it starts.
    pub(crate) fn parse() -> Result<Option<Self>, lexopt::Error> {
        let (mut bench, mut quick, mut growth, mut one_core) = (false, false, false, false);
        let mut floor = false;
        let (mut adapter, mut only, mut rounds, mut seconds) = (None, None, None, None);
        let mut lean = None;
        let mut windows = WINDOWS.to_vec();
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("bench") => bench = true,
                Long("test") => return Ok(None),
                Long("help") | Short('h') => {
                    print!("{HELP}");
                    return Ok(None);
                }
                Long("quick") => quick = true,
                Long("growth") => growth = true,
                Long("one-core") => one_core = true,
                Long("floor") => floor = true,
                Long("adapter") => adapter = Some(PathBuf::from(parser.value()?)),
                Long("static") => lean = Some(PathBuf::from(parser.value()?)),
                Long("rounds") => rounds = Some(parser.value()?.parse::<usize>()?.max(1)),
                Long("seconds") => seconds = Some(parser.value()?.parse::<f64>()?),
                Long("only") => only = Some(rows(&parser.value()?.string()?)?),
                Long("outstanding") => {
                    let list = parser.value()?.string()?;
                    windows.retain(|window| list.split(',').any(|one| one == window.to_string()));
                }
                other => return Err(other.unexpected()),
            }
        }
        let seconds = seconds.unwrap_or(if quick { 0.2 } else { 0.3 });
        if !(0.01..=3600.0).contains(&seconds) {
            return Err("--seconds: not a number from 0.01 to 3600".into());
        }
        let measure = Duration::from_secs_f64(seconds);
        Ok(bench.then_some(Self {
            adapter: adapter.unwrap_or_else(|| env!("CARGO_BIN_EXE_chat-adapter").into()),
            lean,
            quick,
            growth,
            one_core,
            floor,
            rounds: rounds.unwrap_or(if quick { 3 } else { 11 }),
            span: Span {
                warm: measure / 4,
                measure,
            },
            windows,
            only,
        }))
    }

    /// Whether those rows are wanted.
    pub(crate) fn wants(&self, rows: &str) -> bool {
        self.only
            .as_ref()
            .is_none_or(|only| only.iter().any(|name| name == rows))
    }
}

fn rows(list: &str) -> Result<Vec<String>, lexopt::Error> {
    const KNOWN: [&str; 7] = [
        "throughput",
        "kit",
        "tls",
        "sessions",
        "servers",
        "start",
        "calls",
    ];
    let names: Vec<_> = list.split(',').map(|name| name.trim().to_owned()).collect();
    match names.iter().find(|name| !KNOWN.contains(&name.as_str())) {
        Some(stranger) => Err(format!("--only {stranger}: not one of {}", KNOWN.join(", ")).into()),
        None => Ok(names),
    }
}
